"""Following a run: a progress bar on a terminal, plain lines elsewhere; a cause of failure is said once."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from tabgen.outcome import Cell, Outcome
from tabgen.text import counted, duration

PLAIN_EVERY_SECONDS = 10.0
NUMBER = re.compile(r"\d[\d.,]*")


class Failures:
    """Outcomes that are not ``ok``, by cause: the first of a cause is told at once, the others are counted.

    Parameters
    ----------
    logs : Path, optional
        The folder of the run's logs.
    """

    def __init__(self, logs: Path | None) -> None:
        self._logs = logs
        self._causes: dict[tuple[str, str], list[Outcome]] = {}

    def take(self, outcome: Outcome) -> str | None:
        """What to say of a failure now: nothing, if its cause, a reason without its numbers, has been said."""
        cause = (outcome.status, NUMBER.sub("#", outcome.result.reason))
        known = self._causes.setdefault(cause, [])
        known.append(outcome)
        if len(known) > 1:
            return None
        return f"{outcome.status}: {_name(outcome.cell)}: {outcome.result.reason}{self._log(outcome)}"

    def lines(self) -> list[str]:
        """Every cause that struck more than once, with its cells counted."""
        return [self._line(status, found) for (status, _), found in self._causes.items() if len(found) > 1]

    def _line(self, status: str, found: list[Outcome]) -> str:
        methods = list(dict.fromkeys(outcome.cell.method for outcome in found))
        named = ", ".join(methods[:3]) + (f" and {counted(len(methods) - 3, 'other')}" if len(methods) > 3 else "")
        tables = counted(len({outcome.cell.dataset for outcome in found}), "dataset")
        reason = found[0].result.reason
        return (
            f"{status}: {counted(len(found), 'cell')} of {named} on {tables}, the first: {reason}{self._log(found[0])}"
        )

    def _log(self, outcome: Outcome) -> str:
        path = self._logs / f"{outcome.key[:16]}.log" if self._logs else None
        return f" (log: {path})" if path is not None and path.is_file() else ""


class LeftColumn(ProgressColumn):
    """The seconds left, by what the run expects of the cells that are left."""

    max_refresh = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.ask: Callable[[], float | None] = lambda: None

    def render(self, task: Task) -> Text:  # noqa: ARG002 - Rich's
        seconds = self.ask()
        return Text(
            "known once a cell has ended" if seconds is None else f"about {duration(seconds)}", "progress.remaining"
        )


class RichWatcher:
    """A bar with rate and time left; causes of failure scroll by above it."""

    def __init__(self, console: Console, logs: Path | None = None, verbose: bool = False) -> None:
        self._console, self._verbose, self._failures = console, verbose, Failures(logs)
        self._left = LeftColumn()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            self._left,
            console=console,
            transient=False,
        )
        self._running: list[str] = []
        self._ended, self._began = 0, time.monotonic()

    def begin(self, total: int, done: int, left: Callable[[], float | None]) -> None:
        self._left.ask = left
        self._task = self._progress.add_task("cells", total=total, completed=done, rate="")
        self._progress.start()

    def started(self, cell: Cell) -> None:
        self._running.append(_name(cell))
        self._describe()

    def finished(self, outcome: Outcome) -> None:
        with contextlib.suppress(ValueError):  # an engine need not say that a cell started
            self._running.remove(_name(outcome.cell))
        self._ended += 1
        if self._verbose and outcome.status == "ok":
            self._print(_ended(outcome))
        if outcome.status != "ok" and (line := self._failures.take(outcome)):
            self._print(line, "yellow")
        self._progress.advance(self._task)
        self._describe()

    def _describe(self) -> None:
        rate = self._ended / (time.monotonic() - self._began) * 60
        self._progress.update(
            self._task,
            description=self._running[0] if self._running else "cells",
            rate=f"{rate:.1f}/min" if self._ended else "",
        )

    def say(self, message: str) -> None:
        self._console.print(message, highlight=False, markup=False)

    def end(self) -> None:
        self._progress.stop()
        for line in self._failures.lines():
            self._print(line, "yellow")

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


class PlainWatcher:
    """A line every ten seconds, and one for each cause of failure: for logs and pipes."""

    def __init__(self, console: Console, logs: Path | None = None, verbose: bool = False) -> None:
        self._console, self._verbose, self._failures = console, verbose, Failures(logs)
        self._total = self._done = self._ended = 0
        self._began = self._said = time.monotonic()

    def begin(self, total: int, done: int, left: Callable[[], float | None]) -> None:
        self._total, self._done, self._left = total, done, left
        seconds = left()
        told = f", about {duration(seconds)} left" if seconds and total > done else ""
        self.say(f"{counted(total, 'cell')}, {done} done before{told}")

    def started(self, cell: Cell) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        self._done, self._ended = self._done + 1, self._ended + 1
        if self._verbose and outcome.status == "ok":
            self.say(_ended(outcome))
        if outcome.status != "ok" and (line := self._failures.take(outcome)):
            self.say(line)
        now = time.monotonic()
        if now - self._said > PLAIN_EVERY_SECONDS:
            self._said = now
            seconds = self._left()
            left = "" if seconds is None else f", about {duration(seconds)} left"
            self.say(f"{self._done}/{self._total} cells, {self._ended / (now - self._began) * 60:.1f}/min{left}")

    def say(self, message: str) -> None:
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def end(self) -> None:
        for line in self._failures.lines():
            self.say(line)


class QuietWatcher(PlainWatcher):
    """Causes of failure alone."""

    def begin(self, total: int, done: int, left: Callable[[], float | None]) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        if outcome.status != "ok" and (line := self._failures.take(outcome)):
            self.say(line)


def make_watcher(console: Console, logs: Path | None = None, verbose: bool = False) -> RichWatcher | PlainWatcher:
    kind = RichWatcher if console.is_terminal else PlainWatcher
    return kind(console, logs, verbose)


def _name(cell: Cell) -> str:
    return f"{cell.dataset} fold {cell.fold} {cell.method}"


def _ended(outcome: Outcome) -> str:
    """A line on a cell that ended well: its seconds and its test scores."""
    measured: dict[str, Any] = outcome.result.measured
    scores = [
        f"{name.removesuffix('_test_roc_auc').replace('_', '-')} {value:.4f}"
        for name, value in measured.items()
        if name.endswith("_test_roc_auc") and isinstance(value, float) and value == value
    ]
    told = f" (ROC-AUC {', '.join(scores)})" if scores else ""
    return f"ok: {_name(outcome.cell)}: {duration(float(measured.get('seconds_wall') or 0.0))}{told}"
