"""The cache of a run: synthetic rows and zero-shot scores, kept by what they were computed from.

A file is named by the hash of everything that decides its content, its key, written whole or not at all (a temporary
file, then a rename), and checked when it is read: it must hold that key and content with the hash it says. A damaged
or misplaced file counts as absent: what it held is computed again, and ``faults`` says so. Least recently used files
go first where a limit is set.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tabgen.arrow import facts_of, from_arrow, to_arrow
from tabgen.errors import TabgenError
from tabgen.outcome import hash_of
from tabgen.table import Schema, Table

T = TypeVar("T")

KINDS = {"synthetic": ".parquet", "zero-shot": ".json"}


@dataclass(frozen=True)
class CacheSettings:
    """Where a cache lies, and how many megabytes it may hold; None: no limit."""

    folder: str
    limit_mb: float | None = None


@dataclass
class Rows:
    """Synthetic rows, and what it took to make them.

    Attributes
    ----------
    table : Table
    seconds_fit, seconds_sample : float
        Wall time of fitting the generator, and of drawing these rows.
    peak_memory_mb : float
        Of the process that made them, until then.
    notes : dict
        What the generator noted.
    seconds_tune : float
        Wall time of the search for its settings.
    """

    table: Table
    seconds_fit: float
    seconds_sample: float
    peak_memory_mb: float
    notes: dict[str, Any] = field(default_factory=dict)
    seconds_tune: float = 0.0


class Damaged(Exception):  # noqa: N818 - a finding
    """A file of the cache does not hold what was written to it."""


class Cache:
    """Reads and writes one cache; several processes may do so at once.

    Attributes
    ----------
    faults : list of str
        What could not be read or written, for the notes of the outcome.
    """

    def __init__(self, settings: CacheSettings) -> None:
        self.folder, self.limit_mb = Path(settings.folder), settings.limit_mb
        self.faults: list[str] = []

    def rows(self, key: str) -> Rows | None:
        """The rows under ``key``, or None."""
        return self._read(self._path("synthetic", key), lambda content: _read_rows(content, key))

    def add_rows(self, key: str, rows: Rows) -> None:
        self._write(self._path("synthetic", key), _rows_as_bytes(rows, key))

    def scores(self, key: str) -> tuple[dict[str, float], float] | None:
        """The zero-shot scores under ``key`` and the seconds they took, or None."""
        return self._read(self._path("zero-shot", key), lambda content: _read_scores(content, key))

    def add_scores(self, key: str, scores: dict[str, float], seconds: float) -> None:
        entry = {"key": key, "scores": scores, "seconds": seconds}
        self._write(self._path("zero-shot", key), json.dumps(entry | {"sha256": hash_of(entry)}).encode())

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / f"{key}{KINDS[kind]}"

    def _read(self, path: Path, parse: Callable[[bytes], T]) -> T | None:
        """What ``parse`` finds in the file, which counts as used now; None if it is absent or damaged."""
        try:
            content = parse(path.read_bytes())
        except FileNotFoundError:
            return None
        except (Damaged, TabgenError, pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            self.faults.append(f"{path.name} was damaged and computed again: {_short(error)}")
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return content

    def _write(self, path: Path, content: bytes) -> None:
        """All of ``content`` or nothing; a full disk costs the cache, not the cell."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            self.faults.append(f"{path.name} was not kept: {_short(error)}")
            with contextlib.suppress(OSError):
                part.unlink()
        if self.limit_mb is not None:
            trim(self.folder, self.limit_mb)


def trim(folder: Path, limit_mb: float) -> None:
    """Remove least recently used files until at most ``limit_mb`` are left."""
    files = sorted(_files(folder), key=lambda entry: entry[1].st_mtime)
    excess = sum(stat.st_size for _, stat in files) - limit_mb * 1e6
    for path, stat in files:
        if excess <= 0:
            return
        with contextlib.suppress(OSError):  # another process was faster, or the folder can only be read
            path.unlink()
        excess -= stat.st_size


def sizes(folder: Path) -> dict[str, tuple[int, float]]:
    """Number of files and megabytes by kind."""
    found = {kind: [stat.st_size for path, stat in _files(folder) if path.parent.name == kind] for kind in KINDS}
    return {kind: (len(each), sum(each) / 1e6) for kind, each in found.items()}


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The files of a cache, those left behind half-written included, and nothing that is not its own."""
    found = []
    for kind, ending in KINDS.items():
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder / kind):
                if entry.name.endswith((ending, ".part")):
                    with contextlib.suppress(FileNotFoundError):  # another process was faster
                        found.append((Path(entry.path), entry.stat()))
    return found


def _rows_as_bytes(rows: Rows, key: str) -> bytes:
    """Parquet: levels as positions, numbers as they are, everything else as JSON in the file's metadata."""
    facts = {
        "key": key,
        "schema": rows.table.schema.to_dict(),
        "content_hash": rows.table.content_hash,
        "seconds_fit": rows.seconds_fit,
        "seconds_sample": rows.seconds_sample,
        "peak_memory_mb": rows.peak_memory_mb,
        "notes": rows.notes,
        "seconds_tune": rows.seconds_tune,
    }
    sink = pa.BufferOutputStream()
    pq.write_table(to_arrow(rows.table, facts), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _read_rows(content: bytes, key: str) -> Rows:
    arrow = pq.read_table(pa.BufferReader(content))
    facts = facts_of(arrow)
    _check_key(facts, key)
    table = from_arrow(arrow, Schema.from_dict(facts["schema"]))
    if table.content_hash != facts["content_hash"]:
        raise Damaged("its rows have another hash")
    names = ("seconds_fit", "seconds_sample", "peak_memory_mb", "notes")
    return Rows(table, **{name: facts[name] for name in names}, seconds_tune=facts.get("seconds_tune", 0.0))


def _read_scores(content: bytes, key: str) -> tuple[dict[str, float], float]:
    entry = json.loads(content)
    if not isinstance(entry, dict):
        raise Damaged("it holds no JSON object")
    _check_key(entry, key)
    if entry.pop("sha256") != hash_of(entry):
        raise Damaged("it has another hash")
    return dict(entry["scores"]), float(entry["seconds"])


def _check_key(facts: dict[str, Any], key: str) -> None:
    if facts["key"] != key:
        raise Damaged("it was written under another key")


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
