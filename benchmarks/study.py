"""Cells per hour of a preset on this machine, by method, and where the time goes.

Runs one fold of a few tables of the preset's suite, spread over its sizes, and extrapolates to the whole of it.
Nothing is cached, so every method bears its own fit. Processor time is what counts: other work on the machine does
not change it much.

OMP_NUM_THREADS=1 python benchmarks/study.py --preset paper-nano --tables 3
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tabgen.datasets import Suite
from tabgen.engines import EngineSettings
from tabgen.engines.local import LocalEngine
from tabgen.experiment import Experiment, plan
from tabgen.plugins import PluginChoice, Plugins, get_plugins
from tabgen.spec import make_spec, read_preset

PHASES = ("fit", "sample", "zero_shot", "fidelity", "finetune", "score", "load", "cache")


def main() -> None:
    """Run the sample, and print Markdown tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="paper-nano")
    parser.add_argument("--tables", type=int, default=3, help="tables of the sample")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    plugins = get_plugins(PluginChoice())
    whole = make_spec(read_preset(options.preset), options.preset).build(plugins)
    sample = sampled(whole, options.tables)
    preload = {name for method in whole.methods if method.generator for name in preload_of(plugins, method.generator)}
    cells = [cell for cell in plan(sample, plugins) if cell["fold"] == 0]
    with tempfile.TemporaryDirectory() as logs:
        settings = EngineSettings(PluginChoice(), Path(logs), options.workers, preload=tuple(sorted(preload)))
        rows = by_method(pd.DataFrame([cell | result for cell, result in LocalEngine(settings).run(cells)]))
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
    cells = tables * folds * len(rows)
    spelled = ", ".join(f"{value:.1f} h on {cores} cores" for cores, value in hours.items())
    print(f"\nThe whole of {options.preset}, {cells:,} cells, would take {spelled}.")


def sampled(whole: Experiment, count: int) -> Experiment:
    """The experiment on tables evenly spread over the suite by size."""
    ordered = sorted(whole.suite.datasets, key=lambda d: d.facts["rows"] * d.facts["features"])
    chosen = [ordered[round((number + 0.5) * len(ordered) / count - 0.5)] for number in range(count)]
    return replace(whole, suite=Suite(f"{whole.suite.name}-sample", "a sample", "1", lambda: chosen))


def preload_of(plugins: Plugins, generator: str) -> tuple[str, ...]:
    return plugins.generators[generator].info.preload


def by_method(outcomes: pd.DataFrame) -> list[dict[str, object]]:
    """Mean processor time of the cells that ended well, and its shares of wall time."""
    rows = []
    for method, cells in outcomes.groupby("method", sort=False):
        wall = cells[[f"seconds_{p}" for p in PHASES if f"seconds_{p}" in cells]].sum()
        shares = (wall / wall.sum()).sort_values(ascending=False)
        shown = [f"{name.removeprefix('seconds_')} {share:.0%}" for name, share in shares.items() if share >= 0.02]
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
