"""The grid of a board: a partial contributor is listed beside the ranking and changes nothing in it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from leaderboard_rows import fail, make_rows, with_key

from tabgen import statistics
from tabgen.leaderboard.boards import frame_of
from tabgen.results import rank_pools
from tabgen.statistics.coverage import LEAST_COVERAGE, enough

BOARD = ("zero-shot", "real", "bootstrap", "jitter", "jitter@augment")


def board(**kwargs: Any) -> list[dict[str, Any]]:
    return make_rows(BOARD, datasets=7, folds=2, **kwargs)


def private(methods: tuple[str, ...], tables: int, folds: int = 2, seed: int = 9) -> list[dict[str, Any]]:
    """Honest rows on tables that nobody else has."""
    rows = make_rows(methods, datasets=6 + tables, folds=folds, seed=seed)
    names = {f"table-{number:03d}" for number in range(6, 6 + tables)}
    rows = [row | {"dataset": f"mine-{row['dataset']}"} for row in rows if row["dataset"] in names]
    return [with_key(row | {"sha256": f"{int(row['dataset'][-3:]) + 100:064x}"}) for row in rows]


def many(number: int) -> tuple[str, ...]:
    return ("zero-shot", "real", *(f"jitter:noise=0.{n}" for n in range(11, 11 + number)))


@pytest.mark.parametrize("policy", statistics.POLICIES)
@pytest.mark.parametrize(
    "strangers",
    [
        private(("zero-shot", "real", "mixup"), 1),  # six rows
        private(many(12), 1),  # many methods on one table
        private(("zero-shot", "real", "mixup"), 6),  # one method on many tables
        [row | {"method": "mixup", "generator": "mixup"} for row in board(seed=3) if row["method"] == "jitter"][:4],
        [row | {"fold": 7} for row in make_rows(("zero-shot", "real", "mixup"), datasets=7, folds=1, seed=4)],
        [row | {"seed": 1} for row in make_rows(("zero-shot", "real"), datasets=3, folds=2, seed=4)],
    ],
    ids=["six-rows", "many-methods", "many-tables", "few-datasets", "another-fold", "another-seed"],
)
def test_a_partial_contributor_changes_nothing_for_the_others(strangers: list[Any], policy: statistics.Policy) -> None:
    alone = statistics.summary(frame_of(board()), policy=policy)
    together = statistics.summary(frame_of(board() + strangers), policy=policy)
    assert together.pool.datasets == alone.pool.datasets
    assert len(alone.pool.datasets) == 7
    ranked = [name for name in together.pool.methods if name in BOARD]
    assert ranked == alone.pool.methods
    if together.pool.methods == alone.pool.methods:  # the extra fold brings a whole method of one fold too few
        pd.testing.assert_frame_equal(together.gains, alone.gains)
        of = {record.method: record for record in together.methods}
        for record in alone.methods:
            assert of[record.method].mean_rank == record.mean_rank
            assert of[record.method].median_gain_interval == record.median_gain_interval


def with_worth(rows: list[dict[str, Any]], worth: float, step: int) -> list[dict[str, Any]]:
    """Rows as context: what those of a generator are worth, and the step that was kept."""
    told = {"worth_fine-tune_rows": worth, "worth_fine-tune_censored": 0.0}
    return [row | {"best_step": step, "n_train": 200} | (told if row["generator"] else {}) for row in rows]


def test_a_method_s_own_folds_and_seeds_count_in_none_of_its_figures() -> None:
    ours, mine = with_worth(board(), 100.0, 5), [row for row in board(seed=3) if row["method"] == "jitter"]
    extra = [row | {"fold": 7 + row["fold"]} for row in mine] + [row | {"seed": 1} for row in mine[:4]]
    alone, beside = (statistics.summary(frame_of(rows)) for rows in (ours, ours + with_worth(extra, 10.0, 0)))
    assert beside.pool == alone.pool
    assert alone.components is not None
    assert (beside.components, beside.kept_start) == (alone.components, alone.kept_start)
    worths = [{r.method: r.worth for r in ranking.methods} for ranking in (alone, beside)]
    assert worths[1] == worths[0]
    assert worths[0]["jitter"] is not None
    assert (worths[0]["jitter"].rows, worths[0]["jitter"].share) == (100.0, 0.5)


def test_worth_averages_the_seeds_of_a_fold_before_the_folds() -> None:
    """Fold 0 is worth 10 rows by both seeds, fold 1 is worth 100 by the one of them that was measured."""
    rows = [row | {"seed": seed} for row in board() for seed in (0, 1)]
    told = [with_worth([row], (10.0, 100.0)[row["fold"]], 5)[0] for row in rows]
    for row in told:
        if row["fold"] == row["seed"] == 1:
            row["worth_fine-tune_rows"] = None
    worth = next(r.worth for r in statistics.summary(frame_of(told)).methods if r.method == "jitter")
    assert worth is not None
    assert worth.rows == pytest.approx(55.0)


def test_what_is_beside_the_ranking_is_said_with_its_coverage() -> None:
    ranking = statistics.summary(frame_of(board() + private(("zero-shot", "real", "mixup"), 1)))
    assert ranking.pool.excluded_methods == ["mixup"]
    assert ranking.pool.outside == ["mine-table-006"]
    assert ranking.pool.coverage["mixup"] == 0
    first, second = ranking.sentences()[:2]
    assert first.startswith("Incomplete, and beside the ranking, with the datasets they finish: mixup (0).")
    assert "1 of 8 datasets (mine-table-006)" in second
    record = ranking.methods[-1]
    assert (record.method, record.mean_rank, record.cells_ok, record.cells) == ("mixup", None, 2, 16)


@pytest.mark.parametrize(("failed", "ranked"), [(2, True), (3, False)])
def test_coverage_is_a_share_of_what_others_finished(failed: int, ranked: bool) -> None:
    rows = make_rows(BOARD, datasets=10)
    names = sorted({row["dataset"] for row in rows})[:failed]
    for row in rows:
        if row["method"] == "jitter" and row["dataset"] in names:
            fail(row)
    ranking = statistics.summary(frame_of(rows))
    assert ("jitter" in ranking.pool.methods) is ranked
    assert len(ranking.pool.datasets) == (10 - failed if ranked else 10)
    assert LEAST_COVERAGE == 0.8
    worst = statistics.summary(frame_of(rows), policy="worst")  # it was run everywhere: what failed is made up
    assert "jitter" in worst.pool.methods and len(worst.pool.datasets) == 10


def test_where_every_generator_fails_here_and_there_nobody_is_thrown_out_for_it() -> None:
    """Each fails on other three of ten: none is less complete than the others."""
    rows = make_rows(("zero-shot", "real", "bootstrap", "jitter"), datasets=10)
    names = sorted({row["dataset"] for row in rows})
    for row in rows:
        if row["method"] in ("bootstrap", "jitter") and names.index(row["dataset"]) % 4 == (row["method"] == "jitter"):
            fail(row)
    ranking = statistics.summary(frame_of(rows))
    assert ranking.pool.excluded_methods == []


def test_a_run_that_was_stopped_in_the_middle_ranks_the_datasets_it_finished() -> None:
    rows = [row for row in board() if row["dataset"] != "table-006" or row["method"] in ("zero-shot", "bootstrap")]
    ranking = statistics.summary(frame_of(rows))
    assert ranking.pool.excluded_methods == [] and len(ranking.pool.datasets) == 6


def test_all_but_one_is_enough_on_small_boards() -> None:
    assert enough(1, 2) and enough(3, 4) and not enough(2, 4) and not enough(0, 1)
    assert enough(8, 10) and not enough(7, 10) and enough(24, 30) and not enough(23, 30)


def test_rank_keeps_the_pool_whole_too() -> None:
    rows = board() + private(("zero-shot", "real", "mixup"), 1)
    (ranked,) = rank_pools(pd.DataFrame(rows), arms=["fine-tune"])
    assert ranked.ranking is not None
    assert len(ranked.ranking.pool.datasets) == 7 and ranked.ranking.pool.excluded_methods == ["mixup"]


def test_a_dataset_of_which_nobody_shares_a_fold_leaves_the_others_ranked() -> None:
    rows = board()
    alone = {"bootstrap": 0, "jitter": 1, "jitter@augment": 2}
    table = rows[0]["dataset"]
    scattered = [row for row in rows if row["dataset"] != table]
    for row in rows:
        if row["dataset"] == table and row["fold"] == 0:
            scattered.append(with_key(row | {"fold": alone.get(row["method"], 0)}))
    found = statistics.summary(frame_of(scattered))
    assert len(found.pool.datasets) == 6
    assert table not in found.pool.datasets
    assert {record.method for record in found.methods} >= set(alone)
