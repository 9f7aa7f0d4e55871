"""A bundle: the rows of a run in a zip file that a stranger can send, and that is safe to open.

Nothing in a bundle is ever unpacked to disk or executed: its three members are read piece by piece, within the
bounds of ``tabgen.leaderboard.bounds``, and parsed as strict JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from tabgen.errors import DataError
from tabgen.leaderboard import bounds
from tabgen.leaderboard.schema import SCHEMA_VERSION, parse_row, published, strict_json
from tabgen.plugins import Plugins
from tabgen.store import Store

FORMAT = "tabgen-bundle"
MANIFEST, ROWS, ENVIRONMENT = "manifest.json", "rows.jsonl", "environment.json"
MEMBERS = (MANIFEST, ROWS, ENVIRONMENT)
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
PIECE = 1 << 16
HIDDEN = "the rest is not published: the table is of no registered suite"


def write_bundle(run: Path, path: Path, plugins: Plugins) -> int:
    """Write the outcomes of a run folder as a bundle; the same outcomes give the same bytes. Returns how many.

    Rows of tables that no registered suite has lose what tells of their content (:func:`discreet`).

    Raises
    ------
    StoreError, DataError
        If the folder holds no run, nothing has ended yet, or ``path`` does not end in .zip.
    """
    _check_target(path)
    public = _public_tables(plugins)
    rows = [row if row["sha256"] in public else discreet(row) for row in load_rows(run)]
    environments = {json.dumps(row["provenance"], sort_keys=True) for row in rows}
    files = {
        ROWS: "".join(to_line(row) for row in rows).encode(),
        ENVIRONMENT: _pretty([json.loads(text) for text in sorted(environments)]),
    }
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA_VERSION,
        "tabgen": metadata.version("tabgen-bench"),
        "rows": len(rows),
        "generators": _generators(rows, plugins),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".zip", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in {MANIFEST: _pretty(manifest), **files}.items():
                archive.writestr(zipfile.ZipInfo(name, TIMESTAMP), data, zipfile.ZIP_DEFLATED)
        read_bundle(Path(scratch), called=path)  # what nobody could read is not sent
        Path(scratch).chmod(0o666 & ~_umask())
        Path(scratch).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(scratch).unlink()
    return len(rows)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _check_target(path: Path) -> None:
    """Nothing but an earlier bundle is ever replaced."""
    if path.suffix != ".zip":
        raise DataError(f"a bundle is a .zip file, {path} is not called so.")
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        raise DataError(f"{path} is a folder, a link or another special file; name a new file.")
    try:
        with zipfile.ZipFile(path) as archive:
            ours = sorted(archive.namelist()) == sorted(MEMBERS)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        ours = False
    if not ours:
        raise DataError(f"{path} is there already and is no bundle; name a new file, or remove it yourself.")


def _public_tables(plugins: Plugins) -> set[str | None]:
    """SHA-256 of the tables of all registered suites that are on this machine."""
    suites = [plugins.suites[name] for name in plugins.suites]
    return {dataset.sha256 for suite in suites if suite.at_hand() for dataset in suite.datasets} - {None}


def discreet(row: dict[str, Any]) -> dict[str, Any]:
    """A row of somebody's own table without what tells of its content, as reasons, logs and notes do.

    Of a reason the class of the failure is left. Names of the dataset and its target stay, and so do the kinds of
    columns that were given: they decide the key.
    """
    kept = {name: value for name, value in row.items() if name not in ("log_tail", "notes")}
    if not row["reason"]:
        return kept
    kind = re.match(r"[A-Z]\w*(Error|Exception|Unsupported|Warning)\b", row["reason"])
    what = f"{kind[0]} ({HIDDEN})" if kind else f"{row['status']} ({HIDDEN})"
    return kept | {"reason": what}


def to_line(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, allow_nan=False) + "\n"


def _pretty(data: Any) -> bytes:
    return (json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _generators(rows: list[dict[str, Any]], plugins: Plugins) -> list[dict[str, Any]]:
    """Each generator's plugin, version, and the hash of the file that defines it, where it is installed here."""
    used = sorted({(row["generator"], row["plugin"], row["plugin_version"]) for row in rows if row["generator"]})
    described = []
    for name, plugin, version in used:
        here = name in plugins.generators and plugins.generators.plugin_of(name).version == version
        source = inspect.getsourcefile(plugins.generators[name]) if here else None
        digest = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else None
        described.append({"generator": name, "plugin": plugin, "version": version, "source_sha256": digest})
    return described


def load_rows(path: Path, due: bool = True) -> list[dict[str, Any]]:
    """The published rows of a run folder, of a bundle, or of the JSON lines that a board offers; ``due``: one at least.

    Raises
    ------
    StoreError, DataError
        If there is no run, no row, or the file is not to be trusted.
    """
    if path.is_file():
        return read_rows(path)
    with Store(path) as store:
        rows = [published(outcome) for outcome in store.outcomes()]
    if not rows and due:
        raise DataError(f"no cell has ended yet in {path}.")
    return rows


OTHER_DOWNLOADS = (".parquet", ".csv", ".json", ".gz")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a bundle, or of JSON lines (``.jsonl``), each checked against the schema.

    Raises
    ------
    DataError
        If the file is not to be trusted, or holds no row.
    """
    if path.suffix.lower() in OTHER_DOWNLOADS:
        raise DataError(f"{path} is neither a run folder nor a bundle; of a board's downloads results.jsonl is read.")
    if path.suffix.lower() != ".jsonl":
        return read_bundle(path)
    if path.stat().st_size > bounds.MOST_UNPACKED:
        raise DataError(f"{path} is larger than {bounds.MOST_UNPACKED:,} bytes.")
    with path.open("rb") as file:
        return _parsed(_cut(iter(lambda: file.read(PIECE), b""), str(path)), str(path))


def read_bundle(path: Path, called: Path | None = None) -> list[dict[str, Any]]:
    """The rows of a bundle from anyone, each checked against the schema; messages call it ``called``.

    Raises
    ------
    DataError
        If it is not a bundle: other members, links, sizes beyond the bounds, hashes or rows that do not fit.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}.")
    if path.stat().st_size > bounds.MOST_PACKED:
        raise DataError(f"{path} is larger than {bounds.MOST_PACKED:,} bytes.")
    name = str(called or path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, _entries(archive, name), name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} cannot be read as a zip file: {error}.") from error


def _read(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], path: str) -> list[dict[str, Any]]:
    small = {name: b"".join(_pieces(archive, entries[name], path)) for name in (MANIFEST, ENVIRONMENT)}
    manifest = strict_json(_text(small[MANIFEST], f"{path}: {MANIFEST}"), f"{path}: {MANIFEST}")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{path}: {MANIFEST} should say format = '{FORMAT}'.")
    if manifest.get("schema") != SCHEMA_VERSION:
        told = repr(manifest.get("schema"))[:40]
        raise DataError(f"{path} has schema {told}; this tabgen reads schema {SCHEMA_VERSION}.")
    strict_json(_text(small[ENVIRONMENT], f"{path}: {ENVIRONMENT}"), f"{path}: {ENVIRONMENT}")
    digest = hashlib.sha256()
    rows = _parsed(_cut(_hashed(_pieces(archive, entries[ROWS], path), digest), path), path)
    expected = {ROWS: digest.hexdigest(), ENVIRONMENT: hashlib.sha256(small[ENVIRONMENT]).hexdigest()}
    if manifest.get("sha256") != expected:
        raise DataError(f"{path}: the hashes in {MANIFEST} are not those of {ROWS} and {ENVIRONMENT}; bundle it anew.")
    return rows


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: {error}.") from error


def _entries(archive: zipfile.ZipFile, path: str) -> dict[str, zipfile.ZipInfo]:
    """The three members; names, kinds and sizes are judged before anything is decompressed."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if sorted(names) != sorted(MEMBERS):
        shown = ", ".join(f"{name[:50]!r}" for name in names[:5]) + (", ..." if len(names) > 5 else "")
        raise DataError(f"{path} should hold {', '.join(MEMBERS)} and nothing else; it holds {shown}.")
    for entry in entries:
        _check_entry(entry, path)
    if sum(entry.file_size for entry in entries) > bounds.MOST_UNPACKED:
        raise DataError(f"{path} unpacks to more than {bounds.MOST_UNPACKED:,} bytes.")
    return {entry.filename: entry for entry in entries}


def _check_entry(entry: zipfile.ZipInfo, path: str) -> None:
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise DataError(f"{path}: {entry.filename} is a link or another special file.")
    if entry.flag_bits & 0x1:
        raise DataError(f"{path}: {entry.filename} is encrypted.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: {entry.filename} is packed in a way that is not accepted; use deflate.")
    if entry.file_size > bounds.MOST_COMPRESSION * max(entry.compress_size, 1000):
        raise DataError(f"{path}: {entry.filename} claims to unpack more than {bounds.MOST_COMPRESSION}-fold.")
    if entry.filename != ROWS and entry.file_size > bounds.MOST_SIDE:
        raise DataError(f"{path}: {entry.filename} is longer than {bounds.MOST_SIDE:,} bytes.")


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str) -> Iterator[bytes]:
    """A member piece by piece: never more than it declared, whatever it holds."""
    read = 0
    with archive.open(entry) as member:
        while read <= entry.file_size and (piece := member.read(PIECE)):
            read += len(piece)
            yield piece
    if read != entry.file_size:
        raise DataError(f"{path}: {entry.filename} is not as long as it claims to be.")


def _hashed(pieces: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


def _cut(pieces: Iterator[bytes], path: str) -> Generator[bytes]:
    """The lines of these pieces; an end of line at their end begins no other."""
    rest, empty = b"", True
    for piece in pieces:
        empty = False
        *lines, rest = (rest + piece).split(b"\n")
        if max(map(len, [*lines, rest])) > bounds.LONGEST_LINE:
            raise DataError(f"{path}: a row is longer than {bounds.LONGEST_LINE:,} bytes.")
        yield from lines
    if rest or empty:
        yield rest


def _parsed(lines: Generator[bytes], path: str) -> list[dict[str, Any]]:
    tally = bounds.Tally()
    rows = []
    with contextlib.closing(lines):
        for number, line in enumerate(lines, 1):
            if number > bounds.MOST_ROWS:
                raise DataError(f"{path} holds more than {bounds.MOST_ROWS:,} rows.")
            where = f"{path}: row {number}"
            rows.append(tally.take(parse_row(_text(line, where), where), where))
    return rows
