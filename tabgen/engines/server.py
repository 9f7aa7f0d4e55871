"""The fork server of the local engine: imports everything heavy once, then forks one process per cell.

Run as ``python -m tabgen.engines.server`` by :mod:`tabgen.engines.local`. It reads one JSON object per line
on standard input ({"id", "cell", "log", "gpu"}) and writes one per line on standard output: {"ready"} when it can
fork, {"id", "pid"} when a cell starts, {"id", "exit", "lines"} when it has ended. When its input ends,
because the parent is done or dead, it kills every cell and leaves.

A cell leads a session of its own, so that all its processes can be killed as one group. It reports through a
file without a name, one JSON object per line: {"phase"} as each begins, {"result"} at the end. The system's alarm
clock ends a cell whose phase runs longer than its limit. CUDA is touched by cells only, never before the fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import traceback
from dataclasses import dataclass
from typing import IO, Any, NoReturn

PRELOAD = ("pyarrow.parquet", "sklearn.metrics", "torch._dynamo", "tabgen.cell", "tabgen.models.checkpoints")
"""Imported once, so that no cell has to. (The first optimiser of a process imports torch._dynamo: 2.3 s.)"""

PRELOAD_MORE = "TABGEN_PRELOAD"
"""Environment variable: what the generators of a run want imported as well, separated by commas."""

CACHE = "TABGEN_CACHE"
"""Environment variable: where cells keep what others can use, as JSON; null: nowhere."""


@dataclass
class Running:
    """A forked cell: which one, and the file it reports in."""

    id: str
    report: IO[bytes]


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to interpret
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a plugin prints while it is imported must not look like an answer
    plugins = _import_everything()
    wake_read, wake_write = socket.socketpair()
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    running: dict[int, Running] = {}
    pending = b""
    print(json.dumps({"ready": os.getpid()}), file=out)
    while True:
        ready = {key.fd for key, _ in selector.select()}
        if wake_read.fileno() in ready:
            wake_read.recv(4096)
            _reap(running, out)
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                report = _nameless_file()
                server, pid = os.getpid(), os.fork()
                if pid == 0:
                    die_with(server)
                    _child(request, report, plugins)
                running[pid] = Running(request["id"], report)
                print(json.dumps({"id": request["id"], "pid": pid}), file=out)
    for pid in running:
        kill_group(pid)


def kill_group(pid: int) -> None:
    """Kill a cell's whole process group; nothing happens if it is gone, or never had a process (0)."""
    if pid <= 0:  # to the system, 0 means the caller's own group
        return
    for kill in (os.killpg, os.kill):  # it may not have become a group leader yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def die_with(parent: int) -> None:
    """Have the system kill this process when its parent dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before that call
        os._exit(70)


def _nameless_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("report"), "w+b")  # in memory: a full disk cannot silence a cell
    return tempfile.TemporaryFile()


def _import_everything() -> Any:
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for name in (*PRELOAD, *filter(None, os.environ.get(PRELOAD_MORE, "").split(","))):
        with contextlib.suppress(ImportError):  # the cell that needs it will say so
            importlib.import_module(name)
    from tabgen.environment import package_versions
    from tabgen.plugins import get_plugins

    package_versions()
    return get_plugins()


def _reap(running: dict[int, Running], out: IO[str]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        cell = running.pop(pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # what the cell left running
        cell.report.seek(0)
        lines = [line for line in cell.report.read().decode().split("\n") if line]
        cell.report.close()
        print(json.dumps({"id": cell.id, "exit": os.waitstatus_to_exitcode(status), "lines": lines}), file=out)


def _child(request: dict[str, Any], report: IO[bytes], plugins: Any) -> NoReturn:
    """The forked process: run the cell, report, and leave without the server's clean-up."""
    code = 0
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, report.fileno())
        os.closerange(report.fileno() + 1, 256)

        def tell(entry: dict[str, Any]) -> None:
            os.write(report.fileno(), (json.dumps(entry) + "\n").encode())

        from tabgen.cache import Cache, CacheSettings
        from tabgen.cell import run_cell, status_of

        cell, where = request["cell"], json.loads(os.environ.get(CACHE, "null"))
        limits = cell["limits"].get("phases", {})

        def enter(phase: str, spent: float) -> None:
            tell({"phase": phase})
            signal.setitimer(signal.ITIMER_REAL, max(limits[phase] - spent, 0.001) if phase in limits else 0)

        if request["gpu"] is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = request["gpu"]
        try:
            cache = Cache(CacheSettings(**where)) if where else None
            device = "cpu" if request["gpu"] is None else "cuda"
            tell({"result": run_cell(cell, plugins, enter, cache, device)})
        except BaseException as error:  # noqa: BLE001 - plugins raise anything; all of it is an outcome
            traceback.print_exc()
            tell({"result": {"status": status_of(error), "reason": _one_line(error)}})
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - the forked process must not run the server's code
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code)


def _one_line(error: BaseException) -> str:
    from tabgen.errors import TabgenError

    text = " ".join(str(error).split())
    return text[:500] if isinstance(error, TabgenError) else f"{type(error).__name__}: {text}"[:500]


if __name__ == "__main__":
    main()
