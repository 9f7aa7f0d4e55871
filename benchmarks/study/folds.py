"""What a contrast's resolution gains from another fold: the standard error of a median difference over tables.

    python benchmarks/study/folds.py

Of the kept rows of `main`, each of the study's generators against `real`, the mean over the choices of folds and the
median over the contrasts; the spread between tables is the median absolute deviation, scaled as a standard deviation,
as the tests that decide go by ranks.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from rows import KEPT, read_rows
from run import PAPERS
from scipy.stats import median_abs_deviation

from tabgen.statistics import normalised_scores


def standard_errors(outcomes: pd.DataFrame, arm: str) -> dict[int, float]:
    """Number of folds -> standard error in percent of zero-shot."""
    gains = normalised_scores(outcomes, arm=arm)
    table = gains.pivot_table(values="gain_test", index="dataset", columns=["method", "fold"])
    found: dict[int, float] = {}
    folds = sorted(gains["fold"].unique())
    for count in range(1, len(folds) + 1):
        errors = []
        for method in PAPERS:
            by_fold = (table[method] - table["real"]).dropna()
            chosen = (by_fold[list(which)].mean(axis=1) for which in combinations(folds, count))
            errors.append(np.mean([_error(differences) for differences in chosen]))
        found[count] = float(np.median(errors))
    return found


def _error(differences: pd.Series[float]) -> float:
    return float(median_abs_deviation(differences, scale="normal") / np.sqrt(len(differences)))


def main() -> None:
    """Print both fine-tuning arms."""
    outcomes = read_rows(KEPT / "main.parquet")
    for arm in ("fine-tune", "fixed-steps"):
        errors = standard_errors(outcomes, arm)
        print(arm, ", ".join(f"{count} folds {error:.3f}" for count, error in errors.items()))


if __name__ == "__main__":
    main()
