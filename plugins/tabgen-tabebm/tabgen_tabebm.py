"""TabEBM over tabgen's own foundation model: class-wise energies of an in-context classifier, sampled by SGLD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, Unsupported, hookimpl, share_rows

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from tabgen import Table
    from tabgen.models.base import FoundationModel

CELLS_PER_CHUNK = 20_000
"""Query cells (rows x columns) that one gradient is computed for at once: bounds memory, changes no row."""


@dataclass(frozen=True)
class _Class:
    """One class: its z-scored rows (n, columns), how they were z-scored, and its context with the negatives."""

    z: np.ndarray[Any, Any]
    centre: np.ndarray[Any, Any]
    scale: np.ndarray[Any, Any]
    support: Tensor
    y: Tensor


class TabEBM(Generator):
    """Energy-based sampling from a pre-trained in-context classifier, one energy per class, nothing trained.

    Margeloiu, Jiang, Simidjievski, Jamnik, *TabEBM: A Tabular Data Augmentation Method with Distinct
    Class-Specific Energy-Based Models* (NeurIPS 2024, arXiv 2409.16118). For each class c, its z-scored rows
    get label 0 and four surrogate negatives at corners of the hypercube ``(+-distance, ...)`` get label 1. Given
    those as context, the model's logits f make the energy ``E_c(x) = -logsumexp(f_0(x), f_1(x))``. Sampling
    starts at real rows of c plus noise and takes ``steps`` steps of stochastic gradient Langevin dynamics,
    ``x <- x - step_size * dE_c/dx + noise * N(0, I)``; in the paper 200 of 0.1, with noise of 0.01.

    Departures (**ours**): the model is the experiment's own foundation model in place of TabPFN. Half of the
    steps, twice as long, with the noise of two: half of the cost. Where the energy is steep such a step
    would overshoot, so that a row's gradient step is no longer than ``max_step``, root mean square over the columns
    (``steps=200,step_size=0.1,noise=0.01,max_step=0`` is the paper's sampler, to which the tests hold this one). The
    gradient is that of each row's own energy; the published package averages the energy over the batch, so that the
    step shrinks with the number of rows drawn (``batch_mean=True`` does the same, for comparison). Each class
    has a context of its own, nothing is cached across classes. The negatives are two random sign vectors and
    their negations, so that every coordinate has both signs. Levels are encoded as their positions, z-scored
    like numbers, and rounded to the nearest valid level in the end. The model's ranking of its inputs has no
    gradient; it is given the slope of the empirical distribution function (see ``tabgen.models.tab2d``). That
    slope is one over the spread *within* the class, so rows are z-scored within their class (the package asks for
    data z-scored as a whole; ``class_scale=False``): where a class is narrow, steps would overshoot it by far.

    What is lost: Tab2D replaces every input by its rank among the context's, so that a negative is just beyond the
    class's outermost row however far away it is. ``distance`` says to such a model only that it is outside; to one
    that sees magnitudes it means what the paper's means.

    Parameters
    ----------
    steps : int
        Steps of the sampler.
    step_size : float
        Of the gradient step, in standard deviations per unit of energy.
    max_step : float
        Root mean square of a row's gradient step over the columns, at most, in standard deviations; 0: no bound.
    noise : float
        Standard deviation of the noise of each step.
    start_noise : float
        Standard deviation of the noise that is added to the real row a chain starts at.
    distance : float
        Coordinates of the surrogate negatives, in standard deviations; without effect beyond the class's range on a
        model that ranks its inputs, as Tab2D does.
    batch_mean : bool
        Average the energy over the rows that are sampled together, as the published package does.
    balanced : bool
        The same number of rows for every class, in place of the real proportions.
    class_scale : bool
        Z-score the rows of a class by its own mean and spread, not by the whole table's.
    max_context : int
        Real rows of a class in its context, at most; drawn at random where there are more.
    """

    info = GeneratorInfo(
        "tabebm",
        "class-wise energies of the foundation model, sampled by Langevin dynamics",
        citation="Margeloiu et al. 2024, TabEBM, NeurIPS (arXiv 2409.16118)",
        limits=Limits(min_rows=2),
        weights_licence="the model's",
    )

    def __init__(
        self,
        steps: int = 100,
        step_size: float = 0.2,
        max_step: float = 0.15,
        noise: float = 0.014,
        start_noise: float = 0.01,
        distance: float = 5.0,
        batch_mean: bool = False,
        balanced: bool = False,
        class_scale: bool = True,
        max_context: int = 1000,
    ) -> None:
        self.steps = steps
        self.step_size = step_size
        self.max_step = max_step
        self.noise = noise
        self.start_noise = start_noise
        self.distance = distance
        self.batch_mean = batch_mean
        self.balanced = balanced
        self.class_scale = class_scale
        self.max_context = max_context

    def fit(self, table: Table, context: FitContext) -> None:
        """Encode the table and lay out the context of every class; the model stays as it is."""
        import numpy as np
        import torch

        rng = np.random.default_rng(context.seed)
        self._model: FoundationModel = context.foundation_model
        self._schema, self._labels = table.schema, table.labels
        raw = table.to_matrix()
        mean, spread = raw.mean(axis=0), raw.std(axis=0)
        self._varying = np.flatnonzero(spread > 1e-12 * np.abs(mean))
        self._constants = raw[0]
        n_columns, most = len(self._varying), self._model.max_columns
        if n_columns == 0:
            raise Unsupported("tabebm: every feature column is constant; there is no direction to move in.")
        if n_columns > most:
            raise Unsupported(f"tabebm: the model takes at most {most} columns; the table has {n_columns}.")
        raw, mean, spread = raw[:, self._varying], mean[self._varying], spread[self._varying]
        self._classes: dict[int, _Class] = {}
        for label in np.unique(self._labels):
            rows = raw[self._labels == label]
            centre, scale = (rows.mean(axis=0), rows.std(axis=0)) if self.class_scale else (mean, spread)
            scale = np.where(scale > 1e-12 * (np.abs(centre) + spread), scale, spread)  # constant within the class
            z = ((rows - centre) / scale).astype(np.float32)
            known = z if len(z) <= self.max_context else z[rng.choice(len(z), self.max_context, replace=False)]
            negatives = surrogate_negatives(n_columns, self.distance, rng)
            support = torch.from_numpy(np.concatenate([known, negatives]))
            y = torch.cat([torch.zeros(len(known)), torch.ones(len(negatives))]).long()
            self._classes[int(label)] = _Class(z, centre, scale, support, y)
        context.notes |= {"model": self._model.checkpoint_hash[:12], "columns": n_columns}

    def sample(self, n_rows: int, seed: int) -> Table:
        import numpy as np

        rng = np.random.default_rng(seed)
        counts = np.bincount(self._labels, minlength=len(self._schema.classes))
        wanted = share_rows(n_rows, (counts > 0) if self.balanced else counts)
        labels = np.repeat(np.arange(len(wanted)), wanted)
        values = np.tile(self._constants, (n_rows, 1))
        for label in np.flatnonzero(wanted).tolist():
            x = self.walk(self.start(label, int(wanted[label]), rng), label, rng)
            known = self._classes[label]
            values[np.ix_(labels == label, self._varying)] = x * known.scale + known.centre
        order = rng.permutation(n_rows)
        return self._schema.from_matrix(values[order], labels[order])

    def start(self, label: int, n: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Where ``n`` chains of a class start: real rows of it, with noise: float32 (n, columns)."""
        z = self._classes[label].z
        noise = self.start_noise * rng.standard_normal((n, z.shape[1]))
        start: np.ndarray[Any, Any] = (z[rng.integers(0, len(z), n)] + noise).astype("float32")
        return start

    def energy(self, x: Tensor, label: int) -> Tensor:
        """E_c of encoded rows: (n, columns) -> (n,); lower is more like the class."""
        import torch

        known = self._classes[label]
        f = self._model.logits(known.support, known.y, x, n_classes=2)  # (n, 2)
        return -torch.logsumexp(f, dim=1)

    def walk(self, x: np.ndarray[Any, Any], label: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Langevin dynamics for all rows at once: float32 (n, columns) to the same shape."""
        import numpy as np
        import torch

        weights = [w for w in self._model.module.parameters() if w.requires_grad]
        chunk = max(1, CELLS_PER_CHUNK // (x.shape[1] + 1))
        divisor = len(x) if self.batch_mean else 1
        for weight in weights:  # gradients are for x alone; this saves memory and a third of the time
            weight.requires_grad_(False)
        try:
            for _ in range(self.steps):
                slopes = [self._slope(torch.from_numpy(part), label) for part in np.array_split(x, -(-len(x) // chunk))]
                step = self.step_size / divisor * np.concatenate(slopes)
                if self.max_step > 0:
                    length = np.sqrt(np.square(step).mean(axis=1, keepdims=True))
                    step *= np.minimum(1.0, self.max_step / np.maximum(length, 1e-12))
                x = (x - step + self.noise * rng.standard_normal(x.shape)).astype(np.float32)
        finally:
            for weight in weights:
                weight.requires_grad_(True)
        return x

    def _slope(self, x: Tensor, label: int) -> np.ndarray[Any, Any]:
        """The gradient of each row's own energy: rows do not see each other, so the sum's gradient is it."""
        import torch

        with torch.enable_grad():
            x = x.requires_grad_(True)
            (slope,) = torch.autograd.grad(self.energy(x, label).sum(), x)
        return slope.cpu().numpy()


def surrogate_negatives(n_columns: int, distance: float, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Two random corners of the hypercube and their opposites: float32 (4, columns), or the two ends of a line."""
    import numpy as np

    first = rng.choice([-1.0, 1.0], n_columns)
    second = first.copy()
    while n_columns > 1 and abs(first @ second) == n_columns:  # the same corner, or its opposite
        second = rng.choice([-1.0, 1.0], n_columns)
    corners = [first, -first, second, -second] if n_columns > 1 else [first, -first]
    return (distance * np.array(corners)).astype(np.float32)


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(TabEBM)
