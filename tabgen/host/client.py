"""The evaluator's side of a host: fit there, sample there, and believe nothing that comes back unchecked."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from tabgen.arrow import from_arrow, to_arrow
from tabgen.environment import peak_memory_mb
from tabgen.errors import GeneratorFailed, InvalidOutput
from tabgen.generator import FitContext, Generator, GeneratorInfo, make_generator
from tabgen.host.channel import ChannelClosed, receive_rows, send_rows
from tabgen.jsonable import MOST_NUMBER
from tabgen.models.base import FoundationModel
from tabgen.randomness import same_start
from tabgen.sampling import check_sample, draw_rows, expected_table, fit_generator, texts_kept_back
from tabgen.standins import TextRule, stand_back, stand_in
from tabgen.table import Table
from tabgen.text import kept_notes, one_line


@dataclass(frozen=True)
class FitOrder:
    """What a host is told before it fits.

    Attributes
    ----------
    generator, plugin_version, environment, settings
        As planned; a host that has loaded something else refuses.
    seed : int
    seconds : float
        Until the cell is killed.
    device : str
    threads : int
    model : dict
        ``name``, ``version`` and ``source`` (of the plugin it comes from) and ``checkpoint`` of the foundation model,
        which the host loads for itself if the generator asks for it.
    """

    generator: str
    plugin_version: str | None
    environment: str | None
    settings: dict[str, Any]
    seed: int
    seconds: float
    device: str
    threads: int
    model: dict[str, Any]


@dataclass
class Spent:
    """What a host has said of itself so far."""

    notes: dict[str, Any] = field(default_factory=dict)
    used_model: bool = False
    peak_mb: float = 0.0
    processor: float = 0.0


class Host(Protocol):
    """Where one generator is fitted and sampled."""

    info: GeneratorInfo
    spent: Spent

    def wait(self) -> None:
        """Until it has imported what it needs."""

    def fit(self, order: FitOrder, train: Table) -> None: ...

    def sample(self, n_rows: int, seed: int, fresh: bool) -> Table:
        """Checked rows, of one class perhaps; with ``fresh`` they depend on nothing that was drawn before."""


class RemoteHost:
    """A host in a process of its own.

    Parameters
    ----------
    channel : socket
        To the host.
    info : GeneratorInfo
        As the plan's process knows it: what decides how its samples are checked is not the host's to say.
    text : {"nearest", "leave-out"}
        Where texts come from that the generator does not take: they never reach its process.
    """

    def __init__(self, channel: socket.socket, info: GeneratorInfo, text: TextRule = "nearest") -> None:
        self.info, self.spent = info, Spent()
        self._channel, self._ready, self._text = channel, False, text
        self._train: Table
        self._given: Table

    def wait(self) -> None:
        if not self._ready:
            self._receive()
            self._ready = True

    def fit(self, order: FitOrder, train: Table) -> None:
        self.wait()
        self._train = train.observed()
        self._given = stand_in(self._train, self.info)
        request = {"op": "fit", **vars(order), "schema": self._given.schema.to_dict()}
        self._ask(request, to_arrow(self._given))

    def sample(self, n_rows: int, seed: int, fresh: bool) -> Table:
        rows = self._ask({"op": "sample", "rows": n_rows, "seed": seed, "fresh": fresh})
        source = f"the sample of generator '{self.info.name}'"
        if rows is None:
            raise InvalidOutput(f"{source} did not arrive.")
        expected = expected_table(self.info, self._given, rows.column_names)
        sample = from_arrow(rows, expected.schema, source)
        check_sample(sample, expected, self.info, n_rows)
        return stand_back(sample, self._train, self._text, seed, source)

    def _ask(self, request: dict[str, Any], rows: pa.Table | None = None) -> pa.Table | None:
        try:
            send_rows(self._channel, request, rows)
        except ChannelClosed as error:
            raise GeneratorFailed("crashed", "the generator's process ended before it had a result") from error
        return self._receive()

    def _receive(self) -> pa.Table | None:
        try:
            reply, rows = receive_rows(self._channel)
        except ChannelClosed as error:
            raise GeneratorFailed("crashed", "the generator's process ended before it had a result") from error
        spent = self.spent
        try:
            spent.peak_mb, spent.processor = (_measured(reply, name) for name in ("peak_mb", "processor"))
            if failure := reply.get("error"):
                raise GeneratorFailed(
                    _status(failure["status"]), one_line(failure["reason"]), one_line(failure.get("place", ""))
                )
            kept_back = texts_kept_back(self.info, self._train, self._text) if self._ready else {}
            spent.notes = kept_back | kept_notes(dict(reply.get("notes", {})))
            spent.used_model = bool(reply.get("used_model", spent.used_model))
        except (TypeError, ValueError, KeyError) as error:
            raise InvalidOutput(f"the generator's process answered what cannot be read: {one_line(error)}") from error
        return rows


def _measured(reply: dict[str, Any], name: str) -> float:
    """What the process says of itself: a number that an outcome can hold."""
    value = float(reply.get(name, 0))
    if not 0 <= value <= MOST_NUMBER:
        raise ValueError(f"its {name} is {value:g}, and 0 to {MOST_NUMBER:g} are possible")
    return value


FAILURES = ("unsupported", "invalid_output", "out_of_memory", "error")
"""How a host may say that it failed."""


def _status(said: Any) -> str:
    return said if said in FAILURES else "error"


class HostHere:
    """A host in this very process: for one's own generators, in tests and while they are written.

    Nothing keeps the generator from what else is in the process.
    """

    def __init__(
        self, generator: Generator, load_model: Callable[[], FoundationModel], text: TextRule = "nearest"
    ) -> None:
        self.generator, self.info, self.spent = generator, generator.info, Spent()
        self._settings: dict[str, Any] | None = None
        self._load_model, self._text = load_model, text
        self._context: FitContext
        self._train: Table

    def wait(self) -> None:
        pass

    def fit(self, order: FitOrder, train: Table) -> None:
        self._train = train
        if self._settings not in (None, order.settings):  # tuned: it came with the first ones
            self.generator = make_generator(type(self.generator), order.settings)
        self._settings = order.settings
        self._context = FitContext(
            order.seed, time.monotonic() + order.seconds, order.threads, order.device, self._model, self.spent.notes
        )
        same_start(order.seed)
        fit_generator(self.generator, train, self._context, self._text)
        self._note()

    def sample(self, n_rows: int, seed: int, fresh: bool) -> Table:
        if fresh:
            same_start(seed)
        sample = draw_rows(self.generator, self._train, n_rows, seed, self._text)
        self._note()
        return sample

    def _model(self) -> FoundationModel:
        self.spent.used_model = True
        return self._load_model()

    def _note(self) -> None:
        kept_notes(self._context.notes)  # refuses what JSON cannot hold
        self.spent.peak_mb = peak_memory_mb()
