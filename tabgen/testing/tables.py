"""The tables of the kit: one that every generator must manage, and what real data brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tabgen.table import Table


def easy_table(n_rows: int = 60, seed: int = 0) -> Table:
    """Mixed kinds, three balanced classes that the features tell apart: every generator must manage it."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n_rows) % 3
    frame = pd.DataFrame(
        {
            "length": kind + 0.4 * rng.standard_normal(n_rows),
            "weight": 10.0 ** (kind + 0.2 * rng.standard_normal(n_rows)),
            "legs": 2 * kind + rng.integers(0, 2, n_rows),
            "colour": np.array(["brown", "green", "red"])[(kind + (rng.random(n_rows) < 0.2)) % 3],
            "flies": rng.random(n_rows) < 0.2 + 0.3 * kind,
            "species": np.array(["beetle", "fly", "wasp"])[kind],
        }
    )
    return Table.from_frame(frame, "species", name="the easy table")


def mixed(n_rows: int, labels: Sequence[Any], columns: int = 4, seed: int = 1) -> pd.DataFrame:
    """``columns`` features of the four kinds in turn, and the target ``label``."""
    rng = np.random.default_rng(seed)
    repeated = np.resize(np.array(labels, dtype=object), n_rows)
    codes = pd.factorize(repeated)[0]
    data: dict[str, Any] = {}
    for number in range(columns):
        signal = codes + rng.standard_normal(n_rows)
        data[f"x{number}"] = (
            signal,
            np.round(3 * signal).astype(int),
            np.where(signal > 0.5, "high", "low"),
            signal > 1.0,
        )[number % 4]
    return pd.DataFrame(data).assign(label=repeated)


def hard_table(frame: pd.DataFrame, target: str = "label") -> Table:
    return Table.from_frame(frame, target, name="the hard table")


def _twenty_rows() -> Table:
    """20 rows."""
    return hard_table(mixed(20, ["a", "b"]))


def _tiny_classes() -> Table:
    """Three classes with 4 rows each."""
    return hard_table(mixed(12, ["a", "b", "c"]))


def _lone_row() -> Table:
    """A class with a single row."""
    frame = mixed(31, ["a", "b"])
    frame.loc[30, "label"] = "rare"
    return hard_table(frame)


def _one_number() -> Table:
    """A single numeric column."""
    return hard_table(mixed(40, ["a", "b"], columns=1))


def _one_category() -> Table:
    """A single categorical column."""
    return hard_table(mixed(40, ["a", "b"])[["x2", "label"]])


def _many_columns() -> Table:
    """60 columns, more than there are rows."""
    return hard_table(mixed(50, ["a", "b", "c"], columns=60))


def _all_categorical() -> Table:
    """Categorical columns only."""
    frame = mixed(60, ["a", "b"], columns=8)
    for name in ("x0", "x1", "x4", "x5"):
        frame[name] = pd.cut(frame[name].astype(float), 4, labels=list("pqrs")).astype(object)
    return hard_table(frame[["x0", "x1", "x2", "x4", "x5", "x6", "label"]])


def _missing_values() -> Table:
    """Missing values in columns of every kind."""
    frame = mixed(60, ["a", "b"], columns=8).astype({"x3": object, "x7": object})
    holes = np.random.default_rng(2).random((60, 6)) < 0.25
    names = ["x0", "x1", "x2", "x3", "x5", "x6"]
    return hard_table(
        frame.assign(**{name: frame[name].astype(object).mask(holes[:, i]) for i, name in enumerate(names)})
    )


def _empty_column() -> Table:
    """A column that holds no value at all."""
    return hard_table(mixed(40, ["a", "b"]).assign(empty=np.nan))


def _constant_columns() -> Table:
    """Constant columns of every kind."""
    return hard_table(mixed(40, ["a", "b"]).assign(one=1.5, two=2, three="three", four=True))


def _duplicate_columns() -> Table:
    """Columns that repeat others."""
    frame = mixed(40, ["a", "b"])
    copies = {"x0_again": frame["x0"], "x0_twice": 2 * frame["x0"], "x2_again": frame["x2"], "x3_again": frame["x3"]}
    return hard_table(frame.assign(**copies))


def _two_hundred_levels() -> Table:
    """A categorical column of 200 levels."""
    frame = mixed(400, ["a", "b", "c"])
    return hard_table(frame.assign(city=[f"city {i % 200}" for i in range(400)]))


def _odd_names() -> Table:
    """Column names and levels with spaces, quotes, unicode, and words that look like something else."""
    frame = mixed(40, ["ja, ", "näin"], columns=8)
    frame["x2"] = np.where(frame["x2"] == "high", "", "nan")
    frame["x6"] = np.where(frame["x6"] == "high", "1", "None")
    names = ["größe (cm)", "a b", "日本 語", "x'y\"z", "y", "c0", "0", "~ C(x) + 1", "the target: 是"]
    return hard_table(frame.set_axis(names, axis=1), "the target: 是")


def _boolean_labels() -> Table:
    """Boolean classes."""
    return hard_table(mixed(40, [True, False]).astype({"label": bool}))


def _integer_labels() -> Table:
    """Integer classes that do not start at 0."""
    return hard_table(mixed(45, [1, 5, 7]).astype({"label": int}))


def _integer_levels() -> Table:
    """A categorical column whose levels are integers."""
    frame = mixed(40, ["a", "b"]).assign(grade=np.resize([1, 3, 10], 40))
    return Table.from_frame(frame, "label", {"grade": "categorical"}, name="the hard table")


def _wild_numbers() -> Table:
    """Numbers of very different size, with heavy tails."""
    frame = mixed(60, ["a", "b"])
    tails = np.random.default_rng(3).standard_cauchy(60)
    return hard_table(
        frame.assign(huge=1e15 * frame["x0"], tiny=1e-12 * frame["x0"], tails=tails, year=2000 + frame["x1"])
    )


def _dates() -> Table:
    """Dates, times of a zone and times with missing values."""
    frame = mixed(60, ["a", "b"])
    days = pd.Series(np.datetime64("2020-02-28") + np.arange(60).astype("timedelta64[D]"))
    times = pd.Series(pd.date_range("2024-03-30 22:00", periods=60, freq="37min", tz="Europe/Berlin"))
    return hard_table(
        frame.assign(day=days, time=times, seen=days.mask(np.arange(60) % 5 == 0), never=days.mask(days.notna()))
    )


def _free_text() -> Table:
    """A column of free text, some of it missing."""
    frame = mixed(60, ["a", "b"])
    words = np.random.default_rng(4).choice(["good", "bad", "old", "news", "of", "the", "town"], (60, 6))
    texts = pd.Series([" ".join(row) for row in words], dtype=object).mask(np.arange(60) % 7 == 0)
    return Table.from_frame(frame.assign(review=texts), "label", {"review": "text"}, name="the hard table")


HARD_TABLES: dict[str, Callable[[], Table]] = {
    "20-rows": _twenty_rows,
    "3-classes-of-4-rows": _tiny_classes,
    "class-of-one-row": _lone_row,
    "one-numeric-column": _one_number,
    "one-categorical-column": _one_category,
    "60-columns": _many_columns,
    "all-categorical": _all_categorical,
    "missing-values": _missing_values,
    "empty-column": _empty_column,
    "constant-columns": _constant_columns,
    "duplicate-columns": _duplicate_columns,
    "200-levels": _two_hundred_levels,
    "odd-names": _odd_names,
    "boolean-labels": _boolean_labels,
    "integer-labels": _integer_labels,
    "integer-levels": _integer_levels,
    "wild-numbers": _wild_numbers,
    "dates": _dates,
    "free-text": _free_text,
}
"""What real data brings, by name: functions that make the tables."""
