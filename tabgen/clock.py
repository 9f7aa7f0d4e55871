"""Phases of a cell, and the clock that times them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Phase = Literal["load", "cache", "zero_shot", "tune", "fit", "sample", "fidelity", "arms", "worth", "finetune"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""In the order in which a cell goes through them."""


class Clock:
    """Wall seconds spent in each phase; time in an inner phase does not count for the outer one.

    Parameters
    ----------
    enter : callable
        Told the phase that begins or goes on, and the seconds it has had.

    Attributes
    ----------
    seconds : dict
        By phase, what the cache spared included.
    spared : float
        Seconds of it that an earlier cell spent.
    """

    def __init__(self, enter: Callable[[Phase, float], None] = lambda phase, spent: None) -> None:
        self.seconds: dict[Phase, float] = {}
        self.spared = self.peak_mb = 0.0
        self.elsewhere = 0.0
        self._began, self._processor_at_start = time.perf_counter(), time.process_time()
        self._enter = enter
        self._open: list[Phase] = []
        self._since = 0.0

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now

    def spare(self, name: Phase, seconds: float, peak_mb: float = 0.0) -> None:
        """Charge a phase with what an earlier cell spent on it for this one: nothing is had in no time."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.spared += seconds
        self.peak_mb = max(self.peak_mb, peak_mb)

    @property
    def wall(self) -> float:
        """Seconds since this clock was made."""
        return time.perf_counter() - self._began

    @property
    def processor(self) -> float:
        """Seconds of processor time since this clock was made, the host's (``elsewhere``) included.

        Unlike wall time, a busy machine hardly changes it.
        """
        return time.process_time() - self._processor_at_start + self.elsewhere

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        self._charge()
        self._open.append(name)
        self._enter(name, self.seconds.get(name, 0.0))
        try:
            yield
        finally:
            self._charge()
            self._open.pop()
            if self._open:
                self._enter(self._open[-1], self.seconds[self._open[-1]])
