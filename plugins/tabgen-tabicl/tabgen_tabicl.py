"""TabICLv2 as a foundation model: predictions by the package tabicl, fine-tuning by tabgen's loop over its module."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabgen import hookimpl
from tabgen.errors import ModelError
from tabgen.models.base import FoundationModel, ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from tabgen import Table
    from tabgen.models.encoding import TableEncoder

VARIABLE = "TABGEN_TABICL_CHECKPOINT"
REPOSITORY, FILE = "jingang/TabICL", "tabicl-classifier-v2-20260212.ckpt"
VIEWS = {"tabicl-v2": 8, "tabicl-v2-single": 1}
"""Name of a model -> how many views of a table its predictions are the mean of; 8 is the package's default."""
MAX_COLUMNS = 100
ABSENT = -20.0
"""Logit of a class that the context has no row of."""


class TabICLModel(FoundationModel):
    """A TabICL with weights, ready to predict and to be fine-tuned.

    Columns come from tabgen's own encoder; the package standardises them by the context rows, makes its views (powers,
    shuffled columns and classes) and averages the logits, at its temperature. A step of fine-tuning sees one view, as
    standardised and in order. A class that the context lacks has probability 0, as in the package.

    Parameters
    ----------
    module : tabicl's TabICL
    checkpoint_hash : str
    device : str
    views : int
        Of the table, for predictions.
    """

    layers = "icl_predictor.tf_icl.blocks"
    head = ("icl_predictor.ln", "icl_predictor.decoder")

    def __init__(self, module: Any, checkpoint_hash: str, device: str = "cpu", views: int = 8) -> None:
        self.module = module.to(device).eval()
        self.max_classes = int(module.max_classes)
        self.max_columns = MAX_COLUMNS
        self.checkpoint_hash = checkpoint_hash
        self.device = device
        self.views = views

    def encoder(self, context: Table) -> TableEncoder:
        from tabgen.models.encoding import TableEncoder

        self.check_classes(context)
        return TableEncoder(context, self.max_columns)

    def logits(
        self,
        x_support: Tensor,
        y_support: Tensor,
        x_query: Tensor,
        n_classes: int,
        levels: tuple[int, ...] = (),  # noqa: ARG002 - its encoder names none
    ) -> Tensor:
        import torch

        classifier = self._fitted(x_support, y_support, views=1)
        ((x, y),) = classifier.ensemble_generator_.transform(x_query.cpu().numpy(), mode="both").values()
        mode = self.module.training
        self.module.train()  # the differentiable pass; the architecture's dropout is 0
        try:
            out = self.module(*(torch.from_numpy(part).float().to(self.device) for part in (x, y)))[0]
        finally:
            self.module.train(mode)
        logits: Tensor = out.new_full((len(x_query), n_classes), ABSENT)
        present = torch.as_tensor(classifier.classes_, device=out.device)
        found: Tensor = logits.index_copy(1, present, out[:, : len(present)])
        return found

    def predict(
        self,
        x_support: Tensor,
        y_support: Tensor,
        x_query: Tensor,
        n_classes: int,
        levels: tuple[int, ...] = (),  # noqa: ARG002 - its encoder names none
    ) -> np.ndarray[Any, Any]:
        import numpy as np

        classifier = self._fitted(x_support, y_support, self.views)
        probabilities = np.zeros((len(x_query), n_classes))
        probabilities[:, classifier.classes_] = classifier.predict_proba(x_query.cpu().numpy())
        return probabilities

    def _fitted(self, x: Tensor, y: Tensor, views: int) -> Any:
        """The package's classifier around this module, shown these rows."""
        plain = {"norm_methods": "none", "feat_shuffle_method": "none", "class_shuffle_method": "none"}
        classifier = _classifier_of(self.module)(
            n_estimators=views, device=self.device, allow_auto_download=False, **(plain if views == 1 else {})
        )
        return classifier.fit(x.cpu().numpy(), y.cpu().numpy())


def _classifier_of(module: Any) -> type[Any]:
    from tabicl import TabICLClassifier

    class Loaded(TabICLClassifier):  # type: ignore[misc]
        """Uses weights that are in memory, whatever they were tuned to."""

        def _load_model(self) -> None:
            self.model_ = module
            self.model_.eval()

    return Loaded


def checkpoint_file() -> Path:
    """The checkpoint as its authors saved it (:func:`tabgen.models.files.hub_file`)."""
    from tabgen.models.files import hub_file

    how = f"Download {FILE} of {REPOSITORY} from the Hugging Face hub"
    return hub_file(VARIABLE, REPOSITORY, FILE, "TabICLv2", how)


def converted(source: Path) -> Path:
    """The folder with ``config.json`` and ``model.safetensors`` of a checkpoint, made once for its content.

    The authors' file is a pickle: it is read here alone, with ``weights_only``, which builds tensors and plain values.

    Raises
    ------
    ModelError
        If it is no checkpoint of TabICL.
    """
    from tabgen.variables import cache_home

    with source.open("rb") as file:
        folder: Path = cache_home() / "tabicl" / hashlib.file_digest(file, "sha256").hexdigest()
    if (folder / "config.json").is_file():
        return folder
    import torch
    from safetensors.torch import save_file

    try:
        saved = torch.load(source, map_location="cpu", weights_only=True)
        config = json.dumps(saved["config"], sort_keys=True)
        weights = {str(name): tensor.contiguous().clone() for name, tensor in saved["state_dict"].items()}
    except Exception as error:  # unpickling raises anything
        raise ModelError(f"{source} is no checkpoint of TabICL: {type(error).__name__}: {error!s:.300}") from error
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{os.getpid()}.part"
    save_file(weights, part)
    part.replace(folder / "model.safetensors")
    part.write_text(config, encoding="utf-8")
    part.replace(folder / "config.json")
    return folder


def load(views: int, device: str) -> FoundationModel:
    """The model with the weights that are at hand."""
    from safetensors.torch import load_file
    from tabicl._model.tabicl import TabICL

    from tabgen.models.files import checkpoint_hash

    folder = converted(checkpoint_file())
    try:
        module = TabICL(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        if module.max_classes == 0:
            raise ModelError(f"{checkpoint_file()} holds a model for regression; tabgen compares classifiers.")
        module.load_state_dict(load_file(folder / "model.safetensors"))
    except (TypeError, RuntimeError) as error:
        raise ModelError(f"the weights in {folder} do not fit their config.json: {error!s:.300}") from error
    return TabICLModel(module, _hash(checkpoint_hash(folder), views), device, views)


def fingerprint(views: int) -> str:
    from tabgen.models.files import checkpoint_hash

    return _hash(checkpoint_hash(converted(checkpoint_file())), views)


def _hash(checkpoint: str, views: int) -> str:
    return hashlib.sha256(f"{checkpoint} {views} views".encode()).hexdigest()


@hookimpl
def tabgen_register_models(register: Callable[[ModelInfo], None]) -> None:
    for name, views in VIEWS.items():
        summary = f"TabICLv2, 27M parameters, {views} view{'s' * (views > 1)} of the table; from the Hugging Face hub"
        register(
            ModelInfo(
                name,
                summary,
                "Apache-2.0 AND BSD-3-Clause",
                partial(load, views),
                partial(fingerprint, views),
                "BSD-3-Clause",
            )
        )
