"""What the arms can tell apart: known doses of broken labels, known bad methods and generators on `core`.

    python benchmarks/ruler.py --run runs/ruler     # measure (resumable), then read
    python benchmarks/ruler.py                       # read benchmarks/results/ruler.parquet: tables, and the figure

Prints, for every arm: the median gain of each dose and method, the share of neighbouring doses in the right order, on
how many tables each known bad method is below every generator, and the smallest dose that the verdicts detect with 10,
20 and 30 tables (that in 80 % of 200 random draws of so many). Writes docs/figures/ruler.svg.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tabgen.figures.style import dots, method_styles, new_figure, save
from tabgen.outcome import canonical_json
from tabgen.results import load_results, rank_pools
from tabgen.statistics import Ranking
from tabgen.statistics.controls import KNOWN_BAD
from tabgen.statistics.ruler import read_ruler

HERE = Path(__file__).parent
ROWS = HERE / "results" / "ruler.parquet"
FIGURE = HERE.parent / "docs" / "figures" / "ruler.svg"
DOSES = (0.05, 0.1, 0.2, 0.35, 0.5, 1.0)
GENERATORS = "bootstrap,jitter,mixup,smote-nc,gaussian-copula,mixed-model,scm"
KEPT = [
    "suite",
    "dataset",
    "target",
    "sha256",
    "kinds",
    "reading",
    "text",
    "fold",
    "n_folds",
    "seed",
    "draw",
    "max_train_rows",
    "max_test_rows",
    "method",
    "generator",
    "rows_of",
    "plugin",
    "plugin_version",
    "environment",
    "mixing",
    "settings",
    "ratio",
    "model",
    "checkpoint",
    "recipe",
    "arms",
    "tuning_seeds",
    "fidelity",
    "limits",
    "protocol",
    "key",
    "status",
    "reason",
    "n_train",
    "n_test",
    "seconds_total",
    "zero_shot_validation_roc_auc",
    "zero_shot_test_roc_auc",
    "context_validation_roc_auc",
    "context_test_roc_auc",
    "augmented_validation_roc_auc",
    "augmented_test_roc_auc",
    "worth_context_rows",
    "worth_context_censored",
    "worth_augmented_rows",
    "worth_augmented_censored",
]
SIZES, DRAWS, POWER = (10, 20, 30), 200, 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="the run folder to measure in, or to go on with")
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    if options.run:
        methods = ["real", *(f"corrupted:share={dose}" for dose in DOSES), *KNOWN_BAD, *GENERATORS.split(",")]
        words = ["--suite", "core", "--folds", "3", "--arms", "context,augmented", "--max-train-rows", "300"]
        words += ["--no-fidelity", "--methods", ",".join(methods), "--workers", str(options.workers), "-o", options.run]
        subprocess.run([sys.executable, "-m", "tabgen", "run", *map(str, words)], check=True)
        keep(load_results(options.run))
    outcomes = read()
    found = {each.arm: each.ranking for each in rank_pools(outcomes) if each.ranking}
    for ranking in found.values():
        show(outcomes, ranking)
    draw(found["context"])


def keep(outcomes: pd.DataFrame) -> None:
    """The rows of the tables that are done, without what is of the machine."""
    cells = outcomes.groupby("dataset").size()
    done = outcomes[outcomes["dataset"].isin(cells[cells == cells.max()].index)]
    rows = done[[name for name in KEPT if name in done.columns]].copy()
    for name in ("kinds", "reading", "settings", "recipe", "limits", "arms"):
        rows[name] = rows[name].map(canonical_json)
    ROWS.parent.mkdir(exist_ok=True)
    rows.to_parquet(ROWS, index=False, compression="zstd")


def read() -> pd.DataFrame:
    rows = pd.read_parquet(ROWS)
    for name in ("kinds", "reading", "settings", "recipe", "limits", "arms"):
        rows[name] = rows[name].map(json.loads)
    return rows


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
