"""Membership inference: whether the synthetic rows tell which real rows their generator was fitted on.

DOMIAS (van Breugel, Sun, Qian, van der Schaar: *Membership Inference Attacks against Synthetic Data through Overfitting
Detection*, AISTATS 2023, arXiv 2302.12580) calls a row a member where the synthetic rows are denser than the population
is: by the ratio of two densities at the row. The attack here is theirs with the densities estimated by the nearest
neighbour (Loftsgaarden and Quesenberry 1965) in place of kernels or flows: the logarithm of the distance to the
nearest row of a reference over the distance to the nearest synthetic row. It has nothing to tune, and takes columns of
any kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabgen.places import Array, Places, cap, distances
from tabgen.table import Table

MAX_ROWS = 1000
"""Members, and synthetic rows for each of them, at most; more are drawn down to this many."""
LEAST_HELD_OUT = 20
"""Held-out rows below which nothing is said: half of them are the reference, half the rows that are no members."""
NEAR = 1e-3
"""Added to both distances: below it rows are equal as far as the ratio goes, and two rows at 0 are equally near."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Membership:
    """How well the attack tells members from other real rows.

    Attributes
    ----------
    auc : float
        The chance that a member scores above a row that is none: 0.5 tells nothing, 1 tells all.
    low, high : float
        A 95 % bootstrap interval, members and other rows drawn anew.
    caught : float
        Share of members called so where one in ten of the others is: 0.1 tells nothing.
    members, others : int
    """

    auc: float
    low: float
    high: float
    caught: float
    members: int
    others: int

    @property
    def tells(self) -> bool:
        """Whether the attack is better than chance beyond what these few rows leave open."""
        return self.low > 0.5


def membership(train: Table, held_out: Table, sample: Table, seed: int) -> Membership | None:
    """Attack a sample with real rows that its generator has not seen.

    The held-out rows are cut in halves: each half in turn is the reference, which stands for what the attacker knows of
    the population, and the other half is what members have to be told from.

    Parameters
    ----------
    train : Table
        The members: the rows that the generator was fitted on.
    held_out : Table
        Rows of the same table that it has not seen.
    sample : Table
        It may lack columns.
    seed : int
        Of the halves, of the draws that cap the rows, and of the interval.

    Returns
    -------
    Membership or None
        None with fewer than :data:`LEAST_HELD_OUT` held-out rows, or where only free text is left to compare.
    """
    places = Places(train, sample.schema.names)
    if len(held_out) < LEAST_HELD_OUT or not places.columns:
        return None
    rng = np.random.default_rng(seed)
    members, others, drawn = (cap(table, MAX_ROWS, rng) for table in (train, held_out, sample))
    order = rng.permutation(len(others))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    to_drawn = _nearest(places, members, drawn), _nearest(places, others, drawn)
    scores = np.zeros((2, len(members)))
    theirs = np.zeros(len(others))
    for turn, (known, asked) in enumerate((halves, halves[::-1])):
        reference = others.take(known)
        scores[turn] = _ratio(_nearest(places, members, reference), to_drawn[0])
        theirs[asked] = _ratio(_nearest(places, others.take(asked), reference), to_drawn[1][asked])
    wins = np.zeros((len(members), len(others)))
    for turn, (_, asked) in enumerate((halves, halves[::-1])):
        wins[:, asked] = _wins(scores[turn], theirs[asked])
    low, high = _interval(wins, rng)
    caught = np.mean([_caught(scores[turn], theirs[asked]) for turn, (_, asked) in enumerate((halves, halves[::-1]))])
    return Membership(float(wins.mean()), low, high, float(caught), len(members), len(others))


def _nearest(places: Places, rows: Table, others: Table) -> Array:
    found: Array = distances(places, rows, others).min(axis=1)
    return found


def _ratio(to_reference: Array, to_drawn: Array) -> Array:
    """The logarithm of the ratio of densities, up to a constant that all rows share."""
    found: Array = np.log(to_reference + NEAR) - np.log(to_drawn + NEAR)
    return found


def _wins(ours: Array, theirs: Array) -> Array:
    """1 where a member scores above another row, one half where equal: (members, others); the mean is the AUC."""
    won: Array = (ours[:, None] > theirs[None, :]) + 0.5 * (ours[:, None] == theirs[None, :])
    return won


def _caught(ours: Array, theirs: Array) -> float:
    """Share of members above the score that one in ten of the others passes: one in ten also where they are few."""
    return float((ours > np.quantile(theirs, 0.9, method="weibull")).mean())


def _interval(wins: Array, rng: np.random.Generator) -> tuple[float, float]:
    """95 % of the AUC's bootstrap: rows and columns of the wins drawn anew."""
    m, n = wins.shape
    rows = rng.multinomial(m, np.full(m, 1 / m), RESAMPLES) / m
    columns = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
    low, high = np.quantile(((rows @ wins) * columns).sum(1), [0.025, 0.975])
    return float(low), float(high)
