"""Text from plugins, logs and strangers, cleaned once, where it enters: nothing later has to interpret it."""

from __future__ import annotations

import json
import re
from typing import Any

from tabgen.jsonable import excess_of

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls (escape sequences begin with one), marks that turn the direction of text, halves of characters."""

MOST_REASON, MOST_LOG, MOST_NOTES = 500, 2000, 16_000
"""Characters that are kept of a reason, of the end of a log, and of a generator's notes as JSON."""


def is_text(data: Any) -> bool:
    """Whether every text in JSON data, keys included, can be written as UTF-8: halves of characters cannot."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


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


def clean(text: Any, most: int | None = None) -> str:
    """Printable text, tabs and line ends: anything else becomes the replacement character; cut after ``most``."""
    cleaned = UNPRINTABLE.sub("\ufffd", str(text))
    return cleaned if most is None or len(cleaned) <= most else f"{cleaned[: most - 1]}…"


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
