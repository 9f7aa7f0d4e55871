"""Environments of plugins' own: an interpreter with other versions than tabgen's, built once, locked, and found again.

An environment is a virtual environment in the user's cache folder. tabgen and the plugin are in it as links to where
they lie, so that it always runs the code that planned the cell; ``lock.txt`` holds every version that was resolved, and
its hash is part of what identifies the rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tabgen.environment import cache_home
from tabgen.errors import ExperimentError, PluginError
from tabgen.generator import Environment, GeneratorInfo
from tabgen.plugins import Plugins, Source

ALWAYS = ("pandas", "pyarrow", "pluggy")
"""What a host needs, in whatever versions the plugin's own requirements allow."""
LOCK, ORDER = "lock.txt", "environment.json"


@dataclass(frozen=True)
class Installed:
    """One environment on this machine."""

    plugin: str
    folder: Path
    packages: int
    sha256: str
    megabytes: float


def root() -> Path:
    """Where environments lie."""
    return cache_home() / "environments"


def folder_of(plugin: str, environment: Environment) -> Path:
    """Where the environment of a plugin lies, once it is built."""
    order = json.dumps(asdict(environment), sort_keys=True)
    return root() / f"{plugin}-{hashlib.sha256(order.encode()).hexdigest()[:8]}"


def lock_of(plugin: str, info: GeneratorInfo) -> str | None:
    """SHA-256 of the locked versions that this generator runs with; None if it needs no environment of its own.

    Raises
    ------
    ExperimentError
        If the environment is not built.
    """
    if info.environment is None:
        return None
    lock = folder_of(plugin, info.environment) / LOCK
    if not lock.is_file():
        raise ExperimentError(
            f"the generator '{info.name}' runs in an environment of its own, which is not on this machine yet:"
            f" tabgen plugins install {plugin}"
        )
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def interpreter(plugin: str, environment: Environment) -> str:
    """The environment's Python."""
    return str(folder_of(plugin, environment) / "bin" / "python")


def environments_of(plugin: str, plugins: Plugins) -> list[Environment]:
    """The environments that the generators of a plugin ask for, each once."""
    infos = [
        plugins.generators[name].info
        for name in plugins.generators
        if plugins.generators.plugin_of(name).name == plugin
    ]
    return list(dict.fromkeys(info.environment for info in infos if info.environment))


def install(source: Source, environment: Environment, told: Callable[[str], None] = lambda _: None) -> Path:
    """Build an environment; one that is there already is built anew. Returns its folder.

    The lock is written last, and what has none does not count: a kill leaves no half of an environment.

    Raises
    ------
    PluginError
        If no interpreter of the version can be found, or the packages cannot be installed: with the end of what the
        installer said.
    """
    place = folder_of(source.name, environment)
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv")
    try:
        _make(place, environment, uv, told)
        python = str(place / "bin" / "python")
        wanted = [*environment.requirements, *ALWAYS]
        told(f"installing {', '.join(wanted)}")
        if uv:
            _run([uv, "pip", "install", "--quiet", "--python", python, *wanted])
            frozen = _run([uv, "pip", "freeze", "--python", python])
        else:
            _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
            frozen = _run([python, "-m", "pip", "freeze", "--disable-pip-version-check"])
        link(source, environment)
        version = _run([python, "-c", "import platform; print(platform.python_version())"]).strip()
        packages = sorted(line.strip() for line in frozen.splitlines() if line.strip())
        order = {"plugin": source.name, **asdict(environment)}
        (place / ORDER).write_text(json.dumps(order, indent=1) + "\n", encoding="utf-8")
        scratch = place / f"{LOCK}.new"  # the lock comes last: what has none is not built
        scratch.write_text("\n".join([f"python=={version}", *packages]) + "\n", encoding="utf-8")
        scratch.replace(place / LOCK)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return place


def _make(place: Path, environment: Environment, uv: str | None, told: Callable[[str], None]) -> None:
    """An empty virtual environment with the wanted interpreter."""
    here = ".".join(map(str, sys.version_info[:2]))
    wanted = environment.python or here
    told(f"making an environment with Python {wanted} in {place}")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable if wanted == here else wanted, str(place)])
        return
    python = sys.executable if wanted == here else shutil.which(f"python{wanted}")
    if python is None:
        raise PluginError(
            f"this environment needs Python {wanted}, and there is no python{wanted} here; install it, or install uv,"
            " which fetches it."
        )
    _run([python, "-m", "venv", str(place)])


def link(source: Source, environment: Environment) -> None:
    """Put tabgen and the plugin into an environment, as links to where they lie now."""
    import tabgen

    place = folder_of(source.name, environment)
    packages = next(place.glob("lib/python*/site-packages"))
    for origin in (Path(tabgen.__file__), source.origin() if source.kind == "installed" else None):
        if origin is None:
            continue
        target = origin.resolve().parent if origin.name == "__init__.py" else origin.resolve()
        name = packages / target.name
        if name.is_symlink() and name.readlink() == target:
            continue
        scratch = name.with_name(f".{name.name}.{os.getpid()}")
        scratch.symlink_to(target)
        scratch.replace(name)


def listing() -> list[Installed]:
    """The environments on this machine."""
    found = []
    for lock in sorted(root().glob(f"*/{LOCK}")):
        content = lock.read_bytes()
        order = json.loads((lock.parent / ORDER).read_text(encoding="utf-8"))
        size = sum(file.lstat().st_size for file in lock.parent.rglob("*") if not file.is_dir())
        found.append(
            Installed(
                order["plugin"],
                lock.parent,
                len(content.splitlines()),
                hashlib.sha256(content).hexdigest(),
                round(size / 1e6, 1),
            )
        )
    return found


def remove(plugin: str) -> list[Path]:
    """Remove the environments of a plugin, those of its earlier requirements too; returns what was removed."""
    gone = [each.folder for each in listing() if each.plugin == plugin]
    for folder in gone:
        shutil.rmtree(folder)
    return gone


def _run(command: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise PluginError(f"`{' '.join(command[:6])} ...` failed: {' / '.join(said)}")
    return done.stdout
