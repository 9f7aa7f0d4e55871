"""The fine-tuning loop: step, validate, keep the best, stop early."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tabgen.errors import InvalidOutput
from tabgen.models.base import FoundationModel
from tabgen.models.recipes import Recipe

Rng = np.random.Generator
DrawTable = Callable[[int], tuple[Tensor, Tensor]]
"""step -> the table to split at that step: x (rows, columns) float32 and y (rows,) int64."""


@dataclass
class FineTuned:
    """What came of one run.

    Attributes
    ----------
    weights : dict of Tensor
        Of the best step; those of step 0 are the pre-trained ones.
    best_step : int
    validation_losses, watched_losses : list of float
        Log-loss in nats of the validation rows, and of the watched ones if there are any, after step 0, 1, ...
    step_seconds : float
        Median wall time of a step, validation included.
    """

    weights: dict[str, Tensor]
    best_step: int
    validation_losses: list[float] = field(default_factory=list)
    watched_losses: list[float] = field(default_factory=list)
    step_seconds: float = math.nan


def split_step(labels: Tensor, recipe: Recipe, rng: Rng) -> tuple[Tensor, Tensor]:
    """A stratified split of a step's table into support and query rows, positions each.

    A class of one or two rows stays in the support, and every class keeps a row there when the support is cut
    to the recipe's ``max_support``. Raises :class:`InvalidOutput` below two rows.
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
    if len(support) > recipe.max_support:
        one_each = np.unique(y[support], return_index=True)[1]
        support = np.concatenate([support[one_each], np.delete(support, one_each)])[: recipe.max_support]
    return torch.from_numpy(support), torch.from_numpy(query[: recipe.max_query])


def fine_tune(
    model: FoundationModel,
    draw_table: DrawTable,
    context: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    n_classes: int,
    recipe: Recipe,
    seed: int,
    watched: tuple[Tensor, Tensor] | None = None,
    after_step: Callable[[int], None] = lambda step: None,
) -> FineTuned:
    """Fine-tune ``model.module`` in place and leave it with the weights of the best step.

    Parameters
    ----------
    draw_table : callable
        The encoded table to learn from at each step.
    context, validation : tuple of Tensor
        Encoded real rows (x, y): validation rows are predicted from the context after every step.
    watched : tuple of Tensor, optional
        Rows that are predicted with them, for the record: nothing is decided by their losses.
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

    x_held_out, y_held_out = validation if watched is None else map(torch.cat, zip(validation, watched, strict=True))
    n_validation = len(validation[1])
    result = FineTuned(_copy(module), 0)

    def score() -> float:
        """Note the losses of the present weights; the validation loss is returned."""
        probabilities = model.predict(*context, x_held_out, n_classes)
        true = probabilities[np.arange(len(probabilities)), y_held_out.numpy()]
        losses = -np.log(np.clip(true, 1e-15, 1))
        result.validation_losses.append(float(losses[:n_validation].mean()))
        if watched is not None:
            result.watched_losses.append(float(losses[n_validation:].mean()))
        return result.validation_losses[-1]

    score()
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
        loss_now = score()
        seconds.append(time.perf_counter() - began)
        if loss_now < result.validation_losses[result.best_step]:
            result.weights, result.best_step = _copy(module), step
        after_step(step)
        if step - result.best_step >= recipe.patience:
            break
    module.load_state_dict(result.weights)
    result.step_seconds = float(np.median(seconds)) if seconds else math.nan
    return result


def _copy(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
