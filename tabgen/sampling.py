"""Fitting a generator and drawing from it, with everything the core promises and checks around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tabgen.errors import InvalidOutput
from tabgen.generator import FitContext, Generator
from tabgen.missingness import NOTE, draw_missing
from tabgen.table import Schema, Table


def impute(table: Table) -> tuple[Table, list[str]]:
    """Missing numbers become the column's median, missing levels its most frequent; and which columns those were.

    A column without any value becomes 0, or its first level.
    """
    frame, filled = table.frame.copy(deep=False), []
    for column in table.schema.columns:
        values = frame[column.name]
        if not values.isna().any():
            continue
        filled.append(column.name)
        if column.is_discrete:
            known = values.mode()
            value: Any = known.iloc[0] if len(known) else column.levels[0] if column.levels else None
            if value is None:  # a categorical column that holds nothing at all: give it one level
                frame[column.name] = pd.Categorical(["missing"] * len(values), categories=["missing"])
            else:
                frame[column.name] = values.fillna(value)
        else:
            known = values.dropna()
            value = float(known.median()) if len(known) else 0.0
            complete = values.fillna(round(value) if column.kind == "integer" else value)
            frame[column.name] = complete.astype("int64") if column.kind == "integer" else complete
    if not filled:
        return table, filled
    columns = tuple(
        type(c)(c.name, c.kind, ("missing",)) if c.kind == "categorical" and not c.levels else c
        for c in table.schema.columns
    )
    return Table(frame, Schema(columns, table.schema.target, table.schema.classes)), filled


def prepare(generator: Generator, table: Table) -> tuple[Table, list[str]]:
    """The table a generator is fitted on: what the rows themselves show, missing values filled where it must be.

    Returns the table and the names of the columns that were filled.

    Raises
    ------
    Unsupported
        If the table is beyond the generator's limits.
    """
    generator.info.limits.check(table, generator.info.name)
    observed = table.observed()
    return (observed, []) if generator.info.accepts_missing else impute(observed)


def fit_generator(generator: Generator, table: Table, context: FitContext) -> None:
    """Fit ``generator`` on ``table``; columns that had to be imputed are noted in the context."""
    prepared, filled = prepare(generator, table)
    if filled:
        context.notes |= {"imputed_columns": filled, "missing_values": NOTE}
    generator.fit(prepared, context)


def draw_sample(generator: Generator, table: Table, n_rows: int, seed: int, marks: bool = True) -> Table:
    """``n_rows`` rows from a fitted generator, checked against the table it was fitted on.

    Rows of a generator that takes no missing values miss what rows of the table miss
    (:func:`tabgen.missingness.draw_missing`), unless ``marks`` is False.

    Raises
    ------
    InvalidOutput
        If the sample has other columns (unless the generator declares it), another number of rows, unknown
        levels or classes, infinities, missing values in a column that has none, or rows of one class only.
    """
    source = f"the sample of generator '{generator.info.name}'"
    drawn = generator.sample(n_rows, seed)
    frame = drawn.frame if isinstance(drawn, Table) else drawn
    if not isinstance(frame, pd.DataFrame):
        raise InvalidOutput(f"{source} is a {type(frame).__name__}; a Table or a DataFrame is due.")
    expected = table.observed()
    if not generator.info.accepts_missing:
        expected = _with_filled_levels(expected)
    if generator.info.changes_columns:
        expected = _with_columns_of(frame, expected, source)
    sample = expected.like(frame, source)
    if len(sample) != n_rows:
        raise InvalidOutput(f"{source} has {len(sample)} rows; {n_rows} were asked for.")
    for column in sample.schema.columns:
        if sample.frame[column.name].isna().any() and not expected.frame[column.name].isna().any():
            raise InvalidOutput(f"column '{column.name}' of {source} has missing values; the real one has none.")
    check_classes(sample, generator)
    return draw_missing(sample, table, seed) if marks and not generator.info.accepts_missing else sample


def check_classes(sample: Table, generator: Generator) -> None:
    """Raise :class:`InvalidOutput` if several rows are all of one class: nothing can be learnt from them."""
    if len(sample) > 1 and len(set(sample.labels.tolist())) < 2:
        only = sample.frame[sample.schema.target].iloc[0]
        raise InvalidOutput(f"the sample of generator '{generator.info.name}' holds one class only ({only!r}).")


def _with_filled_levels(table: Table) -> Table:
    """``table`` under the schema it has once imputed: a column without any value was given a level to hold."""
    return Table(table.frame, impute(table)[0].schema)


def _with_columns_of(frame: pd.DataFrame, table: Table, source: str) -> Table:
    """``table`` with only the feature columns that ``frame`` has; at least one is due."""
    columns = tuple(c for c in table.schema.columns if c.name in frame.columns)
    if not columns:
        raise InvalidOutput(f"{source} has none of the feature columns.")
    schema = Schema(columns, table.schema.target, table.schema.classes)
    return Table(table.frame[[*schema.names, schema.target]], schema)


def share_rows(n_rows: int, weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whole rows per class in proportion to ``weights``, largest remainder first, one each where there is room.

    Examples
    --------
    >>> import numpy as np
    >>> share_rows(10, np.array([98, 1, 1])), share_rows(2, np.array([5, 4, 4])), share_rows(7, np.array([1, 1, 0]))
    (array([8, 1, 1]), array([1, 1, 0]), array([4, 3, 0]))
    """
    weights = np.asarray(weights, dtype=np.float64)
    exact = n_rows * weights / weights.sum()
    shares: np.ndarray[Any, Any] = np.floor(exact).astype(int)
    if n_rows >= (weights > 0).sum():
        shares = np.maximum(shares, weights > 0)
    while shares.sum() < n_rows:
        shares[np.argmax(exact - shares)] += 1
    while shares.sum() > n_rows:
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
    return shares
