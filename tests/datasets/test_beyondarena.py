"""BeyondArena's suite, offline: the toy container that data-foundry ships, and the splits it came with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.datasets import beyondarena, read_manifest
from tabgen.errors import DataError, Unsupported
from tabgen.experiment import find_suite
from tabgen.plugins import PluginChoice, load_plugins
from tabgen.splits import split_table

BUILT_IN = PluginChoice(external=False)


@pytest.fixture
def toy() -> Any:
    """A collection of the one container that the package ships."""
    pytest.importorskip("data_foundry", reason="data-foundry is not installed: pip install 'tabgen-bench[beyondarena]'")
    from data_foundry.collections import DatasetCollection, LocalWarehouseSource
    from data_foundry.examples import TOY_CONTAINER_UNIQUE_NAME, TOY_CONTAINER_UUID, get_toy_container_path

    source = LocalWarehouseSource(get_toy_container_path().parents[1])
    name = f"{TOY_CONTAINER_UNIQUE_NAME}/{TOY_CONTAINER_UUID}"
    return DatasetCollection.from_relative_paths("toy", "one container", [name], source=source)


def test_a_container_becomes_a_dataset_with_its_own_splits(toy: Any, tmp_path: Path) -> None:
    beyondarena.fetch(tmp_path, toy)
    (dataset,) = read_manifest(tmp_path)
    assert (dataset.name, dataset.target) == ("toy_iid_dataset", "target")
    assert dataset.facts["licence"] == "CC0-1.0"
    assert (dataset.facts["repeats"], dataset.facts["folds"]) == (1, 3)
    table, (container,) = dataset.load(), toy.iter_containers()
    assert table.schema.names == ["feat_num", "feat_int", "feat_cat"]
    assert [column.kind for column in table.schema.columns] == ["numeric", "integer", "categorical"]
    for fold, (train, test) in container.experiment_metadata.splits[0].items():
        parts = split_table(table, fold, 3, 0)
        assert parts.test.tolist() == sorted(test)
        assert sorted([*parts.train, *parts.validation]) == sorted(train)
        assert len(parts.validation) == pytest.approx(0.2 * len(train), abs=1)
    with pytest.raises(Unsupported, match="1 repeat of 3 folds; fold 0 of 5 with seed 0 is none of them"):
        split_table(table, 0, 5, 0)
    with pytest.raises(Unsupported, match="no seed from 1 on"):
        split_table(table, 0, 3, 1)


def test_what_has_arrived_is_not_fetched_again(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABGEN_CACHE", str(tmp_path))
    folder = beyondarena.beyondarena_folder()
    assert not beyondarena.is_fetched()
    beyondarena.fetch(folder, toy)
    before = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()
    monkeypatch.setattr(type(toy), "get_dataset", None)
    beyondarena.fetch(folder, toy)
    assert (folder / "manifest.json").read_bytes() == before
    assert [each.name for each in find_suite("beyondarena-iid", load_plugins(BUILT_IN)).datasets] == ["toy_iid_dataset"]


def test_grouped_rows_are_left_out_and_a_broken_line_is_said(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (container,) = toy.iter_containers()
    container.task_metadata.group_on = "feat_cat"
    monkeypatch.setattr(type(toy), "get_dataset", lambda self, uuid: container)
    beyondarena.fetch(tmp_path / "grouped", toy)
    assert json.loads((tmp_path / "grouped" / "manifest.json").read_text()) == []

    def broken(self: Any, uuid: str) -> Any:
        raise ConnectionError("the line is dead")

    monkeypatch.setattr(type(toy), "get_dataset", broken)
    with pytest.raises(DataError, match=r"'toy_iid_dataset' of toy .* \(ConnectionError: the line is dead\)"):
        beyondarena.fetch(tmp_path / "broken", toy)
    assert not (tmp_path / "broken" / "manifest.json").exists()


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABGEN_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "data_foundry.collections", None)
    with pytest.raises(DataError, match=r"pip install 'tabgen-bench\[beyondarena\]'"):
        _ = find_suite("beyondarena-iid", load_plugins(BUILT_IN)).datasets


def test_splits_that_no_column_can_hold_are_refused() -> None:
    assert beyondarena.tested_in({0: {0: ([2, 3], [0, 1]), 1: ([0, 1], [3, 2])}}, 4, "t").tolist() == [[0, 0, 1, 1]]
    with pytest.raises(DataError, match="fold 0 of repeat 0 leaves rows out"):
        beyondarena.tested_in({0: {0: ([2], [0, 1])}}, 4, "t")
    with pytest.raises(DataError, match="trains on tested ones"):
        beyondarena.tested_in({0: {0: ([1, 2, 3], [0, 1])}}, 4, "t")
    with pytest.raises(DataError, match="fold 1 of repeat 3 tests rows of an earlier fold again"):
        beyondarena.tested_in({3: {0: ([2, 3], [0, 1]), 1: ([0, 3], [1, 2])}}, 4, "t")


def test_frames_stay_as_they_were(toy: Any, tmp_path: Path) -> None:
    beyondarena.fetch(tmp_path, toy)
    (container,) = toy.iter_containers()
    written = pd.read_parquet(next(tmp_path.glob("*.parquet")))
    assert written.drop(columns="split 0").equals(container.dataset)
    assert np.isin(written["split 0"], [0, 1, 2]).all()
