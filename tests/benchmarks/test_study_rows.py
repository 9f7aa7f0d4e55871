"""The study's rows as they are kept: they come back as run folders, and no changed row does."""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path

import pandas as pd
import pytest
from paths import FIXTURE
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.results import load_results

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


def test_an_experiment_is_whole_when_every_registered_cell_has_a_row(few: Path, tmp_path: Path) -> None:
    assert ROWS["whole"](KEPT)
    assert not ROWS["whole"](few)
    assert not ROWS["whole"](tmp_path / "none.parquet")


def test_every_experiment_can_be_planned(tmp_path: Path) -> None:
    """`other-recipe` asked for one fold, and no run has fewer than two."""
    run = runpy.run_path(str(STUDY / "run.py"))
    given = argparse.Namespace(output=tmp_path, model=str(FIXTURE), suite=None)
    for name in (*run["ORDER"], *run["ROBUST"]):
        if name == "outside":
            with pytest.raises(ValueError, match="outside needs --suite FOLDER"):
                run["words_of"](name, given)
            continue
        told = CliRunner().invoke(app, ["plan", *run["words_of"](name, given), "-o", str(tmp_path / name)])
        assert told.exit_code == 0, (name, told.output)
