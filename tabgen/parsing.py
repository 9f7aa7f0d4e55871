"""Texts to values: whether a column of a text file holds numbers, truth values, dates or words, told by all of it."""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tabgen.errors import TableWarning
from tabgen.jsonable import EXACT
from tabgen.text import shown, some_of

NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?|[+-]?([iI]nf|[iI]nfinity|INF)"
"""A number as a whole text. An exponent of five digits is part of an id (8e2569614270), not a power of ten."""
WHOLE = r"[+-]?\d+"
CODE = r"\d+"
COMMA_DECIMAL = r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)?(,\d+)?([eE][+-]?\d{1,4})?"
COMMA_GROUPED = r"[+-]?\d{1,3}(,\d{3})*(\.\d*)?([eE][+-]?\d{1,4})?"
COULD_GROUP = r"[+-]?[1-9]\d{0,2}(,\d{3})+"
CERTAINLY_GROUPED = r"[+-]?\d{1,3}(,\d{3})+(\.\d+|,\d{3})"
MARKERS = frozenset({"NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "null", "NULL", "None"})
"""What programs write for a missing number. Among words they are words: Namibia's code is NA."""
TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
HEAD = 100
"""Values that are looked at before all of a column is."""
ISO_TIME = r"([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
ISO = r"\d{4}-\d{2}-\d{2}" + ISO_TIME
ZONE = r"\s?(Z|[+-]\d{2}:?\d{2})"
ISO_MOMENT = re.compile(f"{ISO}({ZONE})?")
MONTH_NAME = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY, _MONTH = r"(0?[1-9]|[12]\d|3[01])", r"(0?[1-9]|1[0-2])"
ANY_DATE = (
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{4}"
    rf"|({_DAY}[/-]{_MONTH}|{_MONTH}[/-]{_DAY})[/-]\d{{2}}|(0[1-9]|[12]\d|3[01])\.(0[1-9]|1[0-2])\.\d{{2}}"
    rf"|\d{{1,2}}[ ./-]{{1,2}}{MONTH_NAME}[ ,./-]{{1,2}}(\d{{4}}|\d{{2}})|{MONTH_NAME} \d{{1,2}},? (\d{{4}}|\d{{2}})"
    r"|(1[6-9]|2[01])\d{2}[-/](0[1-9]|1[0-2])|(0?[1-9]|1[0-2])[-/](1[6-9]|2[01])\d{2})([ T].*)?"
)
"""What is meant as a date, in the forms that are read and in others, of which it is said that they are not.

Years of two digits are held to days and months that there are: 12-34-56 is an id, and 1.2.20 a version.
"""
READ_FORMS = (ISO, ISO + ZONE, *(rf"\d{{1,2}}{s}\d{{1,2}}{s}\d{{4}}([ T].*)?" for s in (r"\.", "/", "-")))
TIME_OF_DAY = r"\d{1,2}:\d{2}(:\d{2})?"
MANY_TIMES = 20
FREE_TEXTS, FREE_SHARE, FREE_WORDS = 30, 0.1, 3.0
"""From this many different texts, at this share of the rows, and this many words each, a column is free text."""
LOCAL_DATE = re.compile(
    r"(?P<a>\d{1,2})(?P<sign>[./-])(?P<b>\d{1,2})(?P=sign)(?P<year>\d{4})([ T](?P<time>\d{1,2}:\d{2}(:\d{2})?))?"
)


@dataclass(frozen=True)
class TextStyle:
    """How values are written in one file: see :class:`tabgen.reader.ReadOptions`."""

    decimal: str | None = None
    missing: frozenset[str] = frozenset()
    day_first: bool | None = None
    delimiter: str = ","


@dataclass
class _File:
    """One file while its columns are parsed: what is said of it goes out once, with the columns together."""

    source: str
    style: TextStyle
    said: dict[str, list[str]]
    day_orders: set[bool] = field(default_factory=set)

    def say(self, what: str, column: str) -> None:
        self.said.setdefault(what, []).append(column)

    def warn(self) -> None:
        for what, columns in self.said.items():
            shown = some_of((f"'{c}'" for c in columns), 6)
            plural = f"{len(columns)} columns ({shown})" if len(columns) > 1 else f"column {shown}"
            warnings.warn(f"{self.source}: {plural}: {what}", TableWarning, stacklevel=2)


def parse_columns(
    columns: dict[str, pa.Array],
    style: TextStyle,
    as_text: frozenset[str],
    source: str,
) -> tuple[pd.DataFrame, TextStyle]:
    """The columns of a text file as numbers, truth values, dates or text, each by all of its values.

    With them the style that they were read in: what was found out of it as well.

    Parameters
    ----------
    columns : dict
        String arrays by name; null where nothing stands.
    style : TextStyle
    as_text : frozenset of str
        Columns that stay as they are.
    source : str
        What warnings call the file.
    """
    file = _File(source, style, {})
    held = {name: _words_in(column, style.missing) for name, column in columns.items()}
    columns = {name: _without(column, style.missing) if held[name] else column for name, column in columns.items()}
    decimal = style.decimal or _decimal_of([c for name, c in columns.items() if name not in as_text], style)
    data = {}
    for name, column in columns.items():
        data[name] = _text(column) if name in as_text else _parse(column, name, decimal, file)
    file.warn()
    day_first = style.day_first
    if day_first is None and len(file.day_orders) == 1:
        (day_first,) = file.day_orders
    found = replace(style, decimal=decimal, day_first=day_first, missing=frozenset().union(*held.values()))
    return pd.DataFrame(data), found


def _words_in(column: pa.Array, words: frozenset[str]) -> list[str]:
    """Those of the words that stand in a column."""
    if not words:
        return []
    known = pc.unique(pc.utf8_trim_whitespace(column))
    found: list[str] = known.filter(pc.is_in(known, value_set=pa.array(sorted(words), pa.string()))).to_pylist()
    return found


def _without(column: pa.Array, words: frozenset[str]) -> pa.Array:
    found = pc.is_in(pc.utf8_trim_whitespace(column), value_set=pa.array(sorted(words), pa.string()))
    return pc.if_else(found, pa.scalar(None, pa.string()), column)


def _text(column: pa.Array) -> pd.Series[Any]:
    return pd.Series(column.to_numpy(zero_copy_only=False), dtype=object)


def _all(texts: pa.Array, pattern: str) -> bool:
    return len(texts) > 0 and bool(pc.all(_matches(texts, pattern)).as_py())


def _matches(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(texts, f"^({pattern})$")


def _parse(column: pa.Array, name: str, decimal: str | None, file: _File) -> pd.Series[Any]:
    if column.null_count == len(column):
        return pd.Series(np.full(len(column), np.nan))
    plain = decimal != ","  # where it is, 1.234 may be a thousand
    numbers = _numbers(column, name, file) if plain else None
    if numbers is not None:
        return numbers
    trimmed = pc.utf8_trim_whitespace(column)
    known = pc.unique(trimmed.drop_null())
    if _is_prose(known):
        return _text(column)
    words = _without(trimmed, MARKERS | {""})
    levels = pc.unique(words.drop_null())
    if len(levels) == 0:
        return _text(column)
    parsers: tuple[Callable[[], pd.Series[Any] | None], ...] = (
        lambda: _comma_numbers(words, levels, name, decimal, file),
        lambda: None if plain and words.equals(column) else _numbers(words, name, file),
        lambda: _truths(words, levels),
        lambda: _dates(words, levels, name, file),
    )
    for parse in parsers:
        values = parse()
        if values is not None:
            taken = pc.unique(trimmed.filter(pc.fill_null(pc.is_in(trimmed, pa.array(sorted(MARKERS))), False)))
            for marker in taken.to_pylist():
                file.say(f"{marker!r} was taken as missing; if it is a value, say --kind COLUMN=categorical.", name)
            return values
    return _text(column)


def _is_prose(texts: pa.Array) -> bool:
    """Whether a first look shows words only: spares the patterns below their cost."""
    return not pc.any(
        pc.match_substring_regex(texts, rf"^\s*[+-]?[\d.,]|^(?i:inf|true|false)|^\s*{MONTH_NAME} \d")
    ).as_py()


def _numbers(column: pa.Array, name: str, file: _File) -> pd.Series[Any] | None:
    """Numbers with a decimal point, or None if some value is none."""
    head = column.slice(0, HEAD).drop_null()
    if len(head) and not _all(head, NUMBER):  # a cast that fails takes ten times as long as one that does not
        return None
    whole = _cast(column, pa.int64()) if not len(head) or _all(head, WHOLE) else None
    if whole is not None and not any(pc.any(pc.match_substring(column, x)).as_py() for x in "xX"):  # 0x1F
        zeros = column.filter(pc.fill_null(pc.starts_with(column, "0"), False))
        if pc.any(_matches(zeros, r"0\d+")).as_py() and _all(column, CODE):
            file.say("its codes with leading zeros were kept as categories.", name)
            return None
        return _whole(whole)
    values = _cast(column, pa.float64())
    if values is None:
        return None
    if pc.any(pc.starts_with(column, "+")).as_py():  # of a whole number the plus sign alone keeps it from being one
        bare = pc.replace_substring_regex(column, r"^\+(\d)", r"\1")
        return _numbers(bare, name, file)
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    known = numbers[~pc.is_null(values).to_numpy(zero_copy_only=False)]
    finite = np.isfinite(known)
    if not finite.any() or not (finite.all() or _all(column, NUMBER)):  # an id such as 8e2569614270, or the word nan
        return None
    if np.abs(known).max() >= 2**63 and _all(column, WHOLE):
        file.say(
            "whole numbers beyond 64 bits were kept as categories; leave the column out if it is an id (--drop).", name
        )
        return None
    _mention_underflow(column, numbers, name, file)
    return pd.Series(numbers)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        return None


def _whole(values: pa.Array) -> pd.Series[Any]:
    if not values.null_count:
        return pd.Series(values.to_numpy())
    limits = pc.min_max(values).as_py()
    if max(abs(limits["min"]), abs(limits["max"])) > EXACT:
        return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)  # type: ignore[no-any-return]
    return pd.Series(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False))


def _mention_underflow(column: pa.Array, numbers: np.ndarray[Any, Any], name: str, file: _File) -> None:
    zeros = column.filter(pa.array(numbers == 0))
    lost = zeros.filter(_matches(zeros, r"[+-]?[0.]*[1-9].*"))
    if len(lost):
        file.say(f"{lost[0].as_py()!r} is too small for a float64 and was read as 0.", name)


def _decimal_of(columns: list[pa.Array], style: TextStyle) -> str | None:
    """A comma, if some column can only be numbers with a decimal comma."""
    for column in columns:
        if not pc.any(pc.match_substring(column, ",")).as_py():
            continue
        levels = pc.unique(_without(pc.utf8_trim_whitespace(column), MARKERS | {""}).drop_null())
        if not _all(levels, COMMA_DECIMAL):
            continue
        with_comma = levels.filter(pc.match_substring(levels, ","))
        if not _all(with_comma, COULD_GROUP):
            return ","
    return style.decimal


def _comma_numbers(
    column: pa.Array, levels: pa.Array, name: str, decimal: str | None, file: _File
) -> pd.Series[Any] | None:
    """Numbers with a decimal comma, or with commas between thousands; None if some value is neither."""
    if not pc.any(pc.match_substring(levels, ",")).as_py():
        grouped = levels.filter(pc.match_substring(levels, "."))
        if decimal != "," or not len(grouped) or not _all(levels, COMMA_DECIMAL):
            return None
        if file.style.decimal is None:
            file.say(
                f"{grouped[0].as_py()!r} was read with points between thousands, as other columns have decimal commas;"
                " if that is wrong, say --decimal '.'.",
                name,
            )
        return _numbers(pc.replace_substring(column, ".", ""), name, file)
    if decimal == "," and _all(levels, COMMA_DECIMAL):
        if file.style.decimal is None:
            example = levels.filter(pc.match_substring(levels, ","))[0].as_py()
            file.say(f"{example!r} was read with a decimal comma; if that is wrong, say --decimal '.'.", name)
        return _numbers(pc.replace_substring(pc.replace_substring(column, ".", ""), ",", "."), name, file)
    if decimal != "," and _all(levels, COMMA_GROUPED):
        if file.style.decimal is None:
            if not pc.any(_matches(levels, CERTAINLY_GROUPED)).as_py():
                example = levels.filter(pc.match_substring(levels, ","))[0].as_py()
                file.say(
                    f"{example!r} can be a decimal or thousands: kept as categories. Say --decimal ',' or '.'.", name
                )
                return None
            file.say(
                "commas between thousands were left out of its numbers; if that is wrong, say --decimal ','.", name
            )
        return _numbers(pc.replace_substring(column, ",", ""), name, file)
    return None


def _truths(column: pa.Array, levels: pa.Array) -> pd.Series[Any] | None:
    if not set(levels.to_pylist()) <= set(TRUTHS):
        return None
    values = pd.Series(_text(column).map(TRUTHS), dtype="boolean")
    return values if column.null_count else values.astype(bool)


def _dates(column: pa.Array, levels: pa.Array, name: str, file: _File) -> pd.Series[Any] | None:
    """Dates and times, to the microsecond: ISO 8601 with or without zones, or days and months in a telling order."""
    are_dates = _matches(levels, ANY_DATE)
    n_dates = pc.sum(are_dates).as_py()
    if len(levels) > MANY_TIMES and _all(levels, TIME_OF_DAY):
        file.say(f"times of day such as {levels[0].as_py()!r} were kept as categories; turn them into numbers.", name)
    if n_dates < 0.9 * len(levels):
        return None
    if n_dates < len(levels):
        odd = levels.filter(pc.invert(are_dates))[0].as_py()
        file.say(
            f"dates but for {shown(odd, 30)}: {_kept(column)}. If that means missing, say --missing '{odd}'.", name
        )
        return None
    n_said = sum(map(len, file.said.values()))
    times = _times(column, levels, name, file)
    if times is None and sum(map(len, file.said.values())) == n_said:
        file.say(f"{_unread(levels, file.style)}: {_kept(column)}. Write 2020-12-31, 31.12.2020 or 12/31/2020.", name)
    return times


def is_free_text(values: pd.Series[Any]) -> bool:
    """Whether texts are more than names of levels: many different ones, of three words or more on average."""
    distinct = values.unique()
    if len(distinct) < max(FREE_TEXTS, FREE_SHARE * len(values)):
        return False
    return float(np.mean([len(text.split()) for text in distinct])) >= FREE_WORDS


def _kept(column: pa.Array) -> str:
    """What becomes of a column of texts, in the word of its kind."""
    return f"kept as {'text' if is_free_text(_text(column).dropna()) else 'categories'}"


def _times(column: pa.Array, levels: pa.Array, name: str, file: _File) -> pd.Series[Any] | None:
    if _all(levels, ISO):
        return _timestamps(pc.replace_substring(column, "T", " "), name, file)
    if _all(levels, ISO + ZONE):
        return _zoned(column, levels, name, file)
    first = LOCAL_DATE.fullmatch(levels[0].as_py())
    return _local_dates(column, levels, first["sign"], name, file) if first else None


def _unread(levels: pa.Array, style: TextStyle) -> str:
    """Which date is the first that is not read, and why."""
    in_form = max((_matches(levels, form) for form in READ_FORMS), key=lambda each: pc.sum(each).as_py())
    if not pc.any(in_form).as_py():
        return f"dates such as {levels[0].as_py()!r} are in none of the forms that are read"
    others = levels.filter(pc.invert(in_form))
    if len(others):
        return f"the date {others[0].as_py()!r} is in another form than {levels.filter(in_form)[0].as_py()!r}"
    local = [match for match in map(LOCAL_DATE.fullmatch, levels.to_pylist()) if match]
    day_first = any(int(match["a"]) > 12 for match in local) if style.day_first is None else style.day_first
    silent = _File("", replace(style, day_first=day_first), {})

    def fails(count: int) -> bool:
        head = levels.slice(0, count)
        return _times(head, head, "", silent) is None

    wrong = levels[bisect_left(range(1, len(levels)), True, key=fails)].as_py()
    order = f", read as {'day, month' if day_first else 'month, day'}, year" if local and "." not in wrong[:3] else ""
    return f"the date {wrong!r} is not of calendar and clock{order}"


def _timestamps(column: pa.Array, name: str, file: _File, zone: str | None = None) -> pd.Series[Any] | None:
    values = _cast(column, pa.timestamp("us", zone))
    if values is None:
        nanoseconds = _cast(column, pa.timestamp("ns", zone))
        if nanoseconds is None:
            return None
        values = pc.cast(nanoseconds, pa.timestamp("us", zone), safe=False)
        file.say("times were cut to microseconds.", name)
    return values.to_pandas()  # type: ignore[no-any-return]


def _zoned(column: pa.Array, levels: pa.Array, name: str, file: _File) -> pd.Series[Any] | None:
    zones = pc.unique(pc.replace_substring_regex(levels, r"^.{10,29}?\s?(Z|[+-]\d{2}:?\d{2})$", r"\1")).to_pylist()
    tidy = pc.replace_substring_regex(pc.replace_substring(column, "T", " "), r"\s?(Z|[+-]\d{2}:?\d{2})$", r"\1")
    tidy = pc.replace_substring_regex(tidy, r"^(.{10})(Z|[+-]\d{2}:?\d{2})$", r"\1 00:00\2")
    values = _timestamps(tidy, name, file, "UTC")
    if values is None:
        return None
    if len(zones) > 1:
        file.say("times of several zones were turned to UTC.", name)
        return values
    offset = zones[0]
    if offset == "Z" or set(offset) <= set("+-0:"):
        return values
    local: pd.Series[Any] = values.dt.tz_convert(f"UTC{offset if ':' in offset else offset[:3] + ':' + offset[3:]}")
    return local


def _local_dates(column: pa.Array, levels: pa.Array, sign: str, name: str, file: _File) -> pd.Series[Any] | None:
    """Dates such as 31.12.2020 or 12/31/2020, if the values tell which of the two comes first, or the user does."""
    matches = [LOCAL_DATE.fullmatch(level) for level in levels.to_pylist()]
    found = [m for m in matches if m and m["sign"] == sign]
    if len(found) < len(matches):
        return None
    most = [max(int(m[part]) for m in found) for part in "ab"]
    day_first, found_out = True if sign == "." else file.style.day_first, False
    if day_first is None:
        if max(most) <= 12:
            file.say(
                f"of dates such as {found[0][0]!r} either number can be the month: kept as categories."
                " Say --day-first or --month-first.",
                name,
            )
            return None
        day_first = most[0] > 12
        found_out = True
    if most[1 if day_first else 0] > 12:
        return None
    iso = {
        m[0]: f"{m['year']}-{int(m['b' if day_first else 'a']):02}-{int(m['a' if day_first else 'b']):02}"
        + (f" {m['time'].zfill(len(m['time']) + (m['time'].index(':') == 1))}" if m["time"] else "")
        for m in found
    }
    texts = [None if text is None else iso[text] for text in column.to_pylist()]
    times = _timestamps(pa.array(texts, pa.string()), name, file)
    if found_out and times is not None:
        file.day_orders.add(day_first)
        order = "day, month, year" if day_first else "month, day, year"
        file.say(f"dates were read as {order}; if that is wrong, write them as 2020-12-31.", name)
    return times
