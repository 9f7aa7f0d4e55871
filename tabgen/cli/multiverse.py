"""`tabgen multiverse`: how a finding depends on the choices of the analysis."""

from __future__ import annotations

import json
from pathlib import Path

import typer


def multiverse(
    context: typer.Context,
    folders: list[Path] = typer.Argument(
        ..., metavar="RUN...", help="Run folders, bundles or a board's results.jsonl; several count as one store."
    ),
    contrasts: str = typer.Option("", "--contrasts", help="More pairs: scm/bootstrap,ctgan/bootstrap."),
    alpha: float = typer.Option(0.05, "--alpha", min=0.0001, max=0.5, help="Level of each test."),
    region: float | None = typer.Option(
        None, "--region", min=0, help="Half-width of practical equality. Default: 0.1 points."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with every universe."),
) -> None:
    """Say in what share of the choices that a store offers each contrast holds.

    Choices are arm, metric, policy for missing outcomes, rows, recipe, mixing and ratio. Every generator is held
    against real under the same recipe. Pairs and region of an analysis that `tabgen plan --freeze` wrote there are
    taken over.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tabgen.cli.listings import load
    from tabgen.cli.plan import pair_of
    from tabgen.freeze import read_freeze, region_of
    from tabgen.multiverse import multiverse as universes_of
    from tabgen.multiverse import to_dict
    from tabgen.results import load_results

    freezes = [freeze for folder in folders if (freeze := read_freeze(folder)) is not None]
    named = [pair_of(text) for text in contrasts.split(",") if text.strip()]
    named += [pair for freeze in freezes for pair in freeze.contrasts if pair not in named]
    if region is None:
        region = region_of(freezes[0] if freezes else None)
    metrics = load(context).metrics
    directions = {name: metrics[name].higher_is_better for name in metrics}
    universes = universes_of(load_results(*folders), named, alpha=alpha, region=region, directions=directions)
    data = to_dict(universes)
    if as_json:
        typer.echo(json.dumps(data, indent=2))
        return
    console = Console(markup=False)
    offered = "; ".join(f"{name}: {', '.join(values)}" for name, values in data["dimensions"].items() if values)
    console.print(f"Choices that this store offers: {offered}.", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", overflow="fold", min_width=14)
    table.add_column("against", overflow="fold", min_width=7)
    for column in ("universes", "better", "worse", "equal", "undecided", "above 0"):
        table.add_column(column, justify="right", no_wrap=True)
    for share in data["contrasts"]:
        told = [share["better"], share["worse"], share["equal"], share["undecided"], share["sign"]]
        cells = [share["method"], share["other"], str(share["universes"]), *(f"{value:.0%}" for value in told)]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    for share in data["contrasts"]:
        if turning := _turning(share["turns"]):
            text = f"- {share['method']} against {share['other']} is better most by {turning}"
            console.print(text, highlight=False)
    console.print(
        f"Each universe is one test by itself at {alpha:g}, equal within {region:g} points: the shares say how a"
        " finding depends on choices; they are no tests.",
        highlight=False,
    )


def _turning(turns: dict[str, dict[str, float]]) -> str:
    """The choice on which "better" depends most, with the share at each of its values."""
    spread = {name: max(values.values()) - min(values.values()) for name, values in turns.items()}
    if not spread or max(spread.values()) == 0:
        return ""
    name = max(spread, key=lambda each: spread[each])
    return f"{name}: " + ", ".join(f"{value} {share:.0%}" for value, share in turns[name].items())
