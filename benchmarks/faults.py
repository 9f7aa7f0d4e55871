"""A run that is killed again and again: parent, servers and cells, by kill -9 at random moments.

    OMP_NUM_THREADS=1 python benchmarks/faults.py [--kills 50] [--methods 200] [--seed 0]
    OMP_NUM_THREADS=1 python benchmarks/faults.py --memory --methods 2500

Each kill takes one or several processes of the run, drawn at random, after a random time; where the parent is gone,
the same line is typed again, as its user would. In the end the rows are compared, as text, with those of a run that
nobody disturbed: without times, memory, and what a cache spared. ``--memory`` disturbs nothing and tells how the
memory of the parent and its servers grows over the cells (two for each method).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

from paths import importing  # noqa: E402
from tiny_run import children, descendants, rows_of  # noqa: E402


def start(folder: Path, methods: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(SUPPORT / "tiny_run.py"), str(folder), str(methods)]
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


def disturbed(folder: Path, methods: int, kills: int, seed: int, most_seconds: float) -> dict[str, int]:
    """Run to the end under so many kills; how many processes of each kind were killed."""
    chance = random.Random(seed)
    killed = dict.fromkeys(("moments", "parent", "server", "cell"), 0)
    process = start(folder, methods)
    end = time.monotonic() + most_seconds
    while killed["moments"] < kills and time.monotonic() < end:
        time.sleep(chance.uniform(0.05, 8.0))
        if process.poll() is not None:
            if process.returncode == 0:  # all is done: begin another, so that there is something to kill
                folder.rename(folder.with_name(f"complete-{killed['moments']}"))
            process = start(folder, methods)
            continue
        hit = {what: sum(map(kill, pids)) for what, pids in victims(process.pid, chance).items()}
        killed["moments"] += any(hit.values())
        for what, count in hit.items():
            killed[what] += count
    process.communicate()
    while start(folder, methods).communicate() and len(rows_of(folder)) < 2 * methods:
        print("the run ended early and goes on", flush=True)
    return killed


def told(folder: Path, methods: int) -> list[dict[str, object]]:
    out, _ = start(folder, methods).communicate()
    return [json.loads(line) for line in out.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--methods", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="of kills at most; the run is completed after them")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        calm = told(Path(scratch) / "calm", arguments.methods)
        print(f"undisturbed: {calm[-1]}")
        if arguments.memory:
            for number in sorted({len(calm) // 10, len(calm) // 2, len(calm) - 2}):
                parent, servers = calm[number]["parent"], calm[number]["servers"]
                print(f"after {number + 1} cells: parent {parent} kB, servers {servers} kB")
            return
        killed = disturbed(
            Path(scratch) / "run", arguments.methods, arguments.kills, arguments.seed, 60 * arguments.minutes
        )
        expected = rows_of(Path(scratch) / "calm")
        runs = [path for path in Path(scratch).iterdir() if path.name != "calm"]
        equal = all(rows_of(path) == expected for path in runs)
        print(f"killed: {killed}; {len(runs)} runs of {len(expected)} rows, {'equal' if equal else 'NOT equal'}")
    sys.exit(not equal)


if __name__ == "__main__":
    main()
