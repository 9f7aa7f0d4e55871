"""How well generators keep pairwise dependence: error of the mutual-information matrix on the tables of `core`.

Every table is cut into two halves of at most --rows rows, stratified. Generators are fitted on one half and draw as
many rows as the other has; the error is the mean absolute difference, over all pairs of columns (the target is one),
between the mutual information in the drawn rows and in the other, unseen half, in nats. Numbers are cut into
fifths, at quantiles of the fitted half. The pairs with the target, by which a sample teaches, are reported apart: a
mean over all pairs hides them. `bootstrap` is then the split-half error, the best that can be hoped for; `independent`
is the floor.

    OMP_NUM_THREADS=1 python benchmarks/dependence.py --generators bootstrap,independent,scm
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tabgen import Table


def codes(table: Table, reference: Table) -> np.ndarray:
    """Every column as small integers, -1 where missing: (rows, columns)."""
    out = []
    discrete = {c.name: c.levels for c in reference.schema.columns if c.is_discrete}
    discrete[reference.schema.target] = reference.schema.classes
    for name in [*reference.schema.names, reference.schema.target]:
        values = table.frame[name]
        if name in discrete:
            known = {level: code for code, level in enumerate(discrete[name])}
            out.append(values.astype(object).map(known).fillna(-1).astype(int).to_numpy())
        else:
            edges = np.unique(reference.frame[name].dropna().quantile([0.2, 0.4, 0.6, 0.8]))
            out.append(np.where(values.isna(), -1, np.searchsorted(edges, values)))
    return np.column_stack(out)


def mutual_information(rows: np.ndarray) -> np.ndarray:
    """Of each pair of columns, over the rows that have both, in nats: (pairs,)."""
    from sklearn.metrics import mutual_info_score

    out = []
    for i, j in combinations(range(rows.shape[1]), 2):
        both = rows[(rows[:, i] >= 0) & (rows[:, j] >= 0)]
        out.append(mutual_info_score(both[:, i], both[:, j]) if len(both) else 0.0)
    return np.array(out)


def main() -> None:
    from tabgen import FitContext
    from tabgen.datasets import core_datasets
    from tabgen.plugins import find_model, get_plugins
    from tabgen.sampling import draw_sample, fit_generator
    from tabgen.splits import split

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generators", default="bootstrap,independent,scm", help="names, with commas")
    parser.add_argument("--tables", help="names of tables of core, with commas; default: all")
    parser.add_argument("--rows", type=int, default=300, help="rows of each half, at most")
    parser.add_argument("--model", default="tabgen-nano", help="foundation model of generators that use one")
    parser.add_argument("--json", type=Path, help="write the error of every table there")
    arguments = parser.parse_args()
    plugins = get_plugins()
    names = arguments.generators.split(",")
    names = [*dict.fromkeys(["bootstrap", "independent", *names])]
    chosen = arguments.tables.split(",") if arguments.tables else [d.name for d in core_datasets()]
    errors: dict[str, dict[str, float]] = {}
    of_target: dict[str, dict[str, float]] = {}
    print(f"| table | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for dataset in core_datasets():
        if dataset.name not in chosen:
            continue
        table = dataset.load()
        parts = split(table.labels, 0, 2, 0, max_test_rows=arguments.rows)
        known = np.concatenate([parts.train, parts.validation])
        known = np.sort(np.random.default_rng(0).permutation(known)[: arguments.rows])
        fitted, unseen = table.take(known).observed(), table.take(parts.test)
        errors[dataset.name], of_target[dataset.name] = {}, {}
        last = len(fitted.schema.names)  # the target comes last in `codes`
        with_target = np.array([j == last for _, j in combinations(range(last + 1), 2)])
        for name in names:
            load = lambda: find_model(arguments.model, plugins).load("cpu")  # noqa: E731
            context = FitContext(seed=0, deadline=time.monotonic() + 600, load_model=load)
            generator = plugins.generators[name]()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    fit_generator(generator, fitted, context)
                    sample = draw_sample(generator, fitted, len(unseen), 1)
                difference = mutual_information(codes(sample, fitted)) - mutual_information(codes(unseen, fitted))
                errors[dataset.name][name] = float(np.abs(difference).mean())
                of_target[dataset.name][name] = float(np.abs(difference[with_target]).mean())
            except Exception as error:  # noqa: BLE001 - a hole in the table, with its reason
                print(f"{dataset.name}, {name}: {type(error).__name__}: {error}")
        shown = [f"{errors[dataset.name][n]:.4f}" if n in errors[dataset.name] else "failed" for n in names]
        print(f"| {dataset.name} | {' | '.join(shown)} |", flush=True)
        if arguments.json:
            both = {"pairs": errors, "pairs_with_target": of_target}
            arguments.json.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")
    print("\n| generator | mean error | with the target | median of error / bootstrap's | nearer than independent |")
    print("|---|---|---|---|---|")
    for name in names:
        mine = [row for row in errors.values() if name in row]
        mean = np.mean([row[name] for row in mine])
        target = np.mean([row[name] for row in of_target.values() if name in row])
        ratio = np.median([row[name] / row["bootstrap"] for row in mine])
        nearer = sum(row[name] < row["independent"] for row in mine)
        print(f"| {name} | {mean:.4f} | {target:.4f} | {ratio:.2f} | {nearer} of {len(mine)} |")


if __name__ == "__main__":
    main()
