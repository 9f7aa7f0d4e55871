"""What may be said: planned comparisons, the sentences they allow, one family-wise error for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from tabgen.statistics.bayes import Posterior, bayesian_signed_rank, posterior_weights
from tabgen.statistics.pairs import equality_p
from tabgen.statistics.scores import TIE_DECIMALS
from tabgen.statistics.significance import (
    FriedmanTest,
    friedman,
    holm,
    signed_rank,
    smallest_attainable_p,
)

#: Below this many datasets no verdict is given, below the second it comes with a warning.
FEWEST_DATASETS = 5
FEW_DATASETS = 10
REFERENCES = ("real", "zero-shot")
#: Posterior draws times datasets stays near this, so that a large pool does not cost minutes.
DRAW_BUDGET = 2_000_000


@dataclass(frozen=True)
class Comparison:
    """One method against one reference over the datasets of the pool.

    `p` is the raw signed-rank p, which does not depend on the other methods; `p_adjusted` is Holm's over the
    family of planned comparisons. `p_equal` is that of a difference as large as the region of practical equality
    (TOST), Holm-adjusted over the same family, and 1 without a region. `median_difference` is method minus reference,
    in points. `higher`: the signed-rank sums favour the method; wins or the median may point the other way in a skewed
    sample. `posterior` is None if not asked for.
    """

    method: str
    reference: str
    datasets: int
    wins: int
    ties: int
    losses: int
    median_difference: float
    higher: bool
    p: float
    p_adjusted: float
    p_equal: float
    posterior: Posterior | None


@dataclass(frozen=True)
class Verdict:
    """One sentence; `claims_difference` and `claims_equality` mark those that say that methods differ, or hardly do."""

    kind: Literal["refused", "warning", "omnibus", "comparison"]
    sentence: str
    claims_difference: bool = False
    method: str | None = None
    reference: str | None = None
    claims_equality: bool = False

    @property
    def undecided(self) -> bool:
        """Whether it is a comparison that claims nothing."""
        return self.kind == "comparison" and not (self.claims_difference or self.claims_equality)

    def __str__(self) -> str:
        return self.sentence


def planned_pairs(methods: Sequence[str], references: Sequence[str] = REFERENCES) -> list[tuple[str, str]]:
    """Every method against each reference in the pool, each pair once; all pairs where the pool has none."""
    present = [name for name in references if name in methods]
    pairs: list[tuple[str, str]] = []
    for position, reference in enumerate(present):
        # real against zero-shot is asked once, as real against zero-shot.
        later = set(present[position + 1 :])
        pairs += [(method, reference) for method in methods if method != reference and method not in later]
    return pairs or list(combinations(methods, 2))


def planned_comparisons(
    matrix: pd.DataFrame,
    references: Sequence[str] = REFERENCES,
    *,
    rope: float | None = 0.1,
    seed: int = 0,
) -> list[Comparison]:
    """Signed-rank tests of `planned_pairs`, Holm-adjusted over exactly this family.

    Parameters
    ----------
    matrix : DataFrame
        Shape (datasets, methods), mean gains in points, without NaN.
    references : sequence of str
        The methods all others are compared with.
    rope : float or None
        Half-width of practical equality in points; None leaves equality and the Bayesian test out.
    seed : int
        For the posterior draws.

    Returns
    -------
    list of Comparison; empty without datasets

    """
    pairs = planned_pairs([str(name) for name in matrix.columns], references)
    if len(matrix) == 0 or not pairs:
        return []
    datasets = len(matrix)
    differences = {
        pair: np.round((matrix[pair[0]] - matrix[pair[1]]).to_numpy(dtype=float), TIE_DECIMALS) for pair in pairs
    }
    tests = [signed_rank(differences[pair]) for pair in pairs]
    raw = [test.p for test in tests]
    equal = holm([equality_p(differences[pair], rope) if rope else 1.0 for pair in pairs])
    weights = None
    if rope is not None:
        draws = int(np.clip(DRAW_BUDGET // datasets, 2_000, 20_000))
        weights = posterior_weights(datasets, draws=draws, seed=seed)
    comparisons = []
    for pair, test, p_adjusted, p_equal in zip(pairs, tests, holm(raw), equal, strict=True):
        difference = differences[pair]
        comparisons.append(
            Comparison(
                method=pair[0],
                reference=pair[1],
                datasets=datasets,
                wins=int((difference > 0).sum()),
                ties=int((difference == 0).sum()),
                losses=int((difference < 0).sum()),
                median_difference=float(np.median(difference)),
                higher=test.w_plus > test.w_minus,
                p=test.p,
                p_adjusted=p_adjusted,
                p_equal=p_equal,
                posterior=None if rope is None else bayesian_signed_rank(difference, rope=rope, weights=weights),
            )
        )
    return comparisons


def verdicts(
    datasets: int,
    methods: int,
    omnibus: FriedmanTest | None,
    comparisons: Sequence[Comparison],
    *,
    alpha: float = 0.05,
    rope: float | None = 0.1,
) -> list[Verdict]:
    """Sentences for the omnibus test and for each planned comparison.

    A difference is claimed only if the omnibus test rejects at `alpha` (with 3 or more methods) and the
    comparison's Holm-adjusted p is at most `alpha`. If no method differs, a false sentence needs a false
    rejection of the omnibus test; if some do, Holm bounds the false comparisons: either way the family-wise
    error is at most `alpha`.
    """
    if methods < 2:
        return [Verdict("refused", f"No verdict: a comparison needs at least 2 methods, this pool has {methods}.")]
    if datasets < FEWEST_DATASETS:
        return [
            Verdict(
                "refused",
                f"No verdict: {_count(datasets, 'dataset')} in the pool, and fewer than {FEWEST_DATASETS} "
                "can show nothing. Ranks, if any, describe these datasets only.",
            )
        ]
    sentences: list[Verdict] = []
    if datasets < FEW_DATASETS:
        sentences.append(
            Verdict(
                "warning",
                f"Only {datasets} datasets: fewer than {FEW_DATASETS} show large, consistent differences "
                "only, and the intervals are too narrow.",
            )
        )
    attainable = smallest_attainable_p(datasets, len(comparisons))
    if comparisons and attainable > alpha:
        sentences.append(
            Verdict(
                "warning",
                f"With {datasets} datasets and {_count(len(comparisons), 'comparison')} the smallest "
                f"attainable Holm-adjusted p is {attainable:.2g}: no pairwise difference, however large, "
                f"could be claimed at {alpha:g}.",
            )
        )
    gate_open = True
    if omnibus is not None:
        gate_open = omnibus.p <= alpha
        sentences.append(_omnibus_verdict(omnibus, gate_open))
    sentences += [_comparison_verdict(comparison, gate_open, alpha, rope) for comparison in comparisons]
    return sentences


def judge(
    matrix: pd.DataFrame,
    references: Sequence[str] = REFERENCES,
    *,
    alpha: float = 0.05,
    rope: float | None = 0.1,
    seed: int = 0,
) -> tuple[FriedmanTest | None, list[Comparison], list[Verdict]]:
    """From a (datasets, methods) matrix to the omnibus test, the planned comparisons and the verdicts.

    The omnibus test is None with fewer than 3 methods or 2 datasets: then the signed-rank tests stand alone.
    """
    datasets, methods = matrix.shape
    omnibus = friedman(matrix, seed=seed) if methods >= 3 and datasets >= 2 else None
    comparisons = planned_comparisons(matrix, references, rope=rope, seed=seed)
    return omnibus, comparisons, verdicts(datasets, methods, omnibus, comparisons, alpha=alpha, rope=rope)


def _omnibus_verdict(test: FriedmanTest, rejected: bool) -> Verdict:
    numbers = (
        f"Friedman over {test.datasets} datasets and {test.methods} methods: chi2 = {test.chi2:.2f}, "
        f"Iman-Davenport F = {test.f:.2f}, {_p(test.f_p)}, by sign flips {_p(test.flip_p)}"
    )
    if rejected:
        return Verdict("omnibus", f"The methods are not all alike ({numbers}).", claims_difference=True)
    return Verdict("omnibus", f"No difference between the methods can be claimed ({numbers}).")


def _comparison_verdict(comparison: Comparison, gate_open: bool, alpha: float, rope: float | None) -> Verdict:
    record = (
        f"median difference {comparison.median_difference:+.3f} points; {comparison.wins} wins, "
        f"{comparison.ties} ties, {comparison.losses} losses; Wilcoxon-Holm {_p(comparison.p_adjusted)}"
    )
    method, reference = comparison.method, comparison.reference
    alike = bool(rope) and comparison.p_equal <= alpha
    equal = (
        f" They are practically equal, within {rope:g} points (TOST-Holm {_p(comparison.p_equal)})." if alike else ""
    )
    if gate_open and comparison.p_adjusted <= alpha:
        verb = "scores higher than" if comparison.higher else "scores lower than"
        sentence = f"{method} {verb} {reference} ({record}).{equal}"
        return Verdict("comparison", sentence, True, method, reference, alike)
    # A small p behind a closed gate needs an explanation; a large one does not.
    why = "; set aside, since the omnibus test does not reject" if comparison.p_adjusted <= alpha else ""
    claim = f"No difference can be claimed between {method} and {reference}"
    return Verdict("comparison", f"{claim} ({record}{why}).{equal}", False, method, reference, alike)


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
