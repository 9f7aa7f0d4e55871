"""A prior of collinear columns: few factors, many columns near each; labels on what sets the near ones apart.

Shapes: b tasks, n rows, f features, k classes.
"""

from __future__ import annotations

import torch

from tabgen.pretrain.draws import (
    Draw,
    Drawn,
    choose_columns,
    cut_by_rank,
    flip,
    largest,
    put_columns,
    roots,
    standardise,
    take_columns,
)
from tabgen.pretrain.mechanisms import mixed_columns


def sample_collinear(b: int, n: int, f: int, k: int, generator: torch.Generator) -> Drawn:
    """Draw b tasks of n rows, f features and k classes.

    A column is a factor plus 5 to 100 % noise of its own. Three quarters of the tasks score differences of two
    columns of one factor, in which the factor cancels out; the rest score the factors themselves.
    """
    draw = Draw(generator)
    factors = roots(draw, b, n, draw.integer(1, max(1, f // 3)))
    of_column = draw.integers(0, factors.shape[2] - 1, b, f)
    pairs = draw.integer(1, 3) if f >= 6 else min(1, f // 2)
    order = choose_columns(draw, b, f, f)
    first, second = order[:, 0 : 2 * pairs : 2], order[:, 1 : 2 * pairs : 2]
    of_column = of_column.scatter(1, second, of_column.gather(1, first))
    own = draw.log_between(0.05, 1.0, b, 1, 1) * draw.log_between(0.5, 2.0, b, 1, f)
    x = take_columns(factors, of_column) + own * draw.normal(b, n, f)
    contrasts = pairs > 0 and draw.integer(0, 3) > 0
    parts = standardise(take_columns(x, first) - take_columns(x, second)) if contrasts else factors
    discrete = torch.zeros(b, f, dtype=torch.bool)
    if f > 2 * pairs and draw.integer(0, 2) == 0:  # some that have no part in it
        others = order[:, 2 * pairs :][:, : draw.integer(1, f - 2 * pairs)]
        columns, are_discrete = mixed_columns(draw, b, n, others.shape[1])
        x, discrete = put_columns(x, others, columns), discrete.scatter(1, others, are_discrete)
    scores = standardise(torch.bmm(parts, draw.normal(b, parts.shape[2], k)))
    noise = draw.log_between(0.02, 0.6, b, 1, 1)
    if k == 2 or draw.integer(0, 1):
        y, probabilities = cut_by_rank(draw, scores[:, :, 0], noise[:, :, 0], k)
    else:
        y, probabilities = largest(draw, scores, noise)
    y, probabilities = flip(draw, y, probabilities, draw.coin(0.5, b, 1) * draw.between(0, 0.1, b, 1))
    return Drawn(x, y, discrete, probabilities)
