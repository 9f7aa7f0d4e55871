"""PrivBayes and MST in their own environment, which is built if it is not there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from own_environments import built
from tabgen_dp import MST, PrivBayes, _Coder

from tabgen import FitContext, Generator, Table
from tabgen.errors import Unsupported
from tabgen.host import environments
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import HARD_TABLES, Check, conformance_checks, easy_table

BOTH = (PrivBayes, MST)
QUICK = {"epsilon": 50.0, "iterations": 10}


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> environments.Installed:
    return built("mst", tmp_path_factory.mktemp("probe"))


@pytest.mark.parametrize("check", conformance_checks(PrivBayes, QUICK), ids=str)
@pytest.mark.usefixtures("environment")
def test_conformance_of_privbayes(check: Check) -> None:
    check()


MINUTES = "hard-table:60-columns"
"""To choose a tree, dpmm takes 2,500 steps over all columns whatever its settings: `tabgen check mst` does."""


@pytest.mark.parametrize("check", [c for c in conformance_checks(MST, QUICK) if c.name != MINUTES], ids=str)
@pytest.mark.usefixtures("environment")
def test_conformance_of_mst(check: Check) -> None:
    check()


def sample_of(
    table: Table, generator: type[Generator], n_rows: int = 300, fit_seed: int = 0, seed: int = 0, **settings: float
) -> Table:
    made, context = make_where_it_runs(generator, QUICK | settings), FitContext(seed=fit_seed)
    fit_generator(made, table, context)
    return draw_sample(made, table, n_rows, seed)


def test_the_pins_are_what_cannot_live_beside_tabgen(environment: environments.Installed) -> None:
    assert {"numpy==1.26.4", "pandas==2.1.0", "scikit-learn==1.5.0"} <= set(environment.packages)
    assert pd.__version__ != "2.1.0"
    assert not [package for package in environment.packages if package.startswith("torch")]


@pytest.mark.parametrize("generator", BOTH)
@pytest.mark.usefixtures("environment")
def test_a_larger_budget_brings_the_marginals_nearer(generator: type[Generator]) -> None:
    table = easy_table(300)
    shares = table.frame["colour"].value_counts(normalize=True).sort_index()

    def distance(epsilon: float) -> float:
        errors = []
        for seed in range(3):
            sample = sample_of(table, generator, fit_seed=seed, epsilon=epsilon)
            errors.append((sample.frame["colour"].value_counts(normalize=True).sort_index() - shares).abs().sum())
        return float(np.mean(errors))

    assert distance(100.0) < 0.1 < distance(0.05)


@pytest.mark.parametrize("generator", BOTH)
@pytest.mark.usefixtures("environment")
def test_the_noise_is_of_the_seed_of_the_fit(generator: type[Generator]) -> None:
    table = easy_table(100)
    same = [sample_of(table, generator, fit_seed=seed, epsilon=1.0) for seed in (1, 1, 2)]
    assert same[0].content_hash == same[1].content_hash != same[2].content_hash


@pytest.mark.usefixtures("environment")
def test_missing_values_are_learnt_and_not_filled() -> None:
    sample = sample_of(HARD_TABLES["missing-values"](), MST)
    assert 0.05 < sample.frame["x0"].isna().mean() < 0.6
    assert sample.frame["x2"].isna().any()


@pytest.mark.usefixtures("environment")
def test_a_table_of_classes_alone_is_refused() -> None:
    frame = pd.DataFrame({"one": [1.5] * 20, "label": ["a", "b"] * 10})
    with pytest.raises(Unsupported, match="more than one value beside the classes"):
        sample_of(Table.from_frame(frame, "label"), MST)


def coder_of(
    values: Sequence[float] | np.ndarray | pd.Series, bins: int = 16, kinds: Mapping[str, str] | None = None
) -> tuple[_Coder, pd.Series]:
    table = Table.from_frame(pd.DataFrame({"x": values, "y": ["a", "b"] * (len(values) // 2)}), "y", kinds)
    column = table.schema.columns[0]
    return _Coder(column, table.frame["x"], bins), table.frame["x"]


def test_integers_of_few_values_keep_each_as_its_own() -> None:
    coder, values = coder_of([3, 4, 7, 9] * 5)
    assert coder.size == 7
    assert (coder.decode(coder.encode(values), np.random.default_rng(0)) == values).all()


def test_numbers_stay_in_their_bin_and_in_the_range() -> None:
    numbers = np.random.default_rng(0).normal(size=200)
    coder, values = coder_of(numbers)
    codes = coder.encode(values)
    back = coder.decode(codes, np.random.default_rng(1))
    assert coder.size == 16
    assert np.abs(back - numbers).max() <= np.ptp(numbers) / 16
    assert numbers.min() <= back.min() <= back.max() <= numbers.max()


def test_large_integers_stay_whole_and_in_the_range() -> None:
    coder, values = coder_of([0, 10**6, 31, 77] * 5)
    back = coder.decode(coder.encode(values), np.random.default_rng(1))
    assert (back % 1 == 0).all()
    assert back.min() >= 0
    assert back.max() <= 10**6


def test_missing_is_a_value_of_its_own_where_there_is_some() -> None:
    coder, values = coder_of([1.5, 2.25, np.nan, 4.0] * 5)
    assert coder.size == 17
    back = coder.decode(coder.encode(values), np.random.default_rng(1))
    assert (np.isnan(back) == values.isna()).all()
    empty, nothing = coder_of(pd.Series([np.nan] * 20, dtype=float))
    assert empty.size == 1
    assert np.isnan(empty.decode(empty.encode(nothing), np.random.default_rng(1))).all()


@pytest.mark.parametrize("wrong", [{"epsilon": 0.0}, {"delta": 1.0}, {"bins": 1}, {"iterations": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are due"):
        MST(**wrong)
