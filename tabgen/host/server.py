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

import pandas as pd

from tabgen.arrow import from_arrow, to_arrow
from tabgen.generator import FitContext
from tabgen.host.answers import Answers, answer
from tabgen.host.forks import close_all_but, guard, log_to, serve
from tabgen.plugins import Plugins, Source, load_sources
from tabgen.randomness import same_start
from tabgen.references import Bootstrap
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table
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
        _rehearse()
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
        guard(lambda: answer(socket.socket(fileno=channel), make, message.get("tracebacks", True)))

    serve(control, {"host": host})


def _rehearse() -> None:
    """Fit and sample once, so that what Python, pandas and Arrow do on a first time is done for every host."""
    frame = pd.DataFrame({"a": [0.5, 1.5], "b": [1, 2], "c": ["x", "y"], "d": [True, False], "y": ["no", "yes"]})
    table = Table.from_frame(frame, "y")
    generator, context = Bootstrap(), FitContext(seed=0)
    same_start(0)
    fit_generator(generator, from_arrow(to_arrow(table), table.schema), context)
    to_arrow(draw_sample(generator, table, 20, seed=0))


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
