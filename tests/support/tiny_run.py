"""A run of tiny cells in an interpreter of its own: ``python tiny_run.py FOLDER METHODS [WORKERS [RETRY]]``.

METHODS is how many, or which, with commas between; RETRY a status whose cells run again. Prints one line of JSON for
each outcome as it is stored, with the memory of the parent and of its servers and the files that the parent has open,
and one at the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from paths import FIXTURE

from tabgen.datasets import Suite, quick_datasets
from tabgen.experiment import Experiment, parse_methods
from tabgen.models.recipes import get_recipe
from tabgen.outcome import Cell, Outcome
from tabgen.plugins import PluginChoice, get_plugins
from tabgen.runner import QuietWatcher, run_experiment
from tabgen.store import Store

FOLDS = 2
OWN_TO_A_RUN = ("seconds", "peak_memory", "cached", "provenance", "attempts")
"""What a row says of how it came about: nothing of it is the same twice."""


def children(pid: int) -> list[int]:
    """The processes that a process started itself."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


def descendants(pid: int) -> list[int]:
    return [each for child in children(pid) for each in (child, *descendants(child))]


def memory_kb(pid: int | str) -> int:
    """Resident memory that is the process's own: anonymous pages."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(text.partition("RssAnon:")[2].split()[0]) if "RssAnon:" in text else 0


def rows_of(folder: Path) -> dict[str, str]:
    """Key -> the stored row as text, without what is a run's own."""
    with Store(folder) as store:
        return {
            row["key"]: json.dumps(
                {name: value for name, value in row.items() if not any(own in name for own in OWN_TO_A_RUN)},
                sort_keys=True,
            )
            for row in store.outcomes()
        }


class Teller(QuietWatcher):
    """Tells of every outcome on standard output."""

    def __init__(self) -> None:
        self.pid = Path("/proc/self").resolve().name

    def started(self, cell: Cell) -> None: ...

    def finished(self, outcome: Outcome) -> None:
        servers = [memory_kb(pid) for pid in children(int(self.pid))]
        told: dict[str, Any] = {"key": outcome.key, "parent": memory_kb("self"), "servers": sorted(servers)}
        told["files"] = len(list(Path("/proc/self/fd").iterdir()))
        print(json.dumps(told), flush=True)


def main(folder: str, methods: str, workers: str = "2", *retry: str) -> None:
    choice = PluginChoice(external=False)
    plugins = get_plugins(choice)
    table = next(dataset for dataset in quick_datasets() if dataset.name == "teaching-assistants")
    names = methods.split(",")
    if methods.isdigit():
        names = ["zero-shot", *(f"jitter:noise={n / 10_000}" for n in range(1, int(methods)))]
    experiment = Experiment(
        Suite("tiny", "one table", "1", lambda: [table]),
        parse_methods(names, plugins),
        folds=FOLDS,
        arms=("context",) if methods.isdigit() else ("fine-tune", "context"),
        model=str(FIXTURE),
        recipe=get_recipe("nano", steps=1).to_dict(),
        max_train_rows=(60,),
        max_test_rows=30,
        fidelity=False,
    )
    summary = run_experiment(experiment, Path(folder), plugins, choice, Teller(), workers=int(workers), retry=retry)
    print(json.dumps({"left": summary.left, "ran": dict(summary.ran)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
