"""The command line: one module per command; heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer

from tabgen.cli import (
    cache,
    check,
    doctor,
    export,
    export_folds,
    fit,
    gap,
    generate,
    graph,
    leaderboard,
    listings,
    look,
    multiverse,
    new,
    plan,
    plugins,
    predict,
    pretrain,
    rank,
    recover,
    run,
    scale,
    slurm,
)
from tabgen.cli.readable import ReadableGroup
from tabgen.errors import IN_PYTHON, TabgenError, TableWarning
from tabgen.text import clean

app = typer.Typer(
    name="tabgen",
    help="Which synthetic-data generator really helps a tabular foundation model?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    cls=ReadableGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
    plugin: list[str] = typer.Option(
        [], "--plugin", metavar="FILE", help="A plugin file to load as well; may be repeated."
    ),
    no_external: bool = typer.Option(False, "--no-external-plugins", help="Use the built-in plugins only."),
) -> None:
    from tabgen.plugins import PluginChoice
    from tabgen.variables import one_thread_unless_told

    one_thread_unless_told()
    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of("tabgen-bench"))
        raise typer.Exit
    context.obj = PluginChoice(tuple(plugin), not no_external)


app.command("run")(run.run)
app.command("rank")(rank.rank)
app.command("multiverse")(multiverse.multiverse)
app.command("plan")(plan.plan)
app.command("generate")(generate.generate)
app.command("slurm")(slurm.slurm)
app.command("fit")(fit.fit)
app.command("predict")(predict.predict)
app.command("look")(look.look)
app.command("export-folds")(export_folds.export_folds)
app.command("cache")(cache.cache)
app.command("recover")(recover.recover)
app.command("doctor")(doctor.doctor)
app.command("graph")(graph.graph)
app.command("new")(new.new)
app.command("check")(check.check)
app.command("generators")(listings.list_generators)
app.command("models")(listings.list_models)
app.command("datasets")(listings.list_datasets)
app.command("pretrain")(pretrain.pretrain)
app.command("gap")(gap.gap)
app.add_typer(plugins.app, name="plugins")
app.add_typer(export.app, name="export")
app.add_typer(scale.app, name="scale")
app.add_typer(leaderboard.app, name="leaderboard")


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
    """A warning about the user's table in one line, as an error is; any other as Python has it."""
    if issubclass(category, TableWarning):
        shown = clean(f"tabgen: warning: {str(message).removesuffix(IN_PYTHON)}")
        typer.secho(shown, fg="yellow", err=True)
    else:
        _python_shows(message, category, *where, **options)


_python_shows = warnings.showwarning


def _open_what_is_closed() -> None:
    """Standard streams that the shell closed (`2>&-`) lead nowhere: other files would take their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123


def main() -> None:
    """Run the command line; an expected error is one line on standard error and exit code 2."""
    _open_what_is_closed()
    warnings.showwarning = _show_warning
    try:
        app(prog_name="tabgen")
    except TabgenError as error:
        typer.secho(clean(f"tabgen: {error}"), fg="red", err=True)
        sys.exit(2)
