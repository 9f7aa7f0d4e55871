"""The scaling law of pre-training: small runs that differ in volume, in diversity or in aim, and what they give.

    OMP_NUM_THREADS=1 python benchmarks/scaling_runs.py -o runs/scaling --jobs 2     # the same line resumes
    OMP_NUM_THREADS=1 python benchmarks/scaling_runs.py -o runs/scaling --jobs 18 --device cuda       # with a GPU
    OMP_NUM_THREADS=1 python benchmarks/scaling_runs.py -o runs/scaling --read       # writes docs/scaling.md's tables

Every run is a model of 3 layers x 48 from the same random weights, the same steps, rates and shapes (60 to 400 rows,
2 to 16 columns); another seed, other weights and other tasks. Half an hour of a core each. The last two go on from the
end of the first.

- `all`: new tasks of all four priors, to the end (its checkpoints are the law of volume)
- `500`, `4000`, `32000`: the same number of steps over so many distinct tasks
- `one prior`, `two priors`: mechanisms alone; mechanisms and rules
- `fixed`, `target`: on from `all` by half as many steps again, on the same priors as they are, or leaning towards the
  regions where `all` is behind forests and boosting (`tabgen gap`)
- `tabgen-small`: the run of the shipped model (its line: docs/model-card-small.md), for the law of volume at a larger
  size; what it gave is kept, its checkpoints are not

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tabgen.pretrain.scaling import (
    Curve,
    Point,
    PowerLaw,
    checkpoints_of,
    curve_of,
    in_words,
    law_of,
)

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scaling.md"
FIGURE = ROOT / "docs" / "figures" / "scaling.svg"
KEPT = ROOT / "benchmarks" / "results" / "scaling.json"
CURVES = ROOT / "benchmarks" / "results" / "scaling-losses.json"

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
Array = np.ndarray[Any, Any]
Kept = dict[str, dict[str, dict[str, float]]]
"""Run, or run and tasks, with its seed -> core or outside -> table -> ROC-AUC."""
GROUNDS = ("core", "outside")
GAP_TASKS = 16
CONTEXT_ROWS, TEST_ROWS, FOLDS = 300, 500, 2
RESAMPLES = 2000


@dataclass(frozen=True)
class Runs:
    """Where the runs lie and what they compute on."""

    where: Path
    device: str
    jobs: int

    def folder(self, name: str, seed: int) -> Path:
        return self.where / f"{name.replace(' ', '-')}-{seed}"

    def train(self, name: str, options: list[str], seed: int) -> None:
        folder = self.folder(name, seed)
        if (folder / "model.safetensors").exists():
            return
        later = name in LATER
        steps = STEPS // 2 if later else STEPS
        start = ["--from", str(self.folder("all", seed))] if later else []
        given = [str(self.gaps(seed)) if word == "GAPS" else word for word in options]
        line = [sys.executable, "-m", "tabgen", "pretrain", "-o", str(folder), "--steps", str(steps)]
        common = [word for option, value in COMMON.items() for word in (f"--{option}", value)]
        common += ["--seed", str(seed), "--device", self.device]
        line += ["--decay-steps", str(steps // 4), *common, *given, *start]
        subprocess.run(line, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})

    def gaps(self, seed: int) -> Path:
        return self.where / f"gaps-{seed}.json"

    def measure_gaps(self, seed: int) -> None:
        if self.gaps(seed).exists():
            return
        line = [sys.executable, "-m", "tabgen", "gap", str(self.folder("all", seed)), "--tasks", str(GAP_TASKS)]
        new = self.gaps(seed).with_suffix(".new")
        subprocess.run([*line, "--workers", str(self.jobs), "-o", str(new)], check=True)
        shutil.move(new, self.gaps(seed))

    def run(self, seeds: list[int]) -> None:
        """All of them, `all` of every seed first: two others wait for it."""
        self.where.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self.jobs) as pool:
            started = {
                (name, seed): pool.submit(self.train, name, options, seed)
                for name, options in RUNS.items()
                for seed in seeds
            }
            for seed in seeds:
                started["all", seed].result()
                self.measure_gaps(seed)
                started |= {
                    (name, seed): pool.submit(self.train, name, options, seed) for name, options in LATER.items()
                }
            for one in started.values():
                one.result()


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


def interval(differences: Array) -> str:
    """Mean and its 95 % interval over resampled tables, in points."""
    rng = np.random.default_rng(0)
    means = [rng.choice(differences, len(differences)).mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * differences.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def measure(runs: Runs, seeds: list[int]) -> None:
    """Score what has ended and is not kept yet: on unseen tasks, and `all` at every checkpoint on real tables."""
    unseen = HeldOut(dict.fromkeys(("mechanisms", "rules", "levels", "collinear"), 0.25))
    curves, kept = _read(CURVES), _read(KEPT)
    for name, seed in ((name, seed) for name in (*RUNS, *LATER) for seed in seeds):
        folder, run = runs.folder(name, seed), f"{name}#{seed}"
        if not (folder / "model.safetensors").exists():
            continue
        if run not in curves:
            curve = json.dumps(curve_of(folder, unseen).to_dict() | {"law": None})  # the law is that of all seeds
            curves[run] = json.loads(curve, parse_float=lambda number: round(float(number), 4))
            CURVES.write_text(json.dumps(curves) + "\n")
        checkpoints = [(run, folder)]
        if name == "all":
            checkpoints += [
                (f"{name}, {tasks}#{seed}", path) for tasks, path in checkpoints_of(folder) if path != folder
            ]
        for label, path in checkpoints:
            if label not in kept:
                kept[label] = scores(path)
                KEPT.write_text(json.dumps(kept, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def mean_curves() -> dict[str, Curve]:
    """The kept curves, a run's over its seeds; the law of `tabgen-small` is kept, since its checkpoints are not."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run, entry in _read(CURVES).items():
        found.setdefault(run.partition("#")[0], []).append(entry)
    return {name: _mean_curve(name, found[name]) for name in (*RUNS, *LATER, SMALL) if name in found}


def _mean_curve(name: str, entries: list[dict[str, Any]]) -> Curve:
    first, points = entries[0], []
    for number in range(len(first["points"])):
        of_seeds = [entry["points"][number] for entry in entries]
        losses = {
            family: np.mean([point["losses"][family] for point in of_seeds], axis=0).tolist()
            for family in of_seeds[0]["losses"]
        }
        points.append(Point(round(float(np.mean([point["tasks"] for point in of_seeds]))), losses))
    law = PowerLaw(**first["law"]) if first["law"] else law_of(points)
    return Curve(name, tuple(first["priors"]), first["distinct_tasks"], tuple(points), law)


def write() -> None:
    """The page's tables and the figure, from what is kept alone."""
    curves, kept = mean_curves(), _read(KEPT)
    save(pretraining_curves([curve for name, curve in curves.items() if name not in LATER]), FIGURE)
    domains = {dataset.name: str(dataset.facts["domain"]) for dataset in core_suite()}
    fill(PAGE, texts(curves, kept, domains))


def texts(curves: dict[str, Curve], kept: Kept, domains: dict[str, str]) -> dict[str, str]:
    small = [f"{SMALL}, {point.tasks}" for point in curves[SMALL].points[:-1]]
    compared = [name for name in curves if name not in ("all", SMALL)]
    runs = [
        [
            f"`{name}`",
            str(len(_seeds(kept, name))),
            f"{curves[name].points[-1].tasks:,}",
            f"{curves[name].points[-1].mean:.4f}",
            *(interval(_differences(kept, name, where).mean(axis=0)) for where in GROUNDS),
            ", ".join(f"{100 * one:+.2f}" for one in _differences(kept, name, "outside").mean(axis=1)),
        ]
        for name in compared
    ]
    return {
        "laws": "\n".join(f"- {in_words(curve)}" for curve in curves.values()),
        "volume-small": volume(curves[SMALL], kept),
        "domains-small": by_domain(kept, small, domains),
        "volume": volume(curves["all"], kept),
        "domains": by_domain(kept, compared, domains),
        "runs": table("run | seeds | tasks seen | log-loss | core | outside | outside, seed by seed", runs),
    }


def _seeds(kept: Kept, name: str) -> list[str]:
    """Those that a run or a checkpoint has in common with what it is compared with."""
    found = (label.rpartition("#") for label in kept)
    mine = [seed for label, _, seed in found if label == name]
    return [seed for seed in mine if f"{_other(name)}#{seed}" in kept]


def _other(name: str) -> str:
    """What it is compared with: the end of its run, or `all`; of `target`, `fixed`."""
    run, _, tasks = name.partition(", ")
    return run if tasks else "fixed" if name == "target" else "all"


def _differences(kept: Kept, name: str, where: str, tables: list[str] | None = None) -> Array:
    """ROC-AUC less that of what it is compared with: (seeds, tables)."""
    pairs = [(kept[f"{name}#{seed}"][where], kept[f"{_other(name)}#{seed}"][where]) for seed in _seeds(kept, name)]
    return np.array([[mine[one] - theirs[one] for one in tables or sorted(mine)] for mine, theirs in pairs])


def volume(curve: Curve, kept: Kept) -> str:
    """One row a checkpoint: its loss on unseen tasks, and how far it is from the end of its run on real tables."""
    *points, last = curve.points
    lines = []
    for point in points:
        label = f"{curve.name}, {point.tasks}"
        told = [interval(_differences(kept, label, where).mean(axis=0)) for where in GROUNDS]
        lines.append([f"{point.tasks:,}", f"{point.mean:.4f}", *told])
    ends = [entry for label, entry in kept.items() if label.rpartition("#")[0] == curve.name]
    means = [f"ROC-AUC {np.mean([list(entry[where].values()) for entry in ends]):.4f}" for where in GROUNDS]
    lines.append([f"{last.tasks:,} (the end)", f"{last.mean:.4f}", *means])
    return table("tasks seen | log-loss | core | outside", lines)


def by_domain(kept: Kept, compared: list[str], domains: dict[str, str]) -> str:
    """One row a domain of core: the differences of runs or checkpoints there."""
    groups: dict[str, list[str]] = {}
    for name, domain in sorted(domains.items()):
        groups.setdefault(domain, []).append(name)
    alone = [name for names in groups.values() if len(names) == 1 for name in names]
    groups = {domain: names for domain, names in sorted(groups.items()) if len(names) > 1} | {"one table each": alone}
    lines = [
        [domain, str(len(names)), *(interval(_differences(kept, one, "core", names).mean(axis=0)) for one in compared)]
        for domain, names in groups.items()
    ]
    heads = [f"{int(name.split(', ')[1]):,} tasks" if ", " in name else f"`{name}`" for name in compared]
    return table("domain of core | tables | " + " | ".join(heads), lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seeds", default="5,6,7", help="of weights and tasks")
    parser.add_argument("--read", action="store_true", help="score what has ended and write the page's tables")
    options = parser.parse_args()
    runs, seeds = Runs(options.output, options.device, options.jobs), [int(seed) for seed in options.seeds.split(",")]
    if options.read:
        measure(runs, seeds)
        write()
    else:
        runs.run(seeds)


if __name__ == "__main__":
    main()
