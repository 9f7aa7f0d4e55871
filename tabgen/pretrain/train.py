"""The training loop: Muon and AdamW, warm-up, constant rate, cosine decay; resumable; a JSON line per report."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tabgen.errors import TabgenError
from tabgen.models.checkpoints import load_directory
from tabgen.models.tab2d import Tab2D
from tabgen.pretrain.config import PretrainConfig
from tabgen.pretrain.growing import grown
from tabgen.pretrain.held_out import HeldOut
from tabgen.pretrain.state import load_state, save_state, write_checkpoint
from tabgen.pretrain.tasks import Batch, batches_of, make_batch
from tabgen.processes import new_workers


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy of the query rows with their classes' probabilities; what the support lacks does not count."""
    logits = model(batch.x_support, batch.y_support, batch.x_query)[..., : batch.n_classes]
    known = F.one_hot(batch.y_support, batch.n_classes).amax(1, keepdim=True)  # (b, 1, c)
    target = batch.p_query * known
    return -(target * F.log_softmax(logits, dim=2)).sum() / target.sum()


def optimisers(model: Tab2D, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, norms, biases and the head."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and name.startswith("layers.")]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=config.muon_lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=config.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def find_device(name: str) -> torch.device:
    """The device of a name, ``cpu`` or ``cuda``; a :class:`TabgenError` where there is none."""
    if name not in ("cpu", "cuda"):
        raise TabgenError(f"device '{name}': cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise TabgenError("torch sees no GPU; `tabgen doctor` says why. Train with --device cpu.")
    return torch.device(name)


BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Features of processors, as torch names them, that bring arithmetic in bfloat16."""


def check_bfloat16(device: torch.device) -> None:
    """Raise a :class:`TabgenError` where a CPU or GPU would emulate bfloat16, which is slower than float32."""
    if device.type == "cuda":
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise TabgenError(f"{torch.cuda.get_device_name(device)} has no bfloat16. Train without --bfloat16.")
        return
    able = torch.cpu.get_capabilities()
    if not any(able.get(feature) for feature in BFLOAT16):
        raise TabgenError(
            f"this processor ({able.get('cpu_name') or able.get('architecture')}) has none of {', '.join(BFLOAT16)}:"
            " bfloat16 would be emulated, which was 4.5 times slower than float32. Train without --bfloat16."
        )


def _produce(config: PretrainConfig, index: int) -> Batch:
    torch.set_num_threads(1)
    return make_batch(config.curriculum, config.priors, config.seed, index, config.emphasis)


def batches(config: PretrainConfig, start: int, end: int, producers: int) -> Generator[Batch, None, None]:
    """Batches ``start`` .. ``end - 1`` in order, made here or ahead of time by ``producers`` processes."""
    cycle = batches_of(config.curriculum, config.priors, config.seed, config.distinct_tasks, config.emphasis) or end
    numbers = (index % cycle for index in range(start, end))
    if producers == 0:
        yield from (_produce(config, number) for number in numbers)
        return
    with new_workers(producers) as pool:
        ahead: deque[Future[Batch]] = deque()
        try:
            for number in numbers:
                ahead.append(pool.submit(_produce, config, number))
                if len(ahead) > 8 * producers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:  # a run that ends early waits for no batch that nobody asks for
            pool.shutdown(wait=False, cancel_futures=True)


def _update(
    model: Tab2D,
    average: Tab2D,
    optims: list[torch.optim.Optimizer],
    config: PretrainConfig,
    batches: Iterator[Batch],
    step: int,
    seconds: float = 0.0,
) -> tuple[Tensor, int]:
    """One step of training on the next batches; returns their mean loss before it, and how many tasks they hold."""
    device = next(model.parameters()).device
    for optim, rate in zip(optims, (config.muon_lr, config.adamw_lr), strict=True):
        for group in optim.param_groups:
            group["lr"] = rate * config.rate(step, seconds)
    total, tasks = torch.zeros((), device=device), 0
    for batch in islice(batches, config.accumulate):
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
            loss = loss_of(model, batch.to(device)) / config.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        total, tasks = total + loss.detach(), tasks + len(batch.x_support)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optim in optims:
        optim.step()
        optim.zero_grad(set_to_none=True)
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - config.kept(step))
    return total, tasks


def _first_model(config: PretrainConfig, start_from: Path | None) -> tuple[Tab2D, str | None]:
    """The model before the first step, and the hash of the checkpoint that it is from."""
    torch.manual_seed(config.seed)
    if start_from is None:
        return Tab2D(config.model), None
    start = load_directory(start_from)
    sizes = start.module.config
    if (
        replace(sizes, n_layers=config.model.n_layers, many_levels=config.model.many_levels, views=1) != config.model
        or sizes.n_layers > config.model.n_layers
    ):
        raise TabgenError(f"{start_from} holds {sizes}; this run trains {config.model}.")
    return grown(start.module, config.model.n_layers).train(), start.checkpoint_hash


def pretrain(
    config: PretrainConfig,
    folder: Path,
    producers: int = 0,
    report: Callable[[dict[str, Any]], None] = lambda _: None,
    report_every: int = 250,
    save_seconds: float = 120.0,
    start_from: Path | None = None,
    device: str = "cpu",
) -> Tab2D:
    """Train, or go on training, the model of ``folder``; a new folder starts from the weights of ``start_from``.

    Writes ``state.safetensors`` (weights, their average, optimisers, progress), ``stable.safetensors`` (the same just
    before the rate decays: put it in the other's place to go on with more steps), ``log.jsonl``, the average after
    1,000, 2,000, 4,000, ... tasks under ``checkpoints`` and, at the end, as ``config.json`` and ``model.safetensors``,
    which load as a foundation model. The log has an entry with the configuration and a random forest's scores
    wherever a configuration starts to hold.

    Raises
    ------
    TabgenError
        If the folder holds a run that this configuration cannot go on with, ``start_from`` is no
        checkpoint of the same sizes or of fewer layers, the folder holds a model of something else, bfloat16 is asked
        of a processor that lacks it, or there is no such device.
    """
    _refuse_other_model(folder)
    where = find_device(device)
    torch.backends.cuda.enable_cudnn_sdp(False)  # it plans anew for every shape, and hardly two batches have the same
    if config.bfloat16:
        check_bfloat16(where)
    model, started_from = _first_model(config, start_from)
    model = model.to(where)
    average = deepcopy(model).requires_grad_(False)
    optims = optimisers(model, config)
    progress: dict[str, Any] = {"step": 0, "batches": 0, "tasks": 0, "seconds": 0.0}
    as_before = False
    if (folder / "state.safetensors").exists():
        progress, as_before = load_state(folder, model, average, optims, config)
    folder.mkdir(parents=True, exist_ok=True)
    held_out = HeldOut(config.priors)
    with (folder / "log.jsonl").open("a") as log:

        def write(entry: dict[str, Any]) -> None:
            log.write(json.dumps(entry) + "\n")
            log.flush()
            report(entry)

        if not as_before:
            write(
                {
                    "from_step": progress["step"],
                    "config": asdict(config),
                    "start_from": started_from,
                    "random_forest": held_out.forest(),
                    "parameters": sum(p.numel() for p in model.parameters()),
                }
            )
        losses: list[Tensor] = []
        began, saved, before = time.monotonic(), time.monotonic(), progress["seconds"]
        left = (config.steps - progress["step"]) * config.accumulate
        source = batches(config, progress["batches"], progress["batches"] + left, producers)
        while config.left(step := progress["step"], seconds := progress["seconds"]) > 0:
            loss, tasks = _update(model, average, optims, config, source, step, seconds)
            losses.append(loss)
            milestone = kept_at(progress["tasks"], progress["tasks"] + tasks)
            progress |= {"step": step + 1, "batches": progress["batches"] + config.accumulate}
            progress |= {"tasks": progress["tasks"] + tasks, "seconds": before + time.monotonic() - began}
            if milestone:
                write_checkpoint(folder / "checkpoints" / f"{milestone}-tasks", average)
            last = config.left(step + 1, progress["seconds"]) == 0
            if (step + 1) % report_every == 0 or last:
                write(
                    {
                        **progress,
                        "loss": float(torch.stack(losses).mean()),
                        "rate": config.rate(step, seconds),
                        "tasks_per_second": progress["tasks"] / progress["seconds"],
                        "auc": held_out.model(average),
                    }
                )
                losses.clear()
            starts_to_decay = config.decays(step + 1, progress["seconds"]) and not config.decays(step, seconds)
            if starts_to_decay:
                save_state(folder, model, average, optims, config, progress, "stable.safetensors")
            if starts_to_decay or last or time.monotonic() - saved > save_seconds:
                save_state(folder, model, average, optims, config, progress)
                saved = time.monotonic()
    write_checkpoint(folder, average)
    source.close()
    return average


def _refuse_other_model(folder: Path) -> None:
    if (folder / "config.json").exists() and not (folder / "state.safetensors").exists():
        raise TabgenError(f"{folder} holds a model that would be overwritten; name a new folder.")


def kept_at(before: int, after: int) -> int:
    """The largest of 1,000, 2,000, 4,000, ... tasks that was passed from ``before`` to ``after``; 0: none."""
    doublings = int(math.log2(after / 1000)) if after >= 1000 else -1
    milestone = 1000 * 2**doublings if doublings >= 0 else 0
    return milestone if milestone > before else 0
