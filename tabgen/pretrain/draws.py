"""What the priors written as tensor code share: random draws, columns, and class probabilities.

Shapes: b tasks, n rows, f features, k classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_LEVELS = 16
REDRAWS = 32
"""Draws of a mechanism's noise whose mean is its class probabilities."""


class Drawn(NamedTuple):
    """Tasks of one shape.

    Attributes
    ----------
    x : Tensor, shape (b, n, f), float32
    y : Tensor, shape (b, n), int64 in 0 .. k - 1; a class may be rare or absent
    discrete : Tensor, shape (b, f), bool
        Columns that hold codes of levels.
    probabilities : Tensor, shape (b, n, k)
        Of the classes given all that the mechanism knows of a row but its noise; one-hot where that is not known.
    """

    x: Tensor
    y: Tensor
    discrete: Tensor
    probabilities: Tensor


class Draw:
    """Random draws from one generator, on the CPU."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator)

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * self.uniform(*shape)

    def log_between(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.exp(self.between(math.log(low), math.log(high), *shape))

    def integer(self, low: int, high: int) -> int:
        """One integer in low .. high, both included."""
        return int(torch.randint(low, high + 1, (1,), generator=self.generator))

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high + 1, shape, generator=self.generator)

    def choice(self, shares: Sequence[float]) -> int:
        """The position of one of the shares, each as likely as it is large."""
        return int(torch.multinomial(torch.tensor(shares), 1, generator=self.generator))

    def coin(self, probability: float | Tensor, *shape: int) -> Tensor:
        return self.uniform(*shape) < probability

    def exponential(self, *shape: int) -> Tensor:
        return -torch.log(self.uniform(*shape).clamp_min(1e-9))

    def gumbel(self, *shape: int) -> Tensor:
        return -torch.log(self.exponential(*shape).clamp_min(1e-9))


def standardise(x: Tensor) -> Tensor:
    x = x - x.mean(dim=1, keepdim=True)
    return x / x.std(dim=1, keepdim=True).clamp_min(1e-6)


def roots(draw: Draw, b: int, n: int, u: int) -> Tensor:
    """Exogenous causes: normal, uniform, heavy-tailed, clustered or binary, per task and column."""
    normal = draw.normal(b, n, u)
    clusters = draw.integers(2, 5, b, 1, u)
    cluster = (draw.uniform(b, n, 1) * clusters).floor()
    centres = torch.sin(cluster * draw.between(0.5, 3, b, 1, u) + draw.between(0, 6, b, 1, u)) * 2
    kinds = torch.stack(
        [
            normal,
            draw.between(-1.7, 1.7, b, n, u),
            normal * torch.exp(0.7 * draw.normal(b, n, u)),
            centres + 0.4 * normal,
            (normal > draw.normal(b, 1, u)).float(),
        ]
    )
    choice = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 4])[draw.integers(0, 9, b, 1, u)]
    return standardise(kinds.gather(0, choice.expand(b, n, u).unsqueeze(0)).squeeze(0))


def discretise(draw: Draw, x: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Cut a random share of each task's columns into levels; about half of them in shuffled order.

    Returns the table and which columns are discrete, bool (b, f).
    """
    b, _, f = x.shape
    discrete = draw.coin(share, b, f)
    levels = 2 + (draw.exponential(b, f) * 3).long().clamp_max(MAX_LEVELS - 2)
    cuts = draw.normal(b, f, MAX_LEVELS - 1) * draw.between(0.5, 1.5, b, f, 1) + 0.5 * draw.normal(b, f, 1)
    unused = torch.arange(MAX_LEVELS - 1) >= (levels - 1).unsqueeze(2)
    cuts = cuts.masked_fill(unused, math.inf).sort(dim=2).values
    codes = torch.searchsorted(cuts.contiguous(), x.transpose(1, 2).contiguous())  # (b, f, n)
    shuffled = draw.uniform(b, f, MAX_LEVELS).argsort(dim=2)
    ordered = torch.arange(MAX_LEVELS).expand(b, f, -1)
    table = torch.where(draw.coin(0.6, b, f, 1), shuffled, ordered)
    coded = table.gather(2, codes).float().transpose(1, 2)
    return torch.where(discrete.unsqueeze(1), coded, x), discrete


def choose_columns(draw: Draw, b: int, f: int, count: int) -> Tensor:
    """Distinct columns of each task, in random order: (b, count)."""
    return draw.uniform(b, f).argsort(1)[:, :count]


def take_columns(x: Tensor, columns: Tensor) -> Tensor:
    """The chosen columns (b, m) of each task's table (b, n, f): (b, n, m)."""
    return x.gather(2, columns.unsqueeze(1).expand(-1, x.shape[1], -1))


def put_columns(x: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """The table with the chosen columns replaced by (b, n, m)."""
    return x.scatter(2, columns.unsqueeze(1).expand(-1, x.shape[1], -1), values)


def ranks(x: Tensor) -> Tensor:
    """Ranks along the rows, in 0 .. 1, of (b, n, ...); ties in the order of the rows."""
    return x.argsort(1).argsort(1).float() / x.shape[1]


def cut_by_rank(draw: Draw, score: Tensor, noise: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Classes as intervals of one noisy score, with random proportions, in random order.

    Parameters
    ----------
    score : Tensor, shape (b, n)
    noise : Tensor, shape (b, 1)
        Standard deviation of the normal noise on the score.

    Returns
    -------
    labels : Tensor, shape (b, n)
    probabilities : Tensor, shape (b, n, k)
        Of the intervals as they were cut, over all noise.
    """
    b, n = score.shape
    noisy = score + noise * draw.normal(b, n)
    share = draw.exponential(b, k) + draw.between(0.05, 1.5, b, 1)
    edges = (share / share.sum(1, keepdim=True)).cumsum(1)[:, :-1]
    position = (edges * n).long().clamp(0, n - 1)
    cuts = noisy.sort(1).values.gather(1, position).contiguous()  # (b, k - 1)
    interval = torch.searchsorted(cuts, noisy.contiguous(), right=True)
    below = torch.special.ndtr((cuts.unsqueeze(1) - score.unsqueeze(2)) / noise.clamp_min(1e-6).unsqueeze(2))
    whole = torch.cat([torch.zeros(b, n, 1), below, torch.ones(b, n, 1)], dim=2)
    order = draw.uniform(b, k).argsort(1)
    inverse = order.argsort(1)
    shares = whole.diff(dim=2).clamp_min(0).gather(2, inverse.unsqueeze(1).expand(b, n, k))
    return order.gather(1, interval), shares


def largest(draw: Draw, scores: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The class of the largest noisy score, and each class's share among redraws of the noise.

    ``scores`` (b, n, k), ``noise`` (b, 1, 1).
    """
    k = scores.shape[2]
    label = (scores + noise * draw.normal(*scores.shape)).argmax(2)
    share = torch.zeros_like(scores)
    for _ in range(REDRAWS):
        share += F.one_hot((scores + noise * draw.normal(*scores.shape)).argmax(2), k)
    return label, share / REDRAWS


def flip(draw: Draw, y: Tensor, probabilities: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
    """With a chance (b, 1) a row's label becomes a class at random, its own included."""
    b, n, k = probabilities.shape
    flipped = draw.coin(chance, b, n)
    mixed = (1 - chance.unsqueeze(2)) * probabilities + chance.unsqueeze(2) / k
    return torch.where(flipped, draw.integers(0, k - 1, b, n), y), mixed
