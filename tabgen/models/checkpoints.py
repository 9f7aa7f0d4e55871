"""Loading Tab2D checkpoints: safetensors and JSON only, from a directory or the Hugging Face hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tabgen.errors import ModelError
from tabgen.models.base import FoundationModel
from tabgen.models.encoding import TableEncoder
from tabgen.models.files import checkpoint_hash
from tabgen.models.levels import with_shares
from tabgen.models.parts import TextParts
from tabgen.models.tab2d import Tab2D, Tab2DConfig
from tabgen.table import Table
from tabgen.text import clean

MAX_COLUMNS = 100
MOST_SIZES = {"dim": 16_384, "dim_output": 10_000, "n_layers": 500, "n_heads": 1000}
"""Of a configuration; Mitra has 512, 10, 12 and 4."""
MOST_VIEWS = 100
CELLS_PER_CHUNK = 40_000
"""Query cells (rows x columns) computed at once when predicting: bounds memory, changes no result."""


class Tab2DModel(FoundationModel):
    """A Tab2D with weights, ready to predict and to be fine-tuned."""

    module: Tab2D
    layers = "layers"
    head = ("final_layer_norm", "final_layer")

    def __init__(
        self, module: Tab2D, checkpoint_hash: str, device: str = "cpu", texts: type[TextParts] = TextParts
    ) -> None:
        self.module = module.to(device)
        self.max_classes = module.config.dim_output
        self.max_columns = MAX_COLUMNS
        self.checkpoint_hash = checkpoint_hash
        self.device = device
        self.texts = texts

    def encoder(self, context: Table) -> TableEncoder:
        self.check_classes(context)
        return TableEncoder(context, self.max_columns, self.texts, self.module.config.many_levels)

    def logits(
        self,
        x_support: Tensor,
        y_support: Tensor,
        x_query: Tensor,
        n_classes: int,
        levels: tuple[int, ...] = (),
        query_chunk: int = 0,
        view: int = 0,
    ) -> Tensor:
        """As of any model, and as one of the views that :class:`Tab2DConfig` tells of sees the table."""
        x_support, y_support, x_query = (p.to(self.device).unsqueeze(0) for p in (x_support, y_support, x_query))
        moved_on, mirrored = divmod(view, 2)
        y_support = (y_support + moved_on) % n_classes
        x_support, x_query = with_shares(x_support, y_support, x_query, n_classes, levels)
        if mirrored:
            x_support, x_query = -x_support, -x_query
        logits: Tensor = self.module(x_support, y_support, x_query, query_chunk=query_chunk)[0, :, :n_classes]
        return logits.roll(-moved_on, 1) if moved_on else logits

    def predict(
        self, x_support: Tensor, y_support: Tensor, x_query: Tensor, n_classes: int, levels: tuple[int, ...] = ()
    ) -> np.ndarray[Any, Any]:
        chunk = max(1, CELLS_PER_CHUNK // (x_query.shape[1] + len(levels) + 1))
        with torch.inference_mode():
            logits = [
                self.logits(x_support, y_support, x_query, n_classes, levels, chunk, view).double()
                for view in range(self.module.config.views)
            ]
            probabilities: np.ndarray[Any, Any] = torch.stack(logits).mean(0).softmax(1).cpu().numpy()
        return probabilities


def load_directory(folder: Path, device: str = "cpu", texts: type[TextParts] = TextParts) -> Tab2DModel:
    """The model of a directory with ``config.json`` and ``model.safetensors``.

    Raises
    ------
    ModelError
        If a file is missing, broken, or the two do not fit together.
    """
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise ModelError(f"{folder} is no checkpoint: it has no {name}.")
    weights = folder / "model.safetensors"
    try:
        config = json.loads((folder / "config.json").read_text())
        dim, dim_output, n_layers, n_heads = (int(config[key]) for key in ("dim", "dim_output", "n_layers", "n_heads"))
        many_levels, views = int(config.get("many_levels", 0)), int(config.get("views", 1))
        sizes = Tab2DConfig(dim, dim_output, n_layers, n_heads, many_levels=many_levels, views=views)
        task = str(config.get("task", "CLASSIFICATION")).upper().removeprefix("TASK.")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelError(f"{folder / 'config.json'} is not a Tab2D configuration: {error!r}.") from error
    if task != "CLASSIFICATION":
        raise ModelError(f"{folder} holds a model for {clean(task.lower(), 60)}; tabgen compares classifiers.")
    _check_sizes(sizes, folder / "config.json")
    try:
        state = load_file(weights)
        _check_amount(state, sizes)
        with torch.random.fork_rng(devices=[]):  # first weights that are drawn at random, and then replaced
            module = Tab2D(sizes)
        module.load_state_dict(state)
    except (SafetensorError, RuntimeError, ValueError, KeyError, OSError) as error:
        raise ModelError(f"the weights in {weights} do not fit its config.json: {clean(error, 500)}") from error
    return Tab2DModel(module.eval(), checkpoint_hash(folder), device, texts)


def save_directory(model: Tab2DModel, folder: Path) -> None:
    """Write the model's present weights as :func:`load_directory` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(model.module.config.to_dict(), indent=2))
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.module.state_dict().items()}
    save_file(weights, folder / "model.safetensors")


def _check_amount(state: dict[str, Tensor], sizes: Tab2DConfig) -> None:
    """Sizes that the weights do not have are refused before they take any memory."""
    d, classes = sizes.dim, sizes.dim_output
    due = sizes.n_layers * (24 * d * d + 26 * d) + 5 * d + 2 * classes * d + classes
    found = sum(tensor.numel() for tensor in state.values())
    if due != found:
        raise ValueError(f"it holds {found:,} numbers, and a model of these sizes has {due:,}.")


def _check_sizes(sizes: Tab2DConfig, path: Path) -> None:
    for name, most in MOST_SIZES.items():
        if not 1 <= (size := getattr(sizes, name)) <= most:
            raise ModelError(f"{path} has {name} = {str(size)[:20]}; from 1 to {most:,} can be read.")
    if sizes.dim % sizes.n_heads:
        raise ModelError(f"{path} has dim = {sizes.dim}, which {sizes.n_heads} heads do not divide.")
    if sizes.many_levels < 0:
        raise ModelError(f"{path} has many_levels = {str(sizes.many_levels)[:20]}; 0 or more is due.")
    if not 1 <= sizes.views <= MOST_VIEWS:
        raise ModelError(f"{path} has views = {str(sizes.views)[:20]}; from 1 to {MOST_VIEWS} can be taken.")
