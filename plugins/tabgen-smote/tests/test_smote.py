import numpy as np
import pandas as pd
import pytest
from tabgen_smote import SmoteNC

from tabgen import FitContext, Table, share_rows
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import HARD_TABLES, Check, conformance_checks, easy_table


@pytest.mark.parametrize("check", conformance_checks(SmoteNC), ids=str)
def test_conformance(check: Check) -> None:
    check()


def sample_of(table: Table, n_rows: int, seed: int = 0, **settings: bool) -> tuple[Table, FitContext]:
    generator, context = SmoteNC(**settings), FitContext(seed=0)
    fit_generator(generator, table, context)
    return draw_sample(generator, table, n_rows, seed), context


def test_new_rows_lie_between_real_rows_of_their_class() -> None:
    table = easy_table(90)
    sample, _ = sample_of(table, 300)
    for label in range(3):
        real, new = (t.frame[t.labels == label][["length", "weight", "legs"]] for t in (table, sample))
        assert (new >= real.min()).all(axis=None)
        assert (new <= real.max()).all(axis=None)
    assert not set(sample.frame["length"].round(12)) <= set(table.frame["length"].round(12))


def test_the_classes_keep_their_proportions_or_are_balanced() -> None:
    frame = pd.DataFrame({"x": np.arange(100.0), "label": ["a"] * 80 + ["b"] * 20})
    table = Table.from_frame(frame, "label")
    assert np.bincount(sample_of(table, 50)[0].labels).tolist() == [40, 10]
    assert np.bincount(sample_of(table, 50, balanced=True)[0].labels).tolist() == [25, 25]


def test_a_class_of_one_row_is_repeated_and_noted() -> None:
    table = HARD_TABLES["class-of-one-row"]()
    sample, context = sample_of(table, 62)
    assert context.notes["repeated_classes"] == ["rare"]
    rare = sample.frame[sample.frame["label"] == "rare"]
    assert len(rare) == 2
    assert (rare["x0"] == table.frame["x0"].iloc[30]).all()


def test_distances_do_not_depend_on_units_unless_asked() -> None:
    table = easy_table(60)
    scaled = Table(table.frame.assign(weight=table.frame["weight"] * 1024.0), table.schema)
    same = [sample_of(t, 50)[0].frame["length"] for t in (table, scaled)]
    raw = [sample_of(t, 50, standardise=False)[0].frame["length"] for t in (table, scaled)]
    assert np.allclose(same[0], same[1])
    assert not np.allclose(raw[0], raw[1])


@pytest.mark.parametrize("n_rows", [0, 1, 2, 3, 10, 101])
def test_shares_add_up(n_rows: int) -> None:
    weights = np.array([50, 3, 0, 1])
    shares = share_rows(n_rows, weights)
    assert shares.sum() == n_rows
    assert shares[2] == 0
    assert (shares >= 0).all()
    if n_rows >= 3:
        assert (shares[[0, 1, 3]] >= 1).all()
