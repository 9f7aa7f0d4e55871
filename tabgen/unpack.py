"""A file's bytes, unpacked within bounds: neither a small file nor a giant one can fill the memory."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tabgen.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES = 2_000_000_000
"""Of a table's file, and of what it unpacks to."""
MOST_COMPRESSION, FREE_BYTES = 200, 100_000_000
"""Tables pack 3- to 40-fold, bombs a thousandfold; what unpacks to less than ``FREE_BYTES`` may pack as it likes."""
MOST_CELLS = 250_000_000
"""Of a Parquet or Feather file: with 8 bytes each as large as ``MOST_BYTES``."""
MOST_COLUMNS = 100_000
"""Of a text file."""
MOST_SHEET = 50_000_000
"""Cells of a sheet, from its first to its last: a workbook's reader makes all that lie between two."""
MOST_DESCRIPTION = 10_000_000
"""Bytes of a manifest, or of another description of tables."""
PIECE = 1 << 20
READERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
ZSTD = b"\x28\xb5\x2f\xfd"
FEATHER, FEATHER_HEADER = b"ARROW1", 8
MESSAGE_HEADER, DICTIONARY_BATCH, BATCH_ROWS, BATCH_BUFFERS, BATCH_PACKING = 2, 1, 0, 2, 3
"""Which field of its table in Arrow's format."""
UNPACKED_LENGTH, NOT_PACKED = 8, -1
"""Bytes of a packed buffer's length, and what stands there if the buffer is not packed after all."""


def check_size(path: Path, most: int = MOST_BYTES, what: str = "a table's file", mend: str = "take fewer rows") -> None:
    """Raise :class:`DataError` for a file that is too large to be read; one that is not there is passed over."""
    size = path.stat().st_size if path.is_file() else 0
    if size > most:
        raise DataError(f"{path} has {size:,} bytes; {what} has at most {most:,}: {mend}.")


def sha256_of(path: Path) -> str:
    """Of a table's file, piece by piece.

    Raises
    ------
    DataError
        If it is too large to be a table.
    """
    check_size(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpacked(path: Path) -> bytes:
    """What a file holds, whatever packed it: gz, bz2, xz, zst, or a zip of one member.

    Raises
    ------
    DataError
        If it is too large, or unpacks to too much; others if it is broken.
    """
    check_size(path)
    content = path.read_bytes()
    limit = _limit(len(content))
    for start, reader in READERS.items():
        if content.startswith(start):
            with reader(io.BytesIO(content)) as stream:
                return _within(stream, limit, path)
    if content.startswith(ZSTD):
        import pyarrow as pa

        with pa.CompressedInputStream(pa.py_buffer(content), "zstd") as stream:
            return _within(stream, limit, path)
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
            if len(files) != 1:
                raise DataError(f"{path} holds {len(files)} files; unpack it and name one.")
            with archive.open(files[0]) as stream:
                return _within(stream, limit, path)
    return content


def read_feather(path: Path) -> pa.Table:
    """The table of a Feather file.

    Its messages are read one after the other, as they were measured: the footer, which might point elsewhere, is not.

    Raises
    ------
    DataError
        If it is too large or would unpack to too much, or has a column whose values hold others; others if it is
        broken.
    """
    import pyarrow as pa
    from pyarrow import feather

    check_size(path)
    with pa.OSFile(str(path)) as file:
        content = file.read_buffer()
        if content[: len(FEATHER)].to_pybytes() != FEATHER:  # the older format: not packed, no such columns
            return feather.read_table(path)
        messages = content.slice(FEATHER_HEADER)
        with pa.ipc.open_stream(messages) as stream:
            check_flat(stream.schema, path)
            _check_feather(messages, len(stream.schema), path)
            table = stream.read_all()
        views = sum(_view_bytes(chunk) for column in table.columns for chunk in column.chunks)
        if views > MOST_BYTES:
            raise _too_much(path, MOST_BYTES)
        return table


def _check_feather(messages: pa.Buffer, n_columns: int, path: Path) -> None:
    """Raise :class:`DataError` if what the messages say they hold is too much; none of it is unpacked."""
    import pyarrow as pa

    rows = levels = size = 0
    for message in pa.ipc.MessageReader.open_stream(messages):
        if message.type in ("record batch", "dictionary"):
            length, unpacked_size = _batch_extent(message)
            rows += length if message.type == "record batch" else 0
            levels += length if message.type == "dictionary" else 0
            size += unpacked_size
    _check_cells(rows, n_columns, path, levels)
    limit = _limit(len(messages))
    if size > limit:
        raise _too_much(path, limit)


def _batch_extent(message: pa.Message) -> tuple[int, int]:
    """Rows of a message's batch, and the bytes that its buffers unpack to.

    pyarrow does not tell them, so they are read where Arrow's format has them (flatbuffers of ``Message.fbs``, format
    1.5): each buffer's place in the body, and, where the batch is packed, its length before packing in front of it.
    """
    import pyarrow as pa

    told, body = message.metadata.to_pybytes(), message.body

    def number(kind: str, at: int, source: Any = told) -> int:
        return int(struct.unpack_from("<" + kind, source, at)[0])

    def field(table: int, i: int) -> int:
        """Where a table has its ``i``-th field; 0 where it has none."""
        fields = table - number("i", table)
        known = 4 + 2 * i < number("H", fields)
        offset = number("H", fields + 4 + 2 * i) if known else 0
        return table + offset if offset else 0

    def follow(at: int) -> int:
        return at + number("I", at)

    batch = follow(field(follow(0), MESSAGE_HEADER))
    if message.type == "dictionary":
        batch = follow(field(batch, DICTIONARY_BATCH))
    rows = number("q", told_rows) if (told_rows := field(batch, BATCH_ROWS)) else 0
    if rows < 0:
        raise pa.ArrowInvalid(f"a batch of {rows} rows")
    packed, size = bool(field(batch, BATCH_PACKING)), 0
    if listed := field(batch, BATCH_BUFFERS):
        buffers = follow(listed)
        for i in range(number("I", buffers)):
            offset, length = (number("q", buffers + 4 + 16 * i + part) for part in (0, 8))
            before = number("q", offset, body) if packed and length >= UNPACKED_LENGTH else NOT_PACKED
            if min(offset, length, before - NOT_PACKED) < 0:
                raise pa.ArrowInvalid(f"a buffer of {length} bytes at {offset} that holds {before}")
            size += length if before == NOT_PACKED else before
    return rows, size


def _view_bytes(column: pa.Array) -> int:
    """Bytes of the texts of a column of views, of which any number may show the same bytes; 0 of another column."""
    import numpy as np
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary
    if not (pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type)):
        return 0
    views = np.frombuffer(column.buffers()[1], dtype=np.int32).reshape(-1, 4)  # each begins with its length
    lengths = views[column.offset : column.offset + len(column), 0]
    return int(np.maximum(lengths, 0).sum(dtype=np.int64))  # those below 0 are refused by whoever follows them


def _check_cells(rows: int, columns: int, path: Path, levels: int = 0) -> None:
    """Raise :class:`DataError` for more values, those of columns' levels beside them, than are read."""
    cells = rows * columns + levels
    if cells > MOST_CELLS:
        raise DataError(
            f"{path} says it has {rows:,} rows of {columns:,} columns, {cells:,} values; at most"
            f" {MOST_CELLS:,} are read: take fewer rows or columns."
        )


def _limit(packed: int) -> int:
    return min(MOST_BYTES, max(FREE_BYTES, MOST_COMPRESSION * packed))


def _too_much(path: Path, limit: int) -> DataError:
    if limit == MOST_BYTES:
        return DataError(f"{path} unpacks to more than {limit:,} bytes, and no table may be larger: take fewer rows.")
    return DataError(
        f"{path} unpacks to more than {limit:,} bytes, over {MOST_COMPRESSION}-fold, as files do that are made to fill"
        " a memory; if it is sound, unpack it yourself and name what comes out."
    )


def _within(stream: IO[bytes], limit: int, path: Path) -> bytes:
    out = io.BytesIO()
    while piece := stream.read(PIECE):
        if out.tell() + len(piece) > limit:
            raise _too_much(path, limit)
        out.write(piece)
    return out.getvalue()


def check_flat(schema: pa.Schema, path: Path) -> None:
    """Raise :class:`DataError` for a column whose values hold others: one row of it may unpack to anything."""
    import pyarrow as pa

    for field in schema:
        kind = field.type
        while isinstance(kind, pa.BaseExtensionType | pa.DictionaryType):
            kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind.value_type
        if pa.types.is_nested(kind) and not _is_interval(field.type):
            raise DataError(
                f"{path}: the column '{field.name:.80}' holds values of type {field.type!s:.80}, and a value of a"
                " table is a number, a text, a date or true or false: make columns of its parts, or leave it out of"
                " the file."
            )


def _is_interval(kind: pa.DataType) -> bool:
    """Whether a column is pandas' intervals: records of two numbers or times, no more than that."""
    import pyarrow as pa

    if not isinstance(kind, pa.BaseExtensionType) or kind.extension_name != "pandas.interval":
        return False
    ends = kind.storage_type
    return pa.types.is_struct(ends) and all(pa.types.is_primitive(end.type) for end in ends)


def check_parquet(path: Path) -> None:
    """Raise :class:`DataError` for a Parquet file whose table would be too large; none of it is unpacked at once.

    Where all rows have one value, it is there once, however many and however long: 10 kB can say a terabyte.
    """
    from pyarrow import parquet

    check_size(path)
    with parquet.ParquetFile(path) as file:  # not to be asked of its column chunks: a damaged footer then ends Python
        check_flat(file.schema_arrow, path)
        told, columns = file.metadata, [file.schema.column(i) for i in range(len(file.schema.names))]
    _check_cells(told.num_rows, told.num_columns, path)
    limit = _limit(path.stat().st_size)
    size = sum(told.row_group(i).total_byte_size for i in range(told.num_row_groups))
    if size > limit:
        raise _too_much(path, limit)
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    longest = told.num_rows * size  # if every text were as long as the whole file
    if texts and longest > MOST_BYTES and _text_bytes(path, texts) > MOST_BYTES:
        raise _too_much(path, MOST_BYTES)


def _text_bytes(path: Path, names: list[str]) -> int:
    """Bytes of all texts of these columns, counted up to the bound while each distinct one is held once."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    size = 0
    with parquet.ParquetFile(path, read_dictionary=names) as file:
        for name in names:
            for batch in file.iter_batches(columns=[name]):
                column = batch.column(0)
                if not pa.types.is_dictionary(column.type):  # no texts, such as decimals
                    break
                lengths = pc.binary_length(column.dictionary).take(column.indices)
                size += pc.sum(lengths).as_py() or 0
                if size > MOST_BYTES:
                    return size
    return size


# --- workbooks ------------------------------------------------------------------------------------------------

NUMBERED_ROW = re.compile(rb"<(?:\w+:)?row\s[^<>]*?\br\s*=\s*[\"'](\d+)")
FAULTY_CELL = re.compile(rb"<(?:\w+:)?c\s[^<>]*?\bt\s*=\s*[\"']e[\"']|\bvalue-type\s*=\s*[\"']error[\"']")
NUMBERED_CELL = re.compile(rb"<(?:\w+:)?c\s[^<>]*?\br\s*=\s*[\"']([A-Za-z]{1,7})(\d+)[\"'][^<>]*(?<!/)>")
REPEATED = re.compile(rb"<table:(table-row|table-cell|covered-table-cell|table)(\s[^<>]*)?>")
ROWS_REPEATED = re.compile(rb"number-rows-repeated\s*=\s*[\"'](\d+)")
COLUMNS_REPEATED = re.compile(rb"number-columns-repeated\s*=\s*[\"'](\d+)")


def check_workbook(path: Path) -> int:
    """Raise :class:`DataError` for a workbook that unpacks to too much, or whose cells lie too far apart.

    Two cells at opposite corners are a file of 5 kB, and 412 GB in memory, which end the interpreter.

    Returns
    -------
    int
        Cells that hold an error, such as #DIV/0!, in all of its sheets; 0 for the older kind, which is not packed.
    """
    check_size(path)
    if not zipfile.is_zipfile(path):
        return 0
    limit = _limit(path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > limit:
            raise _too_much(path, limit)
        faulty = 0

        def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal faulty
            for piece in pieces:
                faulty += len(FAULTY_CELL.findall(piece))
                yield piece

        for entry in entries:
            with archive.open(entry) as member:  # read to its end, where its length and its checksum are compared
                rows, columns = _extent(counted(_whole_tags(member)), entry.filename)
            if rows * columns > MOST_SHEET:
                raise DataError(
                    f"{path} ({entry.filename}) reaches over {rows:,} rows and {columns:,} columns; at most"
                    f" {MOST_SHEET:,} cells are read: clear what is outside the table, or save it as CSV."
                )
    return faulty


def _whole_tags(member: IO[bytes]) -> Iterator[bytes]:
    """A member's content in pieces that end between two tags."""
    rest = b""
    while piece := member.read(PIECE):
        text, cut, begun = (rest + piece).rpartition(b"<")
        rest = cut + begun if len(begun) < PIECE else b""
        yield text
    yield rest


def _extent(pieces: Iterator[bytes], name: str) -> tuple[int, int]:
    """Rows and columns from the first to the last cell of a sheet, at least; other members have none."""
    if name == "content.xml":
        return _extent_of_repeated(pieces)
    rows = columns = 0
    for piece in pieces:
        rows = max(rows, *map(int, NUMBERED_ROW.findall(piece)), 0)
        for letters, number in NUMBERED_CELL.findall(piece):
            rows, columns = max(rows, int(number)), max(columns, _column(letters))
    return rows, columns


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number


def _extent_of_repeated(pieces: Iterator[bytes]) -> tuple[int, int]:
    """Of an OpenDocument sheet, whose rows and cells are repeated; empty ones at the end are none."""
    most = (0, 0)
    rows = columns = width = 0  # up to here; of the sheet, up to the last cell with a value; of this row
    repeated = 1
    for piece in pieces:
        for what, attributes in REPEATED.findall(piece):
            if what == b"table":
                rows = columns = 0
            elif what == b"table-row":
                found = ROWS_REPEATED.search(attributes)
                repeated = int(found[1]) if found else 1
                rows, width = rows + repeated, 0
            else:
                found = COLUMNS_REPEATED.search(attributes)
                width += int(found[1]) if found else 1
                if b"value-type" in attributes:
                    columns = max(columns, width)
                    most = max(most, (rows, columns), key=lambda extent: extent[0] * extent[1])
    return most
