"""Metrics of class probabilities; each is computed for every cell, before and after fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tabgen.marker import hookimpl

Labels = np.ndarray[Any, np.dtype[np.int64]]
Probabilities = np.ndarray[Any, np.dtype[np.float64]]


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
    """

    name: str
    score: Callable[[Labels, Probabilities], float]
    higher_is_better: bool
    summary: str


def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """One-vs-rest ROC-AUC, macro average over the classes that occur among the labels but are not all.

    With two classes this is the ROC-AUC of the second. NaN if only one class occurs.
    """
    from sklearn.metrics import roc_auc_score

    n_classes = probabilities.shape[1]
    classes = [1] if n_classes == 2 else range(n_classes)
    scores = [roc_auc_score(labels == c, probabilities[:, c]) for c in classes if 0 < (labels == c).sum() < len(labels)]
    return float(np.mean(scores)) if scores else float("nan")


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Mean negative log-probability of the true class, clipped at 1e-15, in nats."""
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, 1e-15, 1.0)).mean())


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


@hookimpl
def tabgen_register_metrics(register: Callable[[Metric], None]) -> None:
    register(Metric("roc_auc", roc_auc, True, "one-vs-rest ROC-AUC"))
    register(Metric("log_loss", log_loss, False, "cross-entropy in nats"))
    register(Metric("accuracy", accuracy, True, "share of rows predicted right"))
    register(Metric("balanced_accuracy", balanced_accuracy, True, "mean recall over classes"))
    register(Metric("brier", brier, False, "squared error of the probabilities"))
    register(Metric("calibration_error", expected_calibration_error, False, "expected calibration error, 15 bins"))
