"""Every cell as a run of MLflow: tabgen --plugin docs/examples/mlflow_observer.py run ...

Needs `pip install mlflow-skinny`. MLFLOW_TRACKING_URI says where to; MLflow's own default is this machine.
"""

import math

from tabgen import hookimpl


@hookimpl
def tabgen_cell_finished(outcome):
    import mlflow

    cell, result = outcome.cell, outcome.result
    mlflow.set_experiment(f"tabgen/{cell.suite}")
    with mlflow.start_run(run_name=f"{cell.dataset} fold {cell.fold} {cell.method}"):
        mlflow.set_tags({"status": result.status, "reason": result.reason, "key": cell.key})
        mlflow.log_params(
            {name: getattr(cell, name) for name in ("dataset", "fold", "seed", "method", "mixing", "model", "protocol")}
        )
        mlflow.log_metrics(
            {
                name: float(value)
                for name, value in result.measured.items()
                if isinstance(value, int | float) and math.isfinite(value)
            }
        )
