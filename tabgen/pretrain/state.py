"""The files of a run: its whole state, which a stop or a kill leaves readable, and checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tabgen.errors import TabgenError
from tabgen.models.tab2d import Tab2D
from tabgen.pretrain.config import PretrainConfig


def _state_tensors(model: Tab2D, average: Tab2D, optims: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for number, optim in enumerate(optims):
        for index, state in optim.state_dict()["state"].items():
            tensors |= {f"optim.{number}.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    return tensors


def save_state(
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
    "minutes",
    "emphasis",
    "warmup_steps",
    "muon_lr",
    "adamw_lr",
    "accumulate",
    "ema",
    "bfloat16",
)
"""Parts of the configuration that another stretch of the same run may set anew."""


def load_state(
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


def write_checkpoint(folder: Path, model: Tab2D) -> None:
    """A folder that loads as a foundation model."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(model.config.to_dict()) + "\n")
