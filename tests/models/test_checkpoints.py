"""Loading checkpoints: what is wrong is said, nothing is fetched silently."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def test_embedded_models_have_learned_from_their_prior(built_in: Plugins) -> None:
    held_out = HeldOut({"mechanisms": 1.0})
    held_out.batches.pop("mechanisms/large")
    forest = np.mean(list(held_out.forest().values()))
    for name in (DEFAULT_MODEL, "tabgen-small"):
        model = find_model(name, built_in).load("cpu")
        assert isinstance(model, Tab2DModel)
        assert np.mean(list(held_out.model(model.module).values())) > forest, name


def seen(model: Tab2DModel, views: int, moved_on: int = 0) -> np.ndarray[Any, Any]:
    """What a model with so many views predicts of a table of three classes, each called the next but so many."""
    drawn = torch.Generator().manual_seed(0)
    x, query = torch.randn(60, 4, generator=drawn), torch.randn(20, 4, generator=drawn)
    y = torch.arange(60) % 3
    x[:, 0] += y
    x[:, 3], query[:, 3] = torch.arange(60) % 5, torch.arange(20) % 5  # codes of levels, told a second time
    model.module.config = replace(model.module.config, views=views)
    return model.predict(x, (y + moved_on) % 3, query, 3, (3,))


def test_views_are_of_the_same_table_and_their_mean_is_predicted(tiny_model: Tab2DModel) -> None:
    """Six views are all moves of three classes, so that what each class is called makes no difference."""
    one = seen(tiny_model, 1)
    assert not np.allclose(one, seen(tiny_model, 2), atol=1e-4)
    six = seen(tiny_model, 6)
    np.testing.assert_allclose(np.roll(seen(tiny_model, 6, moved_on=1), -1, axis=1), six, atol=1e-6)
    assert not np.allclose(np.roll(seen(tiny_model, 1, moved_on=1), -1, axis=1), one, atol=1e-4)


def test_loading_leaves_the_global_random_state_as_it_was() -> None:
    before = torch.get_rng_state()
    load_directory(FIXTURE)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_mirrored_table_is_predicted_as_the_table(tiny_model: Tab2DModel) -> None:
    x, query = torch.randn(60, 4), torch.randn(20, 4)
    y = (x[:, 0] > 0).long()
    tiny_model.module.config = replace(tiny_model.module.config, views=2)
    told = tiny_model.predict(x, y, query, 2)
    np.testing.assert_allclose(tiny_model.predict(-x, y, -query, 2), told, atol=1e-6)


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
