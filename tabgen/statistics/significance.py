"""Frequentist tests on a datasets x methods matrix: Friedman, Nemenyi, Wilcoxon signed-rank, Holm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tabgen.statistics.ranks import dataset_ranks, mean_ranks
from tabgen.statistics.scores import TIE_DECIMALS, StatisticsError

#: Up to here the signed-rank distribution is computed exactly, above by scipy's normal approximation.
EXACT_DATASETS = 100
#: Up to here all 2**(n-1) sign flips are enumerated.
ENUMERATED_DATASETS = 12
FLIPS = 9_999


@dataclass(frozen=True)
class FriedmanTest:
    """Omnibus test of "no method differs from the others".

    `chi2`, `chi2_p`: Friedman with tie correction (scipy). `f`, `f_p`: Iman-Davenport. `flip_p`: the same
    statistic against its distribution under sign flips. `p` = max(f_p, flip_p) is what the verdicts use.
    """

    datasets: int
    methods: int
    chi2: float
    chi2_p: float
    f: float
    f_p: float
    flip_p: float

    @property
    def p(self) -> float:
        return max(self.f_p, self.flip_p)


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon signed-rank test of paired differences: rank sums, zeros among the pairs, two-sided p."""

    w_plus: float
    w_minus: float
    zeros: int
    p: float


def friedman(matrix: pd.DataFrame, *, seed: int = 0) -> FriedmanTest:
    """Friedman's chi-squared, the Iman-Davenport F, and a sign-flip p-value for the same statistic.

    Parameters
    ----------
    matrix : DataFrame
        Shape (datasets, methods), without NaN, higher is better.
    seed : int
        For the random sign flips drawn above 12 datasets.

    Raises
    ------
    StatisticsError
        With fewer than 3 methods or 2 datasets, or on a NaN.

    Notes
    -----
    Why a third p-value: chi2 and F assume exchangeable methods. Here `zero-shot` has the same gain (0) on
    every dataset and some methods vary more than others; on such data without any difference the F test was
    measured to reject in up to 7.5 % of the studies at alpha 0.05 (`benchmarks/null_error.py`). Reversing the
    ranks of a whole dataset leaves the null distribution as it is whenever gains scatter symmetrically around
    a common value, with any spread per method, so the flipped statistic keeps its level. It is the assumption
    of the signed-rank test.

    References
    ----------
    Friedman (1937); Iman & Davenport (1980); Demšar (2006), JMLR 7, section 3.2.2.

    """
    from scipy import stats

    _require_complete(matrix)
    datasets, methods = matrix.shape
    if methods < 3 or datasets < 2:
        raise StatisticsError(
            f"the Friedman test needs at least 3 methods and 2 datasets, not {methods} and {datasets}; "
            "compare two methods with the signed-rank test"
        )
    ranks = dataset_ranks(matrix).to_numpy(dtype=float)
    centred = ranks - (methods + 1) / 2.0
    if not centred.any():
        return FriedmanTest(datasets, methods, chi2=0.0, chi2_p=1.0, f=0.0, f_p=1.0, flip_p=1.0)
    chi2, chi2_p = (float(x) for x in stats.friedmanchisquare(*(-ranks).T))
    remaining = datasets * (methods - 1) - chi2
    f = float("inf") if remaining <= 1e-9 else (datasets - 1) * chi2 / remaining
    f_p = float(stats.f.sf(f, methods - 1, (methods - 1) * (datasets - 1)))
    # No more extreme result exists than full agreement, whose probability is this.
    f_p = max(f_p, exp(-(datasets - 1) * lgamma(methods + 1)))
    return FriedmanTest(datasets, methods, chi2, chi2_p, f, f_p, _flip_p(centred, seed))


def _flip_p(centred_ranks: NDArray[np.float64], seed: int) -> float:
    """Share of sign flips of whole datasets whose squared column sums reach the observed ones."""
    datasets = len(centred_ranks)
    observed = float((centred_ranks.sum(axis=0) ** 2).sum()) - 1e-9
    if datasets <= ENUMERATED_DATASETS:
        # The last dataset keeps its sign: flipping all of them changes nothing.
        bits = np.arange(2 ** (datasets - 1))[:, None] >> np.arange(datasets) & 1
        statistics = (((1.0 - 2.0 * bits) @ centred_ranks) ** 2).sum(axis=1)
        return float((statistics >= observed).mean())
    rng = np.random.default_rng(seed)
    signs = 1.0 - 2.0 * rng.integers(0, 2, size=(FLIPS, datasets), dtype=np.int8)
    statistics = ((signs @ centred_ranks) ** 2).sum(axis=1)
    return float((1 + (statistics >= observed).sum()) / (1 + FLIPS))


def critical_difference(methods: int, datasets: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks, from the exact studentised range, for any pool size.

    Demšar (2006), section 3.2.2: `CD = q_alpha * sqrt(k (k + 1) / (6 N))`, `q_alpha` = studentised range /
    sqrt(2).
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1.0 - alpha, methods, np.inf)) / np.sqrt(2.0)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6.0 * datasets)))


def nemenyi(matrix: pd.DataFrame) -> pd.DataFrame:
    """Nemenyi's p-value of each pair (scikit-posthocs), (methods, methods); it depends on the whole pool."""
    import scikit_posthocs

    _require_complete(matrix)  # scikit-posthocs would silently drop the dataset
    result = scikit_posthocs.posthoc_nemenyi_friedman(matrix.round(TIE_DECIMALS).to_numpy(dtype=float))
    return pd.DataFrame(result.to_numpy(), index=matrix.columns, columns=matrix.columns)


def cliques(ranks: pd.Series, difference: float) -> list[list[str]]:
    """Maximal groups of methods whose mean ranks differ by at most `difference`; groups may overlap.

    Methods come best first, groups too; a method that differs from every other is in no group.
    """
    ordered = ranks.sort_values(kind="stable")
    values = ordered.to_numpy(dtype=float)
    groups: list[list[str]] = []
    furthest = 0
    for start in range(len(values)):
        end = int(np.searchsorted(values, values[start] + difference + 1e-12, side="right"))
        # Contained in the previous group unless it reaches further.
        if end > furthest and end - start > 1:
            groups.append([str(name) for name in ordered.index[start:end]])
        furthest = max(furthest, end)
    return groups


@lru_cache(maxsize=256)
def signed_rank_tail(doubled_ranks: tuple[int, ...]) -> NDArray[np.float64]:
    """P(2 W+ >= w) for w = 0, 1, ..., where each rank is added with probability 1/2."""
    probability = np.zeros(sum(doubled_ranks) + 1)
    probability[0] = 1.0
    for rank in doubled_ranks:
        shifted = np.zeros_like(probability)
        shifted[rank:] = probability[: len(probability) - rank]
        probability = 0.5 * (probability + shifted)
    return probability[::-1].cumsum()[::-1]


def signed_rank(differences: ArrayLike) -> SignedRank:
    """Wilcoxon signed-rank test, two-sided, zeros by Pratt's rule (ranked, then left out of both sums).

    Up to 100 non-zero differences p is exact given the absolute differences, with ties and zeros; scipy is
    exact with ties only up to 13. Above, scipy's normal approximation. Differences are rounded to
    `TIE_DECIMALS` first.

    References
    ----------
    Wilcoxon (1945); Pratt (1959); Demšar (2006), section 3.1.3.

    """
    from scipy import stats

    rounded = np.round(np.asarray(differences, dtype=float), TIE_DECIMALS)
    if np.isnan(rounded).any():
        raise StatisticsError("the signed-rank test got a NaN; apply a policy for missing outcomes first")
    ranks = stats.rankdata(np.abs(rounded))
    w_plus, w_minus = float(ranks[rounded > 0].sum()), float(ranks[rounded < 0].sum())
    nonzero = rounded != 0
    zeros = int((~nonzero).sum())
    if not nonzero.any():
        return SignedRank(w_plus, w_minus, zeros, 1.0)
    if nonzero.sum() > EXACT_DATASETS:
        p = float(stats.wilcoxon(rounded, zero_method="pratt").pvalue)
    else:
        doubled = tuple(int(rank) for rank in np.sort(np.rint(2.0 * ranks[nonzero])))
        p = min(1.0, 2.0 * float(signed_rank_tail(doubled)[round(2.0 * max(w_plus, w_minus))]))
    return SignedRank(w_plus, w_minus, zeros, p)


def signed_rank_greater(differences: ArrayLike) -> float:
    """One-sided p of the signed-rank test against differences that centre above 0; see `signed_rank`."""
    from scipy import stats

    rounded = np.round(np.asarray(differences, dtype=float), TIE_DECIMALS)
    nonzero = rounded != 0
    if not nonzero.any():
        return 1.0
    if nonzero.sum() > EXACT_DATASETS:
        return float(stats.wilcoxon(rounded, zero_method="pratt", alternative="greater").pvalue)
    ranks = stats.rankdata(np.abs(rounded))
    doubled = tuple(int(rank) for rank in np.sort(np.rint(2.0 * ranks[nonzero])))
    return float(signed_rank_tail(doubled)[round(2.0 * float(ranks[rounded > 0].sum()))])


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979): valid whatever the dependence."""
    raw = np.asarray(p_values, dtype=float)
    order = np.argsort(raw, kind="stable")
    stepped = np.maximum.accumulate((len(raw) - np.arange(len(raw))) * raw[order])
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in adjusted]


def smallest_attainable_p(datasets: int, comparisons: int = 1) -> float:
    """Smallest Holm-adjusted signed-rank p this many datasets can give: `comparisons * 2 / 2**datasets`."""
    return min(1.0, comparisons * 2.0 ** (1 - datasets))


def nemenyi_groups(matrix: pd.DataFrame, alpha: float = 0.05) -> list[list[str]]:
    """Groups of methods that Nemenyi's test cannot tell apart, best first."""
    return cliques(mean_ranks(matrix), critical_difference(matrix.shape[1], len(matrix), alpha))


def _require_complete(matrix: pd.DataFrame) -> None:
    gaps = int(matrix.isna().to_numpy().sum())
    if gaps:
        raise StatisticsError(
            f"{gaps} of {matrix.size} dataset means are missing; "
            "apply a policy for missing outcomes first (complete, worst or baseline)"
        )
