"""A prior of sharp rules: parities, lookups, conjunctions, trees, products, nearest sites, among irrelevant columns.

What `mechanisms` draws is mostly smooth in every column; here single columns may tell nothing, thresholds are
exact, and labels are right but for a few that are flipped.

Shapes: b tasks, n rows, f features, k classes, m relevant columns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tabgen.pretrain.draws import (
    Draw,
    Drawn,
    choose_columns,
    cut_by_rank,
    flip,
    put_columns,
    standardise,
    take_columns,
)
from tabgen.pretrain.mechanisms import mixed_columns

MOST_NOISE = 0.1
"""Share of wrong labels at most; half of the tasks have none."""
MOST_RELEVANT = 8

Rule = Callable[[Draw, Tensor, Tensor, int], tuple[Tensor, Tensor, Tensor, Tensor]]
"""(draw, x, discrete, classes) -> x and discrete with the drivers in place, labels, class probabilities."""


def sample_rules(b: int, n: int, f: int, k: int, generator: torch.Generator) -> Drawn:
    """Draw b tasks of one kind of rule, n rows, f features and k classes."""
    draw = Draw(generator)
    x, discrete = mixed_columns(draw, b, n, f)
    names, shares = zip(*KINDS.values(), strict=True)
    kind: Rule = names[draw.choice(shares)]
    x, discrete, y, probabilities = kind(draw, x, discrete, k)
    wrong = draw.coin(0.5, b, 1) * draw.between(0, MOST_NOISE, b, 1)
    y, probabilities = flip(draw, y, probabilities, wrong * k / (k - 1))
    return Drawn(x, y, discrete, probabilities)


def _relevant_count(draw: Draw, f: int) -> int:
    """5 to 50 % of the columns; at least two where there are two."""
    share = 0.05 + 0.45 * float(draw.uniform(1))
    return min(f, MOST_RELEVANT, max(2, round(share * f)))


def _certain(label: Tensor, k: int) -> Tensor:
    return F.one_hot(label, k).float()


def _drivers(draw: Draw, x: Tensor, discrete: Tensor, bins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Put m fresh independent columns in place of some: continuous, or codes of their bins in random order.

    ``bins`` (b, m) is the number of equally likely bins of each. Returns x, discrete and the bins (b, n, m).
    """
    b, n, f = x.shape
    m = bins.shape[1]
    place = choose_columns(draw, b, f, m)
    value = draw.uniform(b, n, m)
    cell = (value * bins.unsqueeze(1)).long()
    most = int(bins.max())
    order = draw.uniform(b, m, most).masked_fill(torch.arange(most) >= bins.unsqueeze(2), 2.0).argsort(2)
    code = order.gather(2, cell.transpose(1, 2)).transpose(1, 2).float()
    coded = draw.coin(torch.tensor([0.0, 0.0, 0.5, 1.0])[draw.integers(0, 3, b, 1)], b, m)
    x = put_columns(x, place, torch.where(coded.unsqueeze(1), code, value))
    return x, discrete.scatter(1, place, coded), cell


def _parity(draw: Draw, x: Tensor, discrete: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sum of two or three columns' bins modulo k: XOR, and its kin of more classes. No column alone tells."""
    b, _, f = x.shape
    if k > 4:
        return _lookup(draw, x, discrete, k)
    m = min(f, 2 if draw.integer(0, 9) < 6 else 3)
    bins = torch.full((b, m), k if k > 2 or draw.integer(0, 3) else 4)
    x, discrete, cell = _drivers(draw, x, discrete, bins)
    y = (cell.sum(2) + draw.integers(0, k - 1, b, 1)) % k
    return x, discrete, y, _certain(y, k)


def _lookup(draw: Draw, x: Tensor, discrete: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A table of classes for the combinations of up to three columns' bins, every class as often as the others."""
    b, n, f = x.shape
    m = min(f, (1, 2, 2, 2, 3)[draw.integer(0, 4)])
    most = max(2, int(min(64, n / 6) ** (1 / m)))
    bins = draw.integers(min(3, most), min(12, most), b, m)
    x, discrete, cell = _drivers(draw, x, discrete, bins)
    width = int(bins.max())
    number = (cell * width ** torch.arange(m)).sum(2)
    y = _balanced(draw, b, width**m, k).gather(1, number)
    return x, discrete, y, _certain(y, k)


def _balanced(draw: Draw, b: int, cells: int, k: int) -> Tensor:
    """Classes of cells, (b, cells): as many of each as goes, in random places."""
    return draw.uniform(b, cells).argsort(1) % k


def _conjunction(draw: Draw, x: Tensor, discrete: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Whether all of two to four conditions hold (or any: classes are in random order); how many, for more classes."""
    b, n, f = x.shape
    m = min(f, draw.integer(2, 4))
    place = choose_columns(draw, b, f, m)
    value = draw.uniform(b, n, m)
    holds = value < draw.between(0.25, 0.75, b, 1, 1) ** (1 / m)  # all of them hold in a quarter to three quarters
    coded = draw.coin(0.3, b, 1, m)
    mirrored = draw.coin(0.5, b, 1, m)
    shown = torch.where(coded, holds.float(), value)
    x = put_columns(x, place, torch.where(mirrored, 1 - shown, shown))
    missed = m - holds.sum(2)
    y = draw.uniform(b, k).argsort(1).gather(1, missed.clamp_max(k - 1))
    return x, discrete.scatter(1, place, coded[:, 0]), y, _certain(y, k)


def _tree(draw: Draw, x: Tensor, discrete: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A tree of depth 2 to 5 with a column and a threshold of its own at every node."""
    b, n, f = x.shape
    m = _relevant_count(draw, f)
    values = take_columns(x, choose_columns(draw, b, f, m))
    shallowest = max(2, (k - 1).bit_length())
    depth = draw.integer(shallowest, max(shallowest, min(5, (n // 8).bit_length() - 1)))
    nodes = 2**depth - 1
    column = draw.integers(0, m - 1, b, nodes)
    quantile = (draw.between(0.2, 0.8, b, 1, nodes) * n).long()
    in_order = take_columns(values.sort(1).values, column)  # (b, n, nodes)
    threshold = in_order.gather(1, quantile)
    # a threshold at the largest value would let no row through
    threshold = torch.where(threshold < in_order[:, -1:], threshold, threshold - 0.5 * (threshold > in_order[:, :1]))
    node = torch.zeros(b, n, dtype=torch.int64)
    for _ in range(depth):
        asked = values.gather(2, column.gather(1, node).unsqueeze(2)).squeeze(2)
        node = 2 * node + 1 + (asked > threshold[:, 0].gather(1, node))
    y = _balanced(draw, b, nodes + 1, k).gather(1, node - nodes)
    return x, discrete, y, _certain(y, k)


def _products(draw: Draw, x: Tensor, discrete: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A sum of up to three products of two columns, cut into classes."""
    b, _, f = x.shape
    terms = draw.integer(1, 3)
    z = standardise(x)
    score = torch.zeros(x.shape[:2])
    for _ in range(terms):
        pair = take_columns(z, choose_columns(draw, b, f, min(2, f)))
        score = score + draw.normal(b, 1) * pair.prod(2)
    score = standardise(score.unsqueeze(2)).squeeze(2)
    y, probabilities = cut_by_rank(draw, score, draw.log_between(0.01, 0.3, b, 1), k)
    return x, discrete, y, probabilities


def _sites(draw: Draw, x: Tensor, discrete: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The class of the nearest of a few sites, in two to five columns."""
    b, n, f = x.shape
    values = standardise(take_columns(x, choose_columns(draw, b, f, min(5, _relevant_count(draw, f)))))
    each = draw.integer(1, max(1, 12 // k))
    row = draw.integers(0, n - 1, b, k * each)
    sites = values.gather(1, row.unsqueeze(2).expand(-1, -1, values.shape[2]))
    sites = sites + 0.3 * draw.normal(*sites.shape)
    y = torch.cdist(values, sites).argmin(2) % k
    return x, discrete, y, _certain(y, k)


KINDS: dict[str, tuple[Rule, float]] = {
    "parity": (_parity, 0.33),
    "tree": (_tree, 0.25),
    "lookup": (_lookup, 0.16),
    "conjunction": (_conjunction, 0.06),
    "products": (_products, 0.1),
    "sites": (_sites, 0.1),
}
"""Kind of rule -> how it is drawn, and its share."""
