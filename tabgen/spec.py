"""An experiment as text: a TOML file, a preset, or the flags of `tabgen run`, checked by one schema."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tabgen import datasets
from tabgen.arms import ARMS
from tabgen.clock import Phase
from tabgen.comparable import DRAWS
from tabgen.errors import ExperimentError, UnknownNameError, did_you_mean
from tabgen.experiment import Experiment, Limits, default_methods, find_suite, parse_methods
from tabgen.generator import BASELINES
from tabgen.models import DEFAULT_MODEL
from tabgen.models.recipes import RECIPES, Recipe, get_recipe
from tabgen.plugins import Plugins
from tabgen.text import clean

PRESETS = Path(__file__).parent / "presets"


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


OneOrMore = BeforeValidator(_as_list)
MOST_SEEDS = 100_000
REPEATS = 3
"""Repeats of every fold of one table, where nothing else is said: folds of a suite repeat each other less."""
QUICK_ARMS = [arm.name for arm in ARMS.values() if not arm.tunes]


class ExperimentSpec(BaseModel):
    """What an experiment file may say; its fields are the flags of `tabgen run`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    suite: str | None = Field(None, description="A suite by name (core, quick), or a folder with a manifest.json.")
    data: Path | None = Field(None, description="One table instead of a suite (docs/tables.md).")
    target: str | None = Field(None, description="The column of `data` to predict.")
    methods: Annotated[list[str], OneOrMore] = Field(
        [], description="`generator[@mixing][:setting=value,...]`; both baselines and every generator if empty."
    )
    mixing: Annotated[list[Literal["replace", "augment"]], OneOrMore] = Field(
        [], description="Run every generator under each of these, instead of its own."
    )
    folds: int = Field(3, ge=2, description="Folds; each is the test part once.")
    arms: Annotated[list[str], OneOrMore] = Field(
        [],
        description=f"The uses of synthetic rows to measure: {', '.join(ARMS)}. All if empty; of `data` those that need"
        f" no fine-tuning: {', '.join(QUICK_ARMS)}.",
    )
    tuning_seeds: int = Field(2, ge=1, le=100, description="Fine-tuning runs of a cell; its scores are their means.")
    draws: int = Field(1, ge=1, le=DRAWS, description="Fits and draws of every generator on each split.")
    seeds: int | None = Field(
        None, ge=1, le=MOST_SEEDS, description=f"Repeats of every fold with other seeds: 1; of `data` {REPEATS}."
    )
    model: str = Field(DEFAULT_MODEL, description="A foundation model by name, or a directory with a checkpoint.")
    recipe: Annotated[list[str], OneOrMore] = Field(
        ["nano"],
        min_length=1,
        description="How to fine-tune. With several, every method runs under each: a method keeps its name under the"
        " first, and is called `method:recipe=name` under the others.",
    )
    recipes: dict[str, dict[str, Any]] = Field(
        {}, description="Recipes of your own by name: `base`, a recipe to start from, and the fields that differ."
    )
    max_train_rows: Annotated[list[Annotated[int, Field(ge=0)]], OneOrMore] = Field(
        [1000],
        min_length=1,
        description="Training rows per fold at most; 0: no limit. With several, all runs in each of these regimes.",
    )
    max_test_rows: int = Field(1000, ge=0, description="Test rows per fold at most; 0: no limit.")
    seconds: float = Field(600.0, ge=1, description="Wall time of a cell at most.")
    memory: float = Field(6000.0, ge=300, description="Memory of a cell at most, in MB.")
    phase_seconds: dict[Phase, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Wall time of single phases at most: fit, sample, finetune and others."
    )
    fidelity: bool = Field(True, description="Measure how close each synthetic table is to the real one.")
    text: Literal["nearest", "leave-out"] = Field(
        "nearest",
        description="Texts of the rows of a generator that takes none: those of the nearest real row, or left out.",
    )
    kinds: dict[str, str] = Field(
        {},
        description="Kinds of columns of `data` that are not as they seem:"
        " numeric, integer, categorical, boolean, datetime, text.",
    )
    drop: Annotated[list[str], OneOrMore] = Field([], description="Columns of `data` to leave out.")
    reading: dict[str, Any] = Field(
        {}, description="How `data` is written: delimiter, decimal, encoding, missing, day_first (docs/tables.md)."
    )

    @model_validator(mode="after")
    def _one_source(self) -> ExperimentSpec:
        if (self.suite is None) == (self.data is None):
            raise ValueError("name either a suite (core, quick, a folder) or your own data with its target")
        if (self.data is None) != (self.target is None):
            raise ValueError("data and target go together: a file, and its column to predict")
        if self.data is None and (self.kinds or self.drop or self.reading):
            raise ValueError("kinds, drop and reading are said of data; a suite says its own in its manifest")
        return self

    def build(self, plugins: Plugins) -> Experiment:
        """The experiment, with every name looked up.

        Raises
        ------
        TabgenError
            For a name that does not exist, or a value that cannot be used.
        """
        recipes = self._recipes()
        for name in self.recipe:
            if name not in recipes:
                raise UnknownNameError("recipe", name, recipes)
        names = with_mixings(list(self.methods) or default_methods(plugins), list(self.mixing))
        names += [with_recipe(name, recipe) for recipe in self.recipe[1:] for name in names if name != "zero-shot"]
        return Experiment(
            suite=datasets.file_suite(
                self.data, self.target or "", {**self.kinds, **dict.fromkeys(self.drop, "drop")}, self.reading
            )
            if self.data
            else find_suite(self.suite or "", plugins),
            methods=parse_methods(names, plugins, recipes),
            folds=self.folds,
            seeds=tuple(range(self.seeds or (REPEATS if self.data else 1))),
            arms=tuple(self.arms or (QUICK_ARMS if self.data else ARMS)),
            tuning_seeds=self.tuning_seeds,
            draws=self.draws,
            model=self.model,
            recipe=recipes[self.recipe[0]].to_dict(),
            max_train_rows=tuple(rows or None for rows in self.max_train_rows),
            max_test_rows=self.max_test_rows or None,
            limits=Limits(
                self.seconds, self.memory, {str(phase): limit for phase, limit in self.phase_seconds.items()}
            ),
            fidelity=self.fidelity,
            text=self.text,
        )

    def _recipes(self) -> dict[str, Recipe]:
        own = {}
        for name, fields in self.recipes.items():
            if name in RECIPES:
                raise ExperimentError(f"recipes.{name}: tabgen has a recipe of that name; choose another.")
            if not isinstance(fields.get("base"), str):
                raise ExperimentError(
                    f"recipes.{name} lacks base: the recipe it starts from, one of {', '.join(RECIPES)}."
                )
            changed = {key: value for key, value in fields.items() if key != "base"}
            own[name] = replace(get_recipe(fields["base"], **changed), name=name)
        return RECIPES | own


def with_mixings(methods: list[str], mixings: list[str]) -> list[str]:
    """Every generator under each of these mixings; baselines and methods that name their mixing stay as they are."""
    if not mixings:
        return methods
    out: list[str] = []
    for method in methods:
        name, colon, settings = method.partition(":")
        fixed = "@" in name or name in BASELINES
        out += [method] if fixed else [f"{name}@{mixing}{colon}{settings}" for mixing in mixings]
    return out


def with_recipe(method: str, recipe: str) -> str:
    """A method's name under another recipe than the experiment's first."""
    return f"{method}{',' if ':' in method else ':'}recipe={recipe}"


def make_spec(values: dict[str, Any], where: str = "the experiment") -> ExperimentSpec:
    """A checked experiment from plain values.

    Raises
    ------
    ExperimentError
        Naming the field, the value, and what is allowed.
    """
    for key in ("data", "suite", "model"):
        _check_path(values.get(key), f"{where}: {key}")
    try:
        return ExperimentSpec(**values)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            field = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                lines.append(
                    f"there is no field '{field}'; {did_you_mean(field, ExperimentSpec.model_fields).rstrip('.')}"
                )
            elif not field:
                lines.append(problem["msg"].removeprefix("Value error, "))
            else:
                lines.append(f"{field} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
        told = "; ".join(lines)
        raise ExperimentError(f"{where}: {told}{'' if told.endswith('?') else '.'}") from error


def read_spec(path: Path) -> dict[str, Any]:
    """The values of an experiment file; paths in it are relative to the file.

    Raises
    ------
    ExperimentError
        If there is no such file, or it is not TOML.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExperimentError(f"the experiment file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # TOML's and UTF-8's errors, numbers of too many digits, depth
        raise ExperimentError(f"{path} is not TOML: {error}.") from error
    if isinstance(values.get("data"), str):
        values["data"] = path.parent / values["data"]
    for key in ("suite", "model"):  # names stay names; what looks like a path is one
        if isinstance(values.get(key), str) and values[key].startswith(("./", "../")):
            values[key] = str(path.parent / values[key])
    return values


def _check_path(value: Any, where: str) -> None:
    """What may be a path is one that a file system can be asked for."""
    try:
        Path(value if isinstance(value, str | Path) else "").stat()
    except FileNotFoundError:
        return
    except (ValueError, OSError) as error:
        raise ExperimentError(f"{where} = {clean(value, 60)!r} is no name and no path: {error}.") from error


def read_preset(name: str) -> dict[str, Any]:
    """The values of an embedded experiment file.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    path = PRESETS / f"{name}.toml"
    if name not in preset_names():
        raise UnknownNameError("preset", name, preset_names())
    return read_spec(path)


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.toml"))
