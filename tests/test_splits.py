"""Folds: what they promise for any labels, and what is said where they cannot."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tabgen.errors import ExperimentError, Unsupported
from tabgen.splits import Split, split

PARTS = ("train", "validation", "test")


@st.composite
def folded(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], int, int]:
    """Labels of 2 to 6 classes (some with few rows), the number of folds, and a seed."""
    counts = draw(st.lists(st.one_of(st.integers(1, 4), st.integers(5, 40)), min_size=2, max_size=6))
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(draw(st.integers(0, 99))).shuffle(labels)
    return labels, draw(st.integers(2, 5)), draw(st.integers(0, 2**32))


def split_or_skip(labels: np.ndarray[Any, Any], *arguments: Any, **caps: Any) -> Split:
    try:
        return split(labels, *arguments, **caps)
    except Unsupported:
        assume(False)
        raise


@given(folded())
@settings(max_examples=40, deadline=None)
def test_parts_are_disjoint_and_cover_every_row(case: Any) -> None:
    labels, n_folds, seed = case
    for fold in range(n_folds):
        parts = split_or_skip(labels, fold, n_folds, seed)
        rows = np.concatenate([getattr(parts, name) for name in PARTS])
        assert sorted(rows) == list(range(len(labels)))
        assert all((np.diff(getattr(parts, name)) > 0).all() for name in PARTS)


@given(folded())
@settings(max_examples=40, deadline=None)
def test_the_tests_of_all_folds_partition_the_rows_of_classes_with_more_than_one(case: Any) -> None:
    labels, n_folds, seed = case
    tests = np.concatenate([split_or_skip(labels, fold, n_folds, seed).test for fold in range(n_folds)])
    counts = np.bincount(labels)
    assert sorted(tests) == [row for row, label in enumerate(labels) if counts[label] > 1]


@given(folded())
@settings(max_examples=40, deadline=None)
def test_every_class_is_in_train_and_spread_evenly(case: Any) -> None:
    labels, n_folds, seed = case
    counts = np.bincount(labels)
    for fold in range(n_folds):
        parts = split_or_skip(labels, fold, n_folds, seed)
        assert set(labels[parts.train]) == set(labels)
        in_test = np.bincount(labels[parts.test], minlength=len(counts))
        in_validation = np.bincount(labels[parts.validation], minlength=len(counts))
        expected = np.where(counts > 1, counts / n_folds, 0)
        assert (np.abs(in_test - expected) < 1).all()
        assert (np.abs(in_validation - (counts - in_test) * 0.2) <= 1).all()
        assert abs(len(parts.test) - expected.sum()) <= max(1, (counts == 1).sum())
        assert len(set(labels[parts.test])) >= 2
        assert len(set(labels[parts.validation])) >= 2


@given(folded(), st.integers(1, 60), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_caps_are_kept_by_class(case: Any, max_train: int, max_test: int) -> None:
    labels, n_folds, seed = case
    whole = split_or_skip(labels, 0, n_folds, seed)
    parts = split_or_skip(labels, 0, n_folds, seed, max_train_rows=max_train, max_test_rows=max_test)
    for name, cap in (("train", max_train), ("validation", max(2, max_train // 4)), ("test", max_test)):
        kept, of = getattr(parts, name), getattr(whole, name)
        assert len(kept) == min(cap, len(of))
        assert set(kept) <= set(of)
        assert set(labels[kept]) == set(labels[of])
        share = np.bincount(labels[of], minlength=6) * len(kept) / len(of)
        assert (np.bincount(labels[kept], minlength=6) <= np.maximum(np.ceil(share), 1)).all()


@given(folded())
@settings(max_examples=30, deadline=None)
def test_a_split_is_the_same_twice(case: Any) -> None:
    labels, n_folds, seed = case
    first, second = (split_or_skip(labels, 1, n_folds, seed, 20, 10) for _ in range(2))
    assert first.hash == second.hash
    assert all((getattr(first, name) == getattr(second, name)).all() for name in PARTS)


@given(folded(), st.integers(1, 30), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_copies_stay_in_one_part(case: Any, n_distinct: int, number: int) -> None:
    labels, n_folds, seed = case
    rng = np.random.default_rng(number)
    # copies of a row have its class, but for some, which have any
    of = np.where(rng.random(len(labels)) < 0.1, 0, 1 + labels)
    copies = of * n_distinct + rng.integers(0, n_distinct, len(labels))
    for fold in range(n_folds):
        parts = split_or_skip(labels, fold, n_folds, seed, copies=copies)
        rows = np.concatenate([getattr(parts, name) for name in PARTS])
        assert sorted(rows) == list(range(len(labels)))
        seen = [set(copies[getattr(parts, name)]) for name in PARTS]
        assert seen[0].isdisjoint(seen[1]) and seen[0].isdisjoint(seen[2]) and seen[1].isdisjoint(seen[2])


@given(folded())
@settings(max_examples=30, deadline=None)
def test_without_copies_nothing_changes(case: Any) -> None:
    labels, n_folds, seed = case
    numbers = np.random.default_rng(0).permutation(len(labels))
    for fold in range(n_folds):
        parts = split_or_skip(labels, fold, n_folds, seed)
        assert parts.hash == split(labels, fold, n_folds, seed, copies=numbers).hash


def test_copies_leave_the_folds_even() -> None:
    """Half of the rows are one of ten; folds differ by no more than the largest group of copies."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 400)
    copies = np.where(np.arange(400) < 200, rng.integers(0, 10, 400), np.arange(400))
    tests = [split(labels, fold, 5, 0, copies=copies).test for fold in range(5)]
    assert sorted(np.concatenate(tests)) == list(range(400))
    largest = np.bincount(copies[:200]).max()
    assert max(map(len, tests)) - min(map(len, tests)) <= largest
    shares = [labels[rows].mean() for rows in tests]
    assert max(shares) - min(shares) < 0.1


def test_seed_fold_and_number_of_folds_decide() -> None:
    labels = np.arange(60) % 3
    hashes = {split(labels, *case).hash for case in [(0, 3, 0), (1, 3, 0), (0, 4, 0), (0, 3, 1)]}
    assert len(hashes) == 4


def test_validation_of_another_fold_is_not_the_same_draw() -> None:
    labels = np.arange(200) % 2
    first, second = (split(labels, fold, 2, 0) for fold in (0, 1))
    assert len(first.train) == 80
    assert len(first.validation) == 20
    assert len(first.test) == 100
    assert set(first.validation).isdisjoint(second.validation)


def test_the_hash_tells_which_part_a_row_is_in() -> None:
    a = Split(np.array([0, 1]), np.array([2]), np.array([3]))
    b = Split(np.array([0]), np.array([1, 2]), np.array([3]))
    assert a.hash != b.hash
    assert a.hash == Split(np.array([0, 1], dtype=np.int32), np.array([2]), np.array([3])).hash


def test_a_class_whose_rows_are_all_copies_of_other_classes_is_never_tested_unseen() -> None:
    labels = np.array([0, 0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 2])
    copies = np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
    for fold in (1, 2):
        found = split(labels, fold, 3, 0, copies=copies)
        assert set(labels[found.test]) | set(labels[found.validation]) <= set(labels[found.train])
    with pytest.raises(Unsupported, match="no row is left for train: all of them are copies"):
        split(labels, 0, 3, 0, copies=copies)


def test_a_class_of_one_row_is_in_train_of_every_fold() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2])
    assert all(40 in split(labels, fold, 5, 0).train for fold in range(5))


@pytest.mark.parametrize(
    ("labels", "n_folds", "caps", "message"),
    [
        (
            [0] * 20 + [1],
            2,
            {},
            "fold 1 of 2: the validation part holds 2 rows of 1 class(es); scoring needs two classes.",
        ),
        ([0] * 30 + [1] * 6, 30, {}, "the test part holds 1 rows of 1 class(es)"),
        (
            list(range(5)) * 20,
            2,
            {"max_train_rows": 4},
            "the train part may hold 4 rows, too few for one of each of its 5 classes.",
        ),
        (
            list(range(5)) * 20,
            2,
            {"max_train_rows": 8},
            "the validation part may hold 2 rows, too few for one of each of its 5",
        ),
        (
            list(range(5)) * 20,
            2,
            {"max_test_rows": 4},
            "the test part may hold 4 rows, too few for one of each of its 5 classes.",
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_scored_is_unsupported_with_the_reason(
    labels: Any, n_folds: int, caps: Any, message: str
) -> None:
    with pytest.raises(Unsupported, match=re.escape(message)):
        split(np.array(labels), n_folds - 1, n_folds, 0, **caps)


@pytest.mark.parametrize(("fold", "n_folds"), [(0, 1), (2, 2), (-1, 2), (0, 0)])
def test_folds_that_do_not_exist_are_refused(fold: int, n_folds: int) -> None:
    with pytest.raises(ExperimentError, match=f"fold {fold} of {n_folds}: folds are numbered from 0"):
        split(np.arange(20) % 2, fold, n_folds, 0)
