"""All pairs of methods at once: how far apart, whether that can be claimed, and the ranks that are left possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from string import ascii_lowercase
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tabgen.statistics.ranks import Interval
from tabgen.statistics.scores import TIE_DECIMALS, StatisticsError
from tabgen.statistics.significance import (
    ENUMERATED_DATASETS,
    EXACT_DATASETS,
    FLIPS,
    holm,
    signed_rank,
    signed_rank_greater,
    signed_rank_tail,
)

#: Elements of a block of flipped statistics held in memory at a time.
BLOCK = 4_000_000

PairVerdict = Literal["better", "worse", "equal", "undecided"]


@dataclass(frozen=True)
class Pair:
    """The first of two methods against the second, over the datasets of the pool.

    Attributes
    ----------
    method, other : str
    estimate : float
        Hodges-Lehmann estimate of the pseudo-median of the difference, `method` minus `other`, in points.
    interval : Interval or None
        Its interval for this pair by itself, by inverting the signed-rank test; None where the datasets are too few.
    p : float
        Of no difference, adjusted over all pairs (`step_down_p`).
    p_equal : float
        Of a difference as large as the region of practical equality (TOST), Holm-adjusted over all pairs.
    equivalent : bool
        Whether the difference lies within the region, as far as `p_equal` goes: a claimed difference may.
    verdict : {"better", "worse", "equal", "undecided"}
        Of `method`; holds for all pairs at once.
    """

    method: str
    other: str
    estimate: float
    interval: Interval | None
    p: float
    p_equal: float
    equivalent: bool
    verdict: PairVerdict


class PseudoMedian(NamedTuple):
    """Hodges-Lehmann estimate, and its interval; None where the datasets are too few for the level."""

    estimate: float
    interval: Interval | None


def pseudo_median(differences: ArrayLike, level: float = 0.95) -> PseudoMedian:
    """The pseudo-median of paired differences: the median of the means of all two of them, and of each with itself.

    The pseudo-median of a distribution is the median of the mean of two independent draws; where the distribution is
    symmetric it is the median, and the mean. The interval inverts the signed-rank test: exact for symmetric
    differences up to 100 datasets, with ties at least at its level; by the normal approximation above.

    References
    ----------
    Hodges & Lehmann (1963), Annals of Mathematical Statistics 34; Hollander, Wolfe & Chicken (2014), Nonparametric
    Statistical Methods, sections 3.2 and 3.3.

    """
    values = np.asarray(differences, dtype=float)
    if values.size == 0 or np.isnan(values).any():
        raise StatisticsError("a pseudo-median needs at least one difference and no NaN")
    first, second = _triangle(values.size)
    averages = (values[first] + values[second]) / 2.0
    last = averages.size - 1
    middle = [last // 2, last - last // 2]
    cut = _walsh_cut(values.size, (1.0 - level) / 2.0)
    averages.partition(middle if cut is None else [cut, *middle, last - cut])
    interval = None if cut is None else Interval(float(averages[cut]), float(averages[last - cut]))
    return PseudoMedian(float(averages[middle].mean()), interval)


@lru_cache(maxsize=4)
def _triangle(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(size)


@lru_cache(maxsize=64)
def _walsh_cut(datasets: int, tail: float) -> int | None:
    """Walsh averages beyond each end of the interval: the largest k with P(W+ <= k) at most the tail, or None."""
    total = datasets * (datasets + 1) // 2
    if datasets > EXACT_DATASETS:
        from scipy.stats import norm

        sd = np.sqrt(datasets * (datasets + 1) * (2 * datasets + 1) / 24.0)
        return int(total / 2.0 - norm.isf(tail) * sd - 0.5)
    # P(W+ <= k) = P(W+ >= total - k); the tail is tabled for doubled ranks.
    at_most = signed_rank_tail(tuple(range(2, 2 * datasets + 1, 2)))[::-2]
    within = int(np.searchsorted(at_most, tail * (1 + 1e-9), side="right"))
    return within - 1 if within else None


def step_down_p(differences: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float64]:
    """Two-sided p of every pair, adjusted over all of them: signed-rank statistics, step-down over sign flips.

    Parameters
    ----------
    differences : array of shape (datasets, pairs)
        Paired differences of the same datasets, so that flips of a whole dataset keep how pairs depend on each other.
    seed : int
        For the random flips drawn above 12 datasets; up to there all are enumerated.

    Notes
    -----
    Statistic of a pair: the sum of its signed ranks (zeros by Pratt's rule) over the root of their squares' sum.
    Flipping the signs of whole datasets leaves the joint distribution of all pairs without a difference as it is
    whenever the gains of a dataset scatter symmetrically, so that for every set of such pairs the largest statistic
    has its exact level at any number of datasets, ties and unequal spreads included; the step-down (Westfall & Young
    1993; Romano & Wolf 2005) then holds the family-wise error whichever pairs differ. Holm over pairs would need
    p-values of alpha / pairs, which 10 datasets cannot give beyond 25 pairs; pairs that all point one way count once
    here.

    """
    signed = signed_ranks(differences)
    datasets, pairs = signed.shape
    observed = np.abs(signed.sum(axis=0))
    order = np.argsort(observed, kind="stable")  # least telling first
    sorted_columns, thresholds = signed[:, order], observed[order] - 1e-9
    enumerated = datasets <= ENUMERATED_DATASETS
    if enumerated:
        # The last dataset keeps its sign: flipping all of them changes nothing.
        signs = 1.0 - 2.0 * (np.arange(2 ** (datasets - 1))[:, None] >> np.arange(datasets) & 1)
    else:
        signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, size=(FLIPS, datasets), dtype=np.int8)
    reached = np.zeros(pairs)
    rows = max(1, BLOCK // pairs)
    for start in range(0, len(signs), rows):
        flipped = np.abs(signs[start : start + rows] @ sorted_columns)
        reached += (np.maximum.accumulate(flipped, axis=1, out=flipped) >= thresholds).sum(axis=0)
    raw = reached / len(signs) if enumerated else (1 + reached) / (1 + len(signs))
    adjusted = np.empty(pairs)
    adjusted[order] = np.maximum.accumulate(raw[::-1])[::-1]
    return adjusted


def signed_ranks(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed ranks within each column, zeros by Pratt's rule, over the root of their squares' sum."""
    from scipy.stats import rankdata

    rounded = np.round(np.asarray(differences, dtype=float), TIE_DECIMALS)
    signed = np.sign(rounded) * rankdata(np.abs(rounded), axis=0)
    scale = np.sqrt((signed**2).sum(axis=0))
    standardised: NDArray[np.float64] = np.divide(signed, scale, out=np.zeros_like(signed), where=scale > 0)
    return standardised


def equality_p(differences: ArrayLike, region: float) -> float:
    """P of a pseudo-median at least `region` away from 0: two one-sided signed-rank tests, the larger p (TOST)."""
    values = np.asarray(differences, dtype=float)
    return max(signed_rank_greater(values + region), signed_rank_greater(region - values))


def compare_pairs(matrix: pd.DataFrame, *, alpha: float = 0.05, region: float = 0.1, seed: int = 0) -> list[Pair]:
    """Every pair of methods, in the order of the columns; empty without two methods or a dataset.

    Parameters
    ----------
    matrix : DataFrame
        Shape (datasets, methods), mean gains in points, without NaN.
    alpha : float
        Family-wise error of the differences claimed, that of the equalities claimed, and 1 - level of each interval.
    region : float
        Half-width of practical equality in points; 0: nothing is called equal.
    seed : int
        For random sign flips.
    """
    names = [str(name) for name in matrix.columns]
    if len(matrix) == 0 or len(names) < 2:
        return []
    positions = list(combinations(range(len(names)), 2))
    values = matrix.to_numpy(dtype=float)
    first, second = np.array(positions).T
    differences = np.round(values[:, first] - values[:, second], TIE_DECIMALS)
    different, favour = step_down_p(differences, seed=seed), signed_ranks(differences).sum(axis=0)
    equal = holm([equality_p(column, region) for column in differences.T]) if region > 0 else [1.0] * len(positions)
    pairs = []
    for (a, b), column, p, p_equal, sign in zip(positions, differences.T, different, equal, favour, strict=True):
        claimed: PairVerdict = "better" if sign > 0 else "worse"
        equivalent = p_equal <= alpha
        verdict: PairVerdict = claimed if p <= alpha else "equal" if equivalent else "undecided"
        found = pseudo_median(column, 1.0 - alpha)
        pairs.append(Pair(names[a], names[b], *found, float(p), float(p_equal), equivalent, verdict))
    return pairs


def contrasts(
    matrix: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, alpha: float = 0.05, region: float = 0.1
) -> list[Pair]:
    """Pairs that were named before the outcomes: as `compare_pairs`, but Holm-adjusted over these alone."""
    return family([(matrix, pair) for pair in pairs], alpha=alpha, region=region) if len(matrix) else []


def family(
    named: Sequence[tuple[pd.DataFrame, tuple[str, str]]], *, alpha: float = 0.05, region: float = 0.1
) -> list[Pair]:
    """As `contrasts`, of pairs each of which has a matrix of its own: Holm-adjusted over all of them."""
    pairs = [pair for _, pair in named]
    columns = [np.round((matrix[a] - matrix[b]).to_numpy(dtype=float), TIE_DECIMALS) for matrix, (a, b) in named]
    tests = [signed_rank(column) for column in columns]
    equal = holm([equality_p(column, region) for column in columns]) if region > 0 else [1.0] * len(columns)
    found = []
    for (a, b), column, test, p, p_equal in zip(pairs, columns, tests, holm([t.p for t in tests]), equal, strict=True):
        claimed: PairVerdict = "better" if test.w_plus > test.w_minus else "worse"
        verdict: PairVerdict = claimed if p <= alpha else "equal" if p_equal <= alpha else "undecided"
        found.append(Pair(a, b, *pseudo_median(column, 1.0 - alpha), p, p_equal, p_equal <= alpha, verdict))
    return found


def withhold(pairs: Sequence[Pair]) -> list[Pair]:
    """The same pairs with nothing claimed of them: for an arm that cannot tell what is known to be bad."""
    return [replace(pair, verdict="undecided", equivalent=False) for pair in pairs]


def rank_sets(methods: Sequence[str], pairs: Sequence[Pair]) -> dict[str, tuple[int, int]]:
    """For every method the best and worst rank that the pairs' verdicts leave possible.

    With probability at least 1 - alpha all sets hold the ranks of the methods' pseudo-medians at once: they miss one
    only if a difference is claimed wrongly.

    References
    ----------
    Mogstad, Romano, Shaikh & Wilhelm (2024), Review of Economic Studies 91, section 3.

    """
    above, below = dict.fromkeys(methods, 0), dict.fromkeys(methods, 0)
    for pair in pairs:
        if pair.verdict in ("better", "worse"):
            better, worse = (pair.method, pair.other) if pair.verdict == "better" else (pair.other, pair.method)
            above[worse] += 1
            below[better] += 1
    return {name: (1 + above[name], len(methods) - below[name]) for name in methods}


def tie_bands(methods: Sequence[str], pairs: Sequence[Pair]) -> list[list[str]]:
    """Maximal groups of methods of which no two are told apart, in the order of `methods`; groups may overlap."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(methods)
    graph.add_edges_from((p.method, p.other) for p in pairs if p.verdict not in ("better", "worse"))
    place = {name: position for position, name in enumerate(methods)}
    bands = [sorted(band, key=place.__getitem__) for band in nx.find_cliques(graph)]
    return sorted(bands, key=lambda band: [place[name] for name in band])


def band_letters(bands: Sequence[Sequence[str]]) -> dict[str, str]:
    """The letters of each method's bands, "a" the first: methods that share a letter are not told apart.

    References
    ----------
    Piepho (2004), Journal of Computational and Graphical Statistics 13, on compact letter displays.

    """
    letters: dict[str, str] = {}
    for number, band in enumerate(bands):
        letter = ascii_lowercase[number % 26] + (str(number // 26 + 1) if number >= 26 else "")
        for name in band:
            letters[name] = letters.get(name, "") + letter
    return letters


def pairs_sentence(pairs: Sequence[Pair], region: float) -> str:
    """How many pairs can be told apart, are practically equal, and are undecided."""
    told = sum(pair.verdict in ("better", "worse") for pair in pairs)
    equal = sum(pair.verdict == "equal" for pair in pairs)
    undecided = len(pairs) - told - equal
    are = "is" if undecided == 1 else "are"
    return (
        f"Of {len(pairs)} pair{'' if len(pairs) == 1 else 's'} {undecided} {are} undecided at this resolution;"
        f" {told} differ, {equal} {'is' if equal == 1 else 'are'} equal within {region:g} points."
    )
