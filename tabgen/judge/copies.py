"""Columns that name rows, and free text: how many of their real values stand in the synthetic rows."""

from __future__ import annotations

from dataclasses import dataclass

from tabgen.findings import findings, names_nearly_all, quoted
from tabgen.table import Table

IDENTIFIER, NAMES, TEXT = "identifier", "nearly another value in every row", "free text"


@dataclass(frozen=True)
class Copied:
    """The values of one column that a generator may copy from the real rows.

    Attributes
    ----------
    column : str
    what : str
        Why the column is watched: :data:`IDENTIFIER`, :data:`NAMES` or :data:`TEXT`.
    values, copied : int
        Synthetic values that are not missing, and how many of them stand in a real row.
    """

    column: str
    what: str
    values: int
    copied: int

    @property
    def share(self) -> float:
        return self.copied / self.values if self.values else 0.0

    def __str__(self) -> str:
        return (
            f"column '{self.column}' ({self.what}): {self.copied:,} of {self.values:,} synthetic values"
            f" ({self.share:.0%}) are those of real rows"
        )


def watched(table: Table) -> dict[str, str]:
    """The feature columns whose values name rows or persons, each with why."""
    found = {c.name: NAMES for c in table.schema.columns if names_nearly_all(c, table.frame[c.name])}
    found |= {finding.columns[0]: IDENTIFIER for finding in findings(table, 0) if finding.kind == "identifier"}
    return found | {c.name: TEXT for c in table.schema.columns if c.kind == "text"}


def names_of_rows(columns: dict[str, str]) -> list[str]:
    """Of watched columns those that are no free text: what they copy is counted, and other measures leave them out.

    A name that differs in every row makes no row equal to another, and none near, whatever else is copied.
    """
    return [name for name, what in columns.items() if what != TEXT]


def copied_values(real: Table, sample: Table, columns: dict[str, str] | None = None) -> list[Copied]:
    """Count the values of the watched columns that synthetic rows have from real ones.

    Parameters
    ----------
    real : Table
        The rows that the generator was fitted on.
    sample : Table
        It may lack columns.
    columns : dict, optional
        What :func:`watched` says of ``real``, or of the whole table that it is a part of.
    """
    found = []
    for name, what in (watched(real) if columns is None else columns).items():
        if name in sample.schema.names:
            drawn = sample.frame[name].dropna().astype(object)
            copied = int(drawn.isin(set(real.frame[name].dropna().astype(object))).sum())
            found.append(Copied(name, what, len(drawn), copied))
    return found


def warnings_of(copied: list[Copied]) -> list[str]:
    """What the owner of a table has to know before its synthetic rows are passed on: a sentence per column."""
    mend = "leave it out before you pass the rows on"
    return [f"{each}; {mend} (--drop {quoted(each.column)})." for each in copied if each.copied]
