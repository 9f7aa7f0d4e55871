"""Membership inference where the truth is known: rows of a law, and generators that copy a known share of them.

python benchmarks/membership.py
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from tabgen.judge.membership import membership
from tabgen.table import Table

TRAIN, HELD_OUT = 200, 50


def rows(n: int, seed: int) -> Table:
    """Five correlated numbers, a level, a class that hangs on both."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)) + rng.normal(size=(n, 1))
    level = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame({f"x{i}": x[:, i] for i in range(5)}).assign(level=level)
    label = np.where(x.sum(1) + (level == "a") > 0, "yes", "no")
    return Table.from_frame(frame.assign(y=label), "y", {"level": "categorical"})


def moved(table: Table, share: float, seed: int) -> Table:
    """Every number moved by a share of its spread."""
    rng, frame = np.random.default_rng(seed), table.frame.copy()
    for column in table.schema.columns:
        if column.is_number:
            frame[column.name] += rng.normal(size=len(frame)) * share * frame[column.name].std()
    return Table(frame, table.schema)


def drawn(kind: str, train: Table, seed: int) -> Table:
    """As many rows as ``train`` has, of one kind."""
    rng = np.random.default_rng(seed)
    again = train.take(rng.integers(0, len(train), len(train)))
    if kind == "new rows of the law":
        return rows(len(train), 10_000 + seed)
    if kind == "real rows drawn again":
        return again
    if kind == "real rows, one in ten, among new ones":
        kept = np.flatnonzero(rng.random(len(train)) < 0.1)
        new = rows(len(train) - len(kept), 10_000 + seed)
        return Table(pd.concat([train.take(kept).frame, new.frame], ignore_index=True), train.schema)
    return moved(again, float(kind.split()[-2]) / 100, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    print("| synthetic rows | ROC-AUC | sd | members caught | interval above 0.5 |\n|---|--:|--:|--:|--:|")
    for kind in (
        "new rows of the law",
        "real rows, one in ten, among new ones",
        "real rows, numbers moved by 50 %",
        "real rows, numbers moved by 20 %",
        "real rows, numbers moved by 5 %",
        "real rows drawn again",
    ):
        found = []
        for seed in range(repeats):
            train = rows(TRAIN, seed)
            result = membership(train, rows(HELD_OUT, 5000 + seed), drawn(kind, train, seed), seed)
            assert result is not None
            found.append(result)
        auc = np.array([each.auc for each in found])
        caught, tells = np.mean([each.caught for each in found]), sum(each.tells for each in found)
        print(
            f"| {kind} | {auc.mean():.2f} | {auc.std(ddof=1):.2f} | {caught:.2f} | {tells} of {repeats} |", flush=True
        )


if __name__ == "__main__":
    main()
