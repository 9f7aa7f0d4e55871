"""Sequential trees: every column is drawn from the leaf of a tree grown on the columns before it, as synthpop does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, hookimpl

if TYPE_CHECKING:
    import numpy as np

    from tabgen import Column, Table

VISITS = ("target-first", "target-last")


@dataclass(frozen=True)
class _Leaves:
    """A fitted tree, and the training rows of each of its leaves, one leaf after the other.

    Attributes
    ----------
    tree : scikit-learn's tree
    rows : ndarray of int, shape (n,)
        Training rows sorted by leaf.
    begin, size : ndarray of int, shape (nodes,)
        Where the rows of a leaf begin in ``rows``, and how many they are.
    """

    tree: Any
    rows: np.ndarray[Any, Any]
    begin: np.ndarray[Any, Any]
    size: np.ndarray[Any, Any]


class SeqTrees(Generator):
    """Columns drawn one after the other from leaves of classification and regression trees.

    Reiter, *Using CART to generate partially synthetic public use microdata* (Journal of Official Statistics 21(3),
    2005), as in synthpop (Nowok, Raab, Dibben, Journal of Statistical Software 74(11), 2016), whose method `cart` and
    smallest leaf of 5 rows this follows. The first column is drawn from its real values. For each column after it, a
    tree is grown on the columns before; a new row falls into a leaf and takes the value of a random training row of it.

    Departures (**ours**): the trees are scikit-learn's, without pruning, and split levels by their position among the
    column's levels, where rpart searches subsets of them. Whether a value is missing is drawn by a tree of its own; as
    a predictor a missing value is below all others. With
    ``smooth`` a drawn number is blurred within its leaf (synthpop's density smoothing uses a kernel over the column).

    Parameters
    ----------
    visit : str
        Order of columns: "target-first" (the features given the class, by the real shares) or "target-last"; the
        features in the table's order.
    min_leaf : int
        Training rows in a leaf, at least.
    max_depth : int
        Of a tree; 0: none.
    smooth : bool
        Numbers get Gaussian noise by Silverman's rule within their leaf, inside the leaf's range; integers are rounded.
    """

    info = GeneratorInfo(
        "seq-trees",
        "columns drawn one after the other from the leaves of trees",
        citation="Reiter 2005, JOS 21(3); Nowok et al. 2016, synthpop, JSS 74(11)",
        licence="Apache-2.0 AND BSD-3-Clause",
        accepts_missing=True,
        preload=("sklearn.tree",),
    )

    def __init__(
        self, visit: str = "target-first", min_leaf: int = 5, max_depth: int = 0, smooth: bool = False
    ) -> None:
        if visit not in VISITS:
            raise ValueError(f"visit={visit!r}: one of {', '.join(VISITS)} is due.")
        if min_leaf < 1 or max_depth < 0:
            raise ValueError("min_leaf of at least 1 and max_depth of at least 0 are due.")
        self.visit = visit
        self.min_leaf = min_leaf
        self.max_depth = max_depth
        self.smooth = smooth

    def fit(self, table: Table, context: FitContext) -> None:
        """One tree for every column but the first, and one more where numbers are missing."""
        import numpy as np

        from tabgen.table import Column

        target = Column(table.schema.target, "categorical", table.schema.classes)
        features = list(table.schema.columns)
        self._order: list[Column] = [target, *features] if self.visit == "target-first" else [*features, target]
        self._table = table
        self._real = dict(zip(table.schema.names, table.to_matrix().T, strict=True))
        self._real[target.name] = table.labels.astype(np.float64)
        self._trees: dict[str, _Leaves | None] = {}
        self._holes: dict[str, _Leaves | None] = {}
        rng = np.random.default_rng(context.seed)
        for number, column in enumerate(self._order):
            x = self._predictors(self._order[:number], self._real)
            y = self._real[column.name]
            known = np.flatnonzero(~np.isnan(y))
            self._trees[column.name] = self._grow(x, y, known, column.is_discrete, rng)
            if len(known) < len(y):
                self._holes[column.name] = self._grow(x, np.isnan(y) * 1.0, np.arange(len(y)), True, rng)

    def sample(self, n_rows: int, seed: int) -> Table:
        import numpy as np

        rng = np.random.default_rng(seed)
        drawn: dict[str, np.ndarray[Any, Any]] = {}
        for number, column in enumerate(self._order):
            name, y = column.name, self._real[column.name]
            x = self._predictors(self._order[:number], drawn, n_rows)
            values = self._draw(self._trees[name], x, y, rng, self.smooth and not column.is_discrete)
            if name in self._holes:
                values[self._draw(self._holes[name], x, np.isnan(y) * 1.0, rng) == 1.0] = np.nan
            drawn[name] = values.round() if column.kind == "integer" else values
        schema = self._table.schema
        features = np.column_stack([drawn[name] for name in schema.names])
        return schema.from_matrix(features, drawn[schema.target].astype(int))

    def _predictors(
        self, columns: list[Column], values: dict[str, np.ndarray[Any, Any]], n_rows: int | None = None
    ) -> np.ndarray[Any, Any]:
        """What a tree splits by: each value's place among the training rows' values, -1 where it is missing.

        Places rather than values: a tree sees order alone, and float32 holds them whatever the size of the numbers.
        """
        import numpy as np

        n = len(self._table) if n_rows is None else n_rows
        out = np.zeros((n, len(columns) + 1), dtype=np.float32)  # the first column in order has no other predictor
        for place, column in enumerate(columns):
            real = self._real[column.name]
            known = np.unique(real[~np.isnan(real)])
            if len(known):
                out[:, place] = np.nan_to_num(np.interp(values[column.name], known, np.arange(len(known))), nan=-1.0)
        return out

    def _grow(
        self,
        x: np.ndarray[Any, Any],
        y: np.ndarray[Any, Any],
        rows: np.ndarray[Any, Any],
        discrete: bool,
        rng: np.random.Generator,
    ) -> _Leaves | None:
        """A tree over these rows; None where there is nothing to learn or nothing to learn it by."""
        import numpy as np
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        if not len(rows):
            return None
        kind = DecisionTreeClassifier if discrete else DecisionTreeRegressor
        centre = 0.0 if discrete else float(np.mean(y[rows] / max(1.0, np.abs(y[rows]).max())))
        scale = 1.0 if discrete else max(1.0, float(np.abs(y[rows]).max()))
        tree = kind(
            min_samples_leaf=self.min_leaf, max_depth=self.max_depth or None, random_state=int(rng.integers(2**31))
        ).fit(x[rows], y[rows] / scale - centre)
        leaf = tree.apply(x[rows])
        size = np.bincount(leaf, minlength=tree.tree_.node_count)
        return _Leaves(tree, rows[np.argsort(leaf, kind="stable")], np.cumsum(size) - size, size)

    def _draw(
        self,
        leaves: _Leaves | None,
        x: np.ndarray[Any, Any],
        y: np.ndarray[Any, Any],
        rng: np.random.Generator,
        smooth: bool = False,
    ) -> np.ndarray[Any, Any]:
        """For each row the value of a random training row of its leaf."""
        import numpy as np

        if leaves is None or not len(x):
            return np.full(len(x), np.nan)
        leaf = leaves.tree.apply(x)
        place = leaves.begin[leaf] + (rng.random(len(x)) * leaves.size[leaf]).astype(int)
        values: np.ndarray[Any, Any] = y[leaves.rows[place]].astype(np.float64)
        if smooth:
            for node in np.unique(leaf):
                inside = y[leaves.rows[leaves.begin[node] : leaves.begin[node] + leaves.size[node]]]
                mine = leaf == node
                noise = 0.9 * inside.std() * len(inside) ** -0.2 * rng.standard_normal(mine.sum())
                values[mine] = np.clip(values[mine] + noise, inside.min(), inside.max())
        return values


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(SeqTrees)
