"""`tabgen run`: compare generators on a suite or on one's own table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tabgen.errors import ExperimentError

if TYPE_CHECKING:
    from rich.console import Console


def run(
    context: typer.Context,
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the run; the same folder resumes it."),
    suite: str = typer.Option("", "--suite", help="A suite by name (core, quick), or a folder with a manifest.json."),
    data: Path = typer.Option(None, "--data", help="Your own table instead of a suite: .csv or .parquet."),
    target: str = typer.Option("", "--target", help="The column of --data to predict."),
    methods: str = typer.Option(
        "", "--methods", help="Comma-separated: generator[@mixing][:setting=value;...]. Default: all."
    ),
    mixing: str = typer.Option("", "--mixing", help="Run every generator under each: replace,augment."),
    folds: int = typer.Option(3, "--folds", min=2, help="Folds; each is the test part once."),
    seeds: int = typer.Option(1, "--seeds", min=1, help="Repeats of every fold with other seeds."),
    model: str = typer.Option("tabgen-nano", "--model", help="A model by name, or a directory with a checkpoint."),
    recipe: str = typer.Option("nano", "--recipe", help="How to fine-tune: autogluon, mitra-v2, nano."),
    max_train_rows: int = typer.Option(
        1000, "--max-train-rows", min=0, help="Training rows per fold at most; 0: no limit."
    ),
    max_test_rows: int = typer.Option(1000, "--max-test-rows", min=0, help="Test rows per fold at most; 0: no limit."),
    workers: int = typer.Option(0, "--workers", min=0, help="Cells at once; 0: one per core."),
    threads: int = typer.Option(1, "--threads", min=1, help="Compute threads of a cell."),
    seconds: float = typer.Option(600.0, "--seconds", min=1, help="Wall time of a cell at most."),
    memory: float = typer.Option(6000.0, "--memory", min=300, help="Memory of a cell at most, in MB."),
    retry: str = typer.Option(
        "", "--retry", help="Run cells again that ended so: error,timeout,out_of_memory,crashed."
    ),
    fidelity: bool = typer.Option(True, "--fidelity/--no-fidelity", help="Measure each synthetic table's closeness."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would run, and for how long; run nothing."),
    report: bool = typer.Option(True, "--report/--no-report", help="Write report.html at the end."),
) -> None:
    """Compare generators: fine-tune the model on each one's output, store every outcome, rank, report.

    Safe to stop at any moment, with Ctrl-C or kill -9: the same line goes on where it was.
    """
    from rich.console import Console

    from tabgen import datasets
    from tabgen.cli.listings import load
    from tabgen.cli.names import split_methods, with_mixings
    from tabgen.cli.progress import make_watcher
    from tabgen.experiment import Experiment, Limits, default_methods, find_suite, parse_methods, plan
    from tabgen.models.finetune import get_recipe
    from tabgen.runner import run_experiment
    from tabgen.store import RETRYABLE

    plugins = load(context)
    if bool(suite) == bool(data):
        raise ExperimentError("name either a --suite (core, quick, a folder) or your own --data with its --target.")
    if data and not target:
        raise ExperimentError("--data needs --target, the column to predict.")
    again = [status for status in retry.split(",") if status]
    for status in again:
        if status not in RETRYABLE:
            raise ExperimentError(f"--retry takes {', '.join(RETRYABLE)}; not '{status}'.")
    names = with_mixings(split_methods(methods) or default_methods(plugins), [m for m in mixing.split(",") if m])
    experiment = Experiment(
        suite=datasets.file_suite(data, target) if data else find_suite(suite, plugins),
        methods=parse_methods(names, plugins),
        folds=folds,
        seeds=tuple(range(seeds)),
        model=model,
        recipe=get_recipe(recipe).to_dict(),
        max_train_rows=max_train_rows or None,
        max_test_rows=max_test_rows or None,
        limits=Limits(seconds, memory),
        fidelity=fidelity,
    )
    if data:
        experiment.suite.datasets[0].load()  # a bad table should be said once, not once per cell
    console = Console(stderr=False)
    workers = workers or os.cpu_count() or 1
    if dry_run:
        _print_plan(plan(experiment, plugins), output, workers, console)
        return
    summary = run_experiment(
        experiment,
        output,
        plugins,
        context.obj,
        make_watcher(console),
        workers=workers,
        threads=threads,
        retry=again,
    )
    if sum(summary.ran.values()) + summary.done_before:
        from tabgen.cli.rank import print_closeness, print_ranking
        from tabgen.results import closeness, load_results
        from tabgen.statistics import summary as summarise

        outcomes = load_results(output)
        ranking = summarise(outcomes)
        print_ranking(ranking, console)
        print_closeness(closeness(outcomes), console)
        if report:
            from tabgen.leaderboard.report import write_report

            console.print(f"Report: {write_report(output, ranking)}", soft_wrap=True, highlight=False)
    console.print(summary.sentence(), highlight=False, soft_wrap=True)
    if summary.stopped:
        raise typer.Exit(130)


def _print_plan(cells: list[dict[str, Any]], folder: Path, workers: int, console: Console) -> None:
    """Cells by method, how many are done, and the time left by the outcomes that the folder holds."""
    from statistics import median

    from tabgen.store import FILE, Store

    done: dict[str, dict[str, Any]] = {}
    if (folder / FILE).is_file():
        with Store(folder) as store:
            done = {outcome["key"]: outcome for outcome in store.outcomes()}
    left_seconds, unknown = 0.0, 0
    for method in dict.fromkeys(cell["method"] for cell in cells):
        mine = [cell for cell in cells if cell["method"] == method]
        left = [cell for cell in mine if cell["key"] not in done]
        seen = [outcome["seconds_total"] for outcome in done.values() if outcome["method"] == method]
        each = median(seen) if seen else None
        left_seconds += len(left) * (each or 0.0)
        unknown += len(left) if each is None else 0
        shown = "no outcome to judge by" if each is None else f"about {each:.1f} s each"
        console.print(f"{method}: {len(left)} of {len(mine)} cells to run, {shown}", highlight=False, markup=False)
    datasets, folds = len({cell["dataset"] for cell in cells}), len({cell["fold"] for cell in cells})
    remaining = sum(cell["key"] not in done for cell in cells)
    text = f"{len(cells)} cells ({datasets} datasets, {folds} folds), {remaining} to run"
    if remaining > unknown:
        text += f"; about {left_seconds / workers / 60:.1f} min on {workers} workers"
    console.print(text + (f"; {unknown} cells of unknown time." if unknown else "."), highlight=False)
