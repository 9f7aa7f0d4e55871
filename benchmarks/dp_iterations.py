"""How many steps PrivBayes and MST (tabgen-dp) need: distance of sampled to real pairs of columns, by iterations.

Synthetic tables only (a latent class and six columns of all kinds). For each budget and number of iterations, the mean
over seeds of the mean total variation distance between real and sampled rows, over all pairs of columns, numbers in
eight bins. Needs the environment: tabgen plugins install dp.

    python benchmarks/dp_iterations.py --rows 500 --seeds 5
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import pandas as pd

from tabgen.generator import FitContext
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.plugins import get_plugins
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table
from tabgen.testing import easy_table


def distance(real: Table, sample: Table) -> float:
    """Mean total variation distance over all pairs of columns."""
    both = pd.concat([real.frame, sample.frame], ignore_index=True)
    codes = {}
    for column in real.frame.columns:
        values = both[column]
        numeric = pd.api.types.is_numeric_dtype(values)
        codes[column] = pd.cut(values, 8, labels=False) if numeric else pd.factorize(values.astype(str))[0]
    binned = pd.DataFrame(codes)
    parts = binned[: len(real)], binned[len(real) :]
    distances = []
    for pair in itertools.combinations(binned.columns, 2):
        shares = [part.value_counts(subset=list(pair), normalize=True) for part in parts]
        distances.append(0.5 * shares[0].sub(shares[1], fill_value=0).abs().sum())
    return float(np.mean(distances))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epsilons", default="1,10")
    parser.add_argument("--iterations", default="20,50,100,200,500,2000")
    arguments = parser.parse_args()
    generators = get_plugins().generators
    for name, epsilon in itertools.product(("privbayes", "mst"), map(float, arguments.epsilons.split(","))):
        for iterations in map(int, arguments.iterations.split(",")):
            found = []
            for seed in range(arguments.seeds):
                table = easy_table(arguments.rows, seed)
                settings = {"epsilon": epsilon, "iterations": iterations}
                generator = make_where_it_runs(generators[name], settings)
                fit_generator(generator, table, FitContext(seed))
                found.append(distance(table, draw_sample(generator, table, len(table), seed)))
            print(f"{name} epsilon={epsilon:g} iterations={iterations}: {np.mean(found):.3f}", flush=True)


if __name__ == "__main__":
    main()
