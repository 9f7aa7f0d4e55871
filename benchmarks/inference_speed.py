"""How long a checkpoint takes to predict and to be fine-tuned, on one thread.

- predict: 500 test rows from 500 context rows of 20 columns, the best and the median of several repetitions
- fine-tune: 50 steps of the `nano` recipe on 500 rows of 20 columns, validated on 125 rows after every step

Wall seconds tell what a user waits; processor seconds are the ones to compare on a busy machine.
--profile says where the time of both goes, by operator, how many floating-point operations they are (matrix
products and attention), and how fast the processor is at a matrix product of the model's size: the best there is.

    OMP_NUM_THREADS=1 python benchmarks/inference_speed.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from tabgen.environment import provenance
from tabgen.models import DEFAULT_MODEL
from tabgen.models.base import Encoded
from tabgen.models.checkpoints import Tab2DModel
from tabgen.models.finetune import fine_tune
from tabgen.models.recipes import get_recipe
from tabgen.plugins import PluginChoice, find_model, load_plugins


def table(rows: int, columns: int, seed: int) -> Encoded:
    """Rows whose two classes a linear score and one interaction decide."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    y = (x[:, 0] - x[:, 1] + x[:, 2] * x[:, 3] + 0.5 * rng.normal(size=rows) > 0).astype(np.int64)
    return Encoded(torch.from_numpy(x), torch.from_numpy(y))


def timed(work: Callable[[], Any], times: int) -> dict[str, float]:
    wall, processor = [], []
    for _ in range(times):
        began, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {
        "seconds": statistics.median(wall),
        "best_seconds": min(wall),
        "processor_seconds": statistics.median(processor),
        "best_processor_seconds": min(processor),
    }


def operators(work: Callable[[], Any], most: int = 12) -> dict[str, float]:
    """Share of the processor time by operator, its own time only."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        work()
    own = {event.key: event.self_cpu_time_total for event in record.key_averages()}
    total = sum(own.values())
    return {key: value / total for key, value in sorted(own.items(), key=lambda item: -item[1])[:most]}


def gigaflop(work: Callable[[], Any]) -> float:
    """Floating-point operations of the matrix products and the attention, in billions."""
    from torch.utils import flop_counter

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return flop_counter.sdpa_flop_count(query, key, value)  # type: ignore[no-any-return, no-untyped-call]

    def backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return flop_counter.sdpa_backward_flop_count(gradient, query, key, value)  # type: ignore[no-any-return, no-untyped-call]

    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    fused_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    mapping = {fused: attention, fused_backward: backward}
    with flop_counter.FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9


def product_rate(rows: int, size: int) -> float:
    """GFLOP/s of one linear layer from ``size`` to four times as many, the best of twenty."""
    x, weight = torch.randn(rows, size), torch.randn(4 * size, size)
    seconds = timed(lambda: torch.nn.functional.linear(x, weight), 20)["best_seconds"]
    return 2e-9 * rows * 4 * size * size / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=DEFAULT_MODEL, help="a model's name, or a checkpoint's folder")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(1)
    info = find_model(options.checkpoint, load_plugins(PluginChoice(external=False)))
    context, test = table(options.rows, options.columns, 0), table(options.rows, options.columns, 1)
    validation = table(options.rows // 4, options.columns, 2)
    model = info.load("cpu")
    assert isinstance(model, Tab2DModel)

    def predict() -> None:
        model.predict(context.x, context.y, test.x, 2)

    def tune(steps: int = options.steps) -> None:
        recipe = get_recipe("nano", steps=steps, patience=steps)
        fine_tune(info.load("cpu"), lambda _: context, context, validation[:2], 2, recipe, seed=0)

    predict()
    result: dict[str, Any] = {
        "settings": vars(options),
        "checkpoint_sha256": info.fingerprint(),
        "provenance": provenance(),
        "predict": timed(predict, options.repeat),
        "fine_tune": timed(tune, 1),
    }
    if options.profile:
        result["profile"] = {"predict": operators(predict), "fine_tune": operators(lambda: tune(3))}
        result["gigaflop"] = {
            "predict": gigaflop(predict),
            "step": gigaflop(lambda: tune(2)) - gigaflop(lambda: tune(1)),
        }
        result["product_gigaflop_per_second"] = product_rate(options.rows * options.columns, model.module.config.dim)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print("| | seconds | processor seconds |\n|---|---|---|")
    p, f = result["predict"], result["fine_tune"]
    print(f"| predict {options.rows} x {options.rows} x {options.columns} | {p['seconds']:.2f} ", end="")
    print(f"| {p['processor_seconds']:.2f} (best {p['best_processor_seconds']:.2f}) |")
    print(f"| fine-tune, {options.steps} steps | {f['seconds']:.1f} | {f['processor_seconds']:.1f} |")
    for name, shares in result.get("profile", {}).items():
        print(f"\n{name}, share of processor time:")
        for key, share in shares.items():
            print(f"  {share:6.1%}  {key}")
    if options.profile:
        predict_flop, step_flop = result["gigaflop"]["predict"], result["gigaflop"]["step"]
        print(f"\npredict {predict_flop:.1f} GFLOP, a step of fine-tuning with its validation {step_flop:.1f} GFLOP;")
        print(f"a matrix product of the model's size runs at {result['product_gigaflop_per_second']:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
