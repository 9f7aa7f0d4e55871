"""Flags that say what one's own table is: shared by `run`, `generate` and `look`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from tabgen.errors import TableError
from tabgen.text import clean

if TYPE_CHECKING:
    from tabgen.table import Table

KIND = typer.Option(
    [], "--kind", metavar="COLUMN=KIND", help="A column's kind, where it is not as it seems; repeatable."
)
DROP = typer.Option([], "--drop", metavar="COLUMN", help="A column to leave out; repeatable.")
MISSING = typer.Option([], "--missing", metavar="TEXT", help="A text that means a missing value; repeatable.")
DELIMITER = typer.Option(None, "--delimiter", help="The character between columns, if it is not found out.")
DECIMAL = typer.Option(None, "--decimal", help="The decimal sign, '.' or ','; the other one groups thousands.")
ENCODING = typer.Option(None, "--encoding", help="Encoding of the file, such as latin-1.")
DAY_FIRST = typer.Option(None, "--day-first/--month-first", help="Whether 03/04/2020 is in April or in March.")


def warn_of(table: Table, folds: int = 0) -> None:
    """Say on standard error what of one's own table spoils a comparison, or is copied into synthetic rows."""
    from tabgen.findings import worth_a_warning

    say_warnings(worth_a_warning(table, folds))


def say_warnings(messages: list[str]) -> None:
    for message in messages:
        typer.secho(clean(f"tabgen: warning: {message}"), fg="yellow", err=True)


def kinds_of(kind: list[str], drop: list[str]) -> dict[str, str]:
    """Column kinds from `--kind COLUMN=KIND` and `--drop COLUMN`."""
    kinds = {}
    for text in kind:
        column, equals, value = text.rpartition("=")
        if not equals or not column:
            raise TableError(f"--kind takes COLUMN=KIND, such as zip=categorical; not '{text}'.")
        kinds[column] = value
    return kinds | dict.fromkeys(drop, "drop")


def reading_of(
    missing: list[str], delimiter: str | None, decimal: str | None, encoding: str | None, day_first: bool | None
) -> dict[str, Any]:
    """The reading options that were given, as :class:`tabgen.reader.ReadOptions` has them."""
    delimiter = {"\\t": "\t", "tab": "\t", "space": " "}.get(delimiter or "", delimiter)
    given = {"delimiter": delimiter, "decimal": decimal, "encoding": encoding, "day_first": day_first}
    return {name: value for name, value in given.items() if value is not None} | (
        {"missing": missing} if missing else {}
    )
