"""Outcomes as a DataFrame: what statistics, figures and users read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tabgen.errors import ExperimentError, StoreError, UnknownNameError
from tabgen.store import Store


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


CLOSENESS = {
    "fidelity_column_shapes": "column shapes",
    "fidelity_pair_trends": "pair trends",
    "fidelity_detection_auc": "detection AUC",
    "privacy_closer_to_train": "closer to train",
    "privacy_exact_copies": "exact copies",
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
