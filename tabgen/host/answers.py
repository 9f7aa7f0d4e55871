"""What a generator's process does: fit when told, sample when told, until the evaluator closes the connection."""

from __future__ import annotations

import importlib.util
import inspect
import os
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from tabgen.arrow import from_arrow, to_arrow
from tabgen.blame import place_of
from tabgen.environment import peak_memory_mb
from tabgen.errors import InvalidOutput, TabgenError, Unsupported, reason_of, status_of
from tabgen.generator import FitContext, Generator, make_generator
from tabgen.host.channel import ChannelClosed, receive_rows, send_rows
from tabgen.host.forks import FAULT
from tabgen.plugins import Plugins, Source
from tabgen.randomness import same_start
from tabgen.sampling import draw_rows, fit_generator
from tabgen.table import Schema, Table
from tabgen.text import kept_notes, one_line


class Answers:
    """One generator, fitted once and sampled as often as asked.

    Parameters
    ----------
    plugins : Plugins
        With the one plugin that the generator comes from.
    environment : str or None
        SHA-256 of the versions that this process runs with, if it has an environment of its own.
    """

    def __init__(self, plugins: Plugins, environment: str | None = None) -> None:
        self.plugins, self.environment = plugins, environment
        self.home: Path | None = None
        self.generator: Generator
        self.train: Table
        self.context: FitContext
        self.used_model = False

    def fit(self, request: dict[str, Any], rows: pa.Table) -> None:
        """Make the generator and fit it on these rows."""
        self._check_identity(request)
        self.train = from_arrow(rows, Schema.from_dict(request["schema"]), "the training table")
        self.home = Path(inspect.getfile(self.plugins.generators[request["generator"]]))
        self.generator = make_generator(self.plugins.generators[request["generator"]], request["settings"])
        self.context = FitContext(
            seed=request["seed"],
            deadline=time.monotonic() + request["seconds"],
            threads=request["threads"],
            device=request["device"],
            load_model=lambda: self._load_model(request["model"], request["device"]),
        )
        same_start(request["seed"])
        fit_generator(self.generator, self.train, self.context)

    def sample(self, request: dict[str, Any]) -> pa.Table:
        """Rows, checked, as they travel."""
        if request["fresh"]:
            same_start(request["seed"])
        return to_arrow(draw_rows(self.generator, self.train, request["rows"], request["seed"]))

    def _check_identity(self, request: dict[str, Any]) -> None:
        """That what is loaded here is what was planned: it decides under which key the rows are kept."""
        plugin = self.plugins.generators.plugin_of(request["generator"])
        if plugin.version != request["plugin_version"]:
            raise TabgenError(
                f"the plugin '{plugin.name}' is not the one that was planned: planned {request['plugin_version']},"
                f" loaded {plugin.version}. Its code was changed since; run the same line again."
            )
        if self.environment != request["environment"]:
            raise TabgenError(
                f"the environment of '{plugin.name}' is not the one that was planned: the hash of its versions is"
                f" {str(self.environment)[:12]} here and {str(request['environment'])[:12]} in the plan. Build it anew"
                f" with the versions of the plan: tabgen plugins install {plugin.name} --rebuild --lock LOCK.txt"
            )

    def _load_model(self, model: dict[str, Any], device: str) -> Any:
        self.used_model = True
        if self.environment is not None and importlib.util.find_spec("torch") is None:
            raise Unsupported("the foundation model needs torch, which is not in this generator's own environment.")
        if not model:
            raise Unsupported("a generator with its own environment has the foundation model at hand in a run only.")
        if model["source"] is not None:
            self.plugins.load(Source(**model["source"]), required=True)
        return self.plugins.planned_model(model["name"], model["version"], model["checkpoint"], device)

    def notes(self) -> dict[str, Any]:
        try:
            return kept_notes(self.context.notes)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidOutput(f"the generator's notes hold what JSON cannot: {error}.") from error


def answer(channel: socket.socket, make: Callable[[], Answers], tracebacks: bool = True) -> None:
    """Answer requests until the other side closes; whatever a plugin raises is an answer too.

    ``tracebacks``: whether standard error gets them, which is a log in a run, and else somebody's terminal.
    """
    me = os.getpid()
    answers: Answers | None = None
    send_rows(channel, {"ready": True})
    while True:
        try:
            request, rows = receive_rows(channel)
        except ChannelClosed:
            return
        reply: dict[str, Any]
        drawn = None
        try:
            answers = answers or make()
            if request["op"] == "fit":
                answers.fit(request, rows)
            else:
                drawn = answers.sample(request)
            reply = {"notes": answers.notes(), "used_model": answers.used_model}
        except BaseException as error:  # noqa: BLE001 - plugins raise anything; all of it is an outcome
            if tracebacks and os.getpid() == me and not isinstance(error, Unsupported):  # an answer, not a fault
                traceback.print_exc()
            place = place_of(error, answers.home if answers else None)
            reply = {"error": {"status": status_of(error), "reason": one_line(reason_of(error)), "place": place}}
        if os.getpid() != me:  # a plugin forked, and its child came back here
            os._exit(FAULT)
        measured = {
            "processor": time.process_time(),
            "peak_mb": peak_memory_mb(),
        }
        try:
            send_rows(channel, reply | measured, drawn)
        except ChannelClosed:
            return
