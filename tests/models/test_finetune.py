"""The fine-tuning loop: splits, recipes, early stopping, the kept step, seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import FIXTURE

from tabgen.errors import ExperimentError, InvalidOutput, UnknownNameError
from tabgen.models.base import Encoded
from tabgen.models.checkpoints import Tab2DModel, load_directory
from tabgen.models.finetune import distinct_rows, fine_tune, split_step
from tabgen.models.recipes import RECIPES, Recipe, get_recipe

Rows = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture
def learnable() -> tuple[Encoded, Rows]:
    """Train and validation rows whose class is the sign of the first of four columns."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(160, 4, generator=generator)
    y = (x[:, 0] > 0).long()
    return Encoded(x[:120], y[:120]), (x[120:], y[120:])


def test_recipes_are_the_protocols() -> None:
    autogluon = get_recipe("autogluon")
    assert (autogluon.learning_rate, autogluon.betas, autogluon.weight_decay) == (1e-4, (0.9, 0.999), 0.1)
    assert (autogluon.steps, autogluon.patience, autogluon.warmup_steps) == (50, 40, 1000)
    assert (autogluon.max_support, autogluon.max_query, autogluon.query_share) == (8192, 1024, 0.2)
    assert autogluon.rate(1) == 1e-7
    assert autogluon.rate(50) < 5e-6
    assert autogluon.rate(1001) == pytest.approx(1e-4)
    second = get_recipe("mitra-v2")
    assert (second.steps, second.learning_rate, second.warmup_steps, second.weight_decay) == (50, 1e-5, 10, 0.3)
    assert second.for_table(n_classes=2, n_rows=16_384).learning_rate == 3e-6
    assert second.for_table(n_classes=2, n_rows=16_385) == second == second.for_table(n_classes=3, n_rows=100)
    assert autogluon.for_table(n_classes=2, n_rows=100) == autogluon


def test_any_field_can_be_replaced_and_unknown_ones_are_named() -> None:
    assert get_recipe("nano", steps=7).steps == 7
    with pytest.raises(ExperimentError, match="no field stepz"):
        get_recipe("nano", stepz=7)
    with pytest.raises(UnknownNameError, match="did you mean 'nano'"):
        get_recipe("nanoo")


def test_steps_follow_the_rows_where_the_recipe_says_how_often_each_is_looked_at() -> None:
    plain = get_recipe("nano")
    assert plain.for_rows(1_000_000) == plain
    often = get_recipe("nano", views=10)  # 320 rows a step
    assert often.for_rows(320) == often.for_rows(50) == often  # ten steps are fewer than it has
    more = often.for_rows(32_000)
    assert (more.steps, more.patience) == (1000, 334)


def test_a_recipe_survives_being_data() -> None:
    for recipe in RECIPES.values():
        data = recipe.to_dict()
        assert Recipe(**data).to_dict() == data


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=80), st.integers(0, 2**31))
def test_a_step_split_is_stratified_and_keeps_every_class_in_the_support(labels: list[int], seed: int) -> None:
    y = torch.tensor(labels)
    support, query = split_step(y, RECIPES["autogluon"], np.random.default_rng(seed))
    together = torch.cat([support, query])
    assert together.sort().values.tolist() == list(range(len(labels)))
    assert len(query) >= 1
    assert len(support) >= 1
    counts = torch.bincount(y)
    queried = torch.bincount(y[query], minlength=len(counts))
    for count, asked in zip(counts.tolist(), queried.tolist(), strict=True):
        if len(query) > 1:
            assert abs(asked - 0.2 * count) <= 1
        if count > 1:
            assert asked < count


def test_a_step_is_capped() -> None:
    support, query = split_step(
        torch.zeros(3000).long(), get_recipe("nano", max_support=100, max_query=30), np.random.default_rng(0)
    )
    assert (len(support), len(query)) == (100, 30)


def test_a_capped_step_keeps_a_row_of_every_class_in_the_support() -> None:
    y = torch.cat([torch.zeros(3000).long(), torch.arange(1, 10).repeat_interleave(4)])
    for seed in range(20):
        support, query = split_step(y, get_recipe("nano", max_support=40, max_query=30), np.random.default_rng(seed))
        assert torch.unique(y[support]).tolist() == list(range(10))
        assert len(support) == len(torch.unique(support)) == 40
        assert not set(support.tolist()) & set(query.tolist())


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=4, max_size=60), st.integers(0, 2**32 - 1))
def test_copies_of_a_row_never_stand_on_both_sides(rows: list[tuple[int, int]], seed: int) -> None:
    y, x = (torch.tensor(each) for each in zip(*rows, strict=True))
    groups = distinct_rows(x.float().unsqueeze(1), y)
    assert len(set(groups.tolist())) == len(set(rows))
    if len(set(rows)) < 2:
        with pytest.raises(InvalidOutput, match="two rows that differ"):
            split_step(y, RECIPES["nano"], np.random.default_rng(seed), groups)
        return
    support, query = split_step(y, RECIPES["nano"], np.random.default_rng(seed), groups)
    assert sorted([*support.tolist(), *query.tolist()]) == list(range(len(rows)))
    assert {rows[row] for row in support} & {rows[row] for row in query} == set()


def test_held_out_rows_are_predicted_now_and_then_and_after_the_last_step(learnable: tuple[Encoded, Rows]) -> None:
    train, validation = learnable
    recipe = get_recipe("nano", steps=7, patience=50, evaluate_every=3)
    told: list[int] = []
    result = fine_tune(
        load_directory(FIXTURE),
        lambda step: train,
        train,
        validation,
        2,
        recipe,
        0,
        evaluated=lambda step, probabilities: told.append(step),
    )
    assert result.evaluated == told == [0, 3, 6, 7]
    assert len(result.validation_losses) == 4
    assert (result.rows, result.distinct_rows, result.used_rows) == (len(train[1]),) * 3


def test_steps_that_are_due_run_on_after_patience_and_are_never_kept(learnable: tuple[Encoded, Rows]) -> None:
    train, validation = learnable
    flipped = Encoded(train.x, 1 - train.y)
    recipe = get_recipe("nano", learning_rate=10.0, warmup_steps=0, steps=9, patience=2, evaluate_every=1)
    result = fine_tune(load_directory(FIXTURE), lambda step: flipped, train, validation, 2, recipe, seed=0, at_least=6)
    assert (result.steps, result.best_step) == (6, 0)


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(InvalidOutput, match="at least two rows that differ"):
        split_step(torch.zeros(1).long(), RECIPES["nano"], np.random.default_rng(0))


def test_training_learns_and_leaves_the_best_step_in_place(
    tiny_model: Tab2DModel, learnable: tuple[Encoded, Rows]
) -> None:
    train, validation = learnable
    recipe = get_recipe("nano", learning_rate=3e-3, steps=25, patience=25, evaluate_every=1)
    result = fine_tune(tiny_model, lambda step: train, train, validation, 2, recipe, seed=0)
    losses = result.validation_losses
    assert len(losses) == 26
    assert result.best_step == int(np.argmin(losses))
    assert min(losses) < 0.8 * losses[0]
    now = tiny_model.predict(train.x, train.y, validation[0], 2)
    true = now[np.arange(len(now)), validation[1].numpy()]
    assert -np.log(true).mean() == pytest.approx(losses[result.best_step], rel=1e-6)


def test_when_nothing_helps_step_zero_is_kept(tiny_model: Tab2DModel, learnable: tuple[Encoded, Rows]) -> None:
    train, validation = learnable
    before = {name: tensor.clone() for name, tensor in tiny_model.module.state_dict().items()}
    flipped = Encoded(train.x, 1 - train.y)  # a pool that teaches the opposite, with the context as it is
    recipe = get_recipe(
        "nano", learning_rate=10.0, warmup_steps=0, steps=6, patience=3, max_gradient_norm=1.0, evaluate_every=1
    )
    result = fine_tune(tiny_model, lambda step: flipped, train, validation, 2, recipe, seed=0)
    assert result.best_step == 0
    assert len(result.validation_losses) == 4  # stopped by patience
    assert result.validation_losses[0] == min(result.validation_losses)
    assert all(torch.equal(before[n], t) for n, t in tiny_model.module.state_dict().items())


def test_patience_counts_steps_since_the_best(tiny_model: Tab2DModel, learnable: tuple[Encoded, Rows]) -> None:
    train, validation = learnable
    recipe = get_recipe("nano", learning_rate=10.0, warmup_steps=0, steps=50, patience=4, evaluate_every=1)
    result = fine_tune(tiny_model, lambda step: train, train, validation, 2, recipe, seed=0)
    assert len(result.validation_losses) - 1 == result.best_step + 4


def test_the_same_seed_gives_the_same_bits_another_does_not(learnable: tuple[Encoded, Rows]) -> None:
    from paths import FIXTURE

    from tabgen.models.checkpoints import load_directory

    train, validation = learnable
    recipe = get_recipe("nano", steps=4)
    curves = [
        fine_tune(load_directory(FIXTURE), lambda step: train, train, validation, 2, recipe, seed).validation_losses
        for seed in (5, 5, 6)
    ]
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


def test_a_loss_that_is_not_finite_ends_the_run(tiny_model: Tab2DModel, learnable: tuple[Encoded, Rows]) -> None:
    train, validation = learnable
    tiny_model.module.final_layer.bias.data.fill_(float("nan"))
    with pytest.raises(InvalidOutput, match="loss of step 1 is nan"):
        fine_tune(tiny_model, lambda step: train, train, validation, 2, RECIPES["nano"], seed=0)


def test_after_step_sees_every_step(tiny_model: Tab2DModel, learnable: tuple[Encoded, Rows]) -> None:
    train, validation = learnable
    seen: list[int] = []
    recipe = get_recipe("nano", steps=3)
    fine_tune(tiny_model, lambda step: train, train, validation, 2, recipe, 0, after_step=seen.append)
    assert seen == [0, 1, 2, 3]


def test_watched_rows_are_scored_at_every_step_and_decide_nothing(learnable: tuple[Encoded, Rows]) -> None:
    train, validation = learnable
    recipe = get_recipe("nano", steps=4, learning_rate=1e-2)
    runs = []
    for labels in (validation[1], 1 - validation[1]):
        model = load_directory(FIXTURE)
        runs.append(fine_tune(model, lambda step: train, train, validation, 2, recipe, 0, (validation[0], labels)))
    right, wrong = runs
    assert right.watched_losses == pytest.approx(right.validation_losses, rel=1e-6)  # the same rows, the same losses
    assert wrong.watched_losses != right.watched_losses
    assert wrong.validation_losses == right.validation_losses
    assert wrong.best_step == right.best_step
    assert all(torch.equal(wrong.weights[name], right.weights[name]) for name in right.weights)
