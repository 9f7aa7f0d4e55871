"""`tabgen scale rows`: what it says of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from typer.testing import CliRunner

from tabgen.cli import app

FIXTURES = Path(__file__).parent.parent / "fixtures"


def test_the_command_reads_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    methods = "real," + ",".join(f"bootstrap:ratio={ratio}" for ratio in (0.25, 1, 2, 4))
    line = [
        "run",
        "--suite",
        "quick",
        "--folds",
        "2",
        "--arms",
        "context",
        "--methods",
        methods,
        "--max-train-rows",
        "40",
    ]
    started = CliRunner().invoke(app, [*line, "--max-test-rows", "50", "-o", str(run)], catch_exceptions=False)
    assert started.exit_code == 0, started.output
    figure = tmp_path / "rows.svg"
    told = CliRunner().invoke(app, ["scale", "rows", str(run), "--figure", str(figure)], catch_exceptions=False)
    assert "bootstrap: " in told.output
    assert "at 0.25x" in told.output
    assert "4x against 1x" in told.output
    assert "synthetic rows per real training row" in figure.read_text()
    data = json.loads(CliRunner().invoke(app, ["scale", "rows", str(run), "--json"]).output)
    (curve,) = data[0]["curves"]
    assert curve["ratios"] == [0.25, 1.0, 2.0, 4.0]
    assert len(curve["gains"]) == 4


def test_a_run_of_one_ratio_is_told_what_to_run(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "store_protocol_4", tmp_path / "run")
    told = CliRunner().invoke(app, ["scale", "rows", str(tmp_path / "run")])
    assert told.exit_code != 0
    assert "no generator was run at two ratios" in str(told.output) + str(told.exception)
