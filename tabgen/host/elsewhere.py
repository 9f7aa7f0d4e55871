"""A generator with an environment of its own, used from this process as if it were here: for one table, and for checks.

Runs do without: there the engine starts hosts, and evaluators talk to them.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import json
import socket
import subprocess
import weakref
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabgen.errors import GeneratorFailed, InvalidOutput, Unsupported
from tabgen.generator import Environment, FitContext, Generator, make_generator
from tabgen.host import environments
from tabgen.host.channel import ChannelClosed, send_message
from tabgen.host.client import FitOrder, RemoteHost
from tabgen.plugins import Plugin, Source, get_plugins, refuse_live
from tabgen.table import Table


def make_where_it_runs(generator: type[Generator], settings: dict[str, Any]) -> Generator:
    """An unfitted generator with these settings, whose work is done in its own environment if it declares one.

    Raises
    ------
    ExperimentError
        For settings that it does not take, or if its environment is not built.
    """
    made = make_generator(generator, settings)
    environment = generator.info.environment
    if environment is None:
        return made
    stand_in = type(generator.__name__, (Elsewhere,), {"info": generator.info, "__doc__": generator.__doc__})
    found: Generator = stand_in(_plugin_of(generator), environment, settings)
    return found


class Elsewhere(Generator):
    """Fits and samples in another interpreter; what comes back is checked as in a run.

    Parameters
    ----------
    plugin : Plugin
        With its origin: the other process loads it from there.
    environment : Environment
    settings : dict
    """

    def __init__(self, plugin: Plugin, environment: Environment, settings: dict[str, Any]) -> None:
        self._plugin, self._environment, self._settings = plugin, environment, settings
        self._lock = environments.lock_of(plugin, self.info)
        self._host: RemoteHost
        self._close: Callable[[], object] = lambda: None

    def fit(self, table: Table, context: FitContext) -> None:
        assert self._plugin.origin is not None
        server = _server(self._plugin.origin, self._environment, self.info.preload)
        self._close()
        channel = server.host()
        self._host, self._close = RemoteHost(channel, self.info), weakref.finalize(self, channel.close)
        order = FitOrder(
            generator=self.info.name,
            plugin_version=self._plugin.version,
            environment=self._lock,
            settings=self._settings,
            seed=context.seed,
            seconds=context.seconds_left,
            device=context.device,
            threads=context.threads,
            model={},
        )
        with _as_it_was_raised():
            self._host.fit(order, table)
        context.notes |= self._host.spent.notes

    def sample(self, n_rows: int, seed: int) -> Table:
        with _as_it_was_raised():
            return self._host.sample(n_rows, seed, fresh=False)


@contextlib.contextmanager
def _as_it_was_raised() -> Iterator[None]:
    try:
        yield
    except GeneratorFailed as failed:
        kinds = {"unsupported": Unsupported, "invalid_output": InvalidOutput, "out_of_memory": MemoryError}
        if failed.status in kinds:
            raise kinds[failed.status](str(failed)) from failed  # which says where
        raise


def _plugin_of(generator: type[Generator]) -> Plugin:
    """The plugin that a generator comes from: the installed one, or the file that its class is written in."""
    registry = get_plugins().generators
    if generator.info.name in registry and registry[generator.info.name] is generator:
        return registry.plugin_of(generator.info.name)
    try:
        path = Path(inspect.getfile(generator)).resolve()
    except (TypeError, OSError):  # a class that was typed in has no file
        refuse_live(generator)
        raise
    source = Source(path.stem, "file", str(path))
    return Plugin(source.name, source.full_version(), source.value, origin=source)


class _Server:
    """The fork server of one plugin in its environment, as long as this process lives."""

    def __init__(self, source: Source, environment: Environment, preload: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair()
        order = json.dumps({"source": asdict(source), "preload": preload})
        self._process = subprocess.Popen(
            [
                environments.interpreter(source.name, environment),
                "-m",
                "tabgen.host.server",
                str(theirs.fileno()),
                order,
            ],
            stdin=subprocess.DEVNULL,
            env=environments.variables(source, environment),
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def host(self) -> socket.socket:
        """A connection to a new host."""
        ours, theirs = socket.socketpair()
        with theirs:
            with contextlib.suppress(BlockingIOError):  # who started and ended is of no interest here
                while self._control.recv(1 << 16, socket.MSG_DONTWAIT):
                    pass
            try:
                message = {"op": "host", "id": "", "gpu": None, "tracebacks": False}
                send_message(self._control, message, [theirs.fileno(), 2])
            except ChannelClosed as error:
                raise GeneratorFailed("crashed", "the process in its environment ended; see its message") from error
        return ours

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_SERVERS: dict[tuple[Source, str, Environment], _Server] = {}


def _server(source: Source, environment: Environment, preload: tuple[str, ...]) -> _Server:
    key = source, source.full_version(), environment
    if key not in _SERVERS or not _SERVERS[key].alive:
        _SERVERS[key] = _Server(source, environment, preload)
    return _SERVERS[key]
