"""Bayesian signed-rank test with a region of practical equivalence (ROPE)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tabgen.statistics.scores import StatisticsError

#: Elements of a block of posterior draws computed at a time: what a processor's cache holds.
BLOCK = 100_000


class Posterior(NamedTuple):
    """Probabilities that the first method is better, practically equal, or worse; they add up to 1."""

    win: float
    equal: float
    lose: float


def posterior_weights(datasets: int, *, prior: float = 0.5, draws: int = 20_000, seed: int = 0) -> NDArray[np.float64]:
    """Dirichlet weights, shape (draws, 1 + datasets): the prior's pseudo-dataset first, then the datasets."""
    concentration = np.ones(datasets + 1)
    concentration[0] = prior
    return np.random.default_rng(seed).dirichlet(concentration, size=draws)


def bayesian_signed_rank(
    differences: ArrayLike,
    *,
    rope: float = 0.1,
    prior: float = 0.5,
    draws: int = 20_000,
    seed: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> Posterior:
    """Posterior probabilities of win, practical equality and loss, given paired differences over datasets.

    Parameters
    ----------
    differences : array of shape (datasets,)
        First method minus second, in points of the normalised score (percent of zero-shot).
    rope : float
        Differences of at most this size, in the same points, count as practically equal; 0 switches equality
        off.
    prior : float
        Weight of one pseudo-dataset with difference 0 (baycomp's default, 0.5).
    draws, seed : int
        Monte-Carlo draws of the Dirichlet weights; the standard error of a probability is at most `0.5 / sqrt(draws)`.
    weights : array of shape (draws, 1 + datasets), optional
        From `posterior_weights`, to share draws between comparisons; then prior, draws and seed are not used.

    Raises
    ------
    StatisticsError
        Without differences, on a NaN, or for a negative rope.

    Notes
    -----
    A draw gives each dataset a weight w; theta_win is the weighted share of pairs (i, j) whose mean
    difference (z_i + z_j) / 2 exceeds the rope, theta_lose of those below -rope (halves for pairs on the
    border), theta_equal the rest. The result is how often each is the largest of the three.

    References
    ----------
    Benavoli, Mangili, Corani, Zaffalon & Ruggeri (2014), ICML; Benavoli, Corani, Demšar & Zaffalon (2017),
    JMLR 18, section 4.3.

    """
    values = np.asarray(differences, dtype=float)
    if values.size == 0 or np.isnan(values).any():
        raise StatisticsError("the Bayesian signed-rank test needs at least one difference and no NaN")
    if rope < 0:
        raise StatisticsError(f"rope must be at least 0 points, not {rope}")
    if weights is None:
        weights = posterior_weights(values.size, prior=prior, draws=draws, seed=seed)
    points = np.concatenate([[0.0], values])
    order = np.argsort(points, kind="stable")
    # Rounding keeps a pair whose sum should equal the threshold on it.
    points = np.round(points[order], 12)
    above = _first_partners(points, 2.0 * rope)
    below = _first_partners(points, -2.0 * rope)
    tally = np.zeros(3)
    rows = max(1, BLOCK // points.size)
    for start in range(0, len(weights), rows):
        block = weights[start : start + rows, order].T.copy()  # (1 + datasets, draws)
        suffix = np.zeros((len(block) + 1, block.shape[1]))
        suffix[:-1] = block[::-1].cumsum(axis=0)[::-1]
        win = _pairs_beyond(block, suffix, above)
        lose = 1.0 - _pairs_beyond(block, suffix, below)
        if rope == 0:
            wins = np.where(np.isclose(win, lose, rtol=0, atol=1e-12), 0.5, win > lose)
            tally += [wins.sum(), 0.0, (1.0 - wins).sum()]
        else:
            # argmax picks the first of equals: equality first, so that a tie is never called a win.
            winner = np.argmax(np.stack([1.0 - win - lose, win, lose]), axis=0)
            tally += np.bincount(winner, minlength=3)[[1, 0, 2]]
    win_share, equal_share, lose_share = (float(x) for x in tally / len(weights))
    return Posterior(win_share, equal_share, lose_share)


def _first_partners(points: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each sorted point: index of the first partner whose sum reaches, and exceeds, the threshold."""
    needed = np.round(threshold - points, 12)
    return np.searchsorted(points, needed, side="left"), np.searchsorted(points, needed, side="right")


def _pairs_beyond(
    weights: NDArray[np.float64],
    suffix: NDArray[np.float64],
    partners: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Weighted share of pairs beyond the threshold, half of those on it, in time linear in the datasets."""
    reach, exceed = partners
    share: NDArray[np.float64] = np.einsum("ij,ij->j", weights, suffix[exceed])
    if (reach != exceed).any():
        share = 0.5 * (share + np.einsum("ij,ij->j", weights, suffix[reach]))
    return share
