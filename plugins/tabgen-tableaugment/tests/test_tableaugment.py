import numpy as np
import pandas as pd
import pytest
from tabgen_tableaugment import TableAugment

from tabgen import FitContext, Table
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import Check, conformance_checks, easy_table


@pytest.mark.parametrize("check", conformance_checks(TableAugment), ids=str)
def test_conformance(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", conformance_checks(TableAugment, {"new_target": True}), ids=str)
def test_conformance_with_a_new_target(check: Check) -> None:
    check()


def test_every_row_is_a_real_row_of_the_columns_kept() -> None:
    table = easy_table(40)
    generator = TableAugment()
    fit_generator(generator, table, FitContext(seed=0))
    for seed in range(20):
        sample = draw_sample(generator, table, 30, seed)
        real = set(table.frame[list(sample.frame.columns)].itertuples(index=False, name=None))
        assert set(sample.frame.itertuples(index=False, name=None)) <= real


def test_the_columns_change_from_draw_to_draw_within_the_share() -> None:
    table = easy_table(40)
    generator = TableAugment(min_share=0.4, max_share=0.8)
    fit_generator(generator, table, FitContext(seed=0))
    drawn = [tuple(draw_sample(generator, table, 10, seed).schema.names) for seed in range(40)]
    assert len(set(drawn)) > 10
    assert {len(names) for names in drawn} == {2, 3, 4}


def test_a_rare_class_does_not_leave_tasks_of_one_class() -> None:
    frame = pd.DataFrame({"x": np.arange(100.0), "label": ["a"] * 99 + ["b"]})
    table = Table.from_frame(frame, "label")
    generator = TableAugment()
    fit_generator(generator, table, FitContext(seed=0))
    for seed in range(30):
        assert len(set(draw_sample(generator, table, 10, seed).labels)) == 2


def test_a_new_target_is_a_former_feature_and_leaves_the_features() -> None:
    table = easy_table(60)
    generator = TableAugment(min_share=1.0, new_target=True)
    fit_generator(generator, table, FitContext(seed=0))
    dropped = set()
    for seed in range(30):
        names = draw_sample(generator, table, 20, seed).schema.names
        dropped |= set(table.schema.names) - set(names)
    assert dropped == {"colour", "flies"}  # the discrete columns; "species" itself needs none dropped


def test_shares_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="min_share"):
        TableAugment(min_share=0.9, max_share=0.5)
