"""Outcome rows as the repository keeps them: Parquet, and back as a run folder.

python benchmarks/study/rows.py runs/study                 # benchmarks/results/study/*.parquet as run folders
tabgen rank runs/study/field --arm context                 # what reads a run folder reads them, and
tabgen run --preset study-field -o runs/study/field        # finds every cell done
tabgen leaderboard bundle runs/study/field -o field.zip && tabgen leaderboard verify field.zip --sample 20
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tabgen.arms import ARMS
from tabgen.outcome import CELL_FIELDS, Cell, Outcome, canonical_json, key_of
from tabgen.results import load_results
from tabgen.store import Store

KEPT = Path(__file__).parent.parent / "results" / "study"
OF_THE_MACHINE = ("path", "rows_path", "log_tail")
FIRST_FOLDS = {"mixing": 2}
"""Experiment -> how many of its registered folds are read, where that was amended (README.md)."""
BY_STEP = re.compile(r"^curve_(?!worth)")


def keep(folder: Path, to: Path) -> None:
    """The outcomes of a run folder as Parquet, and its registration beside it; curves over steps are left out."""
    outcomes = load_results(folder)
    columns = [c for c in outcomes.columns if c not in OF_THE_MACHINE and not BY_STEP.search(c)]
    rows = outcomes[columns].sort_values("key", ignore_index=True)
    for column in _of_json(rows):
        rows[column] = [canonical_json(v) if isinstance(v, dict | list) else None for v in rows[column]]
    for column in map(str, rows.select_dtypes("float64")):
        if column.startswith(("seconds", "peak", "spared", "processor")):
            rows[column] = rows[column].astype("float32")
    to.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(to, index=False, compression="zstd")
    shutil.copy(folder / "freeze.json", to.with_suffix(".freeze.json"))


def _of_json(rows: pd.DataFrame) -> list[str]:
    texts = rows.select_dtypes("object")
    return [str(c) for c in texts if texts[c].map(lambda v: isinstance(v, dict | list)).any()]


def read_rows(path: Path) -> pd.DataFrame:
    """The rows of a file that :func:`keep` wrote."""
    rows = pd.read_parquet(path)
    for column in rows.select_dtypes("object"):
        written = rows[column].dropna()
        if written.astype(str).str.match(r"[\[{]").any():
            rows[column] = [json.loads(v) if isinstance(v, str) else v for v in rows[column]]
    return rows


def restore(path: Path, folder: Path) -> int:
    """The rows of a file that :func:`keep` wrote as a run folder with its registration; how many.

    Every row's key is computed again from its cell: a row that was changed is an error.
    """
    kept = list(outcomes_of(path))
    with Store(folder, write=True) as store:
        for outcome in kept:
            store.add(outcome)
    shutil.copy(path.with_suffix(".freeze.json"), folder / "freeze.json")
    return len(kept)


def outcomes_of(path: Path) -> Iterator[Outcome]:
    """The outcomes of a file that :func:`keep` wrote; a row that is not that of its key is an error."""
    for row in read_rows(path).to_dict("records"):
        named = {str(name): value if _is(value) else None for name, value in row.items()}
        flat = {n: _whole(n, value) for n, value in named.items() if value is not None or n in CELL_FIELDS}
        outcome = Outcome.from_dict(flat | {"path": ""})
        if key_of(outcome.cell) != outcome.key:
            raise SystemExit(f"{path}: the row of {row['method']} on {row['dataset']} is not that of its key.")
        yield outcome


def share(outcomes: Iterable[Outcome], cells: Iterable[Cell], folder: Path) -> int:
    """Give a run folder what is known of its cells from outcomes that measured more arms of the same; how many.

    A cell measures each of its arms by itself: with more of them it has the same numbers in those that both have
    (docs/study.md tells how many were computed again, and that they were equal to the last bit).
    """
    planned = {cell.key: cell for cell in cells}
    uses = {tuple(cell.arms) for cell in planned.values()}
    with Store(folder, write=True) as store:
        done = store.statuses()
        shared = [
            Outcome(planned[key], replace(wide.result, measured=_of_arms(wide.result.measured, arms)), wide.provenance)
            for wide in outcomes
            for arms in uses
            if (key := key_of(replace(wide.cell, arms=list(arms)))) in planned and key not in done
        ]
        for outcome in shared:
            store.add(outcome)
    return len(shared)


def _of_arms(measured: Mapping[str, Any], arms: Iterable[str]) -> dict[str, Any]:
    """What a cell with no more than these arms, all of which fine-tune, measures."""
    others = [arm.stage for name, arm in ARMS.items() if name not in arms]
    foreign = [f"{lead}{stage}_" for stage in others for lead in ("", "n_", "worth_", "by_seed_")]
    foreign += ["curve_worth_", "seconds_arms", "seconds_worth"]
    return {name: value for name, value in measured.items() if not f"{name}_".startswith(tuple(foreign))}


def whole(path: Path) -> bool:
    """Whether a kept file is there and has a row for every cell of its experiment that is to be read."""
    if not path.exists():
        return False
    return len(to_read(path.stem, pd.read_parquet(path, columns=["fold"]))) == due(path)


def to_read(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of an experiment that are read: all, or those of its first folds."""
    return rows[rows["fold"] < FIRST_FOLDS[name]] if name in FIRST_FOLDS else rows


def due(path: Path) -> int:
    """How many rows of a kept file's experiment are read once all are there."""
    cells = registered(path.with_suffix(".freeze.json"))
    if path.stem not in FIRST_FOLDS:
        return cells
    (folds,) = pd.read_parquet(path, columns=["n_folds"])["n_folds"].unique()
    return cells * FIRST_FOLDS[path.stem] // int(folds)


def registered(freeze: Path) -> int:
    """How many cells a registration has."""
    return int(json.loads(freeze.read_text())["cells"])


def _whole(name: str, value: Any) -> Any:
    """A count as the whole number that it is: pandas makes floats of a column in which one is missing."""
    counts = name in ("best_step", "steps", "attempts") or name.startswith("n_")
    return int(value) if counts and isinstance(value, float) and value.is_integer() else value


def _is(value: Any) -> bool:
    return isinstance(value, dict | list) or bool(pd.notna(value))


def main() -> None:
    """Every kept experiment as a run folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of the run folders")
    parser.add_argument("--whole", action="store_true", help="only those of which all cells have ended")
    options = parser.parse_args()
    for path in sorted(KEPT.glob("*.parquet")):
        if not options.whole or whole(path):
            print(f"{path.stem}: {restore(path, options.output / path.stem):,} outcomes")


if __name__ == "__main__":
    main()
