"""Metrics of class probabilities; each is computed for every cell, before and after fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tabgen.marker import hookimpl

Labels = np.ndarray[Any, np.dtype[np.int64]]
Probabilities = np.ndarray[Any, np.dtype[np.float64]]

SMALLEST_PROBABILITY = 1e-15
"""A log-loss takes no probability for smaller: one wrong certainty would otherwise be infinitely bad."""


@dataclass(frozen=True)
class Metric:
    """A score of predicted probabilities.

    Attributes
    ----------
    name : str
    score : callable
        ``score(labels, probabilities)`` with labels int (rows,) and probabilities (rows, classes);
        returns NaN where it is not defined.
    higher_is_better : bool
    summary : str
    bounds : (float, float)
        Between which every score lies; rows of strangers are held to it.
    """

    name: str
    score: Callable[[Labels, Probabilities], float]
    higher_is_better: bool
    summary: str
    bounds: tuple[float, float] = (-math.inf, math.inf)


def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """One-vs-rest ROC-AUC, macro average over the classes that occur among the labels but are not all.

    With two classes this is the ROC-AUC of the second. NaN if only one class occurs; a ValueError for probabilities
    that are not finite.
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("a ROC-AUC of probabilities that are not finite is not defined")
    n_classes = probabilities.shape[1]
    classes = [1] if n_classes == 2 else range(n_classes)
    scores = [_area(labels == c, probabilities[:, c]) for c in classes if 0 < (labels == c).sum() < len(labels)]
    return float(np.mean(scores)) if scores else float("nan")


def _area(is_class: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> float:
    """Area under the curve of true over false positive rates; both classes occur.

    What scikit-learn's `roc_auc_score` computes, step by step and so to the last bit, without the checks of its input
    that take 25 times as long: learning curves and intervals by resampling ask for thousands.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    true, scores = is_class[order], scores[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of rows that are tied
    hits = np.cumsum(true, dtype=np.float64)[ends]
    misses = 1 + ends - hits
    if len(ends) > 2:  # corners only
        corners = np.flatnonzero(np.r_[True, np.diff(misses, 2).astype(bool) | np.diff(hits, 2).astype(bool), True])
        hits, misses = hits[corners], misses[corners]
    rise, run = np.append(0, hits) / hits[-1], np.append(0, misses) / misses[-1]
    return float((np.diff(run) * (rise[1:] + rise[:-1]) / 2).sum())


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Mean negative log-probability of the true class, clipped at `SMALLEST_PROBABILITY`, in nats."""
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, SMALLEST_PROBABILITY, 1.0)).mean())


def accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Share of rows whose most probable class is the true one."""
    return float((probabilities.argmax(1) == labels).mean())


def balanced_accuracy(labels: Labels, probabilities: Probabilities) -> float:
    """Mean over the classes that occur of the share of their rows predicted right."""
    right = probabilities.argmax(1) == labels
    return float(np.mean([right[labels == c].mean() for c in np.unique(labels)]))


def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Mean squared distance of the probabilities from the one-hot label, summed over classes (Brier 1950)."""
    return float(np.square(probabilities - np.eye(probabilities.shape[1])[labels]).sum(1).mean())


def expected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Gap of confidence and accuracy over 15 equal-width bins of the top probability (Guo et al. 2017)."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(np.sum(gaps))


BUILT_IN = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", roc_auc, True, "one-vs-rest ROC-AUC", (0.0, 1.0)),
        Metric("log_loss", log_loss, False, "cross-entropy in nats", (0.0, 34.54)),  # of SMALLEST_PROBABILITY: 34.539
        Metric("accuracy", accuracy, True, "share of rows predicted right", (0.0, 1.0)),
        Metric("balanced_accuracy", balanced_accuracy, True, "mean recall over classes", (0.0, 1.0)),
        Metric("brier", brier, False, "squared error of the probabilities", (0.0, 2.0)),
        Metric(
            "calibration_error", expected_calibration_error, False, "expected calibration error, 15 bins", (0.0, 1.0)
        ),
    )
}
"""The one list of directions and bounds. Of a plugin's metric its registration says them."""


def higher_is_better(name: str) -> bool:
    """Whether larger values of a metric are better, as far as its name tells: of an unknown one they are."""
    return name not in BUILT_IN or BUILT_IN[name].higher_is_better


@hookimpl
def tabgen_register_metrics(register: Callable[[Metric], None]) -> None:
    for metric in BUILT_IN.values():
        register(metric)
