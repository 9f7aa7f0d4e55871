from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from tabgen_incontext import InContext

from tabgen import FitContext, Table
from tabgen.errors import Unsupported
from tabgen.plugins import get_plugins
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import conformance_checks, easy_table

QUICK = {"orders": 1, "max_context": 60}


@pytest.fixture(scope="module")
def model() -> Any:
    return get_plugins().models["tabgen-nano"].load("cpu")


def fitted(table: Any, model: Any, **settings: Any) -> Any:
    generator = InContext(**settings)
    fit_generator(generator, table, FitContext(seed=0, load_model=lambda: model))
    return generator


def sample_of(table: Any, model: Any, n_rows: Any, **settings: Any) -> Any:
    return draw_sample(fitted(table, model, **settings), table, n_rows, 1)


@pytest.mark.parametrize("check", conformance_checks(InContext, QUICK), ids=str)
def test_conformance(check: Any) -> None:
    check()


def dependent(n: Any = 200) -> Any:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=n), rng.normal(size=n)
    colour = np.where(x > 0.5, "red", np.where(x > -0.5, "green", "blue"))
    label = np.where(x + 0.3 * noise > 0, "up", "down")
    return Table.from_frame(pd.DataFrame({"x": x, "noise": noise, "colour": colour, "label": label}), "label")


@pytest.mark.parametrize("target", ["first", "last", "random"])
def test_what_depends_in_the_table_depends_in_the_rows(model: Any, target: Any) -> None:
    table = dependent()
    sample = sample_of(table, model, 200, target=target, orders=2).frame
    means = sample.groupby("colour", observed=True)["x"].mean()
    assert means["blue"] < -0.4 < means["green"] < 0.4 < means["red"]
    assert abs(np.corrcoef(sample["x"], sample["noise"])[0, 1]) < 0.3
    judge = RandomForestClassifier(50, random_state=0).fit(sample[["x", "noise"]], sample["label"])
    assert (judge.predict(table.frame[["x", "noise"]]) == table.frame["label"]).mean() > 0.75


def test_the_distribution_of_each_column_is_the_real_one(model: Any) -> None:
    table = dependent()
    sample = sample_of(table, model, 400).frame
    for name in ("colour", "label"):
        shares = [frame[name].value_counts(normalize=True).sort_index() for frame in (table.frame, sample)]
        assert np.abs(shares[0] - shares[1]).sum() < 0.2
    real, drawn = (np.quantile(frame["x"], [0.1, 0.5, 0.9]) for frame in (table.frame, sample))
    assert np.allclose(real, drawn, atol=0.35)
    assert table.frame["x"].min() <= sample["x"].min() <= sample["x"].max() <= table.frame["x"].max()


def test_numbers_become_classes_between_quantiles_and_back(model: Any) -> None:
    frame = pd.DataFrame(
        {
            "wide": np.arange(100.0),
            "few": [1.0, 2.5, 9.0, 2.5] * 25,
            "whole": np.arange(100) * 1000,
            "holes": [np.nan if i % 4 == 0 else i / 7 for i in range(100)],
            "label": ["a", "b"] * 50,
        }
    )
    generator = fitted(Table.from_frame(frame, "label"), model, bins=5)
    assert np.bincount(generator._coded["wide"].codes).tolist() == [20, 20, 20, 20, 20] or (
        np.bincount(generator._coded["wide"].codes).min() >= 19
    )
    assert [set(values) for values in generator._coded["few"].values[:3]] == [{1.0}, {2.5}, {9.0}]
    codes = generator._coded["holes"].codes
    assert (codes == codes.max()).tolist() == frame["holes"].isna().tolist()
    rng = np.random.default_rng(0)
    for name in ("wide", "few", "whole", "holes"):
        coded = generator._coded[name]
        back = pd.Series(generator._values(name, coded.codes, rng))
        assert (back.isna() == frame[name].isna()).all()
        for code in np.unique(coded.codes[~frame[name].isna()]):
            inside = frame[name][coded.codes == code]
            assert back[coded.codes == code].between(inside.min(), inside.max()).all()
    assert set(generator._values("whole", generator._coded["whole"].codes, rng)) <= set(frame["whole"])


def test_missing_values_depend_on_the_row_too(model: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, np.nan, rng.normal(size=200)), "label": ["a", "b"] * 100})
    sample = sample_of(Table.from_frame(frame, "label"), model, 200).frame
    assert (sample["y"].isna() == (sample["x"] > 0)).mean() > 0.8
    assert sample["y"].isna().mean() == pytest.approx(frame["y"].isna().mean(), abs=0.15)


def test_more_levels_than_the_model_takes_are_asked_for_in_rounds(model: Any) -> None:
    n = 300
    level = np.arange(n) % 25
    frame = pd.DataFrame({"level": pd.Categorical([f"l{i:02d}" for i in level]), "size": level + 0.0})
    frame["label"] = np.where(level < 12, "low", "high")
    asked = []

    class Counting(type(model)):  # type: ignore[misc]
        def predict(self, x_support: Any, y_support: Any, x_query: Any, n_classes: Any, levels: Any = ()) -> Any:
            asked.append((n_classes, len(y_support)))
            return super().predict(x_support, y_support, x_query, n_classes, levels)

    counting = Counting(model.module, model.checkpoint_hash)
    sample = sample_of(Table.from_frame(frame, "label"), counting, 200, orders=1).frame
    assert max(n for n, _ in asked) <= model.max_classes
    assert sum(n == model.max_classes for n, _ in asked) >= 2
    assert sample["level"].nunique() > 15
    low = sample["level"].astype(str) < "l12"
    assert (low == (sample["label"] == "low")).mean() > 0.75


def test_the_context_is_capped_and_said(model: Any) -> None:
    context = FitContext(seed=0, load_model=lambda: model)
    generator = InContext(max_context=50)
    fit_generator(generator, easy_table(90), context)
    assert len(generator._table) == context.notes["context_rows"] == 50
    assert context.notes["model"] == model.checkpoint_hash[:12]


def test_the_model_is_needed_and_left_as_it_was(model: Any) -> None:
    with pytest.raises(Unsupported, match="foundation model"):
        fit_generator(InContext(), easy_table(20), FitContext(seed=0))
    before = [weight.clone() for weight in model.module.state_dict().values()]
    sample_of(easy_table(30), model, 10)
    assert all((a == b).all() for a, b in zip(before, model.module.state_dict().values(), strict=True))


@pytest.mark.parametrize("wrong", [{"target": "middle"}, {"orders": 0}, {"bins": 1}, {"max_context": 1}])
def test_settings_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="due"):
        InContext(**wrong)
