"""The reference generators, on real tables and on awkward ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.datasets import Dataset
from tabgen.experiment import default_methods
from tabgen.generator import FitContext, Generator
from tabgen.plugins import Plugins
from tabgen.references import Bootstrap, Corrupted, CutMix, Independent, Jitter, Mixup, Noise, ShuffledLabels
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table
from tabgen.testing import Check, conformance_checks, easy_table

REFERENCES = [Bootstrap, Jitter, Mixup, CutMix, Independent, Noise, ShuffledLabels, Corrupted]


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


def test_they_are_registered(built_in: Plugins) -> None:
    names = ["bootstrap", "jitter", "mixup", "cutmix", "independent", "noise", "shuffled-labels", "corrupted"]
    assert [built_in.generators[name] for name in names] == REFERENCES
    on_request = {"corrupted", "oracle"}
    assert default_methods(built_in) == ["zero-shot", "real", *(name for name in names if name not in on_request)]


@pytest.mark.parametrize(
    "check", [c for g in REFERENCES for c in conformance_checks(g) if c.name not in ("time-limit", "fresh-process")]
)
def test_conformance(check: Check) -> None:
    check()


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


def numbers(n_rows: int = 400) -> Table:
    """Two columns that are functions of the class but for a little noise, and a constant one."""
    rng = np.random.default_rng(0)
    label = np.array(["a", "b", "c"])[rng.integers(0, 3, n_rows)]
    place = pd.Series(label).map({"a": 0.0, "b": 5.0, "c": 10.0}).to_numpy()
    x = place + rng.standard_normal(n_rows)
    frame = {"x": x, "level": label, "count": (10 * x).round().astype(int), "same": 2.0, "y": label}
    return Table.from_frame(pd.DataFrame(frame), "y")


def test_mixup_blends_two_rows_of_one_class() -> None:
    table = numbers()
    sample = draw_sample(fitted(Mixup(), table), table, 2000, 0).frame
    assert (sample["level"].astype(str) == sample["y"].astype(str)).all()
    real = table.frame.groupby("y", observed=True)["x"]
    blended = sample.groupby("y", observed=True)["x"]
    assert (blended.min() >= real.min()).all()
    assert (blended.max() <= real.max()).all()
    # a uniform blend of two independent rows keeps the mean and has two thirds of the variance
    assert blended.var().to_numpy() == pytest.approx(2 / 3 * real.var().to_numpy(), rel=0.2)
    assert blended.mean().to_numpy() == pytest.approx(real.mean().to_numpy(), abs=0.15)
    assert not set(sample["x"]) <= set(table.frame["x"])
    assert np.abs(10 * sample["x"] - sample["count"]).max() <= 1.0  # one weight for the whole row


def test_mixup_is_missing_as_often_as_the_rows_are() -> None:
    frame = pd.DataFrame({"x": np.where(np.arange(400) % 4 == 0, np.nan, np.arange(400.0)), "y": list("ab") * 200})
    table = Table.from_frame(frame, "y")
    sample = draw_sample(fitted(Mixup(), table), table, 4000, 0).frame
    assert sample["x"].isna().mean() == pytest.approx(0.25, abs=0.03)
    assert sample.loc[sample["y"] == "b", "x"].notna().all()


def test_mixup_of_a_small_alpha_leaves_rows_nearly_as_they_are() -> None:
    table = easy_table(60)
    near = draw_sample(fitted(Mixup(alpha=0.001), table), table, 300, 0).frame["length"].to_numpy()
    real = table.frame["length"].to_numpy()
    assert (np.abs(near[:, None] - real).min(axis=1) < 1e-6).mean() > 0.9
    with pytest.raises(ValueError, match="positive"):
        Mixup(alpha=0.0)


def test_noise_has_means_and_spreads_and_nothing_else() -> None:
    table = numbers()
    sample = draw_sample(fitted(Noise(), table), table, 4000, 0).frame
    assert sample["x"].mean() == pytest.approx(table.frame["x"].mean(), abs=0.3)
    assert sample["x"].std() == pytest.approx(table.frame["x"].std(), rel=0.05)
    assert (sample["same"] == 2.0).all()
    assert abs(sample["x"].corr(sample["count"])) < 0.06
    assert sample.groupby("y", observed=True)["x"].mean().std() < 0.3
    assert sample["level"].value_counts(normalize=True).to_numpy() == pytest.approx(1 / 3, abs=0.03)
    assert (sample["level"].astype(str) == sample["y"].astype(str)).mean() == pytest.approx(1 / 3, abs=0.04)


def test_shuffled_labels_keep_the_features_and_the_shares_and_break_the_bond() -> None:
    table = numbers()
    sample = draw_sample(fitted(ShuffledLabels(), table), table, 3000, 5).frame
    drawn = draw_sample(fitted(Bootstrap(), table), table, 3000, 5).frame
    pd.testing.assert_frame_equal(sample.drop(columns="y"), drawn.drop(columns="y"))
    assert sample["y"].value_counts().to_dict() == drawn["y"].value_counts().to_dict()
    assert (sample["level"].astype(str) == sample["y"].astype(str)).mean() == pytest.approx(1 / 3, abs=0.04)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_corrupted_spoils_the_share_that_is_asked_for(share: float) -> None:
    """Two of three rows have another class than a row of a balanced table: spoilt labels are wrong that often."""
    table = numbers()
    drawn = draw_sample(fitted(Bootstrap(), table), table, 3000, 7).frame
    labels, features, both = (
        draw_sample(fitted(Corrupted(share=share, what=what), table), table, 3000, 7).frame
        for what in ("labels", "features", "both")
    )
    pd.testing.assert_frame_equal(labels.drop(columns="y"), drawn.drop(columns="y"))
    assert (labels["y"] != drawn["y"]).mean() == pytest.approx(share * 2 / 3, abs=0.04)
    pd.testing.assert_series_equal(features["y"], drawn["y"])
    moved = features["x"] != drawn["x"]
    assert moved.sum() == round(share * 3000)  # every number is another row's: none is drawn twice
    pd.testing.assert_frame_equal(features[~moved], drawn[~moved])
    # column by column: a spoilt row is no real row
    assert (10 * features["x"][moved] - features["count"][moved]).abs().gt(1).sum() >= 0.9 * moved.sum()
    assert (both["x"] != drawn["x"]).sum() == round(share * 3000)
    assert (both["y"] != drawn["y"]).mean() == pytest.approx(share * 2 / 3, abs=0.04)


def test_corrupted_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        Corrupted(share=1.5)
    with pytest.raises(ValueError, match="'rows'"):
        Corrupted(what="rows")


def test_cutmix_takes_every_cell_from_one_of_two_rows_of_the_class() -> None:
    """Of four columns that hold the row's number, each new row shows one or two numbers, both of its class."""
    numbers = np.arange(40)
    frame = pd.DataFrame({f"x{i}": numbers * 1.0 for i in range(4)} | {"colour": [f"c{n}" for n in numbers]})
    frame["label"] = np.where(numbers % 4 == 0, "rare", "common")
    table = Table.from_frame(frame, "label")
    sample = draw_sample(fitted(CutMix(), table), table, 500, 0).frame
    cells = np.column_stack([sample[[f"x{i}" for i in range(4)]], sample["colour"].str[1:].astype(float)])
    parents = [set(row) for row in cells]
    assert {len(each) for each in parents} == {1, 2}
    assert np.mean([len(each) == 2 for each in parents]) > 0.4
    of_class = (cells % 4 == 0) == (sample["label"] == "rare").to_numpy()[:, None]
    assert of_class.all()


def test_cutmix_near_zero_leaves_the_rows_as_they_are(heart: Dataset) -> None:
    table = heart.load()
    sample = draw_sample(fitted(CutMix(alpha=1e-4), table), table, 200, 0)
    assert len(rows_of(sample) & rows_of(table)) / len(rows_of(sample)) > 0.97
    assert draw_sample(fitted(CutMix(), table), table, 200, 0).content_hash != sample.content_hash
    with pytest.raises(ValueError, match="a positive number is due"):
        CutMix(alpha=0.0)


def test_cutmix_carries_missing_values_along() -> None:
    table = awkward()
    sample = draw_sample(fitted(CutMix(), table), table, 300, 0).frame
    assert 0.05 < sample["size"].isna().mean() < 0.3
    assert sample["empty"].isna().all()
