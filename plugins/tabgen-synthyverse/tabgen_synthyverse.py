"""Diffusion models and adversarial random forests of the package synthyverse, in an environment of their own."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, hookimpl, seeded
from tabgen.generator import Environment, Search

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tabgen import Column, Table

SYNTHYVERSE = Environment(("synthyverse==0.2.3", "torch==2.13.0", "pandas>=2.2,<3"), python="3.11")
"""Later releases of synthyverse need a package that Python 3.11 has none of; pandas 3 has texts it does not know."""
LICENCE = "Apache-2.0 AND MIT"
LIMITS = Limits(min_rows=20, max_levels=500, max_columns=200)
MODULES = tuple(f"synthyverse.generators.{name}_generator" for name in ("tabddpm", "cdtd", "tabdiff", "tabsyn", "arf"))
SLOW_IMPORTS = ("torch", "torch._dynamo", *MODULES)
TARGET, NOISE = "y", "noise"
OF_START = 0.01
"""Share of the first weights in the average of all, at most."""


class _Synthyverse(Generator):
    """What they have in common: columns become codes and numbers, synthyverse learns them, and back.

    A missing level is one level more. A missing number is filled with the column's mean, and a discrete column beside
    it says where numbers are missing (**ours**: the package takes none). What has one value only is not learnt, and a
    table without a number gets a column of noise, since most of the models need one (**ours**).
    """

    def fit(self, table: Table, context: FitContext) -> None:
        self._empty = table.take([])
        self._columns = [_Column(column, table.frame[column.name]) for column in table.schema.columns]
        with _quietly(context.seed) as rng:
            frame, discrete = self._frame(table, rng)
            self._model = self._make(len(table), context.seed % 2**32)
            self._model.fit(frame, discrete)

    def _frame(self, table: Table, rng: np.random.Generator) -> tuple[pd.DataFrame, list[str]]:
        """The table as synthyverse takes it, and which of its columns are discrete."""
        import pandas as pd

        data: dict[str, Any] = {}
        discrete = []
        for number, column in enumerate(self._columns):
            values, absent = column.encode(table.frame[column.of.name])
            if column.varies:
                data[f"c{number}"] = values
                discrete += [f"c{number}"] if column.of.is_discrete else []
            if absent is not None:
                data[f"m{number}"] = absent
                discrete.append(f"m{number}")
        if len(data) == len(discrete):
            data[NOISE] = rng.standard_normal(len(table))
        return pd.DataFrame(data | {TARGET: table.labels}), [*discrete, TARGET]

    def _make(self, n_rows: int, seed: int) -> Any:
        raise NotImplementedError

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        if n_rows == 0:
            return self._empty.frame
        with _quietly(seed):
            drawn: pd.DataFrame = self._model.generate(n_rows)
        data: dict[str, Any] = {}
        for number, column in enumerate(self._columns):
            values = drawn.get(f"c{number}", pd.Series(np.zeros(n_rows)))
            data[column.of.name] = column.decode(values.to_numpy(), drawn.get(f"m{number}"))
        labels = drawn[TARGET].to_numpy().astype(np.int64)
        data[self._empty.schema.target] = np.array(self._empty.schema.classes, dtype=object)[labels]
        return pd.DataFrame(data)


class _Column:
    """One column as synthyverse takes it: codes of the levels that occur, or numbers without holes."""

    def __init__(self, column: Column, values: pd.Series[Any]) -> None:
        import numpy as np

        self.of = column
        if column.is_discrete:
            self.codes = np.unique(values.cat.codes.to_numpy())  # -1 is missing
            self.varies = len(self.codes) > 1
            return
        known = values.dropna().to_numpy(dtype=np.float64)
        self.all_missing = not len(known)
        self.varies = not self.all_missing and float(known.min()) < float(known.max())
        self.mean = float(known.mean()) if self.varies else 0.0 if self.all_missing else float(known[0])

    def encode(self, values: pd.Series[Any]) -> tuple[Any, Any]:
        """Values: (rows,), and, of numbers some of which are missing, where they are."""
        import numpy as np

        if self.of.is_discrete:
            return np.searchsorted(self.codes, values.cat.codes.to_numpy()).astype(np.int64), None
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        absent = np.isnan(numbers)
        marks = absent.astype(np.int64) if absent.any() and not absent.all() else None
        return np.where(absent, self.mean, numbers), marks

    def decode(self, values: np.ndarray[Any, Any], absent: pd.Series[Any] | None) -> Any:
        """The inverse, in the column's own levels or numbers."""
        import numpy as np
        import pandas as pd

        if self.of.is_discrete:
            codes = self.codes[values.astype(np.int64)]
            return pd.Categorical.from_codes(codes, categories=pd.Index(self.of.levels, dtype=object))
        if not self.varies:
            numbers = np.full(len(values), np.nan if self.all_missing else self.mean)
        else:
            numbers = values.astype(np.float64)
        if self.of.kind == "integer":
            numbers = np.round(numbers)
        return numbers if absent is None else np.where(absent.to_numpy().astype(np.int64) == 1, np.nan, numbers)


@contextlib.contextmanager
def _quietly(seed: int) -> Iterator[np.random.Generator]:
    """Under this seed, which synthyverse takes of the global states, and without its bars and prints."""
    import torch  # noqa: F401 - its state is seeded where it is imported

    silence = io.StringIO()
    with seeded(seed) as rng, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn and torch, about the package
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            yield rng


def _batch(n_rows: int, batch_size: int) -> int:
    return max(2, min(batch_size, n_rows))


class TabDDPM(_Synthyverse):
    """Gaussian and multinomial diffusion of a row, given its class (Kotelnikov, Baranchuk, Rubachev, Babenko 2023).

    **Ours**: a budget for small tables, 1,500 steps of at most 256 rows and 100 steps of diffusion, with the linear
    schedule of noise. The last step of the cosine one, the package's default, multiplies whatever the network errs
    by 2,000, and after so few steps of training numbers come out a hundred times too wide. Classes have their real
    shares: they are drawn, and the row is drawn given the class.

    Parameters
    ----------
    steps : int
        Training steps.
    batch_size : int
        At most; rows per step.
    width, layers : int
        Units in each hidden layer of the network, and how many layers.
    timesteps : int
        Steps of diffusion, 25 at least.
    lr : float
        Learning rate of AdamW, which falls to nothing.
    """

    info = GeneratorInfo(
        "tabddpm",
        "diffusion of numbers and levels given the class (synthyverse)",
        citation="Kotelnikov et al. 2023, TabDDPM: Modelling Tabular Data with Diffusion Models, ICML"
        " (arXiv 2209.15421)",
        licence=LICENCE,
        accepts_missing=True,
        preload=SLOW_IMPORTS,
        limits=LIMITS,
        environment=SYNTHYVERSE,
        search={"steps": Search(500, 8000, log=True), "lr": Search(3e-4, 5e-3, log=True)},
    )

    def __init__(
        self,
        steps: int = 1500,
        batch_size: int = 256,
        width: int = 256,
        layers: int = 3,
        timesteps: int = 100,
        lr: float = 1e-3,
    ) -> None:
        if timesteps < 25:
            raise ValueError(
                f"timesteps={timesteps}: 25 are due, or the linear schedule takes more than all of a number."
            )
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.layers = layers
        self.timesteps = timesteps
        self.lr = lr

    def _make(self, n_rows: int, seed: int) -> Any:
        from synthyverse.generators import TabDDPMGenerator

        return TabDDPMGenerator(
            TARGET,
            training_steps=self.steps,
            batch_size=_batch(n_rows, self.batch_size),
            num_timesteps=self.timesteps,
            scheduler="linear",
            lr=self.lr,
            model_params={"n_layers_hidden": self.layers, "n_units_hidden": self.width, "dropout": 0.0},
            random_state=seed,
        )


class CDTD(_Synthyverse):
    """Continuous diffusion of numbers and of embedded levels alike (Mueller, Gruber, Fok 2025).

    **Ours**: a budget for small tables: 1,500 steps of at most 256 rows and 3 layers of 256 units, in place of 30,000
    of 4,096 and 5 of 1,024.

    Parameters
    ----------
    steps : int
        Training steps, a tenth of which warm up.
    batch_size : int
        At most; rows per step.
    width, layers : int
        Units in each hidden layer of the network, and how many layers.
    timesteps : int
        Steps of sampling.
    lr : float
        Learning rate of AdamW.
    """

    info = GeneratorInfo(
        "cdtd",
        "continuous diffusion of numbers and embedded levels (synthyverse)",
        citation="Mueller, Gruber, Fok 2025, Continuous Diffusion for Mixed-Type Tabular Data, ICLR (arXiv 2312.10431)",
        licence=LICENCE,
        accepts_missing=True,
        preload=SLOW_IMPORTS,
        limits=LIMITS,
        environment=SYNTHYVERSE,
        search={"steps": Search(500, 8000, log=True), "lr": Search(3e-4, 5e-3, log=True)},
    )

    def __init__(
        self,
        steps: int = 1500,
        batch_size: int = 256,
        width: int = 256,
        layers: int = 3,
        timesteps: int = 100,
        lr: float = 1e-3,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.layers = layers
        self.timesteps = timesteps
        self.lr = lr

    def _make(self, n_rows: int, seed: int) -> Any:
        from synthyverse.generators import CDTDGenerator

        return CDTDGenerator(
            training_steps=self.steps,
            num_steps_warmup=self.steps // 10,
            batch_size=_batch(n_rows, self.batch_size),
            mlp_n_units=self.width,
            mlp_n_layers=self.layers,
            embedding_dim=self.width,
            num_timesteps=self.timesteps,
            lr=self.lr,
            random_state=seed,
        )


class TabDiff(_Synthyverse):
    """Diffusion with a noise schedule learnt for each column (Shi, Xu, Hua, Zhang, Ermon, Leskovec 2025).

    **Ours**: a budget for small tables: 400 steps of at most 256 rows and layers of 256 units, in place of 8,000
    epochs and layers of 2,048; and weights are averaged over a time that fits into that, or they would keep much of
    what they started as.

    Parameters
    ----------
    steps : int
        Training steps.
    batch_size : int
        At most; rows per step.
    width : int
        Units of the network's layers.
    timesteps : int
        Steps of sampling.
    lr : float
        Learning rate of AdamW, lowered where the loss stands still.
    """

    info = GeneratorInfo(
        "tabdiff",
        "diffusion with a learnt noise schedule for each column (synthyverse)",
        citation="Shi et al. 2025, TabDiff: a Mixed-type Diffusion Model for Tabular Data Generation, ICLR"
        " (arXiv 2410.20626)",
        licence=LICENCE,
        accepts_missing=True,
        preload=SLOW_IMPORTS,
        limits=LIMITS,
        environment=SYNTHYVERSE,
        search={"steps": Search(100, 4000, log=True), "lr": Search(3e-4, 5e-3, log=True)},
    )

    def __init__(
        self, steps: int = 400, batch_size: int = 256, width: int = 256, timesteps: int = 50, lr: float = 1e-3
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.timesteps = timesteps
        self.lr = lr

    def _make(self, n_rows: int, seed: int) -> Any:
        from synthyverse.generators import TabDiffGenerator

        batch_size = _batch(n_rows, self.batch_size)
        averagings = math.ceil(self.steps / (n_rows // batch_size))  # one after each pass over the rows
        return TabDiffGenerator(
            training_steps=self.steps,
            batch_size=batch_size,
            ema_decay=min(0.997, OF_START ** (1 / averagings)),
            embedding_dim=self.width,
            mlp_dim=self.width,
            num_timesteps=self.timesteps,
            lr=self.lr,
            random_state=seed,
        )


class TabSyn(_Synthyverse):
    """Diffusion in the latent space of a variational autoencoder of the rows (Zhang et al. 2024).

    A tenth of the rows is kept from the autoencoder, to choose its step by; the diffusion learns from all of them.
    **Ours**: a budget for small tables, in place of 4,000 and 10,000 epochs and layers of 2,048.

    Parameters
    ----------
    vae_steps : int
        Training steps of the autoencoder.
    steps : int
        Training steps of the diffusion.
    batch_size : int
        At most; rows per step.
    width : int
        Units of the diffusion's layers.
    timesteps : int
        Steps of sampling.
    lr : float
        Learning rate of both.
    """

    info = GeneratorInfo(
        "tabsyn",
        "diffusion in an autoencoder's latent space (synthyverse)",
        citation="Zhang et al. 2024, Mixed-Type Tabular Data Synthesis with Score-based Diffusion in Latent Space, ICLR"
        " (arXiv 2310.09656)",
        licence=LICENCE,
        accepts_missing=True,
        preload=SLOW_IMPORTS,
        limits=LIMITS,
        environment=SYNTHYVERSE,
        search={"steps": Search(500, 8000, log=True), "vae_steps": Search(300, 4000, log=True)},
    )

    def __init__(
        self,
        vae_steps: int = 400,
        steps: int = 800,
        batch_size: int = 256,
        width: int = 256,
        timesteps: int = 50,
        lr: float = 1e-3,
    ) -> None:
        self.vae_steps = vae_steps
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.timesteps = timesteps
        self.lr = lr

    def _make(self, n_rows: int, seed: int) -> Any:
        from synthyverse.generators.tabsyn_generator import tabsyn

        _mend(tabsyn)
        return tabsyn.TabSynGenerator(
            TARGET,
            vae_training_steps=self.vae_steps,
            vae_lr=self.lr,
            training_steps=self.steps,
            batch_size=_batch(n_rows, self.batch_size),
            embedding_dim=self.width,
            mlp_dim=self.width,
            num_timesteps=self.timesteps,
            lr=self.lr,
            random_state=seed,
        )


def _mend(tabsyn: Any) -> None:
    """Two faults of the module, mended.

    It asks torch's schedule of learning rates to be verbose, which it no longer can be, and its network breaks where a
    level stands in the rows kept apart only.
    """
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    def schedule(*given: Any, verbose: bool = False, **named: Any) -> ReduceLROnPlateau:  # noqa: ARG001
        return ReduceLROnPlateau(*given, **named)

    tabsyn.ReduceLROnPlateau, tabsyn.train_test_split = schedule, _kept_apart


def _kept_apart(
    frame: pd.DataFrame, *, test_size: float, random_state: int, stratify: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As scikit-learn's train_test_split, each class and level of the second part being in the first too."""
    import numpy as np

    discrete = frame.select_dtypes("integer").to_numpy()
    left = [dict(zip(*np.unique(codes, return_counts=True), strict=True)) for codes in discrete.T]
    wanted = {label: max(1, round(test_size * count)) for label, count in stratify.value_counts().items()}
    apart = []
    for row in np.random.default_rng(random_state).permutation(len(frame)):
        label = stratify.iloc[row]
        if wanted[label] and all(counts[code] > 1 for counts, code in zip(left, discrete[row], strict=True)):
            wanted[label] -= 1
            apart.append(row)
            for counts, code in zip(left, discrete[row], strict=True):
                counts[code] -= 1
    rest = np.setdiff1d(np.arange(len(frame)), apart)
    return frame.iloc[rest], frame.iloc[sorted(apart) or rest[:1]]


class ARF(_Synthyverse):
    """Adversarial random forests: trees that tell real rows from shuffled ones, and densities in their leaves.

    Watson, Blesch, Kapar, Wright 2023: a forest learns to tell the rows from ones whose columns are independent, rows
    are drawn leaf by leaf and learnt against, until nothing can be told; in a leaf columns are independent.

    Parameters
    ----------
    trees : int
        Trees of the forest.
    min_leaf : int
        Rows of a leaf at least.
    rounds : int
        Rounds of drawing and learning at most.
    """

    info = GeneratorInfo(
        "arf",
        "adversarial random forest: densities in the leaves of trees (synthyverse)",
        citation="Watson et al. 2023, Adversarial Random Forests for Density Estimation and Generative Modelling,"
        " AISTATS (arXiv 2205.09435)",
        licence=LICENCE,
        accepts_missing=True,
        preload=SLOW_IMPORTS,
        limits=LIMITS,
        environment=SYNTHYVERSE,
        search={"trees": Search(10, 100, log=True), "min_leaf": Search(2, 20, log=True)},
    )

    def __init__(self, trees: int = 20, min_leaf: int = 5, rounds: int = 10) -> None:
        self.trees = trees
        self.min_leaf = min_leaf
        self.rounds = rounds

    def _make(self, n_rows: int, seed: int) -> Any:  # noqa: ARG002 - nothing here depends on the rows
        from synthyverse.generators import ARFGenerator

        return ARFGenerator(
            num_trees=self.trees,
            min_node_size=self.min_leaf,
            max_iters=self.rounds,
            verbose=False,
            retain_value_ranges=True,
            random_state=seed,
        )


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    for generator in (TabDDPM, CDTD, TabDiff, TabSyn, ARF):
        register(generator)
