"""`tabgen doctor`: is everything here that a run needs, and if not, what to do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tabgen.plugins import Plugins

Finding = tuple[str, str, str]
"""What was looked at, "ok", "warning" or "error", and what was found, with its mend."""

DISK_GB = 2.0
EXTRAS = {"sdmetrics": "fidelity", "huggingface_hub": "hub", "ray": "ray", "openml": "openml"}


def doctor(
    context: typer.Context,
    folder: Path = typer.Argument(Path(), help="Where runs will be written: its disk is looked at."),
    model: str = typer.Option("tabgen-nano", "--model", help="The model to load: a name, or a directory."),
) -> None:
    """Check the installation: versions, plugins, the model, threads, GPU, disk; say the mend of what is wrong.

    Exit code 1 if something would make runs fail.
    """
    from tabgen.plugins import PluginChoice, get_plugins

    plugins = get_plugins(context.obj or PluginChoice())
    failed = False
    for what, state, text in findings(plugins, folder, model):
        colour = {"ok": "green", "warning": "yellow", "error": "red"}[state]
        typer.echo(f"{typer.style(f'{state:8}', fg=colour)}{what}: {text}")
        failed |= state == "error"
    if failed:
        raise typer.Exit(1)


def findings(plugins: Plugins, folder: Path, model: str) -> Iterator[Finding]:
    """Every check in turn; one that breaks is an error of its own."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("versions", _versions),
        ("dependencies", _dependencies),
        ("plugins", lambda: _plugins(plugins)),
        ("model", lambda: _model(plugins, model)),
        ("threads", _threads),
        ("gpu", _gpu),
        ("disk", lambda: _disk(folder)),
        ("engine", lambda: _engine(plugins)),
    )
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - what breaks a check is what is to be told
            yield name, "error", " ".join(f"{type(error).__name__}: {error}".split())


def _versions() -> Iterator[Finding]:
    from importlib import metadata, util

    from tabgen.environment import package_versions

    shown = {"tabgen": metadata.version("tabgen-bench"), **package_versions()}
    yield "versions", "ok", ", ".join(f"{name} {version}" for name, version in shown.items())
    if sys.platform != "linux":
        yield (
            "system",
            "warning",
            f"{sys.platform}: tabgen is tested on Linux; cells do not die with a killed parent here.",
        )
    absent = {name: extra for name, extra in EXTRAS.items() if util.find_spec(name) is None}
    for name, extra in absent.items():
        yield "optional", "ok", f"{name} is not installed: pip install 'tabgen-bench[{extra}]' if you need it."


def _dependencies() -> Iterator[Finding]:
    """Requirements of tabgen and of what it needs that the installed versions do not meet."""
    from importlib import metadata

    from packaging.requirements import Requirement

    seen, waiting, wrong = set[str](), ["tabgen-bench"], 0
    while waiting:
        name = waiting.pop()
        for text in metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            try:
                version = metadata.version(need.name)
            except metadata.PackageNotFoundError:
                wrong += 1
                yield "dependencies", "error", f"{name} needs {need}, which is not installed: pip install '{need}'"
                continue
            if not need.specifier.contains(version, prereleases=True):
                wrong += 1
                mend = f"pip install '{need.name}{need.specifier}', or -c constraints.txt for versions that are tested"
                yield "dependencies", "error", f"{name} needs {need}, and {version} is installed: {mend}"
            if need.name not in seen:
                seen.add(need.name)
                waiting.append(need.name)
    if not wrong:
        yield "dependencies", "ok", f"{len(seen)} distributions fit together"


def _plugins(plugins: Plugins) -> Iterator[Finding]:
    for plugin in plugins.broken:
        mend = f"update or remove it (pip uninstall), or run with --no-external-plugins. {plugin.source}"
        yield "plugins", "error", f"'{plugin.name}' cannot be loaded: {plugin.error}. Mend: {mend}"
    yield (
        "plugins",
        "ok",
        f"{len(plugins.plugins) - len(plugins.broken)} loaded; generators: {', '.join(plugins.generators)}",
    )


def _model(plugins: Plugins, name: str) -> Iterator[Finding]:
    """Load it and predict: four rows, two classes."""
    import torch

    from tabgen.plugins import find_model

    model = find_model(name, plugins).load("cpu")
    x, y = torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([0, 0, 1, 1])
    chances = model.predict(x, y, x, 2)
    if chances.shape != (4, 2) or not (abs(chances.sum(axis=1) - 1) < 1e-6).all():
        yield "model", "error", f"'{name}' loads, and predicts no probabilities; its checkpoint is unusable."
    else:
        size = sum(weight.numel() for weight in model.module.parameters())
        yield "model", "ok", f"'{name}' loads and predicts: {size:,} weights, {model.checkpoint_hash[:12]}"


def _threads() -> Iterator[Finding]:
    import torch

    from tabgen.variables import THREAD_VARIABLES

    cores = os.cpu_count() or 1
    told = {name: os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name, "1") != "1"}
    if told:
        yield "threads", "warning", f"{told} are set; cells get --threads each whatever they say, so unset them."
    yield "threads", "ok", f"{cores} cores; torch in this process uses {torch.get_num_threads()}"
    load = os.getloadavg()[0]
    if load > cores:
        yield "load", "warning", f"{load:.1f} on {cores} cores: other work slows the cells; lower --workers or wait."


def _gpu() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        yield "gpu", "ok", f"{', '.join(names)}: use --gpus {len(names)}"
    elif torch.version.cuda and shutil.which("nvidia-smi"):
        yield (
            "gpu",
            "warning",
            f"torch is built for CUDA {torch.version.cuda} and sees no GPU; compare with nvidia-smi.",
        )
    elif shutil.which("nvidia-smi"):
        yield "gpu", "warning", "there is a GPU, and torch is the CPU build: pip install --force-reinstall torch"
    else:
        yield "gpu", "ok", "none; cells compute on the CPU"


def _disk(folder: Path) -> Iterator[Finding]:
    import tempfile

    place = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield "disk", "error", f"{place} cannot be written to ({error}); choose another folder with -o."
        return
    if free < DISK_GB:
        yield "disk", "warning", f"{free:.1f} GB free in {place}; free some, or bound the cache with --cache-limit."
    else:
        yield "disk", "ok", f"{free:.0f} GB free in {place}"


def _engine(plugins: Plugins) -> Iterator[Finding]:
    """Start the fork server as a run does."""
    import tempfile
    import time

    from tabgen.engines import EngineSettings
    from tabgen.engines.local import LocalEngine
    from tabgen.plugins import PluginChoice

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        list(LocalEngine(EngineSettings(PluginChoice(external=False), Path(logs), workers=1)).run([]))
    yield (
        "engine",
        "ok",
        f"the fork server starts in {time.monotonic() - began:.1f} s; engines: {', '.join(plugins.engines)}",
    )
