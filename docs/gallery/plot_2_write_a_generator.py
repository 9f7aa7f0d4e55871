"""
Write a generator
=================

A class with two methods takes part in every comparison. This one draws rows of the same class and averages them.
"""

import numpy as np
import pandas as pd

from tabgen import FitContext, Generator, GeneratorInfo
from tabgen.datasets import CORE
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table
from tabgen.testing import check_generator


class Midpoint(Generator):
    """New rows half-way between two real rows of a class; words come from the first of the two."""

    info = GeneratorInfo(name="midpoint", summary="half-way between two rows of a class")

    def fit(self, table: Table, context: FitContext) -> None:
        """Keep the rows; the core has filled what is missing."""
        self.table = table

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        """Rows of any number; the same seed gives the same rows."""
        rng = np.random.default_rng(seed)
        labels = self.table.labels
        first = rng.integers(0, len(labels), n_rows)
        other = np.array([rng.choice(np.flatnonzero(labels == labels[row])) for row in first])
        rows = self.table.frame.iloc[first].reset_index(drop=True)
        others = self.table.frame.iloc[other].reset_index(drop=True)
        for column in self.table.schema.columns:
            if column.is_number:
                middle = (rows[column.name] + others[column.name]) / 2
                rows[column.name] = middle.round() if column.kind == "integer" else middle
        return rows


# %%
# Rows of a real table:

frame = pd.read_parquet(CORE / "heart-cleveland.parquet")
table = Table.from_frame(frame, "heart_disease", name="heart-cleveland")
generator = Midpoint()
fit_generator(generator, table, FitContext(seed=0))
draw_sample(generator, table, 8, seed=1).frame

# %%
# The conformance kit tries it on some thirty tables, and says in words what is wrong. One of its checks imports this
# very file in a process of its own, hence the guard.

if __name__ == "__main__":
    results = check_generator(Midpoint)
    for result in results[:6]:
        print("passed" if result.passed else f"failed, {result.reason}:", result.name)
    print(sum(result.passed for result in results), "of", len(results), "passed")
