"""`tabgen plan`: what a run would do, and the analysis of it, frozen before any outcome."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from tabgen.cli.flags import given_fields, on_command_line, presets_like, read_values, split_methods


def plan(
    context: typer.Context,
    experiment_file: Path = typer.Argument(None, metavar="[EXPERIMENT.toml]", help="An experiment as a file."),
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the run to come."),
    preset: str = typer.Option(
        "",
        "--preset",
        autocompletion=presets_like,
        help="An embedded experiment file: quick, core, paper, paper-nano, study and others (docs/experiments.md).",
    ),
    suite: str = typer.Option(None, "--suite", help="As in `tabgen run`, and so on to --max-test-rows."),
    data: Path = typer.Option(None, "--data"),
    target: str = typer.Option(None, "--target"),
    methods: str = typer.Option("", "--methods"),
    mixing: str = typer.Option("", "--mixing"),
    folds: int = typer.Option(3, "--folds"),
    arms: str = typer.Option("", "--arms"),
    tuning_seeds: int = typer.Option(2, "--tuning-seeds"),
    draws: int = typer.Option(1, "--draws"),
    seeds: int = typer.Option(1, "--seeds"),
    model: str = typer.Option("tabgen-nano", "--model"),
    recipe: str = typer.Option("nano", "--recipe"),
    max_train_rows: str = typer.Option("1000", "--max-train-rows"),
    max_test_rows: int = typer.Option(1000, "--max-test-rows"),
    freeze: bool = typer.Option(False, "--freeze", help="Write the analysis below into the folder, once."),
    arm: str = typer.Option("", "--arm", help="The primary arm. Default: context, or the first that is measured."),
    metric: str = typer.Option("roc_auc", "--metric", help="The primary metric."),
    policy: str = typer.Option("complete", "--policy", help="Missing outcomes: complete, worst or baseline."),
    contrasts: str = typer.Option(
        "", "--contrasts", help="Pairs to test, such as scm/real,scm/bootstrap. Default: every method against real."
    ),
    region: float = typer.Option(0.1, "--region", min=0, help="Half-width of practical equality, in points."),
    alpha: float = typer.Option(0.05, "--alpha", min=0.0001, max=0.5, help="Family-wise error of the contrasts."),
) -> None:
    """Print what a run would do; with --freeze, register its analysis before any outcome is there.

    `tabgen rank` and the report then call that analysis confirmatory and every other one exploratory.
    """
    from rich.console import Console

    from tabgen.arms import first_shown
    from tabgen.cli.listings import load
    from tabgen.cli.run import print_plan, stored_outcomes
    from tabgen.errors import ExperimentError
    from tabgen.experiment import plan as plan_cells
    from tabgen.freeze import make_freeze
    from tabgen.outputs import check_folder
    from tabgen.spec import make_spec

    check_folder(output)
    plugins = load(context)
    given = given_fields(
        context,
        suite=suite,
        data=data,
        target=target,
        methods=methods,
        mixing=mixing,
        folds=folds,
        arms=arms,
        tuning_seeds=tuning_seeds,
        draws=draws,
        seeds=seeds,
        model=model,
        recipe=recipe,
        max_train_rows=max_train_rows,
        max_test_rows=max_test_rows,
    )
    values = read_values(experiment_file, preset, given)
    experiment = make_spec(values, str(experiment_file or preset or "plan")).build(plugins)
    analysis = ("arm", "metric", "policy", "contrasts", "region", "alpha")
    if not freeze and (given_for := [f"--{name}" for name in analysis if on_command_line(context, name)]):
        raise ExperimentError(f"{', '.join(given_for)}: part of an analysis that only --freeze writes down; add it.")
    if arm and arm not in experiment.arms:
        raise ExperimentError(f"--arm {arm}: this experiment measures {', '.join(experiment.arms)}.")
    plugins.metrics[metric]  # or an error that says which there are
    cells = plan_cells(experiment, plugins)
    console = Console(markup=False)
    print_plan(cells, output, os.cpu_count() or 1, console)
    if not freeze:
        return
    frozen = make_freeze(
        [cell.key for cell in cells],
        [method.label for method in experiment.methods],
        arm=arm or first_shown(experiment.arms),
        metric=metric,
        policy=policy,
        contrasts=[pair_of(text) for text in split_methods(contrasts)],
        region=region,
        alpha=alpha,
        outcomes_before=len(stored_outcomes(output)),
    )
    path = frozen.write(output)
    console.print(
        f"Frozen at {frozen.time} in {path}: arm '{frozen.arm}', {frozen.metric}, policy '{frozen.policy}',"
        f" {len(frozen.contrasts)} contrasts, equal within {frozen.region:g} points, alpha {frozen.alpha:g};"
        f" hash {frozen.hash[:16]}.",
        highlight=False,
        soft_wrap=True,
    )


def pair_of(text: str) -> tuple[str, str]:
    """Two methods, written `scm/real`."""
    from tabgen.errors import ExperimentError

    first, slash, second = (part.strip() for part in text.partition("/"))
    if not (first and slash and second):
        raise ExperimentError(f"--contrasts: '{text}' should be two methods, as in scm/real.")
    return first, second
