"""Processes: killing them with all they started, dying with one's parent, and counting memory once."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def kill(pid: int) -> None:
    """Kill one process; nothing happens if it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill a process with its group and all its descendants, those that left the group included.

    Nothing happens if it is gone, or never had a process (0). Orphans are descendants of the nearest ancestor that
    called :func:`adopt_orphans`, so a daemon cannot get away by forking twice.
    """
    if pid <= 0:  # to the system, 0 means the caller's own group
        return
    family = descendants(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for member in (pid, *family):
        kill(member)


def children(pid: int) -> list[int]:
    """Direct children of a process, those of all its threads; none if it is gone."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        if Path("/proc/self/task").is_dir():  # then it is the process that is gone
            return []
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def descendants(pid: int) -> list[int]:
    """All descendants of a process, nearest first; none if it is gone."""
    found = children(pid)
    for member in found:  # grows while it is read
        found += children(member)
    return found


def die_with(parent: int) -> None:
    """Have the system kill this process when its parent dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that call
        os._exit(70)


def new_workers(number: int) -> ProcessPoolExecutor:
    """So many processes, started anew, that die with this one."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(number, get_context("spawn"), initializer=die_with, initargs=(os.getpid(),))


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, whatever session it moved to (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def start_time(pid: int) -> str:
    """When a process began, in the system's own ticks: with its number, what it cannot share with another; or empty."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_over(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    import psutil

    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def memory_mb(roots: list[int], limit: float = 0.0) -> float:
    """Memory of processes and their descendants, in megabytes.

    Resident memory counts pages that forks share once for each of them; only where that sum is above ``limit`` are
    pages shared out (proportional set size, Linux), which takes longer to find out.
    """
    pids = {pid for root in roots if root for pid in (root, *descendants(root))}
    resident = sum(map(_resident, pids)) / 1e6
    return resident if resident <= limit else sum(map(_proportional, pids)) / 1e6


def _resident(pid: int) -> float:
    import psutil  # not needed in a host, whose environment may lack it

    try:
        return float(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0.0


def _proportional(pid: int) -> float:
    """Bytes of a process, a page that n processes share counting 1/n; its resident memory where that is unknown."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _resident(pid)
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0.0)
