"""Power laws with a floor, y = floor + scale * x ** -exponent, by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import least_squares

Array = np.ndarray[Any, Any]
STARTS = (0.05, 0.2, 0.5, 1.0)
"""Exponents from which the search begins."""
EXPONENTS = (1e-3, 4.0)
"""The least and the greatest exponent that is looked for."""


def nearest(
    x: Array, y: Array, starts: Sequence[float] = STARTS, lowest: float = -np.inf
) -> tuple[float, float, float]:
    """Floor, scale (at least 0) and exponent of the power law nearest to the points in squares.

    For a given exponent the other two are linear, so only the exponent is searched, from several starts.

    Parameters
    ----------
    x, y : array
        Positive abscissae, best scaled so that the first is 1; values.
    starts : sequence of float
        Exponents to begin from.
    lowest : float
        The floor is not below this.
    """

    def linear(exponent: float) -> tuple[float, float]:
        falling = x**-exponent
        scale = max(0.0, float(np.cov(falling, y, bias=True)[0, 1] / max(falling.var(), 1e-12)))
        floor = float(y.mean() - scale * falling.mean())
        if floor >= lowest:
            return floor, scale
        return lowest, max(0.0, float(falling @ (y - lowest) / (falling @ falling)))

    def residuals(exponent: Array) -> Array:
        floor, scale = linear(float(exponent[0]))
        return np.asarray(floor + scale * x ** -exponent[0] - y)

    tried = [least_squares(residuals, [start], bounds=([EXPONENTS[0]], [EXPONENTS[1]])) for start in starts]
    exponent = float(min(tried, key=lambda one: float(one.cost)).x[0])
    return (*linear(exponent), exponent)
