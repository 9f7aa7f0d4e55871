"""`tabgen look`: what a table holds, and what in it is likely not meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tabgen.cli import tables
from tabgen.text import clean, cut, moment

if TYPE_CHECKING:
    from rich.table import Table as Shown

    from tabgen.table import Table


def look(
    data: Path = typer.Argument(..., metavar="DATA", help="Your table (docs/tables.md)."),
    target: str = typer.Option(..., "--target", help="The column with the classes."),
    folds: int = typer.Option(3, "--folds", min=2, help="Folds of the run that is meant."),
    output: Path = typer.Option(None, "-o", "--output", help="An HTML page about every column as well (skrub)."),
    kind: list[str] = tables.KIND,
    drop: list[str] = tables.DROP,
    missing: list[str] = tables.MISSING,
    delimiter: str = tables.DELIMITER,
    decimal: str = tables.DECIMAL,
    encoding: str = tables.ENCODING,
    day_first: bool = tables.DAY_FIRST,
) -> None:
    """Read a table as `run` would, and say what it holds and what is likely not meant."""
    from rich.console import Console

    from tabgen.datasets import file_suite
    from tabgen.findings import findings
    from tabgen.outputs import check_file

    if output is not None:
        check_file(output, others=[data])
    kinds = tables.kinds_of(kind, drop)
    reading = tables.reading_of(missing, delimiter, decimal, encoding, day_first)
    (dataset,) = file_suite(data, target, kinds, reading).datasets
    table = dataset.load()
    console = Console(markup=False)
    n_columns, n_classes = len(table.schema.columns), len(table.schema.classes)
    size = f"{len(table):,} rows, {n_columns} feature columns, {n_classes} classes"
    console.print(f"{data.name}: {size}", highlight=False)
    shares = table.frame[target].value_counts(normalize=True, sort=False)
    classes = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    console.print(clean(f"{target}: {classes}"), highlight=False)
    console.print(_columns(table))
    found = findings(table, folds)
    for finding in found:
        console.print(clean(f"- {finding.kind}: {finding.message}"), highlight=False)
    console.print(f"Findings: {len(found)}" if found else "Nothing to warn of.", highlight=False)
    if output is not None:
        write_page(table, output, data.name)
        console.print(f"Page: {output}", highlight=False, soft_wrap=True)


def _columns(table: Table) -> Shown:
    """A row per feature column: its kind, how much is missing, how many values, and what they are."""
    from rich import box
    from rich.table import Table as Shown
    from rich.text import Text

    shown = Shown(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("column", "kind", "missing", "values", "such as"):
        shown.add_column(name, overflow="ellipsis", justify="right" if name in ("missing", "values") else "left")
    frame = table.local_frame
    for column in table.schema.columns:
        values = frame[column.name]
        known = values.dropna()
        if column.is_number and len(known):
            example = f"{known.min():g} .. {known.max():g}"
        elif column.kind == "datetime" and len(known):
            example = f"{moment(known.min())} .. {moment(known.max())}"
        else:
            some = column.levels[:4] if column.levels else known.unique()[:4]
            example = ", ".join(cut(str(value), 30) for value in some)
        kind = f"{column.kind} ({column.zone})" if column.zone else column.kind
        cells = (column.name, kind, f"{values.isna().mean():.1%}", str(known.nunique()), example)
        shown.add_row(*(Text(clean(cell.replace("\n", " "))) for cell in cells))
    return shown


def write_page(table: Table, path: Path, title: str) -> None:
    """Skrub's report on the frame: distributions, associations, the first and last rows."""
    from skrub import TableReport

    frame = table.local_frame
    plain = frame.assign(**{c.name: frame[c.name].astype(object) for c in table.schema.columns if c.is_discrete})
    report = TableReport(plain, title=title, verbose=0)
    path.write_text(report.html(), encoding="utf-8")
