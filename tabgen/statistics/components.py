"""Where the noise of a comparison comes from, the smallest effect it can detect, and the cheapest way to halve that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabgen.arms import ARMS
from tabgen.statistics.controls import KNOWN_BAD, REFERENCE
from tabgen.statistics.ruler import RULER

SOURCES = ("dataset", "split", "draw", "tuning")
"""Nested, outermost first: a split is a fold under a seed, a draw one fit and sample of a generator on it."""
#: Asymptotic efficiency of the signed-rank test beside the t-test under normality (Lehmann 1975, section 4.3).
EFFICIENCY = 3.0 / np.pi
#: Nobody runs more of anything than this to halve an effect.
MOST = 10_000


@dataclass(frozen=True)
class Halving:
    """One way to halve the minimum detectable effect: this many of a source instead of so many.

    `seconds` is the time of the cells that it adds, by the measured seconds of those at hand; None without any.
    """

    source: str
    now: int
    then: int
    seconds: float | None


@dataclass(frozen=True)
class Components:
    """Variance components of the paired difference to `real` in points squared, medians over the generators.

    Attributes
    ----------
    variances : dict of str to float
        By source. Sources that this pool does not repeat cannot be separated from the one outside them and stand with
        it, as in "split+draw"; the innermost holds what is left.
    counts : dict of str to int
        How many of each source: datasets in the pool, splits a dataset, draws a split, tuning seeds a draw.
    detectable : float
        Minimum detectable effect of one comparison in points: at this pool, with `power` at two-sided `alpha`.
    by_method : dict of str to float
        The same for each generator by its own components.
    alpha, power : float
    halvings : list of Halving
        The ways to halve `detectable` by more of one source, where there is one, cheapest first.
    """

    variances: dict[str, float]
    counts: dict[str, int]
    detectable: float
    by_method: dict[str, float]
    alpha: float
    power: float
    halvings: list[Halving] = field(default_factory=list)


def nested_components(values: NDArray[np.float64], labels: Sequence[NDArray[Any]]) -> list[float]:
    """Variance components of nested random effects by the method of moments, negative estimates as 0.

    Parameters
    ----------
    values : array of shape (observations,)
    labels : sequence of arrays of shape (observations,)
        Of each level, outermost first, the group of every observation; groups are nested. The last level is the
        observations themselves. Groups may differ in size.

    Notes
    -----
    Sums of squares between the groups of a level within those of the one outside it are set equal to their
    expectations (Searle, Casella & McCulloch 1992, Variance components, section 5.3).

    """
    # partition 0 is the whole, so that the overall mean drops out
    groups = [np.zeros(len(values), dtype=np.int64), *(np.unique(each, return_inverse=True)[1] for each in labels)]
    sizes = [np.bincount(each).astype(float) for each in groups]
    totals = [float((np.bincount(each, values) ** 2 / size).sum()) for each, size in zip(groups, sizes, strict=True)]
    levels = len(labels)
    expected = np.full((levels + 1, levels + 1), float(len(values)))  # of total k, the weight of component j
    for k in range(levels + 1):
        for j in range(k + 1, levels + 1):
            outer = groups[k][np.unique(groups[j], return_index=True)[1]]
            expected[k, j] = float((np.bincount(outer, sizes[j] ** 2) / sizes[k]).sum())
    squares = np.diff(totals)
    weights = np.diff(expected, axis=0)[:, 1:]  # upper triangular
    found = np.zeros(levels)
    for k in range(levels - 1, -1, -1):
        rest = squares[k] - weights[k, k + 1 :] @ found[k + 1 :]
        found[k] = max(0.0, rest / weights[k, k]) if weights[k, k] > 1e-9 else 0.0
    return [float(value) for value in found]


def detectable_effect(sd: float, datasets: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest shift that a signed-rank test over so many datasets finds with this power.

    That of the paired t-test, (t_{1-alpha/2} + t_power) * sd / sqrt(datasets), over the root of the signed-rank
    test's efficiency under normality.
    """
    from scipy.stats import t

    if datasets < 2:
        return float("inf")
    quantiles = float(t.ppf(1 - alpha / 2, datasets - 1) + t.ppf(power, datasets - 1))
    return quantiles * sd / float(np.sqrt(datasets * EFFICIENCY))


def variance_components(
    outcomes: pd.DataFrame,
    scores: pd.DataFrame,
    metric: str,
    arm: str,
    *,
    higher_better: bool = True,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Components | None:
    """The components of a pool; None without `real`, a generator that is no control, or two datasets, and where every
    difference is the same: what varies by nothing has no smallest effect.

    Parameters
    ----------
    outcomes : DataFrame
        One row per cell; optional columns `split_seed` and `draw` where a seed stands for both, the scores of single
        tuning seeds (`by_seed_{stage}_test_{metric}`), and seconds.
    scores : DataFrame
        Of the same cells, as `normalised_scores` gives them.
    """
    long = _long(outcomes, scores, metric, arm, higher_better)
    real = long[long["method"] == REFERENCE]
    unit = ["dataset", "split", "tuning"]
    reference = real.groupby(unit)["gain"].mean().rename("real")
    of = outcomes["generator"] if "generator" in outcomes.columns else outcomes["method"]
    drawn = of.notna() & ~of.isin([*KNOWN_BAD, RULER, REFERENCE, "zero-shot"])
    names = set(outcomes.loc[drawn, "method"].astype(str))
    paired = long[long["method"].isin(names)].join(reference, on=unit, how="inner")
    paired = paired.assign(value=paired["gain"] - paired["real"]).dropna(subset="value")
    if paired["dataset"].nunique() < 2:
        return None
    counts = _counts(paired, SOURCES if ARMS[arm].tunes else SOURCES[:-1])
    groups = _merged(counts)
    found: dict[str, list[float]] = {}
    for method, part in paired.groupby("method", observed=True):
        if len(set(part["dataset"])) > 1:
            keys = [list(SOURCES[: SOURCES.index(group.rpartition("+")[2]) + 1]) for group in groups]
            labels: list[NDArray[Any]] = [part.groupby(key, sort=False).ngroup().to_numpy() for key in keys[:-1]]
            labels.append(np.arange(len(part)))
            found[str(method)] = nested_components(part["value"].to_numpy(dtype=float), labels)

    def effect_of(own: Sequence[float]) -> float:
        variance = _variance(dict(zip(groups, own, strict=True)), counts)
        return detectable_effect(variance**0.5, counts["dataset"], alpha, power)

    middle = np.median(list(found.values()), axis=0)
    if not middle.any():
        return None
    variances = {group: float(value) for group, value in zip(groups, middle, strict=True)}
    used = outcomes[outcomes["dataset"].astype(str).isin(set(paired["dataset"]))]
    return Components(
        variances,
        counts,
        effect_of(list(variances.values())),
        {name: effect_of(own) for name, own in found.items()},
        alpha,
        power,
        _halvings(variances, counts, used, used[drawn.loc[used.index]]),
    )


def _long(outcomes: pd.DataFrame, scores: pd.DataFrame, metric: str, arm: str, higher_better: bool) -> pd.DataFrame:
    """One row for every gain that was measured: of each tuning seed where they were kept apart, else of the cell."""
    aligned = outcomes.loc[scores.index]
    seed = aligned["split_seed"] if "split_seed" in aligned.columns else aligned["seed"]
    cells = pd.DataFrame(
        {
            "dataset": scores["dataset"],
            "method": scores["method"],
            "split": aligned["fold"].astype(str) + "/" + seed.astype(str),
            "draw": aligned["draw"].fillna(0) if "draw" in aligned.columns else 0,
            "gain": scores["gain_test"],
            "tuning": 0,
        }
    )
    column = f"by_seed_{ARMS[arm].stage}_test_{metric}"
    if column not in aligned.columns:
        return cells
    # a gain is linear in the score, so that of one tuning seed follows from the gain of their mean
    singles = aligned[column].map(lambda each: each if isinstance(each, list) else [np.nan])
    cells = cells.assign(
        score=pd.to_numeric(aligned[f"{ARMS[arm].stage}_test_{metric}"]),
        zero_shot=pd.to_numeric(aligned[f"zero_shot_test_{metric}"]),
        single=singles,
        tuning=singles.map(lambda each: list(range(len(each)))),
    ).explode(["single", "tuning"])
    sign = 1.0 if higher_better else -1.0
    apart = sign * 100.0 * (cells["single"].astype(float) - cells["score"]) / cells["zero_shot"]
    return cells.assign(gain=cells["gain"] + apart.fillna(0.0)).drop(columns=["score", "zero_shot", "single"])


def _counts(paired: pd.DataFrame, sources: Sequence[str]) -> dict[str, int]:
    """How many groups of each source lie in a group of the one outside it: the median over these."""
    counts = {"dataset": int(paired["dataset"].nunique())}
    for outer, source in enumerate(sources[1:], start=1):
        inside = paired.groupby(["method", *SOURCES[:outer]], observed=True)[source].nunique()
        counts[source] = max(1, int(inside.median()))
    return counts


def _merged(counts: dict[str, int]) -> list[str]:
    """The sources that can be told apart: one that is not repeated is merged with the one outside it."""
    groups = ["dataset"]
    for source in [source for source in SOURCES[1:] if source in counts]:
        if counts[source] > 1:
            groups.append(source)
        else:
            groups[-1] += f"+{source}"
    return groups


def _variance(variances: dict[str, float], counts: dict[str, int]) -> float:
    """Variance over datasets of the mean difference on one: each component over how often it is averaged."""
    total = 0.0
    for group, value in variances.items():
        first = SOURCES.index(group.partition("+")[0])
        total += value / float(np.prod([counts[source] for source in SOURCES[1 : first + 1]]))
    return total


def _halvings(
    variances: dict[str, float], counts: dict[str, int], outcomes: pd.DataFrame, drawn: pd.DataFrame
) -> list[Halving]:
    """More of one source until the effect is half: four times the datasets, or whatever its share allows."""
    goal = _variance(variances, counts) / 4.0
    every, tuning = (_seconds(outcomes, name) for name in ("seconds_total", "seconds_finetune"))
    ways = [("dataset", 4 * counts["dataset"], every)]
    for source, cost in (("split", every), ("draw", _seconds(drawn, "seconds_total")), ("tuning", tuning)):
        if not any(group.partition("+")[0] == source for group in variances):
            continue  # not separated: nobody knows what more of it would bring
        floor = _variance(variances, counts | {source: MOST})
        if floor < goal:
            # what falls with this source falls as 1 / count
            falling = (_variance(variances, counts) - floor) / (1 / counts[source] - 1 / MOST)
            constant = floor - falling / MOST
            ways.append((source, ceil(falling / (goal - constant) - 1e-9), cost))
    found = [
        Halving(source, counts[source], then, None if cost is None else cost * (then / counts[source] - 1))
        for source, then, cost in ways
        if then <= MOST
    ]
    return sorted(found, key=lambda way: float("inf") if way.seconds is None else way.seconds)


def _seconds(outcomes: pd.DataFrame, column: str) -> float | None:
    if column not in outcomes.columns:
        return None
    total = float(pd.to_numeric(outcomes[column]).sum())
    return total if isfinite(total) and total > 0 else None


def kept_start(outcomes: pd.DataFrame) -> float | None:
    """Share of fine-tuning runs that kept step 0, the model as it came; None where nothing was fine-tuned."""
    kept: list[Any] = []
    tuned = outcomes[outcomes["method"] != "zero-shot"]
    absent = pd.Series(None, tuned.index, dtype=object)
    steps_of_seeds, steps_of_cells = (tuned.get(name, absent) for name in ("by_seed_best_step", "best_step"))
    for by_seed, best in zip(steps_of_seeds, steps_of_cells, strict=True):
        kept += by_seed if isinstance(by_seed, list) else [best]
    steps = pd.Series(kept, dtype=object).dropna()
    return float((steps == 0).mean()) if len(steps) else None


def components_sentence(found: Components) -> str:
    """The minimum detectable effect, where its noise comes from, and the cheapest way to halve it, in a line or two."""
    names = {"dataset": "dataset", "split": "split", "draw": "generator draw", "tuning": "tuning seed"}
    total = sum(found.variances.values())
    parts = []
    for group, value in found.variances.items():
        said = " with ".join(names[source] for source in group.split("+"))
        parts.append(f"{said} {value / total:.0%}" if total else said)
    text = (
        f"Minimum detectable effect of one comparison with {REFERENCE}: {found.detectable:.2g} points"
        f" ({found.power:.0%} power, two-sided alpha {found.alpha:g}, {found.counts['dataset']} datasets)."
        f" Variance of a difference: {', '.join(parts)}."
    )
    if found.halvings:
        best = found.halvings[0]
        plural = {"dataset": "datasets", "split": "folds or seeds", "draw": "draws", "tuning": "tuning seeds"}
        cost = "" if best.seconds is None else f", {_duration(best.seconds)} more"
        text += f" Cheapest way to halve it: {best.then:,} {plural[best.source]} instead of {best.now:,}{cost}."
    return text


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
