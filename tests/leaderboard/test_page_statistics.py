"""The page's JavaScript held to Python's statistics, in a bare engine: pools, ranks, tests, verdicts, the gate."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from leaderboard_rows import make_rows
from py_mini_racer import MiniRacer

import tabgen.leaderboard
from tabgen import statistics
from tabgen.leaderboard.boards import ALPHA, Board, constants, date_of, frame_of, payload, rank
from tabgen.leaderboard.overview import against_real, headline, kind_of
from tabgen.plugins import Plugins
from tabgen.statistics import Ranking
from tabgen.statistics.controls import KNOWN_BAD
from tabgen.statistics.coverage import LEAST_COVERAGE
from tabgen.statistics.scores import TIE_DECIMALS
from tabgen.statistics.significance import ENUMERATED_DATASETS, EXACT_DATASETS, FLIPS
from tabgen.statistics.verdicts import FEW_DATASETS, FEWEST_DATASETS, REFERENCES

CODE = Path(tabgen.leaderboard.__file__).parent / "assets" / "statistics.js"
GAP = 1e-9
METHODS = ("zero-shot", "real", "bootstrap", "jitter", "jitter@augment", "noise", "shuffled-labels")

Page = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def engine() -> MiniRacer:
    made = MiniRacer()
    made.eval(CODE.read_text(encoding="utf-8") + "; null")
    return made


def call(engine: MiniRacer, expression: str, *values: Any) -> Any:
    """What a JavaScript function of these values returns, both ways as JSON."""
    given = ", ".join(json.dumps(value) for value in values)
    return json.loads(str(engine.eval(f"JSON.stringify(({expression})({given}))")))


@pytest.fixture
def page(engine: MiniRacer, built_in: Plugins) -> Page:
    """What the page computes of these rows under these filters."""

    def compute(rows: list[dict[str, Any]], **chosen: str) -> dict[str, Any]:
        policy: Any = chosen.pop("policy", "complete")
        arm = chosen.pop("arm", "fine-tune")
        outcomes = frame_of(rows)
        metric = chosen.get("metric", "roc_auc")
        board = Board("a", "a board", rows, outcomes, {metric: rank(outcomes, metric, policy, built_in, arm)}, arm)
        about = {
            r["method"]: {
                "mixing": r["mixing"],
                "baseline": r["method"] in ("zero-shot", "real"),
                "kind": kind_of(r),
            }
            for r in rows
        }
        data = payload(board, policy, built_in) | {"about": about}
        datasets = {r["dataset"]: {"suites": [r["suite"]], "size": int(r["dataset"][-1]) % 2} for r in rows}
        code = """(board, datasets, chosen, policy, constants) => {
            const { cellsOf, summarise, headline, history } = tabgenStatistics;
            const cells = cellsOf(board, datasets, chosen);
            const result = summarise(cells, policy, constants, board);
            return { ...result, headline: headline(result, board.about), history: history(cells, policy, board) };
        }"""
        found: dict[str, Any] = call(engine, code, data, datasets, {"metric": metric} | chosen, policy, constants())
        return found | {"kinds": {method: facts["kind"] for method, facts in about.items()}}

    return compute


def outcomes(seed: int, *, datasets: int, ties: bool, missing: float, methods: tuple[str, ...] = METHODS) -> list[Any]:
    """Random rows. Gains have few decimals: means that lie between two roundings would be no fault of either side."""
    rng = np.random.default_rng(seed)
    rows = make_rows(methods, datasets=datasets, folds=int(rng.integers(1, 4)))
    effect = dict(zip(methods, rng.normal(0, 0.004, len(methods)), strict=True)) | {"zero-shot": 0.0}
    for number, name in enumerate(dict.fromkeys(row["dataset"] for row in rows)):
        for row in (row for row in rows if row["dataset"] == name):
            row["dataset"] = f"t{number:03d}"
    for row in rows:
        gain = effect[row["method"]] + rng.normal(0, 0.004)
        step = 0.005 if ties else 1e-6
        for part in ("validation", "test"):
            row[f"zero_shot_{part}_roc_auc"] = 0.5
            row[f"tuned_{part}_roc_auc"] = 0.5 + (0.0 if row["method"] == "zero-shot" else step * round(gain / step))
        if rng.random() < missing:
            row["status"] = "error"
            for part in ("validation", "test"):
                row[f"tuned_{part}_roc_auc"] = None
    return [row for row in rows if rng.random() >= missing / 2]


def near(value: float | list[float] | None) -> Any:
    """What equals this value to within the gap; nothing but None equals None."""
    return None if value is None else pytest.approx(value, rel=GAP, abs=GAP)


def hold_records(found: dict[str, Any], ranking: Ranking) -> None:
    for mine, record in zip(found["records"], ranking.methods, strict=True):
        for name in ("mean_rank", "median_gain", "spread_iqr", "spread_sd", "optimism"):
            assert mine[name] == near(getattr(record, name)), (record.method, name)
        for name in ("mean_rank_interval", "median_gain_interval"):
            wanted = getattr(record, name)
            assert mine[name] == near(wanted and list(wanted)), (record.method, name)
        assert (mine["cells"], mine["cells_ok"]) == (record.cells, record.cells_ok)
        assert (mine["worth"] is None) == (record.worth is None)
        if record.worth is not None:
            for name in ("rows", "share", "below", "above"):
                assert mine["worth"][name] == near(getattr(record.worth, name)), (record.method, name)
            ends = record.worth.interval
            assert mine["worth"]["interval"] == near(ends and list(ends)), record.method


def hold(found: dict[str, Any], ranking: Ranking) -> None:
    """Every number and sentence of the page is Python's."""
    assert (found["datasets"], found["methods"]) == (ranking.pool.datasets, ranking.pool.methods)
    assert found["excluded"] == ranking.pool.excluded_methods
    assert found["dropped"] == ranking.pool.dropped_datasets
    if ranking.pool.datasets:
        np.testing.assert_allclose(found["matrix"], ranking.gains.to_numpy(), rtol=0, atol=GAP)
    assert [r["method"] for r in found["records"]] == [r.method for r in ranking.methods]
    hold_records(found, ranking)
    claims = {method: (word, near(p)) for method, (word, p) in against_real(ranking).items()}
    assert {method: tuple(claim) for method, claim in found["claims"].items()} == claims
    assert found["headline"] == headline(ranking, found["kinds"])
    wins, tied, losses = (table.to_numpy() for table in ranking.duels)
    assert found["duels"] == np.stack([wins, tied, losses], axis=-1).tolist()
    omnibus = ranking.tests.friedman
    assert (found["test"] is None) == (omnibus is None)
    if omnibus is not None:
        for name in ("chi2", "f", "f_p", "flip_p", "p"):
            wanted = getattr(omnibus, name)  # JSON has no infinity
            assert found["test"][name] == (near(wanted) if np.isfinite(wanted) else None), name
    for mine, comparison in zip(found["comparisons"], ranking.tests.comparisons, strict=True):
        assert (mine["method"], mine["reference"]) == (comparison.method, comparison.reference)
        counts = (comparison.wins, comparison.ties, comparison.losses)
        assert (mine["wins"], mine["ties"], mine["losses"]) == counts
        assert mine["p"] == near(comparison.p)
        assert mine["p_adjusted"] == near(comparison.p_adjusted)
    if ranking.controls is None:
        assert found["controls"] is None
    else:
        for mine, control in zip(found["controls"], ranking.controls.methods, strict=True):
            assert (mine["method"], mine["below"]) == (control.method, control.below)
            assert mine["median_difference"] == near(control.median_difference)
            assert mine["p"] == near(control.p)
    said = [str(verdict).partition(" They are practically equal")[0] for verdict in ranking.verdicts]
    assert [sentence for sentence, _ in found["sentences"]] == said


@pytest.mark.parametrize("seed", range(24))
def test_the_page_says_what_python_says(page: Page, seed: int) -> None:
    """Pools of seven sizes, under each policy, with and without ties and missing cells."""
    policy = statistics.POLICIES[seed % 3]
    ties, missing = bool(seed // 3 % 2), (0.0, 0.02)[seed // 6 % 2]
    rows = outcomes(seed, datasets=(1, 3, 5, 8, 12, 13, 30)[seed % 7], ties=ties, missing=missing)
    hold(page(rows, policy=policy), statistics.summary(frame_of(rows), policy=policy))


@pytest.mark.parametrize("seed", range(18))
def test_the_page_has_python_s_grid_where_much_is_missing(page: Page, seed: int) -> None:
    """Private tables, folds and seeds of somebody's, methods on a few datasets, whole methods failed."""
    policy = statistics.POLICIES[seed % 3]
    rows, rng = outcomes(seed, datasets=8, ties=False, missing=0.01 * (seed % 4)), np.random.default_rng(seed)
    last = max(row["dataset"] for row in rows)
    few = {str(name) for name in rng.choice(METHODS, 2)}
    strangers = [
        row | {"dataset": f"private-{row['dataset']}", "fold": row["fold"] + 5 * int(rng.integers(2))}
        for row in rows
        if row["method"] in ("zero-shot", "real", "noise") and row["dataset"] < f"t{seed % 5:03d}"
    ]
    seeds = [row | {"seed": 1} for row in rows if row["method"] == "real" and row["dataset"] == last]
    rows = [r for r in rows if r["method"] not in few or r["dataset"] < "t003" or seed % 2] + strangers + seeds
    hold(page(rows, policy=policy), statistics.summary(frame_of(rows), policy=policy))


@pytest.mark.parametrize(
    "chosen", [{"mixing": "augment"}, {"mixing": "replace"}, {"size": "1"}, {"suite": "elsewhere"}]
)
def test_a_filter_leaves_the_pool_that_python_is_given(page: Page, chosen: dict[str, str]) -> None:
    rows = outcomes(4, datasets=16, ties=False, missing=0.0)
    for row in rows[: len(rows) // 2]:
        row["suite"] = "elsewhere"
    suite_of = {row["dataset"]: row["suite"] for row in rows}  # one suite a dataset
    rows = [row | {"suite": suite_of[row["dataset"]]} for row in rows]
    left = [
        row
        for row in rows
        if (row["method"] in ("zero-shot", "real") or chosen.get("mixing", row["mixing"]) == row["mixing"])
        and chosen.get("size", str(int(row["dataset"][-1]) % 2)) == str(int(row["dataset"][-1]) % 2)
        and chosen.get("suite", row["suite"]) == row["suite"]
    ]
    assert 0 < len(left) < len(rows)
    hold(page(rows, **chosen), statistics.summary(frame_of(left)))


@pytest.mark.parametrize("seed", range(6))
def test_worth_is_python_s_and_so_is_what_the_board_answers(page: Page, seed: int) -> None:
    """The arm in which rows are told in real ones: no zero-shot beside real, a few cells without a worth,
    two seeds of some methods, and folds that only one of them has."""
    rng = np.random.default_rng(seed)
    rows = [r for r in outcomes(seed, datasets=(1, 7, 12)[seed % 3], ties=False, missing=0.02) if r["mixing"] != "none"]
    rows += [row | {"seed": 1} for row in rows if row["method"] in ("bootstrap", "real")]
    rows += [row | {"fold": 7 + row["fold"]} for row in rows if row["method"] == "jitter"]  # on no grid
    for row in rows:
        for name in [name for name in row if name.startswith("tuned_")]:
            row[name.replace("tuned_", "context_")] = row.pop(name)
        known = row["mixing"] == "replace" and row["status"] == "ok" and rng.random() < 0.95
        row["worth_context_rows"] = round(float(rng.uniform(2, 200)), 6) if known else None
        row["worth_context_censored"] = float(rng.integers(-1, 2)) if known else None
    ranking = statistics.summary(frame_of(rows), references=REFERENCES[:1], arm="context")
    assert {record.method for record in ranking.methods if record.worth} == {
        "bootstrap",
        "jitter",
        "noise",
        "shuffled-labels",
    }
    hold(page(rows, arm="context"), ranking)


def test_the_answer_names_what_is_better_what_is_not_and_why_nothing_can_be_said(page: Page) -> None:
    better = page(clear({"bootstrap": 0.02, "jitter": -0.02, "noise": -0.03, "shuffled-labels": -0.03}))["headline"]
    assert better[0] == "Better than the real rows alone: bootstrap."
    assert better[1].startswith("Of 3 that make rows: 1 score higher, 1 lower, 1 cannot be told apart")
    none = page(clear({"bootstrap": -0.02, "noise": -0.03, "shuffled-labels": -0.03}))["headline"]
    assert none[0] == "No generator is shown to do better than the real rows alone."
    failed = page(clear({"bootstrap": 0.02, "noise": 0.01, "shuffled-labels": -0.02}))["headline"]
    assert failed == ["No winner is named: noise, known to be bad, not below the real rows here."]
    few = page(clear({"noise": -0.03, "shuffled-labels": -0.03}, datasets=4))["headline"]
    assert few == ["Nothing can be claimed: 4 of the datasets can be ranked, and it takes 5."]


def test_the_history_is_what_each_day_s_rows_would_have_said(page: Page) -> None:
    rows, days = outcomes(3, datasets=12, ties=False, missing=0.0), ("2026-01-05", "2026-02-01", "2026-03-01")
    for row in rows:
        day = days[2] if row["method"] == "jitter" else days[1] if row["dataset"] >= "t006" else days[0]
        row["provenance"] = row["provenance"] | {"date": day}
    rows[0]["provenance"] = rows[0]["provenance"] | {"date": "<script>"}  # no day: there from the beginning
    told = page(rows)["history"]
    for day, found in zip(days, told, strict=True):
        then = [row for row in rows if (date_of(row) or "") <= day]
        ranking = statistics.summary(frame_of(then))
        wanted = {r.method: near(r.median_gain) for r in ranking.methods if r.mean_rank is not None}
        assert found == wanted
    assert "jitter" not in told[1] and "jitter" in told[2] and told[0]["bootstrap"] != told[1]["bootstrap"]


def clear(shift: dict[str, float], datasets: int = 20) -> list[dict[str, Any]]:
    """Methods whose gains are far apart: without a gate, winners would be named."""
    rng = np.random.default_rng(1)
    rows = outcomes(1, datasets=datasets, ties=False, missing=0.0)
    for row in rows:
        for part in ("validation", "test"):
            gain = shift.get(row["method"], 0.0) + round(float(rng.normal(0, 2e-4)), 6)
            row[f"tuned_{part}_roc_auc"] = 0.5 + (0.0 if row["method"] == "zero-shot" else gain)
    return rows


@pytest.mark.parametrize("filters", [{}, {"size": "1"}, {"mixing": "replace"}])
def test_the_page_names_no_winner_where_a_control_is_not_below_the_real_rows(
    page: Page, filters: dict[str, str]
) -> None:
    rows = clear({"bootstrap": 0.02, "noise": 0.01, "shuffled-labels": -0.02})
    told = [sentence for sentence, _ in page(rows, **filters)["sentences"]]
    assert any(s.startswith("No winner is named in the arm 'fine-tune': what is known to be bad") for s in told)
    assert "noise (+" in " ".join(told)
    assert not [s for s in told if " scores higher than " in s or " scores lower than " in s]
    sound = [
        s for s, _ in page(clear({"bootstrap": 0.02, "noise": -0.01, "shuffled-labels": -0.02}), **filters)["sentences"]
    ]
    assert [s for s in sound if s.startswith("bootstrap scores higher than real")]
    assert not [s for s in sound if s.startswith("No winner")]


def test_a_filter_that_takes_the_failing_control_away_opens_the_gate_as_python_does(page: Page) -> None:
    rows = clear({"bootstrap": 0.02, "noise": 0.01, "shuffled-labels": -0.02})
    for row in rows:
        if row["method"] == "noise":
            row["mixing"] = "augment"
    left = [row for row in rows if row["method"] in ("zero-shot", "real") or row["mixing"] == "replace"]
    hold(page(rows, mixing="replace"), statistics.summary(frame_of(left)))


def test_a_method_is_known_to_be_bad_by_its_generator_whatever_it_is_called(page: Page) -> None:
    rows = [row | {"method": "mine" if row["method"] == "noise" else row["method"]} for row in clear({"noise": 0.01})]
    found = page(rows)
    assert "mine" in [control["method"] for control in found["controls"]]
    hold(found, statistics.summary(frame_of(rows)))
    assert "noise" in KNOWN_BAD


def test_the_page_has_python_s_constants(engine: MiniRacer) -> None:
    shared = call(engine, "() => tabgenStatistics.shared")
    assert shared == {
        "REFERENCES": list(REFERENCES),
        "FEWEST_DATASETS": FEWEST_DATASETS,
        "FEW_DATASETS": FEW_DATASETS,
        "EXACT_DATASETS": EXACT_DATASETS,
        "ENUMERATED_DATASETS": ENUMERATED_DATASETS,
        "RESAMPLES": inspect.signature(statistics.summary).parameters["resamples"].default,
        "FLIPS": FLIPS,
        "DECIMALS": TIE_DECIMALS,
        "LEAST_COVERAGE": LEAST_COVERAGE,
    }
    assert inspect.signature(statistics.summary).parameters["alpha"].default == ALPHA


def test_numbers_are_written_as_python_writes_them(engine: MiniRacer) -> None:
    rng = np.random.default_rng(0)
    values = [k / 2**n for n in range(12) for k in range(-40, 40)] + rng.normal(0, 3, 500).tolist()
    for digits in (1, 2, 3):
        written = call(engine, f"(values) => values.map((value) => tabgenStatistics.fixed(value, {digits}))", values)
        wanted = [f"{value:.{digits}f}" for value in values]
        assert [text for text in written if text != f"-{0:.{digits}f}"] == [
            t for t in wanted if t != f"-{0:.{digits}f}"
        ]


def test_more_datasets_than_the_exact_test_takes_are_refused_in_words(page: Page) -> None:
    found = page(outcomes(0, datasets=EXACT_DATASETS + 1, ties=False, missing=0.0, methods=METHODS[:3]))
    assert any("No verdict in this page for more than 100 datasets" in sentence for sentence, _ in found["sentences"])
    assert pd.DataFrame(found["matrix"]).shape == (101, 3)
