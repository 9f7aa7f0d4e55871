"""What a bundle may hold at most: every bound on what a stranger sends, in one place (docs/publish.md lists them).

Those on single numbers and on nesting are in ``tabgen.jsonable``: what is made here is held to them as it enters.

Whatever is within them can be read, checked, merged, ranked and built in bounded memory and time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tabgen.arms import ARMS, FIRST_ARM
from tabgen.comparable import COMPARABLE, DRAWS, identity_of
from tabgen.errors import DataError
from tabgen.jsonable import MOST_NUMBER, excess_of
from tabgen.outcome import Cell, canonical_json, recipe_content
from tabgen.text import unseen

Row = dict[str, Any]

MOST_PACKED, MOST_UNPACKED, MOST_SIDE = 50_000_000, 150_000_000, 2_000_000
"""Bytes: of the zip file, of what it unpacks to, of the manifest and of the environments."""
MOST_COMPRESSION = 200
"""Real rows pack 10- to 40-fold; deflate's limit, which bombs reach, is about 1,030."""
MOST_ROWS, LONGEST_LINE = 50_000, 500_000
MOST_VALUES = 4_000_000
"""JSON values of all rows together; an object or list that many rows share counts once."""
MOST_COLUMNS = 500
LONGEST_LIST = 20_000
MOST_DATASETS, MOST_METHODS, MOST_SUITES = 1000, 200, 100
MOST_SETTINGS = 16
"""Sets of outcomes that are ranked apart: each becomes a board for every arm."""
MOST_METRICS, MOST_RANKINGS = 20, 400
"""Every setting is ranked in every arm by every metric."""
MOST_PAIRS = 200_000
"""Pairs of methods in all rankings together: each is tested, at about a millisecond."""
NAMES = (
    *("suite", "dataset", "target", "method", "generator", "plugin", "plugin_version", "model", "checkpoint"),
    *("rows_of", "model_plugin_version"),
)
COLUMN = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass
class Tally:
    """What the rows of one bundle add up to; a row that goes beyond a bound is refused as it comes."""

    values: int = 0
    columns: set[str] = field(default_factory=set)
    named: dict[str, set[Any]] = field(default_factory=dict)
    _shared: dict[str, Any] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)
    _methods: dict[str, set[Any]] = field(default_factory=dict)

    def take(self, row: Row, line: str) -> Row:
        """The row, with what it has in common with earlier rows kept once.

        Raises
        ------
        DataError
            Naming ``line`` and the bound.
        """
        if new := row.keys() - self.columns:
            self._take_columns(new, line)
        _check_shape(row, line)
        small = self._shared_parts(row)
        if self.values > MOST_VALUES:
            raise DataError(f"{line}: the rows up to here hold more than {MOST_VALUES:,} values; send fewer rows.")
        setting, method = _setting(row), canonical_json([row["method"], identity_of(Cell.from_dict(row))])
        dataset = canonical_json([row.get(name) for name in ("dataset", "sha256", "target", "kinds", "reading")])
        for what, key, most in (
            ("datasets", dataset, MOST_DATASETS),
            ("methods", method, MOST_METHODS),
            ("suites", row["suite"], MOST_SUITES),
            ("settings", setting, MOST_SETTINGS),
        ):
            found = self.named.setdefault(what, set())
            found.add(key)
            self._most(what, found, most, line)
        metrics = self.named["metrics"]
        arms = self.named.setdefault("arms", set())
        arms |= set(row.get("arms", [FIRST_ARM]))
        settings, rankings = len(self.named["settings"]), len(arms) * len(metrics)
        if settings * rankings > MOST_RANKINGS:
            raise DataError(
                f"{line}: {settings} settings in {len(arms)} arms by {len(metrics)} metrics make more than"
                f" {MOST_RANKINGS} rankings; send a bundle for each setting."
            )
        self._methods.setdefault(setting, set()).add(method)
        pairs = sum(len(methods) * (len(methods) - 1) // 2 for methods in self._methods.values())
        if pairs * rankings > MOST_PAIRS:
            raise DataError(
                f"{line}: the methods up to here, each with each, in {len(arms)} arms by {len(metrics)} metrics make"
                f" more than {MOST_PAIRS:,} pairs; send a bundle for each arm, or fewer methods."
            )
        return small

    def _take_columns(self, names: set[str], line: str) -> None:
        for name in names:
            if not COLUMN.fullmatch(name):
                raise DataError(
                    f"{line}: the column {name[:50]!r} should be named in up to 100 of a-z, 0-9 and _,"
                    " and begin with a letter."
                )
        self.columns |= names
        self._most("columns", self.columns, MOST_COLUMNS, line)
        metrics = self.named.setdefault("metrics", set())
        metrics |= {name for name in names if name.startswith("zero_shot_test_")}
        self._most("metrics", metrics, MOST_METRICS, line)

    def _most(self, what: str, found: set[Any], most: int, line: str) -> None:
        if len(found) > most:
            raise DataError(f"{line}: there are more than {most:,} {what}; at most that many fit into one bundle.")

    def _shared_parts(self, row: Row) -> Row:
        """The row from names, texts and values that are kept once: plain, as it is done for millions of values."""
        texts, small, new = self._texts, {}, 0
        for name, value in row.items():
            if isinstance(value, str):
                known = texts.get(value)
                if known is None:
                    new += 1
                    known = texts[value] = value
                small[texts.setdefault(name, name)] = known
            elif isinstance(value, dict | list):
                small[texts.setdefault(name, name)] = self._share(value)
            else:
                new += 1
                small[texts.setdefault(name, name)] = value
        self.values += new
        return small

    def _share(self, value: Any) -> Any:
        if isinstance(value, list) and _is_curve(value):
            self.values += len(value)
            return value
        written = canonical_json(value)
        if len(written) > 10_000 or written not in self._shared:  # what is long is hardly shared, and costs twice
            self.values += _size(value)
            if len(written) > 10_000:
                return value
        return self._shared.setdefault(written, value)


def _check_shape(row: Row, line: str) -> None:
    for name, value in row.items():
        if isinstance(value, float):
            _check_measured(value, name, line)
        elif isinstance(value, int):
            _check_excess(value, name, line)
        elif isinstance(value, list):
            _check_list(value, name, line)
        elif isinstance(value, dict):
            _check_excess(value, name, line)
    named = [(name, row.get(name)) for name in NAMES] + [("the recipe's name", row["recipe"].get("name"))]
    named += [(f"a key of {column}", key) for column in ("settings", "recipe") for key in row[column]]
    for name, text in named:
        if odd := unseen(str(text or "")):
            raise DataError(
                f"{line}: {name} holds U+{ord(odd):04X}, a character that no screen shows, or that turns its text"
                " round; name it without."
            )
    arms = row.get("arms", [FIRST_ARM])
    if not arms or len(set(arms)) < len(arms) or not set(arms) <= ARMS.keys():
        raise DataError(f"{line}: arms should name some of {', '.join(ARMS)}, each once; not {arms!r:.80}.")
    if row.get("draw", 0) >= DRAWS:
        raise DataError(f"{line}: draw {row['draw']:,}; below {DRAWS:,} is read.")


def _check_list(value: list[Any], name: str, line: str) -> None:
    if _is_curve(value):  # its largest stands for all
        _check_measured(max(map(abs, value), default=0.0), name, line)
    else:
        _check_excess(value, name, line)
    if len(value) > LONGEST_LIST:
        raise DataError(f"{line}: {name} has {len(value):,} entries; at most {LONGEST_LIST:,} are read.")
    for number in () if _is_curve(value) else value:
        if isinstance(number, float):
            _check_measured(number, name, line)


def _check_measured(number: float, name: str, line: str) -> None:
    if not -MOST_NUMBER <= number <= MOST_NUMBER:
        raise DataError(f"{line}: {name} = {number:g} is beyond {MOST_NUMBER:g}.")


def _check_excess(value: Any, name: str, line: str) -> None:
    if excess := excess_of(value):
        raise DataError(f"{line}: {name} {excess}.")


def _is_curve(values: list[Any]) -> bool:
    return set(map(type, values)) <= {float}


def _setting(row: Row) -> str:
    recipe = recipe_content(row["recipe"]) if row["mixing"] != "none" else None
    return canonical_json([*(row.get(name) for name in COMPARABLE), recipe])


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + _size(each) for each in value.values())
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1
