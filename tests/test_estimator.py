"""The scikit-learn estimator: its conventions, its promise not to be worse than the zero-shot model, its folder."""

# mypy: ignore-errors

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paths import FIXTURE
from sklearn.utils.estimator_checks import parametrize_with_checks

from tabgen import GeneratorAugmentedClassifier
from tabgen.candidates import hold_out, log_loss
from tabgen.datasets import Dataset
from tabgen.errors import DataError, EstimatorError, ModelError, TableError, TableWarning, UnknownNameError
from tabgen.models.checkpoints import load_directory
from tabgen.table import Table

CHEAP: dict[str, Any] = {"generator": "jitter", "arm": "augmented", "random_state": 0}


@pytest.mark.filterwarnings("ignore::tabgen.errors.TableWarning")  # some of the checks' tables are too small to split
@parametrize_with_checks([GeneratorAugmentedClassifier(**CHEAP)])
def test_scikit_learns_checks(estimator: GeneratorAugmentedClassifier, check: Any) -> None:
    check(estimator)


def mixed(n_rows: int = 60) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Numbers, levels, booleans, times and missing values; the label depends on two of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.standard_normal(n_rows),
            "count": rng.integers(0, 9, n_rows),
            "colour": rng.choice(["red", "green", "blue"], n_rows),
            "new": rng.random(n_rows) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n_rows), "D"),
        }
    )
    label = np.where(frame["size"] + (frame["colour"] == "red") > 0.3, "yes", "no")
    frame.loc[:5, "size"] = np.nan
    frame.loc[7:9, "colour"] = None
    return frame, pd.Series(label, name="sold")


def tiny(**parameters: Any) -> GeneratorAugmentedClassifier:
    return GeneratorAugmentedClassifier(**({"model": str(FIXTURE), "random_state": 0} | parameters))


def loss_of_zero_shot(table: Table, seed: int) -> float:
    """Computed without the estimator and its predictor: real train rows as context, log-loss of the rows held out."""
    import torch

    train, validation = hold_out(table, seed)
    model = load_directory(FIXTURE)
    encoder = model.encoder(train)
    x, y = encoder.encode(train), torch.from_numpy(train.labels)
    return log_loss(
        validation.labels,
        model.predict(x, y, encoder.encode(validation), len(table.schema.classes), encoder.levels),
    )


@pytest.mark.parametrize("generator", ["noise", "shuffled-labels", "jitter", "cutmix"])
@pytest.mark.parametrize("arm", ["augmented", "context", "fine-tune"])
def test_nothing_is_worse_on_validation_than_the_zero_shot_model(generator: str, arm: str) -> None:
    X, y = mixed()
    fitted = tiny(generator=generator, arm=arm).fit(X, y)
    scores = fitted.validation_scores_
    assert set(scores) == {"zero-shot", f"{generator}/{arm}"}
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    table = Table.from_frame(X.assign(sold=y), "sold").observed()
    assert scores["zero-shot"] == loss_of_zero_shot(table, seed)
    kept = "zero-shot" if fitted.generator_ is None else f"{fitted.generator_}/{fitted.arm_}"
    assert scores[kept] == min(scores.values())
    better = scores[f"{generator}/{arm}"] < scores["zero-shot"]
    assert (fitted.generator_, fitted.arm_) == ((generator, arm) if better else (None, "zero-shot"))


def test_without_a_better_candidate_it_is_the_model_on_all_real_rows() -> None:
    import torch

    X, y = mixed()
    fitted = GeneratorAugmentedClassifier("noise", "context", random_state=0).fit(X, y)
    assert (fitted.generator_, fitted.arm_) == (None, "zero-shot")
    from tabgen.plugins import find_model, get_plugins

    model = find_model("tabgen-nano", get_plugins()).load("cpu")
    table = Table.from_frame(X.assign(sold=y), "sold")
    encoder = model.encoder(table)
    x = encoder.encode(table)
    expected = model.predict(x, torch.from_numpy(table.labels), x, 2, encoder.levels)
    np.testing.assert_array_equal(fitted.predict_proba(X), expected)
    assert (fitted.predict(X) == y).mean() > 0.8


def test_a_candidate_that_is_better_is_kept_and_its_rows_are_used() -> None:
    X, y = mixed()
    fitted = tiny(generator="auto", arm="context").fit(X, y)
    scores = fitted.validation_scores_
    assert {"zero-shot", "mixup/context", "cutmix/context", "jitter/context"} <= set(scores)
    assert fitted.generator_ is not None, "weights as good as random: some draw is better by chance"
    assert scores[f"{fitted.generator_}/context"] < scores["zero-shot"]
    assert len(fitted._predictor.context.y) == len(X)
    assert not np.array_equal(
        fitted.predict_proba(X), tiny(generator="noise", arm="context").fit(X, y).predict_proba(X)
    )


def test_ratio_and_settings_reach_the_draw() -> None:
    X, y = mixed()
    fitted = tiny(generator="jitter:noise=3.0", arm="augmented", ratio=2.0)
    kept = next(
        found for seed in range(20) if (found := fitted.set_params(random_state=seed).fit(X, y)).generator_ is not None
    )
    assert kept.generator_ == "jitter:noise=3.0"
    assert len(kept._predictor.context.y) == 3 * len(X)


def test_fine_tuning_is_done_again_on_all_rows_for_the_steps_that_validation_kept() -> None:
    X, y = mixed()
    fitted = tiny(generator="jitter", arm="fine-tune").fit(X, y)
    assert fitted.arm_ == "fine-tune"
    before = load_directory(FIXTURE).module.state_dict()
    after = fitted._predictor.model.module.state_dict()
    assert any(not np.array_equal(before[name].numpy(), after[name].numpy()) for name in before)
    assert len(fitted._predictor.context.y) == len(X), "it predicts from the real rows"


@pytest.mark.parametrize("arm", ["augmented", "context", "fine-tune"])
def test_a_folder_gives_back_the_same_estimator(arm: str, tmp_path: Path) -> None:
    X, y = mixed()
    y = y.map({"yes": 1, "no": 0}) if arm == "context" else y
    fitted = tiny(generator="jitter" if arm == "fine-tune" else "auto", arm=arm).fit(X, y)
    assert fitted.arm_ == arm
    fitted.save(tmp_path / "it")
    kinds = {path.suffix for path in (tmp_path / "it").rglob("*") if path.is_file()}
    assert kinds == {".json", ".parquet", ".safetensors"}
    again = GeneratorAugmentedClassifier.load(tmp_path / "it")
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.classes_.dtype == fitted.classes_.dtype
    assert again.get_params() == fitted.get_params()
    for name in ("generator_", "arm_", "validation_scores_", "n_features_in_"):
        assert getattr(again, name) == getattr(fitted, name)
    assert list(again.feature_names_in_) == list(X)
    again.save(tmp_path / "it")  # over itself
    assert (tmp_path / "it" / "synthetic.parquet").exists() == (arm != "fine-tune")


def test_a_folder_that_is_not_whole_is_refused_by_name(tmp_path: Path) -> None:
    X, y = mixed()
    fitted = tiny(generator="noise", arm="context").fit(X, y)
    with pytest.raises(DataError, match=r"no saved estimator: it has no estimator\.json"):
        GeneratorAugmentedClassifier.load(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds something else"):
        fitted.save(tmp_path)
    folder = tmp_path / "it"
    fitted.save(folder)
    facts = json.loads((folder / "estimator.json").read_text())
    for wrong in ({"classes_type": "|V8"}, {"format": 2}, {"classes": ["no"]}, {"more": 1}):
        (folder / "estimator.json").write_text(json.dumps(facts | wrong))
        with pytest.raises(DataError, match=r"estimator\.json"):
            GeneratorAugmentedClassifier.load(folder)
    (folder / "estimator.json").write_text(json.dumps(facts))
    rows = (folder / "real.parquet").read_bytes()
    (folder / "real.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"real\.parquet does not hold"):
        GeneratorAugmentedClassifier.load(folder)
    (folder / "real.parquet").unlink()
    with pytest.raises(DataError, match=r"real\.parquet is missing"):
        GeneratorAugmentedClassifier.load(folder)
    (folder / "real.parquet").write_bytes(rows)
    (folder / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        GeneratorAugmentedClassifier.load(folder)


def test_rows_to_predict_may_hold_what_the_rows_of_fit_did_not() -> None:
    X, y = mixed()
    fitted = tiny(generator="noise", arm="context").fit(X, y)
    foreign = X.assign(colour="violet", count=X["count"] + 0.5, new=None)
    missing = X.assign(colour=None, count=X["count"] + 0.5, new=None)
    with pytest.warns(
        TableWarning, match="column 'colour' holds 'violet' that fit never saw, in 60 of 60 rows"
    ) as said:
        of_foreign = fitted.predict_proba(foreign)
    with pytest.warns(TableWarning, match="they count as missing") as said_too:
        fitted.predict(foreign)
    assert {each.filename for each in [*said, *said_too]} == {__file__}
    np.testing.assert_array_equal(of_foreign, fitted.predict_proba(missing))
    assert not np.array_equal(of_foreign, fitted.predict_proba(X))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) \(shape=\(0, "):
        fitted.predict_proba(X.head(0))
    with pytest.raises(TableError, match="'size' of the rows to predict should hold numbers"):
        fitted.predict(X.assign(size="big"))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X.rename(columns={"size": "length"}))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"generator": "jiter"}, UnknownNameError, "did you mean 'jitter'"),
        ({"generator": "real"}, EstimatorError, "is a baseline"),
        ({"generator": "jitter:ratio=2"}, EstimatorError, "say ratio=2"),
        ({"generator": "tableaugment", "arm": "context"}, EstimatorError, "another table"),
        ({"arm": "fine_tune"}, UnknownNameError, "did you mean 'fine-tune'"),
        ({"ratio": 0}, EstimatorError, "ratio=0 should be"),
        ({"model": "no-model"}, UnknownNameError, "no model is called"),
    ],
)
def test_parameters_that_cannot_be_are_named(parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    X, y = mixed()
    if parameters.get("generator") == "tableaugment":
        pytest.importorskip("tabgen_tableaugment")
    with pytest.raises(error, match=message):
        tiny(**({"generator": "jitter"} | parameters)).fit(X, y)


def test_a_table_too_small_to_hold_rows_out_keeps_the_real_rows_and_says_so() -> None:
    X, y = np.arange(8.0).reshape(4, 2) % 3, [0, 0, 0, 1]
    with pytest.warns(TableWarning, match="no rows could be held out .*: one row in 5, held out, would not"):
        fitted = tiny(generator="jitter").fit(X, y)
    assert (fitted.generator_, fitted.validation_scores_) == (None, {})
    assert fitted.predict_proba(X).shape == (4, 2)


def test_a_column_that_names_rows_or_tells_the_classes_is_warned_of_and_can_be_dropped() -> None:
    X, y = mixed()
    X = X.assign(customer=[f"c{number}" for number in range(len(X))], decision=np.unique(y, return_inverse=True)[1])
    with pytest.warns(TableWarning) as caught:
        tiny(generator="jitter", arm="augmented").fit(X, y)
    told = " ".join(str(each.message) for each in caught)
    assert "'customer'" in told
    assert "'decision'" in told
    assert "kinds={'NAME': 'drop'}" in told
    assert {Path(each.filename).name for each in caught} == {"test_estimator.py"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", TableWarning)
        tiny(generator="jitter", arm="augmented").fit(X, y, kinds={"customer": "drop", "decision": "drop"})


def test_labels_that_are_missing_or_of_one_class_are_refused() -> None:
    X, y = mixed()
    with pytest.raises(EstimatorError, match="y is missing in 1 of 60 rows"):
        tiny().fit(X, y.where(y.index != 3, None))
    with pytest.raises(EstimatorError, match="only the class 'yes'"):
        tiny().fit(X, np.full(len(X), "yes"))


def test_what_one_fits_leaves_the_global_random_states_alone(teaching: Dataset) -> None:
    table = teaching.load()
    before = np.random.get_state()[1].copy()
    tiny(generator="jitter", arm="augmented").fit(table.features, table.labels)
    np.testing.assert_array_equal(before, np.random.get_state()[1])
