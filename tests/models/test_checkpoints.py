"""Loading checkpoints: what is wrong is said, nothing is fetched silently."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import FIXTURE

from tabgen.errors import ModelError, Unsupported
from tabgen.models import DEFAULT_MODEL, WEIGHTS
from tabgen.models.checkpoints import Tab2DModel, load_directory
from tabgen.models.files import hub_directory
from tabgen.plugins import Plugins, find_model
from tabgen.pretrain.held_out import HeldOut
from tabgen.table import Table


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "checkpoint"))


@pytest.mark.parametrize("name", [DEFAULT_MODEL, "tabgen-small"])
def test_the_embedded_models_load_and_are_small(name: str, built_in: Plugins) -> None:
    model = find_model(name, built_in).load("cpu")
    assert isinstance(model, Tab2DModel)
    assert model.max_classes == 10
    assert model.checkpoint_hash == find_model(name, built_in).fingerprint()
    assert {weight.dtype for weight in model.module.parameters()} == {torch.float32}
    assert (WEIGHTS / name / "model.safetensors").stat().st_size < 20e6


@pytest.mark.parametrize("name", [DEFAULT_MODEL, "tabgen-small"])
def test_an_embedded_model_has_learned_from_its_prior(name: str, built_in: Plugins) -> None:
    model = find_model(name, built_in).load("cpu")
    assert isinstance(model, Tab2DModel)
    held_out = HeldOut({"mechanisms": 1.0})
    held_out.batches.pop("mechanisms/large")
    forest, scores = held_out.forest(), held_out.model(model.module)
    assert np.mean(list(scores.values())) > np.mean(list(forest.values()))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_directory(checkpoint)


def test_a_broken_configuration_is_named(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text('{"dim": 32}')
    with pytest.raises(ModelError, match="not a Tab2D configuration"):
        load_directory(checkpoint)


def test_weights_of_another_size_are_named(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"n_layers": 2}))
    with pytest.raises(ModelError, match="do not fit"):
        load_directory(checkpoint)


def test_truncated_weights_are_named(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="do not fit"):
        load_directory(checkpoint)


def test_a_regression_checkpoint_is_refused(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"task": "REGRESSION"}))
    with pytest.raises(ModelError, match="regression"):
        load_directory(checkpoint)


def test_a_directory_is_a_model_by_its_path(built_in: Plugins) -> None:
    model = find_model(str(FIXTURE), built_in)
    assert len(model.fingerprint()) == 64
    assert model.load("cpu").max_classes == 10


def test_offline_the_hub_says_what_to_download_and_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = type(sys)("huggingface_hub")

    def refuse(*_: object, **__: object) -> str:
        raise ConnectionError("no network")

    hub.snapshot_download = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(ModelError, match=r"config\.json and model\.safetensors of autogluon/mitra-classifier.*--model"):
        hub_directory("autogluon/mitra-classifier")


def test_without_the_extra_the_hub_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"tabgen-bench\[hub\]"):
        hub_directory("autogluon/mitra-classifier")


def test_the_hub_asks_for_two_files_and_no_pickles(monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> None:
    hub = type(sys)("huggingface_hub")
    asked = {}

    def give(repository: str, allow_patterns: list[str]) -> str:
        asked[repository] = allow_patterns
        return str(checkpoint)

    hub.snapshot_download = give  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert hub_directory("autogluon/mitra-classifier") == checkpoint
    assert asked == {"autogluon/mitra-classifier": ["config.json", "model.safetensors"]}


def test_more_than_ten_classes_are_unsupported(tiny_model: Tab2DModel) -> None:
    import pandas as pd

    rows = pd.DataFrame({"x": [float(i) for i in range(33)], "y": [f"c{i % 11:02d}" for i in range(33)]})
    with pytest.raises(Unsupported, match="at most 10 classes; the table has 11"):
        tiny_model.encoder(Table.from_frame(rows, "y"))


def test_predictions_are_probabilities_and_repeatable(tiny_model: Tab2DModel) -> None:
    torch.manual_seed(1)
    x, y, query = torch.randn(60, 4), torch.arange(60) % 3, torch.randn(25_000, 4)
    first = tiny_model.predict(x, y, query, 3)
    assert first.shape == (25_000, 3)
    assert abs(first.sum(1) - 1).max() < 1e-9
    assert (first == tiny_model.predict(x, y, query, 3)).all()
