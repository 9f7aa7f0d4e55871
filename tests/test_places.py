"""Places and distances: equal rows are at 0, outliers decide no scale, missing values are like each other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tabgen.places import Places, distances
from tabgen.table import Table

TABLE = Table.from_frame(
    pd.DataFrame(
        {
            "wage": [1.0, 2.0, 3.0, 4.0, 1e9],
            "sex": ["f", "m", "f", None, "m"],
            "seen": pd.Series(["2020-01-01", "2020-01-02", "2020-01-03", None, None], dtype="datetime64[us]"),
            "y": ["a", "a", "b", "b", "b"],
        }
    ),
    "y",
)


def test_distances_by_hand() -> None:
    found = distances(Places(TABLE, TABLE.schema.names), TABLE, TABLE)
    assert np.diag(found).tolist() == [0.0] * 5
    np.testing.assert_allclose(found, found.T)
    # wage 1/4 of the way, another sex, the next of three days, the same class
    np.testing.assert_allclose(found[0, 1], (0.25 + 1 + 0.5 + 0) / 4)
    # wage 1/4, a missing level beside a known one, both dates missing, the same class
    np.testing.assert_allclose(found[3, 4], (0.25 + 1 + 0 + 0) / 4)


def test_numbers_beyond_the_training_rows_are_no_copies_of_the_outermost() -> None:
    places = Places(TABLE, ["wage"])
    far = TABLE.like(TABLE.frame.assign(wage=[1e12, 1.01e9, -1e7, 1.0, 1e9], y=list("bbaab")))
    found = distances(places, far, TABLE).min(axis=1)
    assert found[0] > 0.49  # the same class, and nearly as far as can be
    assert 0 < found[1] < 0.01
    assert 0 < found[2] < 0.01
    assert found[3:].tolist() == [0.0, 0.0]


def test_columns_that_are_lacking_and_free_text_are_passed_over() -> None:
    places = Places(TABLE, ["sex"])
    assert distances(places, TABLE, TABLE)[0, 2] == 0.5  # the class alone differs
    texts = Table.from_frame(TABLE.frame.assign(note="some words of text"), "y", {"note": "text"})
    assert [column.name for column in Places(texts, texts.schema.names).columns] == ["wage", "sex", "seen"]


def test_levels_that_the_training_rows_lack_are_like_no_known_one() -> None:
    train = TABLE.take([0, 2]).observed()
    found = distances(Places(train, ["sex"]), TABLE, train)
    assert found[:, 0].tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
