"""`tabgen generate`: synthetic rows for one's own table."""

from __future__ import annotations

from pathlib import Path

import typer

from tabgen.cli import tables

QUALITY = {
    "fidelity_column_shapes": "1: columns distributed as the real ones",
    "fidelity_pair_trends": "1: pairs of columns depend on each other as the real ones",
    "fidelity_detection_auc": "0.5: a classifier cannot tell them from real; 1: always",
    "privacy_exact_copies": "share of rows that equal a real one",
}
"""What is printed of the comparison (docs/fidelity.md), and how to read it."""


def generate(
    context: typer.Context,
    generator: str = typer.Argument(..., help="A generator, with settings if need be: ctgan:epochs=100"),
    data: Path = typer.Option(..., "--data", help="Your table (docs/tables.md)."),
    target: str = typer.Option(..., "--target", help="The column with the classes."),
    rows: int = typer.Option(..., "--rows", min=1, help="Rows to draw."),
    output: Path = typer.Option(..., "-o", "--output", help="File to write: .csv or .parquet."),
    kind: list[str] = tables.KIND,
    drop: list[str] = tables.DROP,
    missing: list[str] = tables.MISSING,
    delimiter: str = tables.DELIMITER,
    decimal: str = tables.DECIMAL,
    encoding: str = tables.ENCODING,
    day_first: bool = tables.DAY_FIRST,
    seed: int = typer.Option(0, "--seed", help="The same seed gives the same rows."),
    model: str = typer.Option("tabgen-nano", "--model", help="The foundation model, for generators that use one."),
) -> None:
    """Fit a generator on your table, write new rows like it, and say how like it they are."""
    import time

    from rich.console import Console

    from tabgen import api, fidelity
    from tabgen.cli.listings import load
    from tabgen.experiment import parse_method
    from tabgen.sampling import draw_sample
    from tabgen.tuning import refuse_tuning

    method = parse_method(generator, load(context))
    if method.generator is None:
        from tabgen.errors import ExperimentError

        raise ExperimentError(f"'{generator}' is a baseline, not a generator; see `tabgen generators`.")
    refuse_tuning(method.tune, generator)
    api.check_ending(output)
    console = Console()
    began = time.perf_counter()
    with console.status(f"fitting {method.generator} on {data}"):
        fitted = api.fit(
            method.generator,
            data,
            target,
            settings=method.settings,
            seed=seed,
            model=model,
            kinds=tables.kinds_of(kind, drop),
            reading=tables.reading_of(missing, delimiter, decimal, encoding, day_first),
            plugins=context.obj,
        )
    tables.warn_of(fitted.table)
    with console.status(f"drawing {rows} rows"):
        sample = draw_sample(fitted.generator, fitted.table, rows, seed)
    frame = sample.local_frame
    api.write_frame(frame, output)
    seconds = time.perf_counter() - began
    console.print(f"{len(frame)} rows, {frame.shape[1]} columns in {seconds:.1f} s: {output}", highlight=False)
    shares = frame[target].value_counts(normalize=True, sort=False)
    console.print(f"{target}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()), highlight=False)
    if not fidelity.available():
        console.print("quality: not measured; pip install 'tabgen-bench[fidelity]'", highlight=False, markup=False)
        return
    with console.status("comparing them with the real rows"):
        quality = fidelity.fidelity(fitted.table, None, sample, seed)
    for key, meaning in QUALITY.items():
        console.print(f"{key.split('_', 1)[1].replace('_', ' ')}: {quality[key]:.2f} ({meaning})", highlight=False)
    if rows > fidelity.MAX_ROWS or len(fitted.table) > fidelity.MAX_ROWS:
        console.print(f"quality: on {quality['fidelity_rows']:.0f} rows of each", highlight=False)
