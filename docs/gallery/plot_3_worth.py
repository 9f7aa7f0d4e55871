"""
What a synthetic row is worth
=============================

As the model's context, in place of the real rows, a synthetic table scores as some number of real rows do. That
number is read off the model's learning curve on the same fold: it is the worth of the table.
"""

import tempfile

import tabgen

result = tabgen.compare(
    suite="quick",
    methods=["real", "bootstrap", "mixup", "independent"],
    arms=["context"],
    folds=2,
    max_train_rows=[100],
    max_test_rows=100,
    fidelity=False,
    output=tempfile.mkdtemp(),
)

# %%
# One row per cell: scores, worth in rows, and whether it lies beyond the learning curve (-1 below, 1 above).

outcomes = result.to_frame()
columns = ["dataset", "fold", "method", "zero_shot_test_roc_auc", "context_test_roc_auc"]
outcomes[[*columns, "worth_context_rows", "worth_context_censored"]].head(8).round(3)

# %%
# Worth by method. The bars are bootstrap intervals over the tables.

result.plot.worth()

# %%
# And the ranking. Six tables rank nothing for certain; see how to read "no difference can be claimed".

result.plot.ranks()
