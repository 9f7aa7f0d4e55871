"""Rows as a dataset folder of the Hugging Face hub: Parquet, and a card with its YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tabgen.errors import DataError
from tabgen.text import counted

DATA = "data/rows.parquet"
CARD = "README.md"
MARK = "Outcomes of tabgen: how much the rows of synthetic-data generators help a tabular foundation model."
"""In every card: one without it is somebody's own."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")


def write_dataset(rows: Sequence[dict[str, Any]], folder: Path, title: str, licence: str) -> None:
    """Write a folder that `load_dataset` reads and that can be pushed as it is.

    What is an object (settings, recipe, provenance) is a column of JSON.

    Parameters
    ----------
    rows : sequence of dict
        As :func:`tabgen.exports.rows.public_rows` reads them.
    licence : str
        Of the rows, as the hub writes it, such as ``cc-by-4.0``.

    Raises
    ------
    DataError
        If the folder holds anything else, or the licence or title cannot stand in a card.
    """
    if not LICENCE.fullmatch(licence):
        raise DataError(f"the licence '{licence}' is none as the hub writes them; write it as in cc-by-4.0.")
    if not title.strip() or "\n" in title:
        raise DataError("the title of a dataset is one line of text.")
    if foreign := _foreign(folder):
        raise DataError(f"{folder} holds other files ({', '.join(foreign[:3])}); name a new folder.")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(_table(rows), folder / DATA)
    (folder / CARD).write_text(_card(rows, title, licence), encoding="utf-8")


def _foreign(folder: Path) -> list[str]:
    """What the folder holds that was not written here."""
    if not folder.is_dir():
        return []
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()]
    card = folder / CARD
    ours = {DATA, *([CARD] if card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace") else [])}
    return sorted(set(found) - ours)


def _table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """One column for every key that any row has."""
    names = sorted({name for row in rows for name in row})
    return pa.table({name: pa.array([_plain(row.get(name)) for row in rows]) for name in names})


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def _card(rows: Sequence[dict[str, Any]], title: str, licence: str) -> str:
    methods, datasets = ({row[name] for row in rows} for name in ("method", "dataset"))
    size = next((name for bound, name in SIZES if len(rows) < bound), "n>1M")
    head = {
        "license": licence,
        "pretty_name": title,
        "tags": ["tabular", "synthetic-data", "benchmark", "tabgen"],
        "task_categories": ["tabular-classification"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": DATA}]}],
    }
    yaml = "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items())
    models = ", ".join(sorted({f"`{row['model']}`" for row in rows}))
    protocols = ", ".join(str(version) for version in sorted({row["protocol"] for row in rows}))
    statuses = sorted({row["status"] for row in rows})
    ended = ", ".join(f"{sum(row['status'] == status for row in rows)} {status}" for status in statuses)
    counts = f"{counted(len(rows), 'row')}, {counted(len(methods), 'method')}, {counted(len(datasets), 'dataset')}"
    return f"""---
{yaml}
---

# {title}

{MARK}
One row is one cell, a method on one fold of one dataset: {counts}, foundation model {models}, protocol {protocols}.
Cells ended as: {ended}.

```python
from datasets import load_dataset

rows = load_dataset("parquet", data_files="{DATA}", split="train").to_pandas()
```

Scores stand in columns `{{stage}}_{{validation|test}}_{{metric}}`; the stage `zero_shot` is the model with the real
rows as context, the other stages are the uses of the synthetic rows. `settings`, `recipe`, `limits`, `kinds` and
`provenance` are JSON. `key` is the SHA-256 of all that can change the scores.
"""
