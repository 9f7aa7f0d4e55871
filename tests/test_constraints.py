"""Constraints: what is read and what is refused, what rows meet, and rejection up to its bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.constraints import all_met, read_all, read_constraint, read_fixed
from tabgen.errors import ConstraintError, InvalidOutput, UnknownNameError
from tabgen.generator import FitContext, Generator, GeneratorInfo
from tabgen.references import Bootstrap
from tabgen.rejection import draw_where
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table

FRAME = pd.DataFrame(
    {
        "age": [10, 18, 40, 65, 80, 33],
        "blood sugar": [1.5, np.nan, 3.0, 4.5, 6.0, 2.0],
        "sex": ["f", "m", "f", "m", "f", "m"],
        "stage": pd.Categorical([1, 2, 3, 1, 2, 3]),
        "a<b": ["x", "y", "x", "y", "x", "y"],
        "smokes": [True, False, True, None, False, True],
        "seen": pd.to_datetime(
            ["2020-01-01", "2020-06-01", "2021-01-01", "2022-01-01", "2023-01-01", "2024-01-01"]
        ).tz_localize("Europe/Berlin"),
        "born": pd.to_datetime(["2000-01-01"] * 6),
        "ill": ["yes", "no", "yes", "no", "yes", "no"],
    }
)
TABLE = Table.from_frame(FRAME, "ill")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("age >= 18", [1, 2, 3, 4, 5]),
        ("18 <= age", [1, 2, 3, 4, 5]),
        ("18<=age<65", [1, 2, 5]),
        ("65 >= age > 18", [2, 3, 5]),
        ("age != 40", [0, 1, 3, 4, 5]),
        ("blood sugar > 2", [2, 3, 4]),
        ("`blood sugar` != 3", [0, 3, 4, 5]),  # the missing value meets nothing
        ("sex == 'f'", [0, 2, 4]),
        ('sex != "f"', [1, 3, 5]),
        ("sex == m", [1, 3, 5]),
        ("stage >= 2", [1, 2, 4, 5]),
        ("`a<b` == x", [0, 2, 4]),
        ("smokes == true", [0, 2, 5]),
        ("seen >= 2022-01-01", [3, 4, 5]),  # midnight in Berlin, which is the day before in UTC
        ("seen < '2020-01-01 00:00:01'", [0]),
        ("seen >= 2021-12-31T23:00Z", [3, 4, 5]),
        ("seen >= 2022-01-01 00:00+01:00", [3, 4, 5]),
        ("seen < 3000-01-01", [0, 1, 2, 3, 4, 5]),
        ("ill == yes", [0, 2, 4]),
    ],
)
def test_rows_that_meet_a_constraint(text: str, rows: list[int]) -> None:
    assert np.flatnonzero(read_constraint(text, TABLE.schema).met(TABLE.frame)).tolist() == rows


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("age = 18", ConstraintError, "equality is written =="),
        ("age", ConstraintError, "is no constraint"),
        ("age >=", ConstraintError, "is no constraint"),
        ("age > 18 and sex == 'f'", ConstraintError, "both operators"),
        ("18 < age > 65", ConstraintError, "both operators"),
        ("age > 1 > 2 > 3", ConstraintError, "Several are given one by one"),
        ("agee > 18", UnknownNameError, "did you mean 'age'"),
        ("age > eighteen", ConstraintError, "'eighteen' is none"),
        ("age < inf", ConstraintError, "'inf' is none"),
        ("sex < 'm'", ConstraintError, "has no order"),
        ("sex == 'female'", UnknownNameError, "no level of 'sex'"),
        ("stage == 4", UnknownNameError, "no level of 'stage'"),
        ("seen > yesterday-ish", ConstraintError, "holds dates"),
        *(
            (f"seen < {date}", ConstraintError, f"'{date}' is none such as 2024-03-31 or 2024-03-31 23:59")
            for date in ("05.02.2020", "03/02/2020", "10:00", "today", "2020", "2020-13-01", "2020-01-01 25:00")
        ),
        (
            "seen >= 2024-03-31 02:30",
            ConstraintError,
            "of Europe/Berlin never shows or shows twice; write it with its offset",
        ),
        (
            "seen >= 2024-10-27 02:30",
            ConstraintError,
            "of Europe/Berlin never shows or shows twice; write it with its offset",
        ),
        ("__import__('os').system('true') > 1", UnknownNameError, "no column"),
        ("@age.max() > 1", UnknownNameError, "no column"),
        ("age > __import__('os').getpid()", ConstraintError, "is none"),
    ],
)
def test_what_is_no_comparison_is_refused_and_never_run(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read_constraint(text, TABLE.schema)


def test_fixed_columns_are_equalities() -> None:
    constraints = read_all(["age > 10"], {"sex": "f", "stage": 3, "smokes": True}, TABLE.schema)
    assert np.flatnonzero(all_met(constraints, TABLE.frame)).tolist() == [2]
    with pytest.raises(UnknownNameError, match="did you mean 'stage'"):
        read_fixed("stages", 3, TABLE.schema)


class Counting(Bootstrap):
    """Real rows, and how many were drawn."""

    drawn = 0

    def sample(self, n_rows: int, seed: int) -> Any:
        self.drawn += n_rows
        return super().sample(n_rows, seed)


def fitted(generator: Generator) -> Generator:
    fit_generator(generator, TABLE, FitContext(seed=0))
    return generator


def test_rows_are_the_generators_own_given_that_they_meet_the_constraints() -> None:
    generator = Counting()
    fitted(generator)
    constraints = read_all(["age >= 18", "blood sugar < 5"], {"sex": "m"}, TABLE.schema)
    sample, acceptance = draw_where(generator, TABLE, 300, 4, constraints)
    assert len(sample) == 300
    assert all_met(constraints, sample.frame).all()
    assert acceptance.drawn == generator.drawn
    assert 0.2 < acceptance.rate < 0.5  # rows 3 and 5 of six
    assert set(sample.frame["age"]) == {65, 33}
    again, _ = draw_where(generator, TABLE, 300, 4, constraints)
    pd.testing.assert_frame_equal(sample.frame, again.frame)


def test_one_class_may_be_asked_for() -> None:
    sample, _ = draw_where(fitted(Bootstrap()), TABLE, 20, 0, read_all([], {"ill": "yes"}, TABLE.schema))
    assert set(sample.frame["ill"]) == {"yes"}


class Turns(Generator):
    """Rows of one class, and of the other at the next draw."""

    info = GeneratorInfo("turns", "the classes by turns", accepts_missing=True)

    def __init__(self, turns: int = 2) -> None:
        self.turns, self.draws = turns, 0

    def fit(self, table: Table, context: FitContext) -> None:
        self.table = table

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        rows = self.table.take(np.flatnonzero(self.table.labels == self.draws % self.turns)).frame
        self.draws += 1
        return rows.sample(n_rows, replace=True, random_state=seed)


def test_one_draw_may_hold_one_class_but_not_all_of_them() -> None:
    constraints = read_all(["age >= 65"], {}, TABLE.schema)  # a third of the rows of either class
    sample, _ = draw_where(fitted(Turns()), TABLE, 300, 0, constraints)
    assert set(sample.frame["ill"]) == {"yes", "no"}
    with pytest.raises(InvalidOutput, match=r"'turns' holds one class only \('no'\)"):
        draw_where(fitted(Turns(turns=1)), TABLE, 300, 0, constraints)


def test_without_constraints_the_rows_are_those_of_a_plain_draw() -> None:
    generator = fitted(Bootstrap())
    sample, acceptance = draw_where(generator, TABLE, 20, 3)
    pd.testing.assert_frame_equal(sample.frame, draw_sample(generator, TABLE, 20, 3).frame)
    assert (acceptance.drawn, acceptance.rate) == (20, 1.0)


def test_the_bound_ends_the_draws_and_says_the_rate() -> None:
    generator = Counting()
    fitted(generator)
    constraints = read_all(["age > 90", "sex == f"], {}, TABLE.schema)
    with pytest.raises(
        ConstraintError, match=r"of 1,500 rows drawn .* 0.00% meet .*age > 90 by 0.00%, sex == f by"
    ) as said:
        draw_where(generator, TABLE, 10, 0, constraints, most_draws=1500)
    assert generator.drawn == 1500
    assert "of the 6 real rows 0 do" in str(said.value)


class Dropping(Generator):
    info = GeneratorInfo("dropping", "leaves a column out", accepts_missing=True, changes_columns=True)

    def fit(self, table: Table, context: FitContext) -> None:
        self.table = table

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
        lacking = "age" if seed == 0 else "sex"
        return self.table.frame.sample(n_rows, replace=True, random_state=seed).drop(columns=lacking)


def test_columns_that_are_left_out_cannot_be_constrained() -> None:
    with pytest.raises(InvalidOutput, match="lack the column 'age'"):
        draw_where(fitted(Dropping()), TABLE, 10, 0, read_all(["age > 18"], {}, TABLE.schema))
    with pytest.raises(InvalidOutput, match="other columns than the next"):
        draw_where(fitted(Dropping()), TABLE, 190, 0, read_all(["stage == 1"], {}, TABLE.schema))
