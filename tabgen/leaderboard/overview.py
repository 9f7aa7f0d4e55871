"""The first look at a board: what it answers in a sentence, what it rests on, and the ranking's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from tabgen.arms import ARMS
from tabgen.leaderboard.boards import Board, date_of
from tabgen.made_elsewhere import FILE
from tabgen.statistics import Ranking
from tabgen.statistics.controls import KNOWN_BAD, REFERENCE
from tabgen.statistics.ruler import RULER
from tabgen.statistics.verdicts import FEWEST_DATASETS

Row = dict[str, Any]
Kind = Literal["baseline", "control", "reference", "generator", "tuned", "made elsewhere"]
KINDS: dict[Kind, str] = {
    "baseline": "no generator: the model as it comes, or the real rows alone",
    "control": "known to be bad, or bad by a known amount: checks the instrument",
    "reference": "a short generator of tabgen's own, to be beaten",
    "generator": "a generator with the settings that it comes with",
    "tuned": "a generator with other settings than those it comes with",
    "made elsewhere": "rows that somebody sent as a file; tabgen did not run what made them",
}
CONTROLS = (*KNOWN_BAD, RULER, "oracle")
REFERENCES_PLUGIN = "tabgen.references"
NAMED = 3
"""Names in a sentence; of more, their number is told."""


@dataclass(frozen=True)
class Column:
    """A column of the ranking: its name, what it means, which end is best, and whether it is shown on request only."""

    name: str
    meaning: str
    best: Literal["ascending", "descending"] = "descending"
    more: bool = False


COLUMNS = (
    Column(
        "method", "Generator, mixing and settings. Its page says what it is and how it did everywhere.", "ascending"
    ),
    Column(
        "possible ranks",
        "The ranks that the verdicts on all pairs leave possible, all at once at 95 %; the tick is the mean rank.",
        "ascending",
    ),
    Column("ties", "Methods that share a letter are not told apart from each other.", "ascending"),
    Column(
        "against real",
        "Whether a difference from the real rows alone can be claimed: signed-rank test over datasets, Holm-adjusted,"
        " behind an omnibus test.",
    ),
    Column(
        "worth, %",
        "How many real rows as context give the score that these rows give there, in percent of the real training rows"
        " (median over datasets).",
    ),
    Column("median gain, %", "Over the zero-shot score of the same fold, in percent of it: median over datasets."),
    Column("gain interval", "95 % bootstrap interval of the median gain, over datasets."),
    Column("mean rank", "Mean over datasets of the rank within each, 1 the best.", "ascending"),
    Column("seconds a cell", "Median wall time of a cell, all phases, on the machines that ran it.", "ascending"),
    Column("rank interval", "95 % bootstrap interval of the mean rank, over datasets.", "ascending", more=True),
    Column("worth interval", "95 % bootstrap interval of the worth, over datasets.", more=True),
    Column("spread, IQR", "Interquartile range of the gains over datasets.", "ascending", more=True),
    Column("spread, sd", "Standard deviation of the gains over datasets.", "ascending", more=True),
    Column("won/tied/lost", "Datasets on which it beats, ties with and loses to the real rows alone.", more=True),
    Column(
        "optimism", "Validation gain minus test gain: how much its choice of a step flatters it.", "ascending", True
    ),
)


def kind_of(row: Row) -> Kind:
    """What sort of method a row is of."""
    if row["generator"] is None:
        return "baseline"
    if row["generator"] == FILE:
        return "made elsewhere"
    if row["generator"] in CONTROLS:
        return "control"
    if ":" in row["method"]:
        return "tuned"
    return "reference" if row["plugin"] == REFERENCES_PLUGIN else "generator"


def against_real(ranking: Ranking) -> dict[str, tuple[str, float]]:
    """For every method that is compared with `real`: higher, lower or undecided, and the adjusted p.

    Empty where nothing may be claimed at all: a control failed, or datasets are too few.
    """
    if not _may_claim(ranking):
        return {}
    claimed = {v.method for v in ranking.verdicts if v.claims_difference and v.reference == REFERENCE}
    return {
        each.method: (
            ("higher" if each.higher else "lower") if each.method in claimed else "undecided",
            each.p_adjusted,
        )
        for each in ranking.tests.comparisons
        if each.reference == REFERENCE
    }


def _may_claim(ranking: Ranking) -> bool:
    gated = ranking.controls is not None and not ranking.controls.passed
    return not gated and len(ranking.pool.datasets) >= FEWEST_DATASETS


def headline(ranking: Ranking, kinds: Mapping[str, str]) -> list[str]:
    """What a board answers, in at most three sentences; the page's script says the same of what a filter leaves."""
    if ranking.controls is not None and not ranking.controls.passed:
        bad = [control.method for control in ranking.controls.methods if not control.below]
        return [f"No winner is named: {listed(bad)}, known to be bad, not below the real rows here."]
    datasets = len(ranking.pool.datasets)
    if datasets < FEWEST_DATASETS:
        return [f"Nothing can be claimed: {datasets} of the datasets can be ranked, and it takes {FEWEST_DATASETS}."]
    if REFERENCE not in ranking.pool.methods:
        return ["Nothing can be claimed of the real rows: they are not in this ranking."]
    words = against_real(ranking)
    makers = [r.method for r in ranking.methods if r.method in words and kinds[r.method] not in ("baseline", "control")]
    if not makers:
        return ["No generator is in this ranking."]
    found = {word: [m for m in makers if words[m][0] == word] for word in ("higher", "lower", "undecided")}
    higher = found["higher"]
    said = [
        f"Better than the real rows alone: {listed(higher)}."
        if higher
        else "No generator is shown to do better than the real rows alone."
    ]
    counts = f"{len(higher)} score higher, {len(found['lower'])} lower, {len(found['undecided'])} cannot be told apart"
    said.append(f"Of {len(makers)} that make rows: {counts}, on {datasets} datasets.")
    worth = {r.method: r.worth for r in ranking.methods if r.method in makers and r.worth is not None}
    if worth:
        best = max(worth, key=lambda method: round(worth[method].share, 6))
        said.append(
            f"Worth most as context: the rows of {best}, as much as {100 * worth[best].share:.0f} % of the real."
        )
    return said


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def facts(board: Board, ranking: Ranking, licence: str | None) -> list[tuple[str, str]]:
    """What the answer rests on: arm, resolution, controls, coverage, versions, days, licence of the rows."""
    pool = ranking.pool
    cells, ok = len(board.rows), sum(row["status"] == "ok" for row in board.rows)
    whole = len({row["dataset"] for row in board.rows})
    return [
        ("Use of the rows", f"{board.arm}: {ARMS[board.arm].summary}"),
        ("What it can see", _resolution(ranking)),
        ("Controls", _controls(ranking)),
        (
            "Coverage",
            f"{ok:,} of {cells:,} cells ended well; {len(pool.methods)} methods ranked on {len(pool.datasets)} of"
            f" {whole} datasets",
        ),
        ("Computed", f"{_days(board)}, by {_versions(board)}"),
        ("Licence of the rows", licence or "not stated by whoever built this site"),
    ]


def _resolution(ranking: Ranking) -> str:
    found = ranking.resolution
    if found is None:
        return "not measured: no doses of broken real rows (corrupted) were run"
    if found.detected is None:
        return f"none of the doses of broken {found.what} was noticed, on {found.datasets} datasets"
    return (
        f"real rows with {100 * found.detected:.0f} % of their {found.what} broken are noticed on {found.datasets}"
        " datasets; harm smaller than that may go unseen"
    )


def _controls(ranking: Ranking) -> str:
    if ranking.controls is None:
        return "none: nothing here is known to be bad"
    names = [control.method for control in ranking.controls.methods]
    if ranking.controls.passed:
        return f"passed: {listed(names)} below the real rows"
    return f"failed: {listed([c.method for c in ranking.controls.methods if not c.below])} not below the real rows"


def _days(board: Board) -> str:
    days = sorted({day for row in board.rows if (day := date_of(row)) is not None})
    if not days:
        return "on days that were not recorded"
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _versions(board: Board) -> str:
    versions = sorted({str(row["provenance"].get("tabgen")) for row in board.rows})
    protocols = sorted({row["protocol"] for row in board.rows})
    return f"tabgen {listed(versions)}, protocol {listed([str(p) for p in protocols])}"


def reach_of(ranking: Ranking, kinds: Mapping[str, str]) -> tuple[float, float]:
    """The scale of the bars of gains: zero, and every interval of a method that is no control."""
    ends = [
        end
        for record in ranking.methods
        if record.median_gain_interval is not None and kinds[record.method] != "control"
        for end in record.median_gain_interval
        if not pd.isna(end)
    ]
    return min([0.0, *ends]), max([0.0, *ends])
