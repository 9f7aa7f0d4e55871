"""Missing values for the rows of generators that cannot take them: patterns of real rows, drawn by class."""

from __future__ import annotations

import numpy as np

from tabgen.table import Table

NOTE = "patterns of training rows of the same class"
"""What the outcome's notes say of it."""


def draw_missing(sample: Table, train: Table, seed: int) -> Table:
    """The sample with the pattern of missing values that a random training row of the same class has.

    A pattern is taken whole, so that columns are missing together as they are in the rows, and as often in each
    class; beyond the class it does not depend on the values. Without it, no row of such a generator ever misses
    anything, and a model that is told which values are missing would know synthetic rows by that.

    Parameters
    ----------
    sample : Table
        It may lack columns of ``train``; values that it misses itself stay so.
    train : Table
        The training rows as they are, with every class of the sample among them.
    seed : int
    """
    names = sample.schema.names
    missing = train.frame[names].isna().to_numpy()
    if not missing.any():
        return sample
    rng = np.random.default_rng([seed, len(sample)])
    place = {level: code for code, level in enumerate(train.schema.classes)}
    labels = np.array([place[sample.schema.classes[code]] for code in sample.labels], dtype=np.int64)
    donors = np.zeros(len(sample), dtype=np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        donors[rows] = rng.choice(np.flatnonzero(train.labels == label), len(rows))
    frame = sample.frame.copy()
    for number, name in enumerate(names):
        if missing[:, number].any():
            frame[name] = frame[name].where(~missing[donors, number])
    return Table(frame, sample.schema)
