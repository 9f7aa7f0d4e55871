from typing import Any

import numpy as np
import pandas as pd
import pytest
from tabgen_ctgan import CTGAN, TVAE, GaussianCopula, _MatchingDecoder, clamp_batch, epochs_for, from_sdv, to_sdv

from tabgen import FitContext, Generator, Table
from tabgen.datasets import core_datasets
from tabgen.errors import InvalidOutput
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import HARD_TABLES, Check, conformance_checks, easy_table

QUICK: tuple[tuple[type[Generator], dict[str, Any]], ...] = (
    (CTGAN, {"steps": 2}),
    (TVAE, {"steps": 60, "width": 64}),
    (GaussianCopula, {}),
    (GaussianCopula, {"by_class": False, "distribution": "beta"}),
)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{generator.info.name}{'' if settings.get('by_class', True) else '-as-in-sdv'}:{check}")
        for generator, settings in QUICK
        for check in conformance_checks(generator, settings)
        if generator is CTGAN or check.name not in ("time-limit", "fresh-process")
    ],  # seconds of imports: once is enough
)
def test_conformance(check: Check) -> None:
    check()


@pytest.mark.parametrize("n_rows", [2, 3, 5, 7, 12, 20, 137, 499, 1000])
@pytest.mark.parametrize("pac", [1, 3, 10])
def test_batch_is_one_that_ctgan_can_train_with(n_rows: int, pac: int) -> None:
    batch, used = clamp_batch(n_rows, 500, pac)
    assert batch % 2 == 0
    assert batch % used == 0
    assert batch <= n_rows
    assert 1 <= used <= pac


@pytest.mark.parametrize("name", ["missing-values", "odd-names", "boolean-labels", "integer-levels", "wild-numbers"])
def test_translation_to_sdv_and_back_is_lossless(name: str) -> None:
    table = HARD_TABLES[name]().observed()
    frame, metadata = to_sdv(table)
    assert not frame.isna().any(axis=None)
    assert set(metadata["tables"]["table"]["columns"]) == set(frame.columns)
    assert table.like(from_sdv(frame, table)).content_hash == table.content_hash


def test_missing_numbers_stay_missing_where_they_were() -> None:
    rng = np.random.default_rng(0)
    label = np.resize(["a", "b"], 300)
    frame = pd.DataFrame({"x": np.where(label == "a", np.nan, rng.standard_normal(300)), "label": label})
    table = Table.from_frame(frame, "label")
    generator = GaussianCopula(by_class=False)
    fit_generator(generator, table, FitContext(seed=0))
    sample = draw_sample(generator, table, 500, 1).frame
    share = sample["x"].isna().groupby(sample["label"], observed=True).mean()
    assert share["a"] > share["b"] + 0.25  # scattered at random, as SDV does it, both shares would be 0.5


@pytest.mark.parametrize(
    ("n_rows", "steps", "epochs", "done"), [(60, 3000, 3000, 3000), (250, 3000, 1500, 3000), (1000, 3000, 300, 3000)]
)
def test_the_budget_is_in_steps_whatever_the_rows(n_rows: int, steps: int, epochs: int, done: int) -> None:
    batch, _ = clamp_batch(n_rows, 100, 10)
    assert epochs_for(steps, n_rows, batch) == epochs
    assert epochs * max(1, n_rows // batch) == done


def test_training_makes_ctgan_better() -> None:
    """A few steps must bring the marginals nearer: SDV trains nothing at all when the batch does not fit."""
    table = easy_table(60)
    errors = []
    for steps in (1, 150):
        generator, context = CTGAN(steps=steps), FitContext(seed=0)
        fit_generator(generator, table, context)
        assert context.notes == {"epochs": steps, "batch_size": 60, "pac": 10, "steps": steps}
        sample = draw_sample(generator, table, 500, 1)
        agree = pd.crosstab(sample.frame["species"], sample.frame["colour"], normalize=True)
        real = pd.crosstab(table.frame["species"], table.frame["colour"], normalize=True)
        errors.append(float((agree - real).abs().sum().sum()))
    assert errors[1] < errors[0]


@pytest.mark.parametrize("discriminator_steps", [1, 3])
def test_the_short_backward_changes_no_weight(monkeypatch: pytest.MonkeyPatch, discriminator_steps: int) -> None:
    import contextlib

    import tabgen_ctgan
    import torch

    fitted = []
    for _ in range(2):
        generator = CTGAN(steps=6, discriminator_steps=discriminator_steps)
        fit_generator(generator, easy_table(60), FitContext(seed=0))
        fitted.append(generator._fitted._model)
        monkeypatch.setattr(tabgen_ctgan, "_short_backward", contextlib.nullcontext)
    shortened, as_in_sdv = (dict(model._generator.named_parameters()) for model in fitted)
    assert type(fitted[0]) is not type(fitted[1])
    assert all(torch.equal(shortened[name], as_in_sdv[name]) for name in as_in_sdv)


def test_tvae_has_all_classes_where_the_most_likely_one_is_always_the_same() -> None:
    """One row in eight is of the second class, which the features do not tell: the most likely class is never it."""
    rng = np.random.default_rng(0)
    label = np.where(np.arange(120) % 8 == 0, "rare", "common")
    table = Table.from_frame(pd.DataFrame({"x": rng.standard_normal(120), "label": label}), "label")
    context = FitContext(seed=0)
    matched, likely = TVAE(steps=100), TVAE(steps=100, match_classes=False)
    for generator in (matched, likely):
        fit_generator(generator, table, context)
    assert context.notes == {"epochs": 50, "batch_size": 100, "steps": 100}
    with pytest.raises(InvalidOutput, match="one class only"):
        draw_sample(likely, table, 200, 1)
    share = (draw_sample(matched, table, 2000, 1).frame["label"] == "rare").mean()
    assert share == pytest.approx(1 / 8, abs=0.04)


def test_matching_offsets_give_the_shares_and_keep_the_order_of_the_rows() -> None:
    """The rows that become the rare class are those for which its score was highest."""
    import torch

    class Decoder:
        def __call__(self, noise: torch.Tensor) -> tuple[torch.Tensor, None]:
            return torch.cat([noise, 3 + noise, 0 * noise], dim=1), None

    decoder = _MatchingDecoder(Decoder(), slice(1, 3), torch.tensor([0.75, 0.25]), torch.randn(4000, 1))
    noise = torch.linspace(-3, 3, 1001)[:, None]
    values, _ = decoder(noise)
    assert torch.equal(values[:, 0], noise[:, 0])
    rare = values[:, 2] == 1
    assert noise[rare].max() < noise[~rare].min()  # the second class is likelier the lower the noise
    assert noise[rare].max() == pytest.approx(-0.674, abs=0.1)  # the lower quartile of the standard normal


def test_one_copula_for_each_class_keeps_what_the_label_says() -> None:
    """A narrow class inside a wide one: no correlation of x and the label can say that."""
    rng = np.random.default_rng(0)
    label = np.resize(["narrow", "wide"], 240)
    x = np.where(label == "narrow", 1.0, 6.0) * rng.standard_normal(240)
    table = Table.from_frame(pd.DataFrame({"x": x, "z": rng.standard_normal(240), "label": label}), "label")
    spread = {}
    for by_class in (True, False):
        generator = GaussianCopula(by_class=by_class)
        fit_generator(generator, table, FitContext(seed=0))
        sample = draw_sample(generator, table, 600, 1).frame
        spread[by_class] = sample.groupby("label", observed=True)["x"].std()
    assert spread[True]["wide"] / spread[True]["narrow"] == pytest.approx(6, rel=0.25)
    assert spread[False]["wide"] / spread[False]["narrow"] < 1.5


def test_a_class_of_one_row_is_repeated_and_noted() -> None:
    table = HARD_TABLES["class-of-one-row"]()
    generator, context = GaussianCopula(), FitContext(seed=0)
    fit_generator(generator, table, context)
    assert context.notes == {"repeated_classes": ["rare"]}
    sample = draw_sample(generator, table, 62, 1).frame
    rare = sample[sample["label"] == "rare"]
    assert len(rare) == 2
    assert (rare["x0"] == table.frame["x0"].iloc[30]).all()


def test_copula_keeps_a_real_table_in_range() -> None:
    table = next(d for d in core_datasets() if d.name == "penguin-sex").load()
    generator = GaussianCopula()
    fit_generator(generator, table, FitContext(seed=0))
    sample = draw_sample(generator, table, 300, 1)
    for column in table.schema.columns:
        if not column.is_discrete:
            assert sample.frame[column.name].min() >= table.frame[column.name].min()
            assert sample.frame[column.name].max() <= table.frame[column.name].max()


@pytest.mark.parametrize("generator", [CTGAN, TVAE, GaussianCopula])
def test_the_restrictive_licence_is_declared(generator: type[Generator]) -> None:
    assert "BUSL-1.1" in generator.info.licence
