"""Where in the prior's space a model falls behind forests and boosting, and a mix of tasks that leans that way.

After *Robust tabular foundation models* (arXiv 2512.03307): training on the regions of the prior in which the model
loses most to tree ensembles, in place of more tasks from everywhere. **Ours**: a region is a prior with few or many
rows, columns and classes; the gap is in ROC-AUC; the weights are a softmax over regions, once, before training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from tabgen.errors import TabgenError
from tabgen.models.base import FoundationModel
from tabgen.pretrain.held_out import fitted_scores, mean_auc
from tabgen.pretrain.tasks import LEAST_WEIGHT, Batch, Curriculum, batch_in, regions_of
from tabgen.processes import new_workers

Array = np.ndarray[Any, Any]
SHAPES = Curriculum(grow_steps=1)
"""Of the tasks by which the gap is measured: 60 to 1,000 rows, 2 to 40 columns, 2 to 10 classes."""
BASELINES: dict[str, Callable[[], Any]] = {
    "random forest": lambda: RandomForestClassifier(random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(random_state=0),
}
"""scikit-learn's, with their defaults."""


@dataclass(frozen=True)
class Gap:
    """How far a model is behind, on the tasks of one region.

    Attributes
    ----------
    region : str
    baseline : str
        The one that was better on a first draw of tasks.
    gap : float
        Its mean ROC-AUC less the model's on a second draw, in which nothing was chosen: the better of two on the same
        draw would be ahead by luck alone.
    error : float
        Standard error over tasks.
    tasks : int
        Of the second draw, as many as could be scored.
    """

    region: str
    baseline: str
    gap: float
    error: float
    tasks: int


def gaps(
    model: FoundationModel,
    priors: Collection[str],
    tasks: int,
    seed: int = 0,
    report: Callable[[Gap], None] = lambda _: None,
    workers: int = 1,
) -> list[Gap]:
    """The gap in every region of the priors that holds tasks, the widest first.

    Parameters
    ----------
    model : FoundationModel
    priors : collection of str
        Keys of :data:`tabgen.pretrain.tasks.PRIORS`.
    tasks : int
        Of a region, in each of the two draws.
    seed : int
    report : callable
        Told of every region, in their order.
    workers : int
        Processes that share the regions, one compute thread each; 1: all in this one. The gaps are the same.

    Raises
    ------
    TabgenError
        If no region has two tasks that can be scored.
    """
    one = partial(_gap, model=model, tasks=tasks, seed=seed)
    found = []
    for gap in _each(one, regions_of(priors), workers):
        if gap is not None:
            found.append(gap)
            report(gap)
    if not found:
        raise TabgenError(f"no region of {', '.join(priors)} holds tasks that can be scored; give more --tasks.")
    return sorted(found, key=lambda one: -one.gap)


def _each(one: Callable[[str], Gap | None], regions: list[str], workers: int) -> Iterable[Gap | None]:
    if workers == 1:
        yield from map(one, regions)
        return
    with new_workers(workers) as pool:
        yield from pool.map(partial(_on_one_thread, one), regions)


def _on_one_thread(one: Callable[[str], Gap | None], region: str) -> Gap | None:
    torch.set_num_threads(1)
    return one(region)


def _gap(region: str, model: FoundationModel, tasks: int, seed: int) -> Gap | None:
    """None where the region holds too few tasks that can be scored."""
    first, second = (_drawn(region, tasks, seed, draw) for draw in (1, 2))
    if not first or not second:
        return None
    better = max(BASELINES, key=lambda name: _mean(first, name))
    behind = np.array([_baseline(task, better) - _model(task, model) for task in second])
    behind = behind[~np.isnan(behind)]
    if len(behind) < 2:
        return None
    error = float(behind.std(ddof=1)) / math.sqrt(len(behind))
    return Gap(region, better, float(behind.mean()), error, len(behind))


def _drawn(region: str, tasks: int, seed: int, draw: int) -> list[Batch]:
    """Tasks of a region, each a batch of one; the draws share none."""
    prior = region.split(",")[0]
    made = (batch_in(region, SHAPES, {prior: 1.0}, seed + 1_000_003 * draw, number, 1) for number in range(tasks))
    return [batch for batch in made if batch is not None]


def _mean(tasks: list[Batch], name: str) -> float:
    scores = [_baseline(task, name) for task in tasks]
    return float(np.nanmean(scores)) if not np.isnan(scores).all() else -math.inf


def _baseline(task: Batch, name: str) -> float:
    if int(task.y_support.amax()) == int(task.y_support.amin()):
        return math.nan
    return _auc(task, fitted_scores(BASELINES[name](), task))


def _model(task: Batch, model: FoundationModel) -> float:
    return _auc(task, model.predict(task.x_support[0], task.y_support[0], task.x_query[0], task.n_classes))


def _auc(task: Batch, scores: Array) -> float:
    """NaN where the query rows are of one class."""
    return mean_auc(task, [scores]) if int(task.y_query.amax()) > int(task.y_query.amin()) else math.nan


def weights(found: list[Gap], temperature: float) -> dict[str, float]:
    """Chances of the regions to be let in: exp(gap / temperature), scaled so that the widest gap has 1.

    The shares of the regions are then a softmax of their gaps, times what the fixed prior gives them; the lower the
    temperature, the more they differ.
    """
    if not temperature > 0:
        raise TabgenError(f"--target-gap {temperature}: a temperature above 0, in ROC-AUC, such as 0.05.")
    widest = max(one.gap for one in found)
    return {one.region: max(LEAST_WEIGHT, math.exp((one.gap - widest) / temperature)) for one in found}


def write_gaps(path: Path, found: list[Gap]) -> None:
    path.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


def read_gaps(path: Path) -> list[Gap]:
    """What :func:`write_gaps` wrote.

    Raises
    ------
    TabgenError
        If the file cannot be read, or is another.
    """
    try:
        found = [Gap(**entry) for entry in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError) as error:
        raise TabgenError(f"{path} holds no gaps ({error}); `tabgen gap -o FILE` writes them.") from error
    if not found or not all(isinstance(one.gap, float) and math.isfinite(one.gap) for one in found):
        raise TabgenError(f"{path} holds no gaps; `tabgen gap -o FILE` writes them.")
    return found
