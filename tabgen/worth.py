"""Worth: how many real rows in the context give the score that a synthetic table gives there.

The model's learning curve over nested subsets of the real training rows, made monotone, is the scale; a synthetic
table's context score is read off it. What lies below the smallest subset or above all rows is censored, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZES, ORDERS = 8, 4
"""Points of a learning curve, and random orders of the rows that each is averaged over."""
LEAST_ROWS, ROWS_PER_CLASS = 8, 2
"""The smallest subset: so many rows, and at least so many for each class."""

Rows = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Worth:
    """How many real rows a score is worth; ``censored``: -1 below the curve's first size, 1 above its last, else 0."""

    rows: float
    censored: int


@dataclass(frozen=True)
class LearningCurve:
    """Scores over context sizes, rising: (sizes,) each."""

    sizes: tuple[int, ...]
    scores: tuple[float, ...]

    @classmethod
    def of(cls, sizes: Sequence[int], scores: np.ndarray[Any, Any]) -> LearningCurve:
        """The isotonic fit to scores of shape (orders, sizes), NaN where one is not defined.

        Sizes are weighted by the number of orders that have a score there.

        Raises
        ------
        ValueError
            If no size has a score.
        """
        from sklearn.isotonic import IsotonicRegression

        counts = np.isfinite(scores).sum(0)
        known = counts > 0
        if not known.any():
            raise ValueError("no point of the learning curve has a score")
        kept = np.asarray(sizes)[known]
        fitted = IsotonicRegression().fit(kept, np.nanmean(scores[:, known], axis=0), counts[known]).predict(kept)
        return cls(tuple(map(int, kept)), tuple(map(float, fitted)))

    def worth(self, score: float) -> Worth:
        """The size at which the curve has this score, linear between sizes; where it is flat, the middle of them."""
        sizes, scores = np.array(self.sizes, dtype=float), np.array(self.scores)
        if score < scores[0]:
            return Worth(float(sizes[0]), -1)
        if score > scores[-1]:
            return Worth(float(sizes[-1]), 1)
        same = np.flatnonzero(scores == score)
        if len(same):
            return Worth(float((sizes[same[0]] + sizes[same[-1]]) / 2), 0)
        return Worth(float(np.interp(score, scores, sizes)), 0)


def context_sizes(n_rows: int, n_classes: int) -> list[int]:
    """Sizes of the curve in equal ratios, the last of them all rows."""
    first = min(n_rows, max(LEAST_ROWS, ROWS_PER_CLASS * n_classes))
    return sorted({round(size) for size in np.geomspace(first, n_rows, SIZES)})


def nested_order(labels: np.ndarray[Any, Any], rng: np.random.Generator) -> Rows:
    """A random order of rows whose every beginning has about the class shares of the whole."""
    place = np.zeros(len(labels))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        place[mine] = (rng.permutation(len(mine)) + rng.random()) / len(mine)
    return np.lexsort((rng.random(len(labels)), place))


def learning_curve(
    labels: np.ndarray[Any, Any], n_classes: int, seed: int, score: Callable[[Rows], float]
) -> LearningCurve:
    """The curve of ``score``, which is given positions of context rows, over nested subsets in several orders."""
    sizes = context_sizes(len(labels), n_classes)
    rng = np.random.default_rng(seed)
    orders = [nested_order(labels, rng) for _ in range(ORDERS)]
    whole = score(np.arange(len(labels)))
    scores = [[whole if size == len(labels) else score(order[:size]) for size in sizes] for order in orders]
    return LearningCurve.of(sizes, np.array(scores))
