"""Where an error comes from: the plugin's own line, and the library that it was raised in."""

from __future__ import annotations

import functools
import sysconfig
import traceback
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

OWN = Path(__file__).resolve().parent


def place_of(error: BaseException, home: Path | None = None) -> str:
    """The last line of a plugin's own code in the traceback, and the library below it, if it was raised in one.

    Parameters
    ----------
    error : BaseException
        As caught.
    home : Path, optional
        The plugin's module, for a plugin that is installed as libraries are; else its code is what is not installed.

    Returns
    -------
    str
        ``file:line, function(), raised in library version``; empty if no line of the plugin had a part in it.
    """
    frames = [(Path(frame.filename).resolve(), frame) for frame in traceback.extract_tb(error.__traceback__)]
    root = home.resolve() if home else None
    root = root.parent if root and root.name == "__init__.py" else root
    own = [number for number, (file, _) in enumerate(frames) if _is_plugins(file, root)]
    if not own:
        return ""
    file, last = frames[own[-1]]
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    text = f"{shown}:{last.lineno}, {last.name}()"
    library = _library_of(frames[-1][0]) if own[-1] < len(frames) - 1 else ""
    return f"{text}, raised in {library}" if library else text


def _is_plugins(file: Path, root: Path | None) -> bool:
    if root and file.is_relative_to(root):
        return True
    return not _library_of(file) and not file.is_relative_to(OWN) and not str(file).endswith(">")


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions of each module at the top, looked up once: it reads the files of all that is installed."""
    return metadata.packages_distributions()


def _library_of(file: Path) -> str:
    """The distribution, with its version, that an installed file belongs to; empty for code that is not installed."""
    for folder in ("site-packages", "dist-packages"):
        if folder in file.parts:
            top = file.parts[file.parts.index(folder) + 1].removesuffix(".py")
            names = _distributions().get(top, [])
            return f"{names[0]} {metadata.version(names[0])}" if names else top
    return "Python's standard library" if file.is_relative_to(sysconfig.get_path("stdlib")) else ""
