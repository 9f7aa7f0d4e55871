"""What generators teach: TSTR, labels within the sample and class shares, on tables outside the suites or on a suite.

For every generator, table and fold: the training rows of the fold, at most --rows of them; as many rows sampled;
`tabgen.adequacy` against the fold's test rows. Settings are written as in methods (``ctgan:steps=1000,pac=1``).
Generators are chosen on `outside` (benchmarks/outside.py, which says what to install) and on `synthetic-oracle`, and
looked at once on `core`. Results go to a JSON Lines file as they come; the same command goes on where it stopped, and
prints the means at the end. Recorded results: docs/generators.

    OMP_NUM_THREADS=1 python benchmarks/adequacy.py -o adequacy.jsonl --tables outside --generators scm mixed-model
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tabgen import Table

MEASURES = ("tstr", "real", "within", "within_real", "class_distance", "untrained")


def tables_of(name: str) -> dict[str, Callable[[], Table]]:
    """Functions that load the tables, by name."""
    if name == "outside":
        from outside import outside

        return outside()
    from tabgen.plugins import get_plugins

    return {dataset.name: dataset.load for dataset in get_plugins().suites[name].datasets}


def measure(method: str, table: Table, fold: int, n_rows: int, model: str, seed: int) -> dict[str, Any]:
    """One generator on one fold of one table."""
    from tabgen.adequacy import adequacy
    from tabgen.experiment import parse_methods
    from tabgen.generator import FitContext, make_generator
    from tabgen.plugins import find_model, get_plugins
    from tabgen.sampling import draw_sample, fit_generator
    from tabgen.splits import split

    plugins = get_plugins()
    parts = split(table.labels, fold, 3, 0, n_rows)
    train, test = table.take(parts.train).observed(), table.take(parts.test)
    (parsed,) = parse_methods([method], plugins)
    if parsed.generator is None:
        raise SystemExit(f"'{method}' is a baseline, not a generator")
    generator = make_generator(plugins.generators[parsed.generator], dict(parsed.settings))
    context = FitContext(seed=seed, load_model=lambda: find_model(model, plugins).load("cpu"))
    result = {"rows": len(train), "columns": len(train.schema.columns), "classes": len(train.schema.classes)}
    clock, begin = time.process_time, time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit_generator(generator, train, context)
            fitted = clock()
            sample = draw_sample(generator, train, len(train), seed + 1)
            drawn = clock()
            scores = adequacy(train, test, sample, seed)
    except Exception as error:  # noqa: BLE001 - a hole in the table, with its reason
        return result | {"error": f"{type(error).__name__}: {error}"[:300]}
    return (
        result | scores | {"fit": round(fitted - begin, 3), "sample": round(drawn - fitted, 3), "notes": context.notes}
    )


def report(results: list[dict[str, Any]], each: bool) -> None:
    methods = list(dict.fromkeys(r["method"] for r in results))
    if each:
        by_table: dict[str, dict[str, list[float]]] = defaultdict(dict)
        for r in results:
            by_table[r["table"]].setdefault(r["method"], []).append(r.get("adequacy_tstr", np.nan))
            by_table[r["table"]].setdefault("real", []).append(r.get("adequacy_real", np.nan))
        print(f"| TSTR | real | {' | '.join(methods)} |\n|---|---|{'---|' * len(methods)}")
        for table, scores in by_table.items():
            shown = [f"{np.nanmean(scores.get(m, [np.nan])):.3f}" for m in ("real", *methods)]
            print(f"| {table} | {' | '.join(shown)} |")
        print()
    print("| generator | cells | TSTR | real | within | real | class distance | untrained | failed | fit (CPU s) |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for method in methods:
        mine = [r for r in results if r["method"] == method]
        ok = [r for r in mine if "error" not in r]
        mean = {m: np.nanmean([r[f"adequacy_{m}"] for r in ok]) if ok else np.nan for m in MEASURES}
        flagged = sum(r["adequacy_untrained"] for r in ok)
        print(
            f"| {method} | {len(ok)} | {mean['tstr']:.3f} | {mean['real']:.3f} | {mean['within']:.3f} "
            f"| {mean['within_real']:.3f} | {mean['class_distance']:.3f} | {flagged:.0f} | {len(mine) - len(ok)} "
            f"| {np.mean([r['fit'] for r in ok] or [np.nan]):.1f}, {max([r['fit'] for r in ok], default=np.nan):.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON Lines; what is in it is not run again")
    parser.add_argument("--tables", default="outside", help="outside, or a suite")
    parser.add_argument("--only", help="names of tables, with commas; default: all")
    parser.add_argument("--generators", nargs="+", default=["bootstrap", "independent"], help="with settings")
    parser.add_argument("--rows", type=int, default=250, help="training rows, at most")
    parser.add_argument("--folds", type=int, default=1, help="of the three folds, how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="tabgen-nano", help="foundation model of generators that use one")
    parser.add_argument("--each", action="store_true", help="print TSTR by table too")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    lines = arguments.output.read_text(encoding="utf-8").splitlines() if arguments.output.is_file() else []
    results = [json.loads(line) for line in lines]
    done = {(r["method"], r["table"], r["fold"], r["seed"]) for r in results}
    methods = arguments.generators
    for name, load in tables_of(arguments.tables).items():
        if arguments.only and name not in arguments.only.split(","):
            continue
        table = load()
        for method in methods:
            for fold in range(arguments.folds):
                if (method, name, fold, arguments.seed) in done:
                    continue
                result = {"method": method, "table": name, "fold": fold, "seed": arguments.seed}
                result |= measure(method, table, fold, arguments.rows, arguments.model, arguments.seed)
                results.append(result)
                with arguments.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
    report([r for r in results if r["method"] in methods], arguments.each)


if __name__ == "__main__":
    main()
