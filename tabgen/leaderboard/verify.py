"""Re-running a sample of someone's cells here, and comparing the scores."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tabgen.datasets import Dataset, Suite
from tabgen.engines import EngineSettings
from tabgen.environment import PACKAGES, provenance
from tabgen.experiment import Limits
from tabgen.leaderboard.check import name_of, scores_of
from tabgen.made_elsewhere import FILE
from tabgen.outcome import PROTOCOL_VERSION, Cell, key_of
from tabgen.plugins import PluginChoice, Plugins

Row = dict[str, Any]
#: How cells can end that do not depend on how fast or large the machine is.
REPEATABLE = ("ok", "unsupported", "invalid_output", "error")
SAME_MACHINE = ("platform", "processor", "python", *PACKAGES)
EXACT, CLOSE = 1e-6, 0.01
"""Largest difference of a score on the same processor and versions, and elsewhere (measured: docs/publish.md)."""


@dataclass(frozen=True)
class Rerun:
    """One cell that was run again: what it is called, whether it came out the same, and each score's difference."""

    name: str
    reproduced: bool
    detail: str
    gaps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """The cells that were run again, and how many of all could not have been, by reason."""

    reruns: list[Rerun]
    out_of_reach: dict[str, int]

    @property
    def passed(self) -> bool:
        return bool(self.reruns) and all(rerun.reproduced for rerun in self.reruns)

    def sentence(self) -> str:
        return f"reproduced {sum(rerun.reproduced for rerun in self.reruns)}/{len(self.reruns)}"


def verify(
    rows: list[Row],
    plugins: Plugins,
    choice: PluginChoice,
    *,
    sample: int,
    seed: int,
    suites: Sequence[Suite] = (),
    tables: Mapping[str, Path] = MappingProxyType({}),
    limits: Limits | None = None,
    told: Callable[[Rerun], None] = lambda _: None,
) -> Verification:
    """Run ``sample`` random cells of these rows with what is installed here, and compare.

    Nothing of a row is executed or opened: the data are found by their hash among the suites here, generator and
    model by their names among the plugins here, and the time and memory of a cell are limited by ``limits``, whatever
    the row says.

    Parameters
    ----------
    rows : list of dict
        As :func:`tabgen.leaderboard.bundle.load_rows` returns them.
    seed : int
        Which cells are drawn. Whoever made the rows must not be able to know it beforehand.
    suites : sequence of Suite, optional
        Where to look for data, besides the registered suites that are on this machine.
    tables : mapping
        Synthetic tables that were made elsewhere, by their SHA-256 (:func:`tabgen.made_elsewhere.tables_by_hash`).
    """
    registered = [plugins.suites[name] for name in plugins.suites]
    datasets = _datasets_by_hash([*suites, *(suite for suite in registered if suite.at_hand())])
    reachable: list[tuple[Row, Row]] = []
    out_of_reach: Counter[str] = Counter()
    for row in rows:
        reason = _out_of_reach(row, plugins, datasets, tables)
        if reason:
            out_of_reach[reason] += 1
        else:
            path = str(datasets[row["sha256"]].path)
            mine = {"path": path, "limits": asdict(limits or Limits()), "fidelity": False}
            mine["rows_path"] = str(tables.get(row.get("rows_sha256") or "", ""))
            reachable.append((row, row | mine))
    drawn = random.Random(seed).sample(reachable, min(sample, len(reachable)))
    reruns = []
    with tempfile.TemporaryDirectory() as folder:
        engine = plugins.engines["local"](EngineSettings(choice, Path(folder), workers=1))
        claimed = {row["key"]: row for row, _ in drawn}
        for cell, computed in engine.run([Cell.from_dict(mine) for _, mine in drawn]):
            rerun = compare(claimed[cell.key], computed.to_dict(), provenance())
            told(rerun)
            reruns.append(rerun)
    return Verification(reruns, dict(out_of_reach))


def compare(row: Row, computed: Row, here: dict[str, Any]) -> Rerun:
    """A row against what its cell came to here."""
    name = name_of(row)
    if computed["status"] != row["status"]:
        return Rerun(name, False, f"claimed {row['status']}, here {computed['status']}: {computed['reason']}")
    same = all(row["provenance"].get(part) == here.get(part) for part in SAME_MACHINE)
    same = same and row.get("device", "cpu") == computed.get("device", "cpu")
    tolerance = EXACT if same else CLOSE
    claimed, found = scores_of(row), scores_of(computed)
    if row["status"] == "ok":
        if row.get("split_hash") not in (None, computed["split_hash"]):
            return Rerun(name, False, "its rows were split otherwise here")
        if claimed.keys() != found.keys():
            differing = sorted(claimed.keys() ^ found.keys())
            return Rerun(name, False, f"not the same scores on both sides: {', '.join(differing[:3])}")
    gaps = {score: abs(claimed[score] - found[score]) for score in claimed.keys() & found.keys()}
    worst = max(gaps, key=lambda score: gaps[score], default=None)
    machine = "same processor and versions" if same else "other processor or versions"
    if worst is None:
        return Rerun(name, True, f"ended as {row['status']} again")
    detail = f"largest difference {gaps[worst]:.2g} ({worst}); allowed {tolerance:g} ({machine})"
    return Rerun(name, gaps[worst] <= tolerance, detail, gaps)


def _datasets_by_hash(suites: Sequence[Suite]) -> dict[str, Dataset]:
    return {
        dataset.sha256: dataset
        for suite in suites
        for dataset in suite.datasets
        if dataset.sha256 is not None and dataset.path.is_file()
    }


def _out_of_reach(row: Row, plugins: Plugins, datasets: dict[str, Dataset], tables: Mapping[str, Path]) -> str | None:
    """Why this cell cannot be run again here, if so."""
    if row["status"] not in REPEATABLE:
        return f"ended as {row['status']}, which depends on the machine"
    if row["protocol"] != PROTOCOL_VERSION:
        return f"protocol {row['protocol']}, here {PROTOCOL_VERSION}"
    if key_of(Cell.from_dict(row)) != row["key"]:
        return "its key is not that of its content"
    if row["sha256"] not in datasets:
        return f"no suite here has the table '{row['dataset']}' with this SHA-256 (--suite adds one)"
    if row["model"] not in plugins.models:
        return f"the model '{row['model']}' is not installed"
    if plugins.models[row["model"]].fingerprint() != row["checkpoint"]:
        return f"the model '{row['model']}' has another checkpoint here"
    return None if row["generator"] is None else _generator_out_of_reach(row, plugins, tables)


def _generator_out_of_reach(row: Row, plugins: Plugins, tables: Mapping[str, Path]) -> str | None:
    name = row["generator"]
    if name == FILE and row.get("rows_sha256") not in tables:
        return f"rows of '{row['method']}' were made elsewhere, and their file is not here (--tables adds a folder)"
    if name not in plugins.generators:
        return f"the generator '{name}' (plugin {row['plugin']} {row['plugin_version']}) is not installed"
    plugin = plugins.generators.plugin_of(name)
    if (plugin.name, plugin.version) != (row["plugin"], row["plugin_version"]):
        wanted = f"{row['plugin']} {row['plugin_version']}"
        return f"the generator '{name}' comes from {wanted}, here from {plugin.name} {plugin.version}"
    return None
