"""Folds: a stratified test part, and the rest cut into train and validation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tabgen.errors import ExperimentError, Unsupported

if TYPE_CHECKING:
    from tabgen.table import OwnSplits, Table

Rows = np.ndarray[Any, np.dtype[np.intp]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
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


def split_table(
    table: Table,
    fold: int,
    n_folds: int,
    seed: int,
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
) -> Split:
    """The split of a table as every cell has it: :func:`split` of its labels, with its copies together.

    Of a table that came with splits (columns of kind "split") the test part is the given one, that of repeat ``seed``.

    Raises
    ------
    Unsupported
        Also if the table's own splits have other folds, or not so many repeats.
    """
    test = None if table.own_splits is None else _given_test(table.own_splits, fold, n_folds, seed)
    return split(table.labels, fold, n_folds, seed, max_train_rows, max_test_rows, table.copies, test)


def _given_test(own: OwnSplits, fold: int, n_folds: int, seed: int) -> Mask:
    """Which rows the table's own splits test in this fold."""
    folds = [int(repeat.max()) + 1 for repeat in own]
    if seed >= len(folds) or n_folds != folds[seed]:
        repeats = "1 repeat" if len(folds) == 1 else f"{len(folds)} repeats"
        many = " and ".join(map(str, sorted(set(folds))))
        raise Unsupported(
            f"the table comes with splits of its own, {repeats} of {many} folds; fold {fold} of {n_folds} with seed"
            f" {seed} is none of them: ask for {many} folds, and for no seed from {len(folds)} on."
        )
    test: Mask = own[seed] == fold
    return test


def split(
    labels: np.ndarray[Any, Any],
    fold: int,
    n_folds: int,
    seed: int,
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
    copies: np.ndarray[Any, Any] | None = None,
    test: Mask | None = None,
) -> Split:
    """Fold ``fold`` of ``n_folds``, stratified: test, and the rest 80/20 into train and validation.

    The rows of every class are shuffled and dealt in turn, so every class is spread as evenly as it can be; a class of
    one row goes to train in every fold. Rows that are copies of each other are dealt as one, to where the fewest rows
    of their class are, so that no part holds a copy of another part's row.

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
    copies : ndarray of int, shape (rows,), optional
        Rows of one number are copies of each other, as ``Table.copies``; without it, no row is.
    test : ndarray of bool, shape (rows,), optional
        The test part, where it is given: only the rest is dealt here.

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
    copies = np.arange(len(labels)) if copies is None else copies
    dealt_as = _class_of_copies(labels, copies)
    parts: dict[str, list[Rows]] = {"train": [], "validation": [], "test": []}
    dealt = 0
    classes, counts = np.unique(dealt_as, return_counts=True)
    for label in classes[np.argsort(-counts, kind="stable")]:
        rows = order[dealt_as[order] == label]
        hand = _dealt(copies[rows], n_folds, dealt)
        dealt += len(rows)
        several = len(np.unique(copies[rows])) > 1
        in_test = (hand == fold) & several if test is None else test[rows]
        rest = rows[~in_test]
        n_validation = min(round(len(rest) * VALIDATION_SHARE), max(len(rest) - 1, 0))
        if n_validation == 0 and len(rest) > 2:
            n_validation = 1
        shuffled = np.random.default_rng([seed, n_folds, fold, int(label)]).permutation(rest)
        in_validation = _first_whole(copies[shuffled], n_validation)
        parts["test"].append(rows[in_test])
        parts["validation"].append(shuffled[in_validation])
        parts["train"].append(shuffled[~in_validation])
    if max_train_rows is not None:
        parts["train"] = _thin(parts["train"], max_train_rows, "train")
        parts["validation"] = _thin(parts["validation"], max(2, max_train_rows // 4), "validation")
    if max_test_rows is not None:
        parts["test"] = _thin(parts["test"], max_test_rows, "test")
    done = {name: np.sort(np.concatenate(rows)).astype(np.intp) for name, rows in parts.items()}
    for name in ("validation", "test"):
        if len(np.setdiff1d(labels[done[name]], labels[done["train"]])):
            raise Unsupported(
                f"fold {fold} of {n_folds}: the {name} part holds classes of which no row is left for train"
                + ("." if test is not None else ": all of them are copies, but for the class, of rows there.")
            )
        found = len(np.unique(labels[done[name]]))
        if found < 2:
            raise Unsupported(
                f"fold {fold} of {n_folds}: the {name} part holds {len(done[name])} rows of {found} class(es);"
                " scoring needs two classes. Use fewer folds or a table with more rows of each class"
                + (" that are not copies of each other." if len(np.unique(copies)) < len(copies) else ".")
            )
    return Split(**done)


def _class_of_copies(labels: np.ndarray[Any, Any], copies: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """For each row the class that most of its copies have, the lowest of several."""
    _, place = np.unique(copies, return_inverse=True)
    if place.max(initial=-1) + 1 == len(labels):
        return labels
    tally = np.zeros((place.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(tally, (place, labels), 1)
    most: np.ndarray[Any, Any] = tally.argmax(axis=1)[place]
    return most


def _dealt(copies: np.ndarray[Any, Any], n_folds: int, dealt: int) -> Rows:
    """The fold of each row of a class: copies together, most copies first, each to the fold with the fewest rows.

    Among folds of equally few rows it is the next in turn, so that rows without copies are dealt in turn.
    """
    _, first, place, sizes = np.unique(copies, return_index=True, return_inverse=True, return_counts=True)
    if len(sizes) == len(copies):
        return (np.arange(len(copies)) + dealt) % n_folds
    held = np.zeros(n_folds, dtype=np.int64)
    turn = (np.arange(n_folds) - dealt) % n_folds
    hand = np.zeros(len(sizes), dtype=np.intp)
    for group in np.lexsort((first, -sizes)):
        hand[group] = np.lexsort((turn, held))[0]
        held[hand[group]] += sizes[group]
    return hand[place]


def _first_whole(copies: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are among the first ``most``, with copies either all in or all out.

    A row whose copies do not fit is passed over for the next that does.
    """
    _, first, place, sizes = np.unique(copies, return_index=True, return_inverse=True, return_counts=True)
    if len(sizes) == len(copies):
        return np.arange(len(copies)) < most
    chosen = np.zeros(len(sizes), dtype=bool)
    left = most
    for group in np.argsort(first):
        if sizes[group] <= left:
            chosen[group], left = True, left - sizes[group]
    return chosen[place]


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
