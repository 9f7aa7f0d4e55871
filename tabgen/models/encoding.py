"""From a Table to the numbers Tab2D reads, by the context rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from tabgen.column import Column, Level
from tabgen.errors import Unsupported
from tabgen.models.base import Encoder
from tabgen.models.missing import fill_missing, needs_indicator
from tabgen.models.parts import TextParts, fit_parts
from tabgen.table import Table

RESOLVED = 0.99
"""Share of a column's different values that must stay different as float32 for the column to be cast as it is."""
FLOAT32_RANGE = (1e-30, 1e30)
"""Beyond these, sums and differences of float32 overflow or vanish."""
MAX_CHOSEN_FROM = 10_000
"""Encoded columns from which those that the model takes are chosen; a table with more is refused."""
FLOAT32_MAX = float(np.finfo(np.float32).max)


class _Positions:
    """A column that float32 cannot hold: each number becomes its place among the context's, in float64.

    Numbers between two of the context's lie between their places, those outside before the first or after the
    last. The model ranks its input, so that for it nothing but the loss of digits has changed.
    """

    def __init__(self, known: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> None:
        self._known = known
        largest = np.abs(known).max()
        self.mean = float(self.of(np.array([largest * np.nanmean(values / largest)]))[0])

    def of(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        n = len(self._known)
        places: np.ndarray[Any, Any] = np.interp(values, self._known, np.arange(n), left=-1.0, right=float(n))
        return places


class TableEncoder(Encoder):
    """One number per cell: numbers as they are, levels as their position, missing values filled and marked.

    - A number stays a float64 until it is relative: a column that float32 cannot hold (a time in seconds since 1970,
      values beyond 1e30) becomes positions among the context's values.
    - A level's number is its position among the levels of the context's schema. A missing level, or one that
      the context does not have, gets a number of its own after them.
    - Times and texts become several numbers (see ``models.parts``).
    - Missing numbers become the context's mean, with a 0/1 column beside it (see ``models.missing``).
    - Columns that are constant in the context are left out: they say nothing, and cost time.
    - Of more columns than the model takes, those are kept whose ranks differ most between the context's classes
      (:func:`telling_columns`), which ``notes`` says.

    The model itself ranks and z-scores the numbers against the support rows.

    Parameters
    ----------
    context : Table
    max_columns : int
        Encoded columns that the model takes.
    texts : type
        How texts become numbers.
    many_levels : int
        Columns of at least so many levels are named in ``levels``; 0: none.

    Raises
    ------
    Unsupported
        If every column is constant, or there are more than ``MAX_CHOSEN_FROM``.
    """

    def __init__(
        self, context: Table, max_columns: int, texts: type[TextParts] = TextParts, many_levels: int = 0
    ) -> None:
        self._columns = context.schema.columns
        self._levels: dict[str, dict[Level, int]] = {
            c.name: {level: number for number, level in enumerate(c.levels)} for c in self._columns if c.is_discrete
        }
        fitted = {c.name: fit_parts(c, context.frame[c.name], texts) for c in self._columns}
        self._parts = {name: parts for name, parts in fitted.items() if parts is not None}
        blocks = [self._block(column, context) for column in self._columns]
        self._widths = [block.shape[1] for block in blocks]
        raw = np.column_stack(blocks)
        first = np.append(0, np.cumsum(self._widths)[:-1])
        self._kept = np.array([i for i in range(raw.shape[1]) if _varies(raw[:, i], i in first)], dtype=np.intp)
        if len(self._kept) == 0:
            raise Unsupported("every feature column is constant in the training rows: there is nothing to learn from.")
        raw = raw[:, self._kept]
        found = {place: _positions_where_due(raw[:, place]) for place in range(raw.shape[1])}
        self._positions = {place: positions for place, positions in found.items() if positions is not None}
        self._context = self._relative(raw)
        self._indicator = torch.nonzero(needs_indicator(self._context) & self._first_of_each()).flatten()
        self._chosen = torch.arange(len(self._kept) + len(self._indicator))
        self.notes: dict[str, Any] = {}
        if len(self._chosen) > max_columns:
            self._choose(max_columns, context)
        many = {
            int(place)
            for place, column in zip(first, self._columns, strict=True)
            if column.is_discrete and 0 < many_levels <= len(column.levels)
        }
        among_kept = {i for i, place in enumerate(self._kept) if int(place) in many}
        self.levels = tuple(i for i, chosen in enumerate(self._chosen.tolist()) if chosen in among_kept)

    def encode(self, table: Table) -> Tensor:
        present = set(table.schema.names)
        blocks = [
            self._block(column, table) if column.name in present else np.full((len(table), width), np.nan)
            for column, width in zip(self._columns, self._widths, strict=True)
        ]
        return self._filled(self._relative(np.column_stack(blocks)[:, self._kept]))[:, self._chosen]

    def _choose(self, max_columns: int, context: Table) -> None:
        n = len(self._chosen)
        if n > MAX_CHOSEN_FROM:
            raise Unsupported(
                f"the model takes {max_columns} encoded columns, chosen from at most {MAX_CHOSEN_FROM:,}; the table has"
                f" {n:,} ({len(self._indicator)} of them mark missing values)."
            )
        chosen = telling_columns(self._filled(self._context).numpy(), context.labels, max_columns)
        self._chosen = torch.from_numpy(chosen)
        self.notes["columns"] = (
            f"{max_columns} of {n} encoded columns were kept: those whose ranks differ most between the classes of the"
            " training rows"
        )

    def _filled(self, x: Tensor) -> Tensor:
        filled = fill_missing(self._context, x, self._indicator)
        for place, positions in self._positions.items():
            filled[torch.isnan(x[:, place]), place] = positions.mean
        return filled

    def _relative(self, raw: np.ndarray[Any, Any]) -> Tensor:
        """float64 (rows, kept columns) as float32; NaN stays NaN."""
        raw = raw.copy()
        for place, positions in self._positions.items():
            raw[:, place] = positions.of(raw[:, place])
        return torch.from_numpy(np.clip(raw, -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32))

    def _first_of_each(self) -> Tensor:
        """Which kept columns are the first of their feature: the others of a time or text are missing where it is."""
        features = np.repeat(np.arange(len(self._widths)), self._widths)[self._kept]
        return torch.from_numpy(np.append(True, features[1:] != features[:-1]))

    def _block(self, column: Column, table: Table) -> np.ndarray[Any, Any]:
        """The numbers of one feature: float64 (rows, its parts), NaN where a number is missing."""
        values = table.frame[column.name]
        if column.name in self._parts:
            return self._parts[column.name](values)
        if not column.is_discrete:
            known = values.to_numpy(dtype=np.float64) if column.is_number else np.full(len(values), np.nan)
            return known[:, None]  # a time or text that the context never has says nothing
        numbers = self._levels[column.name]
        by_code = np.array(
            [numbers.get(level, len(numbers)) for level in table.schema[column.name].levels] + [len(numbers)]
        )
        codes: np.ndarray[Any, Any] = by_code[values.cat.codes.to_numpy()]  # code -1, missing, is the last entry
        return codes.astype(np.float64)[:, None]


def _varies(values: np.ndarray[Any, Any], is_first: bool) -> bool:
    """Whether a column says anything; that a value is missing is said by the first column of its feature."""
    return len(np.unique(values if is_first else values[~np.isnan(values)])) > 1


def telling_columns(x: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, Any]:
    """The columns of ``x`` (rows, columns) whose ranks differ most between classes, ascending.

    By the F statistic of an analysis of variance on ranks, which decides as Kruskal and Wallis' H does (Conover and
    Iman 1981). Each column is judged on its own: one that tells only together with another may go.
    """
    ranks = rankdata(x, axis=0)
    grand = ranks.mean(axis=0)
    between = np.zeros(x.shape[1])
    for label in np.unique(labels):
        mine = ranks[labels == label]
        between += len(mine) * (mine.mean(axis=0) - grand) ** 2
    total = ((ranks - grand) ** 2).sum(axis=0)
    share = np.divide(between, total, out=np.zeros_like(between), where=total > 0)  # F grows with it
    return np.sort(np.argsort(-share, kind="stable")[:most])


def _positions_where_due(values: np.ndarray[Any, Any]) -> _Positions | None:
    """Positions for a column whose values float32 cannot tell apart, or not hold; None for any other."""
    known = np.unique(values[~np.isnan(values)])
    if len(known) == 0:
        return None
    low, high = FLOAT32_RANGE
    if low <= np.abs(known).max() <= high and len(np.unique(known.astype(np.float32))) >= RESOLVED * len(known):
        return None
    return None if len(known) == 1 and known[0] == 0 else _Positions(known, values)
