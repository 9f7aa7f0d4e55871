"""Worth: a monotone learning curve over real rows, and scores read off it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabgen.worth import LearningCurve, context_sizes, learning_curve, nested_order


def test_sizes_are_in_equal_ratios_and_end_with_all_rows() -> None:
    sizes = context_sizes(240, 2)
    assert (sizes[0], sizes[-1], len(sizes)) == (8, 240, 8)
    ratios = np.diff(np.log(sizes))
    assert ratios.max() / ratios.min() < 1.25  # they are whole numbers
    assert context_sizes(240, 9)[0] == 18
    assert context_sizes(6, 2) == [6]


@given(st.lists(st.integers(0, 3), min_size=12, max_size=80), st.integers(0, 2**32 - 1))
def test_every_beginning_of_an_order_has_the_class_shares_of_the_whole(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    order = nested_order(y, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(y)))
    for size in range(1, len(y) + 1):
        for label in np.unique(y):
            assert abs((y[order[:size]] == label).sum() - size * (y == label).mean()) <= len(np.unique(y)) + 1


def test_a_curve_is_made_monotone_and_read_linearly() -> None:
    curve = LearningCurve.of([10, 20, 40, 80], np.array([[0.6, 0.8, 0.7, 0.9], [0.6, 0.8, 0.7, 0.9]]))
    assert curve.scores == pytest.approx((0.6, 0.75, 0.75, 0.9))
    assert curve.worth(0.675).rows == pytest.approx(15.0)
    assert curve.worth(0.675).censored == 0
    assert curve.worth(curve.scores[1]).rows == 30.0  # the middle of a flat part
    assert (curve.worth(0.59).rows, curve.worth(0.59).censored) == (10.0, -1)
    assert (curve.worth(0.91).rows, curve.worth(0.91).censored) == (80.0, 1)
    assert curve.worth(curve.scores[-1]).censored == 0


def test_points_without_a_score_are_left_out() -> None:
    curve = LearningCurve.of([8, 16, 32], np.array([[np.nan, 0.7, 0.8], [np.nan, np.nan, 0.8]]))
    assert curve.sizes == (16, 32)
    with pytest.raises(ValueError, match="no point"):
        LearningCurve.of([8], np.array([[np.nan]]))


def test_a_subset_of_real_rows_is_worth_about_its_size() -> None:
    """1,000 subsets of known size under a noisy score: the mean of what they come out as is their size."""
    labels = np.repeat([0, 1], 100)
    rng = np.random.default_rng(0)

    def score(rows: np.ndarray) -> float:
        return float(1 - 0.8 * len(rows) ** -0.5 + rng.normal(0, 0.002))

    found = []
    for seed in range(1000):
        curve = learning_curve(labels, 2, seed, score)
        found.append(curve.worth(score(np.arange(50))).rows)
    assert np.mean(found) == pytest.approx(50, rel=0.05)
    low, high = np.quantile(found, [0.025, 0.975])
    assert low < 50 < high
