"""Columns of many levels, told to the model a second time: each level's number by the labels of the support.

A level's code says nothing, and the model, which ranks its inputs, cannot look thirty levels up. So a column with
``MANY`` levels or more brings a second column: how the support's classes are shared out where the level stands.
A support row's number is computed from the other folds of the support, so that it never holds the row's own label; a
query row's from all of the support. This is the smoothed target statistic of gradient boosting (Micci-Barreca 2001;
Prokhorenkova et al. 2018), made afresh from the support of every prediction: whatever the context is, no other row's
label is seen.

Shapes: b tasks, s support rows, q query rows, m columns of levels, c classes, l levels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

MANY = 8
"""Levels from which on a column is told twice; up to here the model looks the codes up itself."""
FOLDS = 5
PRIOR_ROWS = 5.0
"""Rows of the support's own shares that are added to each level's: a rare level says little."""


def shares_of_levels(support: Tensor, y_support: Tensor, query: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """What the support says of each level, as one number a row and column.

    Several classes' shares become one number along the direction in which the levels of the column differ most.

    Parameters
    ----------
    support : Tensor, shape (b, s, m)
        Codes 0, 1, ... as floats.
    y_support : Tensor, shape (b, s), int64
    query : Tensor, shape (b, q, m)
        A code that the support does not have says nothing, and becomes 0.
    n_classes : int

    Returns
    -------
    tuple of Tensor
        (b, s, m) and (b, q, m), float32, centred on 0.
    """
    b, s, m = support.shape
    codes = support.long().transpose(1, 2)  # (b, m, s)
    asked = query.long().transpose(1, 2)
    n_levels = int(torch.maximum(codes.amax(), asked.amax())) + 1 if s else 1
    labels = F.one_hot(y_support, n_classes).double()  # (b, s, c)
    base = labels.mean(1)[:, None, None]  # (b, 1, 1, c)
    counted = torch.cat([labels, torch.ones_like(labels[..., :1])], dim=2)  # the last column counts rows
    counted = counted[:, None].expand(b, m, s, n_classes + 1)
    fold = torch.arange(s, device=support.device) % FOLDS
    place = fold * n_levels + codes  # (b, m, s)
    sums = torch.zeros(b, m, FOLDS * n_levels, n_classes + 1, dtype=torch.float64, device=support.device)
    sums.scatter_add_(2, place[..., None].expand_as(counted), counted)
    sums = sums.view(b, m, FOLDS, n_levels, n_classes + 1)
    whole = sums.sum(2)  # (b, m, l, c + 1)

    def centred(totals: Tensor) -> Tensor:
        prior = PRIOR_ROWS * base if totals.ndim == 4 else PRIOR_ROWS * base[:, :, None]
        shares = (totals[..., :-1] + prior) / (totals[..., -1:] + PRIOR_ROWS)
        return shares - prior / PRIOR_ROWS

    shares = centred(whole)
    direction = _direction(shares, whole[..., -1])  # (b, m, c)
    of_level = (shares * direction[:, :, None]).sum(3)  # (b, m, l)
    without = (centred(whole[:, :, None] - sums) * direction[:, :, None, None]).sum(4)  # (b, m, folds, l)
    told = without.flatten(2).gather(2, place)
    answered = of_level.gather(2, asked)
    return told.transpose(1, 2).float(), answered.transpose(1, 2).float()


def _direction(shares: Tensor, counts: Tensor) -> Tensor:
    """The unit vector (b, m, c) along which the levels' shares (b, m, l, c), weighted by their rows, differ most.

    Of two classes it is that of the second class; of more, the first principal axis, with its largest part positive.
    """
    if shares.shape[3] == 2:
        return torch.tensor([0.0, 1.0], dtype=shares.dtype, device=shares.device).expand(*shares.shape[:2], 2)
    spread = (shares * counts[..., None]).transpose(2, 3) @ shares  # (b, m, c, c)
    axis = torch.linalg.eigh(spread).eigenvectors[..., -1]
    largest = axis.gather(2, axis.abs().argmax(2, keepdim=True))
    signed: Tensor = axis * torch.where(largest < 0, -1.0, 1.0)
    return signed


def with_shares(
    x_support: Tensor, y_support: Tensor, x_query: Tensor, n_classes: int, columns: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Both tables (b, rows, f) with a column more for each of ``columns``, which hold codes of levels."""
    if not columns:
        return x_support, x_query
    told, answered = shares_of_levels(x_support[..., list(columns)], y_support, x_query[..., list(columns)], n_classes)
    return torch.cat([x_support, told], dim=2), torch.cat([x_query, answered], dim=2)
