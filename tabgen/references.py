"""The shortest real generators: yardsticks and controls for the others, and the first to read for plugin authors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tabgen.datasets.oracle import Oracle
from tabgen.generator import FitContext, Generator, GeneratorInfo, Search
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
        search={"noise": Search(0.01, 1.0, log=True)},
    )

    def __init__(self, noise: float = 0.1) -> None:
        self.noise = noise

    def sample(self, n_rows: int, seed: int) -> Table:
        rng = np.random.default_rng(seed)
        frame = self.table.take(rng.integers(0, len(self.table), n_rows)).frame
        for column in self.table.schema.columns:
            if column.is_number:
                spread = np.nan_to_num(self.table.frame[column.name].std()) * self.noise
                frame[column.name] = frame[column.name] + spread * rng.standard_normal(n_rows)
        return self.table.conform(frame)  # rounds the integers


class Independent(Bootstrap):
    """Every column drawn on its own: right marginals, no dependence at all, labels included. Known bad."""

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


class Mixup(Bootstrap):
    """Blends of two real rows of one class (mixup, kept within classes so that labels stay labels).

    Zhang, Cisse, Dauphin, Lopez-Paz, *mixup: Beyond Empirical Risk Minimization* (ICLR 2018): ``x = w a + (1 - w) b``
    with ``w`` from Beta(alpha, alpha). **Ours**: both parents are of one class, where the paper blends the labels
    too; discrete columns come from one parent, from a with probability w, and so does a number that either parent
    lacks; blended integers are rounded.

    Parameters
    ----------
    alpha : float
        Of the Beta distribution: 1 is uniform, near 0 leaves the rows as they are.
    """

    info = GeneratorInfo(
        "mixup",
        "blends of two real rows of the same class",
        citation="Zhang et al. 2018, mixup, ICLR (arXiv 1710.09412)",
        accepts_missing=True,
        search={"alpha": Search(0.1, 10.0, log=True)},
    )

    def __init__(self, alpha: float = 1.0) -> None:
        if alpha <= 0:
            raise ValueError(f"alpha is {alpha}; a positive number is due.")
        self.alpha = alpha

    def sample(self, n_rows: int, seed: int) -> Table:
        rng = np.random.default_rng(seed)
        first, second = _pairs_of_a_class(self.table.labels, n_rows, rng)
        weight = rng.beta(self.alpha, self.alpha, n_rows)
        parent = np.where(rng.random(n_rows) < weight, first, second)
        a, b, frame = (self.table.take(rows).frame for rows in (first, second, parent))
        for column in self.table.schema.columns:
            if not column.is_discrete:
                blend = weight * a[column.name] + (1 - weight) * b[column.name]
                frame[column.name] = blend.fillna(frame[column.name])
        return self.table.conform(frame)  # rounds the integers


class CutMix(Bootstrap):
    """Rows made of cells of two real rows of one class (CutMix, for tables).

    Yun et al., *CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features* (ICCV 2019)
    pastes a patch of one picture into another, its share drawn from Beta(alpha, alpha). **Ours**: a table has no
    neighbourhood of columns, so that each cell is the second parent's with the probability of that share, missing
    values included; both parents are of one class, where the paper blends the labels too.

    Parameters
    ----------
    alpha : float
        Of the Beta distribution: 1 is uniform, near 0 leaves the rows as they are.
    """

    info = GeneratorInfo(
        "cutmix",
        "rows made of cells of two real rows of the same class",
        citation="Yun et al. 2019, CutMix, ICCV (arXiv 1905.04899)",
        accepts_missing=True,
        accepts_text=True,
        search={"alpha": Search(0.1, 10.0, log=True)},
    )

    def __init__(self, alpha: float = 1.0) -> None:
        if alpha <= 0:
            raise ValueError(f"alpha is {alpha}; a positive number is due.")
        self.alpha = alpha

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        first, second = _pairs_of_a_class(self.table.labels, n_rows, rng)
        frame, other = self.table.take(first).frame, self.table.take(second).frame
        share = rng.beta(self.alpha, self.alpha, n_rows)
        for column in self.table.schema.columns:
            frame[column.name] = frame[column.name].where(rng.random(n_rows) >= share, other[column.name])
        return frame


def _pairs_of_a_class(
    labels: np.ndarray[Any, Any], n_rows: int, rng: np.random.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions of random rows, and of as many others, each of the class of its partner."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    first = rng.integers(0, len(labels), n_rows)
    own = labels[first]
    return first, order[(counts.cumsum() - counts)[own] + rng.integers(0, counts[own])]


class Noise(Bootstrap):
    """Gaussian numbers of the columns' means and spreads, levels at random, classes by their shares: no signal.

    Values are missing as often as in the column, at random. A control that is known to be bad: whatever ranks
    beside it has taught the model nothing.
    """

    info = GeneratorInfo("noise", "Gaussian features and random labels: a control without signal", accepts_missing=True)

    def sample(self, n_rows: int, seed: int) -> Table:
        import pandas as pd

        rng = np.random.default_rng(seed)
        frame = self.table.take(rng.integers(0, len(self.table), n_rows)).frame  # for the classes and the types
        for column in self.table.schema.columns:
            real = self.table.frame[column.name]
            if column.is_discrete:
                codes = rng.integers(0, len(column.levels), n_rows) if column.levels else np.full(n_rows, -1)
                values = pd.Series(pd.Categorical.from_codes(codes, categories=real.cat.categories))
            else:
                values = pd.Series(real.mean() + np.nan_to_num(real.std()) * rng.standard_normal(n_rows))
            frame[column.name] = values.where(rng.random(n_rows) >= real.isna().mean())
        return self.table.conform(frame)  # rounds the integers


class ShuffledLabels(Bootstrap):
    """Bootstrapped rows with their labels permuted: real features and class shares, no signal. A control."""

    info = GeneratorInfo("shuffled-labels", "real rows with their labels shuffled: a control", accepts_missing=True)

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        frame = self.table.take(rng.integers(0, len(self.table), n_rows)).frame
        target = frame[self.table.schema.target]
        return frame.assign(**{self.table.schema.target: target.take(rng.permutation(n_rows)).reset_index(drop=True)})


class Corrupted(Bootstrap):
    """Bootstrapped rows of which a known share is spoilt: doses for a ruler of how fine a comparison can measure.

    A spoilt label is the label of another training row, drawn at random. Spoilt features come from other training
    rows, column by column: taken from *one* other row, they would be the same as a spoilt label. With "both", the
    rows with spoilt labels and those with spoilt features are drawn apart from each other.

    Parameters
    ----------
    share : float
        Of the rows, 0 to 1; rounded to whole rows. 0 is the bootstrap; 1 leaves no signal.
    what : {"labels", "features", "both"}
    """

    info = GeneratorInfo("corrupted", "real rows of which a known share is spoilt: a ruler", accepts_missing=True)

    def __init__(self, share: float = 0.5, what: str = "labels") -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}; a number from 0 to 1 is due.")
        if what not in ("labels", "features", "both"):
            raise ValueError(f"what is {what!r}; 'labels', 'features' or 'both' is due.")
        self.share = share
        self.what = what

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        rows, n = rng.integers(0, len(self.table), n_rows), len(self.table)
        frame, schema = self.table.take(rows).frame, self.table.schema
        n_spoilt = round(self.share * n_rows)
        spoils = {"labels": [[schema.target]], "features": [schema.names], "both": [[schema.target], schema.names]}
        for names in spoils[self.what]:
            spoilt = rng.permutation(n_rows)[:n_spoilt]
            for name in names:
                source = rows.copy()
                source[spoilt] = (rows[spoilt] + rng.integers(1, max(n, 2), n_spoilt)) % n  # any row but its own
                frame[name] = self.table.frame[name].take(source).reset_index(drop=True)
        return frame


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    for generator in (Bootstrap, Jitter, Mixup, CutMix, Independent, Noise, ShuffledLabels, Corrupted, Oracle):
        register(generator)
