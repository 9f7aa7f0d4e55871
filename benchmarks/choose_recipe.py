"""Choose the `nano` recipe - learning rate, rows of a step, steps, patience - on tasks no model was trained on.

Every task is a table of 200-1,500 rows, 5-20 columns and 2-5 classes from the pre-training priors, by default
`mechanisms`, cut into train, validation and test by `tabgen.splits` and fine-tuned on its own train rows (mixing
`real`), once for each learning rate and number of rows. What a run with fewer steps or less patience would have kept
is read off the same run: the rate does not depend on the number of steps.

The gain is that of the statistics: 100 (tuned / zero-shot - 1) of the test ROC-AUC. Chosen is the best mean
gain; "fewest steps" names the one that takes the fewest steps among those within one standard error of it.

    OMP_NUM_THREADS=1 python benchmarks/choose_recipe.py -o recipe.jsonl        # the same line resumes
    OMP_NUM_THREADS=1 python benchmarks/choose_recipe.py --rates 1e-3,3e-3 --support 256 --fields '{"lora_rank": 8}'
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tabgen.environment import provenance
from tabgen.errors import Unsupported
from tabgen.metrics import roc_auc
from tabgen.models import DEFAULT_MODEL
from tabgen.models.base import Encoded
from tabgen.models.checkpoints import Tab2DModel
from tabgen.models.finetune import fine_tune
from tabgen.models.levels import MANY
from tabgen.models.recipes import get_recipe
from tabgen.plugins import PluginChoice, find_model, load_plugins
from tabgen.pretrain.tasks import PRIORS, parse_priors
from tabgen.splits import split

RATES = (3e-5, 1e-4, 3e-4, 1e-3)
SUPPORT = (256, 8192)
"""Support rows of a step at most; a quarter as many query rows. No task reaches the larger."""
STEPS = (30, 50)
PATIENCES = (5, 10)
SEED = 20_261_123
"""Away from the seeds of training runs and from the held-out tasks of pre-training."""

Task = dict[str, Encoded]


def tasks(count: int, priors: dict[str, float]) -> Iterator[tuple[Task, int]]:
    """The first ``count`` tasks that can be split: their parts, and the number of classes."""
    made = 0
    for number in itertools.count():
        if made == count:
            return
        rng = np.random.default_rng([SEED, number])
        rows = int(math.exp(rng.uniform(math.log(200), math.log(1501))))
        features = int(math.exp(rng.uniform(math.log(5), math.log(21))))
        classes = 2 if rng.random() < 0.5 else int(rng.integers(3, 6))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        prior = PRIORS[str(rng.choice(list(priors), p=list(priors.values())))]
        x, y, discrete, _ = prior(1, rows, features, classes, generator)
        labels = np.unique(y[0].numpy(), return_inverse=True)[1]
        try:
            parts = split(labels, 0, 3, seed=number)
        except Unsupported:
            continue
        varying = x[0, parts.train].std(0) > 0
        if not varying.any():
            continue
        made += 1
        table, target = x[0][:, varying], torch.from_numpy(labels)
        many = (discrete[0][varying] & (table.amax(0) >= MANY - 1)).nonzero().flatten().tolist()
        parts_of = {name: Encoded(table[at], target[at], tuple(many)) for name, at in vars(parts).items()}
        yield parts_of, int(labels.max()) + 1


class Watched(Tab2DModel):
    """Remembers what it predicted last: the validation rows, once a step is done."""

    last: np.ndarray[Any, Any]

    def predict(
        self,
        x_support: torch.Tensor,
        y_support: torch.Tensor,
        x_query: torch.Tensor,
        n_classes: int,
        levels: tuple[int, ...] = (),
    ) -> np.ndarray[Any, Any]:
        self.last = super().predict(x_support, y_support, x_query, n_classes, levels)
        return self.last


def run(
    model: Watched, task: Task, n_classes: int, rate: float, support: int, number: int, fields: dict[str, Any]
) -> dict[str, Any]:
    """Fine-tune on one task; the test ROC-AUC of every step that some setting would have kept."""
    rows = {"max_support": support, "max_query": support // 4}
    recipe = get_recipe("nano", learning_rate=rate, steps=max(STEPS), patience=max(PATIENCES), **rows, **fields)
    train, (x_test, y_test, _), labels = task["train"], task["test"], task["validation"].y.numpy()
    losses: list[float] = []
    weights: dict[int, dict[str, torch.Tensor]] = {}

    def watch(step: int) -> None:
        true = model.last[np.arange(len(labels)), labels]
        losses.append(float(-np.log(np.clip(true, 1e-15, 1)).mean()))
        if losses[-1] <= min(losses):
            weights[step] = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}

    used = time.process_time()
    fine_tune(model, lambda _: train, train, task["validation"][:2], n_classes, recipe, number, after_step=watch)
    test = {}
    for step in {0} | {kept(losses, *limits)[0] for limits in itertools.product(STEPS, PATIENCES)}:
        model.module.load_state_dict(weights[step])
        test[str(step)] = roc_auc(y_test.numpy(), model.predict(train.x, train.y, x_test, n_classes, train.levels))
    return {
        "task": number,
        "learning_rate": rate,
        "max_support": support,
        "rows": sum(len(part.y) for part in task.values()),
        "features": train[0].shape[1],
        "classes": n_classes,
        "validation_losses": losses,
        "test_auc": test,
        "processor_seconds": round(time.process_time() - used, 2),
    }


def kept(losses: list[float], steps: int, patience: int) -> tuple[int, int]:
    """The step a run would have kept, and the steps it would have taken, had it had these limits."""
    best, step = 0, 0
    for step in range(1, min(steps, len(losses) - 1) + 1):
        if losses[step] < losses[best]:
            best = step
        if step - best >= patience:
            break
    return best, step


def gain_and_steps(record: dict[str, Any], steps: int, patience: int) -> tuple[float, int]:
    """Gain in percent, and steps taken, under these limits."""
    best, taken = kept(record["validation_losses"], steps, patience)
    return 100 * (record["test_auc"][str(best)] / record["test_auc"]["0"] - 1), taken


def summarise(records: list[dict[str, Any]], grid: list[tuple[float, int]]) -> dict[str, Any]:
    """Gains by setting, over the tasks that every run was made of, and the choice."""
    by_run: dict[tuple[float, int], dict[int, dict[str, Any]]] = {of: {} for of in grid}
    for record in records:
        if (of := (record["learning_rate"], record["max_support"])) in by_run:
            by_run[of][record["task"]] = record
    done = sorted(set.intersection(*(set(of) for of in by_run.values())))
    if not done:
        return {"tasks": 0, "settings": []}
    rows: list[dict[str, Any]] = []
    gains: list[np.ndarray[Any, Any]] = []
    for (rate, support), steps, patience in itertools.product(by_run, STEPS, PATIENCES):
        mine = by_run[rate, support]
        gain, taken = np.array([gain_and_steps(mine[task], steps, patience) for task in done]).T
        gains.append(gain)
        rows.append(
            {
                "learning_rate": rate,
                "max_support": support,
                "steps": steps,
                "patience": patience,
                "mean_gain": float(gain.mean()),
                "standard_error": float(gain.std(ddof=1) / len(gain) ** 0.5) if len(gain) > 1 else math.nan,
                "median_gain": float(np.median(gain)),
                "improved": float((gain > 0).mean()),
                "worse": float((gain < 0).mean()),
                "mean_steps": float(taken.mean()),
            }
        )
    best = max(range(len(rows)), key=lambda i: rows[i]["mean_gain"])
    for row, gain in zip(rows, gains, strict=True):
        lost = gains[best] - gain
        error = lost.std(ddof=1) / len(lost) ** 0.5 if len(lost) > 1 else 0.0
        row["as_good"] = bool(lost.mean() <= error)
    fewest = min((row for row in rows if row["as_good"]), key=lambda row: row["mean_steps"])
    used = sum(r["processor_seconds"] for r in records)
    chosen = {"chosen": rows[best], "fewest steps": fewest}
    return {"tasks": len(done), "processor_seconds": used, "settings": rows, **chosen}


def numbers(kind: type[Any]) -> Callable[[str], tuple[Any, ...]]:
    """What an argument of numbers between commas is."""
    return lambda text: tuple(kind(part) for part in text.split(","))


def header(options: argparse.Namespace, fingerprint: str) -> dict[str, Any]:
    """What must be equal for records to belong together."""
    varied = {"learning_rate": 0.0, "max_support": 0, "max_query": 0}
    base = get_recipe("nano", steps=max(STEPS), patience=max(PATIENCES), **varied, **options.fields).to_dict()
    return {"checkpoint_sha256": fingerprint, "priors": options.priors, "seed": SEED, "recipe": base}


def earlier(path: Path, head: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs a file holds already; a new file gets its first line."""
    if not path.exists():
        path.write_text(json.dumps(head) + "\n")
        return []
    first, *lines = path.read_text().splitlines()
    if json.loads(first) != head:
        raise ValueError(f"{path} holds runs of another checkpoint, prior or recipe; use another file.")
    return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=DEFAULT_MODEL, help="a model's name, or a checkpoint's folder")
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument("--priors", default="mechanisms=1", type=parse_priors, metavar="NAME=SHARE,...")
    parser.add_argument("--rates", default=RATES, type=numbers(float), metavar="RATE,...")
    parser.add_argument("--support", default=SUPPORT, type=numbers(int), metavar="ROWS,...")
    parser.add_argument("--fields", default={}, type=json.loads, help="other fields of the recipe, as JSON")
    parser.add_argument("-o", "--output", type=Path, help="a JSON line per run; an existing file is gone on with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(1)
    grid = list(itertools.product(options.rates, options.support))
    info = find_model(options.checkpoint, load_plugins(PluginChoice(external=False)))
    head = header(options, info.fingerprint())
    try:
        records = earlier(options.output, head) if options.output else []
    except ValueError as error:
        parser.error(str(error))
    finished = {(r["task"], r["learning_rate"], r["max_support"]) for r in records}

    model = info.load("cpu")
    assert isinstance(model, Tab2DModel)
    module = model.module
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for number, (task, n_classes) in enumerate(tasks(options.tasks, options.priors)):
        for rate, support in grid:
            if (number, rate, support) in finished:
                continue
            module.load_state_dict(weights)
            records.append(
                run(Watched(module, info.fingerprint()), task, n_classes, rate, support, number, options.fields)
            )
            if options.output:
                with options.output.open("a") as file:
                    file.write(json.dumps(records[-1]) + "\n")

    result = summarise([r for r in records if r["task"] < options.tasks], grid) | {"provenance": provenance(), **head}
    print(json.dumps(result, indent=1)) if options.json else show(result)


def show(result: dict[str, Any]) -> None:
    print(f"{result['tasks']} tasks, {result['processor_seconds']:.0f} processor seconds\n")
    print("| learning rate | support | steps | patience | mean gain % | median | improved | worse | taken | as good |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in result["settings"]:
        print(
            f"| {row['learning_rate']:g} | {row['max_support']} | {row['steps']} | {row['patience']}"
            f" | {row['mean_gain']:.2f} ± {row['standard_error']:.2f} | {row['median_gain']:.2f}"
            f" | {row['improved']:.0%} | {row['worse']:.0%} | {row['mean_steps']:.0f}"
            f" | {'yes' if row['as_good'] else ''} |"
        )
    for name in ("chosen", "fewest steps"):
        row = result[name]
        print(f"{name}: ", {key: row[key] for key in ("learning_rate", "max_support", "steps", "patience")})


if __name__ == "__main__":
    main()
