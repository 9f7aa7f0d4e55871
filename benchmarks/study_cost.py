"""Cells per hour of a preset on this machine, by method, and where the time goes.

Runs one fold of a few tables of the preset's suite, spread over its sizes, and extrapolates to the whole of it.
Nothing is cached, so every method bears its own fit. Processor time is what counts: other work on the machine does
not change it much. With --steps, fine-tuning is measured over that many steps and multiplied up to the recipe's
number, as if no cell stopped early: an upper bound.

OMP_NUM_THREADS=1 python benchmarks/study_cost.py --preset paper-nano --tables 3
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tabgen.datasets import Suite
from tabgen.engines import EngineSettings
from tabgen.engines.local import LocalEngine
from tabgen.experiment import Experiment, plan
from tabgen.plugins import PluginChoice, get_plugins
from tabgen.spec import make_spec, read_preset

PHASES = ("fit", "sample", "zero_shot", "fidelity", "finetune", "score", "load", "cache")


def main() -> None:
    """Run the sample, and print Markdown tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper-nano")
    parser.add_argument("--tables", type=int, default=3, help="tables of the sample")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="steps of fine-tuning to measure; 0: as the recipe says")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    plugins = get_plugins(PluginChoice())
    whole = make_spec(read_preset(options.preset), options.preset).build(plugins)
    sample = sampled(whole, options.tables)
    steps = whole.recipe["steps"]
    if options.steps:
        sample = replace(sample, recipe=whole.recipe | {"steps": options.steps})
    cells = [cell for cell in plan(sample, plugins) if cell.fold == 0]
    with tempfile.TemporaryDirectory() as logs:
        settings = EngineSettings(PluginChoice(), Path(logs), options.workers)
        outcomes = []
        for cell, result in LocalEngine(settings).run(cells):
            outcomes.append(cell.to_dict() | result.to_dict())
            spent = result.measured.get("processor_seconds", float("nan"))
            print(cell.dataset, cell.method, result.status, f"{spent:.1f} s", file=sys.stderr)
    rows = by_method(pd.DataFrame(outcomes), steps / options.steps if options.steps else 1.0)
    tables, folds = len(whole.suite.datasets), whole.folds
    hours = {
        cores: sum(row["processor_seconds"] for row in rows) * tables * folds / cores / 3600 for cores in (1, 2, 16)
    }
    if options.json:
        print(json.dumps({"rows": rows, "hours": hours}, indent=1))
        return
    names = ", ".join(f"{dataset.name} ({dataset.facts['rows']} rows)" for dataset in sample.suite.datasets)
    print(f"Tables of the sample: {names}; fold 0.\n")
    print("| method | ok | processor time of a cell (s) | cells per core and hour | share of wall time by phase |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['method']} | {row['ok']} of {row['cells']} | {row['processor_seconds']:.1f} "
            f"| {3600 / row['processor_seconds']:.0f} | {row['phases']} |"
        )
    in_all = tables * folds * len(rows)
    spelled = ", ".join(f"{value:.1f} h on {cores} core{'s' * (cores > 1)}" for cores, value in hours.items())
    print(f"\nThe whole of {options.preset}, {in_all:,} cells, would take {spelled}.")


def sampled(whole: Experiment, count: int) -> Experiment:
    """The experiment on tables evenly spread over the suite by size."""
    ordered = sorted(whole.suite.datasets, key=lambda d: d.facts["rows"] * d.facts["features"])
    chosen = [ordered[round((number + 0.5) * len(ordered) / count - 0.5)] for number in range(count)]
    return replace(whole, suite=Suite(f"{whole.suite.name}-sample", "a sample", "1", lambda: chosen))


def by_method(outcomes: pd.DataFrame, times: float) -> list[dict[str, Any]]:
    """Mean processor time of the cells that ended well, its fine-tuning taken ``times``, and the shares of phases."""
    rows: list[dict[str, Any]] = []
    phases = [f"seconds_{phase}" for phase in PHASES if f"seconds_{phase}" in outcomes]
    outcomes = outcomes.assign(**{name: outcomes[name].fillna(0.0) for name in phases})
    before = outcomes[phases].sum(axis=1)
    outcomes["seconds_finetune"] *= times
    outcomes["processor_seconds"] *= outcomes[phases].sum(axis=1) / before
    for method, cells in outcomes.groupby("method", sort=False):
        wall = cells[phases].sum()
        shares = (wall / wall.sum()).sort_values(ascending=False)
        shown = [f"{str(name).removeprefix('seconds_')} {share:.0%}" for name, share in shares.items() if share >= 0.02]
        rows.append(
            {
                "method": method,
                "cells": len(cells),
                "ok": int((cells["status"] == "ok").sum()),
                "processor_seconds": float(cells["processor_seconds"].mean()),
                "phases": ", ".join(shown),
            }
        )
    return rows


if __name__ == "__main__":
    main()
