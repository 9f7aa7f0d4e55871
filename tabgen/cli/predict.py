"""`tabgen predict`: classes and probabilities for new rows, by a classifier that `tabgen fit` wrote."""

from __future__ import annotations

from pathlib import Path

import typer

from tabgen.cli import tables


def predict(
    folder: Path = typer.Argument(..., metavar="FOLDER", help="What `tabgen fit` wrote."),
    data: Path = typer.Option(..., "--data", help="Rows to predict, in a file as of `fit`; other columns are ignored."),
    output: Path = typer.Option(..., "-o", "--output", help="File to write: .csv or .parquet."),
    missing: list[str] = tables.MISSING,
    delimiter: str = tables.DELIMITER,
    decimal: str = tables.DECIMAL,
    encoding: str = tables.ENCODING,
    day_first: bool = tables.DAY_FIRST,
) -> None:
    """Predict the rows of a file: the likeliest class, and the probability of each, in the file's order."""
    import pandas as pd

    from tabgen.api import write_frame
    from tabgen.column import levels_as_written
    from tabgen.errors import TableError
    from tabgen.estimator import GeneratorAugmentedClassifier
    from tabgen.outputs import TABLE, check_file
    from tabgen.parsing import MARKERS
    from tabgen.reader import ReadOptions, is_text_file, read_file, warn_of_unused
    from tabgen.text import counted

    check_file(output, TABLE, [data, *folder.glob("*")])
    classifier = GeneratorAugmentedClassifier.load(folder)
    if not hasattr(classifier, "feature_names_in_"):
        raise TableError(
            f"{folder} was fitted on an array, whose columns have no names to find in {data}: fit it on a DataFrame, or"
            " predict in Python."
        )
    schema = classifier.schema_
    of_texts = [c.name for c in schema.columns if c.kind == "text" or any(isinstance(v, str) for v in c.levels)]
    as_fitted = {n: value for n, value in classifier.reading_.items() if n == "missing" or is_text_file(data)}
    reading = as_fitted | tables.reading_of(missing, delimiter, decimal, encoding, day_first)
    frame, form = read_file(data, ReadOptions.from_dict(reading), of_texts)
    warn_of_unused(missing, form, data)
    for column in schema.columns:  # a column of NA alone does not say by itself that they are missing numbers
        if column.name in frame and column.name not in of_texts and frame[column.name].dtype == object:
            frame[column.name] = frame[column.name].where(~frame[column.name].isin(MARKERS))
    names = [str(name) for name in classifier.feature_names_in_]
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise TableError(f"{data} lacks the columns {', '.join(map(repr, absent))}, which {folder} was fitted on.")
    probabilities = classifier.predict_proba(frame[names])
    classes = pd.Series(classifier.classes_)
    if form.decimal == "," and all(isinstance(name, str) for name in classes):
        classes = levels_as_written(classes)  # fractions are texts to scikit-learn, and have a decimal comma too
    found = pd.DataFrame({schema.target: classes.to_numpy()[probabilities.argmax(axis=1)]})
    for number, name in enumerate(classifier.classes_):
        found[f"probability of {name}"] = probabilities[:, number]
    write_frame(found, output, form)
    typer.echo(f"{counted(len(found), 'row')}: {output}")
