"""The multiverse of a store: the share of all analyses it offers in which each contrast holds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import pandas as pd

from tabgen.arms import ARMS
from tabgen.comparable import arms_of, in_arm, pools
from tabgen.errors import ExperimentError, TableWarning, UnknownNameError
from tabgen.outcome import canonical_json, recipe_content
from tabgen.statistics import POLICIES, StatisticsError, contrasts, dataset_means, higher_is_better, normalised_scores
from tabgen.statistics.controls import REFERENCE, judge_controls
from tabgen.statistics.pairs import withhold
from tabgen.statistics.verdicts import FEWEST_DATASETS

VERSION = re.compile(r" \([^()]*\)$")
"""How a name ends where two versions of a plugin lie together (:mod:`tabgen.comparable`)."""
#: What tells variants of one generator apart that are choices of the analyst, not other generators.
DIMENSIONS = ("arm", "metric", "policy", "rows", "recipe", "mixing", "ratio")


@dataclass(frozen=True)
class Universe:
    """One contrast under one set of choices: estimated difference in points, and the verdict by itself."""

    method: str
    other: str
    choices: dict[str, str]
    datasets: int
    estimate: float
    verdict: str


@dataclass(frozen=True)
class Share:
    """In how many universes a contrast could be judged, and the shares of these in which it is better, worse and so on.

    `sign` is the share in which the estimate is above 0, whatever can be claimed. `turns` are the choices that alone
    move the share of `better`: by dimension, the share at each of its values.
    """

    method: str
    other: str
    universes: int
    better: float
    worse: float
    equal: float
    undecided: float
    sign: float
    turns: dict[str, dict[str, float]]


def multiverse(
    outcomes: pd.DataFrame,
    named: Sequence[tuple[str, str]] = (),
    *,
    alpha: float = 0.05,
    region: float | Mapping[str, float] = 0.1,
    directions: dict[str, bool] | None = None,
) -> list[Universe]:
    """Every contrast in every universe that the outcomes offer.

    A universe is an arm, a metric, a policy for missing outcomes, a pool (cap on training rows, recipe, model), and of
    the method its mixing, ratio and own recipe. Contrasts are every generator against `real` under the same recipe, and
    the pairs named, as named and in all variants of one mixing and ratio, those under two recipes left out. Each
    verdict is that of one test by itself at `alpha`, undecided where known bad controls are not below `real`: shares
    over universes describe how a finding depends on choices, and are no tests.

    Parameters
    ----------
    outcomes : DataFrame
        As `load_results` gives them.
    region : float or dict of float
        Half-width of practical equality in points, for all arms or by arm.
    directions : dict of str to bool, optional
        Of the metrics whose name does not tell, whether higher is better.

    Warns
    -----
    TableWarning
        Of a pair named that no universe holds.
    """
    found, known, met = [], set[str](), set[tuple[str, str]]()
    for pool in pools(outcomes):
        for arm in arms_of(pool.outcomes):
            part = in_arm(pool.outcomes, arm)
            stage, within = ARMS[arm].stage, region[arm] if isinstance(region, Mapping) else region
            metrics = [
                name.removeprefix(f"{stage}_test_")
                for name in part.columns
                if name.startswith(f"{stage}_test_") and part[name].notna().any()
            ]
            about = _variants(part, arm)
            known |= {*map(str, part["method"].unique()), *(variant["name"] for variant in about.values())}
            for metric in metrics:
                better = (directions or {}).get(metric, higher_is_better(metric))
                try:
                    scores = normalised_scores(part, metric, higher_better=better, arm=arm)
                except StatisticsError:
                    continue  # not scored on both parts before and after: no universe
                for policy in POLICIES:
                    matrix = dataset_means(scores, "gain_test", policy).matrix
                    if len(matrix) < FEWEST_DATASETS:
                        continue
                    controls = judge_controls(part, matrix)
                    present = [str(name) for name in matrix.columns]
                    of_named = {pair: _variants_of(pair, about, present) for pair in named}
                    met |= {pair for pair, variants in of_named.items() if variants}
                    for method, other in dict.fromkeys([*_against_real(about, present), *chain(*of_named.values())]):
                        judged = contrasts(matrix, [(method, other)], alpha=alpha, region=within)
                        if controls is not None and not controls.passed:
                            judged = withhold(judged)
                        mine = about[method]
                        choices = {"arm": arm, "metric": metric, "policy": policy, "rows": pool.name}
                        choices |= {name: mine[name] for name in ("recipe", "mixing", "ratio") if name in mine}
                        names = mine["name"], about[other]["name"]
                        found.append(Universe(*names, choices, len(matrix), judged[0].estimate, judged[0].verdict))
    _check_known(named, known)
    if not found:
        raise ExperimentError(
            f"no contrast can be judged in any universe: at least {FEWEST_DATASETS} datasets, '{REFERENCE}' (or named"
            " pairs) and one generator are due."
        )
    _warn_of([pair for pair in named if pair not in met])
    return found


def _warn_of(unmet: Sequence[tuple[str, str]]) -> None:
    for first, second in unmet:
        warnings.warn(
            f"'{first}' and '{second}' are nowhere both scored on {FEWEST_DATASETS} datasets under one recipe: no"
            " universe holds them against each other.",
            TableWarning,
            stacklevel=3,
        )


def _check_known(pairs: Sequence[tuple[str, str]], known: set[str]) -> None:
    for name in (name for pair in pairs for name in pair):
        if name not in known:
            raise UnknownNameError("method", name, known)


def _variants(outcomes: pd.DataFrame, arm: str) -> dict[str, dict[str, str]]:
    """Of every method: the name its variants share, and the choices that make this one.

    Two methods are held against each other where what both have is alike; `tuned by`, where the arm tunes, is the
    content of the recipe, whatever it is called.
    """
    about = {}
    for row in outcomes.drop_duplicates("method").to_dict("records"):
        label, generator = str(row["method"]), row["generator"]
        version = told[0] if (told := VERSION.search(label)) else ""
        base, _, settings = label.removesuffix(version).partition(":")
        recipe = {"recipe": str(row["recipe"].get("name", canonical_json(row["recipe"])))}
        if ARMS[arm].tunes:
            recipe["tuned by"] = canonical_json(recipe_content(row["recipe"]))
        if generator is None:
            about[label] = {"name": base} | (recipe if ARMS[arm].tunes and row["mixing"] == "real" else {})
            continue
        kept = [each for each in settings.split(",") if each and each.partition("=")[0] not in ("ratio", "recipe")]
        name = (f"{generator}:{','.join(kept)}" if kept else str(generator)) + version
        about[label] = {"name": name, "mixing": str(row["mixing"]), "ratio": f"{row['ratio']:g}"} | recipe
    return about


def _against_real(about: dict[str, dict[str, str]], present: Sequence[str]) -> list[tuple[str, str]]:
    """Every generator with `real` under the same recipe."""
    pairs = []
    for method in [each for each in present if "mixing" in about[each]]:
        real = [each for each in present if about[each]["name"] == REFERENCE and _alike(about[method], about[each])]
        pairs += [(method, min(real, key=len))] if real else []
    return pairs


def _variants_of(
    pair: tuple[str, str], about: dict[str, dict[str, str]], present: Sequence[str]
) -> list[tuple[str, str]]:
    """A pair as it was named, and its variants, each of the two under the choices of the other; of one recipe."""
    first, second = ([each for each in present if name in (each, about[each]["name"])] for name in pair)
    both = [(a, b) for a in first for b in second if a != b and _alike(about[a], about[b], TUNING)]
    return [(a, b) for a, b in both if (a, b) == pair or _alike(about[a], about[b])]


TUNING = ("tuned by",)


def _alike(a: dict[str, str], b: dict[str, str], choices: Sequence[str] = ("mixing", "ratio", *TUNING)) -> bool:
    """Whether two variants differ in no choice that both have."""
    return all(a[name] == b[name] for name in choices if name in a and name in b)


def shares(universes: Sequence[Universe]) -> list[Share]:
    """Every contrast over its universes, the one most often better first."""
    table = pd.DataFrame([asdict(universe) | universe.choices for universe in universes])
    found = []
    for (method, other), part in table.groupby(["method", "other"], sort=True):
        turns = {}
        for dimension in [name for name in DIMENSIONS if name in part.columns]:
            by_value = (part["verdict"] == "better").groupby(part[dimension]).mean()
            if len(by_value) > 1:
                turns[dimension] = {str(value): float(share) for value, share in by_value.items()}
        better, worse, equal, undecided = (
            float((part["verdict"] == verdict).mean()) for verdict in ("better", "worse", "equal", "undecided")
        )
        above = float((part["estimate"] > 0).mean())
        found.append(Share(str(method), str(other), len(part), better, worse, equal, undecided, above, turns))
    return sorted(found, key=lambda share: (-share.better, share.worse, share.method))


def to_dict(universes: Sequence[Universe]) -> dict[str, Any]:
    """Shares and universes as plain data."""
    offered = {name: {each.choices[name] for each in universes if name in each.choices} for name in DIMENSIONS}
    dimensions = {name: sorted(values) for name, values in offered.items()}
    return {
        "dimensions": dimensions,
        "contrasts": [asdict(share) for share in shares(universes)],
        "universes": [asdict(universe) for universe in universes],
    }
