"""Generators that each break one rule of the contract, for the tests of the conformance kit."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd

from tabgen.generator import FitContext, Generator, GeneratorInfo, Limits
from tabgen.table import Table


class Honest(Generator):
    """Real rows drawn with replacement: it breaks none."""

    info = GeneratorInfo("honest", "real rows drawn with replacement", accepts_missing=True)

    def fit(self, table: Table, context: FitContext) -> None:
        self.table = table

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return self.draw(n_rows, np.random.default_rng(seed))

    def draw(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        return self.table.take(rng.integers(0, len(self.table), n_rows)).frame


class NoDefault(Honest):
    def __init__(self, rate: float) -> None:
        self.rate = rate


class Raising(Honest):
    """It breaks on every table."""

    def fit(self, table: Table, context: FitContext) -> None:
        self.rate = 1 / (len(table) - len(table))


class Endless(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        time.sleep(3600)


class Exits(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        sys.exit(3)


class ExitsAtOnce(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        os._exit(7)


class ExitsQuietly(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        print("done", flush=True)
        os._exit(0)


class ExitsWithoutTime(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        if context.seconds_left < 0:
            sys.exit(4)


class LeavesProcess(Honest):
    """The process hides in a session of its own."""

    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        self.helper = subprocess.Popen(
            ["sleep", "3600"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


class HashOrder(Honest):
    """The order of a set of strings differs from process to process."""

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return self.draw(n_rows, np.random.default_rng([seed, hash("rows") % 2**32]))


class UnknownLevel(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return super().sample(n_rows, seed).assign(colour="purple")


class Infinite(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return super().sample(n_rows, seed).assign(length=np.inf)


class LosesColumn(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return super().sample(n_rows, seed).drop(columns="legs")


class OneRowMore(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return super().sample(n_rows + 1, seed)


class LosesClass(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        self.table = table.take(np.flatnonzero(table.labels != 2))


class Unseeded(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return self.draw(n_rows, np.random.default_rng())


class GoesOn(Honest):
    """One stream of random numbers for all draws."""

    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        self.rng = np.random.default_rng(context.seed)

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return self.draw(n_rows, self.rng)


class IgnoresSeed(Honest):
    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return super().sample(n_rows, 0)


class SeedsTheWorld(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        np.random.seed(context.seed)


class EditsInput(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        table.frame["length"] = 0.0


class Remembers(Honest):
    """Rows of an earlier fit stay."""

    def fit(self, table: Table, context: FitContext) -> None:
        self.table = table if not hasattr(self, "table") else Table.from_frame(
            pd.concat([self.table.frame, table.frame]), table.schema.target
        )  # fmt: skip


class NotesNan(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        context.notes["loss"] = float("nan")


class UndeclaredLimit(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        if len(table) < 12:
            raise ValueError("too few rows")
        super().fit(table, context)


class DeclaredLimit(UndeclaredLimit):
    info = GeneratorInfo("declared", "says that it needs 12 rows", accepts_missing=True, limits=Limits(min_rows=12))


class Peeks(Honest):
    """Learns from the whole table, which it finds among the variables of whoever called it."""

    def fit(self, table: Table, context: FitContext) -> None:
        self.table, frame = table, inspect.currentframe()
        while frame := frame and frame.f_back:
            for thing in frame.f_locals.values():
                if isinstance(thing, Table) and len(thing) > len(table):
                    self.table = thing


class FailsWithoutTime(Honest):
    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        if context.seconds_left < 0:
            raise RuntimeError("no time left")


class NoMissing(Honest):
    """Says that it takes missing values, and does not."""

    def fit(self, table: Table, context: FitContext) -> None:
        super().fit(table, context)
        if table.frame.isna().any(axis=None):
            raise ValueError("Input contains NaN")


def local_class() -> type[Generator]:
    class Local(Honest):
        pass

    return Local


BREAKERS: list[tuple[str, type[Generator], str]] = [
    ("information", NoDefault, "every setting needs a default"),
    ("pickles-by-name", local_class(), "top level"),
    ("time-limit", LeavesProcess, "1 process"),
    ("fresh-process", HashOrder, "other rows for the same seeds"),
    ("valid-sample", UnknownLevel, "purple"),
    ("valid-sample", Infinite, "'length'"),
    ("valid-sample", LosesColumn, "legs"),
    ("row-counts", OneRowMore, "1 rows were asked for and 2 came"),
    ("every-class", LosesClass, "wasp"),
    ("same-seed", Unseeded, "same table and seeds"),
    ("samples-apart", GoesOn, "changes when called again"),
    ("other-seed", IgnoresSeed, "very same 50 rows"),
    ("global-random-states", SeedsTheWorld, "state of numpy"),
    ("input-untouched", EditsInput, "work on a copy"),
    ("fit-twice", Remembers, "fitted a second time"),
    ("notes", NotesNan, "JSON cannot"),
    ("limits", UndeclaredLimit, "too few rows"),
    ("held-out-rows", Peeks, "held-out rows had changed"),
    ("no-time-left", FailsWithoutTime, "no time left"),
    ("hard-table:missing-values", NoMissing, "Input contains NaN"),
]
"""The check that must fail, the generator, and words of the reason."""
