"""`tabgen generate`: synthetic rows for one's own table."""

from __future__ import annotations

from pathlib import Path

import typer


def generate(
    context: typer.Context,
    generator: str = typer.Argument(..., help="A generator, with settings if need be: ctgan:epochs=100"),
    data: Path = typer.Option(..., "--data", help="Your table: .csv or .parquet."),
    target: str = typer.Option(..., "--target", help="The column with the classes."),
    rows: int = typer.Option(..., "--rows", min=1, help="Rows to draw."),
    output: Path = typer.Option(..., "-o", "--output", help="File to write: .csv or .parquet."),
    seed: int = typer.Option(0, "--seed", help="The same seed gives the same rows."),
    model: str = typer.Option("tabgen-nano", "--model", help="The foundation model, for generators that use one."),
) -> None:
    """Fit a generator on your table and write new rows like it."""
    import time

    from rich.console import Console

    from tabgen import api
    from tabgen.cli.listings import load
    from tabgen.experiment import parse_method

    method = parse_method(generator, load(context))
    if method.generator is None:
        from tabgen.errors import ExperimentError

        raise ExperimentError(f"'{generator}' is a baseline, not a generator; see `tabgen generators`.")
    if output.suffix.lower() not in (".csv", ".parquet"):
        from tabgen.errors import DataError

        raise DataError(f"{output} should end in .csv or .parquet.")
    console = Console()
    began = time.perf_counter()
    with console.status(f"fitting {method.generator} on {data}"):
        frame = api.generate(
            method.generator,
            data,
            target,
            rows,
            settings=method.settings,
            seed=seed,
            model=model,
            plugins=context.obj,
        )
    api.write_frame(frame, output)
    seconds = time.perf_counter() - began
    console.print(f"{len(frame)} rows, {frame.shape[1]} columns in {seconds:.1f} s: {output}", highlight=False)
    shares = frame[target].value_counts(normalize=True, sort=False)
    console.print(f"{target}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()), highlight=False)
