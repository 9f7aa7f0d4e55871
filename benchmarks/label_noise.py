"""How noisy the labels are that `scm` draws: their entropy against the log-loss of the same mechanism on unseen rows.

On tables outside the suites (benchmarks/outside.py says what to install), or on a suite: `scm` is fitted on the
training rows of a fold, at most --rows. The mean entropy of the label's probabilities at drawn rows is what the
sample's labels hold of noise; the log-loss at real test rows is what they should hold. A ratio near 1 is right; below
it, labels are too clean. Recorded results: docs/generators/causal.md.

    OMP_NUM_THREADS=1 python benchmarks/label_noise.py --tables outside
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tabgen_causal import SCM

    from tabgen import Table


def chances(generator: SCM, table: Table) -> np.ndarray:
    """The probabilities of the classes that were seen, at the rows of a table: (rows, classes)."""
    from tabgen_causal.encoding import read_nodes

    mechanisms, nodes = generator._mechanisms, read_nodes(table)
    parents = sorted(mechanisms.graph.predecessors(nodes.target), key=str)
    columns = [np.array(mechanisms._column(nodes.values[:, p], p), dtype=object) for p in parents]
    mechanism = mechanisms._model.causal_mechanism(str(nodes.target))
    return np.asarray(mechanism.estimate_probabilities(np.column_stack(columns)))


def main() -> None:
    from adequacy import tables_of
    from tabgen_causal import SCM

    from tabgen import FitContext, Table
    from tabgen.sampling import draw_sample, fit_generator, impute
    from tabgen.splits import split

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="outside", help="outside, or a suite")
    parser.add_argument("--only", help="names of tables, with commas; default: all")
    parser.add_argument("--rows", type=int, default=250)
    arguments = parser.parse_args()
    ratios = []
    print("| table | entropy of drawn labels | log-loss on test rows | ratio |\n|---|---|---|---|")
    for name, load in tables_of(arguments.tables).items():
        if arguments.only and name not in arguments.only.split(","):
            continue
        table = load()
        parts = split(table.labels, 0, 3, 0, arguments.rows)
        train = impute(table.take(parts.train).observed())[0]
        test = impute(table.take(parts.test))[0]
        known = np.ones(len(test), dtype=bool)
        for column in train.schema.columns:  # levels that were never seen have no code of their own
            if column.is_discrete:
                known &= test.frame[column.name].isin(column.levels).to_numpy()
        frame = test.frame[known].astype({c.name: object for c in train.schema.columns if c.is_discrete})
        test = train.like(frame)
        generator = SCM()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit_generator(generator, train, FitContext(seed=0))
            sample = draw_sample(generator, train, len(train), 1)
        if not generator._mechanisms.graph.in_degree(generator._nodes.target):
            print(f"| {name} | the label has no cause | | |", flush=True)
            continue
        seen = np.unique(train.labels)
        drawn, real = chances(generator, sample), chances(generator, Table(test.frame, test.schema))
        entropy = float(-(drawn * np.log(drawn)).sum(axis=1).mean())
        rows = np.isin(test.labels, seen)
        log_loss = float(-np.log(real[rows][np.arange(rows.sum()), np.searchsorted(seen, test.labels[rows])]).mean())
        ratios.append(entropy / log_loss)
        print(f"| {name} | {entropy:.3f} | {log_loss:.3f} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nMean ratio {np.mean(ratios):.2f}, median {np.median(ratios):.2f}, {len(ratios)} tables")


if __name__ == "__main__":
    main()
