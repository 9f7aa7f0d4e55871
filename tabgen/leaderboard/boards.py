"""Boards: the outcomes that may be compared with each other, and what the page needs to compare them again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabgen.arms import ARMS, FIRST_ARM, first_shown
from tabgen.comparable import Ranked, arms_of, in_arm, pools
from tabgen.errors import ExperimentError
from tabgen.leaderboard.schema import MEASURED
from tabgen.outcome import canonical_json
from tabgen.plugins import Plugins
from tabgen.statistics import (
    Policy,
    Ranking,
    StatisticsError,
    higher_is_better,
    normalised_scores,
    summary,
)
from tabgen.statistics.controls import known_bad
from tabgen.statistics.scores import POLICIES
from tabgen.statistics.verdicts import REFERENCES

Row = dict[str, Any]
FIRST_METRIC = "roc_auc"
ALPHA, REGION, SEED = 0.05, 0.1, 0
#: Decimals of a gain in the page: the statistics round to 6 themselves.
GAIN_DECIMALS = 9
#: Days that a board's history shows; what is older is in the first of them.
MOST_DATES = 24


@dataclass
class Board:
    """One pool of outcomes: comparable, each (dataset, fold, method, seed) once."""

    name: str
    title: str
    rows: list[Row]
    outcomes: pd.DataFrame
    rankings: dict[str, Ranking]
    arm: str = FIRST_ARM

    @property
    def metrics(self) -> list[str]:
        return list(self.rankings)


#: A pool's outcomes in one arm, the arm, and the ranking that is there already.
Part = tuple[pd.DataFrame, str, Ranking | None]


def make_boards(
    rows: Sequence[Row], plugins: Plugins, policy: Policy, ranked: Sequence[Ranked] | None = None
) -> list[Board]:
    """The boards that these published rows make, the largest first.

    Where one method or dataset name stands for two things within a board (another version of the plugin, other
    settings, another file), the name says which; each draw is a seed of its own.

    Parameters
    ----------
    rows : sequence of dict
    plugins : Plugins
    policy : {"complete", "worst", "baseline"}
    ranked : sequence of Ranked, optional
        What :func:`tabgen.results.rank_pools` made of these very rows in all their arms: what is there is not
        computed again.

    Raises
    ------
    ExperimentError
        If no board has a metric to rank by, or there is no such policy.
    """
    if policy not in POLICIES:
        raise ExperimentError(f"policy '{policy}' for missing outcomes: one of {', '.join(POLICIES)} is due.")
    found = _parts(rows) if ranked is None else [(each.pool.outcomes, each.arm, each.ranking) for each in ranked]
    parts = [(_renamed(rows, outcomes), arm, ranking) for outcomes, arm, ranking in found if len(outcomes)]
    shown_first = first_shown([arm for _, arm, _ in parts] or [FIRST_ARM])
    parts.sort(key=lambda each: (-len(each[0]), each[1] != shown_first, each[0][0]["key"]))
    settings = [(_setting(part), arm) for part, arm, _ in parts]
    boards = [
        _board(part, arm, settings.count((_setting(part), arm)) > 1, plugins, policy, ranking)
        for part, arm, ranking in parts
    ]
    boards = [board for board in boards if board.rankings]
    if not boards:
        raise ExperimentError("no outcome has a score yet: there is nothing to rank.")
    return boards


def _parts(rows: Sequence[Row]) -> list[Part]:
    """Every pool of these rows in every arm that it measured, none of them ranked."""
    return [
        (in_arm(pool.outcomes, arm), arm, None) for pool in pools(pd.DataFrame(rows)) for arm in arms_of(pool.outcomes)
    ]


def _renamed(rows: Sequence[Row], outcomes: pd.DataFrame) -> list[Row]:
    """The rows of a part, with what tells apart there what is different: names, and seeds where there are draws.

    Where a method stands for others with its rows, theirs are its own (:func:`tabgen.comparable.in_arm`).
    """
    names = ["dataset", "method", "generator", "mixing", "seed", "split_seed"]
    names = [name for name in names if name in outcomes.columns]
    told = outcomes[names].to_dict("records")
    return [rows[at] | each for at, each in zip(outcomes.index, told, strict=True)]


def _board(
    rows: list[Row], arm: str, ambiguous: bool, plugins: Plugins, policy: Policy, known: Ranking | None
) -> Board:
    """The board of one part; ``ambiguous``: others have the same setting, and titles have to tell them apart."""
    first = next((row for row in rows if row["mixing"] != "none"), rows[0])
    outcomes = frame_of(rows)
    rankings = {}
    for metric in _metrics(outcomes, arm):
        if known is not None and _settings_of(known) == (metric, policy, ALPHA, REGION, SEED):
            rankings[metric] = known
            continue
        try:
            rankings[metric] = rank(outcomes, metric, policy, plugins, arm)
        except StatisticsError:
            continue  # not scored on both parts before and after: no ranking by this metric
    cap = f"at most {first['max_train_rows']:,} training rows" if first["max_train_rows"] else "all training rows"
    recipes = sorted({str(row["recipe"].get("name", "unnamed")) for row in rows if row["mixing"] != "none"})
    title = f"{first['model']}, {cap}, {first['n_folds']} folds"
    title += f", recipe {' and '.join(recipes)}" if recipes else ""
    title += f", arm {arm}" if arm != FIRST_ARM else ""
    if ambiguous:
        plugin = f", model plugin {version}" if (version := first.get("model_plugin_version")) else ""
        title += f", checkpoint {first['checkpoint'][:8]}{plugin}, board {rows[0]['key'][:6]}"
    content = [[r["key"], r["method"]] for r in rows] + ([] if arm == FIRST_ARM else [arm])
    name = hashlib.sha256(canonical_json(content).encode()).hexdigest()[:10]
    return Board(name, title, rows, outcomes, rankings, arm)


def _settings_of(ranking: Ranking) -> tuple[Any, ...]:
    return ranking.metric, ranking.policy, ranking.alpha, ranking.rope, ranking.seed


def frame_of(rows: list[Row]) -> pd.DataFrame:
    """Rows as a DataFrame whose measured numbers are floats, NaN where there is none."""
    frame = pd.DataFrame(rows)
    integers = {"n_folds"}  # of the cell, though its name is like those of the counts
    numbers = [pattern for pattern, family in MEASURED.items() if family.kind == "number"] + [
        "best_step|peak_memory_mb"
    ]
    for name in frame.columns:
        if name not in integers and any(re.fullmatch(pattern, name) for pattern in numbers):
            frame[name] = pd.to_numeric(frame[name]).astype(float)
    return frame


def _setting(rows: list[Row]) -> tuple[Any, ...]:
    first = next((row for row in rows if row["mixing"] != "none"), rows[0])
    return first["model"], first["max_train_rows"], first["n_folds"], first["recipe"].get("name")


def _metrics(outcomes: pd.DataFrame, arm: str) -> list[str]:
    """The metrics that have all four columns, the protocol's own first."""
    prefix = f"{ARMS[arm].stage}_test_"
    found = sorted(name.removeprefix(prefix) for name in outcomes.columns if name.startswith(prefix))
    found = [name for name in found if outcomes[f"{prefix}{name}"].notna().any()]
    return sorted(found, key=lambda name: name != FIRST_METRIC)


def direction(metric: str, plugins: Plugins) -> bool:
    """Whether higher is better: as the metric was registered, or by its name where it is not."""
    return plugins.metrics[metric].higher_is_better if metric in plugins.metrics else higher_is_better(metric)


def rank(outcomes: pd.DataFrame, metric: str, policy: Policy, plugins: Plugins, arm: str = FIRST_ARM) -> Ranking:
    better = direction(metric, plugins)
    references = references_of(arm)
    return summary(outcomes, metric, policy, ALPHA, REGION, SEED, references=references, higher_better=better, arm=arm)


def references_of(arm: str) -> tuple[str, ...]:
    """What the verdicts compare with: where nothing is tuned, real rows as context are zero-shot prediction."""
    return REFERENCES if ARMS[arm].tunes else REFERENCES[:1]


def verdicts_of(ranking: Ranking) -> list[tuple[str, bool]]:
    """The sentences, each with whether it may be folded away: a comparison that claims nothing."""
    told = ranking.sentences(undecided=False)
    return [(sentence, position >= len(told)) for position, sentence in enumerate(ranking.sentences())]


def constants() -> dict[str, Any]:
    """What the page's statistics share with Python's: level, the state of the random generator."""
    state = np.random.default_rng(SEED).bit_generator.state["state"]
    return {
        "alpha": ALPHA,
        "generator": {"state": str(state["state"]), "increment": str(state["inc"])},
    }


def payload(board: Board, policy: Policy, plugins: Plugins) -> dict[str, Any]:
    """The board's cells, column by column, and the sentences and possible ranks of the whole board."""
    outcomes = board.outcomes.reset_index(drop=True)
    methods, datasets = sorted(outcomes["method"].unique()), sorted(outcomes["dataset"].unique())
    nothing = pd.Series(np.nan, outcomes.index)
    days = [date_of(row) for row in board.rows]
    dates = sorted({day for day in days if day is not None})[-MOST_DATES:]
    gains = {}
    for metric in board.metrics:
        scores = normalised_scores(
            outcomes, metric, higher_better=direction(metric, plugins), arm=board.arm
        ).sort_index()
        gains[metric] = [_numbers(scores[name], GAIN_DECIMALS) for name in ("gain_test", "optimism")]
    return {
        "name": board.name,
        "title": board.title,
        "policy": policy,
        "arm": board.arm,
        "known_bad": known_bad(outcomes),
        "references": list(references_of(board.arm)),
        "methods": methods,
        "datasets": datasets,
        "dataset": pd.Categorical(outcomes["dataset"], datasets).codes.tolist(),
        "method": pd.Categorical(outcomes["method"], methods).codes.tolist(),
        "fold": outcomes["fold"].astype(int).tolist(),
        "seed": outcomes["seed"].astype(int).tolist(),
        "ok": (outcomes["status"] == "ok").astype(int).tolist(),
        "seconds": _numbers(outcomes.get("seconds_total", nothing), 4),
        "worth": _worth(outcomes, board.arm),
        "dates": dates,
        "date": [dates.index(day) if day in dates else -1 for day in days],
        "gains": gains,
        "sets": {
            metric: {
                record.method: [*record.rank_set, ranking.letters()[record.method]]
                for record in ranking.methods
                if record.rank_set
            }
            for metric, ranking in board.rankings.items()
        },
        "sentences": {metric: verdicts_of(ranking) for metric, ranking in board.rankings.items()},
    }


def _numbers(values: pd.Series[Any], digits: int) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), digits) for value in values]


def _worth(outcomes: pd.DataFrame, arm: str) -> list[list[float | None]] | None:
    """What the rows of each cell are worth in this arm: in real rows, as a share of them, beyond which end."""
    names = [f"worth_{arm}_rows", f"worth_{arm}_censored"]
    if not set(names) <= set(outcomes.columns):
        return None
    rows, side = (pd.to_numeric(outcomes[name]).astype(float) for name in names)
    share = rows / outcomes["n_train"].astype(float)
    return [_numbers(values, GAIN_DECIMALS) for values in (rows, share, side)]


def date_of(row: Row) -> str | None:
    """The day on which a row says that it was computed; None where it does not, or says something else."""
    day = row["provenance"].get("date")
    return day if isinstance(day, str) and re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", day) else None


def embed(data: Any) -> str:
    """JSON that can stand inside a <script type="application/json">: nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
