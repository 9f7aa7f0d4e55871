"""Re-running a sample of someone's cells here, and comparing the scores."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any

from scipy.stats import t

from tabgen import fidelity
from tabgen.arms import ARMS
from tabgen.comparable import scores_of
from tabgen.datasets import Dataset, Suite
from tabgen.engines import EngineSettings
from tabgen.experiment import Limits
from tabgen.leaderboard.check import PARTS, name_of, unfounded
from tabgen.leaderboard.schema import published
from tabgen.made_elsewhere import FILE
from tabgen.outcome import PROTOCOL_VERSION, Cell, key_of
from tabgen.plugins import PluginChoice, Plugins

Row = dict[str, Any]
#: How cells can end that do not depend on how fast or large the machine is.
REPEATABLE = ("ok", "unsupported", "invalid_output", "error")
TOLERANCE = {"cpu": 0.001, "cuda": 0.01}
"""Largest difference of a score, by the device that runs the cell again; what the row claims of its own has no say."""
STEPWISE, STEP = ("accuracy", "balanced_accuracy", "calibration_error"), 0.01
"""Metrics that move by a whole row at once, which another kernel can tip; and what they may differ by on any device."""
BY_SDMETRICS = ("fidelity_", "privacy_")
MEASURES = (*BY_SDMETRICS, "adequacy_")
"""Measures of a sample of rows; they move by whole rows too."""
DERIVED = "adequacy_untrained"
"""Follows from the other measures (:func:`tabgen.leaderboard.check.unfounded`), and may tip within their tolerance."""
TESTED = tuple(arm.stage for arm in ARMS.values())
ALPHA = 0.01
"""Chance that honest rows fail the test of the mean signed difference."""
NOISE_DECIMALS = 6
"""Differences are rounded to so many decimals before that test, as gains are before they are ranked."""
MOST_UNVERIFIED = 0.2
"""Share of all rows that may be out of reach here."""


@dataclass(frozen=True)
class Rerun:
    """One cell that was run again: its name, whether it came out the same, and claimed minus found of each score."""

    name: str
    reproduced: bool
    detail: str
    gaps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bias:
    """The mean signed difference of one metric over the cells that were run again, and its Student t-test against 0."""

    metric: str
    mean: float
    p: float


@dataclass(frozen=True)
class Verification:
    """What came of a sample of all rows.

    Attributes
    ----------
    rows, drawn, seed : int
        How many rows there are, how many were drawn, and by which seed: whoever repeats it draws the same.
    reruns : list of Rerun
        The drawn cells that could be run again; the others count as not verified.
    out_of_reach : dict of str to int
        Of all rows: why they cannot be run here, and how many.
    """

    rows: int
    drawn: int
    seed: int
    reruns: list[Rerun]
    out_of_reach: dict[str, int]

    @property
    def unverified(self) -> float:
        """Share of all rows that cannot be run here."""
        return sum(self.out_of_reach.values()) / self.rows

    @property
    def biases(self) -> list[Bias]:
        """Metrics whose claims lie off to one side, although each by itself may be within the tolerance."""
        found = signed_differences([rerun.gaps for rerun in self.reruns])
        return [bias for bias in found if bias.p <= ALPHA / len(found)]

    @property
    def passed(self) -> bool:
        reproduced = bool(self.reruns) and all(rerun.reproduced for rerun in self.reruns)
        return reproduced and not self.biases and self.unverified <= MOST_UNVERIFIED

    def sentence(self) -> str:
        told = f"reproduced {sum(rerun.reproduced for rerun in self.reruns)}/{len(self.reruns)}"
        if self.drawn > len(self.reruns):
            told += f", {self.drawn - len(self.reruns)} not verified"
        return f"{told} of {self.drawn} drawn from {self.rows:,} rows with --seed {self.seed}"

    def objections(self) -> list[str]:
        """What keeps it from passing, beside cells that came out differently."""
        told = [
            f"claims of {bias.metric} lie {bias.mean:+.2g} off in the mean (Student's t-test against 0:"
            f" p = {bias.p:.2g}, at alpha {ALPHA} over all metrics)"
            for bias in self.biases
        ]
        if self.unverified > MOST_UNVERIFIED:
            told.append(f"{self.unverified:.0%} of all rows cannot be run here; at most {MOST_UNVERIFIED:.0%} may")
        return told


def signed_differences(gaps: Sequence[dict[str, float]]) -> list[Bias]:
    """Per metric the mean over cells of claimed minus found on test rows, tested against 0 (Student, two-sided).

    Within a cell the arms of a metric are averaged first, zero-shot left out: cells are the unit. Differences are
    rounded to `NOISE_DECIMALS`; where all of them are equal, p is 0, or 1 if they are 0.
    """
    by_metric: dict[str, list[float]] = {}
    for cell in gaps:
        mine: dict[str, list[float]] = {}
        for score, gap in cell.items():
            stage, split, metric = score.partition("_test_")
            if split and stage in TESTED:
                mine.setdefault(metric, []).append(gap)
        for metric, values in mine.items():
            by_metric.setdefault(metric, []).append(round(fmean(values), NOISE_DECIMALS))
    return [Bias(metric, fmean(values), _p_of_mean(values)) for metric, values in sorted(by_metric.items())]


def _p_of_mean(values: list[float]) -> float:
    if len(set(values)) == 1:
        return 1.0 if values[0] == 0 or len(values) < 2 else 0.0
    spread = stdev(values) / len(values) ** 0.5
    return float(2 * t.sf(abs(fmean(values)) / spread, len(values) - 1))


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
    """Run ``sample`` cells, drawn from all of these rows, with what is installed here, and compare.

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
    limited = {"limits": asdict(limits or Limits())}
    times_seen = Counter(row["key"] for row in rows)
    reasons = [
        "its key comes more than once" if times_seen[row["key"]] > 1 else _out_of_reach(row, plugins, datasets, tables)
        for row in rows
    ]
    drawn = random.Random(seed).sample(range(len(rows)), min(sample, len(rows)))
    claimed = {rows[place]["key"]: rows[place] for place in drawn if reasons[place] is None}
    mine = [
        row
        | limited
        | {
            "path": str(datasets[row["sha256"]].path),
            "model_plugin_version": plugins.model_version(row["model"]),  # rows of before do not tell it
            "rows_path": str(tables.get(row.get("rows_sha256") or "", "")),
        }
        for row in claimed.values()
    ]
    reruns = []
    with tempfile.TemporaryDirectory() as folder:
        engine = plugins.engines["local"](EngineSettings(choice, Path(folder), workers=1))
        for cell, computed in engine.run([Cell.from_dict(row) for row in mine]):
            rerun = compare(claimed[cell.key], published(computed.to_dict()))
            told(rerun)
            reruns.append(rerun)
    out_of_reach = Counter(reason for reason in reasons if reason)
    return Verification(len(rows), len(drawn), seed, reruns, dict(out_of_reach))


def compare(row: Row, computed: Row) -> Rerun:
    """A row against what its cell came to here."""
    name = name_of(row)
    if computed["status"] != row["status"]:
        return Rerun(name, False, f"claimed {row['status']}, here {computed['status']}: {computed['reason']}")
    claimed, found = scores_of(row), scores_of(computed)
    if row["status"] == "ok":
        if any(row.get(part) != computed.get(part) for part in ("split_hash", *PARTS)):
            return Rerun(name, False, "its rows were split otherwise here")
        if claimed.keys() != found.keys():
            differing = sorted(claimed.keys() ^ found.keys())
            return Rerun(name, False, f"not the same scores on both sides: {', '.join(differing[:3])}")
        for message in unfounded(row):  # worth follows from its curve, which is compared
            return Rerun(name, False, message)
        claimed, found = claimed | measures_of(row), found | measures_of(computed)
        lacking = sorted(measure for measure in claimed.keys() - found.keys() if _is_measured_here(measure))
        if lacking:
            return Rerun(name, False, f"not measured here, though it could be: {', '.join(lacking[:3])}")
    gaps = {score: claimed[score] - found[score] for score in claimed.keys() & found.keys()}
    if not gaps:
        return Rerun(name, True, f"ended as {row['status']} again")
    device = computed.get("device") or "cpu"
    worst = max(sorted(gaps), key=lambda score: abs(gaps[score]) / tolerance_of(score, device))
    allowed = tolerance_of(worst, device)
    detail = f"largest difference {gaps[worst]:+.2g} ({worst}); allowed {allowed:g} on this machine's {device}"
    if unseen := claimed.keys() - found.keys():
        detail += f"; not compared, as SDMetrics is not installed here: {len(unseen)} measures of fidelity and privacy"
    return Rerun(name, abs(gaps[worst]) <= allowed, detail, gaps)


def measures_of(row: Row) -> dict[str, float]:
    """What a row says beside its scores: fidelity, privacy, adequacy, and each point of the curve of worth."""
    single = {n: v for n, v in row.items() if n.startswith(MEASURES) and n != DERIVED and v is not None}
    points = zip(row.get("curve_worth_rows") or (), row.get("curve_worth_score") or (), strict=False)
    return single | {f"curve_worth_score at {rows:g}": score for rows, score in points}


def _is_measured_here(measure: str) -> bool:
    return fidelity.available() or not measure.startswith(BY_SDMETRICS)


def tolerance_of(score: str, device: str) -> float:
    """What a score or measure may differ by where the cell is run again on this device."""
    stepwise = score.startswith(MEASURES) or score.endswith(tuple(f"_{metric}" for metric in STEPWISE))
    least = STEP if stepwise else 0.0
    return max(least, TOLERANCE.get(device, max(TOLERANCE.values())))


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
    version, here = row.get("model_plugin_version"), plugins.model_version(row["model"])
    if version not in (None, here):
        return f"the model '{row['model']}' comes from {version} of its plugin, here from {here or 'none'}"
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
