"""Distance to the closest record: how near synthetic rows come to the rows their generator was fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabgen.places import Array, Places, cap, distances
from tabgen.table import Table

MAX_ROWS = 1000
"""Rows of each table that are compared; more are drawn down to this many."""
VERY_NEAR = 0.05
"""The nearest part of the rows that are compared with: nearer than them is very near."""


@dataclass(frozen=True)
class Closest:
    """Distances to the nearest training row, 0 (equal) to 1.

    Attributes
    ----------
    drawn : ndarray, shape (synthetic rows,)
    others : ndarray
        Of the held-out rows; without any, of each training row to the nearest other one.
    held_out : bool
        Which of the two ``others`` are.
    """

    drawn: Array
    others: Array
    held_out: bool

    @property
    def very_near(self) -> float:
        """Share of synthetic rows nearer than :data:`VERY_NEAR` of the others are; as large, if nothing was copied."""
        return float((self.drawn < np.quantile(self.others, VERY_NEAR)).mean())

    @property
    def equal(self) -> float:
        """Share of synthetic rows at distance 0."""
        return float((self.drawn == 0).mean())


def closest(train: Table, held_out: Table | None, sample: Table, seed: int) -> Closest | None:
    """Distances of a sample's rows to the nearest training row, beside those of real rows; None if all is free text."""
    places = Places(train, sample.schema.names)
    if not places.columns or len(train) < 2:
        return None
    rng = np.random.default_rng(seed)
    train, sample = cap(train, MAX_ROWS, rng), cap(sample, MAX_ROWS, rng)
    drawn = distances(places, sample, train).min(axis=1)
    if held_out is not None and len(held_out):
        return Closest(drawn, distances(places, cap(held_out, MAX_ROWS, rng), train).min(axis=1), True)
    own = distances(places, train, train)
    np.fill_diagonal(own, np.inf)
    return Closest(drawn, own.min(axis=1), False)
