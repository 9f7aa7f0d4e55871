"""Outcomes as a DataFrame: what statistics, figures and users read."""

from __future__ import annotations

import json
import re
import shlex
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from tabgen.arms import ARMS, first_shown
from tabgen.comparable import Pool, Ranked, arms_of, difference_of, in_arm, pools, stand_ins, whole_pools
from tabgen.errors import ExperimentError, StoreError, TableWarning, UnknownNameError
from tabgen.models import DEFAULT_MODEL
from tabgen.store import Store
from tabgen.text import counted

if TYPE_CHECKING:
    from tabgen.statistics import Answer, Policy


def keep(
    outcomes: pd.DataFrame,
    suite: str | None = None,
    methods: Sequence[str] | None = None,
    max_train_rows: int | None = None,
) -> pd.DataFrame:
    """The outcomes of one suite, of these methods, or of this cap on training rows (0: those without).

    Raises
    ------
    ExperimentError
        If a method named here has no outcome, or nothing is left.
    """
    if methods is not None:
        for method in methods:
            if method not in set(outcomes["method"]):
                raise UnknownNameError("method in this run", method, outcomes["method"].unique())
        outcomes = outcomes[outcomes["method"].isin(methods)]
    outcomes = _only(outcomes, outcomes["suite"], suite, "suite")
    caps = outcomes["max_train_rows"].fillna(0).astype(int)
    outcomes = _only(outcomes, caps, max_train_rows, "cap on training rows")
    if outcomes.empty:
        raise ExperimentError("no outcome is left after these filters.")
    return outcomes


def _only(outcomes: pd.DataFrame, values: pd.Series[Any], wanted: Any, what: str) -> pd.DataFrame:
    """The outcomes with this value, or all if none is wanted."""
    if wanted is None:
        return outcomes
    if not (values == wanted).any():
        there = ", ".join(map(str, sorted(values.unique())))
        raise ExperimentError(f"no outcome is left: none has the {what} {wanted}; there are: {there}.")
    kept: pd.DataFrame = outcomes[values == wanted]
    return kept


def rank_pools(
    outcomes: pd.DataFrame,
    metric: str = "roc_auc",
    policy: Policy = "complete",
    alpha: float = 0.05,
    arms: Sequence[str] | None = None,
    higher_better: bool | None = None,
    region: float = 0.1,
) -> list[Ranked]:
    """The ranking of every pool of these outcomes in every arm that it measured, or in these arms."""
    from tabgen.statistics import summary
    from tabgen.statistics.verdicts import REFERENCES

    found = []
    for pool in pools(outcomes):
        for arm in arms or arms_of(pool.outcomes):
            part = in_arm(pool.outcomes, arm)
            ranking = None
            if has_scores(part):
                references = REFERENCES if ARMS[arm].tunes else REFERENCES[:1]
                ranking = summary(
                    part, metric, policy, alpha, region, references=references, higher_better=higher_better, arm=arm
                )
            if len(part):
                found.append(Ranked(replace(pool, outcomes=part), arm, ranking, pool))
    return found


def answers(of: Iterable[Pool], alpha: float = 0.05) -> list[tuple[Pool, Answer]]:
    """For every pool of one table, all its arms: what to do with it."""
    from tabgen.statistics import answer

    found = ((pool, answer(pool.outcomes, alpha=alpha)) for pool in of)
    return [(pool, each) for pool, each in found if each is not None]


def next_line(answer: Answer, outcomes: pd.DataFrame) -> str:
    """The command to type next: rows for the use that is recommended, or the measurement that is missing."""
    first = outcomes.iloc[0]
    path = str(first["path"]) if first.get("path") else "FILE"
    flags = _flags(first["kinds"], first["reading"])
    data = shlex.join(["--data", path, "--target", str(first["target"]), *flags])
    if str(first["model"]) != DEFAULT_MODEL:
        data += f" --model {shlex.quote(str(first['model']))}"
    if answer.recommendation == "use" and answer.method != "real":
        mine = outcomes[outcomes["method"] == answer.method].iloc[0]
        settings = ",".join(f"{name}={_said(value)}" for name, value in dict(mine["settings"]).items())
        name = f"{mine['generator']}{':' if settings else ''}{settings}"
        rows = round(float(mine["ratio"]) * answer.n_train)
        return f"tabgen{_plugin(mine)} generate {shlex.quote(name)} {data} --rows {rows} -o synthetic.csv"
    if answer.recommendation == "undecided" and not any(c.arm == "fine-tune" for c in answer.candidates):
        methods = list(dict.fromkeys(c.method for c in answer.candidates if not c.control))[:3]
        if not methods:
            return ""
        plugin = max(map(_plugin, (outcomes[outcomes["method"] == m].iloc[0] for m in methods)), default="")
        names = ["real", *(re.sub(r" \([^()]*\)$", "", method).replace(",", ";") for method in methods)]
        return (
            f"tabgen{plugin} run {data}{_regime(outcomes)} --arms fine-tune"
            f" --methods {shlex.quote(','.join(dict.fromkeys(names)))} -o DIR"
            " (fine-tuning on the best of them was not measured)"
        )
    return ""


def _regime(outcomes: pd.DataFrame) -> str:
    """Folds, repeats, caps and recipe of a run of one table, where they are not what a run has by default."""
    from tabgen.spec import REPEATS, ExperimentSpec

    first, usual = outcomes.iloc[0], {name: field.default for name, field in ExperimentSpec.model_fields.items()}
    recipe = outcomes.loc[outcomes["mixing"] != "none", "recipe"].map(lambda each: each.get("name"))
    told = {
        "folds": (int(first["n_folds"]), usual["folds"]),
        "seeds": (outcomes["split_seed" if "split_seed" in outcomes.columns else "seed"].nunique(), REPEATS),
        "max-train-rows": (_cap(first["max_train_rows"]), usual["max_train_rows"][0]),
        "max-test-rows": (_cap(first["max_test_rows"]), usual["max_test_rows"]),
        "recipe": (recipe.iloc[0] if len(recipe) else None, usual["recipe"][0]),
    }
    other = {name: mine for name, (mine, by_default) in told.items() if mine not in (by_default, None)}
    return "".join(f" --{name} {shlex.quote(str(mine))}" for name, mine in other.items())


def _cap(value: Any) -> int:
    """A cap as it is said: 0 for none."""
    return 0 if value is None or pd.isna(value) else int(value)


def _said(value: Any) -> str:
    """A setting as it is said of a method: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _plugin(outcome: pd.Series[Any]) -> str:
    """The flag that a generator of a file needs, whose path no outcome tells."""
    return " --plugin FILE" if str(outcome["plugin_version"]).startswith("sha256:") else ""


def _flags(kinds: Any, reading: Any) -> list[str]:
    """Kinds of columns and how a file was read as they are said on the command line."""
    flags = []
    for column, kind in dict(kinds or {}).items():
        flags += ["--drop", column] if kind == "drop" else ["--kind", f"{column}={kind}"]
    for name, value in dict(reading or {}).items():
        if name == "day_first":
            flags.append("--day-first" if value else "--month-first")
        else:
            for each in value if isinstance(value, list) else [value]:
                flags += [f"--{name}", str(each)]
    return flags


def default_arm(outcomes: pd.DataFrame) -> str:
    """The arm of these outcomes that is shown first."""
    return first_shown(arms_of(outcomes))


def has_scores(outcomes: pd.DataFrame) -> bool:
    """Whether any cell of these ended with a score."""
    return bool((outcomes["status"] == "ok").any())


def reasons(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Why cells ended without a score: status, reason, how many cells, of which methods and datasets; most cells first.

    Reasons that differ in numbers only, such as the fold, are one.
    """
    failed = outcomes[outcomes["status"] != "ok"]
    alike = failed["reason"].str.replace(r"\d+(\.\d+)?", "#", regex=True)
    groups = failed.groupby([failed["status"], alike], sort=False)
    rows = [
        {
            "status": part["status"].iloc[0],
            "reason": part["reason"].iloc[0],
            "cells": len(part),
            "methods": ", ".join(dict.fromkeys(part["method"])),
            "datasets": ", ".join(dict.fromkeys(part["dataset"])),
        }
        for _, part in groups
    ]
    found = pd.DataFrame(rows, columns=["status", "reason", "cells", "methods", "datasets"])
    return found.sort_values("cells", ascending=False, kind="stable", ignore_index=True)


def gains_side_by_side(ranked: Sequence[Ranked], by: Literal["arm", "pool"]) -> pd.DataFrame:
    """Median gain of every method (rows) in every arm or pool (columns); NaN where it was not ranked."""
    return pd.DataFrame(
        {
            each.arm if by == "arm" else each.pool.name: {r.method: r.median_gain for r in each.ranking.methods}
            for each in ranked
            if each.ranking is not None
        },
        dtype=float,
    )


def same_rows_in_words(outcomes: pd.DataFrame) -> str:
    """Which methods of a pool have no line of their own where nothing is fine-tuned; empty if none."""
    under: dict[str, list[str]] = {}
    for method, other in stand_ins(outcomes).items():
        under.setdefault(other, []).append(method)
    told = [f"{', '.join(methods)} under {other}" for other, methods in under.items()]
    return f"Where the model is not fine-tuned, methods with the same rows are one: {'; '.join(told)}." if told else ""


FLAGGED = 0.1
"""Share of cells from which untrained rows are a matter of the method."""
NAMED = 3
"""Datasets that a sentence names; the others are counted."""

CLOSENESS = {
    "adequacy_tstr": "TSTR",
    "fidelity_column_shapes": "column shapes",
    "fidelity_pair_trends": "pair trends",
    "fidelity_detection_auc": "detection AUC",
    "privacy_closer_to_train": "closer to train",
    "privacy_exact_copies": "exact copies",
    "privacy_copied_texts": "copied texts",
}
"""Columns of an outcome that say how close the synthetic table is to the real one, and what tables call them."""


def closeness(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Median over cells of each method's fidelity and privacy: one row per method that draws rows.

    Empty where it was not measured.
    """
    measured = [name for name in CLOSENESS if name in outcomes.columns]
    return outcomes.groupby("method")[measured].median().dropna(how="all").rename(columns=CLOSENESS)


def closeness_of(ranked: Sequence[Ranked]) -> pd.DataFrame:
    """:func:`closeness` of all that was ranked, under the names by which its pools tell methods apart."""
    parts = [pool.outcomes for pool in whole_pools(ranked)]
    outcomes = pd.concat(parts) if parts else pd.DataFrame({"method": []})
    return closeness(outcomes[~outcomes.index.duplicated()])  # what needs no recipe is in the pool of each


@dataclass(frozen=True)
class Untrained:
    """A method whose rows teach next to nothing of labels that the real rows teach well (:mod:`tabgen.adequacy`).

    Attributes
    ----------
    method : str
    cells : int
        In how many cells its rows are so.
    of : int
        Cells in which that could be said: the real rows teach the label well there.
    datasets : tuple of str
        Of those cells.
    control : bool
        Whether the method is known to be bad, so that nothing else was to be expected.
    """

    method: str
    cells: int
    of: int
    datasets: tuple[str, ...]
    control: bool

    @property
    def often(self) -> bool:
        """Whether it is so in too many cells for chance."""
        return self.cells >= FLAGGED * self.of

    def __str__(self) -> str:
        if self.control:
            return f"'{self.method}' is untrained in {self.cells} of {self.of} cells, as a control should be."
        told = "a forest learns next to nothing from its rows there, where the real rows teach it well."
        told += " Its place says little of the method." if self.often else " So few can be chance."
        some, more = ", ".join(self.datasets[:NAMED]), len(self.datasets) - NAMED
        where = f"{some} and {more} more" if more > 0 else some
        return f"'{self.method}' is untrained in {self.cells} of {self.of} cells ({where}): {told}"


def joined(*sources: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows of several sources by their keys: what ended `ok` before what failed, of equals the first.

    Warns
    -----
    TableWarning
        If sources tell the scores of a cell otherwise.
    """
    rows: dict[str, dict[str, Any]] = {}
    told = 0
    for row in chain.from_iterable(sources):
        first = rows.setdefault(row["key"], row)
        if first is row or row["status"] != "ok":
            continue
        if first["status"] == "ok":
            told += difference_of(first, row) is not None
        else:
            rows[row["key"]] = row
    if told:
        warnings.warn(
            f"{counted(told, 'cell')} told with other scores by a later source: those of the first are shown;"
            " `tabgen leaderboard merge` names them.",
            TableWarning,
            stacklevel=2,
        )
    return rows


def untrained(outcomes: pd.DataFrame) -> list[Untrained]:
    """The methods whose rows are at chance in some cell, in order of their names; none where it was not measured."""
    from tabgen.adequacy import LEARNABLE
    from tabgen.statistics.controls import known_bad

    if not {"adequacy_untrained", "adequacy_real"} <= set(outcomes.columns):
        return []
    judged = outcomes[outcomes["adequacy_real"] >= LEARNABLE]
    bad = set(known_bad(outcomes))
    found = []
    for method, mine in judged.groupby("method"):
        flagged = mine[mine["adequacy_untrained"] == 1]
        if len(flagged):
            datasets = tuple(dict.fromkeys(flagged["dataset"]))
            found.append(Untrained(str(method), len(flagged), len(mine), datasets, method in bad))
    return found


def load_results(*sources: str | Path) -> pd.DataFrame:
    """All outcomes of these run folders, bundles (``.zip``) or boards' downloads (``results.jsonl``), one row per cell.

    Columns: ``dataset``, ``fold``, ``seed``, ``method``, ``status``, ``reason``; scores named
    ``{zero_shot|tuned}_{validation|test}_{metric}``; ``seconds_<phase>``, ``peak_memory_mb``; hashes and
    provenance. A key that several sources hold counts once.

    Raises
    ------
    StoreError
        If a folder holds no run, or nothing was stored yet.
    DataError
        If a file is not to be trusted.
    """
    from tabgen.leaderboard.bundle import read_rows

    found = []
    for source in map(Path, sources):
        if source.is_file() or (source.suffix.lower() in (".zip", ".jsonl") and not source.exists()):
            found.append(read_rows(source))
        else:
            with Store(source) as store:
                found.append(list(store.outcomes()))
    rows = joined(*found)
    if not rows:
        raise StoreError(f"no cell has ended yet in {', '.join(map(str, sources))}.")
    return pd.DataFrame(list(rows.values()))
