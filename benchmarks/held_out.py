"""Compare checkpoints on synthetic tasks that no model was trained on: the ground on which they are chosen.

    OMP_NUM_THREADS=1 python benchmarks/held_out.py tabgen-nano runs/nano-long

Prints, per shape of task, the mean one-vs-rest ROC-AUC of every checkpoint and of a random forest, and the
mean paired difference to the first checkpoint with its standard error.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier

from tabgen.models.base import FoundationModel
from tabgen.plugins import PluginChoice, find_model, load_plugins
from tabgen.pretrain.held_out import fitted_scores, mean_auc
from tabgen.pretrain.tasks import PRIORS, Batch, batch_of

SHAPES = ((150, 6, 2), (300, 8, 5), (600, 15, 2), (1000, 10, 8), (1000, 20, 3), (1000, 30, 6))
"""Rows (context and query together), features, classes."""
SEED = 424_242


def tasks(prior: str, count: int) -> dict[tuple[int, int, int], list[Batch]]:
    """``count`` tasks of every shape, each a batch of one."""
    made = {}
    for shape in SHAPES:
        batches = []
        for number in range(count):
            rng = np.random.default_rng([SEED, *shape, number])
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            batches.append(batch_of(PRIORS[prior], 1, *shape, rng, generator))
        made[shape] = batches
    return made


def averaged(model: FoundationModel, batch: Batch, views: int) -> np.ndarray:
    """Mean probabilities over views of a task: the classes' codes rolled on, in every second all columns mirrored."""
    classes = torch.arange(batch.n_classes)
    mean = np.zeros((batch.x_query.shape[1], batch.n_classes))
    for view in range(views):
        codes, sign = classes.roll(-view), (-1.0) ** view
        x_support, x_query = sign * batch.x_support[0], sign * batch.x_query[0]
        mean += model.predict(x_support, codes[batch.y_support[0]], x_query, batch.n_classes)[:, codes] / views
    return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", help="names of models, or checkpoint folders")
    parser.add_argument("--tasks", type=int, default=16, help="tasks of every shape")
    parser.add_argument("--views", type=int, default=1, help="also the first checkpoint's mean over this many views")
    parser.add_argument("--prior", choices=sorted(PRIORS), default="mechanisms")
    options = parser.parse_args()
    plugins = load_plugins(PluginChoice(external=False))
    models = {name: find_model(name, plugins).load("cpu") for name in options.checkpoints}
    first = options.checkpoints[0]
    columns = [*models, *([f"{options.views} views"] if options.views > 1 else [])]
    print("| rows x columns, classes | random forest | " + " | ".join(columns) + " |")
    print("|---|---|" + "---|" * len(columns))
    for (rows, features, classes), batches in tasks(options.prior, options.tasks).items():
        forest = np.nanmean([mean_auc(b, [fitted_scores(RandomForestClassifier(random_state=0), b)]) for b in batches])
        aucs = {
            name: np.array([
                mean_auc(b, [model.predict(b.x_support[0], b.y_support[0], b.x_query[0], b.n_classes)]) for b in batches
            ])
            for name, model in models.items()
        }  # fmt: skip
        if options.views > 1:
            views = [mean_auc(b, [averaged(models[first], b, options.views)]) for b in batches]
            aucs[f"{options.views} views"] = np.array(views)
        cells = []
        for name, values in aucs.items():
            gap = values - aucs[first]
            error = np.nanstd(gap) / math.sqrt(len(gap))
            against = "" if name == first else f" ({np.nanmean(gap):+.4f} ± {error:.4f})"
            cells.append(f"{np.nanmean(values):.4f}{against}")
        print(f"| {rows} x {features}, {classes} | {forest:.4f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
