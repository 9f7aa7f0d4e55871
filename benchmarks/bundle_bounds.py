"""What it costs to check the largest bundles that are accepted or refused: seconds, of the processor too, and memory.

    OMP_NUM_THREADS=1 python benchmarks/bundle_bounds.py

Each bundle is made to hold as much as the bounds of ``tabgen.leaderboard.bounds`` allow in one respect; the honest
one has the size of a study (33 datasets x 10 folds x 20 methods, learning curves of 30 steps).
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(next(Path(__file__).parents[1].rglob("leaderboard_rows.py")).parent))

CHECK = """
import sys, time
from pathlib import Path
from tabgen.errors import TabgenError
from tabgen.leaderboard.bundle import read_bundle
from tabgen.leaderboard.check import check_rows
from tabgen.plugins import PluginChoice, get_plugins
plugins = get_plugins(PluginChoice(external=False))
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
before, start, work = peak(), time.perf_counter(), time.process_time()
try:
    rows = read_bundle(Path(sys.argv[1]))
    told = f"read, {sum(f.problem for f in check_rows(rows, plugins))} kinds of problems"
except TabgenError as error:
    told = "refused: " + str(error).partition("b.zip")[2].lstrip(": ")[:60]
print(f"{time.perf_counter() - start:.1f} s | {time.process_time() - work:.1f} s | {peak() - before} MB | {told}")
"""


def bundles() -> Iterator[tuple[str, str]]:
    """Each bundle's name and its rows as text."""
    from leaderboard_rows import make_rows

    line = json.dumps(make_rows()[0])[:-1]
    methods = ("zero-shot", "real", *(f"jitter:noise=0.{n}" for n in range(10, 28)))
    honest = []
    for row in make_rows(methods, 33, 10, suite="study"):
        row |= {
            "curve_validation": [0.5 + n / 1e7 for n in range(30)],
            "curve_test": [0.5 + n / 1e7 for n in range(30)],
        }
        honest.append(json.dumps(row))
    yield "a study, 6,600 rows", "\n".join(honest)
    for name, dense in {
        "integers": '"notes": {"a": [' + ",".join(str(n) for n in range(1000, 31_000)) + "]}",
        "empty objects": '"notes": {"a": [' + ",".join(["{}"] * 100_000) + "]}",
        "floats": '"curve_test": [' + ",".join(f"0.{n}" for n in range(10_000, 30_000)) + "]",
    }.items():
        one = line + ", " + dense + "}"
        yield name, "\n".join(one.replace('"fold": 0', f'"fold": {n}') for n in range(140_000_000 // len(one)))
    texts = [json.dumps({f"x{n}": f"{row}-{n}" for n in range(70)})[1:] for row in range(40_000)]
    yield "40,000 rows of 70 texts", "\n".join(f"{line}, {text}" for text in texts)
    yield (
        "wide texts",
        "\n".join(
            json.dumps(json.loads(line + "}") | {"log_tail": random.randbytes(1900).hex() + "\U0001f600"})
            for row in range(25_000)
        ),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in bundles():
            path = Path(folder) / "b.zip"
            files = {"rows.jsonl": text.encode(), "environment.json": b"[]"}
            hashes = {member: hashlib.sha256(data).hexdigest() for member, data in files.items()}
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(
                    "manifest.json", json.dumps({"format": "tabgen-bundle", "schema": 1, "sha256": hashes})
                )
                for member, data in files.items():
                    archive.writestr(member, data)
            told = subprocess.run([sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, check=True)
            size = f"{path.stat().st_size / 1e6:.1f} MB | {len(text) / 1e6:.0f} MB"
            print(f"| {name} | {size} | {told.stdout.strip()} |", flush=True)


if __name__ == "__main__":
    main()
