"""What it saves that cells keep freed memory (glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD), and what it costs.

OMP_NUM_THREADS=1 python benchmarks/malloc.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

STEPS = """
import json, sys, time
from tabgen.engines.server import _keep_freed_memory
if sys.argv[1] == "kept":
    _keep_freed_memory()
import numpy as np, torch
torch.set_num_threads(1)
from tabgen.environment import peak_memory_mb
from tabgen.models import WEIGHTS
from tabgen.models.checkpoints import load_directory
from tabgen.models.finetune import fine_tune
from tabgen.models.recipes import get_recipe
rows, columns = int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
x = torch.from_numpy(rng.normal(size=(rows, columns)).astype("float32"))
y = (x[:, 0] + x[:, 1] > 0).long()
model = load_directory(WEIGHTS / "tabgen-nano")
recipe = get_recipe("nano", steps=6, patience=6)
began = time.process_time()
tuned = fine_tune(model, lambda step: (x, y), (x, y), (x[: rows // 4], y[: rows // 4]), 2, recipe, 0)
spent = time.process_time() - began
print(json.dumps([spent / 6, peak_memory_mb(), tuned.validation_losses[-1]]))
"""


def main() -> None:
    """Run a fine-tune each way in turns and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print("| rows x columns | step as is (s) | step, memory kept (s) | saved | peak as is (MB) | peak, kept (MB) |")
    print("|---|---|---|---|---|---|")
    for rows, columns in ((200, 10),):
        best: dict[str, list[float]] = {}
        losses = set()
        for _ in range(options.repeats):
            for way in ("as is", "kept"):
                command = [sys.executable, "-c", STEPS, way, str(rows), str(columns)]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                seconds, peak, loss = json.loads(out)
                losses.add(loss)
                known = best.setdefault(way, [seconds, peak])
                best[way] = [min(known[0], seconds), max(known[1], peak)]
        assert len(losses) == 1, f"the loss differs: {losses}"
        (before, peak_before), (after, peak_after) = best["as is"], best["kept"]
        print(
            f"| {rows} x {columns} | {before:.3f} | {after:.3f} | {1 - after / before:.0%} "
            f"| {peak_before:.0f} | {peak_after:.0f} |"
        )


if __name__ == "__main__":
    main()
