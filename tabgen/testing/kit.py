"""All checks of a generator: as callables for pytest, or run one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tabgen.adequacy import adequacy
from tabgen.blame import place_of
from tabgen.errors import GeneratorFailed, PluginError, TabgenError
from tabgen.generator import Generator
from tabgen.models import DEFAULT_MODEL
from tabgen.testing.bench import DEFAULT_SECONDS, Bench, ConformanceError
from tabgen.testing.contract import CONTRACT, ENDED, run_hard_table
from tabgen.testing.fresh import file_of
from tabgen.testing.tables import HARD_TABLES, easy_table
from tabgen.variables import CONFORMANCE_MARK

UNSEEN_ROWS = 300
"""Rows of the easy table's kind on which a sample of it is judged."""


@dataclass(frozen=True)
class CheckResult:
    """What came of one check.

    Attributes
    ----------
    name : str
    passed : bool
    reason : str
        Why it failed; or, of a hard table that was refused with a reason, that reason. Else empty.
    seconds : float
    place : str
        Of an error: the generator's own line, and the library that raised it.
    """

    name: str
    passed: bool
    reason: str
    seconds: float
    place: str = ""


@dataclass(frozen=True)
class Check:
    """One check of one generator; call it: it raises :class:`ConformanceError` or returns a remark."""

    name: str
    summary: str
    _run: Callable[[], str]

    def __call__(self) -> str:
        return self._run()

    def __str__(self) -> str:
        return self.name


def conformance_checks(
    generator: type[Generator],
    settings: Mapping[str, Any] | None = None,
    model: str = DEFAULT_MODEL,
    seconds: float = DEFAULT_SECONDS,
) -> list[Check]:
    """All checks of a generator, for ``pytest.mark.parametrize("check", ..., ids=str)``.

    Parameters
    ----------
    generator : type
        A subclass of :class:`tabgen.Generator`.
    settings : dict, optional
        Settings other than the defaults, such as fewer epochs, to make the checks quick.
    model : str
        Foundation model for generators that use one: a registered name or a checkpoint directory.
    seconds : float
        Limit of one fit and one draw of a table of 60 rows.
    """
    bench = Bench(generator, dict(settings or {}), model, seconds)
    checks = [
        Check(name, (check.__doc__ or "").strip(), lambda check=check: check(bench) or "")  # type: ignore[misc]
        for name, check in CONTRACT.items()
    ]
    checks += [
        Check(
            f"hard-table:{name}",
            f"Works on this table, or refuses it with a reason: {make.__doc__}",
            partial(run_hard_table, bench, make),
        )
        for name, make in HARD_TABLES.items()
    ]
    return checks


def check_generator(
    generator: type[Generator],
    settings: Mapping[str, Any] | None = None,
    model: str = DEFAULT_MODEL,
    seconds: float = DEFAULT_SECONDS,
    started: Callable[[str], None] = lambda _: None,
    stop: bool = False,
) -> list[CheckResult]:
    """Run every check, whatever comes of the others; none after ``time-limit`` if the generator does not end.

    Parameters
    ----------
    generator, settings, model, seconds
        As for :func:`conformance_checks`.
    started : callable
        Told the name of each check when it starts, for progress displays.
    stop : bool
        End with the first check that fails.

    Raises
    ------
    PluginError
        In the process of a check: a file that checks its generator whenever it is imported would start one process
        after the other.
    """
    if CONFORMANCE_MARK in os.environ:
        raise PluginError(
            f"the file of {generator.__name__} checks it whenever it is imported, and a check imports it anew: put the"
            ' call under `if __name__ == "__main__":`.'
        )
    results: list[CheckResult] = []
    for check in conformance_checks(generator, settings, model, seconds):
        if broken := [result for result in results if result.name == "time-limit" and not result.passed]:
            why = "ends the interpreter" if ENDED in broken[0].reason else "breaks the time limit"
            results.append(CheckResult(check.name, False, f"not tried: the generator {why}.", 0.0))
            continue
        started(check.name)
        start = time.perf_counter()
        place = ""
        try:
            passed, reason = True, check()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a generator may raise anything; the check fails
            broken_rule = isinstance(error, ConformanceError)
            passed, reason = False, str(error) if broken_rule else f"{type(error).__name__}: {error}"
            if isinstance(error, SystemExit):
                reason = f"{ENDED} ({reason})."
            place = _place_of(error, generator)
        results.append(CheckResult(check.name, passed, reason, time.perf_counter() - start, place))
        if stop and not passed:
            break
    return results


def easy_adequacy(
    generator: type[Generator], settings: Mapping[str, Any] | None = None, model: str = DEFAULT_MODEL
) -> dict[str, float]:
    """What the generator's rows of the easy table teach (:func:`tabgen.adequacy.adequacy`), on rows it did not see.

    No rule is broken by rows that teach nothing, so that this is no check; ``tabgen check`` says it beside them.
    """
    bench = Bench(generator, dict(settings or {}), model, DEFAULT_SECONDS)
    return adequacy(bench.table, easy_table(UNSEEN_ROWS, seed=1), bench.draw(len(bench.table)), seed=0)


def _place_of(error: BaseException, generator: type[Generator]) -> str:
    """Where what lies behind a failed check was raised: in this process, or in the generator's own environment."""
    while isinstance(error.__cause__, Exception) and isinstance(error, TabgenError | ConformanceError | MemoryError):
        error = error.__cause__
    if isinstance(error, GeneratorFailed):
        return error.place
    return "" if isinstance(error, ConformanceError) else place_of(error, file_of(generator))
