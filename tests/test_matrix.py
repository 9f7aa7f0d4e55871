"""The tools of authors: tables to numbers and back, rows that nearly fit; errors name what is wrong and its mend."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tabgen
from tabgen import Schema, Table, Unsupported, seeded, share_rows
from tabgen.datasets import Dataset
from tabgen.errors import InvalidOutput, TableError
from tabgen.testing import HARD_TABLES, easy_table


@pytest.mark.parametrize("name", [name for name in HARD_TABLES if name != "free-text"])
def test_the_way_back_gives_the_very_table(name: str) -> None:
    table = HARD_TABLES[name]()
    again = table.schema.from_matrix(table.to_matrix(), table.labels)
    pd.testing.assert_frame_equal(again.frame, table.frame)
    assert again.content_hash == table.content_hash


def test_numbers_are_as_they_are_and_levels_are_their_positions(heart: Dataset) -> None:
    table = heart.load()
    x = table.to_matrix()
    assert x.dtype == np.float64
    assert x.shape == (len(table), len(table.schema.columns))
    for number, column in enumerate(table.schema.columns):
        values = table.frame[column.name]
        wanted = values.cat.codes if column.is_discrete else values
        np.testing.assert_array_equal(x[:, number], wanted.where(values.notna(), np.nan).astype(float))


def test_text_has_no_number() -> None:
    table = HARD_TABLES["free-text"]()
    with pytest.raises(TableError, match="column 'review' holds free text, which is no number; leave it out"):
        table.to_matrix()
    with pytest.raises(InvalidOutput, match="column 'review' holds free text, which no matrix gives"):
        table.schema.from_matrix(np.zeros((1, len(table.schema.columns))), np.zeros(1, dtype=int))


@pytest.fixture
def small() -> Table:
    frame = pd.DataFrame(
        {
            "size": [1.5, 2.5, 0.5],
            "count": [1, 2, 3],
            "colour": ["blue", "red", "red"],
            "grade": [1, 3, 10],
            "new": [True, False, True],
            "label": ["a", "b", "a"],
        }
    )
    return Table.from_frame(frame, "label", {"grade": "categorical"})


def test_what_a_model_drew_is_rounded_and_kept_within_the_levels(small: Table) -> None:
    drawn = small.schema.from_matrix(np.array([[0.1, 1.6, 1.7, -3.0, 0.4], [7.0, -0.2, -0.6, 1.4, np.nan]]), [1, 0])
    assert drawn.frame.to_dict("list") == {
        "size": [0.1, 7.0],
        "count": [2, 0],
        "colour": ["red", "blue"],
        "grade": [1, 3],
        "new": [False, pytest.approx(np.nan, nan_ok=True)],
        "label": ["b", "a"],
    }
    assert drawn.frame.dtypes.tolist() == small.frame.dtypes.tolist()
    assert len(small.schema.from_matrix(np.zeros((0, 5)), np.zeros(0, dtype=int))) == 0


@pytest.mark.parametrize(
    ("x", "labels", "words"),
    [
        (np.zeros((2, 4)), [0, 1], "has the shape (2, 4) and the labels (2,); (rows, 5) and (rows,) are due"),
        (np.zeros((2, 5)), [0], "has the shape (2, 5) and the labels (1,)"),
        (np.zeros((2, 5)), [0, 2], "the label 2 of the matrix is no position in the 2 classes of 'label'"),
        (np.zeros((2, 5)), [0, 0.5], "the label 0.5 of the matrix is no position"),
        (np.zeros((1, 5)), [-1], "the label -1 of the matrix is no position"),
        (np.array([[np.inf, 0, 0, 0, 0]]), [0], "column 'size' of the matrix holds infinity in 1 of 1 rows; replace"),
        (np.array([[0, 0, -np.inf, 0, 0]]), [0], "column 'colour' of the matrix holds infinity"),
        (np.array([[0, 2.0**60, 0, 0, 0]]), [0], "whole numbers beyond 2**53 are not exact"),
    ],
)
def test_what_is_no_row_is_refused(small: Table, x: Any, labels: Any, words: str) -> None:
    with pytest.raises(InvalidOutput, match=re.escape(words)):
        small.schema.from_matrix(x, np.array(labels))


def test_a_column_without_levels_holds_missing_values_only() -> None:
    frame = pd.DataFrame({"none": pd.Series([None, None], dtype=object), "label": ["a", "b"]})
    schema = Table.from_frame(frame, "label", {"none": "categorical"}).schema
    assert schema.from_matrix(np.array([[np.nan]]), np.array([0])).frame["none"].isna().all()
    with pytest.raises(InvalidOutput, match="column 'none' has no levels: 0 is none"):
        schema.from_matrix(np.array([[0.0]]), np.array([0]))


def test_conform_rounds_integers_and_takes_numbers_to_the_nearest_level(small: Table) -> None:
    rows = pd.DataFrame(
        {
            "label": ["b", "a"],
            "new": [0.9, -2.0],
            "grade": [5.9, 99],
            "colour": ["red", "blue"],
            "count": [1.5, np.float32(2.4)],
            "size": [0.25, 1.0],
        }
    )
    before = rows.copy()
    conformed = small.conform(rows)
    pd.testing.assert_frame_equal(rows, before)  # the caller's rows stay as they are
    assert conformed.schema == small.schema
    assert conformed.frame.to_dict("list") == {
        "size": [0.25, 1.0],
        "count": [2, 2],
        "colour": ["red", "blue"],
        "grade": [3, 10],
        "new": [True, False],
        "label": ["b", "a"],
    }


def test_conform_leaves_alone_what_fits() -> None:
    for make in (easy_table, HARD_TABLES["missing-values"], HARD_TABLES["dates"], HARD_TABLES["integer-levels"]):
        table = make()
        pd.testing.assert_frame_equal(table.conform(table.frame).frame, table.frame)
        backwards = table.frame[table.frame.columns[::-1]]
        pd.testing.assert_frame_equal(table.conform(backwards).frame, table.frame)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (
            "colour",
            "green",
            "'colour' of the drawn rows holds 'green' in 1 of 3 rows, which is none of its levels",
        ),
        ("colour", 0.4, "column 'colour' of the drawn rows holds 0.4"),
        ("grade", "best", "column 'grade' of the drawn rows holds 'best'"),
        ("grade", np.inf, "column 'grade' of the drawn rows holds inf"),
        ("count", "many", "column 'count' of the drawn rows should hold numbers (integer)"),
        ("count", np.inf, "column 'count' of the drawn rows holds infinity in 1 of 3 rows; replace it"),
        ("size", -np.inf, "column 'size' of the drawn rows holds infinity"),
        ("label", "c", "column 'label' of the drawn rows holds 'c'"),
        ("label", None, "the target 'label' is missing in some rows"),
    ],
)
def test_what_neither_rounding_nor_clipping_mends_is_refused(small: Table, column: str, value: Any, words: str) -> None:
    rows = small.frame.astype(object)
    rows.loc[1, column] = value
    with pytest.raises(InvalidOutput, match=re.escape(words)):
        small.conform(rows)


def test_other_columns_are_no_rows_of_the_table(small: Table) -> None:
    with pytest.raises(InvalidOutput, match=re.escape("missing ['size'], not expected ['sizes']")):
        small.conform(small.frame.rename(columns={"size": "sizes"}))
    twice = small.frame[[*small.frame.columns, "size"]]
    with pytest.raises(InvalidOutput, match="more than one column named 'size'"):
        small.conform(twice, "the new rows")


def test_the_tools_are_public() -> None:
    assert {"share_rows", "seeded", "Unsupported"} <= set(tabgen.__all__)
    assert share_rows(3, np.array([1, 1, 0])).tolist() == [2, 1, 0]
    with seeded(3) as first, seeded(3) as second:
        assert first.random() == second.random()
    assert issubclass(Unsupported, tabgen.errors.TabgenError)
    assert isinstance(easy_table().schema, Schema)
