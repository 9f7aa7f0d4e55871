"""A run that is killed again and again: parent, servers and cells, by kill -9 at random moments.

    OMP_NUM_THREADS=1 python benchmarks/faults.py [--kills 50] [--methods 200] [--seed 0]
    OMP_NUM_THREADS=1 python benchmarks/faults.py --memory --methods 2500

Each kill takes one or several processes of the run, drawn at random, while it starts or some cells later; where the
parent is gone, the same line is typed again, as its user would. Moments are drawn by cells, not by the clock: on a busy
machine seconds would all fall into the start. In the end the rows are compared, as text, with those of a run that
nobody disturbed: without times, memory, and what a cache spared. A cell whose own process was killed has ended as
crashed, by its signal, which is right; ``--retry crashed`` then makes it equal too. ``--memory`` disturbs nothing and
tells how the memory of the parent and its servers grows over the cells (two for each method); it fails where that is
more than 10 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

from paths import importing  # noqa: E402
from tiny_run import children, descendants, rows_of  # noqa: E402

from tabgen.errors import StoreError  # noqa: E402

EARLY, MOST_GROWTH = 10, 0.1
"""The cell from which growth is counted (what is loaded once is there by then), and how much is too much."""


def start(folder: Path, methods: int, *retry: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SUPPORT / "tiny_run.py"), str(folder), str(methods), "2", *retry]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=importing(), start_new_session=True)


def victims(parent: int, chance: random.Random) -> dict[str, list[int]]:
    """Processes to kill, by what they are."""
    servers = children(parent)
    cells = [pid for server in servers for pid in descendants(server)]
    what = chance.choice(["parent", "server", "cell", "all"])
    if what == "all":
        return {"parent": [parent], "server": servers, "cell": cells}
    there = {"parent": [parent], "server": servers, "cell": cells}[what]
    return {what: [chance.choice(there)]} if there else {}


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def outcomes_of(folder: Path) -> int:
    with contextlib.suppress(StoreError):  # killed while it made the store
        return len(rows_of(folder))
    return 0


@dataclass(frozen=True)
class Pace:
    """Seconds of a run that nobody disturbs: to its first outcome, and from one to the next."""

    start: float
    cell: float


def wait(process: subprocess.Popen[str], fresh: bool, pace: Pace, chance: random.Random) -> None:
    """Let some cells end, or none, and a random part of the time that goes by without an outcome."""
    outcomes = chance.choice([0, 0, 1, 2, 3, 5])
    assert process.stdout is not None
    for _ in range(outcomes):
        if not process.stdout.readline():
            return
    time.sleep(chance.uniform(0, pace.start if fresh and not outcomes else pace.cell))


def disturbed(folder: Path, methods: int, kills: int, seed: int, pace: Pace, most_seconds: float) -> dict[str, int]:
    """Run to the end under so many kills; how many processes of each kind were killed."""
    chance = random.Random(seed)
    killed = dict.fromkeys(("moments", "parent", "server", "cell"), 0)
    process, fresh = start(folder, methods), True
    end = time.monotonic() + most_seconds
    while killed["moments"] < kills and time.monotonic() < end:
        wait(process, fresh, pace, chance)
        fresh = process.poll() is not None
        if not fresh:
            hit = {what: sum(map(kill, pids)) for what, pids in victims(process.pid, chance).items()}
            for what, count in hit.items():
                killed[what] += count
            if any(hit.values()):
                killed["moments"] += 1
                print(f"kill {killed['moments']}: {hit}; {outcomes_of(folder)} outcomes", flush=True)
            fresh = "parent" in hit
        if fresh:
            process.communicate()
            if process.returncode == 0:  # all is done: begin another, so that there is something to kill
                folder.rename(folder.with_name(f"complete-{killed['moments']}"))
            process = start(folder, methods)
    process.communicate()
    while start(folder, methods).communicate() and len(rows_of(folder)) < 2 * methods:
        print("the run ended early and goes on", flush=True)
    return killed


def calm(folder: Path, methods: int) -> Pace:
    """A run that nobody disturbs."""
    began = time.monotonic()
    process = start(folder, methods)
    assert process.stdout is not None
    process.stdout.readline()
    first = time.monotonic()
    out, _ = process.communicate()
    print(f"undisturbed: {out.splitlines()[-1]}", flush=True)
    return Pace(first - began, (time.monotonic() - first) / (2 * methods - 1))


def grows(folder: Path, methods: int, most_seconds: float) -> bool:
    """Whether memory grows by more than 10 % from the tenth cell on; told ten times on the way."""
    process = start(folder, methods)
    assert process.stdout is not None
    end = time.monotonic() + most_seconds
    early: dict[str, int] | None = None
    growth = 0.0
    for number, line in enumerate(process.stdout, 1):
        told = json.loads(line)
        if "parent" not in told:
            break
        now = {"parent": told["parent"], "servers": sum(told["servers"])}
        over = time.monotonic() > end
        if number == EARLY:
            early = now
        if early is not None and (number == EARLY or number % max(1, methods // 5) == 0 or over):
            growth = max(now[who] / early[who] - 1 for who in early)
            print(f"after {number:,} cells: {now} kB, {growth:+.1%} at most since cell {EARLY}", flush=True)
        if over:
            process.send_signal(signal.SIGINT)
            break
    process.communicate()
    return early is None or growth > MOST_GROWTH


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--methods", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="of kills, or of --memory, at most")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    most_seconds = 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.memory:
            sys.exit(grows(Path(scratch) / "run", arguments.methods, most_seconds))
        pace = calm(Path(scratch) / "calm", arguments.methods)
        killed = disturbed(
            Path(scratch) / "run", arguments.methods, arguments.kills, arguments.seed, pace, most_seconds
        )
        expected = rows_of(Path(scratch) / "calm")
        runs = [path for path in Path(scratch).iterdir() if path.name != "calm"]
        crashed, equal = 0, True
        for path in runs:
            rows = rows_of(path)
            dead = {key for key, row in rows.items() if json.loads(row)["status"] == "crashed"}
            crashed += len(dead)
            equal &= all("signal 9" in json.loads(rows[key])["reason"] for key in dead)
            equal &= rows.keys() == expected.keys() and all(rows[key] == expected[key] for key in rows.keys() - dead)
            if dead:
                start(path, arguments.methods, "crashed").communicate()
                equal &= rows_of(path) == expected
        print(f"killed: {killed}; {len(runs)} runs of {len(expected)} rows, {crashed} of them crashed by a signal")
        print("all others, and those too once run again, are " + ("equal" if equal else "NOT equal"))
    sys.exit(not equal)


if __name__ == "__main__":
    main()
