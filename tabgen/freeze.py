"""An analysis frozen before its outcomes: what was planned, when, and whether a ranking is that or another one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabgen.arms import ARMS, first_shown
from tabgen.comparable import arms_of
from tabgen.errors import ExperimentError, StoreError, UnknownNameError
from tabgen.generator import BASELINES
from tabgen.outcome import hash_of

if TYPE_CHECKING:
    import pandas as pd

    from tabgen.statistics import Pair, Ranking

FILE, LOOKS = "freeze.json", "looks.jsonl"
ALPHA = 0.05
"""Family-wise error of the contrasts, where nothing else was frozen."""
REGION = 0.1
"""Half-width of practical equality in points, where nothing else was frozen."""


@dataclass(frozen=True)
class Freeze:
    """One planned analysis.

    Attributes
    ----------
    arm, metric, policy : str
        The one ranking that is confirmatory: use of the rows, score, and what is done about missing outcomes.
    contrasts : tuple of (str, str)
        The pairs of methods that are tested, as one family.
    region : float
        Half-width of practical equality in points.
    alpha : float
    cells : int
    cells_hash : str
        Number of the planned cells, and hash of their sorted keys: of all that can change a score.
    time : str
        When it was frozen, in UTC.
    outcomes_before : int
        Outcomes that the folder held then; with any of them nothing is confirmatory.
    """

    arm: str
    metric: str
    policy: str
    contrasts: tuple[tuple[str, str], ...]
    region: float
    alpha: float
    cells: int
    cells_hash: str
    time: str
    outcomes_before: int

    @property
    def hash(self) -> str:
        """SHA-256 of all of it."""
        return hash_of(asdict(self))

    def write(self, folder: Path) -> Path:
        """Write it into a run folder, once.

        Raises
        ------
        ExperimentError
            If an analysis is frozen there already.
        """
        path = folder / FILE
        if path.exists():
            raise ExperimentError(f"{path} is frozen already; an analysis is frozen once. Use another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self) | {"hash": self.hash}, indent=2) + "\n", encoding="utf-8")
        return path

    def departures(self, ranking: Ranking, outcomes: pd.DataFrame, filters: Sequence[str] = ()) -> list[str]:
        """How a ranking departs from what was frozen; empty if it is that one.

        Of an outcome only its day is known: one of the day of the freeze counts as later.

        Parameters
        ----------
        ranking : Ranking
        outcomes : DataFrame
            All that the folder holds.
        filters : sequence of str
            What some of them were left out by.
        """
        found = [
            f"{name} {mine}, frozen was {frozen}"
            for name, mine, frozen in (
                ("arm", ranking.arm, self.arm),
                ("metric", ranking.metric, self.metric),
                ("policy", ranking.policy, self.policy),
                ("region", ranking.rope, self.region),
                ("alpha", ranking.alpha, self.alpha),
            )
            if mine != frozen
        ]
        if filters:
            found.append(f"filtered by {', '.join(filters)}")
        elif hash_of(sorted(outcomes["key"])) != self.cells_hash:
            found.append(f"the {len(outcomes):,} cells that ended are not the {self.cells:,} that were planned")
        if self.outcomes_before:
            found.append(f"{self.outcomes_before:,} outcomes were there before it was frozen")
        day = self.time[:10]
        if older := sum(str(where.get("date") or "") < day for where in outcomes["provenance"]):
            found.append(f"{older:,} of {len(outcomes):,} outcomes are of a day before {day}, or of none")
        return found


def make_freeze(
    keys: Collection[str],
    methods: Sequence[str],
    *,
    arm: str,
    metric: str = "roc_auc",
    policy: str = "complete",
    contrasts: Sequence[tuple[str, str]] = (),
    region: float = REGION,
    alpha: float = ALPHA,
    outcomes_before: int = 0,
) -> Freeze:
    """An analysis of planned cells, frozen now; without contrasts, every method against `real`.

    Raises
    ------
    ExperimentError
        If a contrast names a method that is not planned, or a value is out of range.
    """
    from tabgen.statistics import POLICIES

    if arm not in ARMS:
        raise UnknownNameError("arm", arm, ARMS)
    if policy not in POLICIES:
        raise UnknownNameError("policy", policy, POLICIES)
    if not region >= 0 or not 0 < alpha < 1:
        raise ExperimentError(f"region={region}, alpha={alpha}: a region is at least 0 points, alpha between 0 and 1.")
    pairs = list(contrasts) or [(name, "real") for name in methods if name not in BASELINES]
    for name in [name for pair in pairs for name in pair]:
        if name not in methods:
            raise UnknownNameError("planned method", name, methods)
    if not pairs or any(a == b for a, b in pairs) or len(set(map(frozenset, pairs))) < len(pairs):
        raise ExperimentError("contrasts: at least one pair of two methods is due, and each pair once.")
    return Freeze(
        arm,
        metric,
        policy,
        tuple(pairs),
        float(region),
        float(alpha),
        len(set(keys)),
        hash_of(sorted(set(keys))),
        datetime.now(UTC).isoformat(timespec="seconds"),
        outcomes_before,
    )


def read_freeze(folder: Path) -> Freeze | None:
    """The analysis frozen in a run folder, or None.

    Raises
    ------
    StoreError
        If the file was changed since, or is no frozen analysis.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        told = values.pop("hash")
        values["contrasts"] = tuple((str(a), str(b)) for a, b in values["contrasts"])
        freeze = Freeze(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is no frozen analysis ({type(error).__name__}: {error}); remove or restore it."
        ) from error
    if freeze.hash != told:
        raise StoreError(f"{path} was changed after it was frozen: its hash is not that of its content; restore it.")
    return freeze


def region_of(freeze: Freeze | None) -> float:
    """The region of practical equality that an analysis has."""
    return REGION if freeze is None else freeze.region


def alpha_of(freeze: Freeze | None) -> float:
    """The error that an analysis has."""
    return ALPHA if freeze is None else freeze.alpha


def as_frozen(freeze: Freeze | None) -> dict[str, Any]:
    """What :func:`tabgen.results.rank_pools` has to be told to rank as it was frozen; nothing without an analysis."""
    told = ("metric", "policy", "alpha", "region")
    return {} if freeze is None else {name: getattr(freeze, name) for name in told}


def arm_shown(freeze: Freeze | None, outcomes: pd.DataFrame) -> str:
    """The arm that is shown first: the frozen one, if it was measured."""
    measured = arms_of(outcomes)
    return freeze.arm if freeze is not None and freeze.arm in measured else first_shown(measured)


@dataclass(frozen=True)
class Label:
    """What a ranking is: `confirmatory`, with the frozen contrasts, or `exploratory`, and why.

    `absent` are the frozen contrasts of which a method is not in the pool.
    """

    status: str
    why: list[str]
    frozen: str | None = None
    hash: str | None = None
    contrasts: list[Pair] = field(default_factory=list)
    absent: list[tuple[str, str]] = field(default_factory=list)
    region: float = REGION

    def sentences(self) -> list[str]:
        """The label, and of a confirmatory ranking each contrast."""
        if self.frozen is None:
            return [f"Exploratory: {'; '.join(self.why)}."]
        which = f"the analysis frozen at {self.frozen} (hash {str(self.hash)[:16]})"
        if self.status == "exploratory":
            return [f"Exploratory: not {which}: {'; '.join(self.why)}."]
        said = [f"Confirmatory: {which}. Its contrasts, as one family; all else here is exploratory."]
        for pair in self.contrasts:
            span = "" if pair.interval is None else f", interval {pair.interval.low:+.3f} .. {pair.interval.high:+.3f}"
            p = f"p = {pair.p:.3g} against no difference, {pair.p_equal:.3g} against one beyond {self.region:g} points"
            said.append(f"{pair.method} against {pair.other}: {pair.verdict} ({pair.estimate:+.3f} points{span}; {p}).")
        if self.absent:
            said.append(f"Not in this pool: {', '.join('/'.join(pair) for pair in self.absent)}.")
        return said


def labels_of(
    freeze: Freeze | None,
    rankings: Sequence[Ranking],
    outcomes: pd.DataFrame,
    filters: Sequence[str] = (),
    beside: Sequence[Path] = (),
) -> list[Label]:
    """Which rankings of a folder's outcomes are the frozen analysis, and the contrasts of those that are.

    The contrasts of all of them are one family. Where known bad controls are not below `real`, they are undecided.
    `beside` are folders with an analysis of their own, of several that are ranked together.
    """
    from tabgen.statistics import named_pairs

    if freeze is None:
        reason = "no analysis was frozen before (tabgen plan --freeze)"
        if beside:
            reason = f"several runs are ranked together; rank {beside[0]} alone for what was frozen there"
        return [Label("exploratory", [reason]) for _ in rankings]
    why = [freeze.departures(ranking, outcomes, filters) for ranking in rankings]
    named = [
        (place, pair)
        for place, ranking in enumerate(rankings)
        for pair in freeze.contrasts
        if not why[place] and set(pair) <= set(ranking.pool.methods) and len(ranking.gains)
    ]
    judged = named_pairs([(rankings[place], pair) for place, pair in named], alpha=freeze.alpha, region=freeze.region)
    tested = dict(zip(named, judged, strict=True))
    labels = []
    for place in range(len(rankings)):
        found = [pair for (at, _), pair in tested.items() if at == place]
        absent = [pair for pair in freeze.contrasts if not why[place] and (place, pair) not in tested]
        status = "exploratory" if why[place] else "confirmatory"
        labels.append(Label(status, why[place], freeze.time, freeze.hash, found, absent, freeze.region))
    return labels


def count_look(folders: Sequence[Path], look: dict[str, Any]) -> int:
    """Note that a ranking was looked at, and return how many different ones were, at any time, this one included.

    A folder that cannot be written keeps no count.
    """
    line = json.dumps(look, sort_keys=True)
    seen = {line}
    for folder in folders:
        path = folder / LOOKS
        with contextlib.suppress(OSError):
            known = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            seen |= set(known)
            if line not in known:
                with path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    return len(seen)
