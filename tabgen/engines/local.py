"""The local engine: one process per cell, with limits on time and memory that hold for any plugin."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from tabgen.engines.server import PRELOAD_MORE, kill_group
from tabgen.environment import THREAD_VARIABLES
from tabgen.errors import TabgenError
from tabgen.plugins import ENVIRONMENT, PluginChoice

Cell = dict[str, Any]
POLL_SECONDS = 0.25
LOG_TAIL = 2000
START_SECONDS = 120


@dataclass
class Running:
    """A cell under way: its process, once known, and what it was stopped for, if it was."""

    cell: Cell
    began: float
    pid: int = 0
    verdict: tuple[str, str] | None = None


class LocalEngine:
    """Runs cells on this machine.

    Parameters
    ----------
    workers : int
        Cells at once.
    threads : int
        Compute threads of each; more than one seldom pays.
    choice : PluginChoice
        Which plugins the cells see.
    log_folder : Path
        What a cell prints goes to ``<key>.log`` here.
    preload : tuple of str
        Modules to import before the first cell is forked.
    """

    def __init__(
        self, workers: int, threads: int, choice: PluginChoice, log_folder: Path, preload: tuple[str, ...] = ()
    ) -> None:
        self.workers, self.threads, self.choice, self.log_folder = workers, threads, choice, log_folder
        self.preload = preload
        self._stopping = False

    def stop(self) -> None:
        """Let running cells finish; start no more."""
        self._stopping = True

    def run(
        self, cells: list[Cell], started: Callable[[Cell], None] = lambda _: None
    ) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """One result for every cell that ran, as each ends."""
        waiting, running = deque(cells), dict[str, Running]()
        self.log_folder.mkdir(parents=True, exist_ok=True)
        server = _Server(self)
        try:
            while running or (waiting and not self._stopping):
                while waiting and len(running) < self.workers and not self._stopping:
                    cell = waiting.popleft()
                    server.send({"id": cell["key"], "cell": cell, "log": str(self._log(cell))})
                    running[cell["key"]] = Running(cell, time.monotonic())
                    started(cell)
                for message in server.messages(POLL_SECONDS):
                    state = running[message["id"]]
                    if "pid" in message:
                        state.pid = message["pid"]
                    else:
                        del running[message["id"]]
                        yield state.cell, self._finish(state, message)
                for state in running.values():
                    _enforce_limits(state)
                if not server.alive:  # killed, or brought down by a fork that failed: its cells died with it
                    for state in running.values():
                        kill_group(state.pid)
                        yield state.cell, self._finish(state, {"exit": -9, "lines": []})
                    running.clear()
                    server.close()
                    server = _Server(self)
        finally:
            for state in running.values():
                kill_group(state.pid)
            server.close()

    def _log(self, cell: Cell) -> Path:
        return (self.log_folder / f"{cell['key'][:16]}.log").resolve()

    def _finish(self, state: Running, message: dict[str, Any]) -> dict[str, Any]:
        lines = [json.loads(line) for line in message["lines"] if line.endswith("}")]
        result = next((line["result"] for line in lines if "result" in line), None)
        phase = next((line["phase"] for line in reversed(lines) if "phase" in line), "start")
        if result is None or (state.verdict and result["status"] != "ok"):
            status, reason = state.verdict or ("crashed", _death(message["exit"]))
            result = {"status": status, "reason": f"{reason} (in phase '{phase}')"}
        result["seconds_total"] = round(time.monotonic() - state.began, 4)
        return result | {"log_tail": self._log_tail(state.cell) if result["status"] != "ok" else ""}

    def _log_tail(self, cell: Cell) -> str:
        path = self._log(cell)
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            return file.read().decode(errors="replace")
        return ""


def _enforce_limits(state: Running) -> None:
    """Kill a cell that is over its time or memory; its end arrives as a message."""
    if not state.pid or state.verdict:
        return
    limits = state.cell["limits"]
    if time.monotonic() - state.began > limits["seconds"]:
        state.verdict = ("timeout", f"stopped after {limits['seconds']:g} s")
    elif (used := _memory_mb(state.pid)) > limits["memory_mb"]:
        state.verdict = ("out_of_memory", f"stopped at {used:.0f} MB; the limit is {limits['memory_mb']:g} MB")
    if state.verdict:
        kill_group(state.pid)


def _memory_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, in megabytes."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return float(sum(member.memory_info().rss for member in family)) / 1e6
    except psutil.Error:
        return 0.0


def _death(code: int) -> str:
    if code < 0:
        return f"its process was killed by signal {-code}"
    return f"its process left with exit code {code} before it had a result"


class _Server:
    """The fork server's process and the lines to and from it."""

    def __init__(self, engine: LocalEngine) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(engine.threads))
        environment |= {ENVIRONMENT: engine.choice.to_environment(), PRELOAD_MORE: ",".join(engine.preload)}
        environment |= {"MPLBACKEND": "Agg", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tabgen.engines.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._pending = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self.alive = True
        ready = next(iter(self.messages(START_SECONDS)), None)
        if ready is None:
            self.close()
            raise TabgenError("the process that starts cells could not start; see its message above.")

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # messages() will notice
            self._process.stdin.write((json.dumps(message) + "\n").encode())
            self._process.stdin.flush()

    def messages(self, seconds: float) -> list[dict[str, Any]]:
        """What has arrived, after waiting at most this long for the first; ``alive`` turns False at the end."""
        if not self._selector.select(seconds):
            return []
        data = os.read(self._stdout.fileno(), 1 << 20)
        if not data:
            self.alive = False
            return []
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        self._selector.close()
