"""Faults around a run folder: it cannot be written, it is moved, copied or reached through a link."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from leaderboard_rows import make_rows, store_rows

from tabgen.errors import StoreError
from tabgen.freeze import count_look
from tabgen.leaderboard.bundle import read_bundle, write_bundle
from tabgen.leaderboard.report import write_report
from tabgen.plugins import Plugins
from tabgen.results import load_results, rank_pools
from tabgen.store import FILE, Store

OVERRIDES = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root write where nobody may."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def as_anybody() -> Iterator[None]:
    """Root, as whom containers run tests, is bound by permissions as everybody is."""
    libc, header, sets = ctypes.CDLL(None, use_errno=True), _Header(0x20080522, 0), (_Set * 2)()
    assert libc.capget(ctypes.byref(header), ctypes.byref(sets)) == 0
    before = sets[0].effective
    sets[0].effective = before & ~OVERRIDES
    assert libc.capset(ctypes.byref(header), ctypes.byref(sets)) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(header), ctypes.byref(sets)) == 0


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        with as_anybody():
            with pytest.raises(PermissionError):
                (folder / "new").touch()
            yield
    finally:
        folder.chmod(0o755)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return store_rows(make_rows(datasets=6), tmp_path / "run")


def test_a_read_only_folder_is_ranked_and_bundled(run: Path, built_in: Plugins, tmp_path: Path) -> None:
    expected = load_results(shutil.copytree(run, tmp_path / "copy"))  # a reader of ``run`` would leave an index there
    with read_only(run):
        outcomes = load_results(run)
        assert outcomes.equals(expected)
        ranked = rank_pools(outcomes)
        assert count_look([run], {"metric": "roc_auc"}) == 1  # counted, though it cannot be noted
        assert write_bundle(run, tmp_path / "b.zip", built_in) == len(expected)
        with pytest.raises(StoreError, match="the report cannot be written into"):
            write_report(run, ranked)
        with pytest.raises(StoreError, match="cannot be written to"):
            Store(run, write=True)
    assert len(read_bundle(tmp_path / "b.zip")) == len(expected)
    assert [path.name for path in run.iterdir() if path.name not in (FILE, ".lock")] == []


def test_a_read_only_folder_of_a_killed_run_is_read_with_its_journal(run: Path, tmp_path: Path) -> None:
    """What a killed writer left in the journal alone is there as well, whether or not there is an index to it."""
    copy = tmp_path / "killed"
    with Store(run, write=True):  # a writer that does not end keeps its rows in the journal
        writer = sqlite3.connect(run / FILE)
        with writer:
            writer.execute("INSERT INTO outcomes SELECT 'x', status, row FROM outcomes LIMIT 1")
        shutil.copytree(run, copy)
        writer.close()
    (copy / f"{FILE}-shm").unlink()
    assert (copy / f"{FILE}-wal").stat().st_size
    with read_only(copy), Store(copy) as store:
        assert "x" in store.statuses()


def test_a_run_that_is_moved_copied_or_linked_while_idle_stays_one(run: Path, tmp_path: Path) -> None:
    expected = load_results(run)
    shutil.copytree(run, tmp_path / "copy")
    run.rename(tmp_path / "moved")
    (tmp_path / "link").symlink_to(tmp_path / "moved", target_is_directory=True)
    more = make_rows(("jitter@augment:ratio=3.0",), datasets=1, folds=1)
    for name in ("copy", "moved", "link"):
        assert load_results(tmp_path / name).equals(expected)
    store_rows(more, tmp_path / "link")
    assert len(load_results(tmp_path / "moved")) == len(expected) + 1
    assert len(load_results(tmp_path / "copy")) == len(expected)
    with Store(tmp_path / "moved", write=True), pytest.raises(StoreError, match="another run is writing"):
        Store(tmp_path / "link", write=True)


def test_a_store_that_is_no_database_is_damaged_in_a_read_only_folder_too(run: Path) -> None:
    (run / FILE).write_bytes(b"no database" * 1000)
    with read_only(run), pytest.raises(StoreError, match="cannot be read as a store"):
        Store(run)
    assert os.access(run, os.W_OK)
