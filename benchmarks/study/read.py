"""Every number and figure of docs/study.md, from the outcomes of the study.

    python benchmarks/study/read.py --keep runs/study      # take over what the run folders hold, then read
    python benchmarks/study/read.py                         # read benchmarks/results/study/*.parquet

Rewrites the tables between the marks `<!-- NAME -->` and `<!-- / -->` of docs/study.md and the figures beside it, and
prints them. The registered analysis of an experiment is `freeze.json` of its run folder, kept as NAME.freeze.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from page import fill, table
from rows import due, keep, read_rows, registered, to_read, whole
from run import ORDER, PAPERS, ROBUST, YARDSTICKS, contrasts_of, preset_of
from scipy import stats

from tabgen.arms import ARMS
from tabgen.figures import gain_against_ratio, save
from tabgen.figures.style import dots, method_styles, new_figure
from tabgen.multiverse import multiverse, shares
from tabgen.results import load_results, rank_pools
from tabgen.statistics import (
    Interval,
    Pair,
    Ranking,
    contrasts,
    dataset_means,
    named_pairs,
    normalised_scores,
)
from tabgen.statistics.records import WorthRecord
from tabgen.statistics.saturation import lines_of, saturations

ROOT = Path(__file__).parent.parent.parent
ROWS, PAGE, FIGURES = ROOT / "benchmarks" / "results" / "study", ROOT / "docs" / "study.md", ROOT / "docs" / "figures"
PAPERS_GAIN = 0.12
"""Median gain of CausalMixFT in percent, by the paper's abstract."""
OUTSIDE = ROWS / "outside.json"
RESAMPLES = 500


def progress() -> str:
    """What was registered, and how much of it has ended."""
    lines = []
    for name in (*ORDER, *(name for name in ROBUST if name != "outside")):
        file = ROWS / f"{name}.freeze.json"
        if not file.exists():
            lines.append([f"`{name}`", f"`{preset_of(name)}`", "", "", "", "not begun"])
            continue
        freeze, kept = json.loads(file.read_text()), ROWS / f"{name}.parquet"
        rows = to_read(name, pd.read_parquet(kept, columns=["status", "fold"]))
        ended = f"{len(rows):,} of {due(kept):,} cells, {(rows['status'] == 'ok').sum():,} with scores"
        named = [f"`{name}`", f"`{preset_of(name)}`"]
        lines.append([*named, freeze["arm"], freeze["time"][:10], f"`{freeze['hash'][:12]}`", ended])
    told: str = table("experiment | preset | primary arm | registered | hash | ended", lines)
    return told


def ended(name: str) -> bool:
    """Whether all cells of an experiment have ended: none is looked at before, though its rows are kept."""
    return bool(whole(ROWS / f"{name}.parquet"))


def read(name: str) -> pd.DataFrame:
    """The kept outcomes of one experiment."""
    rows: pd.DataFrame = to_read(name, read_rows(ROWS / f"{name}.parquet"))
    return rows


def ranked(outcomes: pd.DataFrame, arm: str, region: float) -> Ranking:
    """The ranking of the one pool of these outcomes in an arm."""
    (found,) = [each.ranking for each in rank_pools(outcomes, arms=[arm], region=region) if each.ranking]
    return found


def region_in(arm: str) -> float:
    """The registered half-width of equality in points: 0.1 where the model is fine-tuned, 0.5 in the context arms."""
    return 0.1 if ARMS[arm].tunes else 0.5


def judged(ranking: Ranking, pairs: list[str], region: float) -> list[Pair]:
    """The registered contrasts, withheld where known bad controls are not below the real rows."""
    named = [(a, b) for a, _, b in (pair.partition("/") for pair in pairs)]
    return named_pairs([(ranking, pair) for pair in named if set(pair) <= set(ranking.gains)], region=region)


def about(value: float, interval: Interval | None, digits: int = 2) -> str:
    """A number with its interval, signed."""
    ends = "" if interval is None else f" ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"
    return f"{value:+.{digits}f}{ends}"


def worth_of(worth: WorthRecord | None) -> str:
    """The share of the real rows that rows are worth, with its interval; empty if it was not measured."""
    if worth is None:
        return ""
    ends = "" if worth.interval is None else f" ({worth.interval.low:.0%} to {worth.interval.high:.0%})"
    return f"{worth.share:.0%}{ends}"


def worth_table(outcomes: pd.DataFrame, ranking: Ranking, pairs: list[Pair]) -> str:
    """One row a method: gain, worth, place on the ruler, verdict, and how close its rows are to the real ones."""
    close = outcomes[outcomes["status"] == "ok"].groupby("method")[list(MEASURES)].median()
    verdicts = {pair.method: pair for pair in pairs}
    lines = []
    for record in ranking.methods:
        name = record.method
        if name.startswith("corrupted") or record.median_gain is None:
            continue
        place = against = verdict = ""
        worth = worth_of(record.worth)
        if ranking.resolution and name in ranking.resolution.places:
            place = f"{ranking.resolution.places[name]:.0%}"
        if pair := verdicts.get(name):
            against, verdict = about(pair.estimate, pair.interval, 1), pair.verdict
        measured = close.reindex([name])[list(MEASURES)].iloc[0].astype(float)
        shown = ["–" if np.isnan(value) else f"{value:.2f}" for value in measured]
        lines.append([name, f"{record.median_gain:+.1f}", worth, place, against, verdict, *shown])
    head = "method | gain | worth (95 %) | as broken labels | against `bootstrap` (95 %) | verdict"
    told: str = table(f"{head} | {' | '.join(MEASURES.values())}", lines)
    return told


MEASURES = {
    "adequacy_tstr": "TSTR",
    "fidelity_column_shapes": "column shapes",
    "fidelity_pair_trends": "pair trends",
    "fidelity_detection_auc": "detection AUC",
}
PREDICTORS = MEASURES | {"privacy_closer_to_train": "rows closer to train"}
"""Exact copies are none of them: nearly all generators have none, and so no order."""


def predictors(outcomes: pd.DataFrame, generators: list[str]) -> str:
    """Spearman's correlation over generators of worth with each measure, medians over tables; tables resampled."""
    ok = outcomes[(outcomes["status"] == "ok") & outcomes["method"].isin(generators)].copy()
    ok["worth"] = ok["worth_context_rows"] / ok["n_train"]
    by_table = ok.pivot_table(index="dataset", columns="method", values=["worth", *PREDICTORS])
    rng = np.random.default_rng(0)
    lines = []
    for measure, name in PREDICTORS.items():

        def correlation(tables: pd.DataFrame, measure: str = measure) -> float:
            medians = tables.median()
            return float(stats.spearmanr(medians["worth"], medians[measure]).statistic)

        drawn = [correlation(by_table.iloc[rng.integers(len(by_table), size=len(by_table))]) for _ in range(RESAMPLES)]
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        lines.append([name, about(correlation(by_table), Interval(float(low), float(high)))])
    told: str = table("measure | rank correlation with worth (95 %)", lines)
    return told


def contrast_table(ranking: Ranking, pairs: list[Pair]) -> str:
    """One row a registered contrast."""
    lines = [
        [f"{p.method} against {p.other}", about(p.estimate, p.interval), f"{p.p:.3g}", f"{p.p_equal:.3g}", p.verdict]
        for p in pairs
    ]
    held = "not run"
    if ranking.controls is not None:
        each = ", ".join(f"{control.method} {control.p:.2g}" for control in ranking.controls.methods)
        held = f"{'yes' if ranking.controls.passed else 'no'} (p, each by itself: {each})"
    head = "contrast | difference (95 %) | p | p of a difference beyond the region | verdict"
    return f"{table(head, lines)}\n\n{len(ranking.gains)} tables. All known bad controls below `real`: {held}."


def gain_table(ranking: Ranking) -> str:
    """One row a method: the median gain with its interval and spread, the mean rank and the set of possible ones."""
    lines = [
        [
            r.method,
            about(r.median_gain, r.median_gain_interval),
            f"{r.spread_iqr:.2f}",
            f"{r.mean_rank:.2f}",
            "" if r.rank_set is None else f"{r.rank_set[0]} to {r.rank_set[1]}",
            f"{r.cells_ok} of {r.cells}",
        ]
        for r in ranking.methods
        if r.median_gain is not None and r.mean_rank is not None
    ]
    told: str = table(
        "method | median gain (95 %) | quartile range | mean rank | possible ranks | cells that ended", lines
    )
    return told


def field() -> dict[str, str]:
    """Questions 1 and 6."""
    outcomes = read("field")
    if ended("gans"):
        gans = read("gans")
        outcomes = pd.concat([outcomes, gans[gans["method"].isin(["ctgan", "tvae"])]], ignore_index=True)
    ranking = ranked(outcomes, "context", 0.5)
    tested = [  # each experiment's contrasts are a family, on its own tables, as they were frozen
        pair
        for name in ("field", "gans")
        if ended(name)
        for pair in judged(ranked(read(name), "context", 0.5), contrasts_of(name)[1], 0.5)
    ]
    generators = [pair.method for pair in tested]
    draw_worth(ranking)
    augmented = ranked(outcomes, "augmented", 0.5)
    beside = [f"{name}/real" for name in generators]
    return {
        "field": worth_table(outcomes, ranking, tested),
        "field-augmented": contrast_table(augmented, judged(augmented, beside, 0.5)),
        "predictors": predictors(outcomes, generators),
    }


def main_grid() -> dict[str, str]:
    """Question 2, in every arm."""
    outcomes, (_, pairs, _) = read("main"), contrasts_of("main")
    told = {}
    for arm in ARMS:
        ranking, region = ranked(outcomes, arm, region_in(arm)), region_in(arm)
        parts = [gain_table(ranking), contrast_table(ranking, judged(ranking, pairs, region)), resolution(ranking)]
        told[f"main-{arm}"] = "\n\n".join(parts)
    return told


def resolution(ranking: Ranking) -> str:
    """What a comparison with `real` can see in an arm, and what its noise comes from."""
    assert ranking.components is not None
    whole = sum(ranking.components.variances.values())
    shares = [f"{name} {part / whole:.0%}" for name, part in ranking.components.variances.items()]
    told = f"Minimum detectable effect of one comparison with `real`: {ranking.components.detectable:.1f} points (80 %"
    told += f" power, by itself). Of the variance of a single difference: {', '.join(shares)}."
    kept = ranking.kept_start
    return told if kept is None else f"{told} {kept:.0%} of the fine-tunings kept the weights of step 0."


def claims() -> dict[str, str]:
    """The paper's claims beside ours, each agreed, contradicted or undecidable by the registered rule."""
    outcomes, (arm, _, region) = read("main"), contrasts_of("main")
    ranking = ranked(outcomes, arm, region)
    others = ["real", *(name for name in PAPERS if name != "causalmix")]
    pairs = {pair.other: pair for pair in judged(ranking, [f"causalmix/{name}" for name in others], region)}
    records = {record.method: record for record in ranking.methods}
    ours = records["causalmix"]
    assert ours.median_gain is not None
    assert ours.median_gain_interval is not None
    inside = ours.median_gain_interval.low <= PAPERS_GAIN <= ours.median_gain_interval.high
    first = "agreed" if inside and ours.median_gain_interval.low > 0 else "undecidable" if inside else "contradicted"
    gaps = dataset_means(normalised_scores(outcomes, "roc_auc", arm=arm), "optimism", "complete").matrix
    (gap,) = contrasts(gaps, [("real", "causalmix")], region=region)
    controlled = ranking.controls is None or ranking.controls.passed
    order = sorted(("causalmix", *others), key=lambda name: -(records[name].median_gain or 0.0))
    lines = [
        [
            "CausalMixFT has the highest median gain",
            ", ".join(f"{name} {records[name].median_gain:+.2f}" for name in order),
            answer([pairs[name].verdict for name in others]),
        ],
        [f"its median gain is {PAPERS_GAIN} %", about(ours.median_gain, ours.median_gain_interval), first],
        *(
            [f"it is ahead of {name}", about(pairs[name].estimate, pairs[name].interval), answer([pairs[name].verdict])]
            for name in ("ctgan", "tabebm", "tableaugment")
        ),
        [
            "the gap between validation and test falls from 0.67 (plain) to 0.30",
            f"{gaps['real'].median():.2f} to {gaps['causalmix'].median():.2f}; {about(gap.estimate, gap.interval)}",
            answer([gap.verdict]) if controlled else "undecidable",
        ],
    ]
    return {"claims": table("the paper | ours (95 %) | verdict", lines)}


def answer(verdicts: list[str]) -> str:
    """Agreed if all contrasts are claimed as the paper has them, contradicted if one is the other way or equality."""
    if all(verdict == "better" for verdict in verdicts):
        return "agreed"
    return "contradicted" if {"worse", "equal"} & set(verdicts) else "undecidable"


def mixing() -> dict[str, str]:
    """Question 3."""
    outcomes, (arm, pairs, region) = read("mixing"), contrasts_of("mixing")
    ranking = ranked(outcomes, arm, region)
    return {"mixing": gain_table(ranking) + "\n\n" + contrast_table(ranking, judged(ranking, pairs, region))}


def few_rows() -> dict[str, str]:
    """Question 4: what the rows are worth in each regime; the contrasts of all regimes in an arm are one family."""
    outcomes, (_, pairs, region) = read("few-rows"), contrasts_of("few-rows")
    caps = sorted(map(int, outcomes["max_train_rows"].unique()))
    parts = {rows: outcomes[outcomes["max_train_rows"] == rows] for rows in caps}
    generators = [pair.partition("/")[0] for pair in pairs]
    in_place = {rows: ranked(part, "context", region) for rows, part in parts.items()}
    beside = {rows: ranked(part, "augmented", region) for rows, part in parts.items()}
    worth = {
        name: [next(r.worth for r in ranking.methods if r.method == name) for ranking in in_place.values()]
        for name in ("bootstrap", *generators)
    }
    heads = " | ".join(f"{rows} rows" for rows in parts)
    shown = [[name, *(worth_of(worth) or "–" for worth in found)] for name, found in worth.items()]
    return {
        "few-rows-worth": table(f"generator | {heads}", shown),
        "few-rows-context": by_regime(in_place, generators, "bootstrap", region),
        "few-rows-beside": by_regime(beside, generators, "bootstrap", region),
        "few-rows-augmented": by_regime(beside, ["bootstrap", *generators], "real", region),
    }


def by_regime(rankings: dict[int, Ranking], names: list[str], other: str, region: float) -> str:
    """One row a contrast, one column a regime; Holm over all of them."""
    named = [(name, rows) for name in names for rows in rankings]
    found = named_pairs([(rankings[rows], (name, other)) for name, rows in named], region=region)
    told = {key: f"{about(p.estimate, p.interval, 1)} {p.verdict}" for key, p in zip(named, found, strict=True)}
    lines = [[f"{name} against {other}", *(told[name, rows] for rows in rankings)] for name in names]
    tables = ", ".join(str(len(ranking.gains)) for ranking in rankings.values())
    shown = table("contrast | " + " | ".join(f"{rows} rows" for rows in rankings), lines)
    return f"{shown}\n\n{tables} tables."


def more_rows() -> dict[str, str]:
    """Question 5."""
    outcomes, (_, pairs, region), told = read("more-rows"), contrasts_of("more-rows"), {}
    for arm in ("context", "augmented"):
        ranking = ranked(outcomes, arm, region)
        curves = saturations(ranking, outcomes)
        ratios = [f"{ratio:g}x" for ratio in curves[0].ratios]
        lines = [
            [
                curve.name,
                *(f"{gain:+.2f}" for gain in curve.gains),
                "–" if curve.ceiling is None else about(curve.ceiling, curve.ceiling_interval),
            ]
            for curve in curves
        ]
        drawn = table(f"generator | {' | '.join(ratios)} | tends to (95 %)", lines)
        told[f"more-rows-{arm}"] = drawn + "\n\n" + contrast_table(ranking, judged(ranking, pairs, region))
        if arm == "context":
            shown = [curve for curve in curves if curve.name not in YARDSTICKS or curve.name == "bootstrap"]
            named = lines_of(outcomes)
            figure = gain_against_ratio(ranking, {curve.name: named[curve.name] for curve in shown}, shown)
            save(figure, FIGURES / "study-more-rows.svg")
    return told


def robustness() -> dict[str, str]:
    """Question 7: each generator's contrast with `bootstrap` in the registered run and in those that differ from it."""
    kept = {name: read(name) for name in ("field", *ROBUST) if ended(name)}
    columns = {name: compared(rows) for name, rows in kept.items() if name != "other-recipe"}
    if OUTSIDE.exists():
        columns["outside"] = json.loads(OUTSIDE.read_text())
    generators = [name for name in columns["field"] if all(name in column for column in columns.values())]
    lines = [[name, *(column[name]["told"] for column in columns.values())] for name in generators]
    here, *others = ([column[name]["gain"] for name in generators] for column in columns.values())
    orders = [float(stats.spearmanr(here, there).statistic) for there in others]
    lines.append(["*rank correlation with `field`*", "", *(f"{order:+.2f}" for order in orders)])
    told = {"robustness": table("generator | " + " | ".join(f"`{name}`" for name in columns), lines)}
    if "other-recipe" in kept:
        arm, pairs, region = contrasts_of("other-recipe")
        ranking = ranked(kept["other-recipe"], arm, region)
        told["other-recipe"] = contrast_table(ranking, judged(ranking, pairs, region))
    return told


def compared(outcomes: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The gain of each generator as context, and its contrast with `bootstrap` in words."""
    ranking, (_, pairs, region) = ranked(outcomes, "context", 0.5), contrasts_of("other-model")
    gains = {record.method: record.median_gain for record in ranking.methods}
    return {
        pair.method: {"gain": gains[pair.method], "told": f"{pair.estimate:+.1f} {pair.verdict}"}
        for pair in judged(ranking, pairs, region)
    }


def keep_figures(folder: Path) -> None:
    """Of tables that are not ours to publish: no rows, and the figures when all of the cells have ended."""
    outcomes = load_results(folder)
    if len(outcomes) == registered(folder / "freeze.json"):
        OUTSIDE.write_text(json.dumps(compared(outcomes), indent=1) + "\n")


def universes() -> dict[str, str]:
    """In how many of the analyses that the rows offer each registered contrast is claimed."""
    lines = []
    for name in ("field", "gans", "main"):
        if not ended(name):
            continue
        named = [(a, b) for a, _, b in (pair.partition("/") for pair in contrasts_of(name)[1])]
        for share in shares(multiverse(read(name), named, region={arm: region_in(arm) for arm in ARMS})):
            if (share.method, share.other) in named:
                told = [f"{getattr(share, key):.0%}" for key in ("better", "worse", "equal", "undecided")]
                lines.append([f"{share.method} against {share.other}", f"`{name}`", str(share.universes), *told])
    return {"universes": table("contrast | rows | analyses | better | worse | equal | undecided", lines)}


def draw_worth(ranking: Ranking) -> None:
    """What 100 rows of every generator are worth in real rows, with intervals; controls below."""
    shown = [r for r in ranking.methods if r.worth and not r.method.startswith("corrupted") and r.method != "real"]
    shown.sort(key=lambda r: r.worth.share if r.worth else 0.0)
    figure, axes = new_figure(7.5, 0.32 * len(shown) + 1.2)
    styles = method_styles([r.method for r in shown])
    for place, r in enumerate(shown):
        assert r.worth is not None
        if r.worth.interval:
            low, high = r.worth.interval
            axes.hlines(place, 100 * low, 100 * high, color=styles[r.method].colour)
        axes.plot([100 * r.worth.share], [place], **dots(styles[r.method]), markersize=7)
    axes.set_yticks(range(len(shown)), [r.method for r in shown], fontsize=8)
    axes.set_xlim(0, 102)
    axes.set_xlabel("real rows that 100 synthetic rows are worth, as the model's context")
    axes.set_title(f"{len(ranking.gains)} tables, at most 300 training rows; bars: 95 %", fontsize=10)
    save(figure, FIGURES / "study-worth.svg")


PARTS: dict[str, Callable[[], dict[str, str]]] = {
    "progress": lambda: {"progress": progress()},
    "field": field,
    "main": lambda: main_grid() | claims(),
    "mixing": mixing,
    "few-rows": few_rows,
    "more-rows": more_rows,
    "robustness": robustness,
    "universes": universes,
}


def main() -> None:
    """Keep, read, and rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder of the run folders")
    options = parser.parse_args()
    if options.keep:
        for name in (*ORDER, *ROBUST):
            if not (options.keep / name / "outcomes.sqlite").exists():
                continue
            if name == "outside":
                keep_figures(options.keep / name)
            else:
                keep(options.keep / name, ROWS / f"{name}.parquet")
    texts: dict[str, str] = {}
    for name, part in PARTS.items():
        if name in ("progress", "robustness", "universes") or ended(name):
            texts |= part()
    fill(PAGE, texts)


if __name__ == "__main__":
    main()
