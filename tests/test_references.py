"""The three reference generators, on real tables and on awkward ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.datasets import Dataset
from tabgen.experiment import default_methods
from tabgen.generator import FitContext, Generator
from tabgen.plugins import Plugins
from tabgen.references import Bootstrap, Independent, Jitter
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table

REFERENCES = [Bootstrap, Jitter, Independent]


def fitted(generator: Generator, table: Table) -> Generator:
    fit_generator(generator, table, FitContext(seed=0))
    return generator


def awkward() -> Table:
    """Missing values in every kind, a constant, an empty column, big and small numbers."""
    return Table.from_frame(
        pd.DataFrame(
            {
                "size": [1.5, np.nan, 2.5, 1e9, 0.5, -6.0],
                "count": [1.0, 2, np.nan, 4, 5, 600],
                "colour": ["red", "green", None, "blue", "red", "red"],
                "flag": [True, False, None, True, True, False],
                "same": [3] * 6,
                "empty": [np.nan] * 6,
                "label": [0, 1, 2, 0, 1, 2],
            }
        ),
        "label",
    )


def rows_of(table: Table) -> set[tuple[Any, ...]]:
    return {tuple("missing" if pd.isna(v) else v for v in row) for row in table.frame.itertuples(index=False)}


def test_the_three_are_registered(built_in: Plugins) -> None:
    assert [built_in.generators[name] for name in ("bootstrap", "jitter", "independent")] == REFERENCES
    assert default_methods(built_in) == ["zero-shot", "real", "bootstrap", "jitter", "independent"]


@pytest.mark.parametrize("generator", REFERENCES)
@pytest.mark.parametrize("n_rows", [20, 151, 400])
def test_samples_of_a_real_table_are_valid(generator: type[Generator], n_rows: int, heart: Dataset) -> None:
    table = heart.load()
    sample = draw_sample(fitted(generator(), table), table, n_rows, seed=n_rows)
    assert len(sample) == n_rows
    assert sample.schema.names == table.schema.names


@pytest.mark.parametrize("generator", REFERENCES)
def test_samples_of_an_awkward_table_are_valid_and_keep_its_types(generator: type[Generator]) -> None:
    table = awkward()
    sample = draw_sample(fitted(generator(), table), table, 60, seed=1)
    assert sample.has_missing
    assert (sample.frame["same"] == 3).all()
    assert sample.frame["empty"].isna().all()
    assert (sample.frame.dtypes == table.frame.dtypes).all()


@pytest.mark.parametrize("generator", REFERENCES)
def test_the_seed_decides_the_sample(generator: type[Generator], teaching: Dataset) -> None:
    table = teaching.load()
    made = fitted(generator(), table)
    draws = [draw_sample(made, table, 100, seed).content_hash for seed in (3, 3, 4)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


@pytest.mark.parametrize("generator", REFERENCES)
def test_no_rows_and_rows_do_not_touch_the_fitted_table(generator: type[Generator]) -> None:
    table = awkward()
    before = table.content_hash
    made = generator()
    made.fit(table, FitContext(0))
    made.sample(0, 0)
    sample = made.sample(20, 0)
    frame = sample.frame if isinstance(sample, Table) else sample
    frame.loc[:, "same"] = 0
    del table.__dict__["content_hash"]
    assert table.content_hash == before
    empty = made.sample(0, 0)
    assert len(empty) == 0
    assert list((empty.frame if isinstance(empty, Table) else empty).columns) == [*table.schema.names, "label"]


def test_bootstrap_rows_are_real_rows(heart: Dataset) -> None:
    table = heart.load()
    sample = draw_sample(fitted(Bootstrap(), table), table, 500, seed=0)
    assert rows_of(sample) <= rows_of(table)
    assert len(rows_of(sample)) > 200


def test_jitter_moves_numbers_by_a_tenth_of_their_spread_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.normal(50, 20, 500),
            "k": rng.integers(0, 1000, 500),
            "c": rng.choice(list("uvw"), 500),
            "y": list("ab") * 250,
        }
    )
    table = Table.from_frame(frame, "y")
    sample = draw_sample(fitted(Jitter(), table), table, 2000, seed=5)
    origin = table.take(np.random.default_rng(5).integers(0, 500, 2000))
    noise = sample.frame["x"] - origin.frame["x"]
    assert noise.std() == pytest.approx(0.1 * frame["x"].std(), rel=0.1)
    assert noise.mean() == pytest.approx(0, abs=0.3)
    moved = sample.frame["k"] - origin.frame["k"]
    assert moved.std() == pytest.approx(0.1 * frame["k"].std(), rel=0.1)
    assert sample.frame["k"].dtype == "int64"
    pd.testing.assert_frame_equal(sample.frame[["c", "y"]], origin.frame[["c", "y"]])


def test_jitter_without_noise_is_the_bootstrap() -> None:
    table = awkward()
    still, drawn = (draw_sample(fitted(g, table), table, 50, 2) for g in (Jitter(noise=0.0), Bootstrap()))
    assert still.content_hash == drawn.content_hash


def test_independent_keeps_marginals_and_breaks_dependence() -> None:
    x = np.arange(300) / 300
    table = Table.from_frame(pd.DataFrame({"x": x, "twin": x, "y": np.where(x > 0.7, "b", "a")}), "y")
    sample = draw_sample(fitted(Independent(), table), table, 3000, seed=0).frame
    assert set(sample["x"]) <= set(x)
    assert sample["x"].mean() == pytest.approx(0.5, abs=0.03)
    assert (sample["y"] == "b").mean() == pytest.approx(0.3, abs=0.03)
    assert abs(sample["x"].corr(sample["twin"])) < 0.06
    assert sample.loc[sample["y"] == "b", "x"].mean() == pytest.approx(0.5, abs=0.05)
