"""The Ray engine: the same cells on many machines, each a Ray task on a CPU (or GPU) of the cluster.

A Ray worker keeps a local engine with its fork server, so a cell runs there as it does at home: in a process of its
own, under the same limits. What takes the Ray worker or its whole node away is not the cell's doing: the cell runs
again elsewhere, and ends as ``crashed`` if that happens ``ATTEMPTS`` times. The driver alone writes the store.
"""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tabgen.engines import EngineSettings
from tabgen.engines.local import LocalEngine, log_of, next_cell
from tabgen.environment import provenance
from tabgen.errors import TabgenError
from tabgen.outcome import Cell, Result

ATTEMPTS = 3
WAIT_SECONDS = 1.0


class RayEngine:
    """Runs cells on the Ray cluster that ``RAY_ADDRESS`` names, or that this machine is part of, or on a new one.

    Parameters
    ----------
    settings : EngineSettings
        With ``workers`` 0, as many cells at once as the nodes that are alive have room for. With ``gpus``, every
        cell asks Ray for one GPU.
    """

    def __init__(self, settings: EngineSettings) -> None:
        try:
            import ray
        except ImportError as error:
            raise TabgenError("the engine 'ray' needs Ray: pip install 'tabgen-bench[ray]'.") from error
        self._ray, self.settings = ray, settings
        self._stopping = False

    def stop(self) -> None:
        """Let running cells finish; start no more."""
        self._stopping = True

    def run(self, cells: list[Cell], started: Callable[[Cell], None] = lambda _: None) -> Iterator[tuple[Cell, Result]]:
        """One result for every cell that ran, as each ends."""
        ours = self._connect()
        waiting, running, handed = deque(cells), dict[Any, tuple[Cell, int]](), Counter[Any]()
        task = self._ray.remote(num_cpus=self.settings.threads, num_gpus=1 if self.settings.gpus else 0, max_retries=0)(
            _run_here
        )
        try:
            while running or (waiting and not self._stopping):
                room = self.settings.workers or self._room()
                while waiting and len(running) < room and not self._stopping:
                    cell = next_cell(waiting, [cell for cell, _ in running.values()], self.settings, handed)
                    running[task.remote(cell, self.settings)] = (cell, 1)
                    started(cell)
                for reference in self._ray.wait(list(running), timeout=WAIT_SECONDS)[0]:
                    cell, attempt = running.pop(reference)
                    try:
                        result, log = self._ray.get(reference)
                    except self._ray.exceptions.RayError as error:
                        if attempt < ATTEMPTS:
                            running[task.remote(cell, self.settings)] = (cell, attempt + 1)
                            continue
                        result, log = _lost(error, attempt), b""
                    if log:
                        self.settings.log_folder.mkdir(parents=True, exist_ok=True)
                        log_of(cell, self.settings).write_bytes(log)
                    yield cell, replace(result, attempts=attempt)
        finally:
            for reference in running:
                self._ray.cancel(reference, force=True)
            if ours:
                self._ray.shutdown()

    def _connect(self) -> bool:
        """Join the cluster, and say whether this call did it."""
        ours = not self._ray.is_initialized()
        if ours:
            self._ray.init(log_to_driver=False, configure_logging=False)
        if not self._room():
            needs = f"{self.settings.threads} CPUs{' and a GPU' if self.settings.gpus else ''}"
            raise TabgenError(f"no node of the Ray cluster has the {needs} that a cell needs; add one.")
        return ours

    def _room(self) -> int:
        """How many cells the nodes that are alive can run at once."""
        resources = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        by_cpu = [int(each.get("CPU", 0) // self.settings.threads) for each in resources]
        if not self.settings.gpus:
            return sum(by_cpu)
        return sum(min(cpus, int(each.get("GPU", 0))) for cpus, each in zip(by_cpu, resources, strict=True))


def _lost(error: Exception, attempts: int) -> Result:
    text = " ".join(str(error).split())[:300]
    reason = f"its Ray worker or node was lost {attempts} times; the last time: {type(error).__name__}: {text}"
    return Result("crashed", reason)


def _run_here(cell: Cell, settings: EngineSettings) -> tuple[Result, bytes]:
    """In a Ray worker: the result of the cell, and its log if it left one."""
    engine = _engine_of_this_worker(replace(settings, workers=1, gpus=min(1, settings.gpus)))
    ((_, result),) = engine.run([cell])
    log = log_of(cell, engine.settings)
    content = log.read_bytes() if log.is_file() else b""
    log.unlink(missing_ok=True)
    return replace(result, provenance=provenance()), content


@cache
def _engine_of_this_worker(settings: EngineSettings) -> LocalEngine:
    logs = Path(tempfile.mkdtemp(prefix="tabgen-"))
    return LocalEngine(replace(settings, log_folder=logs), stay=True)
