"""Whether a sample teaches its label: a fixed cheap learner trained on it and judged on real rows, beside fidelity."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tabgen.metrics import Labels, Probabilities, roc_auc
from tabgen.places import Places, cap
from tabgen.table import Table

MAX_ROWS = 300
"""Rows of train and sample that the learner is fitted on; more are drawn down to this many."""
MAX_HOLDOUT_ROWS = 1000
TREES = 60
LEARNABLE = 0.7
"""ROC-AUC of the learner on real rows below which nothing is said of a sample: there is too little to lose."""
LIFT = 0.25
"""A sample whose learner has less than this part of the real rows' gain over 0.5 is at chance."""

Array = np.ndarray[Any, Any]


def adequacy(train: Table, holdout: Table, sample: Table, seed: int) -> dict[str, float]:
    """Compare what can be learnt from a sample with what can be learnt from the rows its generator was fitted on.

    The learner is a random forest of :data:`TREES` trees over the columns of the sample, numbers as their place in
    the training rows' distribution. Equal rows are one row with a weight, so that copies cannot vouch for each
    other out of bag.

    Parameters
    ----------
    train, holdout, sample : Table
        ``holdout`` are real rows that neither the generator nor the learner saw; ``sample`` may lack columns.
    seed : int
        Of the forests, and of the draws that cap the tables' rows.

    Returns
    -------
    dict of float
        Their names begin with ``adequacy_``:

        - ``tstr``, ``real``: one-vs-rest ROC-AUC on the hold-out of the learner trained on the sample ("train on
          synthetic, test on real": Esteban, Hyland, Rätsch 2017, arXiv 1706.02633), and on the training rows.
        - ``within``, ``within_real``: ROC-AUC out of bag, so of the label *within* the sample and within the training
          rows: above the real one the sample's labels are too clean, below it too noisy. NaN where the rows are of
          one class.
        - ``class_distance``: total variation distance of the class shares of sample and training rows, 0 to 1.
        - ``untrained``: 1.0 if :func:`untrained` says so, else 0.0.

    """
    rng, n_classes = np.random.default_rng(seed), len(train.schema.classes)
    shares = [np.bincount(table.labels, minlength=n_classes) / len(table) for table in (train, sample)]
    train, holdout, sample = (
        cap(table, most, rng) for table, most in ((train, MAX_ROWS), (holdout, MAX_HOLDOUT_ROWS), (sample, MAX_ROWS))
    )
    encode = Places(train, sample.schema.names)
    x_holdout, y_holdout = encode(holdout), holdout.labels
    results: dict[str, float] = {}
    for table, outside, inside in ((sample, "tstr", "within"), (train, "real", "within_real")):
        learner = _Learner(encode(table), table.labels, n_classes, seed)
        results[outside] = roc_auc(y_holdout, learner.predict(x_holdout))
        results[inside] = learner.out_of_bag()
    results["class_distance"] = float(np.abs(shares[0] - shares[1]).sum() / 2)
    scores = {f"adequacy_{name}": value for name, value in results.items()}
    return scores | {"adequacy_untrained": float(untrained(scores))}


def untrained(scores: dict[str, float]) -> bool:
    """Whether a sample teaches nothing of a label that the real rows teach well.

    The real rows give a ROC-AUC of :data:`LEARNABLE` or more on the hold-out, and of their gain over chance the sample
    gives less than the part :data:`LIFT` there, or within itself of what the training rows give within themselves
    (noise in few columns can be right on the hold-out by luck; it cannot be predictable within itself).
    """
    return scores["adequacy_real"] >= LEARNABLE and not all(_taught(scores, *pair) for pair in PAIRS)


PAIRS = (("tstr", "real"), ("within", "within_real"))
"""What is compared: a score of the sample with that of the real rows, on the hold-out and within themselves."""


def _taught(scores: dict[str, float], sample: str, real: str) -> bool:
    return scores[f"adequacy_{sample}"] >= 0.5 + LIFT * (scores[f"adequacy_{real}"] - 0.5)


def learnt_in_words(scores: dict[str, float], rows: str = "them") -> str:
    """What a forest learns from ``rows``: on the hold-out, or within themselves where that alone fails."""
    inside = _taught(scores, *PAIRS[0]) and untrained(scores)
    sample, real = (scores[f"adequacy_{name}"] for name in PAIRS[inside])
    if inside:
        return f"a forest finds the label within {rows} with {sample:.2f} ROC-AUC, within the real rows with {real:.2f}"
    return f"a forest learns from {rows} to {sample:.2f} ROC-AUC, from the real rows to {real:.2f}"


class _Learner:
    """The forest, and what it says of its own rows out of bag; equal rows are one row with a weight."""

    def __init__(self, x: Array, y: Labels, n_classes: int, seed: int) -> None:
        from sklearn.ensemble import RandomForestClassifier

        rows, weights = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
        self.y, self.n_classes = rows[:, -1].astype(np.int64), n_classes
        self.forest = RandomForestClassifier(TREES, min_samples_leaf=2, oob_score=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of two or three rows, one may be in the bag of every tree
            self.forest.fit(rows[:, :-1], self.y, sample_weight=weights)

    def predict(self, x: Array) -> Probabilities:
        """Class probabilities: (rows, classes); 0 for classes that the learner never saw."""
        return self._spread(self.forest.predict_proba(x))

    def out_of_bag(self) -> float:
        """ROC-AUC over the distinct rows, each judged by the trees that did not see it."""
        return roc_auc(self.y, np.nan_to_num(self._spread(self.forest.oob_decision_function_)))

    def _spread(self, probabilities: Array) -> Probabilities:
        spread = np.zeros((len(probabilities), self.n_classes))
        spread[:, self.forest.classes_] = probabilities
        return spread
