"""`tabgen cache`: what a run keeps for other cells, and clearing it."""

from __future__ import annotations

from pathlib import Path

import typer

from tabgen.errors import StoreError


def cache(
    folder: Path = typer.Argument(..., help="The run's folder."),
    limit: float = typer.Option(None, "--limit", min=0, help="Remove least recently used files until this many MB."),
    clear: bool = typer.Option(False, "--clear", help="Remove everything that is cached."),
) -> None:
    """Show the cache of a run: synthetic rows and zero-shot scores that other cells reuse; or clear it.

    Outcomes are not touched. What is removed is computed again when a cell needs it.
    """
    from tabgen import cache as store
    from tabgen.store import FILE

    if not (folder / FILE).is_file():
        raise StoreError(f"there is no run in {folder}: it has no {FILE}.")
    place = folder / "cache"
    before = store.sizes(place)
    if clear or limit is not None:
        store.trim(place, 0 if clear else limit)
    for kind, (count, megabytes) in store.sizes(place).items():
        removed = before[kind][0] - count
        note = f" ({removed} removed)" if removed else ""
        typer.echo(f"{kind}: {count} files, {megabytes:.1f} MB{note}")
