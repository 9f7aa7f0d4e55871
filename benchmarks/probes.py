"""Probe a checkpoint with families of controlled tasks whose best possible score is known.

    OMP_NUM_THREADS=1 python benchmarks/probes.py tabgen-nano runs/new

Every family is a mechanism with class probabilities that are known exactly; a task is one draw of it, with labels
drawn from those probabilities. Eight tasks a family, 400 context rows and 400 test rows unless the family says
otherwise. Printed per family: the ROC-AUC of the true probabilities, of CatBoost at its defaults and of each
checkpoint, then log-loss and calibration error. CatBoost's scores are kept in `probes_catboost.json`, with
a digest of the tasks they belong to (`--catboost` computes those that are not there; `pip install '.[catboost]'`).

The tasks share no code with the pre-training priors. They choose between checkpoints; they are no evaluation suite.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from zero_shot_quality import Predict, catboost, fitted, in_context

from tabgen.metrics import expected_calibration_error, log_loss, roc_auc
from tabgen.plugins import PluginChoice, find_model, load_plugins
from tabgen.table import Table

Array = np.ndarray[Any, Any]
Rng = np.random.Generator
Mechanism = Callable[[Rng, int], tuple[Array, Array]]
"""(generator, rows) -> features, class probabilities."""
CACHE = Path(__file__).parent / "probes_catboost.json"
SEEDS = 8
METRICS = {"roc_auc": roc_auc, "log_loss": log_loss, "calibration_error": expected_calibration_error}


@dataclass(frozen=True)
class Family:
    """A mechanism, what it stands for, how many context rows its tasks have, and which columns are categories."""

    draw: Mechanism
    group: str
    context_rows: int = 400
    categorical: tuple[int, ...] = ()


@dataclass(frozen=True)
class Task:
    """The rows a model sees, those it predicts, and the best it can say of them."""

    context: Table
    test: Table
    best: Array
    """The true class probabilities of the test rows, in the order of the table's classes."""


TEST_ROWS = 400


def make_task(name: str, seed: int) -> Task:
    """Task number ``seed`` of a family; a draw whose context lacks a class is drawn again."""
    family = FAMILIES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    while True:
        x, p = family.draw(rng, family.context_rows + TEST_ROWS)
        p = p / p.sum(1, keepdims=True)
        y = (p.cumsum(1)[:, :-1] < rng.random((len(p), 1))).sum(1)
        if all(len(np.unique(part)) == p.shape[1] for part in np.split(y, [family.context_rows])):
            break
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
    for column in family.categorical:
        frame[f"x{column}"] = frame[f"x{column}"].astype(int).astype("category")
    frame["y"] = y
    kinds = {f"x{i}": "categorical" if i in family.categorical else "numeric" for i in range(x.shape[1])}
    table = Table.from_frame(frame, "y", kinds, name)
    context, test = np.arange(family.context_rows), np.arange(family.context_rows, len(frame))
    return Task(table.take(context), table.take(test), p[test])


def sigmoid(score: Array) -> Array:
    p = 1 / (1 + np.exp(-score))
    return np.column_stack([1 - p, p])


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max(1, keepdims=True))
    p: Array = e / e.sum(1, keepdims=True)
    return p


def certain(label: Array, k: int = 2, wrong: float = 0.0) -> Array:
    """One-hot probabilities of which a share goes to all classes alike."""
    p: Array = np.eye(k)[np.asarray(label, dtype=int)] * (1 - wrong) + wrong / k
    return p


def scaled(x: Array) -> Array:
    z: Array = (x - x.mean(0)) / x.std(0)
    return z


# sharp rules


def xor(drivers: int, columns: int, wrong: float = 0.0) -> Mechanism:
    """The parity of some columns' signs."""

    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        x = rng.normal(size=(n, columns))
        return x, certain((x[:, :drivers] > 0).sum(1) % 2, 2, wrong)

    return draw


def checkerboard(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.random((n, 5))
    return x, certain(np.floor(x[:, :2] * 3).sum(1) % 2)


def tree(depth: int, columns: int, k: int = 2, wrong: float = 0.04) -> Mechanism:
    """A complete tree, every node with a column and a threshold of its own; every class has as many leaves."""

    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        x = rng.normal(size=(n, columns))
        column, threshold = rng.integers(columns, size=2**depth), rng.normal(0, 0.4, size=2**depth)
        node = np.ones(n, dtype=int)
        for _ in range(depth):
            node = 2 * node + (x[np.arange(n), column[node]] > threshold[node])
        return x, certain((rng.permutation(2**depth) % k)[node - 2**depth], k, wrong)

    return draw


def lookup(levels: int, columns: int, coded: bool) -> Mechanism:
    """A table of classes for the combinations of two columns' levels, or bins."""

    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        u = rng.random((n, columns))
        cell = np.floor(u * levels).astype(int)
        table = (rng.permutation(levels**2) % 2).reshape(levels, levels)
        return (cell if coded else u).astype(float), certain(table[cell[:, 0], cell[:, 1]], 2, 0.04)

    return draw


def conjunction(any_of: bool) -> Mechanism:
    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        x = rng.normal(size=(n, 8))
        holds = x[:, :3] > (0.8 if any_of else -0.8)
        return x, certain(np.any(holds, axis=1) if any_of else np.all(holds, axis=1), 2, 0.04)

    return draw


def sites(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 6))
    places = rng.normal(size=(8, 3))
    nearest = ((x[:, None, :3] - places) ** 2).sum(2).argmin(1)
    return x, certain(nearest % 4, 4, 0.04)


def ring(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 6))
    return x, certain((x[:, :2] ** 2).sum(1) > 1.4, 2, 0.04)


def one_threshold(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 30))
    return x, certain(x[:, rng.integers(30)] > rng.normal(0, 0.5), 2, 0.1)


def product(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 8))
    return x, sigmoid(4 * x[:, 0] * x[:, 1])


def comparison(rng: Rng, n: int) -> tuple[Array, Array]:
    """Which of four independent columns is the largest."""
    x = rng.normal(size=(n, 8))
    return x, certain(x[:, :4].argmax(1), 4, 0.04)


# categories


def levels(count: int, columns: int, relevant: int = 1, zipf: float = 0.0) -> Mechanism:
    """Effects of their own for the levels of some columns."""

    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        shares = np.arange(1, count + 1) ** -zipf
        codes = np.column_stack([
            rng.permutation(count)[rng.choice(count, n, p=shares / shares.sum())] for _ in range(columns)
        ])  # fmt: skip
        effects = rng.normal(size=(relevant, count)) * 2.5 / relevant**0.5
        score = sum(effects[c][codes[:, c]] for c in range(relevant))
        return codes.astype(float), sigmoid(np.asarray(score))

    return draw


def levels_and_numbers(rng: Rng, n: int) -> tuple[Array, Array]:
    code = rng.integers(12, size=(n, 2))
    numbers = rng.normal(size=(n, 4))
    effect = rng.normal(size=12) * 1.5
    return np.column_stack([code, numbers]), sigmoid(effect[code[:, 0]] + 1.5 * numbers[:, 0] - numbers[:, 1])


def binary_columns(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.integers(2, size=(n, 20)).astype(float)
    return x, sigmoid((x - 0.5) @ rng.normal(size=20) * 1.5)


# collinear columns


def collinear(contrast: bool) -> Mechanism:
    """Eight columns of two factors, each with a fifth of noise of its own."""

    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        factors = rng.normal(size=(n, 2))
        own = rng.normal(size=(n, 8))
        x = factors[:, [0, 0, 0, 0, 1, 1, 1, 1]] + 0.2 * own
        score = (own[:, 0] - own[:, 1]) * 3 if contrast else 3 * (factors[:, 0] - factors[:, 1])
        return x, sigmoid(score)

    return draw


def slope_of_a_series(rng: Rng, n: int) -> tuple[Array, Array]:
    """Twelve neighbouring points of random walks; the label is whether they rise."""
    steps = rng.normal(size=(n, 12))
    x = 3 * rng.normal(size=(n, 1)) + steps.cumsum(1)
    return x, sigmoid(1.5 * (x[:, -1] - x[:, 0]))


# smooth and noisy


def linear(columns: int, relevant: int, strength: float, sparse_noise: float = 0.0) -> Mechanism:
    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        x = rng.normal(size=(n, columns))
        weights = rng.normal(size=relevant)
        score = strength * x[:, :relevant] @ weights / np.linalg.norm(weights)
        if sparse_noise:
            x = np.where(rng.random(x.shape) < sparse_noise, np.nan, x)
        return x, sigmoid(score)

    return draw


def three_of_forty(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 40))
    return x, sigmoid(2 * x[:, 0] + 2 * np.sin(2 * x[:, 1]) + 2 * (x[:, 2] > 0.5))


def additive(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 8))
    waves = np.sin(x[:, :4] * rng.uniform(0.5, 2.0, 4) + rng.uniform(0, 6, 4))
    return x, sigmoid(2 * waves.sum(1))


def smooth_surface(rng: Rng, n: int) -> tuple[Array, Array]:
    """Random Fourier features of four columns: a draw of a Gaussian process."""
    x = rng.normal(size=(n, 4))
    return x, sigmoid(
        4 * np.sqrt(2 / 100) * np.cos(x @ rng.normal(size=(4, 100)) * 0.8 + rng.uniform(0, 6.3, 100)).sum(1)
    )


def ordinal(rng: Rng, n: int) -> tuple[Array, Array]:
    """Five ordered classes of one linear score."""
    x = rng.normal(size=(n, 8))
    score = scaled(x @ rng.normal(size=8)) * 2.5
    below = 1 / (1 + np.exp(-(np.array([-2.2, -0.7, 0.7, 2.2]) - score[:, None]) * 2))
    return x, np.diff(np.column_stack([np.zeros(n), below, np.ones(n)]), axis=1)


def classes(k: int) -> Mechanism:
    """A multinomial logistic model of ten columns."""

    def draw(rng: Rng, n: int) -> tuple[Array, Array]:
        x = rng.normal(size=(n, 10))
        return x, softmax(x @ rng.normal(size=(10, k)) * 0.8)

    return draw


def blobs(rng: Rng, n: int) -> tuple[Array, Array]:
    """Six normal classes around centres of their own, by Bayes' rule."""
    centres = rng.normal(size=(6, 6)) * 1.0
    x = centres[rng.integers(6, size=n)] + rng.normal(size=(n, 6))
    return x, softmax(-0.5 * ((x[:, None] - centres) ** 2).sum(2))


def imbalanced(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 10))
    return x, sigmoid(x @ rng.normal(size=10) * 0.6 - 4)


def heavy_tails(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.standard_t(1.5, size=(n, 8))
    return x, sigmoid(np.arctan(x[:, :3]) @ np.array([2.0, -2.0, 1.0]))


def counts(rng: Rng, n: int) -> tuple[Array, Array]:
    x = rng.poisson(3, size=(n, 8)).astype(float)
    return x, sigmoid(0.8 * (x[:, 0] + x[:, 1] - x[:, 2] - 3))


def wrong_labels(rng: Rng, n: int) -> tuple[Array, Array]:
    """A linear rule of which a quarter of the labels are drawn anew."""
    x = rng.normal(size=(n, 8))
    return x, certain(x @ rng.normal(size=8) > 0, 2, 0.5)


FAMILIES: dict[str, Family] = {
    "xor of 2 in 8": Family(xor(2, 8), "sharp"),
    "xor of 2 in 20": Family(xor(2, 20), "sharp"),
    "xor of 3 in 6": Family(xor(3, 6), "sharp"),
    "checkerboard 3 x 3": Family(checkerboard, "sharp"),
    "tree of depth 3": Family(tree(3, 8), "sharp"),
    "tree of depth 4": Family(tree(4, 8), "sharp"),
    "tree, 4 classes": Family(tree(3, 8, 4), "sharp"),
    "tree, 8 classes": Family(tree(4, 8, 8), "sharp", 800),
    "tree, 1,000 rows": Family(tree(5, 12), "sharp", 1000),
    "lookup of 2 categories": Family(lookup(5, 5, True), "sharp", categorical=(0, 1, 2, 3, 4)),
    "lookup of 2 numbers": Family(lookup(4, 5, False), "sharp"),
    "all of 3": Family(conjunction(False), "sharp"),
    "any of 3": Family(conjunction(True), "sharp"),
    "nearest sites": Family(sites, "sharp"),
    "ring": Family(ring, "sharp"),
    "one threshold in 30": Family(one_threshold, "sharp"),
    "product": Family(product, "sharp"),
    "largest of 4": Family(comparison, "sharp"),
    "10 levels": Family(levels(10, 5), "categories", categorical=(0, 1, 2, 3, 4)),
    "30 levels": Family(levels(30, 5), "categories", categorical=(0, 1, 2, 3, 4)),
    "100 levels, Zipf": Family(levels(100, 4, 1, 1.0), "categories", 800, (0, 1, 2, 3)),
    "3 columns of 8 levels": Family(levels(8, 6, 3), "categories", categorical=(0, 1, 2, 3, 4, 5)),
    "levels and numbers": Family(levels_and_numbers, "categories", categorical=(0, 1)),
    "20 binary columns": Family(binary_columns, "categories"),
    "collinear, contrast": Family(collinear(True), "collinear"),
    "collinear, factors": Family(collinear(False), "collinear"),
    "slope of a series": Family(slope_of_a_series, "collinear"),
    "linear": Family(linear(10, 10, 3), "smooth"),
    "linear, noisy": Family(linear(10, 10, 0.8), "smooth"),
    "linear, 100 rows": Family(linear(6, 6, 3), "smooth", 100),
    "linear, 10 of 60": Family(linear(60, 10, 3), "smooth"),
    "linear, missing values": Family(linear(8, 8, 3, 0.25), "smooth"),
    "3 of 40": Family(three_of_forty, "smooth"),
    "additive": Family(additive, "smooth"),
    "smooth surface": Family(smooth_surface, "smooth"),
    "ordinal, 5 classes": Family(ordinal, "smooth"),
    "5 classes": Family(classes(5), "smooth"),
    "10 classes": Family(classes(10), "smooth", 800),
    "blobs, 6 classes": Family(blobs, "smooth"),
    "imbalanced": Family(imbalanced, "smooth"),
    "heavy tails": Family(heavy_tails, "smooth"),
    "counts": Family(counts, "smooth"),
    "wrong labels": Family(wrong_labels, "smooth"),
}


def digest(tasks: list[Task]) -> str:
    """SHA-256 of what a model sees and is judged by."""
    whole = hashlib.sha256()
    for task in tasks:
        for table in (task.context, task.test):
            whole.update(table.content_hash.encode())
    return whole.hexdigest()


def score(predict: Predict, tasks: list[Task]) -> dict[str, list[float]]:
    """Every metric on every task."""
    found: dict[str, list[float]] = {name: [] for name in METRICS}
    for task in tasks:
        probabilities = predict(task.context, task.test)
        for name, metric in METRICS.items():
            found[name].append(metric(task.test.labels, probabilities))
    return found


def catboost_scores(
    name: str, tasks: list[Task], cache: dict[str, Any], compute: bool
) -> dict[str, list[float]] | None:
    """From the cache if they are of these very tasks; computed and put there if asked for."""
    known = cache.get(name)
    if known and known["tasks"] == digest(tasks):
        scores: dict[str, list[float]] = known["scores"]
        return scores
    if not compute:
        return None
    rounded = {metric: [round(v, 5) for v in values] for metric, values in score(fitted(catboost), tasks).items()}
    cache[name] = {"tasks": digest(tasks), "scores": rounded}
    CACHE.write_text(json.dumps(cache, indent=1, sort_keys=True) + "\n")
    return rounded


def show(results: dict[str, dict[str, dict[str, list[float]] | None]], models: list[str]) -> None:
    """A table per metric, then the means of the groups."""
    for metric in METRICS:
        print(f"\n| {metric} | group | " + " | ".join(models) + " |\n|---|---|" + "--:|" * len(models))
        for name, scores in results.items():
            cells = [f"{np.mean(found[metric]):.3f}" if (found := scores[m]) else "–" for m in models]
            print(f"| {name} | {FAMILIES[name].group} | " + " | ".join(cells) + " |")
        for group in dict.fromkeys(family.group for family in FAMILIES.values()):
            members = [scores for name, scores in results.items() if FAMILIES[name].group == group]
            means = [
                f"**{np.mean([np.mean(s[metric]) for scores in members if (s := scores[m])]):.4f}**"
                if members and all(scores[m] for scores in members)
                else "–"
                for m in models
            ]
            print(f"| **mean** | {group} | " + " | ".join(means) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", help="names of models, or checkpoint folders")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="tasks of a family, for the checkpoints")
    parser.add_argument("--families", nargs="*", choices=sorted(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--catboost", action="store_true", help="compute CatBoost's scores where they are not known")
    parser.add_argument("--json", type=Path, help="write every score to this file")
    options = parser.parse_args()
    plugins = load_plugins(PluginChoice(external=False))
    models = {name: in_context(find_model(name, plugins).load("cpu")) for name in options.checkpoints}
    cache = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    results: dict[str, dict[str, dict[str, list[float]] | None]] = {}
    for name in options.families:
        tasks = [make_task(name, seed) for seed in range(SEEDS)]
        truth = [
            {metric: measure(task.test.labels, task.best) for metric, measure in METRICS.items()} for task in tasks
        ]
        results[name] = {
            "best": {metric: [t[metric] for t in truth] for metric in METRICS},
            "catboost": catboost_scores(name, tasks, cache, options.catboost),
            **{model: score(predict, tasks[: options.seeds]) for model, predict in models.items()},
        }
    show(results, ["best", "catboost", *models])
    if options.json:
        options.json.write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
