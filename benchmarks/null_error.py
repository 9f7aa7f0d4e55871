"""How often the printed verdicts claim a difference that is not there.

Simulates studies in which no method (or only one) differs, lets `tabgen.statistics.judge` write its verdicts,
and counts the studies with at least one false sentence. Beside it: what the usual tests would have claimed
unguarded.

    OMP_NUM_THREADS=1 python benchmarks/null_error.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabgen.statistics import friedman, judge

Draw = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


def exchangeable(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """Gains of all methods alike: normal around 0."""
    return rng.normal(size=(datasets, methods))


def heavy_ties(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """Half of the gains are exactly 0, as after early stopping at step 0; the others have heavy tails."""
    gains = rng.standard_t(3, size=(datasets, methods))
    return np.where(rng.random(gains.shape) < 0.5, 0.0, gains)


def unequal_spread(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """As real studies without effects look: zero-shot is always 0, spreads differ 100-fold, some ties."""
    gains = rng.standard_t(3, size=(datasets, methods)) * np.geomspace(0.05, 5.0, methods)
    gains[rng.random(gains.shape) < 0.2] = 0.0
    gains[:, 1] = 0.0
    return gains


def one_worse(rng: np.random.Generator, datasets: int, methods: int) -> NDArray[np.float64]:
    """The last method really is worse by 3 sd; the others are alike, and claims about them are false."""
    gains = rng.normal(size=(datasets, methods))
    gains[:, -1] -= 3.0
    return gains


SCENARIOS: dict[str, Draw] = {
    "exchangeable": exchangeable,
    "heavy ties": heavy_ties,
    "constant zero-shot, unequal spread": unequal_spread,
    "one method worse": one_worse,
}


def false_claims(scenario: str, datasets: int, methods: int, studies: int, alpha: float, seed: int) -> dict[str, float]:
    """Share of studies with at least one false claim, for the verdicts and for unguarded tests."""
    rng = np.random.default_rng([seed, list(SCENARIOS).index(scenario), datasets, methods])
    names = ["real", "zero-shot", *(f"method-{number}" for number in range(1, methods - 1))]
    index = [f"dataset-{number:03d}" for number in range(datasets)]
    different = names[-1] if scenario == "one method worse" else None
    counts = dict.fromkeys(("verdicts", "chi2", "f", "wilcoxon", "holm"), 0)
    for study in range(studies):
        matrix = pd.DataFrame(SCENARIOS[scenario](rng, datasets, methods), index=index, columns=names)
        omnibus, comparisons, verdicts = judge(matrix, alpha=alpha, rope=None, seed=study)
        assert omnibus is not None
        null = [pair for pair in comparisons if different not in (pair.method, pair.reference)]
        counts["verdicts"] += any(
            verdict.claims_difference
            and (
                different is None if verdict.kind == "omnibus" else different not in (verdict.method, verdict.reference)
            )
            for verdict in verdicts
        )
        counts["chi2"] += different is None and omnibus.chi2_p <= alpha
        counts["f"] += different is None and omnibus.f_p <= alpha
        counts["wilcoxon"] += any(pair.p <= alpha for pair in null)
        counts["holm"] += any(pair.p_adjusted <= alpha for pair in null)
    return {name: count / studies for name, count in counts.items()}


def detection_rates(datasets: int, methods: int, studies: int, alpha: float, seed: int) -> tuple[float, float]:
    """What the sign flips cost: shares of studies that the F test alone, and F and sign flips together, reject.

    One method is better by 1 sd, one worse by half a sd, zero-shot constant at 0.
    """
    rng = np.random.default_rng([seed, datasets, methods])
    alone = both = 0
    for study in range(studies):
        gains = rng.normal(size=(datasets, methods))
        gains[:, 0] += 1.0
        gains[:, 1] = 0.0
        gains[:, 2] -= 0.5
        test = friedman(pd.DataFrame(gains), seed=study)
        alone += test.f_p <= alpha
        both += test.p <= alpha
    return alone / studies, both / studies


def main() -> None:
    """Run the simulation and print a Markdown table (or JSON)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies per row (default 2000)")
    parser.add_argument("--methods", type=int, default=7, help="methods, real and zero-shot included (default 7)")
    parser.add_argument("--datasets", type=int, nargs="+", default=[6, 10, 20, 33], help="pool sizes")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--power", action="store_true", help="measure what the sign flips cost in power instead")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()

    if options.power:
        settings = (options.methods, options.studies, options.alpha, options.seed)
        power = {datasets: detection_rates(datasets, *settings) for datasets in options.datasets}
        if options.json:
            print(json.dumps({"settings": vars(options), "detected": power}, indent=1))
            return
        print("| datasets | F alone | F and sign flips |")
        print("|---|---|---|")
        for datasets, (alone, both) in power.items():
            print(f"| {datasets} | {alone:.3f} | {both:.3f} |")
        return
    started = time.perf_counter()
    rows = []
    for scenario in SCENARIOS:
        for datasets in options.datasets:
            rates = false_claims(scenario, datasets, options.methods, options.studies, options.alpha, options.seed)
            error = (rates["verdicts"] * (1.0 - rates["verdicts"]) / options.studies) ** 0.5
            rows.append({"scenario": scenario, "datasets": datasets, **rates, "monte_carlo_error": error})
    seconds = time.perf_counter() - started
    if options.json:
        print(json.dumps({"settings": vars(options), "seconds": seconds, "rows": rows}, indent=1))
        return
    print(
        f"{options.methods} methods, {options.studies} studies a row, alpha = {options.alpha:g}, "
        f"seed {options.seed}, {seconds:.0f} s\n"
    )
    print(
        "| no difference, and | datasets | printed verdicts | chi2 alone | F alone "
        "| Wilcoxon, unadjusted | Holm, no gate |"
    )
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        known = row["scenario"] != "one method worse"
        print(
            f"| {row['scenario']} | {row['datasets']} "
            f"| {row['verdicts']:.3f} ± {row['monte_carlo_error']:.3f} "
            f"| {format(row['chi2'], '.3f') if known else '–'} | {format(row['f'], '.3f') if known else '–'} "
            f"| {row['wilcoxon']:.3f} | {row['holm']:.3f} |"
        )


if __name__ == "__main__":
    main()
