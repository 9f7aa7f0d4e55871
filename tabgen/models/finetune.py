"""The fine-tuning loop: step, validate, keep the best, stop early."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tabgen.errors import ExperimentError, InvalidOutput, UnknownNameError
from tabgen.models.base import FoundationModel

Rng = np.random.Generator
DrawTable = Callable[[int], tuple[Tensor, Tensor]]
"""step -> the table to split at that step: x (rows, columns) float32 and y (rows,) int64."""


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune.

    Attributes
    ----------
    name : str
    learning_rate : float
        After warm-up.
    warmup_steps : int
        Steps of linear warm-up, from ``warmup_from``.
    weight_decay, betas
        Of AdamW, on all weights.
    steps : int
        At most; one step is one forward and backward pass.
    patience : int
        Stop after this many steps without a better validation log-loss.
    query_share : float
        Share of the step's table that is predicted; the rest is its context. A fresh stratified split each step.
    max_support, max_query : int
        Rows of a step at most, drawn anew each step.
    max_gradient_norm : float
        Gradients are scaled down to this norm; 0: never.
    source : str
    """

    name: str
    learning_rate: float
    steps: int = 50
    warmup_steps: int = 10
    warmup_from: float = 1e-7
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    patience: int = 40
    query_share: float = 0.2
    max_support: int = 8192
    max_query: int = 1024
    max_gradient_norm: float = 0.0
    source: str = ""

    def rate(self, step: int) -> float:
        """Learning rate of step 1, 2, ..."""
        share = min(1.0, (step - 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return self.warmup_from + (self.learning_rate - self.warmup_from) * share

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"betas": list(self.betas)}


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("autogluon", 1e-4, warmup_steps=1000, source="AutoGluon 1.6 Mitra defaults (TrainerFinetune)"),
        Recipe(
            "mitra-v2",
            1e-5,
            warmup_steps=10,
            weight_decay=0.3,
            source="Mitra 2: lr 1e-5; its 3e-6 for binary tables is an override here",
        ),
        Recipe(
            "nano",
            1e-4,
            steps=30,
            warmup_steps=3,
            patience=5,
            max_gradient_norm=1.0,
            source="ours, for tabgen-nano; chosen on synthetic tasks (benchmarks/choose_recipe.py)",
        ),
    )
}


def get_recipe(name: str, **overrides: Any) -> Recipe:
    """A recipe by name, with any field replaced.

    Raises
    ------
    UnknownNameError, ExperimentError
        For a recipe, or a field, that does not exist.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    unknown = set(overrides) - set(RECIPES[name].to_dict())
    if unknown:
        raise ExperimentError(
            f"a recipe has no field {', '.join(sorted(unknown))}; it has {', '.join(RECIPES[name].to_dict())}."
        )
    return replace(RECIPES[name], **overrides)


@dataclass
class FineTuned:
    """What came of one run.

    Attributes
    ----------
    weights : dict of Tensor
        Of the best step; those of step 0 are the pre-trained ones.
    best_step : int
    validation_losses : list of float
        Validation log-loss in nats after step 0, 1, ...
    step_seconds : float
        Median wall time of a step, validation included.
    """

    weights: dict[str, Tensor]
    best_step: int
    validation_losses: list[float] = field(default_factory=list)
    step_seconds: float = math.nan


def split_step(labels: Tensor, recipe: Recipe, rng: Rng) -> tuple[Tensor, Tensor]:
    """A stratified split of a step's table into support and query rows, positions each.

    A class of one or two rows stays in the support. Raises :class:`InvalidOutput` below two rows.
    """
    y = labels.numpy()
    if len(y) < 2:
        raise InvalidOutput(f"a step's table needs at least two rows; it has {len(y)}.")
    order = rng.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    _, start, counts = np.unique(y[by_class], return_index=True, return_counts=True)
    position = np.arange(len(y)) - np.repeat(start, counts)
    is_query = (position + 0.5) / np.repeat(counts, counts) > 1 - recipe.query_share
    if not is_query.any():
        is_query[start[counts.argmax()]] = True
    support, query = rng.permutation(by_class[~is_query]), rng.permutation(by_class[is_query])
    return torch.from_numpy(support[: recipe.max_support]), torch.from_numpy(query[: recipe.max_query])


def fine_tune(
    model: FoundationModel,
    draw_table: DrawTable,
    context: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    n_classes: int,
    recipe: Recipe,
    seed: int,
    after_step: Callable[[int], None] = lambda step: None,
) -> FineTuned:
    """Fine-tune ``model.module`` in place and leave it with the weights of the best step.

    Parameters
    ----------
    draw_table : callable
        The encoded table to learn from at each step.
    context, validation : tuple of Tensor
        Encoded real rows (x, y): validation rows are predicted from the context after every step.
    after_step : callable
        Called with the step's number once its validation is done, with the step's weights in place.

    Raises
    ------
    InvalidOutput
        If a drawn table cannot be split, or the loss is not finite.
    """
    rng = np.random.default_rng(seed)
    module = model.module
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
    )

    def validate() -> float:
        probabilities = model.predict(*context, validation[0], n_classes)
        true = probabilities[np.arange(len(probabilities)), validation[1].numpy()]
        return float(-np.log(np.clip(true, 1e-15, 1)).mean())

    result = FineTuned(_copy(module), 0, [validate()])
    after_step(0)
    seconds = []
    for step in range(1, recipe.steps + 1):
        began = time.perf_counter()
        x, y = draw_table(step)
        support, query = split_step(y, recipe, rng)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate(step)
        logits = model.logits(x[support], y[support], x[query], n_classes)
        loss = F.cross_entropy(logits, y[query].to(logits.device))
        if not torch.isfinite(loss):
            raise InvalidOutput(f"the loss of step {step} is {loss.item()}: the step's table broke the model.")
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.max_gradient_norm:
            torch.nn.utils.clip_grad_norm_(module.parameters(), recipe.max_gradient_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        result.validation_losses.append(validate())
        seconds.append(time.perf_counter() - began)
        if result.validation_losses[-1] < result.validation_losses[result.best_step]:
            result.weights, result.best_step = _copy(module), step
        after_step(step)
        if step - result.best_step >= recipe.patience:
            break
    module.load_state_dict(result.weights)
    result.step_seconds = float(np.median(seconds)) if seconds else math.nan
    return result


def _copy(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
