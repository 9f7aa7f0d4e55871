"""How near tabgen-causal's graphs come to known ones: PC alone, FCI alone, and both pooled over bootstraps.

Simulated structural causal models of 8 numeric columns and 10 edges, with linear and with non-linear mechanisms.
Structural Hamming distance: pairs of columns whose edge differs from the truth (absent, added, turned around;
left undirected: a half). The empty graph has 10. Recorded results: docs/generators/README.md.

    python benchmarks/graph_recovery.py --models 30 --first 1000
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins" / "tabgen-causal" / "tests"))

POOLED = "PC + FCI, pooled over 5 bootstraps"
CONNECTED = "the same, dependent columns connected (`scm`)"
SEARCHES = {"PC": (("pc",), 1), "FCI": (("fci",), 1), POOLED: (("pc", "fci"), 5)}


def score(graph: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Hamming distance, and recall and precision of the skeleton."""
    from simulate import hamming

    hits = ((graph | graph.T) & (truth | truth.T)).sum() / 2
    return hamming(graph, truth), hits / truth.sum(), hits / max(graph.sum(), 1)


def main() -> None:
    from simulate import random_dag, simulate
    from tabgen_causal.discovery import acyclic, connect, discover
    from tabgen_causal.independence import INDICATOR, pairwise_test

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=15, help="simulated models of each kind")
    parser.add_argument("--first", type=int, default=0, help="seed of the first simulated model")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--threshold", type=float, default=0.3)
    arguments = parser.parse_args()
    print("| mechanisms | graph | distance | sd | pooled minus this (1) | skeleton recall | skeleton precision |")
    print("|---|---|---|---|---|---|---|")
    for linear in (True, False):
        scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in (*SEARCHES, CONNECTED)}
        for seed in range(arguments.first, arguments.first + arguments.models):
            rng = np.random.default_rng(seed)
            truth = random_dag(8, 10, rng)
            data = simulate(truth, arguments.rows, linear, rng)
            none = np.zeros(8, dtype=bool)
            for name, (algorithms, bootstraps) in SEARCHES.items():
                found = discover(
                    data,
                    none,
                    test=INDICATOR,
                    alpha=arguments.alpha,
                    bootstraps=bootstraps,
                    max_conditions=3,
                    algorithms=algorithms,
                    max_rows=1000,
                    max_tests=500_000,
                    rng=np.random.default_rng(0),
                )
                dag = acyclic(found.probabilities, arguments.threshold, np.random.default_rng(0))
                scores[name].append(score(dag.parents, truth))
                if name == POOLED:
                    connect(dag, pairwise_test(data, none), arguments.alpha, None)
                    scores[CONNECTED].append(score(dag.parents, truth))
        pooled = np.array([row[0] for row in scores[POOLED]])
        for name, rows in scores.items():
            distance, recall, precision = np.mean(rows, axis=0)
            distances = np.array([row[0] for row in rows])
            apart = pooled - distances
            beside = f"{apart.mean():+.2f} ± {apart.std(ddof=1) / len(apart) ** 0.5:.2f}" if name != POOLED else ""
            print(
                f"| {'linear' if linear else 'non-linear'} | {name} | {distance:.2f} | {distances.std(ddof=1):.2f} "
                f"| {beside} | {recall:.2f} | {precision:.2f} |",
                flush=True,
            )
    print("\n(1) Paired by model, with its standard error; negative: pooling is nearer to the truth.")


if __name__ == "__main__":
    main()
