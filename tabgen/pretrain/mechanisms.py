"""A fast prior written as batched tensor code: many small random mechanisms at once.

Features are hidden units of random networks (a structural causal model whose nodes are the units); the
label is another unit, a linear score, an ensemble of random oblivious trees, or the nearest of random
prototypes. Only what survives a rank transform matters to Tab2D, so marginals are left alone and the
work goes into dependence, ties (discrete columns), irrelevant columns, noise and imbalance.

Shapes: b tasks, n rows, u units, f features, k classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: tuple[Activation, ...] = (
    torch.tanh,
    torch.relu,
    lambda x: x,
    torch.sin,
    torch.abs,
    lambda x: x.clamp(-3, 3).square(),
    torch.sign,
    lambda x: torch.exp(-x.square()),
    lambda x: torch.sin(3 * x),
)
MAX_LEVELS = 16


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

    def coin(self, probability: float | Tensor, *shape: int) -> Tensor:
        return self.uniform(*shape) < probability

    def exponential(self, *shape: int) -> Tensor:
        return -torch.log(self.uniform(*shape).clamp_min(1e-9))

    def gumbel(self, *shape: int) -> Tensor:
        return -torch.log(self.exponential(*shape).clamp_min(1e-9))


def _standardise(x: Tensor) -> Tensor:
    x = x - x.mean(dim=1, keepdim=True)
    return x / x.std(dim=1, keepdim=True).clamp_min(1e-6)


def _roots(draw: Draw, b: int, n: int, u: int) -> Tensor:
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
    return _standardise(kinds.gather(0, choice.expand(b, n, u).unsqueeze(0)).squeeze(0))


def _activate(draw: Draw, x: Tensor) -> Tensor:
    """Each of a few groups of units gets an activation of its own."""
    groups = x.chunk(draw.integer(1, 4), dim=2)
    return torch.cat([ACTIVATIONS[draw.integer(0, len(ACTIVATIONS) - 1)](g) for g in groups], dim=2)


def _units(draw: Draw, b: int, n: int, f: int) -> Tensor:
    """All units of a random sparse network, causes included: (b, n, u) with u >= f + 10."""
    width = draw.integer(max(4, f // 2), f + 12)
    layer = _roots(draw, b, n, draw.integer(2, f + 4))
    units = [layer]
    depth = draw.integer(1, 5)
    while len(units) <= depth or sum(u.shape[2] for u in units) < f + 10:
        fan_in = layer.shape[2]
        kept = draw.coin(draw.between(0.15, 1.0, b, 1, 1), b, fan_in, width).float()
        weights = draw.normal(b, fan_in, width) * kept / kept.sum(1, keepdim=True).clamp_min(1).sqrt()
        gain = draw.log_between(0.5, 3, b, 1, width)
        signal = _activate(draw, torch.bmm(layer, weights) * gain + draw.normal(b, 1, width))
        noise = draw.log_between(0.01, 0.6, b, 1, 1) * draw.normal(b, n, width)
        layer = _standardise(_standardise(signal) + noise)
        units.append(layer)
    return torch.cat(units, dim=2)


def _pick(draw: Draw, units: Tensor, count: int) -> Tensor:
    """Distinct units of each task: (b, n, count)."""
    b, n, u = units.shape
    index = draw.uniform(b, u).argsort(dim=1)[:, :count]
    return units.gather(2, index.unsqueeze(1).expand(b, n, count))


def _discretise(draw: Draw, x: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
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


def _relevant(draw: Draw, b: int, f: int) -> Tensor:
    """Weights of columns in a score: a random share of them is zero, at least one is not."""
    kept = draw.coin(draw.between(0.2, 1.0, b, 1), b, f)
    kept[torch.arange(b), draw.integers(0, f - 1, b)] = True
    return kept.float()


def _linear_scores(draw: Draw, x: Tensor, k: int) -> Tensor:
    b, _, f = x.shape
    weights = draw.normal(b, f, k) * _relevant(draw, b, f).unsqueeze(2) * draw.log_between(0.2, 2, b, f, 1)
    return torch.bmm(x, weights)


def _tree_scores(draw: Draw, x: Tensor, k: int) -> Tensor:
    """Sum of oblivious trees: every level of a tree asks one question of one column."""
    b, n, f = x.shape
    trees, depth = draw.integer(1, 12), draw.integer(1, 5)
    chances = (_relevant(draw, b, f) + 1e-6) * draw.exponential(b, f)
    column = torch.multinomial(chances, trees * depth, replacement=True, generator=draw.generator)
    values = x.gather(2, column.unsqueeze(1).expand(b, n, trees * depth))
    row = draw.integers(0, n - 1, b, 1, trees * depth)  # thresholds are values of the column itself
    answers = values > values.gather(1, row)
    bits = answers.view(b, n, trees, depth) * (2 ** torch.arange(depth))
    leaf = bits.sum(3)  # (b, n, trees)
    leaves = draw.normal(b, trees, 2**depth, k) * draw.log_between(0.3, 1, b, trees, 1, 1)
    picked = leaves.gather(2, leaf.transpose(1, 2).unsqueeze(3).expand(b, trees, n, k))
    return picked.sum(1)


def _prototype_scores(draw: Draw, x: Tensor, k: int) -> Tensor:
    """Minus the squared distance to the nearest prototype of each class."""
    b, n, f = x.shape
    each = draw.integer(1, 4)
    scale = _relevant(draw, b, f).unsqueeze(1).sqrt()
    row = draw.integers(0, n - 1, b, k * each)
    prototypes = x.gather(1, row.unsqueeze(2).expand(b, k * each, f)) + 0.5 * draw.normal(b, k * each, f)
    distance = torch.cdist(x * scale, prototypes * scale).square()
    return -distance.view(b, n, k, each).amin(3)


def _cut_by_rank(draw: Draw, score: Tensor, k: int) -> Tensor:
    """Classes as intervals of one score, with random proportions, in random order: (b, n)."""
    b, n = score.shape
    share = draw.exponential(b, k) + draw.between(0.05, 1.5, b, 1)
    edges = (share / share.sum(1, keepdim=True)).cumsum(1)[:, :-1].contiguous()
    rank = score.argsort(1).argsort(1).float() / n
    intervals = torch.searchsorted(edges, rank)
    return draw.uniform(b, k).argsort(1).gather(1, intervals)


def sample_mechanisms(b: int, n: int, f: int, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw b tasks of n rows, f features and k classes.

    Returns
    -------
    x : Tensor, shape (b, n, f), float32
    y : Tensor, shape (b, n), int64 in 0 .. k - 1; a class may be rare or absent
    discrete : Tensor, shape (b, f), bool
        Columns that hold codes of levels.
    """
    draw = Draw(generator)
    units = _pick(draw, _units(draw, b, n, f), f + k)
    x, causes = units[:, :, :f], units[:, :, f:]
    unrelated = draw.coin(draw.uniform(b, 1) * 0.4, b, f)
    shuffled_rows = x[:, torch.randperm(n, generator=generator)]
    x = torch.where(unrelated.unsqueeze(1), shuffled_rows, x)
    share = torch.tensor([0.0, 0.0, 0.3, 0.6, 1.0])[draw.integers(0, 4, b, 1)]
    x, discrete = _discretise(draw, x, share)
    z = _standardise(x)

    kind = draw.integer(0, 4)
    scores = (
        causes
        if kind == 0
        else _linear_scores(draw, z, k)
        if kind == 1
        else _tree_scores(draw, z, k)
        if kind in (2, 3)
        else _prototype_scores(draw, z, k)
    )
    scores = _standardise(scores) + draw.log_between(0.01, 1.0, b, 1, 1) * draw.normal(b, n, k)
    if k == 2 or draw.integer(0, 2) == 0:
        y = _cut_by_rank(draw, scores[:, :, 0], k)
    else:
        y = (scores + draw.between(0, 1, b, 1, 1) * draw.normal(b, 1, k)).argmax(2)
    flipped = draw.coin(draw.uniform(b, 1).pow(3) * 0.4, b, n)
    y = torch.where(flipped, draw.integers(0, k - 1, b, n), y)
    return x, y, discrete
