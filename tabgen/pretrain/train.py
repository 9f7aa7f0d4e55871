"""The training loop: Muon and AdamW, warm-up, constant rate, cosine decay; resumable; a JSON line per report."""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from tabgen.engines.server import die_with
from tabgen.errors import TabgenError
from tabgen.models.checkpoints import load_directory
from tabgen.models.tab2d import Tab2D, Tab2DConfig, _Layer
from tabgen.pretrain.tasks import PRIORS, Batch, Curriculum, batch_of, make_batch


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that decides what a run computes; saved beside its checkpoints."""

    model: Tab2DConfig = field(default_factory=lambda: Tab2DConfig(64, 10, 4, 4))
    curriculum: Curriculum = field(default_factory=Curriculum)
    priors: dict[str, float] = field(default_factory=lambda: {"mechanisms": 1.0})
    steps: int = 20_000
    decay_steps: int = 4_000
    warmup_steps: int = 200
    muon_lr: float = 2e-3
    adamw_lr: float = 1e-3
    weight_decay: float = 0.01
    accumulate: int = 1
    """Batches whose gradients make up a step: several shapes and priors in each."""
    ema: float = 0.999
    """What the averaged weights, which are the model in the end, keep of themselves at a step; less in the first."""
    bfloat16: bool = False
    """Linear layers, norms and activations of a step in bfloat16; weights, attention and rates stay float32."""
    seed: int = 0

    def rate(self, step: int) -> float:
        """Share of the full learning rate at a step: linear up, constant, down to zero as a cosine."""
        left = min(1.0, max(0.0, (self.steps - step) / max(1, self.decay_steps)))
        return min(1.0, (step + 1) / self.warmup_steps) * (1 - math.cos(math.pi * left)) / 2

    def kept(self, step: int) -> float:
        """What the averaged weights keep at a step: they reach back over a tenth of the steps so far at most."""
        return min(self.ema, (step + 1) / (step + 11))


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


BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Features of processors, as torch names them, that bring arithmetic in bfloat16."""


class HeldOut:
    """Fixed tasks of every prior that are never trained on, with a random forest's ROC-AUC as the yardstick.

    Named ``prior/shape``; a prior's tasks do not depend on which others there are.
    """

    SHAPES: ClassVar[dict[str, tuple[int, int, int, int]]] = {
        "small": (150, 6, 2, 24),
        "classes": (300, 8, 5, 16),
        "large": (600, 15, 2, 12),
    }
    """Name -> rows, features, classes, tasks."""

    def __init__(self, priors: dict[str, float]) -> None:
        self.batches: dict[str, Batch] = {}
        for prior in priors:
            for number, (shape, (rows, features, classes, tasks)) in enumerate(self.SHAPES.items()):
                rng = np.random.default_rng([987_654_321, number])
                generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
                self.batches[f"{prior}/{shape}"] = batch_of(
                    PRIORS[prior], tasks, rows, features, classes, rng, generator
                )

    def forest(self) -> dict[str, float]:
        def scores(batch: Batch, task: int) -> np.ndarray[Any, Any]:
            forest = RandomForestClassifier(random_state=0)
            forest.fit(batch.x_support[task].numpy(), batch.y_support[task].numpy())
            full = np.zeros((batch.x_query.shape[1], batch.n_classes))
            full[:, forest.classes_] = forest.predict_proba(batch.x_query[task].numpy())
            return full

        return {
            name: mean_auc(batch, [scores(batch, t) for t in range(len(batch.x_support))])
            for name, batch in self.batches.items()
        }

    def model(self, model: Tab2D) -> dict[str, float]:
        out = {}
        with torch.no_grad():
            for name, batch in self.batches.items():
                logits = model(batch.x_support, batch.y_support, batch.x_query)[..., : batch.n_classes]
                out[name] = mean_auc(batch, list(logits.softmax(2).numpy()))
        return out


def mean_auc(batch: Batch, scores: list[np.ndarray[Any, Any]]) -> float:
    """Mean over tasks of the one-vs-rest ROC-AUC over the classes that can be scored."""
    tasks = []
    for y, score in zip(batch.y_query.numpy(), scores, strict=True):
        classes = [c for c in range(batch.n_classes) if 0 < (y == c).sum() < len(y)]
        tasks.append(np.mean([roc_auc_score(y == c, score[:, c]) for c in classes]) if classes else np.nan)
    return float(np.nanmean(tasks))


def check_bfloat16() -> None:
    """Raise a :class:`TabgenError` where the processor would emulate bfloat16, which is slower than float32."""
    able = torch.cpu.get_capabilities()
    if not any(able.get(feature) for feature in BFLOAT16):
        raise TabgenError(
            f"this processor ({able.get('cpu_name') or able.get('architecture')}) has none of {', '.join(BFLOAT16)}:"
            " bfloat16 would be emulated, which was 4.5 times slower than float32. Train without --bfloat16."
        )


def _produce(config: PretrainConfig, index: int) -> Batch:
    torch.set_num_threads(1)
    return make_batch(config.curriculum, config.priors, config.seed, index)


def batches(config: PretrainConfig, start: int, end: int, producers: int) -> Iterator[Batch]:
    """Batches ``start`` .. ``end - 1`` in order, made here or ahead of time by ``producers`` processes."""
    if producers == 0:
        yield from (_produce(config, index) for index in range(start, end))
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(producers, context, initializer=die_with, initargs=(os.getpid(),)) as pool:
        ahead: deque[Future[Batch]] = deque()
        for index in range(start, end):
            ahead.append(pool.submit(_produce, config, index))
            if len(ahead) > 8 * producers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _state_tensors(model: Tab2D, average: Tab2D, optims: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for number, optim in enumerate(optims):
        for index, state in optim.state_dict()["state"].items():
            tensors |= {f"optim.{number}.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    return tensors


def _save(
    folder: Path,
    model: Tab2D,
    average: Tab2D,
    optims: list[torch.optim.Optimizer],
    config: PretrainConfig,
    progress: dict[str, Any],
    name: str = "state.safetensors",
) -> None:
    """Write the whole state beside the old one, then swap: a kill at any moment leaves one that loads."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "state.new"
    metadata = {"progress": json.dumps(progress), "config": json.dumps(asdict(config))}
    save_file(
        {k: v.contiguous() for k, v in _state_tensors(model, average, optims).items()}, scratch, metadata=metadata
    )
    scratch.replace(folder / name)


MAY_CHANGE = (
    "curriculum",
    "priors",
    "steps",
    "decay_steps",
    "warmup_steps",
    "muon_lr",
    "adamw_lr",
    "accumulate",
    "ema",
    "bfloat16",
)
"""Parts of the configuration that another stretch of the same run may set anew."""


def _load(
    folder: Path, model: Tab2D, average: Tab2D, optims: list[torch.optim.Optimizer], config: PretrainConfig
) -> tuple[dict[str, Any], bool]:
    """Put a saved state into models and optimisers; returns progress, and whether the configuration is the saved one.

    Raises
    ------
    TabgenError
        If the state cannot be read, or was made under a configuration that cannot be gone on with.
    """
    path = folder / "state.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        tensors = load_file(path)
    except SafetensorError as error:
        raise TabgenError(f"{path} cannot be read ({error}); delete it to start anew.") from error
    progress: dict[str, Any] = json.loads(metadata["progress"])
    saved, given = json.loads(metadata["config"]), json.loads(json.dumps(asdict(config)))
    differing = [
        f"{name} was {saved.get(name)} and is {given[name]} now"
        for name in given
        if name not in MAY_CHANGE and saved.get(name) != given[name]
    ]
    if differing:
        raise TabgenError(
            f"{folder} holds another run: {'; '.join(differing)}. Give the same to go on with it, or another folder;"
            f" only {', '.join(MAY_CHANGE)} may change."
        )
    for prefix, module in (("model.", model), ("average.", average)):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for number, optim in enumerate(optims):
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            kind, *where = key.split(".")
            if kind == "optim" and int(where[0]) == number:
                state.setdefault(int(where[1]), {})[where[2]] = value
        optim.load_state_dict({"state": state, "param_groups": optim.state_dict()["param_groups"]})
    return progress, saved == given


def _update(
    model: Tab2D,
    average: Tab2D,
    optims: list[torch.optim.Optimizer],
    config: PretrainConfig,
    batches: Iterator[Batch],
    step: int,
) -> tuple[float, int]:
    """One step of training on the next batches; returns their mean loss before it, and how many tasks they hold."""
    for optim, rate in zip(optims, (config.muon_lr, config.adamw_lr), strict=True):
        for group in optim.param_groups:
            group["lr"] = rate * config.rate(step)
    total, tasks = 0.0, 0
    for batch in islice(batches, config.accumulate):
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
            loss = loss_of(model, batch) / config.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        total, tasks = total + float(loss.detach()), tasks + len(batch.x_support)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optim in optims:
        optim.step()
        optim.zero_grad(set_to_none=True)
    with torch.no_grad():
        for mean, now in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(now, 1 - config.kept(step))
    return total, tasks


def grown(model: Tab2D, n_layers: int) -> Tab2D:
    """The model with more layers, which at first change nothing: copies of its own whose outputs are zero.

    They come behind the layers they are copies of, from the middle on (as in LEMON, Wang et al., ICLR 2024).
    """
    config = replace(model.config, n_layers=n_layers)
    out = Tab2D(config)
    out.load_state_dict(model.state_dict(), strict=False)
    depth, more = model.config.n_layers, n_layers - model.config.n_layers
    layers: list[nn.Module] = []
    copied = [depth // 2 + (number + 1) // 2 * (-1) ** number for number in range(more)]
    for number, layer in enumerate(model.layers):
        layers.append(deepcopy(layer))
        for _ in range(sum(max(0, min(depth - 1, c)) == number for c in copied)):
            new = deepcopy(layer)
            assert isinstance(new, _Layer)
            for last in (new.attention1.o, new.linear2, new.attention2.o, new.linear4):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
            layers.append(new)
    out.layers = nn.ModuleList(layers)
    return out


def _write_checkpoint(folder: Path, model: Tab2D) -> None:
    """A folder that loads as a foundation model."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(model.config.to_dict()) + "\n")


def pretrain(
    config: PretrainConfig,
    folder: Path,
    producers: int = 0,
    report: Callable[[dict[str, Any]], None] = lambda _: None,
    report_every: int = 250,
    save_seconds: float = 120.0,
    start_from: Path | None = None,
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
        checkpoint of the same sizes or of fewer layers, or bfloat16 is asked of a processor that lacks it.
    """
    if config.bfloat16:
        check_bfloat16()
    torch.manual_seed(config.seed)
    model = Tab2D(config.model)
    if start_from is not None:
        start = load_directory(start_from)
        sizes = start.module.config
        if replace(sizes, n_layers=config.model.n_layers) != config.model or sizes.n_layers > config.model.n_layers:
            raise TabgenError(f"{start_from} holds {sizes}; this run trains {config.model}.")
        model = grown(start.module, config.model.n_layers).train()
    average = deepcopy(model).requires_grad_(False)
    optims = optimisers(model, config)
    progress: dict[str, Any] = {"step": 0, "batches": 0, "tasks": 0, "seconds": 0.0}
    as_before = False
    if (folder / "state.safetensors").exists():
        progress, as_before = _load(folder, model, average, optims, config)
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
                    "start_from": start.checkpoint_hash if start_from else None,
                    "random_forest": held_out.forest(),
                    "parameters": sum(p.numel() for p in model.parameters()),
                }
            )
        losses: list[float] = []
        began, saved, before = time.monotonic(), time.monotonic(), progress["seconds"]
        left = (config.steps - progress["step"]) * config.accumulate
        source = batches(config, progress["batches"], progress["batches"] + left, producers)
        for step in range(progress["step"], config.steps):
            loss, tasks = _update(model, average, optims, config, source, step)
            losses.append(loss)
            milestone = kept_at(progress["tasks"], progress["tasks"] + tasks)
            progress |= {"step": step + 1, "batches": progress["batches"] + config.accumulate}
            progress |= {"tasks": progress["tasks"] + tasks, "seconds": before + time.monotonic() - began}
            if milestone:
                _write_checkpoint(folder / "checkpoints" / f"{milestone}-tasks", average)
            last = step + 1 == config.steps
            if (step + 1) % report_every == 0 or last:
                write(
                    {
                        **progress,
                        "loss": float(np.mean(losses)),
                        "rate": config.rate(step),
                        "tasks_per_second": progress["tasks"] / progress["seconds"],
                        "auc": held_out.model(average),
                    }
                )
                losses.clear()
            starts_to_decay = step + 1 == config.steps - config.decay_steps
            if starts_to_decay:
                _save(folder, model, average, optims, config, progress, "stable.safetensors")
            if starts_to_decay or last or time.monotonic() - saved > save_seconds:
                _save(folder, model, average, optims, config, progress)
                saved = time.monotonic()
    _write_checkpoint(folder, average)
    return average


def kept_at(before: int, after: int) -> int:
    """The largest of 1,000, 2,000, 4,000, ... tasks that was passed from ``before`` to ``after``; 0: none."""
    doublings = int(math.log2(after / 1000)) if after >= 1000 else -1
    milestone = 1000 * 2**doublings if doublings >= 0 else 0
    return milestone if milestone > before else 0
