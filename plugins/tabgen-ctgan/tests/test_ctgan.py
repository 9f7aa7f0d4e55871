import numpy as np
import pandas as pd
import pytest
from tabgen_ctgan import CTGAN, TVAE, GaussianCopula, clamp_batch, from_sdv, to_sdv

from tabgen import FitContext, Table
from tabgen.datasets import core_datasets
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import HARD_TABLES, conformance_checks, easy_table

QUICK = (CTGAN, {"epochs": 2}), (TVAE, {"epochs": 60, "width": 64}), (GaussianCopula, {})


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{generator.info.name}:{check}")
        for generator, settings in QUICK
        for check in conformance_checks(generator, settings)
        if generator is CTGAN or check.name not in ("time-limit", "fresh-process")
    ],  # seconds of imports: once is enough
)
def test_conformance(check):
    check()


@pytest.mark.parametrize("n_rows", [2, 3, 5, 7, 12, 20, 137, 499, 1000])
@pytest.mark.parametrize("pac", [1, 3, 10])
def test_batch_is_one_that_ctgan_can_train_with(n_rows, pac):
    batch, used = clamp_batch(n_rows, 500, pac)
    assert batch % 2 == 0
    assert batch % used == 0
    assert batch <= n_rows
    assert 1 <= used <= pac


@pytest.mark.parametrize("name", ["missing-values", "odd-names", "boolean-labels", "integer-levels", "wild-numbers"])
def test_translation_to_sdv_and_back_is_lossless(name):
    table = HARD_TABLES[name]().observed()
    frame, metadata = to_sdv(table)
    assert not frame.isna().any(axis=None)
    assert set(metadata["tables"]["table"]["columns"]) == set(frame.columns)
    assert table.like(from_sdv(frame, table)).content_hash == table.content_hash


def test_missing_numbers_stay_missing_where_they_were():
    rng = np.random.default_rng(0)
    label = np.resize(["a", "b"], 300)
    frame = pd.DataFrame({"x": np.where(label == "a", np.nan, rng.standard_normal(300)), "label": label})
    table = Table.from_frame(frame, "label")
    generator = GaussianCopula()
    fit_generator(generator, table, FitContext(seed=0))
    sample = draw_sample(generator, table, 500, 1).frame
    share = sample["x"].isna().groupby(sample["label"], observed=True).mean()
    assert share["a"] > share["b"] + 0.25  # scattered at random, as SDV does it, both shares would be 0.5


def test_training_makes_ctgan_better():
    """A few steps must bring the marginals nearer: SDV trains nothing at all when the batch does not fit."""
    table = easy_table(60)
    errors = []
    for epochs in (1, 150):
        generator, context = CTGAN(epochs=epochs), FitContext(seed=0)
        fit_generator(generator, table, context)
        assert context.notes == {"epochs": epochs, "batch_size": 60, "pac": 10, "steps": epochs}
        sample = draw_sample(generator, table, 500, 1)
        agree = pd.crosstab(sample.frame["species"], sample.frame["colour"], normalize=True)
        real = pd.crosstab(table.frame["species"], table.frame["colour"], normalize=True)
        errors.append(float((agree - real).abs().sum().sum()))
    assert errors[1] < errors[0]


def test_copula_keeps_a_real_table_in_range():
    table = next(d for d in core_datasets() if d.name == "penguin-sex").load()
    generator = GaussianCopula()
    fit_generator(generator, table, FitContext(seed=0))
    sample = draw_sample(generator, table, 300, 1)
    for column in table.schema.columns:
        if not column.is_discrete:
            assert sample.frame[column.name].min() >= table.frame[column.name].min()
            assert sample.frame[column.name].max() <= table.frame[column.name].max()


@pytest.mark.parametrize("generator", [CTGAN, TVAE, GaussianCopula])
def test_the_restrictive_licence_is_declared(generator):
    assert "BUSL-1.1" in generator.info.licence
