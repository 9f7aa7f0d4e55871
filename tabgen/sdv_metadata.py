"""SDV's metadata as JSON: what it says of a table's columns, in tabgen's kinds. The library is not needed for it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabgen.errors import DataError, TableError, TableWarning
from tabgen.table import Table
from tabgen.text import shown

KINDS = {"categorical": "categorical", "ordinal": "categorical", "boolean": "boolean", "datetime": "datetime"}
"""What a column is by its sdtype; a number is left to its values, which tell whole ones from others."""
WHOLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")


@dataclass(frozen=True)
class SDVMetadata:
    """What the file says of one table.

    Attributes
    ----------
    kinds : dict
        Kinds by column, as ``--kind`` gives them; "drop" for columns that name rows or persons.
    dropped : dict
        Why, for each column that is dropped: "the primary key", "an id", or the sdtype.
    numbers : tuple of str
        Columns that have to hold numbers of either kind.
    columns : tuple of str
        All that the file names.
    formats : dict
        How times are written, for each such column of which the file says it: a format of strftime.
    """

    kinds: dict[str, str]
    dropped: dict[str, str]
    numbers: tuple[str, ...]
    columns: tuple[str, ...]
    formats: dict[str, str]

    def kinds_for(self, target: str, given: dict[str, str]) -> dict[str, str]:
        """Kinds to read the table with: what the user says of a column comes before what the file says.

        Raises
        ------
        TableError
            If the file says that the target names rows or persons.
        """
        if target in self.dropped:
            raise TableError(
                f"the metadata says that the target '{target}' is {self.dropped[target]}: nothing can be learnt of it;"
                " name another --target, or mend the metadata."
            )
        return {name: kind for name, kind in self.kinds.items() if name != target} | given

    def check(self, table: Table, given: dict[str, str]) -> None:
        """Say what of the file was done, and what of the table it does not describe.

        Raises
        ------
        TableError
            If a column that is said to hold numbers does not.
        """
        for column in table.schema.columns:
            known = table.frame[column.name].dropna()  # a column of nothing contradicts no kind
            if column.name in self.numbers and column.name not in given and not column.is_number and len(known):
                raise TableError(
                    f"the metadata says that column '{column.name}' is numerical, and it was read as {column.kind}"
                    f" (such as {shown(known.iloc[0])}); say what means missing (--missing), or"
                    f" --kind {column.name}={column.kind}."
                )
        dropped = {name: why for name, why in self.dropped.items() if name not in given}
        if dropped:
            told = ", ".join(f"'{name}' ({why})" for name, why in dropped.items())
            one = next(iter(dropped))
            warnings.warn(
                f"by the metadata left out, since a generator would copy real ones: {told}; to keep one say its kind,"
                f" as --kind {one}=categorical.",
                TableWarning,
                stacklevel=2,
            )
        here = {*table.schema.names, table.schema.target, *dropped, *given}
        lacking = [name for name in self.columns if name not in here]
        if lacking:
            names = ", ".join(map(repr, lacking))
            warnings.warn(f"the metadata names {names}, which the table does not have.", TableWarning, stacklevel=2)
        foreign = [name for name in [*table.schema.names, table.schema.target] if name not in self.columns]
        if foreign:
            names = ", ".join(map(repr, foreign))
            warnings.warn(f"the metadata does not name {names}; read by their values.", TableWarning, stacklevel=2)


def read_metadata(path: Path) -> SDVMetadata:
    """Read a file that SDV's ``save_to_json`` wrote: one table, or several of which it holds one.

    Raises
    ------
    DataError
        If the file is no such JSON, or holds several tables.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the metadata {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"the metadata {path} is no JSON: {error}.") from error
    table = _only_table(content, path)
    columns: dict[str, Any] = table["columns"]
    keys = dict.fromkeys(_names(table.get("primary_key")), "the primary key")
    keys |= {name: "a key" for each in _listed(table.get("alternate_keys")) for name in _names(each)}
    keys |= dict.fromkeys(_names(table.get("sequence_key")), "the key of sequences")
    dropped: dict[str, str] = {}
    kinds: dict[str, str] = {}
    numbers: list[str] = []
    for name, facts in columns.items():
        kind, why = _kind(facts)
        if name in keys or why:
            dropped[name] = keys.get(name, why)
            kind = "drop"
        if kind == "number":
            numbers.append(name)
        elif kind:
            kinds[name] = kind
    told = {name: columns[name].get("datetime_format") for name, kind in kinds.items() if kind == "datetime"}
    formats = {name: form for name, form in told.items() if isinstance(form, str)}
    return SDVMetadata(kinds, dropped, tuple(numbers), tuple(dict.fromkeys([*columns, *keys])), formats)


def _only_table(content: Any, path: Path) -> dict[str, Any]:
    due = "what SDV's save_to_json writes is due"
    tables = content.get("tables", {"": content}) if isinstance(content, dict) else {}
    if not isinstance(tables, dict) or not tables:
        raise DataError(f"the metadata {path} describes no table; {due}.")
    if len(tables) > 1:
        raise DataError(f"the metadata {path} describes {len(tables)} tables ({', '.join(tables)}); one is due.")
    table: Any = next(iter(tables.values()))
    columns = table.get("columns") if isinstance(table, dict) else None
    if not isinstance(columns, dict) or not columns:
        raise DataError(f"the metadata {path} names no columns; {due}.")
    for name, facts in columns.items():
        if not isinstance(facts, dict) or not isinstance(facts.get("sdtype"), str):
            raise DataError(f"the metadata {path} says no sdtype of column '{name}'; {due}.")
    found: dict[str, Any] = table
    return found


def _names(key: Any) -> Sequence[str]:
    """The columns of a key, which is one name or a list of them."""
    return [each for each in ([key] if isinstance(key, str) else _listed(key)) if isinstance(each, str)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _kind(facts: dict[str, Any]) -> tuple[str, str]:
    """The kind of a column ("number": of numbers; empty: as its values say), and why it is dropped if it is.

    A sdtype that is none of SDV's basic ones is of a domain, such as ``email``; SDV takes it for personal unless the
    column's ``pii`` says otherwise, and so does this.
    """
    sdtype = facts["sdtype"]
    if sdtype == "numerical":
        whole = facts.get("computer_representation")
        return "integer" if whole in WHOLE else "numeric" if whole in ("Float", "Double") else "number", ""
    if sdtype in KINDS:
        return KINDS[sdtype], ""
    if sdtype == "id":
        return "drop", "an id"
    if sdtype in ("text", "unknown"):
        return ("drop", f"personal ({sdtype})") if facts.get("pii") else ("", "")
    return ("drop", f"personal ({sdtype})") if facts.get("pii", True) else ("", "")
