"""The suite `tabarena-33`: TabArena v0.1's classification tasks, fetched once from OpenML and kept as a folder suite.

Source: Erickson et al., *TabArena: A Living Benchmark for Machine Learning on Tabular Data* (2025); the
suite of that name on openml.org. Taken are the classification tasks of at most 100 feature columns, 33 by the
account of the study this project generalises. The folds are tabgen's own, stratified: TabArena's splits are
three folds, repeated three times for its larger tables, and ten are asked for.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tabgen.datasets.fetched import MAX_COLUMNS, Entry, is_whole, kept_entry, sizes_of, write_manifest, write_table
from tabgen.errors import DataError
from tabgen.variables import cache_home

OPENML_SUITE = "tabarena-v0.1"


def tabarena_folder() -> Path:
    return cache_home() / "tabarena-33"


def is_fetched() -> bool:
    return is_whole(tabarena_folder())


def fetch(folder: Path) -> None:
    """Download the tasks' tables into ``folder``; one that is there already is not fetched again.

    The manifest is written last, so that half a suite is never taken for a whole one.

    Raises
    ------
    DataError
        If the `openml` package is not installed or the server cannot be reached: what to do about it.
    """
    try:
        import openml
    except ImportError as error:
        raise DataError("tabarena-33 is fetched with the openml package: pip install 'tabgen-bench[openml]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tasks = openml.study.get_suite(OPENML_SUITE).tasks or []
        entries = [
            entry
            for task in map(int, tasks)
            if (entry := kept_entry(folder, str(task), partial(_fetch_task, openml, task, folder))) is not None
        ]
    except Exception as error:  # the client raises its own, requests' and the system's errors
        raise DataError(
            f"tabarena-33 could not be fetched from openml.org into {folder} ({type(error).__name__}: {error})."
            " It needs a network once; what has arrived is kept, and the same command goes on."
            " Or copy that folder from a machine that has it, or set TABGEN_CACHE."
        ) from error
    write_manifest(folder, entries)


def _fetch_task(openml: Any, number: int, folder: Path) -> Entry | None:
    """One task as a Parquet file and its entry in the manifest; None if it is no classification or too wide."""
    task = openml.tasks.get_task(number)
    if task.task_type_id != openml.tasks.TaskType.SUPERVISED_CLASSIFICATION:
        return None
    dataset, target = task.get_dataset(), task.target_name
    frame, _, categorical, names = dataset.get_data()
    frame = frame.dropna(subset=[target])
    if frame.shape[1] - 1 > MAX_COLUMNS:
        return None
    path = folder / f"{number}.parquet"
    is_category = dict(zip(names, categorical, strict=True))
    return {
        "name": dataset.name,
        "file": path.name,
        "target": target,
        "sha256": write_table(frame, path),
        "kinds": {n: "categorical" for n, yes in is_category.items() if yes and n != target},
        **sizes_of(frame, target),
        "licence": dataset.licence,
        "source": f"https://www.openml.org/t/{number}",
        "task_id": number,
    }
