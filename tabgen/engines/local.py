"""The local engine: an evaluator and a host per cell, each a process, with limits that hold for any plugin."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from tabgen.clock import PHASES
from tabgen.engines import EngineSettings
from tabgen.engines.servers import Server, Servers
from tabgen.errors import ExperimentError, TabgenError
from tabgen.host import environments
from tabgen.made_elsewhere import FILE
from tabgen.outcome import Cell, Result, curve_key, rows_key
from tabgen.plugins import Plugins, get_plugins
from tabgen.processes import descendants, is_over, kill, kill_group, memory_mb, start_time
from tabgen.text import MOST_LOG
from tabgen.variables import GPUS

POLL_SECONDS = 0.25
LOG_LIMIT = 1_000_000
"""Bytes of a cell's log that are kept: the last ones."""
REPORT_LIMIT = 64_000_000
"""Bytes of an evaluator's report that are read: its last ones."""
LOOK_AHEAD = 100
"""Waiting cells among which one is looked for that makes other rows than those under way."""
GRACE_SECONDS = 2.0
"""For a host to end by itself once its evaluator has."""
ATTEMPTS = 2
"""How often a cell is started when what is lost is not its own process but the server that forked it."""


@dataclass
class Running:
    """A cell under way: its log, its GPU if any, its processes once known, and what it was stopped for, if it was."""

    cell: Cell
    log: Path
    gpu: str | None
    began: float
    report: IO[bytes]
    hosts: Server | None = None
    evaluator: int = 0
    host: int = 0
    exit: int | None = None
    verdict: tuple[str, str] | None = None
    host_exit: int | None = None
    ended: float | None = None
    family: dict[int, str] = field(default_factory=dict)

    def is_over(self) -> bool:
        """Whether its evaluator has ended, and its host too or else had a moment to: how it ended may be the reason."""
        if self.exit is None:
            return False
        self.ended = self.ended or time.monotonic()
        return not self.host or self.host_exit is not None or time.monotonic() - self.ended > GRACE_SECONDS

    def look(self) -> None:
        """Remember what the cell has started, by number and start: found again even if its ancestors are gone."""
        for root in self.roots:
            self.family |= {pid: start_time(pid) for pid in descendants(root) if pid not in self.family}

    @property
    def roots(self) -> list[int]:
        """Evaluator and host, as far as they are alive."""
        alive = [self.host if self.host_exit is None else 0, self.evaluator if self.exit is None else 0]
        return [pid for pid in alive if pid]

    def kill(self) -> None:
        """Kill evaluator and host with everything they started, in whatever session it is."""
        self.look()
        for root in self.roots:
            kill_group(root)
        for pid, began in self.family.items():
            if began and start_time(pid) == began:
                kill(pid)


class LocalEngine:
    """Runs cells on this machine.

    Parameters
    ----------
    settings : EngineSettings
    stay : bool
        Keep the fork servers between calls of :meth:`run`, until :meth:`close`.
    """

    def __init__(self, settings: EngineSettings, stay: bool = False) -> None:
        self.settings, self._stay = settings, stay
        self.workers = settings.workers or settings.gpus or max(1, (os.cpu_count() or 1) // settings.threads)
        self._plugins = get_plugins(settings.choice)
        self._servers: Servers | None = None
        self._stopping = False
        self._attempts: Counter[str] = Counter()
        self._handed: Counter[Any] = Counter()

    def stop(self) -> None:
        """Let running cells finish; start no more."""
        self._stopping = True

    def close(self) -> None:
        """End the fork servers."""
        if self._servers:
            self._servers.close()
            self._servers = None

    def run(self, cells: list[Cell], started: Callable[[Cell], None] = lambda _: None) -> Iterator[tuple[Cell, Result]]:
        """One result for every cell that ran, as each ends."""
        waiting, running, ended = deque(cells), dict[str, Running](), deque[tuple[Cell, Result]]()
        gpus = visible_gpus(self.settings.gpus)
        with contextlib.suppress(OSError):
            self.settings.log_folder.mkdir(parents=True, exist_ok=True)
        self._servers = self._servers or self._start()
        try:
            while running or ended or (waiting and not self._stopping):
                self._start_cells(waiting, running, ended, gpus, started)
                while ended:  # handed over once their places are taken: storing them keeps nobody waiting
                    yield ended.popleft()
                for server, message in self._servers.answers(POLL_SECONDS if running else 0):
                    _take_in(server, message, running)
                for state in running.values():
                    state.began += self._servers.stopped  # no limit counts the time for which nobody looked
                    _enforce_limits(state)
                for state in [state for state in running.values() if state.is_over()]:
                    del running[state.cell.key]
                    ended += self._end(state, waiting)
                self._replace_the_dead(running, waiting, ended)
        finally:
            for state in running.values():
                state.kill()
                state.report.close()
            if not self._stay:
                self.close()

    def _start(self) -> Servers:
        """The fork servers, with the plugins in evaluators that bring models or metrics."""
        plugins = self._plugins
        bring = {
            *(plugins.models.plugin_of(name).name for name in plugins.models),
            *(plugins.metrics.plugin_of(name).name for name in plugins.metrics),
        }
        origins = [plugin.origin for plugin in plugins.plugins if plugin.name in bring]
        sources = [asdict(origin) for origin in origins if origin and origin.kind != "built in"]
        return Servers(sources, self.settings.preload, self.settings.threads)

    def _has_room(self, running: dict[str, Running], following: Cell) -> bool:
        """Whether another cell can start; one that lost its server before runs alone, to cost no neighbour its work."""
        suspects = [key for key in (*running, following.key) if self._attempts[key] > (key in running)]
        return len(running) < (1 if suspects else self.workers)

    def _start_cells(
        self,
        waiting: deque[Cell],
        running: dict[str, Running],
        ended: deque[tuple[Cell, Result]],
        gpus: list[str],
        started: Callable[[Cell], None],
    ) -> None:
        """Start as many cells as there is room for; one that cannot run on this machine has ended."""
        assert self._servers is not None
        while waiting and self._has_room(running, waiting[0]) and not self._stopping:
            cell = next_cell(waiting, [state.cell for state in running.values()], self.settings, self._handed)
            obstacle = _obstacle(cell, self._plugins)
            if obstacle:
                ended.append((cell, obstacle))
            else:
                running[cell.key] = self._begin(cell, _freest(gpus, running), self._servers)
            if self._attempts[cell.key] <= 1:
                started(cell)

    def _begin(self, cell: Cell, gpu: str | None, servers: Servers) -> Running:
        """Ask for an evaluator, and for a host where there is a generator, with a connection between the two."""
        self._attempts[cell.key] += 1
        task, report = _nameless_file(), _nameless_file()
        state = Running(cell, log_of(cell, self.settings), gpu, time.monotonic(), report)
        info, ends = None, []
        with contextlib.ExitStack() as open_files:
            log = open_files.enter_context(_open_log(state.log))
            open_files.enter_context(task)
            if cell.generator not in (None, FILE):  # rows in a file need no process
                info = asdict(self._plugins.generators[cell.generator].info) | {"environment": None, "search": {}}
                ends = [open_files.enter_context(end) for end in socket.socketpair()]
                state.hosts = servers.hosts_of(*_hosts_of(cell, self._plugins))
                files = [ends[0].fileno(), log.fileno()]
                state.hosts.ask({"op": "host", "id": cell.key, "gpu": gpu}, files)
            cache = asdict(self.settings.cache) if self.settings.cache else None
            task.write(json.dumps({"cell": cell.to_dict(), "info": info, "cache": cache}).encode())
            task.seek(0)
            files = [task.fileno(), report.fileno(), log.fileno(), *([ends[1].fileno()] if ends else [])]
            servers.evaluators.ask({"op": "evaluate", "id": cell.key, "gpu": gpu}, files)
        return state

    def _end(self, state: Running, waiting: deque[Cell]) -> list[tuple[Cell, Result]]:
        """The result of a cell whose evaluator has ended; none if it runs again, since its host's server was lost."""
        state.kill()
        result = _finish(state)
        server = state.hosts
        lost = server is not None and (not server.alive or (server.pid > 0 and is_over(server.pid)))
        if lost and result.status == "crashed" and not state.verdict and self._attempts[state.cell.key] < ATTEMPTS:
            waiting.appendleft(state.cell)
            return []
        del self._attempts[state.cell.key]
        return [(state.cell, result)]

    def _replace_the_dead(
        self, running: dict[str, Running], waiting: deque[Cell], ended: deque[tuple[Cell, Result]]
    ) -> None:
        """Put away servers that died or stopped; cells that were lost with one run again, alone."""
        assert self._servers is not None
        for server in [server for server in self._servers.hosts.values() if not server.alive]:
            self._servers.forget(server)
        if self._servers.evaluators.alive:
            return
        for state in running.values():
            state.kill()
            if state.verdict or self._attempts[state.cell.key] >= ATTEMPTS:
                state.exit = -signal.SIGKILL
                del self._attempts[state.cell.key]
                ended.append((state.cell, _finish(state)))
            else:
                waiting.appendleft(state.cell)
                state.report.close()
        running.clear()
        self._servers.close()
        self._servers = self._start()


def _hosts_of(cell: Cell, plugins: Plugins) -> tuple[str, str | None, dict[str, Any]]:
    """Which server forks the host of a cell: its name, its interpreter if not ours, and what it is told."""
    assert cell.generator is not None
    plugin, info = plugins.generators.plugin_of(cell.generator), plugins.generators[cell.generator].info
    names = [name for name in plugins.generators if plugins.generators.plugin_of(name) is plugin]
    infos = [plugins.generators[name].info for name in names]
    preload = {module for other in infos if other.environment == info.environment for module in other.preload}
    source = plugin.origin if plugin.origin and plugin.origin.kind != "built in" else None
    order = {"source": asdict(source) if source else None, "preload": sorted(preload)}
    if info.environment is None or source is None:
        return plugin.name, None, order
    folder = environments.folder_of(plugin.name, info.environment)
    python = environments.interpreter(plugin.name, info.environment)
    return f"{plugin.name} {folder}", python, order | {"variables": environments.variables(source, info.environment)}


def _obstacle(cell: Cell, plugins: Plugins) -> Result | None:
    """Why a cell cannot run on this machine: its generator's environment may be on the one that planned it alone."""
    if cell.environment is None or cell.generator is None:
        return None
    plugin, info = plugins.generators.plugin_of(cell.generator), plugins.generators[cell.generator].info
    try:
        environments.lock_of(plugin, info)
    except ExperimentError as error:
        return Result("error", str(error))
    return None


def _take_in(server: Server, message: dict[str, Any], running: dict[str, Running]) -> None:
    """What a server says of one of its processes: that it started, or how it ended."""
    state = running.get(message["id"])
    if state is None:  # the cell has ended; its host must not outlive it
        kill_group(message.get("pid", 0))
        return
    of_host = server is state.hosts
    if "pid" in message and of_host:
        state.host = message["pid"]
    elif "pid" in message:
        state.evaluator = message["pid"]
    elif of_host:
        state.host_exit = message["exit"]
    else:
        state.exit = message["exit"]


def _nameless_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("tabgen"), "w+b")  # in memory: a full disk cannot silence a cell
    return tempfile.TemporaryFile()


def _open_log(path: Path) -> IO[bytes]:
    """A new log; nowhere, if there is no place for one."""
    try:
        path.unlink(missing_ok=True)
        return path.open("ab", buffering=0)
    except OSError:
        return Path(os.devnull).open("ab", buffering=0)


def next_cell(waiting: deque[Cell], running: list[Cell], settings: EngineSettings, handed: Counter[Any]) -> Cell:
    """Take the first waiting cell for which no running cell is making something: later it finds that in the cache.

    That are its synthetic rows, and the learning curve of its fold, where none of the running cells that want it can
    have found it. If there is no such cell, the first: then both make them.

    Parameters
    ----------
    handed : Counter
        How many cells that want a curve were taken before, by curve; counted here.
    """
    place = 0
    if settings.cache and running:
        rows = {rows_key(cell) for cell in running} - {None}
        wanted = Counter(curve_key(cell) for cell in running)
        curves = {curve for curve, cells in wanted.items() if curve and cells == handed[curve]}
        free = (
            position
            for position, cell in enumerate(itertools.islice(waiting, LOOK_AHEAD))
            if curve_key(cell) not in curves and rows_key(cell) not in rows
        )
        place = next(free, 0)
    cell = waiting[place]
    del waiting[place]
    handed[curve_key(cell)] += 1
    return cell


def log_of(cell: Cell, settings: EngineSettings) -> Path:
    return (settings.log_folder / f"{cell.key[:16]}.log").resolve()


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
    named = os.environ.get(GPUS)
    ids = [str(number) for number in range(count)] if named is None else [gpu for gpu in named.split(",") if gpu]
    if len(ids) < count:
        raise TabgenError(f"{count} GPUs were asked for; {GPUS}={named} names {len(ids)}.")
    return ids[:count]


def _finish(state: Running) -> Result:
    """The result of a cell whose evaluator has ended."""
    assert state.exit is not None
    result, phase = _read_report(state.report)
    if result is None or (state.verdict and result.status != "ok"):
        limit = state.cell.limits.get("phases", {}).get(phase)
        status, reason = state.verdict or _death(state.exit, limit)
        result = Result.from_dict({"status": status, "reason": f"{reason} (in phase '{phase}')"})
    elif result.status == "crashed" and state.host_exit is not None:  # the evaluator is well, its host is not
        result = replace(result, reason=f"{_death(state.host_exit, None)[1]} (in phase '{phase}')")
    spared = float(result.measured.get("spared_seconds") or 0.0)
    inside = sum(float(result.measured.get(f"seconds_{phase}") or 0.0) for phase in PHASES) - spared
    wall = round(max(time.monotonic() - state.began, inside), 4)  # while this process was stopped, the cell may go on
    total = round(wall + spared, 4)
    log = _cut_log(state.log) if result.status != "ok" else _cut_log(state.log) and b""
    return replace(
        result,
        measured=result.measured | {"seconds_wall": wall, "seconds_total": total},
        log_tail=log[-MOST_LOG:].decode(errors="replace"),
    )


def _read_report(report: IO[bytes]) -> tuple[Result | None, str]:
    """What an evaluator reported: its result if it had one, and the phase that it was in last."""
    result, phase = None, "start"
    with report:
        size = report.seek(0, os.SEEK_END)
        report.seek(max(0, size - REPORT_LIMIT))
        lines = report.read().split(b"\n")
    for line in lines:
        try:
            entry = json.loads(line)
            phase = str(entry.get("phase", phase))
            result = Result.from_dict(entry["result"]) if "result" in entry else result
        except (ValueError, TypeError, AttributeError):  # cut off by a kill
            continue
    return result, phase


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
    if not state.evaluator or state.verdict:
        return
    with contextlib.suppress(OSError):
        if state.log.stat().st_size > 10 * LOG_LIMIT:
            os.truncate(state.log, 0)
    limits = state.cell.limits
    state.look()
    if time.monotonic() - state.began > limits["seconds"]:
        state.verdict = ("timeout", f"stopped after {limits['seconds']:g} s")
    elif (used := memory_mb(state.roots, limits["memory_mb"])) > limits["memory_mb"]:
        state.verdict = ("out_of_memory", f"stopped at {used:.0f} MB; the limit is {limits['memory_mb']:g} MB")
    if state.verdict:
        state.kill()


def _death(code: int, phase_limit: float | None) -> tuple[str, str]:
    """Status and reason of an evaluator or a host that ended without a result."""
    if code == -signal.SIGALRM and phase_limit:
        return "timeout", f"stopped after {phase_limit:g} s, the limit of this phase"
    if code < 0:
        return "crashed", f"its process was killed by signal {-code}"
    return "crashed", f"its process left with exit code {code} before it had a result"
