"""Environments of plugins' own: an interpreter with other versions than tabgen's, built once, locked, and found again.

An environment is a virtual environment in the user's cache folder. tabgen and the plugin are no part of it: its
processes find them through links to where they lie, so they always run the code that planned the cell. ``lock.txt``
holds every version that was resolved, and its hash is part of what identifies the rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tabgen.errors import ExperimentError, PluginError, UnknownNameError
from tabgen.generator import Environment, GeneratorInfo
from tabgen.plugins import Plugin, Plugins, Source, load_sources
from tabgen.variables import cache_home

ALWAYS = ("pandas", "pyarrow", "pluggy", "psutil; sys_platform != 'linux'")
"""What a host needs, in whatever versions the plugin's own requirements allow."""
INSTALLERS = ("pip", "setuptools", "wheel")
"""What a new environment may hold before anything is installed; no part of a lock."""
LOCK, ORDER, LINKS = "lock.txt", "environment.json", "links"
BEFORE = ".before"
"""How the name of one ends that is kept until the one in its place is built."""


@dataclass(frozen=True)
class Installed:
    """One environment on this machine.

    Attributes
    ----------
    plugin : str
    folder : Path
    requirements : tuple of str
        What it was built for.
    packages : tuple of str
        What was resolved: the interpreter and every package, as ``name==version``.
    sha256 : str
        Of those versions.
    megabytes : float
    """

    plugin: str
    folder: Path
    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    sha256: str
    megabytes: float


def root() -> Path:
    """Where environments lie."""
    return cache_home() / "environments"


def folder_of(plugin: str, environment: Environment) -> Path:
    """Where the environment of a plugin lies, once it is built."""
    order = json.dumps(asdict(environment), sort_keys=True)
    return root() / f"{plugin}-{hashlib.sha256(order.encode()).hexdigest()[:8]}"


def is_built(plugin: str, environment: Environment) -> bool:
    """Whether an environment is on this machine."""
    return (folder_of(plugin, environment) / LOCK).is_file()


def lock_of(plugin: Plugin, info: GeneratorInfo) -> str | None:
    """SHA-256 of the locked versions that this generator runs with; None if it needs no environment of its own.

    Raises
    ------
    ExperimentError
        If the environment is not built.
    """
    if info.environment is None:
        return None
    lock = folder_of(plugin.name, info.environment) / LOCK
    if not lock.is_file():
        raise ExperimentError(
            f"the generator '{info.name}' runs in an environment of its own, which is not on this machine yet:"
            f" {how_to_install(plugin)}"
        )
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def how_to_install(plugin: Plugin) -> str:
    """What to type."""
    file = f" --plugin {plugin.origin.value}" if plugin.origin and plugin.origin.kind == "file" else ""
    return f"tabgen{file} plugins install {plugin.name}"


def interpreter(plugin: str, environment: Environment) -> str:
    """The environment's Python."""
    return str(folder_of(plugin, environment) / "bin" / "python")


def environments_of(plugin: str, plugins: Plugins) -> dict[Environment, list[str]]:
    """The environments that a plugin asks for, each with the generators that run in it."""
    found: dict[Environment, list[str]] = {}
    for name in plugins.generators:
        environment = plugins.generators[name].info.environment
        if environment is not None and plugins.generators.plugin_of(name).name == plugin:
            found.setdefault(environment, []).append(name)
    return found


def find_plugin(name: str, plugins: Plugins) -> Plugin:
    """A plugin that asks for an environment: by its name, its distribution's (``tabgen-NAME``), or a generator's.

    Raises
    ------
    UnknownNameError, PluginError
        If there is no such plugin, or it asks for none.
    """
    by_name = {plugin.name: plugin for plugin in plugins.plugins if not plugin.error}
    found = by_name.get(name) or by_name.get(name.removeprefix("tabgen-"))
    if found is None and name in plugins.generators:
        found = plugins.generators.plugin_of(name)
    if found is None:
        raise UnknownNameError("plugin", name, by_name)
    if not environments_of(found.name, plugins):
        raise PluginError(f"the plugin '{found.name}' needs no environment of its own: it runs with tabgen's packages.")
    return found


# --- building -----------------------------------------------------------------------------------------------


def install(
    source: Source,
    environment: Environment,
    told: Callable[[str], None] = lambda _: None,
    lock: Path | None = None,
) -> Path:
    """Build an environment; one that is there already is built anew. Returns its folder.

    The lock is written last, and what has none does not count: a kill leaves no half of an environment.

    Parameters
    ----------
    source : Source
        The plugin.
    environment : Environment
    told : callable
        Told each step, for progress displays.
    lock : Path, optional
        A lock file of the same environment on another machine: install exactly these versions.

    Raises
    ------
    PluginError
        If no interpreter of the version can be found, the packages cannot be installed (with the end of what the
        installer said), the plugin cannot be loaded there, or other versions came than those of the lock.
    """
    place = folder_of(source.name, environment)
    wanted = [*environment.requirements, *ALWAYS]
    pinned = _read_lock(lock) if lock else []
    uv = shutil.which("uv")
    root().mkdir(parents=True, exist_ok=True)
    with _alone(place):
        before = place.with_name(f"{place.name}{BEFORE}")
        if (place / LOCK).is_file():
            shutil.rmtree(before, ignore_errors=True)
            place.rename(before)
        shutil.rmtree(place, ignore_errors=True)
        try:
            _make(place, environment, uv, told)
            python = str(place / "bin" / "python")
            told(f"installing {', '.join(wanted)}")
            installer = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
            _run([*installer, *wanted, *[line for line in pinned if not line.startswith("python==")]], told)
            told("loading the plugin there")
            packages = _loaded_there(source, environment)
            if lock and packages != pinned:
                other = ", ".join(sorted(set(packages) ^ set(pinned))[:6])
                raise PluginError(f"what was installed are not the versions of {lock}; it differs in {other}.")
            order = {"plugin": source.name, **asdict(environment)}
            (place / ORDER).write_text(json.dumps(order, indent=1) + "\n", encoding="utf-8")
            scratch = place / f"{LOCK}.new"  # the lock comes last: what has none is not built
            scratch.write_text("\n".join(packages) + "\n", encoding="utf-8")
            scratch.replace(place / LOCK)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            if before.exists():  # back to its own path, so that what it holds still finds itself
                before.rename(place)
            raise
        shutil.rmtree(before, ignore_errors=True)
    return place


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold off other processes that would build the same environment."""
    import fcntl

    with place.with_name(f".{place.name}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(place: Path, environment: Environment, uv: str | None, told: Callable[[str], None]) -> None:
    """An empty virtual environment with the wanted interpreter."""
    here = ".".join(map(str, sys.version_info[:2]))
    wanted = environment.python or here
    told(f"making an environment with Python {wanted} in {place}")
    if uv:
        _run([uv, "venv", "--python", sys.executable if wanted == here else wanted, str(place)], told)
        return
    python = sys.executable if wanted == here else shutil.which(f"python{wanted}")
    if python is None:
        raise PluginError(
            f"this environment needs Python {wanted}, and there is no python{wanted} here; install it, or install uv,"
            " which fetches it."
        )
    _run([python, "-m", "venv", str(place)], told)


def _read_lock(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").split()
    wrong = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[^\s=]+", line)]
    if wrong or not lines:
        raise PluginError(f"{file} is no lock file of an environment: {wrong[:1] or 'it is empty'}.")
    return lines


def _loaded_there(source: Source, environment: Environment) -> list[str]:
    """The versions in an environment, told by a process that has loaded the plugin there."""
    script = "import sys; from tabgen.host.environments import introduce; introduce(sys.argv[1])"
    python = interpreter(source.name, environment)
    said = _run([python, "-c", script, json.dumps(asdict(source))], env=variables(source, environment))
    packages: list[str] = json.loads(said.splitlines()[-1])
    return packages


def introduce(source: str) -> None:
    """In an environment: load the plugin, and print the versions that are there as JSON."""
    load_sources([Source(**json.loads(source))])
    sys.stdout.write("\n" + json.dumps(versions_here()) + "\n")


def _run(command: list[str], told: Callable[[str], None] = lambda _: None, env: dict[str, str] | None = None) -> str:
    """What a command prints; each line is told as it comes.

    Raises
    ------
    PluginError
        If it fails, with the end of what it said.
    """
    env = env or {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    said, last = [], deque[str](maxlen=5)
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.strip() and not line.startswith("WARNING"):
                last.append(line.strip())
                told(line.strip())
    if process.returncode:
        raise PluginError(f"`{' '.join(command[:6])} ...` failed: {' / '.join(last)}")
    return "".join(said)


# --- running there ------------------------------------------------------------------------------------------


def variables(source: Source, environment: Environment) -> dict[str, str]:
    """Environment variables of a process there: it finds tabgen and the plugin, and nothing else of what is here."""
    own = ("PYTHON", "VIRTUAL_ENV")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    return clean | {"PYTHONPATH": str(_links(source, environment)), "PYTHONNOUSERSITE": "1"}


def _links(source: Source, environment: Environment) -> Path:
    """A folder with links to tabgen and the plugin where they lie now; another one for another checkout of either."""
    import tabgen

    origins = [Path(tabgen.__file__), source.origin() if source.kind == "installed" else None]
    targets = [
        origin.resolve().parent if origin.name == "__init__.py" else origin.resolve() for origin in origins if origin
    ]
    name = hashlib.sha256(json.dumps([str(target) for target in targets]).encode()).hexdigest()[:8]
    folder = folder_of(source.name, environment) / LINKS / name
    folder.mkdir(parents=True, exist_ok=True)
    for target in targets:
        with contextlib.suppress(FileExistsError):
            (folder / target.name).symlink_to(target)
    return folder


def versions_here() -> list[str]:
    """The interpreter and every package of the environment that this process runs in, as ``name==version``."""
    folders = list(dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")))
    found = {
        re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower(): distribution.version
        for distribution in metadata.distributions(path=folders)
    }
    python = ".".join(map(str, sys.version_info[:2]))
    return [f"python=={python}", *(f"{name}=={found[name]}" for name in sorted(found) if name not in INSTALLERS)]


def lock_here() -> str:
    """SHA-256 of the versions that this process runs with: what :func:`lock_of` says, if nobody changed them since."""
    return hashlib.sha256(("\n".join(versions_here()) + "\n").encode()).hexdigest()


# --- what there is ------------------------------------------------------------------------------------------


def listing() -> list[Installed]:
    """The environments on this machine."""
    locks = sorted(lock for lock in root().glob(f"*/{LOCK}") if not lock.parent.name.endswith(BEFORE))
    return [found for lock in locks if (found := _installed(lock.parent))]


def state_of(plugin: str, environment: Environment) -> Installed | None:
    """An environment, if it is built."""
    return _installed(folder_of(plugin, environment))


def _installed(folder: Path) -> Installed | None:
    try:
        content = (folder / LOCK).read_bytes()
        order: dict[str, Any] = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Installed(
        order["plugin"],
        folder,
        tuple(order["requirements"]),
        tuple(content.decode().split()),
        hashlib.sha256(content).hexdigest(),
        round(sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir()) / 1e6, 1),
    )


def remove(plugin: str) -> list[Path]:
    """Remove the environments of a plugin, those of its earlier requirements too; returns what was removed."""
    gone = [each.folder for each in listing() if each.plugin == plugin]
    for folder in gone:
        shutil.rmtree(folder)
        folder.with_name(f".{folder.name}").unlink(missing_ok=True)
    return gone
