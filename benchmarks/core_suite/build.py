"""From raw table to Parquet file and manifest."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .recipe import Codes, Recipe
from .recipes import RECIPES
from .sources import MISSING_MARKS

ARROW_TYPES = {"numeric": pa.float64(), "integer": pa.int64(), "categorical": pa.string(), "boolean": pa.bool_()}
KINDS = tuple(ARROW_TYPES)


@dataclass(frozen=True)
class Built:
    """One finished table with the kinds of its features."""

    recipe: Recipe
    table: pa.Table
    kinds: dict[str, str]


def snake_case(name: str) -> str:
    """`Wb_trans` -> `wb_trans`, `WorkersMade` -> `workers_made`, `mean radius` -> `mean_radius`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def code(value: Any) -> str | None:
    """A raw value as its code: missing marks become None, `1.0` and `1.00` become `1`."""
    if pd.isna(value) or value in MISSING_MARKS:
        return None
    whole = re.fullmatch(r"(-?\d+)\.0*", value)
    return whole.group(1) if whole else value


def decode(values: pd.Series, codes: Codes, column: str) -> list[str | None]:
    """Labels of the codes; a code that the recipe does not know is an error."""
    unknown = sorted(set(values.dropna()) - set(codes))
    if unknown:
        raise ValueError(f"column '{column}' holds the codes {unknown}, but the recipe knows {sorted(codes)}")
    return [None if pd.isna(value) else codes[value] for value in values]


def numbers(values: pd.Series, force_numeric: bool) -> tuple[str, list[Any]]:
    """Kind and values of a column of numbers: `integer` when all are whole."""
    parsed = [None if pd.isna(value) else float(value) for value in values]
    if force_numeric or any(number is not None and not number.is_integer() for number in parsed):
        return "numeric", parsed
    return "integer", [None if number is None else int(number) for number in parsed]


def convert(recipe: Recipe, column: str, values: pd.Series) -> tuple[str, list[Any]]:
    """Kind and final values of one feature."""
    if column in recipe.booleans:
        false, true = recipe.booleans[column]
        labels = decode(values, {false: "false", true: "true"}, column)
        return "boolean", [None if label is None else label == "true" for label in labels]
    if column in recipe.categories:
        return "categorical", decode(values, recipe.categories[column], column)
    if column in recipe.plain_categories.split():
        return "categorical", [None if pd.isna(value) else value for value in values]
    return numbers(values, column in recipe.numeric.split())


def build(recipe: Recipe) -> Built:
    """Read, rename, prepare, drop and decode one table; the target comes last."""
    raw = recipe.read(recipe.path)
    raw.columns = [recipe.rename.get(name, snake_case(name)) for name in raw.columns]
    if recipe.prepare is not None:
        raw = recipe.prepare(raw)
    absent = sorted(set(recipe.dropped) - set(raw.columns))
    if absent:
        raise ValueError(f"{recipe.name}: columns to drop that the raw table lacks: {absent}")
    raw = raw.drop(columns=list(recipe.dropped)).map(code).astype(object)
    features = [column for column in raw.columns if column != recipe.target]
    converted = {column: convert(recipe, column, raw[column]) for column in features}
    kinds = {column: kind for column, (kind, _) in converted.items()}
    arrays = [pa.array(values, type=ARROW_TYPES[kind]) for kind, values in converted.values()]
    target = pa.array(decode(raw[recipe.target], recipe.classes, recipe.target), type=pa.string())
    return Built(recipe, pa.table([*arrays, target], names=[*features, recipe.target]), kinds)


def note_on(built: Built) -> str:
    """The recipe's note, with the share of repeated rows where it matters."""
    repeated = built.table.to_pandas().duplicated().mean()
    remark = f"{repeated:.0%} of the rows repeat an earlier row." if repeated > 0.02 else ""
    return " ".join(part for part in (built.recipe.note, remark) if part)


def manifest_entry(built: Built, file: str, sha256: str) -> dict[str, Any]:
    """What the manifest says of one table."""
    recipe, table, kinds = built.recipe, built.table, built.kinds
    counts = table[recipe.target].to_pandas().value_counts()
    classes = [label for label in recipe.classes.values() if label in counts.index]
    return {
        "name": recipe.name,
        "title": recipe.title,
        "domain": recipe.domain,
        "target": recipe.target,
        "rows": table.num_rows,
        "features": len(kinds),
        **{f"n_{kind}": list(kinds.values()).count(kind) for kind in KINDS},
        "n_classes": len(classes),
        "classes": classes,
        "minority": round(float(counts.min() / counts.sum()), 4),
        "missing_cells": sum(table[column].null_count for column in kinds),
        "quick": recipe.quick,
        "licence": recipe.source.licence,
        "licence_evidence": recipe.source.evidence,
        "source": f"{recipe.source.package} {version(recipe.source.package)}",
        "source_path": recipe.path,
        "origin": recipe.origin,
        "citation": recipe.citation,
        "dropped": [{"column": column, "reason": reason} for column, reason in recipe.dropped.items()],
        "note": note_on(built),
        "kinds": kinds,
        "sha256": sha256,
        "file": file,
    }


def write_suite(folder: Path) -> list[dict[str, Any]]:
    """Build every table into `folder` and write the manifest beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.parquet"):
        stale.unlink()
    entries = []
    for recipe in sorted(RECIPES, key=lambda recipe: recipe.name):
        built = build(recipe)
        file = folder / f"{recipe.name}.parquet"
        pq.write_table(built.table, file, compression="zstd", compression_level=19, store_schema=False)
        entries.append(manifest_entry(built, file.name, hashlib.sha256(file.read_bytes()).hexdigest()))
    (folder / "manifest.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return entries


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return entries
