"""The fresh process itself: what :mod:`tabgen.testing.fresh` starts."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from tabgen.plugins import _import_file
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing.bench import Bench

HEAVY = (
    "torch",
    "sklearn",
    "sdv",
    "ctgan",
    "dowhy",
    "causallearn",
    "imblearn",
    "tensorflow",
    "jax",
    "xgboost",
    "lightgbm",
)
"""Libraries that no plugin module may import before a generator is fitted: they cost seconds."""


def run_in_fresh_process(task_as_json: str) -> None:
    """The child of the checks ``time-limit`` and ``fresh-process``; its answer is a line of JSON on stdout."""
    try:
        answer = _fit_and_draw(json.loads(task_as_json))
    except Exception:  # an answer too, other than what ends the interpreter
        sys.stdout.write("\n" + json.dumps({"raised": True}) + "\n")
        raise
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _imported(name: str | None, file: str | None) -> ModuleType:
    """A module by its name, or, where it has none or is not found by it, by its file."""
    if name is not None:
        try:
            return import_module(name)
        except ImportError:
            if file is None:
                raise
    return _import_file(Path(str(file)))


def _fit_and_draw(task: dict[str, Any]) -> dict[str, Any]:
    before = set(sys.modules)
    module = _imported(task["module"], task["file"])
    heavy = [name for name in HEAVY if name in sys.modules and name not in before]
    generator: Any = module
    for part in task["name"].split("."):
        generator = getattr(generator, part)
    bench = Bench(generator, task["settings"], task["model"], task["seconds"])
    fitted = bench.new()
    fit_generator(fitted, bench.table, bench.context(seconds=bench.seconds))
    sample = draw_sample(fitted, bench.table, 50, 5)
    return {"heavy": heavy, "hash": sample.content_hash}
