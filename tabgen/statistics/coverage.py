"""The grid of a board, and who covers it: somebody's few cells never decide what the others are ranked on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabgen.generator import BASELINES

LEAST_COVERAGE = 0.8
"""Share of the grid's datasets that a method needs to be ranked, or all but one; below it is listed as incomplete."""


@dataclass(frozen=True)
class Grid:
    """The datasets, folds and seeds that a board is made of, and the methods that cover it.

    Attributes
    ----------
    datasets, methods : list of str
        Sorted. Other datasets are outside the grid; other methods are incomplete.
    folds : dict of str to set of int
        The folds that are due, by dataset.
    seeds : dict of str to set of int
        The seeds that are due, by method: of every method, incomplete ones too.
    """

    datasets: list[str]
    methods: list[str]
    folds: dict[str, set[int]]
    seeds: dict[str, set[int]]

    @property
    def heard(self) -> list[str]:
        """The methods that decide what is due: not baselines, which everybody runs, unless there is nothing else."""
        return [name for name in self.methods if name not in BASELINES] or self.methods

    def holds(self, scores: pd.DataFrame) -> pd.Series:
        """Which cells are on the grid, whoever ran them."""
        due_folds = {(dataset, fold) for dataset, folds in self.folds.items() for fold in folds}
        due_seeds = {(method, seed) for method, seeds in self.seeds.items() for seed in seeds}
        folds = pd.MultiIndex.from_frame(scores[["dataset", "fold"]]).isin(list(due_folds))
        seeds = pd.MultiIndex.from_frame(scores[["method", "seed"]]).isin(list(due_seeds))
        return pd.Series(folds & seeds, scores.index)


def enough(covered: int, due: int) -> bool:
    """Whether so many datasets of those due are enough to be ranked: `LEAST_COVERAGE`, or all but one."""
    return covered > 0 and due - covered <= max(1.0, (1.0 - LEAST_COVERAGE) * due + 1e-9)


def grid_of(scores: pd.DataFrame) -> Grid:
    """The grid that most cells of generators make.

    Candidates are the datasets that each method was run on, and all of them. The methods that cover a candidate are
    those with a cell, however it ended, on `LEAST_COVERAGE` of its datasets (or on all but one). The grid is the
    candidate with the most pairs of dataset and covering method, each absent pair taken off; of equal ones that with
    more datasets, then the first by name. A fold is due where at least half of the covering methods have it; where that
    is none of a dataset's folds, all are, and nobody has that dataset whole. A seed is due where a method has it on at
    least half of its datasets. Baselines, which everybody runs, have no voice unless there is nothing else.

    Parameters
    ----------
    scores : DataFrame
        One row per cell: `dataset`, `method`, `fold`, `seed`.
    """
    ran = pd.crosstab(scores["dataset"], scores["method"]).gt(0).sort_index(axis=0).sort_index(axis=1)
    datasets, methods = [str(name) for name in ran.index], [str(name) for name in ran.columns]
    table = ran.to_numpy()
    voices = np.array([name not in BASELINES for name in methods])

    def worth(pair: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> tuple[int, int, tuple[bool, ...]]:
        inside, covering = pair
        heard = covering & voices if (covering & voices).any() else covering
        part = table[inside][:, heard]
        pairs = 0 if voices.any() and heard is covering else 2 * int(part.sum()) - part.size
        return pairs, int(inside.sum()), tuple(inside)

    inside, covering = max(_candidates(table), key=worth)
    kept = [name for name, within in zip(datasets, inside, strict=True) if within]
    ranked = [name for name, covers in zip(methods, covering, strict=True) if covers]
    on_grid = scores[scores["dataset"].isin(kept)]
    heard = [name for name in ranked if name not in BASELINES] or ranked
    folds = _due(on_grid[on_grid["method"].isin(heard)], "fold", "dataset", "method")
    everywhere = on_grid.groupby("dataset", observed=True)["fold"].agg(set)
    due = {name: folds.get(name) or {int(fold) for fold in everywhere[name]} for name in kept}
    return Grid(kept, ranked, due, _seeds_due(scores, on_grid))


def _candidates(table: NDArray[np.bool_]) -> Iterable[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Sets of datasets, each with the methods that cover it."""
    seen = set()
    for inside in [np.ones(len(table), dtype=bool), *table.T]:
        if inside.tobytes() not in seen and inside.any():
            seen.add(inside.tobytes())
            due = int(inside.sum())
            yield inside, np.array([enough(int(covered), due) for covered in table[inside].sum(axis=0)])


def _due(scores: pd.DataFrame, what: str, within: str, counted: str) -> dict[str, set[int]]:
    """The values of a column that at least half of those counted have within each group."""
    everyone = scores.groupby(within, observed=True)[counted].nunique()
    each = scores.groupby([within, what], observed=True)[counted].nunique()
    due: dict[str, set[int]] = {str(name): set() for name in everyone.index}
    for name, value, number in each.rename("number").reset_index().itertuples(index=False):
        if 2 * number >= everyone[name]:
            due[str(name)].add(int(value))
    return due


def _seeds_due(scores: pd.DataFrame, on_grid: pd.DataFrame) -> dict[str, set[int]]:
    """By method; one that has no cell on the grid is due the seeds it has elsewhere."""
    due = _due(scores, "seed", "method", "dataset") | _due(on_grid, "seed", "method", "dataset")
    everything = scores.groupby("method", observed=True)["seed"].agg(set)
    return {name: seeds or {int(seed) for seed in everything[name]} for name, seeds in due.items()}
