"""Generator: what a plugin writes. Fitted on one table, it samples others like it."""

from __future__ import annotations

import inspect
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tabgen.errors import ExperimentError, PluginError, Unsupported
from tabgen.jsonable import PLAIN, inexact

if TYPE_CHECKING:
    import pandas as pd

    from tabgen.models.base import FoundationModel
    from tabgen.table import Table

Mixing = Literal["real", "replace", "augment"]
MIXINGS = ("replace", "augment")
"""What a generator's rows can be used for: instead of the real rows, or beside them."""
BASELINES = ("zero-shot", "real")
"""The two methods without a generator; no generator can have their names."""


@dataclass(frozen=True)
class Limits:
    """What a generator accepts; a table beyond them makes the cell ``unsupported``. None: no limit."""

    min_rows: int = 2
    max_rows: int | None = None
    max_columns: int | None = None
    max_classes: int | None = None
    max_levels: int | None = None

    def check(self, table: Table, name: str) -> None:
        """Raise :class:`Unsupported`, naming the first limit that the table breaks."""
        levels = max((len(c.levels) for c in table.schema.columns), default=0)
        for what, value, most in (
            ("rows", len(table), self.max_rows),
            ("feature columns", len(table.schema.columns), self.max_columns),
            ("classes", len(table.schema.classes), self.max_classes),
            ("levels in a column", levels, self.max_levels),
        ):
            if most is not None and value > most:
                raise Unsupported(f"{name} takes at most {most} {what}; the table has {value}.")
        if len(table) < self.min_rows:
            raise Unsupported(f"{name} needs at least {self.min_rows} rows; the table has {len(table)}.")


@dataclass(frozen=True)
class Environment:
    """An interpreter with packages of its own for generators whose needs cannot be met beside tabgen's.

    ``tabgen plugins install`` builds it; the generator's process then runs there, with pandas and pyarrow, and without
    torch unless it is named.

    Attributes
    ----------
    requirements : tuple of str
        As pip takes them: ``("dpmm==0.1.9",)``.
    python : str
        The interpreter's version, as ``3.11``, the first that tabgen's own code runs on; empty: the one that tabgen
        runs with.
    """

    requirements: tuple[str, ...]
    python: str = ""

    def __post_init__(self) -> None:
        given: Any = self.requirements
        if isinstance(given, str) or not all(isinstance(each, str) and each.strip() for each in given):
            raise PluginError(f"an environment's requirements are texts such as ('dpmm==0.1.9',); not {given!r}.")
        object.__setattr__(self, "requirements", tuple(given))
        version = re.fullmatch(r"3\.(\d+)", self.python)
        if self.python and (not version or int(version[1]) < 11):
            raise PluginError(f"an environment's python is 3.11 or a later version, as '3.12'; not '{self.python}'.")


@dataclass(frozen=True)
class Search:
    """Where a setting is searched when a generator is tuned: from ``low`` to ``high``, or among ``choices``.

    Attributes
    ----------
    low, high : float
        Both included; whole numbers are searched where the setting's default is one.
    log : bool
        Search by ratios rather than differences.
    choices : tuple
        Texts, numbers or truth values.

    Examples
    --------
    >>> Search(50, 5000, log=True).holds(300), Search(choices=("norm", "beta")).holds("gamma")
    (True, False)
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        plain = all(isinstance(each, str | int | float) and not inexact(each) for each in self.choices)
        sound = len(set(self.choices)) > 1 and plain if self.choices else self.low < self.high
        if not sound or (self.log and self.low <= 0):
            raise PluginError(f"a setting is searched from low to high, or among two choices or more; not {self}.")

    def holds(self, value: Any) -> bool:
        """Whether a value is among those that are searched."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class GeneratorInfo:
    """What everybody may know of a generator without running it.

    Attributes
    ----------
    name : str
        Short, lower case, with hyphens; unique among all plugins.
    summary : str
        One line.
    citation : str
        Where the method was published.
    licence : str
        SPDX identifier of the code that runs, dependencies with stricter terms included.
    weights_licence : str
        SPDX identifier of pre-trained weights; "the model's" where they are the cell's foundation model; empty: none.
    mixing : {"replace", "augment"}
        How its rows are used unless the user says otherwise: instead of the real rows, or beside them.
    accepts_missing : bool
        False: the core fills missing values before ``fit`` and says so in the outcome.
    accepts_text : bool
        False: columns of free text are kept from it; each row it draws takes the text of the nearest real row.
    changes_columns : bool
        True: a sample may hold a subset of the feature columns.
    redraws : bool
        True: a new sample is drawn for every fine-tuning step (cheap samplers of whole tasks).
    preload : tuple of str
        Modules that are slow to import: each is imported once per run instead of once per cell.
    same_rows_as : str
        Another generator of the same plugin that draws the very same rows at the same settings and seeds, and
        differs in its mixing: the two share one fit.
    environment : Environment, optional
        Where its process runs, if not with what tabgen itself is installed with.
    search : mapping of str to Search
        Settings that ``tune`` searches, and where; the defaults lie within.
    one_class : str
        A sentence on why a sample may hold one class only, and the mend: said where one does.
    """

    name: str
    summary: str
    citation: str = ""
    licence: str = "Apache-2.0"
    mixing: Mixing = "replace"
    accepts_missing: bool = False
    accepts_text: bool = False
    changes_columns: bool = False
    redraws: bool = False
    preload: tuple[str, ...] = ()
    same_rows_as: str = ""
    limits: Limits = field(default_factory=Limits)
    environment: Environment | None = None
    weights_licence: str = ""
    search: Mapping[str, Search] = field(default_factory=dict)
    one_class: str = ""


@dataclass
class FitContext:
    """What a generator is told while it fits.

    Attributes
    ----------
    seed : int
        All randomness of ``fit`` must come from it.
    deadline : float
        ``time.monotonic()`` at which the fit will be killed.
    threads : int
        Compute threads that may be used.
    device : str
        "cpu" or "cuda".
    notes : dict
        What the generator wants kept in the outcome: JSON values, small.
    """

    seed: int
    deadline: float = float("inf")
    threads: int = 1
    device: str = "cpu"
    load_model: Callable[[], FoundationModel] | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def foundation_model(self) -> FoundationModel:
        """The model that will be fine-tuned, with its pre-trained weights; loaded on first use."""
        if self.load_model is None:
            raise Unsupported("this generator needs the foundation model, which this context does not offer.")
        return self.load_model()


class Generator(ABC):
    """Base class of all generators. Settings are the keyword arguments of ``__init__``, with defaults.

    Examples
    --------
    >>> class Shuffled(Generator):
    ...     info = GeneratorInfo("shuffled", "real rows in random order, with replacement")
    ...     def fit(self, table, context):
    ...         self.table = table
    ...     def sample(self, n_rows, seed):
    ...         return self.table.frame.sample(n_rows, replace=True, random_state=seed)
    """

    info: ClassVar[GeneratorInfo]

    @abstractmethod
    def fit(self, table: Table, context: FitContext) -> None:
        """Learn the table: training rows only, every class at least once."""

    @abstractmethod
    def sample(self, n_rows: int, seed: int) -> Table | pd.DataFrame:
        """New rows: exactly ``n_rows`` of them, same columns, kinds, levels and classes, no infinities."""


def settings_of(generator: type[Generator]) -> dict[str, Any]:
    """The settings of a generator class and their defaults, from the signature of ``__init__``."""
    if generator.__init__ is object.__init__:
        return {}  # as its signature says, which takes 10 ms to ask for in a forked process
    parameters = inspect.signature(generator).parameters.values()
    return {p.name: p.default for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}


def make_generator(generator: type[Generator], settings: dict[str, Any]) -> Generator:
    """An unfitted generator with these settings.

    Raises
    ------
    ExperimentError
        Naming the setting that does not exist, whose value has another type than the default, or that JSON changes.
    """
    known = settings_of(generator)
    for key, value in settings.items():
        if key not in known:
            offered = ", ".join(f"{k}={v!r}" for k, v in known.items()) or "none"
            raise ExperimentError(f"{generator.info.name} has no setting '{key}'; its settings are: {offered}.")
        default = known[key]
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if default is not None and type(value) is not type(default) and not number:
            raise ExperimentError(
                f"{generator.info.name}: the setting {key}={value!r} should be"
                f" {type(default).__name__}, as {default!r} is."
            )
        if fault := inexact(value):
            raise ExperimentError(f"{generator.info.name}: the setting {key}={value!r:.60} {fault}; use {PLAIN}.")
    return generator(**settings)
