"""Generators that go wrong in every way a stranger's code can; loaded with ``--plugin`` by tests."""

from __future__ import annotations

import ctypes
import inspect
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from tabgen import FitContext, Generator, GeneratorInfo, Table, hookimpl


class Faulty(Generator):
    info = GeneratorInfo("faulty", "base of the others", accepts_missing=True)

    def fit(self, table: Table, context: FitContext) -> None:
        self.table, self.context = table, context

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        return self.table.frame.sample(n_rows, replace=True, random_state=seed)


FAULTS: list[type[Faulty]] = []


def fault(function: Callable[[Faulty, int, int], object]) -> type[Faulty]:
    """Turn a function into the ``sample`` of a generator named after it."""
    info = GeneratorInfo(function.__name__.replace("_", "-"), "a fault", accepts_missing=True)
    FAULTS.append(type(info.name, (Faulty,), {"info": info, "sample": lambda self, n, seed: function(self, n, seed)}))
    return FAULTS[-1]


@fault
def raises(self: Faulty, n: int, seed: int) -> NoReturn:
    raise RuntimeError("I always fail\nover two lines")


@fault
def leaves(self: Faulty, n: int, seed: int) -> NoReturn:
    sys.exit(3)


@fault
def exits(self: Faulty, n: int, seed: int) -> NoReturn:
    os._exit(7)


@fault
def segfaults(self: Faulty, n: int, seed: int) -> None:
    ctypes.string_at(0)


@fault
def hangs(self: Faulty, n: int, seed: int) -> NoReturn:
    while True:
        time.sleep(0.01)


@fault
def sleeps_in_c(self: Faulty, n: int, seed: int) -> None:
    ctypes.CDLL(None).sleep(1000)


@fault
def eats_memory(self: Faulty, n: int, seed: int) -> NoReturn:
    kept = []
    while True:
        kept.append(np.ones(20_000_000))
        time.sleep(0.01)


@fault
def not_a_number(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    frame = Faulty.sample(self, n, seed)
    numbers = frame.select_dtypes("number").columns
    return frame.assign(**{numbers[0]: np.nan})


@fault
def infinite(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    frame = Faulty.sample(self, n, seed)
    return frame.assign(**{frame.select_dtypes("number").columns[0]: np.inf})


@fault
def wrong_columns(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    return Faulty.sample(self, n, seed).rename(columns=lambda c: c + "x")


@fault
def too_few_rows(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    return Faulty.sample(self, n // 2, seed)


@fault
def one_class(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    frame = Faulty.sample(self, n, seed)
    return frame.assign(**{self.table.schema.target: self.table.schema.classes[0]})


@fault
def unknown_class(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    return Faulty.sample(self, n, seed).astype(object).assign(**{self.table.schema.target: "no such class"})


@fault
def not_a_table(self: Faulty, n: int, seed: int) -> list[int]:
    return [1, 2, 3]


@fault
def prints_megabytes(self: Faulty, n: int, seed: int) -> NoReturn:
    for _ in range(3000):
        print("x" * 1000)
    print("the last words", flush=True)
    raise RuntimeError("after a lot of output")


@fault
def prints_without_end(self: Faulty, n: int, seed: int) -> NoReturn:
    while True:
        os.write(1, b"y" * 100_000 + b"\n")
        time.sleep(0.001)


@fault
def forks_children(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    for _ in range(3):
        if os.fork() == 0:
            Path(os.environ["FAULT_FOLDER"], str(os.getpid())).touch()
            time.sleep(1000)
    time.sleep(0.3)
    return Faulty.sample(self, n, seed)


@fault
def peeks(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    """Looks for the table with the test rows in every frame above."""
    frame = inspect.currentframe()
    while frame:
        for name, value in frame.f_locals.items():
            if isinstance(value, Table) and len(value) > len(self.table):
                raise RuntimeError(f"saw {len(value)} rows as {name}")
        frame = frame.f_back
    return Faulty.sample(self, n, seed)


@fault
def unsettles_torch(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    """Leaves every setting of its process changed."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    os.chdir("/")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return Faulty.sample(self, n, seed)


@fault
def spoils_weights(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    """Changes the foundation model that it is given."""
    import torch

    with torch.no_grad():
        for weight in self.context.foundation_model.module.parameters():
            weight.mul_(0.5)
    return Faulty.sample(self, n, seed)


@fault
def patches_metrics(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    import tabgen.metrics

    tabgen.metrics.roc_auc = lambda labels, probabilities: 0.999
    return Faulty.sample(self, n, seed)


@fault
def leaves_a_daemon(self: Faulty, n: int, seed: int) -> NoReturn:
    """Forks twice into a session of its own, out of reach of its group."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path(os.environ["FAULT_FOLDER"], str(os.getpid())).touch()
            time.sleep(300)
        os._exit(0)
    time.sleep(0.5)
    raise RuntimeError("a daemon is left behind")


@fault
def hides_memory_in_a_daemon(self: Faulty, n: int, seed: int) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            hoard = np.ones(250_000_000)
            time.sleep(300)
            os._exit(int(hoard[0]))
        os._exit(0)
    time.sleep(300)


@fault
def forks_idle_children(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    """Their pages are shared: together they are no larger than one."""
    for _ in range(12):
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
    time.sleep(2)
    return Faulty.sample(self, n, seed)


@fault
def stops_its_parent(self: Faulty, n: int, seed: int) -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(300)


@fault
def closes_every_file(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    os.closerange(3, 256)
    return Faulty.sample(self, n, seed)


@fault
def answers_twice(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    """Its fork comes back into tabgen's code, beside itself."""
    if os.fork() == 0:
        raise RuntimeError("the child raised, the parent was fine")
    time.sleep(0.5)
    return Faulty.sample(self, n, seed)


@fault
def notes_what_json_cannot_hold(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    self.context.notes["number"] = np.int64(3)
    return Faulty.sample(self, n, seed)


@fault
def notes_a_megabyte(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    self.context.notes["trace"] = "x" * 1_000_000
    return Faulty.sample(self, n, seed)


@fault
def raises_control_characters(self: Faulty, n: int, seed: int) -> NoReturn:
    raise ValueError("A\x1b[2J\x1b]0;TITLE\x07 [red]B[/foo] caf\udce9")


@fault
def kills_grandparent(self: Faulty, n: int, seed: int) -> None:
    """Of a cell: what runs the fork server."""
    import psutil

    psutil.Process().parents()[3].kill()  # guard, server of hosts, server of evaluators, engine
    time.sleep(1000)


@fault
def changes_random_state(self: Faulty, n: int, seed: int) -> pd.DataFrame:
    random.seed(1)
    np.random.seed(1)
    import torch

    torch.manual_seed(1)
    return Faulty.sample(self, n, seed)


class Blind:
    """A model that cannot be loaded, and says for what it was asked."""

    name, summary, licence = "blind", "says where it was to be loaded", ""

    @staticmethod
    def fingerprint() -> str:
        return "0" * 64

    @staticmethod
    def load(device: str) -> object:
        import torch

        shown = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise RuntimeError(f"asked for {device}, sees {shown}, initialised: {torch.cuda.is_initialized()}")  # type: ignore[no-untyped-call]


@hookimpl
def tabgen_register_models(register: Callable[[type[Blind]], None]) -> None:
    register(Blind)


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    for generator in FAULTS:
        register(generator)
