"""
Which generator helps my table?
===============================

A table of one's own, three generators, and an answer: use these rows so, keep the real rows alone, or what would
decide it.
"""

import tempfile

import pandas as pd

import tabgen
from tabgen.datasets import CORE

# %%
# A DataFrame with a column to predict; here one of the tables that come with tabgen.

data = pd.read_parquet(CORE / "heart-cleveland.parquet")
data.head()

# %%
# Three folds with one seed are three splits; the command line repeats each three times. Nothing is fine-tuned.

result = tabgen.compare(
    data=data,
    target="heart_disease",
    methods=["real", "jitter", "mixup", "independent"],
    seeds=1,
    fidelity=False,
    output=tempfile.mkdtemp(),
)
result

# %%
# The answer in a sentence, and every use with its interval.

print(result.answer.reason)
pd.DataFrame(
    {
        "use": [f"{c.method}, {c.arm}" for c in result.answer.candidates],
        "before": [c.before for c in result.answer.candidates],
        "after": [c.after for c in result.answer.candidates],
    }
).round(3)

# %%
# Rows to go on with.

tabgen.generate("mixup", data, target="heart_disease", rows=3)
