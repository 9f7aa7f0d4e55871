"""Ranks, duels, spreads and bootstrap intervals of a datasets x methods matrix where higher is better."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabgen.statistics.scores import TIE_DECIMALS

#: Elements of a resampled block held in memory at a time.
BLOCK = 4_000_000


class Duels(NamedTuple):
    """Pairwise counts over datasets, each (methods, methods): entry (a, b) is about a against b."""

    wins: pd.DataFrame
    ties: pd.DataFrame
    losses: pd.DataFrame


class Interval(NamedTuple):
    """Lower and upper end; NaN where fewer than two datasets leave nothing to resample."""

    low: float
    high: float


def dataset_ranks(matrix: pd.DataFrame) -> pd.DataFrame:
    """Rank of each method on each dataset, 1 = best, mean ranks for ties after rounding to `TIE_DECIMALS`."""
    return matrix.round(TIE_DECIMALS).rank(axis=1, ascending=False, method="average")


def mean_ranks(matrix: pd.DataFrame) -> pd.Series:
    """Average rank of each method over the datasets; it depends on which other methods are in the matrix."""
    return dataset_ranks(matrix).mean(axis=0)


def duels(matrix: pd.DataFrame) -> Duels:
    """Wins, ties and losses of every method against every other, counted over datasets."""
    values = matrix.round(TIE_DECIMALS).to_numpy(dtype=float)
    # One method at a time keeps memory at datasets x methods.
    wins = np.array([(values[:, [a]] > values).sum(axis=0) for a in range(values.shape[1])], dtype=int)
    wins = wins.reshape(values.shape[1], values.shape[1])
    losses = wins.T
    ties = len(values) - wins - losses
    np.fill_diagonal(ties, len(values))
    names = matrix.columns
    return Duels(*(pd.DataFrame(counts, index=names, columns=names) for counts in (wins, ties, losses)))


def bootstrap_intervals(
    matrix: pd.DataFrame,
    statistic: Literal["median", "mean"],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile bootstrap interval of each column's median or mean, resampling datasets (rows).

    Parameters
    ----------
    matrix : DataFrame
        Shape (datasets, methods). Gains for intervals of median gains; `dataset_ranks` for intervals of mean ranks
        (with the pool held fixed).
    statistic : {"median", "mean"}
        What is computed from each resample.
    level : float
        Coverage aimed at. With fewer than about 10 datasets the real coverage is lower.
    resamples, seed : int
        The same seed gives the same interval; all methods share the same resampled datasets.

    Returns
    -------
    dict of method to Interval
        Empty below two datasets, which resample to themselves.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    """
    values = matrix.to_numpy(dtype=float)
    datasets = len(values)
    if datasets < 2:
        return {}
    picks = np.random.default_rng(seed).integers(0, datasets, size=(resamples, datasets))
    replicates = np.empty((resamples, values.shape[1]))
    rows = max(1, BLOCK // datasets)
    for start in range(0, resamples, rows):
        block = picks[start : start + rows]
        for column in range(values.shape[1]):
            drawn = values[:, column][block]
            replicates[start : start + rows, column] = (
                np.median(drawn, axis=1) if statistic == "median" else drawn.mean(axis=1)
            )
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail], axis=0)
    return {str(name): Interval(float(a), float(b)) for name, a, b in zip(matrix.columns, low, high, strict=True)}


def spreads(matrix: pd.DataFrame) -> pd.DataFrame:
    """Spread over datasets: `iqr` (75th minus 25th percentile) and `sd` (n - 1); NaN for one dataset."""
    values = matrix.to_numpy(dtype=float)
    if len(values) < 2:
        empty: NDArray[np.float64] = np.full(values.shape[1], np.nan)
        return pd.DataFrame({"iqr": empty, "sd": empty}, index=matrix.columns)
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    return pd.DataFrame({"iqr": high - low, "sd": values.std(axis=0, ddof=1)}, index=matrix.columns)
