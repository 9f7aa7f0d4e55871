"""What fuzzing found (benchmarks/fuzz.py): each input works, or ends in one of tabgen's own errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from paths import FIXTURE

from tabgen.datasets import read_manifest
from tabgen.errors import DataError, ExperimentError, ModelError, UnknownNameError
from tabgen.experiment import parse_methods, plan
from tabgen.models.checkpoints import load_directory
from tabgen.plugins import Plugins
from tabgen.reader import ReadOptions, read_frame
from tabgen.spec import make_spec, read_spec

DEEP = "[" * 100_000 + "]" * 100_000
MANIFESTS = {
    "deeper than Python reads": DEEP,
    "half a character": '[{"name": "\\ud800", "file": "t.csv", "target": "y"}]',
    "a zero byte in a path": '[{"name": "t", "file": "t\\u0000.csv", "target": "y"}]',
    "a path of 5,000 characters": json.dumps([{"name": "t", "file": "a" * 5000, "target": "y"}]),
}


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_odd_manifests_end_in_a_data_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,b\n")
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("encoding", ["\x00", "\ud800", "none"])
def test_an_encoding_that_cannot_be_is_said_so(encoding: str) -> None:
    with pytest.raises(DataError, match="there is no encoding") as told:
        ReadOptions(encoding=encoding)
    str(told.value).encode()


EXPERIMENTS = {
    "depth": ("a = " + "[" * 100_000, "is not TOML"),
    "digits": ("folds = " + "9" * 5000, "is not TOML"),
    "a zero byte in a suite": ('suite = "a/\\u0000"', "no name and no path"),
    "a long suite": (f'suite = "{"a" * 5000}"', "no name and no path"),
    "a long file": (f'data = "{"a" * 5000}.csv"\ntarget = "y"', "no name and no path"),
    "a zero byte in a model": ('suite = "quick"\nmodel = "./\\u0000"', "no name and no path"),
    "many seeds": ('suite = "quick"\nseeds = 1_000_000_000_000', "seeds"),
    "many draws": ('suite = "quick"\ndraws = 1_000_000_000_000', "draws"),
    "many folds": ('suite = "quick"\nfolds = 1_000_000_000_000', "more than 1,000,000 cells"),
    "many of all": ('suite = "quick"\nfolds = 100\nseeds = 1000\ndraws = 100', "more than 1,000,000 cells"),
    "no end": ('suite = "quick"\nseconds = inf', "seconds"),
    "a setting of depth": (f'suite = "quick"\nmethods = ["jitter:noise={"[" * 10_000}"]', "noise"),
    "a base that is a list": ('suite = "quick"\nrecipe = "own"\nrecipes.own.base = ["nano"]', "lacks base"),
}
OWN = 'suite = "quick"\nmethods = ["real"]\nrecipe = "own"\nrecipes.own.base = "nano"\nrecipes.own.'
RECIPES = {
    "a text": ('steps = "many"', "steps is a whole number"),
    "a boolean": ("steps = true", "steps is a whole number"),
    "negative": ("learning_rate = -0.1", "learning_rate is finite and 0 or more"),
    "nan": ("learning_rate = nan", "learning_rate is finite and 0 or more"),
    "one number of two": ("betas = [0.9]", "betas is 2 numbers"),
    "a table": ("betas = {}", "betas is 2 numbers"),
}


@pytest.mark.parametrize(("text", "message"), EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_odd_experiments_end_in_an_experiment_error(text: str, message: str, built_in: Plugins, tmp_path: Path) -> None:
    check_experiment(text, message, built_in, tmp_path)


@pytest.mark.parametrize(("field", "message"), RECIPES.values(), ids=RECIPES)
def test_fields_of_a_recipe_are_checked_before_any_cell_runs(
    field: str, message: str, built_in: Plugins, tmp_path: Path
) -> None:
    check_experiment(OWN + field, message, built_in, tmp_path)


def test_a_recipe_that_is_a_list_has_no_name(built_in: Plugins) -> None:
    with pytest.raises(UnknownNameError, match=r"no recipe is called '\[\]'"):
        parse_methods(["zero-shot:recipe=[]"], built_in)


def check_experiment(text: str, message: str, plugins: Plugins, folder: Path) -> None:
    path = folder / "experiment.toml"
    path.write_text(text)
    with pytest.raises(ExperimentError, match=message):
        plan(make_spec(read_spec(path), str(path)).build(plugins), plugins)


def test_a_damaged_footer_of_a_parquet_file_ends_in_a_data_error() -> None:
    """pyarrow ends the interpreter where it is asked for a column chunk of this file."""
    with pytest.raises(DataError, match=r"footer\.parquet could not be read"):
        read_frame(FIXTURE.parent / "fuzzed" / "footer.parquet")


CONFIGS: dict[str, tuple[Any, str]] = {
    "depth": (DEEP, "is not a Tab2D configuration"),
    "a list": ([], "is not a Tab2D configuration"),
    "infinite": ({"dim": 1e999}, "is not a Tab2D configuration"),
    "negative": ({"dim": -32}, "dim = -32; from 1"),
    "no heads": ({"n_heads": 0}, "n_heads = 0; from 1"),
    "heads that do not divide": ({"n_heads": 5}, "5 heads do not divide"),
    "wider than any memory": ({"dim": 10**12}, "from 1 to 16,384"),
    "wider than the weights": ({"dim": 16_384}, "do not fit"),
    "more layers than any": ({"n_layers": 10**9}, "from 1 to 500"),
    "more layers than the weights": ({"n_layers": 4}, "do not fit"),
    "a task that is half a character": ({"task": "\ud800"}, "holds a model for"),
    "negative levels": ({"many_levels": -1}, "many_levels = -1"),
    "no views": ({"views": 0}, "views = 0; from 1 to 100"),
    "countless views": ({"views": 10**9}, "views = 1000000000; from 1 to 100"),
}


@pytest.mark.parametrize(("config", "message"), CONFIGS.values(), ids=CONFIGS)
def test_odd_checkpoints_end_in_a_model_error(config: Any, message: str, tmp_path: Path) -> None:
    shutil.copy(FIXTURE / "model.safetensors", tmp_path)
    sound = json.loads((FIXTURE / "config.json").read_text())
    changed = sound | config if isinstance(config, dict) else config
    (tmp_path / "config.json").write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(ModelError, match=message) as told:
        load_directory(tmp_path)
    str(told.value).encode()
