"""One column: its kind and levels, and its values in the canonical form of a kind, as numbers, and back."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from tabgen.errors import InvalidOutput, TableError, TableWarning
from tabgen.findings import near_numeric, quoted
from tabgen.jsonable import EXACT
from tabgen.parsing import is_free_text
from tabgen.plain import as_scalar, as_times, misfit, with_plain_type, zone_of
from tabgen.text import shown, some_of

Kind = Literal["numeric", "integer", "categorical", "boolean", "datetime", "text"]
Level = str | int | float | bool
"""A category level or class label: what JSON can hold, so that schemas travel."""

MAX_NUMBER_CLASSES = 50
MISSING, FOREIGN = -1, -2
"""Positions of values that are no level: not there at all, or not among the levels."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    kind : {"numeric", "integer", "categorical", "boolean", "datetime", "text"}
        In the frame: float64; int64 (float64 where values are missing); pandas category with ``levels``;
        pandas category with the levels False and True; datetime64[us], in UTC where there is a ``zone``; texts.
        Missing values are NaN, NaT or, of texts, None.
    levels : tuple
        What a categorical or boolean column may hold, in order; empty for any other.
    zone : str
        The time zone of a datetime column that has one.
    """

    name: str
    kind: Kind
    levels: tuple[Level, ...] = ()
    zone: str = ""

    @property
    def is_discrete(self) -> bool:
        return self.kind in ("categorical", "boolean")

    @cached_property
    def dtype(self) -> pd.CategoricalDtype:
        """The type of a discrete column in a frame."""
        return _type_of(self.levels)

    @property
    def is_number(self) -> bool:
        return self.kind in ("numeric", "integer")

    def to_dict(self) -> dict[str, Any]:
        facts = asdict(self)
        return facts if self.zone else {name: value for name, value in facts.items() if name != "zone"}


def infer_kind(column: pd.Series[Any], feature: str, name: str) -> Kind:
    """The kind a column's dtype and values say: words are categorical or free text, whole numbers are integer.

    Whole numbers beyond 2**53 are numeric, since a float64 cannot tell them from their neighbours.

    Raises
    ------
    TableError
        For complex numbers, times of day and nested values, which have no kind here.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "categorical"
    if types.is_datetime64_any_dtype(column.dtype):
        return "datetime"
    if types.is_bool_dtype(column.dtype):
        return "boolean"
    if types.is_integer_dtype(column.dtype):
        known = column.dropna()
        return "integer" if known.empty or max(abs(int(known.min())), abs(int(known.max()))) <= EXACT else "numeric"
    if types.is_complex_dtype(column.dtype):
        raise TableError(f"{name}: column '{feature}' holds complex numbers; split it into two columns.")
    if types.is_float_dtype(column.dtype):
        numbers = column.dropna().to_numpy(dtype=np.float64)
        exact = (np.abs(numbers) <= EXACT) & (numbers == np.round(numbers))
        whole = len(numbers) > 0 and column.isna().any() and bool(exact.all())
        return "integer" if whole else "numeric"  # integers with missing values arrive as floats
    return _kind_of_objects(column, feature, name)


def _kind_of_objects(column: pd.Series[Any], feature: str, name: str) -> Kind:
    """The kind of a column whose dtype leaves open what its values are."""
    values = column.dropna()
    seen = set(map(type, values))
    if not all(issubclass(t, str | int | float | bool | np.generic) for t in seen):
        odd = [v for v in values if not isinstance(v, dt.date | np.datetime64)]
        if len(odd) < len(values):
            raise TableError(
                f"{name}: column '{feature}' holds dates but for {shown(odd[0])} in {len(odd)} of {len(values)} rows;"
                f" write a date, say --missing if the text means missing, or --kind {quoted(feature)}=categorical."
            )
        first = next(v for v in values if not isinstance(v, str | int | float | bool | np.generic))
        raise TableError(
            f"{name}: column '{feature}' holds {type(first).__name__} values such as {shown(first)};"
            " only numbers, text, booleans and dates have a kind."
        )
    if seen and seen <= {bool, np.bool_}:
        return "boolean"
    if seen and all(issubclass(t, int | float | np.number) and t is not bool for t in seen):
        converted = pd.to_numeric(column)
        if converted.dtype == object:  # integers beyond 64 bits
            return "numeric"
        return infer_kind(converted, feature, name)
    return "text" if seen == {str} and is_free_text(values) else "categorical"


def warn_of_doubt(column: pd.Series[Any], read: pd.Series[Any], kind: Kind, feature: str, name: str) -> None:
    """Say, or refuse, that a column of text is nearly one of numbers, or that its numbers merge as ``read``."""
    if kind == "numeric" and not types.is_float_dtype(column.dtype):
        lost = column.nunique() - read.nunique()
        if lost:
            warnings.warn(
                f"{name}: column '{feature}' holds whole numbers beyond 2**53, {lost} of them as one with others;"
                f" if it is an id, leave it out (--drop {feature}) or say --kind {feature}=categorical.",
                TableWarning,
                stacklevel=4,
            )
    if kind not in ("categorical", "text") or isinstance(column.dtype, pd.CategoricalDtype):  # somebody made it one
        return
    found = near_numeric(column, feature)
    if found is not None and found.certain:
        raise TableError(f"{name}: {found.message}")
    if found is not None:
        warnings.warn(f"{name}: {found.message}", TableWarning, stacklevel=4)


def levels_as_written(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Texts of levels as numbers, if each stands as its number is written; else as they are: 1.10 is not 1.1."""
    numbers = {text: _number_of(text) for text in texts.dropna().unique()}
    if None in numbers.values() or len(set(numbers.values())) < len(numbers):
        return texts
    values = [numbers.get(text) for text in texts]
    return pd.Series(values, index=texts.index, name=texts.name, dtype=object).infer_objects()


def _number_of(text: str) -> int | float | None:
    """The number of 64 bits that is written as this text and no other, or None."""
    try:
        number: int | float = int(text) if text.removeprefix("-").isdigit() else float(text)
    except ValueError:
        return None
    return number if str(number) == text and abs(number) < 2**63 else None


def _text(value: Any) -> str:
    """The text of a level; a whole float reads as its integer, because the two are equal as levels."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT
    return str(int(value)) if whole else str(value)


def _sorted_levels(values: Sequence[Any]) -> tuple[Level, ...]:
    """Distinct values in a stable order; as text unless all are text, all booleans or all numbers."""
    if all(isinstance(v, bool) for v in values) or all(isinstance(v, str) for v in values):
        return tuple(sorted(set(values)))
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return tuple(sorted({int(v) if isinstance(v, float) and _text(v) == str(int(v)) else v for v in values}))
    return tuple(sorted({_text(v) for v in values}))


def _as_category(column: pd.Series[Any], feature: str, name: str) -> pd.Series[Any]:
    _, values = _distinct(column)
    for value in values:
        if isinstance(value, list | tuple | dict | set | frozenset | np.ndarray):
            raise TableError(
                f"{name}: column '{feature}' holds {type(value).__name__} values such as {shown(value)};"
                " levels and classes are text, numbers or booleans."
            )
        if isinstance(value, float) and np.isinf(value):
            raise TableError(
                f"{name}: column '{feature}' holds infinity; levels and classes are text, numbers or booleans."
            )
    levels = _ordered_levels(column, values) or _sorted_levels(values)
    return as_categories(column, positions_of(column, levels), _type_of(levels))


def _ordered_levels(column: pd.Series[Any], values: Sequence[Any]) -> tuple[Level, ...]:
    """The levels that occur in the order of an ordered category, or of intervals; empty for any other column.

    Levels of a table are text, numbers or booleans: anything else, such as an interval, becomes its text.
    """
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return ()
    if not column.cat.ordered and not isinstance(column.cat.categories.dtype, pd.IntervalDtype):
        return ()
    alike = {v: v for v in _sorted_levels(values)}  # numbers or booleans as they are stored, or else texts
    return tuple(dict.fromkeys(alike[v] if v in alike else _text(v) for v in values))


def as_classes(column: pd.Series[Any], target: str, name: str) -> pd.Series[Any]:
    """The target as a category of its classes, or an error that says why it has none."""
    dates = types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype)
    column = column if dates else with_plain_type(column, target, name)
    if dates or types.is_datetime64_any_dtype(column.dtype) or types.is_complex_dtype(column.dtype):
        raise TableError(f"{name}: the target '{target}' holds {column.dtype}; classes are text, numbers or booleans.")
    labels = _as_category(column, target, name)
    classes = labels.cat.categories
    numbers = not isinstance(column.dtype, pd.CategoricalDtype) and isinstance(classes[0], int | float)
    if numbers and len(classes) > MAX_NUMBER_CLASSES:
        raise TableError(
            f"{name}: the target '{target}' has {len(classes)} different numbers, which looks like regression;"
            " tabgen compares classifiers: cut it into classes in the file first (in pandas:"
            f" frame[{target!r}] = pd.qcut(frame[{target!r}], 3, labels=['low', 'middle', 'high']))."
        )
    return labels


def levels_of(column: pd.Series[Any], kind: Kind) -> tuple[Level, ...]:
    """What a canonical column may hold: the levels of a category or boolean, nothing of any other kind."""
    if kind not in ("categorical", "boolean"):
        return ()
    return tuple(as_scalar(level) for level in column.cat.categories)


def _check_finite(values: np.ndarray[Any, Any], column: str, source: str, error: type[Exception]) -> None:
    count = int(np.isinf(values).sum())
    if count:
        raise error(
            f"column '{column}' of {source} holds infinity in {count} of {len(values)} rows;"
            " replace it by a number or by a missing value."
        )


def _numbers(
    column: pd.Series[Any],
    kind: Kind,
    source: str,
    error: type[Exception],
    mend: str = "write numbers, or nothing where one is missing",
) -> pd.Series[Any]:
    try:
        if types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype):
            numbers = pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
        else:
            numbers = pd.to_numeric(column.astype(object).where(column.notna(), np.nan))
        if types.is_complex_dtype(numbers.dtype):
            raise TypeError("complex numbers have no order")
        values = numbers.to_numpy(dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as reason:
        due = f"column '{column.name}' of {source} should hold numbers ({kind})"
        others = pd.Series([v for v in column.dropna() if isinstance(v, str | dt.date)], dtype=object)
        others = others[pd.to_numeric(others, errors="coerce").isna()]
        raise error(misfit(due, others, len(column), mend, str(reason))) from reason
    _check_finite(values, str(column.name), source, error)
    if kind == "integer":
        broken = values[~np.isnan(values) & (values != np.round(values))]
        if len(broken):
            raise error(
                f"column '{column.name}' of {source} holds {broken[0]} where whole numbers are due"
                f" ({len(broken)} of {len(values)} rows); round it."
            )
        beyond = values[np.abs(values) > EXACT]
        if len(beyond):
            raise error(
                f"column '{column.name}' of {source} holds {beyond[0]:.0f}; whole numbers beyond 2**53 are not exact:"
                " make the column numeric or categorical, or leave it out."
            )
        if not np.isnan(values).any():
            return pd.Series(values.astype(np.int64), index=column.index, name=column.name)
    return pd.Series(values, index=column.index, name=column.name)


def canonical(column: pd.Series[Any], kind: Kind, feature: str, name: str) -> pd.Series[Any]:
    """A column in the canonical form of a kind, with the levels that it holds; see :class:`Column`."""
    if kind in ("numeric", "integer"):
        mend = f"say --missing if that means missing, or else --kind {quoted(feature)}=categorical"
        return _numbers(column, kind, name, TableError, mend)
    if kind == "categorical":
        return _as_category(column, feature, name)
    if kind == "boolean":
        return fit_column(column, Column(feature, "boolean", (False, True)), name, TableError)
    if kind == "datetime":
        return as_times(column, zone_of(column), name, TableError)
    if kind == "text":
        return _texts(column)
    raise TableError(
        f"{name}: column '{feature}' cannot be of kind '{kind}'; kinds are numeric, integer, categorical, boolean,"
        " datetime and text; drop leaves a column out."
    )


def fit_column(
    column: pd.Series[Any], spec: Column, source: str, error: type[Exception] = InvalidOutput
) -> pd.Series[Any]:
    """One column in the canonical form of ``spec``, or an error that names what does not fit."""
    if spec.kind == "text":
        return _texts(column)
    if spec.is_number:
        return _numbers(with_plain_type(column, spec.name, source), spec.kind, source, error)
    if spec.kind == "datetime":
        return as_times(column.rename(spec.name), spec.zone, source, error)
    positions = positions_of(column, spec.levels)
    foreign = positions == FOREIGN
    if foreign.any():
        some = some_of(map(shown, spec.levels), 6)
        raise error(
            f"column '{spec.name}' of {source} holds {shown(as_scalar(column[foreign].iloc[0]))} in"
            f" {int(foreign.sum())} of {len(column)} rows, which is none of its levels ({some})."
        )
    return as_categories(column, positions, spec.dtype)


def positions_of(column: pd.Series[Any], levels: tuple[Level, ...]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Where each value stands among the levels, by value or by its text; MISSING or FOREIGN where it does not."""
    exact = {level: position for position, level in enumerate(levels)}
    by_text = {_text(level): position for position, level in enumerate(levels)}  # "1" for 1, as CSV files hand back

    def position(value: Any) -> int:
        try:
            return exact[value] if value in exact else by_text.get(_text(value), FOREIGN)
        except TypeError:  # a list or another value that cannot be looked up
            return FOREIGN

    codes, distinct = _distinct(column)
    found: np.ndarray[Any, np.dtype[np.intp]] = np.array([*map(position, distinct), MISSING], dtype=np.intp)[codes]
    return found


def _distinct(column: pd.Series[Any]) -> tuple[np.ndarray[Any, Any], list[Any]]:
    """Where each value stands among the distinct ones, -1 where it is missing; and those, as Python's own values.

    Equal values of other types (1, 1.0 and True) are told apart: they may be different levels by their text.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy(), [as_scalar(v) for v in column.cat.categories]
        kept = np.unique(codes[codes >= 0])
        place = np.full(len(values) + 1, -1)
        place[kept] = np.arange(len(kept))
        return place[codes], [values[code] for code in kept]
    present = column.notna().to_numpy(dtype=bool)
    known = column[present].astype(object)
    codes = np.full(len(column), -1)
    try:
        if len(set(map(type, known))) > 1:
            raise TypeError("values of several types are looked at one by one")
        codes[present], uniques = pd.factorize(known)
        return codes, [as_scalar(v) for v in uniques]
    except TypeError:
        codes[present] = np.arange(len(known))
        return codes, [as_scalar(v) for v in known]


def _texts(column: pd.Series[Any]) -> pd.Series[Any]:
    values = [None if missing else str(v) for v, missing in zip(column.astype(object), column.isna(), strict=True)]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def _type_of(levels: tuple[Level, ...]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(pd.Index(list(levels), dtype=object))


def as_categories(
    column: pd.Series[Any], positions: np.ndarray[Any, np.dtype[np.intp]], dtype: pd.CategoricalDtype
) -> pd.Series[Any]:
    """A canonical category of these positions among the levels."""
    values = pd.Categorical.from_codes(positions, dtype=dtype)
    return pd.Series(values, index=column.index, name=column.name)


def to_numbers(values: pd.Series[Any], column: Column) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A canonical column as numbers: levels by position, times in microseconds since 1970, NaN for missing."""
    if column.kind == "text":
        raise TableError(f"column '{column.name}' holds free text, which is no number; leave it out of the matrix.")
    if column.is_discrete:
        codes = values.cat.codes.to_numpy(dtype=np.float64)
        return np.where(codes < 0, np.nan, codes)
    if column.kind == "datetime":
        since = values.to_numpy().astype("datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(values.isna(), np.nan, since)
    return values.to_numpy(dtype=np.float64)


def from_numbers(numbers: np.ndarray[Any, np.dtype[np.float64]], column: Column) -> pd.Series[Any]:
    """The way back from :func:`to_numbers`: whole numbers are rounded, positions also clipped."""
    source = "the matrix"
    if column.kind == "text":
        raise InvalidOutput(f"column '{column.name}' holds free text, which no matrix gives; add it to the frame.")
    _check_finite(numbers, column.name, source, InvalidOutput)
    missing = np.isnan(numbers)
    whole = numbers if column.kind == "numeric" else np.round(numbers)
    values = pd.Series(whole, name=column.name)
    if column.kind == "datetime":
        return pd.Series(np.where(missing, 0.0, whole).astype("datetime64[us]"), name=column.name).mask(missing)
    if not column.is_discrete:
        return fit_column(values, column, source)
    if not column.levels and not missing.all():
        raise InvalidOutput(f"column '{column.name}' has no levels: {numbers[~missing][0]:g} is none; NaN is due.")
    positions = np.where(missing, MISSING, np.clip(whole, 0, max(len(column.levels) - 1, 0))).astype(np.intp)
    return as_categories(values, positions, column.dtype)


def conformed(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Integers rounded, and numbers that are no level in the place of the nearest one; what is no number stays."""
    of_numbers = column.is_discrete and len(column.levels) > 0 and not isinstance(column.levels[0], str)
    if column.kind != "integer" and not of_numbers:
        return values
    values = values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(numbers)
    if column.kind == "integer":
        return values.where(~finite, pd.Series(np.round(numbers), index=values.index)) if finite.any() else values
    foreign = finite & (positions_of(values, column.levels) == FOREIGN)
    if not foreign.any():
        return values
    levels = np.array(column.levels, dtype=np.float64)
    nearest = np.abs(numbers[foreign, np.newaxis] - levels).argmin(axis=1)
    mended = values.astype(object)
    mended[foreign] = [column.levels[position] for position in nearest]
    return mended
