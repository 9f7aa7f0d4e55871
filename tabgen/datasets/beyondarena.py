"""The suite `beyondarena-iid`: BeyondArena's classification tasks of independent rows, with their own splits.

Fetched once by the package data-foundry (the data layer of TabArena; its collection names every container by UUID),
and kept as a folder suite. Taken are the tasks that are neither grouped nor temporal, of at most 100 feature columns:
tabgen draws the validation part from the training rows at random, which would leak in the others. The test parts are
the collection's: repeat ``seed``, fold ``fold``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tabgen.datasets.fetched import MAX_COLUMNS, Entry, is_whole, kept_entry, sizes_of, write_manifest, write_table
from tabgen.errors import DataError
from tabgen.variables import cache_home

if TYPE_CHECKING:
    from tabgen.table import OwnSplits

Splits = Mapping[int, Mapping[int, tuple[Sequence[int], Sequence[int]]]]
"""As data-foundry has them: repeat -> fold -> positions of the training and of the test rows."""


def beyondarena_folder() -> Path:
    return cache_home() / "beyondarena-iid"


def is_fetched() -> bool:
    return is_whole(beyondarena_folder())


def fetch(folder: Path, collection: Any = None) -> None:
    """Fetch the collection's containers and write those that are taken into ``folder``; go on where it was left.

    Parameters
    ----------
    folder : Path
        The manifest is written last, so that half a suite is never taken for a whole one.
    collection : data_foundry.collections.DatasetCollection, optional
        Another one than BeyondArena.

    Raises
    ------
    DataError
        If data-foundry is not installed, a container cannot be fetched, or its splits are none that a suite can keep.
    """
    try:
        from data_foundry.collections import BEYOND_ARENA
    except ImportError as error:
        raise DataError(
            "beyondarena-iid is fetched with the data-foundry package: pip install 'tabgen-bench[beyondarena]'"
        ) from error
    collection = BEYOND_ARENA if collection is None else collection
    folder.mkdir(parents=True, exist_ok=True)
    entries = [
        entry
        for each in collection
        if (entry := kept_entry(folder, each.uuid, partial(_fetch_container, collection, each, folder))) is not None
    ]
    write_manifest(folder, entries)


def _fetch_container(collection: Any, pointer: Any, folder: Path) -> Entry | None:
    """One container as a Parquet file and its entry in the manifest; None if it is none of the tasks that are taken."""
    try:
        container = collection.get_dataset(pointer.uuid)
    except Exception as error:  # the package raises the hub's, pydantic's and the system's errors
        raise DataError(
            f"'{pointer.unique_name}' of {collection.name} could not be fetched"
            f" ({type(error).__name__}: {error}). It needs a network once; what has arrived is kept, and the same"
            f" command goes on. Or copy {folder} from a machine that has it, or set TABGEN_CACHE."
        ) from error
    task = container.task_metadata
    independent = task.group_on is None and task.time_on is None
    if not (task.is_classification and independent and container.dataset.shape[1] - 1 <= MAX_COLUMNS):
        return None
    return _write(container, pointer, folder)


def _write(container: Any, pointer: Any, folder: Path) -> Entry:
    frame, target = container.dataset, container.task_metadata.target_column_name
    own = tested_in(container.experiment_metadata.splits, len(frame), f"'{pointer.unique_name}'")
    columns = {f"split {repeat}": tested for repeat, tested in enumerate(own)}
    if set(columns) & set(frame.columns):
        raise DataError(f"'{pointer.unique_name}' has a column called as one of {', '.join(columns)}.")
    path = folder / f"{pointer.uuid}.parquet"
    categories = [name for name in frame.columns if str(frame[name].dtype) == "category" and name != target]
    return {
        "name": pointer.unique_name,
        "file": path.name,
        "target": target,
        "sha256": write_table(frame.assign(**columns), path),
        "kinds": dict.fromkeys(categories, "categorical") | dict.fromkeys(columns, "split"),
        **sizes_of(frame, target),
        "repeats": len(own),
        "folds": int(own[0].max()) + 1,
        "licence": container.dataset_metadata.license,
        "source": container.dataset_metadata.original_dataset_source_download_link,
        "uuid": pointer.uuid,
    }


def tested_in(splits: Splits, n_rows: int, name: str) -> OwnSplits:
    """For every repeat and row the fold in whose test part it is, as columns of kind "split" have it.

    Raises
    ------
    DataError
        If a row is tested twice in a repeat, or a fold trains on other rows than those it does not test.
    """
    own = np.full((len(splits), n_rows), -1, dtype=np.int64)
    for tested, repeat in zip(own, sorted(splits), strict=True):
        for place, fold in enumerate(sorted(splits[repeat])):
            train, test = (np.asarray(rows, dtype=np.intp) for rows in splits[repeat][fold])
            twice = (tested[test] >= 0).any()
            if twice or not np.array_equal(np.sort(np.concatenate([train, test])), np.arange(n_rows)):
                raise DataError(
                    f"{name}: fold {fold} of repeat {repeat} "
                    + ("tests rows of an earlier fold again." if twice else "leaves rows out or trains on tested ones.")
                )
            tested[test] = place
    return own
