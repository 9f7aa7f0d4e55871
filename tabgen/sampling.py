"""Fitting a generator and drawing from it, with everything the core promises and checks around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tabgen.errors import InvalidOutput
from tabgen.generator import FitContext, Generator, GeneratorInfo
from tabgen.missingness import NOTE, draw_missing
from tabgen.standins import TextRule, stand_back, stand_in
from tabgen.table import Schema, Table
from tabgen.text import counted


def impute(table: Table) -> tuple[Table, list[str]]:
    """Missing numbers become the column's median, missing levels its most frequent; and which columns those were.

    A column without any value becomes 0, or its first level; a missing text the empty one.
    """
    frame, filled = table.frame.copy(deep=False), []
    for column in table.schema.columns:
        values = frame[column.name]
        if not values.isna().any():
            continue
        filled.append(column.name)
        if column.kind == "text":
            frame[column.name] = values.fillna("")
        elif column.is_discrete:
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
    """The table a generator is fitted on: what the rows themselves show, in the kinds that generators know.

    Dates stand as numbers and texts are kept back (see :mod:`tabgen.standins`), missing values filled where it must be.

    Returns the table and the names of the columns that were filled.

    Raises
    ------
    Unsupported
        If the table is beyond the generator's limits.
    """
    observed = stand_in(table.observed(), generator.info)
    generator.info.limits.check(observed, generator.info.name)
    return (observed, []) if generator.info.accepts_missing else impute(observed)


def texts_kept_back(info: GeneratorInfo, table: Table, text: TextRule) -> dict[str, Any]:
    """A note of the texts that a generator is not given, and of where those of its rows come from."""
    names = [c.name for c in table.schema.columns if c.kind == "text" and not info.accepts_text]
    return {"text_columns": dict.fromkeys(names, text)} if names else {}


def fit_generator(generator: Generator, table: Table, context: FitContext, text: TextRule = "nearest") -> None:
    """Fit ``generator`` on ``table``; columns that were imputed, or kept from it, are noted in the context."""
    prepared, filled = prepare(generator, table)
    context.notes |= texts_kept_back(generator.info, table, text)
    if filled:
        context.notes |= {"imputed_columns": filled, "missing_values": NOTE}
    generator.fit(prepared, context)


def draw_sample(
    generator: Generator, table: Table, n_rows: int, seed: int, text: TextRule = "nearest", marks: bool = True
) -> Table:
    """``n_rows`` rows from a fitted generator, checked as :func:`draw_rows` does, and for holding several classes.

    Raises
    ------
    InvalidOutput
        As for :func:`draw_rows`, and for rows of one class only.
    """
    sample = draw_rows(generator, table, n_rows, seed, text, marks)
    check_classes(sample, generator.info)
    return sample


def draw_rows(
    generator: Generator, table: Table, n_rows: int, seed: int, text: TextRule = "nearest", marks: bool = True
) -> Table:
    """``n_rows`` rows from a fitted generator, checked against the table it was fitted on.

    They may be a part of a sample, and then hold one class: :func:`check_classes` is for whoever has the whole.

    Rows of a generator that takes no missing values miss what rows of the table miss
    (:func:`tabgen.missingness.draw_missing`), unless ``marks`` is False. Dates are cast back, and texts that the
    generator does not take are added by the rule ``text``.

    Raises
    ------
    InvalidOutput
        If the sample has other columns (unless the generator declares it), another number of rows, unknown
        levels or classes, infinities, or missing values in a column that has none.
    """
    info = generator.info
    drawn = generator.sample(n_rows, seed)
    frame = drawn.frame if isinstance(drawn, Table) else drawn
    if not isinstance(frame, pd.DataFrame):
        raise InvalidOutput(f"{_source(info)} is a {type(frame).__name__}; a Table or a DataFrame is due.")
    observed = table.observed()
    given = stand_in(observed, info)
    expected = expected_table(info, given, [str(name) for name in frame.columns])
    sample = expected.like(frame, _source(info))
    check_sample(sample, expected, info, n_rows)
    if marks and not info.accepts_missing:
        sample = draw_missing(sample, given, seed)
    return stand_back(sample, observed, text, seed, _source(info))


def _source(info: GeneratorInfo) -> str:
    return f"the sample of generator '{info.name}'"


def expected_table(info: GeneratorInfo, table: Table, names: Sequence[str]) -> Table:
    """The training rows, in the kinds that generators know, under the schema that a sample of these columns has."""
    expected = table
    if not info.accepts_missing:
        expected = _with_filled_levels(expected)
    return _with_columns_of(names, expected, _source(info)) if info.changes_columns else expected


def check_sample(sample: Table, expected: Table, info: GeneratorInfo, n_rows: int) -> None:
    """Raise :class:`InvalidOutput` for what a schema does not say: number of rows, missing values."""
    if len(sample) != n_rows:
        raise InvalidOutput(
            f"{_source(info)} has {counted(len(sample), 'row')}; {n_rows} {'was' if n_rows == 1 else 'were'} asked for."
        )
    check_missing(sample, expected, _source(info))


def check_missing(sample: Table, expected: Table, source: str) -> None:
    """Raise :class:`InvalidOutput` for missing values in a column that has none."""
    for column in sample.schema.columns:
        missing = pd.isna(sample.frame[column.name].array)  # a redraw comes through here: no Series is made on the way
        if missing.any() and not expected.frame[column.name].isna().any():
            raise InvalidOutput(f"column '{column.name}' of {source} has missing values; the real one has none.")


def check_classes(sample: Table, info: GeneratorInfo) -> None:
    """Raise :class:`InvalidOutput` if several rows are all of one class: nothing can be learnt from them."""
    if len(sample) > 1 and len(set(sample.labels.tolist())) < 2:
        only = sample.frame[sample.schema.target].iloc[0]
        hint = f" {info.one_class}" if info.one_class else ""
        raise InvalidOutput(f"{_source(info)} holds one class only ({only!r}).{hint}")


def _with_filled_levels(table: Table) -> Table:
    """``table`` under the schema it has once imputed: a column without any value was given a level to hold."""
    return Table(table.frame, impute(table)[0].schema)


def _with_columns_of(names: Sequence[str], table: Table, source: str) -> Table:
    """``table`` with only the feature columns among ``names``; at least one is due."""
    columns = tuple(c for c in table.schema.columns if c.name in set(names))
    if not columns:
        raise InvalidOutput(f"{source} has none of the feature columns.")
    schema = Schema(columns, table.schema.target, table.schema.classes)
    return Table(table.frame[[*schema.names, schema.target]], schema)
