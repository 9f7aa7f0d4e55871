"""Tables: what is read off a DataFrame, what is refused and in which words, and the way back through `like`."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabgen.column import Column
from tabgen.errors import InvalidOutput, TableError, TableWarning
from tabgen.table import Schema, Table

NAN = float("nan")


def frame_of(values: Any, labels: Any = None, **columns: Any) -> pd.DataFrame:
    """A frame with the feature x, a plain feature n beside it and the target y."""
    x = values if isinstance(values, pd.Series) else pd.Series(values)
    return pd.DataFrame({"x": x, "n": np.arange(len(x)) / 2, "y": labels or ["a", "b"] * (len(x) // 2)} | columns)


def read(values: Any, **options: Any) -> Table:
    return Table.from_frame(frame_of(values), "y", **options)


def read_target(values: Any) -> Table:
    labels = values if isinstance(values, pd.Series) else pd.Series(values)
    return Table.from_frame(pd.DataFrame({"x": np.arange(len(labels)) / 2, "y": labels}), "y")


def objects(*values: Any) -> pd.Series[Any]:
    return pd.Series(list(values), dtype=object)


def short(value: Any) -> str:
    return " ".join(str(value).split())[:40]


def plain(column: pd.Series[Any]) -> list[Any]:
    """Values with None where they are missing."""
    return [None if missing else value for value, missing in zip(column, column.isna(), strict=True)]


def refusal(message: str) -> Any:
    return pytest.raises(TableError, match=re.escape(message))


def misfit(message: str) -> Any:
    return pytest.raises(InvalidOutput, match=re.escape(message))


# Kinds, by dtype and by value

KINDS = {
    "float": (pd.Series([0.5, 1, 2, 3]), "numeric", [0.5, 1, 2, 3]),
    "float32": (pd.Series([0.5, 1, 2, 3], dtype="float32"), "numeric", [0.5, 1, 2, 3]),
    "whole floats": (pd.Series([1.0, 2, 3, 4]), "numeric", [1, 2, 3, 4]),
    "whole floats with missing": (pd.Series([1.0, NAN, 3, 4]), "integer", [1, None, 3, 4]),
    "int": (pd.Series([1, 2, 3, 4]), "integer", [1, 2, 3, 4]),
    "uint8": (pd.Series([1, 2, 3, 4], dtype="uint8"), "integer", [1, 2, 3, 4]),
    "Int64": (pd.Series([1, None, 3, 4], dtype="Int64"), "integer", [1, None, 3, 4]),
    "Int64 without missing": (pd.Series([1, 2, 3, 4], dtype="Int64"), "integer", [1, 2, 3, 4]),
    "Float64": (pd.Series([0.5, None, 3, 4], dtype="Float64"), "numeric", [0.5, None, 3, 4]),
    "arrow int": (pd.Series([1, None, 3, 4], dtype=pd.ArrowDtype(pa.int64())), "integer", [1, None, 3, 4]),
    "arrow float": (pd.Series([0.5, None, 3, 4], dtype=pd.ArrowDtype(pa.float64())), "numeric", [0.5, None, 3, 4]),
    "object int": (objects(1, None, 3, 4), "integer", [1, None, 3, 4]),
    "object int, pandas missing": (objects(1, pd.NA, 3, 4), "integer", [1, None, 3, 4]),
    "object int and float": (objects(1, 2.5, 3, 4), "numeric", [1, 2.5, 3, 4]),
    "sparse": (pd.Series(pd.arrays.SparseArray([0.5, NAN, 3, 4])), "numeric", [0.5, None, 3, 4]),
    "bool": (pd.Series([True, False, True, True]), "boolean", [True, False, True, True]),
    "boolean": (pd.Series([True, None, True, True], dtype="boolean"), "boolean", [True, None, True, True]),
    "object bool": (objects(True, None, False, True), "boolean", [True, None, False, True]),
    "arrow bool": (pd.Series([True, None] * 2, dtype=pd.ArrowDtype(pa.bool_())), "boolean", [True, None] * 2),
    "object text": (objects("b", None, "a", "b"), "categorical", ["b", None, "a", "b"]),
    "string": (pd.Series(["b", None, "a", "b"], dtype="string"), "categorical", ["b", None, "a", "b"]),
    "string of arrow": (pd.Series(["b", None] * 2, dtype="string[pyarrow]"), "categorical", ["b", None] * 2),
    "arrow text": (pd.Series(["b", None] * 2, dtype=pd.ArrowDtype(pa.string())), "categorical", ["b", None] * 2),
    "category": (pd.Series(["b", None, "a", "b"], dtype="category"), "categorical", ["b", None, "a", "b"]),
    "category of numbers": (pd.Series([3, 1, 3, 1], dtype="category"), "categorical", [3, 1, 3, 1]),
    "int and text": (objects(1, "a", 2, None), "categorical", ["1", "a", "2", None]),
    "number and its text": (objects(1, "1", 1.0, "a"), "categorical", ["1", "1", "1", "a"]),
    "bool and int": (objects(True, 1, 0, False), "categorical", ["True", "1", "0", "False"]),
    "bool, int and text": (objects(True, 1, False, "a"), "categorical", ["True", "1", "False", "a"]),
    "nothing, float": (pd.Series([NAN] * 4), "numeric", [None] * 4),
    "nothing, Int64": (pd.Series([None] * 4, dtype="Int64"), "integer", [None] * 4),
    "nothing, boolean": (pd.Series([None] * 4, dtype="boolean"), "boolean", [None] * 4),
    "nothing, object": (objects(*[None] * 4), "categorical", [None] * 4),
    "nothing, category": (pd.Series([None] * 4, dtype="category"), "categorical", [None] * 4),
    "nothing, arrow": (pd.Series([None] * 4, dtype=pd.ArrowDtype(pa.null())), "categorical", [None] * 4),
    "beyond 2**53": (pd.Series([2**53 + 1, 1, 2, 3]), "numeric", [2.0**53, 1, 2, 3]),
    "beyond 63 bits": (pd.Series([2**64 - 1, 1, 2, 3], dtype="uint64"), "numeric", [2.0**64, 1, 2, 3]),
    "beyond 64 bits": (objects(2**70, 1, 2, 3), "numeric", [2.0**70, 1, 2, 3]),
}


@pytest.mark.parametrize(("column", "kind", "values"), KINDS.values(), ids=KINDS)
def test_kind_and_values_are_read_off_any_dtype(column: pd.Series[Any], kind: str, values: list[Any]) -> None:
    table = read(column)
    assert table.schema["x"].kind == kind
    assert plain(table.frame["x"]) == values
    levels = {v for v in values if v is not None}
    assert set(table.schema["x"].levels) == (
        {False, True} if kind == "boolean" else levels if table.schema["x"].is_discrete else set()
    )
    dtype = {"numeric": "float64", "integer": "float64" if None in values else "int64"}.get(kind, "category")
    assert table.frame["x"].dtype == dtype


@pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="pandas 2 has no default text dtype")
def test_default_text_dtype_of_pandas_3() -> None:
    column = pd.Series(["b", None, "a", "b"])
    assert column.dtype == "str"
    assert plain(read(column).frame["x"]) == ["b", None, "a", "b"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (objects(*[dt.time(1, 2)] * 4), "column 'x' holds times of day, such as 01:02:00; turn them into numbers"),
        (
            objects([1], [2], [3], [4]),
            "column 'x' holds list values such as [1]; only numbers, text, booleans and dates",
        ),
        (objects({"a": 1}, "b", "c", "d"), "column 'x' holds dict values such as {'a': 1}"),
        (objects(np.zeros(2), "b", "c", "d"), "column 'x' holds ndarray values"),
        (objects(b"a", b"b", b"a", b"b"), "column 'x' holds bytes values"),
        (pd.Series([1j, 2, 3, 4]), "column 'x' holds complex numbers; split it into two columns"),
    ],
    ids=lambda value: "" if isinstance(value, str) else None,
)
def test_values_without_a_kind_are_refused(column: Any, message: str) -> None:
    with refusal(message):
        read(pd.Series(column))


@pytest.mark.parametrize("values", [[1.5, np.inf, 2, 3], [1.5, -np.inf, NAN, 3], objects(1, np.inf, 2, 3)])
def test_infinity_is_refused_with_its_count(values: Any) -> None:
    with refusal("column 'x' of table holds infinity in 1 of 4 rows; replace it by a number or by a missing value."):
        read(values)


def test_infinity_as_a_level_is_refused() -> None:
    with refusal("column 'x' holds infinity"):
        read(pd.Series([1.0, np.inf, 1.0, 2.0], dtype="category"))


def test_kinds_override_what_would_be_inferred() -> None:
    assert read([0, 1, 1, 0], kinds={"x": "boolean"}).schema["x"] == Column("x", "boolean", (False, True))
    assert read([3, 1, 1, 2], kinds={"x": "categorical"}).schema["x"].levels == (1, 2, 3)
    assert read([3, 1, 1, 2], kinds={"x": "numeric"}).frame["x"].dtype == np.float64
    assert read(["3", "1", "1", "2"], kinds={"x": "integer"}).frame["x"].tolist() == [3, 1, 1, 2]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (
            [0, 1, 2, 0],
            "boolean",
            "column 'x' of table holds 2 in 1 of 4 rows, which is none of its levels (False, True)",
        ),
        (
            [1, "Kiel", None, "Ulm"],
            "numeric",
            "column 'x' of table should hold numbers (numeric); 2 of 4 rows hold something else, first 'Kiel':"
            " say --missing if that means missing, or else --kind x=categorical.",
        ),
        (
            [1.5, 2, 3, 4],
            "integer",
            "column 'x' of table holds 1.5 where whole numbers are due (1 of 4 rows); round it.",
        ),
        ([1j, 2, 3, 4], "numeric", "should hold numbers (numeric): complex numbers have no order"),
        ([2**60, 2, 3, 4], "integer", "column 'x' of table holds 1152921504606846976; whole numbers beyond 2**53"),
        (objects(10**400, 2, 3, 4), "numeric", "column 'x' of table should hold numbers (numeric)"),
        (
            objects([1], [2], [3], [4]),
            "categorical",
            "column 'x' holds list values such as [1]; levels and classes are",
        ),
        (
            [1, 2, 3, 4],
            "words",
            "column 'x' cannot be of kind 'words'; kinds are numeric, integer, categorical, boolean,",
        ),
    ],
)
def test_kinds_that_do_not_fit_are_refused(values: Any, kind: Any, message: str) -> None:
    with refusal(message):
        read(values, kinds={"x": kind})


def test_kinds_of_a_column_that_is_not_there_are_refused() -> None:
    said = "table has no column 'z', which a kind (--kind, --drop or the metadata) is said of; there are: n, x, y."
    with refusal(said):
        read([1, 2, 3, 4], kinds={"z": "numeric"})


# Shape, names, odd columns


def test_empty_tables_are_refused() -> None:
    with refusal("table is empty: 0 rows, 3 columns."):
        Table.from_frame(frame_of([1, 2]).iloc[:0], "y")
    with refusal("table is empty: 0 rows, 0 columns."):
        Table.from_frame(pd.DataFrame(), "y")


def test_a_table_without_features_is_refused() -> None:
    with refusal("table has no feature column beside the target 'y'."):
        Table.from_frame(pd.DataFrame({"y": ["a", "b"]}), "y")


def test_an_unknown_target_is_refused_with_what_there_is() -> None:
    with refusal("mine has no column 'z' to predict; there are: n, x, y."):
        Table.from_frame(frame_of([1, 2]), "z", name="mine")


def test_duplicate_names_are_refused_also_when_they_clash_as_text_only() -> None:
    frame = frame_of([1, 2])
    with refusal("table has more than one column named 'x'; rename them."):
        Table.from_frame(frame.set_axis(["x", "x", "y"], axis=1), "y")
    with refusal("table has more than one column named '1'; rename them."):
        Table.from_frame(frame.set_axis([1, "1", "y"], axis=1), "y")


def test_names_of_several_levels_are_refused() -> None:
    frame = frame_of([1, 2])
    frame.columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "n"), ("b", "y")])
    with refusal("table has column names of 2 levels; join them into one text each."):
        Table.from_frame(frame, "y")


def test_names_that_are_not_text_become_text() -> None:
    frame = frame_of([1, 0]).set_axis([0, None, (1, 2)], axis=1)
    table = Table.from_frame(frame, (1, 2), kinds={0: "boolean"})  # type: ignore[arg-type, dict-item]
    assert table.schema.names == ["0", "None"]
    assert table.schema.target == "(1, 2)"
    assert table.schema["0"].kind == "boolean"
    assert table.like(frame).content_hash == table.content_hash


def test_unicode_in_names_levels_and_classes() -> None:
    frame = pd.DataFrame({"größe 📏": ["klein", "große", "小", "𝔲"], "имя": [1, 2, 3, 4], "класс": ["да", "нет"] * 2})
    table = Table.from_frame(frame, "класс")
    assert table.schema.classes == ("да", "нет")
    assert table.frame["größe 📏"].tolist() == frame["größe 📏"].tolist()
    assert Schema.from_dict(table.schema.to_dict()) == table.schema
    assert len(table.content_hash) == 64


def test_constant_and_duplicate_columns_are_kept_as_they_are() -> None:
    table = read([7, 7, 7, 7])
    assert table.schema["x"].kind == "integer"
    assert table.frame["x"].tolist() == [7] * 4
    twin = Table.from_frame(frame_of([1, 2, 3, 4], x2=[1, 2, 3, 4]), "y")
    assert twin.schema.names == ["x", "n", "x2"]
    assert twin.frame["x"].equals(twin.frame["x2"])


def test_five_hundred_levels() -> None:
    values = [f"level {i:03}" for i in range(500)]
    table = read([*values, *reversed(values)])
    assert table.schema["x"].levels == tuple(values)
    assert table.frame["x"].tolist() == [*values, *reversed(values)]
    assert len(table.take([0, 1, 999]).observed().schema["x"].levels) == 2


def test_the_index_does_not_matter_and_the_frame_is_left_alone() -> None:
    frame = frame_of([1.5, NAN, 3, 4]).set_index(pd.Index([7, 7, 0, 7]))
    before = frame.copy(deep=True)
    table = Table.from_frame(frame, "y")
    assert table.frame["x"].tolist()[2:] == [3, 4]
    assert table.frame.index.tolist() == [0, 1, 2, 3]
    table.frame.loc[0, "x"] = 99.0
    pd.testing.assert_frame_equal(frame, before)


# The target


@pytest.mark.parametrize(
    ("labels", "classes", "positions"),
    [
        ([3, 1, 3, 2], (1, 2, 3), [2, 0, 2, 1]),
        ([1.0, 0.0, 1.0], (0, 1), [1, 0, 1]),
        ([0.5, 1.0, 0.5], (0.5, 1), [0, 1, 0]),
        ([True, False, True], (False, True), [1, 0, 1]),
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (objects(1, "1", 2.0, "a", True), ("1", "2", "True", "a"), [0, 0, 1, 3, 2]),
        (objects(True, 1, 0, False), ("0", "1", "False", "True"), [3, 1, 0, 2]),
        (objects(decimal.Decimal("1.5"), decimal.Decimal("0.5")), (0.5, 1.5), [1, 0]),
        (pd.Series([2, 1, 2], dtype="Int64"), (1, 2), [1, 0, 1]),
        (pd.Series([True, False], dtype="boolean"), (False, True), [1, 0]),
        (pd.Series(["b", "a"], dtype="string"), ("a", "b"), [1, 0]),
        (pd.Series(["b", "a"], dtype=pd.ArrowDtype(pa.string())), ("a", "b"), [1, 0]),
        (pd.Series(["b", "a"], dtype=pd.CategoricalDtype(["b", "never", "a"])), ("a", "b"), [1, 0]),
        (pd.Series([2, 1, 2], dtype="int8"), (1, 2), [1, 0, 1]),
    ],
    ids=short,
)
def test_classes_of_any_type(labels: Any, classes: tuple[Any, ...], positions: list[int]) -> None:
    table = read_target(labels)
    assert table.schema.classes == classes
    assert [type(c) for c in table.schema.classes] == [type(c) for c in classes]
    assert table.labels.tolist() == positions
    assert table.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a"], "the target 'y' has only the class 'a'; a classifier needs at least two."),
        ([5, 5], "the target 'y' has only the class 5;"),
        ([1.0, np.inf], "column 'y' holds infinity"),
        (objects(1.0, np.inf), "column 'y' holds infinity"),
        (
            objects([1], [2]),
            "column 'y' holds list values such as [1]; levels and classes are text, numbers or booleans.",
        ),
        (objects((1, 2), (3, 4)), "column 'y' holds tuple values such as (1, 2)"),
        ([1j, 2j], "the target 'y' holds complex128; classes are text, numbers or booleans."),
        (list(range(51)), "the target 'y' has 51 different numbers, which looks like regression;"),
        (objects(*range(51)), "the target 'y' has 51 different numbers, which looks like regression;"),
        (list(range(51)), "in the file first (in pandas: frame['y'] = pd.qcut(frame['y'], 3, labels=['low', 'middle',"),
        ([NAN, NAN], "the target 'y' is missing in every row."),
        (objects(None, None), "the target 'y' is missing in every row."),
    ],
    ids=short,
)
def test_targets_that_no_classifier_learns_are_refused(labels: Any, message: str) -> None:
    with refusal(message):
        read_target(labels)


@pytest.mark.parametrize("values", [[2019.5, 2020.0], [2019.5, 2020.25], ["2019.5", "2020"]])
def test_a_number_with_a_fraction_is_no_time(values: list[Any]) -> None:
    with refusal("such as 2020-12-31 or 2020-12-31 23:59: 2019.5 is a number, and only whole years are times."):
        Table.from_frame(pd.DataFrame({"x": values * 2, "y": list("abab")}), "y", {"x": "datetime"})


@pytest.mark.parametrize("values", [[2019, 2020], [2019.0, 2020.0], [2019.0, np.nan], ["2019", "2020"]])
def test_a_whole_year_is_a_time(values: list[Any]) -> None:
    table = Table.from_frame(pd.DataFrame({"x": values * 2, "y": list("abab")}), "y", {"x": "datetime"})
    assert table.frame["x"][0] == pd.Timestamp("2019-01-01")


@pytest.mark.parametrize("labels", [pd.to_datetime(["2020", "2021"]), pd.to_timedelta([1, 2])])
def test_a_target_of_dates_is_refused(labels: Any) -> None:
    with refusal("classes are text, numbers or booleans."):
        read_target(pd.Series(labels))


def test_levels_that_a_table_never_saw_are_told_of_five_columns() -> None:
    names = [f"c{n}" for n in range(7)]
    frame = pd.DataFrame({name: ["u", "v"] * 3 for name in names}).assign(x=1.5, new=[True, False] * 3)
    table = Table.from_frame(frame.assign(y=["a", "b"] * 3), "y")
    assert table.never_seen(frame.assign(c0=None)) == []
    told = table.never_seen(frame.assign(c1=objects("Kiel", "u", "Ulm", "Kiel", None, "Bonn"), new="maybe"))
    assert told == [
        "column 'c1' holds 'Kiel' and 2 more that fit never saw, in 4 of 6 rows; they count as missing.",
        "column 'new' holds 'maybe' that fit never saw, in 6 of 6 rows; they count as missing.",
    ]
    told = table.never_seen(frame.assign(**dict.fromkeys(names, "w")))
    assert len(told) == 6
    assert told[-1] == "so it is in 2 more columns."


def test_fifty_numbers_and_many_texts_are_classes() -> None:
    assert len(read_target(list(range(50))).schema.classes) == 50
    assert len(read_target([f"c{i}" for i in range(60)]).schema.classes) == 60
    assert len(read_target(pd.Series(range(60), dtype="category")).schema.classes) == 60


def test_a_class_with_one_row_is_kept() -> None:
    table = read_target(["a", "a", "b"])
    assert table.schema.classes == ("a", "b")
    assert np.bincount(table.labels).tolist() == [2, 1]


@pytest.mark.parametrize("missing", [None, NAN, pd.NA, pd.NaT])
def test_rows_without_a_target_are_set_aside_with_a_warning(missing: Any) -> None:
    labels = objects("a", missing, "b", "a")
    with pytest.warns(TableWarning, match="table: 1 of 4 rows have no target 'y' and were set aside."):
        table = read_target(labels)
    assert table.features["x"].tolist() == [0.0, 1.0, 1.5]
    assert table.frame["y"].tolist() == ["a", "b", "a"]


def test_one_class_after_rows_without_a_target_is_refused() -> None:
    with pytest.warns(TableWarning), refusal("has only the class 'a'"):
        read_target(objects("a", None, "a"))


def test_no_warning_when_nothing_is_set_aside() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(objects(1, "a", None, "b"))


# What a table offers


def mixed() -> Table:
    return Table.from_frame(
        pd.DataFrame(
            {
                "size": [1.5, NAN, 2.5, 4.0, 0.5, 6.0],
                "count": [1, 2, 3, 4, 5, 6],
                "colour": ["red", "green", None, "blue", "red", "red"],
                "grade": pd.Series([1, 2, 3, 1, 2, 3], dtype="category"),
                "flag": [True, False, None, True, True, False],
                "label": [0, 1, 2, 0, 1, 2],
            }
        ),
        "label",
    )


def test_a_table_says_what_it_is() -> None:
    table = mixed()
    assert repr(table) == "Table(6 rows, 5 features, 3 classes)"
    assert table.has_missing
    assert not table.take([0, 3]).has_missing
    assert list(table.features.columns) == ["size", "count", "colour", "grade", "flag"]
    with pytest.raises(KeyError, match="no feature column is called 'label'; there are: size, count"):
        table.schema["label"]


def test_take_keeps_order_and_schema_and_copies() -> None:
    table = mixed()
    rows = table.take([5, 0, 5])
    assert rows.frame["count"].tolist() == [6, 1, 6]
    assert rows.schema == table.schema
    rows.frame.loc[0, "count"] = 99
    assert table.frame["count"].tolist() == [1, 2, 3, 4, 5, 6]


def test_schema_survives_json() -> None:
    import json

    schema = mixed().schema
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_observed_forgets_levels_that_do_not_occur() -> None:
    rows = mixed().take([0, 2, 4])
    seen = rows.observed()
    assert seen.schema["colour"].levels == ("red",)
    assert seen.schema["grade"].levels == (1, 2, 3)
    assert rows.take([0, 1]).observed().schema["grade"].levels == (1, 3)
    assert seen.schema["flag"].levels == (False, True)
    assert seen.schema.classes == (0, 1, 2)
    assert plain(seen.frame["colour"]) == ["red", None, "red"]
    assert rows.schema["colour"].levels == ("blue", "green", "red")


def test_what_is_done_to_the_observed_table_does_not_reach_the_real_one() -> None:
    table = mixed()
    seen = table.observed()
    seen.frame.loc[:, "count"] = 0
    assert table.frame["count"].tolist() == [1, 2, 3, 4, 5, 6]


def test_a_category_first_seen_at_test_time_is_encoded_apart_from_the_known_ones() -> None:
    pytest.importorskip("torch")
    from tabgen.models.encoding import TableEncoder

    table = read(["red", "red", "green", "green", "blue", None])
    train = table.take([0, 1, 2, 3]).observed()
    assert "blue" not in train.schema["x"].levels
    codes = TableEncoder(train, max_columns=10).encode(table)[:, 0].tolist()
    assert codes == [1, 1, 0, 0, 2, 2]


# Reading other frames as rows of a table


def test_like_reads_its_own_frame_back() -> None:
    table = mixed()
    assert table.like(table.frame).content_hash == table.content_hash
    assert table.like(table.frame[table.frame.columns[::-1]]).content_hash == table.content_hash
    assert len(table.like(table.frame.iloc[:0])) == 0


def test_like_converts_plain_types() -> None:
    table = mixed()
    foreign = pd.DataFrame(
        {
            "size": ["1.5", None, "2.5", "4", ".5", "6"],
            "count": [1.0, 2, 3, 4, 5, 6],
            "colour": pd.Series(["red", "green", None, "blue", "red", "red"], dtype="string"),
            "grade": ["1", "2", "3", "1", "2", "3"],
            "flag": ["True", "False", None, "True", "True", "False"],
            "label": [0.0, 1, 2, 0, 1, 2],
        }
    ).set_axis([3, 3, 3, 1, 1, 1], axis=0)
    assert table.like(foreign).content_hash == table.content_hash
    assert table.like(foreign.assign(flag=[1.0, 0, NAN, 1, 1, 0])).content_hash == table.content_hash
    assert (
        table.like(foreign.assign(grade=pd.Series([1, 2, 3] * 2, dtype="Int64").to_numpy())).content_hash
        == table.content_hash
    )


def test_like_reads_numbers_for_levels_that_are_digits() -> None:
    table = read(["1", "2", "10", "2"])
    numbers = frame_of([1, 2, 10, 2])
    assert table.like(numbers).content_hash == table.content_hash
    assert table.like(numbers.assign(x=[1.0, 2, 10, 2])).content_hash == table.content_hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": [np.inf] * 6}, "column 'size' of it holds infinity in 6 of 6 rows"),
        (
            {"size": ["1", "?", "2", "3", "4", "5"]},
            "column 'size' of it should hold numbers (numeric); 1 of 6 rows hold something else, first '?': write",
        ),
        ({"size": [[1]] * 6}, "column 'size' of it should hold numbers (numeric)"),
        ({"size": [1j] * 6}, "column 'size' of it should hold numbers (numeric): complex numbers have no order"),
        (
            {"size": pd.date_range("2020", periods=6)},
            "column 'size' of it should hold numbers (numeric); 6 of 6 rows hold something else, first 2020-01-01:",
        ),
        ({"count": [1.5, 2, 3, 4, 5, 6]}, "column 'count' of it holds 1.5 where whole numbers are due (1 of 6 rows)"),
        (
            {"count": [1e19, 2, 3, 4, 5, 6]},
            "column 'count' of it holds 10000000000000000000; whole numbers beyond 2**53",
        ),
        (
            {"colour": ["red"] * 5 + ["pink"]},
            "column 'colour' of it holds 'pink' in 1 of 6 rows, which is none of its levels",
        ),
        ({"colour": [["red"]] * 6}, "column 'colour' of it holds ['red'] in 6 of 6 rows, which is none of its levels"),
        (
            {"colour": [1] * 6},
            "column 'colour' of it holds 1 in 6 of 6 rows, which is none of its levels ('blue', 'green', 'red')",
        ),
        ({"grade": [4] * 6}, "column 'grade' of it holds 4 in 6 of 6 rows, which is none of its levels (1, 2, 3)"),
        (
            {"flag": ["yes"] * 6},
            "column 'flag' of it holds 'yes' in 6 of 6 rows, which is none of its levels (False, True)",
        ),
        ({"label": [3] * 6}, "column 'label' of it holds 3 in 6 of 6 rows, which is none of its levels (0, 1, 2)"),
        ({"label": [0, 1, 2, 0, 1, None]}, "it: the target 'label' is missing in some rows."),
        ({"new": [1] * 6}, "it has the wrong columns: missing [], not expected ['new']."),
    ],
    ids=short,
)
def test_like_says_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    table = mixed()
    with misfit(message):
        table.like(table.frame.assign(**change), "it")


def test_like_names_missing_and_duplicate_columns() -> None:
    table = mixed()
    with misfit("it has the wrong columns: missing ['count', 'label'], not expected []."):
        table.like(table.frame.drop(columns=["label", "count"]), "it")
    with misfit("it has more than one column named 'size'."):
        table.like(pd.concat([table.frame, table.frame[["size"]]], axis=1), "it")


def test_only_the_first_levels_are_listed_in_an_error() -> None:
    table = read([f"l{i}" for i in range(8)])
    with misfit("which is none of its levels ('l0', 'l1', 'l2', 'l3', 'l4', 'l5', ...)."):
        table.like(table.frame.assign(x="new"))


# The hash


def test_the_hash_is_the_same_today_as_when_it_was_written_down() -> None:
    assert mixed().content_hash == "8e3acb286b90e3417d3514e53cb0bd6141b5339fb5afb71955fe1531ec439529"


def test_the_hash_does_not_depend_on_dtypes_index_or_the_sign_of_zero() -> None:
    table = read([0.5, NAN, 0.0, 4])
    same = pd.Series([0.5, None, -0.0, 4], dtype="Float64")
    frame = frame_of(same).astype({"y": "category"}).set_axis(list("dcba"), axis=0)
    assert Table.from_frame(frame, "y").content_hash == table.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"size": [1.5, NAN, 2.5, 4.0, 0.5, 6.5]},
        {"size": [1.5, 0.0, 2.5, 4.0, 0.5, 6.0]},
        {"colour": ["red", "green", None, "blue", "red", "green"]},
        {"colour": ["red", "green", None, "cyan", "red", "red"]},
        {"flag": [True, False, None, True, True, True]},
        {"label": [0, 1, 2, 0, 1, 0]},
        {"label": ["0", "1", "2", "0", "1", "2"]},
    ],
    ids=short,
)
def test_the_hash_tells_any_change(change: dict[str, Any]) -> None:
    table = mixed()
    assert Table.from_frame(table.frame.assign(**change), "label").content_hash != table.content_hash


def test_the_hash_tells_names_kinds_and_order() -> None:
    table = mixed()
    frame = table.frame
    hashes = {
        table.content_hash,
        Table.from_frame(frame.rename(columns={"size": "length"}), "label").content_hash,
        Table.from_frame(frame, "label", {"count": "numeric"}).content_hash,
        Table.from_frame(frame[["count", "size", "colour", "grade", "flag", "label"]], "label").content_hash,
        table.take([1, 0, 2, 3, 4, 5]).content_hash,
        table.take([0, 1, 2, 3, 4]).content_hash,
    }
    assert len(hashes) == 6


# Properties

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
COLUMNS = {
    "numeric": NUMBERS,
    "integer": st.integers(-(2**53), 2**53),
    "categorical": st.one_of(st.text(max_size=5), st.integers(-9, 9), st.booleans(), NUMBERS),
    "boolean": st.booleans(),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(2, 8))

    def column(values: st.SearchStrategy[Any]) -> pd.Series[Any]:
        return pd.Series(draw(st.lists(values, min_size=rows, max_size=rows)), dtype=object)

    names = draw(st.lists(st.text(max_size=4).filter(lambda n: n != "target"), min_size=1, max_size=4, unique=True))
    kinds = [draw(st.sampled_from(sorted(COLUMNS))) for _ in names]
    data = {
        name: column(st.one_of(st.none(), COLUMNS[kind]) if draw(st.booleans()) else COLUMNS[kind])
        for name, kind in zip(names, kinds, strict=True)
    }
    labels = column(draw(st.sampled_from([COLUMNS["categorical"], COLUMNS["boolean"], st.sampled_from("abc")])))
    return pd.DataFrame(data | {"target": labels})


@given(frames())
@settings(max_examples=60, deadline=None)
def test_from_frame_and_back_loses_nothing(frame: pd.DataFrame) -> None:
    try:
        table = Table.from_frame(frame, "target")
    except TableError as error:
        assert "has only the class" in str(error)  # noqa: PT017 - hypothesis draws such tables too
        return
    assert table.frame.isna().equals(frame.isna())
    assert table.like(table.frame).content_hash == table.content_hash
    assert table.like(table.frame).frame.equals(table.frame)
    assert table.like(frame).content_hash == table.content_hash
    again = Table.from_frame(table.frame, "target", {c.name: c.kind for c in table.schema.columns})
    assert again.schema == table.schema
    assert again.content_hash == table.content_hash
    for column in table.schema.columns:
        for value, kept in zip(frame[column.name], table.frame[column.name], strict=True):
            if not pd.isna(value):
                assert kept == value or (column.kind == "categorical" and isinstance(kept, str))
    assert (table.labels >= 0).all()


@given(frames(), st.data())
@settings(max_examples=30, deadline=None)
def test_observed_says_exactly_what_the_rows_hold(frame: pd.DataFrame, data: st.DataObject) -> None:
    try:
        table = Table.from_frame(frame, "target")
    except TableError:
        return
    rows = table.take(data.draw(st.lists(st.integers(0, len(table) - 1), min_size=1, max_size=6)))
    seen = rows.observed()
    for column in seen.schema.columns:
        if column.kind == "categorical":
            assert set(column.levels) == set(rows.frame[column.name].dropna())
        assert plain(seen.frame[column.name]) == plain(rows.frame[column.name])
    assert seen.observed().schema == seen.schema
    assert seen.like(seen.frame).content_hash == seen.content_hash
    assert table.like(seen.frame).content_hash == rows.content_hash


# Order

ORDERED = pd.Categorical(["lo", "hi", "mid", "lo"], ["lo", "mid", "hi", "never seen"], ordered=True)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (ORDERED, ("lo", "mid", "hi")),
        (ORDERED.as_unordered(), ("hi", "lo", "mid")),
        (pd.Categorical([3, 1, 2, 3], [3, 1, 2], ordered=True), (3, 1, 2)),
        (pd.Categorical([3.0, 1.0, 2.0, 3.0], [3.0, 1.0, 2.0], ordered=True), (3, 1, 2)),
        (pd.Categorical([True, False, True, True], [True, False], ordered=True), (True, False)),
        (pd.cut([1, 20, 300, 1], [0, 10, 100, 1000]), ("(0, 10]", "(10, 100]", "(100, 1000]")),
        (pd.cut([1, 20, 300, 1], [0, 10, 100, 1000], ordered=False, labels=["p", "o", "n"]), ("n", "o", "p")),
        (pd.cut([1, 20, 300, 1], [0, 10, 100, 1000]).as_unordered(), ("(0, 10]", "(10, 100]", "(100, 1000]")),
        (pd.Categorical(["a", "1", "b", "a"], ["b", "a", "1"], ordered=True), ("b", "a", "1")),
    ],
    ids=str,
)
def test_an_ordered_category_keeps_its_order(values: Any, levels: tuple[Any, ...]) -> None:
    assert read(pd.Series(values)).schema["x"].levels == levels
    target = read_target(pd.Series(values))
    assert target.schema.classes == levels
    assert target.labels.tolist() == [levels.index(_level_of(v, levels)) for v in values]
    assert target.like(target.frame).content_hash == target.content_hash


def _level_of(value: Any, levels: tuple[Any, ...]) -> Any:
    return value if value in levels else str(value)


def test_order_survives_being_observed() -> None:
    rows = read(pd.Series(ORDERED)).take([0, 1]).observed()
    assert rows.schema["x"].levels == ("lo", "hi")


# Dates, durations, decimals

DAY = dt.date(2020, 1, 31)
NOON = dt.datetime(2020, 1, 31, 12)
PLUS2 = dt.timezone(dt.timedelta(hours=2))
STAMPS = {
    "datetime64": (pd.Series(pd.to_datetime(["2020-01-31", "NaT"] * 2)), "", "2020-01-31"),
    "seconds": (pd.Series(np.array(["9999-12-31", "NaT"] * 2, dtype="datetime64[s]")), "", "9999-12-31"),
    "zone": (pd.Series(pd.to_datetime(["2020-01-31 12:00", "NaT"] * 2).tz_localize("Europe/Berlin")), "Europe/Berlin",
             "2020-01-31 11:00"),
    "period": (pd.Series(pd.PeriodIndex(["2020-01", None] * 2, freq="M")), "", "2020-01-01"),
    "object periods": (objects(pd.Period("2020Q2"), None) , "", "2020-04-01"),
    "period far away": (pd.Series(pd.PeriodIndex(["2300-01", None] * 2, freq="M")), "", "2300-01-01"),
    "object periods far away": (objects(pd.Period("2300Q2"), None), "", "2300-04-01"),
    "dates": (objects(DAY, None), "", "2020-01-31"),
    "datetimes": (objects(NOON, None), "", "2020-01-31 12:00"),
    "dates and datetimes": (objects(NOON, DAY), "", "2020-01-31 12:00"),
    "aware datetimes": (objects(NOON.replace(tzinfo=PLUS2), None), "UTC+02:00", "2020-01-31 10:00"),
    "zones mixed": (objects(NOON.replace(tzinfo=PLUS2), NOON.replace(tzinfo=dt.UTC)), "UTC", "2020-01-31 10:00"),
    "far away": (objects(dt.datetime(9999, 12, 31), dt.date(1, 1, 1)), "", "9999-12-31"),
    "arrow dates": (pd.Series([DAY, None], dtype=pd.ArrowDtype(pa.date32())), "", "2020-01-31"),
    "arrow times": (pd.Series([NOON, None], dtype=pd.ArrowDtype(pa.timestamp("ms", "UTC"))), "UTC", "2020-01-31 12:00"),
}  # fmt: skip


@pytest.mark.parametrize("case", STAMPS)
def test_dates_and_times_of_any_type(case: str) -> None:
    column, zone, first = STAMPS[case]
    table = read(column)
    assert table.schema["x"] == Column("x", "datetime", (), zone)
    assert table.frame["x"].dtype == "datetime64[us]"
    assert table.frame["x"][0] == pd.Timestamp(first)
    assert table.frame["x"].isna().tolist() == column.isna().tolist()
    assert Schema.from_dict(json.loads(json.dumps(table.schema.to_dict()))) == table.schema
    for frame in (table.frame, table.local_frame, frame_of(column)):
        assert table.like(frame).content_hash == table.content_hash
    later = table.frame.assign(x=table.frame["x"] + pd.Timedelta(1, "us").as_unit("us"))
    assert table.like(later).content_hash != table.content_hash


def test_texts_are_dates_if_somebody_says_so() -> None:
    kinds = {"x": "datetime"}
    assert read(["2020-01-31", "2020-02-01"], kinds=kinds).frame["x"][0] == pd.Timestamp("2020-01-31")
    due = "column 'x' of table should hold dates or times such as 2020-12-31 or 2020-12-31 23:59"
    with refusal(f"{due}; 1 of 2 rows hold something else, first 'soon': write a date, or nothing"):
        read(["2020-01-31", "soon"], kinds=kinds)
    with refusal(f"{due}; 1 of 2 rows hold something else, first 20: write a date, or nothing"):
        read([2019, 20], kinds=kinds)
    with misfit("holds times of the zone UTC; none is due."):
        read(["2020-01-31", "2020-02-01"], kinds=kinds).like(frame_of(pd.date_range("2020", periods=2, tz="UTC")))


NOT_NUMPY = [
    ["2024-07-01 12:00", "2024-07-01T12:00+02:00", None, "2024-07-01 10:00Z"],
    objects(*[dt.datetime(2024, 7, 1, 12)] * 4),
    pd.Series([dt.datetime(2024, 7, 1, 12)] * 4, dtype=pd.ArrowDtype(pa.timestamp("us"))),
]
NUMPY = pd.date_range("2024-07-01 12:00", periods=1, unit="us").repeat(4)


@pytest.mark.parametrize("values", [*NOT_NUMPY, NUMPY])
def test_a_time_without_a_zone_is_by_the_clock_of_its_columns(values: Any) -> None:
    table = read(pd.date_range("2024-01-01", periods=4, tz="Europe/Berlin"))
    frame = table.frame.assign(x=pd.Series(values)).set_axis([0, 0, 1, 1])
    assert set(table.questions(frame).frame["x"].dropna()) == {pd.Timestamp("2024-07-01 10:00")}
    hour = 12 if values is NUMPY else 10  # a table's own frame is in UTC
    assert set(table.like(frame).frame["x"].dropna()) == {pd.Timestamp(f"2024-07-01 {hour}:00")}


@pytest.mark.parametrize("odd", ["2024-03-31 02:30:00", "2024-10-27 02:30:00"])
def test_a_time_that_a_clock_never_shows_or_shows_twice_is_refused(odd: str) -> None:
    table = read(pd.date_range("2024-01-01", periods=2, tz="Europe/Berlin"))
    message = f"column 'x' of .* holds {odd}, which the clock of Europe/Berlin never shows or shows twice"
    for values in (objects(odd, None), pd.Series(pd.to_datetime([odd, odd]))):
        with pytest.raises(TableError, match=message):
            table.questions(table.frame.assign(x=values))
    with pytest.raises(InvalidOutput, match=message):
        table.like(table.frame.assign(x=objects(odd, None)))


def test_what_is_cut_or_counted_is_said() -> None:
    with pytest.warns(TableWarning, match="the times of column 'x' were cut to microseconds"):
        read(pd.Series(pd.date_range("2020", periods=2)) + pd.Timedelta(5, unit="ns"))
    with pytest.warns(TableWarning, match="column 'x' holds durations, which were taken as seconds"):
        assert read(pd.Series(pd.to_timedelta([90, 30], unit="min"))).frame["x"].tolist() == [5400, 1800]
    with pytest.warns(TableWarning, match="whole numbers beyond 2\\*\\*53, 1 of them as one with others"):
        read([2**60, 2**60 + 1, 1, 2])
    for column in (
        objects(2**60, 2**60 + 1, 1, None),
        objects(2**70, 2**70 + 1, 1, 2),
        objects(decimal.Decimal(2**60), decimal.Decimal(2**60 + 1), decimal.Decimal(1), None),
        pd.Series([2**80, 2**80 + 1, None, 2], dtype=pd.ArrowDtype(pa.decimal128(38, 0))),
    ):
        with pytest.warns(TableWarning, match="whole numbers beyond 2\\*\\*53, 1 of them as one with others"):
            assert read(column).schema["x"].kind == "numeric"
        assert len(read(column, kinds={"x": "categorical"}).schema["x"].levels) == column.nunique()


def test_decimals_are_numbers() -> None:
    table = read(objects(decimal.Decimal("1.5"), 1, None, decimal.Decimal("0.1")))
    assert table.schema["x"].kind == "numeric"
    assert plain(table.frame["x"]) == [1.5, 1.0, None, 0.1]


# Free text


def sentences(n: int, words: int, distinct: int) -> list[str]:
    return [" ".join(["word"] * (words - 1) + [str(i % distinct)]) for i in range(n)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (sentences(60, 4, 60), "text"),
        (sentences(60, 4, 20), "categorical"),
        (sentences(60, 2, 60), "categorical"),
        (sentences(1000, 4, 60), "categorical"),
        ([None, *sentences(59, 4, 59)], "text"),
        ([1, *sentences(59, 4, 60)], "categorical"),
    ],
)
def test_many_texts_of_several_words_are_free_text(values: list[Any], kind: str) -> None:
    assert read(objects(*values)).schema["x"].kind == kind
    assert read(objects(*values), kinds={"x": "categorical"}).schema["x"].kind == "categorical"
    table = read(objects(*values), kinds={"x": "text"})
    assert plain(table.frame["x"]) == [None if v is None else str(v) for v in values]
    assert table.like(table.frame).content_hash == table.content_hash
    changed = table.frame.assign(x=table.frame["x"].where(table.frame.index > 0, "another"))
    assert table.like(changed).content_hash != table.content_hash


def test_the_target_holds_classes_whatever_kind_is_named() -> None:
    frame = pd.DataFrame({"x": range(20), "y": [1, 2] * 10})
    assert Table.from_frame(frame, "y", {"y": "categorical"}).schema.classes == (1, 2)
    with pytest.raises(TableError, match="the target 'y' cannot be numeric"):
        Table.from_frame(frame, "y", {"y": "numeric"})
