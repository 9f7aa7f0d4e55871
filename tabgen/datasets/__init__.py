"""Datasets and suites: the embedded tables, folders with a manifest, and one's own file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabgen.errors import DataError
from tabgen.jsonable import is_text
from tabgen.marker import hookimpl
from tabgen.text import clean, unseen
from tabgen.unpack import MOST_DESCRIPTION, check_size, sha256_of

if TYPE_CHECKING:
    from tabgen.reader import ReadOptions
    from tabgen.table import Table

CORE = Path(__file__).parent / "core"
TEXT = Path(__file__).parent / "text"
ENTRY_TYPES: dict[str, type] = {"name": str, "file": str, "target": str, "sha256": str, "kinds": dict, "reading": dict}


@dataclass(frozen=True)
class Dataset:
    """A named table on disk.

    Attributes
    ----------
    name : str
    path : Path
        A file that :func:`tabgen.reader.read_frame` reads.
    target : str
    sha256 : str or None
        Of the file; checked whenever the table is loaded.
    kinds : dict
        Column kinds that override what would be inferred; "drop" leaves a column out, "split" says
        that it holds the fold in which each row is tested.
    reading : dict
        How a text file is written, where that has to be told: the fields of :class:`tabgen.reader.ReadOptions`.
    facts : dict
        What the manifest says of it: rows, features, classes, domain, licence, source.
    """

    name: str
    path: Path
    target: str
    sha256: str | None = None
    kinds: dict[str, Any] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def load(self, formats: Mapping[str, str] | None = None) -> Table:
        """Read and check the table: see :meth:`read`."""
        return self.read(formats)[0]

    def read(self, formats: Mapping[str, str] | None = None) -> tuple[Table, ReadOptions]:
        """Read and check the table; with it how its file was read, with what was found out.

        Parameters
        ----------
        formats : dict, optional
            Columns of times that are written in a format of strftime.

        Raises
        ------
        DataError
            If the file is not there, cannot be read, or is not the one the manifest describes.
        TableError
            If its content is not a table one can predict from.
        """
        from tabgen.plain import with_times
        from tabgen.reader import ReadOptions, read_file, warn_of_unused
        from tabgen.table import Table

        known = self.sha256 is not None and self.path.is_file()
        if known and sha256_of(self.path) != self.sha256:
            raise DataError(f"{self.path} is not the file that was described (SHA-256 differs); fetch it anew.")
        options = ReadOptions.from_dict(self.reading, f"dataset '{self.name}'")
        text, categories = ([n for n, k in self.kinds.items() if k == kind] for kind in ("text", "categorical"))
        formats = formats or {}
        frame, found = read_file(self.path, options, [*text, *formats], categories)
        warn_of_unused(options.missing, found, self.path)
        frame = with_times(frame, formats, f"dataset '{self.name}'")
        return Table.from_frame(frame, self.target, self.kinds, name=f"dataset '{self.name}'"), found


@dataclass(frozen=True)
class Suite:
    """A versioned list of datasets; ``list_datasets`` is called when they are needed, not before.

    ``at_hand`` says whether they are on this machine, so that a listing need not fetch them.
    """

    name: str
    summary: str
    version: str
    list_datasets: Callable[[], list[Dataset]]
    at_hand: Callable[[], bool] = lambda: True

    @cached_property
    def datasets(self) -> list[Dataset]:
        return self.list_datasets()


def read_manifest(folder: Path) -> list[Dataset]:
    """The datasets of a folder with a ``manifest.json`` (a list of objects; see docs/datasets.md).

    Raises
    ------
    DataError
        If the manifest is missing, broken or empty, or names a file outside the folder or not there.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise DataError(f"{folder} is no suite: it has no manifest.json.")
    check_size(path, MOST_DESCRIPTION, "a manifest", "divide the suite")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        sound = is_text(entries)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not sound:
        raise DataError(f"{path} holds halves of characters (\\ud800 to \\udfff), which are no text.")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{path} should hold a list of objects, one per dataset.")
    if not entries:
        raise DataError(f"{path} lists no dataset.")
    datasets = [_read_entry(entry, f"{path}: entry {number}", folder) for number, entry in enumerate(entries)]
    names = Counter(dataset.name for dataset in datasets)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise DataError(f"{path} has more than one dataset called {', '.join(twice)}.")
    return datasets


def _read_entry(entry: dict[str, Any], where: str, folder: Path) -> Dataset:
    lacking = {"name", "file", "target"} - set(entry)
    if lacking:
        raise DataError(f"{where} lacks {', '.join(sorted(lacking))}.")
    for key, kind in ENTRY_TYPES.items():
        if not isinstance(entry.get(key, kind()), kind):
            raise DataError(f"{where} has {key}={entry[key]!r} where a {kind.__name__} is due.")
    if odd := unseen(entry["name"]):
        raise DataError(f"{where} has a name with U+{ord(odd):04X}, a character that no screen shows; name it without.")
    try:
        file = (folder / entry["file"]).resolve()
        there = file.is_file()
    except (ValueError, OSError, RuntimeError) as error:  # a zero byte, more than a file system takes, links in a ring
        raise DataError(f"{where} names a file that cannot be: {clean(entry['file'], 60)!r} ({error}).") from error
    if not file.is_relative_to(folder.resolve()):
        raise DataError(f"{where}, '{entry['name']}', names the file {entry['file']}, which is outside the folder.")
    if not there:
        raise DataError(f"{where}, '{entry['name']}', names the file {entry['file']}, which is not there.")
    optional = entry.get("sha256"), entry.get("kinds", {}), entry.get("reading", {})
    return Dataset(entry["name"], file, entry["target"], *optional, entry)


def folder_suite(folder: Path) -> Suite:
    """The suite of a folder, named after it; its version is the manifest's hash."""
    manifest = folder / "manifest.json"
    version = hashlib.sha256(manifest.read_bytes()).hexdigest()[:12] if manifest.is_file() else ""
    return Suite(folder.resolve().name, f"datasets of {folder}", version, lambda: read_manifest(folder))


def file_suite(
    path: Path, target: str, kinds: dict[str, Any] | None = None, reading: dict[str, Any] | None = None
) -> Suite:
    """One's own table as a suite of one dataset."""
    digest = sha256_of(path) if path.is_file() else None
    stem = path.stem if path.suffix.lower() not in (".gz", ".bz2", ".xz", ".zst", ".zip") else Path(path.stem).stem
    dataset = Dataset(stem, path.resolve(), target, digest, kinds or {}, reading or {})
    return Suite(stem, f"the file {path}", (digest or "")[:12], lambda: [dataset])


def core_datasets() -> list[Dataset]:
    return read_manifest(CORE)


def quick_datasets() -> list[Dataset]:
    return [dataset for dataset in core_datasets() if dataset.facts.get("quick")]


def text_datasets() -> list[Dataset]:
    return read_manifest(TEXT)


def tabarena_datasets() -> list[Dataset]:
    from tabgen.datasets.tabarena import fetch, is_fetched, tabarena_folder

    if not is_fetched():
        fetch(tabarena_folder())
    return read_manifest(tabarena_folder())


def beyondarena_datasets() -> list[Dataset]:
    from tabgen.datasets.beyondarena import beyondarena_folder, fetch, is_fetched

    if not is_fetched():
        fetch(beyondarena_folder())
    return read_manifest(beyondarena_folder())


def oracle_datasets() -> list[Dataset]:
    from tabgen.datasets.oracle import oracle_folder, write_suite

    if not _oracle_at_hand():
        write_suite(oracle_folder())
    return read_manifest(oracle_folder())


def _oracle_at_hand() -> bool:
    from tabgen.datasets.oracle import oracle_folder

    return (oracle_folder() / "manifest.json").is_file()


def _beyondarena_at_hand() -> bool:
    from tabgen.datasets.beyondarena import is_fetched

    return is_fetched()


def _tabarena_at_hand() -> bool:
    from tabgen.datasets.tabarena import is_fetched

    return is_fetched()


@hookimpl
def tabgen_register_datasets(register: Callable[[Suite], None]) -> None:
    register(Suite("core", "the embedded real tables, all of them", "1", core_datasets))
    register(Suite("quick", "six small tables of core, for a first look", "1", quick_datasets))
    register(Suite("text", "four real tables with columns of free text, embedded", "1", text_datasets))
    summary = "TabArena v0.1's classification tasks of at most 100 columns, fetched from openml.org when first used"
    register(Suite("tabarena-33", summary, "v0.1", tabarena_datasets, _tabarena_at_hand))
    summary = "BeyondArena's classification tasks of independent rows, with their own splits, fetched when first used"
    register(Suite("beyondarena-iid", summary, "1", beyondarena_datasets, _beyondarena_at_hand))
    summary = "tables of known mechanisms, drawn when first used, on which `oracle` draws fresh true rows"
    register(Suite("synthetic-oracle", summary, "1", oracle_datasets, _oracle_at_hand))
