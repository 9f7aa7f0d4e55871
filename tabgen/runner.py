"""Running an experiment: plan, skip what is done, run the rest, store every outcome as it comes."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from tabgen import fidelity
from tabgen.arms import OPTIMISER, tunes
from tabgen.cache import CacheSettings
from tabgen.engines import EngineSettings
from tabgen.environment import provenance
from tabgen.errors import reason_of
from tabgen.experiment import Experiment
from tabgen.made_elsewhere import FILE
from tabgen.outcome import STATUSES, Cell, Outcome, Result, key_of
from tabgen.plugins import PluginChoice, Plugins, refuse_live
from tabgen.schedule import Expected, Shard, TimeLeft, longest_first, planned_cells
from tabgen.store import Store
from tabgen.text import counted


class Watcher(Protocol):
    """Who follows a run: told its size, whom to ask for the seconds left, and every cell as it starts and ends."""

    def begin(self, total: int, done: int, left: Callable[[], float | None]) -> None: ...
    def started(self, cell: Cell) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...
    def say(self, message: str) -> None: ...
    def end(self) -> None: ...


class QuietWatcher:
    """Follows nothing: for runs from Python."""

    def begin(self, total: int, done: int, left: Callable[[], float | None]) -> None: ...
    def started(self, cell: Cell) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...
    def say(self, message: str) -> None: ...
    def end(self) -> None: ...


@dataclass
class RunSummary:
    """How a run ended: cells by status, over this run and over the whole plan, and its wall time."""

    planned: int
    done_before: int
    ran: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stopped: bool = False

    @property
    def left(self) -> int:
        return self.planned - self.done_before - sum(self.ran.values())

    def sentence(self) -> str:
        """The final line of a run."""
        ended = ", ".join(
            f"{count} {status}" for status, count in sorted(self.ran.items(), key=lambda i: (i[0] != "ok", i[0]))
        )
        minutes, seconds = divmod(round(self.seconds), 60)
        were = "was" if self.done_before == 1 else "were"
        text = f"{counted(self.planned, 'cell')}: {self.done_before} {were} done before"
        text += f", {sum(self.ran.values())} ran in {minutes} min {seconds:02d} s"
        text += f" ({ended})" if ended else ""
        return text + (f"; {self.left} left, the same command goes on." if self.left else ".")


def run_experiment(
    experiment: Experiment,
    folder: Path,
    plugins: Plugins,
    choice: PluginChoice,
    watcher: Watcher,
    engine: str = "local",
    workers: int = 1,
    threads: int = 1,
    gpus: int = 0,
    retry: Sequence[str] = (),
    cache: bool = True,
    cache_limit_mb: float | None = None,
    shard: Shard | None = None,
) -> RunSummary:
    """Run every cell of ``experiment`` that ``folder`` does not hold yet, the longest of every pass first.

    The first Ctrl-C lets running cells finish, the second stops at once; both leave a store that the same
    call completes.

    Parameters
    ----------
    retry : sequence of str
        Statuses whose cells run again.
    cache : bool
        Keep synthetic rows and zero-shot scores in ``folder/cache`` for other cells, and use those kept there.
    cache_limit_mb : float, optional
        The cache's size at most; least recently used files go first.
    shard : Shard, optional
        The part of the plan that is run here.
    """
    began = time.monotonic()
    for method in experiment.methods:  # of one that was added to the registry by hand no version says which code it is
        if method.generator is not None and plugins.generators.plugin_of(method.generator).origin is None:
            refuse_live(plugins.generators[method.generator])
    cells, expected = planned_cells(experiment, plugins, shard), Expected(experiment.suite)
    with Store(folder, write=True) as store:
        replaced, away = _tables_changed(cells, store)
        store.drop(replaced)
        done = {key for key, status in store.statuses().items() if status not in retry} | away
        for row in store.outcomes():
            expected.learn(row)
        waiting = longest_first([cell for cell in cells if cell.key not in done], expected)
        result = RunSummary(len(cells), len(cells) - len(waiting))
        left = TimeLeft(waiting, expected)
        watcher.begin(result.planned, result.done_before, left)
        _say_of_tables(replaced, away, watcher)
        if not waiting:
            watcher.end()
            return result
        runner = plugins.engines[engine](
            EngineSettings(
                choice,
                folder / "logs",
                workers=workers,
                threads=threads,
                gpus=gpus,
                preload=imports_of(experiment),
                cache=CacheSettings(str((folder / "cache").resolve()), cache_limit_mb) if cache else None,
            )
        )
        where = provenance()

        def started(cell: Cell) -> None:
            left.started(cell)
            watcher.started(cell)
            _observe(plugins.manager.hook.tabgen_cell_started, watcher, cell=cell)

        due = {cell.key: cell for cell in waiting}
        with _two_step_interrupt(runner.stop, watcher) as interrupted:
            try:
                for cell, computed in runner.run(waiting, started):
                    planned = due.pop(getattr(cell, "key", ""), None)
                    if planned is None:
                        watcher.say(f"the engine '{engine}' answered for a cell that was not due; that is passed over.")
                        continue
                    answer = _as_result(computed)
                    outcome = Outcome(planned, answer, answer.provenance or where)
                    store.add(outcome)
                    result.ran[outcome.status] += 1
                    left.finished(outcome)
                    watcher.finished(outcome)
                    _observe(plugins.manager.hook.tabgen_cell_finished, watcher, outcome=outcome)
            except KeyboardInterrupt:
                watcher.say("Stopped at once; cells under way were dropped.")
            result.stopped = bool(interrupted)
        result.seconds = time.monotonic() - began
        watcher.end()
        return result


def imports_of(experiment: Experiment) -> tuple[str, ...]:
    """What evaluators import before the first cell, for what these cells measure."""
    quality = fidelity.PRELOAD if experiment.fidelity and fidelity.available() else ()
    return (*quality, OPTIMISER) if tunes(experiment.arms) else tuple(quality)


def _as_result(answer: Any) -> Result:
    """What an engine answered, as a result: none, an unknown status, or `ok` without scores, is an error."""
    row = answer.to_dict() if isinstance(answer, Result) and answer.status not in STATUSES else answer
    try:
        result = row if isinstance(row, Result) else Result.from_dict(row)
    except (TypeError, ValueError, AttributeError):
        return Result("error", f"the engine answered with a {type(answer).__name__} that is no result")
    if result.status == "ok" and not any(name.startswith("zero_shot_") for name in result.measured):
        return Result("error", "the engine answered 'ok' without any score")
    return result


def _tables_changed(cells: Sequence[Cell], store: Store) -> tuple[list[str], set[str]]:
    """Of tables made elsewhere: keys of stored outcomes that have another table in their place now, or one at last; and
    keys of cells whose table is not there, while the outcome of the one that was is stored.
    """
    due = {key_of(replace(cell, rows_sha256=None)): cell for cell in cells if cell.generator == FILE}
    replaced, away = list[str](), set[str]()
    if not due:
        return replaced, away
    for stored in [Cell.from_dict(row) for row in store.outcomes() if row["generator"] == FILE]:
        now = due.get(key_of(replace(stored, rows_sha256=None)), stored)
        if now.rows_sha256 is None:
            away |= {now.key} - {stored.key}
        elif now.key != stored.key:
            replaced.append(stored.key)
    return replaced, away


def _say_of_tables(replaced: Sequence[str], away: set[str], watcher: Watcher) -> None:
    if replaced:
        told = "1 outcome is" if len(replaced) == 1 else f"{len(replaced)} outcomes are"
        watcher.say(f"{told} removed: a table made elsewhere gave way to another.")
    if away:
        one = len(away) == 1
        what = "1 table made elsewhere is" if one else f"{len(away)} tables made elsewhere are"
        watcher.say(f"{what} not there any more; what was stored of {'it' if one else 'them'} stays.")


def _observe(hook: Callable[..., Any], watcher: Watcher, **arguments: Any) -> None:
    try:
        hook(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - an observer must not stop the run, not by SystemExit either
        watcher.say(f"a plugin failed while it was told of a cell: {reason_of(error)}")


class _two_step_interrupt:  # noqa: N801 - reads as a statement
    """First Ctrl-C: ``stop``. Second: KeyboardInterrupt. Only in the main thread."""

    def __init__(self, stop: Callable[[], None], watcher: Watcher) -> None:
        self._stop, self._watcher, self._presses = stop, watcher, list[int]()

    def __enter__(self) -> list[int]:
        def press(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self._presses.append(number)
            if len(self._presses) > 1:
                raise KeyboardInterrupt
            self._stop()
            self._watcher.say("Finishing the cells under way; press Ctrl-C again to stop at once.")

        try:
            self._before = signal.signal(signal.SIGINT, press)
        except ValueError:  # not the main thread: Ctrl-C is not ours to handle
            self._before = None
        return self._presses

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
