"""Methods as text, and the plan: its order, and what a cell's key depends on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabgen.datasets import Dataset, Suite
from tabgen.errors import ExperimentError, ModelError, UnknownNameError
from tabgen.experiment import (
    Experiment,
    Limits,
    Method,
    default_methods,
    find_suite,
    parse_method,
    parse_methods,
    plan,
)
from tabgen.generator import GeneratorInfo, make_generator
from tabgen.marker import hookimpl
from tabgen.models.base import ModelInfo
from tabgen.outcome import Cell, canonical_json
from tabgen.plugins import Plugin, PluginChoice, Plugins, find_model, get_plugins, load_plugins
from tabgen.references import Bootstrap


class Many(Bootstrap):
    info = GeneratorInfo("many_settings", "a setting of every type", mixing="augment")

    def __init__(self, rate: float = 0.5, epochs: int = 10, kind: str = "plain", fast: bool = False) -> None:
        if rate < 0:
            raise ValueError("rate must not be negative")


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    """The built-ins, a generator with settings, and models whose fingerprints are known."""
    plugins = load_plugins(PluginChoice(external=False))
    own = Plugin("mine", "1.0", "here")
    plugins.generators.add("many_settings", Many, own)
    for name in ("one", "two"):
        plugins.models.add(name, ModelInfo(name, "", "", _never, lambda name=name: f"hash of {name}"), own)  # type: ignore[misc]
    return plugins


def _never(device: str) -> Any:
    raise AssertionError("planning must not load a model")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "t.csv"
    pd.DataFrame({"x": range(20), "y": ["a", "b"] * 10}).to_csv(path, index=False)
    return path


def suite_of(*datasets: Dataset, name: str = "mine") -> Suite:
    return Suite(name, "", "1", lambda: list(datasets))


@pytest.fixture
def experiment(file: Path, plugins: Plugins) -> Experiment:
    methods = parse_methods(["zero-shot", "real", "jitter"], plugins)
    return Experiment(suite_of(Dataset("a", file, "y", "1" * 64)), methods, folds=2, model="one", recipe={"steps": 5})


# Methods


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("zero-shot", Method("zero-shot", None, "none")),
        ("real", Method("real", None, "real")),
        ("jitter", Method("jitter", "jitter", "replace", {"noise": 0.1})),
        ("jitter@augment", Method("jitter@augment", "jitter", "augment", {"noise": 0.1})),
        ("jitter:noise=0.5", Method("jitter:noise=0.5", "jitter", "replace", {"noise": 0.5})),
        ("jitter:ratio=4", Method("jitter:ratio=4", "jitter", "replace", {"noise": 0.1}, 4.0)),
        ("bootstrap:ratio=0.25", Method("bootstrap:ratio=0.25", "bootstrap", "replace", {}, 0.25)),
        (
            "many_settings@replace:rate=1e-3,epochs=3,kind=a=b,fast=true,ratio=2",
            Method(
                "many_settings@replace:rate=1e-3,epochs=3,kind=a=b,fast=true,ratio=2",
                "many_settings",
                "replace",
                {"rate": 0.001, "epochs": 3, "kind": "a=b", "fast": True},
                2.0,
            ),
        ),
        (
            'many_settings:kind="3"',
            Method(
                'many_settings:kind="3"',
                "many_settings",
                "augment",
                {"rate": 0.5, "epochs": 10, "kind": "3", "fast": False},
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_methods_as_text(text: str, method: Method, plugins: Plugins) -> None:
    assert parse_method(text, plugins) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no method; write generator[@mixing][:setting=value,...]."),
        ("Jitter", "'Jitter' is no method;"),
        ("jitter@", "'jitter@' is no method;"),
        ("jitter:", "'jitter:' is no method;"),
        ("jitter@Augment", "'jitter@Augment' is no method;"),
        ("jitter noise", "'jitter noise' is no method;"),
        ("jitter@beside", "'jitter@beside': the mixing 'beside' is none of replace, augment."),
        ("jitter@real", "'jitter@real': the mixing 'real' is none of replace, augment."),
        ("real@augment", "'real' takes no mixing and no settings but recipe."),
        ("zero-shot:recipe=nano", "'zero-shot' takes no mixing and no settings."),
        ("zero-shot:ratio=2", "'zero-shot' takes no mixing and no settings."),
        ("jitter:noise", "'jitter:noise': 'noise' should be setting=value."),
        ("jitter:=3", "'jitter:=3': '=3' should be setting=value."),
        ("jitter:noise=1,noise=2", "the setting 'noise' is given twice."),
        ("jitter:noise=", "jitter: the setting noise='' should be float, as 0.1 is."),
        ("jitter:sigma=1", "jitter has no setting 'sigma'; its settings are: noise=0.1."),
        ("jitter:noise=true", "jitter: the setting noise=True should be float, as 0.1 is."),
        ("many_settings:epochs=2.5", "many_settings: the setting epochs=2.5 should be int, as 10 is."),
        ("many_settings:rate=-1", "'many_settings:rate=-1': ValueError: rate must not be negative"),
        *(
            (f"jitter:ratio={r}", "should be a number above 0, at most 100.")
            for r in ("0", "-1", "101", "x", "true", "[1]")
        ),
        *(
            (f"jitter:{setting}={value}", f"the setting {setting}={shown} {fault}; use a text")
            for setting in ("noise", "ratio")
            for value, shown, fault in (
                ("NaN", "nan", "is no finite number"),
                ("1e999", "inf", "is no finite number"),
                ("[-Infinity]", "[-inf]", "is what JSON cannot hold"),
                ("9007199254740993", "9007199254740993", "holds an integer of 16 digits; 15 are read"),
            )
        ),
    ],
)
def test_text_that_is_no_method_is_refused(text: str, message: str, plugins: Plugins) -> None:
    with pytest.raises(ExperimentError, match=re.escape(message)):
        parse_method(text, plugins)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_setting_given_in_python_must_come_back_from_json(value: Any, plugins: Plugins) -> None:
    with pytest.raises(ExperimentError, match=f"jitter: the setting noise={value} is no finite number"):
        make_generator(plugins.generators["jitter"], {"noise": value})


def test_an_unknown_method_comes_with_the_nearest(plugins: Plugins) -> None:
    with pytest.raises(UnknownNameError, match=re.escape("no method is called 'jittr'; did you mean 'jitter'?")):
        parse_method("jittr", plugins)
    with pytest.raises(UnknownNameError, match=re.escape("no method is called 'zeroshot'; did you mean 'zero-shot'?")):
        parse_method("zeroshot", plugins)


def test_settings_that_mean_the_same_are_the_same(plugins: Plugins) -> None:
    one, other = (parse_method(f"many_settings:rate={v},ratio={v}", plugins) for v in ("1", "1.0"))
    assert canonical_json(one.settings) == canonical_json(other.settings)
    assert canonical_json(one.ratio) == canonical_json(other.ratio)


def test_default_methods_can_be_parsed(plugins: Plugins) -> None:
    names = default_methods(plugins)
    assert names[:2] == ["zero-shot", "real"]
    assert [m.label for m in parse_methods(names, plugins)] == names


# Finding suites and models


def test_suites_by_name_or_by_folder(plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_suite("quick", plugins) is plugins.suites["quick"]
    assert find_suite(str(tmp_path), plugins).name == tmp_path.name
    (tmp_path / "quick").mkdir()
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_suite("tables", plugins).name == "tables"
    assert find_suite("quick", plugins) is plugins.suites["quick"]
    assert find_suite("./quick", plugins).summary == "datasets of quick"
    with pytest.raises(UnknownNameError, match=re.escape("no suite is called 'quik'; did you mean 'quick'?")):
        find_suite("quik", plugins)


def test_models_by_name_or_by_folder(plugins: Plugins, tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert find_model("one", plugins) is plugins.models["one"]
    weights, config = ((tiny_checkpoint / name).read_bytes() for name in ("model.safetensors", "config.json"))
    both = config + hashlib.sha256(weights).hexdigest().encode()
    assert find_model(str(tiny_checkpoint), plugins).fingerprint() == hashlib.sha256(both).hexdigest()
    with pytest.raises(ModelError, match=re.escape("it has no config.json")):
        find_model(f"{tmp_path}/", plugins).fingerprint()
    with pytest.raises(
        UnknownNameError, match=re.escape("no model is called 'tabgen-nan'; did you mean 'tabgen-nano'?")
    ):
        find_model("tabgen-nan", plugins)


# The plan


def test_cells_run_by_fold_seed_dataset_method(experiment: Experiment, file: Path, plugins: Plugins) -> None:
    two = suite_of(Dataset("b", file, "y", "1" * 64), Dataset("a", file, "y", "2" * 64))
    cells = plan(replace(experiment, suite=two, seeds=(3, 1)), plugins)
    order = [(c.dataset, c.fold, c.seed, c.method) for c in cells]
    methods = ["zero-shot", "real", "jitter"]
    assert order == [(d, f, s, m) for f in (0, 1) for s in (3, 1) for d in "ba" for m in methods]


def test_a_cell_is_plain_data_and_complete(experiment: Experiment, plugins: Plugins, file: Path) -> None:
    cell = plan(experiment, plugins)[2]
    assert Cell.from_dict(json.loads(json.dumps(cell.to_dict()))) == cell
    assert re.fullmatch("[0-9a-f]{64}", cell.key)
    assert {k: getattr(cell, k) for k in ("suite", "dataset", "path", "target", "sha256")} == {
        "suite": "mine",
        "dataset": "a",
        "path": str(file),
        "target": "y",
        "sha256": "1" * 64,
    }
    assert {
        k: getattr(cell, k) for k in ("method", "generator", "plugin", "plugin_version", "mixing", "settings", "ratio")
    } == {
        "method": "jitter",
        "generator": "jitter",
        "plugin": "tabgen.references",
        "mixing": "replace",
        "plugin_version": plugins.generators.plugin_of("jitter").version,
        "settings": {"noise": 0.1},
        "ratio": 1.0,
    }
    assert (cell.model, cell.checkpoint, cell.recipe) == ("one", "hash of one", {"steps": 5})
    assert cell.limits == {"seconds": 600.0, "memory_mb": 6000.0, "phases": {}}


def keys(experiment: Experiment, plugins: Plugins) -> dict[str, str]:
    """Method -> key, of fold 0."""
    return {c.method: c.key for c in plan(experiment, plugins) if c.fold == 0}


def change_dataset(**change: Any) -> Callable[[Experiment], Experiment]:
    return lambda e: replace(e, suite=suite_of(*(replace(d, **change) for d in e.suite.datasets), name=e.suite.name))


def change_method(**change: Any) -> Callable[[Experiment], Experiment]:
    return lambda e: replace(e, methods=tuple(replace(m, **change) if m.generator else m for m in e.methods))


ALL = {"zero-shot", "real", "jitter"}
DECIDES: dict[str, tuple[Callable[[Experiment], Experiment], set[str]]] = {
    "data": (change_dataset(sha256="2" * 64), ALL),
    "target": (change_dataset(target="x"), ALL),
    "kinds": (change_dataset(kinds={"x": "numeric"}), ALL),
    "number of folds": (lambda e: replace(e, folds=3), ALL),
    "seed": (lambda e: replace(e, seeds=(1,)), ALL),
    "train rows": (lambda e: replace(e, max_train_rows=(500,)), ALL),
    "no cap on train rows": (lambda e: replace(e, max_train_rows=(None,)), ALL),
    "test rows": (lambda e: replace(e, max_test_rows=500), ALL),
    "checkpoint": (lambda e: replace(e, model="two"), ALL),
    "recipe": (lambda e: replace(e, recipe={"steps": 6}), {"real", "jitter"}),
    "generator": (change_method(generator="bootstrap"), {"jitter"}),
    "mixing": (change_method(mixing="augment"), {"jitter"}),
    "settings": (change_method(settings={"noise": 0.2}), {"jitter"}),
    "ratio": (change_method(ratio=2.0), {"jitter"}),
    "suite's name": (lambda e: replace(e, suite=suite_of(*e.suite.datasets, name="other")), set()),
    "dataset's name": (change_dataset(name="other"), set()),
    "path": (change_dataset(path=Path("elsewhere.parquet")), set()),
    "facts": (change_dataset(facts={"domain": "health"}), set()),
    "limits": (lambda e: replace(e, limits=Limits(1.0, 2.0)), set()),
    "order of methods": (lambda e: replace(e, methods=e.methods[::-1]), set()),
    "company": (lambda e: replace(e, methods=e.methods[:2]), set()),
}


@pytest.mark.parametrize("what", DECIDES)
def test_the_key_depends_on_what_can_change_the_answer_and_on_nothing_else(
    what: str, experiment: Experiment, plugins: Plugins
) -> None:
    change, expected = DECIDES[what]
    before, after = keys(experiment, plugins), keys(change(experiment), plugins)
    assert {method for method in after if after[method] != before[method]} == expected


def test_the_key_does_not_depend_on_the_label(experiment: Experiment, plugins: Plugins) -> None:
    renamed = change_method(label="noisy rows")(experiment)
    assert keys(renamed, plugins)["noisy rows"] == keys(experiment, plugins)["jitter"]


def test_every_cell_of_a_plan_has_its_own_key(experiment: Experiment, plugins: Plugins) -> None:
    cells = plan(replace(experiment, seeds=(0, 1), folds=3), plugins)
    assert len({cell.key for cell in cells}) == len(cells) == 18


def test_the_key_depends_on_plugin_version_model_weights_and_protocol(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys_with(version: str, weights: str = "w", plugin: str = "mine", code: str = "1") -> dict[str, str]:
        plugins = load_plugins(PluginChoice(external=False))
        own = Plugin(plugin, version, "here")
        plugins.generators.add("mine", Many, own)
        plugins.models.add("one", ModelInfo("one", "", "", _never, lambda: weights), Plugin("models", code, "here"))
        method = Method("mine", "mine", "replace", {})
        return keys(replace(experiment, methods=(*experiment.methods, method)), plugins)

    before = keys_with("1")
    assert keys_with("1") == before
    assert {m for m, key in keys_with("2").items() if key != before[m]} == {"mine"}
    assert {m for m, key in keys_with("1", plugin="other").items() if key != before[m]} == {"mine"}
    assert {m for m, key in keys_with("1", "v").items() if key != before[m]} == {*ALL, "mine"}
    assert {m for m, key in keys_with("1", code="2").items() if key != before[m]} == {*ALL, "mine"}
    monkeypatch.setattr("tabgen.experiment.PROTOCOL_VERSION", 999)
    assert {m for m, key in keys_with("1").items() if key != before[m]} == {*ALL, "mine"}


MODEL = """
from tabgen.marker import hookimpl
from tabgen.models.base import ModelInfo
TEMPERATURE = {}
def load(device): raise NotImplementedError
@hookimpl
def tabgen_register_models(register):
    register(ModelInfo("warm", "", "MIT", load, lambda: "a" * 64))
"""


def test_an_edit_of_a_model_s_plugin_makes_other_cells(experiment: Experiment, tmp_path: Path) -> None:
    file = tmp_path / "warm.py"
    found = []
    for temperature in (1.0, 3.0, 1.0):
        file.write_text(MODEL.format(temperature))
        plugins = get_plugins(PluginChoice((str(file),), external=False))
        cell = plan(replace(experiment, model="warm"), plugins)[0]
        assert cell.model_plugin_version == plugins.models.plugin_of("warm").version
        found.append((cell.key, cell.model_plugin_version))
    assert found[0] == found[2] != found[1]
    assert found[0][0] != found[1][0]


def test_models_of_tabgen_and_of_folders_have_no_version_of_a_plugin(
    experiment: Experiment, plugins: Plugins, tiny_checkpoint: Path
) -> None:
    for model in ("tabgen-nano", str(tiny_checkpoint)):
        assert {cell.model_plugin_version for cell in plan(replace(experiment, model=model), plugins)} == {None}


def test_a_file_without_a_known_hash_is_hashed_and_the_cell_says_so(
    experiment: Experiment, file: Path, plugins: Plugins, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(file.read_bytes())
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    unknown = replace(experiment, suite=suite_of(Dataset("a", copy, "y")))
    known = replace(experiment, suite=suite_of(Dataset("a", copy, "y", digest)))
    assert keys(unknown, plugins) == keys(known, plugins)
    assert plan(unknown, plugins)[0].sha256 == digest
    copy.write_text("x,y\n1,a\n2,b\n")
    assert keys(unknown, plugins) != keys(known, plugins)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "folds=1: at least 2 are due."),
        ({"seeds": ()}, "seeds=(): at least one is due, and none below 0."),
        ({"seeds": (0, -1)}, "seeds=(0, -1): at least one is due, and none below 0."),
        ({"methods": ()}, "there is no method to run."),
        ({"seeds": (4, 4)}, "the seeds '4' and '4' are the same under two names"),
        ({"model": "three"}, "no model is called 'three'"),
    ],
    ids=str,
)
def test_experiments_that_cannot_be_planned_are_refused(
    change: dict[str, Any], message: str, experiment: Experiment, plugins: Plugins
) -> None:
    with pytest.raises((ExperimentError, UnknownNameError), match=re.escape(message)):
        plan(replace(experiment, **change), plugins)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["jitter", "jitter"], "a method is named twice: jitter."),
        (["jitter", "jitter@replace"], "the methods 'jitter' and 'jitter@replace' are the same under two names"),
        (["jitter:noise=0.1", "jitter:ratio=1"], "the methods 'jitter:noise=0.1' and 'jitter:ratio=1' are the same"),
    ],
)
def test_a_method_twice_is_refused_under_whatever_label(
    names: list[str], message: str, experiment: Experiment, plugins: Plugins
) -> None:
    with pytest.raises(ExperimentError, match=re.escape(message)):
        plan(replace(experiment, methods=parse_methods(names, plugins)), plugins)


def test_the_same_table_under_two_names_is_refused(experiment: Experiment, file: Path, plugins: Plugins) -> None:
    twice = suite_of(Dataset("a", file, "y", "1" * 64), Dataset("b", file, "y", "1" * 64))
    with pytest.raises(ExperimentError, match="the datasets 'a' and 'b' are the same under two names"):
        plan(replace(experiment, suite=twice), plugins)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_canonical_json_does_not_depend_on_order_and_loses_nothing(data: dict[str, Any], random: Any) -> None:
    items = list(data.items())
    random.shuffle(items)
    text = canonical_json(dict(items))
    assert text == canonical_json(data)
    assert text.isascii()
    assert json.loads(text) == data


def test_hooks_do_not_change_the_plan(experiment: Experiment, plugins: Plugins) -> None:
    before = plan(experiment, plugins)

    class Observer:
        @hookimpl
        def tabgen_cell_started(self, cell: Cell) -> None: ...

    observer = Observer()
    plugins.manager.register(observer)
    try:
        assert plan(experiment, plugins) == before
    finally:
        plugins.manager.unregister(observer)
