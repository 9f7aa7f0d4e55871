"""Text from plugins, logs and strangers, cleaned once, where it enters: nothing later has to interpret it."""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import Any

from tabgen.jsonable import excess_of

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls (escape sequences begin with one), marks that turn the direction of text, halves of characters."""

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters without a shape: controls, marks of format, halves, ends of lines."""
IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""What of other categories has none: Unicode's default-ignorable code points, and the blank of Braille."""

MOST_REASON, MOST_LOG, MOST_NOTES = 500, 2000, 16_000
"""Characters that are kept of a reason, of the end of a log, and of a generator's notes as JSON."""
MOST_SHOWN = 60
"""Characters that a message quotes of a value."""


def unseen(name: str) -> str:
    """The first character of a name that no screen shows, or that turns its text round; empty if there is none.

    Two names that differ by one look the same. Text that is no name may hold them: scripts and emoji join by some.
    """
    if name.isascii() and name.isprintable():
        return ""
    return next((c for c in name if unicodedata.category(c) in UNSEEN or IGNORABLE.match(c)), "")


def counted(count: int, word: str) -> str:
    """``1 cell``, ``2,000 cells``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time as people say it: ``40 s``, ``3 min``, ``1 h 20 min``, ``2 d 3 h``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def cut(text: str, most: int) -> str:
    """The text, or where it is longer its start and an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def some_of(texts: Iterable[str], most: int) -> str:
    """The first of several texts, and three points where there are more."""
    first = list(islice(texts, most + 1))
    return ", ".join(first[:most]) + (", ..." if len(first) > most else "")


def shown(value: Any, most: int = MOST_SHOWN) -> str:
    """A value of a table as messages quote it: a text in quotes, a date without a midnight; cut after ``most``."""
    if isinstance(value, str):
        return repr(cut(value, most))
    return cut(moment(value) if isinstance(value, dt.date) else repr(value), most)


def moment(time: dt.date) -> str:
    """A time as people write it: ``2020-01-31 23:59:00``, and ``2020-01-31`` for a midnight without a zone."""
    return str(time).removesuffix(" 00:00:00")


def clean(text: Any, most: int | None = None) -> str:
    """Printable text, tabs and line ends: anything else becomes the replacement character; cut after ``most``."""
    cleaned = UNPRINTABLE.sub("\ufffd", str(text))
    return cleaned if most is None else cut(cleaned, most)


def one_line(text: Any, most: int = MOST_REASON) -> str:
    """The same without line ends."""
    return clean(" ".join(str(text).split()), most)


def clean_json(data: Any) -> Any:
    """JSON data with every text in it cleaned, keys included."""
    if isinstance(data, str):
        return clean(data)
    if isinstance(data, dict):
        return {clean(key): clean_json(value) for key, value in data.items()}
    return [clean_json(value) for value in data] if isinstance(data, list) else data


def kept_notes(notes: Any) -> dict[str, Any]:
    """A generator's notes as they are kept: cleaned, and none of them if no bundle could hold them.

    Raises
    ------
    TypeError
        If JSON cannot hold them.
    """
    written = json.dumps(notes)
    if len(written) > MOST_NOTES:
        return {"notes": f"not kept: {len(written):,} characters as JSON, and at most {MOST_NOTES:,} are"}
    kept: dict[str, Any] = clean_json(json.loads(written))
    excess = excess_of(kept)
    return {"notes": f"not kept: a value {excess}"} if excess else kept
