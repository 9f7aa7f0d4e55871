"""What code a plugin consists of, as a hash: so that an edit makes another version, however it was installed."""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

DIGITS = 12
_INSTALLED = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")})


def code_hash(origin: Path) -> str:
    """Hash of a module's code, and of the plugin's own modules that it imports.

    A package counts with all its files, whatever it imports; a single file with the modules beside it, and those found
    elsewhere outside of what is installed, that it or they import anywhere, inside functions too. What is installed
    (site-packages, the standard library, tabgen) counts by its version, not here.

    Parameters
    ----------
    origin : Path
        The module's file; of a package, its ``__init__.py``.
    """
    digest = hashlib.sha256()
    for name, content in sorted(_sources(origin.resolve()).items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:DIGITS]


def _sources(origin: Path) -> dict[str, bytes]:
    """Every file of the plugin's own code, by a name that does not depend on where it lies."""
    found: dict[str, bytes] = {}
    waiting = [origin]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        package = path.parent if path.name == "__init__.py" else None
        for file in sorted(package.rglob("*.py")) if package else [path]:
            if file in seen or not file.is_file():
                continue
            seen.add(file)
            root = package.parent if package else file.parent
            content = file.read_bytes()
            found[file.relative_to(root).as_posix()] = content
            waiting += [other for name in _imported(content) if (other := _own(name, root)) and other not in seen]
    return found


@lru_cache(maxsize=1024)
def _imported(content: bytes) -> tuple[str, ...]:
    """Top-level names of every absolute import in a file; none if it is no Python. Parsed once, for it takes time."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return ()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return tuple(sorted(names))


def _own(name: str, folder: Path) -> Path | None:
    """The file of a module that is the plugin's own; None for what is installed."""
    if name == "tabgen":
        return None
    loaded = getattr(sys.modules.get(name), "__file__", None)
    candidates = [folder / f"{name}.py", folder / name / "__init__.py", *([Path(loaded).resolve()] if loaded else [])]
    own = (path for path in candidates if path.suffix == ".py" and path.is_file())
    return next((path for path in own if not _is_installed(path)), None)


def _is_installed(path: Path) -> bool:
    # in an environment of its own a plugin that is installed beside tabgen is found through a link to another one
    return "site-packages" in path.parts or any(path.is_relative_to(folder) for folder in _INSTALLED)
