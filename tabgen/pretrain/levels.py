"""A prior of categories: columns of 3 to 100 levels, each with an effect of its own, whose codes say nothing.

Shapes: b tasks, n rows, f features, k classes, m columns of levels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tabgen.pretrain.draws import Draw, Drawn, choose_columns, flip, put_columns, standardise, take_columns
from tabgen.pretrain.mechanisms import mixed_columns

FEWEST, MOST = 3, 100
ROWS_A_LEVEL = 4
"""Rows for each level on average, at least."""


def sample_levels(b: int, n: int, f: int, k: int, generator: torch.Generator) -> Drawn:
    """Draw b tasks of n rows, f features and k classes: a softmax over sums of the levels' effects."""
    draw = Draw(generator)
    x, discrete = mixed_columns(draw, b, n, f)
    relevant = draw.integer(1, min(4, f, max(1, round(f / 2))))
    m = min(f, relevant + draw.integer(0, (f + 1) // 2))
    place = choose_columns(draw, b, f, m)
    most = max(FEWEST, min(MOST, n // ROWS_A_LEVEL))
    level = _codes(draw, b, n, m, most)
    scores = torch.zeros(b, n, k)
    for column in range(relevant):
        effect = draw.normal(b, most, k) * draw.coin(draw.between(0.3, 1.0, b, 1, 1), b, most, 1)
        scores = scores + effect.gather(1, level[:, :, column].unsqueeze(2).expand(b, n, k)) / relevant**0.5
    if m < f and draw.integer(0, 1):  # a number or two beside them
        others = choose_columns(draw, b, f, min(2, f))
        weights = draw.normal(b, others.shape[1], k) * 0.7
        scores = scores + torch.bmm(standardise(take_columns(put_columns(x, place, level.float()), others)), weights)
    scores = scores * draw.log_between(1.0, 8.0, b, 1, 1) + draw.between(0, 1, b, 1, 1) * draw.normal(b, 1, k)
    y = (scores + draw.gumbel(b, n, k)).argmax(2)
    y, probabilities = flip(draw, y, scores.softmax(2), draw.between(0, 0.1, b, 1))
    x = put_columns(x, place, level.float())
    return Drawn(x, y, discrete.scatter(1, place, torch.ones(b, m, dtype=torch.bool)), probabilities)


def _codes(draw: Draw, b: int, n: int, m: int, most: int) -> Tensor:
    """Levels of columns (b, n, m): their number log-uniform, their shares Zipf's, their codes in random order."""
    levels = draw.log_between(FEWEST, most + 0.99, b, m, 1).long()
    weights = torch.arange(1, most + 1) ** -draw.between(0.0, 1.4, b, m, 1)
    weights = weights.masked_fill(torch.arange(most) >= levels, 0.0)
    edges = (weights / weights.sum(2, keepdim=True)).cumsum(2)
    rank = torch.searchsorted(edges.contiguous(), draw.uniform(b, m, n) * 0.999_99).clamp_max(most - 1)
    order = draw.uniform(b, m, most).masked_fill(torch.arange(most) >= levels, 2.0).argsort(2)
    return order.gather(2, rank.minimum(levels - 1)).transpose(1, 2)
