"""The three shortest real generators: yardsticks for the others, and the first to read for plugin authors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tabgen.generator import FitContext, Generator, GeneratorInfo
from tabgen.marker import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from tabgen.table import Table


class Bootstrap(Generator):
    """Real rows drawn with replacement (Efron 1979): what resampling alone gives."""

    info = GeneratorInfo(
        "bootstrap",
        "real rows drawn with replacement",
        citation="Efron 1979, Annals of Statistics 7(1)",
        accepts_missing=True,
        accepts_text=True,
    )

    def fit(self, table: Table, context: FitContext) -> None:  # noqa: ARG002 - nothing to learn
        self.table = table

    def sample(self, n_rows: int, seed: int) -> Table | pd.DataFrame:
        return self.table.take(np.random.default_rng(seed).integers(0, len(self.table), n_rows))


class Jitter(Bootstrap):
    """Bootstrapped rows whose numbers get Gaussian noise; categories, booleans and classes are kept.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise, in standard deviations of the column. Integers are rounded.
    """

    info = GeneratorInfo(
        "jitter",
        "real rows with Gaussian noise on the numbers",
        citation="Bishop 1995, Neural Computation 7(1)",
        accepts_missing=True,
        accepts_text=True,
    )

    def __init__(self, noise: float = 0.1) -> None:
        self.noise = noise

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        frame = self.table.take(rng.integers(0, len(self.table), n_rows)).frame
        for column in self.table.schema.columns:
            if column.is_number:
                spread = np.nan_to_num(self.table.frame[column.name].std()) * self.noise
                values = frame[column.name] + spread * rng.standard_normal(n_rows)
                frame[column.name] = values.round() if column.kind == "integer" else values
        return frame


class Independent(Bootstrap):
    """Every column drawn on its own: right marginals, no dependence at all. The floor."""

    info = GeneratorInfo(
        "independent", "columns drawn independently of each other", accepts_missing=True, accepts_text=True
    )

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        frame = self.table.frame
        drawn = {
            name: frame[name].take(rng.integers(0, len(frame), n_rows)).reset_index(drop=True) for name in frame.columns
        }
        return frame.iloc[:0].assign(**drawn) if n_rows else frame.iloc[:0]


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    for generator in (Bootstrap, Jitter, Independent):
        register(generator)
