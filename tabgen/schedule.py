"""Which cells of a plan a process takes, in which order, and how long they are expected to take.

None of it changes a score: a cell is complete in itself.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tabgen.datasets import Dataset, Suite
from tabgen.errors import ExperimentError
from tabgen.experiment import Experiment, plan
from tabgen.outcome import Cell, Outcome, rows_key
from tabgen.plugins import Plugins

GROWTH = 0.7
"""Seconds of a method grow as this power of a table's cells: less than in proportion, since a part of them is fixed."""
ROW_BYTES, ROW_CELLS = 100, 20
"""Of a row in a file whose rows nobody has counted."""


@dataclass(frozen=True)
class Shard:
    """One of ``of`` parts of a plan, counted from 1: parts are disjoint and together the whole."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ExperimentError(
                f"the shard {self.number}/{self.of} is none: the first number goes from 1 to {self.of}."
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """A shard from ``i/n``, such as ``1/3``.

    Raises
    ------
    ExperimentError
        If it is not two whole numbers, or the first is not from 1 to the second.
    """
    number, slash, of = text.strip().partition("/")
    if not (slash and all(part.isascii() and part.isdigit() and len(part) <= 7 for part in (number, of))):
        raise ExperimentError(f"'{text}' is no shard; write i/n, as in 1/3 for the first of three.")
    return Shard(int(number), int(of))


def shape_of(dataset: Dataset) -> tuple[int, int]:
    """Rows and columns of a table as its manifest says, or its Parquet footer, or about, by the size of its file."""
    rows, columns = dataset.facts.get("rows"), dataset.facts.get("features")
    if isinstance(rows, int) and isinstance(columns, int):
        return max(1, rows), max(1, columns)
    if not dataset.path.is_file():
        return 1, 1
    if dataset.path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            footer = pq.read_metadata(dataset.path)
        except (OSError, pa.ArrowException):  # its own cells will say what is wrong with it
            return 1, 1
        return max(1, footer.num_rows), max(1, footer.num_columns)
    return max(1, dataset.path.stat().st_size // ROW_BYTES), ROW_CELLS


class Expected:
    """How long a cell will take, by what the cells before it took.

    By those of the same method on the same table, else by those of the same method on others, in proportion to
    (rows x columns) ** :data:`GROWTH`, else by those of all methods.

    Parameters
    ----------
    suite : Suite
    rows : iterable of dict
        Outcomes known before, in their flat form.
    """

    def __init__(self, suite: Suite, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._shapes = {dataset.name: shape_of(dataset) for dataset in suite.datasets}
        self._known: dict[Any, list[float]] = defaultdict(list)
        self._medians: dict[Any, float] = {}
        for row in rows:
            self.learn(row)

    def learn(self, row: Mapping[str, Any]) -> None:
        """Take in an outcome: its wall time, as far as it has one."""
        seconds = row.get("seconds_wall", row.get("seconds_total"))
        if not isinstance(seconds, int | float) or seconds < 0 or row["dataset"] not in self._shapes:
            return
        method, cap = row["method"], row["max_train_rows"]
        rate = seconds / self.size(row["dataset"], cap)
        for place, value in (((method, row["dataset"], cap), seconds), (method, rate), (None, rate)):
            self._known[place].append(value)
            self._medians.pop(place, None)

    def size(self, dataset: str, max_train_rows: int | None) -> float:
        """What the seconds of a method are in proportion to."""
        rows, columns = self._shapes[dataset]
        used = rows if max_train_rows is None else min(rows, max_train_rows)
        return math.pow(used * columns, GROWTH)

    def seconds(self, cell: Cell) -> float | None:
        """Of wall time; None while nothing at all is known."""
        here = self._median((cell.method, cell.dataset, cell.max_train_rows))
        if here is not None:
            return here
        rate = self._median(cell.method)
        if rate is None:
            rate = self._median(None)
        return None if rate is None else rate * self.size(cell.dataset, cell.max_train_rows)

    def _median(self, place: Any) -> float | None:
        """Of what is known of a place: (method, table, cap), a method's rate, or, under None, the rate of all."""
        if place not in self._medians and place in self._known:
            self._medians[place] = median(self._known[place])
        return self._medians.get(place)


class TimeLeft:
    """How long a run will still take: what is expected of the cells that are left, shared out among those at work.

    Parameters
    ----------
    waiting : sequence of Cell
        In the order in which they will run.
    expected : Expected
        Learns from every cell that ends.
    """

    def __init__(self, waiting: Sequence[Cell], expected: Expected) -> None:
        self._waiting = {cell.key: cell for cell in waiting}
        self._running: dict[str, tuple[Cell, float]] = {}
        self._expected, self._at_once = expected, 1

    def started(self, cell: Cell) -> None:
        self._running[cell.key] = (self._waiting.pop(cell.key, cell), time.monotonic())
        self._at_once = max(self._at_once, len(self._running))

    def finished(self, outcome: Outcome) -> None:
        self._waiting.pop(outcome.key, None)
        self._running.pop(outcome.key, None)
        self._expected.learn(outcome.to_dict())

    def __call__(self) -> float | None:
        """Seconds; None while no cell has ended, here or in the store."""
        now = time.monotonic()
        running = [(self._expected.seconds(cell), now - began) for cell, began in self._running.values()]
        waiting = [self._expected.seconds(cell) for cell in self._waiting.values()]
        if None in waiting or any(seconds is None for seconds, _ in running):
            return None
        left = [max(0.0, (seconds or 0.0) - spent) for seconds, spent in running]
        left += [seconds or 0.0 for seconds in waiting]
        return max(sum(left) / self._at_once, max(left, default=0.0))


def longest_first(cells: Sequence[Cell], expected: Expected) -> list[Cell]:
    """The cells with the longest of every pass over the tables first, so that no long one is left for the end.

    A pass is a fold, with its seed and draw: one ends before the next begins, so that a run that is looked at half-way
    has all tables on its first folds.
    """
    seconds = {cell.key: expected.seconds(cell) for cell in cells}

    def length(cell: Cell) -> float:
        known = seconds[cell.key]
        if known is not None:
            return known
        return expected.size(cell.dataset, cell.max_train_rows) if cell.mixing != "none" else 0.0

    passes = itertools.groupby(cells, key=lambda cell: (cell.fold, cell.seed, cell.draw))
    return [cell for _, group in passes for cell in sorted(group, key=length, reverse=True)]


def fits_of(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The cells of each fit of a generator, and every other cell by itself: what goes to a shard together."""
    fits: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        fits[rows_key(cell) or cell.key].append(cell)
    return list(fits.values())


def cells_of_shard(cells: Sequence[Cell], shard: Shard, expected: Expected) -> list[Cell]:
    """The cells of a shard, in the order of the plan.

    It follows from the plan and the tables' sizes alone, not from what has run: the same line resumes. Cells that draw
    from one fit go together, else it would be made in several shards; they are dealt method by method, each time to
    the shard with the fewest cells and, of those, to that with the smallest tables. Methods that are added at the end
    of an experiment leave the others where they are.
    """
    methods = {method: place for place, method in enumerate(dict.fromkeys(cell.method for cell in cells))}

    def place(fit: list[Cell]) -> tuple[int, float, int, int, int]:
        first = fit[0]
        size = expected.size(first.dataset, first.max_train_rows)
        return methods[first.method], -size, first.fold, first.seed, first.draw

    dealt = [0] * shard.of
    sizes = [0.0] * shard.of
    mine: set[str] = set()
    for fit in sorted(fits_of(cells), key=place):
        chosen = min(range(shard.of), key=lambda number: (dealt[number], sizes[number], number))
        dealt[chosen] += len(fit)
        sizes[chosen] += expected.size(fit[0].dataset, fit[0].max_train_rows)
        if chosen == shard.number - 1:
            mine |= {cell.key for cell in fit}
    return [cell for cell in cells if cell.key in mine]


def planned_cells(experiment: Experiment, plugins: Plugins, shard: Shard | None) -> list[Cell]:
    """The plan of an experiment, or of one shard of it."""
    cells = plan(experiment, plugins)
    return cells_of_shard(cells, shard, Expected(experiment.suite)) if shard else cells
