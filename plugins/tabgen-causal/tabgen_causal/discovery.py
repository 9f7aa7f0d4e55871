"""From a table to one directed acyclic graph: PC and FCI on resampled rows, pooled into edge probabilities.

PC: Spirtes and Glymour 1991, *An algorithm for fast recovery of sparse causal graphs*; FCI: Spirtes, Meek,
Richardson 1995; both by causal-learn (Zheng et al. 2024, JMLR 25). How they are pooled is **ours**: the paper's
code is not public.
"""

from __future__ import annotations

import time
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import numpy as np
from causallearn.search.ConstraintBased.FCI import fci
from causallearn.search.ConstraintBased.PC import pc

from tabgen_causal.independence import INDICATOR, REGRESSION, OutOfTime

Array = np.ndarray[Any, Any]
TAIL, ARROW, CIRCLE = -1, 1, 2
FIRST_SHARE = 1 / 3
"""Of the time left, what one search may take: one finished search is worth more than ten that were cut off."""
MANY_COLUMNS = 20
"""From here on condition sets start smaller by one: the number of tests grows with a power of the columns."""


@dataclass
class Discovery:
    """What the searches found, and how they went.

    Attributes
    ----------
    probabilities : ndarray, shape (columns, columns)
        ``[i, j]``: how much of the evidence is for i -> j.
    runs : dict
        Finished searches by algorithm.
    failures : list of str
        Why others did not finish, each reason once.
    seconds : float
    rows : int
        Rows that each search saw.
    max_conditions : int
        Size of condition sets that the last search used: lowered whenever a search runs out of time.
    """

    probabilities: Array
    runs: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    rows: int = 0
    max_conditions: int = 0


def edge_weights(graph: Array) -> Array:
    """A graph of causal-learn as weights of directed edges: [i, j] for i -> j.

    1 for ``i -> j``; 0.5 each way for ``i - j``, ``i o-o j`` and ``i <-> j`` (the dependence is there, its
    direction is not); 0.5 for i -> j alone for ``i o-> j``, as j is no cause of i.

    Parameters
    ----------
    graph : ndarray, shape (columns, columns)
        ``graph[i, j]`` is the mark at i of the edge between i and j: -1 tail, 1 arrow head, 2 circle, 0 no edge.
    """
    at_source, at_target = graph, graph.T
    weights = np.zeros(graph.shape)
    weights[(at_source == TAIL) & (at_target == ARROW)] = 1.0
    weights[(at_source == CIRCLE) & (at_target == ARROW)] = 0.5
    weights[(at_source == at_target) & (at_source != 0)] = 0.5
    weights[(at_source == CIRCLE) & (at_target == TAIL)] = 0.5
    weights[(at_source == TAIL) & (at_target == CIRCLE)] = 0.5
    return weights


def discover(
    data: Array,
    discrete: Array,
    *,
    test: str,
    alpha: float,
    bootstraps: int,
    max_conditions: int,
    algorithms: tuple[str, ...],
    max_rows: int,
    seconds: float,
    rng: np.random.Generator,
) -> Discovery:
    """Run every algorithm on every resample, as far as the time goes, and average what they find.

    The first resample is the rows themselves, the others are drawn with replacement. A search that takes more
    than its part of the time is done again with smaller condition sets.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Numbers, and codes of levels; no constant column, none twice.
    discrete : ndarray of bool, shape (columns,)
    test : str
        A test that causal-learn knows; those of :mod:`tabgen_causal.independence` also stop in time.
    seconds : float
        For all searches together.
    """
    start = time.monotonic()
    if len(data) > max_rows:
        data = data[rng.choice(len(data), max_rows, replace=False)]
    pooled, weights = np.zeros((data.shape[1],) * 2), 0
    found = Discovery(pooled, rows=len(data))
    todo = [(number, name) for number in range(max(1, bootstraps)) for name in algorithms]
    rows, memory = np.arange(len(data)), {}
    last = -1
    if data.shape[1] > MANY_COLUMNS:
        max_conditions = max(1, max_conditions - 1)
    while todo:
        (number, name), now = todo[0], time.monotonic()
        deadline = now + (start + seconds - now) * max(1 / len(todo), FIRST_SHARE)
        if number != last:
            rows, memory = (rng.integers(0, len(data), len(data)) if number else np.arange(len(data))), {}
            last = number
        try:
            if now >= start + seconds:
                raise OutOfTime
            graph = _search(name, data[rows], discrete, test, alpha, max_conditions, deadline, memory)
        except OutOfTime:
            _note(found.failures, f"{name}: out of time with condition sets of up to {max_conditions}")
            if max_conditions > 1 and now < start + seconds:
                max_conditions -= 1  # again, and for all that follow; what was tested is remembered
            else:
                todo.pop(0)
            continue
        except Exception as error:  # noqa: BLE001 - the libraries raise many; the others' votes count, and it is noted
            _note(found.failures, f"{name}: {type(error).__name__}: {error}"[:200])
            todo.pop(0)
            continue
        todo.pop(0)
        pooled += edge_weights(graph)
        weights += 1
        found.runs[name] = found.runs.get(name, 0) + 1
    found.probabilities = pooled / max(weights, 1)
    found.max_conditions = max_conditions
    found.seconds = time.monotonic() - start
    return found


def _note(failures: list[str], reason: str) -> None:
    if reason not in failures:
        failures.append(reason)


def _search(
    name: str,
    data: Array,
    discrete: Array,
    test: str,
    alpha: float,
    max_conditions: int,
    deadline: float,
    memory: dict[Any, Any],
) -> Array:
    """One search: the matrix of edge marks. A resample may have lost levels, or a column all but one value."""
    varying = np.flatnonzero((data != data[0]).any(axis=0))
    columns = [np.unique(data[:, i], return_inverse=True)[1] if discrete[i] else data[:, i] for i in varying]
    part = np.column_stack(columns).astype(float)
    extra: dict[str, Any] = {}
    if test in (INDICATOR, REGRESSION):
        extra = {"discrete": discrete[varying], "memory": memory}
        extra |= {"deadline": deadline, "max_conditions": max_conditions}
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # FCI prints edges as it orients them
        warnings.simplefilter("ignore")  # few rows for many columns; logarithms of zero in finished searches
        if name == "pc":
            found = pc(part, alpha, test, show_progress=False, max_k=max_conditions, **extra).G.graph
        else:
            extra |= {"depth": max_conditions, "max_path_length": 3}
            found = fci(part, test, alpha, show_progress=False, **extra)[0].graph
    graph = np.zeros((data.shape[1],) * 2)
    graph[np.ix_(varying, varying)] = found
    return graph


def acyclic(probabilities: Array, threshold: float, rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """Edges above the threshold, strongest first, without those that would close a cycle; ties in random order."""
    sources, targets = np.nonzero(probabilities > threshold)
    order = np.lexsort([rng.random(len(sources)), -probabilities[sources, targets].round(9)])
    n = len(probabilities)
    reaches = np.eye(n, dtype=bool)  # [i, j]: there is a path from i to j
    edges = []
    for i, j in zip(sources[order].tolist(), targets[order].tolist(), strict=True):
        if i != j and not reaches[j, i]:
            edges.append((i, j, float(probabilities[i, j])))
            reaches |= np.outer(reaches[:, i], reaches[j])
    return edges
