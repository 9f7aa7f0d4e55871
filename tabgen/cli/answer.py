"""The answer for one table, in the terminal: while its cells run, and at the end with the line to type next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tabgen.errors import TabgenError
from tabgen.outcome import Cell, Outcome
from tabgen.text import counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from tabgen.runner import Watcher
    from tabgen.statistics.one_table import Answer

SAID_EVERY_SECONDS = 15.0
SHOWN = 8
"""Candidates in the table of the terminal; the report has them all."""


class AnsweringWatcher:
    """Says now and then what the cells of one table have shown so far; all else goes to another watcher."""

    def __init__(self, watcher: Watcher, known: list[dict[str, Any]]) -> None:
        self._watcher, self._rows = watcher, known
        self._said = time.monotonic()

    def begin(self, total: int, done: int, left: Callable[[], float | None]) -> None:
        self._watcher.begin(total, done, left)

    def started(self, cell: Cell) -> None:
        self._watcher.started(cell)

    def finished(self, outcome: Outcome) -> None:
        self._watcher.finished(outcome)
        self._rows.append(outcome.to_dict())
        if time.monotonic() - self._said > SAID_EVERY_SECONDS:
            line = so_far(self._rows)
            if line:
                self._said = time.monotonic()
                self._watcher.say(line)

    def say(self, message: str) -> None:
        self._watcher.say(message)

    def end(self) -> None:
        self._watcher.end()


def so_far(rows: list[dict[str, Any]]) -> str:
    """One line on what these outcomes show; empty while there is nothing to compare."""
    import pandas as pd

    from tabgen.comparable import pools
    from tabgen.results import answers
    from tabgen.statistics.one_table import use_of

    try:
        found = next((answer for _, answer in answers(pools(pd.DataFrame(rows)))), None)
    except TabgenError:  # of other runs in this folder; `rank` says it, and the cells that are left run
        return ""
    uses = [candidate for candidate in found.candidates if not candidate.control] if found else []
    if not found or not uses:
        return ""
    best = uses[0]
    judged = found.recommendation if best.test else f"too few splits to judge: {best.splits}"
    return (
        f"so far, of {counted(len(uses), 'use')} of rows the best is {use_of(best)}:"
        f" {best.before:.3f} -> {best.after:.3f} ROC-AUC"
        f" ({judged})"
    )


def print_answer(answer: Answer, outcomes: pd.DataFrame, console: Console) -> None:
    """The candidates, the recommendation in words, and what to type next."""
    from rich import box
    from rich.table import Table

    from tabgen.results import next_line
    from tabgen.statistics.one_table import HEADS, use_of

    console.rule(f"what to do with this table, by {counted(answer.splits, 'split')} of it", align="left")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("use", overflow="fold", min_width=20)
    for column in ("before", "after", f"{1 - answer.alpha:.0%} of the difference", "better", "worth"):
        table.add_column(column, justify="right", no_wrap=True)
    for candidate in answer.candidates[:SHOWN]:
        test = candidate.test
        table.add_row(
            use_of(candidate) + (" (control)" if candidate.control else ""),
            f"{candidate.before:.3f}",
            f"{candidate.after:.3f}",
            f"{test.low:+.3f} .. {test.high:+.3f}" if test else "",
            f"{test.better:.0%}" if test else "",
            "" if candidate.worth is None else candidate.worth_beyond + counted(round(candidate.worth), "row"),
        )
    console.print(table)
    left = len(answer.candidates) - SHOWN
    more = f" {counted(left, 'use')} below these: in the report." if left > 0 else ""
    console.print(
        f"before, after: ROC-AUC of the real rows alone and of the use. better: probability that it adds more than"
        f" {answer.rope:g}. worth: real rows that give the same score.{more}",
        highlight=False,
    )
    console.print(f"{HEADS[answer.recommendation]}. {answer.reason}", highlight=False)
    line = next_line(answer, outcomes)
    if line:
        console.print(f"Next: {line}", highlight=False, soft_wrap=True)
