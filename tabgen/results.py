"""Outcomes as a DataFrame: what statistics, figures and users read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tabgen.errors import ExperimentError, StoreError, UnknownNameError
from tabgen.store import Store

if TYPE_CHECKING:
    from tabgen.statistics import Ranking


def keep(
    outcomes: pd.DataFrame,
    suite: str | None = None,
    methods: Sequence[str] | None = None,
    max_train_rows: int | None = None,
) -> pd.DataFrame:
    """The outcomes of one suite, of these methods, or of this cap on training rows.

    Raises
    ------
    ExperimentError
        If a method named here has no outcome, or nothing is left.
    """
    if methods is not None:
        for method in methods:
            if method not in set(outcomes["method"]):
                raise UnknownNameError("method in this run", method, outcomes["method"].unique())
        outcomes = outcomes[outcomes["method"].isin(methods)]
    if suite is not None:
        outcomes = outcomes[outcomes["suite"] == suite]
    if max_train_rows is not None:
        outcomes = outcomes[outcomes["max_train_rows"] == max_train_rows]
    if outcomes.empty:
        raise ExperimentError("no outcome is left after these filters.")
    return outcomes


def regimes(outcomes: pd.DataFrame) -> dict[int | None, pd.DataFrame]:
    """The outcomes by their cap on training rows, smallest first; None is no cap, and comes last.

    A ranking holds for one regime: the same table under two caps is not two datasets.
    """
    caps = outcomes["max_train_rows"] if "max_train_rows" in outcomes.columns else pd.Series(None, outcomes.index)
    parts: dict[int | None, pd.DataFrame] = {
        int(cap): outcomes[caps == cap] for cap in sorted(pd.to_numeric(caps).dropna().unique())
    }
    return parts | ({None: outcomes[caps.isna()]} if caps.isna().any() else {})


def has_scores(outcomes: pd.DataFrame) -> bool:
    """Whether any cell of these ended with a score."""
    return bool((outcomes["status"] == "ok").any())


def reasons(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Why cells ended without a score: status, reason, how many cells, of which methods and datasets; most cells first.

    Reasons that differ in numbers only, such as the fold, are one.
    """
    failed = outcomes[outcomes["status"] != "ok"]
    alike = failed["reason"].str.replace(r"\d+(\.\d+)?", "#", regex=True)
    groups = failed.groupby([failed["status"], alike], sort=False)
    rows = [
        {
            "status": part["status"].iloc[0],
            "reason": part["reason"].iloc[0],
            "cells": len(part),
            "methods": ", ".join(dict.fromkeys(part["method"])),
            "datasets": ", ".join(dict.fromkeys(part["dataset"])),
        }
        for _, part in groups
    ]
    found = pd.DataFrame(rows, columns=["status", "reason", "cells", "methods", "datasets"])
    return found.sort_values("cells", ascending=False, kind="stable", ignore_index=True)


def regime_name(cap: int | None) -> str:
    """What tables and pages call the regime of a cap on training rows."""
    return "all training rows" if cap is None else f"at most {cap:,} training rows"


def gains_by_regime(rankings: dict[int | None, Ranking]) -> pd.DataFrame:
    """Median gain of every method (rows) in every regime (columns); NaN where it was not ranked."""
    return pd.DataFrame(
        {
            "all" if cap is None else f"{cap:,}": {r.method: r.median_gain for r in ranking.methods}
            for cap, ranking in rankings.items()
        },
        dtype=float,
    )


CLOSENESS = {
    "fidelity_column_shapes": "column shapes",
    "fidelity_pair_trends": "pair trends",
    "fidelity_detection_auc": "detection AUC",
    "privacy_closer_to_train": "closer to train",
    "privacy_exact_copies": "exact copies",
    "privacy_copied_texts": "copied texts",
}
"""Columns of an outcome that say how close the synthetic table is to the real one, and what tables call them."""


def closeness(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Median over cells of each method's fidelity and privacy: one row per method that draws rows.

    Empty where it was not measured.
    """
    measured = [name for name in CLOSENESS if name in outcomes.columns]
    return outcomes.groupby("method")[measured].median().dropna(how="all").rename(columns=CLOSENESS)


def load_results(*folders: str | Path) -> pd.DataFrame:
    """All outcomes of these run folders, one row per cell.

    Columns: ``dataset``, ``fold``, ``seed``, ``method``, ``status``, ``reason``; scores named
    ``{zero_shot|tuned}_{validation|test}_{metric}``; ``seconds_<phase>``, ``peak_memory_mb``; hashes and
    provenance. A key that several folders hold counts once.

    Raises
    ------
    StoreError
        If a folder holds no run, or nothing was stored yet.
    """
    rows: dict[str, dict[str, Any]] = {}
    for folder in folders:
        with Store(Path(folder)) as store:
            rows |= {outcome["key"]: outcome for outcome in store.outcomes()}
    if not rows:
        raise StoreError(f"no cell has ended yet in {', '.join(map(str, folders))}.")
    return pd.DataFrame(list(rows.values()))
