"""Lists of methods as they are typed."""

from __future__ import annotations


def split_methods(text: str) -> list[str]:
    """Method names at the commas; the settings of one method are parted by semicolons."""
    return [part.strip().replace(";", ",") for part in text.split(",") if part.strip()]
