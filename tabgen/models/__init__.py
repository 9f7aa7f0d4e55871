"""Foundation models: the embedded ones, Mitra from the hub, and any local directory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from tabgen.marker import hookimpl
from tabgen.models.base import FoundationModel, ModelInfo

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_MODEL = "tabgen-nano"


def directory_model(name: str, folder: Path, summary: str, weights_licence: str = "") -> ModelInfo:
    """A Tab2D checkpoint in a directory with ``config.json`` and ``model.safetensors``."""

    def load(device: str) -> FoundationModel:
        from tabgen.models.checkpoints import load_directory

        return load_directory(folder, device)

    def fingerprint() -> str:
        from tabgen.models.files import checkpoint_hash

        return checkpoint_hash(folder)

    return ModelInfo(name, summary, "Apache-2.0", load, fingerprint, weights_licence)


def with_sentences(model: ModelInfo, folder: Path) -> ModelInfo:
    """The same weights, reading free text by a sentence encoder (all-MiniLM-L6-v2) instead of n-grams."""

    def load(device: str) -> FoundationModel:
        from tabgen.models.checkpoints import load_directory
        from tabgen.models.parts import SentenceParts

        loaded = load_directory(folder, device, SentenceParts)
        loaded.checkpoint_hash = fingerprint()
        return loaded

    def fingerprint() -> str:
        from tabgen.models.files import checkpoint_hash, sentence_encoder, weights_hash

        both = checkpoint_hash(folder) + weights_hash(sentence_encoder())
        return hashlib.sha256(both.encode()).hexdigest()

    return ModelInfo(
        f"{model.name}-sentences",
        f"{model.name}, free text by a sentence encoder",
        "Apache-2.0",
        load,
        fingerprint,
        "Apache-2.0",
    )


def hub_model(name: str, repository: str, summary: str) -> ModelInfo:
    """A Tab2D checkpoint of the Hugging Face hub, fetched when it is first needed."""

    def load(device: str) -> FoundationModel:
        from tabgen.models.checkpoints import load_directory
        from tabgen.models.files import hub_directory

        return load_directory(hub_directory(repository), device)

    def fingerprint() -> str:
        from tabgen.models.files import checkpoint_hash, hub_directory

        return checkpoint_hash(hub_directory(repository))

    return ModelInfo(name, summary, "Apache-2.0", load, fingerprint, "Apache-2.0")


@hookimpl
def tabgen_register_models(register: Callable[[ModelInfo], None]) -> None:
    nano = directory_model(
        DEFAULT_MODEL,
        WEIGHTS / DEFAULT_MODEL,
        "embedded Tab2D, 0.4M parameters, pre-trained on synthetic tasks",
        "Apache-2.0",
    )
    register(nano)
    register(
        directory_model(
            "tabgen-small",
            WEIGHTS / "tabgen-small",
            "embedded Tab2D, 2.4M parameters, pre-trained on synthetic tasks: better, four times the time",
            "Apache-2.0",
        )
    )
    register(with_sentences(nano, WEIGHTS / DEFAULT_MODEL))
    register(hub_model("mitra", "autogluon/mitra-classifier", "Mitra, 76M parameters, from the Hugging Face hub"))
    register(hub_model("mitra-2", "autogluon/mitra-classifier-2", "Mitra 2, from the Hugging Face hub"))
