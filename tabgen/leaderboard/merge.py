"""Runs and bundles into one store: equal keys are one cell, and two answers to one key are a conflict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabgen.comparable import difference_of
from tabgen.errors import DataError
from tabgen.leaderboard.bundle import load_rows
from tabgen.leaderboard.check import KnownCells, check_rows, contradictions, name_of
from tabgen.outcome import RETRYABLE, Outcome
from tabgen.plugins import Plugins
from tabgen.store import Store


@dataclass
class Merged:
    """How a merge ended: rows added, rows that were there already, and conflicts, in words."""

    added: int = 0
    known: int = 0
    conflicts: list[str] = field(default_factory=list)


def merge(sources: Sequence[Path], folder: Path, plugins: Plugins) -> Merged:
    """Add the rows of runs and bundles to the store of ``folder``.

    A failed cell gives way to one that ended ``ok``. Where two ``ok`` rows of one key, or of one cell that measured
    different arms, have other scores, or a cell ended in two ways, the first stays and the conflict is reported; so is
    what `check` would say of the rows together: other splits or zero-shot scores on one machine, copies.

    Raises
    ------
    StoreError, DataError
        If a source cannot be read, or a bundle has a problem that `check` finds; nothing is written then.
    """
    read = [(source, load_rows(source, due=False)) for source in sources]
    if not any(rows for _, rows in read):
        raise DataError(f"no cell has ended yet in {', '.join(map(str, sources))}.")
    for source, rows in read:
        problems = [finding for finding in check_rows(rows, plugins) if finding.problem] if source.is_file() else []
        if problems:
            told = "; ".join(f"{problem.kind}: {problem.message}" for problem in problems)
            raise DataError(f"{source} does not pass `tabgen leaderboard check`, and nothing was merged: {told}.")
    result = Merged()
    with Store(folder, write=True) as store:
        there: dict[str, dict[str, Any]] = {row["key"]: row for row in store.outcomes()}
        known = KnownCells(there.values())
        for source, rows in read:
            for row in rows:
                first = there.get(row["key"])
                if first is None or (first["status"] in RETRYABLE and row["status"] == "ok"):
                    if difference := known.meet(row):
                        result.conflicts.append(f"{source}: {name_of(row)}: {difference}")
                        continue
                    store.add(Outcome.from_dict(row))
                    there[row["key"]] = row
                    result.added += 1
                elif (difference := _difference(first, row)) and not (
                    row["status"] in RETRYABLE and first["status"] == "ok"
                ):
                    result.conflicts.append(f"{source}: {name_of(row)}: {difference}")
                else:
                    result.known += 1
    result.conflicts += [f"the rows together: {finding.message}" for finding in contradictions(list(there.values()))]
    return result


def _difference(first: dict[str, Any], second: dict[str, Any]) -> str | None:
    if first["status"] != second["status"]:
        return f"ended as {first['status']} and as {second['status']}"
    return difference_of(first, second)
