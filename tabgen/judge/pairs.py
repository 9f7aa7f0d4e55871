"""Trends of pairs: how strongly two columns go together in the real rows, in the synthetic rows, and the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabgen.column import Column
from tabgen.judge.columns import numbers_of
from tabgen.places import cap
from tabgen.table import Table

MOST_COLUMNS = 12
"""Features that are shown beside the target: those that go with it most, in the real rows."""
MAX_ROWS = 5000
BINS = 5
"""Parts that a number is cut into beside a category, at the real rows' quantiles."""
MOST_LEVELS = 20
"""Levels of a category beyond which the rarest of the real rows are one."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Pairs:
    """Associations of columns, (columns, columns) each; NaN where one is not defined.

    Attributes
    ----------
    names : list of str
        The target last.
    left_out : int
        Features that are not among them.
    real, drawn : ndarray
        Spearman's rank correlation of two numbers, -1 to 1; Cramér's V of anything else, 0 to 1, by Bergsma's
        correction for its bias (2013), numbers cut into :data:`BINS` parts.
    """

    names: list[str]
    left_out: int
    real: Array
    drawn: Array

    @property
    def difference(self) -> Array:
        """Synthetic less real."""
        found: Array = self.drawn - self.real
        return found

    @property
    def error(self) -> float:
        """Mean absolute difference over the pairs."""
        known = np.abs(self.difference[np.triu_indices(len(self.names), 1)])
        return float(np.nanmean(known)) if np.isfinite(known).any() else float("nan")

    def furthest(self, most: int = 10) -> list[tuple[str, str, float, float]]:
        """The pairs that differ most: both columns, the real and the synthetic association."""
        rows, columns = np.triu_indices(len(self.names), 1)
        apart = np.abs(self.difference[rows, columns])
        order = [i for i in np.argsort(-apart, kind="stable") if np.isfinite(apart[i])][:most]
        return [
            (self.names[r], self.names[c], float(self.real[r, c]), float(self.drawn[r, c]))
            for r, c in zip(rows[order], columns[order], strict=True)
        ]


def pair_trends(real: Table, sample: Table, seed: int) -> Pairs:
    """Associations of the target with the features that go with it most, and of these with each other."""
    specs = [c for c in real.schema.columns if c.name in sample.schema.names and c.kind != "text"]
    target = real.schema.target_column
    rng = np.random.default_rng(seed)
    frames = [cap(table, MAX_ROWS, rng).frame for table in (real, sample)]
    cut = {c.name: _Cut(c, frames[0][c.name]) for c in (*specs, target)}
    strength = {c.name: _association(c, target, cut, frames[0]) for c in specs}
    order = sorted(specs, key=lambda c: (-np.nan_to_num(abs(strength[c.name]), nan=-1.0), c.name))
    kept = {c.name for c in order[:MOST_COLUMNS]}
    shown = [*(c for c in specs if c.name in kept), target]
    matrices = []
    for frame in frames:
        matrix = np.eye(len(shown))
        for i, left in enumerate(shown):
            for j in range(i):
                matrix[i, j] = matrix[j, i] = _association(left, shown[j], cut, frame)
        matrices.append(matrix)
    return Pairs([c.name for c in shown], len(specs) - len(kept), matrices[0], matrices[1])


class _Cut:
    """A column as codes, cut as the real rows say; missing values are a code of their own."""

    def __init__(self, column: Column, real: pd.Series[Any]) -> None:
        self.column = column
        if column.is_discrete:
            common = real.astype(object).value_counts().index[: MOST_LEVELS - 1]
            self.codes = {level: code for code, level in enumerate(common)}
        else:
            known = numbers_of(real)
            self.edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)

    def __call__(self, values: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        codes = np.full(len(values), -1, dtype=np.int64)
        known = values.notna().to_numpy()
        if self.column.is_discrete:
            rare = len(self.codes)
            codes[known] = [self.codes.get(value, rare) for value in values[known].astype(object)]
        else:
            codes[known] = np.searchsorted(self.edges, numbers_of(values), side="right")
        return codes


def _association(left: Column, right: Column, cut: dict[str, _Cut], frame: pd.DataFrame) -> float:
    if not left.is_discrete and not right.is_discrete:
        return _spearman(frame[left.name], frame[right.name])
    return cramers_v(cut[left.name](frame[left.name]), cut[right.name](frame[right.name]))


def _spearman(left: pd.Series[Any], right: pd.Series[Any]) -> float:
    both = (left.notna() & right.notna()).to_numpy()
    a, b = (pd.Series(numbers_of(values[both])).rank().to_numpy() for values in (left, right))
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def cramers_v(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Cramér's V of two columns of codes, corrected for its bias; NaN where one of them is constant.

    Source: Bergsma, *A bias-correction for Cramér's V and Tschuprow's T* (2013), equation 4.
    """
    a, b = (np.unique(values, return_inverse=True)[1] for values in (left, right))
    counts = np.zeros((a.max(initial=0) + 1, b.max(initial=0) + 1))
    np.add.at(counts, (a, b), 1)
    n, (r, c) = counts.sum(), counts.shape
    if n < 3 or r < 2 or c < 2:
        return float("nan")
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / n
    phi = ((counts - expected) ** 2 / expected).sum() / n
    corrected = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    r, c = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    least = min(r, c) - 1
    return float(np.sqrt(min(1.0, corrected / least))) if least > 0 else float("nan")
