"""What tabgen costs beside the work of its cells: starting them, storing, planning, resuming, ranking, --help.

python benchmarks/overhead.py                     # all but the 10,000 cells
python benchmarks/overhead.py --cells 10000       # those too
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabgen.cell import run_cell
from tabgen.datasets import Dataset, Suite, quick_datasets
from tabgen.engines import EngineSettings
from tabgen.engines.local import LocalEngine
from tabgen.experiment import Experiment, Limits, parse_methods, plan
from tabgen.models.recipes import get_recipe
from tabgen.outcome import Cell, Outcome, Result
from tabgen.plugins import PluginChoice, Plugins, load_plugins
from tabgen.runner import QuietWatcher, run_experiment
from tabgen.store import Store

CHOICE = PluginChoice(external=False)
PLUGINS = load_plugins(CHOICE)


def main() -> None:
    """Measure, and print a Markdown table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=0, help="tiny cells for the share of time that workers are busy")
    parser.add_argument("--finished", type=int, default=100_000, help="finished cells to resume and to rank")
    parser.add_argument("--only", default="", help="comma-separated: help,cell,host,busy,resume,rank")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    chosen = [name for name in options.only.split(",") if name] or ["help", "cell", "host", "busy", "resume", "rank"]
    measures: dict[str, Callable[[], list[tuple[str, str, str]]]] = {
        "help": help_seconds,
        "cell": empty_cell,
        "host": host_cost,
        "busy": lambda: busy_share(options.cells) if options.cells else [],
        "resume": lambda: resume_seconds(options.finished),
        "rank": lambda: rank_seconds(options.finished),
    }
    rows = [row for name in chosen for row in measures[name]()]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("| | measured | bar |\n|---|---|---|")
    for what, measured, bar in rows:
        print(f"| {what} | {measured} | {bar} |")


def help_seconds() -> list[tuple[str, str, str]]:
    """Wall and processor time of ``tabgen --help`` in a new process, the median of nine."""
    wall, processor = [], []
    code = "import resource, runpy, sys\nsys.argv=['tabgen','--help']\n"
    code += "try:\n  runpy.run_module('tabgen', run_name='__main__')\n"
    code += "finally:\n  u=resource.getrusage(resource.RUSAGE_SELF); print(u.ru_utime+u.ru_stime, file=sys.stderr)"
    for _ in range(9):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        wall.append(time.perf_counter() - began)
        processor.append(float(done.stderr.strip().splitlines()[-1]))
    shown = f"{statistics.median(wall):.2f} s ({statistics.median(processor):.2f} s of processor time)"
    return [("`tabgen --help`", shown, "0.3 s")]


def table() -> Dataset:
    return next(dataset for dataset in quick_datasets() if dataset.name == "teaching-assistants")


def tiny(n_cells: int, methods: Sequence[str] = ("zero-shot",), plugins: Plugins = PLUGINS) -> Experiment:
    """Cells on 151 rows with 20 of them as context: as little work as a cell can have."""
    suite = Suite("overhead", "one table", "1", lambda: [table()])
    seeds = tuple(range((n_cells + 1) // 2))
    limits = Limits(600, 6000)
    parsed = parse_methods(list(methods), plugins)
    return Experiment(suite, parsed, 2, seeds, max_train_rows=(20,), max_test_rows=20, limits=limits, fidelity=False)


def empty_cell() -> list[tuple[str, str, str]]:
    """Wall time of a cell on an idle engine beyond its phases, and beyond a fork: the median of 40."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(EngineSettings(CHOICE, Path(folder), workers=1))
        beyond = []
        for _, result in engine.run(plan(tiny(40), PLUGINS)):
            work = sum(v for k, v in result.measured.items() if k.startswith("seconds_") and k not in MACHINERY)
            beyond.append(result.measured["seconds_wall"] - work)
        milliseconds = statistics.median(beyond[5:]) * 1000
        rows.append(("a cell, beyond its work", f"{milliseconds:.0f} ms", "100 ms"))
    return rows


def host_cost() -> list[tuple[str, str, str]]:
    """What a generator's own process costs: the same cells on the engine and in this process, the medians of 40.

    Of a cell: what it takes beyond its phases, above that of a cell without a generator, and what fitting and sampling
    take above the same in this process. Of a redraw: the latter, shared among 31 draws.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "again.py"
        path.write_text(REDRAWS)
        choice = PluginChoice(external=False, files=(str(path),))
        plugins = load_plugins(choice)
        engine = LocalEngine(EngineSettings(choice, Path(folder), workers=1))
        methods = {"zero-shot": 0, "bootstrap": 1, "again": 31}
        beyond: dict[str, list[float]] = {name: [] for name in methods}
        drawing: dict[str, list[float]] = {name: [] for name in methods}
        experiment = replace(
            tiny(40, list(methods), plugins), arms=("fine-tune",), recipe=get_recipe("nano", patience=30).to_dict()
        )
        for cell, result in list(engine.run(plan(experiment, plugins))):  # all of them before any is run here
            assert result.status == "ok", result.reason
            work = sum(v for k, v in result.measured.items() if k.startswith("seconds_") and k not in MACHINERY)
            beyond[cell.method].append(result.measured["seconds_wall"] - work)
            here = run_cell(cell, plugins) if methods[cell.method] else result
            drawing[cell.method].append(_drawing(result) - _drawing(here))
    glass = {name: statistics.median(beyond[name][5:]) * 1000 for name in methods}
    above = {name: statistics.median(drawing[name][5:]) * 1000 for name in methods}
    cost = glass["bootstrap"] - glass["zero-shot"] + above["bootstrap"]
    rows.append(("a generator's own process, a cell", f"{cost:.0f} ms", "30 ms"))
    each = (above["again"] - above["bootstrap"]) / (methods["again"] - 1)
    rows.append(("a generator's own process, a redraw", f"{each:.1f} ms", "2 ms"))
    return rows


def _drawing(result: Result) -> float:
    return float(sum(result.measured.get(f"seconds_{phase}", 0.0) for phase in ("fit", "sample")))


REDRAWS = """
from tabgen import Generator, GeneratorInfo, hookimpl
import numpy as np


class Again(Generator):
    info = GeneratorInfo(name="again", summary="The training rows in another order at every step.", redraws=True)

    def fit(self, table, context):
        self.table = table

    def sample(self, n_rows, seed):
        return self.table.take(np.random.default_rng(seed).integers(0, len(self.table), n_rows))


@hookimpl
def tabgen_register_generators(register):
    register(Again)
"""

MACHINERY = ("seconds_wall", "seconds_total")


def busy_share(n_cells: int) -> list[tuple[str, str, str]]:
    """Share of the wall time of a whole run that 2 workers spend with a cell, storing and resuming included."""
    spent = 0.0

    class Sum(QuietWatcher):
        def finished(self, outcome: Outcome) -> None:
            nonlocal spent
            spent += outcome.result.measured["seconds_wall"]

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run_experiment(tiny(n_cells), Path(folder), PLUGINS, CHOICE, Sum(), workers=2)
        wall = time.perf_counter() - began
    share = spent / wall / 2
    return [(f"2 workers busy over {n_cells:,} tiny cells ({wall:.0f} s)", f"{share:.1%}", "95 %")]


def resume_seconds(n_cells: int) -> list[tuple[str, str, str]]:
    """Planning, and starting a run whose cells are all stored already."""
    experiment = tiny(n_cells)
    with tempfile.TemporaryDirectory() as folder:
        cells = plan(experiment, PLUGINS)
        with Store(Path(folder), write=True) as store, closing(store._db.cursor()) as cursor:
            rows = ((c.key, "ok", json.dumps(c.to_dict() | finished(c))) for c in cells)
            with store._db:
                cursor.executemany("INSERT INTO outcomes VALUES (?, ?, ?)", rows)
        began, processor = time.perf_counter(), time.process_time()
        summary = run_experiment(experiment, Path(folder), PLUGINS, CHOICE, QuietWatcher())
        resuming, processor = time.perf_counter() - began, time.process_time() - processor
        assert (summary.done_before, summary.left) == (len(cells), 0)
    return [
        (
            f"planning and resuming {len(cells):,} finished cells",
            f"{resuming:.1f} s ({processor:.1f} s of processor time)",
            "3 s",
        )
    ]


def finished(cell: Cell) -> dict[str, Any]:
    """What an outcome adds to its plan, at its usual size."""
    curves = {"curve_validation": [0.612345] * 31, "curve_test": [0.612345] * 31}
    scores = {
        f"{s}_{p}_{m}": 0.8123456789 for s in ("zero_shot", "tuned") for p in ("validation", "test") for m in "abcdef"
    }
    return {"status": "ok", "provenance": {"processor": "x" * 200}, "fold": cell.fold, **curves, **scores}


def rank_seconds(n_cells: int) -> list[tuple[str, str, str]]:
    """``tabgen.statistics.summary`` of simulated outcomes in memory, after a first small call."""
    from rank_speed import simulated_outcomes

    from tabgen.statistics import summary

    summary(simulated_outcomes(5, 2, 3, 1))
    rows = []
    for datasets, folds, methods, seeds in ((33, 10, 20, n_cells // 6600), (n_cells // 100, 10, 10, 1)):
        outcomes = simulated_outcomes(datasets, folds, methods, seeds, steps=50)
        began, processor = time.perf_counter(), time.process_time()
        summary(outcomes)
        shown = f"{time.perf_counter() - began:.1f} s ({time.process_time() - processor:.1f} s of processor time)"
        rows.append((f"ranking {len(outcomes):,} outcomes of {datasets} datasets x {methods} methods", shown, "3 s"))
    return rows


if __name__ == "__main__":
    main()
