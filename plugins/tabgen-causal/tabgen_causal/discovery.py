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

from tabgen_causal.independence import INDICATOR, REGRESSION, Budget, IndicatorTest, OutOfBudget

Array = np.ndarray[Any, Any]
TAIL, ARROW, CIRCLE = -1, 1, 2
FIRST_SHARE = 1 / 3
"""Of the tests left, what one search may make: one finished search is worth more than ten that were cut off."""
FEWEST_CONDITIONS = 2
"""Sets are not made smaller than this: graphs are then so dense that FCI makes more tests, not fewer."""
STRONGER_COLLIDERS = 4
"""How PC resolves colliders that contradict each other: by p-value (Ramsey 2016, *Improving accuracy and scalability
of the PC algorithm by maximizing p-value*). causal-learn's default, first come first kept, depends on the order of
the columns."""

UNDECIDED = 0.2
"""Directions whose evidence differs by no more are taken as undecided."""


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
    tests : int
        Tests of independence that finished searches made.
    rows : int
        Rows that each search saw.
    max_conditions : int
        Size of condition sets that the last search used: lowered whenever a search runs out of tests.
    """

    probabilities: Array
    runs: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    tests: int = 0
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
    max_tests: int,
    rng: np.random.Generator,
) -> Discovery:
    """Run every algorithm on every resample, as far as the tests go, and average what they find.

    The first resample is the rows themselves, the others are drawn with replacement. A search that makes more
    than its part of the tests is done again with smaller condition sets.

    Parameters
    ----------
    data : ndarray, shape (rows, columns)
        Numbers, and codes of levels; no constant column, none twice.
    discrete : ndarray of bool, shape (columns,)
    test : str
        A test that causal-learn knows; those of :mod:`tabgen_causal.independence` also keep to the budget.
    max_tests : int
        For all searches together; time is no part of it, so that the graph is the same on every machine.
    """
    start = time.monotonic()
    if len(data) > max_rows:
        data = data[rng.choice(len(data), max_rows, replace=False)]
    pooled, weights = np.zeros((data.shape[1],) * 2), 0
    found = Discovery(pooled, rows=len(data))
    todo = [(number, name) for number in range(max(1, bootstraps)) for name in algorithms]
    rows = np.arange(len(data))
    memory: dict[Any, Any] = {}
    last, tests_left = -1, float(max_tests)
    while todo:
        number, name = todo[0]
        if number != last:
            rows, memory = (rng.integers(0, len(data), len(data)) if number else np.arange(len(data))), {}
            last = number
        share = tests_left * max(1 / len(todo), FIRST_SHARE)
        budget = Budget(share)
        try:
            graph = _search(name, data[rows], discrete, test, alpha, max_conditions, budget, memory)
        except OutOfBudget as reason:
            _note(found.failures, f"{name}: {reason} with condition sets of up to {max_conditions}")
            tests_left -= share
            if max_conditions > FEWEST_CONDITIONS:
                max_conditions -= 1  # again, and for all that follow; what was tested is remembered
            else:
                todo.pop(0)
            continue
        except Exception as error:  # noqa: BLE001 - the libraries raise many; the others' votes count, and it is noted
            _note(found.failures, f"{name}: {type(error).__name__}: {error}"[:200])
            todo.pop(0)
            continue
        todo.pop(0)
        tests_left -= share - budget.tests
        found.tests += round(share - budget.tests)
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
    budget: Budget,
    memory: dict[Any, Any],
) -> Array:
    """One search: the matrix of edge marks. A resample may have lost levels, or a column all but one value."""
    varying = np.flatnonzero((data != data[0]).any(axis=0))
    columns = [np.unique(data[:, i], return_inverse=True)[1] if discrete[i] else data[:, i] for i in varying]
    part = np.column_stack(columns).astype(float)
    extra: dict[str, Any] = {}
    if test in (INDICATOR, REGRESSION):
        extra = {"discrete": discrete[varying], "memory": memory}
        extra |= {"budget": budget, "max_conditions": max_conditions}
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # FCI prints edges as it orients them
        warnings.simplefilter("ignore")  # few rows for many columns; logarithms of zero in finished searches
        if name == "pc":
            found = pc(
                part,
                alpha,
                test,
                uc_priority=STRONGER_COLLIDERS,
                show_progress=False,
                max_k=max_conditions,
                **extra,
            ).G.graph
        else:
            extra |= {"depth": max_conditions, "max_path_length": 3}
            extra |= {"node_names": [Name(f"X{number}") for number in range(1, len(varying) + 1)]}
            found = fci(part, test, alpha, show_progress=False, **extra)[0].graph
    graph = np.zeros((data.shape[1],) * 2)
    graph[np.ix_(varying, varying)] = found
    return graph


class Name(str):
    """``X1``, ``X2``, ...: a column's name, with a hash that is the same in every process.

    causal-learn keeps columns in sets, by their names; the hash of a text is another in every process, and with it
    would be the order of FCI's condition sets, the graph, and the rows.
    """

    def __hash__(self) -> int:
        return int(self[1:])


class Dag:
    """A directed acyclic graph that grows by edges; ``joined`` says which columns have, or are to get, an edge."""

    def __init__(self, joined: Array) -> None:
        n = len(joined)
        self.joined = joined
        self.parents = np.zeros((n, n), dtype=bool)  # [i, j]: i -> j
        self.reaches = np.eye(n, dtype=bool)  # [i, j]: there is a path from i to j
        self.edges: list[tuple[int, int, float]] = []

    def add(self, i: int, j: int, evidence: float) -> None:
        self.edges.append((i, j, evidence))
        self.joined[i, j] = self.joined[j, i] = self.parents[i, j] = True
        self.reaches |= np.outer(self.reaches[:, i], self.reaches[j])

    def colliders(self, i: int, j: int) -> float:
        """How many i -> j would make of columns without an edge between them; infinite where it closes a cycle."""
        if self.reaches[j, i]:
            return float("inf")
        others = self.parents[:, j] & ~self.joined[i]
        others[i] = False
        return float(others.sum())

    def dependent(self, i: int, j: int) -> bool:
        """Whether a path leads from one to the other, or to both from a third: else they are independent."""
        return bool((self.reaches[:, i] & self.reaches[:, j]).any())


def acyclic(probabilities: Array, threshold: float, rng: np.random.Generator, sink: int | None = None) -> Dag:
    """The pooled evidence as one acyclic graph; an edge carries the evidence for its direction.

    Two columns get an edge if the evidence for one direction exceeds the threshold. Where the directions differ
    by more than :data:`UNDECIDED`, the stronger holds, the strongest edges first, turned around or left out if it
    would close a cycle. The others then go the way that makes fewer colliders of columns without an edge between
    them (an undirected edge of PC or FCI is one that is *not* in such a collider, and every one that is made up
    makes its two causes independent); the pair for which that differs most comes first, ties are random. An edge
    of the ``sink`` leads into it, however little evidence there is for any direction.
    """
    evidence = probabilities.round(9)
    if sink is not None:
        evidence[:, sink] += evidence[sink]
        evidence[sink] = 0.0
    strength = np.maximum(evidence, evidence.T)
    dag = Dag(strength > threshold)
    pairs = rng.permutation(np.argwhere(np.triu(dag.joined, 1)))
    undecided = []
    for i, j in pairs[np.argsort(-strength[tuple(pairs.T)], kind="stable")].tolist():
        if sink not in (i, j) and abs(evidence[i, j] - evidence[j, i]) <= UNDECIDED:
            undecided.append((i, j))
            continue
        cause, effect = (i, j) if evidence[i, j] > evidence[j, i] else (j, i)
        if not dag.reaches[effect, cause]:
            dag.add(cause, effect, float(evidence[cause, effect]))
        elif evidence[effect, cause] > threshold:
            dag.add(effect, cause, float(evidence[effect, cause]))
    while undecided:
        there = np.array([dag.colliders(i, j) for i, j in undecided])
        back = np.array([dag.colliders(j, i) for i, j in undecided])
        chosen = int(np.abs(there - back).argmax())
        i, j = undecided.pop(chosen)
        if there[chosen] > back[chosen] or (there[chosen] == back[chosen] and rng.random() < 0.5):
            i, j = j, i
        dag.add(i, j, float(evidence[i, j]))
    return dag


def connect(dag: Dag, test: IndicatorTest, alpha: float, sink: int | None) -> int:
    """Join columns that depend on each other in the data and not in the graph, the most dependent first.

    A graph of the rows' causes has a path between any two dependent columns, or to both from a third (the causal
    Markov condition). Searches break it where columns are nearly functions of each other, since each then screens
    off the other. ``alpha`` is shared by all pairs (Bonferroni). The edge goes the way that makes fewer colliders
    of columns without an edge between them, and never out of the sink; its evidence is 0.

    Returns
    -------
    int
        Edges that were added.
    """
    pairs = [(i, j) for i in range(len(dag.joined)) for j in range(i)]
    dependent = [pair for pair in pairs if test.p_value(*pair, frozenset()) < alpha / len(pairs)]
    before = len(dag.edges)
    for i, j in sorted(dependent, key=lambda pair: -test.dependence(*pair)):
        if not dag.dependent(i, j):
            forward = j == sink or (i != sink and dag.colliders(i, j) <= dag.colliders(j, i))
            dag.add(*((i, j) if forward else (j, i)), 0.0)
    return len(dag.edges) - before
