"""Faults around a run: its folder, terminal, open files, clock, hash seed, and another run beside it."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pytest
from leaderboard_rows import make_rows, store_rows
from paths import SUPPORT, importing
from rich.console import Console
from tiny_run import descendants, rows_of

from tabgen.cli.lasting import Lasting
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


# --- runs in interpreters of their own ------------------------------------------------------------------------

METHODS = "zero-shot,real,bootstrap,independent,jitter"
CELLS = 10


def line(folder: Path, methods: str = METHODS, workers: int = 2) -> list[str]:
    return [sys.executable, str(SUPPORT / "tiny_run.py"), str(folder), methods, str(workers)]


def start(folder: Path, *, workers: int = 2, path: tuple[Path, ...] = (), **options: Any) -> subprocess.Popen[str]:
    environment = importing(*path) | options.pop("env", {})
    command = line(folder, workers=workers)
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options)


def told(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What a run says up to its end, which is a good one."""
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return [json.loads(text) for text in out.splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert told(start(folder, env={"PYTHONHASHSEED": "0"}))[-1] == {"left": 0, "ran": {"ok": CELLS}}
    rows = rows_of(folder)
    assert len(rows) == CELLS
    return rows


@pytest.mark.slow
def test_neither_hash_seed_nor_workers_change_a_bit(undisturbed: dict[str, str], tmp_path: Path) -> None:
    told(start(tmp_path, workers=1, env={"PYTHONHASHSEED": "1"}))
    assert rows_of(tmp_path) == undisturbed


@pytest.mark.slow
def test_a_run_is_content_with_256_open_files_and_keeps_none_open(undisturbed: dict[str, str], tmp_path: Path) -> None:
    process = start(
        tmp_path,
        env={"PYTHONHASHSEED": "random"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
    )
    outcomes = told(process)[:-1]
    assert len(outcomes) == CELLS
    most = max(outcome["files"] for outcome in outcomes[:4])
    assert max(outcome["files"] for outcome in outcomes[4:]) <= most < 64
    assert rows_of(tmp_path) == undisturbed


JUMPS = """
import itertools, time
_real, _days = time.time, itertools.cycle((0, 4000, -4000, 1, -1))
time.time = lambda: _real() + 86400.0 * next(_days)
"""


@pytest.mark.slow
def test_a_clock_that_jumps_changes_neither_scores_nor_limits(undisturbed: dict[str, str], tmp_path: Path) -> None:
    """In the parent, its servers and every cell: time.time goes 11 years ahead, back, and about."""
    (tmp_path / "sitecustomize.py").write_text(JUMPS)
    there = "import time; print(time.time() - time.time())"
    jumped = subprocess.run([sys.executable, "-c", there], capture_output=True, text=True, env=importing(tmp_path))
    assert abs(float(jumped.stdout)) > 80_000
    folder = tmp_path / "run"
    told(start(folder, path=(tmp_path,)))
    assert rows_of(folder) == undisturbed
    with Store(folder) as store:
        seconds = [v for row in store.outcomes() for name, v in row.items() if name.startswith("seconds_") and v]
    assert min(seconds) > 0
    assert max(seconds) < 600


@pytest.mark.slow
def test_logs_that_are_removed_in_mid_run_are_not_missed(undisturbed: dict[str, str], tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    shutil.rmtree(tmp_path / "logs")
    told(process)
    assert rows_of(tmp_path) == undisturbed


@pytest.mark.slow
def test_two_runs_at_once_leave_each_other_alone(undisturbed: dict[str, str], tmp_path: Path) -> None:
    """In two folders both end as one alone does; in one folder the second is refused, the first not disturbed."""
    one, two = start(tmp_path / "one"), start(tmp_path / "two")
    assert one.stdout is not None
    one.stdout.readline()
    refused = start(tmp_path / "one", stderr=subprocess.PIPE)
    _, words = refused.communicate(timeout=600)
    assert refused.returncode == 1
    assert "another run is writing" in words
    for name, process in (("one", one), ("two", two)):
        told(process)
        assert rows_of(tmp_path / name) == undisturbed


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_terminal_that_closes_ends_the_run_and_the_same_line_completes_it(
    undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """SIGHUP as the kernel sends it when the other end of the terminal goes: no process stays, no outcome is lost."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored where the tests run under nohup
        command = line(tmp_path)
        os.execve(command[0], command, importing())
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        seen = b""
        while b"\n" not in seen:
            seen += screen.read(1000)
        family = descendants(pid)
    assert family
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGHUP
    until = time.monotonic() + 60
    while any(map(is_alive, family)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_alive, family))
    stored = rows_of(tmp_path)
    assert json.loads(seen.splitlines()[0])["key"] in stored
    assert stored.items() <= undisturbed.items()
    assert told(start(tmp_path))[-1]["left"] == 0
    assert rows_of(tmp_path) == undisturbed


def test_who_outlives_the_terminal_goes_on_without_it() -> None:
    """As after nohup or disown: what is said goes nowhere, and nothing is raised, at the end neither."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        console = Console(file=cast("IO[str]", Lasting(stream)))
        console.print("said")
        assert os.read(master, 100).strip() == b"said"
        os.close(master)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(slave, b"x")
        console.print("said to nobody")
        console.print("and once more")


def test_a_pipe_that_breaks_is_told() -> None:
    """Who reads no more wants no more: `tabgen run ... | head` ends."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    Lasting(stream).write("to nobody")
    with pytest.raises(BrokenPipeError):
        Lasting(stream).flush()
    with pytest.raises(BrokenPipeError):
        stream.close()
