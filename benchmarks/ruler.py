"""What the arms can tell apart: known doses of broken labels, known bad methods and generators on `core`.

    python benchmarks/study/run.py -o runs/study --only field && python benchmarks/study/read.py --keep runs/study
    python benchmarks/ruler.py            # read the outcomes that were kept: tables, and the figure

Prints, for every arm: the median gain of each dose and method, the share of neighbouring doses in the right order, on
how many tables each known bad method is below every generator, and the smallest dose that the verdicts detect with 10,
20 and 30 tables (that in 80 % of 200 random draws of so many). Writes docs/figures/ruler.svg.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from study.rows import read_rows

from tabgen.figures.style import dots, method_styles, new_figure, save
from tabgen.results import rank_pools
from tabgen.statistics import Ranking
from tabgen.statistics.controls import KNOWN_BAD
from tabgen.statistics.ruler import read_ruler

HERE = Path(__file__).parent
ROWS = HERE / "results" / "study" / "field.parquet"
FIGURE = HERE.parent / "docs" / "figures" / "ruler.svg"
GENERATORS = "bootstrap,jitter,mixup,smote-nc,gaussian-copula,mixed-model,scm"
SIZES, DRAWS, POWER = (10, 20, 30), 200, 0.8


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    outcomes = read_rows(ROWS)
    shown = outcomes[outcomes["method"].isin(["real", *KNOWN_BAD, *GENERATORS.split(",")]) | is_dose(outcomes)]
    found = {each.arm: each.ranking for each in rank_pools(shown) if each.ranking}
    for ranking in found.values():
        show(shown, ranking)
    draw(found["context"])


def is_dose(outcomes: pd.DataFrame) -> pd.Series[bool]:
    return outcomes["method"].str.startswith("corrupted:")


def show(outcomes: pd.DataFrame, ranking: Ranking) -> None:
    """One arm's tables."""
    gains, ruler = ranking.gains, ranking.resolution
    assert ruler is not None
    print(f"\n## {ranking.arm}: {len(gains)} tables, {len(outcomes)} cells\n")
    print("| method | mean rank | median gain | worth, real rows | as good as broken labels |\n|---|--:|--:|--:|--:|")
    for record in ranking.methods:
        worth = f"{record.worth.rows:.0f} ({record.worth.share:.0%})" if record.worth else ""
        place = ruler.places.get(record.method)
        shown = "" if place is None else f"{place:.0%}"
        print(f"| {record.method} | {record.mean_rank:.2f} | {record.median_gain:+.2f} | {worth} | {shown} |")
    upper = [dose for dose in ruler.doses if dose >= 0.1]
    columns = {float(m.partition("share=")[2]): m for m in gains.columns if m.startswith("corrupted:")}
    steps = np.diff(gains[[columns[dose] for dose in upper]].to_numpy(dtype=float), axis=1)
    print(f"\nneighbouring doses from 0.1 up in the right order: {(steps < 0).mean():.1%}")
    generators = [name for name in GENERATORS.split(",") if name in gains.columns]
    for bad in KNOWN_BAD:
        below = (gains[[bad]].to_numpy() < gains[generators].to_numpy()).all(axis=1).sum()
        print(f"{bad} below every generator: {below} of {len(gains)} tables")
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
        print(f"{size} tables: smallest dose detected in {POWER:.0%} of draws: {min(enough, default=None)}")


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
    shown = [m for m in [*GENERATORS.split(","), *KNOWN_BAD] if m in records]
    styles = method_styles(shown)
    for name in shown:
        axes.plot([ruler.places[name]], [records[name].median_gain], **dots(styles[name]), markersize=8, label=name)
    axes.set_yscale("symlog", linthresh=5)
    axes.set_yticks([0, -1, -2, -5, -10, -20, -40], ["0", "-1", "-2", "-5", "-10", "-20", "-40"])
    axes.set_xlabel("share of labels broken that does as much harm")
    axes.set_ylabel("ROC-AUC against the real rows as context (%)")
    axes.set_title(f"Rows as context in place of the real ones, median over {ruler.datasets} tables", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    save(figure, FIGURE)


if __name__ == "__main__":
    main()
