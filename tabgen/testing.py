"""The conformance kit: what every generator must keep to, as checks that anyone can run.

In a plugin's tests::

    import pytest
    from tabgen.testing import conformance_checks

    @pytest.mark.parametrize("check", conformance_checks(MyGenerator), ids=str)
    def test_conformance(check):
        check()

``check_generator(MyGenerator)`` runs the same checks and returns the results; ``tabgen check`` prints them.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil

from tabgen.blame import place_of
from tabgen.errors import GeneratorFailed, TabgenError, Unsupported
from tabgen.generator import FitContext, Generator, settings_of
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.plugins import NAME, _import_file, get_plugins
from tabgen.sampling import draw_sample, fit_generator, prepare
from tabgen.table import Table

if TYPE_CHECKING:
    from tabgen.models.base import FoundationModel

DEFAULT_MODEL = "tabgen-nano"
DEFAULT_SECONDS = 300.0
"""Limit of one fit and one draw of the easy table (60 rows) in a fresh process."""
MARK = "TABGEN_CONFORMANCE_CHECK"
"""Environment variable by which the processes that a generator starts are found, wherever they hide."""
HEAVY = (
    "torch",
    "sklearn",
    "sdv",
    "ctgan",
    "dowhy",
    "causallearn",
    "imblearn",
    "tensorflow",
    "jax",
    "xgboost",
    "lightgbm",
)
"""Libraries that no plugin module may import before a generator is fitted: they cost seconds."""


class ConformanceError(AssertionError):
    """A generator that breaks the contract; the message says how, and on which table."""


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
    bench = _Bench(generator, dict(settings or {}), model, seconds)
    checks = [
        Check(name, (check.__doc__ or "").strip(), lambda check=check: check(bench) or "")  # type: ignore[misc]
        for name, check in _CONTRACT.items()
    ]
    checks += [
        Check(
            f"hard-table:{name}",
            f"Works on this table, or refuses it with a reason: {make.__doc__}",
            partial(_run_hard_table, bench, make),
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
    """
    results: list[CheckResult] = []
    for check in conformance_checks(generator, settings, model, seconds):
        if any(result.name == "time-limit" and not result.passed for result in results):
            results.append(CheckResult(check.name, False, "not tried: the generator breaks the time limit.", 0.0))
            continue
        started(check.name)
        start = time.perf_counter()
        place = ""
        try:
            passed, reason = True, check()
        except Exception as error:  # noqa: BLE001 - a generator may raise anything; that is a failed check
            broken_rule = isinstance(error, ConformanceError)
            passed, reason = False, str(error) if broken_rule else f"{type(error).__name__}: {error}"
            place = _place_of(error, generator)
        results.append(CheckResult(check.name, passed, reason, time.perf_counter() - start, place))
        if stop and not passed:
            break
    return results


def _place_of(error: BaseException, generator: type[Generator]) -> str:
    """Where what lies behind a failed check was raised: in this process, or in the generator's own environment."""
    while isinstance(error.__cause__, Exception) and isinstance(error, TabgenError | ConformanceError | MemoryError):
        error = error.__cause__
    if isinstance(error, GeneratorFailed):
        return error.place
    file = getattr(sys.modules[generator.__module__], "__file__", None)
    return "" if isinstance(error, ConformanceError) else place_of(error, Path(file) if file else None)


# --- the tables ---------------------------------------------------------------------------------------------


def easy_table(n_rows: int = 60, seed: int = 0) -> Table:
    """Mixed kinds, three balanced classes that the features tell apart: every generator must manage it."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n_rows) % 3
    frame = pd.DataFrame(
        {
            "length": kind + 0.4 * rng.standard_normal(n_rows),
            "weight": 10.0 ** (kind + 0.2 * rng.standard_normal(n_rows)),
            "legs": 2 * kind + rng.integers(0, 2, n_rows),
            "colour": np.array(["brown", "green", "red"])[(kind + (rng.random(n_rows) < 0.2)) % 3],
            "flies": rng.random(n_rows) < 0.2 + 0.3 * kind,
            "species": np.array(["beetle", "fly", "wasp"])[kind],
        }
    )
    return Table.from_frame(frame, "species", name="the easy table")


def _mixed(n_rows: int, labels: Sequence[Any], columns: int = 4, seed: int = 1) -> pd.DataFrame:
    """``columns`` features of the four kinds in turn, and the target ``label``."""
    rng = np.random.default_rng(seed)
    repeated = np.resize(np.array(labels, dtype=object), n_rows)
    codes = pd.factorize(repeated)[0]
    data: dict[str, Any] = {}
    for number in range(columns):
        signal = codes + rng.standard_normal(n_rows)
        data[f"x{number}"] = (
            signal,
            np.round(3 * signal).astype(int),
            np.where(signal > 0.5, "high", "low"),
            signal > 1.0,
        )[number % 4]
    return pd.DataFrame(data).assign(label=repeated)


def _table(frame: pd.DataFrame, target: str = "label") -> Table:
    return Table.from_frame(frame, target, name="the hard table")


def _twenty_rows() -> Table:
    """20 rows."""
    return _table(_mixed(20, ["a", "b"]))


def _tiny_classes() -> Table:
    """Three classes with 4 rows each."""
    return _table(_mixed(12, ["a", "b", "c"]))


def _lone_row() -> Table:
    """A class with a single row."""
    frame = _mixed(31, ["a", "b"])
    frame.loc[30, "label"] = "rare"
    return _table(frame)


def _one_number() -> Table:
    """A single numeric column."""
    return _table(_mixed(40, ["a", "b"], columns=1))


def _one_category() -> Table:
    """A single categorical column."""
    return _table(_mixed(40, ["a", "b"])[["x2", "label"]])


def _many_columns() -> Table:
    """60 columns, more than there are rows."""
    return _table(_mixed(50, ["a", "b", "c"], columns=60))


def _all_categorical() -> Table:
    """Categorical columns only."""
    frame = _mixed(60, ["a", "b"], columns=8)
    for name in ("x0", "x1", "x4", "x5"):
        frame[name] = pd.cut(frame[name].astype(float), 4, labels=list("pqrs")).astype(object)
    return _table(frame[["x0", "x1", "x2", "x4", "x5", "x6", "label"]])


def _missing_values() -> Table:
    """Missing values in columns of every kind."""
    frame = _mixed(60, ["a", "b"], columns=8).astype({"x3": object, "x7": object})
    holes = np.random.default_rng(2).random((60, 6)) < 0.25
    names = ["x0", "x1", "x2", "x3", "x5", "x6"]
    return _table(frame.assign(**{name: frame[name].astype(object).mask(holes[:, i]) for i, name in enumerate(names)}))


def _empty_column() -> Table:
    """A column that holds no value at all."""
    return _table(_mixed(40, ["a", "b"]).assign(empty=np.nan))


def _constant_columns() -> Table:
    """Constant columns of every kind."""
    return _table(_mixed(40, ["a", "b"]).assign(one=1.5, two=2, three="three", four=True))


def _duplicate_columns() -> Table:
    """Columns that repeat others."""
    frame = _mixed(40, ["a", "b"])
    copies = {"x0_again": frame["x0"], "x0_twice": 2 * frame["x0"], "x2_again": frame["x2"], "x3_again": frame["x3"]}
    return _table(frame.assign(**copies))


def _two_hundred_levels() -> Table:
    """A categorical column of 200 levels."""
    frame = _mixed(400, ["a", "b", "c"])
    return _table(frame.assign(city=[f"city {i % 200}" for i in range(400)]))


def _odd_names() -> Table:
    """Column names and levels with spaces, quotes, unicode, and words that look like something else."""
    frame = _mixed(40, ["ja, ", "näin"], columns=8)
    frame["x2"] = np.where(frame["x2"] == "high", "", "nan")
    frame["x6"] = np.where(frame["x6"] == "high", "1", "None")
    names = ["größe (cm)", "a b", "日本 語", "x'y\"z", "y", "c0", "0", "~ C(x) + 1", "the target: 是"]
    return _table(frame.set_axis(names, axis=1), "the target: 是")


def _boolean_labels() -> Table:
    """Boolean classes."""
    return _table(_mixed(40, [True, False]).astype({"label": bool}))


def _integer_labels() -> Table:
    """Integer classes that do not start at 0."""
    return _table(_mixed(45, [1, 5, 7]).astype({"label": int}))


def _integer_levels() -> Table:
    """A categorical column whose levels are integers."""
    frame = _mixed(40, ["a", "b"]).assign(grade=np.resize([1, 3, 10], 40))
    return Table.from_frame(frame, "label", {"grade": "categorical"}, name="the hard table")


def _wild_numbers() -> Table:
    """Numbers of very different size, with heavy tails."""
    frame = _mixed(60, ["a", "b"])
    tails = np.random.default_rng(3).standard_cauchy(60)
    return _table(frame.assign(huge=1e15 * frame["x0"], tiny=1e-12 * frame["x0"], tails=tails, year=2000 + frame["x1"]))


def _dates() -> Table:
    """Dates, times of a zone and times with missing values."""
    frame = _mixed(60, ["a", "b"])
    days = pd.Series(np.datetime64("2020-02-28") + np.arange(60).astype("timedelta64[D]"))
    times = pd.Series(pd.date_range("2024-03-30 22:00", periods=60, freq="37min", tz="Europe/Berlin"))
    return _table(
        frame.assign(day=days, time=times, seen=days.mask(np.arange(60) % 5 == 0), never=days.mask(days.notna()))
    )


def _free_text() -> Table:
    """A column of free text, some of it missing."""
    frame = _mixed(60, ["a", "b"])
    words = np.random.default_rng(4).choice(["good", "bad", "old", "news", "of", "the", "town"], (60, 6))
    texts = pd.Series([" ".join(row) for row in words], dtype=object).mask(np.arange(60) % 7 == 0)
    return Table.from_frame(frame.assign(review=texts), "label", {"review": "text"}, name="the hard table")


HARD_TABLES: dict[str, Callable[[], Table]] = {
    "20-rows": _twenty_rows,
    "3-classes-of-4-rows": _tiny_classes,
    "class-of-one-row": _lone_row,
    "one-numeric-column": _one_number,
    "one-categorical-column": _one_category,
    "60-columns": _many_columns,
    "all-categorical": _all_categorical,
    "missing-values": _missing_values,
    "empty-column": _empty_column,
    "constant-columns": _constant_columns,
    "duplicate-columns": _duplicate_columns,
    "200-levels": _two_hundred_levels,
    "odd-names": _odd_names,
    "boolean-labels": _boolean_labels,
    "integer-labels": _integer_labels,
    "integer-levels": _integer_levels,
    "wild-numbers": _wild_numbers,
    "dates": _dates,
    "free-text": _free_text,
}
"""What real data brings, by name: functions that make the tables."""


# --- the checks ---------------------------------------------------------------------------------------------


class _Bench:
    """One generator under test, with its settings; what is dear (a fit) is done once and shared."""

    def __init__(self, generator: type[Generator], settings: dict[str, Any], model: str, seconds: float) -> None:
        self.generator = generator
        self.settings = settings
        self.model = model
        self.seconds = seconds
        self.table = easy_table()

    def new(self) -> Generator:
        return make_where_it_runs(self.generator, self.settings)

    @cached_property
    def foundation_model(self) -> FoundationModel:
        from tabgen.plugins import find_model

        return find_model(self.model, get_plugins()).load("cpu")

    def context(self, seed: int = 11, seconds: float = float("inf")) -> FitContext:
        return FitContext(seed=seed, deadline=time.monotonic() + seconds, load_model=lambda: self.foundation_model)

    def fit(self, table: Table, seed: int = 11) -> Generator:
        generator = self.new()
        fit_generator(generator, table, self.context(seed))
        return generator

    @cached_property
    def fresh(self) -> _Fresh:
        return _run_fresh(self)

    @cached_property
    def fitted(self) -> Generator:
        return self.fit(self.table)

    def draw(self, n_rows: int = 50, seed: int = 5) -> Table:
        return draw_sample(self.fitted, self.table, n_rows, seed)


def _fail_unless(condition: object, message: str) -> None:
    if not condition:
        raise ConformanceError(message)


def _information(bench: _Bench) -> None:
    """``info`` has a well-formed name, a one-line summary and a licence; every setting has a default."""
    info = bench.generator.info
    _fail_unless(NAME.fullmatch(info.name), f"info.name is {info.name!r}: lower-case letters, digits and hyphens only.")
    _fail_unless(info.summary and "\n" not in info.summary, f"info.summary should be one line; it is {info.summary!r}.")
    _fail_unless(info.licence, "info.licence is empty; name the SPDX licence of the code that runs.")
    _fail_unless(info.mixing in ("replace", "augment"), f"info.mixing is {info.mixing!r}, not 'replace' or 'augment'.")
    try:
        json.dumps(settings_of(bench.generator))
        bench.generator()
    except TypeError as error:
        raise ConformanceError(f"every setting needs a default that JSON can hold: {error}.") from error


def _pickles_by_name(bench: _Bench) -> None:
    """The class can be sent to another process."""
    try:
        same = pickle.loads(pickle.dumps(bench.generator)) is bench.generator  # noqa: S301 - made the line before
    except (pickle.PicklingError, AttributeError, ImportError) as error:
        raise ConformanceError(f"the class cannot be pickled: {error}; define it at a module's top level.") from error
    _fail_unless(same, "unpickling the class gives another class; define it once, at the top level of its module.")


def _valid_sample(bench: _Bench) -> None:
    """500 rows have the schema of the table (or what is declared): columns, kinds, levels, classes; all finite."""
    bench.draw(500)


def _row_counts(bench: _Bench) -> None:
    """1, 7 and 500 rows are exactly that many."""
    for n_rows in (1, 7, 500):
        sample = bench.fitted.sample(n_rows, seed=3)
        count = len(sample)
        _fail_unless(count == n_rows, f"{n_rows} rows were asked for and {count} came.")


def _every_class(bench: _Bench) -> None:
    """Ten samples of 300 rows of a table of balanced classes hold every class."""
    seen = {label for seed in range(10) for label in bench.draw(300, seed).labels.tolist()}
    absent = [label for code, label in enumerate(bench.table.schema.classes) if code not in seen]
    _fail_unless(not absent, f"of three balanced classes, {absent} never came up in 3,000 rows.")


def _same_seed(bench: _Bench) -> None:
    """The same seeds give the same rows, whatever the global random states are."""
    _set_global_seeds(1)
    first = draw_sample(bench.fit(bench.table), bench.table, 50, 5)
    _set_global_seeds(2)
    second = draw_sample(bench.fit(bench.table), bench.table, 50, 5)
    _fail_unless(
        first.content_hash == second.content_hash,
        "the same table and seeds gave different rows; draw everything from context.seed and the seed of sample().",
    )


def _samples_apart(bench: _Bench) -> None:
    """What was drawn before does not change a draw."""
    first = bench.draw(50)
    bench.fitted.sample(13, seed=99)
    second = bench.draw(50)
    _fail_unless(first.content_hash == second.content_hash, "sample() of the same seed changes when called again.")


def _other_seed(bench: _Bench) -> None:
    """Another seed gives other rows."""
    first, second = bench.draw(50, seed=5), bench.draw(50, seed=6)
    _fail_unless(first.content_hash != second.content_hash, "two seeds of sample() gave the very same 50 rows.")


def _global_states(bench: _Bench) -> None:
    """The global random states of ``random``, numpy and torch are left as they were."""
    import torch

    def states() -> dict[str, Any]:
        _, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - the state to watch
        numpy_state = (np.asarray(keys).tobytes(), *rest)
        return {"random": random.getstate(), "numpy": numpy_state, "torch": torch.get_rng_state().numpy().tobytes()}

    before = states()
    generator = bench.fit(bench.table)
    between = states()
    generator.sample(20, seed=4)
    after = states()
    for name in before:
        _fail_unless(before[name] == between[name], f"fit() changed the global random state of {name}.")
        _fail_unless(between[name] == after[name], f"sample() changed the global random state of {name}.")


def _input_untouched(bench: _Bench) -> None:
    """The table that was fitted is not modified, neither by fitting nor by sampling."""
    generator = bench.new()
    given, _ = prepare(generator, bench.table)  # what fit() gets is not the table itself, but made from it
    before = given.frame.copy(deep=True)
    generator.fit(given, bench.context())
    generator.sample(20, seed=4)
    _fail_unless(given.frame.equals(before), "the table that fit() was given is not what it was; work on a copy.")


def _fit_twice(bench: _Bench) -> None:
    """A second fit of the same object is as good as a fresh one."""
    other = easy_table(45, seed=9)
    generator = bench.fit(bench.table)
    generator.sample(5, seed=1)
    fit_generator(generator, other, bench.context())
    again = draw_sample(generator, other, 50, 5)
    fresh = draw_sample(bench.fit(other), other, 50, 5)
    same = again.content_hash == fresh.content_hash
    _fail_unless(same, "fitted a second time, the generator gives other rows than a fresh one.")


def _notes(bench: _Bench) -> None:
    """What ``fit`` notes for the outcome is small and JSON."""
    context = bench.context()
    fit_generator(bench.new(), bench.table, context)
    try:
        text = json.dumps(context.notes, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConformanceError(f"context.notes holds what JSON cannot: {error}.") from error
    _fail_unless(len(text) < 20_000, f"context.notes takes {len(text)} characters; 20,000 at most.")


def _limits(bench: _Bench) -> None:
    """A table beyond the declared limits is refused; the smallest one allowed is not."""
    limits = bench.generator.info.limits
    beyond: dict[str, tuple[int | None, Callable[[int], pd.DataFrame]]] = {
        "rows": (limits.max_rows, lambda n: _mixed(n + 1, ["a", "b"], columns=2)),
        "columns": (limits.max_columns, lambda n: _mixed(20, ["a", "b"], columns=n + 1)),
        "classes": (limits.max_classes, lambda n: _mixed(2 * n + 2, [f"class {i}" for i in range(n + 1)])),
        "levels": (limits.max_levels, lambda n: _mixed(n + 1, ["a", "b"]).assign(c=[f"l{i}" for i in range(n + 1)])),
    }
    for what, (most, make) in beyond.items():
        if most is None:
            continue
        try:
            bench.fit(_table(make(most)))
        except Unsupported:
            continue
        raise ConformanceError(f"info.limits allows at most {most} {what}, but a table with more was fitted.")
    least = max(limits.min_rows, 2)
    if least > 2:
        try:
            bench.fit(_table(_mixed(least - 1, ["a", "b"], columns=2)))
        except Unsupported:
            pass
        else:
            raise ConformanceError(f"info.limits asks for {least} rows, but a table with fewer was fitted.")
    _hard_table(bench, _table(_mixed(least, ["a", "b"], columns=2)), n_rows=0)


def _deadline(bench: _Bench) -> str:
    """With no time left, ``fit`` does what it can at once or refuses; it does not fail otherwise."""
    generator = bench.new()
    try:
        fit_generator(generator, bench.table, bench.context(seconds=-1.0))
    except Unsupported as reason:
        return f"refused: {reason}"
    draw_sample(generator, bench.table, 50, 5)
    return ""


def _held_out_rows(bench: _Bench) -> None:
    """Rows kept back for validation and test have no influence on what is sampled."""
    samples = []
    for seed in (1, 2):
        held_out = easy_table(30, seed)
        whole = Table.from_frame(pd.concat([bench.table.frame, held_out.frame], ignore_index=True), "species")
        train = whole.take(np.arange(len(bench.table))).observed()  # as a cell does; only held_out differs
        samples.append(draw_sample(bench.fit(train), train, 50, 5))
    same = samples[0].content_hash == samples[1].content_hash
    _fail_unless(same, "the same training rows and seeds gave other rows when only the held-out rows had changed.")


def _time_limit(bench: _Bench) -> None:
    """One fit and one draw end within the limit, and leave no process behind."""
    fresh = bench.fresh
    _fail_unless(
        not fresh.killed,
        f"a fit and a draw of {len(bench.table)} rows were not done in {bench.seconds:g} s, context.deadline being"
        " then; a run would end as 'timeout'. Fewer steps by default, or stop by context.seconds_left.",
    )
    _fail_unless(not fresh.left, f"{fresh.left} process(es) that the generator started outlive it.")


def _fresh_process(bench: _Bench) -> None:
    """In a fresh process the same rows come out, and the import is light."""
    fresh = bench.fresh
    _fail_unless(not fresh.killed, f"not done in a fresh process after {bench.seconds:g} s.")
    _fail_unless(fresh.returncode == 0, f"it does not run in a fresh process: {fresh.last_words}")
    heavy = ", ".join(fresh.answer["heavy"])
    _fail_unless(not heavy, f"importing the module imports {heavy}; import it inside functions.")
    here = draw_sample(bench.fit(bench.table), bench.table, 50, 5)
    _fail_unless(fresh.answer["hash"] == here.content_hash, "a fresh process gives other rows for the same seeds.")


@dataclass(frozen=True)
class _Fresh:
    """What became of a fit and a draw in a fresh process; ``left``: how many processes outlived it."""

    killed: bool
    left: int
    returncode: int
    last_words: str
    answer: dict[str, Any]


def _run_fresh(bench: _Bench) -> _Fresh:
    module = sys.modules[bench.generator.__module__]
    task = {
        "module": module.__name__,
        "file": getattr(module, "__file__", None),
        "name": bench.generator.__qualname__,
        "settings": bench.settings,
        "model": bench.model,
        "seconds": bench.seconds,
    }
    script = f"from tabgen.testing import run_in_fresh_process; run_in_fresh_process({json.dumps(task)!r})"
    mark = uuid.uuid4().hex
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:  # a pipe could be held open
        child = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env=os.environ | {"PYTHONHASHSEED": "12345", MARK: mark},
        )
        try:
            child.wait(bench.seconds)
            killed = False
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            killed = True
        left = _kill_marked(mark)
        answer, last_words = _last_line(out), _last_line(err)
    done = not killed and child.returncode == 0
    return _Fresh(killed, left, child.returncode, last_words, json.loads(answer) if done else {})


def _last_line(file: IO[str]) -> str:
    file.seek(0)
    return (file.read().strip().splitlines() or [""])[-1]


def _kill_marked(mark: str) -> int:
    """Kill every process that inherited this mark; how many there were."""
    found = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                found += 1
        except (psutil.Error, OSError):  # another user's, or it ended meanwhile
            continue
    return found


def run_in_fresh_process(task_as_json: str) -> None:
    """The child of the checks ``time-limit`` and ``fresh-process``; its answer is a line of JSON on stdout."""
    task = json.loads(task_as_json)
    before = set(sys.modules)
    try:
        module = import_module(task["module"])
    except ImportError:
        module = _import_file(Path(task["file"]))
    heavy = [name for name in HEAVY if name in sys.modules and name not in before]
    generator: Any = module
    for part in task["name"].split("."):
        generator = getattr(generator, part)
    bench = _Bench(generator, task["settings"], task["model"], task["seconds"])
    fitted = bench.new()
    fit_generator(fitted, bench.table, bench.context(seconds=bench.seconds))
    sample = draw_sample(fitted, bench.table, 50, 5)
    sys.stdout.write("\n" + json.dumps({"heavy": heavy, "hash": sample.content_hash}) + "\n")


def _run_hard_table(bench: _Bench, make: Callable[[], Table]) -> str:
    return _hard_table(bench, make())


def _hard_table(bench: _Bench, table: Table, n_rows: int = 100) -> str:
    try:
        generator = bench.fit(table)
        if n_rows:
            draw_sample(generator, table, n_rows, 5)
        else:
            generator.sample(3, seed=5)
    except Unsupported as reason:
        _fail_unless(str(reason).strip(), "it raises Unsupported without a reason.")
        return f"refused: {reason}"
    except TabgenError as error:
        raise ConformanceError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        raise ConformanceError(
            f"{type(error).__name__}: {error}; a table that cannot be handled is refused with errors.Unsupported."
        ) from error
    return ""


def _set_global_seeds(seed: int) -> None:
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state a generator must not depend on
    torch.manual_seed(seed)


_CONTRACT: dict[str, Callable[[_Bench], str | None]] = {
    "information": _information,
    "pickles-by-name": _pickles_by_name,
    "time-limit": _time_limit,
    "fresh-process": _fresh_process,
    "valid-sample": _valid_sample,
    "row-counts": _row_counts,
    "every-class": _every_class,
    "same-seed": _same_seed,
    "samples-apart": _samples_apart,
    "other-seed": _other_seed,
    "global-random-states": _global_states,
    "input-untouched": _input_untouched,
    "fit-twice": _fit_twice,
    "notes": _notes,
    "limits": _limits,
    "held-out-rows": _held_out_rows,
    "no-time-left": _deadline,
}
