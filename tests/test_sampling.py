"""What the core does around a generator: filling what it does not accept, checking what it returns."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest

from tabgen.errors import InvalidOutput, Unsupported
from tabgen.generator import FitContext, Generator, GeneratorInfo, Limits
from tabgen.sampling import draw_sample, fit_generator, impute, prepare
from tabgen.table import Table

NAN = float("nan")


class Echo(Generator):
    """Hands back what it was told to, and keeps what it was fitted on."""

    info = GeneratorInfo("echo", "returns what it was told")

    def __init__(self, answer: Any = None, **info: Any) -> None:
        self.answer = answer
        if info:
            self.info = GeneratorInfo("echo", "returns what it was told", **info)  # type: ignore[misc]

    def fit(self, table: Table, context: FitContext) -> None:
        self.table = table

    def sample(self, n_rows: int, seed: int) -> Any:
        return self.table if self.answer is None else self.answer


def holey() -> Table:
    return Table.from_frame(
        pd.DataFrame(
            {
                "size": [1.0, 2.5, NAN, 4.0],
                "count": [1.0, 2.0, 4.0, NAN],
                "colour": ["red", "green", None, "red"],
                "flag": [True, None, True, False],
                "full": [1, 2, 3, 4],
                "label": ["a", "b", "a", "b"],
            }
        ),
        "label",
    )


def full() -> Table:
    return Table.from_frame(
        pd.DataFrame({"x": [1.5, 2, 3, 4], "c": ["u", "v", "w", "u"], "label": ["a", "b", "a", "b"]}), "label"
    )


def misfit(message: str) -> Any:
    return pytest.raises(InvalidOutput, match=re.escape(message))


# Imputing


def test_missing_values_become_medians_and_most_frequent_levels() -> None:
    table = holey()
    filled, names = impute(table)
    assert names == ["size", "count", "colour", "flag"]
    assert filled.frame["size"].tolist() == [1, 2.5, 2.5, 4]
    assert filled.frame["count"].tolist() == [1, 2, 4, 2]
    assert filled.frame["count"].dtype == "int64"
    assert filled.frame["colour"].tolist() == ["red", "green", "red", "red"]
    assert filled.frame["flag"].tolist() == [True, True, True, False]
    assert filled.schema == table.schema
    assert not filled.has_missing
    assert table.has_missing


def test_medians_of_integers_are_rounded() -> None:
    frame = pd.DataFrame({"x": [1.0, 4.0, NAN, NAN], "y": list("abab")})
    assert impute(Table.from_frame(frame, "y"))[0].frame["x"].tolist() == [1, 4, 2, 2]


def test_columns_without_any_value_become_zero_or_one_level() -> None:
    nothing = {"number": [NAN] * 4, "text": pd.Series([None] * 4, dtype=object)}
    frame = pd.DataFrame(
        {
            **nothing,
            "whole": pd.Series([None] * 4, dtype="Int64"),
            "flag": pd.Series([None] * 4, dtype="boolean"),
            "y": list("abab"),
        }
    )
    filled, names = impute(Table.from_frame(frame, "y"))
    assert names == ["number", "text", "whole", "flag"]
    assert filled.frame[names].iloc[0].tolist() == [0.0, "missing", 0, False]
    assert filled.schema["text"].levels == ("missing",)
    assert filled.frame["text"].cat.categories.tolist() == ["missing"]
    assert filled.schema["flag"].levels == (False, True)


def test_a_complete_table_is_left_as_it_is() -> None:
    table = full()
    assert impute(table) == (table, [])


# Before the fit


def test_a_generator_that_takes_missing_values_gets_them() -> None:
    generator, context = Echo(accepts_missing=True), FitContext(0)
    fit_generator(generator, holey(), context)
    assert generator.table.content_hash == holey().content_hash
    assert context.notes == {}


def test_a_generator_that_does_not_gets_filled_columns_and_the_outcome_says_so() -> None:
    generator, context = Echo(), FitContext(0)
    fit_generator(generator, holey(), context)
    assert not generator.table.has_missing
    assert context.notes["imputed_columns"] == ["size", "count", "colour", "flag"]


@pytest.mark.parametrize("accepts", [True, False])
def test_a_generator_sees_only_the_levels_of_its_rows(accepts: bool) -> None:
    prepared, _ = prepare(Echo(accepts_missing=accepts), full().take([0, 1, 3]))
    assert prepared.schema["c"].levels == ("u", "v")


def test_limits_are_checked_before_the_fit() -> None:
    generator = Echo(limits=Limits(max_rows=3))
    with pytest.raises(Unsupported, match=re.escape("echo takes at most 3 rows; the table has 4.")):
        fit_generator(generator, full(), FitContext(0))
    assert not hasattr(generator, "table")


def test_what_a_generator_does_to_its_table_does_not_reach_the_real_rows() -> None:
    class Vandal(Echo):
        def fit(self, table: Table, context: FitContext) -> None:
            frame = table.frame
            frame.loc[:, "x"] = -1.0

    table = full()
    before = table.frame.copy(deep=True)
    fit_generator(Vandal(), table, FitContext(0))
    pd.testing.assert_frame_equal(table.frame, before)


# After the sample


def test_tables_and_frames_are_both_accepted() -> None:
    table = full()
    for answer in (table, table.frame, table.frame.astype({"c": "string", "label": object}).iloc[:, ::-1]):
        assert draw_sample(Echo(answer), table, 4, 0).content_hash == table.content_hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": [float("inf")] * 4}, "column 'x' of the sample of generator 'echo' holds infinity in 4 of 4 rows"),
        (
            {"x": [1.5, 2, 3, NAN]},
            "column 'x' of the sample of generator 'echo' has missing values; the real one has none.",
        ),
        ({"c": ["u", "v", "w", "z"]}, "column 'c' of the sample of generator 'echo' holds 'z' in 1 of 4 rows"),
        ({"label": ["a", "b", "a", "c"]}, "column 'label' of the sample of generator 'echo' holds 'c' in 1 of 4 rows"),
        (
            {"label": ["a", "b", "a", None]},
            "the sample of generator 'echo': the target 'label' is missing in some rows.",
        ),
        ({"label": ["a"] * 4}, "the sample of generator 'echo' holds one class only ('a')."),
        ({"new": [1] * 4}, "the sample of generator 'echo' has the wrong columns: missing [], not expected ['new']."),
    ],
    ids=str,
)
def test_samples_that_do_not_fit_are_invalid(change: dict[str, Any], message: str) -> None:
    table = full()
    with misfit(message):
        draw_sample(Echo(table.frame.assign(**change)), table, 4, 0)


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 1, 2, 3, 3], []])
def test_another_number_of_rows_is_invalid(rows: list[int]) -> None:
    table = full()
    with misfit(f"the sample of generator 'echo' has {len(rows)} rows; 4 were asked for."):
        draw_sample(Echo(table.take(rows)), table, 4, 0)
    with misfit("the sample of generator 'echo' has 0 rows; 1 was asked for."):
        draw_sample(Echo(table.take([])), table, 1, 0)


@pytest.mark.parametrize("answer", [[1, 2], {"x": [1]}, "rows"])
def test_something_that_is_no_table_is_invalid(answer: Any) -> None:
    with misfit(f"the sample of generator 'echo' is a {type(answer).__name__}; a Table or a DataFrame is due."):
        draw_sample(Echo(answer), full(), 4, 0)


def test_levels_that_only_held_out_rows_have_are_invalid() -> None:
    table = full()
    with misfit(
        "column 'c' of the sample of generator 'echo' holds 'w' in 1 of 4 rows, which is none of its levels ('u', 'v')."
    ):
        draw_sample(Echo(table), table.take([0, 1, 3]), 4, 0)


def test_one_row_may_be_of_one_class() -> None:
    table = full()
    assert len(draw_sample(Echo(table.take([0])), table, 1, 0)) == 1


def test_missing_values_may_stay_where_the_real_column_has_some() -> None:
    table = holey()
    assert draw_sample(Echo(table, accepts_missing=True), table, 4, 0).content_hash == table.content_hash
    complete = draw_sample(Echo(impute(table)[0]), table, 4, 0, marks=False)
    assert complete.content_hash == impute(table)[0].content_hash


def test_the_level_that_filled_an_empty_column_may_be_sampled_by_who_was_given_it() -> None:
    frame = full().frame.assign(empty=pd.Series([None] * 4, dtype=object))
    table = Table.from_frame(frame, "label")
    generator = Echo()
    fit_generator(generator, table, FitContext(0))
    assert draw_sample(generator, table, 4, 0, marks=False).frame["empty"].tolist() == ["missing"] * 4
    assert draw_sample(generator, table, 4, 0).frame["empty"].isna().all()
    with misfit("column 'empty' of the sample of generator 'echo' holds 'missing' in 4 of 4 rows"):
        draw_sample(Echo(generator.table, accepts_missing=True), table, 4, 0)


def test_fewer_columns_are_valid_only_where_declared() -> None:
    table = full()
    answer = table.frame[["c", "label"]]
    assert draw_sample(Echo(answer, changes_columns=True), table, 4, 0).schema.names == ["c"]
    with misfit("the sample of generator 'echo' has the wrong columns: missing ['x'], not expected []."):
        draw_sample(Echo(answer), table, 4, 0)
    with misfit("the sample of generator 'echo' has none of the feature columns."):
        draw_sample(Echo(table.frame[["label"]], changes_columns=True), table, 4, 0)
    with misfit("not expected ['new']"):
        draw_sample(Echo(answer.assign(new=1), changes_columns=True), table, 4, 0)
    with misfit("missing ['label']"):
        draw_sample(Echo(table.frame[["c"]], changes_columns=True), table, 4, 0)
