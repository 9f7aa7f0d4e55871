"""Lists of methods as they are typed."""

from __future__ import annotations


def split_methods(text: str) -> list[str]:
    """Method names at the commas; the settings of one method are parted by semicolons."""
    return [part.strip().replace(";", ",") for part in text.split(",") if part.strip()]


def with_mixings(methods: list[str], mixings: list[str]) -> list[str]:
    """Every generator under each of these mixings; baselines and methods that name their mixing stay as they are."""
    if not mixings:
        return methods
    out: list[str] = []
    for method in methods:
        name, colon, settings = method.partition(":")
        fixed = "@" in name or name in ("zero-shot", "real")
        out += [method] if fixed else [f"{name}@{mixing}{colon}{settings}" for mixing in mixings]
    return out
