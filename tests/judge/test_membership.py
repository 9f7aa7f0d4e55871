"""Membership inference: memory is caught, rows that owe the members nothing are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tabgen.judge.membership import LEAST_HELD_OUT, membership
from tabgen.table import Table

KINDS = {"level": "categorical"}


def rows(n: int, seed: int, columns: int = 5) -> Table:
    """Rows of a law: correlated numbers, a level, a class that hangs on both, a tenth of one column missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns)) + rng.normal(size=(n, 1))
    level = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame({f"x{i}": x[:, i] for i in range(columns)}).assign(level=level)
    frame["x0"] = frame["x0"].where(rng.random(n) > 0.1)
    return Table.from_frame(frame.assign(y=np.where(x.sum(1) + (level == "a") > 0, "yes", "no")), "y", KINDS)


def moved(table: Table, share: float, seed: int) -> Table:
    """The rows with every number moved by a share of its spread: real rows in thin disguise."""
    rng, frame = np.random.default_rng(seed), table.frame.copy()
    for name in [c.name for c in table.schema.columns if c.is_number]:
        frame[name] += rng.normal(size=len(frame)) * share * frame[name].std()
    return Table(frame, table.schema)


@pytest.mark.parametrize("held_out", [40, 100])
def test_a_generator_that_memorises_is_caught(held_out: int) -> None:
    for seed in range(3):
        train, others = rows(300, seed), rows(held_out, seed + 100)
        drawn = train.take(np.random.default_rng(seed).integers(0, 300, 300))
        for sample in (drawn, moved(drawn, 0.05, seed)):
            found = membership(train, others, sample, 0)
            assert found is not None
            assert found.tells
            assert found.auc > 0.75  # of the members, 63 in 100 are in the sample
            assert found.caught > 0.5
            assert (found.members, found.others) == (300, held_out)


def test_rows_that_owe_the_members_nothing_tell_nothing() -> None:
    """New rows of the same law: the AUC is 0.5 on average, and few intervals leave it out."""
    found = [membership(rows(200, s), rows(60, s + 1000), rows(200, s + 2000), s) for s in range(40)]
    assert all(each is not None for each in found)
    kept = [each for each in found if each is not None]
    assert abs(np.mean([each.auc for each in kept]) - 0.5) < 0.02
    assert abs(np.mean([each.caught for each in kept]) - 0.1) < 0.03
    assert sum(each.tells for each in kept) <= 4


def test_half_of_the_members_copied_is_between() -> None:
    train, others = rows(300, 1), rows(100, 2)
    some = train.take(np.arange(100))
    found, all_of_them = membership(train, others, some, 0), membership(train, others, train, 0)
    assert found is not None
    assert all_of_them is not None
    assert 0.55 < found.auc < 0.8 < all_of_them.auc


def test_levels_alone_can_be_compared() -> None:
    def levels(n: int, seed: int) -> Table:
        rng = np.random.default_rng(seed)
        return Table.from_frame(
            pd.DataFrame({c: rng.choice(list("pqr"), n) for c in "abcdefgh"} | {"y": ["0", "1"] * (n // 2)}), "y"
        )

    train, others = levels(200, 0), levels(80, 1)
    copied, new = membership(train, others, train, 0), membership(train, others, levels(200, 2), 0)
    assert copied is not None
    assert new is not None
    assert copied.auc > 0.8
    assert abs(new.auc - 0.5) < 0.1


def test_too_few_held_out_rows_say_nothing() -> None:
    train = rows(100, 0)
    assert membership(train, rows(LEAST_HELD_OUT - 1, 1), train, 0) is None


def test_equal_seeds_give_equal_answers() -> None:
    train, others = rows(1200, 0), rows(60, 1)
    assert membership(train, others, train, 5) == membership(train, others, train, 5)
