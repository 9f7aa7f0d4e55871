"""A fast prior written as batched tensor code: many small random mechanisms at once.

Features are hidden units of random networks (a structural causal model whose nodes are the units); the
label is another unit, a linear score, an ensemble of random oblivious trees, or the nearest of random
prototypes. Only what survives a rank transform matters to Tab2D, so marginals are left alone and the
work goes into dependence, ties (discrete columns), irrelevant columns, noise and imbalance.

Shapes: b tasks, n rows, u units, f features, k classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tabgen.pretrain.draws import Draw, Drawn, cut_by_rank, discretise, flip, largest, roots, standardise

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


def _activate(draw: Draw, x: Tensor) -> Tensor:
    """Each of a few groups of units gets an activation of its own."""
    groups = x.chunk(draw.integer(1, 4), dim=2)
    return torch.cat([ACTIVATIONS[draw.integer(0, len(ACTIVATIONS) - 1)](g) for g in groups], dim=2)


def _units(draw: Draw, b: int, n: int, f: int) -> Tensor:
    """All units of a random sparse network, causes included: (b, n, u) with u >= f + 10."""
    width = draw.integer(max(4, f // 2), f + 12)
    layer = roots(draw, b, n, draw.integer(2, f + 4))
    units = [layer]
    depth = draw.integer(1, 5)
    while len(units) <= depth or sum(u.shape[2] for u in units) < f + 10:
        fan_in = layer.shape[2]
        kept = draw.coin(draw.between(0.15, 1.0, b, 1, 1), b, fan_in, width).float()
        weights = draw.normal(b, fan_in, width) * kept / kept.sum(1, keepdim=True).clamp_min(1).sqrt()
        gain = draw.log_between(0.5, 3, b, 1, width)
        signal = _activate(draw, torch.bmm(layer, weights) * gain + draw.normal(b, 1, width))
        noise = draw.log_between(0.01, 0.6, b, 1, 1) * draw.normal(b, n, width)
        layer = standardise(standardise(signal) + noise)
        units.append(layer)
    return torch.cat(units, dim=2)


def _pick(draw: Draw, units: Tensor, count: int) -> Tensor:
    """Distinct units of each task: (b, n, count)."""
    b, n, u = units.shape
    index = draw.uniform(b, u).argsort(dim=1)[:, :count]
    return units.gather(2, index.unsqueeze(1).expand(b, n, count))


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


def _some_discrete(draw: Draw, x: Tensor) -> tuple[Tensor, Tensor]:
    """None, some, most or all columns of each task cut into levels."""
    share = torch.tensor([0.0, 0.0, 0.3, 0.6, 1.0])[draw.integers(0, 4, x.shape[0], 1)]
    return discretise(draw, x, share)


def mixed_columns(draw: Draw, b: int, n: int, f: int) -> tuple[Tensor, Tensor]:
    """Columns without a label, independent or from a network, and which are discrete: the stage of other priors."""
    x = roots(draw, b, n, f) if draw.integer(0, 1) else _pick(draw, _units(draw, b, n, f), f)
    return _some_discrete(draw, x)


def sample_mechanisms(b: int, n: int, f: int, k: int, generator: torch.Generator) -> Drawn:
    """Draw b tasks of n rows, f features and k classes."""
    draw = Draw(generator)
    units = _pick(draw, _units(draw, b, n, f), f + k)
    x, causes = units[:, :, :f], units[:, :, f:]
    unrelated = draw.coin(draw.uniform(b, 1) * 0.4, b, f)
    shuffled_rows = x[:, torch.randperm(n, generator=generator)]
    x = torch.where(unrelated.unsqueeze(1), shuffled_rows, x)
    x, discrete = _some_discrete(draw, x)
    z = standardise(x)

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
    scores, noise = standardise(scores), draw.log_between(0.01, 1.0, b, 1, 1)
    if k == 2 or draw.integer(0, 2) == 0:
        y, probabilities = cut_by_rank(draw, scores[:, :, 0], noise[:, :, 0], k)
    else:
        y, probabilities = largest(draw, scores + draw.between(0, 1, b, 1, 1) * draw.normal(b, 1, k), noise)
    y, probabilities = flip(draw, y, probabilities, draw.uniform(b, 1).pow(3) * 0.4)
    return Drawn(x, y, discrete, probabilities)
