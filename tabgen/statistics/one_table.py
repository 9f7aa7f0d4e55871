"""One table: which use of which rows helps here, by repeated folds of it.

Each use of synthetic rows (an arm) of each method is compared with the real rows alone, as they are: the pre-trained
model's zero-shot score on the same fold. Folds of one table share rows, so their differences are not independent:
the variance is Nadeau and Bengio's (2003), whose factor 1/n + test/train stands in for 1/n, and the probability of a
difference that matters is the Bayesian correlated t-test's (Corani and Benavoli 2015), the same distribution read as
a posterior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from tabgen.arms import ARMS
from tabgen.statistics.controls import KNOWN_BAD
from tabgen.statistics.records import Beyond, beyond, plain
from tabgen.statistics.scores import StatisticsError
from tabgen.statistics.significance import holm

FEWEST_SPLITS = 3
"""Differences below which no candidate is judged."""
ROPE = 0.005
"""Differences of at most this much ROC-AUC are practically none."""
MOST_SPLITS = 200
"""Splits beyond which nobody is advised to go."""
CONFIDENT = 0.95


class CorrelatedT(NamedTuple):
    """The corrected paired test of one candidate.

    `mean` is the mean difference and `scale` its standard error, `low` and `high` its 1 - alpha interval, `p` is
    two-sided; `better`, `equal` and `worse` are posterior probabilities of a difference above, within and below the
    rope.
    """

    mean: float
    scale: float
    low: float
    high: float
    p: float
    better: float
    equal: float
    worse: float


def correlated_t(
    differences: ArrayLike, test_over_train: float, *, rope: float = ROPE, alpha: float = 0.05
) -> CorrelatedT:
    """Nadeau and Bengio's corrected t-test, and the Bayesian correlated t-test, of paired differences over splits.

    Parameters
    ----------
    differences : array of shape (splits,)
        Method minus reference on the same split.
    test_over_train : float
        Rows of a test part over rows that the scores were learned from: 1 / (k - 1) for k folds.
    rope : float
        Half-width of practical equality, in units of the differences.
    alpha : float
        1 - level of the interval.

    Raises
    ------
    StatisticsError
        For fewer than two differences, a NaN, or a share that is not positive.

    References
    ----------
    Nadeau & Bengio (2003), *Machine Learning* 52; Corani & Benavoli (2015), *Machine Learning* 100.
    """
    values = np.asarray(differences, dtype=float)
    if values.size < 2 or np.isnan(values).any():
        raise StatisticsError("the corrected t-test needs two differences and no NaN")
    if not test_over_train > 0:
        raise StatisticsError(f"test_over_train must be positive, not {test_over_train}")
    mean = float(values.mean())
    scale = math.sqrt((1 / values.size + test_over_train) * float(values.var(ddof=1)))
    if scale < 1e-12:  # every split says the same
        sure = (float(mean > rope), float(-rope <= mean <= rope), float(mean < -rope))
        return CorrelatedT(mean, 0.0, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0, *sure)
    t = stats.t(values.size - 1, loc=mean, scale=scale)
    p = float(2 * stats.t.sf(abs(mean) / scale, values.size - 1))
    worse, better = float(t.cdf(-rope)), float(t.sf(rope))
    low, high = float(t.ppf(alpha / 2)), float(t.ppf(1 - alpha / 2))
    return CorrelatedT(mean, scale, low, high, p, better, 1 - better - worse, worse)


@dataclass(frozen=True)
class Candidate:
    """One use of one method's rows on this table.

    `before` and `after` are mean scores of the real rows alone and of this use; `test` is None with fewer than three
    splits, of which `test_over_train` is the size of a test part relative to the training rows; `p_holm` is adjusted
    over all candidates; `worth` is the median number of real rows that the rows are worth as context, where it was
    measured, and `worth_beyond` says "<" or ">" where more than half of the splits lie beyond an end of the learning
    curve and count as that end; `control` marks what is known to be bad, which is never advised.
    """

    method: str
    arm: str
    splits: int
    test_over_train: float
    before: float
    after: float
    test: CorrelatedT | None
    p_holm: float | None
    worth: float | None
    worth_beyond: Beyond
    seconds: float | None
    control: bool


Recommendation = Literal["use", "keep-real", "undecided"]
HEADS: dict[Recommendation, str] = {
    "use": "Use them",
    "keep-real": "Keep the real rows alone",
    "undecided": "Undecided",
}
"""A recommendation in words."""


@dataclass(frozen=True)
class Answer:
    """What to do with this table.

    `recommendation` is ``use`` (of `method` in `arm`), ``keep-real`` (the real rows alone, no fine-tuning) or
    ``undecided``; then `method` and `arm` are those that stand best so far. `reason` is for people.
    """

    recommendation: Recommendation
    method: str | None
    arm: str | None
    decided: bool
    reason: str
    metric: str
    alpha: float
    rope: float
    splits: int
    n_train: int
    candidates: list[Candidate]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable data, without times: equal for equal scores."""
        data: dict[str, Any] = plain(asdict(self))
        for candidate in data["candidates"]:
            del candidate["seconds"]
        return data


def answer(outcomes: pd.DataFrame, *, alpha: float = 0.05, rope: float = ROPE) -> Answer | None:
    """The answer for a table, by ROC-AUC; None for outcomes of several tables, without a single score, or
    without the sizes of training and test parts.

    Parameters
    ----------
    outcomes : DataFrame, one row per cell
        Of one pool (`tabgen.comparable.pools`), all arms.
    alpha : float
        Error of a recommendation to use something, over all candidates (Holm).
    rope : float
        Half-width of practical equality in ROC-AUC.
    """
    scored = outcomes[outcomes["status"] == "ok"]
    if len(scored["dataset"].unique()) != 1 or not {"n_train", "n_test"} <= set(scored.columns):
        return None
    found = [
        _candidate(rows.assign(arm=arm), str(method), arm, alpha, rope)
        for arm in ARMS
        for method, rows in scored[scored["arms"].map(lambda arms, arm=arm: arm in arms)].groupby("method", sort=False)
        if _is_use(rows, arm)
    ]
    tested = [candidate for candidate in found if candidate.test]
    adjusted = holm([candidate.test.p for candidate in tested if candidate.test])
    by_place = {(c.method, c.arm): float(p) for c, p in zip(tested, adjusted, strict=True)}
    candidates = [
        replace(each, p_holm=by_place.get((each.method, each.arm)))
        for each in sorted(found, key=lambda c: (c.before - c.after, c.method, c.arm))
    ]
    splits = len(scored[_split_of(scored)].drop_duplicates())
    n_train = round(float(scored["n_train"].mean()))
    return Answer(*_judged(candidates, alpha, rope), "roc_auc", alpha, rope, splits, n_train, candidates)


def _split_of(rows: pd.DataFrame) -> list[str]:
    """The columns that name a split: draws of a generator on one split have seeds of their own, and are no splits."""
    return ["split_seed" if "split_seed" in rows.columns else "seed", "fold"]


def _is_use(rows: pd.DataFrame, arm: str) -> bool:
    """Whether a method in an arm is a use of rows beside the real ones alone."""
    mixing = rows["mixing"].iloc[0]
    return bool(mixing != "none" and (mixing != "real" or ARMS[arm].tunes))


def _candidate(rows: pd.DataFrame, method: str, arm: str, alpha: float, rope: float) -> Candidate:
    before_name, after_name = "zero_shot_test_roc_auc", f"{ARMS[arm].stage}_test_roc_auc"
    by_split = rows.groupby(_split_of(rows))[[before_name, after_name]].mean().dropna()
    differences = (by_split[after_name] - by_split[before_name]).to_numpy()
    share = float((rows["n_test"] / rows["n_train"]).mean())
    seconds = pd.to_numeric(rows["seconds_total"]).median() if "seconds_total" in rows.columns else None
    generators = set(rows["generator"]) if "generator" in rows.columns else {method}
    return Candidate(
        method,
        arm,
        len(by_split),
        share,
        float(by_split[before_name].mean()),
        float(by_split[after_name].mean()),
        correlated_t(differences, share, rope=rope, alpha=alpha) if len(by_split) >= FEWEST_SPLITS else None,
        None,
        *_worth(rows, arm),
        None if seconds is None or pd.isna(seconds) else float(seconds),
        bool(generators & set(KNOWN_BAD)),
    )


def _worth(rows: pd.DataFrame, arm: str) -> tuple[float | None, Beyond]:
    """Median worth of these cells, and the side that most of them lie beyond."""
    column = f"worth_{ARMS[arm].stage}_rows"
    if column not in rows.columns or not rows[column].notna().any():
        return None, ""
    measured = rows[rows[column].notna()]
    side = measured[f"worth_{ARMS[arm].stage}_censored"]
    return float(measured[column].median()), beyond((side < 0).mean(), (side > 0).mean())


def _judged(
    candidates: Sequence[Candidate], alpha: float, rope: float
) -> tuple[Recommendation, str | None, str | None, bool, str]:
    """Recommendation, method, arm, whether it is decided, and why."""
    uses = sum(candidate.test is not None for candidate in candidates)
    tested = [candidate for candidate in candidates if candidate.test and not candidate.control]
    if not tested:
        return "undecided", None, None, False, f"Fewer than {FEWEST_SPLITS} splits have ended for any use of rows."
    # best first: a use whose mean is the largest by chance hides none that is decided
    better = [c for c in tested if c.p_holm is not None and c.p_holm <= alpha and c.test and c.test.mean > 0]
    best = (better or tested)[0]
    test = best.test
    assert test is not None
    shown = f"{best.before:.3f} -> {best.after:.3f} ROC-AUC"
    if better:
        reason = (
            f"{use_of(best)} raises the score on {best.splits} splits: {shown} ({test.low:+.3f} .. {test.high:+.3f},"
            f" corrected p = {best.p_holm:.3g} over {uses} uses)."
        )
        if best is not tested[0]:
            first = tested[0]
            reason += f" ({use_of(first)} stands higher, {first.before:.3f} -> {first.after:.3f}, as chance can do.)"
        return "use", best.method, best.arm, True, reason
    hopeful = [c for c in tested if c.test and c.test.better > 1 - CONFIDENT]
    if not hopeful:
        reason = (
            f"No use of synthetic rows is likely to add more than {rope:g} ROC-AUC to the real rows alone: the best,"
            f" {use_of(best)}, goes {shown}, and does so with probability {test.better:.2f}."
        )
        return "keep-real", None, None, True, reason
    return "undecided", best.method, best.arm, False, _what_would_decide(best, test, alpha, uses)


def _what_would_decide(best: Candidate, test: CorrelatedT, alpha: float, uses: int) -> str:
    """Why the best candidate is not decided, and which splits or rows would do it."""
    reason = (
        f"The best so far, {use_of(best)}, goes {best.before:.3f} -> {best.after:.3f} ROC-AUC"
        f" ({test.low:+.3f} .. {test.high:+.3f} on {best.splits} splits; worth having with probability"
        f" {test.better:.2f}), which chance can do."
    )
    needed = splits_needed(best, alpha / uses)
    decides = (
        "More splits of these rows cannot decide it; more rows can."
        if needed is None
        else f"If it stays as it is, about {needed} splits decide it (--seeds)."
    )
    return f"{reason} {decides} Until then keep the real rows alone."


def splits_needed(candidate: Candidate, alpha: float) -> int | None:
    """Splits at which the mean difference as it is would be significant; None where no number of them would do.

    Nadeau and Bengio's variance has a part, test/train, that no repetition makes smaller.
    """
    test, share = candidate.test, candidate.test_over_train
    if test is None or test.scale == 0 or test.mean <= 0:
        return None
    for splits in range(candidate.splits + 1, MOST_SPLITS + 1):
        scale = test.scale * math.sqrt((1 / splits + share) / (1 / candidate.splits + share))
        if test.mean / scale >= float(stats.t.ppf(1 - alpha / 2, splits - 1)):
            return splits
    return None


def use_of(candidate: Candidate) -> str:
    """A use of rows in words."""
    return {
        "fine-tune": f"fine-tuning on '{candidate.method}'",
        "fixed-steps": f"fine-tuning on '{candidate.method}' for a fixed number of steps",
        "context": f"'{candidate.method}' in place of the real rows",
        "augmented": f"'{candidate.method}' beside the real rows",
    }[candidate.arm]
