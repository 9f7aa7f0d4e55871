"""What the arms can tell apart: known doses of broken labels, known bad methods and generators on `core`.

    python benchmarks/study/run.py -o runs/study --only field && python benchmarks/study/read.py --keep runs/study
    python benchmarks/ruler.py            # read the outcomes that were kept: tables, and the figure

Prints, and writes into docs/statistics.md, for every arm: the median gain of each dose and method, the share of
neighbouring doses in the right order, on how many tables each known bad method is below every generator, and the
smallest dose that the verdicts detect with 10, 20 and 30 tables (that in 80 % of 200 random draws of so many). Writes
docs/figures/ruler.svg.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from study.page import fill, table
from study.rows import read_rows

from tabgen.figures.style import dots, method_styles, new_figure, save
from tabgen.results import rank_pools
from tabgen.statistics import Ranking
from tabgen.statistics.controls import KNOWN_BAD
from tabgen.statistics.ruler import read_ruler

HERE = Path(__file__).parent
ROWS = HERE / "results" / "study" / "field.parquet"
PAGE, FIGURE = HERE.parent / "docs" / "statistics.md", HERE.parent / "docs" / "figures" / "ruler.svg"
GENERATORS = ("bootstrap", "jitter", "mixup", "smote-nc", "gaussian-copula", "mixed-model", "scm")
SIZES, DRAWS, POWER, SMALLEST = (10, 20, 30), 200, 0.8, 0.1


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    outcomes = read_rows(ROWS)
    shown = outcomes[outcomes["method"].isin(["real", *KNOWN_BAD, *GENERATORS]) | is_dose(outcomes)]
    found = {each.arm: each.ranking for each in rank_pools(shown) if each.ranking}
    texts = {f"ruler-{arm}": methods(ranking) for arm, ranking in found.items()}
    texts["ruler-resolution"] = resolution(shown, found)
    fill(PAGE, texts)
    draw(found["context"])


def is_dose(outcomes: pd.DataFrame) -> pd.Series[bool]:
    return outcomes["method"].str.startswith("corrupted:")


def methods(ranking: Ranking) -> str:
    """One arm's methods on the ruler."""
    ruler = ranking.resolution
    assert ruler is not None
    lines = []
    for record in ranking.methods:
        worth = f"{record.worth.rows:.0f} ({record.worth.share:.0%})" if record.worth else ""
        place = ruler.places.get(record.method)
        as_good = "" if place is None else f"{place:.0%}"
        lines.append([record.method, f"{record.mean_rank:.2f}", f"{record.median_gain:+.2f}", worth, as_good])
    return table("method | mean rank | median gain | worth, real rows | as good as broken labels", lines)


def resolution(outcomes: pd.DataFrame, found: dict[str, Ranking]) -> str:
    """What each arm tells apart."""
    told = {arm: told_apart(outcomes, ranking) for arm, ranking in found.items()}
    lines = [[what, *(told[arm][what] for arm in found)] for what in next(iter(told.values()))]
    return table(f" | {' | '.join(f'`{arm}`' for arm in found)}", lines)


def told_apart(outcomes: pd.DataFrame, ranking: Ranking) -> dict[str, str]:
    """What an arm tells apart, in words and numbers."""
    gains, ruler = ranking.gains, ranking.resolution
    assert ruler is not None
    upper = [dose for dose in ruler.doses if dose >= SMALLEST]
    columns = {float(m.partition("share=")[2]): m for m in gains.columns if m.startswith("corrupted:")}
    steps = np.diff(gains[[columns[dose] for dose in upper]].to_numpy(dtype=float), axis=1)
    told = {f"neighbouring doses from {SMALLEST} up in the right order": f"{(steps < 0).mean():.1%}"}
    for bad in KNOWN_BAD:
        below = (gains[[bad]].to_numpy() < gains[list(GENERATORS)].to_numpy()).all(axis=1).sum()
        told[f"`{bad}` below every generator, tables of {len(gains)}"] = str(below)
    rng = np.random.default_rng(0)
    for size in [size for size in SIZES if size <= len(gains)]:
        draws = [
            gains.iloc[rng.choice(len(gains), size, replace=False)] for _ in range(DRAWS if size < len(gains) else 1)
        ]
        seen = [read_ruler(outcomes, each, 0.05) for each in draws]
        share = {
            dose: np.mean([r is not None and r.detected is not None and r.detected <= dose for r in seen])
            for dose in ruler.doses[1:]
        }
        enough = [dose for dose, part in share.items() if part >= POWER]
        told[f"smallest share detected in {POWER:.0%} of draws of {size} tables"] = str(min(enough, default="none"))
    return told


def draw(ranking: Ranking) -> None:
    """Each method's median gain as context, the ruler's doses as a line, each generator where it lies on it."""
    ruler = ranking.resolution
    assert ruler is not None
    figure, axes = new_figure(7.5, 4.4)
    axes.plot(
        ruler.doses,
        ruler.gains,
        color="#404040",
        marker="|",
        markersize=9,
        linewidth=1.2,
        label="real rows, labels broken",
    )
    records = {r.method: r for r in ranking.methods}
    shown = [m for m in [*GENERATORS, *KNOWN_BAD] if m in records]
    styles = method_styles(shown)
    for name in shown:
        place, gain = ruler.places[name], records[name].median_gain
        if place is not None and gain is not None:
            axes.plot([place], [gain], **dots(styles[name]), markersize=8, label=name)
    axes.set_yscale("symlog", linthresh=5)
    axes.set_yticks([0, -1, -2, -5, -10, -20, -40], ["0", "-1", "-2", "-5", "-10", "-20", "-40"])
    axes.set_xlabel("share of labels broken that does as much harm")
    axes.set_ylabel("ROC-AUC against the real rows as context (%)")
    axes.set_title(f"Rows as context in place of the real ones, median over {ruler.datasets} tables", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    save(figure, FIGURE)


if __name__ == "__main__":
    main()
