"""Fidelity and privacy: known samples get the values they must."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tabgen import FitContext
from tabgen.datasets import Dataset
from tabgen.references import Bootstrap, Independent
from tabgen.sampling import draw_sample, fit_generator
from tabgen.splits import split
from tabgen.table import Table

pytest.importorskip("sdmetrics", reason="SDMetrics (the extra 'fidelity') is not installed")

from tabgen.fidelity import MAX_COLUMNS, MAX_ROWS, fidelity


@pytest.fixture(scope="module")
def parts(heart: Dataset) -> tuple[Table, Table]:
    table = heart.load()
    rows = split(table.labels, 0, 2, 0)
    return table.take(rows.train).observed(), table.take(rows.test)


def sample_of(generator: Bootstrap, train: Table) -> Table:
    fit_generator(generator, train, FitContext(0))
    return draw_sample(generator, train, len(train), 1)


def test_copies_are_found_and_cannot_be_told_from_the_real(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    result = fidelity(train, holdout, sample_of(Bootstrap(), train), 0)
    assert result["privacy_exact_copies"] == 1.0
    assert result["privacy_closer_to_train"] > 0.7
    assert result["fidelity_detection_auc"] < 0.55
    assert result["fidelity_pair_trends"] > 0.85


def test_copies_are_found_whatever_type_holds_the_numbers() -> None:
    train = Table.from_frame(
        pd.DataFrame({"k": [*range(1, 40), None], "x": [i + 0.1 for i in range(40)], "y": ["a", "b"] * 20}), "y"
    )
    copies = train.take(range(20))
    whole = copies.frame.assign(k=copies.frame["k"].astype("int64"), x=copies.frame["x"] * (1 + 1e-15))
    assert fidelity(train, None, Table(whole, train.schema), 0)["privacy_exact_copies"] == 1.0


def test_lost_dependence_shows_in_pairs_and_detection_but_not_in_shapes(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    kept = fidelity(train, holdout, sample_of(Bootstrap(), train), 0)
    lost = fidelity(train, holdout, sample_of(Independent(), train), 0)
    assert abs(lost["fidelity_column_shapes"] - kept["fidelity_column_shapes"]) < 0.05
    assert lost["fidelity_pair_trends"] < kept["fidelity_pair_trends"] - 0.05
    assert lost["fidelity_detection_auc"] > 0.6
    assert lost["privacy_exact_copies"] == 0.0


def test_fresh_real_rows_are_as_close_to_either_part(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    half = len(holdout) // 2
    rng = np.random.default_rng(0)
    order = rng.permutation(len(holdout))
    result = fidelity(train, holdout.take(order[:half]), holdout.take(order[half:]), 0)
    assert 0.35 < result["privacy_closer_to_train"] < 0.65
    assert 0.35 < result["fidelity_detection_auc"] < 0.65


def test_large_tables_are_capped_and_the_cap_is_told(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    large = train.take(np.resize(np.arange(len(train)), MAX_ROWS * 3))
    assert fidelity(large, holdout, large, 0)["fidelity_rows"] == MAX_ROWS


def test_without_a_holdout_the_distances_are_left_out(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    sample = sample_of(Independent(), train)
    known, whole = fidelity(train, None, sample, 0), fidelity(train, holdout, sample, 0)
    assert set(whole) - set(known) == {"privacy_closer_to_train"}
    assert known["fidelity_columns"] == MAX_COLUMNS < len(train.schema.columns)


def test_the_same_seed_gives_the_same_values(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    sample = sample_of(Independent(), train)
    assert fidelity(train, holdout, sample, 5) == fidelity(train, holdout, sample, 5)
