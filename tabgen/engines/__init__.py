"""Engines run cells: each takes planned cells and yields one result per cell, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tabgen.marker import hookimpl

if TYPE_CHECKING:
    from tabgen.cache import CacheSettings
    from tabgen.outcome import Cell, Result
    from tabgen.plugins import PluginChoice


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is told.

    Attributes
    ----------
    choice : PluginChoice
        Which plugins the cells see.
    log_folder : Path
        What a cell prints goes to ``<start of its key>.log`` here.
    workers : int
        Cells at once; 0: as many as there are cores (or GPUs) for.
    threads : int
        Compute threads of each; more than one seldom pays.
    gpus : int
        GPUs to share out, each cell getting one; 0: cells compute on the CPU.
    preload : tuple of str
        Modules that evaluators need imported, beside tabgen's own.
    cache : CacheSettings, optional
        Where cells keep synthetic rows and zero-shot scores for each other.
    """

    choice: PluginChoice
    log_folder: Path
    workers: int = 0
    threads: int = 1
    gpus: int = 0
    preload: tuple[str, ...] = ()
    cache: CacheSettings | None = None


class Engine(Protocol):
    """What runs cells; made by a registered ``make_engine(settings)``."""

    def run(self, cells: list[Cell], started: Callable[[Cell], None]) -> Iterator[tuple[Cell, Result]]:
        """Yield each cell with its result, in any order, and call ``started`` when one begins.

        What a cell is stays as planned, whatever comes back: a result cannot change it, and one with a status that
        is none of :data:`tabgen.outcome.STATUSES` is stored as an ``error``.
        """

    def stop(self) -> None:
        """Let running cells finish; start no more."""


def _local(settings: EngineSettings) -> Any:
    from tabgen.engines.local import LocalEngine

    return LocalEngine(settings)


def _ray(settings: EngineSettings) -> Any:
    from tabgen.engines.ray import RayEngine

    return RayEngine(settings)


@hookimpl
def tabgen_register_engines(register: Callable[[str, Callable[..., Any]], None]) -> None:
    register("local", _local)
    register("ray", _ray)
