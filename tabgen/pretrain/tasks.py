"""Training batches: which shapes, which prior, missing values, support/query split.

A batch is a pure function of (config, index), so that any process can make any batch, and a resumed run
continues with the batches it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from tabgen.errors import TabgenError, UnknownNameError
from tabgen.models.levels import MANY, shares_of_levels
from tabgen.models.missing import fill_missing
from tabgen.pretrain.collinear import sample_collinear
from tabgen.pretrain.draws import Drawn
from tabgen.pretrain.levels import sample_levels
from tabgen.pretrain.mechanisms import sample_mechanisms
from tabgen.pretrain.rules import sample_rules

Prior = Callable[[int, int, int, int, torch.Generator], Drawn]
"""(tasks, rows, features, classes, generator) -> as many tasks of that shape."""


def _tabicl(family: str) -> Prior:
    """A family of the tabicl package, which is imported when the first task is drawn."""

    def sample(b: int, n: int, f: int, k: int, generator: torch.Generator) -> Drawn:
        from tabgen.pretrain.tabicl_prior import sample_tabicl

        return sample_tabicl(family, b, n, f, k, generator)

    return sample


SLOW = ("tabicl-mlp", "tabicl-tree", "tabicl-graph")
"""The tabicl package's families, of which one task takes a tenth of a second."""
PRIORS: dict[str, Prior] = {
    "mechanisms": sample_mechanisms,
    "rules": sample_rules,
    "levels": sample_levels,
    "collinear": sample_collinear,
    **{name: _tabicl(name) for name in SLOW},
}

MOST_TASKS = 16
"""In a batch of a slow prior; it counts no less for that."""
GROUP = 4
"""Tasks drawn from a prior at once; a batch is several draws, so that it holds several kinds of mechanism."""
FEW_ROWS, FEW_COLUMNS = 250, 8
"""Up to here rows and columns are few, in the names of regions."""
DRAWS_OF_A_REGION = 4096
"""Draws of the fixed prior after which a region counts as empty."""
LEAST_WEIGHT = 0.01
"""Of a region in a mix that leans towards others: none is given up."""
LEARNABLE = 0.02
"""A mechanism has to explain this share of the entropy of its labels, or the task is dropped."""
MOST_DRAWS = 4
"""Times as many tasks as are needed that are drawn before tasks which are not learnable are let in."""


@dataclass(frozen=True)
class Batch:
    """Tasks of one shape.

    x_support (b, s, f), y_support (b, s), x_query (b, q, f), y_query (b, q), and the probabilities of the query
    rows' classes (b, q, c), by the mechanism.
    """

    x_support: Tensor
    y_support: Tensor
    x_query: Tensor
    y_query: Tensor
    p_query: Tensor
    n_classes: int

    def to(self, device: torch.device) -> Batch:
        """The same on a device; to a GPU from pinned memory, so that nothing waits for what the GPU does meanwhile."""
        if device.type == "cpu":
            return self

        def there(part: Tensor) -> Tensor:
            return part.pin_memory().to(device, non_blocking=True)

        return Batch(
            there(self.x_support),
            there(self.y_support),
            there(self.x_query),
            there(self.y_query),
            there(self.p_query),
            self.n_classes,
        )


@dataclass(frozen=True)
class Curriculum:
    """Shapes of the tasks: they grow from the first to the last value over ``grow_steps`` batches."""

    rows: tuple[int, int] = (140, 1000)
    features: tuple[int, int] = (8, 40)
    classes: tuple[int, int] = (3, 10)
    grow_steps: int = 10_000
    min_rows: int = 60
    cells: int = 16_000
    """rows x (features + 1) summed over a batch: what it costs."""
    task_cells: int = 0
    """rows x (features + 1) of one task at most; 0: half of a batch's."""
    tasks: int = 32
    """Tasks of a batch at most."""

    def limit(self, ends: tuple[int, int], index: int) -> int:
        share = min(1.0, index / self.grow_steps)
        return int(ends[0] * (ends[1] / ends[0]) ** share + 0.5)


def parse_priors(text: str) -> dict[str, float]:
    """Read ``mechanisms=0.7,tabicl-mlp=0.3``: the share of batches of each prior, scaled to sum to 1.

    Raises
    ------
    UnknownNameError, TabgenError
        For a prior that does not exist, or a share that is no positive number.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (word.strip() for word in part.partition("="))
        if name not in PRIORS:
            raise UnknownNameError("prior", name, PRIORS)
        try:
            value = float(share)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf or name in shares:
            raise TabgenError(f"'{part}' in --priors: every prior once, with a positive share: mechanisms=0.7.")
        shares[name] = value
    return {name: value / sum(shares.values()) for name, value in shares.items()}


def _log_integer(rng: np.random.Generator, low: int, high: int) -> int:
    return int(math.exp(rng.uniform(math.log(low), math.log(high + 1))))


@dataclass(frozen=True)
class _Layout:
    """What a batch will be, before its tasks are drawn with what is left of its two sources of randomness."""

    prior: str
    tasks: int
    rows: int
    features: int
    classes: int
    rng: np.random.Generator
    generator: torch.Generator

    @property
    def region(self) -> str:
        """What kind of task it is, coarsely: the prior, and few or many rows, columns and classes."""
        return _region(self.prior, self.rows > FEW_ROWS, self.features > FEW_COLUMNS, self.classes > 2)


def _region(prior: str, many_rows: bool, many_columns: bool, more_classes: bool) -> str:
    sizes, classes = ("few", "many"), ("two", "more")
    return f"{prior}, {sizes[many_rows]} rows, {sizes[many_columns]} columns, {classes[more_classes]} classes"


def _layout(
    curriculum: Curriculum, priors: dict[str, float], seed: int, index: int, emphasis: dict[str, float] | None = None
) -> _Layout:
    """The layout of a batch; with ``emphasis``, chances of regions, it is drawn anew until it is let in."""
    rng = np.random.default_rng([seed, index])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    while True:
        drawn = _drawn(curriculum, priors, index, rng, generator)
        if not emphasis or rng.random() < emphasis.get(drawn.region, LEAST_WEIGHT):
            return drawn


def _drawn(
    curriculum: Curriculum, priors: dict[str, float], index: int, rng: np.random.Generator, generator: torch.Generator
) -> _Layout:
    rows = _log_integer(rng, curriculum.min_rows, curriculum.limit(curriculum.rows, index))
    task_cells = curriculum.task_cells or curriculum.cells // 2
    most = min(curriculum.limit(curriculum.features, index), task_cells // rows - 1)
    features = _log_integer(rng, 2, max(2, most))
    classes = 2 if rng.random() < 0.45 else int(rng.integers(2, curriculum.limit(curriculum.classes, index) + 1))
    tasks = max(1 if curriculum.task_cells else 2, min(curriculum.tasks, curriculum.cells // (rows * (features + 1))))
    name = str(rng.choice(list(priors), p=np.array(list(priors.values())) / sum(priors.values())))
    if name in SLOW:
        tasks = min(tasks, MOST_TASKS)
    return _Layout(name, tasks, rows, features, classes, rng, generator)


def make_batch(
    curriculum: Curriculum, priors: dict[str, float], seed: int, index: int, emphasis: dict[str, float] | None = None
) -> Batch:
    """Batch number ``index`` of the run ``seed``; ``emphasis`` are the chances of regions to be let in."""
    of = _layout(curriculum, priors, seed, index, emphasis)
    return batch_of(PRIORS[of.prior], of.tasks, of.rows, of.features, of.classes, of.rng, of.generator)


def batch_in(
    region: str, curriculum: Curriculum, priors: dict[str, float], seed: int, index: int, tasks: int
) -> Batch | None:
    """``tasks`` tasks of a region, as the fixed prior draws them; None where it has none in many draws."""
    for attempt in range(DRAWS_OF_A_REGION):
        of = _layout(curriculum, priors, seed, index * DRAWS_OF_A_REGION + attempt)
        if of.region == region:
            return batch_of(PRIORS[of.prior], tasks, of.rows, of.features, of.classes, of.rng, of.generator)
    return None


def regions_of(priors: Iterable[str]) -> list[str]:
    """The names of all regions of some priors."""
    return [_region(prior, *larger) for prior in priors for larger in product((False, True), repeat=3)]


def batches_of(
    curriculum: Curriculum, priors: dict[str, float], seed: int, tasks: int, emphasis: dict[str, float] | None = None
) -> int:
    """How many of the first batches of a run hold this many tasks together."""
    number = 0
    while tasks > 0:
        tasks -= _layout(curriculum, priors, seed, number, emphasis).tasks
        number += 1
    return number


def batch_of(
    prior: Prior,
    tasks: int,
    rows: int,
    features: int,
    classes: int,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Batch:
    """A batch of ``tasks`` equal shapes; features that hold missing values bring an indicator column each."""
    x, y, discrete, probabilities = learnable_tasks(prior, tasks, rows, features, classes, generator)
    told = _many_levels(x, discrete)
    n_support = round(rows * rng.uniform(0.4, 0.85))
    n_missing = int(rng.integers(1, features // 2 + 1)) if features > 3 and rng.random() < 0.2 else 0
    if n_missing:
        _remove_values(x[:, :, :n_missing], generator)  # the columns are exchangeable: the first ones will do
    indicator = torch.arange(n_missing)
    x_support, x_query = x[:, :n_support], x[:, n_support:]
    y_support = y[:, :n_support]
    shares = _shares(x_support, y_support, x_query, classes, told)
    return Batch(
        torch.cat([fill_missing(x_support, x_support, indicator), shares[0]], dim=2),
        y_support,
        torch.cat([fill_missing(x_support, x_query, indicator), shares[1]], dim=2),
        y[:, n_support:],
        probabilities[:, n_support:],
        classes,
    )


def _many_levels(x: Tensor, discrete: Tensor) -> Tensor:
    """Which columns of each task are told a second time, as places (b, m); -1 where a task has fewer than m.

    At most as many as the tasks have at the mean: the columns of a batch cost the same, whether they are used or not.
    """
    many = discrete & (x.amax(1) >= MANY - 1)
    most = math.ceil(float(many.sum(1).double().mean()))
    first = many.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    return torch.where(many.gather(1, first), first, -1)


def _shares(x_support: Tensor, y_support: Tensor, x_query: Tensor, classes: int, told: Tensor) -> tuple[Tensor, Tensor]:
    """The second columns (b, rows, m) of the columns ``told``, of 0 where there is none; a missing code is a level."""
    place = told.clamp_min(0).unsqueeze(1)

    def codes(x: Tensor) -> Tensor:
        code = x.gather(2, place.expand(-1, x.shape[1], -1))
        return code.nan_to_num(float(torch.nan_to_num(x_support).amax()) + 1)

    if told.shape[1] == 0:
        return x_support[..., :0], x_query[..., :0]
    used = (told >= 0).unsqueeze(1)
    support, query = shares_of_levels(codes(x_support) * used, y_support, codes(x_query) * used, classes)
    return support * used, query * used


def learnable_tasks(
    prior: Prior, tasks: int, rows: int, features: int, classes: int, generator: torch.Generator
) -> Drawn:
    """Tasks whose mechanism explains some of the labels' entropy; others too, should there be too few of those."""
    parts: list[Drawn] = []
    kept: list[Tensor] = []
    while True:
        drawn = prior(min(GROUP, tasks), rows, features, classes, generator)
        parts.append(drawn)
        kept.append(explained(drawn.probabilities) >= LEARNABLE)
        usable = torch.cat(kept)
        if int(usable.sum()) >= tasks or len(usable) >= MOST_DRAWS * max(GROUP, tasks):
            first = usable.int().argsort(descending=True, stable=True)[:tasks]
            return Drawn(*(torch.cat(part)[first] for part in zip(*parts, strict=True)))


def explained(probabilities: Tensor) -> Tensor:
    """The share of the labels' entropy that (b, n, k) class probabilities explain: (b,); 0 for a single class."""
    whole = torch.special.entr(probabilities.mean(1)).sum(1)
    left = torch.special.entr(probabilities).sum(2).mean(1)
    return torch.where(whole > 1e-6, 1 - left / whole.clamp_min(1e-6), 0.0)


def _remove_values(x: Tensor, generator: torch.Generator) -> None:
    """Set values of (b, n, m) to NaN in place: at random, or more often where the value is high."""
    b, n, m = x.shape
    share = torch.rand((b, 1, m), generator=generator) * 0.5 + 0.02
    chance = torch.rand((b, n, m), generator=generator)
    rank = x.argsort(1).argsort(1) / n
    by_value = torch.rand((b, 1, m), generator=generator) < 0.3
    x[torch.where(by_value, chance / (2 * rank).clamp_min(0.05), chance) < share] = torch.nan
