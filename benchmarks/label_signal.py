"""Where the label's signal goes that `scm` loses: its features, its graph, its label mechanism, or their noise.

On tables outside the suites (benchmarks/outside.py says what to install). `scm` is fitted on the training rows of a
fold, at most --rows; missing values are filled first. What a forest learns from each of these samples is judged on
the fold's test rows (TSTR: `tabgen.adequacy`):

- real: the training rows.
- relabelled: the real features, labels drawn from the label mechanism of `scm`. Lost here: mechanism and noise of the
  label. Left blank where the label leads to columns, since they carry its signal then, and not the mechanism.
- most likely: the same, each row's most likely label. Gained beside `relabelled`: what the noise of the label blurs.
- taught: the features of `scm`, labels drawn from a forest fitted on the real rows. Lost here: features.
- full graph: `scm` in which every column has all columns before it as parents, the label last; the order is that of the
  fitted graph. Gained beside `scm`: what edges were missing.
- quiet: `scm` with the noise of numbers halved. Gained beside `scm`: what the noise of the features blurs.
- scm: as it is.

The error of the mutual information of the pairs with the target (nats, against the test rows; see
benchmarks/dependence.py) stands beside it for `bootstrap`, `scm` and `full graph`.
Recorded results: docs/generators/causal.md.

    OMP_NUM_THREADS=1 python benchmarks/label_signal.py --only segment,wine,newthyroid
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tabgen_causal import SCM

    from tabgen import Table

Array = np.ndarray[Any, Any]

SAMPLES = ("relabelled", "most likely", "taught", "full graph", "quiet", "scm")
DEPENDENCE = ("bootstrap", "scm", "full graph")


def with_labels(table: Table, labels: Array) -> Table:
    """The same features under other labels (codes of the classes)."""
    return table.schema.from_matrix(table.to_matrix(), labels.astype(int))


def drawn(chances: Array, rng: np.random.Generator) -> Array:
    """One column of each row, by the row's probabilities."""
    columns: Array = (chances.cumsum(axis=1) < rng.random((len(chances), 1)) * chances.sum(axis=1, keepdims=True)).sum(
        axis=1
    )
    return columns


def teacher(train: Table, seed: int) -> Callable[[Table], Array]:
    """Probabilities of the classes that were seen, by a forest on all real rows, for rows of a table."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=seed).fit(train.to_matrix(), train.labels)
    return lambda table: forest.predict_proba(table.to_matrix())


def in_full(generator: SCM, seed: int) -> None:
    """Give a fitted `scm` all edges along the order of its graph, the label last, and fit its mechanisms anew."""
    import networkx as nx
    from tabgen_causal.mechanisms import Mechanisms

    nodes = generator._nodes
    order = [node for node in nx.lexicographical_topological_sort(generator._mechanisms.graph) if node != nodes.target]
    order.append(nodes.target)
    edges = list(combinations(order, 2))
    generator._mechanisms = Mechanisms(edges, nodes.kept, generator.regressor)
    generator._mechanisms.fit(nodes.values, nodes.discrete, seed)


def quieter(generator: SCM) -> None:
    """Halve the residuals that numeric mechanisms of a fitted `scm` draw from."""
    for node in generator._mechanisms.graph:
        mechanism = generator._mechanisms._model.causal_mechanism(str(node))
        if hasattr(mechanism, "noise_model"):
            mechanism.noise_model._data = mechanism.noise_model._data / 2


def measure(table: Table, n_rows: int, seed: int) -> dict[str, float]:
    """TSTR of every sample, and errors of dependence on the target, on the first fold of one table."""
    from dependence import codes, mutual_information
    from label_noise import chances
    from tabgen_causal import SCM

    from tabgen import FitContext
    from tabgen.adequacy import adequacy
    from tabgen.references import Bootstrap
    from tabgen.sampling import draw_sample, fit_generator, impute
    from tabgen.splits import split

    parts = split(table.labels, 0, 3, 0, n_rows)
    train, test = impute(table.take(parts.train).observed())[0], impute(table.take(parts.test))[0]
    rng, seen = np.random.default_rng(seed), np.unique(train.labels)

    scm, bootstrap = SCM(), Bootstrap()
    for generator in (scm, bootstrap):
        fit_generator(generator, train, FitContext(seed=seed))
    full, quiet = copy.copy(scm), copy.deepcopy(scm)
    in_full(full, seed)
    quieter(quiet)
    variants = {"scm": scm, "full graph": full, "quiet": quiet, "bootstrap": bootstrap}
    samples = {name: draw_sample(variant, train, len(train), seed + 1) for name, variant in variants.items()}
    graph, target = scm._mechanisms.graph, scm._nodes.target
    if graph.in_degree(target) and not graph.out_degree(target):
        of_mechanism = chances(scm, train)
        samples["relabelled"] = with_labels(train, seen[drawn(of_mechanism, rng)])
        samples["most likely"] = with_labels(train, seen[of_mechanism.argmax(axis=1)])
    samples["taught"] = with_labels(samples["scm"], seen[drawn(teacher(train, seed)(samples["scm"]), rng)])
    scores = {name: adequacy(train, test, samples[name], seed) for name in SAMPLES if name in samples}
    result = {"real": scores["scm"]["adequacy_real"]} | {n: s["adequacy_tstr"] for n, s in scores.items()}
    last = len(train.schema.names)  # the target comes last in `codes`
    with_target = np.array([j == last for _, j in combinations(range(last + 1), 2)])
    truth = mutual_information(codes(test, train))
    for name in DEPENDENCE:
        off = mutual_information(codes(samples[name], train)) - truth
        result[f"{name}: target pairs"] = float(np.abs(off[with_target]).mean())
        result[f"{name}: target pairs, signed"] = float(off[with_target].mean())
        result[f"{name}: other pairs"] = float(np.abs(off[~with_target]).mean())
    return result


def main() -> None:
    from adequacy import tables_of

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="outside", help="outside, or a suite")
    parser.add_argument("--only", help="names of tables, with commas; default: all")
    parser.add_argument("--rows", type=int, default=250, help="training rows, at most")
    parser.add_argument("--seeds", type=int, default=1, help="of fits and draws, how many; means are shown")
    parser.add_argument("--json", type=Path, help="write every figure there")
    arguments = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    columns = ("real", *SAMPLES)
    print(f"| TSTR | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, load in tables_of(arguments.tables).items():
        if arguments.only and name not in arguments.only.split(","):
            continue
        table = load()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            each = [measure(table, arguments.rows, seed) for seed in range(arguments.seeds)]
        results[name] = {key: float(np.mean([r[key] for r in each])) for key in each[0]}
        print(f"| {name} | {' | '.join(f'{results[name].get(c, np.nan):.3f}' for c in columns)} |", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    means = [np.nanmean([r.get(c, np.nan) for r in results.values()]) for c in columns]
    print(f"| mean | {' | '.join(f'{value:.3f}' for value in means)} |")
    print("\n| error of mutual information (nats) | pairs with the target | signed | other pairs |\n|---|---|---|---|")
    for name in DEPENDENCE:
        shown = [
            np.mean([r[f"{name}: {p}"] for r in results.values()])
            for p in ("target pairs", "target pairs, signed", "other pairs")
        ]
        print(f"| {name} | {shown[0]:.4f} | {shown[1]:+.4f} | {shown[2]:.4f} |")


if __name__ == "__main__":
    main()
