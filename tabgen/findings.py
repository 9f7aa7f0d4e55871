"""Findings: what in a table is likely not what it seems, each with the column, an example and the mend."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tabgen.parsing import ANY_DATE
from tabgen.plain import as_scalar
from tabgen.text import counted, shown, some_of

if TYPE_CHECKING:
    from tabgen.column import Column
    from tabgen.table import Table

NUMBER = re.compile(r"\s*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?|[+-]?([iI]nf|[iI]nfinity|INF))\s*")
CODE = re.compile(r"\s*(0[0-9]+|[0-9]{19,})\s*")
"""Digits that are no number: with leading zeros, or more of them than a number holds."""
WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
OPEN_BIN = re.compile(r"\s*([<>≤≥]=?\s*\d+|\d+\s*\+)\s*")
"""The last of a few ordered groups (1, 2, 3+): such a column is meant as it is."""
DATE = re.compile(ANY_DATE)
AROUND = re.compile(
    r"\s*[^\w\s.,+-]?\s?[+-]?(0x[\da-fA-F]+|\d[\d.,' _\u00a0\u202f]*)([eE][+-]?\d{1,4})?"
    r"\s?(%|[^\W\d_]{1,3}|[€$£)-])?\s*"
)
"""A number with a sign of currency, separators, a unit, or an accountant's minus around it: (17.20), 39.03-."""
MISSING_WORDS = frozenset(
    {"", "?", "-", "--", ".", "NA", "N/A", "n/a", "n.a.", "#N/A", "NaN", "nan", "null", "NULL", "None", "missing"}
)
"""Levels that in other people's files mean that there is no value."""
WORTH_A_WARNING = ("rare-class", "tells-target", "identifier")
"""Findings that spoil a comparison, or are copied into synthetic rows: said unasked; `tabgen look` says all."""
ENOUGH = 10
"""Rows from which something can be said of them: that they are numbers as text, name rows, or stand for a class."""
FEWEST_ROWS = 20
"""Rows below which a column can order the classes without a fault by chance, and next to nothing can be said."""
NEARLY_ALL = 0.5
"""A categorical column with so many different values per known one names rows, though a few share a name."""
FEW, MANY = 3, 20
"""Different numbers up to which a column can be groups, and from which it is certainly meant as numbers."""


@dataclass(frozen=True)
class NearNumeric:
    """A text column that looks as if it were meant as numbers; ``certain``: it can hardly be anything else."""

    message: str
    certain: bool


def near_numeric(column: pd.Series[Any], name: str) -> NearNumeric | None:
    """Whether a column of texts holds numbers but for a few odd values, or numbers with something around them.

    Parameters
    ----------
    column : pandas.Series
        Texts, or texts beside numbers; missing values do not count.
    name : str
    """
    counts = column.dropna().value_counts(sort=False)
    counts = counts.groupby(counts.index.map(str), sort=False).sum()
    total = int(counts.sum())
    kinds = {text: _looks_like(text) for text in counts.index}
    numbers = [text for text, kind in kinds.items() if kind == "number"]
    rows = int(counts[numbers].sum()) if numbers else 0
    odd = [text for text in kinds if kinds[text] != "number"]
    texts = [value for value in column.dropna().unique() if isinstance(value, str)]
    beside = "" if len(texts) == column.dropna().nunique() else "numbers and "
    if rows >= ENOUGH and not odd and texts and (beside or not all(WHOLE.fullmatch(text) for text in numbers)):
        return NearNumeric(
            f"column '{name}' holds {beside}numbers written as text, such as {texts[0]!r}, taken as {len(numbers)}"
            f" categories; if they are quantities, make them numbers or say --kind {quoted(name)}=numeric.",
            False,
        )
    bins = 0 < len(numbers) <= MANY and all(OPEN_BIN.fullmatch(text) for text in odd)
    if odd and rows >= ENOUGH and rows >= total / 2 and len(numbers) > FEW and not bins:
        n_odd = total - rows
        few = sum(text.strip() not in MISSING_WORDS for text in odd) <= max(3, len(kinds) // 20)
        if few or rows >= 0.9 * total:
            some = some_of((shown(text, 30) for text in odd), 3)
            return NearNumeric(
                f"column '{name}' holds numbers but for {some} in {n_odd} of {total} rows, which would make it"
                f" {len(kinds)} categories: if that means missing, say --missing {quoted(odd[0])}; if it is a slip,"
                f" mend the file; if the column is no number, say --kind {quoted(name)}=categorical.",
                len(numbers) > MANY,
            )
    around = [text for text, kind in kinds.items() if kind == "around"]
    if (
        around
        and not bins
        and len({*numbers, *around}) > MANY
        and int(counts[[*numbers, *around]].sum()) >= 0.9 * total
    ):
        words = [text for text, kind in kinds.items() if kind == "word"]
        besides = (
            f" (and {shown(words[0], 30)}: if it means missing, say --missing {quoted(words[0])})" if words else ""
        )
        return NearNumeric(
            f"column '{name}' holds numbers with more around them, such as {around[0]!r}{besides}:"
            f" taken as {len(kinds)} categories; leave digits, sign and point only,"
            f" or say --kind {quoted(name)}=categorical.",
            False,
        )
    return None


def _looks_like(text: str) -> str:
    if NUMBER.fullmatch(text):
        return "word" if CODE.fullmatch(text) else "number"
    return "around" if AROUND.fullmatch(text) and not DATE.fullmatch(text) else "word"


def quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.-]+", text) else f"'{text}'"


@dataclass(frozen=True)
class Finding:
    """Something about a table that its owner should know.

    Attributes
    ----------
    kind : str
        What kind of thing it is; see :func:`findings`.
    columns : tuple of str
    message : str
        One sentence with the mend.
    """

    kind: str
    columns: tuple[str, ...]
    message: str


def findings(table: Table, folds: int = 3) -> list[Finding]:
    """What in a table is likely not meant, or cannot help.

    In this order: ``few-rows``, ``rare-class`` (fewer rows than folds), ``small-class`` (a handful of rows),
    ``tells-target`` (a column that alone orders the classes without a fault), ``identifier`` (every value another),
    ``names`` (nearly so), ``constant``, ``duplicate`` (equal to another),
    ``one-to-one`` (the same under other names), ``missing-word`` (a level that elsewhere means missing),
    ``near-numeric``, ``spelling`` (levels that differ in case or spaces only).

    Parameters
    ----------
    table : Table
    folds : int
        Of the run that is meant.
    """
    found = []
    if len(table) < FEWEST_ROWS:
        text = f"the table has {counted(len(table), 'row')}: whatever is measured on so few can be chance; take more."
        found.append(Finding("few-rows", (), text))
    found += _rare_classes(table, folds)
    codes = {c.name: _codes(table.frame[c.name]) for c in table.schema.columns}
    constant = [name for name, code in codes.items() if len(np.unique(code)) == 1]
    varying = {name: code for name, code in codes.items() if name not in constant}
    identifiers = [c for c in table.schema.columns if c.name in varying and _is_identifier(c, table.frame[c.name])]
    found += [
        Finding(
            "tells-target",
            (name,),
            f"column '{name}' alone tells the target (ROC-AUC 1.0); if it is known only with the target, leave it out"
            f" (--drop {quoted(name)}).",
        )
        for name, code in varying.items()
        if len(table) >= FEWEST_ROWS and tells_target(code, table.labels)
    ]
    found += [
        Finding(
            "identifier",
            (c.name,),
            f"column '{c.name}' has another value in every row, such as {_example(table, c.name)}: it names rows, and a"
            f" generator may copy the names; leave it out (--drop {quoted(c.name)}).",
        )
        for c in identifiers
    ]
    found += [
        Finding(
            "names",
            (c.name,),
            f"column '{c.name}' has {table.frame[c.name].nunique()} values in {len(table)} rows, such as"
            f" {_example(table, c.name)}: if it names persons or rows, leave it out (--drop {quoted(c.name)}).",
        )
        for c in table.schema.columns
        if c not in identifiers and names_nearly_all(c, table.frame[c.name])
    ]
    found += [
        Finding("constant", (name,), f"column '{name}' has {_one_value(table.frame[name])}, and says nothing.")
        for name in constant
    ]
    return found + _twins(table, varying) + _levels(table)


def worth_a_warning(table: Table, folds: int = 0) -> list[str]:
    """The messages of the findings that are said unasked, by the command line and in Python."""
    return [finding.message for finding in findings(table, folds) if finding.kind in WORTH_A_WARNING]


def _rare_classes(table: Table, folds: int) -> list[Finding]:
    counts, target = np.bincount(table.labels, minlength=len(table.schema.classes)), table.schema.target
    sizes = list(zip(table.schema.classes, counts.tolist(), strict=True))
    rare = [(label, rows) for label, rows in sizes if rows < folds]
    if len(rare) > MANY:
        some = ", ".join(f"{label!r} ({counted(rows, 'row')})" for label, rows in rare[:3])
        told = f"'{target}' has {len(sizes)} classes, {len(rare)} of them with fewer rows than the {folds} folds"
        mend = "name another column to predict, or merge classes."
        return [Finding("rare-class", (target,), f"{told}, such as {some}: {mend}")]
    found = [
        Finding(
            "rare-class",
            (target,),
            f"class {label!r} of '{target}' has {counted(rows, 'row')}, fewer than the {folds} folds: some test parts"
            " are without it; merge it with another class, or take fewer folds.",
        )
        for label, rows in rare
    ]
    return found + [
        Finding(
            "small-class",
            (target,),
            f"class {label!r} of '{target}' has {counted(rows, 'row')}: little can be learned of it or scored on it;"
            " merge it with another class, if it can be.",
        )
        for label, rows in sizes
        if folds <= rows < ENOUGH
    ]


def _codes(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Positions among the sorted distinct values, missing first: equal for columns that order rows alike."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = column.cat.codes.to_numpy().astype(np.int64)
    else:
        values = pd.factorize(column, sort=True)[0]
    codes: np.ndarray[Any, Any] = np.unique(values, return_inverse=True)[1]
    return codes


def _is_identifier(column: Column, values: pd.Series[Any]) -> bool:
    """Whether a column names its rows: levels that are all different, or whole numbers that count or nearly do."""
    if len(values) < ENOUGH or column.kind not in ("categorical", "integer") or not values.is_unique:
        return False
    if column.kind == "categorical":
        return True
    steps = values.diff().dropna()
    return bool((steps > 0).all() or (steps < 0).all() or values.max() - values.min() < 2 * len(values))


def names_nearly_all(column: Column, values: pd.Series[Any]) -> bool:
    """Whether a categorical column has nearly another value in every row, so that it names rows, or persons."""
    known = values.dropna()
    return column.kind == "categorical" and len(known) >= ENOUGH and known.nunique() >= NEARLY_ALL * len(known)


def tells_target(codes: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> bool:
    """Whether a column alone has a ROC-AUC of 1: by its order, or by the class of each of its values.

    A column with nearly as many values as rows would tell any target by its values, so there only its order counts.
    """
    pairs = np.unique(np.column_stack([codes, labels]), axis=0)
    n_values, n_classes = int(codes.max()) + 1, len(np.unique(labels))
    if n_classes < 2 or len(pairs) > n_values:  # a value with two classes
        return False
    by_order = int((np.diff(pairs[:, 1]) != 0).sum()) == n_classes - 1
    return by_order or n_values <= len(labels) / 5


def _one_value(column: pd.Series[Any]) -> str:
    return "no value in any row" if column.isna().all() else "one value in every row"


def _twins(table: Table, varying: dict[str, np.ndarray[Any, Any]]) -> list[Finding]:
    """Columns that repeat others, value for value or under other names."""
    found: list[Finding] = []
    first: dict[bytes, str] = {}
    for name, code in varying.items():
        all_differ = len(np.unique(code)) == len(code)  # then any two columns are one-to-one, which says nothing
        renamed = code if all_differ else pd.factorize(code)[0]  # by first appearance: the same for any renaming
        twin = first.setdefault(renamed.tobytes(), name)
        if twin == name:
            continue
        one, other = table.frame[twin], table.frame[name]
        if one.astype(object).equals(other.astype(object)):
            text = f"column '{name}' equals '{twin}' in every row; leave one out (--drop {quoted(name)})."
            found.append(Finding("duplicate", (twin, name), text))
        elif not all_differ:
            text = f"columns '{twin}' and '{name}' are one-to-one: each value of one goes with one value of the other."
            found.append(Finding("one-to-one", (twin, name), text))
    return found


def _levels(table: Table) -> list[Finding]:
    """Levels that may mean missing, columns that are nearly numbers, and levels spelled in two ways."""
    found = []
    for column in (*table.schema.columns, table.schema.target_column):
        if column.kind != "categorical":
            continue
        levels = [level for level in column.levels if isinstance(level, str)]
        words = [level for level in levels if level.strip() in MISSING_WORDS]
        if words and len(words) < len(column.levels):
            rows = int(table.frame[column.name].isin(words).sum())
            found.append(
                Finding(
                    "missing-word",
                    (column.name,),
                    f"column '{column.name}' has the level {words[0]!r} in {counted(rows, 'row')}, taken as any other"
                    f" level; if it means missing, say --missing {quoted(words[0].strip())}.",
                )
            )
        near = near_numeric(table.frame[column.name].astype(object), column.name) if levels else None
        if near is not None:
            found.append(Finding("near-numeric", (column.name,), near.message))
        alike: dict[str, str] = {}
        for level in levels:
            twin = alike.setdefault(" ".join(level.split()).casefold(), level)
            if twin != level:
                text = f"column '{column.name}' has the levels {twin!r} and {level!r}: alike but for case or spaces."
                found.append(Finding("spelling", (column.name,), text))
    return found


def _example(table: Table, name: str) -> str:
    return shown(as_scalar(table.frame[name].dropna().iloc[0]), 40)
