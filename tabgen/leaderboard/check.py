"""What can be said of someone's rows without running anything: keys, names, the grid, and what cannot be true.

Rows without a problem build, rank and merge: the last finding is whether they do.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tabgen.adequacy import untrained
from tabgen.arms import ARMS, tunes
from tabgen.comparable import STAGES, is_score, same, scores_of
from tabgen.datasets import Dataset
from tabgen.errors import TabgenError
from tabgen.experiment import METHOD, parse_settings
from tabgen.generator import BASELINES, settings_of
from tabgen.leaderboard.boards import make_boards
from tabgen.leaderboard.schema import family_of
from tabgen.metrics import Metric
from tabgen.models.recipes import RECIPES
from tabgen.outcome import PROTOCOL_VERSION, Cell, canonical_json, hash_of, key_of, model_identity, recipe_content
from tabgen.plugins import Plugins, Registry
from tabgen.results import rank_pools
from tabgen.text import clean
from tabgen.tuning import SETTINGS, search_space
from tabgen.worth import LearningCurve

Row = dict[str, Any]
SPLIT = ("dataset", "sha256", "fold", "n_folds", "seed", "max_train_rows", "max_test_rows")
"""What decides the rows of each part; with the model it decides the zero-shot scores."""
PARTS = ("n_train", "n_validation", "n_test")
"""Rows of each part, which follow from the split as its hash does."""
WORTH = re.compile("worth_(?P<stage>[a-z_]+)_rows")
BY_SEED = "by_seed_"
LABELLED = (
    *("method", "generator", "plugin", "plugin_version", "mixing", "settings", "ratio"),
    *("recipe", "rows_of", "tune"),
)
"""What a method's name has to be true of."""
ADEQUACY = ("adequacy_tstr", "adequacy_real", "adequacy_within", "adequacy_within_real")
SLACK = 1e-9
#: Phases are timed inside the cell, the total outside; clocks of one machine agree to well under this.
CLOCK_SECONDS = 1.0
EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """Something wrong with the rows, or (``problem`` False) something to know about them."""

    kind: str
    message: str
    problem: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", clean(self.message))  # it quotes what strangers wrote


def check_rows(rows: list[Row], plugins: Plugins) -> list[Finding]:
    """All findings, problems first; those of one kind are told by a few examples and their number."""
    found = itertools.chain(
        itertools.chain.from_iterable(_check_row(row, plugins.metrics) for row in rows),
        _mislabelled(rows, plugins),
        _repeated(rows),
        _unequal_baselines(rows),
        _disagreeing(rows),
        _holes(rows),
        _against_suites(rows, plugins),
        _missing_baselines(rows),
        _cannot_be_ranked(rows, plugins),
    )
    return sorted(_summarised(found), key=lambda finding: not finding.problem)


def contradictions(rows: list[Row]) -> list[Finding]:
    """What rows of several sources cannot both be right about: splits, scores of one cell or one machine, copies."""
    return list(_summarised(itertools.chain(_repeated(rows), _unequal_baselines(rows), _disagreeing(rows))))


def _summarised(findings: Iterable[Finding]) -> Iterator[Finding]:
    kinds: dict[tuple[str, bool], tuple[list[str], int]] = {}
    for finding in findings:
        messages, count = kinds.get((finding.kind, finding.problem), ([], 0))
        kinds[finding.kind, finding.problem] = [*messages, finding.message][:EXAMPLES], count + 1
    for (kind, problem), (messages, count) in kinds.items():
        more = f"; and {count - EXAMPLES:,} more" if count > EXAMPLES else ""
        yield Finding(kind, "; ".join(messages) + more, problem)


def name_of(row: Row) -> str:
    """A row as messages call it."""
    return f"{row['dataset']}, fold {row['fold']}, seed {row['seed']}, {row['method']}"


def _check_row(row: Row, metrics: Registry[Metric]) -> Iterator[Finding]:
    name = name_of(row)
    if row["protocol"] != PROTOCOL_VERSION:
        yield Finding("protocol", f"{name}: protocol {row['protocol']}, this tabgen compares {PROTOCOL_VERSION}")
    elif key_of(Cell.from_dict(row)) != row["key"]:
        yield Finding("key", f"{name}: its key is not that of its content")
    day = row["provenance"].get("date")
    if day is not None and not _has_been(day):
        yield Finding("date", f"{name}: it was computed on {str(day)[:20]!r}, which is no day up to today")
    if row["fold"] >= row["n_folds"]:
        yield Finding("fold", f"{name}: there are only {row['n_folds']} folds")
    if message := _misnamed(row):
        yield Finding("method", f"{name}: {message}")
    scores = scores_of(row)
    yield from beyond_bounds(row, metrics)
    yield from _check_scores(row, scores, name)
    for message in unfounded(row):
        yield Finding("unfounded", f"{name}: {message}")
    if row["generator"] is None:
        yield from _check_untuned(scores, name, row["mixing"] == "none")
    yield from _check_times(row, name)


def _has_been(day: Any) -> bool:
    """Whether it is a day up to now, anywhere on earth."""
    try:
        return dt.date.fromisoformat(day) <= dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    except (TypeError, ValueError):
        return False


def _misnamed(row: Row) -> str | None:
    """Why the method's name is not that of its generator and mixing, if so."""
    match = METHOD.fullmatch(row["method"])
    if match is None:
        return "is no method"
    if match["generator"] in BASELINES:
        mixing = "real" if match["generator"] == "real" else "none"
        return None if (row["generator"], row["mixing"]) == (None, mixing) else "is not what this baseline does"
    if row["generator"] is None or row["mixing"] not in ("replace", "augment"):
        return "a method that is no baseline has a generator and the mixing replace or augment"
    if match["generator"] != row["generator"] or match["mixing"] not in (None, row["mixing"]):
        return f"its generator is '{row['generator']}' and its mixing '{row['mixing']}'"
    return None


def _mislabelled(rows: list[Row], plugins: Plugins) -> Iterator[Finding]:
    """Methods whose name hides what was run: each distinct one is judged once."""
    seen = set()
    for row in rows:
        told = hash_of([row.get(part) for part in LABELLED])
        if told not in seen:
            seen.add(told)
            yield from _check_label(row, plugins)


def _check_label(row: Row, plugins: Plugins) -> Iterator[Finding]:
    name, match = row["method"], METHOD.fullmatch(row["method"])
    try:
        named = parse_settings((match and match["settings"]) or "", name)
    except TabgenError as error:
        yield Finding("label", str(error))
        return
    yield from _check_recipe(row)
    recipe, ratio = named.pop("recipe", None), named.pop("ratio", 1.0)
    if recipe is not None and recipe != row["recipe"].get("name"):
        yield Finding("label", f"{name}: its recipe is {row['recipe'].get('name')!r:.60}")
    if not isinstance(ratio, int | float) or float(ratio) != row["ratio"]:
        yield Finding("label", f"{name}: its ratio is {row['ratio']:g}")
    tune = row.get("tune") or {}
    for setting, actual in zip(SETTINGS, (tune.get("trials", 0), tune.get("seconds", 0)), strict=True):
        if (said := named.pop(setting, 0)) != actual:
            yield Finding("label", f"{name}: its {setting} is {actual!r:.60}, not {said!r:.60}")
    for setting, value in named.items():
        if row["settings"].get(setting, row) != value:
            actual = row["settings"].get(setting, "absent")
            yield Finding("label", f"{name}: its setting {setting[:60]} is {actual!r:.60}")
    if row["generator"] is not None:
        explicit = match is not None and match["mixing"] is not None
        yield from _check_defaults(row, named, explicit, plugins)
    elif row["settings"] or row["plugin"] or row.get("rows_of"):
        yield Finding("label", f"{name}: a baseline has no settings and no plugin")


def _check_recipe(row: Row) -> Iterator[Finding]:
    """A recipe under the name of one of ours is that one."""
    said = str(row["recipe"].get("name"))
    if row["mixing"] == "none" or said not in RECIPES:
        return
    due, given = recipe_content(RECIPES[said].to_dict()), recipe_content(row["recipe"])
    other = sorted(n for n in due.keys() | given.keys() if canonical_json(due.get(n)) != canonical_json(given.get(n)))
    if other:
        told = ", ".join(f"{n[:60]}={given.get(n, 'absent')!r:.60}" for n in other[:EXAMPLES])
        yield Finding("recipe", f"{row['method']}: its recipe has {told}, which is not that of the name {said!r:.60}")


def _check_defaults(row: Row, named: dict[str, Any], explicit: bool, plugins: Plugins) -> Iterator[Finding]:
    """What the name leaves to the generator's defaults, by the generator that is installed here."""
    name, generator, shares = row["method"], row["generator"], row.get("rows_of") or row["generator"]
    if generator not in plugins.generators:
        yield Finding("settings", f"{generator} is not installed: whether {name} has its defaults is not known", False)
        if shares != generator:
            yield Finding("rows", f"{name}: says its rows are those of {shares}; install its plugin to check that")
        return
    kind = plugins.generators[generator]
    if shares not in (generator, kind.info.same_rows_as):
        yield Finding("rows", f"{name}: says its rows are those of {shares}, which {generator} does not share")
    if not explicit and row["mixing"] != kind.info.mixing:
        yield Finding("label", f"{name}: its mixing is {row['mixing']}, and {kind.info.mixing} goes without saying")
    if (tune := row.get("tune")) is not None and tune.get("space") != search_space(kind, named):
        yield Finding("label", f"{name}: what was searched is not what {generator} says is to be")
    due, given = settings_of(kind) | named, row["settings"]
    hidden = sorted(n for n in due.keys() | given.keys() if due.get(n, due) != given.get(n, row))
    if hidden:
        said = ", ".join(f"{n[:60]}={given.get(n, 'absent')!r:.60}" for n in hidden[:EXAMPLES])
        yield Finding("label", f"{name}: has {said}, which is not the default of {generator} and not in its name")


def _cannot_be_ranked(rows: list[Row], plugins: Plugins) -> Iterator[Finding]:
    try:
        ranked = rank_pools(pd.DataFrame(rows))
        make_boards(rows, plugins, "complete", ranked)
    except TabgenError as error:
        yield Finding("board", f"these rows make no board: {error}")


def beyond_bounds(row: Row, metrics: Registry[Metric]) -> Iterator[Finding]:
    """Numbers that cannot be, however the cell ended: beyond the bounds of their metric or of what they measure."""
    name = name_of(row)
    for column, value in row.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or (family := family_of(column)) is None:
            continue
        (low, high), metric = family.bounds, next((column[len(s) :] for s in STAGES if column.startswith(s)), None)
        if metric is not None and metric in metrics:
            low, high = metrics[metric].bounds
        if not low - SLACK <= value <= high + SLACK:
            yield Finding("impossible", f"{name}: {column} = {value:g}, possible are {low:g} to {high:g}")
        elif family.whole and value % 1:
            yield Finding("impossible", f"{name}: {column} = {value:g}, possible are whole numbers")


def unfounded(row: Row) -> Iterator[str]:
    """What the row says of worth, adequacy and means that does not follow from the measurements beside it."""
    for match in filter(None, map(WORTH.fullmatch, row)):
        yield from _unfounded_worth(row, match["stage"])
    said = row.get("adequacy_untrained")
    if said is not None:
        scores = {n: math.nan if row.get(n) is None else float(row[n]) for n in ADEQUACY}
        if bool(said) != untrained(scores):
            yield f"adequacy_untrained = {said:g}, and the other measures of adequacy say {not said:d}"
    yield from _unfounded_means(row)


def _unfounded_means(row: Row) -> Iterator[str]:
    """Scores that are not the mean of those of the tuning seeds; of an undefined one no score is due."""
    for column in [name for name in row if name.startswith(BY_SEED) and row[name] is not None]:
        name, values = column.removeprefix(BY_SEED), [math.nan if value is None else value for value in row[column]]
        said, due = row.get(name), float(np.mean(values)) if values else math.nan
        if is_score(name) and not np.isclose(math.nan if said is None else said, due, 0, SLACK, equal_nan=True):
            yield f"{name} = {said}, the mean of {column} is {due:g}"


def _unfounded_worth(row: Row, stage: str) -> Iterator[str]:
    said, side = row[f"worth_{stage}_rows"], row.get(f"worth_{stage}_censored")
    if said is None:
        return
    sizes: Any = row.get("curve_worth_rows")
    scores: Any = row.get("curve_worth_score")
    score = row.get(f"{stage}_test_roc_auc")
    if not _is_rising(sizes) or not _is_rising(scores) or len(sizes) != len(scores) or score is None:
        yield f"worth_{stage}_rows = {said:g} without the score and the rising curve of worth that it is read off"
        return
    if sizes[-1] > (row.get("n_train") or 0):
        yield f"its curve of worth goes to {sizes[-1]:g} rows, and n_train is {row.get('n_train')}"
    due = LearningCurve(tuple(sizes), tuple(scores)).worth(score)
    if abs(due.rows - said) > SLACK * due.rows or due.censored != side:
        yield f"worth_{stage}_rows = {said:g} (censored {side}), its curve says {due.rows:g} ({due.censored})"


def _is_rising(values: Any) -> bool:
    """Whether these are numbers, none of them below the one before."""
    return bool(values) and None not in values and all(a <= b for a, b in itertools.pairwise(values))


def _check_scores(row: Row, scores: dict[str, float], name: str) -> Iterator[Finding]:
    tuned = [score for score in scores if not score.startswith("zero_shot_")]
    if row["status"] != "ok":
        if tuned:
            yield Finding("scores", f"{name}: ended as {row['status']} and yet has scores")
        if not row["reason"]:
            yield Finding("reason", f"{name}: ended as {row['status']} without a reason")
        return
    if not tuned:
        yield Finding("scores", f"{name}: is ok and has no score")
    curves = {curve: row[curve] for curve in ("curve_validation", "curve_test") if row.get(curve) is not None}
    if len({len(curve) for curve in curves.values()}) > 1:
        yield Finding("curves", f"{name}: its curves have {' and '.join(f'{len(c):,}' for c in curves.values())} steps")
    kept, ran = row.get("best_step"), row.get("steps")
    if kept is not None and ran is not None and kept > ran:
        yield Finding("steps", f"{name}: kept step {kept} of {ran}")


def _check_untuned(scores: dict[str, float], name: str, whole: bool) -> Iterator[Finding]:
    """Without a generator the scores of arms that do not tune are those before; without fine-tuning (``whole``) all."""
    stages = [arm.stage for arm in ARMS.values() if whole or not arm.tunes]
    for score in scores:
        stage = next((stage for stage in stages if score.startswith(f"{stage}_")), None)
        before = None if stage is None else scores.get(f"zero_shot_{score.removeprefix(f'{stage}_')}")
        if stage is not None and (before is None or abs(before - scores[score]) > SLACK):
            yield Finding("zero-shot", f"{name}: {score} is not its zero-shot score")


def _check_times(row: Row, name: str) -> Iterator[Finding]:
    times = {key: value for key, value in row.items() if key.startswith("seconds_") and value is not None}
    times.pop("seconds_wall", None)  # the total, less what the cache spared
    total = times.pop("seconds_total", None)
    if total is not None and sum(times.values()) > total + CLOCK_SECONDS:
        said = f"its phases took {sum(times.values()):.1f} s, the whole cell {total:.1f} s"
        yield Finding("times", f"{name}: {said}, as tabgen once wrote where a run was stopped for a while", False)
    if row["status"] == "ok" and (total is None or total <= 0):
        yield Finding("times", f"{name}: is ok and took no time")


def _repeated(rows: list[Row]) -> Iterator[Finding]:
    """Keys that come twice, and rows that equal another cell's in every score and every time: copies."""
    seen: dict[str, Row] = {}
    measured: dict[str, Row] = {}
    for row in rows:
        if seen.setdefault(row["key"], row) is not row:
            yield Finding("repeated", f"{name_of(row)}: its key comes twice")
            continue
        if row["status"] != "ok":
            continue
        times = sorted((name, value) for name, value in row.items() if name.startswith("seconds_"))
        twin = measured.setdefault(hash_of([sorted(scores_of(row).items()), times]), row)
        if twin is not row and len(times) > 1:
            yield Finding("copied", f"{name_of(row)}: equals {name_of(twin)} in all scores and all times")


def faces(row: Row) -> dict[str, dict[str, float]]:
    """The scores of a row by the cell that they are of, whatever else it measured: two rows of one must agree.

    The arms are part of a row's key, so that a row with one arm more is another row of the same cell. Its scores
    without fine-tuning belong to the cell under any recipe, the others to the cell under its own.
    """
    cell, scores = Cell.from_dict(row), scores_of(row)
    plain = [name for name, arm in ARMS.items() if not arm.tunes]
    stages = tuple(f"{stage}_" for stage in ("zero_shot", *(ARMS[name].stage for name in plain)))
    untuned = {name: value for name, value in scores.items() if name.startswith(stages)}
    found = {key_of(replace(cell, arms=plain, tuning_seeds=1)): untuned}
    if tunes(cell.arms):
        found[key_of(replace(cell, arms=list(ARMS)))] = {n: v for n, v in scores.items() if n not in untuned}
    return found


class KnownCells:
    """The scores of cells, from the rows that were met: what another row of one of them must agree with."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._known: dict[str, dict[str, float]] = {}
        self._tables: dict[str, str] = {}
        for row in rows:
            self.meet(row)

    def meet(self, row: Row) -> str | None:
        """What is known differently, in words; a row without such a thing is known from now on."""
        if (sha256 := row.get("rows_sha256")) is not None:
            place = key_of(replace(Cell.from_dict(row), rows_sha256=None, arms=[], tuning_seeds=1))
            if self._tables.setdefault(place, sha256) != sha256:
                return "another table of this name was there; tables made elsewhere go by the name of their folder"
        mine = faces(row) if row["status"] == "ok" else {}
        for key, scores in mine.items():
            known = self._known.get(key, {})
            for name in sorted(known.keys() & scores.keys()):
                if not same(name, known[name], scores[name]):
                    return f"{name} is {known[name]} and {scores[name]}"
        for key, scores in mine.items():
            self._known[key] = scores | self._known.get(key, {})
        return None


def _disagreeing(rows: list[Row]) -> Iterator[Finding]:
    """Rows of one cell that measured different arms, and the same one differently."""
    known = KnownCells()
    for row in {row["key"]: row for row in rows}.values():  # those of one key are found by _repeated
        if told := known.meet(row):
            yield Finding("disagreement", f"{name_of(row)}: two rows of this cell, with other arms; {told}")


def _unequal_baselines(rows: list[Row]) -> Iterator[Finding]:
    """Cells of one split must agree on it, and, under one model and processor, on its zero-shot scores."""
    hashes: dict[tuple[Any, ...], Row] = {}
    baselines: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if row["status"] != "ok":
            continue
        split = tuple(row[name] for name in SPLIT)
        first = hashes.setdefault(split, row)
        for what in ("split_hash", *PARTS):
            if first.get(what) != row.get(what):
                yield Finding("split", f"{name_of(row)} and {name_of(first)} were split differently: other {what}")
                break
        machine = (row.get("device"), *(str(row["provenance"].get(name)) for name in ("processor", "torch")))
        model = model_identity(Cell.from_dict(row)).values()
        first = baselines.setdefault((*split, *model, *machine), row)
        if not all(same(*shared) for shared in _shared_baseline(first, row)):
            yield Finding("baseline", f"{name_of(row)} and {name_of(first)} have other zero-shot scores")


def _shared_baseline(one: Row, other: Row) -> list[tuple[str, float, float]]:
    left, right = scores_of(one), scores_of(other)
    return [(n, left[n], right[n]) for n in left if n.startswith("zero_shot_") and n in right]


def _holes(rows: list[Row]) -> Iterator[Finding]:
    """Cells that the grid of datasets, folds, seeds and methods has and the rows do not."""
    grids: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        setting = (row["suite"], row["checkpoint"], row["n_folds"], row["max_train_rows"], row["max_test_rows"])
        grids.setdefault((*setting, row.get("model_plugin_version")), []).append(row)
    for setting, members in grids.items():
        present = {(row["dataset"], row["fold"], row["seed"], row["method"]) for row in members}
        axes = [sorted({cell[position] for cell in present}) for position in range(4)]
        folds = range(setting[2])
        due = len(axes[0]) * len(folds) * len(axes[2]) * len(axes[3])
        if due == len(present):
            continue
        if due > 10 * len(present) + 1000:
            yield Finding("grid", f"suite '{setting[0]}' has {len(present):,} of the {due:,} cells of its grid")
            continue
        for dataset, fold, seed, method in itertools.product(axes[0], folds, axes[2], axes[3]):
            if (dataset, fold, seed, method) not in present:
                yield Finding("grid", f"{dataset}, fold {fold}, seed {seed}, {method}: there is no outcome")


def _against_suites(rows: list[Row], plugins: Plugins) -> Iterator[Finding]:
    """What differs from the suites that are registered here under the same names."""
    for suite in sorted({row["suite"] for row in rows}):
        mine = [row for row in rows if row["suite"] == suite]
        if suite not in plugins.suites:
            yield Finding("suite", f"the suite '{suite}' is not registered here: its data cannot be checked", False)
            continue
        if not plugins.suites[suite].at_hand():
            yield Finding("suite", f"the suite '{suite}' is not on this machine: its data cannot be checked", False)
            continue
        known = {dataset.name: dataset for dataset in plugins.suites[suite].datasets}
        for name in sorted({row["dataset"] for row in mine} - set(known)):
            yield Finding("dataset", f"the suite '{suite}' has no dataset '{name}'")
        for name in sorted(set(known) - {row["dataset"] for row in mine}):
            yield Finding("coverage", f"no cell of '{name}', which the suite '{suite}' has", False)
        for name, sha256 in sorted({(row["dataset"], str(row["sha256"])) for row in mine if row["dataset"] in known}):
            if known[name].sha256 not in (None, sha256):
                yield Finding("dataset", f"'{name}' is not the table that the suite '{suite}' has (SHA-256 differs)")
        for row in mine:
            if (dataset := known.get(row["dataset"])) and (told := _read_otherwise(row, dataset)):
                yield Finding("dataset", f"'{dataset.name}' is not read as the suite '{suite}' reads it: {told}")


def _read_otherwise(row: Row, dataset: Dataset) -> str | None:
    """What of a row's table is not as its suite has it, in words."""
    due = {"target": dataset.target, "kinds": dataset.kinds, "reading": dataset.reading}
    return next((f"its {n} is {row[n]!r:.60}, {due[n]!r:.60} is due" for n in due if row[n] != due[n]), None)


def _missing_baselines(rows: list[Row]) -> Iterator[Finding]:
    """Real rows are compared with in every arm, zero-shot where something is fine-tuned."""
    tuned = any(tunes(row["arms"]) for row in rows)
    for baseline in BASELINES if tuned else ("real",):
        if not any(row["method"] == baseline for row in rows):
            yield Finding("baselines", f"there is no cell of '{baseline}', which the others are compared with", False)
