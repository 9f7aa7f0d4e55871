"""The mechanisms of a graph's nodes, fitted and sampled with DoWhy's gcm.

Blöbaum, Götz, Budhathoki, Mastakouri, Janzing, *DoWhy-GCM* (JMLR 25, 2024). Roots keep their empirical
distribution; a numeric node is an additive noise model; a discrete node is a classifier whose probabilities
are *sampled* with exogenous noise.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]
ROWS_TO_CHOOSE = 60
"""Fewer rows cannot tell a linear mechanism from a boosted one: the linear one is used."""
MOST_BOOSTED_LEVELS = 20
"""Boosting grows a tree per level and round; more levels than this get the logistic mechanism."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """DoWhy and the models in it draw from global random states: seed them, and put the caller's back after."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fits that stop early; nothing that a caller could mend
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


class Mechanisms:
    """A fitted structural causal model over columns of numbers and codes.

    Parameters
    ----------
    edges : list of (int, int)
        Directed, acyclic.
    nodes : list of int
        Columns of ``values`` that the model is over.
    regressor : {"auto", "linear", "boosting"}
        For numeric and discrete nodes alike (a linear classifier is a logistic one). "auto" holds out a third of
        the rows and takes whichever predicts them better.
    """

    def __init__(self, edges: list[tuple[int, int]], nodes: list[int], regressor: str) -> None:
        self.graph = nx.DiGraph()
        self.graph.add_nodes_from(nodes)
        self.graph.add_edges_from(edges)
        self.regressor = regressor
        self.chosen: dict[int, str] = {}

    def fit(self, values: Array, discrete: Array, seed: int) -> Mechanisms:
        from dowhy import gcm

        gcm.config.disable_progress_bars()
        gcm.config.set_default_n_jobs(1)
        self._discrete = discrete
        self._model = gcm.StructuralCausalModel(nx.relabel_nodes(self.graph, str, copy=True))
        frame = pd.DataFrame({str(node): self._column(values[:, node], node) for node in self.graph})
        with seeded(seed):
            for node in self.graph:
                self._model.set_causal_mechanism(str(node), self._mechanism(frame, node))
            gcm.fit(self._model, frame)
        return self

    def draw(self, n_rows: int, seed: int) -> dict[int, Array]:
        """New rows: exogenous noise, propagated through the graph; a column of numbers or codes per node."""
        from dowhy import gcm

        with seeded(seed):
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

    def _mechanism(self, frame: pd.DataFrame, node: int) -> Any:
        from dowhy import gcm

        parents = sorted(str(parent) for parent in self.graph.predecessors(node))
        if not parents:
            return gcm.EmpiricalDistribution()
        x, y = frame[parents].to_numpy(), frame[str(node)].to_numpy()
        kind = self.regressor if self.regressor != "auto" else self._better(x, y, bool(self._discrete[node]))
        if self._discrete[node] and len(np.unique(y)) > MOST_BOOSTED_LEVELS:
            kind = "linear"
        self.chosen[node] = kind
        model = _model(kind, bool(self._discrete[node]))
        return gcm.ClassifierFCM(model) if self._discrete[node] else gcm.AdditiveNoiseModel(model)

    @staticmethod
    def _better(x: Array, y: Array, discrete: bool) -> str:
        """Whichever kind of model predicts a third of the rows better from the rest."""
        levels = len(np.unique(y)) if discrete else 0
        if len(y) < ROWS_TO_CHOOSE or levels > MOST_BOOSTED_LEVELS:
            return "linear"
        held = np.random.permutation(len(y)) < len(y) // 3  # noqa: NPY002 - seeded by the caller
        if discrete and len(np.unique(y[~held])) < levels:
            return "linear"
        losses = {}
        for kind in ("linear", "boosting"):
            model = _model(kind, discrete)
            model.fit(x[~held], y[~held])
            if discrete:
                place = {str(level): i for i, level in enumerate(model.classes)}
                chances = model.predict_probabilities(x[held])[np.arange(held.sum()), [place[str(v)] for v in y[held]]]
                losses[kind] = -np.log(np.clip(chances, 1e-6, 1.0)).mean()
            else:
                losses[kind] = np.square(model.predict(x[held]).ravel() - y[held].astype(float)).mean()
        return min(losses, key=losses.__getitem__)


def _model(kind: str, discrete: bool) -> Any:
    from dowhy.gcm import ml
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "boosting":
        settings = {"max_iter": 50, "max_leaf_nodes": 15, "min_samples_leaf": 10, "early_stopping": False}
        make = ml.create_hist_gradient_boost_classifier if discrete else ml.create_hist_gradient_boost_regressor
        return make(**settings)
    if discrete:
        logistic = LogisticRegression(max_iter=300)
        return ml.classification.SklearnClassificationModel(make_pipeline(StandardScaler(), logistic))
    return ml.regression.SklearnRegressionModel(make_pipeline(StandardScaler(), Ridge(alpha=1e-3)))
