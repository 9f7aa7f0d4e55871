"""In-context: rows by the foundation model itself, column after column, each given those before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, hookimpl

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tabgen import Column, Table
    from tabgen.models.base import FoundationModel

PLACES = ("first", "last", "random")
ROUNDS = 3
"""How often the model is asked about the rarer levels of one column; beyond, they are drawn by their shares."""


@dataclass(frozen=True)
class _Codes:
    """A column as classes: of each real row (n,), and how a row of each class gets its value.

    Attributes
    ----------
    codes : ndarray of int
    values : list
        For each class the sorted numbers or the positions of levels in it; empty: the value is missing.
    """

    codes: np.ndarray[Any, Any]
    values: list[np.ndarray[Any, Any]]


class InContext(Generator):
    """Rows drawn by the chain rule from the cell's own foundation model, nothing trained.

    **Ours** in its details; the idea is that of unsupervised TabPFN (Hollmann et al., Nature 637, 2025; the extension
    `TabPFNUnsupervisedModel`): ``p(row) = prod_j p(x_j | the columns before it)``, where each factor is the model's
    in-context prediction of a column from those before it, with the real rows as context. A block of rows has a random
    order of columns of its own, so that no order is every row's. The first column is drawn from the real rows.

    A column is predicted as classes. Levels are classes; of more than the model takes, the most frequent come first,
    and the rest are asked for in the same way among the rows that have them, three times at most. Numbers are classes
    between quantiles, at most ``bins`` and no more than the model takes; a number is drawn within its class by
    inverting the real rows' distribution function (an integer is one of the real ones). Of few different numbers each
    is a class. A missing value is a class of its own.

    Parameters
    ----------
    target : str
        Where the target stands in the order of columns: "first" (its real shares, the features given it), "last" (the
        features, then the model's own prediction) or "random".
    orders : int
        Orders of columns, each for its share of the rows.
    bins : int
        Classes between quantiles of a number, at most.
    max_context : int
        Real rows that the model is shown, at most; drawn at random where there are more.
    """

    info = GeneratorInfo(
        "in-context",
        "rows by the foundation model itself, column after column",
        citation="after Hollmann et al. 2025, Nature 637 (unsupervised TabPFN)",
        accepts_missing=True,
        preload=("torch",),
        weights_licence="the model's",
    )

    def __init__(self, target: str = "first", orders: int = 4, bins: int = 10, max_context: int = 1000) -> None:
        if target not in PLACES:
            raise ValueError(f"target={target!r}: one of {', '.join(PLACES)} is due.")
        if orders < 1 or bins < 2 or max_context < 2:
            raise ValueError("orders of at least 1, bins and max_context of at least 2 are due.")
        self.target = target
        self.orders = orders
        self.bins = bins
        self.max_context = max_context

    def fit(self, table: Table, context: FitContext) -> None:
        """Cast every column into classes; the model stays as it is."""
        import numpy as np

        from tabgen.table import Column

        self._model: FoundationModel = context.foundation_model
        if len(table) > self.max_context:
            rng = np.random.default_rng(context.seed)
            table = table.take(np.sort(rng.choice(len(table), self.max_context, replace=False)))
        self._table = table
        target = Column(table.schema.target, "categorical", table.schema.classes)
        self._columns: dict[str, Column] = {c.name: c for c in (*table.schema.columns, target)}
        self._coded = {name: self._code(column) for name, column in self._columns.items()}
        context.notes |= {"model": self._model.checkpoint_hash[:12], "context_rows": len(table)}

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        rng = np.random.default_rng(seed)
        blocks = [self._block(len(part), rng) for part in np.array_split(np.arange(n_rows), self.orders) if len(part)]
        drawn = pd.concat(blocks, ignore_index=True) if blocks else self._table.frame.iloc[:0]
        names = [*self._table.schema.names, self._table.schema.target]
        return drawn[names].take(rng.permutation(n_rows)).reset_index(drop=True)

    def _block(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """Rows that share one order of columns."""
        import pandas as pd

        target = self._table.schema.target
        order = [str(name) for name in rng.permutation([*self._columns])]
        if self.target != "random":
            order.remove(target)
            order = [target, *order] if self.target == "first" else [*order, target]
        data: dict[str, Any] = {}
        for name in order:
            codes = self._draw(self._coded[name].codes, pd.DataFrame(data, index=range(n)), n, rng)
            data[name] = self._values(name, codes, rng)
        return pd.DataFrame(data)

    def _draw(
        self, codes: np.ndarray[Any, Any], before: pd.DataFrame, n: int, rng: np.random.Generator
    ) -> np.ndarray[Any, Any]:
        """One of the codes for each of ``n`` rows, given their columns so far."""
        import numpy as np

        drawn = np.zeros(n, dtype=np.intp)
        rows, mine = np.arange(len(codes)), np.arange(n)  # real and new rows that are still in question
        for _ in range(ROUNDS):
            if not len(mine):
                return drawn
            found, counts = np.unique(codes[rows], return_counts=True)
            asked = found[np.argsort(-counts, kind="stable")]
            most = self._model.max_classes
            asked = found if len(found) <= most else np.sort(asked[: most - 1])
            place = {int(code): number for number, code in enumerate(asked)}
            labels = np.array([place.get(int(code), len(asked)) for code in codes[rows]], dtype=np.int64)
            shares = self._predict(rows, labels, before.iloc[mine], len(asked) + (len(asked) < len(found)))
            chosen = np.minimum((shares.cumsum(axis=1) < rng.random((len(mine), 1))).sum(axis=1), shares.shape[1] - 1)
            known = chosen < len(asked)
            drawn[mine[known]] = asked[chosen[known]]
            rows, mine = rows[labels == len(asked)], mine[~known]
        if len(mine):
            drawn[mine] = rng.choice(codes[rows], len(mine))
        return drawn

    def _predict(
        self, rows: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], before: pd.DataFrame, n_classes: int
    ) -> np.ndarray[Any, Any]:
        """The model's probabilities of classes for new rows; the real shares where nothing was drawn before."""
        import numpy as np
        import torch

        from tabgen import Table
        from tabgen.table import Schema

        real = self._table.frame.iloc[rows]
        names = [name for name in before.columns if len(real[name].drop_duplicates()) > 1]
        if n_classes == 1 or not names:
            shares = np.bincount(labels, minlength=n_classes) / len(labels)
            return np.tile(shares, (len(before), 1))
        schema = Schema(tuple(self._columns[name] for name in names), " class", tuple(range(n_classes)))
        context, query = (
            Table(frame[names].reset_index(drop=True).assign(**{" class": _classes(y, n_classes)}), schema)
            for frame, y in ((real, labels), (before, np.zeros(len(before), dtype=np.int64)))
        )
        encoder = self._model.encoder(context)
        support, y = encoder.encode(context), torch.from_numpy(labels)
        probabilities: np.ndarray[Any, Any] = self._model.predict(
            support, y, encoder.encode(query), n_classes, encoder.levels
        )
        return probabilities

    def _code(self, column: Column) -> _Codes:
        """A real column as classes."""
        import numpy as np

        values = self._table.frame[column.name]
        if column.is_discrete:
            codes = values.cat.codes.to_numpy().astype(np.intp)
            known = [np.array([level]) for level in range(len(column.levels))]
            codes[codes < 0] = len(known)
            return _Codes(codes, [*known, np.array([])])
        numbers = values.to_numpy(dtype=np.float64)
        missing = np.isnan(numbers)
        known_numbers = np.sort(numbers[~missing])
        most = min(self.bins, self._model.max_classes - bool(missing.any()))
        distinct = np.unique(known_numbers)
        if len(distinct) <= most:
            edges = distinct[1:]
        else:
            edges = np.unique(np.quantile(known_numbers, np.linspace(0, 1, most + 1)[1:-1], method="inverted_cdf"))
        codes = np.searchsorted(edges, numbers, side="right")
        codes[missing] = len(edges) + 1
        places = np.searchsorted(edges, known_numbers, side="right")
        return _Codes(codes, [*(known_numbers[places == place] for place in range(len(edges) + 1)), np.array([])])

    def _values(self, name: str, codes: np.ndarray[Any, Any], rng: np.random.Generator) -> Any:
        """A value for each code."""
        import numpy as np
        import pandas as pd

        column, known = self._columns[name], self._coded[name].values
        dtype: Any = self._table.frame[name].dtype
        if column.is_discrete:
            return pd.Categorical.from_codes(np.where(codes == len(column.levels), -1, codes), dtype=dtype)
        values = np.full(len(codes), np.nan)
        for code in np.unique(codes):
            mine, inside = codes == code, known[code]
            if len(inside):
                place = rng.random(mine.sum()) * (len(inside) - 1)
                whole = np.round(place).astype(int)
                between = np.interp(place, np.arange(len(inside)), inside)
                values[mine] = inside[whole] if column.kind == "integer" else between
        return values.astype(dtype)


def _classes(codes: np.ndarray[Any, Any], n_classes: int) -> Any:
    import pandas as pd

    return pd.Categorical.from_codes(codes, categories=pd.RangeIndex(n_classes))


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(InContext)
