"""Does more synthetic data help? The gain of a generator by the number of its rows, and where that levels off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from tabgen.comparable import cell_of, identity_of
from tabgen.outcome import Cell, canonical_json, hash_of
from tabgen.power_law import nearest
from tabgen.statistics.pairs import pseudo_median
from tabgen.statistics.ranks import Interval
from tabgen.statistics.records import Ranking
from tabgen.statistics.scores import StatisticsError
from tabgen.statistics.significance import holm, signed_rank
from tabgen.statistics.verdicts import FEWEST_DATASETS

FEWEST_RATIOS = 4
"""A curve of three numbers needs at least one ratio more."""
RESAMPLES = 300


@dataclass(frozen=True)
class Saturation:
    """gain(ratio) = ceiling - distance * (ratio / first) ** -exponent, through the medians over datasets.

    Attributes
    ----------
    name : str
        The generator, with the mixing, settings, recipe and version that set it apart from others of its name.
    ratios : list of float
        Synthetic rows per real row, fewest first.
    gains : list of float
        Median gain over the datasets at each ratio, in points.
    ceiling : float or None
        What the gain tends to, in points. None with fewer than four ratios, where it does not rise with them, and where
        the ends of the interval are further apart than the gains themselves: then its end is not in sight.
    ceiling_interval : Interval or None
        95 %, by resampling datasets.
    distance : float or None
        How far the fit is below it at the first ratio.
    exponent : float or None
        How fast it gets there.
    more : float
        The largest ratio against the one nearest to 1: pseudo-median over datasets of the paired difference, in points.
    more_interval : Interval or None
        95 %, for this generator by itself.
    p : float
        Of no such difference (signed-rank), Holm-adjusted over the generators.
    """

    name: str
    ratios: list[float]
    gains: list[float]
    ceiling: float | None
    ceiling_interval: Interval | None
    distance: float | None
    exponent: float | None
    more: float
    more_interval: Interval | None
    p: float

    def __call__(self, ratio: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The fitted gain at these ratios, where there is a fit."""
        if self.ceiling is None or self.distance is None or self.exponent is None:
            raise StatisticsError(f"what the gains of {self.name} tend to cannot be told, so they have no curve.")
        return np.asarray(self.ceiling - self.distance * (ratio / self.ratios[0]) ** -self.exponent)


def lines_of(outcomes: pd.DataFrame, fewest: int = 2) -> dict[str, dict[float, str]]:
    """Methods that differ in nothing but their ratio, at so many of them or more: name -> ratio -> method.

    What tells two lines apart is in their names where they would be alike without it.
    """
    lines: dict[tuple[str, int], dict[float, Cell]] = {}
    for row in outcomes[outcomes["generator"].notna()].drop_duplicates("method").to_dict("records"):
        cell = cell_of(row)
        line, ratio = _line(cell), float(cell.ratio)
        free = next(number for number in count() if ratio not in lines.get((line, number), {}))
        lines.setdefault((line, free), {})[ratio] = cell
    kept = [dict(sorted(cells.items())) for cells in lines.values() if len(cells) >= fewest]
    names = _names([next(iter(cells.values())) for cells in kept])
    return {
        name: {ratio: cell.method for ratio, cell in cells.items()} for name, cells in zip(names, kept, strict=True)
    }


def _names(cells: Sequence[Cell]) -> list[str]:
    """Of a cell of each line: its generator, and what tells it from other lines of that."""
    names = [str(cell.generator) for cell in cells]
    for tell in TELLS:
        words = [tell(cell) for cell in cells]
        of: dict[str, set[str]] = {}
        for name, word in zip(names, words, strict=True):
            of.setdefault(name, set()).add(word)
        names = [name + word if len(of[name]) > 1 else name for name, word in zip(names, words, strict=True)]
    return names


def _line(cell: Cell) -> str:
    """What the methods of a line have in common."""
    return canonical_json({name: value for name, value in identity_of(cell).items() if name != "ratio"})


def _settings(cell: Cell) -> str:
    tuned = f" tuned by {sorted(cell.tune.items())}" if cell.tune else ""
    return (f" {sorted(cell.settings.items())}" if cell.settings else "") + tuned


TELLS: tuple[Callable[[Cell], str], ...] = (
    lambda cell: f"@{cell.mixing}",
    _settings,
    lambda cell: f" recipe={cell.recipe.get('name')}" if "recipe" in identity_of(cell) else "",
    lambda cell: f" ({cell.plugin_version})",
    lambda cell: f" ({hash_of(_line(cell))[:6]})",
    lambda cell: f" ({cell.method})",
)
"""What may tell lines of one generator apart, in the order in which it is said."""


def saturations(ranking: Ranking, outcomes: pd.DataFrame, seed: int = 0) -> list[Saturation]:
    """The curve of every generator that was run at two or more ratios, by the datasets of the ranking's pool.

    Parameters
    ----------
    ranking : Ranking
        Its ``gains`` are used: (datasets, methods), in points.
    outcomes : DataFrame
        Of the same pool and arm, with ``method``, ``generator``, ``mixing``, ``settings`` and ``ratio``, and whatever
        else of a cell may differ.
    """
    ranked = {
        name: {ratio: method for ratio, method in line.items() if method in ranking.gains.columns}
        for name, line in lines_of(outcomes).items()
    }
    curves = [_curve(name, ranking.gains, line, seed) for name, line in ranked.items() if len(line) >= 2]
    adjusted = holm([curve.p for curve in curves])
    return [replace(curve, p=p) for curve, p in zip(curves, adjusted, strict=True)]


def _curve(name: str, matrix: pd.DataFrame, line: dict[float, str], seed: int) -> Saturation:
    ratios = np.array(sorted(line))
    gains = matrix[[line[ratio] for ratio in ratios]].to_numpy(dtype=float)
    medians = np.median(gains, axis=0)
    ceiling = distance = exponent = interval = None
    if len(ratios) >= FEWEST_RATIOS and len(gains) >= FEWEST_DATASETS:
        x = ratios / ratios[0]
        floor, distance, exponent = nearest(x, -medians)
        ceiling = -floor
        rng = np.random.default_rng(seed)
        drawn = [gains[rng.integers(len(gains), size=len(gains))] for _ in range(RESAMPLES)]
        ceilings = [-nearest(x, -np.median(each, axis=0), (exponent,))[0] for each in drawn]
        interval = Interval(*(float(value) for value in np.quantile(ceilings, [0.025, 0.975])))
        if distance == 0 or interval.high - interval.low > np.ptp(medians):
            ceiling = distance = exponent = interval = None
    one = int(np.abs(np.log(ratios)).argmin())
    difference = gains[:, -1] - gains[:, one]
    more = pseudo_median(difference)
    return Saturation(
        name,
        [float(ratio) for ratio in ratios],
        [float(value) for value in medians],
        ceiling,
        interval,
        distance,
        exponent,
        more.estimate,
        more.interval,
        signed_rank(difference).p,
    )
