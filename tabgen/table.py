"""Table: features, a class target and a schema that says what every column may hold."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api import types

from tabgen.errors import InvalidOutput, TableError, TableWarning
from tabgen.findings import near_numeric
from tabgen.plain import as_times, with_plain_type, zone_of

Kind = Literal["numeric", "integer", "categorical", "boolean", "datetime", "text"]
Level = str | int | float | bool
"""A category level or class label: what JSON can hold, so that schemas travel."""

EXACT = 2**53
"""Whole numbers up to here are exact as float64, which is what tables are hashed and encoded as."""
MAX_NUMBER_CLASSES = 50
FREE_TEXTS, FREE_SHARE, FREE_WORDS = 30, 0.1, 3.0
"""From this many different texts, at this share of the rows, and this many words each, a column is free text."""
OwnSplits = np.ndarray[Any, np.dtype[np.int64]]
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


@dataclass(frozen=True)
class Schema:
    """The feature columns in order, and the target with its classes in order."""

    columns: tuple[Column, ...]
    target: str
    classes: tuple[Level, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @cached_property
    def target_column(self) -> Column:
        """The target as the categorical column that it is."""
        return Column(self.target, "categorical", self.classes)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"no feature column is called '{name}'; there are: {', '.join(self.names)}.")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"columns": tuple(column.to_dict() for column in self.columns)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        columns = tuple(Column(c["name"], c["kind"], tuple(c["levels"]), c.get("zone", "")) for c in data["columns"])
        return cls(columns, data["target"], tuple(data["classes"]))

    def from_matrix(self, x: ArrayLike, labels: ArrayLike) -> Table:
        """Rows of numbers as a table: the way back from :meth:`Table.to_matrix`, for what a model has drawn.

        Integers are rounded; so are positions of levels, and those beyond the first or last level become it. NaN is
        a missing value. Nothing else is mended.

        Parameters
        ----------
        x : array of shape (rows, features)
            Columns in the schema's order.
        labels : array of int, shape (rows,)
            Positions in ``classes``.

        Raises
        ------
        InvalidOutput
            On another shape, infinities, whole numbers beyond 2**53, or a label that is no position.
        """
        x, labels = np.asarray(x, dtype=np.float64), np.asarray(labels)
        if x.ndim != 2 or x.shape[1] != len(self.columns) or labels.shape != (len(x),):
            raise InvalidOutput(
                f"the matrix has the shape {x.shape} and the labels {labels.shape}; (rows, {len(self.columns)}) and"
                " (rows,) are due: one column for each feature, in the schema's order."
            )
        data = {c.name: _from_numbers(x[:, number], c) for number, c in enumerate(self.columns)}
        foreign = ~np.isin(labels, np.arange(len(self.classes)))
        if foreign.any():
            raise InvalidOutput(
                f"the label {labels[foreign][0]} of the matrix is no position in the {len(self.classes)} classes of"
                f" '{self.target}'; labels run from 0 to {len(self.classes) - 1}, in the order of schema.classes."
            )
        target = pd.Series(labels, name=self.target)
        data[self.target] = _categories(target, labels.astype(np.intp), self.target_column.dtype)
        return Table(pd.DataFrame(data), self)


class Table:
    """Rows of one dataset or of one generator.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (rows, features + 1)
        In the canonical form that ``schema`` describes; use :meth:`from_frame` for anything else.
    schema : Schema
    """

    def __init__(self, frame: pd.DataFrame, schema: Schema, own_splits: OwnSplits | None = None) -> None:
        self.frame = frame
        self.schema = schema
        self.own_splits = own_splits
        """Of a table that came with splits: for every repeat and row the fold it is tested in, -1 for none."""

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, target: str, kinds: Mapping[str, str] | None = None, name: str = "table"
    ) -> Table:
        """Read a table off a DataFrame: infer every column's kind, check everything, normalise the types.

        Rows whose target is missing are set aside with a :class:`TableWarning`. Column names become text, and so
        do levels and classes of mixed types: the number 1 and the text "1" beside "a" are one level.

        Parameters
        ----------
        frame : pandas.DataFrame
            pandas 2 or 3, any dtype backend.
        target : str
            The column to predict: classes of any type; a number counts as a class only in up to 50 values.
        kinds : dict, optional
            Kinds that override what would be inferred, by column name; "drop" leaves a column out, "split" says that
            it holds the fold in which each row is tested (one such column per repeat).
        name : str
            What errors call the table.

        Raises
        ------
        TableError
            Naming the column, the value and the mend.
        """
        frame = _with_text_names(frame, name)
        target = str(target)
        kinds = {str(column): kind for column, kind in (kinds or {}).items()}
        frame, kinds = _without_dropped(frame, target, kinds, name)
        if target not in frame.columns:
            near = next((f"; is it {c!r}?" for c in frame.columns if c.strip() == target.strip()), "")
            raise TableError(f"{name} has no column '{target}' to predict; it has: {', '.join(frame.columns)}{near}.")
        frame = _without_missing_target(frame, target, name)
        frame, kinds, own_splits = _without_splits(frame, target, kinds, name)
        if frame.shape[1] == 1:
            raise TableError(f"{name} has no feature column beside the target '{target}'.")
        classes = _labels(frame[target], target, name)
        if len(classes.cat.categories) < 2:
            raise TableError(
                f"{name}: the target '{target}' has only the class {classes.cat.categories[0]!r};"
                " a classifier needs at least two."
            )
        columns: list[Column] = []
        data: dict[str, pd.Series[Any]] = {}
        for feature in frame.columns.drop(target):
            values = with_plain_type(frame[feature], feature, name)
            kind: Any = kinds.get(feature) or infer_kind(values, feature, name)
            if feature not in kinds:
                _doubt(values, kind, feature, name)
            data[feature] = _canonical(values, kind, feature, name)
            zone = zone_of(values) if kind == "datetime" else ""
            columns.append(Column(feature, kind, _levels(data[feature], kind), zone))
        data[target] = classes
        schema = Schema(tuple(columns), target, tuple(_plain(c) for c in classes.cat.categories))
        return cls(pd.DataFrame(data).reset_index(drop=True), schema, own_splits)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"Table({len(self)} rows, {len(self.schema.columns)} features, {len(self.schema.classes)} classes)"

    @property
    def features(self) -> pd.DataFrame:
        """The feature columns: (rows, features)."""
        return self.frame[self.schema.names]

    @property
    def labels(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The target as positions in ``schema.classes``: int64 (rows,)."""
        return self.frame[self.schema.target].cat.codes.to_numpy().astype(np.int64)

    @property
    def copies(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Rows that are equal in every feature have one number: int64 (rows,); missing values equal each other."""
        features = self.features
        numbers = [column.name for column in self.schema.columns if column.is_number]
        features = features.assign(**{name: features[name] + 0.0 for name in numbers})  # -0.0 equals 0.0
        hashes = pd.util.hash_pandas_object(features, index=False).to_numpy()
        found: np.ndarray[Any, Any] = np.unique(hashes, return_inverse=True)[1].astype(np.int64)
        return found

    @property
    def local_frame(self) -> pd.DataFrame:
        """The frame for people: times that have a zone are in it."""
        zones = {column.name: column.zone for column in self.schema.columns if column.zone}
        return self.frame.assign(
            **{name: self.frame[name].dt.tz_localize("UTC").dt.tz_convert(zone) for name, zone in zones.items()}
        )

    @property
    def has_missing(self) -> bool:
        return bool(self.features.isna().to_numpy().any())

    def take(self, rows: Sequence[int] | np.ndarray[Any, Any]) -> Table:
        """The rows at these positions, in this order, with the same schema."""
        return Table(self.frame.take(np.asarray(rows, dtype=np.intp)).reset_index(drop=True), self.schema)

    def observed(self) -> Table:
        """The same rows under the schema that only they tell: levels that never occur are gone.

        This is what a generator is fitted on: level names of validation and test rows stay unseen. A copy, so
        that nothing done to it reaches this table.
        """
        frame, columns = self.frame.copy(), []
        for column in self.schema.columns:
            if column.kind == "categorical":
                frame[column.name] = frame[column.name].cat.remove_unused_categories()
                column = Column(column.name, column.kind, _levels(frame[column.name], column.kind))
            columns.append(column)
        return Table(frame, Schema(tuple(columns), self.schema.target, self.schema.classes))

    def like(self, frame: pd.DataFrame, source: str = "the new table") -> Table:
        """Read ``frame`` as rows of this table's schema, or say what in it does not fit.

        Parameters
        ----------
        frame : pandas.DataFrame
            Columns in any order, plain types welcome: they are converted, never repaired.
        source : str
            What errors call it.

        Raises
        ------
        InvalidOutput
            On missing or foreign columns, unknown levels or classes, infinities, or a missing target.
        """
        frame = frame.rename(columns=str)
        expected = [*self.schema.names, self.schema.target]
        absent, foreign = set(expected) - set(frame.columns), set(frame.columns) - set(expected)
        if absent or foreign:
            raise InvalidOutput(
                f"{source} has the wrong columns: missing {sorted(absent)}, not expected {sorted(foreign)}."
            )
        if not frame.columns.is_unique:
            twice = sorted(set(frame.columns[frame.columns.duplicated()]))
            raise InvalidOutput(f"{source} has more than one column named {', '.join(map(repr, twice))}.")
        data = {c.name: _fit_column(frame[c.name], c, source) for c in self.schema.columns}
        target = self.schema.target_column
        data[target.name] = _fit_column(frame[target.name], target, source)
        if data[target.name].isna().any():
            raise InvalidOutput(f"{source}: the target '{target.name}' is missing in some rows.")
        return Table(pd.DataFrame(data).reset_index(drop=True), self.schema)

    def questions(self, frame: pd.DataFrame, source: str = "the rows to predict") -> Table:
        """Read rows to predict, whose label nobody knows: what this table lacks is let in where a model can read it.

        Other columns are left out. Numbers of integer columns may be fractions; a level that this table does not
        have is as a missing one. Every label of the result is missing.

        Parameters
        ----------
        frame : pandas.DataFrame
            With this table's feature columns, in any order.
        source : str
            What errors call it.

        Raises
        ------
        TableError
            If a column is not there, or holds what its kind cannot hold.
        """
        frame = frame.rename(columns=str)
        absent = [name for name in self.schema.names if name not in frame.columns]
        if absent:
            raise TableError(
                f"{source} lack the columns {', '.join(map(repr, absent))}, which the model was fitted on."
            )
        columns = tuple(Column(c.name, "numeric") if c.kind == "integer" else c for c in self.schema.columns)
        data: dict[str, pd.Series[Any]] = {}
        for column in columns:
            values = frame[column.name].reset_index(drop=True)
            if column.is_discrete:
                positions = _positions(values, column.levels)
                data[column.name] = _categories(values, np.where(positions < 0, MISSING, positions), column.dtype)
            else:
                data[column.name] = _fit_column(values, column, source, TableError)
        target = self.schema.target_column
        unknown = pd.Series(np.full(len(frame), MISSING), name=target.name)
        data[target.name] = _categories(unknown, np.full(len(frame), MISSING, np.intp), target.dtype)
        return Table(pd.DataFrame(data), Schema(columns, self.schema.target, self.schema.classes))

    def to_matrix(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The features as numbers, for models that know nothing else: float64 (rows, features).

        Levels are their positions, times the microseconds since 1970, missing values NaN.
        :meth:`Schema.from_matrix` is the way back.

        Raises
        ------
        TableError
            For a column of free text, which is no number.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"size": [1.5, 2.0], "colour": ["red", "blue"], "kind": ["a", "b"]})
        >>> table = Table.from_frame(frame, "kind")
        >>> table.to_matrix()
        array([[1.5, 1. ],
               [2. , 0. ]])
        >>> table.schema.from_matrix([[1.7, 0.2]], [1]).frame
           size colour kind
        0   1.7   blue    b
        """
        return np.column_stack([_to_numbers(self.frame[column.name], column) for column in self.schema.columns])

    def conform(self, frame: pd.DataFrame, source: str = "the drawn rows") -> Table:
        """Bring drawn rows into this table's schema: what a generator's author calls when values only nearly fit.

        Numbers of integer columns are rounded. In a categorical or boolean column whose levels are numbers or
        booleans, a number that is no level becomes the nearest one. All else is as for :meth:`like`, which mends
        nothing; the core never calls this.

        Raises
        ------
        InvalidOutput
            Naming the column, the value and the mend, for what neither rounding nor clipping makes fit.
        """
        frame = frame.rename(columns=str)
        if frame.columns.is_unique:
            columns = [*self.schema.columns, self.schema.target_column]
            mended = {c.name: _conformed(frame[c.name], c) for c in columns if c.name in frame}
            frame = frame.assign(**mended)
        return self.like(frame, source)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of schema and values: equal for equal tables, whatever file they came from."""
        digest = hashlib.sha256(json.dumps(self.schema.to_dict(), sort_keys=True).encode())
        for name in [*self.schema.names, self.schema.target]:
            column = self.frame[name]
            values = column.cat.codes.to_numpy() if isinstance(column.dtype, pd.CategoricalDtype) else column.to_numpy()
            if values.dtype == object:
                digest.update(json.dumps(values.tolist()).encode())
            elif values.dtype.kind == "M":
                digest.update(values.astype("datetime64[us]").astype(np.int64).tobytes())
            else:
                digest.update((np.ascontiguousarray(values, dtype=np.float64) + 0.0).tobytes())  # -0.0 equals 0.0
        return digest.hexdigest()


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
        first = next(v for v in values if not isinstance(v, str | int | float | bool | np.generic))
        raise TableError(
            f"{name}: column '{feature}' holds {type(first).__name__} values such as {first!r:.60};"
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


def is_free_text(values: pd.Series[Any]) -> bool:
    """Whether texts are more than names of levels: many different ones, of three words or more on average."""
    distinct = values.unique()
    if len(distinct) < max(FREE_TEXTS, FREE_SHARE * len(values)):
        return False
    return float(np.mean([len(text.split()) for text in distinct])) >= FREE_WORDS


def _with_text_names(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    if frame.shape[1] == 0 or frame.shape[0] == 0:
        raise TableError(f"{name} is empty: {frame.shape[0]} rows, {frame.shape[1]} columns.")
    if frame.columns.nlevels > 1:
        raise TableError(f"{name} has column names of {frame.columns.nlevels} levels; join them into one text each.")
    names = pd.Index([str(c) for c in frame.columns])
    if not names.is_unique:
        twice = sorted(set(names[names.duplicated()]))
        raise TableError(f"{name} has more than one column named {', '.join(map(repr, twice))}; rename them.")
    return frame.set_axis(names, axis=1)


def _without_dropped(
    frame: pd.DataFrame, target: str, kinds: dict[str, Any], name: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The frame without the columns whose kind is "drop", and the kinds that are left."""
    for unknown in sorted(set(kinds) - set(frame.columns)):
        raise TableError(f"kinds name the column '{unknown}', which {name} does not have.")
    dropped = [column for column, kind in kinds.items() if kind == "drop"]
    if target in dropped:
        raise TableError(f"{name}: the target '{target}' cannot be dropped.")
    return frame.drop(columns=dropped), {column: kind for column, kind in kinds.items() if kind != "drop"}


def _without_splits(
    frame: pd.DataFrame, target: str, kinds: dict[str, Any], name: str
) -> tuple[pd.DataFrame, dict[str, Any], OwnSplits | None]:
    """The frame without the columns of kind "split", the kinds that are left, and what those columns say."""
    names = [column for column, kind in kinds.items() if kind == "split"]
    if not names:
        return frame, kinds, None
    if target in names:
        raise TableError(f"{name}: the target '{target}' cannot say how the rows are split.")
    for column in names:
        values = frame[column]
        whole = types.is_integer_dtype(values.dtype) or types.is_float_dtype(values.dtype)
        known = values.dropna().to_numpy(dtype=np.float64) if whole else np.zeros(0)
        folds = np.unique(known)
        if len(folds) < 2 or not np.array_equal(folds, np.arange(len(folds))):
            raise TableError(
                f"{name}: column '{column}' is of kind split; it should hold folds numbered from 0, two at least,"
                f" or nothing for a row that is in no test part; it holds {', '.join(map(repr, values.unique()[:5]))}."
            )
    rows = [frame[column].fillna(-1).to_numpy(dtype=np.int64) for column in names]
    return frame.drop(columns=names), {c: kind for c, kind in kinds.items() if kind != "split"}, np.stack(rows)


def _without_missing_target(frame: pd.DataFrame, target: str, name: str) -> pd.DataFrame:
    missing = frame[target].isna()
    if missing.all():
        raise TableError(f"{name}: the target '{target}' is missing in every row.")
    if missing.any():
        warnings.warn(
            f"{name}: {int(missing.sum())} of {len(frame)} rows have no target '{target}' and were set aside.",
            TableWarning,
            stacklevel=4,
        )
        frame = frame[~missing]
    return frame


def _doubt(column: pd.Series[Any], kind: Kind, feature: str, name: str) -> None:
    """Say, or refuse, that a column of text is nearly one of numbers, or that float64 cannot hold its numbers."""
    if kind == "numeric" and types.is_integer_dtype(column.dtype):
        lost = column.nunique() - column.astype("Float64").nunique()
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


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python scalar it stands for; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


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
                f"{name}: column '{feature}' holds {type(value).__name__} values such as {value!r:.60};"
                " levels and classes are text, numbers or booleans."
            )
        if isinstance(value, float) and np.isinf(value):
            raise TableError(
                f"{name}: column '{feature}' holds infinity; levels and classes are text, numbers or booleans."
            )
    levels = _ordered_levels(column, values) or _sorted_levels(values)
    return _categories(column, _positions(column, levels), _type_of(levels))


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


def _labels(column: pd.Series[Any], target: str, name: str) -> pd.Series[Any]:
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
            " tabgen compares classifiers: cut it into classes first."
        )
    return labels


def _levels(column: pd.Series[Any], kind: Kind) -> tuple[Level, ...]:
    if kind not in ("categorical", "boolean"):
        return ()
    return tuple(_plain(level) for level in column.cat.categories)


def _check_finite(values: np.ndarray[Any, Any], column: str, source: str, error: type[Exception]) -> None:
    count = int(np.isinf(values).sum())
    if count:
        raise error(
            f"column '{column}' of {source} holds infinity in {count} of {len(values)} rows;"
            " replace it by a number or by a missing value."
        )


def _numbers(column: pd.Series[Any], kind: Kind, source: str, error: type[Exception]) -> pd.Series[Any]:
    try:
        if types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype):
            numbers = pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan))
        else:
            numbers = pd.to_numeric(column.astype(object).where(column.notna(), np.nan))
        if types.is_complex_dtype(numbers.dtype):
            raise TypeError("complex numbers have no order")
        values = numbers.to_numpy(dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as reason:
        raise error(f"column '{column.name}' of {source} should hold numbers ({kind}): {reason}.") from reason
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


def _canonical(column: pd.Series[Any], kind: Kind, feature: str, name: str) -> pd.Series[Any]:
    if kind in ("numeric", "integer"):
        return _numbers(column, kind, name, TableError)
    if kind == "categorical":
        return _as_category(column, feature, name)
    if kind == "boolean":
        return _fit_column(column, Column(feature, "boolean", (False, True)), name, TableError)
    if kind == "datetime":
        return as_times(column, zone_of(column), name, TableError)
    if kind == "text":
        return _texts(column)
    raise TableError(
        f"{name}: column '{feature}' cannot be of kind '{kind}'; kinds are numeric, integer, categorical, boolean,"
        " datetime and text; drop leaves a column out."
    )


def _fit_column(
    column: pd.Series[Any], spec: Column, source: str, error: type[Exception] = InvalidOutput
) -> pd.Series[Any]:
    """One column in the canonical form of ``spec``, or an error that names what does not fit."""
    if spec.kind == "text":
        return _texts(column)
    if spec.is_number:
        return _numbers(with_plain_type(column, spec.name, source), spec.kind, source, error)
    if spec.kind == "datetime":
        return as_times(with_plain_type(column, spec.name, source), spec.zone, source, error)
    positions = _positions(column, spec.levels)
    foreign = positions == FOREIGN
    if foreign.any():
        shown = ", ".join(repr(level) for level in spec.levels[:6]) + (", ..." if len(spec.levels) > 6 else "")
        raise error(
            f"column '{spec.name}' of {source} holds {_plain(column[foreign].iloc[0])!r:.60} in {int(foreign.sum())} of"
            f" {len(column)} rows, which is none of its levels ({shown})."
        )
    return _categories(column, positions, spec.dtype)


def _positions(column: pd.Series[Any], levels: tuple[Level, ...]) -> np.ndarray[Any, np.dtype[np.intp]]:
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
        codes, values = column.cat.codes.to_numpy(), [_plain(v) for v in column.cat.categories]
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
        return codes, [_plain(v) for v in uniques]
    except TypeError:
        codes[present] = np.arange(len(known))
        return codes, [_plain(v) for v in known]


def _texts(column: pd.Series[Any]) -> pd.Series[Any]:
    values = [None if missing else str(v) for v, missing in zip(column.astype(object), column.isna(), strict=True)]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def _type_of(levels: tuple[Level, ...]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(pd.Index(list(levels), dtype=object))


def _categories(
    column: pd.Series[Any], positions: np.ndarray[Any, np.dtype[np.intp]], dtype: pd.CategoricalDtype
) -> pd.Series[Any]:
    values = pd.Categorical.from_codes(positions, dtype=dtype)
    return pd.Series(values, index=column.index, name=column.name)


def _to_numbers(values: pd.Series[Any], column: Column) -> np.ndarray[Any, np.dtype[np.float64]]:
    if column.kind == "text":
        raise TableError(f"column '{column.name}' holds free text, which is no number; leave it out of the matrix.")
    if column.is_discrete:
        codes = values.cat.codes.to_numpy(dtype=np.float64)
        return np.where(codes < 0, np.nan, codes)
    if column.kind == "datetime":
        since = values.to_numpy().astype("datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(values.isna(), np.nan, since)
    return values.to_numpy(dtype=np.float64)


def _from_numbers(numbers: np.ndarray[Any, np.dtype[np.float64]], column: Column) -> pd.Series[Any]:
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
        return _fit_column(values, column, source)
    if not column.levels and not missing.all():
        raise InvalidOutput(f"column '{column.name}' has no levels: {numbers[~missing][0]:g} is none; NaN is due.")
    positions = np.where(missing, MISSING, np.clip(whole, 0, max(len(column.levels) - 1, 0))).astype(np.intp)
    return _categories(values, positions, column.dtype)


def _conformed(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Integers rounded, and numbers that are no level in the place of the nearest one; what is no number stays."""
    of_numbers = column.is_discrete and len(column.levels) > 0 and not isinstance(column.levels[0], str)
    if column.kind != "integer" and not of_numbers:
        return values
    values = values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(numbers)
    if column.kind == "integer":
        return values.where(~finite, pd.Series(np.round(numbers), index=values.index)) if finite.any() else values
    foreign = finite & (_positions(values, column.levels) == FOREIGN)
    if not foreign.any():
        return values
    levels = np.array(column.levels, dtype=np.float64)
    nearest = np.abs(numbers[foreign, np.newaxis] - levels).argmin(axis=1)
    mended = values.astype(object)
    mended[foreign] = [column.levels[position] for position in nearest]
    return mended
