"""SDV's CTGAN, TVAE and Gaussian copula as generators of tabgen.

SDV and CTGAN are under the Business Source License 1.1: free to use, except for selling a synthetic-data
service. This wrapper is Apache-2.0.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, hookimpl

if TYPE_CHECKING:
    import pandas as pd

    from tabgen import Table

LICENCE = "Apache-2.0 AND BUSL-1.1"
TARGET, ABSENT = "y", "absent"
SLOW_IMPORTS = ("sdv.metadata", "sdv.single_table")
OF_ADAM = "torch._dynamo"
"""What PyTorch imports, for seconds, when the first optimizer is made."""


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """SDV draws from the global random states: seed them all, and put the caller's states back after.

    From 500 rows on, CTGAN's data transformer starts a process per core, which takes longer than its work, and
    more than the one thread that a generator is given: here it stays in this process.
    """
    import joblib
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the state that SDV reads
    torch.manual_seed(seed % 2**63)
    try:
        with warnings.catch_warnings(), joblib.parallel_config(backend="sequential"):
            # they speak of files to save, of data frames it makes itself, and of columns that do not vary
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


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
        from sdv.metadata import Metadata

        frame, metadata = to_sdv(table)
        with _seeded(context.seed):
            synthesizer = self._synthesizer(Metadata.load_from_dict(metadata), len(table), context)
            synthesizer.fit({"table": frame})
        self._fitted = synthesizer
        self._empty = table.take([])

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        if n_rows == 0:
            return self._empty.frame
        with _seeded(seed):
            # without these two, SDV goes on from its last draw, or from a fixed seed of its own
            self._fitted.reset_sampling()
            self._fitted._set_random_state(seed % 2**32)
            drawn = self._fitted.sample(num_rows=n_rows)["table"]
        return from_sdv(drawn, self._empty)


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


class CTGAN(_SDVGenerator):
    """Conditional GAN for tables (Xu, Skoularidou, Cuesta-Infante, Veeramachaneni, NeurIPS 2019), by SDV.

    The batch is clamped to the rows, and to a multiple of ``pac`` (**ours**, see :func:`clamp_batch`): with
    SDV's default of 500, smaller tables are trained on batches larger than themselves, or fail. An epoch is
    rows // batch steps, so a table of up to 999 rows gets ``epochs`` steps of each network in all. What was
    used stands in the outcome's notes.

    Parameters
    ----------
    epochs : int
        Passes over the table (SDV's default).
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
    )

    def __init__(
        self,
        epochs: int = 300,
        batch_size: int = 500,
        pac: int = 10,
        embedding_dim: int = 128,
        width: int = 256,
        generator_lr: float = 2e-4,
        discriminator_lr: float = 2e-4,
        discriminator_steps: int = 1,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.pac = pac
        self.embedding_dim = embedding_dim
        self.width = width
        self.generator_lr = generator_lr
        self.discriminator_lr = discriminator_lr
        self.discriminator_steps = discriminator_steps

    def _synthesizer(self, metadata: Any, n_rows: int, context: FitContext) -> Any:
        from sdv.single_table import CTGANSynthesizer

        batch_size, pac = clamp_batch(n_rows, self.batch_size, self.pac)
        steps = self.epochs * max(1, n_rows // batch_size)
        context.notes |= {"epochs": self.epochs, "batch_size": batch_size, "pac": pac, "steps": steps}
        return CTGANSynthesizer(
            metadata,
            epochs=self.epochs,
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

    Parameters
    ----------
    epochs : int
        Passes over the table (SDV's default).
    batch_size : int
        At most; **ours**: at least two rows and never more than the table has.
    embedding_dim : int
        Size of the latent vector.
    width : int
        Units in each of the two hidden layers of encoder and decoder.
    loss_factor : float
        Weight of the reconstruction error.
    """

    info = GeneratorInfo(
        "tvae",
        "variational autoencoder for tables (SDV)",
        citation="Xu et al. 2019, Modeling Tabular Data using Conditional GAN, NeurIPS (arXiv 1907.00503)",
        licence=LICENCE,
        accepts_missing=True,
        preload=(*SLOW_IMPORTS, OF_ADAM),
        limits=Limits(min_rows=2),
    )

    def __init__(
        self,
        epochs: int = 300,
        batch_size: int = 500,
        embedding_dim: int = 128,
        width: int = 128,
        loss_factor: float = 2.0,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.embedding_dim = embedding_dim
        self.width = width
        self.loss_factor = loss_factor

    def _synthesizer(self, metadata: Any, n_rows: int, context: FitContext) -> Any:
        from sdv.single_table import TVAESynthesizer

        batch_size = max(2, min(self.batch_size, n_rows))
        context.notes |= {"epochs": self.epochs, "batch_size": batch_size}
        return TVAESynthesizer(
            metadata,
            epochs=self.epochs,
            batch_size=batch_size,
            embedding_dim=self.embedding_dim,
            compress_dims=(self.width, self.width),
            decompress_dims=(self.width, self.width),
            loss_factor=self.loss_factor,
            enable_gpu=context.device.startswith("cuda"),
        )


class GaussianCopula(_SDVGenerator):
    """Gaussian copula over fitted marginals (Patki, Wedge, Veeramachaneni, DSAA 2016), by SDV.

    Parameters
    ----------
    distribution : str
        Marginal of the numeric columns: beta (SDV's default), norm, truncnorm, uniform, gamma or gaussian_kde.
    """

    info = GeneratorInfo(
        "gaussian-copula",
        "Gaussian copula over fitted marginals (SDV)",
        citation="Patki, Wedge, Veeramachaneni 2016, The Synthetic Data Vault, DSAA",
        licence=LICENCE,
        accepts_missing=True,
        preload=SLOW_IMPORTS,
        limits=Limits(min_rows=2),
    )

    def __init__(self, distribution: str = "beta") -> None:
        self.distribution = distribution

    def _synthesizer(self, metadata: Any, n_rows: int, context: FitContext) -> Any:  # noqa: ARG002
        from sdv.single_table import GaussianCopulaSynthesizer

        return GaussianCopulaSynthesizer(metadata, default_distribution=self.distribution)


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    for generator in (CTGAN, TVAE, GaussianCopula):
        register(generator)
