from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier
from tabgen_mixed_model import TEACHERS, MixedModel

from tabgen import FitContext, Table
from tabgen.errors import InvalidOutput
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import Check, conformance_checks, easy_table


@pytest.mark.parametrize("check", conformance_checks(MixedModel), ids=str)
def test_conformance(check: Check) -> None:
    check()


def fitted(table: Table, **settings: Any) -> MixedModel:
    generator = MixedModel(**settings)
    fit_generator(generator, table, FitContext(seed=0))
    return generator


@pytest.mark.parametrize("teacher", TEACHERS)
def test_labels_follow_the_features(teacher: str) -> None:
    """A neighbour model of the real rows agrees with the labels far more often than chance (a third)."""
    table, names = easy_table(150), ["length", "legs"]
    sample = draw_sample(fitted(table, teacher=teacher), table, 400, 3)
    judge = KNeighborsClassifier(7).fit(table.frame[names], table.labels)
    assert (judge.predict(sample.frame[names]) == sample.labels).mean() > 0.5


def test_features_have_the_real_means_and_spreads() -> None:
    table = easy_table(150)
    generator = fitted(table)
    drawn = pd.concat([draw_sample(generator, table, 300, seed).frame for seed in range(8)])
    for name in ("length", "legs"):
        assert abs(drawn[name].mean() - table.frame[name].mean()) < 0.35 * table.frame[name].std()
        assert 0.6 < drawn[name].std() / table.frame[name].std() < 1.5


def test_each_sample_has_models_of_its_own() -> None:
    generator = fitted(easy_table(90))
    made = {type(generator._teacher(np.random.default_rng(seed))).__name__ for seed in range(30)}
    assert len(made) == len(TEACHERS)


def test_drawn_labels_differ_from_the_most_likely_ones() -> None:
    table = easy_table(90)
    hard = draw_sample(fitted(table, teacher="random-forest", draw_labels=False), table, 200, 2)
    soft = draw_sample(fitted(table, teacher="random-forest", draw_labels=True), table, 200, 2)
    assert hard.features.equals(soft.features)
    assert 0 < (hard.labels != soft.labels).mean() < 0.5


def test_a_single_class_is_an_invalid_sample_and_is_not_mended() -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).standard_normal(200), "label": ["a"] * 199 + ["b"]})
    table = Table.from_frame(frame, "label")
    with pytest.raises(InvalidOutput, match=r"one class only \('a'\)\. A teacher may find.*draw_labels=true"):
        draw_sample(fitted(table, teacher="svc"), table, 50, 0)


def test_drawn_labels_keep_the_shares_of_classes_that_are_never_the_most_likely() -> None:
    """One row in eight is of a class that the features do not tell."""
    rng = np.random.default_rng(0)
    label = np.where(np.arange(200) % 8 == 0, "rare", "common")
    table = Table.from_frame(pd.DataFrame({"x": rng.standard_normal(200), "label": label}), "label")
    drawn = fitted(table, teacher="random-forest")
    shares = [(draw_sample(drawn, table, 500, seed).frame["label"] == "rare").mean() for seed in range(5)]
    assert np.mean(shares) == pytest.approx(1 / 8, abs=0.06)


def test_an_unknown_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="oracle"):
        MixedModel(teacher="oracle")
