"""Text: what is cut says so, and a value is quoted as people write it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from tabgen.text import clean, cut, shown


def test_what_is_cut_ends_in_an_ellipsis_and_is_no_longer_than_asked() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == clean("abcd", 3) == "ab…"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a" * 10, "'aaaaaaaaaa'"),
        ("a" * 11, "'aaaaaaaaa…'"),
        (7, "7"),
        ([1, 2, 3, 4], "[1, 2, 3,…"),
        (pd.Timestamp("2020-01-31"), "2020-01-31"),
        (dt.date(2020, 1, 31), "2020-01-31"),
    ],
)
def test_a_value_is_quoted_within_its_bounds(value: Any, told: str) -> None:
    assert shown(value, 10) == told


def test_a_time_that_is_more_than_a_date_keeps_its_clock() -> None:
    assert shown(pd.Timestamp("2020-01-31 23:59")) == "2020-01-31 23:59:00"
    assert shown(pd.Timestamp("2020-01-31", tz="UTC")) == "2020-01-31 00:00:00+00:00"
