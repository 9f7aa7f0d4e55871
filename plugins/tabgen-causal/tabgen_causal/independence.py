"""Two conditional independence tests for numbers and levels together, registered with causal-learn.

Both are symmetric likelihood-ratio tests. :class:`IndicatorTest` treats levels as 0/1 columns of one Gaussian
(Andrews, Ramsey, Cooper, *Learning high-dimensional directed acyclic graphs with mixed data-types*, PMLR 104,
2019: the "degenerate Gaussian"); every test is a few small determinants. :class:`RegressionTest` (Tsagris,
Borboudakis, Lagani, Tsamardinos, *Constraint-based causal discovery with mixed data*, International Journal of
Data Science and Analytics 6, 2018) fits a regression each way, which takes tens of times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from causallearn.utils.cit import CIT_Base, register_ci_test
from scipy import special

INDICATOR, REGRESSION = "tabgen-indicator", "tabgen-regression"
RIDGE = 1e-3
"""Keeps logistic coefficients finite where a level is perfectly predicted."""

Array = np.ndarray[Any, Any]


class OutOfBudget(Exception):  # noqa: N818 - how a search is stopped from inside its tests
    """A search has made all the tests that it may."""


@dataclass
class Budget:
    """How many tests a search may still make: the same number on every machine, as a limit in seconds would not be."""

    tests: float = float("inf")

    def spend(self) -> None:
        """One test; :class:`OutOfBudget` if there is none left."""
        self.tests -= 1
        if self.tests < 0:
            raise OutOfBudget("out of tests")


class _MixedTest(CIT_Base):  # type: ignore[misc]  # causal-learn has no types
    """What both share; causal-learn calls ``test(x, y, conditions)`` for a p-value.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Discrete columns as codes 0, 1, ...; numeric columns as numbers.
    discrete : ndarray of bool, shape (columns,)
    budget : Budget
        Every call spends a test of it.
    max_conditions : int
        Larger condition sets are not tested: the edge stays.
    memory : dict
        What was computed, shared by searches over the same data: what PC has tested costs FCI nothing.
    """

    name: str

    def __init__(
        self,
        data: Array,
        *,
        discrete: Array,
        budget: Budget,
        max_conditions: int,
        memory: dict[Any, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(data, **kwargs)
        self.method = self.name  # causal-learn reads it, to tell this test from its own
        self.budget = budget
        self.max_conditions = max_conditions
        self.memory = memory
        self.discrete = discrete
        pairs = zip(data.T, discrete, strict=True)
        blocks = [_indicators(column) if is_discrete else _standard(column) for column, is_discrete in pairs]
        ends = np.cumsum([block.shape[1] for block in blocks])
        self.places = [np.arange(end - block.shape[1], end) for end, block in zip(ends, blocks, strict=True)]
        self.design = np.column_stack(blocks)
        self.design -= self.design.mean(axis=0)
        self.moments = self.design.T @ self.design / len(data)

    def __call__(self, x: int, y: int, conditions: Any = None, *_: Any) -> float:
        """The p-value of "x and y are independent given the conditions"."""
        self.budget.spend()
        given = frozenset(int(z) for z in conditions or ())
        if len(given) > self.max_conditions:
            return 0.0
        return self.p_value(int(x), int(y), given)

    def p_value(self, x: int, y: int, given: frozenset[int]) -> float:
        raise NotImplementedError

    def columns(self, nodes: frozenset[int]) -> Array:
        """Columns of the design that stand for these columns of the data."""
        return np.concatenate([self.places[i] for i in sorted(nodes)]) if nodes else np.array([], dtype=int)


class IndicatorTest(_MixedTest):
    """Wilks' lambda between the blocks of x and y, given that of the conditions, with Bartlett's correction."""

    name = INDICATOR

    def p_value(self, x: int, y: int, given: frozenset[int]) -> float:
        """Chi-squared of minus the log of det(xyz) det(z) / (det(xz) det(yz))."""
        log_lambda = (
            self._log_determinant(given | {x, y})
            + self._log_determinant(given)
            - self._log_determinant(given | {x})
            - self._log_determinant(given | {y})
        )
        size_x, size_y = len(self.places[x]), len(self.places[y])
        n_effective = len(self.data) - 1 - len(self.columns(given)) - (size_x + size_y + 1) / 2
        return float(special.chdtrc(size_x * size_y, max(-log_lambda, 0.0) * max(n_effective, 1.0)))

    def dependence(self, x: int, y: int) -> float:
        """The mutual information of x and y as blocks of one Gaussian, in nats."""
        apart = self._log_determinant(frozenset({x})) + self._log_determinant(frozenset({y}))
        return (apart - self._log_determinant(frozenset({x, y}))) / 2

    def _log_determinant(self, nodes: frozenset[int]) -> float:
        if nodes not in self.memory:
            columns = self.columns(nodes)
            block = self.moments[np.ix_(columns, columns)] + 1e-6 * np.eye(len(columns))
            self.memory[nodes] = float(np.linalg.slogdet(block)[1])
        value: float = self.memory[nodes]
        return value


def pairwise_test(data: Array, discrete: Array) -> IndicatorTest:
    """The test for pairs of columns as they are: no conditions, no budget; codes may have gaps."""
    data = data.copy()
    for i in np.flatnonzero(discrete):
        data[:, i] = np.unique(data[:, i], return_inverse=True)[1]
    return IndicatorTest(data, discrete=discrete, budget=Budget(), max_conditions=0, memory={})


class RegressionTest(_MixedTest):
    """Does x improve the likelihood of y in a regression on the conditions, and y that of x? p <= q to min(2p, q).

    The regression is linear where the response is numeric, multinomial-logistic where it is discrete.
    """

    name = REGRESSION

    def p_value(self, x: int, y: int, given: frozenset[int]) -> float:
        p = self._one_way(x, y, given)
        if not self.discrete[x] and not self.discrete[y]:
            return p  # linear both ways: the same statistic
        q = self._one_way(y, x, given)
        return min(2 * min(p, q), max(p, q))

    def _one_way(self, cause: int, response: int, given: frozenset[int]) -> float:
        gain = self._log_likelihood(response, given | {cause}) - self._log_likelihood(response, given)
        response_size = len(self.places[response]) if self.discrete[response] else 1
        return float(special.chdtrc(len(self.places[cause]) * response_size, 2 * max(gain, 0.0)))

    def _log_likelihood(self, response: int, given: frozenset[int]) -> float:
        key = response, given
        if key not in self.memory:
            columns = self.columns(given)
            place = self.places[response]
            if self.discrete[response]:
                codes = self.data[:, response].astype(int)
                self.memory[key] = multinomial_log_likelihood(self.design[:, columns], codes)
            else:
                self.memory[key] = self._linear(int(place[0]), columns)
        value: float = self.memory[key]
        return value

    def _linear(self, response: int, columns: Array) -> float:
        variance = self.moments[response, response]
        if len(columns):
            among = self.moments[np.ix_(columns, columns)] + 1e-9 * np.eye(len(columns))
            along = self.moments[columns, response]
            variance = variance - along @ np.linalg.solve(among, along)
        return -0.5 * len(self.data) * float(np.log(max(variance, 1e-9)))


register_ci_test(INDICATOR, IndicatorTest)
register_ci_test(REGRESSION, RegressionTest)


def multinomial_log_likelihood(x: Array, y: Array, iterations: int = 20) -> float:
    """The maximal log-likelihood of a multinomial-logistic regression, by Newton's method with a little ridge.

    Parameters
    ----------
    x : ndarray, shape (rows, columns)
        Without a constant column, which is added.
    y : ndarray of int, shape (rows,)
        Codes 0 .. k - 1, each of which occurs.
    """
    n, k = len(y), int(y.max()) + 1
    x = np.column_stack([np.ones(n), x])
    p = x.shape[1]
    hits = np.eye(k)[y][:, 1:]  # (n, k - 1): level 0 is the reference
    weights = np.zeros((p, k - 1))
    weights[0] = np.log(np.bincount(y, minlength=k)[1:] / (y == 0).sum())
    value, chances = _likelihood(x, hits, weights)
    for _ in range(iterations):
        slope = x.T @ (hits - chances) - RIDGE * weights  # (p, k - 1)
        curvature = np.empty((k - 1, p, k - 1, p))
        for a in range(k - 1):
            for b in range(a + 1):
                w = chances[:, a] * ((a == b) - chances[:, b])
                curvature[a, :, b] = (x * w[:, None]).T @ x
                curvature[b, :, a] = curvature[a, :, b].T
        flat = curvature.reshape((k - 1) * p, -1) + RIDGE * np.eye((k - 1) * p)
        step = np.linalg.solve(flat, slope.T.ravel()).reshape(k - 1, p).T
        for _halving in range(6):
            better, new_chances = _likelihood(x, hits, weights + step)
            if better >= value:
                break
            step = step / 2
        else:
            break
        gain, value, chances, weights = better - value, better, new_chances, weights + step
        if gain < 1e-4:
            break
    return value


def _likelihood(x: Array, hits: Array, weights: Array) -> tuple[float, Array]:
    """Penalised log-likelihood, and the chances of levels 1 .. k - 1: (rows, k - 1)."""
    scores = x @ weights
    top = np.maximum(scores.max(axis=1), 0.0)
    powers = np.exp(scores - top[:, None])
    total = powers.sum(axis=1) + np.exp(-top)
    value = (hits * scores).sum() - (top + np.log(total)).sum() - 0.5 * RIDGE * (weights**2).sum()
    return float(value), powers / total[:, None]


def _indicators(codes: Array) -> Array:
    """0/1 columns for every level but the first: (rows, levels - 1)."""
    indicators: Array = np.eye(int(codes.max()) + 1)[codes.astype(int)][:, 1:]
    return indicators


def _standard(values: Array) -> Array:
    """Zero mean, unit variance: (rows, 1)."""
    standard: Array = ((values - values.mean()) / (values.std() or 1.0))[:, None]
    return standard
