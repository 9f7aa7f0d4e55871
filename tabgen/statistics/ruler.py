"""The ruler: real rows of which a known share is broken, and what an arm can tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tabgen.comparable import cell_of, identity_of
from tabgen.outcome import Cell, canonical_json
from tabgen.statistics.controls import REFERENCE
from tabgen.statistics.significance import holm, signed_rank

RULER = "corrupted"


@dataclass(frozen=True)
class Resolution:
    """What an arm resolves at the datasets of a pool.

    Attributes
    ----------
    what : str
        What was broken: labels, features or both.
    datasets : int
    doses : list of float
        The shares of broken rows that were measured, lowest first.
    gains : list of float
        Median gain of each dose, in points.
    right_order : float
        Share of (dataset, neighbouring doses) in which the higher dose scores lower.
    detected : float or None
        The smallest dose found below the lowest one (signed-rank, Holm over the doses); None: none was.
    places : dict of str to float
        For every other method the share of broken rows that is as good as it, by the median gains made monotone; the
        lowest or highest dose where it lies beyond.
    """

    what: str
    datasets: int
    doses: list[float]
    gains: list[float]
    right_order: float
    detected: float | None
    places: dict[str, float] = field(default_factory=dict)


def read_ruler(outcomes: pd.DataFrame, matrix: pd.DataFrame, alpha: float) -> Resolution | None:
    """The resolution of a pool that holds at least three doses of the ruler, of broken labels if there are any.

    The real rows as they are stand for the dose 0 where it was not run.

    Parameters
    ----------
    outcomes : DataFrame
        With `method`, `generator` and `settings`, and whatever else of a cell may differ.
    matrix : DataFrame
        Shape (datasets, methods), mean gains in points.
    """
    if not {"generator", "settings"} <= set(outcomes.columns) or not len(matrix):
        return None
    ruler = _longest(outcomes[(outcomes["generator"] == RULER) & outcomes["method"].isin(matrix.columns)])
    if len(ruler) < 3:
        return None
    doses = {share: cell.method for share, cell in ruler.items()}
    if REFERENCE in matrix.columns:
        doses.setdefault(0.0, REFERENCE)
    shares = sorted(doses)
    gains = matrix[[doses[share] for share in shares]].to_numpy(dtype=float)
    p = holm([signed_rank(gains[:, column] - gains[:, 0]).p for column in range(1, len(shares))])
    lower = np.median(gains[:, 1:] - gains[:, :1], axis=0) < 0
    detected = [share for share, each, below in zip(shares[1:], p, lower, strict=True) if each <= alpha and below]
    medians = np.median(gains, axis=0)
    return Resolution(
        what=_broken(next(iter(ruler.values()))),
        datasets=len(matrix),
        doses=shares,
        gains=[float(value) for value in medians],
        right_order=float((np.diff(gains, axis=1) < 0).mean()),
        detected=min(detected, default=None),
        places=_places(shares, medians, matrix.drop(columns=list(doses.values()))),
    )


def _longest(corrupted: pd.DataFrame) -> dict[float, Cell]:
    """The doses of one ruler: methods that differ in nothing else.

    Of several such rulers with three doses one of broken labels is taken, then one with the most doses, in place of the
    real rows, with as many rows as these.
    """
    rulers: dict[str, dict[float, Cell]] = {}
    for row in corrupted.drop_duplicates("method").to_dict("records"):
        cell = cell_of(row)
        identity = identity_of(replace(cell, settings=cell.settings | {"share": None}))
        rulers.setdefault(canonical_json(identity), {})[float(cell.settings.get("share", 0.0))] = cell

    def order(ruler: dict[float, Cell]) -> tuple[Any, ...]:
        first = next(iter(ruler.values()))
        what, far = _broken(first), abs(np.log(first.ratio or 1.0))
        return len(ruler) < 3, what != "labels", what, -len(ruler), first.mixing == "augment", far

    return min(rulers.values(), key=order, default={})


def _broken(cell: Cell) -> str:
    """What of its rows is broken."""
    return str(cell.settings.get("what"))


def _places(shares: list[float], medians: np.ndarray[Any, Any], others: pd.DataFrame) -> dict[str, float]:
    """Where the median gain of each method lies on the ruler."""
    from sklearn.isotonic import IsotonicRegression

    falling = IsotonicRegression(increasing=False).fit(shares, medians).predict(shares)
    gains = others.median(axis=0)
    # np.interp wants rising abscissae: gains fall as the dose rises
    return {str(name): float(np.interp(value, falling[::-1], shares[::-1])) for name, value in gains.items()}
