"""From a Table to the numbers Tab2D reads, by the context rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tabgen.errors import Unsupported
from tabgen.models.base import Encoder
from tabgen.models.missing import fill_missing, needs_indicator
from tabgen.table import Column, Level, Table

RESOLVED = 0.99
"""Share of a column's different values that must stay different as float32 for the column to be cast as it is."""
FLOAT32_RANGE = (1e-30, 1e30)
"""Beyond these, sums and differences of float32 overflow or vanish."""
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
    - Missing numbers become the context's mean, with a 0/1 column beside it (see ``models.missing``).
    - Columns that are constant in the context are left out: they say nothing, and cost time.

    The model itself ranks and z-scores the numbers against the support rows.
    """

    def __init__(self, context: Table, max_columns: int) -> None:
        self._columns = context.schema.columns
        self._numbers: dict[str, dict[Level, int]] = {
            c.name: {level: number for number, level in enumerate(c.levels)} for c in self._columns if c.is_discrete
        }
        raw = self._raw(context)
        self._kept = [i for i in range(raw.shape[1]) if len(np.unique(raw[:, i])) > 1]
        self._positions = {
            place: positions
            for place, i in enumerate(self._kept)
            if (positions := _positions_where_due(raw[:, i])) is not None
        }
        self._context = self._relative(raw[:, self._kept])
        self._indicator = torch.nonzero(needs_indicator(self._context)).flatten()
        n_columns = len(self._kept) + len(self._indicator)
        if n_columns > max_columns:
            raise Unsupported(
                f"the model takes at most {max_columns} encoded columns; the table has {n_columns}"
                f" ({len(self._indicator)} of them mark missing values)."
            )
        if n_columns == 0:
            raise Unsupported("every feature column is constant in the training rows: there is nothing to learn from.")

    def encode(self, table: Table) -> Tensor:
        x = self._relative(self._raw(table)[:, self._kept])
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

    def _raw(self, table: Table) -> np.ndarray[Any, Any]:
        """float64 (rows, features) with NaN for missing numbers; columns that the table lacks are all missing."""
        present = set(table.schema.names)
        columns = [
            self._column(column, table) if column.name in present else np.full(len(table), np.nan)
            for column in self._columns
        ]
        return np.column_stack(columns)

    def _column(self, column: Column, table: Table) -> np.ndarray[Any, Any]:
        values = table.frame[column.name]
        if not column.is_discrete:
            return values.to_numpy(dtype=np.float64)
        numbers = self._numbers[column.name]
        by_code = np.array(
            [numbers.get(level, len(numbers)) for level in table.schema[column.name].levels] + [len(numbers)]
        )
        codes: np.ndarray[Any, Any] = by_code[values.cat.codes.to_numpy()]  # code -1, missing, is the last entry
        return codes.astype(np.float64)


def _positions_where_due(values: np.ndarray[Any, Any]) -> _Positions | None:
    """Positions for a column whose values float32 cannot tell apart, or not hold; None for any other."""
    known = np.unique(values[~np.isnan(values)])
    if len(known) == 0:
        return None
    low, high = FLOAT32_RANGE
    if low <= np.abs(known).max() <= high and len(np.unique(known.astype(np.float32))) >= RESOLVED * len(known):
        return None
    return None if len(known) == 1 and known[0] == 0 else _Positions(known, values)
