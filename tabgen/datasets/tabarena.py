"""The suite `tabarena-33`: TabArena v0.1's classification tasks, fetched once from OpenML and kept as a folder suite.

Source: Erickson et al., *TabArena: A Living Benchmark for Machine Learning on Tabular Data* (2025); the
suite of that name on openml.org. Taken are the classification tasks of at most 100 feature columns, 33 by the
account of the study this project generalises. The folds are tabgen's own, stratified: TabArena's splits are
three folds, repeated three times for its larger tables, and ten are asked for.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tabgen.errors import DataError
from tabgen.variables import cache_home

OPENML_SUITE = "tabarena-v0.1"
MAX_COLUMNS = 100


def tabarena_folder() -> Path:
    return cache_home() / "tabarena-33"


def is_fetched() -> bool:
    return (tabarena_folder() / "manifest.json").is_file()


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
        entries = [entry for task in tasks if (entry := _fetch_task(openml, int(task), folder)) is not None]
    except Exception as error:  # the client raises its own, requests' and the system's errors
        raise DataError(
            f"tabarena-33 could not be fetched from openml.org into {folder} ({type(error).__name__}: {error})."
            " It needs a network once; what has arrived is kept, and the same command goes on."
            " Or copy that folder from a machine that has it, or set TABGEN_CACHE."
        ) from error
    scratch = folder / "manifest.json.new"
    scratch.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    scratch.replace(folder / "manifest.json")


def _fetch_task(openml: Any, number: int, folder: Path) -> dict[str, Any] | None:
    """One task as a Parquet file and its entry in the manifest; None if it is no classification or too wide."""
    described = folder / f"{number}.json"
    if described.is_file():
        entry: dict[str, Any] | None = json.loads(described.read_text(encoding="utf-8"))
        return entry
    task = openml.tasks.get_task(number)
    entry = None
    if task.task_type_id == openml.tasks.TaskType.SUPERVISED_CLASSIFICATION:
        dataset = task.get_dataset()
        frame, _, categorical, names = dataset.get_data()
        frame = frame.dropna(subset=[task.target_name])
        if frame.shape[1] - 1 <= MAX_COLUMNS:
            path = folder / f"{number}.parquet"
            scratch = folder / f"{number}.parquet.new"
            frame.to_parquet(scratch, index=False)
            scratch.replace(path)
            is_category = dict(zip(names, categorical, strict=True))
            entry = {
                "name": dataset.name,
                "file": path.name,
                "target": task.target_name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "kinds": {n: "categorical" for n, yes in is_category.items() if yes and n != task.target_name},
                "rows": len(frame),
                "features": frame.shape[1] - 1,
                "n_classes": int(frame[task.target_name].nunique()),
                "missing_cells": int(frame.isna().sum().sum()),
                "licence": dataset.licence,
                "source": f"https://www.openml.org/t/{number}",
                "task_id": number,
            }
    described.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    return entry
