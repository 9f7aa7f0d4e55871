"""TabEBM's gradients on real tables: each row's own energy (ours), or the batch's mean (the published package).

The row's own serves four steps, two or one (the paper's sampler).

Every table of `core` with at most --columns feature columns is cut into two halves of at most --rows rows, stratified.
TabEBM is fitted on one half and draws as many rows. For each form, means over the tables of

- drift: how far rows end from where they started, in standard deviations of their class (root mean square)
- energy: how much lower the rows' own energy ends, and the share of rows whose energy ends lower
- class kept: share of drawn rows that a random forest fitted on the *other* real half gives the drawn class, beside the
  share for real rows of the fitted half
- detection: ROC-AUC of a random forest that tells drawn rows from the other real half, 3 folds (0.5: it cannot)

Recorded results: docs/generators/tabebm.md.

    OMP_NUM_THREADS=1 python benchmarks/tabebm_gradient.py
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

FORMS: dict[str, dict[str, Any]] = {
    "each row's own": {},
    "each row's own, reuse=2": {"reuse": 2},
    "each row's own, reuse=1": {"reuse": 1},
    "batch mean": {"batch_mean": True},
}


def numbers(table: Any, schema: Any) -> np.ndarray:
    """Feature columns as numbers, levels as their positions in the schema, unknown ones as -1: (rows, columns)."""
    columns = []
    for column in schema.columns:
        values = table.frame[column.name]
        if column.is_discrete:
            values = values.astype(object).map({level: n for n, level in enumerate(column.levels)}).fillna(-1)
        columns.append(values.to_numpy(dtype=float))
    return np.column_stack(columns)


def measure(table: Any, other: Any, settings: dict[str, Any], model: Any) -> dict[str, float]:
    """One form on one table."""
    import torch
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict
    from tabgen_tabebm import TabEBM

    from tabgen import FitContext
    from tabgen.sampling import draw_sample, fit_generator

    generator = TabEBM(**settings)
    fit_generator(generator, table, FitContext(seed=0, load_model=lambda: model))
    drift, fall = [], []
    for label in np.unique(table.labels):
        rng = np.random.default_rng(1)
        start = generator.start(label, int((table.labels == label).sum()), rng)
        end = generator.walk(start, label, rng)
        with torch.no_grad():
            before, after = (generator.energy(torch.from_numpy(x), label).numpy() for x in (start, end))
        drift.append(np.square(end - start).mean(axis=1))
        fall.append(before - after)
    sample = draw_sample(generator, table, len(table), 1)
    known = RandomForestClassifier(random_state=0).fit(numbers(other, table.schema), other.labels)
    both = np.concatenate([numbers(sample, table.schema), numbers(other, table.schema)])
    real = np.repeat([0, 1], [len(sample), len(other)])
    told = cross_val_predict(RandomForestClassifier(random_state=0), both, real, cv=3, method="predict_proba")[:, 1]
    return {
        "drift": float(np.sqrt(np.concatenate(drift).mean())),
        "energy": float(np.concatenate(fall).mean()),
        "lower": float((np.concatenate(fall) > 0).mean()),
        "kept": float((known.predict(numbers(sample, table.schema)) == sample.labels).mean()),
        "kept_real": float((known.predict(numbers(table, table.schema)) == table.labels).mean()),
        "detection": float(roc_auc_score(real, told)),
    }


def main() -> None:
    import torch
    from sklearn.model_selection import train_test_split

    from tabgen.datasets import core_datasets
    from tabgen.plugins import find_model, get_plugins
    from tabgen.sampling import impute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100, help="of each half, at most")
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--model", default="tabgen-nano", help="foundation model")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = find_model(options.model, get_plugins()).load("cpu")
    results: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
    for dataset in core_datasets():
        table = dataset.load()
        half = min(options.rows, len(table) // 2)
        if len(table.schema.columns) > options.columns or np.bincount(table.labels).min() * half < 3 * len(table):
            continue  # too wide, or a class too small to be in both halves
        parts = train_test_split(
            np.arange(len(table)), train_size=half, test_size=half, stratify=table.labels, random_state=0
        )
        fitted = impute(table.take(parts[0]).observed())[0]
        other = table.take(parts[1])
        for form, settings in FORMS.items():
            results[form].append({"table": dataset.name} | measure(fitted, other, settings, model))
            print(results[form][-1], form, file=sys.stderr, flush=True)
    print(f"{len(results['batch mean'])} tables\n")
    print("| gradient | drift (sd) | energy lower by | rows lower | class kept | of real rows | detection |")
    print("|---|---|---|---|---|---|---|")
    for form, rows in results.items():
        mean = {name: np.mean([row[name] for row in rows]) for name in rows[0] if name != "table"}
        print(
            f"| {form} | {mean['drift']:.3f} | {mean['energy']:.3f} | {mean['lower']:.0%} "
            f"| {mean['kept']:.1%} | {mean['kept_real']:.1%} | {mean['detection']:.3f} |"
        )


if __name__ == "__main__":
    main()
