"""What may be ranked together, and what tells datasets and methods of one name apart: the one rule of every ranking."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isnan
from typing import TYPE_CHECKING, Any

import pandas as pd

from tabgen.arms import ARMS, tunes
from tabgen.errors import ExperimentError
from tabgen.made_elsewhere import FILE, MARK
from tabgen.outcome import (
    CELL_DEFAULTS,
    CELL_FIELDS,
    Cell,
    canonical_json,
    hash_of,
    key_of,
    method_identity,
    recipe_content,
)
from tabgen.text import counted

if TYPE_CHECKING:
    from tabgen.statistics import Ranking

COMPARABLE = (
    *("model", "checkpoint", "model_plugin_version"),
    *("n_folds", "max_train_rows", "max_test_rows", "protocol"),
)
"""Outcomes that differ in one of these are not ranked together."""
DRAWS = 1000
"""Draws of a seed at most: each counts as a seed of its own."""
MEASURED = ("zero_shot", *(arm.stage for arm in ARMS.values()))
STAGES = tuple(f"{stage}_{part}_" for stage in MEASURED for part in ("validation", "test"))
SAME = 1e-6
"""Scores of one cell that differ by more are a conflict; processors differ by less (docs/publish.md)."""
SAME_BY_PAIRS = 1e-4
"""The same for ROC-AUC: where two rows have nearly one probability, it moves by that pair."""


@lru_cache(maxsize=5000)
def is_score(name: str) -> bool:
    """Whether a column of outcomes is a score."""
    return name.startswith(STAGES)


def scores_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a row that are defined."""
    return {name: value for name, value in row.items() if is_score(name) and value is not None}


def same(name: str, one: float, other: float) -> bool:
    """Whether two values of a score may be of one cell, computed on two processors."""
    return abs(one - other) <= (SAME_BY_PAIRS if name.endswith("roc_auc") else SAME)


def difference_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """The first score that two rows of one cell tell otherwise, or only one of them tells, in words."""
    one, other = scores_of(first), scores_of(second)
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other or not same(name, one[name], other[name]):
            return f"{name} is {one.get(name)} and {other.get(name)}"
    return None


@dataclass(frozen=True)
class Pool:
    """Outcomes that may be ranked together: in every arm one row for each dataset, fold, method and seed.

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

    Where one dataset or method name stands for two things within a pool (another file, target or reading of it; another
    version of the plugin, other settings), the name says which.

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
    """The outcomes of one pool that measured this arm, one for each cell: of several one that ended well, and then the
    one that measured most.

    Where the model is not fine-tuned, methods that draw the same rows are one method, the one of them with the shortest
    name, whichever of them has a cell; of several its own outcome is taken before others'. So are the baselines: real
    rows as context are zero-shot prediction.
    """
    outcomes = outcomes[outcomes["arms"].map(lambda arms: arm in arms)]
    if ARMS[arm].tunes or outcomes.empty:
        return _once(outcomes, pd.Series(False, outcomes.index))
    named = _by_rows(outcomes)
    return _once(named, named["method"] != outcomes["method"])


def stand_ins(outcomes: pd.DataFrame) -> dict[str, str]:
    """Methods of one pool that draw the rows of another, and that other, whose name both have in :func:`in_arm`."""
    return {name: cell.method for name, cell in _same_rows(outcomes).items()}


def _same_rows(outcomes: pd.DataFrame) -> dict[str, Cell]:
    """For each method whose rows one with a shorter name draws too, a cell of that one."""
    cells = [Cell.from_dict(r) for r in _dicts(outcomes[outcomes["generator"].notna()].drop_duplicates("method"))]
    firsts, others = dict[str, Cell](), dict[str, Cell]()
    for cell in sorted(cells, key=lambda cell: (len(cell.method), cell.method)):
        identity = method_identity(cell) | {"generator": cell.rows_of, "mixing": None}
        first = firsts.setdefault(canonical_json(identity), cell)
        if first is not cell:
            others[cell.method] = first
    return others


def _by_rows(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Every outcome as one of the method that stands for all with its rows; `real` stands for the baselines."""
    for name, first in _same_rows(outcomes).items():
        theirs = outcomes["method"] == name
        stands = {each: getattr(first, each) for each in ("method", "generator", "mixing")}
        outcomes = outcomes.assign(**{each: outcomes[each].mask(theirs, told) for each, told in stands.items()})
    baseline = outcomes["generator"].isna()
    mixing = "real" if (outcomes.loc[baseline, "mixing"] == "real").any() else "none"
    return outcomes.assign(
        method=outcomes["method"].mask(baseline, "real"), mixing=outcomes["mixing"].mask(baseline, mixing)
    )


def _once(outcomes: pd.DataFrame, others: pd.Series[bool]) -> pd.DataFrame:
    """One outcome of each cell, where runs that measured different arms lie together, or methods with the same rows.

    ``others``: which are of a method by another name, and come after that method's own.
    """
    if not outcomes.duplicated(CELL).any():
        return outcomes
    order = outcomes.assign(_failed=outcomes["status"] != "ok", _other=others, _fewer=-outcomes["arms"].map(len))
    order = order.sort_values(["_failed", "_other", "_fewer"], kind="stable")
    return outcomes.loc[order.index].drop_duplicates(CELL).sort_index()


def _with_defaults(outcomes: pd.DataFrame) -> pd.DataFrame:
    """What rows of earlier stores lack, and each draw as a seed of its own."""
    names = ("reading", "text", "environment", "rows_of", "tuning_seeds", "model_plugin_version")
    defaults = {"kinds": {}} | {name: CELL_DEFAULTS[name] for name in names}
    absent: dict[str, Any] = {
        name: [value] * len(outcomes) for name, value in defaults.items() if name not in outcomes.columns
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
    names += ["environment", "model_plugin_version"]
    found = {name: outcomes[name].astype(object).where(outcomes[name].notna(), None) for name in names}
    for name in ("max_train_rows", "max_test_rows"):
        found[name] = found[name].map(lambda value: None if value is None else int(value)).astype(object)
        found[name] = found[name].where(found[name].notna(), None)
    return outcomes.assign(**found)


def _dicts(outcomes: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with what decides a cell."""
    names = [name for name in CELL_FIELDS if name in outcomes.columns]
    return [dict(zip(names, row, strict=True)) for row in outcomes[names].itertuples(index=False, name=None)]


CELL = ["dataset", "fold", "seed", "method"]


def _distinct_datasets(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Dataset names that tell apart what is different: the target, the file, or how it was read."""
    read = outcomes[["kinds", "reading"]].map(lambda told: told if isinstance(told, dict) else {})
    outcomes = outcomes.assign(_read=[hash_of(each)[:6] for each in read.to_numpy().tolist()])
    which = ["dataset", "target", "sha256", "_read"]
    taken = set(outcomes["dataset"])
    names: dict[tuple[Any, ...], str] = {}
    for name, group in outcomes.drop_duplicates(which).groupby("dataset", sort=False):
        several = [group[each].nunique(dropna=False) > 1 for each in which[1:]]  # noqa: PD101 - few rows
        for _, target, sha256, reading in group[which].itertuples(index=False, name=None):
            parts = (target, str(sha256)[:8], f"read as {reading}")
            told = ", ".join(part for part, differs in zip(parts, several, strict=True) if differs)
            names[name, target, sha256, reading] = _other_than(taken, f"{name} ({told})") if told else str(name)
    dataset = [names[row] for row in outcomes[which].itertuples(index=False, name=None)]
    return outcomes.assign(dataset=dataset).drop(columns="_read")


def _by_recipe(outcomes: pd.DataFrame) -> list[pd.DataFrame]:
    """One pool per recipe of the experiment; in each is what needs none, and what has its own by its name."""
    recipes = outcomes["recipe"].map(lambda recipe: canonical_json(recipe_content(recipe)))
    in_each = ~_is_tuned(outcomes) | outcomes["method"].map(_names_recipe)
    found = list(dict.fromkeys(recipes[~in_each]))
    if len(found) < 2:
        return _by_tunings(outcomes)
    return [part for recipe in found for part in _by_tunings(outcomes[in_each | (recipes == recipe)])]


def _by_tunings(outcomes: pd.DataFrame) -> list[pd.DataFrame]:
    """One pool per number of fine-tunings where the same cell had several; what needs none is in each."""
    if not outcomes.duplicated(CELL).any():
        return [outcomes]
    tuned, seeds = _is_tuned(outcomes), outcomes["tuning_seeds"]
    once = ~tuned & _first_of_seeds(outcomes[~tuned]).reindex(outcomes.index, fill_value=False)
    parts = [outcomes[once | (tuned & (seeds == number))] for number in dict.fromkeys(seeds[tuned])]
    return parts or [outcomes]


def _is_tuned(outcomes: pd.DataFrame) -> pd.Series:
    """Which outcomes fine-tuned the model."""
    return (outcomes["mixing"] != "none") & outcomes["arms"].map(tunes)


def _names_recipe(method: str) -> bool:
    """Whether a method has its recipe by its name (`recipe=`), and not by the experiment."""
    return any(part.startswith("recipe=") for part in method.partition(":")[2].split(","))


def _first_of_seeds(untuned: pd.DataFrame) -> pd.Series:
    """Which outcomes without fine-tuning to take, where runs of other numbers of fine-tunings have the same ones."""
    cells = [key_of(replace(Cell.from_dict(row), tuning_seeds=1)) for row in _dicts(untuned)]
    return untuned["tuning_seeds"] == untuned["tuning_seeds"].groupby(cells).transform("first")


def _distinct_methods(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Method names that tell apart what is different."""
    identities = [canonical_json(identity_of(Cell.from_dict(row))) for row in _dicts(outcomes)]
    outcomes = outcomes.assign(_identity=identities)
    variants = outcomes.drop_duplicates(["method", "_identity"])
    taken = set(outcomes["method"])
    names: dict[tuple[str, str], str] = {}
    for name, group in variants.groupby("method", sort=False):
        by_version = group["plugin_version"].nunique(dropna=False) == len(group)
        for identity, version in group[["_identity", "plugin_version"]].itertuples(index=False):
            which = version if by_version else hash_of(identity)[:6]
            names[str(name), identity] = _other_than(taken, f"{name} ({which})") if len(group) > 1 else str(name)
    told = pd.Series(
        [names[row] for row in outcomes[["method", "_identity"]].itertuples(index=False, name=None)], outcomes.index
    )
    told = told.where(outcomes["generator"] != FILE, told + f" ({MARK})")
    outcomes = outcomes.assign(method=told).drop(columns="_identity")
    measured = outcomes.assign(_arms=outcomes["arms"].map(lambda arms: tuple(sorted(arms))))
    repeated = int(measured.duplicated([*CELL, "_arms"]).sum())
    if repeated:
        raise ExperimentError(
            f"{repeated} outcomes repeat a cell of the same method, data and setting under other keys;"
            " rank fewer folders, or merge them first; tables made elsewhere go by the name of their folder."
        )
    return outcomes


def _other_than(taken: set[str], name: str) -> str:
    """The name, or one like it that nothing else has; it is taken then."""
    numbered = (f"{name} {number}" for number in itertools.count(2))
    free = next(each for each in itertools.chain([name], numbered) if each not in taken)
    taken.add(free)
    return free


def identity_of(cell: Cell) -> dict[str, Any]:
    """What makes a method another one: its recipe too, where its name says that it has its own."""
    own = {"recipe": recipe_content(cell.recipe)} if _names_recipe(cell.method) else {}
    return method_identity(cell) | own


def cell_of(row: Mapping[Any, Any]) -> Cell:
    """The cell of a row of a frame; what the frame lacks is nothing, or as it is by default."""
    told = {name: row[name] for name in CELL_FIELDS if name in row and not _is_nan(row[name])}
    return Cell.from_dict(dict.fromkeys(CELL_FIELDS) | {"recipe": {}, "settings": {}} | CELL_DEFAULTS | told)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)


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
        tuned = part[_is_tuned(part) & ~part["method"].map(_names_recipe)]
        firsts.append({str(k): v for k, v in (part if tuned.empty else tuned).iloc[0].items()})
    tells: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
        ("model", lambda row: str(row["model"])),
        ("checkpoint", lambda row: f"checkpoint {str(row['checkpoint'])[:8]}"),
        ("model_plugin_version", lambda row: f"model plugin {row['model_plugin_version'] or 'not told'}"),
        ("n_folds", lambda row: f"{row['n_folds']} folds"),
        ("max_test_rows", lambda row: f"at most {row['max_test_rows']} test rows"),
        ("recipe", lambda row: f"recipe {row['recipe'].get('name', 'unnamed')}"),
        ("tuning_seeds", lambda row: counted(int(row["tuning_seeds"]), "fine-tuning")),
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
