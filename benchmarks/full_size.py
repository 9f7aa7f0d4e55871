"""Does a cell of Mitra's size run on a CPU? Seconds and memory, with random weights of that size.

A Tab2D of 12 layers by 512 (76M parameters), as Mitra is, with random weights, runs one cell through the local engine:
`real` (plain fine-tuning) or a generator, with as many training rows and columns as asked for, and so many steps of
recipe `autogluon`. Random weights cost what trained ones do; the scores say nothing and are not shown.

    OMP_NUM_THREADS=1 python benchmarks/full_size.py --rows 500 --columns 20 --steps 2
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tabgen.datasets import file_suite
from tabgen.engines import EngineSettings
from tabgen.engines.local import LocalEngine
from tabgen.environment import provenance
from tabgen.experiment import Experiment, Limits, parse_methods, plan
from tabgen.models.checkpoints import Tab2DModel, save_directory
from tabgen.models.recipes import get_recipe
from tabgen.models.tab2d import Tab2D, Tab2DConfig
from tabgen.plugins import PluginChoice, load_plugins

FOLDS = 5


def checkpoint(folder: Path, layers: int, dim: int) -> int:
    """Random weights of these sizes, as any checkpoint; how many there are."""
    torch.manual_seed(0)
    module = Tab2D(Tab2DConfig(dim, 10, layers, 4))
    save_directory(Tab2DModel(module, ""), folder)
    return sum(weight.numel() for weight in module.parameters())


def table(path: Path, rows: int, columns: int) -> None:
    """Numbers, and a class that is told by two of them; as many rows as leave ``rows`` to train on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(round(rows / (1 - 1 / FOLDS) / 0.8) + FOLDS, columns))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(columns)])
    frame.assign(y=np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")).to_parquet(path)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One cell through the local engine: its seconds by phase and its peak memory."""
    amount = checkpoint(folder / "model", options.layers, options.dim)
    table(folder / "table.parquet", options.rows, options.columns)
    choice = PluginChoice(external=False)
    plugins = load_plugins(choice)
    experiment = Experiment(
        file_suite(folder / "table.parquet", "y"),
        parse_methods([options.method], plugins),
        FOLDS,
        arms=tuple(options.arms.split(",")),
        tuning_seeds=options.tuning_seeds,
        model=str(folder / "model"),
        recipe=get_recipe("autogluon", steps=options.steps, evaluate_every=options.steps).to_dict(),
        max_train_rows=(options.rows,),
        limits=Limits(seconds=24 * 3600, memory_mb=options.memory),
        fidelity=False,
    )
    began = time.perf_counter()
    engine = LocalEngine(EngineSettings(choice, folder / "run", workers=1))
    ((_, result),) = engine.run(plan(experiment, plugins)[:1])
    measured = result.measured
    return {
        "status": result.status,
        "reason": result.reason,
        "parameters": amount,
        "n": {part: measured.get(f"n_{part}") for part in ("train", "validation", "test", "columns")},
        "steps": result.steps,
        "step_seconds": result.step_seconds,
        "seconds": {name: value for name, value in measured.items() if name.startswith("seconds_")},
        "processor_seconds": measured.get("processor_seconds"),
        "peak_memory_mb": result.peak_memory_mb,
        "wall_seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500, help="training rows")
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--tuning-seeds", type=int, default=1)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--method", default="jitter")
    parser.add_argument("--arms", default="fine-tune", help="uses of the rows, between commas")
    parser.add_argument("--memory", type=float, default=4000, help="limit in MB; a cell beyond it ends out_of_memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options, Path(folder)) | {"provenance": provenance()}, indent=1))


if __name__ == "__main__":
    main()
