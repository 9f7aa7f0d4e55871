"""`tabgen gap`: where in the prior's space a model falls behind forests and boosting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tabgen.cli.listings import load

if TYPE_CHECKING:
    from tabgen.pretrain.gap import Gap


def gap(
    context: typer.Context,
    model: str = typer.Argument("tabgen-nano", help="A model's name, or the folder of a checkpoint."),
    priors: str = typer.Option(
        "mechanisms=1,rules=1,levels=1,collinear=1", "--priors", help="Priors to look at; their shares say nothing."
    ),
    tasks: int = typer.Option(16, "--tasks", min=4, help="Tasks of a region, in each of two draws."),
    seed: int = typer.Option(0, "--seed", min=0),
    workers: int = typer.Option(1, "--workers", min=1, help="Processes that share the regions."),
    output: Path | None = typer.Option(None, "-o", "--output", help="Write the gaps to this JSON file."),
) -> None:
    """Map where a model loses most to a random forest and gradient boosting on synthetic tasks.

    A region is a prior with few or many rows (250), columns (8) and classes (2). The better baseline is chosen on one
    draw of tasks and compared with the model on another. `tabgen pretrain --gaps FILE --target-gap T` trains on a mix
    that leans towards the widest gaps.
    """
    from tabgen.outputs import check_file
    from tabgen.plugins import find_model
    from tabgen.pretrain.gap import gaps, write_gaps
    from tabgen.pretrain.tasks import parse_priors

    if output:
        check_file(output)
    chosen = parse_priors(priors)
    typer.echo("ROC-AUC of the better baseline less the model's, with its standard error over tasks:")
    found = gaps(find_model(model, load(context)).load("cpu"), chosen, tasks, seed, _print, workers)
    if output:
        write_gaps(output, found)
    widest = found[0]
    typer.echo(f"widest: {widest.region} ({widest.gap:+.3f})")


def _print(one: Gap) -> None:
    typer.echo(f"{one.gap:+.3f} ± {one.error:.3f}  {one.region} ({one.baseline}, {one.tasks} tasks)")
