"""Following a run: the time left, causes of failure, quiet and verbose."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from paths import FIXTURE
from rich.console import Console

from tabgen.datasets import Suite, quick_datasets
from tabgen.experiment import Experiment, parse_methods, plan
from tabgen.outcome import Cell, Outcome, Result
from tabgen.plugins import Plugins
from tabgen.progress import PlainWatcher, QuietWatcher, RichWatcher
from tabgen.runner import RunSummary, Watcher
from tabgen.schedule import Expected, TimeLeft, longest_first
from tabgen.text import counted, duration

SUITE = Suite("quick", "six tables", "1", quick_datasets)


@pytest.fixture(scope="module")
def cells(built_in: Plugins) -> list[Cell]:
    methods = parse_methods(["zero-shot", "real", "jitter", "mixup"], built_in)
    return plan(Experiment(SUITE, methods, folds=2, model=str(FIXTURE)), built_in)


def ended(cell: Cell, seconds: float, status: str = "ok", reason: str = "") -> Outcome:
    result = Result.from_dict({"status": status, "reason": reason, "seconds_wall": seconds, "tuned_test_roc_auc": 0.75})
    return Outcome(cell, result, {})


def test_the_time_left_is_known_once_a_cell_of_minutes_has_ended(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("tabgen.schedule.time.monotonic", lambda: clock[0])
    expected = Expected(SUITE)
    order = longest_first(cells, expected)
    left = TimeLeft(order, expected)
    assert left() is None
    left.started(order[0])
    left.started(order[1])
    clock[0] += 300
    left.finished(ended(order[0], 300.0))
    first = left()
    assert first is not None
    whole = sum(expected.seconds(cell) or 0 for cell in order[2:]) + max((expected.seconds(order[1]) or 0) - 300, 0)
    assert first == pytest.approx(whole / 2), "two ran at once"
    left.started(order[2])
    clock[0] += 100
    assert (left() or 0) == pytest.approx(first - 50, abs=60), "it goes down while cells run, before one ends"
    assert (left() or 0) < first
    for cell in order[1:]:
        left.started(cell)
        left.finished(ended(cell, 300.0))
    assert left() == 0


def test_what_the_store_holds_tells_the_time_left_at_once(cells: list[Cell]) -> None:
    rows = [ended(cell, 60.0).to_dict() for cell in cells if cell.fold == 0]
    waiting = [cell for cell in cells if cell.fold == 1]
    assert TimeLeft(waiting, Expected(SUITE, rows))() == pytest.approx(60.0 * len(waiting))


def follow(watcher: Watcher, outcomes: list[Outcome]) -> None:
    watcher.begin(len(outcomes), 0, lambda: 4000.0)
    for outcome in outcomes:
        watcher.started(outcome.cell)
        watcher.finished(outcome)
    watcher.end()


def failures(cells: list[Cell], logs: Path) -> list[Outcome]:
    logs.mkdir()
    (logs / f"{cells[0].key[:16]}.log").write_text("what it printed")
    return [
        ended(cell, 1.0, "out_of_memory", f"stopped at {6000 + number} MB; the limit is 6000 MB")
        for number, cell in enumerate(cells[:24])
    ]


@pytest.mark.parametrize("kind", [PlainWatcher, RichWatcher, QuietWatcher])
def test_a_cause_that_strikes_often_is_said_once_with_its_log_and_counted_at_the_end(
    kind: type[PlainWatcher] | type[RichWatcher], cells: list[Cell], tmp_path: Path
) -> None:
    out = io.StringIO()
    other = replace(cells[30], method="mixup")
    outcomes = [*failures(cells, tmp_path / "logs"), ended(other, 1.0, "error", "ValueError: alone")]
    follow(kind(Console(file=out, width=300), tmp_path / "logs"), outcomes)
    said = [line for line in out.getvalue().splitlines() if "out_of_memory" in line]
    log = tmp_path / "logs" / f"{cells[0].key[:16]}.log"
    assert len(said) == 2, said
    assert all(f"(log: {log})" in line for line in said)
    assert "out_of_memory: 24 cells of zero-shot, real, jitter and 1 other on 6 datasets" in said[1]
    assert sum("ValueError: alone" in line for line in out.getvalue().splitlines()) == 1


def test_a_log_that_is_not_there_is_not_named(cells: list[Cell], tmp_path: Path) -> None:
    out = io.StringIO()
    follow(PlainWatcher(Console(file=out, width=300), tmp_path), [ended(cells[0], 1.0, "error", "why")])
    assert "log:" not in out.getvalue()


def test_verbose_says_of_every_cell_how_it_ended_and_quiet_says_nothing(cells: list[Cell]) -> None:
    outcomes = [ended(cell, 100.0) for cell in cells[:3]]
    out = io.StringIO()
    follow(PlainWatcher(Console(file=out, width=300), verbose=True), outcomes)
    assert out.getvalue().count("2 min (ROC-AUC tuned 0.7500)") == 3
    assert out.getvalue().startswith("3 cells, 0 done before, about 1 h 07 min left")
    out = io.StringIO()
    follow(QuietWatcher(Console(file=out, width=300)), outcomes)
    assert out.getvalue() == ""


def test_the_bar_says_the_time_left(cells: list[Cell]) -> None:
    out = io.StringIO()
    follow(RichWatcher(Console(file=out, width=300, force_terminal=True)), [ended(cells[0], 100.0)])
    assert "about 1 h 07 min" in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (40, "40 s"), (180, "3 min"), (4800, "1 h 20 min"), (3 * 86400 + 7300, "3 d 2 h")],
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_is_no_plural() -> None:
    assert (counted(1, "cell"), counted(2000, "cell"), counted(0, "row")) == ("1 cell", "2,000 cells", "0 rows")
    summary = RunSummary(1, 1)
    assert summary.sentence().startswith("1 cell: 1 was done before")
