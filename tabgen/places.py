"""Rows of any columns as numbers between 0 and 1, by the training rows, and how far rows are from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tabgen.table import Table

Array = np.ndarray[Any, Any]


class Places:
    """Columns as numbers that a forest can take, whatever they hold: fitted on the training rows.

    Parameters
    ----------
    train : Table
    names : list of str
        Feature columns; those of free text are passed over.
    """

    def __init__(self, train: Table, names: list[str]) -> None:
        self.columns = [column for column in map(train.schema.__getitem__, names) if column.kind != "text"]
        self.known = {
            c.name: np.unique(_numbers(train.frame[c.name].dropna())) for c in self.columns if not c.is_discrete
        }

    def __call__(self, table: Table, beyond: bool = False) -> Array:
        """Places in the training rows' distribution, positions of levels (-1: unknown); NaN where missing.

        Numbers outside of the training rows' range take its ends; with ``beyond``, places up to 1 below 0 or above 1.
        """
        columns = []
        for column in self.columns:
            values = table.frame[column.name]
            if column.is_discrete:
                place = {level: float(code) for code, level in enumerate(column.levels)}
                known = values.astype(object)
                columns.append(known.map(place).fillna(-1.0).where(known.notna()).to_numpy(dtype=np.float64))
                continue
            numbers, knots = _numbers(values), self.known[column.name]
            places = np.interp(numbers, knots, np.linspace(0, 1, len(knots))) if len(knots) else 0 * numbers
            columns.append(places + _outside(numbers, knots) if beyond and len(knots) else places)
        return np.column_stack(columns) if columns else np.zeros((len(table), 1))


def _outside(numbers: Array, knots: Array) -> Array:
    """How far numbers are below (negative) or above the range of these: 1/2 at its own width, always less than 1."""
    away = numbers - np.clip(numbers, knots[0], knots[-1])
    width = np.abs(away) + (knots[-1] - knots[0])
    found: Array = np.divide(away, width, out=np.zeros_like(away), where=width > 0)
    return found


def _numbers(values: pd.Series[Any]) -> Array:
    """Numbers, and times as microseconds; NaN where missing."""
    if values.dtype.kind != "M":
        return values.to_numpy(dtype=np.float64)
    moments: Array = values.to_numpy().astype("datetime64[us]").astype(np.int64).astype(np.float64)
    moments[values.isna().to_numpy()] = np.nan
    return moments


def distances(places: Places, left: Table, right: Table) -> Array:
    """How far each row is from each: (left rows, right rows), 0 for equal rows to 1.

    The mean over the columns and the class: of numbers the difference of their places, of levels and classes whether
    they differ (Gower 1971, with ranks, so that no outlier decides the scale; 1 at most). A missing value is like
    another, and unlike any other.
    """
    ours, theirs = (places(table, beyond=True) for table in (left, right))
    away = (left.labels[:, None] != right.labels[None, :]).astype(np.float32)
    for number, column in enumerate(places.columns):
        a, b = ours[:, number].astype(np.float32)[:, None], theirs[:, number].astype(np.float32)[None, :]
        apart = (a != b).astype(np.float32) if column.is_discrete else np.minimum(np.abs(a - b), 1)
        missing = np.isnan(a).astype(np.int8) + np.isnan(b)
        away += np.where(missing == 0, apart, np.where(missing == 1, 1.0, 0.0)).astype(np.float32)
    found: Array = away / (len(places.columns) + 1)
    return found


def cap(table: Table, most: int, rng: np.random.Generator) -> Table:
    """The table, or so many of its rows drawn at random, in their order."""
    return table if len(table) <= most else table.take(np.sort(rng.permutation(len(table))[:most]))
