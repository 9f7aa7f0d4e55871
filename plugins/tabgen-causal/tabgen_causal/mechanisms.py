"""The mechanisms of a graph's nodes, fitted and sampled with DoWhy's gcm; their noise is judged out of fold.

Blöbaum, Götz, Budhathoki, Mastakouri, Janzing, *DoWhy-GCM* (JMLR 25, 2024). Roots keep their empirical
distribution; a numeric node is an additive noise model; a discrete node is a classifier whose probabilities
are *sampled* with exogenous noise. **Ours**: the noise is that of rows a model was not fitted on. DoWhy takes the
residuals of the fitted rows, and a classifier's probabilities as they come, of which a flexible model makes too
little noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from dowhy import gcm
from dowhy.gcm.ml.classification import SklearnClassificationModel
from dowhy.gcm.ml.regression import SklearnRegressionModel
from dowhy.gcm.util.general import shape_into_2d

from tabgen import seeded

Array = np.ndarray[Any, Any]
KINDS = ("linear", "forest")
ROWS_TO_CHOOSE = 60
"""Fewer rows cannot tell a linear mechanism from a forest: the linear one is used."""
MOST_LOGISTIC_LEVELS = 20
"""A logistic mechanism takes long for more levels than this; the forest does not."""
FOLDS = 5
TREES = 100
TEMPERATURES = np.geomspace(0.25, 8.0, 41)
SMALLEST_CHANCE = 1e-3
"""Of a level, so that none is impossible because a few trees never met it."""


@contextmanager
def quietly_seeded(seed: int) -> Iterator[None]:
    """DoWhy and the models in it draw from global random states, and warn of fits that stop early."""
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing that a caller could mend
        yield


class Mechanisms:
    """A fitted structural causal model over columns of numbers and codes.

    Parameters
    ----------
    edges : list of (int, int)
        Directed, acyclic.
    nodes : list of int
        Columns of ``values`` that the model is over.
    regressor : {"auto", "linear", "forest"}
        For numeric and discrete nodes alike (a linear classifier is a logistic one). "auto" takes whichever predicts
        rows better that it was not fitted on.
    """

    def __init__(self, edges: list[tuple[int, int]], nodes: list[int], regressor: str) -> None:
        self.graph = nx.DiGraph()
        self.graph.add_nodes_from(nodes)
        self.graph.add_edges_from(edges)
        self.regressor = regressor
        self.chosen: dict[int, str] = {}

    def fit(self, values: Array, discrete: Array, seed: int) -> Mechanisms:
        gcm.config.disable_progress_bars()
        gcm.config.set_default_n_jobs(1)
        self._discrete = discrete
        self._model = gcm.StructuralCausalModel(nx.relabel_nodes(self.graph, str, copy=True))
        frame = pd.DataFrame({str(node): self._column(values[:, node], node) for node in self.graph})
        caused = {node: self._caused(bool(discrete[node])) for node in self.graph if self.graph.in_degree(node)}
        with quietly_seeded(seed):
            for node in self.graph:
                self._model.set_causal_mechanism(str(node), caused.get(node) or gcm.EmpiricalDistribution())
            gcm.fit(self._model, frame)
        self.chosen = {node: mechanism.kind for node, mechanism in caused.items()}
        return self

    def draw(self, n_rows: int, seed: int) -> dict[int, Array]:
        """New rows: exogenous noise, propagated through the graph; a column of numbers or codes per node."""
        with quietly_seeded(seed):
            frame = gcm.draw_samples(self._model, n_rows)
        return {
            node: np.array([float(level[1:]) for level in frame[str(node)]])
            if self._discrete[node]
            else frame[str(node)].to_numpy(dtype=np.float64)
            for node in self.graph
        }

    def _column(self, values: Array, node: int) -> Any:
        """Codes as text: DoWhy takes integers for counts."""
        return [f"l{int(code)}" for code in values] if self._discrete[node] else values

    def _caused(self, discrete: bool) -> NumericMechanism | DiscreteMechanism:
        return DiscreteMechanism(self.regressor) if discrete else NumericMechanism(self.regressor)


class NumericMechanism(gcm.AdditiveNoiseModel):  # type: ignore[misc]
    """A regression plus noise that is drawn from the residuals of rows it was not fitted on."""

    def __init__(self, kind: str) -> None:
        super().__init__(make_model("linear", discrete=False))
        self.kind = kind

    def fit(self, X: Array, Y: Array) -> None:
        y = Y.ravel().astype(np.float64)
        kinds = KINDS if self.kind == "auto" and len(y) >= ROWS_TO_CHOOSE else (_or_linear(self.kind),)
        fitted = {kind: fit_and_predict(kind, X, y) for kind in kinds}
        self.kind = min(kinds, key=lambda kind: np.square(y - fitted[kind][1]).mean())
        self._prediction_model, predicted = fitted[self.kind]
        self._noise_model.fit(shape_into_2d(y - predicted))

    def clone(self) -> NumericMechanism:
        return NumericMechanism(self.kind)


class DiscreteMechanism(gcm.ClassifierFCM):  # type: ignore[misc]
    """A classifier that is sampled, its probabilities tempered so that they hold for rows it was not fitted on.

    The temperature (Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017) is the one of
    the least log-loss out of fold.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(make_model("linear", discrete=True))
        self.kind = kind
        self.temperature = 1.0

    def fit(self, X: Array, Y: Array) -> None:
        y = Y.ravel()
        levels, codes = np.unique(y, return_inverse=True)
        kinds = KINDS if self.kind == "auto" and len(y) >= ROWS_TO_CHOOSE else (_or_linear(self.kind),)
        if len(levels) > MOST_LOGISTIC_LEVELS:
            kinds = ("forest",)
        fitted = {kind: fit_and_predict(kind, X, y, levels) for kind in kinds}

        def loss(kind: str, temperature: float) -> float:
            chances = tempered(fitted[kind][1], temperature)[np.arange(len(y)), codes]
            return float(-np.log(chances).mean())

        _, self.kind, self.temperature = min((loss(kind, t), kind, t) for kind in kinds for t in TEMPERATURES)
        self._classifier_model = fitted[self.kind][0]

    def estimate_probabilities(self, parent_samples: Array) -> Array:
        return tempered(super().estimate_probabilities(parent_samples), self.temperature)

    def clone(self) -> DiscreteMechanism:
        return DiscreteMechanism(self.kind)


def tempered(chances: Array, temperature: float) -> Array:
    """Probabilities to the power of one over the temperature, none below :data:`SMALLEST_CHANCE`: (rows, levels)."""
    powers = np.maximum(chances, SMALLEST_CHANCE) ** (1.0 / temperature)
    scaled: Array = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def fit_and_predict(kind: str, x: Array, y: Array, levels: Array | None = None) -> tuple[Any, Array]:
    """A model fitted on all rows, and what such models say of rows they were not fitted on.

    A forest says it out of bag, a linear model in five folds. Of numbers these are predictions (rows,), of
    ``levels`` probabilities (rows, levels).
    """
    discrete = levels is not None
    model = make_model(kind, discrete)
    model.fit(x, y)
    if kind == "forest":
        forest = model.sklearn_model
        out = forest.oob_decision_function_ if discrete else forest.oob_prediction_
        return model, np.nan_to_num(out, nan=1 / len(levels) if levels is not None else y.mean())
    folds = np.random.permutation(np.arange(len(y)) % min(FOLDS, len(y)))  # noqa: NPY002 - seeded by the caller
    predicted = np.zeros(len(y)) if levels is None else np.zeros((len(y), len(levels)))
    for fold in range(folds.max() + 1):
        held = folds == fold
        if levels is None:
            part = make_model(kind, discrete)
            part.fit(x[~held], y[~held])
            predicted[held] = part.predict(x[held]).ravel()
            continue
        seen = np.unique(y[~held])
        place = np.searchsorted(levels, seen)
        if len(seen) == 1:
            predicted[np.ix_(held, place)] = 1.0
            continue
        part = make_model(kind, discrete)
        part.fit(x[~held], y[~held])
        predicted[np.ix_(held, place)] = part.predict_probabilities(x[held])
    return model, predicted


def _or_linear(kind: str) -> str:
    return "linear" if kind == "auto" else kind


def make_model(kind: str, discrete: bool) -> Any:
    """An unfitted regression or classifier, in DoWhy's wrapper, which turns levels of the parents into indicators."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wrap = SklearnClassificationModel if discrete else SklearnRegressionModel
    if kind == "forest":
        make = RandomForestClassifier if discrete else RandomForestRegressor
        return wrap(make(TREES, min_samples_leaf=5, max_features="sqrt" if discrete else 0.5, oob_score=True))
    return wrap(make_pipeline(StandardScaler(), LogisticRegression(max_iter=300) if discrete else Ridge(alpha=1e-3)))
