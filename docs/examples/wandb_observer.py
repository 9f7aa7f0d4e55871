"""A run of W&B with a step for every cell: tabgen --plugin docs/examples/wandb_observer.py run ...

Needs `pip install wandb`. Nothing leaves this machine unless WANDB_MODE=online: what is written to ./wandb can be sent
later with `wandb sync`.
"""

import math
import os

from tabgen import hookimpl


@hookimpl
def tabgen_cell_finished(outcome):
    import wandb

    cell, result = outcome.cell, outcome.result
    run = wandb.run or wandb.init(project="tabgen", mode=os.environ.get("WANDB_MODE", "offline"))
    scores = {
        f"{cell.method}/{name}": float(value)
        for name, value in result.measured.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    run.log(scores | {"dataset": cell.dataset, "fold": cell.fold, "method": cell.method, "status": result.status})
