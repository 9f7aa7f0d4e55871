"""What of a model is trained: all its weights, those of the last layers, or low-rank updates of its matrices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tabgen.errors import ModelError
from tabgen.models.base import FoundationModel
from tabgen.models.recipes import Recipe

MOST_NAMED = 12
"""Names that an error lists."""


@dataclass
class _LowRank:
    """A matrix W of the model as it is trained: W0 + scale B A, with only A and B free.

    Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models* (ICLR 2022): B starts at zero, the scale is
    alpha / rank. The model holds the merged matrix at every step, so that whatever reads or copies its weights needs to
    know of nothing; the gradients of A and B follow from that of W by the chain rule.
    """

    weight: nn.Parameter
    start: Tensor
    a: Tensor
    b: Tensor
    scale: float

    def take_gradient(self) -> None:
        if self.weight.grad is not None:  # dL/dB = scale dL/dW A', dL/dA = scale B' dL/dW
            self.a.grad = self.scale * (self.b.T @ self.weight.grad)
            self.b.grad = self.scale * (self.weight.grad @ self.a.T)
            self.weight.grad = None

    def merge(self) -> None:
        self.weight.copy_(self.start + self.scale * (self.b @ self.a))


class Trained:
    """The tensors that an optimiser moves, and how the model's weights follow them.

    Attributes
    ----------
    tensors : list of Tensor
        For the optimiser.
    """

    def __init__(self, weights: list[nn.Parameter], low_rank: list[_LowRank]) -> None:
        self._low_rank = low_rank
        self.tensors: list[Tensor] = [tensor for each in low_rank for tensor in (each.a, each.b)] or [*weights]

    def after_backward(self) -> None:
        """Give the optimiser's tensors their gradients."""
        for each in self._low_rank:
            each.take_gradient()

    @torch.no_grad()
    def after_step(self) -> None:
        """Give the model the weights that follow."""
        for each in self._low_rank:
            each.merge()


@contextmanager
def trained_by(recipe: Recipe, model: FoundationModel, seed: int) -> Iterator[Trained]:
    """What of a model a recipe trains; within, its other weights take no gradient.

    Raises
    ------
    ModelError
        If the model has not the layers or matrices that the recipe names.
    """
    chosen = _chosen(recipe, model)
    asked = {name: weight.requires_grad for name, weight in model.module.named_parameters()}
    try:
        for name, weight in model.module.named_parameters():
            weight.requires_grad_(asked[name] and name in chosen)
        low_rank = _low_rank(recipe, chosen, seed) if recipe.lora_rank else []
        yield Trained([weight for weight in chosen.values() if weight.requires_grad], low_rank)
    finally:
        for name, weight in model.module.named_parameters():
            weight.requires_grad_(asked[name])


def _chosen(recipe: Recipe, model: FoundationModel) -> dict[str, nn.Parameter]:
    """The weights that are trained, or whose low-rank updates are, by name."""
    chosen = dict(model.module.named_parameters())
    if recipe.last_layers:
        within = _last_layers(recipe.last_layers, model)
        chosen = {name: weight for name, weight in chosen.items() if name.startswith(within)}
    if recipe.lora_rank:
        matrices = {
            f"{path}.{name}": weight
            for path, part in model.module.named_modules()
            if not isinstance(part, nn.Embedding)
            for name, weight in part.named_parameters(recurse=False)
            if weight.ndim == 2 and min(weight.shape) > recipe.lora_rank
        }
        chosen = {name: weight for name, weight in chosen.items() if name in matrices}
        _check_matrices(recipe, list(chosen))
        if recipe.lora_targets:
            chosen = {name: w for name, w in chosen.items() if any(_is_named(t, name) for t in recipe.lora_targets)}
    return chosen


def _last_layers(count: int, model: FoundationModel) -> tuple[str, ...]:
    """How the names of the weights of the last layers and of all that follows them begin."""
    if not model.layers:
        raise ModelError("the recipe has last_layers, and this model does not say what its layers are.")
    layers = model.module.get_submodule(model.layers)
    total = len(list(layers.children()))
    if count > total:
        raise ModelError(f"the recipe has last_layers = {count}; the model has {total} layers.")
    return tuple(f"{name}." for name in (*(f"{model.layers}.{i}" for i in range(total - count, total)), *model.head))


def _is_named(target: str, name: str) -> bool:
    """Whether ``q`` or ``attention1.q`` names the weight ``layers.0.attention1.q.weight``."""
    return f".{target}." in f".{name}."


def _check_matrices(recipe: Recipe, names: list[str]) -> None:
    if not names:
        raise ModelError(f"the recipe has lora_rank = {recipe.lora_rank}; the model has no matrix of a higher rank.")
    missing = [target for target in recipe.lora_targets if not any(_is_named(target, name) for name in names)]
    if missing:
        there = sorted({part for name in names for part in name.split(".") if not part.isdigit()} - {"weight"})
        raise ModelError(
            f"the recipe's lora_targets name {', '.join(map(repr, missing))}, and no matrix of the model is called so;"
            f" there are {', '.join(there[:MOST_NAMED])}{', ...' if len(there) > MOST_NAMED else ''}."
        )


def _low_rank(recipe: Recipe, chosen: dict[str, nn.Parameter], seed: int) -> list[_LowRank]:
    generator = torch.Generator().manual_seed(seed)
    scale = (recipe.lora_alpha or recipe.lora_rank) / recipe.lora_rank
    found = []
    for weight in chosen.values():
        rows, columns = weight.shape
        # A as torch starts a linear layer's weights, uniform within 1 / sqrt(inputs)
        a = torch.rand(recipe.lora_rank, columns, generator=generator) * 2 - 1
        a = (a / math.sqrt(columns)).to(weight).requires_grad_()
        b = weight.new_zeros(rows, recipe.lora_rank).requires_grad_()
        found.append(_LowRank(weight, weight.detach().clone(), a, b, scale))
    return found
