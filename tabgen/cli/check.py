"""`tabgen check`: whether a generator keeps the contract."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from tabgen.generator import Generator
    from tabgen.testing import CheckResult


def check(
    context: typer.Context,
    name: str = typer.Argument(..., help="A generator, with settings if need be (ctgan:epochs=5), or a plugin file."),
    model: str = typer.Option("tabgen-nano", "--model", help="The foundation model, for generators that use one."),
    seconds: float = typer.Option(300.0, "--seconds", min=1.0, help="Limit of one fit and draw of a table of 60 rows."),
    stop: bool = typer.Option(False, "-x", "--stop", help="End with the first check that fails."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Run the conformance kit on a generator, or on all of a plugin file; exit code 1 if a check fails."""
    import json
    from dataclasses import asdict

    from rich.console import Console

    from tabgen.cli.listings import load
    from tabgen.experiment import parse_generator
    from tabgen.plugins import PluginChoice, get_plugins
    from tabgen.testing import check_generator

    chosen: dict[str, dict[str, Any]] = {}
    if name.endswith(".py"):
        base: PluginChoice = context.obj
        plugins = get_plugins(PluginChoice((*base.files, name), base.external))
        chosen = {
            g: {} for g in plugins.generators if plugins.generators.plugin_of(g).source == str(Path(name).resolve())
        }
    else:
        plugins = load(context)
        chosen = dict([parse_generator(name, plugins)])
    if not chosen:
        from tabgen.errors import ExperimentError

        raise ExperimentError(f"there is no generator to check in '{name}'.")
    console = Console()
    results: dict[str, list[CheckResult]] = {}
    teaches: dict[str, list[dict[str, Any]]] = {}
    for generator, settings in chosen.items():
        with console.status(generator) as status:
            results[generator] = check_generator(
                plugins.generators[generator], settings, model, seconds, status.update, stop
            )
            status.update("what its rows teach")
            teaches[generator] = _teaches(plugins.generators[generator], settings, model, results[generator])
        if not as_json:
            _print(generator, results[generator], console)
            for entry in teaches[generator]:
                console.print(f"{generator}: {entry['reason']}", highlight=False, markup=False)
    if as_json:
        said = {g: [asdict(r) for r in done] + teaches[g] for g, done in results.items()}
        typer.echo(json.dumps(said, indent=2))
    if not all(result.passed for done in results.values() for result in done):
        raise typer.Exit(1)


def _teaches(
    generator: type[Generator], settings: dict[str, Any], model: str, results: list[CheckResult]
) -> list[dict[str, Any]]:
    """What a generator's rows of the easy table teach, as one more result; none where a check failed."""
    from dataclasses import asdict

    from tabgen.adequacy import learnt_in_words
    from tabgen.testing import CheckResult, easy_adequacy

    if not all(result.passed for result in results):
        return []
    start = time.perf_counter()
    scores = easy_adequacy(generator, settings, model)
    learnt = learnt_in_words(scores, "its rows of the easy table")
    if scores["adequacy_untrained"]:
        reason = f"untrained: {learnt}. With these settings its rows are noise (docs/fidelity.md)."
    else:
        reason = f"{learnt}."
    return [asdict(CheckResult("adequacy", True, reason, time.perf_counter() - start)) | scores]


def _print(generator: str, results: list[Any], console: Any) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("check", "", "s", "reason"):
        table.add_column(column, overflow="fold")
    times = Counter((result.passed, result.reason) for result in results)
    said = set()
    for result in results:
        mark = "[green]pass[/green]" if result.passed else "[bold red]FAIL[/bold red]"
        what = result.passed, result.reason
        reason = "the same" if what in said else result.reason
        if result.reason and what not in said:
            reason += f" ({times[what]} times)" if times[what] > 1 else ""
            reason += f"\nat {result.place}" if result.place else ""
            said.add(what)
        table.add_row(result.name, mark, f"{result.seconds:.1f}", escape(reason))
    console.print(table)
    passed = sum(result.passed for result in results)
    console.print(f"{generator}: {passed} of {len(results)} checks passed.", highlight=False)
