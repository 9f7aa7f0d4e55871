"""The columns of a table as nodes of a graph: numbers, codes, and what can be set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tabgen import Table

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Nodes:
    """Features and target as numbers, with the columns that need no node of their own.

    Attributes
    ----------
    names : list of str
        Feature names, then the target's.
    values : ndarray, shape (rows, columns)
        Numbers, and codes of levels.
    discrete : ndarray of bool, shape (columns,)
    kept : list of int
        Columns that become nodes; the target, last, always does.
    constant : list of int
    copies : dict
        Column -> the earlier column that it repeats: the same numbers up to scale and shift, or the same
        grouping of the rows.
    """

    names: list[str]
    values: Array
    discrete: Array
    kept: list[int]
    constant: list[int]
    copies: dict[int, int]

    @property
    def target(self) -> int:
        return len(self.names) - 1


def read_nodes(table: Table) -> Nodes:
    schema = table.schema
    values = np.column_stack([table.to_matrix(), table.labels])
    discrete = np.array([*(c.is_discrete for c in schema.columns), True])
    kept: list[int] = []
    constant: list[int] = []
    copies: dict[int, int] = {}
    marks: dict[bytes, int] = {}
    for i in range(len(schema.columns)):
        mark = _mark(values[:, i], bool(discrete[i]))
        if mark is None:
            constant.append(i)
        elif mark in marks:
            copies[i] = marks[mark]
        else:
            marks[mark] = i
            kept.append(i)
    return Nodes([*schema.names, schema.target], values, discrete, [*kept, len(schema.columns)], constant, copies)


def _mark(values: Array, discrete: bool) -> bytes | None:
    """What two columns share if and only if they say the same; None for a constant column."""
    if (values == values[0]).all():
        return None
    if discrete:
        _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
        by_appearance = np.argsort(np.argsort(first))
        return b"d" + bytes(by_appearance[inverse].astype(np.int32).tobytes())
    low, high = values.min(), values.max()
    unit = (values / 2 - low / 2) / (high / 2 - low / 2)  # halves: the range of huge numbers stays finite
    unit = 1 - unit if unit[np.argmax(np.abs(unit - 0.5) > 1e-6)] > 0.5 else unit  # x and -x say the same
    return b"n" + bytes(np.round(unit, 9).tobytes())


def copy_column(source: Array, target: Array, drawn: Array, discrete: bool) -> Array:
    """Values of a column that repeats ``source``, for new values ``drawn`` of the source."""
    if discrete:
        pairs = dict(zip(source.tolist(), target.tolist(), strict=True))
        return np.array([pairs[value] for value in drawn.tolist()])
    low, high = np.argmin(source), np.argmax(source)
    slope = (target[high] - target[low]) / (source[high] - source[low])
    repeated: Array = target[low] + slope * (drawn - source[low])
    return repeated


def for_discovery(values: Array, discrete: Array, max_levels: int) -> Array:
    """Columns as the tests like them: normal scores of numbers, rare levels merged into one.

    Normal scores (van der Waerden) make the linear test one of monotone dependence, which heavy tails do not
    upset. Beyond ``max_levels``, the rarest levels share a code.
    """
    from scipy import stats

    columns = []
    for i in range(values.shape[1]):
        column = values[:, i]
        if discrete[i]:
            levels, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
            if len(levels) > max_levels:
                rank = np.argsort(np.argsort(-counts, kind="stable"))
                codes = np.minimum(rank, max_levels - 1)[codes]
            columns.append(codes.astype(np.float64))
        else:
            columns.append(stats.norm.ppf((stats.rankdata(column) - 0.5) / len(column)))
    return np.column_stack(columns)
