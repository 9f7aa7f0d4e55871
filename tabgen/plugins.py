"""The plugin manager: built-ins and third parties come in through the same door."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from tabgen import hookspecs
from tabgen.environment import own_version
from tabgen.errors import ModelError, PluginError, UnknownNameError, did_you_mean
from tabgen.generator import BASELINES, MIXINGS, Environment, Generator, GeneratorInfo, Limits
from tabgen.identity import code_hash
from tabgen.jsonable import PLAIN, inexact
from tabgen.marker import PROJECT
from tabgen.undisturbed import undisturbed

if TYPE_CHECKING:
    from tabgen.datasets import Suite
    from tabgen.metrics import Metric
    from tabgen.models.base import FoundationModel, ModelInfo

BUILT_IN = (
    "tabgen.references",
    "tabgen.made_elsewhere",
    "tabgen.models",
    "tabgen.datasets",
    "tabgen.metrics",
    "tabgen.engines",
)
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
T = TypeVar("T")


def refuse_live(generator: object) -> None:
    """Raise :class:`PluginError` for a generator class where a name or a file is due, such as one of a notebook's cell.

    No other process can get it, and no hash tells one edit of it from the next.
    """
    if inspect.isclass(generator) and issubclass(generator, Generator):
        info = getattr(generator, "info", None)
        name = info.name if isinstance(info, GeneratorInfo) else generator.__name__.lower()
        raise PluginError(
            f"the generator class {generator.__name__} lives in this Python process alone, and a generator runs in one"
            f" of its own, from a file that identifies it: write it to one (in a notebook, a cell that begins with"
            f" %%writefile {name}.py and ends with a tabgen_register_generators: docs/write-a-generator.md), pass"
            f" plugins=tabgen.plugins.PluginChoice(('{name}.py',)) and call it '{name}'."
        )


@dataclass(frozen=True)
class PluginChoice:
    """Which plugins take part: installed ones unless switched off, and files named by the user."""

    files: tuple[str, ...] = ()
    external: bool = True

    def __post_init__(self) -> None:
        given: Any = self.files
        for each in given if isinstance(given, tuple | list) else [given]:
            refuse_live(each)
        if isinstance(given, str | PathLike):
            raise PluginError(f"files of plugins come as several, such as files=('{given}',); not as one text.")
        object.__setattr__(self, "files", tuple(str(Path(each).resolve()) for each in given))  # once, from here


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from, as plain data: another process loads the same from it.

    Attributes
    ----------
    name : str
    kind : {"built in", "installed", "file"}
    value : str
        The module, the entry point's value (``module`` or ``module:object``), or the file's path.
    version : str
        Of the distribution; empty for a file.
    licence : str
    """

    name: str
    kind: str
    value: str
    version: str = ""
    licence: str = ""

    @property
    def module(self) -> str:
        """The module's name; of a file, the one it is imported under: no other file's."""
        if self.kind == "file":
            return _module_of(Path(self.value))
        return self.value.partition(":")[0]

    def origin(self) -> Path | None:
        """The module's file, found without importing it (but for the packages above it); None if there is none."""
        if self.kind == "file":
            return Path(self.value)
        top = self.module.partition(".")[0]
        spec = importlib.util.find_spec(top)
        return Path(spec.origin) if spec and spec.origin else None

    def code(self) -> str:
        """Hash of the plugin's code as it lies on disk now; empty for what tabgen's own version stands for."""
        origin = self.origin() if self.kind != "built in" else None
        return code_hash(origin) if origin and origin.is_file() else ""

    def full_version(self) -> str:
        """What identifies the code: the distribution's version and the hash, or the hash of a file."""
        if self.kind == "built in":
            return self.version
        return f"sha256:{self.code()}" if self.kind == "file" else f"{self.version}+{self.code()}"

    def find(self) -> object:
        """Import the module, anew if its code was changed since it was imported, and return the plugin in it.

        What the import does to the whole process is undone (:func:`tabgen.undisturbed.undisturbed`).
        """
        with undisturbed():
            return self._find()

    def _find(self) -> object:
        if self.kind == "file":
            return _import_file(Path(self.value))
        code, top = self.code(), self.module.partition(".")[0]
        if _IMPORTED.setdefault(self.module, code) != code:
            for name in [n for n in sys.modules if n == top or n.startswith(f"{top}.")]:
                del sys.modules[name]
            importlib.invalidate_caches()
            _IMPORTED[self.module] = code
        found: object = importlib.import_module(self.module)
        for attribute in filter(None, self.value.partition(":")[2].split(".")):
            found = getattr(found, attribute)
        return found


_IMPORTED: dict[str, str] = {}
"""Module -> hash of the code that it was imported from."""


@dataclass(frozen=True)
class Plugin:
    """One plugin that was found: where it came from, and its error if it could not be loaded."""

    name: str
    version: str
    source: str
    licence: str = ""
    error: str | None = None
    origin: Source | None = field(default=None, compare=False)


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


INFO_TYPES: dict[str, type] = {
    **dict.fromkeys(("summary", "citation", "licence", "weights_licence", "mixing", "same_rows_as", "one_class"), str),
    **dict.fromkeys(("accepts_missing", "accepts_text", "changes_columns", "redraws"), bool),
    "preload": tuple,
    "limits": Limits,
    "environment": Environment,
    "search": Mapping,
}
"""What the fields of a generator's info are."""


def _check_generator(generator: type[Generator]) -> None:
    if not inspect.isclass(generator) or not issubclass(generator, Generator):
        raise PluginError(f"register() of generators takes a subclass of tabgen.Generator, not {generator!r}.")
    if inspect.isabstract(generator):
        lacking = ", ".join(f"{name}()" for name in sorted(generator.__abstractmethods__))
        raise PluginError(f"the generator {generator.__name__} lacks {lacking}.")
    _check_info(generator.info)
    for parameter in inspect.signature(generator).parameters.values():
        setting = f"the setting '{parameter.name}' of the generator '{generator.info.name}'"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(f"{setting} stands for any number of arguments; give each setting a name and a default.")
        if parameter.default is parameter.empty:
            raise PluginError(f"{setting} has no default value.")
        if parameter.name == "ratio":
            raise PluginError(f"{setting} must be called otherwise: a method's ratio is synthetic rows per real row.")
        if fault := inexact(parameter.default):
            raise PluginError(f"{setting} has a default, {parameter.default!r:.60}, that {fault}; use {PLAIN}.")


def _check_info(info: GeneratorInfo) -> None:
    if info.name in BASELINES:
        raise PluginError(f"no generator can be called '{info.name}': that is the name of a baseline.")
    for name, due in INFO_TYPES.items():
        value = getattr(info, name)
        if not isinstance(value, due) and not (name == "environment" and value is None):
            raise PluginError(f"the generator '{info.name}' has {name}={value!r:.60}; a {due.__name__} is due.")
    if info.mixing not in MIXINGS:
        raise PluginError(
            f"the generator '{info.name}' has mixing={info.mixing!r}; use {' or '.join(map(repr, MIXINGS))}."
        )


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

    def _check_hooks(self, module: object) -> None:
        """A function that is marked as a hook and is none was likely meant as one that there is."""
        known = [name for name in vars(hookspecs) if name.startswith("tabgen_")]
        for name in dir(module):
            marked = self.manager.parse_hookimpl_opts(module, name)
            meant = name if marked is None else marked.get("specname") or name
            if marked is not None and meant not in known:
                raise PluginError(f"there is no hook '{meant}'; {did_you_mean(meant, known)}")

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
            self._check_hooks(module)
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

    def load(self, source: Source, required: bool) -> None:
        """Load one plugin; a broken one is listed with its error, and the others go on.

        With ``required`` (the user named the file) the error is raised instead.
        """
        if any(plugin.origin == source for plugin in self.plugins):
            return
        shown = {"installed": f"installed: {source.value}"}.get(source.kind, source.kind)
        shown = source.value if source.kind == "file" else shown
        plugin = Plugin(source.name, source.version, shown, source.licence, origin=source)
        try:
            found = source.find()
            plugin = replace(plugin, version=source.full_version())
            self._add(found, plugin)
            self.plugins.append(plugin)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:  # a plugin may raise anything while it is imported, SystemExit included
            message = f"{type(error).__name__}: {error}"
            if required:
                raise PluginError(f"the plugin {plugin.source} could not be loaded: {message}") from error
            self.plugins.append(replace(plugin, error=message))

    def model(self, name: str) -> ModelInfo:
        """A registered model by name, or the checkpoint of a local directory by its path."""
        if name not in self.models and ("/" in name or Path(name).is_dir()):
            from tabgen.models import directory_model

            return directory_model(name, Path(name), f"the checkpoint in {name}")
        return self.models[name]

    def model_version(self, name: str) -> str | None:
        """The version of the plugin that a model comes from; None for tabgen's own models and for folders."""
        if name not in self.models:
            return None
        plugin = self.models.plugin_of(name)
        return None if plugin.origin is not None and plugin.origin.kind == "built in" else plugin.version

    def planned_model(self, name: str, version: str | None, checkpoint: str, device: str) -> FoundationModel:
        """Load a model, with the code and the weights that were planned: they decide under which key scores are kept.

        Raises
        ------
        ModelError
            If one of them is another now.
        """
        other, here = f"the model '{name}' is not the one that was planned:", self.model_version(name)
        if here != version:
            raise ModelError(
                f"{other} planned {version or 'none'} of its plugin, loaded {here or 'none'}."
                " Its code was changed since; run the same line again."
            )
        model = self.model(name).load(device)
        if model.checkpoint_hash != checkpoint:
            raise ModelError(
                f"{other} its checkpoint was changed since ({checkpoint[:12]} then, {model.checkpoint_hash[:12]} now);"
                " run the same line again."
            )
        return model

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


def _module_of(file: Path) -> str:
    """What a file is imported under; the hash of its path tells it from a file of a like name."""
    place = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]
    return f"tabgen_plugin_{re.sub('[^0-9A-Za-z]', '_', file.stem)}_{place}"


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"there is no file {path}.")
    if not str(path.resolve()).isprintable():  # results name a plugin by its file
        raise PluginError(f"the path {str(path.resolve())!r} holds characters that cannot be shown; rename it.")
    name = _module_of(path)
    if name in _UNDER_WAY:
        raise PluginError(
            f'{path} uses itself as a plugin while it is imported: put what it runs under `if __name__ == "__main__":`.'
        )
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _UNDER_WAY.add(name)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        _UNDER_WAY.remove(name)
    return module


_UNDER_WAY: set[str] = set()
"""Files that are being imported: one that is asked for meanwhile has asked for itself."""


def load_sources(sources: Sequence[Source], required: bool = True) -> Plugins:
    """A fresh manager with the built-in plugins and these.

    Raises
    ------
    PluginError
        If one that is ``required``, or a file, cannot be loaded.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager)
    for module in BUILT_IN:
        plugins.load(Source(module, "built in", module, own_version(), "Apache-2.0"), required=True)
    for source in sources:
        plugins.load(source, required or source.kind == "file")
    return plugins


def sources_of(choice: PluginChoice) -> list[Source]:
    """Where the plugins of a choice come from: installed ones by name, then files in the order given."""
    installed = [
        Source(
            entry.name,
            "installed",
            entry.value,
            entry.dist.version if entry.dist else "",
            _licence(entry.dist) if entry.dist else "",
        )
        for entry in (_entry_points() if choice.external else ())
    ]
    paths = [Path(file) for file in choice.files]
    return installed + [Source(path.stem, "file", str(path)) for path in paths]


def load_plugins(choice: PluginChoice | None = None) -> Plugins:
    """A fresh manager with the built-ins, the installed plugins and the files of ``choice``.

    Raises
    ------
    PluginError
        If a file that the user named cannot be loaded. Installed plugins that fail are listed with their
        error in ``plugins.broken`` and do not stop the others.
    """
    return load_sources(sources_of(choice or PluginChoice()), required=False)


def _entry_points() -> Sequence[metadata.EntryPoint]:
    return sorted(metadata.entry_points(group=PROJECT), key=lambda entry: entry.name)


def _licence(distribution: metadata.Distribution) -> str:
    keys = [key for key in ("License-Expression", "License") if key in distribution.metadata]
    return distribution.metadata[keys[0]] if keys else ""


_LOADED: dict[PluginChoice, tuple[list[str], Plugins]] = {}


def get_plugins(choice: PluginChoice | None = None) -> Plugins:
    """The plugins of this process, loaded once per choice, and again when the code of one was changed."""
    choice = choice or PluginChoice()
    versions = [source.full_version() for source in sources_of(choice)]
    if choice not in _LOADED or _LOADED[choice][0] != versions:
        _LOADED[choice] = versions, load_plugins(choice)
    return _LOADED[choice][1]


def find_model(name: str, plugins: Plugins) -> ModelInfo:
    """A registered model by name, or the checkpoint of a local directory by its path."""
    return plugins.model(name)
