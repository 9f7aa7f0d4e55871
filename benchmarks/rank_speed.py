"""Seconds that `tabgen.statistics.summary` takes for a table of simulated outcomes.

OMP_NUM_THREADS=1 python benchmarks/rank_speed.py
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import pandas as pd

from tabgen.statistics import summary

#: datasets x folds x methods x seeds, each near 100,000 cells.
SHAPES = {"few datasets": (33, 10, 20, 15), "many datasets": (1000, 10, 10, 1)}


def simulated_outcomes(
    datasets: int,
    folds: int,
    methods: int,
    seeds: int,
    *,
    steps: int = 50,
    failures: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Outcomes of a study in which methods differ slightly; `failures` is the share of timed-out cells."""
    rng = np.random.default_rng(seed)
    dataset, fold, method, repeat = (
        axis.ravel() for axis in np.meshgrid(*map(np.arange, (datasets, folds, methods, seeds)), indexing="ij")
    )
    cells = len(dataset)
    names = np.array(["zero-shot", "real", *(f"method-{number:02d}" for number in range(2, methods))])[:methods]
    zero_shot = rng.uniform(0.6, 0.95, size=cells)
    failed = rng.random(cells) < failures
    table: dict[str, object] = {
        "dataset": [f"dataset-{number:04d}" for number in dataset],
        "fold": fold,
        "method": names[method],
        "seed": repeat,
        "status": np.where(failed, "timeout", "ok"),
        "reason": "",
    }
    for split in ("validation", "test"):
        tuned = zero_shot * (1.0 + rng.normal(0.0005 * method, 0.01))
        tuned[method == 0] = zero_shot[method == 0]
        table[f"zero_shot_{split}_roc_auc"] = np.where(failed, np.nan, zero_shot)
        table[f"tuned_{split}_roc_auc"] = np.where(failed, np.nan, tuned)
        table[f"curve_{split}"] = rng.random((cells, steps)).tolist()
    for phase in ("fit", "sample", "zero_shot", "finetune", "score"):
        table[f"seconds_{phase}"] = rng.gamma(2.0, 1.0, size=cells)
    table["peak_memory_mb"] = rng.gamma(20.0, 20.0, size=cells)
    return pd.DataFrame(table)


def main() -> None:
    """Time each shape and print a Markdown table (or JSON)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats after one warm-up (default 5)")
    parser.add_argument("--steps", type=int, default=50, help="length of the learning curves (default 50)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    rows = []
    for name, shape in SHAPES.items():
        outcomes = simulated_outcomes(*shape, steps=options.steps)
        seconds, processor = [], []
        for _ in range(options.repeats + 1):
            started, started_processor = time.perf_counter(), time.process_time()
            summary(outcomes)
            seconds.append(time.perf_counter() - started)
            processor.append(time.process_time() - started_processor)
        # The first call also imports scipy and scikit-posthocs.
        rows.append(
            {
                "shape": name,
                "outcomes": len(outcomes),
                "size": " x ".join(map(str, shape)),
                "first": seconds[0],
                "median": float(np.median(seconds[1:])),
                "processor": float(np.median(processor[1:])),
                "slowest": max(seconds[1:]),
            }
        )
    if options.json:
        print(json.dumps({"settings": vars(options), "rows": rows}, indent=1))
        return
    print(
        "| datasets x folds x methods x seeds | outcomes | first call (s) "
        "| median (s) | slowest (s) | median of processor time (s) |"
    )
    print("|---|---|---|---|---|---|")
    for row in rows:
        timing = " | ".join(f"{row[column]:.2f}" for column in ("first", "median", "slowest", "processor"))
        print(f"| {row['size']} | {row['outcomes']:,} | {timing} |")


if __name__ == "__main__":
    main()
