"""`tabgen run`: compare generators on a suite or on one's own table."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import typer

from tabgen.cli import tables
from tabgen.cli.flags import given_fields, presets_like, read_values, split_words
from tabgen.cli.lasting import Lasting
from tabgen.errors import ExperimentError

if TYPE_CHECKING:
    from rich.console import Console

    from tabgen.experiment import Experiment
    from tabgen.outcome import Cell
    from tabgen.plugins import Plugins
    from tabgen.runner import Watcher
    from tabgen.schedule import Shard


def run(
    context: typer.Context,
    experiment_file: Path = typer.Argument(
        None, metavar="[EXPERIMENT.toml]", help="An experiment as a file; flags given as well go before it."
    ),
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the run; the same folder resumes it."),
    preset: str = typer.Option(
        "",
        "--preset",
        autocompletion=presets_like,
        help="An embedded experiment file: quick, core, paper, paper-nano, study and others (docs/experiments.md).",
    ),
    suite: str = typer.Option(None, "--suite", help="A suite by name (core, quick), or a folder with a manifest.json."),
    data: Path = typer.Option(None, "--data", help="Your own table instead of a suite (docs/tables.md)."),
    target: str = typer.Option(None, "--target", help="The column of --data to predict."),
    kind: list[str] = tables.KIND,
    drop: list[str] = tables.DROP,
    missing: list[str] = tables.MISSING,
    delimiter: str = tables.DELIMITER,
    decimal: str = tables.DECIMAL,
    encoding: str = tables.ENCODING,
    day_first: bool = tables.DAY_FIRST,
    methods: str = typer.Option(
        "", "--methods", help="Comma-separated: generator[@mixing][:setting=value;...]. Default: all."
    ),
    mixing: str = typer.Option("", "--mixing", help="Run every generator under each: replace,augment."),
    folds: int = typer.Option(3, "--folds", help="Folds; each is the test part once."),
    arms: str = typer.Option(
        "",
        "--arms",
        help="Uses of synthetic rows to measure: fine-tune,fixed-steps,context,augmented. Default: all; of --data the"
        " last two, which are quick.",
    ),
    tuning_seeds: int = typer.Option(2, "--tuning-seeds", help="Fine-tuning runs of a cell, averaged."),
    draws: int = typer.Option(1, "--draws", help="Fits and draws of every generator on each split."),
    seeds: int = typer.Option(None, "--seeds", help="Repeats of every fold with other seeds. Default: 1; of --data 3."),
    model: str = typer.Option("tabgen-nano", "--model", help="A model by name, or a directory with a checkpoint."),
    recipe: str = typer.Option("nano", "--recipe", help="How to fine-tune: autogluon, mitra-v2, nano; or several."),
    max_train_rows: str = typer.Option(
        "1000", "--max-train-rows", help="Training rows per fold at most, or several caps: 50,100,200. 0: no limit."
    ),
    max_test_rows: int = typer.Option(1000, "--max-test-rows", help="Test rows per fold at most; 0: no limit."),
    engine: str = typer.Option("local", "--engine", help="What runs the cells: local, or ray for a cluster."),
    workers: int = typer.Option(0, "--workers", min=0, help="Cells at once; 0: as many as there are cores for."),
    threads: int = typer.Option(1, "--threads", min=1, help="Compute threads of a cell."),
    gpus: int = typer.Option(0, "--gpus", min=0, help="GPUs to share out among cells; 0: compute on the CPU."),
    seconds: float = typer.Option(600.0, "--seconds", help="Wall time of a cell at most."),
    memory: float = typer.Option(6000.0, "--memory", help="Memory of a cell at most, in MB."),
    phase_seconds: str = typer.Option(
        "", "--phase-seconds", help="Wall time of single phases at most, such as fit=120,finetune=300."
    ),
    cache: bool = typer.Option(True, "--cache/--no-cache", help="Share rows and zero-shot scores between cells."),
    cache_limit: float = typer.Option(None, "--cache-limit", min=1, help="Size of the cache at most, in MB."),
    retry: str = typer.Option(
        "", "--retry", help="Run cells again that ended so: error,timeout,out_of_memory,crashed."
    ),
    fidelity: bool = typer.Option(True, "--fidelity/--no-fidelity", help="Measure each synthetic table's closeness."),
    shard: str = typer.Option(
        "", "--shard", help="Run one part of the plan alone, such as 1/3; `leaderboard merge` joins them."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Say what failed, and the last line; nothing else."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say of every cell how it ended."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would run, and for how long; run nothing."),
    report: bool = typer.Option(True, "--report/--no-report", help="Write report.html at the end."),
) -> None:
    """Compare generators: fine-tune the model on each one's output, store every outcome, rank, report.

    What to run comes from an experiment file, a preset, or flags; a flag goes before the file's value.
    Safe to stop at any moment, with Ctrl-C or kill -9: the same line goes on where it was. Exit codes: 0 once every
    cell has ended, with a score or with its reason; 2 for a mistake in what was asked; 130 if it was stopped.
    """
    from rich.console import Console

    from tabgen.cli.listings import load
    from tabgen.outcome import RETRYABLE
    from tabgen.outputs import check_folder
    from tabgen.runner import run_experiment
    from tabgen.schedule import parse_shard, planned_cells
    from tabgen.spec import make_spec

    check_folder(output)
    plugins = load(context)
    part = parse_shard(shard) if shard else None
    again = split_words(retry)
    for status in again:
        if status not in RETRYABLE:
            raise ExperimentError(f"--retry takes {', '.join(RETRYABLE)}; not '{status}'.")
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
        seconds=seconds,
        memory=memory,
        phase_seconds=phase_seconds,
        fidelity=fidelity,
    )
    given |= {
        name: value
        for name, value in (
            ("kinds", tables.kinds_of(kind, drop)),
            ("reading", tables.reading_of(missing, delimiter, decimal, encoding, day_first)),
        )
        if value
    }
    values = read_values(experiment_file, preset, given)
    experiment = make_spec(values, str(experiment_file or preset or "run")).build(plugins)
    if len(experiment.suite.datasets) == 1:
        table = experiment.suite.datasets[0].load()  # a bad table should be said once, not once per cell
        if values.get("data"):
            tables.warn_of(table, experiment.folds)
    console = Console(file=cast("IO[str]", Lasting(sys.stdout)), markup=False)
    if not values.get("methods") and not quiet:
        _say_what_is_left_out(plugins)
    if dry_run:
        print_plan(planned_cells(experiment, plugins, part), output, workers or os.cpu_count() or 1, console)
        return
    watcher = _watcher(experiment, output, console, quiet, verbose, part)
    summary = run_experiment(
        experiment,
        output,
        plugins,
        context.obj,
        watcher,
        engine=engine,
        workers=workers,
        threads=threads,
        gpus=gpus,
        retry=again,
        cache=cache,
        cache_limit_mb=cache_limit,
        shard=part,
    )
    if sum(summary.ran.values()) + summary.done_before and not quiet:
        _show(output, report, console, part, plugins)
    console.print(summary.sentence(), highlight=False, soft_wrap=True)
    if summary.stopped:
        raise typer.Exit(130)


def _watcher(
    experiment: Experiment, folder: Path, console: Console, quiet: bool, verbose: bool, part: Shard | None
) -> Watcher:
    """Who follows the run: of one table, one who says now and then what it has shown so far."""
    from tabgen.cli.answer import AnsweringWatcher
    from tabgen.progress import QuietWatcher, make_watcher

    if quiet and verbose:
        raise ExperimentError("--quiet or --verbose, not both.")
    watcher: Watcher = (
        QuietWatcher(console, folder / "logs") if quiet else make_watcher(console, folder / "logs", verbose)
    )
    if len(experiment.suite.datasets) > 1 or part or quiet:
        return watcher
    return AnsweringWatcher(watcher, stored_outcomes(folder))


def _show(folder: Path, report: bool, console: Console, part: Shard | None, plugins: Plugins) -> None:
    """What the outcomes of a folder say, and its report; of a shard, how to join it to the others."""
    if part:
        join = "`tabgen leaderboard merge SHARD... -o ALL`, then `tabgen rank ALL`"
        text = f"Shard {part}: nothing is ranked before the shards are together: {join}."
        console.print(text, highlight=False, soft_wrap=True)
        return
    from tabgen.cli.rank import print_outcomes
    from tabgen.freeze import alpha_of, arm_shown, as_frozen, read_freeze
    from tabgen.results import load_results, rank_pools

    outcomes, freeze = load_results(folder), read_freeze(folder)
    higher_better = plugins.metrics[freeze.metric].higher_is_better if freeze else None
    ranked = rank_pools(outcomes, higher_better=higher_better, **as_frozen(freeze))
    print_outcomes(ranked, arm_shown(freeze, outcomes), console, alpha_of(freeze))
    if report:
        from tabgen.leaderboard.report import write_report

        console.print(f"Report: {write_report(folder, ranked)}", soft_wrap=True, highlight=False)


def stored_outcomes(folder: Path) -> list[dict[str, Any]]:
    """The outcomes that a run folder holds already."""
    from tabgen.store import FILE, Store

    if not (folder / FILE).is_file():
        return []
    with Store(folder) as store:
        return list(store.outcomes())


def _say_what_is_left_out(plugins: Plugins) -> None:
    """Of "all generators": those that cannot run here yet."""
    from tabgen.experiment import without_environment

    absent = without_environment(plugins)
    for command in dict.fromkeys(absent.values()):
        names = ", ".join(name for name, its in absent.items() if its == command)
        text = f"tabgen: left out: {names}, whose environment is not built yet: {command}"
        typer.secho(text, fg="yellow", err=True)


def print_plan(cells: list[Cell], folder: Path, workers: int, console: Console) -> None:
    """Cells by method, how many are done, and the time left by the outcomes that the folder holds."""
    from statistics import median

    from tabgen.text import counted, duration

    done = {outcome["key"]: outcome for outcome in stored_outcomes(folder)}
    left_seconds, unknown = 0.0, 0
    for method in dict.fromkeys(cell.method for cell in cells):
        mine = [cell for cell in cells if cell.method == method]
        left = [cell for cell in mine if cell.key not in done]
        seen = [outcome["seconds_total"] for outcome in done.values() if outcome["method"] == method]
        each = median(seen) if seen else None
        left_seconds += len(left) * (each or 0.0)
        unknown += len(left) if each is None else 0
        shown = "no outcome to judge by" if each is None else f"about {each:.1f} s each"
        console.print(f"{method}: {len(left)} of {counted(len(mine), 'cell')} to run, {shown}", highlight=False)
    datasets, folds = len({cell.dataset for cell in cells}), len({cell.fold for cell in cells})
    remaining = sum(cell.key not in done for cell in cells)
    size = f"{counted(datasets, 'dataset')}, {counted(folds, 'fold')}"
    text = f"{counted(len(cells), 'cell')} ({size}), {remaining} to run"
    if remaining > unknown:
        text += f"; about {duration(left_seconds / workers)} on {counted(workers, 'worker')}"
    console.print(text + (f"; {counted(unknown, 'cell')} of unknown time." if unknown else "."), highlight=False)
