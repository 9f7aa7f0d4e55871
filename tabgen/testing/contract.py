"""The checks, one function each: its docstring is the rule, its error says how the generator breaks it."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tabgen.errors import TabgenError, Unsupported
from tabgen.generator import settings_of
from tabgen.plugins import NAME
from tabgen.sampling import draw_sample, fit_generator, prepare
from tabgen.table import Table
from tabgen.testing.bench import Bench, ConformanceError, fail_unless
from tabgen.testing.tables import easy_table, hard_table, mixed


def _information(bench: Bench) -> None:
    """``info`` has a well-formed name, a one-line summary and a licence; every setting has a default."""
    info = bench.generator.info
    fail_unless(NAME.fullmatch(info.name), f"info.name is {info.name!r}: lower-case letters, digits and hyphens only.")
    fail_unless(info.summary and "\n" not in info.summary, f"info.summary should be one line; it is {info.summary!r}.")
    fail_unless(info.licence, "info.licence is empty; name the SPDX licence of the code that runs.")
    fail_unless(info.mixing in ("replace", "augment"), f"info.mixing is {info.mixing!r}, not 'replace' or 'augment'.")
    try:
        json.dumps(settings_of(bench.generator))
        bench.generator()
    except TypeError as error:
        raise ConformanceError(f"every setting needs a default that JSON can hold: {error}.") from error


def _pickles_by_name(bench: Bench) -> None:
    """The class can be sent to another process."""
    try:
        same = pickle.loads(pickle.dumps(bench.generator)) is bench.generator  # noqa: S301 - made the line before
    except (pickle.PicklingError, AttributeError, ImportError) as error:
        raise ConformanceError(f"the class cannot be pickled: {error}; define it at a module's top level.") from error
    fail_unless(same, "unpickling the class gives another class; define it once, at the top level of its module.")


def _valid_sample(bench: Bench) -> None:
    """500 rows have the schema of the table (or what is declared): columns, kinds, levels, classes; all finite."""
    bench.draw(500)


def _row_counts(bench: Bench) -> None:
    """1, 7 and 500 rows are exactly that many."""
    for n_rows in (1, 7, 500):
        sample = bench.fitted.sample(n_rows, seed=3)
        count = len(sample)
        fail_unless(count == n_rows, f"{n_rows} rows were asked for and {count} came.")


def _every_class(bench: Bench) -> None:
    """Ten samples of 300 rows of a table of balanced classes hold every class."""
    seen = {label for seed in range(10) for label in bench.draw(300, seed).labels.tolist()}
    absent = [label for code, label in enumerate(bench.table.schema.classes) if code not in seen]
    fail_unless(not absent, f"of three balanced classes, {absent} never came up in 3,000 rows.")


def _same_seed(bench: Bench) -> None:
    """The same seeds give the same rows, whatever the global random states are."""
    _set_global_seeds(1)
    first = draw_sample(bench.fit(bench.table), bench.table, 50, 5)
    _set_global_seeds(2)
    second = draw_sample(bench.fit(bench.table), bench.table, 50, 5)
    fail_unless(
        first.content_hash == second.content_hash,
        "the same table and seeds gave different rows; draw everything from context.seed and the seed of sample().",
    )


def _samples_apart(bench: Bench) -> None:
    """What was drawn before does not change a draw."""
    first = bench.draw(50)
    bench.fitted.sample(13, seed=99)
    second = bench.draw(50)
    fail_unless(first.content_hash == second.content_hash, "sample() of the same seed changes when called again.")


def _other_seed(bench: Bench) -> None:
    """Another seed gives other rows."""
    first, second = bench.draw(50, seed=5), bench.draw(50, seed=6)
    fail_unless(first.content_hash != second.content_hash, "two seeds of sample() gave the very same 50 rows.")


def _global_states(bench: Bench) -> None:
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
        fail_unless(before[name] == between[name], f"fit() changed the global random state of {name}.")
        fail_unless(between[name] == after[name], f"sample() changed the global random state of {name}.")


def _input_untouched(bench: Bench) -> None:
    """The table that was fitted is not modified, neither by fitting nor by sampling."""
    generator = bench.new()
    given, _ = prepare(generator, bench.table)  # what fit() gets is not the table itself, but made from it
    before = given.frame.copy(deep=True)
    generator.fit(given, bench.context())
    generator.sample(20, seed=4)
    fail_unless(given.frame.equals(before), "the table that fit() was given is not what it was; work on a copy.")


def _fit_twice(bench: Bench) -> None:
    """A second fit of the same object is as good as a fresh one."""
    other = easy_table(45, seed=9)
    generator = bench.fit(bench.table)
    generator.sample(5, seed=1)
    fit_generator(generator, other, bench.context())
    again = draw_sample(generator, other, 50, 5)
    fresh = draw_sample(bench.fit(other), other, 50, 5)
    same = again.content_hash == fresh.content_hash
    fail_unless(same, "fitted a second time, the generator gives other rows than a fresh one.")


def _notes(bench: Bench) -> None:
    """What ``fit`` notes for the outcome is small and JSON."""
    context = bench.context()
    fit_generator(bench.new(), bench.table, context)
    try:
        text = json.dumps(context.notes, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConformanceError(f"context.notes holds what JSON cannot: {error}.") from error
    fail_unless(len(text) < 20_000, f"context.notes takes {len(text)} characters; 20,000 at most.")


def _limits(bench: Bench) -> None:
    """A table beyond the declared limits is refused; the smallest one allowed is not."""
    limits = bench.generator.info.limits
    beyond: dict[str, tuple[int | None, Callable[[int], pd.DataFrame]]] = {
        "rows": (limits.max_rows, lambda n: mixed(n + 1, ["a", "b"], columns=2)),
        "columns": (limits.max_columns, lambda n: mixed(20, ["a", "b"], columns=n + 1)),
        "classes": (limits.max_classes, lambda n: mixed(2 * n + 2, [f"class {i}" for i in range(n + 1)])),
        "levels": (limits.max_levels, lambda n: mixed(n + 1, ["a", "b"]).assign(c=[f"l{i}" for i in range(n + 1)])),
    }
    for what, (most, make) in beyond.items():
        if most is None:
            continue
        try:
            bench.fit(hard_table(make(most)))
        except Unsupported:
            continue
        raise ConformanceError(f"info.limits allows at most {most} {what}, but a table with more was fitted.")
    least = max(limits.min_rows, 2)
    if least > 2:
        try:
            bench.fit(hard_table(mixed(least - 1, ["a", "b"], columns=2)))
        except Unsupported:
            pass
        else:
            raise ConformanceError(f"info.limits asks for {least} rows, but a table with fewer was fitted.")
    _hard_table(bench, hard_table(mixed(least, ["a", "b"], columns=2)), n_rows=0)


def _deadline(bench: Bench) -> str:
    """With no time left, ``fit`` does what it can at once or refuses; it does not fail otherwise."""
    generator = bench.new()
    try:
        fit_generator(generator, bench.table, bench.context(seconds=-1.0))
    except Unsupported as reason:
        return f"refused: {reason}"
    draw_sample(generator, bench.table, 50, 5)
    return ""


def _held_out_rows(bench: Bench) -> None:
    """Rows kept back for validation and test have no influence on what is sampled."""
    samples = []
    for seed in (1, 2):
        held_out = easy_table(30, seed)
        whole = Table.from_frame(pd.concat([bench.table.frame, held_out.frame], ignore_index=True), "species")
        train = whole.take(np.arange(len(bench.table))).observed()  # as a cell does; only held_out differs
        samples.append(draw_sample(bench.fit(train), train, 50, 5))
    same = samples[0].content_hash == samples[1].content_hash
    fail_unless(same, "the same training rows and seeds gave other rows when only the held-out rows had changed.")


ENDED = "the generator ended the interpreter"


def _time_limit(bench: Bench) -> None:
    """One fit and one draw end within the limit, leave the interpreter running and no process behind."""
    fresh = bench.fresh
    fail_unless(
        not fresh.killed,
        f"a fit and a draw of {len(bench.table)} rows were not done in {bench.seconds:g} s, context.deadline being"
        " then; a run would end as 'timeout'. Fewer steps by default, or stop by context.seconds_left.",
    )
    fail_unless(not fresh.ended_early, f"{ENDED} (exit code {fresh.returncode}).")
    fail_unless(not fresh.left, f"{fresh.left} process(es) that the generator started outlive it.")


def _fresh_process(bench: Bench) -> None:
    """In a fresh process the same rows come out, and the import is light."""
    fresh = bench.fresh
    fail_unless(not fresh.killed, f"not done in a fresh process after {bench.seconds:g} s.")
    fail_unless(fresh.returncode == 0, f"it does not run in a fresh process: {fresh.last_words}")
    heavy = ", ".join(fresh.answer["heavy"])
    fail_unless(not heavy, f"importing the module imports {heavy}; import it inside functions.")
    here = draw_sample(bench.fit(bench.table), bench.table, 50, 5)
    fail_unless(fresh.answer["hash"] == here.content_hash, "a fresh process gives other rows for the same seeds.")


def run_hard_table(bench: Bench, make: Callable[[], Table]) -> str:
    return _hard_table(bench, make())


def _hard_table(bench: Bench, table: Table, n_rows: int = 100) -> str:
    try:
        generator = bench.fit(table)
        if n_rows:
            draw_sample(generator, table, n_rows, 5)
        else:
            generator.sample(3, seed=5)
    except Unsupported as reason:
        fail_unless(str(reason).strip(), "it raises Unsupported without a reason.")
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


CONTRACT: dict[str, Callable[[Bench], str | None]] = {
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
