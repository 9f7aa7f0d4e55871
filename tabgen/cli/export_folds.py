"""`tabgen export-folds`: each fold's training rows as files, for generators that run elsewhere."""

from __future__ import annotations

from pathlib import Path

import typer

from tabgen.cli import tables


def export_folds(
    context: typer.Context,
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the export; more can be added to it."),
    suite: str = typer.Option("", "--suite", help="A suite by name (core, quick), or a folder with a manifest.json."),
    data: Path | None = typer.Option(None, "--data", help="Your own table instead of a suite (docs/tables.md)."),
    target: str = typer.Option("", "--target", help="The column of --data to predict."),
    folds: int = typer.Option(3, "--folds", min=2, help="Folds of the run that is meant."),
    seeds: int = typer.Option(1, "--seeds", min=1, help="Repeats of every fold with other seeds."),
    max_train_rows: int = typer.Option(1000, "--max-train-rows", min=0, help="Training rows at most; 0: no limit."),
    kind: list[str] = tables.KIND,
    drop: list[str] = tables.DROP,
    missing: list[str] = tables.MISSING,
    delimiter: str = tables.DELIMITER,
    decimal: str = tables.DECIMAL,
    encoding: str = tables.ENCODING,
    day_first: bool = tables.DAY_FIRST,
) -> None:
    """Write the training rows of every fold (Parquet), their schema and hash (JSON); never a test row.

    Rows made from them are scored by `tabgen run --methods file:path=FOLDS/NAME` with the same folds, seeds and cap:
    docs/generators/file.md.
    """
    from tabgen import datasets
    from tabgen.cli.listings import load
    from tabgen.errors import ExperimentError
    from tabgen.experiment import find_suite
    from tabgen.folds import export_folds as export
    from tabgen.outputs import check_folder

    check_folder(output)
    if bool(suite) == (data is not None) or (data is not None) != bool(target):
        raise ExperimentError("name either a --suite, or your own --data with its --target.")
    if data is not None:
        kinds = tables.kinds_of(kind, drop)
        reading = tables.reading_of(missing, delimiter, decimal, encoding, day_first)
        chosen = datasets.file_suite(data, target, kinds, reading)
    else:
        chosen = find_suite(suite, load(context))

    def told(reason: str) -> None:
        typer.secho(f"tabgen: left out: {reason}", fg="yellow", err=True)

    found = export(chosen.datasets, output, folds, range(seeds), max_train_rows or None, told)
    typer.echo(f"{len(found)} folds of training rows: {output / 'train'}")
    typer.echo(f"tables made from them: {output}/NAME/<dataset>/<fold>/<seed>.parquet, method file:path={output}/NAME")
