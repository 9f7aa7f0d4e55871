"""The study's rows as they are kept: they come back as run folders, and no changed row does."""

from __future__ import annotations

import argparse
import json
import runpy
from pathlib import Path

import pandas as pd
import pytest
from paths import FIXTURE
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.outcome import Outcome
from tabgen.results import load_results
from tabgen.store import Store

STUDY = Path(__file__).parent.parent.parent / "benchmarks" / "study"
KEPT = STUDY.parent / "results" / "study" / "field.parquet"
ROWS = runpy.run_path(str(STUDY / "rows.py"))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Some of the kept rows, as a kept file of its own with a registration beside it."""
    path = tmp_path / "few.parquet"
    pd.read_parquet(KEPT).iloc[::100].to_parquet(path, index=False)
    path.with_suffix(".freeze.json").write_text(KEPT.with_suffix(".freeze.json").read_text())
    return path


def test_kept_rows_come_back_as_a_run_folder_and_are_kept_again_as_they_are(few: Path, tmp_path: Path) -> None:
    assert ROWS["restore"](few, tmp_path / "run") == len(load_results(tmp_path / "run")) == 21
    ROWS["keep"](tmp_path / "run", tmp_path / "again.parquet")
    kept, again = (
        pd.read_parquet(path).dropna(axis="columns", how="all") for path in (few, tmp_path / "again.parquet")
    )
    pd.testing.assert_frame_equal(again[list(kept)], kept.reset_index(drop=True), check_dtype=False)


def test_a_kept_row_that_was_changed_is_refused(few: Path, tmp_path: Path) -> None:
    rows = pd.read_parquet(few)
    rows["fold"] = 1 - rows["fold"].clip(upper=1)
    rows.to_parquet(few, index=False)
    with pytest.raises(SystemExit, match="is not that of its key"):
        ROWS["restore"](few, tmp_path / "run")


def test_a_cell_with_more_arms_answers_for_one_with_fewer(tmp_path: Path) -> None:
    """Four cells were computed in both experiments: what is shared is what was computed, to the last bit."""
    kept = STUDY.parent / "results" / "study"
    computed = {outcome.key: outcome for outcome in ROWS["outcomes_of"](kept / "mixing.parquet") if _twice(outcome)}
    cells = [outcome.cell for outcome in computed.values()]
    wide = [outcome for outcome in ROWS["outcomes_of"](kept / "main.parquet") if _twice(outcome)]
    assert {type(outcome.result.best_step) for outcome in wide} == {int}, "a bundle takes no 10.0 for a count"
    assert ROWS["share"](wide, cells, tmp_path) == 4
    assert ROWS["share"](wide, cells, tmp_path) == 0, "done already"
    with Store(tmp_path) as store:
        for shared in store.outcomes():
            ours = computed[shared["key"]].to_dict()
            assert set(shared) == set(ours)
            differing = {name for name in ours if shared[name] != ours[name]}
            assert {name for name in differing if not name.startswith(OF_THE_DAY)} == set()


OF_THE_DAY = ("seconds_", "spared_", "processor_", "peak_", "step_seconds", "cached_", "provenance", "notes")


def _twice(outcome: Outcome) -> bool:
    cell = outcome.cell
    where = (cell.dataset, cell.fold) == ("cell-segmentation", 0)
    return where and cell.generator in {None, "scm", "ctgan", "tabebm"} and cell.mixing in {"real", "replace"}


def test_an_amended_experiment_is_whole_with_its_first_folds(tmp_path: Path) -> None:
    few = 30 * 18 * 2  # tables, methods under their mixings, folds
    rows = pd.DataFrame({"fold": [fold for fold in range(3) for _ in range(few // 2)], "n_folds": 3, "key": "k"})
    (tmp_path / "mixing.freeze.json").write_text(json.dumps({"cells": len(rows)}))
    for kept, is_whole in ((rows, True), (rows[rows["fold"] != 2], True), (rows[3:], False)):
        kept.to_parquet(tmp_path / "mixing.parquet")
        assert ROWS["whole"](tmp_path / "mixing.parquet") is is_whole
    assert len(ROWS["to_read"]("mixing", rows)) == ROWS["due"](tmp_path / "mixing.parquet") == few
    assert len(ROWS["to_read"]("main", rows)) == len(rows)


def test_an_experiment_is_whole_when_every_registered_cell_has_a_row(few: Path, tmp_path: Path) -> None:
    assert ROWS["whole"](KEPT)
    assert not ROWS["whole"](few)
    assert not ROWS["whole"](tmp_path / "none.parquet")


def test_every_experiment_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`other-recipe` asked for one fold, and no run has fewer than two."""
    monkeypatch.syspath_prepend(str(STUDY))
    run = runpy.run_path(str(STUDY / "run.py"))
    given = argparse.Namespace(output=tmp_path, model=str(FIXTURE), suite=None)
    for name in (*run["ORDER"], *run["ROBUST"]):
        if name == "outside":
            with pytest.raises(ValueError, match="outside needs --suite FOLDER"):
                run["words_of"](name, given)
            continue
        told = CliRunner().invoke(app, ["plan", *run["words_of"](name, given), "-o", str(tmp_path / name)])
        assert told.exit_code == 0, (name, told.output)
