"""Folds: a stratified test part, and the rest cut into train and validation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tabgen.errors import ExperimentError, Unsupported

Rows = np.ndarray[Any, np.dtype[np.intp]]
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Row positions of the three parts, each ascending."""

    train: Rows
    validation: Rows
    test: Rows

    @property
    def hash(self) -> str:
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(np.int64(len(part)).tobytes() + part.astype(np.int64).tobytes())
        return digest.hexdigest()


def split(
    labels: np.ndarray[Any, Any],
    fold: int,
    n_folds: int,
    seed: int,
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
) -> Split:
    """Fold ``fold`` of ``n_folds``, stratified: test, and the rest 80/20 into train and validation.

    The rows of every class are shuffled and dealt in turn, so every class is spread as evenly as it can be;
    a class of one row goes to train in every fold.

    Parameters
    ----------
    labels : ndarray of int, shape (rows,)
        Not negative, as ``Table.labels``.
    fold, n_folds : int
        0 <= fold < n_folds, n_folds >= 2.
    seed : int
        Not negative; decides, with ``n_folds``, which row falls in which fold.
    max_train_rows, max_test_rows : int, optional
        Keep at most this many rows (validation is kept at a quarter of train), drawn by class.

    Raises
    ------
    Unsupported
        If a part may not hold a row of each of its classes, or validation or test would hold fewer than two.
    ExperimentError
        If there is no such fold.
    """
    if not 0 <= fold < n_folds or n_folds < 2:
        raise ExperimentError(f"fold {fold} of {n_folds}: folds are numbered from 0, and there are at least 2.")
    rng = np.random.default_rng([seed, n_folds])
    order = rng.permutation(len(labels))
    parts: dict[str, list[Rows]] = {"train": [], "validation": [], "test": []}
    dealt = 0
    classes, counts = np.unique(labels, return_counts=True)
    for label in classes[np.argsort(-counts, kind="stable")]:
        rows = order[labels[order] == label]
        hand = (np.arange(len(rows)) + dealt) % n_folds
        dealt += len(rows)
        in_test = (hand == fold) & (len(rows) > 1)
        rest = rows[~in_test]
        n_validation = min(round(len(rest) * VALIDATION_SHARE), len(rest) - 1)
        if n_validation == 0 and len(rest) > 2:
            n_validation = 1
        shuffled = np.random.default_rng([seed, n_folds, fold, int(label)]).permutation(rest)
        parts["test"].append(rows[in_test])
        parts["validation"].append(shuffled[:n_validation])
        parts["train"].append(shuffled[n_validation:])
    if max_train_rows is not None:
        parts["train"] = _thin(parts["train"], max_train_rows, "train")
        parts["validation"] = _thin(parts["validation"], max(2, max_train_rows // 4), "validation")
    if max_test_rows is not None:
        parts["test"] = _thin(parts["test"], max_test_rows, "test")
    done = {name: np.sort(np.concatenate(rows)).astype(np.intp) for name, rows in parts.items()}
    for name in ("validation", "test"):
        found = len(np.unique(labels[done[name]]))
        if found < 2:
            raise Unsupported(
                f"fold {fold} of {n_folds}: the {name} part holds {len(done[name])} rows of {found} class(es);"
                " scoring needs two classes. Use fewer folds or a table with more rows of each class."
            )
    return Split(**done)


def _thin(parts: list[Rows], most: int, name: str) -> list[Rows]:
    """At most ``most`` rows in all, in proportion to the classes, at least one of each that has any."""
    sizes = np.array([len(rows) for rows in parts])
    if sizes.sum() <= most:
        return parts
    if (sizes > 0).sum() > most:
        raise Unsupported(
            f"the {name} part may hold {most} rows, too few for one of each of its {(sizes > 0).sum()} classes."
        )
    exact = sizes * most / sizes.sum()
    kept = np.maximum(np.floor(exact).astype(int), sizes > 0)
    while kept.sum() < most:  # largest remainder first
        kept[np.argmax(np.where(kept < sizes, exact - kept, -np.inf))] += 1
    while kept.sum() > most:
        kept[np.argmax(np.where(kept > 1, kept - exact, -np.inf))] -= 1
    return [rows[:n] for rows, n in zip(parts, kept, strict=True)]
