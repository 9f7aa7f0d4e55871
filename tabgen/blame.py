"""Where an error comes from: the plugin's own line, and the library that it was raised in."""

from __future__ import annotations

import contextlib
import functools
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tabgen.errors import GeneratorFailed, TabgenError, reason_of, status_of
from tabgen.text import one_line

if TYPE_CHECKING:
    from tabgen.generator import Generator

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


@contextlib.contextmanager
def blamed(generator: Generator) -> Iterator[None]:
    """Say of what a generator raises whose error it is and where it was raised, in one sentence.

    Raises
    ------
    GeneratorFailed
        For anything but tabgen's own errors, which say it already.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, TabgenError) and not isinstance(error, GeneratorFailed):
            raise
        home = getattr(sys.modules[type(generator).__module__], "__file__", None)
        place = error.place if isinstance(error, GeneratorFailed) else place_of(error, Path(home) if home else None)
        where = f" at {place}" if place else ""
        told = f"generator '{generator.info.name}' failed: {one_line(reason_of(error))}{where}"
        raise GeneratorFailed(status_of(error), told, place) from error


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
