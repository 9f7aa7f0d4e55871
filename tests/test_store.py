"""The store: nothing that was added is ever lost, one writer at a time, damage is named."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from leaderboard_rows import made_row
from paths import SUPPORT
from typer.testing import CliRunner

from tabgen import store as store_module
from tabgen.cli import app
from tabgen.cli.run import stored_outcomes
from tabgen.errors import StoreError
from tabgen.outcome import RETRYABLE, STATUSES, Outcome
from tabgen.results import load_results
from tabgen.store import FILE, Store, recover


def outcome(key: str, status: str = "ok", **more: Any) -> Outcome:
    return Outcome.from_dict(made_row() | {"key": key, "status": status} | more)


def refusal(message: str) -> Any:
    return pytest.raises(StoreError, match=re.escape(message))


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, **options)


WRITER = """
import sys
import time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from leaderboard_rows import made_row
from tabgen.outcome import Outcome
from tabgen.store import Store
store = Store(Path(sys.argv[1]), write=True)
for number in range(int(sys.argv[2])):
    key = f"{number:04}"
    store.add(Outcome.from_dict(made_row() | dict(key=key, text="x" * 3000)))
    print(key, flush=True)
sys.stdin.read()
"""


def test_what_is_added_is_there_when_opened_again(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "new"
    row = outcome("a", roc_auc=0.1 + 0.2, missing=float("nan"), curve=[1, 2.5], notes={"ü": None})
    with Store(folder, write=True) as store:
        store.add(row)
        assert store.statuses() == {"a": "ok"}
    with Store(folder) as store:
        (read,) = store.outcomes()
    assert read.pop("missing") != read.get("missing")
    assert read == {k: v for k, v in row.to_dict().items() if k != "missing"}


def test_resume_keys_and_their_statuses(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        for status in STATUSES:
            store.add(outcome(f"key of {status}", status))
    with Store(tmp_path, write=True) as store:
        assert store.statuses() == {f"key of {status}": status for status in STATUSES}
    assert set(RETRYABLE) < set(STATUSES)
    assert not {"ok", "unsupported"} & set(RETRYABLE)


def test_a_retry_replaces_the_outcome_of_its_key_only(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.add(outcome("a", "crashed"))
        store.add(outcome("b", "timeout"))
        store.add(outcome("a", "ok", score=1))
        assert store.statuses() == {"a": "ok", "b": "timeout"}
        assert [o.get("score") for o in store.outcomes()] == [1, None]


def test_a_status_that_does_not_exist_is_stored_as_an_error(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.add(outcome("a", "fine", reason="all well"))
        assert store.statuses() == {"a": "error"}
        (row,) = store.outcomes()
    assert row["reason"] == "the engine answered with the unknown status 'fine': all well"


def test_outcomes_come_in_the_order_of_the_plan_not_of_their_end(tmp_path: Path) -> None:
    order = [
        ("a", 0, 0, "m"),
        ("a", 0, 0, "n"),
        ("a", 0, 1, "m"),
        ("a", 2, 0, "m"),
        ("a", 10, 0, "m"),
        ("b", 0, 0, "m"),
    ]
    with Store(tmp_path, write=True) as store:
        for number, (dataset, fold, seed, method) in enumerate(reversed(order)):
            store.add(outcome(str(number), dataset=dataset, fold=fold, seed=seed, method=method))
        assert [(o["dataset"], o["fold"], o["seed"], o["method"]) for o in store.outcomes()] == order


@given(rows=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(STATUSES), st.floats()), max_size=12))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_outcome_of_every_key_stands(tmp_path: Path, rows: list[tuple[str, str, float]]) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    with Store(folder, write=True) as store:
        for key, status, score in rows:
            store.add(outcome(key, status, score=score))
    last = {key: (status, repr(score)) for key, status, score in rows}
    with Store(folder) as store:
        assert {o["key"]: (o["status"], repr(o["score"])) for o in store.outcomes()} == last
        assert store.statuses() == {key: status for key, (status, _) in last.items()}


# Reading what is not there, or damaged


def test_reading_where_no_run_is_says_how_to_start_one(tmp_path: Path) -> None:
    with refusal(f"there is no run in {tmp_path}: it has no {FILE}. Start one with `tabgen run -o {tmp_path}`."):
        Store(tmp_path)
    assert list(tmp_path.iterdir()) == []


def filled(folder: Path, rows: int = 30) -> Path:
    with Store(folder, write=True) as store:
        for number in range(rows):
            store.add(outcome(f"{number:04}", text="x" * 3000))
    return folder / FILE


@pytest.mark.parametrize("write", [False, True])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, write: bool) -> None:
    (tmp_path / FILE).write_bytes(b"this is not a database" * 100)
    with refusal(f"{tmp_path / FILE} cannot be read as a store (file is not a database); restore it from a copy"):
        Store(tmp_path, write)
    (tmp_path / FILE).unlink()
    Store(tmp_path, write=True).close()  # the refusal kept no lock


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_store_is_refused(tmp_path: Path, write: bool, share: float) -> None:
    path = filled(tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    with refusal("cannot be read as a store"), Store(tmp_path, write) as store:
        store.statuses()
        list(store.outcomes())


def test_overwritten_pages_are_refused(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 2 * 4096))
    with refusal("cannot be read as a store"), Store(tmp_path) as store:
        list(store.outcomes())


def test_a_row_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path, 2)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE outcomes SET row = substr(row, 1, 40) WHERE key = '0001'")
    database.close()
    with refusal("cannot be read as a store"), Store(tmp_path) as store:
        list(store.outcomes())


@pytest.mark.parametrize("write", [False, True])
def test_a_store_of_another_format_is_refused_and_left_alone(tmp_path: Path, write: bool) -> None:
    path = filled(tmp_path, 1)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=7")
    database.close()
    for _ in range(2):
        with refusal(f"{path} has format 7; this tabgen reads format 1."):
            Store(tmp_path, write)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refusal("cannot be written to"):
        Store(tmp_path / "file" / "run", write=True)


def test_an_outcome_that_cannot_be_written_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    with Store(tmp_path, write=True) as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count={pages}")  # a full disk
        with refusal(
            f"the outcome could not be written to {tmp_path / FILE}: database or disk is full. Free space and"
        ):
            store.add(outcome("big", text="x" * 100_000))
        store._db.execute(f"PRAGMA max_page_count={pages + 1000}")
        store.add(outcome("later"))
        assert list(store.statuses()) == ["0000", "0001", "0002", "later"]


# Several processes


def test_a_second_writer_in_another_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with python(WRITER, tmp_path, 1, SUPPORT) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "0000\n"
        with refusal(f"another run is writing to {tmp_path}; wait for it, or use another folder."):
            Store(tmp_path, write=True)
        with Store(tmp_path) as reader:
            assert reader.statuses() == {"0000": "ok"}
        other.stdin.close()
        assert other.wait(30) == 0
    with Store(tmp_path, write=True) as store:
        assert store.statuses() == {"0000": "ok"}


def test_a_second_writer_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        with refusal("another run is writing to"):
            Store(tmp_path, write=True)
        store.add(outcome("still mine"))
    with Store(tmp_path, write=True) as store:
        assert list(store.statuses()) == ["still mine"]


@pytest.mark.parametrize("after", [0, 7, 40])
def test_kill_9_between_adds_loses_nothing(tmp_path: Path, after: int) -> None:
    with python(WRITER, tmp_path, 100_000, SUPPORT) as other:
        assert other.stdout is not None
        told = [other.stdout.readline().strip() for _ in range(after + 1)]
        os.kill(other.pid, signal.SIGKILL)
        told += other.stdout.read().split()
        assert other.wait(30) == -signal.SIGKILL
    with Store(tmp_path) as store:
        seen = [o["key"] for o in store.outcomes()]
    assert seen[: len(told)] == told
    assert len(seen) - len(told) in (0, 1)  # one may have been stored and not yet told
    with Store(tmp_path, write=True) as store:
        store.add(outcome("next"))
        assert set(store.statuses()) == {*seen, "next"}


def killed_while_it_makes_a_store(folder: Path, after_steps: int) -> bool:
    """Kill -9 a writer before the line of this number that it runs in its module; False: it ended first."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in another process
        left = after_steps

        def step(frame: FrameType, *_: object) -> Any:
            nonlocal left
            if frame.f_code.co_filename != store_module.__file__:
                return None
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step

        sys.settrace(step)
        Store(folder, write=True)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def what_is_left_can_be_used(folder: Path) -> None:
    if (folder / FILE).is_file():
        with Store(folder) as reader:
            assert reader.statuses() == {}
        with refusal(f"no cell has ended yet in {folder}."):
            load_results(folder)
    else:
        with refusal(f"there is no run in {folder}"):
            Store(folder)
    with Store(folder, write=True) as store:
        store.add(outcome("a"))
    with Store(folder) as reader:
        assert reader.statuses() == {"a": "ok"}
    assert not [path.name for path in folder.iterdir() if ".new" in path.name]


def test_kill_9_at_any_step_of_making_a_store_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    steps = 0
    while killed_while_it_makes_a_store(tmp_path / str(steps), steps):
        what_is_left_can_be_used(tmp_path / str(steps))
        steps += 1
    assert steps > 20


@pytest.mark.parametrize("number", range(12))
def test_kill_9_within_sqlite_while_a_store_is_made_leaves_none_or_a_whole_one(tmp_path: Path, number: int) -> None:
    """What lies between two lines: by the clock, over the 10 ms or so that it takes."""
    folder = tmp_path / "run"
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in another process
        os.write(told, b"!")
        Store(folder, write=True)
        time.sleep(60)
    os.read(ready, 1)
    time.sleep(0.001 * number)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(told)
    folder.mkdir(exist_ok=True)
    what_is_left_can_be_used(folder)


@pytest.mark.parametrize("begun", ["nothing", "a header"])
def test_a_store_that_an_earlier_version_began_and_did_not_end_is_an_empty_one(tmp_path: Path, begun: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute("PRAGMA journal_mode=WAL" if begun == "a header" else "SELECT count(*) FROM sqlite_master")
    assert (tmp_path / FILE).stat().st_size == (4096 if begun == "a header" else 0)
    assert stored_outcomes(tmp_path) == []
    what_is_left_can_be_used(tmp_path)


def test_a_new_store_takes_nothing_over_from_the_journal_of_one_that_was_removed(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as store:
        store.add(outcome("old"))
        journal = (tmp_path / f"{FILE}-wal").read_bytes()
    (tmp_path / FILE).unlink()
    (tmp_path / f"{FILE}-wal").write_bytes(journal)
    what_is_left_can_be_used(tmp_path)


def test_a_reader_sees_what_an_open_writer_added(tmp_path: Path) -> None:
    with Store(tmp_path, write=True) as writer:
        writer.add(outcome("a"))
        with Store(tmp_path) as early:
            writer.add(outcome("b"))
            assert set(early.statuses()) == {"a", "b"}
            code = (
                "import sys; from pathlib import Path; from tabgen.store import Store;"
                "print(sorted(Store(Path(sys.argv[1])).statuses()))"
            )
            with python(code, tmp_path) as other:
                assert other.communicate(timeout=30)[0].strip() == "['a', 'b']"
            writer.add(outcome("c"))
            assert len(list(early.outcomes())) == 3


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    with Store(tmp_path) as reader, refusal("could not be written"):
        reader.add(outcome("b"))


def test_names_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%20é"
    filled(folder, 1)
    with Store(folder) as store:
        assert list(store.statuses()) == ["0000"]


# As a DataFrame


def test_results_of_several_folders_count_a_key_once(tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("two", "bc")):
        with Store(tmp_path / folder, write=True) as store:
            for key in names:
                store.add(outcome(key, method=key, score=0.5))
    results = load_results(tmp_path / "one", str(tmp_path / "two"))
    assert results["key"].tolist() == ["a", "b", "c"]
    assert results["score"].tolist() == [0.5] * 3


def test_results_of_a_run_without_cells_are_refused(tmp_path: Path) -> None:
    Store(tmp_path, write=True).close()
    with refusal(f"no cell has ended yet in {tmp_path}."):
        load_results(tmp_path)
    with refusal("there is no run in"):
        load_results(tmp_path / "nowhere")


def test_the_row_is_readable_with_sqlite_alone(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    database = sqlite3.connect(path)
    ((key, status, row),) = database.execute("SELECT key, status, row FROM outcomes")
    database.close()
    assert (key, status, json.loads(row)["key"]) == ("0000", "ok", "0000")


# Saving what a damaged store still holds


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_store_gives_up_the_rows_it_still_holds(tmp_path: Path, share: float) -> None:
    path = filled(tmp_path, 200)
    whole = {o["key"]: o for o in Store(tmp_path).outcomes()}
    os.truncate(path, int(path.stat().st_size * share))
    before = path.read_bytes()
    saved, lost = recover(tmp_path)
    assert path.read_bytes() == before
    assert 200 * share * 0.8 < len(saved) < 200
    assert lost > 0
    assert all(whole[row["key"]] == row for row in saved)


def test_a_damaged_page_costs_its_own_rows(tmp_path: Path) -> None:
    path = filled(tmp_path, 200)
    with path.open("r+b") as file:
        file.seek(4096 * 60)
        file.write(os.urandom(4096 * 4))
    saved, _ = recover(tmp_path)
    assert 180 < len(saved) < 200
    assert all(row["text"] == "x" * 3000 for row in saved)


def test_a_store_copied_without_its_journal_keeps_what_was_in_the_file(tmp_path: Path) -> None:
    with Store(tmp_path / "live", write=True) as store:
        for number in range(100):
            store.add(outcome(f"{number:04}", text="x" * 3000))
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / FILE).write_bytes((tmp_path / "live" / FILE).read_bytes())
        saved, _ = recover(tmp_path / "live")  # with its journal, all of them
        assert len(saved) == 100
    with contextlib.suppress(StoreError):
        copied, _ = recover(tmp_path / "copy")
        assert {row["key"] for row in copied} < {f"{number:04}" for number in range(100)}


def test_recovery_from_the_command_line(tmp_path: Path) -> None:
    path = filled(tmp_path / "run", 50)
    os.truncate(path, path.stat().st_size // 2)
    new = tmp_path / "new"
    result = CliRunner().invoke(app, ["recover", str(tmp_path / "run"), "-o", str(new)])
    assert result.exit_code == 0, result.output
    count = len(list(Store(new).outcomes()))
    assert f"{count} outcomes saved in {new}." in result.output
    assert "Parts of the file cannot be read." in result.output
    assert 15 < count < 50
    again = CliRunner().invoke(app, ["recover", str(tmp_path / "run"), "-o", str(new)])
    assert "holds a run already" in str(again.exception)


def test_nothing_is_made_of_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is not a database" * 100)
    with refusal(f"nothing can be read in {tmp_path / FILE}: file is not a database."):
        recover(tmp_path)


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from leaderboard_rows import made_row
from tabgen.errors import StoreError
from tabgen.outcome import Outcome
from tabgen.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
with Store(Path(sys.argv[1]), write=True) as store:
    for number in range(1000):
        key = f"{number:04}"
        try:
            store.add(Outcome.from_dict(made_row() | dict(key=key, text="x" * 3000)))
        except StoreError as error:
            print(error)
            break
        print(key, flush=True)
"""


def test_a_full_disk_is_said_and_nothing_that_was_stored_is_lost(tmp_path: Path) -> None:
    with python(FULL_DISK, tmp_path, SUPPORT) as other:
        *told, message = other.communicate(timeout=60)[0].splitlines()
    assert "the outcome could not be written to" in message
    assert "Free space and run again." in message
    assert len(told) > 20
    with Store(tmp_path, write=True) as store:
        assert list(store.statuses()) == told
        store.add(outcome("space again"))
        assert len(list(store.outcomes())) == len(told) + 1
