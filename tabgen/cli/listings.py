"""`tabgen generators`, `models`, `datasets`: what is there, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from tabgen.plugins import Plugins

AS_JSON = typer.Option(False, "--json", help="Print JSON instead of a table.")


def load(context: typer.Context) -> Plugins:
    """The plugins of this call; broken ones are named on standard error."""
    from tabgen.plugins import PluginChoice, get_plugins

    choice: PluginChoice = context.obj or PluginChoice()
    plugins = get_plugins(choice)
    for broken in plugins.broken:
        typer.secho(f"tabgen: the plugin '{broken.name}' is left out: {broken.error}", fg="yellow", err=True)
    return plugins


def show(rows: list[dict[str, Any]], columns: list[str], as_json: bool, key: str) -> None:
    """Print rows as a table of some columns, or all they hold as JSON under ``key``."""
    if as_json:
        typer.echo(json.dumps({key: rows}, indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    texts = [["" if row[column] is None else str(row[column]) for column in columns] for row in rows]
    console, table = Console(markup=False), Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown = _fitting([column.replace("_", " ") for column in columns], texts, console.width)
    for column in shown:
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for cells in texts:
        table.add_row(*cells[: len(shown)])
    console.print(table)
    say_left_out(console, [column.replace("_", " ") for column in columns[len(shown) :]])


def say_left_out(console: Console, columns: list[str]) -> None:
    """Which columns of a table a window has no room for, if any."""
    if columns:
        console.print(f"Also {', '.join(columns)}: in a wider window, or with --json.", highlight=False)


WRAPPED = 36
"""Characters that a column of long texts gets at least; it wraps beyond."""


def _fitting(columns: list[str], rows: list[list[str]], width: int) -> list[str]:
    """As many of the columns, from the left, as the width has room for; two at least."""
    widths = [max(len(name), *(min(len(row[at]), WRAPPED) for row in rows), 0) for at, name in enumerate(columns)]
    while len(widths) > 2 and sum(widths) + 3 * len(widths) > width:
        widths.pop()
    return columns[: len(widths)]


def list_generators(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the generators with their settings, licences (of code, of weights if they have any) and source."""
    from dataclasses import asdict

    from tabgen.generator import settings_of

    plugins = load(context)
    rows = []
    for name in plugins.generators:
        generator, plugin = plugins.generators[name], plugins.generators.plugin_of(name)
        rows.append(
            {
                **asdict(generator.info),
                "settings": settings_of(generator),
                "plugin": plugin.name,
                "version": plugin.version,
            }
        )
    show(rows, ["name", "mixing", "summary", "licence", "weights_licence", "plugin"], as_json, "generators")


def list_models(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the foundation models that can be fine-tuned, with the licences of code and weights."""
    plugins = load(context)
    rows = [
        {
            "name": model.name,
            "summary": model.summary,
            "licence": model.licence,
            "weights_licence": model.weights_licence or None,
            "plugin": plugins.models.plugin_of(name).name,
        }
        for name in plugins.models
        for model in [plugins.models[name]]
    ]
    show(rows, ["name", "summary", "licence", "weights_licence", "plugin"], as_json, "models")


def list_datasets(
    context: typer.Context,
    suite: str = typer.Option("", "--suite", help="Only this suite: a name, or a folder with a manifest.json."),
    as_json: bool = AS_JSON,
) -> None:
    """List the suites and their datasets."""
    from tabgen.experiment import find_suite

    plugins = load(context)
    names = [suite] if suite else list(plugins.suites)
    rows, not_at_hand = [], []
    for name in names:
        found = find_suite(name, plugins)
        if not suite and not found.at_hand():
            not_at_hand.append(found)
            continue
        for dataset in found.datasets:
            facts = dataset.facts
            rows.append(
                {
                    "suite": found.name,
                    "name": dataset.name,
                    "target": dataset.target,
                    **{
                        k: facts.get(k)
                        for k in (
                            "rows",
                            "features",
                            "n_classes",
                            "missing_cells",
                            "domain",
                            "licence",
                            "source",
                            "sha256",
                        )
                    },
                }
            )
    show(
        rows,
        ["suite", "name", "rows", "features", "n_classes", "missing_cells", "domain", "licence"],
        as_json,
        "datasets",
    )
    if not as_json:
        for found in not_at_hand:
            typer.echo(f"{found.name}: {found.summary}; not on this machine yet")
