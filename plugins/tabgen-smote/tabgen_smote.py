"""SMOTE-NC of imbalanced-learn as a generator of whole tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, hookimpl, share_rows

if TYPE_CHECKING:
    import numpy as np

    from tabgen import Table


class SmoteNC(Generator):
    """Rows between neighbours of one class: SMOTE for numbers, majority of the neighbours for levels.

    Chawla, Bowyer, Hall, Kegelmeyer, *SMOTE* (JAIR 16, 2002), section 6.1 for mixed columns, as implemented by
    imbalanced-learn (SMOTE, SMOTENC or SMOTEN, as the columns are). The method only adds rows to small
    classes; to make a whole table of it, every class is oversampled to the number of rows that it shall have,
    and the rows that were added are the sample (**ours**). Also **ours**: numbers are z-scored before
    neighbours are sought; a class has at least one row in a sample that has room for all classes; neighbours are
    fewer where a class is small. A class of a single row has no neighbour at all: its row is repeated, and the
    outcome's notes name the class.

    Parameters
    ----------
    neighbours : int
        Nearest neighbours of the same class among which one is drawn (imbalanced-learn's default), at most.
    balanced : bool
        The same number of rows for every class, in place of the real proportions.
    standardise : bool
        Z-score the numbers first; False leaves distances to the columns' units, as in the paper.
    """

    info = GeneratorInfo(
        "smote-nc",
        "interpolation between neighbours of the same class (imbalanced-learn)",
        citation="Chawla et al. 2002, SMOTE, Journal of Artificial Intelligence Research 16",
        licence="Apache-2.0 AND MIT",
        preload=("imblearn.over_sampling",),
        limits=Limits(min_rows=2),
    )

    def __init__(self, neighbours: int = 5, balanced: bool = False, standardise: bool = True) -> None:
        self.neighbours = neighbours
        self.balanced = balanced
        self.standardise = standardise

    def fit(self, table: Table, context: FitContext) -> None:
        import numpy as np

        self._schema = table.schema
        self._labels = table.labels
        self._x = table.to_matrix()
        self._discrete = np.array([c.is_discrete for c in table.schema.columns])
        scaled = ~self._discrete & self.standardise
        spread = self._x.std(axis=0)
        self._mean = np.where(scaled, self._x.mean(axis=0), 0.0)
        self._scale = np.where(scaled & (spread > 0), spread, 1.0)
        self._counts = np.bincount(self._labels, minlength=len(table.schema.classes))
        lone = [table.schema.classes[i] for i in np.flatnonzero(self._counts == 1)]
        if lone:
            context.notes["repeated_classes"] = lone

    def sample(self, n_rows: int, seed: int) -> Table:
        import numpy as np

        rng = np.random.default_rng(seed)
        wanted = share_rows(n_rows, (self._counts > 0) if self.balanced else self._counts)
        x = (self._x - self._mean) / self._scale
        parts = [self._of_class(x, label, int(n), rng) for label, n in enumerate(wanted) if n]
        labels = np.repeat(np.arange(len(wanted)), wanted)
        order = rng.permutation(n_rows)
        drawn = np.concatenate(parts)[order] * self._scale + self._mean if parts else self._x[:0]
        return self._schema.from_matrix(drawn, labels[order])

    def _of_class(self, x: np.ndarray[Any, Any], label: int, n: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """``n`` new rows of the class: (n, features)."""
        import numpy as np
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

        count = int(self._counts[label])
        if count == 1:
            return np.repeat(x[self._labels == label], n, axis=0)
        settings = {
            "sampling_strategy": {1: count + n},
            "k_neighbors": min(self.neighbours, count - 1),
            "random_state": int(rng.integers(2**31)),
        }
        if self._discrete.all():
            smote = SMOTEN(**settings)
        elif self._discrete.any():
            smote = SMOTENC(np.flatnonzero(self._discrete).tolist(), **settings)
        else:
            smote = SMOTE(**settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the class becomes the largest is what is wanted here
            resampled, _ = smote.fit_resample(x, (self._labels == label).astype(int))
        new: np.ndarray[Any, Any] = resampled[len(x) :]
        return new


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(SmoteNC)
