"""How often the verdicts on all pairs are wrong: differences, rank sets, equalities, intervals.

Simulates studies whose true differences are known, lets `tabgen.statistics.compare_pairs` judge all pairs, and counts
the studies with at least one wrong statement of each kind.

    OMP_NUM_THREADS=1 python benchmarks/verdict_errors.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabgen.statistics import compare_pairs, rank_sets

Noise = Callable[[np.random.Generator, int, int], NDArray[np.float64]]
REGION = 0.1
#: Pseudo-median of the exponential distribution with mean 1: half the median of a gamma distribution of shape 2.
EXPONENTIAL = 0.8391735


def normal(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """Independent normal gains with sd 1."""
    return rng.normal(size=(datasets, methods))


def small(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """Normal gains with a tenth of the region as sd, so that equality can be claimed of all that is equal."""
    return rng.normal(scale=REGION / 10, size=(datasets, methods))


def scaled(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """Some datasets move every method far, most hardly at all: a common log-normal scale."""
    return rng.normal(size=(datasets, methods)) * rng.lognormal(0.0, 1.0, size=(datasets, 1))


def tied(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """Half of the gains are exactly 0, as after early stopping at step 0; the others have heavy tails."""
    gains = rng.standard_t(3, size=(datasets, methods))
    return np.where(rng.random(gains.shape) < 0.5, 0.0, gains)


def unequal(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """One method is constant, the spreads of the others differ 100-fold, tails are heavy."""
    gains = rng.standard_t(3, size=(datasets, methods)) * np.geomspace(0.05, 5.0, methods)
    gains[:, 1] = 0.0
    return gains


def skewed(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """The first method constant, the others exponential about their pseudo-median: outside what the tests assume."""
    gains = rng.exponential(size=(datasets, methods)) - EXPONENTIAL
    gains[:, 0] = 0.0
    return gains


def places(*values: float) -> Callable[[int], NDArray[np.float64]]:
    """True places of so many methods: these in turn."""
    return lambda methods: np.resize(np.array(values), methods)


def ladder(methods: int) -> NDArray[np.float64]:
    """Each method half a sd above the one before."""
    return 0.5 * np.arange(methods, dtype=np.float64)


#: Name -> noise, true places of the methods, number of methods or None for as many as asked.
SCENARIOS: dict[str, tuple[Noise, Callable[[int], NDArray[np.float64]], int | None]] = {
    "all alike": (normal, places(0.0), None),
    "all alike, scale by dataset": (scaled, places(0.0), None),
    "all alike, heavy ties": (tied, places(0.0), None),
    "all alike, one constant, unequal spread": (unequal, places(0.0), None),
    "two groups, 1.5 sd apart": (normal, places(0.0, 1.5), None),
    "two groups, scale by dataset": (scaled, places(0.0, 3.0), None),
    "ladder of half a sd": (normal, ladder, None),
    "two groups, the region apart": (small, places(0.0, REGION), None),
    "two groups, twice the region apart": (small, places(0.0, 2 * REGION), None),
    "a pair, one skewed (not assumed)": (skewed, places(0.0), 2),
}


def errors(name: str, datasets: int, methods: int, studies: int, alpha: float, seed: int) -> dict[str, float]:
    """Shares of studies with a wrong statement of each kind, and how telling the true ones are."""
    noise, truth_of, fixed = SCENARIOS[name]
    methods = fixed or methods
    rng = np.random.default_rng([seed, list(SCENARIOS).index(name), datasets, methods])
    truth = dict(zip((f"method-{number:02d}" for number in range(methods)), truth_of(methods), strict=True))
    counts = dict.fromkeys(("difference", "rank_set", "equality", "any", "interval"), 0)
    told = equal = width = 0.0
    for study in range(studies):
        matrix = pd.DataFrame(noise(rng, datasets, methods) + np.array(list(truth.values())), columns=list(truth))
        pairs = compare_pairs(matrix, alpha=alpha, region=REGION, seed=study)
        sets = rank_sets(list(truth), pairs)
        real = {(p.method, p.other): round(truth[p.method] - truth[p.other], 9) for p in pairs}
        difference = any(
            p.verdict in ("better", "worse") and real[p.method, p.other] * (1 if p.verdict == "better" else -1) <= 0
            for p in pairs
        )
        equality = any(p.equivalent and abs(real[p.method, p.other]) >= REGION for p in pairs)
        missed = any(
            lowest > 1 + sum(other > mine for other in truth.values())
            or highest < methods - sum(other < mine for other in truth.values())
            for (lowest, highest), mine in zip(sets.values(), truth.values(), strict=True)
        )
        counts["difference"] += difference
        counts["rank_set"] += missed
        counts["equality"] += equality
        counts["any"] += difference or missed or equality
        one = pairs[0]
        inside = one.interval is None or one.interval.low <= real[one.method, one.other] <= one.interval.high
        counts["interval"] += not inside
        told += sum(p.verdict in ("better", "worse") for p in pairs) / len(pairs)
        equal += sum(p.equivalent for p in pairs) / len(pairs)
        width += float(np.mean([highest - lowest + 1 for lowest, highest in sets.values()]))
    shares = {kind: count / studies for kind, count in counts.items()}
    return shares | {"told_apart": told / studies, "called_equal": equal / studies, "set_width": width / studies}


def main() -> None:
    """Run the simulation and print a Markdown table (or JSON)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies a row (default 2000)")
    parser.add_argument("--methods", type=int, default=7, help="methods (default 7)")
    parser.add_argument("--datasets", type=int, nargs="+", default=[10, 30, 100], help="pool sizes")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    started = time.perf_counter()
    rows = []
    for name in SCENARIOS:
        for datasets in options.datasets:
            settings = (options.methods, options.studies, options.alpha, options.seed)
            rows.append({"scenario": name, "datasets": datasets, **errors(name, datasets, *settings)})
    seconds = time.perf_counter() - started
    if options.json:
        print(json.dumps({"settings": vars(options), "seconds": seconds, "rows": rows}, indent=1))
        return
    print(f"{options.methods} methods, {options.studies} studies a row, alpha = {options.alpha:g}, {seconds:.0f} s\n")
    print(
        "| truth | datasets | false difference | a rank set misses | false equality | any of these | interval misses "
        "| pairs told apart | called equal | width of a set |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        shares = ("difference", "rank_set", "equality", "any", "interval", "told_apart", "called_equal")
        cells = " | ".join(f"{row[kind]:.3f}" for kind in shares)
        print(f"| {row['scenario']} | {row['datasets']} | {cells} | {row['set_width']:.1f} |")


if __name__ == "__main__":
    main()
