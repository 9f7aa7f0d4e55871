"""The fork server of one plugin's generators: it has imported that plugin and nothing of any other.

It is a process of the engine's fork server, or, for a plugin with an environment of its own, another interpreter that
runs ``python -m tabgen.host.server``. Each host it forks serves one cell.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

from tabgen.host.answers import Answers, answer
from tabgen.host.forks import close_all_but, guard, log_to, serve
from tabgen.plugins import Plugins, Source, load_sources
from tabgen.variables import GPUS


def serve_plugin(
    control: socket.socket, source: Source | None, preload: Sequence[str], environment: str | None = None
) -> None:
    """Import a plugin (None: the built-in ones) and what its generators want imported; fork hosts until told to end."""
    plugins: Plugins | None = None
    error: BaseException | None = None
    try:
        for name in preload:
            with contextlib.suppress(ImportError):  # the generator that needs it will say so
                importlib.import_module(name)
        plugins = load_sources([source] if source else [])
    except BaseException as caught:  # noqa: BLE001 - the cells of this plugin tell it, each as its reason
        error = caught

    def make() -> Answers:
        if plugins is None:
            assert error is not None
            raise error
        return Answers(plugins, environment)

    def host(message: dict[str, Any], files: list[int]) -> None:
        channel, log = files
        if message["gpu"] is not None:
            os.environ[GPUS] = message["gpu"]
        log_to(log)
        close_all_but(channel)
        guard(lambda: answer(socket.socket(fileno=channel), make))

    serve(control, {"host": host})


def main() -> None:
    """Serve on the socket whose number is the first argument, what the second, a JSON object, says."""
    from tabgen.host.environments import lock_here

    order = json.loads(sys.argv[2])
    os.set_inheritable(int(sys.argv[1]), False)
    control = socket.socket(fileno=int(sys.argv[1]))
    source = Source(**order["source"]) if order["source"] else None
    os.dup2(2, 1)  # what a plugin prints while it is imported is no output of tabgen's
    serve_plugin(control, source, order["preload"], lock_here())


if __name__ == "__main__":
    main()
