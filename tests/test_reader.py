"""Files to frames: what people's files hold, what is read off them, what is refused, and in which words."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import lzma
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tabgen.api import generate, write_frame
from tabgen.datasets import file_suite
from tabgen.errors import DataError, TableError, TableWarning
from tabgen.reader import ReadOptions, read_file, read_frame
from tabgen.table import Table

RNG = np.random.default_rng(0)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(tmp_path: Path, text: str | bytes, name: str = "t.csv", **options: Any) -> pd.DataFrame:
    return read_frame(write(tmp_path / name, text), ReadOptions(**options))


def column(tmp_path: Path, values: list[str], **options: Any) -> pd.Series[Any]:
    """How a column of these texts is read, beside a plain one."""
    lines = "".join(f"{value},{i}\n" for i, value in enumerate(values))
    return read(tmp_path, "x,n\n" + lines, **options)["x"]


def said(message: str) -> Any:
    return pytest.warns(TableWarning, match=re.escape(message))


def refused(message: str) -> Any:
    return pytest.raises(DataError, match=re.escape(message))


# Types, by the whole column


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2", ""], [1.0, 2.0, np.nan]),
        (["1", "-2", "+3"], [1, -2, 3]),
        ([" 1", "2 ", "3"], [1, 2, 3]),
        (["0.1", "1e-3", ".5"], [0.1, 0.001, 0.5]),
        (["0.30000000000000004", "1", "2"], [0.30000000000000004, 1.0, 2.0]),
        (["9007199254740993", "1", "2"], [9007199254740993, 1, 2]),
        (["NaN", "1.5", "2"], None),
        (["", "", ""], [np.nan, np.nan, np.nan]),
        (["inf", "1", "-Infinity"], [np.inf, 1.0, -np.inf]),
        (["True", "FALSE", "true"], [True, False, True]),
    ],
)
def test_numbers_and_truth_values(tmp_path: Path, values: list[str], expected: list[Any] | None) -> None:
    if expected is None:
        with said("'NaN' was taken as missing"):
            assert column(tmp_path, values).tolist()[1:] == [1.5, 2.0]
        return
    found = column(tmp_path, values)
    assert found.dtype != object
    np.testing.assert_array_equal(found.to_numpy(), expected)


@pytest.mark.parametrize(
    "values",
    [
        ["01", "02", "X"],
        ["8e2569614270f3d8", "8e2569614271f3d8", "8e2569614272f3d8"],
        ["8e2569614270", "8e2569614271", "8e2569614272"],
        ["NA", "None", "null"],
        ["NA", "BW", "nan"],
        ["0x1F", "0x2A", "0x00"],
        ["1_000", "2_000", "3_000"],
        ["12:30", "9:15", "23:59"],
        ["yes", "no", "Inf"],
        ["  ", "a", " a "],
    ],
)
def test_everything_else_is_the_text_that_stands_there(tmp_path: Path, values: list[str]) -> None:
    assert column(tmp_path, values).tolist() == values


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    with said("column 'x': its codes with leading zeros were kept as categories."):
        assert column(tmp_path, ["02139", "10001", "94105"]).tolist() == ["02139", "10001", "94105"]
    assert column(tmp_path, ["0.5", "00.5", "-05"]).tolist() == [0.5, 0.5, -5]


def test_whole_numbers_beyond_64_bits_are_kept_exactly(tmp_path: Path) -> None:
    ids = [f"1234567890123456789{i}" for i in range(10, 13)]
    with said("whole numbers beyond 64 bits were kept as categories"):
        assert column(tmp_path, ids).tolist() == ids
    gap = column(tmp_path, ["9007199254740993", "", "9007199254740995"])
    assert [gap[0], gap[2]] == [9007199254740993, 9007199254740995]


def test_a_number_too_small_for_a_float_is_said(tmp_path: Path) -> None:
    with said("'1e-400' is too small for a float64 and was read as 0."):
        assert column(tmp_path, ["1e-400", "1.5", "0.0"]).tolist() == [0, 1.5, 0]


def test_types_are_decided_on_the_whole_column(tmp_path: Path) -> None:
    """Read by chunks, the first 200,000 rows would be numbers and the last a word."""
    classes = ["01", "02"] * 100_000 + ["X"]
    frame = read(tmp_path, "a,y\n" + "".join(f"{i},{c}\n" for i, c in enumerate(classes)))
    assert sorted(frame["y"].unique()) == ["01", "02", "X"]


def test_only_fields_that_are_empty_and_not_quoted_are_missing(tmp_path: Path) -> None:
    frame = read(tmp_path, 'a,b\n"",1\n,2\nNA,3\n')
    assert frame["a"].tolist() == ["", None, "NA"]


def test_more_can_be_said_to_be_missing(tmp_path: Path) -> None:
    frame = read(tmp_path, "a,b\n?,x\n1,-\n2.5,?\n", missing=("?", "-"))
    assert frame["a"].isna().tolist() == [True, False, False]
    assert frame["b"].tolist() == ["x", None, None]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_text_that_means_missing_and_stands_nowhere_is_said(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"a": ["?", "u", "v", " ? "], "b": [1, 2, 3, 4], "y": ["p", "q"] * 2})
    write_frame(frame, tmp_path / f"t.{ending}")
    with said(f"t.{ending}: no cell holds 'n/k' or '-9', which was said to mean a missing value (--missing)."):
        table = file_suite(tmp_path / f"t.{ending}", "y", reading={"missing": ["n/k", "?", "-9"]}).datasets[0].load()
    assert table.frame["a"].isna().tolist() == [True, False, False, True]


# Decimal signs and thousands


def test_a_decimal_comma_is_seen_and_said(tmp_path: Path) -> None:
    with said("'0,5' was read with a decimal comma; if that is wrong, say --decimal '.'."):
        frame = read(tmp_path, 'a,b\n"0,5",1\n"1,25",2\n,3\n')
    np.testing.assert_array_equal(frame["a"], [0.5, 1.25, np.nan])
    assert read(tmp_path, 'a,b\n"0,5",1\n"1,25",2\n', decimal=".")["a"].tolist() == ["0,5", "1,25"]


def test_semicolons_with_decimal_commas(tmp_path: Path) -> None:
    with pytest.warns(TableWarning) as warned:
        frame = read(tmp_path, "a;b;y\n1,5;1.234,5;x\n2,25;2.000,0;z\n")
    assert frame.to_dict("list") == {"a": [1.5, 2.25], "b": [1234.5, 2000.0], "y": ["x", "z"]}
    messages = "\n".join(str(w.message) for w in warned)
    assert "t.csv was read with ';' between columns; if that is wrong, say --delimiter." in messages
    assert "2 columns ('a', 'b')" in messages or ("column 'a'" in messages and "column 'b'" in messages)


def test_thousands_are_read_only_where_they_are_certain(tmp_path: Path) -> None:
    with said("commas between thousands were left out"):
        assert read(tmp_path, 'a,b\n"1,234.50",1\n"12,000.00",2\n')["a"].tolist() == [1234.5, 12000.0]
    with said("'1,234' can be a decimal or thousands: kept as categories. Say --decimal ',' or '.'."):
        assert read(tmp_path, 'a,b\n"1,234",1\n"2,345",2\n')["a"].tolist() == ["1,234", "2,345"]
    assert read(tmp_path, 'a,b\n"1,234",1\n"2,345",2\n', decimal=".")["a"].tolist() == [1234, 2345]
    assert read(tmp_path, 'a,b\n"1,234",1\n"2,345",2\n', decimal=",")["a"].tolist() == [1.234, 2.345]
    assert read(tmp_path, "a;b\n1.234.567;1\n2.000.000;2\n", delimiter=";", decimal=",")["a"].tolist() == [1234567, 2e6]


# Dates


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2020-01-31", "2021-12-01"], ["2020-01-31", "2021-12-01"]),
        (["2020-01-31 10:00", "2021-12-01T11:22:33.5"], ["2020-01-31 10:00", "2021-12-01 11:22:33.5"]),
        (["2020-01-31T10:00:00Z", "2021-12-01 11:22:33Z"], ["2020-01-31 10:00+00", "2021-12-01 11:22:33+00"]),
        (["2020-01-31 10:00+02:00", "2021-12-01 11:00+0200"], None),
        (["9999-12-31", "1066-10-14"], ["9999-12-31", "1066-10-14"]),
        (["31.12.2020", "1.2.2021"], ["2020-12-31", "2021-02-01"]),
        (["31.12.2020 8:05", "1.2.2021 10:00"], ["2020-12-31 08:05", "2021-02-01 10:00"]),
    ],
)
def test_dates_and_times(tmp_path: Path, values: list[str], expected: list[str] | None) -> None:
    if expected is None:
        with said("times of several zones were turned to UTC"):
            found = column(tmp_path, values)
        assert found.tolist() == [pd.Timestamp("2020-01-31 08:00+00"), pd.Timestamp("2021-12-01 09:00+00")]
        return
    found = column(tmp_path, values)
    assert isinstance(found.dtype, pd.DatetimeTZDtype) or found.dtype == "datetime64[us]"
    assert [t.isoformat() for t in found] == [pd.Series([e]).astype(found.dtype)[0].isoformat() for e in expected]


def test_times_of_one_offset_keep_it(tmp_path: Path) -> None:
    found = column(tmp_path, ["2020-01-31 10:00+02:00", "2021-12-01 11:00+02:00"])
    assert str(found[0]) == "2020-01-31 10:00:00+02:00"


def test_days_and_months_are_told_by_the_whole_column_or_not_at_all(tmp_path: Path) -> None:
    with said("dates were read as day, month, year"):
        assert column(tmp_path, ["03/04/2020", "13/04/2020"])[0] == pd.Timestamp("2020-04-03")
    with said("dates were read as month, day, year"):
        assert column(tmp_path, ["03/04/2020", "04/13/2020"])[0] == pd.Timestamp("2020-03-04")
    with said("of dates such as '03/04/2020' either number can be the month: kept as categories. Say --day-first"):
        assert column(tmp_path, ["03/04/2020", "05/06/2020"])[0] == "03/04/2020"
    assert column(tmp_path, ["03/04/2020", "05/06/2020"], day_first=True)[0] == pd.Timestamp("2020-04-03")
    with said("the date '13/14/2020' is not of calendar and clock, read as day, month, year: kept as categories."):
        assert column(tmp_path, ["13/14/2020", "05/06/2020"], day_first=True)[0] == "13/14/2020"


def test_what_is_nearly_a_date_is_said(tmp_path: Path) -> None:
    days = [f"2020-01-{i:02}" for i in range(1, 31)]
    with said("dates but for 'unknown': kept as categories. If that means missing, say --missing 'unknown'."):
        assert column(tmp_path, [*days, "unknown"]).tolist()[-1] == "unknown"
    assert column(tmp_path, [*days, "unknown"], missing=("unknown",))[0] == pd.Timestamp("2020-01-01")
    with said("'NA' was taken as missing"):
        assert column(tmp_path, [*days, "NA"]).isna().sum() == 1
    for odd in ("2020-02-30", "2020-13-01", "31/12/2020", "2020-01-01T25:00"):
        why = "in another form than '2020-01-01'" if "/" in odd else "not of calendar and clock"
        with said(f"the date '{odd}' is {why}: kept as categories. Write 2020-12-31, 31.12.2020 or 12/31/2020."):
            assert column(tmp_path, [*days, odd]).tolist()[-1] == odd
    with said("times of day such as '0:05' were kept as categories"):
        column(tmp_path, [f"{i}:05" for i in range(24)])


def test_na_stays_a_level_where_somebody_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y\n" + "".join(f"{v},{i % 3}\n" for i, v in enumerate(["1", "2", "NA"] * 8)))
    table = file_suite(path, "y", {"a": "categorical"}).datasets[0].load()
    assert table.schema["a"].levels == ("1", "2", "NA")
    path = write(tmp_path / "u.csv", "a,y\n" + "".join(f"{v},{i % 3}\n" for i, v in enumerate(["1", "2", "10"] * 8)))
    assert file_suite(path, "y", {"a": "categorical"}).datasets[0].load().schema["a"].levels == (1, 2, 10)


@pytest.mark.parametrize(
    ("written", "levels"),
    [
        (["1.10", "1.1", "1.2"], ("1.1", "1.10", "1.2")),
        (["1.10", "1.20", "2.0"], ("1.10", "1.20", "2.0")),
        (["1", "1.0", "2"], ("1", "1.0", "2")),
        (["1.0", "2.0", "10.0"], (1, 2, 10)),  # whole numbers with gaps, as pandas writes them
        (["1", "1.5", "10", ""], (1, 1.5, 10)),
        (["9007199254740993", "9007199254740992", "1"], (1, 9007199254740992, 9007199254740993)),
        (["9" * 30, "1"], ("1", "9" * 30)),
        (["007", "12"], ("007", "12")),
        (["2020-01-01", "2021-01-01"], ("2020-01-01", "2021-01-01")),
        (["TRUE", "false"], ("TRUE", "false")),
        (["0,5", "1,5"], ("0,5", "1,5")),
        (["inf", "nan", "1"], ("1", "inf", "nan")),
    ],
)
@pytest.mark.parametrize("column", ["a", "y"])
@pytest.mark.filterwarnings("ignore:.*rows have no target:tabgen.errors.TableWarning")
def test_levels_are_what_is_written(tmp_path: Path, written: list[str], levels: tuple[Any, ...], column: str) -> None:
    other = {"a": "y", "y": "a"}[column]
    rows = [f'"{v}",{"pq"[i % 2]}\n' if v else f",{'pq'[i % 2]}\n" for i, v in enumerate(written * 4)]
    path = write(tmp_path / "t.csv", f"{column},{other}\n" + "".join(rows))
    schema = file_suite(path, "y", {column: "categorical"}).datasets[0].load().schema
    assert (schema.classes if column == "y" else schema["a"].levels) == levels


# Delimiters, encodings, compression


@pytest.mark.parametrize(("delimiter", "name"), [(";", "';'"), ("\t", "a tab"), ("|", "'|'")])
def test_other_delimiters_are_seen_and_said(tmp_path: Path, delimiter: str, name: str) -> None:
    text = "a,b,y\n1,2,x\n3,4,z\n".replace(",", delimiter)
    with said(f"t.csv was read with {name} between columns"):
        frame = read(tmp_path, text)
    assert frame.to_dict("list") == {"a": [1, 3], "b": [2, 4], "y": ["x", "z"]}
    assert read(tmp_path, text, "t.txt").equals(frame)
    if delimiter == "\t":
        assert read(tmp_path, text, "t.tsv").equals(frame)


def test_the_delimiter_can_be_said(tmp_path: Path) -> None:
    assert read(tmp_path, "a b\n1 2\n", delimiter=" ").to_dict("list") == {"a": [1], "b": [2]}
    with refused("t.csv has one column, cut by none of ',', ';', a tab, '|'"):
        read(tmp_path, "a b\n1 2\n")
    with refused("the delimiter is one character"):
        ReadOptions(delimiter="::")


def test_the_delimiter_that_excel_writes_first_is_taken(tmp_path: Path) -> None:
    assert read(tmp_path, "sep=;\r\na;b\r\n1;x\r\n").to_dict("list") == {"a": [1], "b": ["x"]}


def test_commas_in_quoted_text_do_not_mislead(tmp_path: Path) -> None:
    text = 'a;b\n"x, y, z";1\n"u, v, w";2\n'
    with said("read with ';'"):
        assert read(tmp_path, text)["a"].tolist() == ["x, y, z", "u, v, w"]


def test_quoted_newlines_quotes_and_delimiters(tmp_path: Path) -> None:
    frame = read(tmp_path, 'a,b\r\n"two\r\nlines",1\r\n"a ""quote"", and a comma",2\r\n')
    assert frame["a"].tolist() == ["two\r\nlines", 'a "quote", and a comma']


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    frame = read(tmp_path, "größe,y\n1,ä\n2,日本\n".encode(encoding))
    assert frame.to_dict("list") == {"größe": [1, 2], "y": ["ä", "日本"]}


def test_latin_1_is_read_and_said(tmp_path: Path) -> None:
    content = "größe,y\n1,ä\n2,ö\n".encode("latin-1")
    with said("t.csv is not UTF-8 and was read as Windows-1252"):
        assert read(tmp_path, content)["y"].tolist() == ["ä", "ö"]
    assert read(tmp_path, content, encoding="latin-1")["y"].tolist() == ["ä", "ö"]
    with refused("t.csv is not utf-8"):
        read(tmp_path, content, encoding="utf-8")
    with refused("t.csv is not utf-7: half of a character at character 3"):  # a fuzzer's: "+308" is one there
        read(tmp_path, b"1e+308\nb\na", encoding="utf-7")
    with refused("there is no encoding 'latin-99'"):
        ReadOptions(encoding="latin-99")


def test_utf_16_without_a_mark_is_refused_with_the_mend(tmp_path: Path) -> None:
    content = "a,y\n1,x\n2,z\n".encode("utf-16-le")
    with refused("say --encoding utf-16-le"):
        read(tmp_path, content)
    assert len(read(tmp_path, content, encoding="utf-16-le")) == 2


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zip", "zst"])
def test_compressed_files(tmp_path: Path, ending: str) -> None:
    content, path = b"a,y\n1,x\n2,z\n", tmp_path / f"mine.csv.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mine.csv", content)
    elif ending == "zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
    else:
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[ending].compress(content))
    assert read_frame(path).to_dict("list") == {"a": [1, 2], "y": ["x", "z"]}
    assert file_suite(path, "y").name == "mine"


def test_files_that_are_not_what_they_say(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.csv")
    with refused("a.csv is a Parquet file by its first bytes"):
        read_frame(tmp_path / "a.csv")
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
        archive.writestr("b.csv", "a,b\n1,2\n")
    with refused("two.csv.zip holds 2 files; unpack it and name one."):
        read_frame(tmp_path / "two.csv.zip")


# Headers and rows


def test_rows_with_a_trailing_comma_do_not_shift(tmp_path: Path) -> None:
    frame = read(tmp_path, "y,colour,b\nyes,red,1,\nno,blue,2,\n")
    assert frame.to_dict("list") == {"y": ["yes", "no"], "colour": ["red", "blue"], "b": [1, 2]}
    with said("column 3 has neither a name nor a value and was left out."):
        assert list(read(tmp_path, "y,b,\nyes,1,\nno,2,\n")) == ["y", "b"]


def test_row_names_as_r_writes_them(tmp_path: Path) -> None:
    with said("the first value of each row has no name in the header and was set aside"):
        frame = read(tmp_path, 'a,y\n"1",0.5,yes\n"2",0.7,no\n')
    assert frame.to_dict("list") == {"a": [0.5, 0.7], "y": ["yes", "no"]}
    with said("set aside as the row's name"):
        assert list(read(tmp_path, 'a,y\n"Mazda RX4",0.5,yes\n"Fiat 128",0.7,no\n')) == ["a", "y"]


def test_a_column_without_a_name_in_the_header_is_no_row_name_if_it_holds_numbers(tmp_path: Path) -> None:
    with refused("every row has 3 values where the header names 2 columns (a, y)"):
        read(tmp_path, "a,y\n0.5,yes,1\n0.7,no,2\n")


@pytest.mark.parametrize("header", ["", "Unnamed: 0", " "])
def test_a_counting_column_without_a_name_is_set_aside(tmp_path: Path, header: str) -> None:
    with said("the first column has no name and was set aside as the rows' names."):
        assert list(read(tmp_path, f"{header},a,y\n0,5,x\n1,6,z\n2,5,z\n")) == ["a", "y"]


def test_other_columns_without_a_name_are_refused(tmp_path: Path) -> None:
    with refused("column 2 of "):
        read(tmp_path, "a,,y\n0,5,x\n1,6,z\n")
    with refused("column 1 of "):
        read(tmp_path, ",a,y\n0.1,5,x\n0.7,6,z\n")


@pytest.mark.parametrize("header", ["a,y,b,y", "a,y,b, y ", "a,y,b,y "])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, header: str) -> None:
    with refused("has two columns named 'y' (columns 2 and 4); rename or remove one."):
        read(tmp_path, f"{header}\n1,yes,2,yes\n2,no,3,no\n")


def test_the_header_is_read_as_it_is(tmp_path: Path) -> None:
    names = ["x.1", "x", "1", "True", "größe (cm)", "a b", "日本 語", "x'y\"z", "~ C(x) + 1"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    assert list(read(tmp_path, f"{header}\n" + "1,2,3,4,5,6,7,8,9\n" * 3)) == names


def test_spaces_after_commas_belong_to_no_name_and_no_value(tmp_path: Path) -> None:
    frame = read(tmp_path, "a, b, y\n1, 2, yes\n3, 4, no\n")
    assert frame.to_dict("list") == {"a": [1, 3], "b": [2, 4], "y": ["yes", "no"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,2,x\n1,2,3,x\n1,2,z\n", "t.csv, line 3: 4 values where the header names 3 columns (a, b, y)"),
        ("a,b,y\n1,2,x\n1,2\n1,2,z\n", "t.csv, line 3: 2 values where the header names 3 columns"),
        ('a,b,y\n1,"2\n\n3",x\n1,2,x\n1,2,3,x\n', "t.csv, line 6: 4 values"),
        ("\n\na,b,y\n1,2,x\n1,2,3,x\n", "t.csv, line 5: 4 values"),
        ("a,b,y\n1,2,x\n1,2,3,x,4\n", "line 3: 5 values"),
        ('a,b,y\n1,2,"x\n1,2,z\n', "line 2: the quote before 'x' opens a field and is never closed"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_their_line(tmp_path: Path, text: str, message: str) -> None:
    with refused(message):
        read(tmp_path, text)


def test_a_header_of_numbers_is_doubted(tmp_path: Path) -> None:
    with said("the first line names columns such as numbers"):
        read(tmp_path, "5.1,3.5,setosa\n4.9,3.0,setosa\n6.0,2.0,other\n")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", b"", "t.csv is empty."),
        ("t.csv", b"\n \n", "t.csv is empty."),
        ("t.csv", b"a,b,y\n", "t.csv has a header and no rows."),
        ("t.csv", b"a,b\n\x00\x01,1\n", "t.csv holds zero bytes"),
        ("t.parquet", b"not parquet", "t.parquet could not be read: "),
        ("t.json", b"{}", "t.json has an ending that is not known; tables end in .csv, .tsv"),
        ("t", b"", "t has an ending that is not known"),
        ("t.csv.gz", b"\x1f\x8bxx", "t.csv.gz could not be read: "),
        ("t.xlsx", b"", "t.xlsx could not be read: "),
    ],
)
def test_unreadable_files_are_refused_by_name(tmp_path: Path, name: str, text: bytes, message: str) -> None:
    with refused(message):
        read_frame(write(tmp_path / name, text))


# Parquet, Feather, Excel

TYPED = pd.DataFrame(
    {
        "country": ["NA", "None", "null", None],
        "id": pd.array([9007199254740993, None, 9007199254740995, 1], dtype="Int64"),
        "ok": pd.array([True, None, False, True], dtype="boolean"),
        "grade": pd.Categorical(["low", "high", "mid", "low"], ["low", "mid", "high"], ordered=True),
        "day": pd.to_datetime(["2020-01-01", "NaT", "2021-01-01", "2022-02-02"]),
    }
)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_typed_files_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    write_as = TYPED.to_parquet if name == "t.parquet" else TYPED.to_feather
    write_as(tmp_path / name)
    frame = read_frame(tmp_path / name)
    assert frame["country"].tolist() == ["NA", "None", "null", None]
    assert frame["id"].tolist()[0::2] == [9007199254740993, 9007199254740995]
    assert frame["grade"].cat.ordered
    assert frame["grade"].cat.categories.tolist() == ["low", "mid", "high"]
    assert frame["day"][0] == pd.Timestamp("2020-01-01")


def test_whole_numbers_with_gaps_of_other_writers_stay_exact(tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([9007199254740993, None, 9007199254740995])})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    assert read_frame(tmp_path / "t.parquet")["id"].tolist()[0] == 9007199254740993


def test_an_index_that_somebody_made_is_said(tmp_path: Path) -> None:
    TYPED.set_index("country").to_parquet(tmp_path / "t.parquet")
    with said("t.parquet: the index (country) was set aside"):
        assert "country" not in read_frame(tmp_path / "t.parquet")


def test_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["NA", "x", None], "day": pd.to_datetime(["2020-01-01"] * 3)})
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    back = read_frame(tmp_path / "t.xlsx")
    assert back["a"].tolist() == [1, 2, 3]
    assert back["b"].tolist()[:2] == ["NA", "x"]
    assert pd.isna(back["b"][2])
    assert back["day"][0] == pd.Timestamp("2020-01-01")
    with pd.ExcelWriter(tmp_path / "two.xlsx") as book:
        frame.to_excel(book, sheet_name="one")
        frame.to_excel(book, sheet_name="two")
    with pytest.warns(TableWarning) as warned:
        assert list(read_frame(tmp_path / "two.xlsx")) == ["a", "b", "day"]
    assert {str(w.message).split(": ", 1)[1] for w in warned} == {
        "the first sheet, 'one', was read, and not: two.",
        "the first column has no name and was set aside as the rows' names.",
    }


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_periods_are_periods_in_a_process_that_has_seen_none(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"month": pd.period_range("2010-01", periods=6, freq="M"), "y": list("ababab")})
    (frame.to_parquet if name == "t.parquet" else frame.to_feather)(tmp_path / name)
    script = "import sys, pathlib, tabgen.reader as r; print(r.read_frame(pathlib.Path(sys.argv[1]))['month'][0])"
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / name)], check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == "2010-01"


def test_cells_of_excel_that_hold_no_value_are_said(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["a", "formula", "y"])
    for i in range(6):
        book.active.append([i / 8, f"=A{i + 2}*2", "ab"[i % 2]])
    book.active["A4"], book.active["A4"].data_type = "#DIV/0!", "e"
    book.save(tmp_path / "t.xlsx")
    errors = said("t.xlsx: errors such as #DIV/0! stand in 1 of its cells, and were taken as missing.")
    with errors, said("t.xlsx: no value stands under 'formula'; of formulas the values are read"):
        frame = read_frame(tmp_path / "t.xlsx")
    assert frame["a"].isna().tolist() == [False, False, True, False, False, False]


def test_a_text_among_dates_of_excel_is_shown_not_one_of_the_dates(tmp_path: Path) -> None:
    days = [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2), "soon", dt.datetime(2020, 1, 4)]
    pd.DataFrame({"day": days, "y": list("abab")}).to_excel(tmp_path / "t.xlsx", index=False)
    message = r"column 'day' holds dates but for 'soon' in 1 of 4 rows; .* --kind day=categorical"
    with pytest.raises(TableError, match=message):
        file_suite(tmp_path / "t.xlsx", "y").datasets[0].load()


@pytest.mark.parametrize("name", ["t.xlsx", "t.parquet", "t.feather"])
def test_files_that_are_no_text_take_missing_and_refuse_the_rest(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"a": ["x", "?", "z"], "n": [1.5, 2, 3], "y": list("aba")})
    if name == "t.xlsx":
        pytest.importorskip("openpyxl")
        frame = frame.assign(n=pd.Series([1.5, " ? ", 3], dtype=object))
        frame.to_excel(tmp_path / name, index=False)
    else:
        (frame.to_parquet if name == "t.parquet" else frame.to_feather)(tmp_path / name)
    back = read_frame(tmp_path / name, ReadOptions(missing=("?",)))
    assert back["a"].isna().tolist() == [False, True, False]
    assert back["n"].dtype == np.float64
    with refused("is no text file, so decimal and day_first cannot say how it is written: leave them out"):
        read_frame(tmp_path / name, ReadOptions(decimal=",", day_first=True))


# From file to table


def numbers_but(odd: str, n: int = 200) -> str:
    values = [f"{v:.4f}" for v in RNG.standard_normal(n - 1)] + [odd]
    return "a,b,y\n" + "".join(f'"{v}",{i % 50},{"yes" if i % 2 else "no"}\n' for i, v in enumerate(values))


@pytest.mark.parametrize("odd", ["?", "n/a?", "-", "1,5", ".", "missing", "#DIV/0!", "1.2.3", "12 kg"])
def test_one_odd_value_among_numbers_is_refused_with_the_mend(tmp_path: Path, odd: str) -> None:
    path = write(tmp_path / "t.csv", numbers_but(odd))
    with pytest.raises(TableError) as error:
        file_suite(path, "y").datasets[0].load()
    assert f"column 'a' holds numbers but for {odd!r} in 1 of 200 rows" in str(error.value)
    assert "--missing" in str(error.value)
    table = file_suite(path, "y", reading={"missing": [odd]}).datasets[0].load()
    assert table.schema["a"].kind == "numeric"
    assert int(table.frame["a"].isna().sum()) == 1
    assert file_suite(path, "y", {"a": "categorical"}).datasets[0].load().schema["a"].kind == "categorical"
    assert file_suite(path, "y", {"a": "drop"}).datasets[0].load().schema.names == ["b"]


@pytest.mark.parametrize("marker", ["NA", "n/a", "null", "NaN", "#N/A", "None"])
def test_a_marker_among_numbers_is_missing_and_named(tmp_path: Path, marker: str) -> None:
    path = write(tmp_path / "t.csv", numbers_but(marker))
    with said(f"column 'a': {marker!r} was taken as missing"):
        table = file_suite(path, "y").datasets[0].load()
    assert table.schema["a"].kind == "numeric"
    assert int(table.frame["a"].isna().sum()) == 1


def test_a_number_beyond_float64_meets_the_error_for_infinities(tmp_path: Path) -> None:
    for odd in ("1e400", "inf", "-Infinity"):
        path = write(tmp_path / "t.csv", numbers_but(odd))
        with pytest.raises(TableError, match="column 'a' of dataset 't' holds infinity in 1 of 200 rows"):
            file_suite(path, "y").datasets[0].load()


@pytest.mark.parametrize("value", ["12%", "$1,200", "1 234", "1_000", "0x1F", "12 kg", "€ 5", "(1)"])
def test_numbers_with_more_around_them_are_said(tmp_path: Path, value: str) -> None:
    values = [value.replace("1", str(i + 1), 1).replace("5", str(i), 1) for i in range(60)]
    rows = "".join(f'"{v}",{i % 7},{"yes" if i % 2 else "no"}\n' for i, v in enumerate(values))
    with said("column 'a' holds numbers with more around them, such as"):
        file_suite(write(tmp_path / "t.csv", "a,b,y\n" + rows), "y").datasets[0].load()


def test_decimal_commas_beside_an_odd_value_are_said_with_both_mends(tmp_path: Path) -> None:
    rows = "".join(f"{'?' if i == 5 else f'{i},5'};{i % 7};{'yes' if i % 2 else 'no'}\n" for i in range(60))
    path = write(tmp_path / "t.csv", "a;b;y\n" + rows)
    with pytest.warns(TableWarning) as warned:
        file_suite(path, "y").datasets[0].load()
    told = "\n".join(str(w.message) for w in warned)
    assert "such as '0,5' (and '?': if it means missing, say --missing '?')" in told
    with said("'0,5' was read with a decimal comma"), said("read with ';'"):
        table = file_suite(path, "y", reading={"missing": ["?"]}).datasets[0].load()
    assert table.schema["a"].kind == "numeric"


def test_numbers_written_as_text_in_a_typed_file_are_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [str(i / 2) for i in range(30)], "b": range(30), "y": ["p", "q"] * 15})
    frame.to_parquet(tmp_path / "t.parquet")
    with said("column 'a' holds numbers written as text, such as '0.0', taken as 30 categories"):
        file_suite(tmp_path / "t.parquet", "y").datasets[0].load()
    assert file_suite(tmp_path / "t.parquet", "y", {"a": "numeric"}).datasets[0].load().schema["a"].kind == "numeric"


@pytest.mark.parametrize(
    "levels", [["a", "b"], ["01", "02", "X"], ["1a", "2b"], ["Q1", "Q2"], ["<5", "5-9", "10+"], ["1", "2", "3+"]]
)
def test_ordinary_categories_are_not_doubted(tmp_path: Path, levels: list[str]) -> None:
    rows = "".join(f"{levels[i % len(levels)]},{i},{'yes' if i % 2 else 'no'}\n" for i in range(60))
    table = file_suite(write(tmp_path / "t.csv", "a,b,y\n" + rows), "y").datasets[0].load()
    assert table.schema["a"].levels == tuple(sorted(levels))


def test_the_target_is_found_though_the_header_has_spaces(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,y ,b\n1,x,2\n2,z,3\n")
    with pytest.raises(TableError, match=r"has no column 'y' to predict; did you mean 'y '\?"):
        file_suite(path, "y").datasets[0].load()


def test_a_near_name_is_offered_for_a_target_and_a_few_of_many_columns_are_listed(tmp_path: Path) -> None:
    names = [f"x{n:02}" for n in range(30)]
    path = write(tmp_path / "t.csv", ",".join([*names, "Churned"]) + "\n" + "1," * 30 + "a\n")
    with pytest.raises(TableError, match=r"has no column 'CHURND' to predict; did you mean 'Churned'\?"):
        file_suite(path, "CHURND").datasets[0].load()
    with pytest.raises(TableError, match=r"there are: Churned, x00, x01, .*, x08 and 21 more\."):
        file_suite(path, "y").datasets[0].load()


# There and back

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
WORDS = st.sampled_from(["NA", "None", "null", "", " ", "nan", "a,b", 'say "hi"', "two\nlines", "ä", "TRUE", "01"])
COLUMNS = {
    "numeric": st.floats(allow_nan=False, allow_infinity=False),
    "integer": st.integers(-(2**53), 2**53),
    "categorical": st.one_of(TEXTS, WORDS),
    "codes": st.integers(-9, 9),
    "boolean": st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(4, 9))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    data = {}
    for number, kind in enumerate(kinds):
        values = st.one_of(st.none(), COLUMNS[kind]) if draw(st.booleans()) else COLUMNS[kind]
        data[f"c{number}"] = pd.Series(draw(st.lists(values, min_size=rows, max_size=rows)), dtype=object)
    names = {f"c{n}": "categorical" if kind == "codes" else kind for n, kind in enumerate(kinds)}
    frame = pd.DataFrame(data).assign(label=np.resize(["p", "q"], rows))
    return Table.from_frame(frame, "label", names)


@pytest.mark.filterwarnings("ignore::tabgen.errors.TableWarning")
@pytest.mark.parametrize("ending", ["csv", "parquet"])
@given(table=tables())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_and_read_again_a_table_is_the_same(tmp_path: Path, ending: str, table: Table) -> None:
    path = tmp_path / f"t.{ending}"
    write_frame(table.frame, path)
    back = table.like(read_frame(path, text=[c.name for c in table.schema.columns if c.kind == "categorical"]))
    pd.testing.assert_frame_equal(back.frame, table.frame)
    assert back.content_hash == table.content_hash


def test_years_before_1000_are_written_in_four_digits(tmp_path: Path) -> None:
    days = pd.Series(np.array(["0001-01-01", "0999-12-31T23:59:59.5", "NaT", "2024-07-01"], dtype="datetime64[us]"))
    frame = pd.DataFrame({"day": days, "zoned": days.dt.tz_localize("UTC"), "plain": days.where(days > days[1])})
    write_frame(frame, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "t.csv"), frame, check_dtype=False)
    assert ",2024-07-01\n" in (tmp_path / "t.csv").read_text()


def test_what_generate_writes_can_be_read_again(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "country": np.resize(["NA", "BW", "ZA", "None", "null"], 40),
            "size": RNG.standard_normal(40),
            "ok": np.resize([True, False, True], 40),
            "y": np.resize(["yes", "no"], 40),
        }
    )
    drawn = generate("bootstrap", frame, "y", rows=30)
    write_frame(drawn, tmp_path / "new.csv")
    original = Table.from_frame(frame, "y")
    table = file_suite(tmp_path / "new.csv", "y").datasets[0].load()
    assert table.schema == original.like(drawn).observed().schema
    assert "NA" in table.schema["country"].levels
    assert table.content_hash == original.like(drawn).observed().content_hash


@pytest.mark.filterwarnings("ignore::tabgen.errors.TableWarning")
def test_a_file_is_written_in_the_form_in_which_another_was_read(tmp_path: Path) -> None:
    """Decimal commas in columns of floats and of objects, beside empty texts, missing values, texts and quotes."""
    text = 'x;rate;word;y\n0,5;1,5;"";a\n1,25;;"p;q";b\n;0,125;1.5,2;a\n-3e-07;1,5;;b\n'
    frame, form = read_file(write(tmp_path / "de.csv", text))
    assert (form.delimiter, form.decimal) == (";", ",")
    frame["rate"] = frame["rate"].astype(object).where(frame["rate"].notna(), None)
    write_frame(frame, tmp_path / "out.csv", form)
    assert (tmp_path / "out.csv").read_text() == text
    write_frame(frame, tmp_path / "plain.csv")
    assert (tmp_path / "plain.csv").read_text().splitlines()[1] == '0.5,1.5,"",a'


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("t.csv", "a;b\n1.5;2\n", "1.5;2"),
        ("t.tsv", "a\tb\n1.5\t2\n", "1.5,2"),
        ("t.tsv", "a\tb\n1,5\t2\n", "1,5;2"),
        ("t.txt", "a|b\n1,5|2\n", "1,5|2"),
        ("t.csv", "a,b\n1.5,2\n", "1.5,2"),
    ],
)
@pytest.mark.filterwarnings("ignore::tabgen.errors.TableWarning")
def test_of_a_delimiter_that_the_ending_says_only_the_decimal_sign_is_kept(
    tmp_path: Path, name: str, text: str, line: str
) -> None:
    frame, form = read_file(write(tmp_path / name, text))
    write_frame(frame, tmp_path / "out.csv", form)
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == line


# Whatever people send

ODD = """1|2.5||NA|?|a|b c|"q"|"x,y"|1e400|nan|inf|-|01|+7|0x1F|2020-01-01|03/04/2020|31.12.2020|TRUE|false
2020-01-01T10:00Z|1,5|"1,5"|"1,234"|12%|  |ä|'|"|\\N|8e25696142|1_0|""|-0|1e-400|.5|5.|٠١|99999999999999999999999"""
CELLS = st.one_of(st.sampled_from([*ODD.replace("\n", "|").split("|"), '"two\nlines"']), st.text(max_size=4))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    width = draw(st.integers(1, 4))
    header = [draw(st.sampled_from(["a", "b", "", " a", "5.1", f"c{i}"])) for i in range(width)]
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width + draw(st.integers(0, 1))), max_size=8))
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(
        draw(st.sampled_from(",;\t|")).join(row) for row in [header, *rows]
    )
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")


@pytest.mark.filterwarnings("ignore::tabgen.errors.TableWarning")
@given(content=st.one_of(files(), st.binary(max_size=60)))
@example(content=b"\n,\n1,")  # no column has a name
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "any.csv", content)
    try:
        frame = read_frame(path)
    except DataError as error:
        message = str(error)
    else:
        assert frame.columns.is_unique
        assert len(frame) > 0
        try:
            Table.from_frame(frame, frame.columns[-1], name=path.name)
            return
        except TableError as error:
            message = str(error)
    assert path.name in message
    assert message.endswith((".", "?"))


# Quotes, spaces and separators that are not where they belong


@pytest.mark.parametrize("stray", [(30, 90), (5,), (5, 6, 7, 8)], ids=str)
@pytest.mark.parametrize("last", [False, True], ids=["amid", "last"])
def test_a_quote_that_belongs_to_a_value_swallows_no_rows(tmp_path: Path, stray: tuple[int, ...], last: bool) -> None:
    lines = []
    for i in range(120):
        size = '"5 inch' if i in stray else "small"
        lines.append(f"{i},{'ab'[i % 2]},{size}" if last else f"{i},{size},{'ab'[i % 2]}")
    with pytest.raises(DataError, match=rf"line {stray[0] + 2}: the quote before '5 inch.*opens a field"):
        read(tmp_path, "id,p,q\n" + "\n".join(lines) + "\n")


def test_quotes_that_are_part_of_values_are_read_as_they_are(tmp_path: Path) -> None:
    frame = read(tmp_path, 'a,b,n\n"two\nlines, ""so""",5" pipe,1\n"x",6" pipe,2\n"",7"" pipe,3\n')
    assert frame["a"].tolist() == ['two\nlines, "so"', "x", ""]
    assert frame["b"].tolist() == ['5" pipe', '6" pipe', '7"" pipe']


def test_spaces_after_delimiters_may_stand_before_quotes(tmp_path: Path) -> None:
    frame = read(tmp_path, 'a, "b, c", y\n1, "1.5,5", "u, v"\n2, "2.5", " w"\n')
    assert list(frame) == ["a", "b, c", "y"]
    assert frame["b, c"].tolist() == ["1.5,5", "2.5"]
    assert frame["y"].tolist() == ["u, v", " w"]
    assert read(tmp_path, 'a, x, y\n1, "7.5", "u"\n2, "8.5", "v"\n')["x"].tolist() == [7.5, 8.5]


def test_a_note_behind_some_rows_is_no_column(tmp_path: Path) -> None:
    rows = [f"p{i:03},{i / 8},{'ab'[i % 2]},{'see note' if i == 39 else ''}\n" for i in range(80)]
    with refused("the last is empty in 79 of 80 rows and holds 'see note' in another: take that out, or name"):
        read(tmp_path, "id,x,y\n" + "".join(rows))


def test_rows_of_two_lengths_are_told_by_the_first_that_is_not_the_headers(tmp_path: Path) -> None:
    with refused("line 2: 3 values where the header names 2 columns (x, y) ('1,a,')"):
        read(tmp_path, "x,y\n1,a,\n2,b\n")
    with refused("line 4: 3 values where the header names 2 columns"):
        read(tmp_path, "sep=;\nx;y\n1;a\n2;b;c\n", "t.csv")
    long = "".join(f"r{i},{i},a\n" for i in range(20_000))
    with refused("line 20002: 2 values, as the header names, where the rows above have 3;"):
        read(tmp_path, "x,y\n" + long + "1,a\n")


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        (["1.234", "950", "12.500"], {"decimal": ","}, [1234, 950, 12500]),
        (["1.234.567", "NA", "1.000"], {"decimal": ","}, [1234567, np.nan, 1000]),
        (["1.234", "0.137", "12.500"], {"decimal": ","}, [1.234, 0.137, 12.5]),
        (["1.5", "950", "12.25"], {"decimal": ","}, [1.5, 950, 12.25]),
        (["1.234", "950", "12.500"], {"decimal": "."}, [1.234, 950, 12.5]),
        (["1.234", "950", "12.500"], {}, [1.234, 950, 12.5]),
        (["1234", "950", "12500"], {"decimal": ","}, [1234, 950, 12500]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*'NA' was taken as missing")
def test_points_group_thousands_where_a_comma_is_the_decimal_sign(
    tmp_path: Path, values: list[str], options: dict[str, Any], expected: list[float]
) -> None:
    np.testing.assert_array_equal(column(tmp_path, values, **options).to_numpy(dtype=float), expected)


def test_points_group_thousands_where_other_columns_have_decimal_commas(tmp_path: Path) -> None:
    thousands = said("'1.137' was read with points between thousands, as other columns have decimal commas;")
    with thousands, said("'0,5' was read with a decimal comma"):
        frame = read(tmp_path, "a;b\n0,5;1.137\n1,25;2.174\n0,75;950\n", delimiter=";")
    assert frame["b"].tolist() == [1137, 2174, 950]
    assert frame["a"].tolist() == [0.5, 1.25, 0.75]


@pytest.mark.parametrize(
    "form",
    ["%m/%d/%y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%Y-%m", "%m/%Y", "%d.%m.%y", "%Y.%m.%d", "%Y/%m/%d"],
)
def test_dates_in_other_forms_are_said_to_be_none_that_is_read(tmp_path: Path, form: str) -> None:
    days = [(dt.date(2020, 1, 1) + dt.timedelta(days=13 * n)).strftime(form) for n in range(40)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert column(tmp_path, [f'"{day}"' for day in days]).tolist() == days
        table = Table.from_frame(pd.DataFrame({"day": days, "y": ["a", "b"] * 20}), "y")
    said_of_it = [str(w.message) for w in caught]
    assert len(said_of_it) == 1
    kept = "text" if table.schema["day"].kind == "text" else "categories"
    assert f"dates such as {days[0]!r} are in none of the forms that are read: kept as {kept}. Write" in said_of_it[0]


@pytest.mark.parametrize("form", ["12-{}-56", "{}-2-1", "1.2.{}", "Mary {}", "00{}-12-345", "{}/7"])
def test_ids_are_no_dates(tmp_path: Path, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        column(tmp_path, [form.format(n) for n in range(20, 80)])


def test_the_one_day_that_is_none_is_shown(tmp_path: Path) -> None:
    days = [f"{day:02}/{month:02}/2021" for month in range(1, 13) for day in range(1, 28)]
    for odd in ("30/02/2021", "04/13/2021"):
        with said(f"the date '{odd}' is not of calendar and clock, read as day, month, year: kept as categories."):
            column(tmp_path, [*days[:100], odd, *days[100:]])
    with said("the date '31.6.2021' is not of calendar and clock: kept as categories."):
        column(tmp_path, ["1.2.2021", "31.6.2021", "30.6.2021"])


def test_dates_that_stay_text_are_not_said_to_be_read(tmp_path: Path) -> None:
    with pytest.warns(TableWarning) as caught:
        assert column(tmp_path, ["13/01/2020", "01/13/2020", "02/02/2020"]).tolist()[0] == "13/01/2020"
    assert "were read as" not in "".join(str(w.message) for w in caught)
