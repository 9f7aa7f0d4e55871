"""How far scores move on another processor: cells run again with the numerical libraries' oldest instruction set.

    python benchmarks/reproducibility.py BUNDLE --sample 16

The libraries choose their kernels by the processor. Told to use the oldest ones, they add numbers up in another
order, as they would on another machine. Give a bundle that this machine made: the same cells are run twice, as they
are and with old kernels, and the differences from the bundle's scores are printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

OLD_KERNELS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "PRESCOTT",
}


def measure(bundle: Path, sample: int, seed: int) -> None:
    import numpy as np

    from tabgen.leaderboard.bundle import load_rows
    from tabgen.leaderboard.verify import verify
    from tabgen.plugins import PluginChoice, get_plugins

    choice = PluginChoice()
    result = verify(load_rows(bundle), get_plugins(choice), choice, sample=sample, seed=seed)
    failed = [rerun.name for rerun in result.reruns if not rerun.gaps]
    if failed:
        print(f"no scores to compare: {failed}")
    for metric in ("roc_auc", "log_loss", "accuracy"):
        for stage in ("zero_shot", "tuned"):
            name = f"{stage}_test_{metric}"
            gaps = np.array([abs(rerun.gaps[name]) for rerun in result.reruns if name in rerun.gaps])
            exact = int((gaps <= 1e-6).sum())
            print(f"| {name} | {len(gaps)} | {exact} | {np.median(gaps):.1e} | {gaps.max():.1e} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--sample", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help="measure in this process, with its environment")
    options = parser.parse_args()
    if options.here:
        measure(options.bundle, options.sample, options.seed)
        return
    for title, more in (("the same kernels", {}), ("the oldest kernels", OLD_KERNELS)):
        print(f"{title}\n| score | cells | equal to 1e-6 | median difference | largest |", flush=True)
        words = [sys.executable, __file__, str(options.bundle), "--here"]
        words += ["--sample", str(options.sample), "--seed", str(options.seed)]
        subprocess.run(words, env=os.environ | more, check=True)


if __name__ == "__main__":
    main()
