"""`tabgen graph`: the causal graph that a generator finds in a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tabgen.generator import Generator

HYPOTHESIS = "A hypothesis: read off these rows under the method's assumptions, tested by no experiment."


def finds_graph(generator: type[Generator]) -> bool:
    """Whether a generator finds a graph, known without a fit: its class has an attribute ``graph``."""
    return hasattr(generator, "graph")


def graph(
    context: typer.Context,
    data: Path = typer.Option(..., "--data", help="Your table: .csv or .parquet."),
    target: str = typer.Option(..., "--target", help="The column with the classes."),
    output: Path = typer.Option(..., "-o", "--output", help="Figure to write: .svg or .png."),
    generator: str = typer.Option(
        "scm", "--generator", help="A generator that finds a graph, with settings if need be."
    ),
    seed: int = typer.Option(0, "--seed", min=0),
) -> None:
    """Fit a causal generator on your table, draw the graph it found and list its edges."""
    from rich.console import Console
    from rich.markup import escape

    from tabgen import api
    from tabgen.cli.listings import load
    from tabgen.errors import ExperimentError
    from tabgen.experiment import parse_generator
    from tabgen.figures import save
    from tabgen.figures.causal_graph import draw_graph, neighbourhood
    from tabgen.outputs import check_file

    registry = load(context)
    name, settings = parse_generator(generator, registry)
    if not finds_graph(registry.generators[name]):
        finders = ", ".join(other for other in registry.generators if finds_graph(registry.generators[other]))
        raise ExperimentError(
            f"the generator '{name}' finds no graph; "
            + (f"use one that does: {finders}." if finders else "none of the plugins' does; tabgen-causal has some.")
        )
    check_file(output, (".svg", ".png"), [data])
    console = Console(markup=False)
    with console.status(escape(f"searching {data} for causes")):
        fitted = api.fit(name, data, target, settings=settings, seed=seed, plugins=context.obj)
    found = fitted.context.notes.get("graph")
    if found is None:
        raise ExperimentError(
            f"the generator '{name}' says that it finds a graph (it has an attribute 'graph'), and noted none:"
            " context.notes['graph'] = {'edges': [[cause, effect, probability], ...]} is due from its fit()."
        )
    edges = [(str(cause), str(effect), float(probability)) for cause, effect, probability in found["edges"]]
    columns = [*fitted.table.schema.names, target]
    shown = neighbourhood(edges, columns, target)
    title = f"{data.name}: {len(edges)} edges ({found.get('fallback') or found.get('discovery')})"
    heading = (
        title if len(shown) == len(columns) else f"{title}; the {len(shown)} of {len(columns)} columns nearest {target}"
    )
    within = [edge for edge in edges if {edge[0], edge[1]} <= set(shown)]
    save(draw_graph(within, shown, target, f"{heading}\n{HYPOTHESIS}"), output)
    for cause, effect, probability in edges:
        console.print(f"{cause} -> {effect}  ({probability:.2f})", highlight=False)
    console.print(f"{heading}: {output}", highlight=False)
    console.print(HYPOTHESIS, highlight=False)
