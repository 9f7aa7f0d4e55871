"""Files to frames: CSV, TSV, compressed, Parquet, Feather and Excel, read as they are or refused with the mend.

Text files are parsed by pyarrow; what this module adds is what no parser knows: which delimiter and encoding a file
has, which column is none, and which line is wrong. What the texts mean is decided in :mod:`tabgen.parsing`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from tabgen.column import levels_as_written
from tabgen.errors import DataError, TableWarning
from tabgen.parsing import TextStyle, parse_columns
from tabgen.text import shown, some_of
from tabgen.unpack import MOST_COLUMNS, check_parquet, check_workbook, read_feather, unpacked

DELIMITERS = (",", ";", "\t", "|")
EXPECTED = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
EXCEL_ENDINGS = (".xlsx", ".xls", ".xlsm", ".ods")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")
ENDINGS = (*TEXT_ENDINGS, ".parquet", ".feather", *EXCEL_ENDINGS)
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FOREIGN_STARTS = {b"PAR1": "a Parquet file", b"ARROW1": "a Feather file", b"PK\x03\x04": "an Excel file"}
SAMPLE = 100_000
"""Characters from the start of a file by which its delimiter is told."""
NAMES = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'", " ": "a space"}
IN_QUOTES = r'[^"]*+(?:""[^"]*+)*+'
"""What stands between the quotes of a field: a quote within is written twice."""
UNNAMED = re.compile(r"\s*(Unnamed: \d+(_level_\d+)?)?\s*")


@dataclass(frozen=True)
class ReadOptions:
    """What a text file cannot say itself; None: found out.

    Attributes
    ----------
    delimiter : str
        The character between columns.
    decimal : {".", ","}
        The decimal sign; the other of the two then groups thousands.
    encoding : str
        Such as "latin-1"; Python's names.
    missing : tuple of str
        Texts that mean a missing value, in every column.
    day_first : bool
        Whether 03/04/2020 is in April.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()
    day_first: bool | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise DataError(f"the delimiter is one character, neither a quote nor a line end; not {self.delimiter!r}.")
        if self.decimal not in (None, ".", ","):
            raise DataError(f"the decimal sign is '.' or ',', not {self.decimal!r}.")
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except (LookupError, ValueError) as error:  # a zero byte, half a character
                raise DataError(
                    f"there is no encoding {self.encoding!r:.80}; utf-8, latin-1 and utf-16 are some."
                ) from error

    def to_dict(self) -> dict[str, Any]:
        """The options that are set, as JSON can hold them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v not in (None, ())}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "the reading options") -> ReadOptions:
        """The options of a plain dict.

        Raises
        ------
        DataError
            For an option that does not exist, or a value of another type.
        """
        types: dict[str, Any] = {"delimiter": str, "decimal": str, "encoding": str, "missing": list, "day_first": bool}
        for key, value in values.items():
            if key not in types:
                raise DataError(f"{where}: there is no option '{key}'; there are: {', '.join(types)}.")
            if not isinstance(value, types[key]) or (key == "missing" and not all(isinstance(m, str) for m in value)):
                raise DataError(f"{where}: {key}={value!r} is of another type than is due.")
        return cls(**{**values, "missing": tuple(values.get("missing", ()))})


def read_frame(
    path: Path, options: ReadOptions | None = None, text: Collection[str] = (), categories: Collection[str] = ()
) -> pd.DataFrame:
    """A table's file as a DataFrame: see :func:`read_file`."""
    return read_file(path, options, text, categories)[0]


def read_file(
    path: Path, options: ReadOptions | None = None, text: Collection[str] = (), categories: Collection[str] = ()
) -> tuple[pd.DataFrame, ReadOptions]:
    """A table's file as a DataFrame, and how it was read.

    Of the texts that mean a missing value it has those that the file holds, and no delimiter that the ending says.

    The file's ending says what it is, and compression (gz, bz2, xz, zst, zip) is seen.

    Of a text file, types are decided on whole columns: numbers, True and False, dates, or else text. A field is
    missing where it is empty and not quoted; in columns of numbers also where it says NA or the like. Whatever was
    not plain (another delimiter, encoding or decimal sign, row names, what was taken as missing) is said in a
    :class:`TableWarning`.

    Parameters
    ----------
    path : Path
    options : ReadOptions, optional
        For text files; ``missing`` for all.
    text : collection of str
        Columns to leave as the texts they are.
    categories : collection of str
        Columns of levels: the texts that stand there, NA too, or numbers where each is written as its number is.

    Raises
    ------
    DataError
        If the file does not exist, has another ending, or cannot be read: with the line, and what to do.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}.")
    ending = _ending(path)
    if ending not in ENDINGS:
        raise DataError(
            f"{path} has an ending that is not known; tables end in {', '.join(ENDINGS)}"
            f" (text also in .csv{' or .csv'.join(COMPRESSIONS[:3])} and the like)."
        )
    options = options or ReadOptions()
    try:
        if ending in TEXT_ENDINGS:
            return _read_text(path, ending, options, frozenset(text), frozenset(categories))
        useless = [name for name in options.to_dict() if name != "missing"]
        if useless:
            raise DataError(
                f"{path} is no text file, so {' and '.join(useless)} cannot say how it is written: leave"
                f" {'it' if len(useless) == 1 else 'them'} out, or save the table as CSV."
            )
        frame = _read_excel(path) if ending in EXCEL_ENDINGS else _read_arrow(path, ending)
        return _without_words(frame, options.missing)
    except (DataError, TableWarning):  # a warning, where somebody made them errors
        raise
    except Exception as error:  # parsers raise dozens of types for a broken file
        raise DataError(f"{path} could not be read: {type(error).__name__}: {str(error).rstrip('.')}.") from error


def is_text_file(path: Path) -> bool:
    """Whether a table's file is one of text, by its ending: what :class:`ReadOptions` says most about."""
    return _ending(path) in TEXT_ENDINGS


def _ending(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in COMPRESSIONS:
        return suffixes[-2]
    return suffixes[-1] if suffixes else ""


def _without_words(frame: pd.DataFrame, words: tuple[str, ...]) -> tuple[pd.DataFrame, ReadOptions]:
    """The frame with these texts missing, and columns that are numbers without them as numbers; with it those found."""
    held: set[str] = set()

    def without(column: pd.Series[Any]) -> pd.Series[Any]:
        found = column.map(lambda value: isinstance(value, str) and value.strip() in words).astype(bool)
        held.update(value.strip() for value in column[found])
        return column.mask(found).infer_objects() if found.any() else column

    frame = frame.apply(without) if words else frame
    return frame, ReadOptions(missing=tuple(word for word in words if word in held))


def warn_of_unused(missing: Collection[str], found: ReadOptions, path: Path) -> None:
    """Say which of the texts that were to mean a missing value stand in no cell of the file."""
    unused = [shown(word) for word in missing if word not in found.missing]
    if unused:
        _say(f"{path.name}: no cell holds {' or '.join(unused)}, which was said to mean a missing value (--missing).")


def _say(message: str) -> None:
    warnings.warn(message, TableWarning, stacklevel=5)


# --- Parquet, Feather, Excel ----------------------------------------------------------------------------------


def _read_arrow(path: Path, ending: str) -> pd.DataFrame:
    pa.array(pd.array([], pd.PeriodDtype("D")))  # makes pandas' types known to Arrow, to which periods are numbers else
    if ending == ".parquet":
        from pyarrow import parquet

        check_parquet(path)
        table = parquet.ParquetFile(path).read()
    else:
        table = read_feather(path)
    table.validate(full=True)  # a broken file's offsets point anywhere: following them ends the interpreter
    whole = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}  # numpy has no whole numbers with gaps
    frame: pd.DataFrame = table.to_pandas(types_mapper=whole.get)
    named = [str(name) for name in frame.index.names if name is not None]
    if named:
        _say(
            f"{path.name}: the index ({', '.join(named)}) was set aside;"
            " make it a column (reset_index) if it should count."
        )
    return frame.reset_index(drop=True)


def _read_excel(path: Path) -> pd.DataFrame:
    faulty = check_workbook(path)
    if faulty:
        _say(f"{path.name}: errors such as #DIV/0! stand in {faulty} of its cells, and were taken as missing.")
    try:
        book = pd.ExcelFile(path, engine="calamine")
    except ImportError as error:
        raise DataError(f"{path} is read with the extra 'excel': pip install 'tabgen-bench[excel]'.") from error
    with book:
        if len(book.sheet_names) > 1:
            others = ", ".join(map(str, book.sheet_names[1:]))
            _say(f"{path.name}: the first sheet, '{book.sheet_names[0]}', was read, and not: {others}.")
        cells = book.parse(0, header=None, dtype=object, keep_default_na=False, na_values=[""])
    if len(cells) < 2:
        raise DataError(f"{path} holds {len(cells)} rows; a header and rows are due.")
    names = ["" if pd.isna(name) else str(name) for name in cells.iloc[0]]
    frame = cells.iloc[1:].reset_index(drop=True)
    texts = {0: pa.array([None if pd.isna(v) else str(v) for v in frame.iloc[:, 0]], pa.string())}
    empty = [bool(frame[c].isna().all()) for c in frame]
    keep = _named_columns(names, empty, path, texts)
    bare = ", ".join(f"'{names[i]}'" for i in keep if empty[i])
    if bare:
        _say(
            f"{path.name}: no value stands under {bare}; of formulas the values are read that were saved with them:"
            " open the file in a spreadsheet program and save it."
        )
    return frame[keep].set_axis([names[i] for i in keep], axis=1).infer_objects()


# --- text -----------------------------------------------------------------------------------------------------


def _read_text(
    path: Path, ending: str, options: ReadOptions, as_text: frozenset[str], categories: frozenset[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    content = _decoded(_content(path), options, path)
    if not content or content.isspace():
        raise DataError(f"{path} is empty.")
    told = re.match(r"sep=(.)\r?\n", content)  # as Excel writes
    content = content[told.end() :] if told else content
    delimiter = options.delimiter or (told[1] if told else _delimiter(content, ending, path))
    names, n_lines, body = _cut_header(content, delimiter)
    if len(names) > 1 and all(name.startswith(" ") for name in names[1:]):  # "a, b, c"
        names, n_lines, body = _cut_header(_without_spaces(content, delimiter), delimiter)
    n_lines += bool(told)
    if not body or body.isspace():
        raise DataError(f"{path} has a header and no rows.")
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{path} names {len(names):,} columns; at most {MOST_COLUMNS:,} are read.")
    width = _width(body, delimiter, len(names))
    arrow = _parsed(body, delimiter, width, names, n_lines, path)
    names, arrow = _fitted_to_header(names, arrow, path)
    keep = _named_columns(names, [column.null_count == len(column) for column in arrow.values()], path, arrow)
    if any(re.fullmatch(r"[+-]?\d*\.\d+", names[i].strip()) for i in keep):
        _say(f"{path.name}: the first line names columns such as numbers; if it is data, write a line of names above.")
    style = TextStyle(options.decimal, frozenset(options.missing), options.day_first, delimiter)
    frame, found = parse_columns({names[i]: arrow[i] for i in keep}, style, as_text | categories, path.name)
    for name in categories.intersection(frame):
        frame[name] = levels_as_written(frame[name])
    delimiter = None if delimiter == EXPECTED.get(ending) else delimiter
    missing = tuple(word for word in options.missing if word in found.missing)
    told_or_found = ReadOptions(delimiter, found.decimal, options.encoding, missing, found.day_first)
    return frame, told_or_found


def _content(path: Path) -> bytes:
    content = unpacked(path)
    for start, what in FOREIGN_STARTS.items():
        if content.startswith(start):
            raise DataError(f"{path} is {what} by its first bytes; give it the ending of one.")
    return content


def _decoded(content: bytes, options: ReadOptions, path: Path) -> str:
    """The file as text; what is not UTF-8 and has no byte order mark is taken for Windows' Latin-1, and said."""
    encoding = options.encoding or next((name for bom, name in BOMS if content.startswith(bom)), None)
    try:
        if encoding:
            text = content.decode(encoding).removeprefix("\ufeff")
            text.encode()  # utf-7 can spell half of a character
            return text
        if b"\x00" in content[:SAMPLE]:
            raise DataError(
                f"{path} holds zero bytes: it is no text, or UTF-16 without a mark; then say --encoding utf-16-le."
            )
        return content.decode()
    except UnicodeEncodeError as error:
        told = f"half of a character at character {error.start + 1}"
        raise DataError(f"{path} is not {encoding}: {told}.") from error
    except UnicodeDecodeError as error:
        if encoding:
            raise DataError(f"{path} is not {encoding}: {error.reason} at byte {error.start}.") from error
    try:
        decoded = content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8; name its encoding, such as --encoding latin-1.") from error
    first = next(i for i, letter in enumerate(decoded) if not letter.isascii())
    around = decoded[max(0, first - 10) : first + 10].strip()
    _say(f"{path.name} is not UTF-8 and was read as Windows-1252 ({around!r}); if that is wrong, say --encoding.")
    return decoded


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the number of the line it ends on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for record in reader:
            if record:
                yield reader.line_num, record
    except csv.Error:  # a field beyond the csv module's limit: pyarrow has none, and has the last word
        return


def _delimiter(content: str, ending: str, path: Path) -> str:
    """The character that cuts most rows to the header's length, and into most columns."""
    expected = EXPECTED.get(ending)
    found: list[tuple[float, int, bool, str]] = []
    for delimiter in DELIMITERS:
        widths = [len(record) for _, record in _records(content[:SAMPLE], delimiter)]
        if len(content) > SAMPLE and len(widths) > 2:
            widths.pop()  # cut in the middle
        rows = widths[1:] or widths
        as_header = sum(width == widths[0] for width in rows) / len(rows)
        one_more = 0.9 * sum(width == widths[0] + 1 for width in rows) / len(rows)  # row names, trailing commas
        if max(widths) > 1:
            score = as_header if widths[0] > 1 else 0.0
            found.append((round(max(score, one_more), 1), widths[0], delimiter == expected, delimiter))
    if not found:
        raise DataError(
            f"{path} has one column, cut by none of {', '.join(NAMES[d] for d in DELIMITERS)};"
            " if another character is between columns, say --delimiter."
        )
    best = max(found)[-1]
    if expected and best != expected:
        _say(f"{path.name} was read with {NAMES[best]} between columns; if that is wrong, say --delimiter.")
    return best


def _cut_header(content: str, delimiter: str) -> tuple[list[str], int, str]:
    """The names, the lines they take, and the rest of the file."""
    start = content[: 100 * SAMPLE]
    n_lines, names = next(_records(start, delimiter), (0, [""]))
    lines = io.StringIO(start, newline="")
    length = sum(len(next(lines)) for _ in range(n_lines))
    return names, n_lines, content[length:]


def _without_spaces(content: str, delimiter: str) -> str:
    """The file without the spaces that follow its delimiters; those within quotes are part of a value."""
    ends = re.escape(delimiter) + "\r\n"
    return re.sub(rf'(^|[{ends}]) *+("{IN_QUOTES}")?', r"\1\2", content)


def _check_quotes(body: str, delimiter: str, n_lines: int, path: Path) -> None:
    """Refuse a field's quote that is closed in the middle of a value, or never: one of the two is no quote of a field.

    Two stray quotes (5", 7") would make one field of all rows between them.
    """
    ends = re.escape(delimiter) + "\r\n"
    begun = rf'"(?:(?<=^")|(?<=[{ends}]"))'
    for field in re.finditer(rf'{begun}{IN_QUOTES}(?:\Z|"(?P<more> *+[^{ends} ][^{ends}]*)?)', body):
        closed = field[0].endswith('"') and len(field[0]) > 1
        if field["more"] or not closed:
            line = n_lines + 1 + len(re.findall("\r\n|\r|\n", body[: field.start()]))
            start = shown((field[0][1:].splitlines() or [""])[0], 30)
            how = f"closed before {shown(field['more'], 30)}" if field["more"] else "never closed"
            raise DataError(
                f"{path}, line {line}: the quote before {start} opens a field and is {how}; a quote within a value is"
                " written twice, and the value in quotes."
            )


def _width(body: str, delimiter: str, n_names: int) -> int:
    """The number of fields of a row, by the first rows: that of the header, or one more in every one of them."""
    widths = [len(record) for _, record in _records(body[:SAMPLE], delimiter)]
    if len(body) > SAMPLE and len(widths) > 1:
        widths.pop()
    return n_names + 1 if set(widths) == {n_names + 1} else n_names


def _parsed(body: str, delimiter: str, width: int, names: list[str], n_lines: int, path: Path) -> dict[int, pa.Array]:
    """The columns as texts, null where a field is empty and not quoted."""
    columns = [str(i) for i in range(width)]
    content = body.encode()
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(
                column_names=columns, use_threads=False, block_size=min(len(content) + 1, 2**30)
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        if not wrong:
            raise
        _check_quotes(body, delimiter, n_lines, path)
        raise DataError(_bad_row(body, delimiter, width, names, n_lines, wrong[0], path)) from error
    arrow = {i: column.combine_chunks() for i, column in enumerate(table.columns)}
    if any(pc.any(pc.match_substring_regex(column, r"[\r\n]")).as_py() for column in arrow.values()):
        _check_quotes(body, delimiter, n_lines, path)
    return arrow


def _bad_row(body: str, delimiter: str, width: int, names: list[str], n_lines: int, row: Any, path: Path) -> str:
    lines = ((line, record) for line, record in _records(body, delimiter) if len(record) == row.actual_columns)
    line, record = next(lines, (row.number, []))
    if row.actual_columns == len(names):
        return (
            f"{path}, line {n_lines + line}: {len(names)} values, as the header names, where the rows above have"
            f" {width}; name the column that is lacking, or take what is too much out of those rows."
        )
    more = row.actual_columns > width
    mend = f"quote a value that holds {NAMES.get(delimiter, repr(delimiter))}" if more else "complete the row"
    example = f" ({shown(delimiter.join(record))})" if record else ""
    return (
        f"{path}, line {n_lines + line}: {row.actual_columns} values where the header names {len(names)} columns"
        f" ({some_of(names, 6)}){example}; {mend}, or mend the header."
    )


def _fitted_to_header(
    names: list[str], arrow: dict[int, pa.Array], path: Path
) -> tuple[list[str], dict[int, pa.Array]]:
    """Names and columns of one length: rows may have one field more, for row names or a trailing delimiter."""
    if len(arrow) == len(names):
        return names, arrow
    last, first = arrow[len(arrow) - 1], arrow[0]
    if last.null_count == len(last):
        return names, {i: arrow[i] for i in range(len(names))}
    if last.null_count > len(last) / 2:
        value = pc.drop_null(last)[0].as_py()
        raise DataError(
            f"{path}: every row has {len(arrow)} values where the header names {len(names)} columns; the last is empty"
            f" in {last.null_count} of {len(last)} rows and holds {shown(value, 30)} in another: take that out, or"
            " name the column that is lacking."
        )
    if not _are_row_names(first):
        raise DataError(
            f"{path}: every row has {len(arrow)} values where the header names {len(names)} columns"
            f" ({some_of(names, 6)}), from the first row on; name the column that is lacking."
        )
    _say(f"{path.name}: the first value of each row has no name in the header and was set aside as the row's name.")
    return names, {i: arrow[i + 1] for i in range(len(names))}


def _are_row_names(column: pa.Array) -> bool:
    """Whether these texts count the rows, or are all different and no numbers."""
    texts = column.to_pylist()
    if None in texts:
        return False
    counts = [[str(i + start) for i in range(len(texts))] for start in (0, 1)]
    numbers = pc.match_substring_regex(column, r"^\s*[+-]?\d*\.?\d+([eE][+-]?\d+)?\s*$")
    return texts in counts or (len(set(texts)) == len(texts) and not pc.any(numbers).as_py())


def _named_columns(names: list[str], are_empty: list[bool], path: Path, arrow: dict[int, pa.Array]) -> list[int]:
    """Positions of the columns to keep, once each has a name of its own.

    Raises
    ------
    DataError
        For two columns of one name, for one without a name that is neither empty nor the rows' names, and for no name
        at all.
    """
    keep = []
    for i, name in enumerate(names):
        if not UNNAMED.fullmatch(name):
            keep.append(i)
        elif are_empty[i]:
            _say(f"{path.name}: column {i + 1} has neither a name nor a value and was left out.")
        elif i == 0 and _are_row_names(arrow[0]):
            _say(f"{path.name}: the first column has no name and was set aside as the rows' names.")
        else:
            raise DataError(f"column {i + 1} of {path} has no name; name it in the header, or take it out.")
    if not keep:
        raise DataError(f"{path} names no column in its header; write a line of names above the rows.")
    seen: dict[str, int] = {}
    for i in keep:
        bare = names[i].strip()
        if bare in seen:
            raise DataError(
                f"{path} has two columns named '{bare}' (columns {seen[bare] + 1} and {i + 1}); rename or remove one."
            )
        seen[bare] = i
    return keep
