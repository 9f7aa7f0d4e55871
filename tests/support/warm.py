"""Servers of evaluators that need not import: forked from one process that has imported what all of them import.

Starting one takes seconds of a core, most of them PyTorch's, and a hundred tests start one. What a forked server goes
on to do is what any does. Runs in processes of their own (the kill tests, the installed command) start real ones.
"""

from __future__ import annotations

import importlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from paths import importing

from tabgen.arms import OPTIMISER
from tabgen.engines import server
from tabgen.host.channel import receive_message, send_message
from tabgen.host.forks import serve
from tabgen.variables import THREAD_VARIABLES

READ_AT_START = (*THREAD_VARIABLES, "PYTHONPATH", "PYTHONHASHSEED")
"""What an interpreter or its libraries look at once: a server with other ones is started for real."""


class Template:
    """The process that forks servers, started when the first is asked for."""

    def __init__(self) -> None:
        self._outside = {name: os.environ.get(name) for name in READ_AT_START}
        self._process: subprocess.Popen[bytes] | None = None
        self._pids: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self.module = SimpleNamespace(
            Popen=self.start, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
        )
        """What :mod:`tabgen.engines.servers` is to take for the module `subprocess`."""

    def start(self, command: Sequence[str], *, stdin: int, env: Mapping[str, str], pass_fds: Sequence[int]) -> Any:
        """A server for this order, forked; or a process of its own where an import would not find the same."""
        known = {name: os.environ.get(name) for name in READ_AT_START} == self._outside
        if not known or any(env[name] != "1" for name in THREAD_VARIABLES):
            return subprocess.Popen(command, stdin=stdin, env=env, pass_fds=pass_fds)
        if self._process is None:
            self._begin()
        name = str(len(self._pids))
        order = {"order": command[-1], "environment": dict(env), "folder": str(Path.cwd())}
        send_message(self._control, {"op": "server", "id": name} | order, [*pass_fds, 1, 2])
        while name not in self._pids:
            self._listen()
        return Forked(self, name, self._pids[name])

    def _begin(self) -> None:
        self._control, theirs = socket.socketpair()
        environment = importing(Path(__file__).parent) | dict.fromkeys(THREAD_VARIABLES, "1")
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, env=environment, pass_fds=(theirs.fileno(),))
        theirs.close()

    def _listen(self) -> None:
        received = receive_message(self._control)
        assert received is not None, "the template of servers has ended"
        message, _ = received
        if "exit" in message:
            self._ended[message["id"]] = message["exit"]
        else:
            self._pids[message["id"]] = message["pid"]

    def poll(self, name: str) -> int | None:
        while name not in self._ended and select.select([self._control], [], [], 0)[0]:
            self._listen()
        return self._ended.get(name)

    def close(self) -> None:
        if self._process is not None:
            self._control.close()
            self._process.wait()


class Forked:
    """As much of a `Popen` as is asked of a server's."""

    def __init__(self, template: Template, name: str, pid: int) -> None:
        self._template, self._name, self.pid = template, name, pid

    def poll(self) -> int | None:
        return self._template.poll(self._name)

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + (timeout or float("inf"))
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("server", timeout or 0)
            time.sleep(0.01)
        return code


def _become(message: dict[str, Any], files: list[int]) -> None:
    number, *streams = files
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, *streams)):
        os.dup2(source, target)
        os.close(source)
    os.environ.clear()
    os.environ.update(message["environment"])
    os.chdir(message["folder"])
    sys.argv = ["server", str(number), message["order"]]
    server.main()


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in ("torch", "sdmetrics.reports", "sdmetrics.single_table", OPTIMISER, *server.PRELOAD):
        importlib.import_module(name)
    serve(control, {"server": _become})


if __name__ == "__main__":
    _main()
