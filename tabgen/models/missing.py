"""Missing values, encoded one way for pre-training, fine-tuning and prediction alike."""

from __future__ import annotations

import torch
from torch import Tensor

INDICATOR_SHARE = 0.01
"""A column with at least this share of missing context values gets an indicator column."""


def needs_indicator(x_context: Tensor) -> Tensor:
    """Which columns of (rows, f) get an indicator column: bool (f,)."""
    return torch.isnan(x_context).float().mean(dim=0) >= INDICATOR_SHARE


def fill_missing(x_context: Tensor, x: Tensor, indicator: Tensor) -> Tensor:
    """Fill NaN with the context's column means and append 0/1 columns that say where.

    Parameters
    ----------
    x_context : Tensor, shape (..., rows, f)
        The rows whose means are used.
    x : Tensor, shape (..., n, f)
    indicator : Tensor, shape (m,), int64
        The columns that get an indicator column, appended in this order.

    Returns
    -------
    Tensor, shape (..., n, f + m), finite; a column that is all NaN in the context becomes 0.
    """
    means = torch.nan_to_num(x_context.nanmean(dim=-2, keepdim=True))
    missing = torch.isnan(x)
    return torch.cat([torch.where(missing, means, x), missing[..., indicator].to(x.dtype)], dim=-1)
