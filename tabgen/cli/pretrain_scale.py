"""`tabgen scale pretrain`: how the loss on unseen tasks falls with the tasks of pre-training, run by run."""

from __future__ import annotations

import json
from pathlib import Path

import typer

app = typer.Typer(help="Scaling laws.", no_args_is_help=True)


@app.callback()
def _scale() -> None:
    """Keep `pretrain` a command of its own although it is the only one."""


@app.command("pretrain")
def scale_pretrain(
    runs: list[Path] = typer.Argument(..., metavar="FOLDER...", help="Folders of `tabgen pretrain`."),
    priors: str = typer.Option(
        "mechanisms=1,rules=1,levels=1,collinear=1", "--priors", help="The unseen tasks are of these, in equal parts."
    ),
    output: Path | None = typer.Option(None, "-o", "--output", help="Write every loss and fit to this JSON file."),
    figure: Path | None = typer.Option(None, "--figure", help="Draw the curves: .svg or .png."),
) -> None:
    """Score the checkpoints of some runs on the same unseen tasks and fit a power law to each run.

    A run keeps a checkpoint at 1,000, 2,000, 4,000, ... tasks. `--distinct-tasks` and `--priors` of `tabgen pretrain`
    make the runs to compare: fewer tasks gone through more often, fewer kinds of task.
    """
    from tabgen.pretrain.held_out import HeldOut
    from tabgen.pretrain.scaling import curve_of, in_words
    from tabgen.pretrain.tasks import parse_priors

    unseen = HeldOut(parse_priors(priors))
    curves = []
    for run in runs:
        curves.append(curve_of(run, unseen))
        typer.echo(in_words(curves[-1]))
    if output:
        output.write_text(json.dumps([curve.to_dict() for curve in curves], indent=1) + "\n")
    if figure:
        from tabgen.figures import save
        from tabgen.figures.curves import pretraining_curves

        save(pretraining_curves(curves), figure)
