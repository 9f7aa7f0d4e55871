"""Engines run cells: each takes planned cells and yields one result per cell, in any order.

An engine is made by ``make_engine(workers=..., threads=..., choice=..., log_folder=...)`` and has
``run(cells, started)``: an iterator of ``(cell, result)``. The result of a cell that computed is what
:func:`tabgen.cell.run_cell` returns; of any other, a dict with ``status``, ``reason`` and ``log_tail``.
``stop()`` lets running cells finish and starts no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tabgen.hookspecs import hookimpl


def _local(**settings: Any) -> Any:
    from tabgen.engines.local import LocalEngine

    return LocalEngine(**settings)


@hookimpl
def tabgen_register_engines(register: Callable[[str, Callable[..., Any]], None]) -> None:
    register("local", _local)
