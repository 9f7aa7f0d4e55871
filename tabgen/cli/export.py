"""`tabgen export`: rows as a dataset of the Hugging Face hub or for Every Eval Ever, suites as Croissant metadata."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(help="Write rows and suites in the forms in which the field keeps them.", no_args_is_help=True)
SOURCES = typer.Argument(..., help="Run folders and bundles.")


@app.command()
def huggingface(
    context: typer.Context,
    sources: list[Path] = SOURCES,
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the dataset."),
    licence: str = typer.Option(..., "--licence", help="Of the rows, as the hub writes it, such as cc-by-4.0."),
    title: str = typer.Option("tabgen outcomes", "--title", help="What the card calls the dataset."),
) -> None:
    """Rows as a dataset folder: Parquet and a card. Nothing is sent anywhere."""
    from tabgen.cli.listings import load
    from tabgen.exports.huggingface import write_dataset
    from tabgen.exports.rows import public_rows
    from tabgen.outputs import check_folder
    from tabgen.text import counted

    check_folder(output)
    rows = public_rows(sources, load(context))
    write_dataset(rows, output, title, licence)
    typer.echo(f"{counted(len(rows), 'row')}: {output}")


@app.command("every-eval-ever")
def every_eval_ever(
    context: typer.Context,
    sources: list[Path] = SOURCES,
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the files."),
    organization: str = typer.Option(..., "--organization", help="Who ran the evaluation."),
) -> None:
    """Mean scores in the schema of Every Eval Ever, one file for each model and method."""
    import time

    from tabgen.cli.listings import load
    from tabgen.exports.every_eval_ever import write_evaluations
    from tabgen.exports.rows import public_rows
    from tabgen.outputs import check_folder
    from tabgen.text import counted

    check_folder(output)
    plugins = load(context)
    files = write_evaluations(public_rows(sources, plugins), output, plugins, organization, time.time())
    typer.echo(f"{counted(len(files), 'file')}: {output}")


@app.command()
def croissant(
    context: typer.Context,
    suite: str = typer.Argument(..., help="A suite by name, or a folder with a manifest.json."),
    output: Path = typer.Option(..., "-o", "--output", help="The file to write, such as croissant.json."),
) -> None:
    """What a suite holds, as Croissant metadata (JSON-LD)."""
    import json

    from tabgen.cli.listings import load
    from tabgen.experiment import find_suite
    from tabgen.exports.croissant import describe
    from tabgen.outputs import check_file, check_folder
    from tabgen.text import counted

    check_folder(output.parent)
    output.parent.mkdir(parents=True, exist_ok=True)
    plugins = load(context)
    found, folder = find_suite(suite, plugins), None if suite in plugins.suites else Path(suite)
    check_file(output, others=[folder and folder / "manifest.json", *(dataset.path for dataset in found.datasets)])
    text = json.dumps(describe(found, folder), indent=2, ensure_ascii=False)
    output.write_text(text + "\n", encoding="utf-8")
    typer.echo(f"{counted(len(found.datasets), 'dataset')}: {output}")
