"""Tuned generators: what is searched, what is seen while it is, and what an outcome says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tabgen.cache import Cache, CacheSettings
from tabgen.cell import run_cell
from tabgen.clock import Phase
from tabgen.datasets import Dataset, Suite
from tabgen.errors import EstimatorError, ExperimentError, GeneratorFailed, InvalidOutput, PluginError, TabgenError
from tabgen.estimator import GeneratorAugmentedClassifier
from tabgen.experiment import Experiment, parse_method, plan
from tabgen.generator import Generator, GeneratorInfo, Search
from tabgen.host.client import FitOrder, Spent
from tabgen.leaderboard.check import _check_label
from tabgen.models.checkpoints import Tab2DModel
from tabgen.outcome import Cell, Outcome, key_of
from tabgen.plugins import Plugin, PluginChoice, Plugins, load_plugins
from tabgen.table import Table
from tabgen.tuning import choose_settings


class Doses(Generator):
    """Real rows, of whose labels a share is wrong unless it is told otherwise."""

    info = GeneratorInfo(
        "doses", "real rows with wrong labels", accepts_missing=True, search={"wrong": Search(0.0, 1.0)}
    )
    fitted: list[tuple[float, Table]] = []  # noqa: RUF012

    def __init__(self, wrong: float = 1.0, rows: int = 0) -> None:
        self.wrong, self.rows = wrong, rows

    def fit(self, table: Table, context: Any) -> None:
        self.table = table
        self.fitted.append((self.wrong, table))

    def sample(self, n_rows: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        frame = self.table.take(rng.integers(0, len(self.table), n_rows)).frame
        target, bad = self.table.schema.target, rng.random(n_rows) < self.wrong
        shuffled = frame[target].take(rng.permutation(n_rows)).reset_index(drop=True)
        return frame.assign(**{target: frame[target].where(~bad, shuffled)})


@pytest.fixture
def plugins() -> Plugins:
    Doses.fitted.clear()
    loaded = load_plugins(PluginChoice(external=False))
    loaded.generators.add("doses", Doses, Plugin("doses", "1", "test"))
    return loaded


def cell_of(plugins: Plugins, dataset: Dataset, method: str, **more: Any) -> Cell:
    suite = Suite("test", "one table", "1", lambda: [dataset])
    settings: dict[str, Any] = {"folds": 2, "max_train_rows": (100,), "max_test_rows": 60, "fidelity": False}
    return plan(Experiment(suite, (parse_method(method, plugins),), arms=("context",), **settings | more), plugins)[0]


def test_a_method_says_what_is_searched_and_what_stays(plugins: Plugins) -> None:
    method = parse_method("doses:tune=4,tune_seconds=30", plugins)
    space = {"wrong": {"low": 0.0, "high": 1.0, "log": False, "choices": [], "whole": False}}
    assert method.tune == {"trials": 4, "seconds": 30.0, "space": space}
    assert method.settings == {"wrong": 1.0, "rows": 0}
    assert parse_method("doses:rows=3,tune=4", plugins).settings == {"wrong": 1.0, "rows": 3}
    assert parse_method("doses", plugins).tune is None
    whole = load_plugins(PluginChoice(external=False))
    assert json.loads(json.dumps(parse_method("mixup:tune=2", whole).tune))["space"]["alpha"]["log"] is True


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("doses:tune=0,tune_seconds=5", "number of trials"),
        ("doses:tune=-1", "number of trials"),
        ("doses:tune=2.5", "number of trials"),
        ("doses:tune=true", "number of trials"),
        ("doses:tune=2,tune_seconds=-1", "number of seconds"),
        ("doses:tune=2,wrong=0.5", "all that it is tuned over is set"),
        ("bootstrap:tune=2", "says of no setting where to search"),
        ("zero-shot:tune=2", "no mixing and no settings"),
    ],
)
def test_what_cannot_be_tuned_is_said(method: str, message: str, plugins: Plugins) -> None:
    with pytest.raises(ExperimentError, match=message):
        parse_method(method, plugins)


def test_without_optuna_it_is_said_what_to_install(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExperimentError, match=r"pip install 'tabgen-bench\[tune\]'"):
        parse_method("doses:tune=2", plugins)


def test_a_search_that_is_none_and_a_default_outside_are_refused(plugins: Plugins) -> None:
    for wrong in ({"low": 2.0, "high": 1.0}, {"low": 0.0, "high": 1.0, "log": True}, {"choices": (1,)}, {}):
        with pytest.raises(PluginError, match="from low to high, or among two choices"):
            Search(**wrong)

    class Outside(Doses):
        info = GeneratorInfo("outside", "", search={"wrong": Search(0.0, 0.5)})

    plugins.generators.add("outside", Outside, Plugin("outside", "1", "test"))
    with pytest.raises(PluginError, match="'wrong', which is no setting whose default is searched"):
        parse_method("outside:tune=2", plugins)


def test_every_generator_here_can_be_tuned_over_what_it_declares() -> None:
    plugins = load_plugins()
    declared = [name for name in plugins.generators if plugins.generators[name].info.search]
    assert {"jitter", "mixup", "cutmix"} <= set(declared)
    for name in declared:
        tune = parse_method(f"{name}:tune=3", plugins).tune
        assert tune is not None
        assert set(tune["space"]) == set(plugins.generators[name].info.search)


class FakeHost:
    """Draws what a function of the settings says, or fails."""

    info, spent = Doses.info, Spent()

    def __init__(self, fails: dict[int, Exception] | None = None) -> None:
        self.orders: list[FitOrder] = []
        self.fails = fails or {}

    def wait(self) -> None: ...

    def fit(self, order: FitOrder, train: Table) -> None:
        self.orders.append(order)
        if error := self.fails.get(len(self.orders)):
            raise error

    def sample(self, n_rows: int, seed: int, fresh: bool) -> Any:
        return self.orders[-1].settings["wrong"]


ORDER = FitOrder("doses", "1", None, {"wrong": 1.0, "rows": 3}, 5, 600.0, "cpu", 1, {})
SPACE = {"wrong": {"low": 0.0, "high": 1.0, "log": False, "choices": [], "whole": False}}


def choose(host: FakeHost, trials: int = 12, seconds: float = 0.0, score: Any = lambda wrong: -wrong) -> Any:
    tune = {"trials": trials, "seconds": seconds, "space": SPACE}
    return choose_settings(host, ORDER, range(9), 7, tune, score)  # type: ignore[arg-type]


def test_the_defaults_are_tried_first_and_the_best_is_chosen() -> None:
    host = FakeHost()
    settings, note = choose(host)
    tried = [order.settings["wrong"] for order in host.orders]
    assert tried[0] == 1.0
    assert len(set(tried)) == len(tried) == 12
    assert settings == {"wrong": min(tried), "rows": 3}
    assert note["settings"] == {"wrong": min(tried)}
    assert note["trials"] == 12
    assert note["scores"] == pytest.approx([-wrong for wrong in tried], abs=1e-6)
    again = FakeHost()
    assert choose(again)[0] == settings
    assert choose(FakeHost(), score=lambda wrong: 0.5)[0]["wrong"] == 1.0  # among equals the defaults stay


def test_after_the_budget_no_trial_begins_but_one_is_made() -> None:
    host = FakeHost()
    settings, note = choose(host, seconds=1e-9)
    assert note["trials"] == len(host.orders) == 1
    assert settings["wrong"] == 1.0


def test_trials_that_fail_are_left_out_and_a_process_that_ended_ends_the_cell() -> None:
    host = FakeHost({1: GeneratorFailed("error", "no"), 3: InvalidOutput("not these")})
    settings, note = choose(host, score=lambda wrong: float("nan") if wrong > 0.9 else -wrong)
    assert note["scores"][0] is note["scores"][2] is None
    assert note["trials"] == 12
    assert settings["wrong"] == min(order.settings["wrong"] for i, order in enumerate(host.orders) if i not in (0, 2))
    with pytest.raises(GeneratorFailed, match="all of them"):
        choose(FakeHost({i: GeneratorFailed("error", "all of them") for i in range(1, 4)}), trials=3)
    with pytest.raises(InvalidOutput, match="could be scored"):
        choose(FakeHost(), trials=3, score=lambda wrong: float("nan"))
    ended = FakeHost({2: GeneratorFailed("crashed", "it ended")})
    with pytest.raises(GeneratorFailed, match="it ended"):
        choose(ended)
    assert len(ended.orders) == 2


def test_a_tuned_cell_finds_better_settings_and_sees_no_test_row(
    plugins: Plugins, heart: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase: list[Phase] = []
    asked: list[int] = []
    predict = Tab2DModel.predict

    def spy(self: Any, x: Any, y: Any, query: Any, n_classes: int, levels: tuple[int, ...] = ()) -> Any:
        if phase[-1] == "tune":
            asked.append(len(query))
        return predict(self, x, y, query, n_classes, levels)

    monkeypatch.setattr(Tab2DModel, "predict", spy)
    cell = cell_of(plugins, heart, "doses:tune=6")
    result = run_cell(cell, plugins, enter=lambda name, spent: phase.append(name))
    assert result.status == "ok"
    assert result.notes is not None
    note = result.notes["tuned"]
    assert asked == [result.measured["n_validation"]] * 6 != [result.measured["n_test"]] * 6
    assert max(note["scores"]) == pytest.approx(result.measured["context_validation_roc_auc"], abs=1e-5)
    assert note["scores"][0] == min(note["scores"])
    assert result.measured["seconds_tune"] > 0
    assert Doses.fitted[0][0] == 1.0
    assert Doses.fitted[-1][0] == note["settings"]["wrong"] < 0.9
    assert {table.content_hash for _, table in Doses.fitted} == {Doses.fitted[0][1].content_hash}
    assert len(Doses.fitted[0][1]) == result.measured["n_train"]
    plain = run_cell(cell_of(plugins, heart, "doses"), plugins)
    assert plain.measured["context_test_roc_auc"] < result.measured["context_test_roc_auc"]


def test_tuning_is_part_of_a_key_and_its_absence_is_not(plugins: Plugins, heart: Dataset) -> None:
    keys = [cell_of(plugins, heart, name).key for name in ("doses", "doses:tune=2", "doses:tune=3")]
    assert len(set(keys)) == 3
    cell = cell_of(plugins, heart, "doses:tune=2")
    assert key_of(replace(cell, tune=None)) == keys[0]
    row = {name: value for name, value in cell_of(plugins, heart, "doses").to_dict().items() if name != "tune"}
    assert key_of(Cell.from_dict(row)) == keys[0]


def test_settings_are_chosen_anew_for_another_version_of_the_model_s_plugin(
    plugins: Plugins, heart: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = plugins.model(cell_of(plugins, heart, "doses").model)
    monkeypatch.setattr("tabgen.cell._load_model", lambda cell, plugins, device: model.load(device))
    cell, cache = cell_of(plugins, heart, "doses:tune=1"), Cache(CacheSettings(str(tmp_path)))
    versions = (None, "2", None, "2")
    found = [run_cell(replace(cell, model_plugin_version=version), plugins, cache=cache) for version in versions]
    assert [result.cached_synthetic for result in found] == [False, False, True, True]


def test_a_name_that_hides_tuning_is_found(plugins: Plugins, heart: Dataset) -> None:
    def findings(**changed: Any) -> list[str]:
        cell = replace(cell_of(plugins, heart, "doses:tune=2,tune_seconds=9"), **changed)
        row = Outcome(cell, run_cell(cell_of(plugins, heart, "bootstrap"), plugins), {}).to_dict()
        return [finding.message for finding in _check_label(row, plugins)]

    assert findings() == []
    assert any("tune is 2" in each for each in findings(method="doses"))
    assert any("tune is 0" in each for each in findings(tune=None))
    narrow = {"trials": 2, "seconds": 9.0, "space": SPACE | {"wrong": SPACE["wrong"] | {"high": 0.1}}}
    assert any("what was searched" in each for each in findings(tune=narrow))


def test_where_no_validation_rows_are_tuning_is_refused(heart: Dataset) -> None:
    with pytest.raises(TabgenError, match="tuned in a run"):
        GeneratorAugmentedClassifier("jitter:tune=2").fit([[1.0], [2.0], [3.0], [4.0]], [0, 1, 0, 1])
    assert issubclass(EstimatorError, TabgenError)
