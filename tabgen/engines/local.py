"""The local engine: one process per cell, with limits on time and memory that hold for any plugin."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from tabgen.engines import EngineSettings
from tabgen.engines.server import CACHE, PRELOAD_MORE, kill_group
from tabgen.environment import THREAD_VARIABLES
from tabgen.errors import TabgenError
from tabgen.experiment import rows_key
from tabgen.plugins import ENVIRONMENT

Cell = dict[str, Any]
POLL_SECONDS = 0.25
LOG_TAIL = 2000
LOG_LIMIT = 1_000_000
"""Bytes of a cell's log that are kept: the last ones."""
START_SECONDS = 120
LOOK_AHEAD = 100
"""Waiting cells among which one is looked for that makes other rows than those under way."""


@dataclass
class Running:
    """A cell under way: its log, its GPU if any, its process once known, and what it was stopped for, if it was."""

    cell: Cell
    log: Path
    gpu: str | None
    began: float
    pid: int = 0
    verdict: tuple[str, str] | None = None


class LocalEngine:
    """Runs cells on this machine.

    Parameters
    ----------
    settings : EngineSettings
    stay : bool
        Keep the fork server between calls of :meth:`run`, until :meth:`close`.
    """

    def __init__(self, settings: EngineSettings, stay: bool = False) -> None:
        self.settings, self._stay = settings, stay
        self.workers = settings.workers or settings.gpus or max(1, (os.cpu_count() or 1) // settings.threads)
        self._server: _Server | None = None
        self._stopping = False

    def stop(self) -> None:
        """Let running cells finish; start no more."""
        self._stopping = True

    def close(self) -> None:
        """End the fork server."""
        if self._server:
            self._server.close()
            self._server = None

    def run(
        self, cells: list[Cell], started: Callable[[Cell], None] = lambda _: None
    ) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """One result for every cell that ran, as each ends."""
        waiting, running, ended = deque(cells), dict[str, Running](), deque[tuple[Cell, dict[str, Any]]]()
        gpus = visible_gpus(self.settings.gpus)
        self.settings.log_folder.mkdir(parents=True, exist_ok=True)
        server = self._server = self._server or _Server(self.settings)
        try:
            while running or ended or (waiting and not self._stopping):
                while waiting and len(running) < self.workers and not self._stopping:
                    cell = next_cell(waiting, [state.cell for state in running.values()], self.settings)
                    gpu = _freest(gpus, running)
                    state = running[cell["key"]] = Running(cell, log_of(cell, self.settings), gpu, time.monotonic())
                    server.send({"id": cell["key"], "cell": cell, "log": str(state.log), "gpu": state.gpu})
                    started(cell)
                while ended:  # handed over once their places are taken: storing them keeps nobody waiting
                    yield ended.popleft()
                ended += _ends(server.messages(POLL_SECONDS if running else 0), running)
                for state in running.values():
                    _enforce_limits(state)
                if not server.alive:  # killed, or brought down by a fork that failed: its cells died with it
                    for state in running.values():
                        kill_group(state.pid)
                        ended.append((state.cell, _finish(state, {"exit": -9, "lines": []})))
                    running.clear()
                    server.close()
                    server = self._server = _Server(self.settings)
        finally:
            for state in running.values():
                kill_group(state.pid)
            if not self._stay:
                self.close()


def _ends(messages: list[dict[str, Any]], running: dict[str, Running]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Take in what the server says: process ids of cells that started, and the results of those that ended."""
    for message in messages:
        state = running[message["id"]]
        if "pid" in message:
            state.pid = message["pid"]
        else:
            del running[message["id"]]
            yield state.cell, _finish(state, message)


def next_cell(waiting: deque[Cell], running: list[Cell], settings: EngineSettings) -> Cell:
    """Take the first waiting cell whose synthetic rows no running cell is making: later it finds them in the cache.

    If there is none, the first: then both make them.
    """
    under_way = {rows_key(cell) for cell in running} - {None} if settings.cache else set()
    for position, cell in enumerate(itertools.islice(waiting, LOOK_AHEAD) if under_way else ()):
        if rows_key(cell) not in under_way:
            del waiting[position]
            return cell
    return waiting.popleft()


def log_of(cell: Cell, settings: EngineSettings) -> Path:
    return (settings.log_folder / f"{cell['key'][:16]}.log").resolve()


def _freest(gpus: list[str], running: dict[str, Running]) -> str | None:
    """The GPU with the fewest cells on it; None where cells compute on the CPU."""
    taken = Counter(state.gpu for state in running.values())
    return min(gpus, key=lambda gpu: taken[gpu], default=None)


def visible_gpus(count: int) -> list[str]:
    """Ids of the first ``count`` GPUs that this process may use; they are not touched.

    Raises
    ------
    TabgenError
        If ``CUDA_VISIBLE_DEVICES`` names fewer.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    ids = [str(number) for number in range(count)] if named is None else [gpu for gpu in named.split(",") if gpu]
    if len(ids) < count:
        raise TabgenError(f"{count} GPUs were asked for; CUDA_VISIBLE_DEVICES={named} names {len(ids)}.")
    return ids[:count]


def _finish(state: Running, message: dict[str, Any]) -> dict[str, Any]:
    """The result of a cell whose process has ended."""
    lines = [json.loads(line) for line in message["lines"] if line.endswith("}")]
    result = next((line["result"] for line in lines if "result" in line), None)
    phase = next((line["phase"] for line in reversed(lines) if "phase" in line), "start")
    if result is None or (state.verdict and result["status"] != "ok"):
        verdict = state.verdict or _death(message["exit"], state.cell["limits"].get("phases", {}).get(phase))
        result = {"status": verdict[0], "reason": f"{verdict[1]} (in phase '{phase}')"}
    wall = round(time.monotonic() - state.began, 4)
    result |= {"seconds_wall": wall, "seconds_total": round(wall + result.get("spared_seconds", 0.0), 4)}
    log = _cut_log(state.log)
    return result | {"log_tail": log[-LOG_TAIL:].decode(errors="replace") if result["status"] != "ok" else ""}


def _cut_log(path: Path) -> bytes:
    """The end of a log, which is all that stays of it; an empty one goes."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - LOG_LIMIT))
            content = file.read()
        if not content:
            path.unlink()
        elif size > LOG_LIMIT:
            path.write_bytes(content)
    except OSError:
        return b""
    return content


def _enforce_limits(state: Running) -> None:
    """Kill a cell that is over its time or memory; its end arrives as a message. Empty a log that grows too long."""
    if not state.pid or state.verdict:
        return
    with contextlib.suppress(OSError):
        if state.log.stat().st_size > 10 * LOG_LIMIT:
            os.truncate(state.log, 0)
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


def _death(code: int, phase_limit: float | None) -> tuple[str, str]:
    """Status and reason of a process that ended without a result."""
    if code == -signal.SIGALRM and phase_limit:
        return "timeout", f"stopped after {phase_limit:g} s, the limit of this phase"
    if code < 0:
        return "crashed", f"its process was killed by signal {-code}"
    return "crashed", f"its process left with exit code {code} before it had a result"


class _Server:
    """The fork server's process and the lines to and from it."""

    def __init__(self, settings: EngineSettings) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(settings.threads))
        environment |= {ENVIRONMENT: settings.choice.to_environment(), PRELOAD_MORE: ",".join(settings.preload)}
        environment |= {CACHE: json.dumps(asdict(settings.cache) if settings.cache else None)}
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
