"""The rows to take home: JSON lines, Parquet, CSV, their schema, and how to cite them."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from tabgen.leaderboard.bundle import to_line
from tabgen.leaderboard.schema import json_schema

Row = dict[str, Any]
#: What a spreadsheet takes for a formula at the beginning of a text.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_downloads(rows: list[Row], folder: Path, title: str, licence: str | None = None) -> None:
    """Write results.jsonl, results.parquet, results.csv, schema.json and CITATION.cff into ``folder``."""
    with (folder / "results.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(to_line(row) for row in rows)
    frame = flat(rows)
    frame.to_parquet(folder / "results.parquet", index=False)
    frame.apply(_no_formulas).to_csv(folder / "results.csv", index=False)
    (folder / "schema.json").write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    (folder / "CITATION.cff").write_text(citation(title, len(rows), licence), encoding="utf-8")


def flat(rows: list[Row]) -> pd.DataFrame:
    """Rows as a table of numbers, booleans and text; what is nested, or of several types, is JSON text."""
    frame = pd.DataFrame(rows)
    for name in frame.select_dtypes(object).columns:
        present = frame[name].dropna()
        if not present.map(lambda value: isinstance(value, str)).all():
            frame[name] = frame[name].map(_as_json)
    return frame.convert_dtypes(convert_boolean=False, dtype_backend="numpy_nullable")


def _as_json(value: Any) -> str | None:
    missing = value is None or (isinstance(value, float) and pd.isna(value))
    return None if missing else json.dumps(value, sort_keys=True)


def _no_formulas(column: pd.Series[Any]) -> pd.Series[Any]:
    """Text that a spreadsheet would run gets an apostrophe before it."""
    if not pd.api.types.is_string_dtype(column):
        return column
    risky = column.str.startswith(FORMULA).fillna(False).astype(bool)
    return column.where(~risky, "'" + column)


def citation(title: str, rows: int, licence: str | None = None) -> str:
    """A CITATION.cff of the results; JSON strings are YAML strings."""
    own = json.dumps(f"{title}: {rows:,} outcomes of synthetic-data generators for tabular foundation models")
    return (
        "cff-version: 1.2.0\n"
        'message: "If you use these results, please cite them, tabgen, and the generators that you compare."\n'
        f"title: {own}\n"
        "type: dataset\n" + (f"license: {json.dumps(licence)}\n" if licence else "") + "authors:\n"
        '  - name: "The contributors of this leaderboard"\n'
        "references:\n"
        "  - type: software\n"
        '    title: "tabgen"\n'
        f"    version: {json.dumps(metadata.version('tabgen-bench'))}\n"
        "    authors:\n"
        '      - name: "The tabgen authors"\n'
    )
