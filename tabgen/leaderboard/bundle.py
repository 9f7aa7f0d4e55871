"""A bundle: the rows of a run in a zip file that a stranger can send, and that is safe to open.

Nothing in a bundle is ever unpacked to disk or executed: its three members are read into memory, within
limits, and parsed as strict JSON.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import stat
import zipfile
import zlib
from importlib import metadata
from pathlib import Path
from typing import Any

from tabgen.errors import DataError
from tabgen.leaderboard.schema import SCHEMA_VERSION, parse_row, published, strict_json
from tabgen.plugins import Plugins
from tabgen.store import Store

FORMAT = "tabgen-bundle"
MANIFEST, ROWS, ENVIRONMENT = "manifest.json", "rows.jsonl", "environment.json"
MEMBERS = (MANIFEST, ROWS, ENVIRONMENT)
#: A bundle of 100,000 outcomes with curves is about 25 MB packed and 300 MB unpacked.
MOST_PACKED, MOST_UNPACKED, MOST_ROWS, LONGEST_LINE = 50_000_000, 500_000_000, 200_000, 500_000
#: Real rows pack 10- to 40-fold; deflate's limit, which bombs reach, is about 1,030.
MOST_COMPRESSION = 200
TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def write_bundle(run: Path, path: Path, plugins: Plugins) -> int:
    """Write the outcomes of a run folder as a bundle; the same outcomes give the same bytes. Returns how many.

    Raises
    ------
    StoreError, DataError
        If the folder holds no run, nothing has ended yet, or ``path`` does not end in .zip.
    """
    if path.suffix != ".zip":
        raise DataError(f"a bundle is a .zip file, {path} is not called so.")
    rows = load_rows(run)
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
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {MANIFEST: _pretty(manifest), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, TIMESTAMP), data, zipfile.ZIP_DEFLATED)
    return len(rows)


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


def load_rows(path: Path) -> list[dict[str, Any]]:
    """The published rows of a run folder or of a bundle.

    Raises
    ------
    StoreError, DataError
        If there is no run, no row, or the bundle is not to be trusted.
    """
    if path.is_file():
        return read_bundle(path)
    with Store(path) as store:
        rows = [published(outcome) for outcome in store.outcomes()]
    if not rows:
        raise DataError(f"no cell has ended yet in {path}.")
    return rows


def read_bundle(path: Path) -> list[dict[str, Any]]:
    """The rows of a bundle from anyone, each checked against the schema.

    Raises
    ------
    DataError
        If it is not a bundle: other members, links, sizes beyond the limits, hashes or rows that do not fit.
    """
    members = _read_members(path)
    manifest = strict_json(_text(members[MANIFEST], f"{path}: {MANIFEST}"), f"{path}: {MANIFEST}")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{path}: {MANIFEST} should say format = '{FORMAT}'.")
    if manifest.get("schema") != SCHEMA_VERSION:
        raise DataError(f"{path} has schema {manifest.get('schema')!r}; this tabgen reads schema {SCHEMA_VERSION}.")
    expected = {name: hashlib.sha256(members[name]).hexdigest() for name in (ROWS, ENVIRONMENT)}
    if manifest.get("sha256") != expected:
        raise DataError(f"{path}: the hashes in {MANIFEST} are not those of {ROWS} and {ENVIRONMENT}; bundle it anew.")
    strict_json(_text(members[ENVIRONMENT], f"{path}: {ENVIRONMENT}"), f"{path}: {ENVIRONMENT}")
    lines = _text(members[ROWS], f"{path}: {ROWS}").removesuffix("\n").split("\n")
    if not 0 < len(lines) <= MOST_ROWS:
        raise DataError(f"{path} holds {len(lines):,} rows; from 1 to {MOST_ROWS:,} are accepted.")
    if max(map(len, lines)) > LONGEST_LINE:
        raise DataError(f"{path}: a row is longer than {LONGEST_LINE:,} characters.")
    return [parse_row(line, f"{path}: row {number}") for number, line in enumerate(lines, 1)]


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: {error}.") from error


def _read_members(path: Path) -> dict[str, bytes]:
    """The three members, in memory; names, kinds and sizes are judged before anything is decompressed."""
    if not path.is_file():
        raise DataError(f"there is no file {path}.")
    if path.stat().st_size > MOST_PACKED:
        raise DataError(f"{path} is larger than {MOST_PACKED:,} bytes.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if sorted(names) != sorted(MEMBERS):
                shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
                raise DataError(f"{path} should hold {', '.join(MEMBERS)} and nothing else; it holds {shown}.")
            for entry in entries:
                _check_entry(entry, path)
            if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
                raise DataError(f"{path} unpacks to more than {MOST_UNPACKED:,} bytes.")
            return {entry.filename: _read_entry(archive, entry, path) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a zip file: {error}.") from error


def _check_entry(entry: zipfile.ZipInfo, path: Path) -> None:
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise DataError(f"{path}: {entry.filename} is a link or another special file.")
    if entry.flag_bits & 0x1:
        raise DataError(f"{path}: {entry.filename} is encrypted.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: {entry.filename} is packed in a way that is not accepted; use deflate.")
    if entry.file_size > MOST_COMPRESSION * max(entry.compress_size, 1000):
        raise DataError(f"{path}: {entry.filename} claims to unpack more than {MOST_COMPRESSION}-fold.")


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> bytes:
    with archive.open(entry) as member:
        data = member.read(entry.file_size + 1)  # never more than it declared, whatever it holds
        if len(data) != entry.file_size or member.read(1):
            raise DataError(f"{path}: {entry.filename} is not as long as it claims to be.")
    return data
