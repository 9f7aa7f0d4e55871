"""`tabgen generate`: synthetic rows for one's own table, and what can be said of them."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tabgen.cli import tables

if TYPE_CHECKING:
    from rich.console import Console

    from tabgen.api import Fitted
    from tabgen.judge.judgement import Judgement
    from tabgen.table import Table

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
    report: Path | None = typer.Option(
        None, "--report", help="A page that judges the rows (.html); a fifth of the real rows is held out for it."
    ),
    no_hold_out: bool = typer.Option(
        False, "--no-hold-out", help="Fit on all rows; the report then lacks what needs rows that were not seen."
    ),
    where: list[str] = typer.Option(
        [],
        "--where",
        metavar="CONSTRAINT",
        help="What each row has to meet: 'age >= 18', '18 <= age < 65'; repeatable.",
    ),
    fix: list[str] = typer.Option(
        [], "--fix", metavar="COLUMN=VALUE", help="A column that has to hold one value; repeatable."
    ),
    most_draws: int | None = typer.Option(
        None,
        "--most-draws",
        min=1,
        help="Rows drawn at most under constraints; 100 for each row asked for, at least 1000.",
    ),
    kind: list[str] = tables.KIND,
    drop: list[str] = tables.DROP,
    metadata: Path | None = typer.Option(
        None,
        "--metadata",
        help="SDV's metadata (.json): kinds, and the columns to leave out as they name rows or persons.",
    ),
    missing: list[str] = tables.MISSING,
    delimiter: str = tables.DELIMITER,
    decimal: str = tables.DECIMAL,
    encoding: str = tables.ENCODING,
    day_first: bool = tables.DAY_FIRST,
    seed: int = typer.Option(0, "--seed", min=0, help="The same seed gives the same rows."),
    model: str = typer.Option(
        "tabgen-nano", "--model", help="The foundation model, for generators that use one and the worth of the rows."
    ),
) -> None:
    """Fit a generator on your table, write new rows like it, and say how like it they are."""
    import time

    from rich.console import Console
    from rich.markup import escape

    from tabgen import api
    from tabgen.blame import blamed
    from tabgen.cli.listings import load
    from tabgen.experiment import parse_generator
    from tabgen.judge.copies import copied_values, names_of_rows, warnings_of, watched
    from tabgen.outputs import TABLE, check_file
    from tabgen.rejection import draw_where

    name, settings = parse_generator(generator, load(context))
    check_file(output, TABLE, [data, metadata])
    if report is not None:
        check_file(report, others=[data, metadata, output])
    console = Console(markup=False)
    began = time.perf_counter()
    with console.status(escape(f"fitting {name} on {data}")):
        fitted = api.fit(
            name,
            data,
            target,
            settings=settings,
            seed=seed,
            model=model,
            kinds=tables.kinds_of(kind, drop),
            reading=tables.reading_of(missing, delimiter, decimal, encoding, day_first),
            metadata=metadata,
            where=where,
            fix=fixed_of(fix),
            hold_out=report is not None and not no_hold_out,
            plugins=context.obj,
        )
    tables.warn_of(fitted.table)
    with console.status(f"drawing {rows} rows"), blamed(fitted.generator):
        sample, acceptance = draw_where(fitted.generator, fitted.table, rows, seed, fitted.constraints, most_draws)
    frame = sample.local_frame
    api.write_frame(frame, output, fitted.reading)
    seconds = time.perf_counter() - began

    def say(line: str) -> None:
        console.print(line, highlight=False)

    say(f"{len(frame)} rows, {frame.shape[1]} columns in {seconds:.1f} s: {output}")
    if fitted.held_out is not None:
        say(
            f"fitted on {len(fitted.table)} real rows; {len(fitted.held_out)} held out to judge by (--no-hold-out: all)"
        )
    if fitted.constraints:
        say(f"constraints: met by {acceptance.met:,} of {acceptance.drawn:,} rows drawn ({acceptance.rate:.1%})")
    shares = frame[target].value_counts(normalize=True, sort=False)
    say(f"{target}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))
    if report is None:
        columns = watched(fitted.table)
        tables.say_warnings(warnings_of(copied_values(fitted.table, sample, columns)))
        _say_quality(console, *_quality(console, fitted, sample, names_of_rows(columns), seed))
        return
    with console.status("judging them"):
        judgement = api.judge_rows(fitted, sample, seed, model)
        api.write_judgement(report, judgement, fitted, acceptance, generator, data.name)
    tables.say_warnings(warnings_of(judgement.copied))
    _say_quality(console, judgement.quality, judgement.gaps.get("fidelity", ""))
    _say_judgement(console, judgement)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


def fixed_of(fix: list[str]) -> dict[str, Any]:
    """Columns and their values from `--fix COLUMN=VALUE`."""
    from tabgen.errors import ConstraintError

    fixed = {}
    for text in fix:
        column, equals, value = text.partition("=")
        if not equals or not column.strip() or value.startswith("="):
            raise ConstraintError(f"--fix takes COLUMN=VALUE, such as sex=female; not '{text}'.")
        if column.strip() in fixed:
            raise ConstraintError(f"--fix names the column '{column.strip()}' twice.")
        fixed[column.strip()] = value.strip()
    return fixed


def _quality(
    console: Console, fitted: Fitted, sample: Table, left_out: list[str], seed: int
) -> tuple[dict[str, float], str]:
    """Fidelity against the real rows that meet the constraints, and why it is not there."""
    from tabgen.judge.judgement import fidelity_or_gap, real_rows_inside
    from tabgen.judge.narrow import without

    gaps: dict[str, str] = {}
    with console.status("comparing them with the real rows"):
        inside = real_rows_inside(fitted.table, fitted.constraints, sample)
        real = inside if inside is not None else fitted.table
        found = fidelity_or_gap(without(real, left_out), None, without(sample, left_out), seed, gaps)
    return found, gaps.get("fidelity", "")


def _say_quality(console: Console, quality: dict[str, float], gap: str) -> None:
    if gap:
        console.print(f"quality: not measured; {gap}", highlight=False)
        return
    for key, meaning in QUALITY.items():
        value = "undefined" if isnan(quality[key]) else f"{quality[key]:.2f}"
        console.print(f"{key.split('_', 1)[1].replace('_', ' ')}: {value} ({meaning})", highlight=False)
    from tabgen import fidelity

    if quality["fidelity_rows"] >= fidelity.MAX_ROWS:
        console.print(f"quality: on at most {fidelity.MAX_ROWS} rows of each", highlight=False)


def _say_judgement(console: Console, judgement: Judgement) -> None:
    """What only held-out rows can tell."""
    from tabgen.adequacy import learnt_in_words
    from tabgen.judge.report import worth_in_words

    found, use = judgement.membership, judgement.use
    if judgement.quality.get("adequacy_untrained"):
        learnt = learnt_in_words(judgement.quality)
        console.print(f"untrained: {learnt}. These rows are noise to it (docs/fidelity.md).", highlight=False)
    if found:
        interval = f"{found.low:.2f} .. {found.high:.2f}"
        told = "0.5: the rows do not tell which real rows were seen; 1: always"
        console.print(f"membership inference: {found.auc:.2f}, {interval} ({told})", highlight=False)
    if use:
        console.print(f"in place of the real rows: {worth_in_words(use)}", highlight=False)
    for name in ("membership", "use"):
        if name in judgement.gaps:
            words = {"membership": "membership inference", "use": "worth"}[name]
            console.print(f"{words}: not measured; {judgement.gaps[name]}", highlight=False)
