"""`summary`: everything a leaderboard says about a set of outcomes, as one plain object."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tabgen.arms import FIRST_ARM
from tabgen.clock import PHASES
from tabgen.metrics import higher_is_better
from tabgen.statistics.components import kept_start, variance_components
from tabgen.statistics.controls import gate, judge_controls
from tabgen.statistics.coverage import LEAST_COVERAGE
from tabgen.statistics.pairs import Pair, compare_pairs, family, rank_sets, tie_bands, withhold
from tabgen.statistics.ranks import Duels, bootstrap_intervals, dataset_ranks, duels, spreads
from tabgen.statistics.records import MethodRecord, PairRecord, Pool, Ranking, Tests, WorthRecord
from tabgen.statistics.ruler import read_ruler
from tabgen.statistics.scores import (
    TIE_DECIMALS,
    DatasetMeans,
    Policy,
    as_matrix,
    dataset_means,
    normalised_scores,
    observed_means,
)
from tabgen.statistics.significance import (
    critical_difference,
    holm,
    nemenyi,
    nemenyi_groups,
    signed_rank,
    smallest_attainable_p,
)
from tabgen.statistics.verdicts import FEWEST_DATASETS, REFERENCES, Verdict, judge


def summary(
    outcomes: pd.DataFrame,
    metric: str = "roc_auc",
    policy: Policy = "complete",
    alpha: float = 0.05,
    rope: float = 0.1,
    seed: int = 0,
    *,
    references: Sequence[str] = REFERENCES,
    power: float = 0.8,
    resamples: int = 2000,
    higher_better: bool | None = None,
    arm: str = FIRST_ARM,
) -> Ranking:
    """Rank the methods of one experiment and say what can be said about them.

    Parameters
    ----------
    outcomes : DataFrame, one row per cell
        See `normalised_scores`; optional columns `seconds_<phase>` and `peak_memory_mb`.
    metric : str
        Metric in the column names, for example `roc_auc` or `log_loss`.
    policy : {"complete", "worst", "baseline"}
        What to do about missing outcomes, see `dataset_means`.
    alpha : float
        Family-wise error of the verdicts, and 1 - level of the bootstrap intervals.
    rope : float
        Half-width of the region of practical equality, in points of the normalised score.
    seed : int
        For bootstrap, sign flips and posterior draws.
    references : sequence of str
        The methods all others are compared with in the verdicts.
    power : float
        Probability of detection behind the minimum detectable effect.
    resamples : int
        Bootstrap resamples.
    higher_better : bool, optional
        Direction of the metric where its name does not tell.
    arm : str
        The use of the synthetic rows whose scores count (`tabgen.arms.ARMS`).

    Returns
    -------
    Ranking
        Methods sorted by mean rank (name where equal), excluded methods last.

    Raises
    ------
    StatisticsError
        For an empty table, missing columns, repeated cells, or an unknown policy.

    """
    outcomes = outcomes.reset_index(drop=True)
    scores = normalised_scores(outcomes, metric, higher_better=higher_better, arm=arm)
    means = dataset_means(scores, "gain_test", policy)
    matrix = means.matrix
    names = [str(name) for name in matrix.columns]
    omnibus, comparisons, verdicts = judge(matrix, references, alpha=alpha, rope=rope, seed=seed)
    post_hoc = omnibus is not None and omnibus.p <= alpha and len(matrix) >= FEWEST_DATASETS
    pairs = len(names) * (len(names) - 1) // 2
    counts = duels(matrix)
    on_grid = scores[means.grid.holds(scores)]
    in_pool = on_grid[on_grid["dataset"].isin(matrix.index)]
    low, high = _fold_range(on_grid, matrix)
    controls = judge_controls(outcomes, matrix)
    ruler = read_ruler(outcomes, matrix, alpha)
    compared = compare_pairs(matrix, alpha=alpha, region=rope, seed=seed)
    if len(matrix) < FEWEST_DATASETS or (controls is not None and not controls.passed):
        compared = withhold(compared)
    sets = rank_sets(names, compared) if compared else {}
    records = _method_records(
        outcomes, scores, on_grid, in_pool, means, counts, sets, alpha=alpha, resamples=resamples, seed=seed, arm=arm
    )
    their_scores = in_pool[in_pool["method"].isin(names)]
    pooled = outcomes.loc[their_scores.index.sort_values()]
    better = higher_is_better(metric) if higher_better is None else higher_better
    ranked = [record.method for record in records if record.method in sets]
    return Ranking(
        arm=arm,
        controls=controls,
        resolution=ruler,
        components=variance_components(
            pooled, their_scores, metric, arm, higher_better=better, alpha=alpha, power=power
        ),
        kept_start=kept_start(pooled) if arm == FIRST_ARM else None,
        metric=metric,
        policy=policy,
        alpha=alpha,
        rope=rope,
        seed=seed,
        methods=records,
        tests=Tests(
            friedman=omnibus,
            post_hoc_allowed=post_hoc,
            critical_difference=None if omnibus is None else critical_difference(len(names), len(matrix), alpha),
            nemenyi_groups=nemenyi_groups(matrix, alpha) if post_hoc else [],
            comparisons=comparisons,
            smallest_attainable_p=smallest_attainable_p(len(matrix), len(comparisons)) if comparisons else None,
            smallest_attainable_p_all_pairs=smallest_attainable_p(len(matrix), pairs)
            if len(matrix) and pairs
            else None,
        ),
        pairwise=_pair_records(matrix, counts),
        pairs=compared,
        bands=tie_bands(ranked, compared),
        verdicts=_missing_verdicts(means, references) + gate(verdicts, controls, arm),
        pool=Pool(
            datasets=[str(name) for name in matrix.index],
            methods=names,
            folds={name: len(folds) for name, folds in means.grid.folds.items()},
            dropped_datasets=means.dropped_datasets,
            excluded_methods=means.excluded_methods,
            incomplete=means.incomplete,
            outside=means.outside,
            coverage=means.coverage,
        ),
        gains=matrix,
        gains_low=low,
        gains_high=high,
        validation_gains=observed_means(on_grid, "gain_validation").reindex(index=matrix.index, columns=matrix.columns),
        ranks=dataset_ranks(matrix),
        duels=counts,
    )


def _fold_range(scores: pd.DataFrame, matrix: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    per_fold = scores.groupby(["dataset", "method", "fold"], observed=True)["gain_test"].mean()
    ends = per_fold.groupby(level=["dataset", "method"], observed=True).agg(["min", "max"])
    low, high = (as_matrix(ends[name]).reindex(index=matrix.index, columns=matrix.columns) for name in ("min", "max"))
    return low, high


def _missing_verdicts(means: DatasetMeans, references: Sequence[str]) -> list[Verdict]:
    """Say aloud what the policy left out or made up."""
    found = []
    if means.excluded_methods:
        told = ", ".join(f"{name} ({means.coverage[name]})" for name in means.excluded_methods)
        did = "finish" if means.policy == "complete" else "run on"
        found.append(
            f"Incomplete, and beside the ranking, with the datasets they {did}: {told}. To be ranked a method has to"
            f" {did} {LEAST_COVERAGE:.0%} of {means.due} datasets, or all but one."
        )
    if means.outside:
        shown = ", ".join(means.outside[:3]) + (", ..." if len(means.outside) > 3 else "")
        found.append(
            f"Outside the grid of this board, since too few of its methods were run there: {len(means.outside)} of"
            f" {len(means.observed) + len(means.outside)} datasets ({shown})."
        )
    if means.dropped_datasets:
        blamed = sorted({i.method for i in means.incomplete if i.action == "dataset dropped"})
        whose = f" ({', '.join(blamed)})" if blamed else ""
        found.append(
            f"{len(means.dropped_datasets)} of {len(means.observed)} datasets are left out, because on them "
            f"cells are missing, failed or have no such score{whose};"
            " policies 'worst' and 'baseline' keep them."
        )
    imputed = [i for i in means.incomplete if i.action in ("ranked last", "scored as zero-shot")]
    if imputed:
        cells = sum(i.expected - i.ok for i in imputed)
        names = ", ".join(sorted({i.method for i in imputed}))
        found.append(
            f"Policy '{means.policy}': {cells} cells of {names} are missing, failed or have no such score and are "
            f"{imputed[0].action}; these values are made up."
        )
    absent = [name for name in references if name not in means.matrix.columns]
    if absent:
        found.append(f"No comparison with {' and '.join(absent)}: not in the pool.")
    return [Verdict("warning", sentence) for sentence in found]


def _method_records(
    outcomes: pd.DataFrame,
    scores: pd.DataFrame,
    on_grid: pd.DataFrame,
    in_pool: pd.DataFrame,
    means: DatasetMeans,
    counts: Duels,
    sets: dict[str, tuple[int, int]],
    *,
    alpha: float,
    resamples: int,
    seed: int,
    arm: str,
) -> list[MethodRecord]:
    """One record a method; `on_grid` are the scores that count, `in_pool` those on the pool's datasets."""
    matrix = means.matrix
    ranks = dataset_ranks(matrix)
    settings: dict[str, Any] = {"level": 1.0 - alpha, "resamples": resamples, "seed": seed}
    rank_intervals = bootstrap_intervals(ranks, "mean", **settings)
    gain_intervals = bootstrap_intervals(matrix, "median", **settings)
    mean_rank, median_gain = _values(ranks.mean(axis=0)), _values(matrix.median(axis=0))
    spread = spreads(matrix)
    iqr, sd = _values(spread["iqr"]), _values(spread["sd"])
    # Without a pool there is still something to say about the cells that ran.
    pooled = in_pool if len(in_pool) else on_grid
    optimism = _values(observed_means(pooled, "optimism").median(axis=0))
    disagreement = _values(observed_means(pooled, "disagreement").median(axis=0))
    machine = _machine_medians(outcomes.loc[pooled.index[(pooled["status"] == "ok").to_numpy()]])
    statuses = _status_counts(scores, means)
    worths = _worths(outcomes.loc[in_pool.index], arm, settings)
    against_real: dict[str, dict[str, int]] = {}
    if "real" in matrix.columns and len(matrix):
        for outcome, counted in zip(counts._fields, counts, strict=True):
            against_real[outcome] = {
                str(name): int(number) for name, number in counted["real"].items() if name != "real"
            }
    # Without a single dataset there are no ranks: by name then.
    ordered = sorted(map(str, matrix.columns), key=lambda name: (mean_rank.get(name, 0.0), name))
    return [
        MethodRecord(
            method=name,
            mean_rank=mean_rank.get(name),
            mean_rank_interval=rank_intervals.get(name),
            median_gain=median_gain.get(name),
            median_gain_interval=gain_intervals.get(name),
            spread_iqr=iqr.get(name),
            spread_sd=sd.get(name),
            wins=against_real.get("wins", {}).get(name),
            ties=against_real.get("ties", {}).get(name),
            losses=against_real.get("losses", {}).get(name),
            optimism=optimism.get(name),
            validation_test_disagreement=disagreement.get(name),
            cells=sum(statuses[name].values()),
            cells_ok=statuses[name].get("ok", 0),
            statuses=statuses[name],
            seconds={phase: machine[phase][name] for phase in PHASES if name in machine.get(phase, {})},
            seconds_total=machine.get("total", {}).get(name),
            peak_memory_mb=machine.get("peak_memory_mb", {}).get(name),
            worth=worths.get(name),
            rank_set=sets.get(name),
        )
        for name in [*ordered, *means.excluded_methods]
    ]


def _worths(outcomes: pd.DataFrame, arm: str, settings: dict[str, Any]) -> dict[str, WorthRecord]:
    """What each method's rows are worth in this arm by these cells; nothing where that was not measured."""
    column = f"worth_{arm}_rows"
    if not {column, f"worth_{arm}_censored", "n_train"} <= set(outcomes.columns):
        return {}
    measured = outcomes[outcomes[column].notna() & outcomes["n_train"].notna()].astype({"dataset": str, "method": str})
    rows = pd.to_numeric(measured[column]).astype(float)
    measured = measured.assign(_rows=rows, _share=rows / measured["n_train"].astype(float))
    by_rows, shares = (observed_means(measured, name) for name in ("_rows", "_share"))
    censored = measured[f"worth_{arm}_censored"]
    found = {}
    for name in shares.columns:
        mine = shares[[name]].dropna()
        side = censored[measured["method"] == name]
        found[str(name)] = WorthRecord(
            rows=float(by_rows[name].median()),
            share=float(mine[name].median()),
            interval=bootstrap_intervals(mine, "median", **settings).get(str(name)),
            below=float((side < 0).mean()),
            above=float((side > 0).mean()),
        )
    return found


def _status_counts(scores: pd.DataFrame, means: DatasetMeans) -> dict[str, dict[str, int]]:
    """Cells per method and status, cells without an outcome as `missing`."""
    counts: dict[str, dict[str, int]] = {}
    tally = scores[["method", "status"]].value_counts(sort=False).sort_index().reset_index()
    for method, status, cells in tally.itertuples(index=False):
        counts.setdefault(str(method), {})[str(status)] = int(cells)
    for pair in means.incomplete:
        if "missing" in pair.statuses:
            own = counts.setdefault(pair.method, {})
            own["missing"] = own.get("missing", 0) + pair.statuses["missing"]
    return counts


def _machine_medians(outcomes: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Medians per method of the seconds of each phase, of their `total` per cell, and of `peak_memory_mb`."""
    columns = {phase: f"seconds_{phase}" for phase in PHASES if f"seconds_{phase}" in outcomes.columns}
    machine: dict[str, pd.Series[float]] = {}
    for phase, column in columns.items():
        machine[phase] = pd.to_numeric(outcomes[column]).astype(float)
    if "seconds_total" in outcomes.columns:
        machine["total"] = pd.to_numeric(outcomes["seconds_total"]).astype(float)
    if "peak_memory_mb" in outcomes.columns:
        machine["peak_memory_mb"] = pd.to_numeric(outcomes["peak_memory_mb"]).astype(float)
    methods = outcomes["method"].astype(str)
    return {name: _values(values.groupby(methods).median()) for name, values in machine.items()}


def _pair_records(matrix: pd.DataFrame, counts: Duels) -> list[PairRecord]:
    names = [str(name) for name in matrix.columns]
    if len(matrix) == 0 or len(names) < 2:
        return []
    pairs = list(combinations(range(len(names)), 2))
    values = matrix.to_numpy(dtype=float)
    wins, ties, losses = (table.to_numpy() for table in counts)
    differences = [np.round(values[:, a] - values[:, b], TIE_DECIMALS) for a, b in pairs]
    raw = [signed_rank(difference).p for difference in differences]
    by_nemenyi = nemenyi(matrix).to_numpy(dtype=float) if len(names) >= 3 and len(matrix) >= 2 else None
    return [
        PairRecord(
            method=names[a],
            other=names[b],
            wins=int(wins[a, b]),
            ties=int(ties[a, b]),
            losses=int(losses[a, b]),
            median_difference=float(np.median(difference)),
            p=p,
            p_holm=p_holm,
            p_nemenyi=None if by_nemenyi is None else float(by_nemenyi[a, b]),
        )
        for (a, b), difference, p, p_holm in zip(pairs, differences, raw, holm(raw), strict=True)
    ]


def _values(series: pd.Series) -> dict[str, float]:
    """The numbers of a series by name, without NaN."""
    return {str(name): float(value) for name, value in series.items() if not np.isnan(value)}


def named_pairs(
    named: Sequence[tuple[Ranking, tuple[str, str]]], *, alpha: float = 0.05, region: float = 0.1
) -> list[Pair]:
    """Pairs that were named before the outcomes, each in a ranking: one family, in the order given.

    Undecided where the ranking's known bad controls are not below `real`.
    """
    found = family([(ranking.gains, pair) for ranking, pair in named], alpha=alpha, region=region)
    failed = [ranking.controls is not None and not ranking.controls.passed for ranking, _ in named]
    return [withhold([pair])[0] if fails else pair for pair, fails in zip(found, failed, strict=True)]
