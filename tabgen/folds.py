"""Folds as files: the training rows of a suite's folds, for generators that run elsewhere, and never a test row.

``folds/train/<dataset>/<fold>/<seed>.parquet`` holds one fold's training rows, a JSON file beside it their schema and
hash, ``folds/manifest.json`` all of them. Tables made elsewhere go into a folder of the same shape beside ``train``
(:mod:`tabgen.made_elsewhere`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tabgen.column import Column
from tabgen.datasets import Dataset
from tabgen.errors import DataError, Unsupported
from tabgen.splits import split_table
from tabgen.table import Table

MANIFEST = "manifest.json"
TRAIN = "train"
FACTS = b"tabgen"
"""Where a Parquet file keeps, as JSON, for which training rows it is: the same object as the JSON file beside it."""


@dataclass(frozen=True)
class Fold:
    """One fold's training rows, as the manifest lists them.

    Attributes
    ----------
    dataset, fold, seed, n_folds, max_train_rows
        As an experiment has them; ``max_train_rows`` is None for no cap.
    rows : int
    train : str
        SHA-256 of the rows' content, whatever file they are in: what a table made elsewhere is bound to.
    file : str
        The Parquet file, relative to the manifest.
    sha256 : str
        Of that file.
    """

    dataset: str
    fold: int
    seed: int
    n_folds: int
    max_train_rows: int | None
    rows: int
    train: str
    file: str
    sha256: str


def place_of(dataset: str, fold: int, seed: int) -> Path:
    """Where a table of this fold lies, in the folder of the training rows and in that of each method.

    Raises
    ------
    DataError
        If the dataset's name is not the name of a folder.
    """
    if not dataset or Path(dataset).name != dataset or "\\" in dataset:
        raise DataError(f"the dataset '{dataset}' cannot be a folder's name; rename it in its suite's manifest.")
    return Path(dataset) / str(fold) / f"{seed}.parquet"


def training_rows(table: Table, fold: int, n_folds: int, seed: int, max_train_rows: int | None) -> Table:
    """The rows that a generator is fitted on in this fold, as a run has them."""
    return table.take(split_table(table, fold, n_folds, seed, max_train_rows).train).observed()


def export_folds(
    datasets: Sequence[Dataset],
    folder: Path,
    n_folds: int,
    seeds: Sequence[int] = (0,),
    max_train_rows: int | None = 1000,
    told: Callable[[str], None] = lambda _: None,
) -> list[Fold]:
    """Write the training rows of every fold.

    Parameters
    ----------
    datasets : sequence of Dataset
    folder : Path
        A folder that holds exports already takes in more of them.
    told : callable
        Called with a sentence for each fold that no run could have.

    Raises
    ------
    DataError
        If the folder holds other rows for one of these folds, or files that are no export.
    """
    known = {(each.dataset, each.fold, each.seed): each for each in _known(folder)}
    for dataset in datasets:
        table = dataset.load()
        for fold in range(n_folds):
            for seed in seeds:
                place = place_of(dataset.name, fold, seed)
                try:
                    rows = training_rows(table, fold, n_folds, seed, max_train_rows)
                except Unsupported as error:
                    told(f"{dataset.name}: {error}")
                    continue
                before = known.get((dataset.name, fold, seed))
                if before and before.train != rows.content_hash:
                    raise DataError(
                        f"{folder} holds other training rows of '{dataset.name}', fold {fold}, seed {seed}:"
                        f" {before.n_folds} folds, {_cap(before.max_train_rows)}; take another folder."
                    )
                file = Path(TRAIN) / place
                facts = {"train": rows.content_hash, "dataset": dataset.name, "fold": fold, "seed": seed}
                content = as_parquet(rows, facts)
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(content)
                schema = json.dumps(facts | {"rows": len(rows)} | rows.schema.to_dict(), indent=1)
                (folder / file).with_suffix(".json").write_text(schema + "\n", encoding="utf-8")
                known[dataset.name, fold, seed] = Fold(
                    dataset.name,
                    fold,
                    seed,
                    n_folds,
                    max_train_rows,
                    len(rows),
                    rows.content_hash,
                    file.as_posix(),
                    hashlib.sha256(content).hexdigest(),
                )
    found = [known[place] for place in sorted(known)]
    text = json.dumps({"folds": [asdict(each) for each in found]}, indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return found


def _known(folder: Path) -> list[Fold]:
    if not (folder / MANIFEST).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise DataError(f"{folder} is not empty and holds no export ({MANIFEST}); name a new folder.")
        return []
    return read_folds(folder)


def _cap(max_train_rows: int | None) -> str:
    return "all training rows" if max_train_rows is None else f"at most {max_train_rows} training rows"


def read_folds(folder: Path) -> list[Fold]:
    """The folds that the manifest of an export lists.

    Raises
    ------
    DataError
        If there is none, or it is no manifest of an export.
    """
    path = folder / MANIFEST
    try:
        return [Fold(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["folds"]]
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no export: there is no {path}; write one: tabgen export-folds.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not the manifest of `tabgen export-folds`: {error!r:.200}") from error


def as_parquet(table: Table, facts: dict[str, Any]) -> bytes:
    """The rows as anybody reads them: numbers, booleans, timestamps, texts; named levels as a dictionary (a factor)."""
    schema = table.schema
    columns = {
        column.name: _plain(column, table.frame[column.name]) for column in (*schema.columns, schema.target_column)
    }
    arrow = pa.table(columns).replace_schema_metadata({FACTS: json.dumps(facts).encode()})
    sink = io.BytesIO()
    pq.write_table(arrow, sink)
    return sink.getvalue()


def _plain(column: Column, values: pd.Series[Any]) -> pa.Array:
    if not column.is_discrete:
        if column.kind == "integer" and values.dtype.kind == "f":  # whole numbers with missing values
            return pa.array(values.astype("Int64"))
        return pa.Array.from_pandas(values)
    if column.levels and all(isinstance(level, str) for level in column.levels):
        codes = values.cat.codes.to_numpy()
        positions = pa.array(codes, pa.int32(), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(positions, pa.array(list(column.levels)))
    whole: np.ndarray[Any, Any] = values.astype(object).where(values.notna(), None).to_numpy(dtype=object)
    return pa.array(whole, pa.bool_() if column.kind == "boolean" else None)


def facts_of(path: Path, content: bytes) -> tuple[dict[str, Any] | None, str]:
    """What a table made elsewhere says of the rows it was made for, and where it says so.

    The metadata of the Parquet file if its writer kept them, else a JSON file of the same name beside it.

    Raises
    ------
    DataError
        If either is there and cannot be read.
    """
    beside = path.with_suffix(".json")
    try:
        kept = (pq.read_schema(io.BytesIO(content)).metadata or {}).get(FACTS)
        where = "the file's metadata" if kept else f"{beside.name} beside it"
        text = kept or (beside.read_bytes() if beside.is_file() else None)
        if text is None:
            return None, ""
        facts = json.loads(text)
        if not isinstance(facts, dict) or not isinstance(facts.get("train"), str):
            raise ValueError("it holds no object with the hash 'train'")
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} does not say for which fold it is: {error}") from error
    return facts, where


def read_table(path: Path, content: bytes) -> pd.DataFrame:
    """The rows of a Parquet file.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        frame: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    return frame
