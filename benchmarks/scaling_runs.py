"""The scaling law of pre-training: small runs that differ in volume, in diversity or in aim, and what they give.

    OMP_NUM_THREADS=1 python benchmarks/scaling_runs.py -o runs/scaling --jobs 2     # the same line resumes
    OMP_NUM_THREADS=1 python benchmarks/scaling_runs.py -o runs/scaling --read       # writes docs/scaling.md's tables

Every run is a model of 3 layers x 48 from the same random weights, the same steps, rates and shapes (60 to 400 rows,
2 to 16 columns). Half an hour of a core each. The last two go on from the end of the first.

- `all`: new tasks of all four priors, to the end (its checkpoints are the law of volume)
- `500`, `4000`, `32000`: the same number of steps over so many distinct tasks
- `one prior`, `two priors`: mechanisms alone; mechanisms and rules
- `fixed`, `target`: on from `all` by half as many steps again, on the same priors as they are, or leaning towards the
  regions where `all` is behind forests and boosting (`tabgen gap`)
- `tabgen-small`, where its folder lies beside them: the run of the shipped model (its line: docs/model-card-small.md),
  for the law of volume at a larger size

Scored on unseen synthetic tasks (log-loss), on `core` by domain, and on the development suite's tables (ROC-AUC, no
gradient): differences to `all` (of `target` to `fixed`, of a checkpoint to the end of its run) with 95 % intervals by
resampling tables.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from development_suite import TABLES, read
from development_suite import measure as measure_outside
from study.page import fill, table
from zero_shot_quality import in_context

from tabgen.datasets import Dataset
from tabgen.experiment import find_suite
from tabgen.figures import save
from tabgen.figures.curves import pretraining_curves
from tabgen.models.checkpoints import load_directory
from tabgen.plugins import PluginChoice, load_plugins
from tabgen.pretrain.held_out import HeldOut
from tabgen.pretrain.scaling import Curve, curve_of, in_words

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scaling.md"
FIGURE = ROOT / "docs" / "figures" / "scaling.svg"
KEPT = ROOT / "benchmarks" / "results" / "scaling.json"

ALL = "mechanisms=0.4,rules=0.3,levels=0.15,collinear=0.15"
STEPS = 3400
COMMON = {
    "dim": "48",
    "layers": "3",
    "heads": "4",
    "max-rows": "400",
    "max-columns": "16",
    "grow-steps": "800",
    "cells": "6000",
    "task-cells": "3000",
    "accumulate": "2",
    "ema": "0.995",
    "warmup-steps": "50",
    "muon-rate": "5e-3",
    "adamw-rate": "2e-3",
    "report-every": "850",
    "seed": "5",
}
RUNS: dict[str, list[str]] = {
    "all": ["--priors", ALL],
    "500": ["--priors", ALL, "--distinct-tasks", "500"],
    "4000": ["--priors", ALL, "--distinct-tasks", "4000"],
    "32000": ["--priors", ALL, "--distinct-tasks", "32000"],
    "one prior": ["--priors", "mechanisms=1"],
    "two priors": ["--priors", "mechanisms=0.6,rules=0.4"],
}
LATER: dict[str, list[str]] = {
    "fixed": ["--priors", ALL, "--grow-steps", "1"],
    "target": ["--priors", ALL, "--grow-steps", "1", "--gaps", "GAPS", "--target-gap", "0.05"],
}
"""Runs that start from the end of `all`, with tasks of full size."""
SMALL = "tabgen-small"
Kept = dict[str, dict[str, dict[str, float]]]
"""Run, or run and tasks -> core or outside -> table -> ROC-AUC."""
GAP_TASKS = 16
CONTEXT_ROWS, TEST_ROWS, FOLDS = 300, 500, 2
RESAMPLES = 2000


def folder_of(where: Path, name: str) -> Path:
    return where / name.replace(" ", "-")


def train(where: Path, name: str, options: list[str]) -> None:
    folder = folder_of(where, name)
    if (folder / "model.safetensors").exists():
        return
    later = name in LATER
    steps = STEPS // 2 if later else STEPS
    start = ["--from", str(folder_of(where, "all"))] if later else []
    given = [str(where / "gaps.json") if word == "GAPS" else word for word in options]
    line = [sys.executable, "-m", "tabgen", "pretrain", "-o", str(folder), "--steps", str(steps)]
    common = [word for option, value in COMMON.items() for word in (f"--{option}", value)]
    subprocess.run(
        [*line, "--decay-steps", str(steps // 4), *common, *given, *start],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def run(where: Path, jobs: int) -> None:
    where.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda item: train(where, *item), RUNS.items()))
    if not (where / "gaps.json").exists():
        line = [sys.executable, "-m", "tabgen", "gap", str(folder_of(where, "all")), "--tasks", str(GAP_TASKS)]
        subprocess.run([*line, "-o", str(where / "gaps.new")], check=True)
        shutil.move(where / "gaps.new", where / "gaps.json")
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda item: train(where, *item), LATER.items()))


def scores(checkpoint: Path) -> dict[str, dict[str, float]]:
    """ROC-AUC of a checkpoint on every table of `core` and of the development suite, mean over folds."""
    predict = {"model": in_context(load_directory(checkpoint))}
    found: dict[str, dict[str, float]] = {"core": {}, "outside": {}}
    for dataset in core_suite():
        measured = measure_outside(dataset.load(), predict, CONTEXT_ROWS)
        found["core"][dataset.name] = measured["model"]["roc_auc"]
    for name in TABLES:
        found["outside"][name] = measure_outside(read(name), predict, CONTEXT_ROWS)["model"]["roc_auc"]
    return found


def core_suite() -> list[Dataset]:
    return list(find_suite("core", load_plugins(PluginChoice(external=False))).datasets)


def interval(differences: np.ndarray) -> str:
    """Mean and its 95 % interval over resampled tables, in points."""
    rng = np.random.default_rng(0)
    means = [rng.choice(differences, len(differences)).mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * differences.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def against(kept: Kept, name: str, names: list[str], where: str) -> str:
    """The difference of a run or a checkpoint to what it is compared with."""
    run = name.partition(",")[0]
    other = run if run != name else "fixed" if name == "target" else "all"
    return interval(np.array([kept[name][where][one] - kept[other][where][one] for one in names]))


def read_runs(where: Path) -> None:
    unseen = HeldOut(dict.fromkeys(("mechanisms", "rules", "levels", "collinear"), 0.25))
    names = [name for name in (*RUNS, *LATER, SMALL) if (folder_of(where, name) / "model.safetensors").exists()]
    curves: dict[str, Curve] = {name: curve_of(folder_of(where, name), unseen) for name in names}
    kept: Kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    wanted = {name: folder_of(where, name) for name in names}
    for name in (name for name in ("all", SMALL) if name in names):
        for path in (folder_of(where, name) / "checkpoints").glob("*-tasks"):
            wanted[f"{name}, {int(path.name.split('-')[0])}"] = path
    for name, checkpoint in wanted.items():
        if name not in kept:
            kept[name] = scores(checkpoint)
            KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    save(pretraining_curves([curves[name] for name in names if name not in LATER]), FIGURE)
    domains = {dataset.name: str(dataset.facts["domain"]) for dataset in core_suite()}
    fill(PAGE, texts(curves, {name: kept[name] for name in wanted}, domains))


def texts(curves: dict[str, Curve], kept: Kept, domains: dict[str, str]) -> dict[str, str]:
    told = {"laws": "\n".join(f"- {in_words(curve)}" for curve in curves.values())}
    if SMALL in curves:
        told["volume-small"] = volume(curves[SMALL], SMALL, kept)
        told["domains-small"] = by_domain(
            kept, [f"{SMALL}, {point.tasks}" for point in curves[SMALL].points[:-1]], domains
        )
    if "all" in curves:
        told["volume"] = volume(curves["all"], "all", kept)
        compared = [name for name in curves if name not in ("all", SMALL) and (name != "target" or "fixed" in curves)]
        told["domains"] = by_domain(kept, compared, domains)
        runs = [
            [
                f"`{name}`",
                f"{curves[name].points[-1].tasks:,}",
                f"{curves[name].points[-1].mean:.4f}",
                *(against(kept, name, *w) for w in _grounds(kept, name)),
            ]
            for name in compared
        ]
        told["runs"] = table("run | tasks seen | log-loss | core | outside", runs)
    return told


def volume(curve: Curve, run: str, kept: Kept) -> str:
    """One row a checkpoint: its loss on unseen tasks, and how far it is from the end of its run on real tables."""
    *points, last = curve.points
    lines = [
        [
            f"{point.tasks:,}",
            f"{point.mean:.4f}",
            *(against(kept, f"{run}, {point.tasks}", *w) for w in _grounds(kept, run)),
        ]
        for point in points
    ]
    means = [f"ROC-AUC {np.mean([kept[run][where][n] for n in names]):.4f}" for names, where in _grounds(kept, run)]
    lines.append([f"{last.tasks:,} (the end)", f"{last.mean:.4f}", *means])
    return table("tasks seen | log-loss | core | outside", lines)


def by_domain(kept: Kept, compared: list[str], domains: dict[str, str]) -> str:
    """One row a domain of core: the differences of runs or checkpoints there."""
    core = sorted(kept[compared[0]]["core"])
    groups = {domain: [name for name in core if domains[name] == domain] for domain in sorted(set(domains.values()))}
    alone = [name for names in groups.values() if len(names) == 1 for name in names]
    groups = {domain: names for domain, names in groups.items() if len(names) > 1} | {"one table each": alone}
    lines = [
        [domain, str(len(names)), *(against(kept, name, names, "core") for name in compared)]
        for domain, names in groups.items()
    ]
    heads = [f"{int(name.split(', ')[1]):,} tasks" if ", " in name else f"`{name}`" for name in compared]
    return table("domain of core | tables | " + " | ".join(heads), lines)


def _grounds(kept: Kept, run: str) -> list[tuple[list[str], str]]:
    return [(sorted(kept[run][where]), where) for where in ("core", "outside")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--read", action="store_true", help="score what has ended and write the page's tables")
    options = parser.parse_args()
    if options.read:
        read_runs(options.output)
    else:
        run(options.output, options.jobs)


if __name__ == "__main__":
    main()
