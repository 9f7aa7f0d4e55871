"""What suites that are fetched share: a folder whose parts are kept as they arrive, with the manifest last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MAX_COLUMNS = 100
"""Feature columns of a task that is taken."""
Entry = dict[str, Any]


def is_whole(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def write_manifest(folder: Path, entries: Sequence[Entry]) -> None:
    """Written last and put in place whole, so that half a suite is never taken for one."""
    scratch = folder / "manifest.json.new"
    scratch.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    scratch.replace(folder / "manifest.json")


def kept_entry(folder: Path, name: str, make: Callable[[], Entry | None]) -> Entry | None:
    """The manifest's entry of a task, None for one that is not taken; made once, then read from the folder."""
    described = folder / f"{name}.json"
    if described.is_file():
        kept: Entry | None = json.loads(described.read_text(encoding="utf-8"))
        return kept
    entry = make()
    described.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    return entry


def write_table(frame: pd.DataFrame, path: Path) -> str:
    """Write a Parquet file, in place whole; returns its SHA-256."""
    scratch = path.with_name(f"{path.name}.new")
    frame.to_parquet(scratch, index=False)
    scratch.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sizes_of(frame: pd.DataFrame, target: str) -> Entry:
    """What a manifest says of a table's size."""
    return {
        "rows": len(frame),
        "features": frame.shape[1] - 1,
        "n_classes": int(frame[target].nunique()),
        "missing_cells": int(frame.isna().sum().sum()),
    }
