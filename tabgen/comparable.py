"""What may be ranked together, and what tells datasets and methods of one name apart: the one rule of every ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tabgen.arms import ARMS
from tabgen.errors import ExperimentError
from tabgen.made_elsewhere import FILE, MARK
from tabgen.outcome import CELL_FIELDS, Cell, canonical_json, hash_of, method_identity

if TYPE_CHECKING:
    from tabgen.statistics import Ranking

COMPARABLE = ("model", "checkpoint", "n_folds", "max_train_rows", "max_test_rows", "protocol")
"""Outcomes that differ in one of these are not ranked together."""
DRAWS = 1000
"""Draws of a seed at most: each counts as a seed of its own."""


@dataclass(frozen=True)
class Pool:
    """Outcomes that may be ranked together: one row for each dataset, fold, method and seed.

    Attributes
    ----------
    name : str
        What sets it apart from the other pools of the same outcomes.
    max_train_rows : int or None
        The cap on training rows, None for none.
    outcomes : pandas.DataFrame
        With names of datasets and methods that tell apart what is different.
    """

    name: str
    max_train_rows: int | None
    outcomes: pd.DataFrame


@dataclass(frozen=True)
class Ranked:
    """A pool under one arm, and its ranking; None where no cell has a score there. ``whole``: the pool in all arms."""

    pool: Pool
    arm: str
    ranking: Ranking | None
    whole: Pool


def whole_pools(ranked: Sequence[Ranked]) -> list[Pool]:
    """The pools that were ranked, each once and in all its arms."""
    return list({id(each.whole): each.whole for each in ranked}.values())


def pools(outcomes: pd.DataFrame) -> list[Pool]:
    """The pools that these outcomes make, smallest cap on training rows first, none last; then the largest first.

    Where one dataset or method name stands for two things within a pool (another file or target; another version of
    the plugin, other settings), the name says which.

    Raises
    ------
    ExperimentError
        If two outcomes of one cell remain that nothing tells apart.
    """
    outcomes = _with_defaults(outcomes)
    settings = pd.Series(
        [canonical_json(row) for row in outcomes[list(COMPARABLE)].astype(object).to_numpy().tolist()], outcomes.index
    )
    parts: list[pd.DataFrame] = []
    for _, group in outcomes.groupby(settings, sort=False):
        parts += _by_recipe(_distinct_datasets(group))
    parts = [_distinct_methods(part) for part in parts]
    parts.sort(key=lambda part: (*_cap_order(part), -len(part), str(part["key"].iloc[0])))
    return [Pool(name, _cap(part), part) for name, part in zip(_names(parts), parts, strict=True)]


def arms_of(outcomes: pd.DataFrame) -> list[str]:
    """The arms that any of these outcomes measured, in their order."""
    asked = {arm for arms in outcomes["arms"] for arm in arms} if "arms" in outcomes.columns else {next(iter(ARMS))}
    return [arm for arm in ARMS if arm in asked]


def in_arm(outcomes: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The outcomes of one pool that measured this arm.

    Where the model is not fine-tuned, methods that draw the same rows are one method, under the shortest of their
    names, and so are the two baselines: real rows as context are zero-shot prediction.
    """
    asked = outcomes["arms"].map(lambda arms: arm in arms)
    outcomes = outcomes[asked]
    if ARMS[arm].tunes or outcomes.empty:
        return outcomes
    baseline = outcomes["generator"].isna()
    if (outcomes.loc[baseline, "method"] == "real").any():
        outcomes = outcomes[~(baseline & (outcomes["method"] == "zero-shot"))]
    else:
        outcomes = outcomes.assign(method=outcomes["method"].where(~baseline, "real"))
    rows = outcomes[outcomes["generator"].notna()].drop_duplicates("method")
    same: dict[str, list[str]] = {}
    for row in _dicts(rows):
        cell = Cell.from_dict(row)
        identity = method_identity(cell) | {"generator": cell.rows_of, "mixing": None}
        same.setdefault(canonical_json(identity), []).append(cell.method)
    first = {name for names in same.values() for name in sorted(names, key=lambda n: (len(n), n))[:1]}
    return outcomes[outcomes["generator"].isna() | outcomes["method"].isin(first)]


def _with_defaults(outcomes: pd.DataFrame) -> pd.DataFrame:
    """What rows of earlier stores lack, and each draw as a seed of its own."""
    fields: dict[str, Any] = {"kinds": {}, "reading": {}, "text": "nearest", "environment": None, "rows_of": None}
    absent: dict[str, Any] = {
        name: [value] * len(outcomes) for name, value in fields.items() if name not in outcomes.columns
    }
    outcomes = outcomes.assign(**absent)
    arms: Any = outcomes["arms"] if "arms" in outcomes.columns else pd.Series(None, outcomes.index, dtype=object)
    outcomes = outcomes.assign(arms=arms.map(lambda a: a if isinstance(a, list) else [next(iter(ARMS))]))
    if "draw" in outcomes.columns and (outcomes["draw"].fillna(0) > 0).any():
        outcomes = outcomes.assign(
            split_seed=outcomes["seed"], seed=outcomes["seed"] * DRAWS + outcomes["draw"].fillna(0).astype(int)
        )
    return outcomes.astype({"max_train_rows": object, "max_test_rows": object}).pipe(_none_for_nan)


def _none_for_nan(outcomes: pd.DataFrame) -> pd.DataFrame:
    names = ["max_train_rows", "max_test_rows", "sha256", "generator", "plugin", "plugin_version", "rows_of"]
    names += ["environment"]
    found = {name: outcomes[name].astype(object).where(outcomes[name].notna(), None) for name in names}
    for name in ("max_train_rows", "max_test_rows"):
        found[name] = found[name].map(lambda value: None if value is None else int(value)).astype(object)
        found[name] = found[name].where(found[name].notna(), None)
    return outcomes.assign(**found)


def _dicts(outcomes: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with what decides a cell."""
    names = [name for name in CELL_FIELDS if name in outcomes.columns]
    return [dict(zip(names, row, strict=True)) for row in outcomes[names].itertuples(index=False, name=None)]


def _distinct_datasets(outcomes: pd.DataFrame) -> pd.DataFrame:
    tables = outcomes.drop_duplicates(["dataset", "sha256", "target"])
    names: dict[tuple[str, Any, str], str] = {}
    for name, group in tables.groupby("dataset", sort=False):
        files, targets = group["sha256"].nunique(dropna=False), group["target"].nunique()
        for sha256, target in group[["sha256", "target"]].itertuples(index=False):
            which = [target] if targets > 1 else []
            which += [str(sha256)[:8]] if files > 1 else []
            names[str(name), sha256, target] = f"{name} ({', '.join(which)})" if which else str(name)
    told = [names[row] for row in outcomes[["dataset", "sha256", "target"]].itertuples(index=False, name=None)]
    return outcomes.assign(dataset=told)


CELL = ["dataset", "fold", "seed", "method"]


def _by_recipe(outcomes: pd.DataFrame) -> list[pd.DataFrame]:
    """One pool per recipe where the same method was tuned by several; zero-shot, which needs none, is in each."""
    if not outcomes.duplicated(CELL).any():
        return [outcomes]
    recipes = outcomes["recipe"].map(canonical_json)
    tuned = outcomes["mixing"] != "none"
    parts = [outcomes[~tuned | (recipes == recipe)] for recipe in dict.fromkeys(recipes[tuned])]
    return parts or [outcomes]


def _distinct_methods(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Method names that tell apart what is different; of two outcomes of one cell, the one that measured more."""
    identities = [canonical_json(method_identity(Cell.from_dict(row))) for row in _dicts(outcomes)]
    outcomes = outcomes.assign(_identity=identities)
    variants = outcomes.drop_duplicates(["method", "_identity"])
    names: dict[tuple[str, str], str] = {}
    for name, group in variants.groupby("method", sort=False):
        by_version = group["plugin_version"].nunique(dropna=False) == len(group)
        for identity, version in group[["_identity", "plugin_version"]].itertuples(index=False):
            which = version if by_version else hash_of(identity)[:6]
            names[str(name), identity] = f"{name} ({which})" if len(group) > 1 else str(name)
    told = pd.Series(
        [names[row] for row in outcomes[["method", "_identity"]].itertuples(index=False, name=None)], outcomes.index
    )
    told = told.where(outcomes["generator"] != FILE, told + f" ({MARK})")
    outcomes = outcomes.assign(method=told).drop(columns="_identity")
    if outcomes.duplicated(CELL).any():
        order = outcomes["arms"].map(len).sort_values(ascending=False, kind="stable").index
        alike = outcomes.groupby(CELL)["arms"].agg(lambda each: len({tuple(sorted(arms)) for arms in each}))
        if (outcomes.groupby(CELL).size() > alike).any():
            repeated = int(outcomes.duplicated(CELL).sum())
            raise ExperimentError(
                f"{repeated} outcomes repeat a cell of the same method, data and setting under other keys;"
                " rank fewer folders, or merge them first; tables made elsewhere go by the name of their folder."
            )
        outcomes = outcomes.loc[order].drop_duplicates(CELL).sort_index()
    return outcomes


def _cap(outcomes: pd.DataFrame) -> int | None:
    value = outcomes["max_train_rows"].iloc[0]
    return None if value is None else int(value)


def _cap_order(outcomes: pd.DataFrame) -> tuple[bool, int]:
    cap = _cap(outcomes)
    return cap is None, cap or 0


def cap_name(cap: int | None) -> str:
    """What tables and pages call a cap on training rows."""
    return "all training rows" if cap is None else f"at most {cap:,} training rows"


def _names(parts: Sequence[pd.DataFrame]) -> list[str]:
    """The cap on training rows, and whatever else sets each pool apart from the others."""
    told: dict[str, list[str]] = {}
    firsts: list[dict[str, Any]] = []
    for part in parts:
        tuned = part[part["mixing"] != "none"]
        firsts.append({str(k): v for k, v in (part if tuned.empty else tuned).iloc[0].items()})
    tells: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
        ("model", lambda row: str(row["model"])),
        ("checkpoint", lambda row: f"checkpoint {str(row['checkpoint'])[:8]}"),
        ("n_folds", lambda row: f"{row['n_folds']} folds"),
        ("max_test_rows", lambda row: f"at most {row['max_test_rows']} test rows"),
        ("recipe", lambda row: f"recipe {row['recipe'].get('name', 'unnamed')}"),
        ("protocol", lambda row: f"protocol {row['protocol']}"),
    )
    for what, tell in tells:
        words = [tell(first) for first in firsts]
        if len(set(words)) > 1:
            told[what] = words
    names = [
        ", ".join([cap_name(_cap(part)), *(words[number] for words in told.values())])
        for number, part in enumerate(parts)
    ]
    twice = {name for name in names if names.count(name) > 1}
    return [
        f"{name}, {part['key'].iloc[0][:6]}" if name in twice else name for name, part in zip(names, parts, strict=True)
    ]
