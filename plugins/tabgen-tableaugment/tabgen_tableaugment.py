"""TableAugment: new tasks from the same table, by resampling its rows and columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, hookimpl

if TYPE_CHECKING:
    import numpy as np

    from tabgen import Column, Table


class TableAugment(Generator):
    """Bootstrapped rows over a random subset of the feature columns; no new values are made.

    One of the yardsticks of Bühler, Purucker, Hutter (CausalMixFT, arXiv 2601.04110), which names it without
    describing it. This is the best reading of two related code bases, and **ours** to that extent: rows are
    drawn with replacement, a random share of the feature columns is kept, and so is the target. Every sample
    is another task, so the core draws anew for every fine-tuning step.

    Parameters
    ----------
    min_share, max_share : float
        The share of the feature columns that is kept is uniform between the two; at least one column is.
    new_target : bool
        Pick the target anew among the columns that may serve: the target itself, and every categorical or
        boolean column without missing values that holds no more levels than the table has classes. Its
        levels take the classes' names by rank of frequency, and the old target is dropped. It keeps the
        target's name, so the sample is still a table of the same schema.
    """

    info = GeneratorInfo(
        "tableaugment",
        "new tasks from the same table: bootstrapped rows, a random part of the columns",
        citation="Bühler, Purucker, Hutter 2026, CausalMixFT (arXiv 2601.04110); procedure as read by tabgen",
        accepts_missing=True,
        changes_columns=True,
        redraws=True,
        limits=Limits(min_rows=2),
    )

    def __init__(self, min_share: float = 0.5, max_share: float = 1.0, new_target: bool = False) -> None:
        if not 0 <= min_share <= max_share <= 1:
            raise ValueError(f"0 <= min_share <= max_share <= 1 is due; they are {min_share} and {max_share}.")
        self.min_share = min_share
        self.max_share = max_share
        self.new_target = new_target

    def fit(self, table: Table, context: FitContext) -> None:  # noqa: ARG002 - nothing is learned, so nothing is drawn
        self.table = table
        self._targets = _possible_targets(table) if self.new_target else [table.schema.target]

    def sample(self, n_rows: int, seed: int) -> Table:
        import numpy as np

        from tabgen import Schema, Table

        rng = np.random.default_rng(seed)
        table = _with_target(self.table, self._targets[rng.integers(len(self._targets))])
        names = table.schema.names
        n_kept = max(1, round(rng.uniform(self.min_share, self.max_share) * len(names)))
        kept = np.sort(rng.permutation(len(names))[:n_kept])
        columns = tuple(table.schema.columns[i] for i in kept)
        schema = Schema(columns, table.schema.target, table.schema.classes)
        return Table(table.frame[[*schema.names, schema.target]], schema).take(_rows(table.labels, n_rows, rng))


def _rows(labels: np.ndarray[Any, Any], n_rows: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Positions drawn with replacement; should they all be of one class, one of them gives way to another class."""
    import numpy as np

    rows = rng.integers(0, len(labels), n_rows)
    others = np.flatnonzero(labels != labels[rows[0]]) if n_rows else rows
    if n_rows > 1 and len(others) and (labels[rows] == labels[rows[0]]).all():
        rows[rng.integers(n_rows)] = rng.choice(others)  # a task of one class teaches a classifier nothing
    return rows


def _possible_targets(table: Table) -> list[str]:
    def fits(column: Column) -> bool:
        values = table.frame[column.name]
        return (
            column.is_discrete
            and not values.isna().any()
            and len(table.schema.columns) > 1
            and 2 <= values.nunique() <= len(table.schema.classes)
        )

    return [table.schema.target, *(column.name for column in table.schema.columns if fits(column))]


def _with_target(table: Table, name: str) -> Table:
    """The table with the feature ``name`` in the place of the target, under the target's name and classes."""
    import pandas as pd

    from tabgen import Schema, Table

    schema = table.schema
    if name == schema.target:
        return table
    values = table.frame[name]
    levels_by_frequency = list(values.value_counts(sort=True).index)
    classes_by_frequency = list(table.frame[schema.target].value_counts(sort=True).index)
    classes = dict(zip(levels_by_frequency, classes_by_frequency, strict=False))
    codes = [schema.classes.index(classes[value]) for value in values]
    columns = tuple(column for column in schema.columns if column.name != name)
    frame = table.frame[[column.name for column in columns]].copy()
    frame[schema.target] = pd.Categorical.from_codes(codes, categories=pd.Index(schema.classes, dtype=object))
    return Table(frame, Schema(columns, schema.target, schema.classes))


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(TableAugment)
