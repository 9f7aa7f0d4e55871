"""Experiment: suite x folds x methods x seeds, as data; and its plan, one cell for every combination."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tabgen import datasets
from tabgen.arms import ARMS, FIRST_ARM, tunes
from tabgen.errors import ExperimentError, TabgenError, UnknownNameError
from tabgen.generator import BASELINES, MIXINGS, make_generator, settings_of
from tabgen.host.environments import how_to_install, is_built, lock_of
from tabgen.jsonable import PLAIN, inexact
from tabgen.made_elsewhere import FILE, check_tables, find_table
from tabgen.models import DEFAULT_MODEL
from tabgen.models.recipes import RECIPES, Recipe
from tabgen.outcome import PROTOCOL_VERSION, Cell, key_of
from tabgen.plugins import Plugins
from tabgen.tuning import plan_tuning, refuse_tuning
from tabgen.unpack import sha256_of

METHOD = re.compile(r"(?P<generator>[a-z0-9_-]+)(@(?P<mixing>[a-z]+))?(:(?P<settings>.+))?")


@dataclass(frozen=True)
class Method:
    """A generator with its settings and mixing, or one of the two baselines that need none.

    Attributes
    ----------
    label : str
        What tables and figures call it; unique within an experiment.
    generator : str or None
        None for ``zero-shot`` and ``real``.
    mixing : {"none", "real", "replace", "augment"}
    settings : dict
        All of the generator's settings, defaults included.
    ratio : float
        Synthetic rows per real training row.
    recipe : dict or None
        How to fine-tune, as ``Recipe.to_dict``; None: as the experiment says.
    tune : dict or None
        How the settings are searched, as from ``tuning.plan_tuning``; None: they are as they stand.
    """

    label: str
    generator: str | None
    mixing: str
    settings: dict[str, Any] = field(default_factory=dict)
    ratio: float = 1.0
    recipe: dict[str, Any] | None = None
    tune: dict[str, Any] | None = None


@dataclass(frozen=True)
class Limits:
    """What a cell may use: seconds of wall time, megabytes of memory with all its processes, seconds by phase."""

    seconds: float = 600.0
    memory_mb: float = 6000.0
    phases: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides which cells are run and what they compute."""

    suite: datasets.Suite
    methods: tuple[Method, ...]
    folds: int = 3
    seeds: tuple[int, ...] = (0,)
    arms: tuple[str, ...] = (FIRST_ARM,)
    """The uses of synthetic rows that every cell measures (``arms.ARMS``)."""
    tuning_seeds: int = 1
    """Fine-tuning runs of every cell, whose scores are averaged."""
    draws: int = 1
    """Fits and draws of every generator on each split."""
    model: str = DEFAULT_MODEL
    recipe: dict[str, Any] = field(default_factory=dict)
    max_train_rows: tuple[int | None, ...] = (1000,)
    """Each is a low-data regime of its own; None: no limit."""
    max_test_rows: int | None = 1000
    limits: Limits = field(default_factory=Limits)
    fidelity: bool = True
    """Measure how close each synthetic table is to the real one; no part of a cell's key."""
    text: Literal["nearest", "leave-out"] = "nearest"
    """Where the texts of a synthetic row come from if its generator takes none (``standins.TEXT_RULES``)."""


def parse_method(text: str, plugins: Plugins, recipes: Mapping[str, Recipe] = RECIPES) -> Method:
    """A method from ``generator[@mixing][:setting=value,...]``, such as ``ctgan@augment:epochs=50``.

    Some settings belong to the method itself: ``ratio`` (synthetic rows per real row), ``recipe`` (the name of one of
    ``recipes``; ``real`` takes it too), ``tune`` and ``tune_seconds`` (trials and seconds of a search for the others).

    Raises
    ------
    UnknownNameError, ExperimentError
        For a generator, mixing, recipe or setting that does not exist, or a value that the generator refuses.
    """
    match = METHOD.fullmatch(text)
    if match is None:
        raise ExperimentError(f"'{text}' is no method; write generator[@mixing][:setting=value,...].")
    name = match["generator"]
    settings = parse_settings(match["settings"] or "", text)
    recipe = settings.pop("recipe", None)
    if recipe is not None and not (isinstance(recipe, str) and recipe in recipes):
        raise UnknownNameError("recipe", str(recipe), recipes)
    own_recipe = None if recipe is None else recipes[recipe].to_dict()
    if name in BASELINES:
        if match["mixing"] or settings or (name == "zero-shot" and recipe is not None):
            raise ExperimentError(
                f"'{name}' takes no mixing and no settings" + (" but recipe." if name == "real" else ".")
            )
        return Method(text, None, "real" if name == "real" else "none", recipe=own_recipe)
    if name not in plugins.generators:
        raise UnknownNameError("method", name, [*BASELINES, *plugins.generators])
    generator = plugins.generators[name]
    ratio = settings.pop("ratio", 1.0)
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio <= 100:
        raise ExperimentError(f"'{text}': ratio={ratio!r} should be a number above 0, at most 100.")
    mixing = match["mixing"] or generator.info.mixing
    if mixing not in MIXINGS:
        raise ExperimentError(f"'{text}': the mixing '{mixing}' is none of {', '.join(MIXINGS)}.")
    tune = plan_tuning(generator, settings, text)
    try:
        make_generator(generator, settings)
    except TabgenError:
        raise
    except Exception as error:  # whatever a plugin's __init__ raises for a value it does not take
        raise ExperimentError(f"'{text}': {type(error).__name__}: {error}") from error
    known = settings_of(generator)
    settings = {key: float(value) if isinstance(known[key], float) else value for key, value in settings.items()}
    return Method(text, name, mixing, known | settings, float(ratio), own_recipe, tune)


def parse_generator(text: str, plugins: Plugins) -> tuple[str, dict[str, Any]]:
    """A generator and all of its settings from ``generator[:setting=value,...]``, where no model is fine-tuned.

    Raises
    ------
    UnknownNameError, ExperimentError
        As :func:`parse_method`, and for a baseline or for what belongs to a method of an experiment.
    """
    method = parse_method(text, plugins)
    if method.generator is None:
        raise ExperimentError(f"'{text}' is a baseline, not a generator; see `tabgen generators`.")
    refuse_tuning(method.tune, text)
    mixed, more, tuned = "@" in text.partition(":")[0], method.ratio != 1.0, method.recipe is not None
    if mixed or more or tuned:
        name = f"@{method.mixing}" if mixed else "ratio" if more else "recipe"
        raise ExperimentError(
            f"'{text}': {name} says how a run uses rows, and nothing of how they are drawn; leave it out."
        )
    return method.generator, method.settings


def parse_settings(text: str, where: str) -> dict[str, Any]:
    """What a method's name says after the colon.

    Raises
    ------
    ExperimentError
        If a part is not ``setting=value``, a setting comes twice, or a value is not the same in every reader of JSON.
    """
    settings: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise ExperimentError(f"'{where}': '{part}' should be setting=value.")
        if key in settings:
            raise ExperimentError(f"'{where}': the setting '{key}' is given twice.")
        try:
            settings[key] = json.loads(value)
        except (ValueError, RecursionError):  # deeper than Python reads
            settings[key] = value
        if fault := inexact(settings[key]):
            raise ExperimentError(
                f"'{where}': the setting {key}={settings[key]!r:.60} {fault}; use {PLAIN}"
                " (of what is meant as a text, quotes make one)."
            )
    return settings


ON_REQUEST = ("corrupted", "oracle", FILE)
"""Run where they are named: the ruler is a scale of several doses, the oracle knows the tables of one suite only,
rows made elsewhere lie in a folder."""


def default_methods(plugins: Plugins) -> list[str]:
    """Both baselines and every generator that can run on any suite and is one method as it stands.

    Without those of :func:`without_environment`, and those of :data:`ON_REQUEST`.
    """
    absent = {*without_environment(plugins), *ON_REQUEST}
    return [*BASELINES, *(name for name in plugins.generators if name not in absent)]


def without_environment(plugins: Plugins) -> dict[str, str]:
    """The generators whose environment is not on this machine, each with what to type to have it."""
    absent = {}
    for name in plugins.generators:
        plugin, environment = plugins.generators.plugin_of(name), plugins.generators[name].info.environment
        if environment is not None and not is_built(plugin.name, environment):
            absent[name] = how_to_install(plugin)
    return absent


def find_suite(name: str, plugins: Plugins) -> datasets.Suite:
    """A registered suite by name, or the suite of a folder by its path."""
    if name in plugins.suites:
        return plugins.suites[name]
    if "/" in name or Path(name).is_dir():
        return datasets.folder_suite(Path(name))
    return plugins.suites[name]  # raises, with what there is


MOST_CELLS = 1_000_000
"""Of one plan, which is held in memory as a whole: 20 methods on 50 tables, ten folds a hundred times."""


def plan(experiment: Experiment, plugins: Plugins) -> list[Cell]:
    """The cells of an experiment in the order they run: by fold, seed, draw, dataset, method.

    So a run that ends half-way, or is looked at then, has all datasets on its first folds, which can be ranked.
    A cell is plain data, complete in itself: any process can run it. Its ``key`` is the SHA-256 of all that can
    change its scores.

    Raises
    ------
    ExperimentError
        If there is nothing to run, two of its cells would be the same, or a generator's environment is not there.
    """
    _check(experiment)
    _check_size(experiment)
    shared: dict[str, Any] = {
        "suite": experiment.suite.name,
        "n_folds": experiment.folds,
        "max_test_rows": experiment.max_test_rows,
        "model": experiment.model,
        "checkpoint": plugins.model(experiment.model).fingerprint(),
        "model_plugin_version": plugins.model_version(experiment.model),
        "limits": asdict(experiment.limits),
        "protocol": PROTOCOL_VERSION,
        "fidelity": experiment.fidelity,
        "text": experiment.text,
        "arms": list(experiment.arms),
        "tuning_seeds": experiment.tuning_seeds if tunes(experiment.arms) else 1,
    }
    of_method = {method.label: _method_fields(method, experiment, plugins) for method in experiment.methods}
    of_datasets: list[dict[str, Any]] = [
        {
            "dataset": dataset.name,
            "target": dataset.target,
            "sha256": _hash_of(dataset),
            "kinds": dataset.kinds,
            "reading": dataset.reading,
            "path": str(dataset.path),
        }
        for dataset in experiment.suite.datasets
    ]
    cells = []
    places = itertools.product(range(experiment.folds), experiment.seeds, range(experiment.draws), of_datasets)
    for fold, seed, draw, of_dataset in places:
        for method, max_train_rows in itertools.product(experiment.methods, experiment.max_train_rows):
            cell = Cell(
                key="",
                **shared,
                **of_dataset,
                **of_method[method.label],
                fold=fold,
                seed=seed,
                draw=draw,
                max_train_rows=max_train_rows,
            )
            if draw > 0 and method.generator in (None, FILE):  # what draws nothing is the same in every draw
                continue
            if method.generator == FILE:
                table = find_table(method.settings, of_dataset["dataset"], fold, seed)
                cell = replace(cell, rows_sha256=table.sha256, rows_path=str(table.path))
            cells.append(replace(cell, key=key_of(cell)))
    check_tables(cells)
    _check_keys(cells)
    return cells


def _method_fields(method: Method, experiment: Experiment, plugins: Plugins) -> dict[str, Any]:
    """What a cell says of its method."""
    fields: dict[str, Any] = {
        "method": method.label,
        "generator": method.generator,
        "mixing": method.mixing,
        "settings": method.settings,
        "ratio": method.ratio,
        "recipe": method.recipe or experiment.recipe,
        "tune": method.tune,
        "plugin": None,
        "plugin_version": None,
    }
    if method.generator is not None:
        plugin, info = plugins.generators.plugin_of(method.generator), plugins.generators[method.generator].info
        fields |= {"plugin": plugin.name, "plugin_version": plugin.version}
        # the generator whose rows these are: itself, or the one it says it shares them with
        fields |= {"rows_of": info.same_rows_as or method.generator, "environment": lock_of(plugin, info)}
    return fields


def _check(experiment: Experiment) -> None:
    if experiment.folds < 2:
        raise ExperimentError(f"folds={experiment.folds}: at least 2 are due.")
    if not experiment.seeds or min(experiment.seeds) < 0:
        raise ExperimentError(f"seeds={experiment.seeds}: at least one is due, and none below 0.")
    if not experiment.methods:
        raise ExperimentError("there is no method to run.")
    if not experiment.max_train_rows or any(rows is not None and rows < 2 for rows in experiment.max_train_rows):
        raise ExperimentError(f"max_train_rows={experiment.max_train_rows}: at least one is due, each 2 or more.")
    for arm in experiment.arms:
        if arm not in ARMS:
            raise UnknownNameError("arm", arm, ARMS)
    if not experiment.arms or len(set(experiment.arms)) < len(experiment.arms):
        raise ExperimentError(f"arms={experiment.arms}: at least one is due, and each once.")
    if experiment.tuning_seeds < 1 or experiment.draws < 1:
        raise ExperimentError("tuning_seeds and draws: at least one of each is due.")
    labels = [method.label for method in experiment.methods]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ExperimentError(f"a method is named twice: {', '.join(twice)}.")


def _check_size(experiment: Experiment) -> None:
    """Counts are multiplied before any is gone through."""
    parts = {
        "datasets": len(experiment.suite.datasets),
        "folds": experiment.folds,
        "seeds": len(experiment.seeds),
        "draws": experiment.draws,
        "methods": len(experiment.methods),
        "training sizes": len(experiment.max_train_rows),
    }
    if math.prod(parts.values()) > MOST_CELLS:
        told = " x ".join(f"{count:,} {what}" for what, count in parts.items())
        raise ExperimentError(f"{told} are more than {MOST_CELLS:,} cells; split the experiment.")


def _check_keys(cells: list[Cell]) -> None:
    """Cells of one key are one outcome in the store: of two, one would vanish without a word."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        twin = seen.setdefault(cell.key, cell)
        if twin is not cell:
            differing = [k for k in ("dataset", "method", "seed") if getattr(twin, k) != getattr(cell, k)] or ["seed"]
            pairs = " and ".join(f"the {k}s '{getattr(twin, k)}' and '{getattr(cell, k)}'" for k in differing)
            raise ExperimentError(
                f"{pairs} are the same under two names, and would get the same scores; leave one out."
            )


def _hash_of(dataset: datasets.Dataset) -> str | None:
    if dataset.sha256 is None and dataset.path.is_file():
        return sha256_of(dataset.path)
    return dataset.sha256


def parse_methods(
    names: Sequence[str], plugins: Plugins, recipes: Mapping[str, Recipe] = RECIPES
) -> tuple[Method, ...]:
    return tuple(parse_method(name, plugins, recipes) for name in names)
