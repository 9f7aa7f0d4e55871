"""What a generator declares: limits, settings, the context it is fitted in."""

from __future__ import annotations

import re
import time
from typing import Any

import pandas as pd
import pytest

from tabgen.errors import ExperimentError, Unsupported
from tabgen.generator import FitContext, Generator, GeneratorInfo, Limits, make_generator, settings_of
from tabgen.table import Table


class Tuned(Generator):
    info = GeneratorInfo("tuned", "has settings of every type")

    def __init__(
        self, rate: float = 0.5, epochs: int = 10, kind: str = "plain", fast: bool = False, seed: int | None = None
    ) -> None:
        self.settings = {"rate": rate, "epochs": epochs, "kind": kind, "fast": fast, "seed": seed}

    def fit(self, table: Table, context: FitContext) -> None: ...

    def sample(self, n_rows: int, seed: int) -> Table:
        raise NotImplementedError


class Plain(Tuned):
    info = GeneratorInfo("plain", "has none")

    def __init__(self) -> None: ...


def table(rows: int = 6) -> Table:
    """6 rows of 3 features, 3 classes, and at most 4 levels."""
    frame = pd.DataFrame({"a": range(6), "b": list("wxyzwx"), "c": [True, False] * 3, "y": [0, 1, 2] * 2})
    return Table.from_frame(frame, "y").take(range(rows))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_rows=5), "gen takes at most 5 rows; the table has 6."),
        (Limits(max_columns=2), "gen takes at most 2 feature columns; the table has 3."),
        (Limits(max_classes=2), "gen takes at most 2 classes; the table has 3."),
        (Limits(max_levels=3), "gen takes at most 3 levels in a column; the table has 4."),
        (Limits(min_rows=7), "gen needs at least 7 rows; the table has 6."),
    ],
)
def test_a_table_beyond_a_limit_is_unsupported(limits: Limits, message: str) -> None:
    with pytest.raises(Unsupported, match=re.escape(message)):
        limits.check(table(), "gen")


def test_a_table_at_every_limit_is_accepted() -> None:
    Limits(min_rows=6, max_rows=6, max_columns=3, max_classes=3, max_levels=4).check(table(), "gen")
    Limits().check(table(2), "gen")


def test_one_row_is_too_few_unless_declared() -> None:
    with pytest.raises(Unsupported, match=re.escape("gen needs at least 2 rows; the table has 1.")):
        Limits().check(table(1), "gen")
    Limits(min_rows=1).check(table(1), "gen")


def test_settings_are_the_keywords_of_init_with_their_defaults() -> None:
    assert settings_of(Tuned) == {"rate": 0.5, "epochs": 10, "kind": "plain", "fast": False, "seed": None}
    assert settings_of(Plain) == {}


def test_settings_reach_the_generator() -> None:
    made = make_generator(Tuned, {"rate": 1, "epochs": 3, "kind": "deep", "fast": True, "seed": 7})
    assert isinstance(made, Tuned)
    assert made.settings == {"rate": 1, "epochs": 3, "kind": "deep", "fast": True, "seed": 7}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"epoch": 3},
            "tuned has no setting 'epoch'; its settings are: rate=0.5, epochs=10, kind='plain', fast=False, seed=None.",
        ),
        ({"epochs": 2.5}, "tuned: the setting epochs=2.5 should be int, as 10 is."),
        ({"epochs": True}, "tuned: the setting epochs=True should be int, as 10 is."),
        ({"rate": True}, "tuned: the setting rate=True should be float, as 0.5 is."),
        ({"rate": "high"}, "tuned: the setting rate='high' should be float, as 0.5 is."),
        ({"fast": 1}, "tuned: the setting fast=1 should be bool, as False is."),
        ({"kind": 3}, "tuned: the setting kind=3 should be str, as 'plain' is."),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=re.escape(message)):
        make_generator(Tuned, settings)


def test_a_generator_without_settings_says_so() -> None:
    with pytest.raises(ExperimentError, match=re.escape("plain has no setting 'x'; its settings are: none.")):
        make_generator(Plain, {"x": 1})


def test_a_generator_must_fit_and_sample() -> None:
    class Half(Generator):
        info = GeneratorInfo("half", "cannot sample")

        def fit(self, table: Table, context: FitContext) -> None: ...

    with pytest.raises(TypeError, match="sample"):
        Half()  # type: ignore[abstract]


def test_context_counts_down() -> None:
    assert FitContext(0).seconds_left == float("inf")
    assert 0 < FitContext(0, deadline=time.monotonic() + 5).seconds_left <= 5
    assert FitContext(0, deadline=time.monotonic() - 1).seconds_left < 0


def test_context_offers_the_foundation_model_only_where_there_is_one() -> None:
    model: Any = object()
    assert FitContext(0, load_model=lambda: model).foundation_model is model
    with pytest.raises(Unsupported, match="this generator needs the foundation model"):
        _ = FitContext(0).foundation_model


def test_contexts_do_not_share_notes() -> None:
    FitContext(0).notes["seen"] = True
    assert FitContext(0).notes == {}


def test_example_of_the_docstring_runs() -> None:
    import doctest

    from tabgen import generator

    names = {"Generator": Generator, "GeneratorInfo": GeneratorInfo}
    tests = [t for t in doctest.DocTestFinder().find(generator, extraglobs=names) if t.examples]
    assert tests
    for example in tests:
        assert doctest.DocTestRunner().run(example).failed == 0
    shuffled = tests[0].globs.get("Shuffled")
    assert shuffled is None or issubclass(shuffled, Generator)
