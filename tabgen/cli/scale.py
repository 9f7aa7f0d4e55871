"""`tabgen scale`: does more help? Synthetic rows per real row, and tasks of pre-training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tabgen.statistics.saturation import Saturation

app = typer.Typer(help="Scaling laws: of synthetic rows, and of pre-training.", no_args_is_help=True)


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
    from tabgen.outputs import check_file
    from tabgen.pretrain.held_out import HeldOut
    from tabgen.pretrain.scaling import curve_of, in_words
    from tabgen.pretrain.tasks import parse_priors

    if output:
        check_file(output)
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


@app.command("rows")
def scale_rows(
    context: typer.Context,
    folders: list[Path] = typer.Argument(
        ..., metavar="RUN...", help="Run folders, bundles or a board's results.jsonl; several count as one store."
    ),
    arm: str = typer.Option("", "--arm", help="Use of the rows. Default: all that were measured."),
    metric: str = typer.Option("roc_auc", "--metric", help="Which score."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    figure: Path | None = typer.Option(None, "--figure", help="Draw the curves of the first arm: .svg or .png."),
) -> None:
    """Read off a run how the gain of each generator grows with its rows, and where it levels off.

    For a run of methods that differ in their ratio, such as `scm:ratio=0.25`, `scm:ratio=1`, `scm:ratio=8`: synthetic
    rows per real row.
    """
    from tabgen.cli.listings import load
    from tabgen.cli.rank import check_arm, check_metric
    from tabgen.errors import ExperimentError
    from tabgen.figures import gain_against_ratio, save
    from tabgen.results import load_results, rank_pools
    from tabgen.statistics.saturation import lines_of, saturations

    direction = load(context).metrics[metric].higher_is_better
    outcomes = load_results(*folders)
    check_arm(arm, outcomes)
    check_metric(metric, outcomes)
    ranked = rank_pools(outcomes, metric, arms=[arm] if arm else None, higher_better=direction)
    found = [
        (each, curves)
        for each in ranked
        if each.ranking is not None and (curves := saturations(each.ranking, each.pool.outcomes))
    ]
    if not found:
        raise ExperimentError(
            "no generator was run at two ratios: give methods such as scm:ratio=0.25,scm:ratio=1,scm:ratio=8."
        )
    if figure:
        first, curves = found[0]
        assert first.ranking is not None
        lines = lines_of(first.pool.outcomes)
        save(gain_against_ratio(first.ranking, {curve.name: lines[curve.name] for curve in curves}, curves), figure)
    if as_json:
        told = [{"pool": r.pool.name, "arm": r.arm, "curves": [asdict(c) for c in curves]} for r, curves in found]
        typer.echo(json.dumps(told, indent=2))
        return
    for each, curves in found:
        assert each.ranking is not None
        datasets = len(each.ranking.pool.datasets)
        typer.echo(
            f"{each.pool.name}, arm '{each.arm}', gain in {metric} over zero-shot in percent, {datasets} datasets:"
        )
        for curve in curves:
            typer.echo(f"- {in_words(curve)}")


def in_words(curve: Saturation) -> str:
    """One generator's curve in a sentence."""
    from tabgen.statistics.saturation import FEWEST_RATIOS

    points = ", ".join(f"{gain:+.2f} at {ratio:g}x" for ratio, gain in zip(curve.ratios, curve.gains, strict=True))
    said = f"{curve.name}: {points}"
    if curve.ceiling is not None and curve.ceiling_interval is not None:
        low, high = curve.ceiling_interval
        said += f"; tends to {curve.ceiling:+.2f} ({low:+.2f} to {high:+.2f})"
    elif len(curve.ratios) >= FEWEST_RATIOS:
        said += "; what it tends to cannot be told"
    told = f"{curve.more:+.2f}"
    if curve.more_interval is not None:
        told += f" ({curve.more_interval.low:+.2f} to {curve.more_interval.high:+.2f})"
    verdict = "undecided" if curve.p > 0.05 else "more rows help" if curve.more > 0 else "more rows hurt"
    one = min(curve.ratios, key=lambda ratio: abs(ratio - 1))
    return f"{said}; {curve.ratios[-1]:g}x against {one:g}x {told}, p = {curve.p:.2g}: {verdict}"
