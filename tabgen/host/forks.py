"""A fork server: it imports what is slow once, and forks a process for every request.

It reads messages with open files from a socket and answers with short ones: ``{"id", "pid"}`` when a process
starts, ``{"id", "exit"}`` when it has ended, ``{"pong"}`` to a ``ping``. When the socket closes, because the engine is
done or dead, it kills every process and leaves. What processes have to say never passes through it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tabgen.host.channel import ChannelClosed, receive_message, send_message
from tabgen.processes import adopt_orphans, children, descendants, die_with, kill, kill_group

Body = Callable[[dict[str, Any], list[int]], None]
FAULT = 70
"""Exit code of a forked process whose own code failed."""


def serve(control: socket.socket, bodies: dict[str, Body]) -> None:
    """Fork a process that runs ``bodies[op]`` for every message, until the socket closes."""
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to interpret
    wake_read, wake_write = socket.socketpair()
    wake_read.setblocking(False)
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    running: dict[int, str] = {}
    not_ours = set(descendants(os.getpid()))  # what an import left running
    gc.collect()
    gc.freeze()  # a collection in a forked process would otherwise write to, and so copy, the pages of every import
    with contextlib.suppress(ChannelClosed):
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    wake_read.recv(4096)
                _reap(running, control, not_ours)
            if control in ready:
                received = receive_message(control)
                if received is None:
                    break
                message, files = received
                if message["op"] == "ping":
                    send_message(control, {"pong": os.getpid()})
                    continue
                server, pid = os.getpid(), os.fork()
                if pid == 0:
                    _child(server, bodies[message["op"]], message, files, (control, wake_read, wake_write))
                for file in files:
                    os.close(file)
                running[pid] = message["id"]
                send_message(control, {"id": message["id"], "pid": pid})
    signal.set_wakeup_fd(-1)
    for pid in [*running, *descendants(os.getpid())]:
        kill_group(pid)


def _reap(running: dict[int, str], control: socket.socket, not_ours: set[int]) -> None:
    """Say which processes have ended; kill orphans that one of them left behind."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # what it left running in its group
        if pid in running:
            send_message(control, {"id": running.pop(pid), "exit": os.waitstatus_to_exitcode(status)})
    for orphan in set(children(os.getpid())) - set(running) - not_ours:
        kill_group(orphan)


def _child(
    server: int, body: Body, message: dict[str, Any], files: list[int], inherited: tuple[socket.socket, ...]
) -> NoReturn:
    """The forked process: run the body and leave without the server's clean-up."""
    code = 0
    try:
        die_with(server)
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for each in inherited:
            each.close()
        body(message, files)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - the forked process must not run the server's code
        traceback.print_exc()
        code = FAULT
    finally:
        os._exit(code)


def log_to(file: int) -> None:
    """Send what this process prints to an open file, and give it nothing to read."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, file), (2, file)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(file)


def close_all_but(*kept: int) -> None:
    """Close every file that this process inherited, except these and the standard three."""
    folder = Path("/proc/self/fd")
    for number in [int(entry.name) for entry in folder.iterdir()] if folder.is_dir() else range(3, 256):
        if number > 2 and number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)


def guard(body: Callable[[], None]) -> NoReturn:
    """Run ``body`` in a child, and take with it whatever it started: daemons and new sessions too.

    The guard never runs a plugin's code. It leaves with the child's exit code, or by the signal that ended it.
    """
    adopt_orphans()
    me, pid = os.getpid(), os.fork()
    if pid == 0:
        die_with(me)
        code = 0
        try:
            body()
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001 - told by the exit code, and in the log
            traceback.print_exc()
            code = FAULT
        finally:
            os._exit(code)
    status = None
    while status is None:
        ended, found = os.waitpid(-1, 0)
        status = found if ended == pid else None
    while left := [child for child in descendants(me) if child != me]:
        for child in left:
            kill(child)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(me, -code)
    os._exit(code if code >= 0 else 128 - code)
