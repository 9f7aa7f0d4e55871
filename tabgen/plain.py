"""Plain types: dates, periods, durations, decimals and intervals of any library as what a table can hold."""

from __future__ import annotations

import datetime as dt
import decimal
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from tabgen.errors import TableError, TableWarning
from tabgen.jsonable import EXACT
from tabgen.parsing import ISO_MOMENT
from tabgen.text import shown


def as_scalar(value: Any) -> Any:
    """A numpy scalar as the Python scalar it stands for; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def misfit(due: str, others: pd.Series[Any], rows: int, mend: str, otherwise: str) -> str:
    """What is due, and which values are something else; where none can be named, ``otherwise``."""
    if others.empty:
        return f"{due}: {otherwise}."
    return f"{due}; {len(others)} of {rows} rows hold something else, first {shown(others.iloc[0])}: {mend}."


def with_plain_type(column: pd.Series[Any], feature: str, name: str) -> pd.Series[Any]:
    """The column with numbers, texts, booleans, categories or timestamps in it, whatever stood for them.

    Periods become the time they begin at, durations seconds, decimals floats (or integers, where no float holds
    them), intervals categories in their order.

    Raises
    ------
    TableError
        For times of day, which belong to no day.
    """
    if isinstance(column.dtype, pd.ArrowDtype) and column.dtype.kind in "OMm":
        column = column.astype(object).where(column.notna(), None)  # Arrow's dates, durations and decimals
    dtype = column.dtype
    if isinstance(dtype, pd.PeriodDtype):
        return _begun(column)
    if types.is_timedelta64_dtype(dtype):
        return _seconds(column, feature, name)
    if isinstance(dtype, pd.IntervalDtype):
        return column.astype("category")
    if types.is_object_dtype(dtype):
        return _objects(column, feature, name)
    return column


def with_times(frame: pd.DataFrame, formats: Mapping[str, str], name: str) -> pd.DataFrame:
    """The frame with times where a column is written in a format of strftime: texts, or numbers such as 20201231.

    Times stay as they are, and so do texts of ISO 8601: pandas writes midnights as dates, whatever the format.

    Raises
    ------
    TableError
        If a column is written in neither.
    """
    written = {c: f for c, f in formats.items() if c in frame and not types.is_datetime64_any_dtype(frame[c].dtype)}
    return frame.assign(**{column: _by_format(frame[column], form, name) for column, form in written.items()})


def _by_format(column: pd.Series[Any], form: str, name: str) -> pd.Series[Any]:
    values = [v for v in column.dropna().unique() if not isinstance(v, dt.date)]
    try:
        moments = {v: dt.datetime.strptime(str(_whole(v)), form) for v in values}
    except ValueError as error:
        if all(ISO_MOMENT.fullmatch(str(v)) for v in values):
            return column
        raise TableError(
            f"{name}: column '{column.name}' is written neither in its format, '{form}', nor as ISO 8601: {error};"
            " mend the format or the values, or say which text means missing (--missing)."
        ) from error
    times = [None if pd.isna(v) else moments.get(v, v) for v in column]
    return pd.Series(times, index=column.index, name=column.name, dtype=object)


def _objects(column: pd.Series[Any], feature: str, name: str) -> pd.Series[Any]:
    known = column.dropna()
    seen = set(map(type, known))

    def all_are(*kinds: type) -> bool:
        return bool(seen) and all(issubclass(t, kinds) for t in seen)

    if decimal.Decimal in seen and all_are(decimal.Decimal, int, float, np.number):
        numbers = column.astype(object).map(float, na_action="ignore").astype(np.float64)
        if EXACT < numbers.abs().max() < np.inf and all(value == int(value) for value in known):
            whole = [None if pd.isna(value) else int(value) for value in column]  # what float64 merges is said later
            return pd.Series(whole, index=column.index, name=column.name, dtype=object)
        return numbers
    if all_are(pd.Interval):
        return pd.Series(pd.Categorical(list(column), pd.IntervalIndex(sorted(set(known))), ordered=True), column.index)
    if all_are(dt.timedelta, np.timedelta64):
        return _seconds(column, feature, name)
    if all_are(pd.Period):
        return _begun(column)
    if all_are(dt.date, np.datetime64):
        return _timestamps(column, known)
    if all_are(dt.time):
        raise TableError(
            f"{name}: column '{feature}' holds times of day, such as {known.iloc[0]}; turn them into numbers"
            " (seconds since midnight) or leave the column out (--drop)."
        )
    return column


def _begun(periods: pd.Series[Any]) -> pd.Series[Any]:
    """The starts of periods, of any year: pandas' own go to 2262."""
    starts = [None if pd.isna(p) else np.datetime64(p.asfreq("us", "start").ordinal, "us") for p in periods]
    return pd.Series(np.array(starts, dtype="datetime64[us]"), index=periods.index, name=periods.name)


def _seconds(durations: pd.Series[Any], feature: str, name: str) -> pd.Series[Any]:
    warnings.warn(
        f"{name}: column '{feature}' holds durations, which were taken as seconds.", TableWarning, stacklevel=5
    )
    seconds: pd.Series[Any] = pd.to_timedelta(durations.astype(object)).dt.total_seconds()
    return seconds


def _timestamps(column: pd.Series[Any], known: pd.Series[Any]) -> pd.Series[Any]:
    """Dates and times that are objects: of several zones, or with and without one, in UTC."""
    zones = {str(getattr(value, "tzinfo", None)) for value in known}
    texts = column.map(
        lambda value: value.isoformat() if isinstance(value, dt.date) else str(value), na_action="ignore"
    )
    values = pd.Series(np.full(len(column), np.datetime64("NaT", "us")), index=column.index, dtype="datetime64[us]")
    moments = [pd.Timestamp(text).as_unit("us") for text in texts.dropna()]
    if zones == {"None"}:
        values[column.notna()] = np.array([m.to_datetime64() for m in moments])
        return values
    in_utc = [(m if m.tzinfo else m.tz_localize("UTC")).tz_convert("UTC").tz_localize(None) for m in moments]
    values[column.notna()] = np.array([m.to_datetime64() for m in in_utc])
    aware: pd.Series[Any] = values.dt.tz_localize("UTC")
    return aware.dt.tz_convert(known.iloc[0].tzinfo) if len(zones) == 1 else aware


def zone_of(column: pd.Series[Any]) -> str:
    """The name of a column's time zone; empty if it has none, UTC for one that no name leads back to."""
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        return ""
    zone = str(column.dtype.tz)
    try:
        pd.Timestamp(0, tz=zone)
    except (ValueError, KeyError, OSError):
        return "UTC"
    return zone


def by_clock(times: pd.Series[Any], zone: str, source: str, error: type[Exception]) -> pd.Series[Any]:
    """Timestamps without a zone as those of this zone, whose clock they are told by.

    Raises
    ------
    error
        For a time that the clock never shows, or shows twice.
    """
    told: pd.Series[Any] = times.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    odd = times[told.isna() & times.notna()]
    if len(odd):
        raise error(
            f"column '{times.name}' of {source} holds {odd.iloc[0]}, which the clock of {zone} never shows or shows"
            " twice; write it with its offset from UTC, such as 2020-12-31 23:59+01:00."
        )
    return told


def _whole(value: Any) -> Any:
    """A whole float as its integer: years are floats where others miss."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moments(column: pd.Series[Any], zone: str, source: str, error: type[Exception]) -> pd.Series[Any]:
    """Times of any type as timestamps; those without a zone get the one that is due."""
    try:
        if types.is_datetime64_any_dtype(column.dtype):
            moments = column
            bare = np.full(len(column), not isinstance(column.dtype, pd.DatetimeTZDtype))
        else:
            texts = column.astype(object).where(column.notna(), None).map(_whole, na_action="ignore")
            odd = texts[pd.to_numeric(texts, errors="coerce") % 1 > 0]  # pandas takes 2019.5 for May of 2019
            if len(odd):
                raise ValueError(f"{odd.iloc[0]} is a number, and only whole years are times")
            moments = pd.to_datetime(texts, format="ISO8601", utc=bool(zone))
            if not types.is_datetime64_any_dtype(moments.dtype):
                raise ValueError("times of several zones")
            if not zone:
                return moments
            bare = np.array([text is not None and pd.Timestamp(text).tzinfo is None for text in texts])
    except (ValueError, TypeError, OverflowError) as reason:
        due = f"column '{column.name}' of {source} should hold dates or times such as 2020-12-31 or 2020-12-31 23:59"
        values = [_whole(value) for value in column.dropna()]
        named = [value for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
        others = pd.Series(named, dtype=object)
        others = others[pd.to_datetime(others, format="ISO8601", errors="coerce", utc=True).isna()]
        mend = "write a date, or nothing where one is missing"
        raise error(misfit(due, others, len(column), mend, str(reason).partition(". You might")[0])) from reason
    if not zone or not bare.any():
        return moments
    told = by_clock(moments.dt.tz_localize(None).where(bare), zone, source, error)
    return told if bare.all() else moments.where(~bare, told.dt.tz_convert("UTC"))


def as_times(column: pd.Series[Any], zone: str, source: str, error: type[Exception]) -> pd.Series[Any]:
    """Timestamps without a zone, to the microsecond: in UTC if the column is to have a ``zone``.

    A time without a zone is by the clock of ``zone``, but for numpy's timestamps: in UTC, as in a table's frame.

    Raises
    ------
    error
        If a value is no time, or has a zone where the column has none.
    """
    if not types.is_datetime64_dtype(column.dtype):
        column = _moments(with_plain_type(column, str(column.name), source), zone, source, error)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        if not zone:
            raise error(f"column '{column.name}' of {source} holds times of the zone {column.dtype.tz}; none is due.")
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if column.dt.nanosecond.any():
        warnings.warn(
            f"{source}: the times of column '{column.name}' were cut to microseconds.", TableWarning, stacklevel=5
        )
    return column.astype("datetime64[us]")
