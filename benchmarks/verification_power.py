"""How likely `tabgen leaderboard verify` is to catch a share of forged rows, by the shift and the sample.

    python benchmarks/verification_power.py

A forger adds a shift to the ROC-AUC of a share of the rows. Honest differences between two machines are drawn as
normal noise of ``--noise``, more than was measured between kernels (docs/publish.md). The code that verifies judges.
"""

from __future__ import annotations

import argparse

import numpy as np

from tabgen.leaderboard.verify import Rerun, Verification, tolerance_of

SCORE = "tuned_test_roc_auc"
SHARES, SHIFTS, SAMPLES = (0.05, 0.2, 0.5, 1.0), (0.0, 0.001, 0.002, 0.005, 0.01), (5, 10, 20)
ROWS = 1000


def caught(share: float, shift: float, sample: int, noise: float, studies: int, rng: np.random.Generator) -> float:
    """Share of simulated verifications that do not pass."""
    allowed, failed = tolerance_of(SCORE, "cpu"), 0
    for _ in range(studies):
        forged = rng.random(sample) < share
        gaps = rng.normal(0.0, noise, sample) + shift * forged
        reruns = [Rerun("", abs(gap) <= allowed, "", {SCORE: float(gap)}) for gap in gaps]
        failed += not Verification(ROWS, sample, 0, reruns, {}).passed
    return failed / studies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--noise", type=float, default=0.0001)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"| rows forged | shift | {' | '.join(f'--sample {sample}' for sample in SAMPLES)} |")
    print("|---" * (2 + len(SAMPLES)) + "|")
    for shift in SHIFTS:
        for share in SHARES if shift else (0.0,):
            found = [caught(share, shift, sample, options.noise, options.studies, rng) for sample in SAMPLES]
            told = "none" if not shift else f"{share:.0%}"
            print(f"| {told} | {shift:g} | {' | '.join(f'{chance:.2f}' for chance in found)} |", flush=True)


if __name__ == "__main__":
    main()
