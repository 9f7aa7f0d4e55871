"""`tabgen scale pretrain`: how the loss on unseen tasks falls with the tasks of pre-training, run by run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tabgen.pretrain.scaling import Curve

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
        from tabgen.leaderboard.figures import save

        save(draw(curves), figure)


def draw(curves: list[Curve]) -> Figure:
    """Mean log-loss against tasks seen, both ends of the x axis as powers of two of a thousand; fits as lines."""
    import numpy as np
    from matplotlib.figure import Figure

    from tabgen.leaderboard.figures import method_styles

    picture = Figure(figsize=(8, 4.2), layout="constrained")
    axes = picture.subplots()
    styles = method_styles([curve.name for curve in curves])
    for curve in curves:
        tasks, style = np.array([point.tasks for point in curve.points]), styles[curve.name]
        means = [point.mean for point in curve.points]
        axes.plot(tasks, means, color=style.colour, marker=style.marker, linestyle="none", label=curve.name)
        if curve.law is not None:
            fine = np.geomspace(tasks[0], tasks[-1], 100)
            axes.plot(fine, curve.law(fine), color=style.colour, linewidth=1.2)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("tasks of pre-training")
    axes.set_ylabel("mean log-loss on unseen tasks (nats)")
    axes.grid(alpha=0.25)
    picture.legend(frameon=False, fontsize=9, loc="outside right center")
    return picture
