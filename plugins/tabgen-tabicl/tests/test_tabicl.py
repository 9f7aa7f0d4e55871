"""TabICL on a small random model of its architecture, saved as its package saves checkpoints; no network."""

from typing import Any

import numpy as np
import pytest
import torch
from tabgen_tabicl import VARIABLE, TabICLModel, checkpoint_file, converted
from tabicl import TabICLClassifier
from tabicl._model.tabicl import TabICL

from tabgen.cell import run_cell
from tabgen.datasets import Suite, core_datasets
from tabgen.errors import ModelError, Unsupported
from tabgen.experiment import Experiment, parse_methods, plan
from tabgen.models.base import Encoded
from tabgen.models.finetune import fine_tune
from tabgen.models.recipes import get_recipe
from tabgen.plugins import get_plugins
from tabgen.testing import easy_table

CONFIG = {
    "max_classes": 10,
    "embed_dim": 16,
    "col_num_blocks": 1,
    "col_nhead": 2,
    "col_num_inds": 8,
    "row_num_blocks": 1,
    "row_nhead": 2,
    "row_num_cls": 2,
    "icl_num_blocks": 2,
    "icl_nhead": 2,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: Any) -> Any:
    torch.manual_seed(0)
    module = TabICL(**CONFIG)
    with torch.no_grad():  # much of it starts at zero; random weights are to matter
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    path = tmp_path_factory.mktemp("tabicl") / "small.ckpt"
    torch.save({"config": CONFIG, "state_dict": module.state_dict()}, path)
    return path


@pytest.fixture(autouse=True)
def at_hand(saved: Any, monkeypatch: Any, tmp_path: Any) -> Any:
    monkeypatch.setenv(VARIABLE, str(saved))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def heart() -> Any:
    return next(d for d in core_datasets() if d.name == "heart-cleveland")


def encoded(model: Any, table: Any) -> Any:
    train, test = table.take(range(80)).observed(), table.take(range(80, 120))
    encoder = model.encoder(train)
    return encoder.encode(train), torch.from_numpy(train.labels), encoder.encode(test), torch.from_numpy(test.labels)


@pytest.mark.parametrize("name", ["tabicl-v2", "tabicl-v2-single"])
def test_predictions_are_the_packages_own(name: Any, saved: Any, heart: Any) -> None:
    info = get_plugins().models[name]
    model = info.load("cpu")
    x, y, query, _ = encoded(model, heart.load())
    single = {"norm_methods": "none", "feat_shuffle_method": "none", "class_shuffle_method": "none"}
    views = {"n_estimators": 1, **single} if name.endswith("single") else {}
    own = TabICLClassifier(model_path=saved, allow_auto_download=False, device="cpu", **views)
    expected = own.fit(x.numpy(), y.numpy()).predict_proba(query.numpy())
    found = model.predict(x, y, query, 2)
    assert np.abs(found - expected).max() < 1e-5
    assert found.std(axis=0).max() > 1e-4
    assert model.checkpoint_hash == info.fingerprint()


def test_the_logits_of_a_step_are_those_of_one_view(heart: Any) -> None:
    model = get_plugins().models["tabicl-v2-single"].load("cpu")
    x, y, query, _ = encoded(model, heart.load())
    logits = model.logits(x, y, query, 2)
    expected = model.predict(x, y, query, 2)
    assert np.abs((logits / 0.9).softmax(1).detach().numpy() - expected).max() < 1e-5
    logits.sum().backward()  # type: ignore[no-untyped-call]
    assert (
        sum(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in model.module.parameters()) > 20
    )
    assert not model.module.training


def test_a_class_without_rows_in_the_context_has_no_probability(heart: Any) -> None:
    model = get_plugins().models["tabicl-v2-single"].load("cpu")
    x, y, query, _ = encoded(model, heart.load())
    found = model.predict(x, y * 2, query, 3)
    assert (found[:, 1] == 0).all()
    assert np.allclose(found.sum(axis=1), 1)
    assert model.logits(x, y * 2, query, 3).argmax(1).ne(1).all()


def test_fine_tuning_learns(heart: Any) -> None:
    model = get_plugins().models["tabicl-v2-single"].load("cpu")
    x, y, query, labels = encoded(model, heart.load())
    recipe = get_recipe("nano", steps=25, patience=25, learning_rate=3e-3, warmup_steps=0)
    tuned = fine_tune(model, lambda step: Encoded(x, y), Encoded(x, y), (query, labels), 2, recipe, 0)
    assert tuned.best_step > 0
    assert min(tuned.validation_losses) < tuned.validation_losses[0] - 0.005


def test_its_last_layer_is_known_to_recipes(heart: Any) -> None:
    model: Any = get_plugins().models["tabicl-v2-single"].load("cpu")
    x, y, query, labels = encoded(model, heart.load())
    start = {key: tensor.clone() for key, tensor in model.module.state_dict().items()}
    recipe, moved = get_recipe("nano", steps=1, learning_rate=1e-3, warmup_steps=0, last_layers=1), set[str]()

    def note(step: int) -> None:
        moved.update(key for key, now in model.module.state_dict().items() if not torch.equal(now, start[key]))

    fine_tune(model, lambda step: Encoded(x, y), Encoded(x, y), (query, labels), 2, recipe, 0, after_step=note)
    layer, head = "icl_predictor.tf_icl.blocks.1.", ("icl_predictor.ln.", "icl_predictor.decoder.")
    assert any(key.startswith(layer) for key in moved)
    assert any(key.startswith(head) for key in moved)
    assert all(key.startswith((layer, *head)) for key in moved)


def test_a_cell_runs(heart: Any) -> None:
    plugins = get_plugins()
    suite = Suite("one", "", "1", lambda: [heart])
    experiment = Experiment(
        suite,
        parse_methods(["bootstrap"], plugins),
        folds=2,
        model="tabicl-v2-single",
        recipe=get_recipe("nano", steps=2, patience=2).to_dict(),
        arms=("fine-tune", "context"),
        max_train_rows=(60,),
        max_test_rows=40,
        fidelity=False,
    )
    result = run_cell(plan(experiment, plugins)[0], plugins).to_dict()
    assert result["status"] == "ok"
    assert 0 <= result["tuned_test_roc_auc"] <= 1


def test_the_checkpoint_is_converted_once_and_by_content(saved: Any, tmp_path: Any) -> None:
    folder = converted(checkpoint_file())
    weights = folder / "model.safetensors"
    written = weights.stat().st_mtime_ns
    assert converted(saved) == folder
    assert weights.stat().st_mtime_ns == written
    assert folder.is_relative_to(tmp_path)


def test_views_are_part_of_the_fingerprint() -> None:
    models = get_plugins().models
    assert models["tabicl-v2"].fingerprint() != models["tabicl-v2-single"].fingerprint()
    assert models["tabicl-v2"].weights_licence == "BSD-3-Clause"


def test_what_is_no_checkpoint_is_refused(monkeypatch: Any, tmp_path: Any) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (print, ("executed",))

    wrong = tmp_path / "wrong.ckpt"
    for content in ({"config": CONFIG}, {"config": CONFIG, "state_dict": {}, "more": Evil()}):
        torch.save(content, wrong)
        monkeypatch.setenv(VARIABLE, str(wrong))
        with pytest.raises(ModelError, match="is no checkpoint of TabICL"):
            get_plugins().models["tabicl-v2"].load("cpu")
    torch.save({"config": CONFIG, "state_dict": {}}, wrong)
    with pytest.raises(ModelError, match="do not fit their config"):
        get_plugins().models["tabicl-v2"].load("cpu")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent.ckpt"))
    with pytest.raises(ModelError, match="which is not there"):
        checkpoint_file()


def test_more_classes_than_it_has_are_unsupported() -> None:
    model = TabICLModel(TabICL(**(CONFIG | {"max_classes": 2})), "0" * 64)
    with pytest.raises(Unsupported, match="at most 2 classes; the table has 3"):
        model.encoder(easy_table(30))
