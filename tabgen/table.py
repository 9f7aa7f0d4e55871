"""Table: features, a class target and a schema that says what every column may hold."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api import types

from tabgen.column import (
    FOREIGN,
    MISSING,
    Column,
    Level,
    as_categories,
    as_classes,
    canonical,
    conformed,
    fit_column,
    from_numbers,
    infer_kind,
    levels_of,
    positions_of,
    to_numbers,
    warn_of_doubt,
)
from tabgen.errors import InvalidOutput, TableError, TableWarning, did_you_mean
from tabgen.plain import as_scalar, by_clock, with_plain_type, zone_of
from tabgen.text import counted, shown, some_of

__all__ = ["Column", "OwnSplits", "Schema", "Table"]

OwnSplits = np.ndarray[Any, np.dtype[np.int64]]


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
        data = {c.name: from_numbers(x[:, number], c) for number, c in enumerate(self.columns)}
        foreign = ~np.isin(labels, np.arange(len(self.classes)))
        if foreign.any():
            raise InvalidOutput(
                f"the label {labels[foreign][0]} of the matrix is no position in the {len(self.classes)} classes of"
                f" '{self.target}'; labels run from 0 to {len(self.classes) - 1}, in the order of schema.classes."
            )
        target = pd.Series(labels, name=self.target)
        data[self.target] = as_categories(target, labels.astype(np.intp), self.target_column.dtype)
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
            raise TableError(f"{name} has no column '{target}' to predict; {did_you_mean(target, frame.columns)}")
        if kinds.get(target, "categorical") not in ("categorical", "split"):
            raise TableError(
                f"{name}: the target '{target}' cannot be {kinds[target]}: its values are classes, whatever they are."
                " Leave its kind out."
            )
        frame = _without_missing_target(frame, target, name)
        frame, kinds, own_splits = _without_splits(frame, target, kinds, name)
        if frame.shape[1] == 1:
            raise TableError(f"{name} has no feature column beside the target '{target}'.")
        classes = as_classes(frame[target], target, name)
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
            data[feature] = canonical(values, kind, feature, name)
            if feature not in kinds:
                warn_of_doubt(values, data[feature], kind, feature, name)
            zone = zone_of(values) if kind == "datetime" else ""
            columns.append(Column(feature, kind, levels_of(data[feature], kind), zone))
        data[target] = classes
        schema = Schema(tuple(columns), target, tuple(as_scalar(c) for c in classes.cat.categories))
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

    def row_hashes(self, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """One number for each row by these columns, whatever the levels and number types of the table: (rows,).

        Numbers are told apart as float32, so that rounding hides no copy.
        """
        plain: dict[int, Any] = {}
        for number, name in enumerate(names):
            values = self.frame[name]
            if name != self.schema.target and self.schema[name].is_number:
                numbers = values.to_numpy(dtype=np.float64).astype(np.float32)
                plain[number] = numbers + np.float32(0.0)  # -0.0 equals 0.0
            else:
                plain[number] = values.astype(object).where(values.notna(), "").map(str).to_numpy(dtype=object)
        hashes: np.ndarray[Any, Any] = pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()
        return hashes

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
                column = Column(column.name, column.kind, levels_of(frame[column.name], column.kind))
            columns.append(column)
        return Table(frame, Schema(tuple(columns), self.schema.target, self.schema.classes))

    def like(self, frame: pd.DataFrame, source: str = "the new table") -> Table:
        """Read ``frame`` as rows of this table's schema, or say what in it does not fit.

        Parameters
        ----------
        frame : pandas.DataFrame
            Columns in any order, plain types welcome: they are converted, never repaired. In a column that has a zone,
            numpy's timestamps are in UTC, as in this table's frame; other times without a zone are by its clock.
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
        data = {c.name: fit_column(frame[c.name], c, source) for c in self.schema.columns}
        target = self.schema.target_column
        data[target.name] = fit_column(frame[target.name], target, source)
        if data[target.name].isna().any():
            raise InvalidOutput(f"{source}: the target '{target.name}' is missing in some rows.")
        return Table(pd.DataFrame(data).reset_index(drop=True), self.schema)

    def questions(self, frame: pd.DataFrame, source: str = "the rows to predict") -> Table:
        """Read rows to predict, whose label nobody knows: what this table lacks is let in where a model can read it.

        Other columns are left out. Numbers of integer columns may be fractions; a level that this table does not
        have is as a missing one; a time without a zone is by the clock of its column's. Every label of the result is
        missing.

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
                positions = positions_of(values, column.levels)
                data[column.name] = as_categories(values, np.where(positions < 0, MISSING, positions), column.dtype)
                continue
            if column.zone and types.is_datetime64_dtype(values.dtype):  # of a user: no table's frame, which is in UTC
                values = by_clock(values.rename(column.name), column.zone, source, TableError)
            data[column.name] = fit_column(values, column, source, TableError)
        target = self.schema.target_column
        unknown = pd.Series(np.full(len(frame), MISSING), name=target.name)
        data[target.name] = as_categories(unknown, np.full(len(frame), MISSING, np.intp), target.dtype)
        return Table(pd.DataFrame(data), Schema(columns, self.schema.target, self.schema.classes))

    def never_seen(self, frame: pd.DataFrame, most: int = 5) -> list[str]:
        """What rows to predict hold that is no level of this table: a sentence for each of the first ``most`` columns.

        Parameters
        ----------
        frame : pandas.DataFrame
            As for :meth:`questions`, to which it is missing.
        most : int
        """
        told = []
        for column in self.schema.columns:
            foreign = frame[column.name].iloc[:0]
            if column.is_discrete:
                foreign = frame[column.name][positions_of(frame[column.name], column.levels) == FOREIGN]
            if len(foreign):
                others = len(set(map(str, foreign))) - 1
                more = f" and {others:,} more" if others else ""
                told.append(
                    f"column '{column.name}' holds {shown(as_scalar(foreign.iloc[0]))}{more} that fit never saw, in"
                    f" {len(foreign):,} of {counted(len(frame), 'row')}; they count as missing."
                )
        beyond = len(told) - most
        return told[:most] + ([f"so it is in {counted(beyond, 'more column')}."] if beyond > 0 else [])

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
        return np.column_stack([to_numbers(self.frame[column.name], column) for column in self.schema.columns])

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
            mended = {c.name: conformed(frame[c.name], c) for c in columns if c.name in frame}
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
        raise TableError(
            f"{name} has no column '{unknown}', which a kind (--kind, --drop or the metadata) is said of;"
            f" {did_you_mean(unknown, frame.columns)}"
        )
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
            found = values.unique().tolist()
            some = some_of(map(shown, found), 5)
            raise TableError(
                f"{name}: column '{column}' is of kind split; it should hold folds numbered from 0, two at least,"
                f" or nothing for a row that is in no test part; it holds {some}."
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
