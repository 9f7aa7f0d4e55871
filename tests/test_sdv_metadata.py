"""SDV's metadata: kinds, keys and personal columns, in the layouts that SDV has written."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tabgen.api import fit
from tabgen.errors import DataError, TableError, TableWarning
from tabgen.sdv_metadata import SDVMetadata, read_metadata
from tabgen.table import Table

COLUMNS = {
    "patient": {"sdtype": "id", "regex_format": "P[0-9]{3}"},
    "age": {"sdtype": "numerical"},
    "weight": {"sdtype": "numerical", "computer_representation": "Float"},
    "visits": {"sdtype": "numerical", "computer_representation": "Int64"},
    "ward": {"sdtype": "categorical"},
    "smokes": {"sdtype": "boolean"},
    "seen": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"},
    "mail": {"sdtype": "email", "pii": True},
    "town": {"sdtype": "city", "pii": False},
    "code": {"sdtype": "unknown", "pii": True},
    "ill": {"sdtype": "categorical"},
}
SINGLE = {"columns": COLUMNS, "primary_key": "patient", "METADATA_SPEC_VERSION": "SINGLE_TABLE_V1"}
FRAME = pd.DataFrame(
    {
        "patient": [f"P{n}" for n in range(20)],
        "age": range(20, 40),
        "weight": range(60, 80),
        "visits": range(20),
        "ward": [1, 2] * 10,
        "smokes": [True, False] * 10,
        "seen": pd.date_range("2024-01-01", periods=20).astype(str),
        "mail": [f"p{n}@example.org" for n in range(20)],
        "town": ["Ulm", "Bonn"] * 10,
        "code": ["x", "y"] * 10,
        "ill": ["yes", "no", "no", "yes"] * 5,
    }
)


def written(tmp_path: Path, content: Any) -> SDVMetadata:
    path = tmp_path / "metadata.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_metadata(path)


@pytest.mark.parametrize("layout", ["single", "several"])
def test_sdtypes_become_kinds_and_keys_are_left_out(layout: str, tmp_path: Path) -> None:
    several = {"tables": {"patients": SINGLE}, "relationships": [], "METADATA_SPEC_VERSION": "V1"}
    metadata = written(tmp_path, SINGLE if layout == "single" else several)
    table = Table.from_frame(FRAME, "ill", metadata.kinds_for("ill", {}))
    assert {c.name: c.kind for c in table.schema.columns} == {
        "age": "integer",
        "weight": "numeric",
        "visits": "integer",
        "ward": "categorical",
        "smokes": "boolean",
        "seen": "datetime",
        "town": "categorical",
    }
    said = r"'patient' \(the primary key\), 'mail' \(personal \(email\)\), 'code'"
    with pytest.warns(TableWarning, match=said):
        metadata.check(table, {})


def test_what_the_user_says_comes_first(tmp_path: Path) -> None:
    metadata = written(tmp_path, SINGLE)
    given = {"patient": "categorical", "mail": "drop", "code": "drop", "ward": "integer"}
    table = Table.from_frame(FRAME, "ill", metadata.kinds_for("ill", given))
    assert table.schema["patient"].kind == "categorical"
    assert table.schema["ward"].kind == "integer"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metadata.check(table, given)


def test_numbers_that_are_none_and_columns_that_are_not_named_are_said(tmp_path: Path) -> None:
    metadata = written(tmp_path, {"columns": {"ward": {"sdtype": "categorical"}, "age": {"sdtype": "numerical"}}})
    frame = FRAME[["ward", "age", "ill"]]
    with pytest.warns(TableWarning, match="does not name 'ill'"):
        metadata.check(Table.from_frame(frame, "ill"), {})
    words = frame.assign(age=["old", "young"] * 10)
    with pytest.raises(TableError, match="'age' is numerical, and it was read as categorical"):
        metadata.check(Table.from_frame(words, "ill"), {})
    with pytest.raises(TableError, match="the target 'patient' is the primary key"):
        written(tmp_path, SINGLE).kinds_for("patient", {})


def test_a_column_of_nothing_contradicts_no_kind(tmp_path: Path) -> None:
    metadata = written(tmp_path, {"columns": {"age": {"sdtype": "numerical"}, "ill": {"sdtype": "categorical"}}})
    metadata.check(Table.from_frame(FRAME[["age", "ill"]].assign(age=pd.Series([None] * 20, dtype=object)), "ill"), {})


@pytest.mark.filterwarnings("ignore:.*does not name:tabgen.errors.TableWarning")
@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("%Y%m%d", ["20201231", "20210103"]),
        ("%d/%m/%Y", ["31/12/2020", "03/01/2021"]),
        ("%m/%d/%Y", ["12/31/2020", "01/03/2021"]),
        ("%d %b %Y", ["31 Dec 2020", "03 Jan 2021"]),
        ("%Y-%m-%d %H:%M:%S", ["2020-12-31", "2021-01-03"]),  # as pandas writes times that are all midnights
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet", "frame"])
def test_times_are_read_by_their_format(tmp_path: Path, form: str, texts: list[str], kind: str) -> None:
    content = {"columns": {"d": {"sdtype": "datetime", "datetime_format": form}, "ill": {"sdtype": "categorical"}}}
    (tmp_path / "m.json").write_text(json.dumps(content))
    frame = pd.DataFrame({"d": [*texts, None] * 6, "size": range(18), "ill": ["yes", "no"] * 9})
    data: Any = frame if kind == "frame" else tmp_path / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(data, index=False)
    elif kind == "parquet":
        (frame.assign(d=frame["d"].astype(float)) if texts[0].isdigit() else frame).to_parquet(data)
    table = fit("bootstrap", data, "ill", metadata=tmp_path / "m.json").table
    assert table.frame["d"].dropna().unique().tolist() == pd.to_datetime(["2020-12-31", "2021-01-03"]).tolist()
    with pytest.raises(TableError, match=f"column 'd' is written neither in its format, '{form}', nor as ISO 8601"):
        fit("bootstrap", frame.assign(d="soon"), "ill", metadata=tmp_path / "m.json")


def test_keys_of_several_columns_are_left_out(tmp_path: Path) -> None:
    content = {"columns": {n: {"sdtype": "categorical"} for n in "abcd"}, "primary_key": ["a", "b"]}
    content |= {"alternate_keys": ["c"]}
    assert written(tmp_path, content).dropped == {"a": "the primary key", "b": "the primary key", "c": "a key"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ([1], "describes no table"),
        ({"tables": {}}, "describes no table"),
        ({"tables": {"a": SINGLE, "b": SINGLE}}, r"2 tables \(a, b\)"),
        ({"tables": {"a": [1]}}, "names no columns"),
        ({"columns": {}}, "names no columns"),
        ({"columns": {"a": {}}}, "no sdtype of column 'a'"),
        ({"columns": {"a": "categorical"}}, "no sdtype of column 'a'"),
    ],
)
def test_what_is_no_metadata_is_refused(content: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        written(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_metadata(tmp_path / "nothing.json")


@pytest.mark.skipif(find_spec("sdv") is None, reason="SDV is not installed")
@pytest.mark.filterwarnings("ignore")
def test_what_the_installed_sdv_writes_is_read(tmp_path: Path) -> None:
    from sdv.metadata import Metadata

    path = tmp_path / "sdv.json"
    tables = {"patients": {"columns": COLUMNS | {"weight": {"sdtype": "numerical"}, "visits": {"sdtype": "numerical"}}}}
    tables["patients"]["primary_key"] = "patient"  # type: ignore[assignment]
    Metadata.load_from_dict({"tables": tables, "relationships": []}).save_to_json(path)
    found = read_metadata(path)
    assert found.dropped["patient"] == "the primary key"
    assert found.kinds["seen"] == "datetime"
    assert found.numbers == ("age", "weight", "visits")
