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


class TableEncoder(Encoder):
    """One number per cell: numbers as they are, levels as their position, missing values filled and marked.

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
        varying = [i for i in range(raw.shape[1]) if len(torch.unique(torch.nan_to_num(raw[:, i], nan=-1e30))) > 1]
        self._kept = torch.tensor(varying, dtype=torch.int64)
        self._context = raw[:, self._kept]
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
        return fill_missing(self._context, self._raw(table)[:, self._kept], self._indicator)

    def _raw(self, table: Table) -> Tensor:
        """(rows, features) with NaN for missing numbers; columns that the table lacks are all missing."""
        present = set(table.schema.names)
        columns = [
            self._column(column, table) if column.name in present else np.full(len(table), np.nan)
            for column in self._columns
        ]
        return torch.from_numpy(np.column_stack(columns).astype(np.float32))

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
