"""Constraints on drawn rows: one comparison each, of a column with a literal. Parsed, never evaluated as code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabgen.column import Column, Level
from tabgen.errors import ConstraintError, UnknownNameError
from tabgen.parsing import ISO_MOMENT
from tabgen.plain import as_times
from tabgen.table import Schema

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
FLIPPED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<", "==": "==", "!=": "!="}
EQUALITY = ("==", "!=")
TOKEN = re.compile(r"""(?P<name>`[^`]*`|'[^']*'|"[^"]*")|(?P<operator><=|>=|==|!=|<|>)|[^`'"<>=!]+""")
FORMS = 'COLUMN OPERATOR VALUE, such as "age >= 18", or a range, such as "18 <= age < 65"'


@dataclass(frozen=True)
class Constraint:
    """What one column of a drawn row has to hold.

    Attributes
    ----------
    text : str
        As it was written.
    column : str
    tests : tuple of (operator, value)
        All are due. A missing value meets none of them.
    """

    text: str
    column: str
    tests: tuple[tuple[str, Any], ...]

    def met(self, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows of a table's frame meet it: (rows,)."""
        values = frame[self.column]
        found = values.notna().to_numpy().copy()
        known = pd.Series(values[found].tolist(), dtype=object)
        held = np.ones(len(known), dtype=bool)
        for symbol, value in self.tests:
            held &= np.array([bool(OPERATORS[symbol](each, value)) for each in known], dtype=bool)
        found[found] = held
        return found


def read_constraint(text: str, schema: Schema) -> Constraint:
    """A comparison of a column with a literal, ``age >= 18``, or a range, ``18 <= age < 65``.

    Names with an operator or a quote in them stand in backticks, as for pandas. Texts may stand in quotes. Numbers and
    dates have an order; of categories only those whose levels are all numbers.

    Raises
    ------
    ConstraintError
        If it is no comparison of one column, or the value is none that the column can hold.
    UnknownNameError
        For a column or a level that is not there.
    """
    operands, symbols = _cut(text)
    names = [*schema.names, schema.target]
    if len(symbols) == 1:
        left, right = operands
        if _is_column(left, names) or not _is_column(right, names):
            column, tests = _column(left, names), [(symbols[0], right)]
        else:
            column, tests = _column(right, names), [(FLIPPED[symbols[0]], left)]
    else:
        if {symbol[0] for symbol in symbols} not in ({"<"}, {">"}):
            raise ConstraintError(f"'{text}' is no range: both operators of a range point the same way, as in {FORMS}.")
        column = _column(operands[1], names)
        tests = [(FLIPPED[symbols[0]], operands[0]), (symbols[1], operands[2])]
    spec = _spec(column, schema)
    return Constraint(text, column, tuple((symbol, _literal(word, spec, symbol, text)) for symbol, word in tests))


def read_fixed(column: str, value: Any, schema: Schema) -> Constraint:
    """The constraint that a column holds this value and no other.

    Raises
    ------
    ConstraintError, UnknownNameError
        As for :func:`read_constraint`.
    """
    name = _column(column, [*schema.names, schema.target])
    text = f"{name} == {value}"
    return Constraint(text, name, (("==", _literal(str(value), _spec(name, schema), "==", text)),))


def read_all(where: str | Sequence[str], fix: Mapping[str, Any], schema: Schema) -> list[Constraint]:
    """All constraints of ``--where`` and ``--fix``."""
    where = [where] if isinstance(where, str) else where
    fixed = [read_fixed(column, value, schema) for column, value in fix.items()]
    return [*(read_constraint(text, schema) for text in where), *fixed]


def all_met(constraints: Sequence[Constraint], frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows meet every constraint: (rows,)."""
    met = np.ones(len(frame), dtype=bool)
    for constraint in constraints:
        met &= constraint.met(frame)
    return met


def _cut(text: str) -> tuple[list[str], list[str]]:
    """The operands and the operators between them; quotes and backticks hide what is in them."""
    operands, symbols, place = [""], [], 0
    while place < len(text):
        token = TOKEN.match(text, place)
        if token is None:
            hint = " (equality is written ==)" if text[place] == "=" else ""
            raise ConstraintError(f"'{text}' cannot be read at '{text[place:]}'{hint}; a constraint is {FORMS}.")
        if token["operator"]:
            symbols.append(token["operator"])
            operands.append("")
        else:
            operands[-1] += token[0]
        place = token.end()
    operands = [operand.strip() for operand in operands]
    if len(symbols) not in (1, 2) or not all(operands):
        raise ConstraintError(
            f"'{text}' is no constraint: one is {FORMS}. Several are given one by one, and all of them have to be met."
        )
    return operands, symbols


def _is_column(word: str, names: Sequence[str]) -> bool:
    return word in names or (word[0] == word[-1] == "`" and word[1:-1] in names)


def _column(word: str, names: Sequence[str]) -> str:
    bare = word[1:-1] if len(word) > 1 and word[0] == word[-1] == "`" else word
    if bare not in names:
        raise UnknownNameError("column", bare, names)
    return bare


def _spec(name: str, schema: Schema) -> Column:
    return Column(name, "categorical", schema.classes) if name == schema.target else schema[name]


def _literal(word: str, column: Column, symbol: str, text: str) -> Any:
    """The value that a word stands for in a column of this kind."""
    bare = word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word
    if column.is_number:
        return _number(bare, column, text)
    if column.kind == "datetime":
        return _time(bare, column, text)
    if column.is_discrete and _are_numbers(column.levels):
        number = _number(bare, column, text)
        if symbol in EQUALITY and number not in column.levels:
            raise UnknownNameError(f"level of '{column.name}'", bare, map(str, column.levels))
        return number
    if symbol not in EQUALITY:
        raise ConstraintError(
            f"'{text}': column '{column.name}' is {column.kind} and has no order; compare it by == or !=."
        )
    if column.kind == "text":
        return bare
    written = {str(level): level for level in column.levels}
    if column.kind == "boolean":
        written |= {str(level).lower(): level for level in column.levels}
    if bare not in written:
        raise UnknownNameError(f"level of '{column.name}'", bare, written)
    return written[bare]


def _are_numbers(levels: Sequence[Level]) -> bool:
    return bool(levels) and all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels)


def _number(word: str, column: Column, text: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConstraintError(f"'{text}': column '{column.name}' holds numbers ({column.kind}), and '{word}' is none.")
    return number


def _time(word: str, column: Column, text: str) -> pd.Timestamp:
    """A moment as tables hold it: in UTC where the column has a zone, whose clock the word is told by."""
    try:
        if not ISO_MOMENT.fullmatch(word):
            raise ValueError("no date in the form of ISO 8601")
        moment = pd.Series([pd.Timestamp(word)], name=column.name, dtype=object)
    except ValueError as error:
        raise ConstraintError(
            f"'{text}': column '{column.name}' holds dates, and '{word}' is none such as 2024-03-31 or"
            " 2024-03-31 23:59."
        ) from error
    found: pd.Timestamp = as_times(moment, column.zone, f"'{text}'", ConstraintError)[0]
    return found
