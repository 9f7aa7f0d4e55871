"""Which weights of a fine-tuning run to keep, and whether to mirror columns: rules compared on synthetic tasks.

Tasks and gain are those of `choose_recipe.py`; the recipe is `nano`, mixing `real`. Rules:

- best step: the step whose validation log-loss is lowest, step 0 included (what tabgen does)
- step 10: the weights after ten steps, chosen by nothing
- averaged: the mean of the weights after the last ten steps that ran
- cross-fitted: the step that is best on average over two halves of train, each validated by the other, taken in a third
  run on all of train: three times the cost
- mirrored: best step, with a random half of the columns mirrored at every step, as AutoGluon does for Mitra

    OMP_NUM_THREADS=1 python benchmarks/step_choice.py -o FILE        # the same line resumes
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from choose_recipe import Task, tasks
from torch import Tensor

from tabgen.metrics import roc_auc
from tabgen.models.base import Encoded
from tabgen.models.checkpoints import Tab2DModel
from tabgen.models.finetune import fine_tune, weights_of
from tabgen.models.recipes import get_recipe
from tabgen.plugins import PluginChoice, find_model, load_plugins
from tabgen.pretrain.tasks import parse_priors

PRIORS = "mechanisms=0.6,rules=0.15,levels=0.08,collinear=0.07,tabicl-mlp=0.1"
STEPS, LAST, FIXED = 30, 10, 10
RECIPE = get_recipe("nano", steps=STEPS, patience=STEPS, evaluate_every=1)
RULES = ("best step", "step 10", "averaged", "cross-fitted", "mirrored")


def run(
    model: Tab2DModel, train: Encoded, validation: Encoded, n_classes: int, seed: int, mirrored: bool = False
) -> tuple[list[float], list[dict[str, Tensor]]]:
    """Validation log-losses and weights after every step, 0 first."""
    weights: list[dict[str, Tensor]] = []
    rng = np.random.default_rng([seed, 1])

    def table(_: int) -> Encoded:
        if not mirrored:
            return train
        signs = torch.from_numpy(np.where(rng.random(train.x.shape[1]) < 0.5, -1.0, 1.0)).to(train.x.dtype)
        signs[list(train.levels)] = 1.0
        return train._replace(x=train.x * signs)

    start = weights_of(model.module)
    held_out = (validation.x, validation.y)
    done = fine_tune(
        model,
        table,
        train,
        held_out,
        n_classes,
        RECIPE,
        seed,
        after_step=lambda _: weights.append(weights_of(model.module)),
    )
    model.module.load_state_dict(start)
    return done.validation_losses, weights


def mean_of(weights: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of some weights."""
    return {name: torch.stack([each[name] for each in weights]).mean(0) for name in weights[0]}


def gains(model: Tab2DModel, task: Task, n_classes: int, number: int) -> dict[str, Any]:
    """The test gain of every rule on one task, in percent of the zero-shot score."""
    train, validation, test = task["train"], task["validation"], task["test"]

    def score(weights: dict[str, Tensor]) -> float:
        start = weights_of(model.module)
        model.module.load_state_dict(weights)
        found = roc_auc(test.y.numpy(), model.predict(train.x, train.y, test.x, n_classes, train.levels))
        model.module.load_state_dict(start)
        return found

    losses, weights = run(model, train, validation, n_classes, number)
    halves = np.random.default_rng([number, 2]).permutation(len(train.y)) % 2
    folds = []
    for half in (0, 1):
        inside, outside = (torch.from_numpy(np.flatnonzero(side)) for side in (halves != half, halves == half))
        parts = [Encoded(train.x[rows], train.y[rows], train.levels) for rows in (inside, outside)]
        folds.append(run(model, parts[0], parts[1], n_classes, number)[0])
    mirrored_losses, mirrored = run(model, train, validation, n_classes, number, mirrored=True)
    kept = {
        "best step": weights[int(np.argmin(losses))],
        "step 10": weights[FIXED],
        "averaged": mean_of(weights[-LAST:]),
        "cross-fitted": weights[int(np.argmin(np.mean(folds, axis=0)))],
        "mirrored": mirrored[int(np.argmin(mirrored_losses))],
    }
    before = score(weights[0])
    return {"task": number, "classes": n_classes, "rows": len(train.y)} | {
        rule: 100 * (score(each) / before - 1) for rule, each in kept.items()
    }


def main() -> None:
    """Run what is left, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="tabgen-nano")
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a JSON line per task; gone on with")
    options = parser.parse_args()
    model = find_model(options.checkpoint, load_plugins(PluginChoice(external=False))).load("cpu")
    assert isinstance(model, Tab2DModel)
    lines = options.output.read_text().splitlines() if options.output.exists() else []
    records = [json.loads(line) for line in lines]
    done = {record["task"] for record in records}
    for number, (task, n_classes) in enumerate(tasks(options.tasks, parse_priors(PRIORS))):
        if number not in done:
            records.append(gains(model, task, n_classes, number))
            with options.output.open("a") as file:
                file.write(json.dumps(records[-1]) + "\n")
    print(f"{len(records)} tasks, gain of the test ROC-AUC in percent\n")
    print("| rule | mean gain | median | standard deviation | worse than zero-shot | against the best step |")
    print("|---|--:|--:|--:|--:|--:|")
    first = np.array([record[RULES[0]] for record in records])
    for rule in RULES:
        gain = np.array([record[rule] for record in records])
        error = gain.std(ddof=1) / math.sqrt(len(gain))
        away = gain - first
        against = "" if rule == RULES[0] else f"{away.mean():+.2f} ± {away.std(ddof=1) / math.sqrt(len(gain)):.2f}"
        spread = f"{np.median(gain):+.2f} | {gain.std(ddof=1):.2f} | {(gain < 0).mean():.0%}"
        print(f"| {rule} | {gain.mean():+.2f} ± {error:.2f} | {spread} | {against} |")


if __name__ == "__main__":
    main()
