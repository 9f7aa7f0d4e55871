"""The fork server of the local engine: imports everything heavy once, then forks one evaluator per cell.

Run as ``python -m tabgen.engines.server`` by :mod:`tabgen.engines.local`. It has imported the plugins that bring
models and metrics and no generator, so that nothing a generator's import leaves behind reaches an evaluator. Beside
evaluators it starts the servers of generators' hosts (:mod:`tabgen.host.server`), one for each plugin.

An evaluator is told its cell through an open file and reports into another, one JSON object per line: {"phase"} as
each begins, {"result"} at the end. The system's alarm clock ends a cell whose phase runs longer than its limit. CUDA
is touched by cells only, never before the fork.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any

from tabgen.host.forks import close_all_but, log_to, serve
from tabgen.variables import GPUS, THREAD_VARIABLES

PRELOAD = ("pyarrow.parquet", "sklearn.metrics", "tabgen.cell", "tabgen.models.checkpoints")
"""Imported once, so that no cell has to."""


def main() -> None:
    """Serve on the socket whose number is the first argument, what the second, a JSON object, says."""
    number, order = int(sys.argv[1]), json.loads(sys.argv[2])
    os.set_inheritable(number, False)
    control = socket.socket(fileno=number)
    os.dup2(2, 1)  # what a plugin prints while it is imported is no output of tabgen's
    plugins, fault = _import_everything(order)

    def evaluate(message: dict[str, Any], files: list[int]) -> None:
        _evaluate(message, files, plugins, fault)

    serve(control, {"evaluate": evaluate, "hosts": _serve_hosts})


def _import_everything(order: dict[str, Any]) -> tuple[Any, BaseException | None]:
    """The plugins of evaluators; or what one of them raised, for every cell to tell."""
    import torch

    from tabgen.environment import numerical_settings, package_versions
    from tabgen.errors import PluginError
    from tabgen.plugins import Source, load_sources

    torch.set_num_threads(int(os.environ.get(THREAD_VARIABLES[0], "1")))
    before = numerical_settings()
    for name in (*PRELOAD, *order["preload"]):
        with contextlib.suppress(ImportError):  # the cell that needs it will say so
            importlib.import_module(name)
    package_versions()
    try:
        plugins = load_sources([Source(**source) for source in order["sources"]])
        changed = {name: value for name, value in numerical_settings().items() if value != before[name]}
        if changed:
            told = ", ".join(f"{name} from {before[name]} to {value}" for name, value in changed.items())
            raise PluginError(
                f"importing the plugins of models and metrics changed how numbers are computed ({told}): every score"
                " of this run would change with it."
            )
    except BaseException as error:  # noqa: BLE001 - each cell tells it as its reason
        return None, error
    return plugins, None


def _serve_hosts(message: dict[str, Any], files: list[int]) -> None:
    """Become the server of a plugin's hosts: here, or, for an environment of its own, as another interpreter."""
    from tabgen.host.server import serve_plugin
    from tabgen.plugins import Source

    (number,) = files
    order = message["order"]
    if message["python"]:
        os.set_inheritable(number, True)
        command = [message["python"], "-m", "tabgen.host.server", str(number), json.dumps(order)]
        os.execve(message["python"], command, order["variables"])  # noqa: S606
    close_all_but(number)
    source = Source(**order["source"]) if order["source"] else None
    serve_plugin(socket.socket(fileno=number), source, order["preload"])


def _evaluate(message: dict[str, Any], files: list[int], plugins: Any, fault: BaseException | None) -> None:
    """Run the cell and report."""
    from tabgen.cell import run_cell
    from tabgen.errors import GeneratorFailed, reason_of, status_of

    task, report, log, *channel = files
    log_to(log)
    close_all_but(task, report, *channel)

    def tell(entry: dict[str, Any]) -> None:
        data = (json.dumps(entry) + "\n").encode()
        while data:
            data = data[os.write(report, data) :]

    if message["gpu"] is not None:
        os.environ[GPUS] = message["gpu"]
    try:
        if fault is not None:
            raise fault
        from tabgen.cache import Cache, CacheSettings
        from tabgen.generator import GeneratorInfo, Limits
        from tabgen.host.client import RemoteHost
        from tabgen.outcome import Cell

        with os.fdopen(task) as file:
            told = json.load(file)
        cell = Cell.from_dict(told["cell"])
        limits = cell.limits.get("phases", {})

        def enter(phase: str, spent: float) -> None:
            tell({"phase": phase})
            signal.setitimer(signal.ITIMER_REAL, max(limits[phase] - spent, 0.001) if phase in limits else 0)

        host = None
        if told["info"] is not None:
            info = GeneratorInfo(**told["info"] | {"limits": Limits(**told["info"]["limits"]), "environment": None})
            host = RemoteHost(socket.socket(fileno=channel[0]), info, cell.text)
        cache = Cache(CacheSettings(**told["cache"])) if told["cache"] else None
        device = "cpu" if message["gpu"] is None else "cuda"
        tell({"result": run_cell(cell, plugins, host, enter, cache, device).to_dict()})
    except BaseException as error:  # noqa: BLE001 - plugins raise anything; all of it is an outcome
        if not isinstance(error, GeneratorFailed):  # the host has told that, in the same log
            traceback.print_exc()
        tell({"result": {"status": status_of(error), "reason": reason_of(error)}})


if __name__ == "__main__":
    main()
