"""Simulated structural causal models with known graphs, and the structural Hamming distance to them."""

from graphlib import TopologicalSorter

import numpy as np


def random_dag(n_nodes: int, n_edges: int, rng: np.random.Generator) -> np.ndarray:
    """Adjacency [i, j] for i -> j; nodes in random order, as algorithms that break ties by it would profit."""
    pairs = np.array([(i, j) for i in range(n_nodes) for j in range(i + 1, n_nodes)])
    graph = np.zeros((n_nodes, n_nodes), dtype=bool)
    graph[tuple(pairs[rng.permutation(len(pairs))[:n_edges]].T)] = True
    order = rng.permutation(n_nodes)
    return graph[np.ix_(order, order)]


def simulate(graph: np.ndarray, n_rows: int, linear: bool, rng: np.random.Generator) -> np.ndarray:
    """Numbers with additive noise; the non-linear mechanisms are sines and absolute values of each parent."""
    x = np.zeros((n_rows, len(graph)))
    for j in TopologicalSorter({j: np.flatnonzero(graph[:, j]).tolist() for j in range(len(graph))}).static_order():
        x[:, j] = rng.standard_normal(n_rows)
        for i in np.flatnonzero(graph[:, j]):
            weight = rng.choice([-1, 1]) * rng.uniform(0.7, 1.5)
            x[:, j] += weight * (x[:, i] if linear else x[:, i] + np.sin(2 * x[:, i]))
        x[:, j] /= x[:, j].std()
    return x


def hamming(found: np.ndarray, truth: np.ndarray) -> float:
    """Pairs of nodes whose edge differs: absent, added or turned around; an undirected edge counts a half."""
    distance = 0.0
    for i in range(len(truth)):
        for j in range(i + 1, len(truth)):
            real, seen = (truth[i, j], truth[j, i]), (found[i, j], found[j, i])
            undecided = seen[0] and seen[1] and (real[0] or real[1])
            distance += 0.5 if undecided else float(tuple(map(bool, seen)) != tuple(map(bool, real)))
    return distance
