"""`tabgen scale rows`: what it says of a run."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tabgen.cli import app

FIXTURES = Path(__file__).parent.parent / "fixtures"
BENCHMARKS = FIXTURES.parent.parent / "benchmarks"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one generator at five ratios: rows of the study, as they are kept."""
    kept, few = BENCHMARKS / "results" / "study" / "more-rows.parquet", tmp_path / "few.parquet"
    rows = pd.read_parquet(kept)
    rows[rows["method"].str.match("real|bootstrap")].to_parquet(few, index=False)
    few.with_suffix(".freeze.json").write_text(kept.with_suffix(".freeze.json").read_text())
    runpy.run_path(str(BENCHMARKS / "study" / "rows.py"))["restore"](few, tmp_path / "run")
    return tmp_path / "run"


def test_the_command_reads_a_run(run: Path, tmp_path: Path) -> None:
    figure = tmp_path / "rows.svg"
    told = CliRunner().invoke(app, ["scale", "rows", str(run), "--figure", str(figure)], catch_exceptions=False)
    assert "bootstrap: " in told.output
    assert "at 0.25x" in told.output
    assert "32x against 1x" in told.output
    assert "synthetic rows per real training row" in figure.read_text()
    data = json.loads(CliRunner().invoke(app, ["scale", "rows", str(run), "--json"]).output)
    assert {each["arm"] for each in data} == {"context", "augmented"}
    (curve,) = data[0]["curves"]
    assert curve["ratios"] == [0.25, 1.0, 4.0, 8.0, 32.0]
    assert len(curve["gains"]) == 5


def test_a_run_of_one_ratio_is_told_what_to_run(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "store_protocol_4", tmp_path / "run")
    told = CliRunner().invoke(app, ["scale", "rows", str(tmp_path / "run")])
    assert told.exit_code != 0
    assert "no generator was run at two ratios" in str(told.output) + str(told.exception)
