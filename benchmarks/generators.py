"""Seconds and peak memory of every installed generator, by rows and columns, each in a process of its own.

The table is mixed (half numeric, the rest integer, categorical and boolean) with a chain of dependences and three
classes. One compute thread; what a generator preloads is imported before the clock starts, as in a run. CPU seconds
are those of the process: on a busy machine they come nearer to an idle one's wall time than the wall time does.
Recorded results: docs/generators/README.md.

    python benchmarks/generators.py --rows 500 --columns 15 --json generators.json
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabgen import Table
    from tabgen.models.base import FoundationModel


def mixed_table(n_rows: int, n_columns: int, seed: int = 0) -> Table:
    """Every column depends on one before it; the classes depend on the first three."""
    import numpy as np
    import pandas as pd

    from tabgen import Table

    rng = np.random.default_rng(seed)
    hidden = np.zeros((n_rows, n_columns))
    for i in range(n_columns):
        cause = hidden[:, rng.integers(i)] if i else 0.0
        hidden[:, i] = np.tanh(cause) * rng.choice([-1.5, 1.5]) + rng.standard_normal(n_rows)
    data = {}
    for i in range(n_columns):
        x = hidden[:, i]
        level = np.array(list("abcd"))[np.searchsorted([-1, 0, 1], x)]
        data[f"x{i}"] = (x, np.exp(x), np.round(4 * x).astype(int), level, x > 0.5, x)[i % 6]
    score = hidden[:, : min(3, n_columns)].sum(axis=1) + 0.5 * rng.standard_normal(n_rows)
    label = np.array(["low", "middle", "high"])[np.searchsorted(np.quantile(score, [0.4, 0.7]), score)]
    return Table.from_frame(pd.DataFrame(data).assign(label=label), "label")


def measure(name: str, n_rows: int, n_columns: int, n_sampled: int, model: str) -> dict[str, Any]:
    """Fit and sample one generator in this process."""
    import torch

    from tabgen import FitContext
    from tabgen.plugins import find_model, get_plugins
    from tabgen.sampling import draw_sample, fit_generator

    torch.set_num_threads(1)
    table = mixed_table(n_rows, n_columns)
    plugins = get_plugins()
    generator = plugins.generators[name]()
    loaded: list[FoundationModel] = []
    context = FitContext(seed=0, load_model=lambda: loaded[0] if loaded else find_model(model, plugins).load("cpu"))
    if name == "tabebm":
        loaded.append(context.foundation_model)
    for module in ("sklearn.metrics", *generator.info.preload):
        importlib.import_module(module)
    clocks = [(time.perf_counter(), time.process_time())]
    fit_generator(generator, table, context)
    clocks.append((time.perf_counter(), time.process_time()))
    draw_sample(generator, table, n_sampled, 1)
    clocks.append((time.perf_counter(), time.process_time()))
    (fit_wall, fit_cpu), (sample_wall, sample_cpu) = ((b[0] - a[0], b[1] - a[1]) for a, b in pairwise(clocks))
    return {
        "generator": name,
        "rows": n_rows,
        "columns": n_columns,
        "sampled": n_sampled,
        "fit_seconds": round(fit_wall, 2),
        "fit_cpu_seconds": round(fit_cpu, 2),
        "sample_seconds": round(sample_wall, 2),
        "sample_cpu_seconds": round(sample_cpu, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "notes": context.notes,
    }


def run(name: str, n_rows: int, n_columns: int, n_sampled: int, model: str, limit: float) -> dict[str, Any]:
    """``measure`` in a fresh process; what it says if it fails."""
    command = [sys.executable, __file__, "--child", json.dumps([name, n_rows, n_columns, n_sampled, model])]
    result = {"generator": name, "rows": n_rows, "columns": n_columns, "sampled": n_sampled}
    try:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        out = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return result | {"error": f"not done in {limit:.0f} s"}
    if out.returncode:
        return result | {"error": (out.stderr.strip().splitlines() or ["failed"])[-1]}
    measured: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generators", help="names, with commas; default: all that are installed")
    parser.add_argument("--rows", type=int, nargs="+", default=[500])
    parser.add_argument("--columns", type=int, nargs="+", default=[15])
    parser.add_argument("--sampled", type=int, default=500, help="rows that are sampled")
    parser.add_argument("--model", default="tabgen-nano", help="foundation model of generators that use one")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds per measurement")
    parser.add_argument("--json", type=Path, help="write the results there too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(*json.loads(arguments.child))))
        return
    from tabgen.plugins import get_plugins

    names = arguments.generators.split(",") if arguments.generators else list(get_plugins().generators)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, one thread, "
        f"load {os.getloadavg()[0]:.1f} at the start\n"
    )
    print("| generator | rows x columns | rows sampled | fit (s), CPU | sample (s), CPU | peak memory (MB) |")
    print("|---|---|---|---|---|---|")
    results = []
    for n_rows in arguments.rows:
        for n_columns in arguments.columns:
            for name in names:
                result = run(name, n_rows, n_columns, arguments.sampled, arguments.model, arguments.limit)
                results.append(result)
                cells = (
                    [result["error"], "", ""]
                    if "error" in result
                    else [
                        f"{result['fit_seconds']:.2f}, {result['fit_cpu_seconds']:.2f}",
                        f"{result['sample_seconds']:.2f}, {result['sample_cpu_seconds']:.2f}",
                        str(result["peak_mb"]),
                    ]
                )
                print(f"| {name} | {n_rows} x {n_columns} | {result['sampled']} | {' | '.join(cells)} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
