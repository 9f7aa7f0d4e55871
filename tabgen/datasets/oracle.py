"""The suite `synthetic-oracle`, tables of known mechanisms, and the generator `oracle`, which draws more of their rows.

A mechanism is a structural causal model over mixed columns: every column is a function of some earlier ones and
noise, the label is drawn from the softmax of functions of the columns. It follows from its number alone, which the
target's name carries from the table to whoever is fitted on it: so the oracle works in any process, and knows a
table that is none of its own.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tabgen.errors import Unsupported
from tabgen.generator import FitContext, Generator, GeneratorInfo
from tabgen.variables import cache_home

if TYPE_CHECKING:
    import pandas as pd

    from tabgen.table import Table

VERSION = "1"
N_TABLES = 12
PREFIX = f"mechanism_v{VERSION}_"
KINDS = ("numeric", "numeric", "skewed", "integer", "categorical", "boolean")
LEVELS = "abcde"
PILOT_ROWS = 4000
"""Drawn once per mechanism, to set the classes' shares."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Mechanism:
    """A table's law: call :meth:`draw` for rows.

    Attributes
    ----------
    number : int
        All that decides it.
    """

    number: int

    @property
    def target(self) -> str:
        return f"{PREFIX}{self.number}"

    @cached_property
    def _law(self) -> dict[str, Any]:
        rng = np.random.default_rng([0, self.number])
        n_columns = int(rng.integers(6, 16))
        columns = []
        for i in range(n_columns):
            n_parents = int(rng.integers(0, min(i, 3) + 1))
            columns.append(
                {
                    "kind": str(rng.choice(KINDS)),
                    "parents": rng.permutation(i)[:n_parents],
                    "weights": rng.choice([-1.0, 1.0], n_parents) * rng.uniform(0.6, 1.6, n_parents),
                    "bent": bool(rng.random() < 0.4),
                    "noise": float(rng.uniform(0.4, 1.0)),
                    "cuts": np.sort(rng.normal(0, 0.8, int(rng.integers(2, 5)))),
                    "effects": rng.normal(0, 1, len(LEVELS)),
                    "unit": (float(rng.normal(0, 20)), float(10 ** rng.uniform(-1, 2))),
                }
            )
        n_classes = 2 + self.number % 4
        causes = rng.permutation(n_columns)[: max(3, n_columns // 3)]
        return {
            "columns": columns,
            "causes": causes,
            "linear": rng.normal(0, 1, (len(causes), n_classes)),
            "bent": rng.normal(0, 1, (len(causes), n_classes)),
            "product": rng.normal(0, 1, n_classes),
            "clearness": float(rng.uniform(2.5, 7.0)),
            "shares": rng.dirichlet(np.full(n_classes, 8.0)),
        }

    @cached_property
    def _intercepts(self) -> Array:
        """What is added to the classes' scores so that they have their shares."""
        shares, rng = self._law["shares"], np.random.default_rng([1, self.number])
        scores = self._scores(self._columns(PILOT_ROWS, rng)[0])
        intercepts = np.zeros(len(shares))
        for _ in range(50):
            intercepts += np.log(shares) - np.log(_softmax(scores + intercepts).mean(axis=0))
        return intercepts

    def draw(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n_rows`` independent rows: features ``x0``, ``x1``, ... and the target."""
        import pandas as pd

        values, data = self._columns(n_rows, rng)
        chances = self.probabilities(values)
        labels = (chances.cumsum(axis=1) > rng.random((n_rows, 1))).argmax(axis=1)
        data[self.target] = [f"class_{label}" for label in labels]
        return pd.DataFrame(data)

    def probabilities(self, values: Array) -> Array:
        """The true probabilities of the classes: (rows, columns) as numbers to (rows, classes)."""
        return _softmax(self._scores(values) + self._intercepts)

    def _columns(self, n_rows: int, rng: np.random.Generator) -> tuple[Array, dict[str, Any]]:
        """Every column as the number by which it acts on others, and as it stands in the table."""
        values, data = np.zeros((n_rows, len(self._law["columns"]))), {}
        for i, column in enumerate(self._law["columns"]):
            cause = values[:, column["parents"]] @ column["weights"]
            cause = np.abs(cause) - 1.0 if column["bent"] else np.tanh(cause)
            z = cause + column["noise"] * rng.standard_normal(n_rows)
            shift, unit = column["unit"]
            shown: Any = np.round(shift + unit * z, 4)
            if column["kind"] == "skewed":
                shown = np.round(unit * np.exp(z), 4)
            elif column["kind"] == "integer":
                z = np.round(3 * z) / 3
                shown = np.round(3 * z).astype(int)
            elif column["kind"] == "boolean":
                z = np.where(z > column["cuts"][0], 1.0, -1.0)
                shown = z > 0
            elif column["kind"] == "categorical":
                level = np.searchsorted(column["cuts"], z)
                z, shown = column["effects"][level], np.array(list(LEVELS))[level]
            values[:, i], data[f"x{i}"] = z, shown
        return values, data

    def _scores(self, values: Array) -> Array:
        law = self._law
        x = values[:, law["causes"]]
        scores = x @ law["linear"] + np.abs(x) @ law["bent"] + np.outer(x[:, 0] * x[:, 1], law["product"])
        scaled: Array = law["clearness"] * scores / scores.std()
        return scaled


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def mechanism_of(table: Table) -> Mechanism | None:
    """The mechanism whose rows these are, by the names of target, columns and classes; None if there is none."""
    number = table.schema.target.removeprefix(PREFIX)
    if number == table.schema.target or not number.isdecimal() or int(number) >= N_TABLES:
        return None
    mechanism = Mechanism(int(number))
    names = [f"x{i}" for i in range(len(mechanism._law["columns"]))]
    known = {f"class_{label}" for label in range(len(mechanism._law["shares"]))}
    return mechanism if table.schema.names == names and set(table.schema.classes) <= known else None


class Oracle(Generator):
    """Fresh rows of the mechanism that the table itself was drawn from: the best that any generator could do.

    Only for tables of the suite `synthetic-oracle`; any other is unsupported. It learns nothing: the mechanism follows
    from the target's name. Rows are drawn apart from those of the suite, whatever the seed; one that holds a level or
    a class which the training rows never show is drawn again, as no generator could know of it.
    """

    info = GeneratorInfo("oracle", "fresh rows of the true mechanism, on the suite synthetic-oracle alone")

    def fit(self, table: Table, context: FitContext) -> None:
        mechanism = mechanism_of(table)
        if mechanism is None:
            raise Unsupported(
                "oracle knows the mechanisms of the suite synthetic-oracle alone; this table is none of it."
            )
        self._mechanism, self._empty = mechanism, table.take([])
        context.notes["mechanism"] = mechanism.number

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        import pandas as pd

        rng = np.random.default_rng([3, self._mechanism.number, seed])
        known = {c.name: list(c.levels) for c in self._empty.schema.columns if c.is_discrete}
        known[self._empty.schema.target] = list(self._empty.schema.classes)
        parts, missing = [], n_rows
        while missing > 0:
            rows = self._mechanism.draw(2 * missing + 20, rng)
            rows = rows[np.logical_and.reduce([rows[name].isin(levels) for name, levels in known.items()])]
            parts.append(rows.head(missing))
            missing -= len(parts[-1])
        return pd.concat(parts, ignore_index=True) if parts else self._empty.frame


def oracle_folder() -> Path:
    return cache_home() / f"synthetic-oracle-{VERSION}"


def write_suite(folder: Path) -> None:
    """Draw the tables into ``folder``, as CSV files with a manifest; complete or not there at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        scratch = Path(name) / "suite"
        scratch.mkdir()
        entries = [_write_table(Mechanism(number), scratch) for number in range(N_TABLES)]
        (scratch / "manifest.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
        try:
            scratch.replace(folder)
        except OSError:  # another process was quicker, and its tables are the same
            if not (folder / "manifest.json").is_file():
                raise


def _write_table(mechanism: Mechanism, folder: Path) -> dict[str, Any]:
    rng = np.random.default_rng([2, mechanism.number])
    frame = mechanism.draw(int(rng.integers(300, 801)), rng)
    path = folder / f"oracle-{mechanism.number}.csv"
    frame.to_csv(path, index=False, lineterminator="\n")
    kinds = [column["kind"] for column in mechanism._law["columns"]]
    return {
        "name": path.stem,
        "file": path.name,
        "target": mechanism.target,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "kinds": {f"x{i}": "numeric" if kind == "skewed" else kind for i, kind in enumerate(kinds)},
        "rows": len(frame),
        "features": len(kinds),
        "n_classes": int(frame[mechanism.target].nunique()),
        "missing_cells": 0,
        "licence": "CC0-1.0",
        "source": "drawn by tabgen",
    }
