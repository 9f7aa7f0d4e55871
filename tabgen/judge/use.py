"""What the rows are worth to the foundation model: in place of the real rows, and beside them, on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tabgen.candidates import Predictor
from tabgen.judge.narrow import only
from tabgen.metrics import Labels, Probabilities, roc_auc
from tabgen.models.base import FoundationModel
from tabgen.places import cap
from tabgen.table import Table
from tabgen.worth import LearningCurve, Worth, learning_curve

MAX_ROWS = 500
"""Real and synthetic rows of a context at most: the learning curve takes some thirty predictions."""
RESAMPLES = 500
USES = {"context": "in place of the real rows", "augmented": "beside the real rows"}


@dataclass(frozen=True)
class Score:
    """ROC-AUC on the held-out rows, and a 95 % bootstrap interval of its difference from that of the real rows."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Use:
    """Scores of the pre-trained model, nothing fine-tuned.

    Attributes
    ----------
    model : str
    real : float
        ROC-AUC with the real rows alone as context.
    scores : dict of Score
        By use, as :data:`USES` names them.
    worth : Worth
        Of the rows in place of the real ones.
    curve : LearningCurve
    real_rows, rows, held_out : int
        Real rows and synthetic rows of a context, and the rows that are predicted.
    """

    model: str
    real: float
    scores: dict[str, Score]
    worth: Worth
    curve: LearningCurve
    real_rows: int
    rows: int
    held_out: int


def use_of(
    load: Callable[[], FoundationModel], name: str, train: Table, held_out: Table, sample: Table, seed: int
) -> Use:
    """Put the rows to use and score what comes of it.

    Parameters
    ----------
    load : callable
        The model with its pre-trained weights.
    name : str
        Its name.
    train, held_out, sample : Table
        All with rows of two classes at least.
    seed : int

    Raises
    ------
    Unsupported
        If the table is beyond the model's limits.
    """
    model, rng = load(), np.random.default_rng(seed)
    train, sample = cap(train, MAX_ROWS, rng), cap(sample, MAX_ROWS, rng)
    alone = Predictor(model, train)
    labels = held_out.labels
    before = alone.probabilities(held_out)
    x, y, levels = alone.context
    asked = alone.encoded(held_out).x
    curve = learning_curve(
        train.labels,
        alone.n_classes,
        seed,
        lambda rows: roc_auc(labels, model.predict(x[rows], y[rows], asked, alone.n_classes, levels)),
    )
    real = roc_auc(labels, before)
    lacks = set(sample.schema.names) < set(train.schema.names)
    seen_by = only(train, sample.schema.names) if lacks else train
    scores = {}
    for arm in USES:
        after = Predictor(model, seen_by, sample, arm).probabilities(held_out)
        scores[arm] = Score(roc_auc(labels, after), *_interval(labels, before, after, rng))
    return Use(name, real, scores, curve.worth(scores["context"].auc), curve, len(train), len(sample), len(held_out))


def _interval(
    labels: Labels, before: Probabilities, after: Probabilities, rng: np.random.Generator
) -> tuple[float, float]:
    """95 % of the difference in ROC-AUC over held-out rows drawn anew, both scored on the same ones."""
    gains: list[float] = []
    for _ in range(RESAMPLES):
        rows: np.ndarray[Any, Any] = rng.integers(0, len(labels), len(labels))
        if len(np.unique(labels[rows])) > 1:
            gains.append(roc_auc(labels[rows], after[rows]) - roc_auc(labels[rows], before[rows]))
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)
