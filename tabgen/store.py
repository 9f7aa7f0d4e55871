"""The store: one SQLite file of outcomes, written by one process, never twice for the same key."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from tabgen.errors import StoreError
from tabgen.outcome import STATUSES, Outcome

FILE = "outcomes.sqlite"
SCHEMA_VERSION = 1
CREATE = f"""
BEGIN;
CREATE TABLE outcomes (key TEXT PRIMARY KEY, status TEXT NOT NULL, row TEXT NOT NULL);
PRAGMA user_version={SCHEMA_VERSION};
COMMIT;
"""
LEAST_BYTES, MOST_BYTES = 100, 1 << 36
"""Of a row, and of a store: bounds on where recovery looks."""


class Store:
    """Outcomes of one run folder.

    Parameters
    ----------
    folder : Path
        Holds ``outcomes.sqlite``; created when writing.
    write : bool
        A writer holds the folder's lock until :meth:`close`; a reader needs none.

    Raises
    ------
    StoreError
        If there is no store to read, another run is writing to it, or the file is damaged.
    """

    def __init__(self, folder: Path, write: bool = False) -> None:
        self.folder = folder
        path = folder / FILE
        self._lock: IO[str] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if write:
            self._lock = _take_lock(folder)
        elif not path.is_file():
            raise StoreError(f"there is no run in {folder}: it has no {FILE}. Start one with `tabgen run -o {folder}`.")
        try:
            if write and not path.is_file():
                _put_in_place(path)
            self._db = sqlite3.connect(path) if write else self._reader(path)
            if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._begin(write)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            self.close()
            raise _damaged(path, error) from error
        except OSError as error:
            self.close()
            raise StoreError(f"{path} cannot be made: {error}.") from error
        if version != SCHEMA_VERSION:
            self.close()
            raise StoreError(f"{path} has format {version}; this tabgen reads format {SCHEMA_VERSION}.")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if hasattr(self, "_db"):
            self._db.close()
        if self._lock:
            self._lock.close()
        if self._scratch:
            self._scratch.cleanup()

    def _begin(self, write: bool) -> None:
        """Of a store without tables, in the making of which an earlier tabgen was killed; a reader finds no row."""
        if write:
            self._db.execute("PRAGMA journal_mode=WAL")
        else:
            self._db.close()
            self._db = sqlite3.connect(":memory:")
        self._db.executescript(CREATE)

    def _reader(self, path: Path) -> sqlite3.Connection:
        """A connection that only reads; SQLite writes beside a store with a journal, so it is copied where none can."""
        db = _read_only(path)
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            if os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
                raise
            db.close()
            self._scratch = tempfile.TemporaryDirectory()
            for name in (FILE, f"{FILE}-wal"):
                if (path.parent / name).is_file():
                    shutil.copyfile(path.parent / name, Path(self._scratch.name) / name)
            return _read_only(Path(self._scratch.name) / FILE)
        return db

    def statuses(self) -> dict[str, str]:
        """Key -> status of everything stored."""
        return dict(self._read("SELECT key, status FROM outcomes"))

    def add(self, outcome: Outcome) -> None:
        """Write one outcome at once; one that stands under the key is replaced (a retry).

        Raises
        ------
        StoreError
            If it cannot be written (disk full, folder gone); nothing that was stored is lost.
        """
        row = json.dumps(outcome.to_dict(), sort_keys=True, allow_nan=True)
        try:
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", (outcome.key, outcome.status, row))
        except sqlite3.Error as error:
            raise StoreError(
                f"the outcome could not be written to {self.folder / FILE}: {error}. Free space and run again."
            ) from error

    def drop(self, keys: Iterable[str]) -> None:
        """Remove outcomes that others take the place of."""
        with self._db:
            self._db.executemany("DELETE FROM outcomes WHERE key = ?", [(key,) for key in keys])

    def outcomes(self) -> Iterator[dict[str, Any]]:
        """Every stored outcome, in the order of (dataset, fold, seed, method)."""
        try:
            rows = [json.loads(row) for (row,) in self._read("SELECT row FROM outcomes")]
        except ValueError as error:
            raise _damaged(self.folder / FILE, error) from error
        rows.sort(key=lambda o: (o["dataset"], o["fold"], o["seed"], o["method"], o["key"]))
        yield from rows

    def _read(self, query: str) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query).fetchall()
        except sqlite3.Error as error:
            raise _damaged(self.folder / FILE, error) from error


def _put_in_place(path: Path) -> None:
    """Make an empty store under another name, then give it its own: whoever is killed leaves a whole one or none."""
    new = path.with_name(f"{path.name}.new")
    for rest in (new, path):  # of a writer that was killed here; of a store that somebody removed
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{rest}{ending}").unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(new)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(CREATE)
    new.replace(path)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"{path} cannot be read as a store ({error}); restore it from a copy, save what can be read with"
        f" `tabgen recover {path.parent} -o NEW`, or start in a new folder."
    )


def recover(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """The outcomes that a damaged store still holds, and how many rows it has that cannot be read.

    The store is copied, with what its journal holds, and filled up with zeros to the size it should have; then every
    row is looked up by its number, so that a damaged page costs the rows on it only.

    Raises
    ------
    StoreError
        If nothing can be read at all.
    """
    path = folder / FILE
    if not path.is_file():
        raise StoreError(f"there is no run in {folder}: it has no {FILE}.")
    found: dict[str, dict[str, Any]] = {}
    lost = 0
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / FILE
        journal = Path(f"{copy}-wal")
        shutil.copyfile(path, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{path}-wal", journal)
        with copy.open("r+b") as file:
            header = file.read(100)
            pages, page = int.from_bytes(header[28:32], "big"), int.from_bytes(header[16:18], "big")
            size = max(copy.stat().st_size, min(pages * (65536 if page == 1 else page), MOST_BYTES))
            file.truncate(size)
        if journal.is_file():
            size += journal.stat().st_size
        try:
            with contextlib.closing(sqlite3.connect(copy)) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()
                for number in range(1, size // LEAST_BYTES + 2):
                    try:
                        row = _row_at(database, number)
                    except (sqlite3.Error, ValueError):
                        lost += 1
                        continue
                    if row:
                        found[row["key"]] = row
        except sqlite3.Error as error:
            raise StoreError(f"nothing can be read in {path}: {error}.") from error
    return list(found.values()), lost


def _row_at(database: sqlite3.Connection, number: int) -> dict[str, Any] | None:
    """The outcome in the row of this number, or None; ValueError if it is no outcome."""
    row = database.execute("SELECT key, status, row FROM outcomes WHERE rowid = ?", (number,)).fetchone()
    if row is None:
        return None
    outcome: dict[str, Any] = json.loads(row[2])
    if (outcome["key"], outcome["status"]) != row[:2] or outcome["status"] not in STATUSES:
        raise ValueError("the row and its outcome disagree")
    return outcome


def _take_lock(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written to: {error}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        with contextlib.suppress(OSError):
            lock.close()
        raise StoreError(f"another run is writing to {folder}; wait for it, or use another folder.") from error
    return lock
