"""Our fine-tuning against AutoGluon's `MitraClassifier.fit`: same checkpoint, table, steps, and one thread each.

AutoGluon does not live in tabgen's environment: this script makes one for it (about 2 GB, a few minutes) and
keeps it in the folder given. Both run in processes of their own, in turn, and are timed inside, without imports.
Validation is scored after every step by both; the losses are those of the last step's weights on the same
validation rows, and the spread over repetitions (AutoGluon does not honour its seed) is the noise to judge them by.

    python benchmarks/finetune.py --environment autogluon-env
    python benchmarks/finetune.py --environment autogluon-env --random 512x12 --steps 2 --sizes 200x10 --repeat 1
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np

AUTOGLUON = ("torch==2.13.0", "autogluon.tabular[mitra]==1.6.3")
NANO = Path(__file__).parent.parent / "tabgen" / "models" / "weights" / "tabgen-nano"


def table(rows: int, columns: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows whose two classes a linear score and one interaction decide."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    return x, (x[:, 0] - x[:, 1] + x[:, 2] * x[:, 3] + 0.5 * rng.normal(size=rows) > 0).astype(np.int64)


def autogluon(checkpoint: str, rows: int, columns: int, steps: int, seed: int) -> tuple[float, float, float]:
    """Wall and processor seconds of the fit, and the validation log-loss of the weights it ends with."""
    import torch._dynamo  # noqa: F401 - not to be charged to the fit, on either side
    from autogluon.tabular.models.mitra.sklearn_interface import MitraClassifier

    (x, y), (x_val, y_val) = table(rows, columns, 0), table(rows // 4, columns, 1)
    model = MitraClassifier(
        device="cpu", fine_tune_steps=steps, patience=steps + 1, hf_model=checkpoint, seed=seed, verbose=False
    )
    began, used = time.perf_counter(), time.process_time()
    model.fit(x, y, x_val, y_val)
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    probabilities = model.predict_proba(x_val)
    return seconds, processor, float(-np.log(np.clip(probabilities[np.arange(len(y_val)), y_val], 1e-15, 1)).mean())


def ours(checkpoint: str, rows: int, columns: int, steps: int, seed: int) -> tuple[float, float, float]:
    import torch
    import torch._dynamo  # as the first optimiser of a process does, and tabgen's fork server before any cell

    from tabgen.models.base import Encoded
    from tabgen.models.checkpoints import load_directory
    from tabgen.models.finetune import fine_tune
    from tabgen.models.recipes import get_recipe

    data, validation = table(rows, columns, 0), table(rows // 4, columns, 1)
    train, held_out = (Encoded(torch.from_numpy(x), torch.from_numpy(y)) for x, y in (data, validation))
    recipe = get_recipe("autogluon", steps=steps, patience=steps + 1)
    began, used = time.perf_counter(), time.process_time()
    model = load_directory(Path(checkpoint))
    result = fine_tune(model, lambda _: train, train, held_out[:2], 2, recipe, seed)
    return time.perf_counter() - began, time.process_time() - used, result.validation_losses[-1]


def child(who: str, arguments: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    checkpoint, *numbers = arguments
    seconds, processor, loss = (ours if who == "tabgen" else autogluon)(checkpoint, *map(int, numbers))
    print(
        json.dumps(
            {
                "seconds": seconds,
                "processor_seconds": processor,
                "validation_loss": loss,
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def environment_of(folder: Path) -> Path:
    """The Python of AutoGluon's environment, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if not list(folder.glob("lib/*/site-packages/autogluon/tabular")):
        for package in AUTOGLUON:  # torch first, so that nothing pulls another build of it
            subprocess.run([python, "-m", "pip", "install", "-q", package, AUTOGLUON[0]], check=True)
    return python


def random_checkpoint(size: str, folder: Path) -> Path:
    """A Tab2D of another size with random weights: as fast, or as slow, as a trained one."""
    import torch
    from safetensors.torch import save_file

    from tabgen.models.tab2d import Tab2D, Tab2DConfig

    dim, layers = map(int, size.split("x"))
    torch.manual_seed(0)
    config = Tab2DConfig(dim, 10, layers, 4)
    save_file(Tab2D(config).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    return folder


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in ("tabgen", "autogluon"):
        child(sys.argv[1], sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", type=Path, required=True, help="folder for AutoGluon's environment")
    parser.add_argument("--sizes", default="200x10,500x20", help="rows x columns, comma-separated")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--random", metavar="DIMxLAYERS", help="random weights of this size instead of tabgen-nano")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    pythons = {"tabgen": Path(sys.executable), "autogluon": environment_of(options.environment)}
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = random_checkpoint(options.random, Path(scratch)) if options.random else NANO
        for size in options.sizes.split(","):
            rows, columns = size.split("x")
            runs: dict[str, list[dict[str, float]]] = {who: [] for who in pythons}
            for seed in range(options.repeat):
                for who, python in pythons.items():
                    words = [python, __file__, who, checkpoint.resolve(), rows, columns, options.steps, seed]
                    done = subprocess.run(
                        list(map(str, words)), env=environment, check=True, stdout=subprocess.PIPE, text=True
                    )
                    runs[who].append(json.loads(done.stdout.strip().splitlines()[-1]))
            results.append({"size": size, "steps": options.steps, "runs": runs})
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print("| rows x columns | steps | | seconds | processor seconds | validation log-loss | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for result in results:
        middle: dict[str, dict[str, float]] = {}
        for who, timed in result["runs"].items():
            middle[who] = {name: statistics.median(run[name] for run in timed) for name in timed[0]}
            losses = [run["validation_loss"] for run in timed]
            print(
                f"| {result['size']} | {result['steps']} | {who} | {middle[who]['seconds']:.1f}"
                f" | {middle[who]['processor_seconds']:.1f} | {min(losses):.4f} - {max(losses):.4f}"
                f" | {middle[who]['peak_memory_mb']:.0f} |"
            )
        for name in ("seconds", "processor_seconds"):
            print(f"{result['size']}: {middle['autogluon'][name] / middle['tabgen'][name]:.1f} times in {name}")


if __name__ == "__main__":
    main()
