"""Columns of kind "split": a table's own test parts, whoever made them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.candidates import hold_out
from tabgen.errors import TableError, TableWarning, Unsupported
from tabgen.splits import split_table
from tabgen.table import Table

N = 60
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "x": RNG.normal(size=N),
        "first": np.arange(N) % 3,
        "second": np.where(np.arange(N) < 10, np.nan, RNG.permutation(N) % 2),
        "y": RNG.permutation(["a", "b"] * (N // 2)),
    }
)
KINDS = {"first": "split", "second": "split"}


def test_test_parts_are_those_of_the_columns_one_repeat_a_column() -> None:
    table = Table.from_frame(FRAME, "y", KINDS)
    assert table.schema.names == ["x"]
    for fold in range(3):
        parts = split_table(table, fold, 3, seed=0)
        assert parts.test.tolist() == list(range(fold, N, 3))
        together = np.sort(np.concatenate([parts.train, parts.validation, parts.test]))
        assert together.tolist() == list(range(N))
    parts = split_table(table, 1, 2, seed=1)
    assert parts.test.tolist() == np.flatnonzero(FRAME["second"] == 1).tolist()
    assert set(range(10)) <= {*parts.train, *parts.validation}  # in no test part
    assert len(split_table(table, 0, 3, 0, max_train_rows=20).train) == 20


def test_other_folds_and_seeds_are_unsupported() -> None:
    table = Table.from_frame(FRAME, "y", KINDS)
    for n_folds, seed in ((2, 0), (3, 1), (3, 2)):
        with pytest.raises(Unsupported, match="2 repeats of 2 and 3 folds"):
            split_table(table, 0, n_folds, seed)


def test_the_splits_follow_rows_that_are_set_aside() -> None:
    frame = FRAME.assign(y=FRAME["y"].where(FRAME.index != 0))
    with pytest.warns(TableWarning, match="1 of 60 rows"):
        table = Table.from_frame(frame, "y", KINDS)
    assert split_table(table, 1, 3, 0).test.tolist() == list(range(0, N - 1, 3))


def test_holding_rows_out_does_not_ask_for_them() -> None:
    train, held = hold_out(Table.from_frame(FRAME, "y", KINDS), 5)
    plain_train, plain_held = hold_out(Table.from_frame(FRAME[["x", "y"]], "y"), 5)
    assert train.frame.equals(plain_train.frame) and held.frame.equals(plain_held.frame)


@pytest.mark.parametrize("values", [["p", "q"] * 30, [1, 2] * 30, [0, 2] * 30, [0] * 60, [0.5, 1.0] * 30, [-1, 0] * 30])
def test_what_numbers_no_folds_is_refused(values: list[Any]) -> None:
    with pytest.raises(TableError, match="'first' is of kind split; it should hold folds numbered from 0"):
        Table.from_frame(FRAME.assign(first=values), "y", KINDS)
    with pytest.raises(TableError, match="'y' cannot say how"):
        Table.from_frame(FRAME, "y", {"y": "split"})


def test_a_class_that_is_tested_alone_is_unsupported() -> None:
    frame = FRAME.assign(y=["c" if n % 3 == 0 and n < 12 else label for n, label in enumerate(FRAME["y"])])
    with pytest.raises(Unsupported, match="no row is left for train"):
        split_table(Table.from_frame(frame, "y", KINDS), 0, 3, 0)
