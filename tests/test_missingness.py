"""Missing values that are drawn for a sample: as often, together and by class as in the real rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tabgen.generator import FitContext, Generator, GeneratorInfo
from tabgen.missingness import draw_missing
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table


def real(n_rows: int = 400) -> Table:
    """x and colour are missing together, in half of the rows of class a and in none of b; count in a tenth of all."""
    rng = np.random.default_rng(0)
    label = np.resize(["a", "b"], n_rows)
    gone = (label == "a") & (rng.random(n_rows) < 0.5)
    frame = pd.DataFrame(
        {
            "x": np.where(gone, np.nan, rng.standard_normal(n_rows)),
            "colour": pd.Series(rng.choice(["red", "blue"], n_rows)).where(~gone),
            "count": pd.Series(rng.integers(0, 9, n_rows).astype(float)).where(rng.random(n_rows) > 0.1),
            "whole": rng.standard_normal(n_rows),
            "label": label,
        }
    )
    return Table.from_frame(frame, "label")


class Filled(Generator):
    """Its training rows, over and over: complete, as the core filled them."""

    info = GeneratorInfo("filled", "training rows as they were handed over")

    def fit(self, table: Table, context: FitContext) -> None:
        assert not table.has_missing
        self.table = table

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return self.table.take(np.arange(n_rows) % len(self.table)).frame


def sample_of(table: Table, n_rows: int, seed: int = 1, marks: bool = True) -> tuple[Table, FitContext]:
    generator, context = Filled(), FitContext(0)
    fit_generator(generator, table, context)
    return draw_sample(generator, table, n_rows, seed, marks=marks), context


def test_values_are_missing_as_often_and_together_by_class() -> None:
    sample, context = sample_of(real(), 2000)
    gone = sample.frame.isna()
    assert (gone["x"] == gone["colour"]).all()
    by_class = gone.groupby(sample.frame["label"], observed=True)["x"].mean()
    assert by_class["a"] == pytest.approx(real().frame["x"].isna().mean() * 2, abs=0.04)
    assert by_class["b"] == 0.0
    assert gone["count"].mean() == pytest.approx(0.1, abs=0.03)
    assert not gone["whole"].any()
    assert context.notes["missing_values"] == "patterns of training rows of the same class"
    assert context.notes["imputed_columns"] == ["x", "colour", "count"]


def test_what_is_not_missing_is_untouched() -> None:
    table = real()
    marked, plain = (sample_of(table, 600, marks=marks)[0] for marks in (True, False))
    assert not plain.has_missing
    kept = marked.frame.notna()
    assert kept.to_numpy().sum() < kept.size
    for name in plain.frame:
        assert (marked.frame[name][kept[name]] == plain.frame[name][kept[name]]).all()
    assert plain.like(marked.frame).schema == plain.schema
    assert (
        sample_of(table, 600, seed=1)[0].content_hash
        == marked.content_hash
        != sample_of(table, 600, seed=2)[0].content_hash
    )


def test_a_complete_table_stays_complete() -> None:
    table = Table.from_frame(real().frame.dropna().assign(label=lambda f: f["label"].astype(str)), "label")
    sample, context = sample_of(table, 100)
    assert not sample.has_missing
    assert context.notes == {}


def test_generators_that_take_missing_values_are_left_alone() -> None:
    class Knows(Filled):
        info = GeneratorInfo("knows", "takes them", accepts_missing=True)

        def fit(self, table: Table, context: FitContext) -> None:
            self.table = table

        def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
            return self.table.frame.dropna().head(n_rows)

    generator, context = Knows(), FitContext(0)
    fit_generator(generator, real(), context)
    assert not draw_sample(generator, real(), 50, 0).has_missing
    assert context.notes == {}


def test_a_sample_of_some_columns_and_of_no_rows() -> None:
    table = real()
    some = Table(
        table.frame[["count", "label"]].dropna(), type(table.schema)(table.schema.columns[2:3], "label", ("a", "b"))
    )
    assert draw_missing(some, table, 0).frame["count"].isna().mean() == pytest.approx(0.1, abs=0.05)
    assert len(draw_missing(some.take([]), table, 0)) == 0


def test_a_column_without_any_value_is_missing_everywhere() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "never": [None] * 4, "label": ["a", "b"] * 2})
    table = Table.from_frame(frame, "label", {"never": "categorical"})
    assert sample_of(table, 8)[0].frame["never"].isna().all()
