"""JSON data that others keep and read: whether a value comes back as it went, and how large it may be."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

EXACT = 2**53
"""Whole numbers up to here are exact as float64: what JavaScript reads, and tables are hashed and encoded as."""
MOST_NUMBER = 1e15
"""Of a measured number."""
DEEPEST = 8
"""How deep objects and lists of a row may be nested."""


def excess_of(data: Any, depth: int = 1) -> str:
    """What of JSON data is beyond what a bundle may hold, as a message goes on after its name; empty if nothing is.

    Parameters
    ----------
    depth : int
        At which ``data`` stands: a row's own objects and lists stand at 1.
    """
    if isinstance(data, int):
        return "" if abs(data) < EXACT else f"holds an integer of {_digits(data):,} digits; 15 are read"
    if not isinstance(data, dict | list):
        return ""
    if data and depth == DEEPEST:
        return f"is nested more than {DEEPEST} deep"
    values = data.values() if isinstance(data, dict) else data
    return next(filter(None, (excess_of(v, depth + 1) for v in values if isinstance(v, int | dict | list))), "")


def _digits(number: int) -> int:
    return int(math.log10(abs(number))) + 1  # Python writes no integer of more than 4,300 digits


def is_text(data: Any) -> bool:
    """Whether every text in JSON data, keys included, can be written as UTF-8: halves of characters cannot."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def inexact(value: Any) -> str:
    """Why a setting's value would not be the same in another process or in a bundle; empty if it would.

    Examples
    --------
    >>> inexact((1, 2)), inexact(float("nan"))
    ('is a tuple, which JSON gives back as a list', 'is no finite number')
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "is no finite number"
    try:
        back = json.loads(json.dumps(value, allow_nan=False))
        if not is_text(value):
            return "is what JSON cannot hold"
    except (TypeError, ValueError, RecursionError):
        return "is what JSON cannot hold"
    if not _same(value, back):
        kind, other = type(value).__name__, type(back).__name__
        return f"is a {kind}, which JSON gives back as " + (f"a {other}" if kind != other else f"{back!r:.60}")
    return excess_of({"": value})


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal in value and type, through and through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return _same(list(one), list(other)) and _same(list(one.values()), list(other.values()))
    if isinstance(one, list):
        return len(one) == len(other) and all(itertools.starmap(_same, zip(one, other, strict=True)))
    return bool(one == other)


PLAIN = "a text, a truth value, a number within 2**53, None, or a list or dict of them"
"""What :func:`inexact` takes, for messages."""
