"""Which files of a folder are a site's own: those alone are ever replaced or removed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path, PurePosixPath

from tabgen.errors import DataError

MANIFEST, FORMAT = "site-manifest.json", "tabgen-site"
Files = dict[str, list[str]]
"""By path within the site: the SHA-256 that the site gave the file, or two of them while it is being replaced."""


def check_folder(folder: Path) -> Files:
    """The files of the site in ``folder``, none if it is new or empty.

    Raises
    ------
    DataError
        If it is no folder of its own, or holds something that no site put there in a place where one puts something.
    """
    if folder.is_symlink():
        raise DataError(f"{folder} is a link; name the folder itself.")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; name a folder.")
    here = Path.cwd().resolve()
    if folder.resolve() == here or folder.resolve() in here.parents:
        raise DataError(f"{folder} is the folder you are in, or one above it; name a folder of the site's own.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return {}
    if not os.path.lexists(folder / MANIFEST):
        raise DataError(
            f"{folder} holds something that is not a site: it has no {MANIFEST}. Name an empty or a new folder;"
            " a site of an earlier tabgen has to be removed by you."
        )
    files = _read(folder)
    for name, hashes in files.items():
        path = _inside(folder, name)
        if not os.path.lexists(path):
            continue
        if not path.is_file() or path.is_symlink() or _hash(path) not in hashes:
            raise DataError(f"{path} was changed since the site was built; move it away, or remove it yourself.")
    return files


def put_in_place(made: Path, folder: Path) -> None:
    """Move the new site's files from ``made`` to ``folder``, and remove those of the site before it.

    Whenever it is interrupted, the folder's manifest covers what lies there, so that the next build can go on.

    Raises
    ------
    DataError
        As :func:`check_folder`, and if a file that no site put there would be replaced; nothing is touched then.
    """
    old = check_folder(folder)
    new: Files = {
        path.relative_to(made).as_posix(): [_hash(path)] for path in sorted(made.rglob("*")) if path.is_file()
    }
    for name in new:
        path = _inside(folder, name)
        if name not in old and os.path.lexists(path):
            raise DataError(f"{path} is not the site's and would be replaced; name another folder, or move it away.")
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, {name: old.get(name, []) + new.get(name, []) for name in sorted(old | new)})
    for name in new:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (made / name).replace(path)
    for name in old.keys() - new.keys():
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
        for above in PurePosixPath(name).parents:
            if str(above) != ".":
                with contextlib.suppress(OSError):  # not empty: something of the user's is in it
                    (folder / above).rmdir()
    _write(folder, new)


def _read(folder: Path) -> Files:
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"it should say format = '{FORMAT}'")
        files = data["files"]
        if not all(isinstance(name, str) and isinstance(hashes, list) for name, hashes in files.items()):
            raise ValueError("it should hold hashes by file")
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{folder / MANIFEST} is no manifest of a site: {error}; name another folder.") from error
    return dict(files)


def _inside(folder: Path, name: str) -> Path:
    """A file of the site; no name leads out of the folder, not by links either."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or str(pure) != name or "\0" in name:
        raise DataError(f"{folder / MANIFEST} names {name!r:.80}, which is no file of a site; name another folder.")
    above = folder
    for part in pure.parts[:-1]:
        above /= part
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            raise DataError(f"{above} is no folder of the site; move it away, or name another folder.")
    return folder / name


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(folder: Path, files: Files) -> None:
    with tempfile.NamedTemporaryFile("w", prefix=f".{MANIFEST}.", dir=folder, delete=False) as scratch:
        scratch.write(json.dumps({"format": FORMAT, "files": files}, indent=1, sort_keys=True) + "\n")
    Path(scratch.name).chmod(0o644)
    Path(scratch.name).replace(folder / MANIFEST)
