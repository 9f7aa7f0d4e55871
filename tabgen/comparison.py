"""A comparison's outcomes with what can be made of them: rankings, the answer for one table, figures."""

from __future__ import annotations

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tabgen.comparable import pools
from tabgen.errors import ExperimentError
from tabgen.results import answers, default_arm, rank_pools

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tabgen.comparable import Ranked
    from tabgen.statistics import Answer, Ranking


class Comparison:
    """What :func:`tabgen.compare` found.

    Parameters
    ----------
    outcomes : DataFrame
        One row per cell, as :func:`tabgen.load_results` reads them.
    folder : Path
        Of the run.
    """

    def __init__(self, outcomes: pd.DataFrame, folder: Path) -> None:
        self._outcomes, self.folder = outcomes, folder

    def to_frame(self) -> pd.DataFrame:
        """One row per cell; the columns are those of :func:`tabgen.load_results`."""
        return self._outcomes.copy()

    def ranking(self, arm: str | None = None, metric: str = "roc_auc") -> Ranking:
        """The ranking of the methods in one arm, by default the one that tells most apart.

        Raises
        ------
        ExperimentError
            If nothing has a score there, or several pools were run (other caps, other recipes): filter
            ``to_frame()`` and use :func:`tabgen.statistics.summary`.
        """
        found = self._ranked(arm or default_arm(self._outcomes), metric)
        if len(found) != 1 or found[0].ranking is None:
            names = ", ".join(each.pool.name for each in found) or "none"
            raise ExperimentError(f"one pool with scores can be ranked; there are {len(found)}: {names}.")
        return found[0].ranking

    @cached_property
    def answer(self) -> Answer | None:
        """What to do with the table, where there is one table and one pool."""
        found = answers(pools(self._outcomes))
        return found[0][1] if len(found) == 1 else None

    @property
    def plot(self) -> Plots:
        """Figures: ``plot.ranks()``, ``plot.worth()``, ``plot.gains()``."""
        return Plots(self)

    def __len__(self) -> int:
        return len(self._outcomes)

    def __repr__(self) -> str:
        counts = self._outcomes["status"].value_counts()
        statuses = ", ".join(f"{number} {status}" for status, number in counts.items())
        return f"<Comparison of {self._outcomes['method'].nunique()} methods: {len(self)} cells ({statuses})>"

    def _repr_html_(self) -> str:
        """For notebooks: the answer of one table or the rankings of several."""
        parts = [f"<p>{escape(repr(self))}</p>"]
        if self.answer is not None:
            parts.append(f"<p><strong>{escape(self.answer.reason)}</strong></p>")
            parts.append(_table([_candidate(each) for each in self.answer.candidates]))
            return "".join(parts)
        for each in self._ranked(default_arm(self._outcomes), "roc_auc"):
            if each.ranking is not None:
                parts.append(f"<p>{escape(each.pool.name)}, arm {escape(each.arm)}</p>")
                parts.append(_table([_record(record) for record in each.ranking.methods]))
                parts.append("<ul>" + "".join(f"<li>{escape(s)}</li>" for s in each.ranking.sentences()) + "</ul>")
        return "".join(parts)

    def _ranked(self, arm: str, metric: str) -> list[Ranked]:
        return rank_pools(self._outcomes, metric, arms=[arm])


class Plots:
    """The figures of a comparison; each is a matplotlib figure."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def ranks(self, arm: str | None = None, metric: str = "roc_auc") -> Figure:
        """Mean ranks, and what cannot be told apart."""
        from tabgen.figures.ranks import critical_difference_diagram

        return critical_difference_diagram(self._comparison.ranking(arm, metric))

    def gains(self, arm: str | None = None, metric: str = "roc_auc") -> Figure:
        """The gain over zero-shot on every dataset."""
        from tabgen.figures.gains import gains_per_dataset

        return gains_per_dataset(self._comparison.ranking(arm, metric))

    def worth(self, arm: str = "context") -> Figure:
        """What each method's rows are worth in real ones."""
        from tabgen.figures.worth import worth_of_rows

        return worth_of_rows(self._comparison.ranking(arm))


def _candidate(candidate: Any) -> dict[str, Any]:
    from tabgen.statistics.one_table import use_of

    test = candidate.test
    return {
        "use": use_of(candidate),
        "before": candidate.before,
        "after": candidate.after,
        "low": test.low if test else None,
        "high": test.high if test else None,
        "worth": candidate.worth,
    }


def _record(record: Any) -> dict[str, Any]:
    return {
        "method": record.method,
        "mean rank": record.mean_rank,
        "median gain": record.median_gain,
        "worth": record.worth.rows if record.worth else None,
        "cells": record.cells_ok,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_html(index=False, float_format="{:.3f}".format, na_rep="", border=0)
