"""Tables without some of their feature columns."""

from __future__ import annotations

from collections.abc import Collection

from tabgen.table import Schema, Table


def only(table: Table, names: Collection[str]) -> Table:
    """The table with those of its feature columns that are named."""
    columns = tuple(column for column in table.schema.columns if column.name in names)
    kept = Schema(columns, table.schema.target, table.schema.classes)
    return Table(table.frame[[*kept.names, kept.target]], kept)


def without(table: Table, names: Collection[str]) -> Table:
    """The table without the feature columns that are named; with all of them if none would be left."""
    kept = [name for name in table.schema.names if name not in names]
    return only(table, kept) if kept else table
