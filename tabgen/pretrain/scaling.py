"""How the loss on unseen tasks falls with the tasks of pre-training: runs compared, power laws fitted.

A run keeps a checkpoint at 1,000, 2,000, 4,000, ... tasks. Every checkpoint of every run predicts the same tasks, of
all priors, so runs that saw fewer distinct tasks or fewer priors are held to one measure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from tabgen.errors import TabgenError
from tabgen.models.checkpoints import load_directory
from tabgen.models.tab2d import Tab2D
from tabgen.power_law import nearest
from tabgen.pretrain.held_out import HeldOut
from tabgen.pretrain.tasks import Batch

Array = np.ndarray[Any, Any]
FEWEST_POINTS = 4
"""Checkpoints that a power law of three numbers needs at least."""
RISE = 1.01
"""A loss that ends at so many times its lowest has risen again."""
RESAMPLES = 200


@dataclass(frozen=True)
class Point:
    """A checkpoint: how many tasks it has seen, and its log-loss in nats on every unseen task, by family."""

    tasks: int
    losses: dict[str, list[float]]

    @property
    def mean(self) -> float:
        """Every family counts alike."""
        return float(np.mean([np.mean(values) for values in self.losses.values()]))


@dataclass(frozen=True)
class PowerLaw:
    """loss = floor + scale * tasks ** -exponent; the interval holds 90 % of the exponents of resampled tasks."""

    floor: float
    scale: float
    exponent: float
    exponent_interval: tuple[float, float]

    def __call__(self, tasks: Array) -> Array:
        return np.asarray(self.floor + self.scale * np.asarray(tasks, dtype=float) ** -self.exponent)


@dataclass(frozen=True)
class Curve:
    """A run: what sets it apart, its points in order, and the law through them if there are enough."""

    name: str
    priors: tuple[str, ...]
    distinct_tasks: int
    points: tuple[Point, ...]
    law: PowerLaw | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def task_losses(model: Tab2D, batch: Batch) -> list[float]:
    """Log-loss of every task against its classes' probabilities; classes that the support lacks are left out."""
    with torch.inference_mode():
        logits = model(batch.x_support, batch.y_support, batch.x_query)[..., : batch.n_classes]
    target = batch.p_query * F.one_hot(batch.y_support, batch.n_classes).amax(1, keepdim=True)
    losses = -(target * F.log_softmax(logits, dim=2)).sum((1, 2)) / target.sum((1, 2))
    return [float(loss) for loss in losses]


def checkpoints_of(run: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a run's folder by the tasks they have seen, the final one included.

    Raises
    ------
    TabgenError
        If the folder holds no run of `tabgen pretrain`, or one without checkpoints.
    """
    if not (run / "log.jsonl").is_file():
        raise TabgenError(f"{run} holds no run of `tabgen pretrain`: it has no log.jsonl.")
    found = [
        (int(match[1]), folder)
        for folder in (run / "checkpoints").glob("*-tasks")
        if (match := re.fullmatch(r"(\d+)-tasks", folder.name))
    ]
    if (run / "model.safetensors").is_file():
        last = [entry["tasks"] for entry in _log(run) if "tasks" in entry][-1]
        found.append((last, run))
    if not found:
        raise TabgenError(f"{run} has no checkpoint yet: one is kept at 1,000, 2,000, 4,000, ... tasks.")
    return sorted(found, key=lambda entry: entry[0])


def _log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def curve_of(run: Path, unseen: HeldOut, seed: int = 0) -> Curve:
    """Score every checkpoint of a run on the unseen tasks and fit its law."""
    config = next(entry["config"] for entry in _log(run) if "config" in entry)
    points = []
    for tasks, folder in checkpoints_of(run):
        model = load_directory(folder).module
        points.append(Point(tasks, {name: task_losses(model, batch) for name, batch in unseen.batches.items()}))
    law = law_of(points, seed)
    return Curve(run.name, tuple(config["priors"]), int(config.get("distinct_tasks", 0)), tuple(points), law)


def rises(points: Sequence[Point]) -> bool:
    """Whether the loss ends above its lowest: tasks were learnt by heart."""
    return points[-1].mean > RISE * min(point.mean for point in points)


def law_of(points: list[Point], seed: int = 0) -> PowerLaw | None:
    """The law of a run; None where its checkpoints are too few, or its loss rises again."""
    return None if len(points) < FEWEST_POINTS or rises(points) else fit(points, seed)


def fit(points: list[Point], seed: int = 0) -> PowerLaw:
    """The power law nearest to the mean losses in squares, its exponent's interval by resampling the unseen tasks."""
    tasks = np.array([point.tasks for point in points], dtype=float) / points[0].tasks
    found = nearest(tasks, np.array([point.mean for point in points]), lowest=0.0)
    rng = np.random.default_rng(seed)
    exponents = []
    for _ in range(RESAMPLES):
        chosen = {name: rng.integers(len(losses), size=len(losses)) for name, losses in points[0].losses.items()}
        means = [np.mean([np.asarray(p.losses[name])[rows].mean() for name, rows in chosen.items()]) for p in points]
        exponents.append(nearest(tasks, np.array(means), (found[2],), lowest=0.0)[2])
    low, high = np.quantile(exponents, [0.05, 0.95])
    floor, scale, exponent = found
    return PowerLaw(floor, scale * float(points[0].tasks) ** exponent, exponent, (float(low), float(high)))


def in_words(curve: Curve) -> str:
    """One line on a run."""
    seen = f"{curve.distinct_tasks:,} distinct tasks" if curve.distinct_tasks else "new tasks only"
    first, last = curve.points[0], curve.points[-1]
    line = f"{curve.name} ({', '.join(curve.priors)}; {seen}): {first.mean:.4f} after {first.tasks:,} tasks,"
    line += f" {last.mean:.4f} after {last.tasks:,}"
    if curve.law is None:
        return f"{line}; {'it rises again, no' if rises(curve.points) else 'too few checkpoints for a'} power law"
    low, high = curve.law.exponent_interval
    off = np.abs(curve.law(np.array([point.tasks for point in curve.points])) - [point.mean for point in curve.points])
    return (
        f"{line}; loss = {curve.law.floor:.3f} + {curve.law.scale:.3g} x tasks^-{curve.law.exponent:.2f}"
        f" (exponent {low:.2f} to {high:.2f}), off by {off.max():.3f} at most"
    )
