"""Stand-ins: what a generator is given for dates, and for texts it does not take, and the way back.

A generator samples numbers and categories. A date stands as the time since the column's earliest one: whole days or
seconds where that is exact, else seconds with a fraction. A text that a generator does not take is kept from it; each
row it draws is given the text of the real row most like it, of the same class, or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from tabgen.column import Column, Kind
from tabgen.errors import InvalidOutput, Unsupported
from tabgen.table import Schema, Table

if TYPE_CHECKING:
    from tabgen.generator import GeneratorInfo

TextRule = Literal["nearest", "leave-out"]
TEXT_RULES: tuple[TextRule, ...] = ("nearest", "leave-out")
UNITS = (86_400_000_000, 1_000_000)
"""Microseconds of a day and of a second: the coarsest that all of a column's differences are made of."""
CALENDAR = 400_000 * 365 * 86_400_000_000 // 2
"""Microseconds from 1970 to the end of what a timestamp can be, both ways."""


@dataclass(frozen=True)
class _Clock:
    """How the times of one column stand as numbers."""

    origin: int
    unit: int

    @property
    def kind(self) -> Kind:
        return "integer" if self.unit > 1 else "numeric"

    @classmethod
    def of(cls, times: pd.Series[Any]) -> _Clock:
        known = times.dropna().to_numpy().astype("datetime64[us]").astype(np.int64)
        if len(known) == 0:
            return cls(0, UNITS[-1])
        since = known - known.min()
        return cls(int(known.min()), next((unit for unit in UNITS if not (since % unit).any()), 1))

    def numbers(self, times: pd.Series[Any]) -> pd.Series[Any]:
        since = times.to_numpy().astype("datetime64[us]").astype(np.int64) - self.origin
        values = since // self.unit if self.unit > 1 else since / UNITS[-1]
        missing = times.isna().to_numpy()
        return pd.Series(np.where(missing, np.nan, values) if missing.any() else values, index=times.index)

    def times(self, numbers: pd.Series[Any], source: str) -> pd.Series[Any]:
        missing = numbers.isna().to_numpy()
        values = np.where(missing, 0.0, numbers.to_numpy(dtype=np.float64))
        unit = self.unit if self.unit > 1 else UNITS[-1]
        if (np.abs(values) > CALENDAR / unit).any():
            raise InvalidOutput(
                f"column '{numbers.name}' of {source} holds a time beyond the calendar:"
                f" {values[np.abs(values).argmax()]:g} {'days' if unit == UNITS[0] else 'seconds'} after the first."
            )
        since = values.astype(np.int64) * unit if self.unit > 1 else np.round(values * unit).astype(np.int64)
        moments = (since + self.origin).astype("datetime64[us]")
        moments[missing] = np.datetime64("NaT")
        return pd.Series(moments, index=numbers.index, name=numbers.name)


def stand_in(table: Table, info: GeneratorInfo) -> Table:
    """``table`` as a generator gets it: without dates, and without texts unless it takes them.

    Raises
    ------
    Unsupported
        If the generator takes no text and there is nothing else.
    """
    kept = [c for c in table.schema.columns if c.kind != "text" or info.accepts_text]
    if not kept:
        raise Unsupported(f"{info.name} takes no text, and the table has no other feature column.")
    return _stand_in(table, kept)


def _stand_in(table: Table, kept: list[Column]) -> Table:
    frame = table.frame[[*(c.name for c in kept), table.schema.target]].copy(deep=False)
    columns = []
    for column in kept:
        if column.kind == "datetime":
            clock = _Clock.of(table.frame[column.name])
            frame[column.name] = clock.numbers(table.frame[column.name])
            column = Column(column.name, clock.kind)
        columns.append(column)
    return Table(frame, Schema(tuple(columns), table.schema.target, table.schema.classes))


def stand_back(sample: Table, table: Table, text: TextRule, seed: int, source: str) -> Table:
    """``sample``, drawn from the stand-in of ``table``, as rows of ``table``.

    Parameters
    ----------
    sample : Table
        Some of the stand-in's columns, or all.
    table : Table
        What the stand-in was made of.
    text : {"nearest", "leave-out"}
        Where texts come from that the generator did not take.
    seed : int
        Decides between real rows that are equally near.

    Raises
    ------
    InvalidOutput
        For a time that no calendar has.
    """
    if all(column.kind not in ("datetime", "text") for column in table.schema.columns):
        return sample  # it was drawn from the table itself
    drawn, frame, columns = set(sample.schema.names), sample.frame.copy(deep=False), []
    texts = [c.name for c in table.schema.columns if c.kind == "text" and c.name not in drawn]
    rows = nearest_rows(sample, table, seed) if texts and text == "nearest" else None
    for column in table.schema.columns:
        if column.name in texts and rows is not None:
            frame[column.name] = table.frame[column.name].to_numpy()[rows]
        elif column.name not in drawn:
            continue
        elif column.kind == "datetime":
            frame[column.name] = _Clock.of(table.frame[column.name]).times(frame[column.name], source)
        columns.append(column if column.kind in ("datetime", "text") else sample.schema[column.name])
    schema = Schema(tuple(columns), table.schema.target, table.schema.classes)
    return Table(frame[[*schema.names, schema.target]], schema)


def nearest_rows(sample: Table, table: Table, seed: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """For each row of ``sample`` the row of ``table`` of the same class with the least Gower distance.

    Source: Gower, *A general coefficient of similarity* (1971): numbers by difference over the column's range, levels
    by being the same or not. Among rows equally near one is drawn, and a class that the table lacks looks at every row.
    """
    compared = _stand_in(table, [c for c in table.schema.columns if c.kind != "text"])
    order = np.random.default_rng(seed).permutation(len(table))  # the first of the equally near, in random order
    chosen = np.zeros(len(sample), dtype=np.intp)
    names = [c for c in compared.schema.columns if c.name in sample.schema.names]
    for label in np.unique(sample.labels):
        mine = np.flatnonzero(sample.labels == label)
        theirs = order[table.labels[order] == label]
        theirs = theirs if len(theirs) else order
        distance = np.zeros((len(mine), len(theirs)))
        for column in names:
            distance += _differences(
                column, sample.frame[column.name].iloc[mine], compared.frame[column.name].iloc[theirs]
            )
        chosen[mine] = theirs[distance.argmin(axis=1)]
    return chosen


def _differences(column: Column, left: pd.Series[Any], right: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """0 to 1 for every pair, (left, right); a missing value is like another and unlike any other value."""
    if column.is_discrete:
        levels = [values.astype(object).where(values.notna(), None).map(str).to_numpy() for values in (left, right)]
        different: np.ndarray[Any, Any] = (levels[0][:, None] != levels[1][None, :]).astype(np.float64)
        return different
    a: np.ndarray[Any, Any] = left.to_numpy(dtype=np.float64)
    b: np.ndarray[Any, Any] = right.to_numpy(dtype=np.float64)
    span = np.nanmax(b) - np.nanmin(b) if not np.isnan(b).all() else 0.0
    away = np.minimum(np.abs(a[:, None] - b[None, :]) / (span or 1.0), 1.0)
    missing: np.ndarray[Any, Any] = np.isnan(a)[:, None].astype(int) + np.isnan(b)[None, :]
    found: np.ndarray[Any, Any] = np.where(missing == 0, away, np.where(missing == 1, 1.0, 0.0))
    return found
