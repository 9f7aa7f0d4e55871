"""Files that are made to fill a memory, and sound ones that are not taken for such."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from tabgen import unpack
from tabgen.datasets import Dataset, file_suite, read_manifest
from tabgen.errors import DataError
from tabgen.reader import read_frame
from tabgen.unpack import MOST_BYTES, MOST_DESCRIPTION, check_flat

TABLE = b"a,y\n" + b"1,b\n2,c\n" * 50


def zipped(data: bytes, name: str = "t.csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, "zstd", asbytes=True)
    return packed


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
    ".zip": zipped,
}


@pytest.mark.parametrize(("ending", "pack"), PACKERS.items(), ids=PACKERS)
def test_a_bomb_is_refused_once_it_goes_beyond_its_bound(
    ending: str, pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 1_000_000)
    monkeypatch.setattr(unpack, "PIECE", 1 << 16)
    sound, bomb = tmp_path / f"sound.csv{ending}", tmp_path / f"bomb.csv{ending}"
    sound.write_bytes(pack(TABLE))
    bomb.write_bytes(pack(TABLE + b"0,b\n" * 1_000_000))
    assert len(read_frame(sound)) == 100
    assert bomb.stat().st_size < 10_000
    told = r"bomb\.csv.* unpacks to more than [\d,]+ bytes, over 200-fold.*unpack it yourself"
    with pytest.raises(DataError, match=told):
        read_frame(bomb)


def test_a_zip_that_lies_about_its_length_is_broken(tmp_path: Path) -> None:
    data = zipped(TABLE)
    path = tmp_path / "t.csv.zip"
    path.write_bytes(data.replace(len(TABLE).to_bytes(4, "little"), (30).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"t\.csv\.zip could not be read: BadZipFile"):
        read_frame(path)


def sparse(path: Path, size: int) -> Path:
    """A file of zeros that takes no place on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".feather", ".xlsx"])
def test_a_giant_file_is_refused_unread(ending: str, tmp_path: Path) -> None:
    path = sparse(tmp_path / f"t{ending}", MOST_BYTES + 1)
    told = r"has 2,000,000,001 bytes; a table's file has at most 2,000,000,000: take fewer rows"
    with pytest.raises(DataError, match=told):
        read_frame(path)
    with pytest.raises(DataError, match=told):
        Dataset("t", path, "y", sha256="0" * 64).load()
    with pytest.raises(DataError, match=told):
        file_suite(path, "y")


def test_a_giant_manifest_is_refused_unread(tmp_path: Path) -> None:
    sparse(tmp_path / "manifest.json", MOST_DESCRIPTION + 1)
    with pytest.raises(DataError, match=r"10,000,001 bytes; a manifest has at most 10,000,000: divide the suite"):
        read_manifest(tmp_path)


def test_a_manifest_of_many_datasets_is_read_in_time_that_grows_with_them(tmp_path: Path) -> None:
    """Names were compared pair by pair: 40,000 took minutes."""
    (tmp_path / "t.csv").write_bytes(TABLE)
    entries = [{"name": f"{n}", "file": "t.csv", "target": "y"} for n in range(40_000)]
    (tmp_path / "manifest.json").write_text(json.dumps([*entries, entries[7], entries[9]]))
    with pytest.raises(DataError, match=r"more than one dataset called 7, 9\."):
        read_manifest(tmp_path)


def test_a_parquet_file_of_one_repeated_value_is_refused_by_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are all the same take next to nothing in Parquet."""
    path, rows = tmp_path / "t.parquet", 100_000
    parquet.write_table(pa.table(dict.fromkeys("abcdefghijy", pa.array([0] * rows))), path, compression="zstd")
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(unpack, "MOST_CELLS", 11 * rows)
    assert read_frame(path).shape == (rows, 11)
    monkeypatch.setattr(unpack, "MOST_CELLS", 11 * rows - 1)
    with pytest.raises(DataError, match=r"says it has 100,000 rows of 11 columns, 1,100,000 values; at most 1,099,999"):
        read_frame(path)


def test_one_long_text_in_many_rows_of_a_parquet_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dictionary holds the text once; the table would hold it in each row."""
    path, rows = tmp_path / "t.parquet", 100_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 100_000]))
    parquet.write_table(pa.table({"a": column.cast(pa.dictionary(pa.int32(), pa.string()))}), path, store_schema=False)
    assert path.stat().st_size < 200_000
    with pytest.raises(DataError, match=r"t\.parquet unpacks to more than 2,000,000,000 bytes"):
        read_frame(path)
    sound = pa.table({"a": ["x" * 200, "y"] * 20_000, "y": ["b", None] * 20_000})
    parquet.write_table(sound, tmp_path / "sound.parquet")
    monkeypatch.setattr(unpack, "MOST_BYTES", 2 * sound.nbytes)
    assert read_frame(tmp_path / "sound.parquet")["a"].str.len().sum() == 20_000 * 201
    monkeypatch.setattr(unpack, "MOST_BYTES", sound.nbytes // 2)
    with pytest.raises(DataError, match="unpacks to more than"):
        read_frame(tmp_path / "sound.parquet")


NESTED = {
    "list<": pa.array([[1, 2], [3]]),
    "fixed_size_list<": pa.array([[1.0, 2.0]] * 2, pa.list_(pa.float64(), 2)),
    "struct<": pa.array([{"a": 1}, {"a": 2}]),
    "map<": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("told", NESTED)
@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_a_column_whose_values_hold_others_is_refused_before_any_is_read(
    told: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, table = tmp_path / f"t.{ending}", pa.table({"x": [1, 2], "parts": NESTED[told], "y": ["a", "b"]})
    write: Any = parquet.write_table if ending == "parquet" else feather.write_feather
    write(table, path)

    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("the data was read")

    monkeypatch.setattr(parquet.ParquetFile, "read", read)
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", read)
    monkeypatch.setattr(unpack, "_check_feather", read)
    with pytest.raises(
        DataError, match=rf"t\.{ending}: the column 'parts' holds values of type {told}.*columns of its"
    ):
        read_frame(path)
    write(table.drop_columns("parts"), path)
    with pytest.raises(DataError, match="the data was read"):
        read_frame(path)


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_intervals_are_a_column_and_intervals_of_something_larger_are_not(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    write: Any = parquet.write_table if ending == "parquet" else feather.write_feather
    frame = pd.DataFrame({"x": pd.arrays.IntervalArray.from_breaks(range(5)), "y": list("abab")})
    table = pa.Table.from_pandas(frame)
    write(table, path)
    assert read_frame(path)["x"].tolist() == frame["x"].tolist()

    interval: Any = type(table.schema.field("x").type)
    of_lists = interval(pa.list_(pa.int64()), "right")
    with pytest.raises(DataError, match="holds values of type"):
        check_flat(pa.schema([("x", of_lists), ("y", pa.string())]), path)


def test_a_feather_file_whose_texts_lie_outside_it_is_refused(tmp_path: Path) -> None:
    """Found by fuzzing: to follow its offsets was a segmentation fault."""
    path = tmp_path / "t.feather"
    texts = [f"text {n}" for n in range(10, 60)]
    feather.write_feather(pa.table({"a": texts, "y": ["b", "c"] * 25}), path, compression="uncompressed")
    assert read_frame(path)["a"].tolist() == texts
    offset = (7 * 20).to_bytes(4, "little")
    content = path.read_bytes()
    assert content.count(offset) == 1
    path.write_bytes(content.replace(offset, (2**30).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"t\.feather could not be read: ArrowInvalid"):
        read_frame(path)


def packed(columns: dict[str, Any], path: Path, compression: Any = "zstd") -> Path:
    """A Feather file of such columns."""
    feather.write_feather(pa.table(columns), path, compression=compression)
    return path


@pytest.mark.parametrize("compression", ["zstd", "lz4", "uncompressed"])
def test_a_feather_file_unpacks_to_no_more_than_it_may(
    compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros pack thousandfold; what all buffers unpack to is known before one is unpacked."""
    rows = 50_000
    levels = pa.array(["a", "b", None] * (rows // 2))[:rows].dictionary_encode()
    columns = {"x": pa.array([0.0] * rows), "texts": pa.array(["text"] * rows), "y": levels}
    path = packed(columns, tmp_path / "t.feather", compression)
    size = sum(len(buffer) for column in columns.values() for buffer in column.buffers() if buffer)
    size += sum(len(buffer) for buffer in levels.dictionary.buffers() if buffer)
    monkeypatch.setattr(unpack, "MOST_COMPRESSION", 1)
    monkeypatch.setattr(unpack, "FREE_BYTES", max(round(1.02 * size), path.stat().st_size))
    assert read_frame(path).shape == (rows, 3)
    if compression == "uncompressed":
        monkeypatch.setattr(unpack, "MOST_COMPRESSION", 0.9)
    monkeypatch.setattr(unpack, "FREE_BYTES", round(0.98 * size))
    with pytest.raises(DataError, match=r"t\.feather unpacks to more than"):
        read_frame(path)


def test_many_rows_of_a_feather_file_that_hold_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed({"a": pa.nulls(1000), "y": ["b", "c"] * 500}, tmp_path / "t.feather")
    monkeypatch.setattr(unpack, "MOST_CELLS", 2000)
    assert read_frame(path).shape == (1000, 2)
    monkeypatch.setattr(unpack, "MOST_CELLS", 1999)
    with pytest.raises(DataError, match="says it has 1,000 rows of 2 columns, 2,000 values; at most 1,999"):
        read_frame(path)


@pytest.mark.parametrize("as_levels", [False, True])
def test_views_of_one_long_text_are_counted_each(
    as_levels: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such columns hold a text once, however many rows show it."""
    size, shows = 100_000, 50
    view = size.to_bytes(4, "little") + b"xxxx" + bytes(8)  # its length and start; which buffer, and where in it
    buffers = [None, pa.py_buffer(view * shows), pa.py_buffer(b"x" * size)]
    column = pa.Array.from_buffers(pa.string_view(), shows, buffers)
    levels = pa.DictionaryArray.from_arrays(pa.array(range(shows), pa.int32()), column)
    path = packed({"a": levels if as_levels else column, "y": ["b", "c"] * (shows // 2)}, tmp_path / "t.feather")
    if not as_levels:
        assert read_frame(path)["a"].str.len().sum() == shows * size
    monkeypatch.setattr(unpack, "MOST_BYTES", shows * size - 1)
    with pytest.raises(DataError, match=r"t\.feather unpacks to more than"):
        read_frame(path)


def test_a_feather_file_that_lies_about_a_length_is_broken(tmp_path: Path) -> None:
    rows = 5_000
    path = packed({"x": pa.array([0.0] * rows), "y": ["b", "c"] * (rows // 2)}, tmp_path / "t.feather")
    told = (8 * rows).to_bytes(8, "little")
    content = path.read_bytes()
    assert content.count(told) >= 1
    for lie in (80, -5):
        path.write_bytes(content.replace(told, lie.to_bytes(8, "little", signed=True)))
        with pytest.raises(DataError, match=r"t\.feather could not be read: (Arrow|OSError)"):
            read_frame(path)


def test_a_text_of_countless_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",".join("a" * 200_000) + "\n" + "1," * 200_000 + "\n")
    with pytest.raises(DataError, match="names 200,000 columns; at most 100,000 are read"):
        read_frame(tmp_path / "t.csv")


# --- workbooks ------------------------------------------------------------------------------------------------


def workbook(path: Path, far: str | None) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["a", "y"], [1, "b"], [2, "c"]):
        book.active.append(row)
    if far:
        book.active[far] = "x"
    book.save(path)
    return path


def test_two_cells_far_apart_are_refused_before_all_between_them_are_made(tmp_path: Path) -> None:
    """They ended the interpreter: the workbook's reader asks for 412 GB at once."""
    path = workbook(tmp_path / "t.xlsx", "XFD1048576")
    assert path.stat().st_size < 10_000
    told = r"reaches over 1,048,576 rows and 16,384 columns; at most 50,000,000 cells .* save it as CSV"
    with pytest.raises(DataError, match=told):
        read_frame(path)
    assert read_frame(workbook(path, None))["y"].tolist() == ["b", "c"]


def test_cells_that_are_formatted_and_empty_count_as_none(tmp_path: Path) -> None:
    import openpyxl
    from openpyxl.styles import Font

    path = workbook(tmp_path / "t.xlsx", None)
    book = openpyxl.load_workbook(path)
    book.active["XFD1048576"].font = Font(bold=True)
    book.save(path)
    assert read_frame(path).shape == (2, 2)


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 100_000)
    path = workbook(tmp_path / "t.xlsx", None)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", b" " * 10_000_000)
    with pytest.raises(DataError, match=r"unpacks to more than [\d,]+ bytes, over 200-fold"):
        read_frame(path)


def open_document(path: Path, rows: str) -> Path:
    names = "".join(f' xmlns:{each}="urn:oasis:names:tc:opendocument:xmlns:{each}:1.0"' for each in ("table", "text"))
    office = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    content = (
        f'<?xml version="1.0"?><office:document-content {office}{names}><office:body><office:spreadsheet>'
        f'<table:table table:name="s">{rows}</table:table></office:spreadsheet></office:body></office:document-content>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    return path


def cells(*texts: str, more: str = "") -> str:
    one = '<table:table-cell office:value-type="string"{}><text:p>{}</text:p></table:table-cell>'
    return "".join(one.format(more, text) for text in texts)


def test_repeated_cells_of_an_open_document_are_counted(tmp_path: Path) -> None:
    sound = f"<table:table-row>{cells('a', 'y')}</table:table-row><table:table-row>{cells('1', 'b')}</table:table-row>"
    empty = '<table:table-row table:number-rows-repeated="1048574"><table:table-cell/></table:table-row>'
    assert read_frame(open_document(tmp_path / "t.ods", sound + empty)).shape == (1, 2)
    wide = cells("x", more=' table:number-columns-repeated="16384"')
    bomb = f'<table:table-row table:number-rows-repeated="1000000">{wide}</table:table-row>'
    with pytest.raises(DataError, match=r"reaches over 1,000,002 rows and 16,384 columns"):
        read_frame(open_document(tmp_path / "t.ods", sound + bomb))
    with pytest.raises(DataError, match=r"reaches over 1,048,577 rows and 16,384 columns"):
        read_frame(open_document(tmp_path / "t.ods", sound + empty + f"<table:table-row>{wide}</table:table-row>"))
