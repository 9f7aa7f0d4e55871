"""`tabgen fit`: a classifier for one's own table, with synthetic rows where they help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from tabgen.cli import tables

ALONE = "the real rows alone"


def fit(
    context: typer.Context,
    data: Path = typer.Option(..., "--data", help="Your table (docs/tables.md)."),
    target: str = typer.Option(..., "--target", help="The column with the classes."),
    output: Path = typer.Option(..., "-o", "--output", metavar="FOLDER", help="Where the classifier is written."),
    generator: str = typer.Option("auto", "--generator", help="A generator, with settings if need be; auto: some."),
    arm: str = typer.Option("auto", "--arm", help="augmented, context or fine-tune; auto: all three."),
    model: str = typer.Option("tabgen-nano", "--model", help="The foundation model, or a checkpoint's folder."),
    seed: int = typer.Option(0, "--seed", min=0, help="The same seed gives the same classifier."),
    kind: list[str] = tables.KIND,
    drop: list[str] = tables.DROP,
    missing: list[str] = tables.MISSING,
    delimiter: str = tables.DELIMITER,
    decimal: str = tables.DECIMAL,
    encoding: str = tables.ENCODING,
    day_first: bool = tables.DAY_FIRST,
) -> None:
    """Fit a classifier on your table: real rows alone, or with a generator's rows where these predict better."""
    import numpy as np
    import pandas as pd
    from rich.console import Console
    from rich.markup import escape

    from tabgen.candidates import ZERO_SHOT
    from tabgen.datasets import file_suite
    from tabgen.estimator import GeneratorAugmentedClassifier, check_folder

    check_folder(output)
    reading = tables.reading_of(missing, delimiter, decimal, encoding, day_first)
    table, found = file_suite(data, target, tables.kinds_of(kind, drop), reading).datasets[0].read()
    frame = table.local_frame
    names = np.array(table.schema.classes)
    if names.dtype.kind == "f":  # scikit-learn takes fractions for a regression's target
        names = names.astype(str)
    classes = pd.Series(names[table.labels], name=target)
    console = Console(markup=False)
    classifier = GeneratorAugmentedClassifier(generator, arm, model, random_state=seed)
    with console.status(escape(f"trying generators on {data}")):
        classifier.fit(
            frame[table.schema.names],
            classes,
            kinds={column.name: column.kind for column in table.schema.columns},
            plugins=context.obj,
        )
    as_told = replace(found, delimiter=reading.get("delimiter"), missing=tuple(missing))  # other files may hold others
    classifier.reading_ = as_told.to_dict()  # rows to predict are read in the same way
    classifier.save(output)
    scores = sorted(classifier.validation_scores_.items(), key=lambda item: item[1])
    if scores:
        console.print("log-loss of the rows held out (less is better):", highlight=False)
    for name, loss in scores:
        console.print(f"  {loss:.4f}  {f'{ALONE} ({name})' if name == ZERO_SHOT else name}", highlight=False)
    kept = ALONE if classifier.generator_ is None else f"{classifier.generator_}, {classifier.arm_}"
    told = f"Kept: {kept}. Written to {output}; it holds your rows."
    console.print(told, highlight=False, soft_wrap=True)
