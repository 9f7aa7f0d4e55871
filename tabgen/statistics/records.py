"""The records that make up a `Ranking`, and how it becomes JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from tabgen.statistics.components import Components, components_sentence
from tabgen.statistics.controls import Controls
from tabgen.statistics.pairs import Pair, band_letters, pairs_sentence
from tabgen.statistics.ranks import Duels, Interval
from tabgen.statistics.ruler import Resolution
from tabgen.statistics.scores import Incomplete, Policy
from tabgen.statistics.significance import FriedmanTest
from tabgen.statistics.verdicts import Comparison, Verdict

#: Fields of `MethodRecord` that depend on the machine.
MACHINE_FIELDS = ("seconds", "seconds_total", "peak_memory_mb")


Beyond = Literal["", "<", ">"]


def beyond(below: float, above: float) -> Beyond:
    """On which side of the learning curve's ends a worth lies, by the shares of its cells beyond each end."""
    return "<" if below > 0.5 else ">" if above > 0.5 else ""


@dataclass(frozen=True)
class WorthRecord:
    """What a method's rows are worth as context, in real rows: medians over datasets, folds averaged first.

    `share` is of all real training rows; `interval` is a bootstrap interval of it over datasets. `below` and `above`
    are the shares of cells whose worth lies beyond the learning curve's ends, where it counts as the end.
    """

    rows: float
    share: float
    interval: Interval | None
    below: float
    above: float

    @property
    def beyond(self) -> Beyond:
        """On which side of the curve's ends most cells lie."""
        return beyond(self.below, self.above)


@dataclass(frozen=True)
class MethodRecord:
    """What is known about one method. Gains and spreads are in percent of the zero-shot score ("points").

    `mean_rank`, `rank_set`, `wins`, `ties` and `losses` refer to the pool; they are None for a method excluded from it.
    `rank_set` holds the best and worst rank that the pairs' verdicts leave possible.
    `optimism` and `validation_test_disagreement` are medians over the pool's datasets, seconds (per phase and
    in total) and peak memory medians over the `ok` cells of those datasets.
    """

    method: str
    mean_rank: float | None
    mean_rank_interval: Interval | None
    median_gain: float | None
    median_gain_interval: Interval | None
    spread_iqr: float | None
    spread_sd: float | None
    wins: int | None
    ties: int | None
    losses: int | None
    optimism: float | None
    validation_test_disagreement: float | None
    cells: int
    cells_ok: int
    statuses: dict[str, int]
    seconds: dict[str, float]
    seconds_total: float | None
    peak_memory_mb: float | None
    worth: WorthRecord | None = None
    rank_set: tuple[int, int] | None = None


@dataclass(frozen=True)
class PairRecord:
    """Two methods over the pool's datasets; `p_holm` is adjusted over all pairs, `p_nemenyi` needs three."""

    method: str
    other: str
    wins: int
    ties: int
    losses: int
    median_difference: float
    p: float
    p_holm: float
    p_nemenyi: float | None


@dataclass(frozen=True)
class Tests:
    """The tests behind the verdicts. `nemenyi_groups` is empty unless the omnibus test rejects."""

    friedman: FriedmanTest | None
    post_hoc_allowed: bool
    critical_difference: float | None
    nemenyi_groups: list[list[str]]
    comparisons: list[Comparison]
    smallest_attainable_p: float | None
    smallest_attainable_p_all_pairs: float | None


@dataclass(frozen=True)
class Pool:
    """Who was compared on what. Ranks, wins and adjusted p-values hold for this pool and no other.

    `excluded_methods` cover too little of the grid, `outside` are the datasets beyond it; `coverage` counts the
    datasets of the grid on which each method finished, or under the policies that make values up, was run.
    """

    datasets: list[str]
    methods: list[str]
    folds: dict[str, int]
    dropped_datasets: list[str]
    excluded_methods: list[str]
    incomplete: list[Incomplete]
    outside: list[str]
    coverage: dict[str, int]


@dataclass(frozen=True)
class Ranking:
    """The result of `summary`.

    Besides the records: `components` is the noise behind the minimum detectable effect, `kept_start` the share of
    fine-tuning runs that kept step 0 (None in the other arms); `pairs` judges all pairs at once, `bands` are the
    maximal groups of methods of which no two are told apart; `gains` and `validation_gains` are (datasets, methods) of
    the pool in points, `gains_low` and `gains_high` the lowest and highest fold of each, `ranks` the ranks within each
    dataset.
    """

    arm: str
    controls: Controls | None
    resolution: Resolution | None
    components: Components | None
    kept_start: float | None
    metric: str
    policy: Policy
    alpha: float
    rope: float
    seed: int
    methods: list[MethodRecord]
    tests: Tests
    pairwise: list[PairRecord]
    pairs: list[Pair]
    bands: list[list[str]]
    verdicts: list[Verdict]
    pool: Pool
    gains: pd.DataFrame = field(repr=False)
    gains_low: pd.DataFrame = field(repr=False)
    gains_high: pd.DataFrame = field(repr=False)
    validation_gains: pd.DataFrame = field(repr=False)
    ranks: pd.DataFrame = field(repr=False)
    duels: Duels = field(repr=False)

    def sentences(self, undecided: bool = True) -> list[str]:
        """The verdicts as text, those that decide nothing last or left out, and how many pairs are decided."""
        said = [verdict.sentence for verdict in self.verdicts if not verdict.undecided]
        said += [pairs_sentence(self.pairs, self.rope)] if self.pairs else []
        return said + [verdict.sentence for verdict in self.verdicts if verdict.undecided and undecided]

    def letters(self) -> dict[str, str]:
        """The bands of ties of every method, a letter each."""
        return band_letters(self.bands)

    def noise(self) -> list[str]:
        """What this pool can detect and where its noise comes from, and how often fine-tuning changed nothing."""
        said = [] if self.components is None else [components_sentence(self.components)]
        if self.kept_start is not None:
            said.append(f"{self.kept_start:.0%} of the fine-tuning runs kept step 0: the model as it came.")
        return said

    def _components(self, times: bool) -> dict[str, Any] | None:
        """Without times the ways to halve are in the order of sources, not of their cost."""
        if self.components is None:
            return None
        data = asdict(self.components)
        if not times:
            ways = [{name: way[name] for name in ("source", "now", "then")} for way in data["halvings"]]
            data["halvings"] = sorted(ways, key=lambda way: str(way["source"]))
        return data

    def to_dict(self, times: bool = True) -> dict[str, Any]:
        """JSON-serialisable data, NaN and infinities as None; the same outcomes always give the same data.

        With `times=False` seconds and memory, which differ from machine to machine, are left out.
        """
        methods = [asdict(record) for record in self.methods]
        if not times:
            for record in methods:
                for name in MACHINE_FIELDS:
                    del record[name]
        omnibus = self.tests.friedman
        tests = asdict(self.tests) | {"friedman": None if omnibus is None else asdict(omnibus) | {"p": omnibus.p}}
        data: Any = {
            "arm": self.arm,
            "controls": None if self.controls is None else asdict(self.controls),
            "resolution": None if self.resolution is None else asdict(self.resolution),
            "components": self._components(times),
            "kept_start": self.kept_start,
            "metric": self.metric,
            "policy": self.policy,
            "alpha": self.alpha,
            "rope": self.rope,
            "seed": self.seed,
            "methods": methods,
            "tests": tests,
            "pairwise": [asdict(pair) for pair in self.pairwise],
            "pairs": [asdict(pair) for pair in self.pairs],
            "bands": self.bands,
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "pool": asdict(self.pool),
            "datasets": [
                {"dataset": str(dataset), "gains": dict(zip(map(str, self.gains.columns), row, strict=True))}
                for dataset, row in zip(self.gains.index, self.gains.to_numpy(dtype=float).tolist(), strict=True)
            ],
        }
        result: dict[str, Any] = plain(data)
        return result


def plain(data: Any) -> Any:
    """Nested dicts and lists of str, int, float, bool and None only."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        # A NamedTuple says its field names better than positions would.
        return plain(data._asdict()) if hasattr(data, "_asdict") else [plain(value) for value in data]
    if isinstance(data, (bool, np.bool_)):
        return bool(data)
    if isinstance(data, (int, np.integer)):
        return int(data)
    if isinstance(data, (float, np.floating)):
        return float(data) if math.isfinite(data) else None
    return data
