"""Outcomes as a DataFrame: what statistics, figures and users read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from tabgen.errors import StoreError
from tabgen.store import Store


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
