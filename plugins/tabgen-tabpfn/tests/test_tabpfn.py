"""TabPFN v2 on a small random model of its architecture, saved as its package saves checkpoints; no network."""

from typing import Any

import numpy as np
import pytest
import torch
from tabgen_tabpfn import VARIABLE, TabPFNModel, checkpoint_file, classifier_of, converted
from tabpfn import TabPFNClassifier
from tabpfn.architectures import ARCHITECTURES
from tabpfn.base import ClassifierModelSpecs
from tabpfn.constants import ModelVersion
from tabpfn.inference_config import InferenceConfig
from tabpfn.model_loading import save_tabpfn_model
from tabpfn.preprocessing import PreprocessorConfig

from tabgen.cell import run_cell
from tabgen.datasets import Suite, core_datasets
from tabgen.errors import ModelError, Unsupported
from tabgen.experiment import Experiment, parse_methods, plan
from tabgen.models.base import Encoded
from tabgen.models.finetune import fine_tune
from tabgen.models.recipes import get_recipe
from tabgen.plugins import get_plugins
from tabgen.testing import easy_table

CONFIG = {"max_num_classes": 10, "num_buckets": 1000, "emsize": 16, "nlayers": 2, "nhead": 2, "features_per_group": 2}


def specs_of(architecture: str = "tabpfn_v2", **sizes: int) -> Any:
    """A random module of an architecture of the package, and its configurations."""
    torch.manual_seed(0)
    config, unused = ARCHITECTURES[architecture].parse_config(CONFIG | sizes)
    assert not unused
    module = ARCHITECTURES[architecture].get_architecture(config, cache_trainset_representation=False)
    with torch.no_grad():  # much of it starts at zero; random weights are to matter
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return ClassifierModelSpecs(module, config, InferenceConfig.get_default("multiclass", ModelVersion.V2))


def save(path: Any, architecture: str = "tabpfn_v2") -> Any:
    classifier = classifier_of(specs_of(architecture), 8)
    table = easy_table(30)
    x = table.frame[[c.name for c in table.schema.columns if c.is_number]].to_numpy(dtype=np.float64)
    save_tabpfn_model(classifier.fit(np.nan_to_num(x), table.labels), path)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: Any) -> Any:
    return save(tmp_path_factory.mktemp("tabpfn") / "small.ckpt")


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


@pytest.mark.parametrize("name", ["tabpfn-v2", "tabpfn-v2-single"])
def test_predictions_are_the_packages_own(name: Any, saved: Any, heart: Any) -> None:
    info = get_plugins().models[name]
    model = info.load("cpu")
    x, y, query, _ = encoded(model, heart.load())
    single = {
        "PREPROCESS_TRANSFORMS": [PreprocessorConfig("none", categorical_name="numeric")],
        "FEATURE_SHIFT_METHOD": None,
        "CLASS_SHIFT_METHOD": None,
        "FINGERPRINT_FEATURE": False,
        "OUTLIER_REMOVAL_STD": None,
    }
    views = {"n_estimators": 1, "inference_config": single} if name.endswith("single") else {}
    own = TabPFNClassifier(model_path=saved, device="cpu", inference_precision=torch.float32, **views)
    expected = own.fit(x.numpy(), y.numpy()).predict_proba(query.numpy())
    found = model.predict(x, y, query, 2)
    assert np.abs(found - expected).max() < 1e-5
    assert found.std(axis=0).max() > 1e-4
    assert model.checkpoint_hash == info.fingerprint()


def test_the_logits_of_a_step_are_those_of_one_view(heart: Any) -> None:
    model = get_plugins().models["tabpfn-v2-single"].load("cpu")
    x, y, query, _ = encoded(model, heart.load())
    logits = model.logits(x, y, query, 2)
    expected = model.predict(x, y, query, 2)
    assert np.abs((logits / 0.9).softmax(1).detach().numpy() - expected).max() < 1e-5
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    moved = [w.grad is not None and bool(w.grad.abs().sum() > 0) for w in model.module.parameters()]
    assert sum(moved) > 20
    assert not model.module.training


def test_a_class_without_rows_in_the_context_has_no_probability(heart: Any) -> None:
    model = get_plugins().models["tabpfn-v2-single"].load("cpu")
    x, y, query, _ = encoded(model, heart.load())
    found = model.predict(x, y * 2, query, 3)
    assert (found[:, 1] == 0).all()
    assert np.allclose(found.sum(axis=1), 1)
    assert np.allclose(found[:, [0, 2]], model.predict(x, y, query, 2))
    logits = model.logits(x, y * 2, query, 3)
    assert logits.argmax(1).ne(1).all()
    assert torch.equal(logits[:, [0, 2]], model.logits(x, y, query, 2))


@pytest.mark.parametrize("name", ["tabpfn-v2", "tabpfn-v2-single"])
def test_a_context_of_one_class_says_that_class(name: Any, heart: Any) -> None:
    model = get_plugins().models[name].load("cpu")
    x, y, query, _ = encoded(model, heart.load())
    assert np.allclose(model.predict(x, y * 0 + 1, query, 2), [0, 1])


def test_fine_tuning_learns(heart: Any) -> None:
    model = get_plugins().models["tabpfn-v2-single"].load("cpu")
    x, y, query, labels = encoded(model, heart.load())
    recipe = get_recipe("nano", steps=25, patience=25, learning_rate=3e-3, warmup_steps=0)
    tuned = fine_tune(model, lambda step: Encoded(x, y), Encoded(x, y), (query, labels), 2, recipe, 0)
    assert tuned.best_step > 0
    assert min(tuned.validation_losses) < tuned.validation_losses[0] - 0.005


def test_its_last_layer_is_known_to_recipes(heart: Any) -> None:
    model: Any = get_plugins().models["tabpfn-v2-single"].load("cpu")
    x, y, query, labels = encoded(model, heart.load())
    start = {key: tensor.clone() for key, tensor in model.module.state_dict().items()}
    recipe, moved = get_recipe("nano", steps=1, learning_rate=1e-3, warmup_steps=0, last_layers=1), set[str]()

    def note(step: int) -> None:
        moved.update(key for key, now in model.module.state_dict().items() if not torch.equal(now, start[key]))

    fine_tune(model, lambda step: Encoded(x, y), Encoded(x, y), (query, labels), 2, recipe, 0, after_step=note)
    layer, head = "blocks.1.", ("output_projection.",)
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
        model="tabpfn-v2-single",
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
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]


def test_the_first_checkpoints_which_name_no_architecture_are_read(saved: Any, monkeypatch: Any, tmp_path: Any) -> None:
    named = get_plugins().models["tabpfn-v2"].load("cpu")
    full = torch.load(saved, weights_only=True)
    torch.save({name: full[name] for name in ("config", "state_dict")}, tmp_path / "first.ckpt")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "first.ckpt"))
    first: Any = get_plugins().models["tabpfn-v2"].load("cpu")
    assert first.specs.inference_config == InferenceConfig.get_default("multiclass", ModelVersion.V2)
    assert all(torch.equal(first.module.state_dict()[key], value) for key, value in named.module.state_dict().items())


def test_licences_are_named_and_views_are_part_of_the_fingerprint() -> None:
    models = get_plugins().models
    assert models["tabpfn-v2"].fingerprint() != models["tabpfn-v2-single"].fingerprint()
    assert models["tabpfn-v2"].weights_licence == "LicenseRef-PriorLabs-1.2"
    assert models["tabpfn-v2"].licence == "Apache-2.0 AND LicenseRef-PriorLabs-1.2"


def test_what_is_no_checkpoint_is_refused(monkeypatch: Any, tmp_path: Any, capsys: Any) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (print, ("executed",))

    wrong = tmp_path / "wrong.ckpt"
    for content in ({"config": CONFIG}, {"config": CONFIG, "state_dict": {}, "more": Evil()}):
        torch.save(content, wrong)
        monkeypatch.setenv(VARIABLE, str(wrong))
        with pytest.raises(ModelError, match="is no checkpoint of TabPFN"):
            get_plugins().models["tabpfn-v2"].load("cpu")
    assert "executed" not in capsys.readouterr().out
    torch.save({"config": CONFIG, "state_dict": {}}, wrong)
    with pytest.raises(ModelError, match="do not fit their config"):
        get_plugins().models["tabpfn-v2"].load("cpu")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent.ckpt"))
    with pytest.raises(ModelError, match="which is not there"):
        checkpoint_file()


def test_weights_of_later_versions_are_refused_for_their_licence(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv(VARIABLE, str(save(tmp_path / "later.ckpt", "tabpfn_v2_5")))
    with pytest.raises(ModelError, match=r"'tabpfn_v2_5'.*non-commercial"):
        get_plugins().models["tabpfn-v2"].load("cpu")


def test_a_model_for_regression_is_refused(saved: Any, monkeypatch: Any, tmp_path: Any) -> None:
    full = torch.load(saved, weights_only=True)
    full["config"] |= {"max_num_classes": 0}
    torch.save(full, tmp_path / "regressor.ckpt")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "regressor.ckpt"))
    with pytest.raises(ModelError):
        get_plugins().models["tabpfn-v2"].load("cpu")


def test_more_classes_than_it_has_are_unsupported() -> None:
    model = TabPFNModel(specs_of(max_num_classes=2), "0" * 64)
    with pytest.raises(Unsupported, match="at most 2 classes; the table has 3"):
        model.encoder(easy_table(30))
