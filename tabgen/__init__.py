"""Compare synthetic-data generators by what they do for a tabular foundation model.

The names a plugin needs are here; they are imported when they are first used, so that ``import tabgen`` and
the listing commands stay fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabgen.api import compare, generate
    from tabgen.column import Column
    from tabgen.errors import Unsupported
    from tabgen.estimator import GeneratorAugmentedClassifier
    from tabgen.generator import FitContext, Generator, GeneratorInfo, Limits
    from tabgen.marker import hookimpl
    from tabgen.randomness import seeded
    from tabgen.results import load_results
    from tabgen.shares import share_rows
    from tabgen.table import Schema, Table

__all__ = [
    "Column",
    "FitContext",
    "Generator",
    "GeneratorAugmentedClassifier",
    "GeneratorInfo",
    "Limits",
    "Schema",
    "Table",
    "Unsupported",
    "compare",
    "generate",
    "hookimpl",
    "load_results",
    "seeded",
    "share_rows",
]

_HOMES = {
    "compare": "tabgen.api",
    "generate": "tabgen.api",
    "load_results": "tabgen.results",
    "seeded": "tabgen.randomness",
    "share_rows": "tabgen.shares",
    "Unsupported": "tabgen.errors",
    "GeneratorAugmentedClassifier": "tabgen.estimator",
    "Column": "tabgen.column",
    "Schema": "tabgen.table",
    "Table": "tabgen.table",
    "FitContext": "tabgen.generator",
    "Generator": "tabgen.generator",
    "GeneratorInfo": "tabgen.generator",
    "Limits": "tabgen.generator",
    "hookimpl": "tabgen.marker",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from tabgen.environment import own_version

        return own_version()
    if name not in _HOMES:
        raise AttributeError(f"module 'tabgen' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
