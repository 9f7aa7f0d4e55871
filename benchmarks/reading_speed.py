"""How long it takes to read a file of 100,000 rows and 100 columns, find its schema, and encode it for the model.

    python benchmarks/reading_speed.py [--rows 100000] [--texts 0]

Of 100 columns 55 are numbers with a fraction, 20 whole, 15 categories of 3 to 200 levels, 5 truth values and 5 dates or
times; 2 % of the values are missing. With --texts that many columns more hold 8 words each. Encoding is fitted on 1,000
rows, as a cell does by default, and then done for all rows. Processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import pandas as pd

from tabgen.models.encoding import TableEncoder
from tabgen.reader import read_frame
from tabgen.table import Table

T = TypeVar("T")
MODEL_COLUMNS = 100
KINDS = ["number"] * 55 + ["whole"] * 20 + ["category"] * 15 + ["truth"] * 5 + ["date"] * 5


def make(rows: int, texts: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(500)])

    def column(kind: str) -> Any:
        if kind == "number":
            return rng.standard_normal(rows)
        if kind == "whole":
            return rng.integers(0, 10 ** rng.integers(1, 7), rows).astype("float64")
        if kind == "category":
            levels = np.array([f"level {i}" for i in range(rng.integers(3, 200))], dtype=object)
            return levels[rng.integers(0, len(levels), rows)]
        if kind == "truth":
            return rng.random(rows) < 0.5
        if kind == "date":
            return np.datetime64("2015-01-01T00:00:00") + rng.integers(0, 10**8, rows).astype("timedelta64[s]")
        return [" ".join(row) for row in words[rng.integers(0, 500, (rows, 8))]]

    kinds = KINDS + ["text"] * texts
    data = {f"c{i}": pd.Series(column(kind)).mask(rng.random(rows) < 0.02) for i, kind in enumerate(kinds)}
    return pd.DataFrame(data).assign(y=rng.choice(["a", "b", "c"], rows))


def timed(step: Callable[[], T], name: str, seconds: dict[str, float]) -> T:
    began = time.process_time()
    result = step()
    seconds[name] = round(time.process_time() - began, 2)
    print(f"{name}: {seconds[name]:.2f} s")
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--texts", type=int, default=0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.csv"
        make(given.rows, given.texts).to_csv(path, index=False)
        print(f"{given.rows:,} rows, {len(KINDS) + given.texts} columns, {path.stat().st_size / 1e6:.0f} MB")
        import skrub  # noqa: F401 - its import is no part of the work

        seconds: dict[str, float] = {}
        frame = timed(lambda: read_frame(path), "read", seconds)
        table = timed(lambda: Table.from_frame(frame, "y"), "schema", seconds)
        context = table.take(np.arange(1000))
        encoder = timed(lambda: TableEncoder(context, MODEL_COLUMNS), "encoder fitted on 1,000 rows", seconds)
        timed(lambda: encoder.encode(table), "all rows encoded", seconds)
        print(f"together: {sum(seconds.values()):.2f} s")
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
