"""Following a run: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tabgen.outcome import Cell, Outcome

PLAIN_EVERY_SECONDS = 10.0


class RichWatcher:
    """A bar with rate and time left; failures scroll by above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=False,
        )
        self._running: list[str] = []
        self._ended, self._began = 0, time.monotonic()

    def begin(self, total: int, done: int) -> None:
        self._task = self._progress.add_task("cells", total=total, completed=done, rate="")
        self._progress.start()

    def started(self, cell: Cell) -> None:
        self._running.append(_name(cell))
        self._describe()

    def finished(self, outcome: Outcome) -> None:
        self._running.remove(_name(outcome.cell))
        self._ended += 1
        if outcome.status != "ok":
            self._console.print(_failure(outcome), style="yellow", markup=False, highlight=False, soft_wrap=True)
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


class PlainWatcher:
    """A line every ten seconds, and one for each failure: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = self._done = self._ended = 0
        self._began = self._said = time.monotonic()

    def begin(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        self.say(f"{total} cells, {done} done before")

    def started(self, cell: Cell) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        self._done, self._ended = self._done + 1, self._ended + 1
        if outcome.status != "ok":
            self.say(_failure(outcome))
        now = time.monotonic()
        if now - self._said > PLAIN_EVERY_SECONDS:
            self._said = now
            per_minute = self._ended / (now - self._began) * 60
            left = (self._total - self._done) / per_minute * 60
            self.say(f"{self._done}/{self._total} cells, {per_minute:.1f}/min, about {left:.0f} s left")

    def say(self, message: str) -> None:
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def end(self) -> None:
        pass


def make_watcher(console: Console) -> RichWatcher | PlainWatcher:
    return RichWatcher(console) if console.is_terminal else PlainWatcher(console)


def _name(cell: Cell) -> str:
    return f"{cell.dataset} fold {cell.fold} {cell.method}"


def _failure(outcome: Outcome) -> str:
    return f"{outcome.status}: {_name(outcome.cell)}: {outcome.result.reason}"
