"""The plugin contract: every hook that tabgen calls, when, and with what.

A plugin is any module (or object) with functions of these names, marked with :data:`tabgen.hookimpl`. It is
found through the entry-point group ``tabgen`` or named with ``--plugin FILE.py``. Every parameter may be
left out of an implementation that does not need it. Import heavy libraries inside functions: plugin modules
are imported to list what there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tabgen.marker import hookspec

if TYPE_CHECKING:
    from tabgen.datasets import Suite
    from tabgen.generator import Generator
    from tabgen.metrics import Metric
    from tabgen.models.base import ModelInfo
    from tabgen.outcome import Cell, Outcome


@hookspec
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    """Called once, when plugins are loaded, to collect generators.

    Parameters
    ----------
    register : callable
        ``register(MyGenerator)`` for each :class:`tabgen.Generator` subclass. It checks the class and its
        ``info``, and raises :class:`tabgen.errors.PluginError` on a clash of names, naming both plugins.

    The return value is ignored.
    """


@hookspec
def tabgen_register_models(register: Callable[[ModelInfo], None]) -> None:
    """Called once, when plugins are loaded, to collect foundation models.

    Parameters
    ----------
    register : callable
        ``register(ModelInfo(...))``: a name, a summary, a licence, a ``load(device)`` function that returns a
        :class:`tabgen.models.base.FoundationModel`, and a ``fingerprint()`` function that returns the hash of
        its weights. Nothing is loaded until a cell needs it.
    """


@hookspec
def tabgen_register_datasets(register: Callable[[Suite], None]) -> None:
    """Called once, when plugins are loaded, to collect suites of datasets.

    Parameters
    ----------
    register : callable
        ``register(Suite(...))``: a name, a version and a function that lists its datasets when asked.
    """


@hookspec
def tabgen_register_metrics(register: Callable[[Metric], None]) -> None:
    """Called once, when plugins are loaded, to collect metrics; every one is computed for every cell.

    Parameters
    ----------
    register : callable
        ``register(Metric(...))``: a name, a function of labels (rows,) and class probabilities
        (rows, classes), and whether higher is better.
    """


@hookspec
def tabgen_register_engines(register: Callable[[str, Callable[..., Any]], None]) -> None:
    """Called once, when plugins are loaded, to collect engines, which run cells.

    Parameters
    ----------
    register : callable
        ``register("name", make_engine)``; ``make_engine(settings)`` gets :class:`tabgen.engines.EngineSettings`
        and returns an object whose ``run(cells, started)`` yields ``(cell, result)`` for each cell, in any order,
        and whose ``stop()`` lets running cells finish.
    """


@hookspec
def tabgen_cell_started(cell: Cell) -> None:
    """Called in the main process when a cell starts.

    Parameters
    ----------
    cell : tabgen.outcome.Cell
        As planned: ``key``, ``dataset``, ``fold``, ``method``, ``seed`` and its settings.
    """


@hookspec
def tabgen_cell_finished(outcome: Outcome) -> None:
    """Called in the main process after a cell's outcome was stored.

    Parameters
    ----------
    outcome : tabgen.outcome.Outcome
        What was stored, whatever its status; ``outcome.to_dict()`` is the stored row. An exception raised here is
        reported and does not stop the run.
    """
