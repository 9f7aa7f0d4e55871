"""report.html: one run's ranking, verdicts and figures in a file that opens from disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from tabgen import figures
from tabgen.arms import ARMS, FIRST_ARM
from tabgen.comparable import Ranked, whole_pools
from tabgen.environment import PACKAGES
from tabgen.errors import StoreError
from tabgen.freeze import Freeze, alpha_of, arm_shown, labels_of, read_freeze
from tabgen.leaderboard.pages import make_environment
from tabgen.results import (
    answers,
    closeness_of,
    gains_side_by_side,
    load_results,
    next_line,
    reasons,
    same_rows_in_words,
    untrained,
)
from tabgen.statistics import Ranking
from tabgen.statistics.one_table import HEADS, use_of

FIGURES = (
    (
        "Ranks",
        figures.critical_difference_diagram,
        "Mean rank of each method over the datasets. Best on the left; a bar joins methods that cannot be told apart.",
    ),
    (
        "Possible ranks",
        figures.rank_sets,
        "From the best to the worst rank that the verdicts leave possible, for all methods at once; the mark is the"
        " mean rank. Methods that share a letter are not told apart.",
    ),
    (
        "Gains per dataset",
        figures.gains_per_dataset,
        "Gain over zero-shot on each dataset, mean over folds; the line spans the folds.",
    ),
    ("Duels", figures.duel_heat_map, "Datasets on which the row's method beat, tied with or lost to the column's."),
    (
        "Validation against test",
        figures.validation_against_test,
        "Below the diagonal, validation gained more than test: the kept step flatters the method.",
    ),
    ("Score against time", figures.score_against_seconds, "Median gain against median seconds of a cell."),
)


CURVES = (
    "Log-loss of validation and test rows as the steps go, less that of zero-shot: below zero is better. Only the"
    " validation rows decide which step is kept."
)


def write_report(folder: Path, ranked: Sequence[Ranked]) -> Path:
    """Write ``report.html`` into a run folder and return its path; replaced whole, never half-written.

    ``ranked`` is what :func:`tabgen.results.rank_pools` makes of the run's outcomes.
    """
    outcomes, freeze = load_results(folder), read_freeze(folder)
    path = folder / "report.html"
    scratch = folder / "report.html.new"
    page = render(outcomes, ranked, folder.resolve().name, freeze)
    try:
        scratch.write_text(page, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written into {folder}: {error.strerror}. Copy the folder to where you can write."
        ) from error
    return path


def render(outcomes: pd.DataFrame, ranked: Sequence[Ranked], title: str, freeze: Freeze | None = None) -> str:
    """The page as text: everything inside, nothing fetched.

    The arm that was frozen comes first, or else the one that tells most apart.
    """
    first = arm_shown(freeze, outcomes)
    ordered = sorted(ranked, key=lambda each: each.arm != first)
    scored = [each for each in ordered if each.ranking]
    pools = list(dict.fromkeys(each.pool.name for each in ordered))
    labels = labels_of(freeze, [each.ranking for each in scored if each.ranking], outcomes)
    return (
        make_environment()
        .get_template("report.html")
        .render(
            title=title,
            regimes=[
                _section(each, len(pools) > 1, len({e.arm for e in ordered}) > 1) | {"label": label}
                for each, label in zip(scored, labels, strict=True)
            ],
            unscored=[
                {"name": each.pool.name, "reasons": reasons(each.pool.outcomes).to_dict("records")}
                for each in ordered
                if each.arm == first and each.pool.name not in {other.pool.name for other in scored}
            ],
            answers=[
                {
                    "name": pool.name if len(pools) > 1 else "",
                    "answer": answer,
                    "next": next_line(answer, pool.outcomes),
                    "untrained": untrained(pool.outcomes),
                }
                for pool, answer in answers(whole_pools(ranked), alpha_of(freeze))
            ],
            by_arm=[
                (name, gains_side_by_side(mine, "arm"), same_rows_in_words(mine[0].whole.outcomes))
                for name in pools
                if len(mine := [each for each in scored if each.pool.name == name]) > 1
            ],
            gains_by_regime=gains_side_by_side([each for each in scored if each.arm == first], "pool"),
            arms=ARMS,
            use_of=use_of,
            heads=HEADS,
            closeness=closeness_of(ranked),
            counts=outcomes["status"].value_counts().to_dict(),
            setting=setting_of(outcomes),
        )
    )


def _section(ranked: Ranked, several_pools: bool, several_arms: bool) -> dict[str, Any]:
    """What the page shows of one pool in one arm."""
    assert ranked.ranking is not None
    outcomes, ranking = ranked.pool.outcomes, ranked.ranking
    failed = outcomes[outcomes["status"] != "ok"]
    drawn = [(title, draw(ranking), caption) for title, draw, caption in FIGURES]
    if ranked.arm == FIRST_ARM and {"curve_validation", "curve_test"} <= set(outcomes.columns):
        drawn.append(("Learning curves", figures.learning_curves(outcomes, label="log-loss"), CURVES))
    names = [ranked.pool.name] if several_pools else []
    names += [f"the arm “{ranked.arm}”"] if several_arms else []
    return {
        "name": ", ".join(names),
        "arm": ranked.arm,
        "ranking": ranking,
        "figures": [
            # matplotlib's own SVG of our figures; names inside it are escaped by its writer
            {"title": name, "caption": caption, "svg": Markup(_inline(figures.to_svg(figure)))}  # noqa: S704
            for name, figure, caption in drawn
        ],
        "datasets": _datasets(outcomes, ranking),
        "untrained": untrained(outcomes),
        "failures": failed[["dataset", "fold", "method", "status", "reason"]].to_dict("records"),
    }


def _inline(svg: str) -> str:
    """The <svg> element without the XML prologue, which HTML has no place for."""
    return svg[svg.index("<svg") :]


def _datasets(outcomes: pd.DataFrame, ranking: Ranking) -> list[dict[str, Any]]:
    """Per dataset: the zero-shot score and every method's gain, best marked."""
    zero_shot = outcomes.groupby("dataset")[f"zero_shot_test_{ranking.metric}"].mean()
    rows = []
    for name, gains in ranking.gains.iterrows():
        best = gains.max()
        rows.append(
            {
                "name": name,
                "zero_shot": zero_shot[str(name)],
                "gains": [{"value": gains[m], "best": gains[m] == best} for m in ranking.pool.methods],
            }
        )
    return rows


def setting_of(outcomes: pd.DataFrame) -> dict[str, Any]:
    """What was run, and where: the distinct values of the outcomes' settings and provenance."""

    def distinct(values: pd.Series[Any]) -> str:
        return ", ".join(sorted({str(v) for v in values.dropna()})) or "none"

    where = outcomes["provenance"]
    code = outcomes.reindex(columns=["model_plugin_version"])["model_plugin_version"]
    return {
        "suite": distinct(outcomes["suite"]),
        "model": distinct(outcomes["model"] + code.map(lambda v: f" ({v})" if isinstance(v, str) else "")),
        "checkpoint (SHA-256)": distinct(outcomes["checkpoint"].str[:16]),
        "recipe": distinct(outcomes["recipe"].map(lambda recipe: recipe.get("name"))),
        "folds": distinct(outcomes["n_folds"]),
        "training rows at most": distinct(outcomes["max_train_rows"].astype("Int64")),
        "versions": distinct(
            where.map(lambda p: ", ".join(f"{name} {p.get(name)}" for name in ("tabgen", "python", *PACKAGES)))
        ),
        "commit": distinct(
            where.map(
                lambda p: (
                    f"{str(p['commit'])[:12]}{' with local changes' if p.get('dirty') else ''}"
                    if p.get("commit")
                    else None
                )
            )
        ),
        "processor": distinct(where.map(lambda p: f"{p.get('processor')}, {p.get('cores')} cores")),
    }
