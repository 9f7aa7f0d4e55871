"""Differentially private marginal models of the package dpmm (PrivBayes, MST), in an environment of their own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, Unsupported, hookimpl
from tabgen.generator import Environment

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tabgen import Column, Table

DPMM = Environment(("dpmm==0.1.9", "pyarrow<22", "python-dateutil<3", "scipy<1.16"), python="3.11")
"""dpmm pins numpy==1.26.4, pandas==2.1.0 and scikit-learn==1.5.0; newer Arrow wants numpy 2."""
LIMITS = Limits(min_rows=10, max_levels=500, max_columns=100)


class _Marginals(Generator):
    """What the two have in common: columns become codes, dpmm learns their noisy marginals, codes become columns.

    The domain is taken as known to everybody, and costs no budget: column names, kinds, levels, classes, smallest and
    largest number of each column, and whether a column has missing values. It is read off the training rows, so the
    guarantee does not cover it.

    Parameters
    ----------
    epsilon : float
        The privacy budget of everything that is learnt beyond the domain.
    delta : float
        Of (epsilon, delta): well below one over the number of rows.
    bins : int
        Equal-width bins of a number; an integer column of no more values than that keeps each as its own.
    iterations : int
        Steps in which the model is fitted to the noisy marginals (dpmm: 5,000); they cost time, and no budget.
    """

    def __init__(self, epsilon: float = 1.0, delta: float = 1e-5, bins: int = 16, iterations: int = 200) -> None:
        if not (epsilon > 0 and 0 < delta < 1 and bins >= 2 and iterations >= 1):
            raise ValueError(
                f"epsilon={epsilon}, delta={delta}, bins={bins}, iterations={iterations}: epsilon above 0, delta"
                " between 0 and 1, at least 2 bins and 1 iteration are due."
            )
        self.epsilon = epsilon
        self.delta = delta
        self.bins = bins
        self.iterations = iterations

    def fit(self, table: Table, context: FitContext) -> None:
        import numpy as np
        import pandas as pd

        self._schema = table.schema
        coders = [_Coder(column, table.frame[column.name], self.bins) for column in table.schema.columns]
        sizes = [*(coder.size for coder in coders), len(table.schema.classes)]
        codes = [*(coder.encode(table.frame[coder.column.name]) for coder in coders), table.labels]
        self._coders = coders
        self._learnt = [number for number, size in enumerate(sizes) if size > 1]  # of one value nothing is to be learnt
        if len(self._learnt) < 2:
            raise Unsupported(f"{self.info.name} needs a column with more than one value beside the classes.")
        if context.seconds_left < 0:
            raise Unsupported("there is no time left to fit.")
        # dpmm walks through sets of column names: whole numbers come in the same order in every process
        frame = pd.DataFrame({number: np.asarray(codes[number], dtype=np.int64) for number in self._learnt})
        self._model = self._make()
        self._model.set_random_state(np.random.RandomState(context.seed % 2**32))
        self._model.set_domain({number: sizes[number] for number in self._learnt})
        with _steered(np.random.default_rng(context.seed), self.iterations):
            self._model.fit(frame)

    def _make(self) -> Any:
        raise NotImplementedError

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        self._model.set_random_state(np.random.RandomState(seed % 2**32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas, about dpmm
            drawn = self._model.generate(n_records=n_rows).sort_index()
        rng = np.random.default_rng(seed)
        data: dict[str, Any] = {}
        for number, coder in enumerate(self._coders):
            codes = drawn[number].to_numpy() if number in self._learnt else np.zeros(n_rows, dtype=np.int64)
            data[coder.column.name] = coder.decode(codes.astype(np.int64), rng)
        labels = drawn[len(self._coders)].to_numpy().astype(np.int64)
        data[self._schema.target] = np.array(self._schema.classes, dtype=object)[labels]
        return pd.DataFrame(data)


class PrivBayes(_Marginals):
    """A Bayesian network of noisy marginals, in which every column depends on one other.

    Zhang, Cormode, Procopiuc, Srivastava, Xiao, *PrivBayes* (TODS 42, 2017), with Private-PGM for inference, as
    implemented by dpmm: half of epsilon selects the network (exponential mechanism), half measures its marginals
    (Gaussian mechanism).
    """

    info = GeneratorInfo(
        "privbayes",
        "differentially private Bayesian network of noisy marginals (dpmm)",
        citation="Zhang et al. 2017, PrivBayes, ACM TODS 42(4); Mahiou et al. 2025, dpmm, arXiv:2506.00322",
        accepts_missing=True,
        preload=("dpmm.models.priv_bayes", "dpmm.models.mst"),
        limits=LIMITS,
        environment=DPMM,
    )

    def _make(self) -> Any:
        from dpmm.models.priv_bayes import PrivBayesGM

        return PrivBayesGM(epsilon=self.epsilon, delta=self.delta, n_iters=self.iterations, n_jobs=1)


class MST(_Marginals):
    """A tree of noisy two-column marginals, over all noisy one-column marginals.

    McKenna, Miklau, Sheldon, *Winning the NIST Contest* (Journal of Privacy and Confidentiality 11, 2021), as
    implemented by dpmm: a third of the budget (as zero-concentrated privacy) each for the one-column marginals, the
    choice of the tree, and its marginals.
    """

    info = GeneratorInfo(
        "mst",
        "differentially private tree of noisy marginals (dpmm)",
        citation="McKenna et al. 2021, Winning the NIST Contest, JPC 11(3); Mahiou et al. 2025, dpmm, arXiv:2506.00322",
        accepts_missing=True,
        preload=("dpmm.models.priv_bayes", "dpmm.models.mst"),
        limits=LIMITS,
        environment=DPMM,
    )

    def _make(self) -> Any:
        from dpmm.models.mst import MSTGM

        return MSTGM(epsilon=self.epsilon, delta=self.delta, n_iters=self.iterations, n_jobs=1)


class _Coder:
    """One column as codes from 0 to ``size`` - 1; the last one is "missing" in a column that has missing values."""

    def __init__(self, column: Column, values: pd.Series[Any], bins: int) -> None:
        self.column = column
        self.missing = bool(values.isna().any())
        self.low = self.width = 0.0
        if column.is_discrete:
            self.cells = len(column.levels)
        elif values.isna().all():
            self.cells = 0
        else:
            self.low, high = float(values.min()), float(values.max())
            reach = high - self.low + (column.kind == "integer")  # an integer stands for itself and up to the next
            whole = column.kind == "integer" and reach <= bins
            self.cells = int(reach) if whole else bins if reach > 0 else 1
            self.width = reach / self.cells
        self.size = self.cells + self.missing

    def encode(self, values: pd.Series[Any]) -> np.ndarray[Any, Any]:
        """Codes of values: (rows,)."""
        import numpy as np

        absent = values.isna().to_numpy()
        if self.column.is_discrete:
            codes = values.cat.codes.to_numpy(dtype=np.int64)
        elif self.width == 0:
            codes = np.zeros(len(values), dtype=np.int64)
        else:
            numbers = values.fillna(self.low).to_numpy(dtype=np.float64)
            codes = np.floor((numbers - self.low) / self.width).astype(np.int64).clip(0, self.cells - 1)
        return np.where(absent, self.cells, codes)

    def decode(self, codes: np.ndarray[Any, Any], rng: np.random.Generator) -> Any:
        """Values of codes: a level, or a number drawn evenly from the bin."""
        import numpy as np
        import pandas as pd

        absent = codes == self.cells
        if self.column.is_discrete:
            return pd.Categorical.from_codes(
                np.where(absent, -1, codes), categories=pd.Index(self.column.levels, dtype=object)
            )
        places = codes + rng.random(len(codes))
        numbers = self.low + self.width * places
        if self.column.kind == "integer":
            numbers = np.floor(numbers + 1e-9 * self.width)
        return np.where(absent, np.nan, numbers) if self.missing else numbers


@contextlib.contextmanager
def _steered(rng: np.random.Generator, iterations: int) -> Iterator[None]:
    """Have dpmm draw its Gaussian noise from this generator, and take at most so many steps to fit a model.

    Its own noise comes from the operating system and is new every time, and MST chooses its tree with a model fitted
    in 2,500 steps whatever it is told.
    """
    from dpmm.models import mst
    from dpmm.models.base.mechanisms import mechanism

    inference: Any = mst.FactoredInference

    def gaussian_noise(sigma: float, size: Any = None) -> Any:
        return rng.normal(0.0, sigma, size)

    def shorter(domain: Any, iters: int) -> Any:
        return inference(domain, iters=min(iters, iterations))

    own = mechanism.gaussian_noise
    mechanism.gaussian_noise, mst.FactoredInference = gaussian_noise, shorter
    try:
        yield
    finally:
        mechanism.gaussian_noise, mst.FactoredInference = own, inference


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(PrivBayes)
    register(MST)
