"""Rows and suites in the forms of the field: read back, checked against what the forms ask for, and nothing leaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from leaderboard_rows import make_rows, store_rows, with_key
from paths import ROOT
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.datasets import Dataset, Suite, core_datasets
from tabgen.errors import DataError
from tabgen.exports.croissant import describe
from tabgen.exports.every_eval_ever import write_evaluations
from tabgen.exports.huggingface import write_dataset
from tabgen.exports.rows import public_rows
from tabgen.plugins import Plugins

NOW = 1_790_000_000.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    rows = make_rows(datasets=7)
    rows[-1] |= {"status": "error", "reason": "ValueError: 'Jane Doe' is no number", "log_tail": "Jane Doe"}
    store_rows(rows, folder)
    return folder


@pytest.fixture(scope="module")
def rows(run: Path, built_in: Plugins) -> list[dict[str, Any]]:
    return public_rows([run], built_in)


def test_only_what_a_bundle_publishes_is_exported(
    run: Path, rows: list[dict[str, Any]], built_in: Plugins, tmp_path: Path
) -> None:
    assert len(rows) == 7 * 2 * 5
    assert "Jane Doe" not in json.dumps(rows)
    assert public_rows([run, run], built_in) == rows, "a key counts once"
    failed = store_rows([row | {"status": "timeout"} for row in make_rows(datasets=7)], tmp_path / "failed")
    both = public_rows([failed, run], built_in)
    assert [row["status"] for row in both] == ["ok" if row["status"] == "ok" else "timeout" for row in rows], (
        "what ended ok before what failed"
    )


def test_a_dataset_folder_reads_back_as_the_rows(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    write_dataset(rows, folder, 'Rows: "all"', "cc-by-4.0")
    card = (folder / "README.md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "cc-by-4.0"
    assert head["pretty_name"] == 'Rows: "all"'
    assert head["size_categories"] == ["n<1K"]
    (files,) = head["configs"][0]["data_files"]
    frame = pd.read_parquet(folder / files["path"])
    assert frame["key"].tolist() == [row["key"] for row in rows]
    assert frame["tuned_test_roc_auc"].tolist() == pytest.approx(
        [row.get("tuned_test_roc_auc", np.nan) for row in rows], nan_ok=True
    )
    assert [json.loads(text) for text in frame["settings"]] == [row["settings"] for row in rows]
    assert "70 rows, 5 methods, 7 datasets" in card
    write_dataset(rows, folder, "again", "cc0-1.0")
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="other files"):
        write_dataset(rows, folder, "again", "cc0-1.0")
    for name in ("README.md", "data/mine.csv"):  # the folder of a project
        mine = tmp_path / name.replace("/", "-") / name
        mine.parent.mkdir(parents=True)
        mine.write_text("my own words")
        with pytest.raises(DataError, match=f"other files .{name}"):
            write_dataset(rows, tmp_path / name.replace("/", "-"), "again", "cc0-1.0")
        assert mine.read_text() == "my own words"
    with pytest.raises(DataError, match="licence"):
        write_dataset(rows, tmp_path / "other", "title", "CC BY 4.0\nevil: 1")


def test_every_eval_ever_gets_a_file_for_every_method_with_what_its_schema_requires(
    rows: list[dict[str, Any]], built_in: Plugins, tmp_path: Path
) -> None:
    files = write_evaluations(rows, tmp_path, built_in, "the authors", NOW)
    assert len(files) == 5
    records = [json.loads(path.read_text()) for path in files]
    for path, record in zip(files, records, strict=True):
        assert set(record) == {
            "schema_version",
            "evaluation_id",
            "retrieved_timestamp",
            "source_metadata",
            "model_info",
            "eval_library",
            "evaluation_results",
        }
        assert path.parent == tmp_path / record["model_info"]["id"]
        assert {"deployment_type", "model_availability"} < set(record["model_info"]["additional_details"])
        assert record["retrieved_timestamp"] == "1790000000"
        for result in record["evaluation_results"]:
            config, score = result["metric_config"], result["score_details"]["score"]
            assert config["min_score"] <= score <= config["max_score"]
            assert all(isinstance(value, str) for value in result["score_details"]["details"].values())
            assert config["lower_is_better"] == result["evaluation_name"].endswith("log_loss")
    jitter = next(
        record for record in records if record["model_info"]["additional_details"]["method"] == "jitter@augment"
    )
    name = rows[0]["dataset"]
    found = next(r for r in jitter["evaluation_results"] if r["evaluation_name"] == f"{name}/fine-tune/roc_auc")
    cells = [r["tuned_test_roc_auc"] for r in rows if r["dataset"] == name and r["method"] == "jitter@augment"]
    assert found["score_details"]["score"] == pytest.approx(np.mean(cells))
    assert found["score_details"]["uncertainty"]["standard_deviation"] == pytest.approx(np.std(cells, ddof=1))
    with pytest.raises(DataError, match="there already"):
        write_evaluations(rows, tmp_path, built_in, "the authors", NOW)
    other = [row | {"model_plugin_version": "0.1.0+abc"} for row in rows]
    both = write_evaluations(rows + other, tmp_path / "both", built_in, "the authors", NOW)
    assert len(both) == 10
    assert {path.name for path in files} < {path.name for path in both}
    for name, value in {
        "recipe": rows[0]["recipe"] | {"steps": 3},
        "plugin_version": "9",
        "target": "other",
        "max_test_rows": 7,
    }.items():  # what may not be ranked together has files, or names, of its own
        changed = []
        for row in [row for row in rows if row["generator"] is not None]:
            score = {"tuned_test_roc_auc": 0.123} if row["status"] == "ok" else {}
            changed.append(with_key(row | {name: value} | score))
        folder = tmp_path / f"other-{name}"
        told = [json.loads(path.read_text()) for path in write_evaluations(rows + changed, folder, built_in, "us", NOW)]
        found = [
            result["score_details"]["score"]
            for record in told
            if record["model_info"]["additional_details"]["generator"] == "jitter"
            for result in record["evaluation_results"]
            if result["evaluation_name"].endswith("fine-tune/roc_auc")
        ]
        assert found.count(pytest.approx(0.123)) == len(found) / 2, name
        assert len({record["evaluation_id"] for record in told}) == len(told)
    failed = [row | {"status": "error"} for row in rows]
    with pytest.raises(DataError, match="no row has a score"):
        write_evaluations(failed, tmp_path / "none", built_in, "the authors", NOW)


def test_croissant_names_every_file_with_its_hash_and_every_column(tmp_path: Path) -> None:
    suite = Suite("core", "thirty tables", "1", core_datasets)
    found = describe(suite)
    assert found["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    files = {file["@id"]: file["sha256"] for file in found["distribution"]}
    assert files == {dataset.path.name: dataset.sha256 for dataset in suite.datasets}
    for dataset, records in zip(suite.datasets, found["recordSet"], strict=True):
        assert [field["name"] for field in records["field"]] == pq.read_schema(dataset.path).names
    heart = next(records for records in found["recordSet"] if records["name"] == "heart-cleveland")
    types = {field["name"]: field["dataType"] for field in heart["field"]}
    assert types["age"] in ("sc:Float", "sc:Integer")
    places = [tmp_path / "suite" / name / "t.parquet" for name in ("a", "b")]
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_bytes(suite.datasets[0].path.read_bytes())
    nested = Suite("nested", "two", "1", lambda: [Dataset(p.parent.name, p, suite.datasets[0].target) for p in places])
    assert [file["contentUrl"] for file in describe(nested, tmp_path / "suite")["distribution"]] == [
        "a/t.parquet", "b/t.parquet"
    ]  # fmt: skip
    text = tmp_path / "a.csv"
    text.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no Parquet file"):
        describe(Suite("mine", "one", "1", lambda: [Dataset("a", text, "b")]))


def test_croissant_is_what_its_own_library_takes(tmp_path: Path) -> None:
    croissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant")
    path = ROOT / "tabgen" / "datasets" / "core"
    (tmp_path / "croissant.json").write_text(json.dumps(describe(Suite("core", "tables", "1", core_datasets))))
    for file in path.glob("*.parquet"):
        (tmp_path / file.name).symlink_to(file)
    read = croissant.Dataset(jsonld=tmp_path / "croissant.json")
    assert not read.metadata.ctx.issues.errors
    assert len(read.metadata.record_sets) == len(core_datasets())


def test_the_commands_write_what_they_say(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def invoke(*words: str | Path) -> str:
        result = CliRunner().invoke(app, ["--no-external-plugins", "export", *map(str, words)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "70 rows" in invoke("huggingface", run, "--licence", "cc-by-4.0", "-o", tmp_path / "hf")
    assert "5 files" in invoke("every-eval-ever", run, "--organization", "us", "-o", tmp_path / "eee")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "core").mkdir()  # a folder of a suite's name is not the suite
    assert "30 datasets" in invoke("croissant", "core", "-o", tmp_path / "croissant.json")
    assert json.loads((tmp_path / "croissant.json").read_text())["name"] == "core"
    file = tmp_path / "croissant.json"
    for words in (
        ("huggingface", run, "--licence", "cc-by-4.0", "-o", file),
        ("every-eval-ever", run, "--organization", "us", "-o", file / "in"),
        ("croissant", "core", "-o", tmp_path / "hf"),
        ("croissant", "core", "-o", file / "core.json"),
        ("croissant", ROOT / "tabgen/datasets/core", "-o", ROOT / "tabgen/datasets/core/manifest.json"),
        ("croissant", "core", "-o", core_datasets()[0].path),
    ):
        with pytest.raises(DataError, match="cannot be written: "):
            invoke(*words)
