"""Every installed generator on every table of `core` and every hard table of the conformance kit: what comes of it.

One process per generator and table, one compute thread, default settings. The training rows are those of a cell's
first of three folds, at most --rows of them (300), and as many rows are sampled and checked as tabgen checks them in
a run. Results go to a JSON Lines file, one line each, as they come; the same command goes on where it stopped.
Recorded results: docs/generators/README.md.

    python benchmarks/generators_on_core.py -o generators_on_core.jsonl            # goes on, then prints the tables
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabgen import Table


def tables() -> dict[str, str]:
    """Names of all tables, with the group that each is of."""
    from tabgen.datasets import core_datasets
    from tabgen.testing import HARD_TABLES

    return {d.name: "core" for d in core_datasets()} | dict.fromkeys(HARD_TABLES, "hard")


def training_rows(name: str, n_rows: int) -> Table:
    from tabgen.datasets import core_datasets
    from tabgen.splits import split
    from tabgen.testing import HARD_TABLES

    if name in HARD_TABLES:
        return HARD_TABLES[name]().observed()
    table = next(d for d in core_datasets() if d.name == name).load()
    return table.take(split(table.labels, 0, 3, 0, n_rows).train).observed()


def measure(generator_name: str, table_name: str, n_rows: int, limit: float, model: str, answer: Connection) -> None:
    """Fit, sample and check in this process; what came of it goes into the pipe."""
    import torch

    from tabgen.errors import status_of
    from tabgen.generator import FitContext
    from tabgen.host.elsewhere import make_where_it_runs
    from tabgen.plugins import find_model, get_plugins
    from tabgen.sampling import draw_sample, fit_generator

    torch.set_num_threads(1)
    plugins = get_plugins()
    table = training_rows(table_name, n_rows)
    load = lambda: find_model(model, plugins).load("cpu")  # noqa: E731
    context = FitContext(seed=0, deadline=time.monotonic() + limit, load_model=load)
    result: dict[str, Any] = {
        "n_rows": len(table),
        "n_columns": len(table.schema.columns),
        "n_classes": len(table.schema.classes),
    }
    start = time.perf_counter()
    fitted = None
    try:
        generator = make_where_it_runs(plugins.generators[generator_name], {})
        fit_generator(generator, table, context)
        fitted = time.perf_counter()
        sample = draw_sample(generator, table, len(table), 1)
        result |= {"status": "ok", "reason": "", "sampled_classes": len(set(sample.labels.tolist()))}
    except Exception as error:  # noqa: BLE001 - the status says what it was
        result |= {"status": status_of(error), "reason": f"{type(error).__name__}: {error}"[:300]}
    done = time.perf_counter()
    result |= {
        "fit_seconds": round((fitted or done) - start, 2),
        "sample_seconds": round(done - fitted, 2) if fitted else None,
        "cpu_seconds": round(time.process_time(), 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "notes": context.notes,
    }
    answer.send(result)


def run(generator_name: str, table_name: str, n_rows: int, limit: float, model: str) -> dict[str, Any]:
    """``measure`` in a process of its own, killed at the limit."""
    context = multiprocessing.get_context("forkserver")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(generator_name, table_name, n_rows, limit, model, send))
    process.start()
    send.close()
    result = {"status": "timeout", "reason": f"not done in {limit:.0f} s"}
    try:
        if receive.poll(limit):
            result = receive.recv()
    except EOFError:
        process.join()
        result = {"status": "crashed", "reason": f"the process ended with code {process.exitcode}"}
    process.kill()
    process.join()
    return result


def report(results: list[dict[str, Any]]) -> None:
    """How many of each group each generator managed, and every table that it did not, with the reason."""
    totals = Counter(group for group in tables().values())
    print("| generator | core: ok | hard: ok | mean fit + sample (s) | largest | all classes sampled (core) |")
    print("|---|---|---|---|---|---|")
    names = sorted({r["generator"] for r in results})
    for name in names:
        mine = [r for r in results if r["generator"] == name]
        ok = Counter(r["group"] for r in mine if r["status"] == "ok")
        tried = Counter(r["group"] for r in mine)
        seconds = [r["fit_seconds"] + r["sample_seconds"] for r in mine if r["status"] == "ok"]
        full = sum(r["sampled_classes"] == r["n_classes"] for r in mine if r["status"] == "ok" and r["group"] == "core")
        done = [f"{ok[group]} of {tried[group]}" for group in totals]
        mean = f"{sum(seconds) / max(len(seconds), 1):.1f} | {max(seconds, default=0):.1f}"
        print(f"| {name} | {' | '.join(done)} | {mean} | {full} |")
    print("\n| generator | table | outcome | reason |\n|---|---|---|---|")
    for r in sorted(results, key=lambda r: (r["generator"], r["table"])):
        if r["status"] != "ok":
            print(f"| {r['generator']} | {r['table']} | `{r['status']}` | {r['reason']} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON Lines; what is in it is not run again")
    parser.add_argument("--generators", help="names, with commas; default: all that are installed")
    parser.add_argument("--tables", help="names, with commas; default: all")
    parser.add_argument("--rows", type=int, default=300, help="training rows of the tables of core, at most")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds per generator and table")
    parser.add_argument("--model", default="tabgen-nano", help="foundation model of generators that use one")
    parser.add_argument("--report", action="store_true", help="only print the tables")
    arguments = parser.parse_args()
    from tabgen.plugins import get_plugins

    generators = get_plugins().generators
    names = arguments.generators.split(",") if arguments.generators else list(generators)
    groups = tables()
    chosen = arguments.tables.split(",") if arguments.tables else list(groups)
    lines = arguments.output.read_text(encoding="utf-8").splitlines() if arguments.output.is_file() else []
    results = [json.loads(line) for line in lines]
    if not arguments.report:
        os.environ["OMP_NUM_THREADS"] = "1"
        preload = [
            "tabgen.cell",
            "tabgen.models.checkpoints",
            "sklearn.metrics",
            *(m for name in names for m in generators[name].info.preload),
        ]
        multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
        done = {(r["generator"], r["table"]) for r in results}
        for name in names:
            for table in chosen:
                if (name, table) in done:
                    continue
                result = {"generator": name, "table": table, "group": groups[table]}
                result |= run(name, table, arguments.rows, arguments.limit, arguments.model)
                results.append(result)
                with arguments.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
                print(f"{name} {table}: {result['status']} {result['reason']}", flush=True)
        print()
    report(results)


if __name__ == "__main__":
    main()
