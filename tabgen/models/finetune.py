"""The fine-tuning loop: step, validate, keep the best, stop early."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tabgen.errors import InvalidOutput
from tabgen.metrics import SMALLEST_PROBABILITY
from tabgen.models.base import Encoded, FoundationModel
from tabgen.models.recipes import Recipe
from tabgen.models.trained import trained_by

Rng = np.random.Generator
Groups = np.ndarray[Any, np.dtype[np.int64]]
DrawTable = Callable[[int], Encoded]
"""step -> the table to split at that step."""


@dataclass
class FineTuned:
    """What came of one run.

    Attributes
    ----------
    weights : dict of Tensor
        Of the best step; those of step 0 are the pre-trained ones.
    best_step : int
    probabilities : numpy.ndarray, shape (held-out rows, classes)
        What the weights of the best step predict for the rows that were held out.
    steps : int
        How many ran.
    evaluated : list of int
        The steps after which the held-out rows were predicted, 0 first.
    validation_losses, watched_losses : list of float
        Log-loss in nats of the validation rows, and of the others held out if there are any, after those steps.
    step_seconds : float
        Mean wall time of a step, prediction of held-out rows included.
    rows, distinct_rows, used_rows : int
        Of the last step's table: its rows, those that differ, and how many of these any step had in context or query
        (over all steps, where the table stays the same).
    """

    weights: dict[str, Tensor]
    best_step: int
    probabilities: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros((0, 0)))
    steps: int = 0
    evaluated: list[int] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    watched_losses: list[float] = field(default_factory=list)
    step_seconds: float = math.nan
    rows: int = 0
    distinct_rows: int = 0
    used_rows: int = 0


def distinct_rows(x: Tensor, y: Tensor) -> Groups:
    """For each row a number that it shares with its equals, label included: int64 (rows,)."""
    table = np.column_stack([x.numpy(), y.numpy()])
    groups: Groups = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
    return groups


def split_step(labels: Tensor, recipe: Recipe, rng: Rng, groups: Groups | None = None) -> tuple[Tensor, Tensor]:
    """A stratified split of a step's table into support and query rows, positions each.

    It is made by distinct row: those of one group, copies of each other, come to one side. A class of one or two
    distinct rows stays in the support, and every class keeps a row there when the support is cut to the recipe's
    ``max_support``. Raises :class:`InvalidOutput` below two distinct rows.
    """
    y = labels.numpy()
    first = np.arange(len(y)) if groups is None else np.unique(groups, return_index=True)[1]
    support, query = _split_distinct(y[first], recipe, rng)
    if len(first) < len(y):
        assert groups is not None
        is_query = np.isin(groups, query)
        support, query = (rng.permutation(np.flatnonzero(side)) for side in (~is_query, is_query))
    else:
        support, query = first[support], first[query]
    if len(support) > recipe.max_support:
        one_each = np.unique(y[support], return_index=True)[1]
        support = np.concatenate([support[one_each], np.delete(support, one_each)])[: recipe.max_support]
    return torch.from_numpy(support), torch.from_numpy(query[: recipe.max_query])


def _split_distinct(y: Groups, recipe: Recipe, rng: Rng) -> tuple[Groups, Groups]:
    """Positions of support and query among rows that are all different."""
    if len(y) < 2:
        raise InvalidOutput(f"a step's table needs at least two rows that differ; it has {len(y)}.")
    order = rng.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    _, start, counts = np.unique(y[by_class], return_index=True, return_counts=True)
    position = np.arange(len(y)) - np.repeat(start, counts)
    is_query = (position + 0.5) / np.repeat(counts, counts) > 1 - recipe.query_share
    if not is_query.any():
        is_query[start[counts.argmax()]] = True
    return rng.permutation(by_class[~is_query]), rng.permutation(by_class[is_query])


class _Offered:
    """The rows that steps are offered: which are equal, and which of those that differ were used."""

    def __init__(self) -> None:
        self._x: Tensor | None = None
        self._groups = self._used = np.zeros(0, dtype=np.int64)

    def groups(self, x: Tensor, y: Tensor) -> Groups:
        """As :func:`distinct_rows`, once for a table that stays the same."""
        if x is not self._x:
            self._x, self._groups = x, distinct_rows(x, y)
            self._used = np.zeros(int(self._groups.max(initial=-1)) + 1, dtype=np.int64)
        return self._groups

    def use(self, support: Tensor, query: Tensor) -> None:
        for rows in (support, query):
            self._used[self._groups[rows.numpy()]] = 1

    def count(self) -> tuple[int, int, int]:
        """Rows, distinct rows, and how many of these were used."""
        return len(self._groups), len(self._used), int(self._used.sum())


def fine_tune(
    model: FoundationModel,
    draw_table: DrawTable,
    context: Encoded,
    validation: tuple[Tensor, Tensor],
    n_classes: int,
    recipe: Recipe,
    seed: int,
    watched: tuple[Tensor, Tensor] | None = None,
    after_step: Callable[[int], None] = lambda step: None,
    evaluated: Callable[[int, np.ndarray[Any, Any]], None] = lambda step, probabilities: None,
    at_least: int = 0,
) -> FineTuned:
    """Fine-tune ``model.module`` in place and leave it with the weights of the best step.

    Step 0 is one of the steps: on the validation rows what is left is never worse than what came.

    Parameters
    ----------
    draw_table : callable
        The encoded table to learn from at each step.
    context : Encoded
        Real rows.
    validation : tuple of Tensor
        Encoded real rows (x, y), which are predicted from the context before the first step, after every
        ``recipe.evaluate_every``-th and after the last.
    watched : tuple of Tensor, optional
        Rows that are predicted with them, for the record: nothing is decided by their losses.
    after_step : callable
        Called with the step's number, with the step's weights in place.
    evaluated : callable
        Called with the step's number and the probabilities of validation and watched rows, where they were predicted.
    at_least : int
        Steps that run whatever validation says; a step after it would have stopped is never the best.

    Raises
    ------
    InvalidOutput
        If a drawn table cannot be split, or the loss is not finite.
    ModelError
        If the recipe trains layers or matrices that the model has not.
    """
    rng = np.random.default_rng(seed)
    module = model.module
    x_held_out, y_held_out = validation if watched is None else map(torch.cat, zip(validation, watched, strict=True))
    n_validation = len(validation[1])
    result = FineTuned(weights_of(module), 0)

    def predict(step: int) -> np.ndarray[Any, Any]:
        """Note the losses of the present weights."""
        probabilities = model.predict(context.x, context.y, x_held_out, n_classes, context.levels)
        true = probabilities[np.arange(len(probabilities)), y_held_out.numpy()]
        losses = -np.log(np.clip(true, SMALLEST_PROBABILITY, 1))
        result.evaluated.append(step)
        result.validation_losses.append(float(losses[:n_validation].mean()))
        if watched is not None:
            result.watched_losses.append(float(losses[n_validation:].mean()))
        evaluated(step, probabilities)
        return probabilities

    result.probabilities = predict(0)
    after_step(0)
    seconds: list[float] = []
    best_loss, stopped = result.validation_losses[0], False
    offered = _Offered()
    with trained_by(recipe, model, seed) as trained:
        optimiser = torch.optim.AdamW(
            trained.tensors, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
        )
        for step in range(1, recipe.steps + 1):
            began = time.perf_counter()
            x, y, levels = draw_table(step)
            support, query = split_step(y, recipe, rng, offered.groups(x, y))
            offered.use(support, query)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(step)
            logits = model.logits(x[support], y[support], x[query], n_classes, levels)
            loss = F.cross_entropy(logits, y[query].to(logits.device))
            if not torch.isfinite(loss):
                raise InvalidOutput(f"the loss of step {step} is {loss.item()}: the step's table broke the model.")
            loss.backward()  # type: ignore[no-untyped-call]
            trained.after_backward()
            if recipe.max_gradient_norm:
                torch.nn.utils.clip_grad_norm_(trained.tensors, recipe.max_gradient_norm)
            optimiser.step()
            trained.after_step()
            optimiser.zero_grad(set_to_none=True)
            result.steps = step
            if step % recipe.evaluate_every == 0 or step == recipe.steps:
                probabilities = predict(step)
                if result.validation_losses[-1] < best_loss and not stopped:
                    best_loss, result.best_step = result.validation_losses[-1], step
                    result.probabilities = probabilities
                    _keep(module, result.weights)
                stopped = stopped or step - result.best_step >= recipe.patience
            seconds.append(time.perf_counter() - began)
            after_step(step)
            if stopped and step >= at_least:
                break
    module.load_state_dict(result.weights)
    result.step_seconds = float(np.mean(seconds)) if seconds else math.nan
    result.rows, result.distinct_rows, result.used_rows = offered.count()
    return result


def weights_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of a module's weights, to be put back with ``load_state_dict``."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _keep(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    """Put a module's weights in place of a copy of earlier ones: a large model has no room for a third."""
    for name, tensor in module.state_dict().items():
        weights[name].copy_(tensor)
