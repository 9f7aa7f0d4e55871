"""Shards on the command line, and the job script that runs them: its jobs, joined, are the whole run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from paths import FIXTURE, importing
from tiny_run import rows_of
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.datasets import CORE, Dataset
from tabgen.errors import ExperimentError

EXPERIMENT = f"""
data = "{CORE / "teaching-assistants.parquet"}"
target = "{{target}}"
methods = ["zero-shot", "real", "jitter"]
arms = ["context"]
folds = 2
seeds = 1
model = "{FIXTURE}"
"""


def without_path(row: str) -> str:
    """A row as `merge` keeps it: where a table lay on one machine says nothing on another."""
    return json.dumps(json.loads(row) | {"path": ""}, sort_keys=True)


@pytest.fixture
def experiment(tmp_path: Path, teaching: Dataset) -> Path:
    path = tmp_path / "an experiment.toml"
    path.write_text(EXPERIMENT.format(target=teaching.target))
    return path


def invoke(*words: str | Path, ok: bool = True) -> str:
    result = CliRunner().invoke(app, ["--no-external-plugins", *map(str, words)], catch_exceptions=False)
    assert (result.exit_code == 0) == ok, result.output
    return result.output


def test_the_jobs_of_the_script_joined_are_the_whole_run(experiment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "all of it"
    said = invoke("slurm", experiment, "--shards", "2", "--cpus", "1", "--sbatch", "--partition=long", "-o", folder)
    script = folder / "array.sbatch"
    assert f"sbatch '{script}'" in said
    text = script.read_text()
    for option in ("array=1-2", "cpus-per-task=1", "time=24:00:00", "partition=long", "signal=B:INT@120"):
        assert f"#SBATCH --{option}\n" in text, option
    environment = importing(Path(__file__).parent)
    for number in ("1", "2"):
        job = os.environ | environment | {"SLURM_ARRAY_TASK_ID": number}
        done = subprocess.run(["bash", str(script)], env=job, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Shard {number}/2: nothing is ranked" in done.stdout
    join = said.partition("When all have ended: ")[2].strip()
    done = subprocess.run(
        ["bash", "-c", join], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    invoke("run", experiment, "-o", tmp_path / "whole", "--no-report")
    whole = rows_of(tmp_path / "whole")
    assert len(whole) == 6
    assert rows_of(folder) == {key: without_path(row) for key, row in whole.items()}


def test_a_dry_run_of_a_shard_counts_its_cells(experiment: Path, tmp_path: Path) -> None:
    said = invoke("run", experiment, "--shard", "3/4", "--dry-run", "-o", tmp_path / "run")
    assert said.strip().splitlines()[-1].startswith("1 cell")


def test_gpus_and_lines_of_setup_are_in_the_script(experiment: Path, tmp_path: Path) -> None:
    words = ("--shards", "1", "--gpus", "2", "--setup", "module load cuda", "-o", tmp_path / "run")
    invoke("slurm", experiment, *words)
    lines = (tmp_path / "run" / "array.sbatch").read_text().splitlines()
    assert "#SBATCH --gpus=2" in lines
    assert not [line for line in lines if "set -eu" in line]  # setup files of others read what is not set
    assert lines.index("module load cuda") == len(lines) - 2  # the line before the run
    assert shlex.split(lines[-1])[-6:-2] == ["--gpus", "2", "--shard", "$SLURM_ARRAY_TASK_ID/1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shards", "7"], "6 cells in 6 parts.*; ask for as many"),
        (["--shards", "2", "--sbatch", "a\nb"], "one line each"),
        (["--shards", "2", "--preset", "quick"], "not both"),
    ],
)
def test_mistakes_are_said_before_a_script_is_written(
    experiment: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(ExperimentError, match=message):
        invoke("slurm", experiment, *words, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()
