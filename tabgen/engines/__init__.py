"""Engines run cells: each takes planned cells and yields one result per cell, in any order.

An engine is made by ``make_engine(settings)`` from :class:`EngineSettings` and has ``run(cells, started)``: an
iterator of ``(cell, result)``. The result of a cell that computed is what :func:`tabgen.cell.run_cell` returns; of
any other, a dict with ``status``, ``reason`` and ``log_tail``. ``stop()`` lets running cells finish and starts no
more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabgen.hookspecs import hookimpl

if TYPE_CHECKING:
    from tabgen.cache import CacheSettings
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
        Modules to import before the first cell is started.
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
