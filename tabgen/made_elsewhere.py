"""Rows made elsewhere: the generator ``file``, which takes tables that somebody wrote beside exported folds.

Nothing is fitted and no process is started: the evaluator reads the file itself, since it alone can tell whether rows
are in it that no generator could have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabgen.errors import DataError, ExperimentError, InvalidOutput, TabgenError, Unsupported
from tabgen.generator import FitContext, Generator, GeneratorInfo
from tabgen.marker import hookimpl

if TYPE_CHECKING:
    import pandas as pd

    from tabgen.host.client import FitOrder, Spent
    from tabgen.outcome import Cell
    from tabgen.table import Table

FILE = "file"
MARK = "made elsewhere"
"""What rankings, reports and boards say of such rows."""
CERTAIN = 0.999
"""How sure it must be that real fresh rows would repeat fewer unseen ones, where real rows repeat each other."""


class File(Generator):
    """Tables that were made elsewhere, one for each fold that `tabgen export-folds` wrote.

    For generators in R, on another machine or behind a service: `file:path=folds/NAME` reads
    `folds/NAME/<dataset>/<fold>/<seed>.parquet`. Only in runs: there is nothing here that could make rows.

    Parameters
    ----------
    path : str
        The folder of the tables, beside the exported `train`; a relative path is kept in the results as it is written.
    """

    info = GeneratorInfo(
        FILE,
        "tables made elsewhere for exported folds, read from files",
        licence="that of their maker",
        accepts_missing=True,
        accepts_text=True,
    )

    def __init__(self, path: str = "") -> None:
        self.path = path

    def fit(self, table: Table, context: FitContext) -> None:  # noqa: ARG002 - nothing to learn, nowhere
        raise Unsupported(
            "file makes no rows: it takes tables that were made elsewhere for the folds of a run"
            " (tabgen export-folds, then tabgen run --methods file:path=folds/NAME)."
        )

    def sample(self, n_rows: int, seed: int) -> pd.DataFrame:  # noqa: ARG002
        raise Unsupported("file makes no rows.")


@dataclass(frozen=True)
class Found:
    """A table made elsewhere: where it lies, and its SHA-256; None if it is not there."""

    path: Path
    sha256: str | None


def find_table(settings: dict[str, Any], dataset: str, fold: int, seed: int) -> Found:
    """The table of a method for one fold, with the hash that its cell is planned with.

    Raises
    ------
    ExperimentError
        If the method names no folder, or one that is not there.
    """
    from tabgen.folds import place_of

    text = settings.get("path", "")
    if not text:
        raise ExperimentError("the method 'file' needs the folder of its tables: file:path=folds/NAME.")
    folder = Path(text)
    if not folder.is_dir():
        raise ExperimentError(
            f"file:path={text}: there is no such folder; write the training rows with tabgen export-folds -o FOLDS,"
            " and the tables made from them to FOLDS/NAME/<dataset>/<fold>/<seed>.parquet."
        )
    path = folder.resolve() / place_of(dataset, fold, seed)
    return Found(path, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None)


def check_tables(cells: list[Cell]) -> None:
    """Raise :class:`ExperimentError` where a method has no table at all, or one table for two folds."""
    mine = [cell for cell in cells if cell.generator == FILE]
    for method in dict.fromkeys(cell.method for cell in mine):
        of_method = [cell for cell in mine if cell.method == method]
        if all(cell.rows_sha256 is None for cell in of_method):
            raise ExperimentError(f"'{method}' has no table for any fold of this run; {of_method[0].rows_path} is due.")
        seen: dict[str, Cell] = {}
        for cell in of_method:
            if cell.rows_sha256 is None:
                continue
            twin = seen.setdefault(cell.rows_sha256, cell)
            if (twin.dataset, twin.fold, twin.seed) != (cell.dataset, cell.fold, cell.seed):
                raise ExperimentError(
                    f"'{method}': {twin.rows_path} and {cell.rows_path} are the same table, which can be made for one"
                    " of the two folds only."
                )


def tables_by_hash(folders: list[Path]) -> dict[str, Path]:
    """Every Parquet file below these folders, by its SHA-256."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}.")
        for path in sorted(folder.rglob("*.parquet")):
            found[hashlib.sha256(path.read_bytes()).hexdigest()] = path.resolve()
    return found


class FileHost:
    """The place of a generator's process (:class:`tabgen.host.client.Host`) for rows that are in a file.

    Parameters
    ----------
    cell : Cell
        With the path and the hash of its table.
    unseen : Table
        Every row of the dataset that is not among the fold's training rows.
    """

    info = File.info

    def __init__(self, cell: Cell, unseen: Table) -> None:
        from tabgen.host.client import Spent

        self.spent: Spent = Spent()
        self._cell, self._unseen = cell, unseen
        self._table: Table

    def wait(self) -> None:
        """Nothing to wait for."""

    def fit(self, order: FitOrder, train: Table) -> None:  # noqa: ARG002 - there is nothing to order
        """Read the table and refuse what is not for these rows, or holds rows that were not to be seen."""
        from tabgen.folds import read_table
        from tabgen.sampling import check_missing

        path, content = self._read()
        self.spent.notes = {"made_elsewhere": self._bound_by(path, content, train)}
        self._table = train.like(read_table(path, content), self._source)
        check_missing(self._table, train, self._source)
        refuse_unseen(self._table, train, self._unseen, self._source)

    def sample(self, n_rows: int, seed: int, fresh: bool) -> Table:  # noqa: ARG002 - the rows are what they are
        """The first rows of the table."""
        if len(self._table) < n_rows:
            raise InvalidOutput(f"{self._source} has {len(self._table)} rows; {n_rows} are due.")
        return self._table.take(list(range(n_rows)))

    @property
    def _source(self) -> str:
        return f"the table {'/'.join(Path(self._cell.rows_path).parts[-4:])}"

    def _read(self) -> tuple[Path, bytes]:
        path = Path(self._cell.rows_path)
        if self._cell.rows_sha256 is None:
            raise Unsupported(f"{self._source} is not there: nobody made rows for this fold.")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise TabgenError(f"{self._source} cannot be read here: {error.strerror}.") from error
        if hashlib.sha256(content).hexdigest() != self._cell.rows_sha256:
            raise TabgenError(f"{self._source} was changed since it was planned; run the same line again.")
        return path, content

    def _bound_by(self, path: Path, content: bytes, train: Table) -> str:
        """How the table says that it was made for these training rows."""
        from tabgen.folds import facts_of, read_folds

        facts, where = facts_of(path, content)
        if facts is None:
            where = "its place among the exported folds"
            here = (path.parent.parent.name, path.parent.name, path.stem)
            folds = {(each.dataset, str(each.fold), str(each.seed)): each.train for each in read_folds(path.parents[3])}
            if here not in folds:
                raise InvalidOutput(
                    f"{self._source} does not say for which training rows it was made, and the export beside it has"
                    " no such fold; export it (tabgen export-folds), or put the fold's JSON file beside the table."
                )
            facts = {"train": folds[here]}
        if facts["train"] != train.content_hash:
            raise InvalidOutput(
                f"{self._source} was made for other training rows (hash {facts['train'][:12]} by {where}) than this"
                f" fold's ({train.content_hash[:12]}); the export and the run must have the same folds, seed and"
                " cap on training rows, and every table its own fold."
            )
        return where


def refuse_unseen(sample: Table, train: Table, unseen: Table, source: str) -> None:
    """Raise :class:`InvalidOutput` if rows stand in the sample that only held-out rows have.

    Rows are compared by their features, numbers as float32. Where no training row repeats a held-out one, a single such
    row is one too many. Where real rows do repeat, fresh rows of the same source would too, as often as a training row
    that no other one equals: as many are allowed as real ones would have in all but one of a thousand draws, their
    share taken two standard errors high.
    """
    from math import sqrt

    import numpy as np
    from scipy.stats import binom

    names = [name for name in train.schema.names if name in unseen.schema.names]
    ours, seen, held_out = (table.row_hashes(names) for table in (sample, train, unseen))
    foreign = np.flatnonzero(np.isin(ours, np.setdiff1d(held_out, seen)))
    values, counts = np.unique(seen, return_counts=True)
    repeated = int(np.isin(values[counts == 1], held_out).sum())  # a fresh row would, and be as new to the others
    share = min(1.0, (repeated + 2 * sqrt(repeated)) / max(1, len(seen)))
    allowed = int(binom.ppf(CERTAIN, len(ours), share)) if repeated else 0
    if len(foreign) > allowed:
        first = ", ".join(f"{name}={sample.frame[name].iloc[foreign[0]]}" for name in names[:4])
        raise InvalidOutput(
            f"{source} holds {len(foreign)} of {len(ours)} rows that are rows of the dataset outside this fold's"
            f" training rows (the first: row {foreign[0]}, {first[:120]}); at most {allowed} can be chance. Make it"
            " from the exported training rows alone; a row that is there by chance, leave out."
        )


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(File)
