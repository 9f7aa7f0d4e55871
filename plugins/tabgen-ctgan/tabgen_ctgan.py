"""SDV's CTGAN, TVAE and Gaussian copula as generators of tabgen.

SDV and CTGAN are under the Business Source License 1.1: free to use, except for selling a synthetic-data
service. This wrapper is Apache-2.0.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, hookimpl, seeded, share_rows
from tabgen.generator import Search

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from tabgen import Table

LICENCE = "Apache-2.0 AND BUSL-1.1"
TARGET, ABSENT = "y", "absent"
SLOW_IMPORTS = ("sdv.metadata", "sdv.single_table")
MATCHING_ROWS, MATCHING_STEPS = 4000, 300
OF_ADAM = "torch._dynamo"
"""What PyTorch imports, for seconds, when the first optimizer is made."""


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """SDV draws from the global random states: seed them all, and put the caller's states back after.

    From 500 rows on, CTGAN's data transformer starts a process per core, which takes longer than its work, and
    more than the one thread that a generator is given: here it stays in this process.
    """
    import joblib
    import torch  # noqa: F401 - its state is seeded where it is imported

    with seeded(seed), warnings.catch_warnings(), joblib.parallel_config(backend="sequential"):
        # they speak of files to save, of data frames it makes itself, and of columns that do not vary
        warnings.simplefilter("ignore")
        yield


def to_sdv(table: Table) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table as SDV takes it, and its metadata.

    Columns are renamed ``c0``, ``c1``, ... and levels become ``v0``, ``v1``, ..., so that no name or level
    type (integers, booleans, any text) can be misread. A missing level is one level more; a missing number
    is filled with the column's mean and marked in a discrete column ``m0``, ... of its own, so that the
    synthesizer learns where values are missing (**ours**: SDV scatters missing numbers at random).
    """
    import numpy as np
    import pandas as pd

    data: dict[str, Any] = {}
    for number, column in enumerate(table.schema.columns):
        values = table.frame[column.name]
        if column.is_discrete:
            data[f"c{number}"] = _level_names(values)
            continue
        plain = values.to_numpy(dtype=np.float64)
        missing = np.isnan(plain)
        mean = plain[~missing].mean() if not missing.all() else 0.0
        data[f"c{number}"] = np.where(missing, np.round(mean) if column.kind == "integer" else mean, plain)
        if missing.any():
            data[f"m{number}"] = np.where(missing, ABSENT, "v0").astype(object)
    data[TARGET] = _level_names(table.frame[table.schema.target])
    frame = pd.DataFrame(data)
    columns = {
        name: {"sdtype": "numerical" if pd.api.types.is_numeric_dtype(frame[name]) else "categorical"} for name in frame
    }
    return frame, {"tables": {"table": {"columns": columns}}, "relationships": []}


def from_sdv(sample: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The inverse of :func:`to_sdv`, with the names, kinds and levels of ``table``."""
    import numpy as np
    import pandas as pd

    def levels(name: str, known: tuple[Any, ...]) -> Any:
        by_name = {f"v{code}": level for code, level in enumerate(known)} | {ABSENT: np.nan}
        return pd.Categorical([by_name[value] for value in sample[name]], categories=pd.Index(known, dtype=object))

    data: dict[str, Any] = {}
    for number, column in enumerate(table.schema.columns):
        if column.is_discrete:
            data[column.name] = levels(f"c{number}", column.levels)
            continue
        values = sample[f"c{number}"].to_numpy(dtype=np.float64)
        values = np.round(values) if column.kind == "integer" else values
        if f"m{number}" in sample:
            values = np.where((sample[f"m{number}"] == ABSENT).to_numpy(), np.nan, values)
        data[column.name] = values
    data[table.schema.target] = levels(TARGET, table.schema.classes)
    return pd.DataFrame(data)


def _level_names(values: pd.Series[Any]) -> list[str]:
    return [ABSENT if code < 0 else f"v{code}" for code in values.cat.codes]


class _SDVGenerator(Generator):
    """What the three have in common: translate, seed, fit; seed, sample, translate back."""

    def _synthesizer(self, metadata: Any, n_rows: int, context: FitContext) -> Any:
        raise NotImplementedError

    def fit(self, table: Table, context: FitContext) -> None:
        frame, metadata = to_sdv(table)
        with _seeded(context.seed):
            self._fitted = self._fit_one(metadata, frame, context)
        self._empty = table.take([])

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return from_sdv(self._draw(self._fitted, n_rows, seed), self._empty) if n_rows else self._empty.frame

    def _fit_one(self, metadata: dict[str, Any], frame: pd.DataFrame, context: FitContext) -> Any:
        """A synthesizer fitted on these rows, under the seeds that are set."""
        from sdv.metadata import Metadata

        synthesizer = self._synthesizer(Metadata.load_from_dict(metadata), len(frame), context)
        synthesizer.fit({"table": frame})
        return synthesizer

    @staticmethod
    def _draw(synthesizer: Any, n_rows: int, seed: int) -> pd.DataFrame:
        with _seeded(seed):
            # without these two, SDV goes on from its last draw, or from a fixed seed of its own
            synthesizer.reset_sampling()
            synthesizer._set_random_state(seed % 2**32)
            drawn: pd.DataFrame = synthesizer.sample(num_rows=n_rows)["table"]
            return drawn


def clamp_batch(n_rows: int, batch_size: int, pac: int) -> tuple[int, int]:
    """The largest batch and pac, up to those asked for, that CTGAN can train with on ``n_rows`` rows.

    The batch must be even, a multiple of pac, and no larger than the table; two packs at least must fit, else
    pac shrinks.

    Examples
    --------
    >>> clamp_batch(1000, 500, 10), clamp_batch(137, 500, 10), clamp_batch(12, 500, 10), clamp_batch(2, 500, 10)
    ((500, 10), (130, 10), (12, 6), (2, 1))
    """
    pac = max(1, min(pac, n_rows // 2))
    step = math.lcm(pac, 2)
    return max(step, min(batch_size, n_rows) // step * step), pac


@contextmanager
def _short_backward() -> Iterator[None]:
    """While it lasts, SDV's CTGAN trains the discriminator without gradients of the generator: a quarter less time.

    The package does not cut the generated rows off from the generator in the discriminator's updates, so that each goes
    back through the generator twice for gradients that its next update throws away. Every weight and
    every random number stay as they were.
    """
    import sdv.single_table.ctgan as of_sdv

    original: Any = of_sdv.CTGAN

    class Shortened(original):  # type: ignore[misc]  # SDV is untyped
        calls = 0

        def _apply_activate(self, data: Tensor) -> Tensor:
            rows: Tensor = super()._apply_activate(data)
            # called once in each update: first those of the discriminator, then that of the generator
            of_generator = self.calls % (self._discriminator_steps + 1) == self._discriminator_steps
            self.calls += 1
            return rows if of_generator else rows.detach().requires_grad_()  # the gradient penalty needs theirs

    of_sdv.CTGAN = Shortened
    try:
        yield
    finally:
        of_sdv.CTGAN = original


def epochs_for(steps: int, n_rows: int, batch_size: int) -> int:
    """Passes over the table that make at least ``steps`` training steps; an epoch is rows // batch of them.

    Examples
    --------
    >>> epochs_for(3000, 250, 100), epochs_for(3000, 100, 100), epochs_for(10, 10_000, 100)
    (1500, 3000, 1)
    """
    return max(1, math.ceil(steps / max(1, n_rows // batch_size)))


class CTGAN(_SDVGenerator):
    """Conditional GAN for tables (Xu, Skoularidou, Cuesta-Infante, Veeramachaneni, NeurIPS 2019), by SDV.

    **Ours**: the budget is in training steps. SDV's default of 300 epochs makes an epoch of rows // batch steps, so
    that a table of less than 1,000 rows gets 300 steps in all, after which its samples are noise. Epochs are
    derived from the steps; both stand in the outcome's notes. The batch is 100 rows in place of 500, clamped to the
    table and to a multiple of ``pac`` (see :func:`clamp_batch`): larger ones cost more and fit a small table no better.

    Parameters
    ----------
    steps : int
        Training steps of the generator, at least; whole epochs.
    batch_size : int
        At most; rows per step.
    pac : int
        Rows that the discriminator judges together (Lin et al. 2018), against mode collapse; at most.
    embedding_dim : int
        Size of the noise vector.
    width : int
        Units in each of the two hidden layers of generator and discriminator.
    generator_lr, discriminator_lr : float
        Learning rates of Adam.
    discriminator_steps : int
        Discriminator updates per generator update.
    """

    info = GeneratorInfo(
        "ctgan",
        "conditional GAN for tables (SDV)",
        citation="Xu et al. 2019, Modeling Tabular Data using Conditional GAN, NeurIPS (arXiv 1907.00503)",
        licence=LICENCE,
        accepts_missing=True,
        preload=(*SLOW_IMPORTS, OF_ADAM),
        limits=Limits(min_rows=2),
        search={
            "steps": Search(300, 6000, log=True),
            "batch_size": Search(choices=(50, 100, 200, 500)),
            "width": Search(choices=(64, 128, 256)),
            "generator_lr": Search(5e-5, 1e-3, log=True),
            "discriminator_lr": Search(5e-5, 1e-3, log=True),
            "discriminator_steps": Search(1, 5),
        },
    )

    def __init__(
        self,
        steps: int = 3000,
        batch_size: int = 100,
        pac: int = 10,
        embedding_dim: int = 128,
        width: int = 256,
        generator_lr: float = 2e-4,
        discriminator_lr: float = 2e-4,
        discriminator_steps: int = 1,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.pac = pac
        self.embedding_dim = embedding_dim
        self.width = width
        self.generator_lr = generator_lr
        self.discriminator_lr = discriminator_lr
        self.discriminator_steps = discriminator_steps

    def _fit_one(self, metadata: dict[str, Any], frame: pd.DataFrame, context: FitContext) -> Any:
        with _short_backward():
            return super()._fit_one(metadata, frame, context)

    def _synthesizer(self, metadata: Any, n_rows: int, context: FitContext) -> Any:
        from sdv.single_table import CTGANSynthesizer

        batch_size, pac = clamp_batch(n_rows, self.batch_size, self.pac)
        epochs = epochs_for(self.steps, n_rows, batch_size)
        steps = epochs * max(1, n_rows // batch_size)
        context.notes |= {"epochs": epochs, "batch_size": batch_size, "pac": pac, "steps": steps}
        return CTGANSynthesizer(
            metadata,
            epochs=epochs,
            batch_size=batch_size,
            pac=pac,
            embedding_dim=self.embedding_dim,
            generator_dim=(self.width, self.width),
            discriminator_dim=(self.width, self.width),
            generator_lr=self.generator_lr,
            discriminator_lr=self.discriminator_lr,
            discriminator_steps=self.discriminator_steps,
            enable_gpu=context.device.startswith("cuda"),
        )


class TVAE(_SDVGenerator):
    """Variational autoencoder for tables (Xu et al., NeurIPS 2019), by SDV.

    **Ours**: the budget is in training steps, as for :class:`CTGAN`; and the classes have their real shares. The
    package takes the decoder's most likely level in every row, on small tables often one class in all of them; here a
    class's score is raised or lowered until it is the most likely one in as many rows as it should be
    (``match_classes=False`` leaves the scores).

    Parameters
    ----------
    steps : int
        Training steps, at least; whole epochs.
    batch_size : int
        At most; **ours**: at least two rows and never more than the table has.
    embedding_dim : int
        Size of the latent vector.
    width : int
        Units in each of the two hidden layers of encoder and decoder.
    loss_factor : float
        Weight of the reconstruction error.
    match_classes : bool
        Offset the classes' scores so that classes have their real shares.
    """

    info = GeneratorInfo(
        "tvae",
        "variational autoencoder for tables (SDV)",
        citation="Xu et al. 2019, Modeling Tabular Data using Conditional GAN, NeurIPS (arXiv 1907.00503)",
        licence=LICENCE,
        accepts_missing=True,
        preload=(*SLOW_IMPORTS, OF_ADAM),
        limits=Limits(min_rows=2),
        search={
            "steps": Search(300, 6000, log=True),
            "batch_size": Search(choices=(50, 100, 200, 500)),
            "embedding_dim": Search(choices=(16, 32, 64, 128)),
            "width": Search(choices=(64, 128, 256)),
            "loss_factor": Search(0.5, 8.0, log=True),
        },
    )

    def __init__(
        self,
        steps: int = 1500,
        batch_size: int = 100,
        embedding_dim: int = 128,
        width: int = 128,
        loss_factor: float = 2.0,
        match_classes: bool = True,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.embedding_dim = embedding_dim
        self.width = width
        self.loss_factor = loss_factor
        self.match_classes = match_classes

    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        if not self.match_classes:
            return
        import numpy as np
        import torch

        model = self._fitted._model
        ends = list(itertools.accumulate(span.dim for column in model.transformer.output_info_list for span in column))
        (target,) = (c for c in model.transformer._column_transform_info_list if c.column_name == TARGET)
        counts = np.bincount(table.labels, minlength=len(table.schema.classes))
        shares = [counts[int(name[1:])] / len(table) for name in target.transform.dummies]  # names are v0, v1, ...
        noise = torch.randn(MATCHING_ROWS, self.embedding_dim, generator=torch.Generator().manual_seed(context.seed))
        place = slice(ends[-1] - len(shares), ends[-1])  # the target is the last column
        model.decoder.eval()
        noise, known = noise.to(model._device), torch.tensor(shares, device=model._device)
        model.decoder = _MatchingDecoder(model.decoder, place, known, noise)

    def _synthesizer(self, metadata: Any, n_rows: int, context: FitContext) -> Any:
        from sdv.single_table import TVAESynthesizer

        batch_size = max(2, min(self.batch_size, n_rows))
        epochs = math.ceil(self.steps / math.ceil(n_rows / batch_size))  # its last batch may be a small one
        context.notes |= {"epochs": epochs, "batch_size": batch_size, "steps": epochs * math.ceil(n_rows / batch_size)}
        return TVAESynthesizer(
            metadata,
            epochs=epochs,
            batch_size=batch_size,
            embedding_dim=self.embedding_dim,
            compress_dims=(self.width, self.width),
            decompress_dims=(self.width, self.width),
            loss_factor=self.loss_factor,
            enable_gpu=context.device.startswith("cuda"),
        )


class _MatchingDecoder:
    """A TVAE decoder that gives every class the score at which the classes have their real shares.

    Parameters
    ----------
    decoder : torch.nn.Module
        Latent noise to the columns' logits and values.
    place : slice
        Of the classes among its outputs.
    shares : Tensor, shape (classes,)
        In the order of the outputs.
    noise : Tensor, shape (rows, embedding)
        On which the shares are matched.
    """

    def __init__(self, decoder: Any, place: slice, shares: Tensor, noise: Tensor) -> None:
        import torch

        self.decoder, self.place = decoder, place
        scores = torch.log_softmax(decoder(noise)[0].detach()[:, place], dim=1)
        self.offsets = torch.zeros_like(shares)
        for step in torch.linspace(0.5, 0.0, MATCHING_STEPS):  # a class that is too rare rises, and the other way round
            drawn = torch.bincount((scores + self.offsets).argmax(dim=1), minlength=len(shares)) / len(noise)
            self.offsets += step * (shares - drawn) / (shares + 0.02)

    def eval(self) -> None:
        self.decoder.eval()

    def __call__(self, noise: Tensor) -> tuple[Tensor, Any]:
        import torch

        values, sigmas = self.decoder(noise)
        values = values.detach().clone()
        chosen = (torch.log_softmax(values[:, self.place], dim=1) + self.offsets).argmax(dim=1)
        values[:, self.place] = torch.nn.functional.one_hot(chosen, len(self.offsets)).to(values.dtype)
        return values, sigmas


class GaussianCopula(_SDVGenerator):
    """Gaussian copula over fitted marginals (Patki, Wedge, Veeramachaneni, DSAA 2016), by SDV.

    **Ours**: one copula for each class, classes in their real proportions. In one copula of all columns the label is
    a number of arbitrary order with noise in it, tied to the features by one correlation each: most of what can be
    learnt of it is lost (the page of the generator measures how much). ``by_class=False`` and
    ``distribution="beta"`` are SDV's own. A class of a single row is repeated; the notes name it.

    Parameters
    ----------
    distribution : str
        Marginal of the numeric columns: norm, beta (SDV's default), truncnorm, uniform, gamma or gaussian_kde.
    by_class : bool
        A copula for each class, in place of one in which the label is a column like the others.
    """

    info = GeneratorInfo(
        "gaussian-copula",
        "Gaussian copula over fitted marginals, one for each class (SDV)",
        citation="Patki, Wedge, Veeramachaneni 2016, The Synthetic Data Vault, DSAA",
        licence=LICENCE,
        accepts_missing=True,
        preload=SLOW_IMPORTS,
        limits=Limits(min_rows=2),
    )

    def __init__(self, distribution: str = "norm", by_class: bool = True) -> None:
        self.distribution = distribution
        self.by_class = by_class

    def fit(self, table: Table, context: FitContext) -> None:
        if not self.by_class:
            super().fit(table, context)
            return
        import numpy as np

        frame, metadata = to_sdv(table)
        names = metadata["tables"]["table"]["columns"]
        metadata["tables"]["table"]["columns"] = {name: kind for name, kind in names.items() if name != TARGET}
        self._empty = table.take([])
        self._counts = np.bincount(table.labels, minlength=len(table.schema.classes))
        self._parts: dict[int, Any] = {}
        with _seeded(context.seed):
            for label in np.flatnonzero(self._counts).tolist():
                rows = frame[table.labels == label].drop(columns=TARGET).reset_index(drop=True)
                self._parts[label] = rows if len(rows) == 1 else self._fit_one(metadata, rows, context)
        lone = [table.schema.classes[i] for i in np.flatnonzero(self._counts == 1)]
        if lone:
            context.notes["repeated_classes"] = lone

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        if not self.by_class or n_rows == 0:
            return super().sample(n_rows, seed)
        import numpy as np
        import pandas as pd

        drawn = []
        for label, n in enumerate(share_rows(n_rows, self._counts)):
            if n:
                part = self._parts[label]
                lone = isinstance(part, pd.DataFrame)
                rows = part.take([0] * n) if lone else self._draw(part, n, seed + label)
                drawn.append(rows.assign(**{TARGET: f"v{label}"}))
        order = np.random.default_rng(seed).permutation(n_rows)
        return from_sdv(pd.concat(drawn, ignore_index=True).take(order).reset_index(drop=True), self._empty)

    def _synthesizer(self, metadata: Any, n_rows: int, context: FitContext) -> Any:  # noqa: ARG002
        from sdv.single_table import GaussianCopulaSynthesizer

        return GaussianCopulaSynthesizer(metadata, default_distribution=self.distribution)


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    for generator in (CTGAN, TVAE, GaussianCopula):
        register(generator)
