"""The training loop: Muon and AdamW, warm-up, constant rate, decay; resumable; a JSON line per report."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
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

from tabgen.errors import TabgenError
from tabgen.models.checkpoints import load_directory
from tabgen.models.tab2d import Tab2D, Tab2DConfig
from tabgen.pretrain.tasks import PRIORS, Batch, Curriculum, batch_of, make_batch
from tabgen.processes import die_with


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
    bfloat16: bool = False
    """Linear layers, norms and activations of a step in bfloat16; weights, attention and rates stay float32."""
    seed: int = 0

    def rate(self, step: int) -> float:
        """Share of the full learning rate at a step: linear up, constant, linear down to zero."""
        left = (self.steps - step) / max(1, self.decay_steps)
        return max(0.0, min(1.0, (step + 1) / self.warmup_steps, left))


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy of the query rows; rows of a class that the support lacks do not count."""
    logits = model(batch.x_support, batch.y_support, batch.x_query)[..., : batch.n_classes]
    known = (batch.y_query.unsqueeze(2) == batch.y_support.unsqueeze(1)).any(2)
    target = torch.where(known, batch.y_query, -100)
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


def optimisers(model: Tab2D, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, norms, biases and the head."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and name.startswith("layers.")]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=config.muon_lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=config.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


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


def _produce(config: PretrainConfig, index: int) -> Batch:
    torch.set_num_threads(1)
    return make_batch(config.curriculum, config.priors, config.seed, index)


def batches(config: PretrainConfig, start: int, producers: int) -> Iterator[Batch]:
    """Batches ``start`` .. ``steps - 1`` in order, made here or ahead of time by ``producers`` processes."""
    if producers == 0:
        yield from (_produce(config, index) for index in range(start, config.steps))
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(producers, context, initializer=die_with, initargs=(os.getpid(),)) as pool:
        ahead: deque[Future[Batch]] = deque()
        for index in range(start, config.steps):
            ahead.append(pool.submit(_produce, config, index))
            if len(ahead) > 8 * producers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _state_tensors(model: Tab2D, optims: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    for number, optim in enumerate(optims):
        for index, state in optim.state_dict()["state"].items():
            tensors |= {f"optim.{number}.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    return tensors


def _save(
    folder: Path,
    model: Tab2D,
    optims: list[torch.optim.Optimizer],
    config: PretrainConfig,
    progress: dict[str, Any],
    name: str = "state.safetensors",
) -> None:
    """Write the whole state beside the old one, then swap: a kill at any moment leaves one that loads."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "state.new"
    metadata = {"progress": json.dumps(progress), "config": json.dumps(asdict(config))}
    save_file({k: v.contiguous() for k, v in _state_tensors(model, optims).items()}, scratch, metadata=metadata)
    scratch.replace(folder / name)


MAY_CHANGE = ("curriculum", "priors", "steps", "decay_steps", "warmup_steps", "muon_lr", "adamw_lr", "bfloat16")
"""Parts of the configuration that another stretch of the same run may set anew."""


def _load(
    folder: Path, model: Tab2D, optims: list[torch.optim.Optimizer], config: PretrainConfig
) -> tuple[dict[str, Any], bool]:
    """Put a saved state into model and optimisers; returns progress, and whether the configuration is the saved one.

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
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    for number, optim in enumerate(optims):
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            kind, *where = key.split(".")
            if kind == "optim" and int(where[0]) == number:
                state.setdefault(int(where[1]), {})[where[2]] = value
        optim.load_state_dict({"state": state, "param_groups": optim.state_dict()["param_groups"]})
    return progress, saved == given


def _update(
    model: Tab2D, optims: list[torch.optim.Optimizer], config: PretrainConfig, batch: Batch, step: int
) -> float:
    """One step of training; returns the batch's loss before it."""
    for optim, rate in zip(optims, (config.muon_lr, config.adamw_lr), strict=True):
        for group in optim.param_groups:
            group["lr"] = rate * config.rate(step)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        loss = loss_of(model, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optim in optims:
        optim.step()
        optim.zero_grad(set_to_none=True)
    return float(loss.detach())


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

    Writes ``state.safetensors`` (weights, optimisers, progress), ``stable.safetensors`` (the same just
    before the rate decays: put it in the other's place to go on with more steps), ``log.jsonl`` and, at the end,
    ``config.json`` and ``model.safetensors``, which load as a foundation model. The log has an entry with the
    configuration and a random forest's scores wherever a configuration starts to hold.

    Raises
    ------
    TabgenError
        If the folder holds a run that this configuration cannot go on with, or ``start_from`` is no
        checkpoint of the same sizes.
    """
    torch.manual_seed(config.seed)
    model = Tab2D(config.model)
    if start_from is not None:
        start = load_directory(start_from)
        if start.module.config != config.model:
            raise TabgenError(f"{start_from} holds {start.module.config}; this run trains {config.model}.")
        model.load_state_dict(start.module.state_dict())
    optims = optimisers(model, config)
    progress: dict[str, Any] = {"step": 0, "tasks": 0, "seconds": 0.0}
    as_before = False
    if (folder / "state.safetensors").exists():
        progress, as_before = _load(folder, model, optims, config)
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
        for step, batch in enumerate(batches(config, progress["step"], producers), start=progress["step"]):
            losses.append(_update(model, optims, config, batch, step))
            progress["step"], progress["tasks"] = step + 1, progress["tasks"] + len(batch.x_support)
            progress["seconds"] = before + time.monotonic() - began
            last = step + 1 == config.steps
            if (step + 1) % report_every == 0 or last:
                write(
                    {
                        **progress,
                        "loss": float(np.mean(losses)),
                        "rate": config.rate(step),
                        "tasks_per_second": progress["tasks"] / progress["seconds"],
                        "auc": held_out.model(model),
                    }
                )
                losses.clear()
            starts_to_decay = step + 1 == config.steps - config.decay_steps
            if starts_to_decay:
                _save(folder, model, optims, config, progress, "stable.safetensors")
            if starts_to_decay or last or time.monotonic() - saved > save_seconds:
                _save(folder, model, optims, config, progress)
                saved = time.monotonic()
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.model.to_dict()) + "\n")
    return model
