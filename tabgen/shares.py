"""How many rows each class of a sample gets."""

from __future__ import annotations

from typing import Any

import numpy as np


def share_rows(n_rows: int, weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whole rows per class in proportion to ``weights``, largest remainder first, one each where there is room.

    Examples
    --------
    >>> import numpy as np
    >>> share_rows(10, np.array([98, 1, 1])), share_rows(2, np.array([5, 4, 4])), share_rows(7, np.array([1, 1, 0]))
    (array([8, 1, 1]), array([1, 1, 0]), array([4, 3, 0]))
    """
    weights = np.asarray(weights, dtype=np.float64)
    exact = n_rows * weights / weights.sum()
    shares: np.ndarray[Any, Any] = np.floor(exact).astype(int)
    if n_rows >= (weights > 0).sum():
        shares = np.maximum(shares, weights > 0)
    while shares.sum() < n_rows:
        shares[np.argmax(exact - shares)] += 1
    while shares.sum() > n_rows:
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
    return shares
