"""The rows that may leave this machine, read from runs and bundles."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabgen.leaderboard.bundle import read_bundle, read_rows, write_bundle
from tabgen.plugins import Plugins
from tabgen.results import joined


def public_rows(sources: Sequence[Path], plugins: Plugins) -> list[dict[str, Any]]:
    """The rows of run folders, bundles and boards' JSON lines as a bundle would publish them, each key once.

    Raises
    ------
    StoreError, DataError
        If there is no run, no row, or a bundle is not to be trusted.
    """
    rows = []
    for source in sources:
        if source.is_file():
            found = read_rows(source)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                bundle = Path(scratch) / "rows.zip"
                write_bundle(source, bundle, plugins)
                found = read_bundle(bundle)
        rows.append(found)
    return sorted(
        joined(*rows).values(), key=lambda row: (row["dataset"], row["fold"], row["seed"], row["method"], row["key"])
    )
