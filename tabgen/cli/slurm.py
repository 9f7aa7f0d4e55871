"""`tabgen slurm`: a job script for Slurm that runs an experiment as an array of shards."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import typer

from tabgen.cli.flags import presets_like
from tabgen.errors import ExperimentError
from tabgen.text import counted


def slurm(
    context: typer.Context,
    experiment_file: Path = typer.Argument(None, metavar="[EXPERIMENT.toml]", help="An experiment as a file."),
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the run, on a file system that all nodes see."),
    preset: str = typer.Option(
        "",
        "--preset",
        autocompletion=presets_like,
        help="An embedded experiment file in place of one (docs/experiments.md).",
    ),
    shards: int = typer.Option(..., "--shards", min=1, help="Jobs of the array, each with a part of the cells."),
    cpus: int = typer.Option(8, "--cpus", min=1, help="CPUs of a job, and cells at once where there is no GPU."),
    gpus: int = typer.Option(0, "--gpus", min=0, help="GPUs of a job, one cell on each."),
    time: str = typer.Option("24:00:00", "--time", help="Wall time of a job at most, as Slurm writes it."),
    sbatch: list[str] = typer.Option(
        [], "--sbatch", metavar="OPTION", help="Any other option of sbatch, such as partition=long; may be repeated."
    ),
    setup: list[str] = typer.Option(
        [],
        "--setup",
        metavar="LINE",
        help="A line of shell before the run, such as 'module load cuda'; may be repeated.",
    ),
) -> None:
    """Write a job script for sbatch: an array of shards, each with a store of its own, and how to join them.

    Jobs need no connection to each other and no port. A job that ran out of time goes on where it was when the same
    script is submitted again.
    """
    from tabgen.cli.flags import read_values
    from tabgen.cli.listings import load
    from tabgen.experiment import plan
    from tabgen.outputs import check_folder
    from tabgen.schedule import fits_of
    from tabgen.spec import make_spec

    check_folder(output)
    if not (experiment_file or preset):
        raise ExperimentError("name an experiment file, or a --preset.")
    for text in (time, *sbatch, *setup):
        if not text.strip() or "\n" in text:
            raise ExperimentError(f"--time, --sbatch and --setup take one line each; not {text!r}.")
    plugins = load(context)
    experiment = make_spec(read_values(experiment_file, preset, {}), str(experiment_file or preset)).build(plugins)
    planned = plan(experiment, plugins)
    cells, parts = len(planned), len(fits_of(planned))
    if parts < shards:
        raise ExperimentError(
            f"--shards {shards}: the experiment has {counted(cells, 'cell')} in {counted(parts, 'part')}, since cells"
            " that draw from one fit go together; ask for as many shards at most."
        )
    choice = context.obj
    words = [sys.executable, "-m", "tabgen"]
    words += [word for file in choice.files for word in ("--plugin", str(Path(file).resolve()))]
    words += [] if choice.external else ["--no-external-plugins"]
    whole = output.resolve()
    what = [str(experiment_file.resolve())] if experiment_file else ["--preset", preset]
    run = [*words, "run", *what, *(["--gpus", str(gpus)] if gpus else ["--workers", str(cpus)])]
    options = [
        "job-name=tabgen",
        f"array=1-{shards}",
        f"cpus-per-task={cpus}",
        *([f"gpus={gpus}"] if gpus else []),
        f"time={time}",
        "signal=B:INT@120",
        f"output={whole}/slurm-%A_%a.log",
        *(option.removeprefix("--") for option in sbatch),
    ]
    join = (
        f"{shlex.join([*words, 'leaderboard', 'merge'])} {shlex.quote(str(whole))}/shard-* -o {shlex.quote(str(whole))}"
    )
    of_job = f'--shard "$SLURM_ARRAY_TASK_ID/{shards}" -o {shlex.quote(str(whole))}/"shard-$SLURM_ARRAY_TASK_ID"'
    size = f"{counted(cells, 'cell')} in {counted(shards, 'shard')}"
    script = whole / "array.sbatch"
    whole.mkdir(parents=True, exist_ok=True)
    script.write_text(
        "\n".join(
            [
                "#!/bin/bash",
                *(f"#SBATCH --{_quoted(option)}" for option in options),
                f"# {size}. Submit it again to go on; when all have ended:",
                f"#   {join}",
                "set -eo pipefail",
                f"cd {shlex.quote(str(Path.cwd()))}",
                "export OMP_NUM_THREADS=1",
                *setup,
                f"exec {shlex.join(run)} {of_job}",
                "",
            ]
        ),
        encoding="utf-8",
    )
    typer.echo(f"{size}. Submit them: sbatch {shlex.quote(str(script))}")
    typer.echo(f"When all have ended: {join}")


def _quoted(option: str) -> str:
    """An option of sbatch whose value may hold spaces."""
    name, equals, value = option.partition("=")
    return f"{name}={shlex.quote(value)}" if equals else name
