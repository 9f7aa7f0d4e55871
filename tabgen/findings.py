"""Findings: what in a table is likely not what it seems, each with the column, an example and the mend."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

NUMBER = re.compile(r"\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?|[+-]?([iI]nf|[iI]nfinity|INF))\s*")
CODE = re.compile(r"\s*(0\d+|\d{19,})\s*")
"""Digits that are no number: with leading zeros, or more of them than a number holds."""
WHOLE = re.compile(r"\s*[+-]?\d+\s*")
OPEN_BIN = re.compile(r"\s*([<>≤≥]=?\s*\d+|\d+\s*\+)\s*")
"""The last of a few ordered groups (1, 2, 3+): such a column is meant as it is."""
AROUND = re.compile(
    r"\s*[^\w\s.,+-]?\s?[+-]?(0x[\da-fA-F]+|\d[\d.,' _\u00a0\u202f]*)([eE][+-]?\d+)?\s?(%|[^\W\d_]{1,3}|[€$£])?\s*"
)
"""A number with a sign of currency, separators, or a unit around it."""
ENOUGH = 10
"""Rows with numbers from which a text column is suspected to hold numbers."""
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
    counts = column.dropna().map(lambda v: v if isinstance(v, str) else str(v)).value_counts(sort=False)
    total = int(counts.sum())
    kinds = {text: _looks_like(text) for text in counts.index}
    numbers = [text for text, kind in kinds.items() if kind == "number"]
    rows = int(counts[numbers].sum()) if numbers else 0
    odd = [text for text in kinds if kinds[text] != "number"]
    if rows >= ENOUGH and not odd and not all(WHOLE.fullmatch(text) for text in numbers):
        return NearNumeric(
            f"column '{name}' holds numbers written as text, such as {numbers[0]!r}, taken as {len(numbers)}"
            f" categories; if they are quantities, make them numbers or say --kind {_quoted(name)}=numeric.",
            False,
        )
    bins = len(numbers) <= MANY and all(OPEN_BIN.fullmatch(text) for text in odd)
    if odd and rows >= ENOUGH and rows >= total / 2 and len(numbers) > FEW and not bins:
        n_odd = total - rows
        few = len(odd) <= max(3, len(kinds) // 20)
        if few or rows >= 0.9 * total:
            shown = ", ".join(repr(text[:30]) for text in odd[:3]) + (", ..." if len(odd) > 3 else "")
            return NearNumeric(
                f"column '{name}' holds numbers but for {shown} in {n_odd} of {total} rows, which would make it"
                f" {len(kinds)} categories: if that means missing, say --missing {_quoted(odd[0])}; if it is a slip,"
                f" mend the file; if the column is no number, say --kind {_quoted(name)}=categorical.",
                len(numbers) > MANY,
            )
    around = [text for text, kind in kinds.items() if kind == "around"]
    if len(around) > MANY and int(counts[[*numbers, *around]].sum()) >= 0.9 * total:
        return NearNumeric(
            f"column '{name}' holds numbers with more around them, such as {around[0]!r}: taken as {len(kinds)}"
            f" categories; leave digits, sign and decimal point only, or say --kind {_quoted(name)}=categorical.",
            False,
        )
    return None


def _looks_like(text: str) -> str:
    if NUMBER.fullmatch(text):
        return "word" if CODE.fullmatch(text) else "number"
    return "around" if AROUND.fullmatch(text) else "word"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.-]+", text) else f"'{text}'"
