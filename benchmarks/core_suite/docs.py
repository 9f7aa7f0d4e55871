"""The page docs/datasets.md, made from the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .build import KINDS, read_manifest
from .recipes import LEFT_OUT
from .sources import REQUIREMENTS

DOCS_HEAD = """\
# Datasets of the `core` suite

<!-- Written by `python -m benchmarks.core_suite --docs`; edit the package, not this page. -->

{count} real classification tables travel inside tabgen as Parquet files ({megabytes:.1f} MB): {binary} binary and
{multiclass} multiclass, {with_missing} with missing values, {rows_min:,} to {rows_max:,} rows. `quick` marks the
six that `--suite quick` uses. No table is also a TabArena v0.1 task, so TabArena stays a check from outside.

Features are counted by kind: N numeric, I integer, C categorical, B boolean. Minority is the share of the smallest
class. All files are Zstandard-compressed Parquet; integers are stored as int64, missing values as nulls.

"""

DOCS_TAIL = """\

## Considered and left out

{left_out}

## Rebuilding the suite

Some source packages want other versions than tabgen does, so use a throw-away environment:

```
python -m venv core-suite-env
core-suite-env/bin/pip install --no-deps {requirements}
core-suite-env/bin/pip install numpy scipy joblib threadpoolctl narwhals python-dateutil pytz tzdata
core-suite-env/bin/python -m benchmarks.core_suite            # rewrites tabgen/datasets/core
core-suite-env/bin/python -m benchmarks.core_suite --check    # compares a fresh build with what is stored
core-suite-env/bin/python -m benchmarks.core_suite --inspect  # random-forest and single-column AUCs
core-suite-env/bin/python -m benchmarks.core_suite --docs     # rewrites this page
```

The same pyarrow writes the same bytes. Another one may write other bytes with the same content, which `--check`
accepts.

## TabArena

`--suite tabarena-33` takes the classification tasks of the OpenML suite `tabarena-v0.1` that have at most 100 feature
columns, fetched with `pip install 'tabgen-bench[openml]'` on first use and kept as a folder suite in `$TABGEN_CACHE`
(by default `~/.cache/tabgen`): one Parquet file a task, hashed. A broken line leaves what has arrived, and the same
command goes on. Rows without a class are left out. The folds are tabgen's own (stratified, as many as asked for):
TabArena's splits are three folds, repeated three times for its larger tables, and the study has ten folds. The
fetching is tested against a stand-in for the server, not against openml.org.

## BeyondArena

`--suite beyondarena-iid` takes the classification tasks of TabArena's collection BeyondArena whose rows are
independent and that have at most 100 feature columns, fetched with `pip install 'tabgen-bench[beyondarena]'` (the
package data-foundry, which names each container by its UUID) on first use and kept like `tabarena-33`. Every
container of the collection is fetched to see which these are. Here the test parts are the collection's own: fold `i`
with seed `r` tests what fold `i` of its repeat `r` tests, so `--folds` has to be its number of folds, and seeds
beyond its repeats end as `unsupported` with what there is. The other rows are divided into train and validation as
everywhere; tasks with groups or times are left out, since validation rows drawn at random would leak there. The
fetching is tested on the container that data-foundry ships, not against the hub.

## Known truth

`--suite synthetic-oracle`: twelve tables of 300 to 800 rows, 7 to 15 mixed columns and 2 to 5 classes, each drawn from
a structural causal model that follows from its number (`tabgen/datasets/oracle.py`). They are drawn when first used,
into `$TABGEN_CACHE`; a test holds their content to this version. The generator `oracle` draws fresh rows of the same
mechanism: the best that any generator could do. It finds the mechanism by the target's name, learns nothing, and ends
as `unsupported` on any other table.

## Your own suite

A folder with `manifest.json` and one Parquet file per table is a suite: `tabgen run --suite path/to/folder`.
The manifest is a JSON list with an object per table:

```json
[
 {{
  "name": "my-table",
  "target": "churned",
  "rows": 812,
  "features": 2,
  "n_classes": 2,
  "missing_cells": 3,
  "licence": "CC-BY-4.0",
  "kinds": {{"age": "integer", "plan": "categorical"}},
  "sha256": "... of the Parquet file ...",
  "file": "my-table.parquet"
 }}
]
```

`kinds` names the features, not the target; a kind is `numeric` (float64), `integer` (int64), `categorical` (strings) or
`boolean`. Missing values are nulls. The target is a column of strings and comes last. Do not store a pandas index. The
embedded suite also records `title`, `domain`, `classes`, `minority`, counts by kind, `source`, `source_path`, `origin`,
`citation`, `licence_evidence`, `dropped` and `note`.
"""


def kind_counts(entry: Mapping[str, Any]) -> str:
    parts = [f"{entry[f'n_{kind}']}{kind[0].upper()}" for kind in KINDS if entry[f"n_{kind}"]]
    return f"{entry['features']} ({' '.join(parts)})"


def table_row(entry: Mapping[str, Any]) -> str:
    name = f"`{entry['name']}`" + (" (quick)" if entry["quick"] else "")
    cells = [
        name,
        entry["domain"],
        f"{entry['rows']:,}",
        kind_counts(entry),
        str(entry["n_classes"]),
        f"{entry['minority']:.3f}",
        f"{entry['missing_cells']:,}",
        entry["licence"],
        f"[origin]({entry['origin']}), {entry['source']}",
        f"`{entry['sha256'][:12]}`",
    ]
    return "| " + " | ".join(cells) + " |"


def details(entry: Mapping[str, Any]) -> str:
    """The section on one table: citation, classes, note, dropped columns, licence."""
    lines = [
        f"### {entry['name']}",
        "",
        f"{entry['title']}. Target `{entry['target']}`: {', '.join(entry['classes'])}.",
        "",
        f"- Citation: {entry['citation']}",
    ]
    if entry["note"]:
        lines.append(f"- Note: {entry['note']}")
    if entry["dropped"]:
        dropped = "; ".join(f"`{item['column']}` ({item['reason']})" for item in entry["dropped"])
        lines.append(f"- Dropped: {dropped}.")
    lines += [f"- Raw file: `{entry['source_path']}` of {entry['source']}", f"- SHA-256: `{entry['sha256']}`", ""]
    return "\n".join(lines)


def licence_section(entries: list[dict[str, Any]]) -> str:
    """Each piece of evidence once, with the tables that rest on it."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        grouped.setdefault((entry["licence"], entry["licence_evidence"]), []).append(f"`{entry['name']}`")
    return "\n".join(
        f"- **{licence}**: {text} Tables: {', '.join(names)}." for (licence, text), names in grouped.items()
    )


def docs_page(folder: Path) -> str:
    """The whole page, made from the manifest alone."""
    entries = read_manifest(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    head = DOCS_HEAD.format(
        count=len(entries),
        megabytes=size / 1e6,
        binary=sum(entry["n_classes"] == 2 for entry in entries),
        multiclass=sum(entry["n_classes"] > 2 for entry in entries),
        with_missing=sum(entry["missing_cells"] > 0 for entry in entries),
        rows_min=min(entry["rows"] for entry in entries),
        rows_max=max(entry["rows"] for entry in entries),
    )
    header = "| name | domain | rows | features | classes | minority | missing cells | licence | source | SHA-256 |"
    rule = "|---|---|--:|---|--:|--:|--:|---|---|---|"
    table = "\n".join([header, rule, *map(table_row, entries)])
    left_out = "\n".join(f"- {name}: {reason}." for name, reason in LEFT_OUT.items())
    sections = [
        head + table,
        "## How the licences are known",
        licence_section(entries),
        "## Table by table",
        "\n".join(map(details, entries)).rstrip(),
    ]
    return "\n\n".join(sections) + "\n" + DOCS_TAIL.format(left_out=left_out, requirements=REQUIREMENTS)
