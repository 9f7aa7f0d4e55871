"""What a recipe trains: the weights that it names move and no others, and low-rank updates are what LoRA says."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from paths import FIXTURE
from torch import Tensor, nn
from torch.nn import functional as F

from tabgen.cell import run_cell
from tabgen.datasets import Dataset, Suite
from tabgen.errors import ExperimentError, ModelError
from tabgen.experiment import Experiment, parse_methods, plan
from tabgen.models.base import Encoded
from tabgen.models.checkpoints import Tab2DModel, load_directory
from tabgen.models.finetune import fine_tune, weights_of
from tabgen.models.recipes import RECIPES, Recipe, get_recipe
from tabgen.models.trained import trained_by
from tabgen.outcome import canonical_json, hash_of
from tabgen.plugins import Plugins

Rows = tuple[Encoded, tuple[Tensor, Tensor]]
SHORT = {"steps": 3, "warmup_steps": 0, "learning_rate": 1e-3, "evaluate_every": 3}


@pytest.fixture
def learnable() -> Rows:
    """Train and validation rows whose class is the sign of the first of four columns."""
    x = torch.randn(160, 4, generator=torch.Generator().manual_seed(3))
    y = (x[:, 0] > 0).long()
    return Encoded(x[:120], y[:120]), (x[120:], y[120:])


def moved(recipe: Recipe, rows: Rows) -> tuple[set[str], dict[str, Tensor], Tab2DModel]:
    """The weights that three steps changed, by how much, and the model after them."""
    model = load_directory(FIXTURE)
    start = weights_of(model.module)
    after: dict[str, Tensor] = {}

    def note(step: int) -> None:
        after.update(weights_of(model.module))

    train, validation = rows
    fine_tune(model, lambda step: train, train, validation, 2, recipe, 0, after_step=note)
    change = {name: after[name] - start[name] for name in start}
    return {name for name, by in change.items() if by.abs().max() > 0}, change, model


def test_without_a_word_all_weights_move(learnable: Rows) -> None:
    names, _, model = moved(get_recipe("nano", **SHORT), learnable)
    unused = {name for name, _ in model.module.named_parameters()} - names
    assert all("k.bias" in name or "label" in name for name in unused)  # softmax does not feel a shift of all keys


@pytest.mark.parametrize("count", [1, 2])
def test_only_the_last_layers_and_the_output_move(count: int, learnable: Rows) -> None:
    names, _, model = moved(get_recipe("nano", last_layers=count, **SHORT), learnable)
    within = (*(f"layers.{i}." for i in range(3 - count, 3)), "final_layer_norm.", "final_layer.")
    assert names
    assert all(name.startswith(within) for name in names)
    assert {within[i] for i in range(len(within)) if any(name.startswith(within[i]) for name in names)} == set(within)
    assert all(weight.requires_grad for weight in model.module.parameters())


def test_low_rank_updates_move_matrices_alone_and_have_their_rank(learnable: Rows) -> None:
    names, change, model = moved(get_recipe("nano", lora_rank=2, **SHORT), learnable)
    embeddings = {"y_embedding.y_embedding.weight", "y_embedding.y_mask.weight", "x_embedding.x_embedding.weight"}
    shapes = {name: weight for name, weight in model.module.named_parameters() if weight.ndim == 2}
    assert names == set(shapes) - embeddings
    ranks = [int(torch.linalg.matrix_rank(change[name], rtol=1e-4)) for name in names]
    assert max(ranks) == 2


def test_targets_and_layers_narrow_what_low_rank_updates_move(learnable: Rows) -> None:
    recipe = get_recipe("nano", lora_rank=2, lora_targets=["attention1.q", "v"], last_layers=2, **SHORT)
    names, _, _ = moved(recipe, learnable)
    parts = ("attention1.q", "attention1.v", "attention2.v")
    assert names == {f"layers.{layer}.{part}.weight" for layer in (1, 2) for part in parts}


class _Adapted(nn.Module):
    """A linear layer with LoRA applied beside it, as Hu et al. draw it: W x + scale B A x."""

    def __init__(self, linear: nn.Linear, a: Tensor, b: Tensor, scale: float) -> None:
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), scale
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)

    def forward(self, x: Tensor) -> Tensor:
        beside: Tensor = self.linear(x) + self.scale * F.linear(F.linear(x, self.a), self.b)
        return beside


def test_merged_updates_are_those_applied_beside_the_matrices(learnable: Rows) -> None:
    """Logits, and gradients of both factors, are those of adapters under automatic differentiation of their own."""
    train, (x_new, y_new) = learnable
    merged, applied = load_directory(FIXTURE), load_directory(FIXTURE)
    start = merged.logits(train.x, train.y, x_new, 2)
    paths = [path for path, _ in applied.module.named_modules() if path.endswith((".q", ".linear1"))]
    recipe = get_recipe("nano", lora_rank=3, lora_alpha=6.0, lora_targets=["q", "linear1"])
    with trained_by(recipe, merged, 5) as trained:
        assert len(trained.tensors) == 2 * len(paths) == 18
        adapters: list[_Adapted] = []
        for path, a, b in zip(paths, trained.tensors[::2], trained.tensors[1::2], strict=True):
            assert b.abs().max() == 0
            b.data.normal_(std=0.1, generator=torch.Generator().manual_seed(len(adapters)))
            linear, (parent, _, name) = applied.module.get_submodule(path), path.rpartition(".")
            assert isinstance(linear, nn.Linear)
            adapters.append(_Adapted(linear, a.detach().clone(), b.detach().clone(), scale=2.0))
            setattr(applied.module.get_submodule(parent), name, adapters[-1])
        trained.after_step()
        logits = [each.logits(train.x, train.y, x_new, 2) for each in (merged, applied)]
        for each in logits:
            F.cross_entropy(each, y_new).backward()  # type: ignore[no-untyped-call]
        trained.after_backward()
    assert (logits[0] - start).abs().max() > 1e-2
    assert (logits[0] - logits[1]).abs().max() < 1e-5
    due = [tensor.grad for each in adapters for tensor in (each.a, each.b)]
    for found, expected in zip(trained.tensors, due, strict=True):
        assert found.grad is not None
        assert expected is not None
        assert expected.abs().max() > 0
        torch.testing.assert_close(found.grad, expected, rtol=1e-3, atol=1e-6)


def test_what_was_kept_is_never_worse_than_what_came(learnable: Rows) -> None:
    train, (x, y) = learnable
    for changed in ({"lora_rank": 2}, {"last_layers": 1}):
        model = load_directory(FIXTURE)
        before = copy.deepcopy(weights_of(model.module))
        recipe = get_recipe("nano", **SHORT | {"learning_rate": 10.0}, **changed)  # far too fast
        tuned = fine_tune(model, lambda step: train, train, (x, y), 2, recipe, 0)
        assert min(tuned.validation_losses[1:]) > tuned.validation_losses[0]
        assert tuned.best_step == 0
        assert all(torch.equal(before[name], now) for name, now in model.module.state_dict().items())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"last_layers": 4}, "last_layers = 4; the model has 3 layers"),
        ({"lora_rank": 2, "lora_targets": ["q", "qq"]}, r"name 'qq'.*there are attention1, attention2"),
        ({"lora_rank": 64}, "no matrix of a higher rank"),
    ],
)
def test_what_the_model_has_not_is_named(fields: dict[str, Any], message: str, learnable: Rows) -> None:
    with pytest.raises(ModelError, match=message):
        moved(get_recipe("nano", **fields), learnable)


def test_a_model_that_does_not_say_where_its_layers_are_has_none(learnable: Rows, monkeypatch: Any) -> None:
    monkeypatch.setattr(Tab2DModel, "layers", "")
    with pytest.raises(ModelError, match="does not say what its layers are"):
        moved(get_recipe("nano", last_layers=1), learnable)


def test_fields_are_checked_where_a_recipe_is_read() -> None:
    with pytest.raises(ExperimentError, match="due a lora_rank"):
        get_recipe("nano", lora_alpha=4)
    for wrong in ("q", [1], [""], {"q": 1}):
        with pytest.raises(ExperimentError, match="lora_targets is a list of names"):
            get_recipe("nano", lora_rank=2, lora_targets=wrong)
    with pytest.raises(ExperimentError, match="lora_rank is a whole number"):
        get_recipe("nano", lora_rank=2.5)


def test_recipes_that_train_all_are_the_data_they_were_so_that_keys_stay() -> None:
    """The data that keys of protocol 6 are made of, written down before there was a choice."""
    nano = (
        '{"betas":[0.9,0.999],"binary_learning_rate":0.0,"evaluate_every":5,"learning_rate":0.001,'
        '"max_gradient_norm":1.0,"max_query":64,"max_support":256,"patience":10,"query_share":0.2,"steps":30,'
        '"views":0.0,"warmup_from":1e-07,"warmup_steps":3,"weight_decay":0.1}'
    )
    data = {name: value for name, value in RECIPES["nano"].to_dict().items() if name not in ("name", "source")}
    assert canonical_json(data) == nano
    low_rank = get_recipe("nano", lora_rank=4)
    assert Recipe(**low_rank.to_dict()).to_dict() == low_rank.to_dict()
    assert hash_of(low_rank.to_dict()) != hash_of(RECIPES["nano"].to_dict())


@pytest.mark.parametrize(
    "fields", [{"lora_rank": 4, "lora_alpha": 8.0, "lora_targets": ["q", "v"]}, {"last_layers": 1}]
)
def test_a_cell_runs(fields: dict[str, Any], built_in: Plugins, heart: Dataset) -> None:
    recipe = get_recipe("nano", steps=2, patience=2, evaluate_every=1, **fields)
    cells = [
        plan(
            Experiment(
                Suite("one", "", "1", lambda: [heart]),
                parse_methods(["jitter@augment"], built_in),
                folds=2,
                recipe=each.to_dict(),
                max_train_rows=(60,),
                max_test_rows=40,
                fidelity=False,
            ),
            built_in,
        )[0]
        for each in (recipe, get_recipe("nano", steps=2, patience=2, evaluate_every=1))
    ]
    assert cells[0].key != cells[1].key
    assert run_cell(cells[0], built_in).status == "ok"
