"""The plugin manager: built-ins and third parties come in through the same door."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from tabgen import hookspecs
from tabgen.errors import PluginError, UnknownNameError
from tabgen.generator import BASELINES, MIXINGS, Generator, GeneratorInfo

if TYPE_CHECKING:
    from tabgen.datasets import Suite
    from tabgen.metrics import Metric
    from tabgen.models.base import ModelInfo

BUILT_IN = ("tabgen.references", "tabgen.models", "tabgen.datasets", "tabgen.metrics", "tabgen.engines")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ENVIRONMENT = "TABGEN_PLUGIN_CHOICE"

T = TypeVar("T")


@dataclass(frozen=True)
class PluginChoice:
    """Which plugins take part: installed ones unless switched off, and files named by the user."""

    files: tuple[str, ...] = ()
    external: bool = True

    def to_environment(self) -> str:
        return json.dumps({"files": self.files, "external": self.external})

    @classmethod
    def from_environment(cls) -> PluginChoice:
        """The choice that a parent process passed on, so that a worker sees the same plugins."""
        data = json.loads(os.environ.get(ENVIRONMENT, "{}"))
        return cls(tuple(data.get("files", ())), data.get("external", True))


@dataclass(frozen=True)
class Plugin:
    """One plugin that was found: where it came from, and its error if it could not be loaded."""

    name: str
    version: str
    source: str
    licence: str = ""
    error: str | None = None


class Registry(Generic[T]):
    """Named things of one kind, each with the plugin it came from."""

    def __init__(self, kind: str, check: Callable[[T], None] = lambda _: None) -> None:
        self.kind = kind
        self._check = check
        self._entries: dict[str, tuple[T, Plugin]] = {}

    def add(self, name: str, entry: T, plugin: Plugin) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name.replace("_", "-")):
            raise PluginError(
                f"a {self.kind} cannot be called {name!r}:"
                " lower-case letters and digits only, joined by hyphens or underscores."
            )
        if name in self._entries:
            other = self._entries[name][1].name
            raise PluginError(f"the {self.kind} '{name}' is already registered by the plugin '{other}'.")
        self._check(entry)
        self._entries[name] = (entry, plugin)

    def drop(self, plugin: Plugin) -> None:
        self._entries = {n: (e, p) for n, (e, p) in self._entries.items() if p is not plugin}

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        return self._entries[name][0]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def plugin_of(self, name: str) -> Plugin:
        self[name]
        return self._entries[name][1]


def _check_generator(generator: type[Generator]) -> None:
    if not inspect.isclass(generator) or not issubclass(generator, Generator):
        raise PluginError(f"register() of generators takes a subclass of tabgen.Generator, not {generator!r}.")
    if inspect.isabstract(generator):
        lacking = ", ".join(f"{name}()" for name in sorted(generator.__abstractmethods__))
        raise PluginError(f"the generator {generator.__name__} lacks {lacking}.")
    info = generator.info
    if info.name in BASELINES:
        raise PluginError(f"no generator can be called '{info.name}': that is the name of a baseline.")
    if info.mixing not in MIXINGS:
        raise PluginError(
            f"the generator '{info.name}' has mixing={info.mixing!r}; use {' or '.join(map(repr, MIXINGS))}."
        )
    for parameter in inspect.signature(generator).parameters.values():
        setting = f"the setting '{parameter.name}' of the generator '{info.name}'"
        if parameter.default is parameter.empty:
            raise PluginError(f"{setting} has no default value.")
        if parameter.name == "ratio":
            raise PluginError(f"{setting} must be called otherwise: a method's ratio is synthetic rows per real row.")
        try:
            json.dumps(parameter.default)
        except (TypeError, ValueError) as error:
            raise PluginError(f"{setting} has the default {parameter.default!r}, which JSON cannot hold.") from error


@dataclass
class Plugins:
    """Everything that is registered, by kind."""

    manager: pluggy.PluginManager
    plugins: list[Plugin] = field(default_factory=list)
    generators: Registry[type[Generator]] = field(default_factory=lambda: Registry("generator", _check_generator))
    models: Registry[ModelInfo] = field(default_factory=lambda: Registry("model"))
    suites: Registry[Suite] = field(default_factory=lambda: Registry("suite"))
    metrics: Registry[Metric] = field(default_factory=lambda: Registry("metric"))
    engines: Registry[Callable[..., Any]] = field(default_factory=lambda: Registry("engine"))

    def _add(self, module: object, plugin: Plugin) -> None:
        """Register one module's hooks and what they offer; all of it, or, on an error, nothing."""
        hooks: tuple[tuple[str, Callable[..., None]], ...] = (
            ("tabgen_register_generators", lambda g: self.generators.add(_info(g).name, g, plugin)),
            ("tabgen_register_models", lambda m: self.models.add(_name(m, "model"), m, plugin)),
            ("tabgen_register_datasets", lambda s: self.suites.add(_name(s, "suite"), s, plugin)),
            ("tabgen_register_metrics", lambda m: self.metrics.add(_name(m, "metric"), m, plugin)),
            ("tabgen_register_engines", lambda name, engine: self.engines.add(name, engine, plugin)),
        )
        if self.manager.has_plugin(plugin.name):
            raise PluginError(f"another plugin is already called '{plugin.name}'; rename the file or the entry point.")
        self.manager.register(module, name=plugin.name)
        try:
            self.manager.check_pending()
            if not self.manager.get_hookcallers(module):
                raise PluginError(
                    "it has no hook; mark a function such as tabgen_register_generators with @tabgen.hookimpl."
                )
            others = [p for p in self.manager.get_plugins() if p is not module]
            for hook, register in hooks:
                self.manager.subset_hook_caller(hook, others)(register=register)
        except BaseException:
            self.manager.unregister(module)
            for registry in (self.generators, self.models, self.suites, self.metrics, self.engines):
                registry.drop(plugin)
            raise

    def load(self, plugin: Plugin, find: Callable[[], object], required: bool) -> None:
        """Load one plugin; a broken one is listed with its error, and the others go on.

        With ``required`` (the user named the file) the error is raised instead.
        """
        try:
            self._add(find(), plugin)
            self.plugins.append(plugin)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:  # a plugin may raise anything while it is imported, SystemExit included
            message = f"{type(error).__name__}: {error}"
            if required:
                raise PluginError(f"the plugin {plugin.source} could not be loaded: {message}") from error
            self.plugins.append(Plugin(plugin.name, plugin.version, plugin.source, plugin.licence, message))

    @property
    def broken(self) -> list[Plugin]:
        return [plugin for plugin in self.plugins if plugin.error]


def _info(generator: Any) -> GeneratorInfo:
    info = getattr(generator, "info", None)
    if not isinstance(info, GeneratorInfo):
        raise PluginError(f"the generator {generator!r} has no 'info = GeneratorInfo(...)'.")
    return info


def _name(entry: Any, kind: str) -> str:
    name = getattr(entry, "name", None)
    if not isinstance(name, str):
        raise PluginError(f"register() of {kind}s takes an object with a name, not {entry!r}.")
    return name


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"there is no file {path}.")
    name = f"tabgen_plugin_{path.stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_plugins(choice: PluginChoice | None = None) -> Plugins:
    """A fresh manager with the built-ins, the installed plugins and the files of ``choice``.

    Raises
    ------
    PluginError
        If a file that the user named cannot be loaded. Installed plugins that fail are listed with their
        error in ``plugins.broken`` and do not stop the others.
    """
    choice = choice or PluginChoice.from_environment()
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager)
    own = metadata.version("tabgen-bench")
    for module in BUILT_IN:
        built_in = Plugin(module, own, "built in", "Apache-2.0")
        plugins.load(built_in, lambda name=module: importlib.import_module(name), required=True)  # type: ignore[misc]
    for entry in _entry_points() if choice.external else ():
        version, licence = (entry.dist.version, _licence(entry.dist)) if entry.dist else ("", "")
        plugins.load(Plugin(entry.name, version, f"installed: {entry.value}", licence), entry.load, required=False)
    for file in choice.files:
        path = Path(file).resolve()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""
        plugins.load(Plugin(path.stem, f"sha256:{digest}", str(path)), lambda p=path: _import_file(p), required=True)  # type: ignore[misc]
    return plugins


def _entry_points() -> Sequence[metadata.EntryPoint]:
    return sorted(metadata.entry_points(group=hookspecs.PROJECT), key=lambda entry: entry.name)


def _licence(distribution: metadata.Distribution) -> str:
    keys = [key for key in ("License-Expression", "License") if key in distribution.metadata]
    return distribution.metadata[keys[0]] if keys else ""


_LOADED: dict[PluginChoice, Plugins] = {}


def get_plugins(choice: PluginChoice | None = None) -> Plugins:
    """The plugins of this process, loaded once per choice."""
    choice = choice or PluginChoice.from_environment()
    if choice not in _LOADED:
        _LOADED[choice] = load_plugins(choice)
    return _LOADED[choice]
