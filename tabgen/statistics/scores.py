"""From outcomes to normalised scores, and from normalised scores to one number per dataset and method."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabgen.arms import ARMS, FIRST_ARM
from tabgen.errors import TabgenError
from tabgen.metrics import higher_is_better
from tabgen.statistics.coverage import Grid, enough, grid_of

Policy = Literal["complete", "worst", "baseline"]
POLICIES: tuple[Policy, ...] = ("complete", "worst", "baseline")
KEY = ["dataset", "fold", "method", "seed"]
#: Decimals kept before anything is ranked: smaller differences are arithmetic noise, not results.
TIE_DECIMALS = 6
#: Fewer steps than this give a rank correlation of -1 or 1 whatever happened.
SHORTEST_CURVE = 3


class StatisticsError(TabgenError, ValueError):
    """The outcomes cannot be ranked; the message says what is wrong and how to mend it."""


@dataclass(frozen=True)
class Incomplete:
    """A (dataset, method) pair with cells that are missing or not ok, and what the policy did about it.

    `statuses` counts the cells that do not count: the outcome's status, `missing` for a cell without
    an outcome, `no_score` for an `ok` cell whose score or zero-shot score is undefined.
    """

    dataset: str
    method: str
    ok: int
    expected: int
    statuses: dict[str, int]
    action: Literal["dataset dropped", "method excluded", "ranked last", "scored as zero-shot"]


@dataclass(frozen=True)
class DatasetMeans:
    """One mean per dataset and method, and everything the policy left out or made up.

    `matrix` is (datasets, methods), both sorted by name, without NaN, rounded to `TIE_DECIMALS`.
    `observed` has the same columns plus excluded methods, all datasets of the grid, and NaN wherever a pair is
    incomplete. `outside` names the datasets beyond the grid, `coverage` says of each method on how many of the
    grid's datasets it counts, of `due` that could.
    """

    matrix: pd.DataFrame
    observed: pd.DataFrame
    policy: Policy
    dropped_datasets: list[str]
    excluded_methods: list[str]
    incomplete: list[Incomplete]
    grid: Grid
    outside: list[str]
    coverage: dict[str, int]
    due: int


def check_outcomes(outcomes: pd.DataFrame, columns: Iterable[str] = ()) -> None:
    """Raise `StatisticsError` unless the columns exist and each (dataset, fold, method, seed) comes once."""
    if len(outcomes) == 0:
        raise StatisticsError("there are no outcomes to rank: the table is empty. Has the run finished a cell?")
    missing = [name for name in [*KEY, "status", *columns] if name not in outcomes.columns]
    if missing:
        raise StatisticsError(
            f"the outcomes lack the columns {', '.join(missing)}: no cell has such a score, whatever arms and metrics"
            " they claim."
        )
    for name in [*KEY, "status"]:
        if outcomes[name].isna().any():
            raise StatisticsError(
                f"column '{name}' of the outcomes is empty in {int(outcomes[name].isna().sum())} rows"
            )
    repeated = outcomes.duplicated(KEY)
    if repeated.any():
        first = dict(zip(KEY, outcomes.loc[repeated, KEY].iloc[0], strict=True))
        raise StatisticsError(
            f"{int(repeated.sum())} outcomes repeat a cell, the first is {first}; "
            "rank one experiment (one model, one recipe) at a time, or merge the stores first"
        )


def curve_disagreement(validation: Iterable[Any], test: Iterable[Any]) -> NDArray[np.float64]:
    """`1 - Spearman(validation, test)` over the steps of a run: 0 = same order, 1 = unrelated, 2 = reversed.

    Parameters
    ----------
    validation, test : iterables of (sequence of float or None)
        One entry per cell, each with one score per fine-tuning step.

    Returns
    -------
    array of shape (cells,)
        NaN where a curve is absent, shorter than 3 steps, constant, or holds a NaN.

    Raises
    ------
    StatisticsError
        If the two curves of a cell differ in length.

    """
    validation, test = list(validation), list(test)
    lengths = np.fromiter((_length(curve) for curve in validation), dtype=np.int64, count=len(validation))
    test_lengths = np.fromiter((_length(curve) for curve in test), dtype=np.int64, count=len(test))
    present = (lengths > 0) & (test_lengths > 0)
    if (lengths != test_lengths)[present].any():
        cell = int(np.flatnonzero(present & (lengths != test_lengths))[0])
        raise StatisticsError(
            f"row {cell}: curve_validation has {lengths[cell]} steps, curve_test has {test_lengths[cell]}; "
            "both must be scored at every step"
        )
    result = np.full(len(validation), np.nan)
    for length in np.unique(lengths[present & (lengths >= SHORTEST_CURVE)]):
        cells = np.flatnonzero(present & (lengths == length))
        left = np.array([validation[cell] for cell in cells], dtype=float)
        right = np.array([test[cell] for cell in cells], dtype=float)
        result[cells] = 1.0 - _row_correlation(_row_ranks(left), _row_ranks(right))
    return result


def normalised_scores(
    outcomes: pd.DataFrame, metric: str = "roc_auc", *, higher_better: bool | None = None, arm: str = FIRST_ARM
) -> pd.DataFrame:
    """Score of each cell relative to the zero-shot score of the same cell, in percent.

    `gain = sign * (tuned / zero_shot - 1) * 100` (reported of CausalMixFT, arXiv 2601.04110); sign is -1 where lower is
    better.

    Parameters
    ----------
    outcomes : DataFrame, one row per cell
        Columns `dataset`, `fold`, `method`, `seed`, `status` and
        `{zero_shot,tuned}_{validation,test}_{metric}`; optional `curve_validation` and `curve_test`.
    metric : str
        Name of the metric in the columns.
    higher_better : bool, optional
        Direction of the metric; by default `higher_is_better(metric)`.
    arm : str
        The use of the rows whose scores count (`tabgen.arms.ARMS`).

    Returns
    -------
    DataFrame, one row per cell, sorted by dataset, method, fold and seed (the index is the one of `outcomes`)
        `dataset`, `fold`, `method`, `seed`, `status`; `gain_validation` and `gain_test` in percent;
        `optimism` = gain_validation - gain_test; `disagreement` = 1 - Spearman(validation curve, test curve).
        Gains are NaN where the cell is not ok, a score is missing or not finite, or the zero-shot score is
        not positive.

    Raises
    ------
    StatisticsError
        For an empty table, a missing column or a repeated cell.

    """
    columns = {
        (stage, split): f"{stage}_{split}_{metric}"
        for stage in ("zero_shot", ARMS[arm].stage)
        for split in ("validation", "test")
    }
    check_outcomes(outcomes, columns.values())
    if higher_better is None:
        higher_better = higher_is_better(metric)
    sign = 1.0 if higher_better else -1.0
    # A fixed order of rows makes later sums the same to the last bit, whatever order the outcomes came in.
    order = outcomes.sort_values(["dataset", "method", "fold", "seed"], kind="stable")
    scores = order[[*KEY, "status"]].astype({"dataset": str, "method": str, "status": str})
    ok = (order["status"] == "ok").to_numpy()
    for split in ("validation", "test"):
        tuned = pd.to_numeric(order[columns[ARMS[arm].stage, split]]).to_numpy(dtype=float)
        zero_shot = pd.to_numeric(order[columns["zero_shot", split]]).to_numpy(dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = sign * (tuned / zero_shot - 1.0) * 100.0
        scores[f"gain_{split}"] = np.where(ok & (zero_shot > 0) & np.isfinite(gain), gain, np.nan)
    scores["optimism"] = scores["gain_validation"] - scores["gain_test"]
    scores["disagreement"] = np.nan
    if {"curve_validation", "curve_test"} <= set(order.columns):
        scores["disagreement"] = np.where(
            ok, curve_disagreement(order["curve_validation"].tolist(), order["curve_test"].tolist()), np.nan
        )
    return scores


def as_matrix(values: pd.Series, fill_value: int | None = None) -> pd.DataFrame:
    """A series indexed by (dataset, method) as a datasets x methods frame."""
    return values.unstack("method", fill_value=fill_value)  # noqa: PD010 - pivot_table would aggregate again


def observed_means(scores: pd.DataFrame, value: str) -> pd.DataFrame:
    """Mean of a column per (dataset, method): seeds within a fold, then folds; NaN cells are skipped."""
    per_fold = scores.groupby(["dataset", "method", "fold"], observed=True)[value].mean()
    return as_matrix(per_fold.groupby(level=["dataset", "method"], observed=True).mean())


def dataset_means(scores: pd.DataFrame, value: str = "gain_test", policy: Policy = "complete") -> DatasetMeans:
    """Average seeds and folds, so that the dataset is the unit, and apply a policy to what is missing.

    Parameters
    ----------
    scores : DataFrame
        As returned by `normalised_scores`.
    value : str
        The column to average; higher must be better for `worst`, zero must mean zero-shot for `baseline`.
    policy : {"complete", "worst", "baseline"}
        `complete` keeps the datasets on which every ranked method has every cell. `worst` ranks a method last on a
        dataset where any of its cells is missing (value: one point below the lowest mean of the matrix, or below 0).
        `baseline` counts each missing cell as a gain of 0. Under each, only the cells on the grid count
        (`tabgen.statistics.coverage`), and a method that covers too little of it is excluded, lest it shrink the pool
        of the others: it needs `LEAST_COVERAGE` of the datasets that the most complete method finished (`complete`),
        or of those of the grid, however its cells ended there (`worst`, `baseline`).

    Returns
    -------
    DatasetMeans
        With every exclusion, drop and imputation listed.

    Raises
    ------
    StatisticsError
        For an unknown policy.

    Notes
    -----
    A method is expected to have each fold of the grid on that dataset, times each of its own seeds.

    """
    if policy not in POLICIES:
        raise StatisticsError(f"unknown policy '{policy}' for missing outcomes; expected one of {list(POLICIES)}")
    grid, names = grid_of(scores), sorted(map(str, scores["method"].unique()))
    outside = sorted(set(map(str, scores["dataset"].unique())) - set(grid.datasets))
    scores = scores[grid.holds(scores)]
    groups = scores.groupby(["dataset", "method"], observed=True)
    index, columns = pd.Index(grid.datasets), pd.Index(names)
    ok = as_matrix(groups[value].count(), fill_value=0).reindex(index=index, columns=columns, fill_value=0)
    ran = as_matrix(groups.size(), fill_value=0).reindex(index=index, columns=columns, fill_value=0)
    due = np.outer([len(grid.folds[name]) for name in grid.datasets], [len(grid.seeds[name]) for name in names])
    expected = pd.DataFrame(due, index=index, columns=columns)
    complete = (ok == expected) & (ran == expected)
    observed = observed_means(scores, value).reindex(index=index, columns=columns).where(complete)

    covered = (complete if policy == "complete" else ran > 0).sum(axis=0)
    wanted = int(covered[grid.heard].max()) if policy == "complete" else len(grid.datasets)
    excluded = [name for name in names if name not in grid.methods or not enough(int(covered[name]), wanted)]
    kept = complete.drop(columns=excluded)
    dropped: list[str] = []
    if policy == "complete":
        keep_rows = kept.all(axis=1) if kept.shape[1] else pd.Series(False, index=kept.index)
        dropped = [str(dataset) for dataset in kept.index[~keep_rows]]
        matrix = observed.loc[keep_rows, kept.columns]
    elif policy == "worst":
        lowest = float(np.nanmin(observed[kept.columns].to_numpy())) if kept.to_numpy().any() else 0.0
        matrix = observed[kept.columns].fillna(min(lowest, 0.0) - 1.0)
    else:
        total = as_matrix(groups[value].sum()).reindex(index=index, columns=columns).fillna(0.0)
        matrix = observed.fillna(total / expected)[kept.columns]
    return DatasetMeans(
        matrix=matrix.round(TIE_DECIMALS) + 0.0,  # + 0.0 turns -0.0 into 0.0
        observed=observed,
        policy=policy,
        dropped_datasets=dropped,
        excluded_methods=excluded,
        incomplete=_incomplete_pairs(scores, value, ok, expected, complete, policy, excluded),
        grid=grid,
        outside=outside,
        coverage={str(name): int(number) for name, number in covered.items()},
        due=wanted,
    )


def _incomplete_pairs(
    scores: pd.DataFrame,
    value: str,
    ok: pd.DataFrame,
    expected: pd.DataFrame,
    complete: pd.DataFrame,
    policy: Policy,
    excluded: list[str],
) -> list[Incomplete]:
    failed = scores.loc[scores[value].isna(), ["dataset", "method", "status"]]
    failed = failed.replace({"status": {"ok": "no_score"}})
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for *pair, name, cells in failed.value_counts(sort=False).reset_index().itertuples(index=False):
        counts.setdefault((pair[0], pair[1]), {})[str(name)] = int(cells)
    counted, wanted = ok.to_numpy(), expected.to_numpy()
    records = []
    for row, column in np.argwhere(~complete.to_numpy()):
        dataset, method = ok.index[row], ok.columns[column]
        statuses = dict(counts.get((dataset, method), {}))
        absent = int(wanted[row, column]) - int(counted[row, column]) - sum(statuses.values())
        if absent > 0:
            statuses["missing"] = absent
        action: Any = {"worst": "ranked last", "baseline": "scored as zero-shot"}.get(policy, "dataset dropped")
        if method in excluded:
            action = "method excluded"
        records.append(
            Incomplete(
                dataset=str(dataset),
                method=str(method),
                ok=int(counted[row, column]),
                expected=int(wanted[row, column]),
                statuses=statuses,
                action=action,
            )
        )
    return records


def _length(curve: Any) -> int:
    # An absent curve arrives as None from Python, as NaN from a DataFrame.
    return len(curve) if isinstance(curve, (list, tuple, np.ndarray)) else 0


def _row_ranks(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks within each row, ties sharing their mean; NaN throughout a row that holds one."""
    from scipy.stats import rankdata

    order = rows.argsort(axis=1)
    ranks = np.empty_like(rows)
    np.put_along_axis(ranks, order, np.arange(1.0, rows.shape[1] + 1)[np.newaxis], axis=1)
    rising = (np.diff(np.take_along_axis(rows, order, axis=1), axis=1) > 0).all(axis=1)
    if not rising.all():  # scipy's ranks are right for every row, and slow
        ranks[~rising] = rankdata(rows[~rising], axis=1, nan_policy="propagate")
    return ranks


def _row_correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    left = left - left.mean(axis=1, keepdims=True)
    right = right - right.mean(axis=1, keepdims=True)
    scale = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, (left * right).sum(axis=1) / scale, np.nan)
