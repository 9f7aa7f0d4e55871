"""`tabgen rank`: the table and the verdicts of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from tabgen.text import clean, counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from tabgen.comparable import Ranked
    from tabgen.statistics import MethodRecord, Ranking

PolicyName = Literal["complete", "worst", "baseline"]
POLICY = typer.Option("complete", "--policy", help="Missing outcomes: complete, worst or baseline.")


def rank(
    context: typer.Context,
    folders: list[Path] = typer.Argument(
        ...,
        metavar="RUN...",
        help="Run folders, bundles (.zip) or a board's results.jsonl; several are ranked as one pool.",
    ),
    metric: str = typer.Option(
        "roc_auc", "--metric", help="roc_auc, log_loss, accuracy, balanced_accuracy, brier, ..."
    ),
    policy: PolicyName = POLICY,
    alpha: float = typer.Option(0.05, "--alpha", min=0.0001, max=0.5, help="Family-wise error of the verdicts."),
    suite: str = typer.Option(None, "--suite", help="Only outcomes of this suite."),
    methods: str = typer.Option("", "--methods", help="Only these methods, comma-separated: the pool shrinks to them."),
    arm: str = typer.Option(
        "", "--arm", help="fine-tune, fixed-steps, context or augmented. Default: context, if it was measured."
    ),
    max_train_rows: int = typer.Option(None, "--max-train-rows", help="Only outcomes with this cap on training rows."),
    everything: bool = typer.Option(False, "--all", help="Print every comparison and pair, undecided or not."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, without times: equal for equal scores."),
    as_csv: bool = typer.Option(False, "--csv", help="Print the table as CSV."),
    as_latex: bool = typer.Option(False, "--latex", help="Print the table as LaTeX (booktabs)."),
) -> None:
    """Rank the methods of a run, and say what can be claimed.

    Filters recompute everything on what is left: ranks and tests hold for that pool only.
    """
    from dataclasses import asdict

    from rich.console import Console

    from tabgen.cli.flags import on_command_line, split_methods
    from tabgen.cli.listings import load
    from tabgen.comparable import whole_pools
    from tabgen.errors import ExperimentError
    from tabgen.freeze import arm_shown, as_frozen, count_look, labels_of, read_freeze
    from tabgen.results import answers, keep, load_results, rank_pools, reasons, untrained

    everything_there = load_results(*folders)
    freeze = read_freeze(folders[0]) if len(folders) == 1 else None
    asked: dict[str, Any] = {"metric": metric, "policy": policy, "alpha": alpha}
    # what was frozen is shown unless another ranking is asked for
    settings = asked | as_frozen(freeze) | {name: asked[name] for name in asked if on_command_line(context, name)}
    metric = settings["metric"]
    outcomes = keep(everything_there, suite, split_methods(methods) or None, max_train_rows)
    check_arm(arm, outcomes)
    shown = arm or arm_shown(freeze, outcomes)
    metrics = load(context).metrics
    check_metric(metric, outcomes)
    higher_better = metrics[metric].higher_is_better if metric in metrics else None
    plain = as_json or as_csv or as_latex
    arms = [shown] if arm or plain or freeze else None
    ranked = rank_pools(outcomes, arms=arms, higher_better=higher_better, **settings)
    filters = {"suite": suite, "methods": methods, "max-train-rows": max_train_rows}
    named = [name for name, value in filters.items() if value not in (None, "")]
    looked = count_look(folders, {"arm": arms or "all"} | {name: settings[name] for name in asked} | filters)
    if plain and not any(each.ranking for each in ranked):
        raise ExperimentError(f"no cell has a score to rank: {reasons(outcomes)['reason'].iloc[0]}")
    scored = [(each, each.ranking) for each in ranked if each.ranking]
    beside = [folder for folder in folders if len(folders) > 1 and read_freeze(folder)]
    labels = labels_of(freeze, [ranking for _, ranking in scored], everything_there, named, beside)
    if as_json:
        of_pool = {pool.name: answer.to_dict() for pool, answer in answers(whole_pools(ranked), settings["alpha"])}
        data = [
            {"name": each.pool.name, "max_train_rows": each.pool.max_train_rows}
            | ranking.to_dict(times=False)
            | {"answer": of_pool.get(each.pool.name)}
            | {"untrained": [asdict(method) for method in untrained(each.pool.outcomes)]}
            | {"cheapest_halving": cheapest(ranking)}
            | {"registration": asdict(label), "rankings_looked_at": looked}
            for (each, ranking), label in zip(scored, labels, strict=True)
        ]
        typer.echo(json.dumps(data[0] if len(data) == 1 else {"regimes": data}, indent=2))
    elif as_csv:
        typer.echo(pools_frame(ranked).to_csv(index=False), nl=False)
    elif as_latex:
        typer.echo(latex_table(pools_frame(ranked)), nl=False)
    else:
        console = Console(markup=False)
        asked_for = [name for name in ("arm", "metric", "policy") if on_command_line(context, name)]
        answered = print_outcomes(ranked, shown, console, settings["alpha"], everything)
        if answered and asked_for:
            flags = ", ".join(f"--{name}" for name in asked_for)
            console.print(
                f"The answer for one table is by ROC-AUC, over all uses of rows: {flags} change the ranking alone,"
                " which --json prints.",
                highlight=False,
            )
        for label in [label for (each, _), label in zip(scored, labels, strict=True) if each.arm == shown]:
            for sentence in label.sentences():
                console.print(sentence, highlight=False)
        console.print(f"Different rankings of this that were looked at: {looked}.", highlight=False)


def check_arm(arm: str, outcomes: pd.DataFrame) -> None:
    """Raise for an arm that there is not, or that no outcome measured; none is any."""
    from tabgen.arms import ARMS
    from tabgen.comparable import arms_of
    from tabgen.errors import ExperimentError, UnknownNameError

    if arm and arm not in ARMS:
        raise UnknownNameError("arm", arm, ARMS)
    if arm and arm not in arms_of(outcomes):
        raise ExperimentError(f"no cell here measured the arm '{arm}'; measured were: {', '.join(arms_of(outcomes))}.")


def check_metric(metric: str, outcomes: pd.DataFrame) -> None:
    """Raise :class:`tabgen.errors.UnknownNameError` for a metric that no outcome holds a score in."""
    from tabgen.errors import UnknownNameError

    scores = [column for column in outcomes.columns if column.startswith("zero_shot_test_")]  # every scored cell's
    there = {column.removeprefix("zero_shot_test_") for column in scores}
    if there and metric not in there:
        raise UnknownNameError("metric", metric, there)


def cheapest(ranking: Ranking) -> dict[str, object] | None:
    """The cheapest way to halve the minimum detectable effect, by this machine's seconds."""
    from dataclasses import asdict

    ways = ranking.components.halvings if ranking.components else []
    return asdict(ways[0]) if ways else None


def pools_frame(ranked: list[Ranked]) -> pd.DataFrame:
    """The rankings' rows below each other; with several, the first column says of which pool."""
    import pandas as pd

    frames = []
    for each in [each for each in ranked if each.ranking]:
        frames.append(ranking_frame(each.ranking))  # type: ignore[arg-type]
        if len(ranked) > 1:
            frames[-1].insert(0, "pool", each.pool.name)
    return pd.concat(frames, ignore_index=True)


def print_outcomes(
    ranked: list[Ranked],
    arm: str,
    console: Console,
    alpha: float = 0.05,
    everything: bool = False,
) -> bool:
    """The ranking of several tables; of one, which ranks nothing, the answer: whether that was it."""
    from tabgen.cli.answer import print_answer
    from tabgen.comparable import whole_pools
    from tabgen.results import answers, closeness_of

    found = answers(whole_pools(ranked), alpha)
    if len(found) < len({each.pool.name for each in ranked}):
        print_ranked(ranked, arm, console, everything)
        return False
    for pool, answer in found:
        if len(found) > 1:
            console.rule(pool.name, align="left")
        print_answer(answer, pool.outcomes, console)
        print_untrained(pool.outcomes, console)
    print_closeness(closeness_of(ranked), console)
    return True


def print_ranked(ranked: list[Ranked], arm: str, console: Console, everything: bool = False) -> None:
    """Every pool's ranking in one arm, the arms and pools side by side, and how close the synthetic rows are."""
    from tabgen.results import closeness_of, gains_side_by_side, same_rows_in_words

    names = list(dict.fromkeys(each.pool.name for each in ranked))
    for name in names:
        mine = [each for each in ranked if each.pool.name == name]
        if len(names) > 1:
            console.rule(name, align="left")
        if not any(each.ranking for each in mine):
            print_reasons(mine[0].pool.outcomes, name, console)
            continue
        scored = [each for each in mine if each.ranking]
        if len(scored) > 1:
            console.print("Median gain over zero-shot in percent, by arm (--arm ranks in any of them):")
            _print_side_by_side(gains_side_by_side(scored, "arm"), console)
            if words := same_rows_in_words(mine[0].whole.outcomes):
                console.print(words, highlight=False)
        for each in [each for each in scored if each.arm == arm] or scored[:1]:
            print_ranking(each.ranking, console, everything)  # type: ignore[arg-type]
            print_untrained(each.pool.outcomes, console)
    if len(names) > 1:
        console.rule(f"median gain in percent by pool, arm '{arm}'", align="left")
        _print_side_by_side(gains_side_by_side([each for each in ranked if each.arm == arm], "pool"), console)
    print_closeness(closeness_of(ranked), console)


def print_untrained(outcomes: pd.DataFrame, console: Console) -> None:
    """The methods whose rows teach next to nothing, a line each."""
    from tabgen.results import untrained

    for each in untrained(outcomes):
        console.print(f"- {each}", highlight=False)


def print_reasons(outcomes: pd.DataFrame, pool: str, console: Console) -> None:
    """Why no cell of a pool has a score: there is nothing to rank, and this is what came instead."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tabgen.results import reasons

    console.print(f"No cell with {pool} has a score. Why:", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=True)
    for column in ("ended as", "cells", "methods", "datasets", "reason"):
        table.add_column(column, overflow="fold")
    for row in reasons(outcomes).to_dict("records"):
        cells = (row["status"], row["cells"], row["methods"], row["datasets"], row["reason"])
        table.add_row(*(Text(clean(str(cell))) for cell in cells))
    console.print(table)


def _print_side_by_side(gains: pd.DataFrame, console: Console) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", overflow="fold")
    for name in gains.columns:
        table.add_column(name, justify="right")
    for method, row in gains.iterrows():
        table.add_row(str(method), *(_number(value, 3, signed=True) for value in row))
    console.print(table)


def ranking_frame(ranking: Ranking) -> pd.DataFrame:
    """One row per method: what the terminal shows, as numbers."""
    import pandas as pd

    rows = []
    for record in ranking.methods:
        low, high = record.median_gain_interval or (None, None)
        rows.append(
            {
                "method": record.method,
                "mean_rank": record.mean_rank,
                "rank_low": None if record.rank_set is None else record.rank_set[0],
                "rank_high": None if record.rank_set is None else record.rank_set[1],
                "median_gain": record.median_gain,
                "gain_low": low,
                "gain_high": high,
                "spread_iqr": record.spread_iqr,
                "spread_sd": record.spread_sd,
                "wins": record.wins,
                "ties": record.ties,
                "losses": record.losses,
                "optimism": record.optimism,
                "cells_ok": record.cells_ok,
                "cells": record.cells,
            }
        )
    return pd.DataFrame(rows).astype(dict.fromkeys(("rank_low", "rank_high", "wins", "ties", "losses"), "Int64"))


def latex_table(frame: pd.DataFrame) -> str:
    """A booktabs table; names are escaped, numbers rounded to three digits, what is missing is a dash."""
    import pandas as pd

    escapes = {letter: "\\" + letter for letter in "&%_#${}"} | {"\\": r"\textbackslash{}"}

    def cell(value: object) -> str:
        if pd.isna(value):  # type: ignore[call-overload]
            return "--"
        if isinstance(value, float):
            return f"{value:.3f}"
        return "".join(escapes.get(letter, letter) for letter in str(value))

    lines = [r"\begin{tabular}{l" + "r" * (frame.shape[1] - 1) + "}", r"\toprule"]
    lines.append(" & ".join(cell(name.replace("_", " ")) for name in frame.columns) + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(cell(value) for value in row) + r" \\" for row in frame.itertuples(index=False)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


METHOD_WIDTH = 14
SPARED = ("s/cell", "ok", "ties", "w/t/l")
"""Columns of the ranking that a narrow window goes without, in this order."""


def _too_wide(widths: dict[str, int], room: int) -> list[str]:
    """The columns to leave out, so that the others fit, each with two spaces beside it."""
    left_out: list[str] = []
    for name in SPARED:
        if sum(width + 2 for column, width in widths.items() if column not in left_out) <= room:
            break
        left_out.append(name)
    return left_out


def _ranking_rows(ranking: Ranking, tunes: bool, level: str) -> list[dict[str, str]]:
    """What the terminal's table says of each method, by column."""
    last = "optimism" if tunes else "worth"
    letters = ranking.letters()
    rows: list[dict[str, str]] = []
    for record in ranking.methods:
        interval = record.median_gain_interval
        against = [record.wins, record.ties, record.losses]
        rows.append(
            {
                "rank": _number(record.mean_rank, 2),
                "ranks": "-".join(map(str, record.rank_set)) if record.rank_set else "",
                "ties": letters.get(record.method, ""),
                "gain": _number(record.median_gain, 3, signed=True),
                f"{level} interval": f"{interval.low:+.2f} .. {interval.high:+.2f}" if interval else "",
                "w/t/l": "" if None in against else "/".join(map(str, against)),
                last: _number(record.optimism, 3, signed=True) if tunes else _worth(record),
                "ok": f"{record.cells_ok}/{record.cells}",
                "s/cell": _number(record.seconds_total, 1),
            }
        )
    return rows


def print_ranking(ranking: Ranking, console: Console, everything: bool = False) -> None:
    """The terminal's table, one row a method, then the tests and the verdicts; every pair where everything is asked."""
    from rich import box
    from rich.table import Table

    from tabgen.arms import ARMS
    from tabgen.cli.listings import say_left_out

    pool = ranking.pool
    console.print(
        f"Arm '{ranking.arm}': {ARMS[ranking.arm].summary}. Gain in {ranking.metric} over zero-shot, in percent of it:"
        f" median over {counted(len(pool.datasets), 'dataset')} (folds averaged first), policy '{ranking.policy}'.",
        highlight=False,
    )
    tunes = ARMS[ranking.arm].tunes
    level = f"{1 - ranking.alpha:.0%}"
    rows = _ranking_rows(ranking, tunes, level)
    widths = {name: max(len(text) for text in (name, *(row[name] for row in rows))) for name in rows[0]} if rows else {}
    left_out = _too_wide(widths, console.width - METHOD_WIDTH - 2)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", overflow="fold", min_width=METHOD_WIDTH)
    for name in widths:
        if name not in left_out:
            table.add_column(name, justify="right", no_wrap=True)
    for record, row in zip(ranking.methods, rows, strict=True):
        table.add_row(record.method, *(text for name, text in row.items() if name not in left_out))
    console.print(table)
    say_left_out(console, left_out)
    meaning = (
        "optimism: validation gain minus test gain."
        if tunes
        else "worth: how many of the real rows give the same score as context; < and >: beyond the learning curve"
        " on more than half of the cells."
    )
    possible = f"ranks: those left possible, all at once at {level}"
    possible += "." if "ties" in left_out else "; one letter under 'ties': not told apart."
    won = "" if "w/t/l" in left_out else " w/t/l: datasets won, tied, lost against 'real'."
    console.print(f"{possible}{won} {meaning}", highlight=False)
    if ranking.resolution is not None:
        console.print(resolution_line(ranking), highlight=False)
    for line in [*ranking.noise(), *omnibus_lines(ranking)]:
        console.print(line, highlight=False)
    for sentence in ranking.sentences(undecided=everything):
        console.print(f"- {sentence}", highlight=False)
    if everything:
        print_pairs(ranking, console)
    elif any(verdict.undecided for verdict in ranking.verdicts):
        console.print("--all prints every comparison and pair.", highlight=False)


def print_pairs(ranking: Ranking, console: Console) -> None:
    """Every pair: estimated difference, its interval, and the verdict, which holds for all pairs at once."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("method", "against"):
        table.add_column(column, overflow="fold")
    for column in ("difference", f"{1 - ranking.alpha:.0%} interval", "p of all pairs", "verdict"):
        table.add_column(column, justify="right", no_wrap=True)
    for pair in ranking.pairs:
        interval = pair.interval
        shown = f"{interval.low:+.3f} .. {interval.high:+.3f}" if interval else ""
        estimate = _number(pair.estimate, 3, signed=True)
        table.add_row(pair.method, pair.other, estimate, shown, _number(pair.p, 3), pair.verdict)
    console.print(table)


def _worth(record: MethodRecord) -> str:
    """Rows, and the share of the real rows, that a method's rows are worth."""
    if record.worth is None:
        return ""
    return f"{record.worth.beyond}{record.worth.rows:.0f} ({record.worth.share:.0%})"


def resolution_line(ranking: Ranking) -> str:
    """What the ruler's cells say of this arm at the datasets of this pool, in a sentence."""
    ruler = ranking.resolution
    assert ruler is not None
    seen = "no dose was detected" if ruler.detected is None else f"{ruler.detected:.0%} broken was detected"
    return (
        f"Resolution on the ruler of real rows with broken {ruler.what}, at {counted(ruler.datasets, 'dataset')}:"
        f" {seen}; {ruler.right_order:.0%} of neighbouring doses stand in the right order."
    )


def print_closeness(table: pd.DataFrame, console: Console) -> None:
    """How close each method's rows are to the real ones: medians over cells."""
    if table.empty:
        return
    from rich import box
    from rich.table import Table

    console.print("How close the synthetic rows are to the real ones, medians over cells (see docs/fidelity.md):")
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("method", overflow="fold", min_width=11)
    for column in table.columns:
        shown.add_column(column, justify="right")
    for method, row in table.iterrows():
        shown.add_row(str(method), *(_number(value, 3) for value in row))
    console.print(shown)


def omnibus_lines(ranking: Ranking) -> list[str]:
    """The omnibus test and the critical difference, in a line each."""
    lines = []
    friedman = ranking.tests.friedman
    if friedman is not None:
        lines.append(
            f"Friedman chi2({friedman.methods - 1}) = {friedman.chi2:.2f}, p = {friedman.chi2_p:.3g};"
            f" Iman-Davenport F = {friedman.f:.2f}, p = {friedman.f_p:.3g}; by sign flips p = {friedman.flip_p:.3g}."
        )
    if ranking.tests.critical_difference is not None:
        lines.append(
            f"Nemenyi critical difference at {ranking.alpha:g}: {ranking.tests.critical_difference:.2f} ranks."
        )
    return lines


def _number(value: float | None, digits: int, signed: bool = False) -> str:
    if value is None or value != value:
        return ""
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
