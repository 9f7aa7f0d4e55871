from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from tabgen_seqtrees import SeqTrees

from tabgen import FitContext, Table
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import HARD_TABLES, conformance_checks, easy_table


@pytest.mark.parametrize("check", conformance_checks(SeqTrees), ids=str)
def test_conformance(check: Any) -> None:
    check()


def sample_of(table: Any, n_rows: Any, seed: Any = 0, **settings: Any) -> Any:
    generator = SeqTrees(**settings)
    fit_generator(generator, table, FitContext(seed=0))
    return draw_sample(generator, table, n_rows, seed)


def dependent(n: Any) -> Any:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=n), rng.normal(size=n)
    frame = pd.DataFrame({"x": x, "twice": 2 * x, "noise": y, "label": np.where(x + 0.3 * y > 0, "up", "down")})
    return Table.from_frame(frame, "label")


@pytest.mark.parametrize("visit", ["target-first", "target-last"])
def test_columns_depend_on_each_other_as_in_the_table(visit: Any) -> None:
    table = dependent(400)
    sample = sample_of(table, 400, visit=visit)
    assert np.corrcoef(sample.frame["x"], sample.frame["twice"])[0, 1] > 0.97
    assert abs(np.corrcoef(sample.frame["x"], sample.frame["noise"])[0, 1]) < 0.4
    judge = RandomForestClassifier(50, random_state=0).fit(sample.frame[["x", "noise"]], sample.labels)
    assert (judge.predict(table.frame[["x", "noise"]]) == table.labels).mean() > 0.85


def test_a_value_comes_from_the_leaf_that_its_row_falls_into() -> None:
    table = Table.from_frame(
        pd.DataFrame({"x": [0.0] * 20 + [1.0] * 20, "y": [5.0] * 20 + [7.0] * 20, "label": ["a", "b"] * 20}), "label"
    )
    sample = sample_of(table, 200)
    assert set(zip(sample.frame["x"], sample.frame["y"], strict=True)) == {(0.0, 5.0), (1.0, 7.0)}


def test_values_are_missing_where_the_row_says_so() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, np.nan, x * 3), "label": ["a", "b"] * 150})
    sample = sample_of(Table.from_frame(frame, "label"), 300).frame
    assert (sample["y"].isna() == (sample["x"] > 0)).mean() > 0.97
    assert sample["y"].isna().mean() == pytest.approx(0.5, abs=0.1)
    assert sample_of(HARD_TABLES["missing-values"](), 100).frame["x0"].isna().any()


def test_numbers_are_real_ones_unless_smoothed() -> None:
    table = easy_table(120)
    real = set(table.frame["length"])
    assert set(sample_of(table, 200).frame["length"]) <= real
    smooth = sample_of(table, 200, smooth=True).frame["length"]
    assert not set(smooth) <= real
    assert table.frame["length"].min() <= smooth.min() <= smooth.max() <= table.frame["length"].max()


def test_larger_leaves_know_less() -> None:
    table = dependent(200)
    fine, coarse = (sample_of(table, 400, min_leaf=rows).frame for rows in (5, 100))
    assert np.corrcoef(fine["x"], fine["twice"])[0, 1] > np.corrcoef(coarse["x"], coarse["twice"])[0, 1] + 0.1
    stump = sample_of(table, 400, max_depth=1).frame
    assert np.corrcoef(stump["x"], stump["twice"])[0, 1] < 0.95


def test_numbers_of_any_size_are_taken() -> None:
    frame = pd.DataFrame({"x": [1e300, -1e300, 1e-300, 0.0] * 10, "z": [1e18, 2e18] * 20, "label": ["a", "b"] * 20})
    table = Table.from_frame(frame, "label")
    assert set(sample_of(table, 100).frame["x"]) <= set(frame["x"])


@pytest.mark.parametrize("wrong", [{"visit": "any"}, {"min_leaf": 0}, {"max_depth": -1}])
def test_settings_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="due"):
        SeqTrees(**wrong)
