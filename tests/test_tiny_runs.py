"""Runs of tiny cells under faults of the system: few open files, another hash seed, a hung-up terminal, lost logs."""

from __future__ import annotations

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from paths import SUPPORT, importing
from tiny_run import FOLDS, descendants, rows_of

METHODS = 8


def start(folder: Path, methods: int = METHODS, **how: Any) -> subprocess.Popen[str]:
    command = [sys.executable, str(SUPPORT / "tiny_run.py"), str(folder), str(methods)]
    environment = importing() | how.pop("environment", {})
    return subprocess.Popen(command, text=True, env=environment, **({"stdout": subprocess.PIPE} | how))


def complete(folder: Path, methods: int = METHODS, **how: Any) -> list[dict[str, Any]]:
    """What a run to its end tells."""
    out, _ = start(folder, methods, **how).communicate(timeout=600)
    told = [json.loads(line) for line in out.splitlines()]
    assert told[-1]["left"] == 0
    return told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    complete(folder, environment={"PYTHONHASHSEED": "1"})
    rows = rows_of(folder)
    assert len(rows) == FOLDS * METHODS
    assert {json.loads(row)["status"] for row in rows.values()} == {"ok"}
    return rows


def test_few_open_files_and_another_hash_seed_change_nothing(undisturbed: dict[str, str], tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    complete(tmp_path, environment={"PYTHONHASHSEED": "2"}, preexec_fn=limit)
    assert rows_of(tmp_path) == undisturbed


def wait_until_gone(pids: list[int], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}/exe").exists() for pid in pids):
        assert time.monotonic() < end, "processes outlive their run"
        time.sleep(0.1)


def test_a_terminal_that_closes_ends_the_run_and_all_its_processes(undisturbed: dict[str, str], tmp_path: Path) -> None:
    master, slave = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        os.close(os.open(os.ttyname(slave), os.O_RDWR))  # the first that a session opens becomes its terminal

    process = start(tmp_path, stdin=slave, stdout=slave, preexec_fn=take_terminal)
    os.close(slave)
    os.read(master, 1)  # one outcome is stored
    pids = descendants(process.pid)
    assert pids
    os.close(master)
    assert process.wait(timeout=60) in (-signal.SIGHUP, 1)
    wait_until_gone(pids)
    stored = rows_of(tmp_path)
    assert stored.items() <= undisturbed.items()
    assert stored
    complete(tmp_path)
    assert rows_of(tmp_path) == undisturbed


def test_logs_that_are_removed_in_mid_run_cost_nothing_else(undisturbed: dict[str, str], tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    shutil.rmtree(tmp_path / "logs", ignore_errors=True)
    out, _ = process.communicate(timeout=600)
    assert json.loads(out.splitlines()[-1])["left"] == 0
    assert rows_of(tmp_path) == undisturbed


JUMPING = """
import os, random, time
from pathlib import Path
true = time.time
time.time = lambda: true() + random.choice([-1e6, 0, 1e6])
Path(__file__).with_name(f"{os.getpid()}.jumps").touch()
"""


def test_a_clock_that_jumps_changes_nothing(undisturbed: dict[str, str], tmp_path: Path) -> None:
    """In every process, from its start: eleven days forth and back with each look at it."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(JUMPING)
    complete(tmp_path / "run", environment={"PYTHONPATH": importing(site)["PYTHONPATH"]})
    assert len(list(site.glob("*.jumps"))) > 1  # the servers' too
    assert rows_of(tmp_path / "run") == undisturbed


def test_memory_of_parent_and_servers_is_flat(tmp_path: Path) -> None:
    """Over 240 cells within 10 %, once everything is imported; thousands: benchmarks/faults.py --memory."""
    told = complete(tmp_path, 120)[:-1]
    assert len(told) == 240
    early, late = told[60], told[-2]
    assert late["parent"] <= 1.1 * early["parent"]
    assert len(late["servers"]) == len(early["servers"]) > 0
    assert sum(late["servers"]) <= 1.1 * sum(early["servers"])
