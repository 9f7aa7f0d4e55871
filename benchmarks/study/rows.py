"""Outcome rows as they are kept: Parquet, without what is of the machine alone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd

from tabgen.outcome import canonical_json
from tabgen.results import load_results

JSON_COLUMNS = ("kinds", "reading", "settings", "recipe", "limits", "arms")
OF_THE_MACHINE = ("path", "rows_path", "log_tail", "notes", "provenance")
CURVES = re.compile(r"^curve_|^cached_")


def keep(folder: Path, to: Path) -> None:
    """The outcomes of a run folder as Parquet, and its registration beside it."""
    outcomes = load_results(folder)
    columns = [c for c in outcomes.columns if c not in OF_THE_MACHINE and not CURVES.search(c)]
    rows = outcomes[columns].sort_values("key", ignore_index=True)
    for column in rows.columns.intersection(list(JSON_COLUMNS)):
        rows[column] = rows[column].map(canonical_json)
    for column in rows.select_dtypes("float64"):
        if column.startswith(("seconds", "peak", "spared", "processor")):
            rows[column] = rows[column].astype("float32")
    to.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(to, index=False, compression="zstd")
    shutil.copy(folder / "freeze.json", to.with_suffix(".freeze.json"))


def read_rows(path: Path) -> pd.DataFrame:
    """The rows of a file that :func:`keep` wrote."""
    rows = pd.read_parquet(path)
    for column in rows.columns.intersection(list(JSON_COLUMNS)):
        rows[column] = rows[column].map(json.loads)
    return rows
