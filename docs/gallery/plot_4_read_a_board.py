"""
Read a board's rows
===================

A leaderboard is made of rows, one per cell, that anybody can load: every number on its pages follows from them.
"""

import tempfile

import tabgen
from tabgen.results import rank_pools

run = tempfile.mkdtemp()
tabgen.compare(
    suite="quick",
    methods=["real", "jitter", "noise"],
    arms=["context"],
    folds=2,
    max_train_rows=[100],
    max_test_rows=100,
    fidelity=False,
    output=run,
)

# %%
# A run's rows, or those of several, of a bundle or of a site's download: one row per cell, ended well or not.

rows = tabgen.load_results(run)
rows.groupby(["method", "status"]).size()

# %%
# Everything that a board says is made of them: here the mean test score in the arm "context" by table and method.

rows.pivot_table(index="dataset", columns="method", values="context_test_roc_auc").round(3)

# %%
# The ranking that the board shows, from the same rows.

for each in rank_pools(rows, arms=["context"]):
    print(each.pool.name)
    for record in each.ranking.methods:
        print(f"  {record.method:10} mean rank {record.mean_rank:.2f}, median gain {record.median_gain:+.2f} %")
    print("\n".join(each.ranking.sentences()))
