"""Files and folders to write, checked before there is anything to write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tabgen.errors import DataError

TABLE = (".csv", ".parquet")
"""Endings of the files that :func:`tabgen.api.write_frame` writes."""


def check_file(path: Path, endings: Sequence[str] = (), others: Sequence[Path | None] = ()) -> None:
    """Check that a file can be written.

    Parameters
    ----------
    endings : sequence of str
        Those that it may have; none: any.
    others : sequence of Path
        Files that are read, or written too: it has to be none of them.

    Raises
    ------
    DataError
        If it has another ending, lies in a folder that is not there, is a folder, or one of the others.
    """
    if endings and path.suffix.lower() not in endings:
        raise DataError(f"{path} should end in {' or '.join(endings)}.")
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: there is no folder {path.parent}.")
    if path.is_dir():
        raise DataError(f"{path} cannot be written: it is a folder; name a file.")
    for other in others:
        if other is not None and _are_one(path, other):
            raise DataError(
                f"{path} cannot be written: it is {other}, which is read or written too; name another file."
            )


def check_folder(path: Path) -> None:
    """Raise :class:`DataError` where a folder cannot be made, because it, or one above it, is a file."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise DataError(f"{path} cannot be written: {there} is no folder; name another.")


def _are_one(path: Path, other: Path) -> bool:
    """Whether two names lead to one file, that may not be there yet."""
    return os.path.realpath(path) == os.path.realpath(other) or (
        path.exists() and other.exists() and path.samefile(other)
    )
