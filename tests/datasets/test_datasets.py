"""Datasets: folders with a manifest, one's own file, the embedded suites, and the shared TabArena tables."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paths import TABARENA

from tabgen.datasets import (
    Dataset,
    core_datasets,
    file_suite,
    folder_suite,
    quick_datasets,
    read_manifest,
    tabgen_register_datasets,
    text_datasets,
)
from tabgen.errors import DataError, TableError
from tabgen.reader import read_frame

FRAME = pd.DataFrame({"a": [1.5, None, 3.0], "b": ["x", "y", None], "label": [0, 1, 0]})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite of one Parquet and one CSV file."""
    folder = tmp_path / "mine"
    folder.mkdir()
    FRAME.to_parquet(folder / "first.parquet")
    FRAME.to_csv(folder / "second.csv", index=False)
    write(
        folder,
        [
            {"name": "first", "file": "first.parquet", "target": "label", "sha256": sha256(folder / "first.parquet")},
            {"name": "second", "file": "second.csv", "target": "b", "kinds": {"label": "boolean"}, "domain": "toys"},
        ],
    )
    return folder


def write(folder: Path, manifest: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def refusal(message: str) -> Any:
    return pytest.raises(DataError, match=re.escape(message))


# Folders


def test_a_folder_with_a_manifest_is_a_suite(folder: Path) -> None:
    suite = folder_suite(folder)
    assert suite.name == "mine"
    assert suite.version == sha256(folder / "manifest.json")[:12]
    first, second = suite.datasets
    assert first.load().schema.classes == (0, 1)
    with pytest.warns(UserWarning, match="dataset 'second': 1 of 3 rows have no target"):
        table = second.load()
    assert [(c.name, c.kind) for c in table.schema.columns] == [("a", "numeric"), ("label", "boolean")]
    assert second.facts["domain"] == "toys"
    assert suite.datasets is suite.datasets


def test_csv_and_parquet_of_the_same_frame_are_the_same_table(folder: Path) -> None:
    both = [Dataset("t", folder / name, "label").load() for name in ("first.parquet", "second.csv")]
    assert both[0].content_hash == both[1].content_hash


ENTRY = {"name": "first", "file": "first.parquet", "target": "label"}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"name": "first"}, "manifest.json should hold a list of objects, one per dataset."),
        (["first"], "manifest.json should hold a list of objects, one per dataset."),
        ([], "manifest.json lists no dataset."),
        ([ENTRY, {"name": "second"}], "manifest.json: entry 1 lacks file, target."),
        ([ENTRY | {"name": 3}], "manifest.json: entry 0 has name=3 where a str is due."),
        (
            [ENTRY | {"name": "fi\u200brst"}],
            "manifest.json: entry 0 has a name with U+200B, a character that no screen",
        ),
        ([ENTRY | {"file": None}], "manifest.json: entry 0 has file=None where a str is due."),
        ([ENTRY | {"target": 0}], "manifest.json: entry 0 has target=0 where a str is due."),
        ([ENTRY | {"sha256": 12}], "manifest.json: entry 0 has sha256=12 where a str is due."),
        ([ENTRY | {"kinds": ["numeric"]}], "manifest.json: entry 0 has kinds=['numeric'] where a dict is due."),
        ([ENTRY | {"file": "gone.csv"}], "entry 0, 'first', names the file gone.csv, which is not there."),
        (
            [ENTRY | {"file": "../outside.csv"}],
            "entry 0, 'first', names the file ../outside.csv, which is outside the folder.",
        ),
        ([ENTRY, ENTRY], "manifest.json has more than one dataset called first."),
    ],
    ids=str,
)
def test_a_broken_manifest_is_refused_by_entry(folder: Path, manifest: Any, message: str) -> None:
    FRAME.to_csv(folder.parent / "outside.csv")
    write(folder, manifest)
    with refusal(message):
        read_manifest(folder)


def test_files_outside_the_folder_are_refused_by_whatever_path(folder: Path) -> None:
    outside = folder.parent / "outside.csv"
    FRAME.to_csv(outside, index=False)
    (folder / "link.csv").symlink_to(outside)
    for file in (str(outside), "link.csv", "sub/../../outside.csv"):
        write(folder, [ENTRY | {"file": file}])
        with refusal("which is outside the folder."):
            read_manifest(folder)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_a_manifest_that_is_no_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with refusal("manifest.json is not JSON"):
        read_manifest(folder)


def test_a_folder_without_a_manifest_is_no_suite(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path / "nothing")
    with refusal("nothing is no suite: it has no manifest.json."):
        _ = suite.datasets


def test_another_file_than_the_manifest_describes_is_refused(folder: Path) -> None:
    dataset = read_manifest(folder)[0]
    FRAME.assign(a=0.0).to_parquet(folder / "first.parquet")
    with refusal("first.parquet is not the file that was described (SHA-256 differs); fetch it anew."):
        dataset.load()
    (folder / "first.parquet").write_bytes(b"cut off")
    with refusal("SHA-256 differs"):
        dataset.load()


def test_an_error_of_the_table_names_the_dataset(folder: Path) -> None:
    with pytest.raises(TableError, match="dataset 'first' has no column 'z' to predict"):
        Dataset("first", folder / "first.parquet", "z").load()


# Files


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with refusal("there is no file"):
        read_frame(tmp_path / "gone.csv")
    with refusal("there is no file"):
        file_suite(tmp_path / "gone.csv", "y").datasets[0].load()


def test_ones_own_file_is_a_suite_of_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    suite = file_suite(Path("second.csv"), "label")
    (dataset,) = suite.datasets
    assert (suite.name, dataset.name, dataset.target) == ("second", "second", "label")
    assert dataset.sha256 == sha256(folder / "second.csv")
    monkeypatch.chdir(folder.parent)  # workers may run elsewhere
    assert len(dataset.load()) == 3
    (folder / "second.csv").write_text("changed\n1\n")
    with refusal("SHA-256 differs"):
        dataset.load()


def test_endings_may_be_upper_case(folder: Path) -> None:
    (folder / "second.csv").rename(folder / "SECOND.CSV")
    assert len(read_frame(folder / "SECOND.CSV")) == 3


# Embedded suites


@pytest.mark.parametrize("dataset", core_datasets(), ids=lambda dataset: dataset.name)
def test_core_loads_into_tables_of_the_recorded_shape_and_kinds(dataset: Dataset) -> None:
    facts, table = dataset.facts, dataset.load()
    assert len(table) == facts["rows"]
    assert len(table.schema.columns) == facts["features"]
    assert sorted(table.schema.classes) == sorted(facts["classes"])
    assert {c.name: c.kind for c in table.schema.columns} == facts["kinds"]
    assert int(table.features.isna().to_numpy().sum()) == facts["missing_cells"]
    assert np.bincount(table.labels).min() / len(table) == pytest.approx(facts["minority"], abs=1e-4)


def test_quick_is_six_of_core() -> None:
    core = {dataset.name: dataset for dataset in core_datasets()}
    quick = quick_datasets()
    assert len(quick) == 6
    assert all(core[dataset.name] == dataset for dataset in quick)


def test_the_suites_are_registered_and_listed_when_asked() -> None:
    suites: list[Any] = []
    tabgen_register_datasets(suites.append)
    embedded = {suite.name: len(suite.datasets) for suite in suites if suite.name in ("core", "quick", "text")}
    assert embedded == {"core": len(core_datasets()), "quick": 6, "text": 4}
    assert {suite.name for suite in suites} == {
        "core",
        "quick",
        "text",
        "tabarena-33",
        "beyondarena-iid",
        "synthetic-oracle",
    }


@pytest.mark.parametrize("dataset", text_datasets(), ids=lambda dataset: dataset.name)
def test_the_text_suite_loads_with_its_texts(dataset: Dataset) -> None:
    facts, table = dataset.facts, dataset.load()
    assert len(table) == facts["rows"]
    assert len(table.schema.columns) == facts["features"]
    assert [c.name for c in table.schema.columns if c.kind == "text"] == facts["text_columns"]
    assert set(table.schema.classes) == set(facts["classes"])
    assert int(table.features.isna().to_numpy().sum()) == facts["missing_cells"]
    assert facts["licence"]
    assert facts["licence_evidence"]


# Outside tables

TABARENA_SETS = read_manifest(TABARENA) if TABARENA.is_dir() else []


@pytest.mark.skipif(
    not TABARENA_SETS, reason="the shared TabArena tables are not beside this checkout (shared/data/tabarena)"
)
def test_tabarena_is_there_in_full() -> None:
    assert len(TABARENA_SETS) == 14


@pytest.mark.parametrize("dataset", TABARENA_SETS, ids=lambda dataset: dataset.name)
def test_tabarena_tables_load(dataset: Dataset) -> None:
    table, facts = dataset.load(), dataset.facts
    assert len(table) == facts["rows"]
    assert len(table.schema.columns) == facts["features"]
    assert len(table.schema.classes) == facts["n_classes"]
    assert int(table.features.isna().to_numpy().sum()) == facts["missing_cells"]
    assert np.bincount(table.labels).min() / len(table) == pytest.approx(facts["minority"], abs=1e-3)
