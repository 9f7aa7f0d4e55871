"""A fit and a draw in a fresh process, under a limit, with what outlives it counted and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import IO, Any

import psutil

from tabgen.errors import PluginError
from tabgen.generator import Generator
from tabgen.plugins import refuse_live
from tabgen.processes import is_over
from tabgen.variables import CONFORMANCE_MARK


@dataclass(frozen=True)
class Fresh:
    """What became of a fit and a draw in a fresh process; ``left``: how many processes outlived it.

    ``answer`` is empty if it ended before it had one.
    """

    killed: bool
    left: int
    returncode: int
    last_words: str
    answer: dict[str, Any]

    @property
    def ended_early(self) -> bool:
        """Whether the process ended by itself, without an answer."""
        return not self.killed and not self.answer


def run_fresh(generator: type[Generator], settings: dict[str, Any], model: str, seconds: float) -> Fresh:
    """Import, fit and draw anew; for a class that another process cannot get as if that had said so."""
    try:
        module, file = _where(generator)
    except PluginError as reason:
        return Fresh(killed=False, left=0, returncode=1, last_words=str(reason), answer={"raised": True})
    task = {
        "module": module,
        "file": file,
        "name": generator.__qualname__,
        "settings": settings,
        "model": model,
        "seconds": seconds,
    }
    script = f"from tabgen.testing.child import run_in_fresh_process; run_in_fresh_process({json.dumps(task)!r})"
    mark = uuid.uuid4().hex
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:  # a pipe could be held open
        child = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env=os.environ | {"PYTHONHASHSEED": "12345", CONFORMANCE_MARK: mark},
        )
        try:
            child.wait(seconds)
            killed = False
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            killed = True
        left = _kill_marked(mark)
        answer, last_words = _last_line(out), _last_line(err)
    return Fresh(killed, left, child.returncode, last_words, {} if killed else _read(answer))


def _where(generator: type[Generator]) -> tuple[str | None, str | None]:
    """The module and the file that another process finds a class in; a script is found by its file alone.

    Raises
    ------
    PluginError
        For a class that no process but this can get.
    """
    name: str | None = generator.__module__
    if name == "__main__":
        spec = getattr(sys.modules[name], "__spec__", None)
        name = spec.name if spec and spec.name != "__main__" else None  # of `python -m package.module`
    file = file_of(generator)
    if name is None and file is None:
        refuse_live(generator)
    return name, str(file) if file else None


def file_of(generator: type[Generator]) -> Path | None:
    """The file that a class is written in, if there is one: its module's, or, where a program has executed a file
    under another name, what the methods that the class defines itself were compiled from.
    """
    methods = (method for method in vars(generator).values() if isinstance(method, FunctionType))
    compiled = next((method.__code__.co_filename for method in methods), None)
    file = getattr(sys.modules.get(generator.__module__), "__file__", None) or compiled
    return Path(file) if file and Path(file).is_file() else None


def _read(line: str) -> dict[str, Any]:
    """The answer; empty if the line is none, but something that the generator printed before it ended the process."""
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and ("raised" in answer or "hash" in answer) else {}


def _last_line(file: IO[str]) -> str:
    file.seek(0)
    return (file.read().strip().splitlines() or [""])[-1]


def _kill_marked(mark: str) -> int:
    """Kill every process that inherited this mark, and wait until they are dead; how many there were."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(CONFORMANCE_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                found.append(process)
        except (psutil.Error, OSError):  # another user's, or it ended meanwhile
            continue
    for process in found:  # a signal is sent, not obeyed, when kill() returns
        while not is_over(process.pid):
            time.sleep(0.01)
    return len(found)
