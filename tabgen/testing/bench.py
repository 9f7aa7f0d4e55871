"""One generator under test: what is dear is made once and shared by the checks."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tabgen.generator import FitContext, Generator
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.plugins import get_plugins
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table
from tabgen.testing.fresh import Fresh, run_fresh
from tabgen.testing.tables import easy_table

if TYPE_CHECKING:
    from tabgen.models.base import FoundationModel

DEFAULT_SECONDS = 300.0
"""Limit of one fit and one draw of the easy table (60 rows) in a fresh process."""


class ConformanceError(AssertionError):
    """A generator that breaks the contract; the message says how, and on which table."""


class Bench:
    """One generator under test, with its settings; what is dear (a fit) is done once and shared."""

    def __init__(self, generator: type[Generator], settings: dict[str, Any], model: str, seconds: float) -> None:
        self.generator = generator
        self.settings = settings
        self.model = model
        self.seconds = seconds
        self.table = easy_table()

    def new(self) -> Generator:
        return make_where_it_runs(self.generator, self.settings)

    @cached_property
    def foundation_model(self) -> FoundationModel:
        from tabgen.plugins import find_model

        return find_model(self.model, get_plugins()).load("cpu")

    def context(self, seed: int = 11, seconds: float = float("inf")) -> FitContext:
        return FitContext(seed=seed, deadline=time.monotonic() + seconds, load_model=lambda: self.foundation_model)

    def fit(self, table: Table, seed: int = 11) -> Generator:
        generator = self.new()
        fit_generator(generator, table, self.context(seed))
        return generator

    @cached_property
    def fresh(self) -> Fresh:
        return run_fresh(self.generator, self.settings, self.model, self.seconds)

    @cached_property
    def fitted(self) -> Generator:
        return self.fit(self.table)

    def draw(self, n_rows: int = 50, seed: int = 5) -> Table:
        return draw_sample(self.fitted, self.table, n_rows, seed)


def fail_unless(condition: object, message: str) -> None:
    if not condition:
        raise ConformanceError(message)
