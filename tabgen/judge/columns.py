"""Each column real beside synthetic: what it holds, what is missing, and how far the two distributions are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabgen.column import Column
from tabgen.table import Table
from tabgen.text import cut


@dataclass(frozen=True)
class ColumnPair:
    """One column of the real and of the synthetic rows.

    Attributes
    ----------
    spec : Column
        The target is one of categories.
    is_target : bool
    real, drawn : pandas.Series
        Its values, missing ones too; ``drawn`` is None for a column that the sample lacks.
    """

    spec: Column
    is_target: bool
    real: pd.Series[Any]
    drawn: pd.Series[Any] | None

    @property
    def shape(self) -> float:
        """1 - Kolmogorov and Smirnov's distance (numbers, dates), 1 - total variation distance (levels); else NaN."""
        if self.drawn is None or self.spec.kind == "text":
            return float("nan")
        real, drawn = self.real.dropna(), self.drawn.dropna()
        if real.empty or drawn.empty:
            return float("nan")
        if self.spec.is_discrete:
            shares = pd.concat([shares_of(real), shares_of(drawn)], axis=1).fillna(0.0)
            return float(1 - (shares.iloc[:, 0] - shares.iloc[:, 1]).abs().sum() / 2)
        from scipy.stats import ks_2samp

        return float(1 - ks_2samp(numbers_of(real), numbers_of(drawn)).statistic)

    @property
    def missing(self) -> tuple[float, float]:
        """Shares of missing values, real and synthetic."""
        return float(self.real.isna().mean()), float("nan") if self.drawn is None else float(self.drawn.isna().mean())

    @property
    def summaries(self) -> tuple[str, str]:
        """What it holds in a few words, real and synthetic."""
        return self._summary(self.real), "not drawn" if self.drawn is None else self._summary(self.drawn)

    def _summary(self, values: pd.Series[Any]) -> str:
        known = values.dropna()
        if known.empty:
            return "nothing"
        if self.spec.is_discrete:
            seen = shares_of(known)
            return f"{len(seen)} {'level' if len(seen) == 1 else 'levels'}, most often {short(seen.index[0])}"
        if self.spec.kind == "text":
            words = known.map(lambda text: len(str(text).split())).mean()
            return f"{known.nunique():,} different texts, {words:.0f} words on average"
        if self.spec.kind == "datetime":
            return f"{known.min():%Y-%m-%d} .. {known.max():%Y-%m-%d}"
        return f"{_shown(known.min())} .. {_shown(known.max())}, median {_shown(known.median())}"


def shares_of(values: pd.Series[Any]) -> pd.Series[float]:
    """Share of each level that occurs, the most frequent first, levels as they are."""
    return values.dropna().astype(object).value_counts(normalize=True)


def numbers_of(values: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers as they are, dates as days since 1970; no missing values."""
    known = values.dropna()
    if known.dtype.kind == "M":
        return known.to_numpy().astype("datetime64[us]").astype(np.int64) / 86_400e6
    return known.to_numpy(dtype=np.float64)


def _shown(number: float) -> str:
    """A number as people write it: no more digits than tell."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.4g}"


def short(value: Any) -> str:
    """A level as text, cut where it would leave no room."""
    return cut(" ".join(str(value).split()), 24)


def column_pairs(real: Table, sample: Table) -> Sequence[ColumnPair]:
    """The target first, then the feature columns in their order."""
    target = real.schema.target_column
    frame, drawn = real.local_frame, sample.local_frame
    return [
        ColumnPair(spec, spec.name == target.name, frame[spec.name], drawn.get(spec.name))
        for spec in (target, *real.schema.columns)
    ]
