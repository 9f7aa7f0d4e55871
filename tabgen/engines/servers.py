"""The engine's end of the fork servers: starting them, asking them, noticing when one is silent or gone."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from tabgen.errors import TabgenError
from tabgen.host.channel import ChannelClosed, receive_message, send_message
from tabgen.processes import kill_group
from tabgen.variables import KEEP_MEMORY, THREAD_VARIABLES

START_SECONDS = 300.0
"""For a server to import what it imports."""
QUIET_SECONDS, SILENT_SECONDS = 5.0, 30.0
"""After so long without a word a server is asked whether it lives; after so long without an answer it does not."""

STOPPED_SECONDS = 5.0
"""Who waits so much longer than it meant to was stopped meanwhile: by Ctrl-Z, or with the whole machine."""


class Server:
    """One fork server: its socket, its process once known, and when it was last heard of."""

    def __init__(self, name: str, control: socket.socket) -> None:
        self.name, self.control = name, control
        self.control.settimeout(SILENT_SECONDS)  # a request is short: only to a stopped server can it take long
        self.pid = 0
        self.alive, self.started = True, False
        self._heard = self._asked = time.monotonic()
        self.ask({"op": "ping"})

    def ask(self, message: dict[str, Any], files: Sequence[int] = ()) -> None:
        """Send a request with open files; what cannot be sent means that the server is gone."""
        try:
            send_message(self.control, message, files)
        except ChannelClosed:
            self.alive = False

    def answers(self) -> list[dict[str, Any]]:
        """The next answer, if it is more than a sign of life; to be called when there is something to read."""
        try:
            received = receive_message(self.control)
        except (ChannelClosed, ValueError):
            received = None
        if received is None:
            self.alive = False
            return []
        self._heard, self.started = time.monotonic(), True
        return [] if "pong" in received[0] else [received[0]]

    def look_after(self) -> None:
        """Ask a quiet server for a sign of life; ``alive`` turns False for one that gives none."""
        now = time.monotonic()
        if now - self._heard > (SILENT_SECONDS if self.started else START_SECONDS) and self._asked > self._heard:
            self.alive = False
        elif now - max(self._heard, self._asked) > QUIET_SECONDS:
            self._asked = now
            self.ask({"op": "ping"})

    def forgive(self, seconds: float) -> None:
        """Take a silence for none, since nobody listened for so long."""
        self._heard += seconds

    def close(self) -> None:
        """Close the socket, upon which it ends; kill it if it is known to be stuck."""
        self.control.close()
        if not self.alive:
            kill_group(self.pid)


class Servers:
    """The fork server of evaluators, and those of generators' hosts that it has started.

    Parameters
    ----------
    sources : list of dict
        Of the plugins that evaluators need.
    preload : tuple of str
        Modules that evaluators want imported.
    threads : int
        Compute threads of each process.
    """

    def __init__(self, sources: list[dict[str, Any]], preload: Sequence[str], threads: int) -> None:
        environment = KEEP_MEMORY | os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        environment |= {"MPLBACKEND": "Agg", "TOKENIZERS_PARALLELISM": "false"}
        ours, theirs = socket.socketpair()
        order = json.dumps({"sources": sources, "preload": list(preload)})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tabgen.engines.server", str(theirs.fileno()), order],
            stdin=subprocess.DEVNULL,
            env=environment,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self.evaluators = Server("evaluators", ours)
        self.evaluators.pid = self._process.pid
        self.hosts: dict[str, Server] = {}
        self.stopped = 0.0
        """Seconds for which this process was stopped in the last call of :meth:`answers`."""
        self._selector = selectors.DefaultSelector()
        self._selector.register(ours, selectors.EVENT_READ, self.evaluators)
        self._wait_for_start()

    def _wait_for_start(self) -> None:
        end = time.monotonic() + START_SECONDS
        while self.evaluators.alive and not self.evaluators.started and time.monotonic() < end:
            if self._selector.select(1.0):
                self.evaluators.answers()
            elif self._process.poll() is not None:
                self.evaluators.alive = False
        if not self.evaluators.started:
            self.close()
            raise TabgenError("the process that starts cells could not start; see its message above.")

    def hosts_of(self, name: str, python: str | None, order: dict[str, Any]) -> Server:
        """The server of a plugin's hosts, started if there is none: in the interpreter ``python``, or in this one."""
        server = self.hosts.get(name)
        if server is None or not server.alive:
            if server is not None:
                self.forget(server)
            ours, theirs = socket.socketpair()
            message = {"op": "hosts", "id": f"hosts/{name}", "python": python, "order": order}
            self.evaluators.ask(message, [theirs.fileno()])
            theirs.close()
            server = self.hosts[name] = Server(name, ours)
            self._selector.register(ours, selectors.EVENT_READ, server)
        return server

    def answers(self, seconds: float) -> list[tuple[Server, dict[str, Any]]]:
        """What has arrived, after waiting at most this long for the first."""
        found = []
        before = time.monotonic()
        ready = self._selector.select(seconds)
        waited = time.monotonic() - before - seconds
        self.stopped = waited if waited > STOPPED_SECONDS else 0.0
        for server in (self.evaluators, *self.hosts.values()):
            server.forgive(self.stopped)
        for key, _ in ready:
            server = key.data
            for message in server.answers():
                name = str(message["id"]).removeprefix("hosts/")
                if server is not self.evaluators or name == message["id"]:
                    found.append((server, message))
                elif "pid" in message and name in self.hosts:
                    self.hosts[name].pid = message["pid"]
                elif name in self.hosts:  # it has ended; another may have its place by now, and then its socket lives
                    self.hosts[name].alive &= self.hosts[name].pid == 0
        for server in (self.evaluators, *self.hosts.values()):
            server.look_after()
        return found

    def forget(self, server: Server) -> None:
        """Put away the server of some hosts that is dead."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(server.control)
        server.close()
        if self.hosts.get(server.name) is server:
            del self.hosts[server.name]

    def close(self) -> None:
        """End all of them, and wait until they have."""
        for server in list(self.hosts.values()):
            self.forget(server)
        self._selector.close()
        self.evaluators.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            kill_group(self._process.pid)
            self._process.wait()
