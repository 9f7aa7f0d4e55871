"""TabEBM's sampler against the paper's: where rows end, and what the distance of the surrogate negatives does.

On tables outside the suites (benchmarks/outside.py says what to install): TabEBM is fitted on --rows rows, and --chains
chains of the first class start at the same rows and go without noise, so that only the steps differ. By form:

- drift: how far rows end from where they started, in standard deviations of their class (root mean square)
- apart: mean absolute difference to where the paper's sampler (200 steps of 0.1) ends, as a part of the mean absolute
  movement of that one; and the 95th percentile over rows of the root mean square difference, in standard deviations
- energy: how much lower the rows' own energy ends, and the share of rows whose energy ends lower
- start: the rows' energy at the start, by the distance of the negatives

Recorded results: docs/generators/tabebm.md.

    OMP_NUM_THREADS=1 python benchmarks/tabebm_gradient.py
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

PAPER: dict[str, Any] = {"steps": 200, "step_size": 0.1, "max_step": 0.0}
FORMS: dict[str, dict[str, Any]] = {
    "200 steps of 0.1 (the paper's)": PAPER,
    "100 steps of 0.2, a row's at most 0.15 (the default)": {},
    "at most 0.07": {"max_step": 0.07},
    "at most 0.1": {"max_step": 0.1},
    "without a bound": {"max_step": 0.0},
    "50 steps of 0.4, at most 0.07": {"steps": 50, "step_size": 0.4, "max_step": 0.07},
    "50 steps of 0.4, at most 0.1": {"steps": 50, "step_size": 0.4, "max_step": 0.1},
    "50 steps of 0.4, without a bound": {"steps": 50, "step_size": 0.4, "max_step": 0.0},
    "200 steps of 0.1, batch mean (the published package)": PAPER | {"batch_mean": True},
}
DISTANCES = (3.0, 5.0, 50.0)


def measure(table: Any, n_chains: int, model: Any) -> tuple[dict[str, dict[str, float]], dict[float, float]]:
    """Every form on one table, and the start's energy by distance."""
    import torch
    from tabgen_tabebm import TabEBM

    from tabgen import FitContext
    from tabgen.sampling import fit_generator

    def fitted(**settings: Any) -> TabEBM:
        generator = TabEBM(noise=0.0, **settings)
        fit_generator(generator, table, FitContext(seed=0, load_model=lambda: model))
        return generator

    def energy(generator: TabEBM, x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return generator.energy(torch.from_numpy(x), 0).numpy()

    paper = fitted(**PAPER)
    start = paper.start(0, n_chains, np.random.default_rng(0))
    before = energy(paper, start)
    results, exact = {}, start
    for form, settings in FORMS.items():
        end = fitted(**settings).walk(start, 0, np.random.default_rng(0))
        exact = end if settings is PAPER else exact
        after = energy(paper, end)
        apart = np.sqrt(np.square(end - exact).mean(axis=1))
        results[form] = {
            "drift": float(np.sqrt(np.square(end - start).mean())),
            "apart": float(np.abs(end - exact).mean() / np.abs(exact - start).mean()),
            "p95": float(np.quantile(apart, 0.95)),
            "energy": float((before - after).mean()),
            "lower": float((after < before).mean()),
        }
    starts = {d: float(energy(fitted(distance=d), start).mean()) for d in DISTANCES}
    return results, starts


def main() -> None:
    import torch
    from outside import outside

    from tabgen.plugins import find_model, get_plugins
    from tabgen.sampling import impute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="newthyroid,wine,saheart,segment", help="names of benchmarks/outside.py")
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--chains", type=int, default=20)
    parser.add_argument("--model", default="tabgen-nano", help="foundation model")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = find_model(options.model, get_plugins()).load("cpu")
    everything, starts = [], []
    for name in options.tables.split(","):
        table = outside()[name]()
        rows = np.random.default_rng(0).permutation(len(table))[: options.rows]
        results, start = measure(impute(table.take(rows).observed())[0], options.chains, model)
        everything.append(results)
        starts.append(start)
        print(name, results, start, file=sys.stderr, flush=True)
    print("| steps | drift (sd) | apart from the paper's | 95th percentile (sd) | energy lower by | rows lower |")
    print("|---|---|---|---|---|---|")
    for form in FORMS:
        mean = {name: np.mean([r[form][name] for r in everything]) for name in everything[0][form]}
        worst = max(r[form]["apart"] for r in everything)
        print(
            f"| {form} | {mean['drift']:.3f} | {mean['apart']:.1%} (at most {worst:.1%}) | {mean['p95']:.3f} "
            f"| {mean['energy']:.3f} | {mean['lower']:.0%} |"
        )
    shown = [f"{d:g}: {np.mean([s[d] for s in starts]):.4f}" for d in DISTANCES]
    print(f"\nEnergy at the start by distance: {', '.join(shown)}")


if __name__ == "__main__":
    main()
