"""Prior: tasks of tabgen's pre-training priors in the shape of the table, one for every fine-tuning step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Unsupported, hookimpl

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tabgen import Column, Table

ATTEMPTS = 20
"""Tasks drawn until one has two classes."""
FEWEST_ROWS = 60
"""Rows of a task at least, as in pre-training; a smaller sample is its first rows."""


class Prior(Generator):
    """A synthetic task with the table's columns, kinds, marginals and number of classes, and nothing else of it.

    **Ours**, as a control: what a method gains over it is due to what the method knows of the table. A sample is one
    task of a pre-training prior. A column of it takes the real column's values (its k-th smallest value becomes the
    real column's value of the same rank; levels are put in a random order first, and equal values stay equal), so the
    marginals are real and all dependence, the label's included, is the prior's.

    Parameters
    ----------
    priors : str
        Name=share, comma-separated: which of the pre-training priors, and how often (`tabgen pretrain --priors`).
    """

    info = GeneratorInfo(
        "prior",
        "tasks of the pre-training prior in the table's shape: the control that knows nothing of its dependence",
        redraws=True,
        preload=("torch", "tabgen.pretrain.tasks"),
    )

    def __init__(self, priors: str = "mechanisms=0.7,rules=0.15,levels=0.08,collinear=0.07") -> None:
        self.priors = priors

    def fit(self, table: Table, context: FitContext) -> None:  # noqa: ARG002 - nothing is drawn before sample()
        from tabgen.pretrain.tasks import parse_priors

        if len(table.schema.classes) < 2:
            raise Unsupported("a task of the prior has at least two classes; the table has one.")
        self._shares = parse_priors(self.priors)
        self._schema = table.schema
        self._sorted = {c.name: self._in_order(c, table.frame[c.name]) for c in table.schema.columns}

    @staticmethod
    def _in_order(column: Column, values: pd.Series[Any]) -> np.ndarray[Any, Any]:
        """The column's values, or positions of levels, by size."""
        import numpy as np

        return np.sort((values.cat.codes if column.is_discrete else values).to_numpy())

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd
        import torch

        from tabgen.pretrain.tasks import PRIORS, learnable_tasks

        rng = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        columns, classes = self._schema.columns, self._schema.classes
        for _ in range(ATTEMPTS):
            prior = PRIORS[str(rng.choice(list(self._shares), p=list(self._shares.values())))]
            rows = max(n_rows, FEWEST_ROWS)
            task = learnable_tasks(prior, 1, rows, len(columns), len(classes), generator)
            labels = task.y[0, :n_rows].numpy()
            if len(np.unique(labels)) > 1:
                break
        drawn = task.x[0, :n_rows].numpy()
        frame = {column.name: self._as_real(column, drawn[:, number], rng) for number, column in enumerate(columns)}
        frame[self._schema.target] = pd.Categorical.from_codes(labels, categories=pd.Index(classes, dtype=object))
        return pd.DataFrame(frame)

    def _as_real(self, column: Column, drawn: np.ndarray[Any, Any], rng: np.random.Generator) -> Any:
        """The drawn column with the real column's values: equal shares of rows below mean equal ranks."""
        import numpy as np
        import pandas as pd

        values = self._sorted[column.name]
        _, position, counts = np.unique(drawn, return_inverse=True, return_counts=True)
        middle = (np.cumsum(counts) - counts / 2) / len(drawn)  # share of rows below, half of one's equals among them
        if not column.is_discrete:
            return values[(middle * len(values)).astype(int)][position]
        # levels have no order: the real shares go to the ranks in a random order
        levels = rng.permutation(len(column.levels))
        rank_of_level = np.argsort(levels)
        by_rank = np.sort(rank_of_level[values[values >= 0]])
        codes = levels[by_rank[(middle * len(by_rank)).astype(int)]][position]
        return pd.Categorical.from_codes(codes, categories=pd.Index(column.levels, dtype=object))


@hookimpl
def tabgen_register_generators(register: Any) -> None:
    register(Prior)
