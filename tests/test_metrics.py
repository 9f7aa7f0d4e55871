"""Metrics against scikit-learn, and what they say where scikit-learn says nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from tabgen import metrics
from tabgen.metrics import (
    BUILT_IN,
    accuracy,
    balanced_accuracy,
    brier,
    expected_calibration_error,
    higher_is_better,
    log_loss,
    roc_auc,
)
from tabgen.plugins import Plugins


def predictions(n_classes: int, seed: int, rows: int = 80) -> tuple[Any, Any]:
    """Labels, every class among them, and probabilities that know something of them, some tied."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, rows - n_classes)])
    raw = rng.gamma(1.0, size=(rows, n_classes)) + 0.6 * np.eye(n_classes)[labels]
    raw = np.round(raw, 1) + 0.05
    return labels, raw / raw.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_agree_with_scikit_learn(n_classes: int, seed: int) -> None:
    labels, probabilities = predictions(n_classes, seed)
    binary = n_classes == 2
    scores = probabilities[:, 1] if binary else probabilities
    auc = reference.roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert roc_auc(labels, probabilities) == pytest.approx(auc, abs=1e-12)
    assert log_loss(labels, probabilities) == pytest.approx(reference.log_loss(labels, probabilities), rel=1e-12)
    predicted = probabilities.argmax(1)
    assert accuracy(labels, probabilities) == reference.accuracy_score(labels, predicted)
    expected = reference.balanced_accuracy_score(labels, predicted)
    assert balanced_accuracy(labels, probabilities) == pytest.approx(expected, abs=1e-12)
    one_hot = np.eye(n_classes)[labels]
    squared = sum(reference.brier_score_loss(one_hot[:, c], probabilities[:, c]) for c in range(n_classes))
    assert brier(labels, probabilities) == pytest.approx(squared, abs=1e-12)


def test_roc_auc_is_scikit_learns_to_the_last_bit() -> None:
    """Scores of earlier runs, which scikit-learn computed, are those of later ones: ties, few rows, rare classes."""
    rng = np.random.default_rng(0)
    for number in range(600):
        rows = int(rng.integers(2, 300))
        labels = rng.random(rows) < (0.5 if number % 3 else 0.05)
        labels[:2] = True, False
        scores = rng.random(rows) if number % 2 else np.round(rng.random(rows), int(rng.integers(0, 4)))
        probabilities = np.column_stack([1 - scores, scores])
        assert roc_auc(labels.astype(int), probabilities) == reference.roc_auc_score(labels, scores)


def test_roc_auc_of_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        roc_auc(np.array([0, 1, 1]), np.array([[0.3, 0.7], [0.6, 0.4], [np.nan, np.nan]]))


@pytest.mark.parametrize("seed", range(20))
def test_roc_auc_averages_over_the_classes_that_occur(seed: int) -> None:
    labels, probabilities = predictions(4, seed)
    there = labels != 2
    labels, probabilities = labels[there], probabilities[there]
    each = [reference.roc_auc_score(labels == c, probabilities[:, c]) for c in (0, 1, 3)]
    assert roc_auc(labels, probabilities) == np.mean(each)


def test_roc_auc_of_one_class_is_not_defined() -> None:
    assert math.isnan(roc_auc(np.array([1, 1]), np.array([[0.3, 0.7], [0.6, 0.4]])))
    assert math.isnan(roc_auc(np.array([1, 1]), np.full((2, 3), 1 / 3)))


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert log_loss(np.array([1, 1]), probabilities) == pytest.approx(-math.log(1e-15) / 2)
    assert log_loss(np.array([0, 1]), probabilities) == 0


def test_balanced_accuracy_counts_only_classes_that_occur() -> None:
    probabilities = np.eye(3)[[0, 0, 2, 1]]
    assert balanced_accuracy(np.array([0, 0, 0, 1]), probabilities) == pytest.approx((2 / 3 + 1) / 2)


def test_calibration_error_by_hand() -> None:
    # bins of a fifteenth: confidences 0.61 and 0.65 share one (right once), 0.95 is alone (right), 1.0 is in the last
    probabilities = np.array([[0.61, 0.39], [0.65, 0.35], [0.05, 0.95], [1.0, 0.0]])
    labels = np.array([0, 1, 1, 1])
    by_hand = 2 / 4 * abs(0.5 - 0.63) + 2 / 4 * abs(0.5 - 0.975)
    assert expected_calibration_error(labels, probabilities) == pytest.approx(by_hand)


def test_calibration_error_of_perfect_and_of_overconfident_predictions() -> None:
    labels = np.arange(10) % 2
    assert expected_calibration_error(labels, np.eye(2)[labels]) == 0
    assert expected_calibration_error(labels, np.eye(2)[1 - labels]) == 1


def test_registered_metrics_name_the_better_direction(built_in: Plugins) -> None:
    labels, _ = predictions(3, 0)
    good, bad = np.eye(3)[labels] * 0.7 + 0.1, np.eye(3)[(labels + 1) % 3] * 0.7 + 0.1
    assert set(built_in.metrics) == {
        *("roc_auc", "log_loss", "accuracy", "balanced_accuracy", "brier", "calibration_error"),
    }
    for name in built_in.metrics:
        metric = built_in.metrics[name]
        assert isinstance(metric, metrics.Metric)
        assert metric.summary
        better = metric.score(labels, good) > metric.score(labels, bad)
        assert better is metric.higher_is_better, name


def test_every_score_lies_within_its_metric_s_bounds_and_the_worst_touches_them() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2])
    best, worst = np.eye(3)[labels], np.eye(3)[(labels + 1) % 3]
    for metric in BUILT_IN.values():
        low, high = metric.bounds
        ends = [metric.score(labels, best), metric.score(labels, worst)]
        assert low <= min(ends) and max(ends) <= high, metric.name
        assert ends[0] == (high if metric.higher_is_better else low), metric.name
        assert ends[1] == pytest.approx(low if metric.higher_is_better else high, abs=0.25), metric.name


def test_directions_are_those_of_the_list_and_an_unknown_metric_is_taken_for_a_gain() -> None:
    assert [name for name in BUILT_IN if not higher_is_better(name)] == ["log_loss", "brier", "calibration_error"]
    assert higher_is_better("no such metric")
