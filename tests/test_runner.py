"""Runs: resume, kill -9 at random moments, Ctrl-C, retries, observers."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from paths import FIXTURE, SUPPORT, importing

from tabgen.arms import OPTIMISER
from tabgen.datasets import Dataset, Suite
from tabgen.errors import StoreError
from tabgen.experiment import Experiment, parse_methods
from tabgen.marker import hookimpl
from tabgen.models.recipes import get_recipe
from tabgen.outcome import Cell, Outcome
from tabgen.plugins import PluginChoice, Plugins, load_plugins
from tabgen.results import load_results
from tabgen.runner import RunSummary, _say_of_tables, imports_of, run_experiment
from tabgen.store import Store

CHOICE = PluginChoice(external=False)


class Notes:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.started_cells: list[str] = []
        self.finished_cells: list[str] = []

    def begin(self, total: int, done: int, left: Callable[[], float | None]) -> None:
        self.total, self.done = total, done

    def started(self, cell: Cell) -> None:
        self.started_cells.append(cell.key)

    def finished(self, outcome: Outcome) -> None:
        self.finished_cells.append(outcome.key)

    def say(self, message: str) -> None:
        self.said.append(message)

    def end(self) -> None:
        pass


def experiment(plugins: Plugins, dataset: Dataset, methods: list[str]) -> Experiment:
    suite = Suite("test", "one table", "1", lambda: [dataset])
    recipe = get_recipe("nano", steps=1).to_dict()
    return Experiment(
        suite, parse_methods(methods, plugins), folds=2, model=str(FIXTURE), recipe=recipe, fidelity=False
    )


def test_a_run_stores_every_outcome_and_a_second_one_does_no_work(
    built_in: Plugins, teaching: Dataset, tmp_path: Path
) -> None:
    work = experiment(built_in, teaching, ["zero-shot", "real", "jitter"])
    first = run_experiment(work, tmp_path, built_in, CHOICE, Notes(), workers=2)
    stored = load_results(tmp_path)
    assert (first.planned, first.done_before, dict(first.ran)) == (6, 0, {"ok": 6})
    assert len(stored) == 6
    watcher = Notes()
    second = run_experiment(work, tmp_path, built_in, CHOICE, watcher)
    assert (second.done_before, dict(second.ran), watcher.started_cells) == (6, {}, [])
    assert load_results(tmp_path).equals(stored)


def test_an_outcome_carries_its_provenance(built_in: Plugins, teaching: Dataset, tmp_path: Path) -> None:
    run_experiment(experiment(built_in, teaching, ["jitter"]), tmp_path, built_in, CHOICE, Notes())
    with Store(tmp_path) as store:
        outcome = next(store.outcomes())
    known = {"date", "tabgen", "python", "torch", "numpy", "pandas", "scikit-learn", "commit", "dirty", "processor"}
    assert known <= set(outcome["provenance"])
    day = date.fromisoformat(outcome["provenance"]["date"])
    assert abs((datetime.now(UTC).date() - day).days) <= 1
    for name in ("data_hash", "split_hash", "synthetic_hash", "checkpoint"):
        assert len(outcome[name]) == 64
    for phase in ("load", "zero_shot", "fit", "sample", "finetune", "total"):
        assert outcome[f"seconds_{phase}"] >= 0
    assert outcome["peak_memory_mb"] > 50
    assert (outcome["plugin"], outcome["plugin_version"]) == ("tabgen.references", outcome["provenance"]["tabgen"])


def test_adding_a_method_runs_that_method_only(built_in: Plugins, teaching: Dataset, tmp_path: Path) -> None:
    run_experiment(experiment(built_in, teaching, ["zero-shot"]), tmp_path, built_in, CHOICE, Notes())
    more = run_experiment(experiment(built_in, teaching, ["zero-shot", "real"]), tmp_path, built_in, CHOICE, Notes())
    assert (more.planned, more.done_before, dict(more.ran)) == (4, 2, {"ok": 2})


def test_failures_are_kept_and_run_again_on_request_only(teaching: Dataset, tmp_path: Path) -> None:
    choice = PluginChoice((str(SUPPORT / "faulty_plugin.py"),), external=False)
    plugins = load_plugins(choice)
    work = experiment(plugins, teaching, ["raises"])
    assert dict(run_experiment(work, tmp_path, plugins, choice, Notes()).ran) == {"error": 2}
    assert dict(run_experiment(work, tmp_path, plugins, choice, Notes()).ran) == {}
    again = run_experiment(work, tmp_path, plugins, choice, Notes(), retry=["error"])
    assert dict(again.ran) == {"error": 2}
    assert len(load_results(tmp_path)) == 2


def test_a_second_run_on_the_same_folder_is_refused(built_in: Plugins, teaching: Dataset, tmp_path: Path) -> None:
    with Store(tmp_path, write=True), pytest.raises(StoreError, match="another run is writing"):
        run_experiment(experiment(built_in, teaching, ["real"]), tmp_path, built_in, CHOICE, Notes())


FULL_DISK = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
"""


def test_a_full_disk_ends_the_run_with_words_and_the_same_run_completes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK + PROGRAM, str(tmp_path)]
    full = subprocess.run(command, capture_output=True, text=True, env=importing(Path(__file__).parent), timeout=300)
    assert full.returncode == 1
    assert "StoreError: the outcome could not be written to" in full.stderr
    told = {line for line in full.stdout.split() if len(line) == 64}
    assert 0 < len(told) < CELLS
    before = scores(tmp_path)
    assert set(before) == told
    with start(tmp_path) as process:
        process.communicate(timeout=300)
    after = scores(tmp_path)
    assert len(after) == CELLS
    assert before.items() <= after.items()


def test_the_cache_spares_work_in_a_later_run_with_other_recipes(
    built_in: Plugins, teaching: Dataset, tmp_path: Path
) -> None:
    work = experiment(built_in, teaching, ["zero-shot", "jitter"])
    run_experiment(work, tmp_path, built_in, CHOICE, Notes())
    longer = replace(work, recipe=get_recipe("nano", steps=2).to_dict())
    again = run_experiment(longer, tmp_path, built_in, CHOICE, Notes())
    assert (again.done_before, dict(again.ran)) == (2, {"ok": 2})
    outcomes = load_results(tmp_path)
    steps = outcomes["recipe"].map(lambda recipe: recipe["steps"])
    later = outcomes[(steps == 2) & (outcomes["method"] == "jitter")]
    assert later["cached_synthetic"].tolist() == later["cached_zero_shot"].tolist() == [True, True]
    run_experiment(replace(work, seeds=(5,)), tmp_path / "other", built_in, CHOICE, Notes(), cache=False)
    assert not (tmp_path / "other" / "cache").exists()


def test_observers_are_told_and_cannot_stop_the_run(teaching: Dataset, tmp_path: Path) -> None:
    plugins = load_plugins(CHOICE)
    told: list[tuple[str, str]] = []

    class Observer:
        @hookimpl
        def tabgen_cell_started(self, cell: Cell) -> None:
            told.append(("started", cell.method))

        @hookimpl
        def tabgen_cell_finished(self, outcome: Outcome) -> None:
            told.append(("finished", outcome.status))
            raise RuntimeError("an observer's own fault")

    plugins.manager.register(Observer())
    watcher = Notes()
    result = run_experiment(experiment(plugins, teaching, ["zero-shot"]), tmp_path, plugins, CHOICE, watcher)
    assert dict(result.ran) == {"ok": 2}
    assert sorted(told) == [("finished", "ok")] * 2 + [("started", "zero-shot")] * 2
    assert told[0] == ("started", "zero-shot")  # the next may start before an outcome is stored and told
    assert any("an observer's own fault" in line for line in watcher.said)


def test_what_no_cell_needs_is_not_imported_before_the_first(built_in: Plugins, teaching: Dataset) -> None:
    work = experiment(built_in, teaching, ["zero-shot"])
    assert OPTIMISER in imports_of(replace(work, arms=("fixed-steps", "context")))
    assert imports_of(replace(work, arms=("context", "augmented"), fidelity=False)) == ()


def test_the_final_line_counts_cells() -> None:
    summary = RunSummary(10, 3, seconds=61.4)
    summary.ran.update({"timeout": 1, "ok": 4})
    assert summary.sentence() == (
        "10 cells: 3 were done before, 5 ran in 1 min 01 s (4 ok, 1 timeout); 2 left, the same command goes on."
    )


PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path
from test_runner import Notes, experiment, CHOICE
from tabgen.datasets import quick_datasets
from tabgen.plugins import load_plugins
from tabgen.runner import run_experiment

plugins = load_plugins(CHOICE)
table = next(d for d in quick_datasets() if d.name == "teaching-assistants")
watcher = Notes()
watcher.finished = lambda outcome: print(outcome.key, flush=True)
methods = ["zero-shot", *(f"jitter:noise={i / 100}" for i in range(1, 8))]
summary = run_experiment(
    replace(experiment(plugins, table, methods), arms=("context",)),
    Path(sys.argv[1]), plugins, CHOICE, watcher, workers=2,
)
print(json.dumps({"left": summary.left, "stopped": summary.stopped}), flush=True)
"""
CELLS = 16


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=importing(Path(__file__).parent),
    )


def scores(folder: Path) -> dict[str, tuple[str, float, float]]:
    with Store(folder) as store:
        return {
            o["key"]: (o["status"], o["context_test_roc_auc"], o["context_test_log_loss"]) for o in store.outcomes()
        }


def test_killed_at_random_moments_nothing_is_lost_doubled_or_changed(tmp_path: Path) -> None:
    """Four kills with -9; what was said to be stored is there, and the end is that of an undisturbed run."""
    chance = random.Random(7)
    seen: dict[str, tuple[str, float, float]] = {}
    kills = 0
    while kills < 4:
        process = start(tmp_path / "killed")
        assert process.stdout is not None
        time_to_live = chance.uniform(0, 0.25)
        line = process.stdout.readline()  # at least one cell more each time, or the end
        time.sleep(time_to_live)
        process.send_signal(signal.SIGKILL)
        process.wait()
        said = [line, *process.stdout.readlines()]
        process.stdout.close()
        kills += 1
        stored = scores(tmp_path / "killed")
        assert {text.strip() for text in said if len(text.strip()) == 64} <= set(stored)
        assert seen.items() <= stored.items()
        seen = stored
        if len(stored) == CELLS:
            (tmp_path / "killed").rename(tmp_path / f"complete-{kills}")
            seen = {}
    for folder in (tmp_path / "killed", tmp_path / "undisturbed"):
        with start(folder) as process:
            process.communicate(timeout=300)
    expected = scores(tmp_path / "undisturbed")
    assert len(expected) == CELLS
    for folder in tmp_path.iterdir():
        assert scores(folder) == expected, folder.name


def test_ctrl_c_once_finishes_the_cells_under_way_and_the_run_resumes(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().splitlines()
    end = json.loads(rest[-1])
    assert end["stopped"]
    assert 0 < end["left"] < CELLS
    assert len(scores(tmp_path)) == CELLS - end["left"]
    assert process.returncode == 0


def test_ctrl_c_twice_stops_at_once(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 0
    assert 0 < len(scores(tmp_path)) < CELLS


def test_tables_that_are_not_there_are_told_as_one_or_several() -> None:
    notes = Notes()
    _say_of_tables([], {"a"}, notes)
    _say_of_tables([], {"a", "b"}, notes)
    assert notes.said == [
        "1 table made elsewhere is not there any more; what was stored of it stays.",
        "2 tables made elsewhere are not there any more; what was stored of them stays.",
    ]
