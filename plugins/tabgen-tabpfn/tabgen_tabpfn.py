"""TabPFN v2 as a foundation model: predictions by the package tabpfn, fine-tuning by tabgen's loop over its module."""

from __future__ import annotations

import hashlib
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

VARIABLE = "TABGEN_TABPFN_CHECKPOINT"
REPOSITORY, FILE = "Prior-Labs/TabPFN-v2-clf", "tabpfn-v2-classifier-finetuned-zk73skhh.ckpt"
ARCHITECTURE = "tabpfn_v2"
"""As the package calls it; the first checkpoints do not say so."""
LICENCE = "LicenseRef-PriorLabs-1.2"
"""Apache-2.0 with a tenth paragraph on attribution, of the package and of the weights of v2 alike."""
VIEWS = {"tabpfn-v2": 8, "tabpfn-v2-single": 1}
"""Name of a model -> how many views of a table its predictions are the mean of; 8 is the package's default."""
MAX_COLUMNS = 100
ABSENT = -20.0
"""Logit of a class that the context has no row of."""


class TabPFNModel(FoundationModel):
    """A TabPFN v2 with weights, ready to predict and to be fine-tuned.

    Columns come from tabgen's own encoder; the package makes its views of them (quantiles and principal directions,
    shuffled columns and classes, a fingerprint of each row) and averages the probabilities, at its temperature. A step
    of fine-tuning sees one view: the columns in order, standardised by the module itself. A class that the context
    lacks has probability 0, as in the package. All in float32, whatever the processor, so that scores can be compared.

    Parameters
    ----------
    specs : tabpfn's ClassifierModelSpecs
        The module, and the configuration that its checkpoint came with.
    checkpoint_hash : str
    device : str
    views : int
        Of the table, for predictions.
    """

    layers = "blocks"
    head = ("output_projection",)

    def __init__(self, specs: Any, checkpoint_hash: str, device: str = "cpu", views: int = 8) -> None:
        self.module = specs.model.to(device).eval()
        self.specs = specs
        self.max_classes = int(specs.architecture_config.max_num_classes)
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

        present, y = torch.unique(y_support.to(self.device), return_inverse=True)
        x = torch.cat([x_support, x_query]).to(self.device)
        out = self.module(x.unsqueeze(1), y.float().unsqueeze(1))[:, 0]  # (rows, batch, columns) in; (q, classes) out
        logits: Tensor = out.new_full((len(x_query), n_classes), ABSENT)
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

        classifier = classifier_of(self.specs, self.views, self.device)
        classifier.fit(x_support.cpu().numpy(), y_support.cpu().numpy())
        probabilities = np.zeros((len(x_query), n_classes))
        probabilities[:, classifier.classes_] = classifier.predict_proba(x_query.cpu().numpy())
        return probabilities


def classifier_of(model: Any, views: int, device: str = "cpu") -> Any:
    """The package's classifier: its default of 8 views, or with one the columns as they are.

    Parameters
    ----------
    model : ClassifierModelSpecs or path
    """
    import torch
    from tabpfn import TabPFNClassifier
    from tabpfn.preprocessing import PreprocessorConfig

    plain = {
        "PREPROCESS_TRANSFORMS": [PreprocessorConfig("none", categorical_name="numeric")],
        "FEATURE_SHIFT_METHOD": None,
        "CLASS_SHIFT_METHOD": None,
        "FINGERPRINT_FEATURE": False,
        "OUTLIER_REMOVAL_STD": None,
    }
    return TabPFNClassifier(
        model_path=model,
        n_estimators=views,
        device=device,
        inference_precision=torch.float32,
        inference_config=plain if views == 1 else None,
        ignore_pretraining_limits=True,  # on a CPU more than 1,000 rows are refused: tabgen limits time and memory
    )


def checkpoint_file() -> Path:
    """The checkpoint as its authors saved it (:func:`tabgen.models.files.hub_file`)."""
    from tabgen.models.files import hub_file

    how = f"Accept the licence of {REPOSITORY} on the Hugging Face hub, download {FILE}"
    return hub_file(VARIABLE, REPOSITORY, FILE, "TabPFN v2", how)


def converted(source: Path) -> Path:
    """The folder with ``model.safetensors`` of a checkpoint, made once for its content.

    The authors' file is a pickle: it is read here alone, with ``weights_only``, which builds tensors and plain values.
    The safetensors are the package's own form: the configuration is JSON in their header.

    Raises
    ------
    ModelError
        If it is no checkpoint of TabPFN v2.
    """
    from tabgen.variables import cache_home

    with source.open("rb") as file:
        folder: Path = cache_home() / "tabpfn" / hashlib.file_digest(file, "sha256").hexdigest()
    if (folder / "model.safetensors").is_file():
        return folder
    import torch
    from tabpfn.checkpoint import save_as_safetensors

    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{os.getpid()}.part"
    try:
        saved = torch.load(source, map_location="cpu", weights_only=True)
        architecture = str(saved.get("architecture_name", ARCHITECTURE))
        kept = {name: saved[name] for name in ("config", "state_dict")}
        kept |= {"architecture_name": architecture, "inference_config": saved.get("inference_config")}
        if architecture == ARCHITECTURE:
            save_as_safetensors(kept, part)
    except Exception as error:  # unpickling raises anything
        raise ModelError(f"{source} is no checkpoint of TabPFN: {type(error).__name__}: {error!s:.300}") from error
    if architecture != ARCHITECTURE:
        raise ModelError(
            f"{source} is a checkpoint of '{architecture:.60}'; this model is '{ARCHITECTURE}', whose licence is named"
            " with it. The weights of TabPFN 2.5 and later are for non-commercial use only."
        )
    part.replace(folder / "model.safetensors")
    return folder


def load(views: int, device: str) -> FoundationModel:
    """The model with the weights that are at hand."""
    from tabpfn.base import ClassifierModelSpecs
    from tabpfn.model_loading import load_model

    folder = converted(checkpoint_file())
    try:
        module, _, config, inference = load_model(
            path=folder / "model.safetensors", estimator_type="classifier", cache_trainset_representation=False
        )
    except (TypeError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"the weights in {folder} do not fit their configuration: {error!s:.300}") from error
    return TabPFNModel(ClassifierModelSpecs(module, config, inference), _fingerprint_of(folder, views), device, views)


def fingerprint(views: int) -> str:
    return _fingerprint_of(converted(checkpoint_file()), views)


def _fingerprint_of(folder: Path, views: int) -> str:
    """Of the weights, the configuration in their header, and the number of views."""
    from tabgen.models.files import weights_hash

    return hashlib.sha256(f"{weights_hash(folder)} {views} views".encode()).hexdigest()


@hookimpl
def tabgen_register_models(register: Callable[[ModelInfo], None]) -> None:
    for name, views in VIEWS.items():
        summary = f"TabPFN v2, 7M parameters, {views} view{'s' * (views > 1)} of the table; from the Hugging Face hub"
        licence = f"Apache-2.0 AND {LICENCE}"
        register(ModelInfo(name, summary, licence, partial(load, views), partial(fingerprint, views), LICENCE))
