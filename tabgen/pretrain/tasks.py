"""Training batches: which shapes, which prior, missing values, support/query split.

A batch is a pure function of (config, index), so that any process can make any batch, and a resumed run
continues with the batches it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tabgen.errors import TabgenError, UnknownNameError
from tabgen.models.missing import fill_missing
from tabgen.pretrain.mechanisms import sample_mechanisms

Prior = Callable[[int, int, int, int, torch.Generator], tuple[Tensor, Tensor, Tensor]]
"""(tasks, rows, features, classes, generator) -> x (b, n, f) float32, y (b, n) int64, discrete (b, f) bool."""


def _tabicl(family: str) -> Prior:
    """A family of the tabicl package, which is imported when the first task is drawn."""

    def sample(b: int, n: int, f: int, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        from tabgen.pretrain.tabicl_prior import sample_tabicl

        x, y, discrete = sample_tabicl(family, b, n, f, k, generator)
        return x, y, discrete

    return sample


PRIORS: dict[str, Prior] = {
    "mechanisms": sample_mechanisms,
    **{name: _tabicl(name) for name in ("tabicl-mlp", "tabicl-tree", "tabicl-graph")},
}

GROUP = 4
"""Tasks drawn from a prior at once; a batch is several draws, so that it holds several kinds of mechanism."""


@dataclass(frozen=True)
class Batch:
    """Tasks of one shape: x_support (b, s, f), y_support (b, s), x_query (b, q, f), y_query (b, q)."""

    x_support: Tensor
    y_support: Tensor
    x_query: Tensor
    y_query: Tensor
    n_classes: int


@dataclass(frozen=True)
class Curriculum:
    """Shapes of the tasks: they grow from the first to the last value over ``grow_steps`` batches."""

    rows: tuple[int, int] = (140, 1000)
    features: tuple[int, int] = (8, 40)
    classes: tuple[int, int] = (3, 10)
    grow_steps: int = 10_000
    min_rows: int = 60
    cells: int = 16_000
    """rows x (features + 1) summed over a batch: what a step costs."""

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


def make_batch(curriculum: Curriculum, priors: dict[str, float], seed: int, index: int) -> Batch:
    """Batch number ``index`` of the run ``seed``."""
    rng = np.random.default_rng([seed, index])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    rows = _log_integer(rng, curriculum.min_rows, curriculum.limit(curriculum.rows, index))
    most = min(curriculum.limit(curriculum.features, index), curriculum.cells // (2 * rows) - 1)
    features = _log_integer(rng, 2, max(2, most))
    classes = 2 if rng.random() < 0.45 else int(rng.integers(2, curriculum.limit(curriculum.classes, index) + 1))
    tasks = max(2, min(32, curriculum.cells // (rows * (features + 1))))
    name = str(rng.choice(list(priors), p=np.array(list(priors.values())) / sum(priors.values())))
    return batch_of(PRIORS[name], tasks, rows, features, classes, rng, generator)


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
    parts = [prior(min(GROUP, tasks - done), rows, features, classes, generator) for done in range(0, tasks, GROUP)]
    x, y = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
    n_support = round(rows * rng.uniform(0.4, 0.85))
    n_missing = int(rng.integers(1, features // 2 + 1)) if features > 3 and rng.random() < 0.2 else 0
    if n_missing:
        _remove_values(x[:, :, :n_missing], generator)  # the columns are exchangeable: the first ones will do
    indicator = torch.arange(n_missing)
    x_support, x_query = x[:, :n_support], x[:, n_support:]
    return Batch(
        fill_missing(x_support, x_support, indicator),
        y[:, :n_support],
        fill_missing(x_support, x_query, indicator),
        y[:, n_support:],
        classes,
    )


def _remove_values(x: Tensor, generator: torch.Generator) -> None:
    """Set values of (b, n, m) to NaN in place: at random, or more often where the value is high."""
    b, n, m = x.shape
    share = torch.rand((b, 1, m), generator=generator) * 0.5 + 0.02
    chance = torch.rand((b, n, m), generator=generator)
    rank = x.argsort(1).argsort(1) / n
    by_value = torch.rand((b, 1, m), generator=generator) < 0.3
    x[torch.where(by_value, chance / (2 * rank).clamp_min(0.05), chance) < share] = torch.nan
