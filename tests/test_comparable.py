"""What may be ranked together, and what tells datasets and methods of one name apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from leaderboard_rows import make_rows, store_rows, with_key
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.comparable import arms_of, in_arm, pools
from tabgen.errors import ExperimentError
from tabgen.leaderboard.report import write_report
from tabgen.results import load_results, rank_pools, same_rows_in_words

Row = dict[str, Any]


def changed(rows: list[Row], **change: Any) -> list[Row]:
    return [with_key(row | change) for row in rows]


def test_outcomes_of_one_setting_are_one_pool() -> None:
    (pool,) = pools(pd.DataFrame(make_rows()))
    assert (pool.name, pool.max_train_rows, len(pool.outcomes)) == ("at most 1,000 training rows", 1000, 60)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": "other"}, "other"),
        ({"checkpoint": "1" * 64}, "checkpoint 11111111"),
        ({"model_plugin_version": "0.1.0+abc"}, "model plugin 0.1.0+abc"),
        ({"max_test_rows": 50}, "at most 50 test rows"),
        ({"protocol": 4}, "protocol 4"),
        ({"max_train_rows": 50}, "at most 50 training rows"),
        ({"max_train_rows": None}, "all training rows"),
    ],
)
def test_what_differs_in_the_setting_ranks_apart_and_says_so(change: dict[str, Any], word: str) -> None:
    rows = make_rows()
    found = pools(pd.DataFrame(rows + changed(rows, **change)))
    assert [len(pool.outcomes) for pool in found] == [60, 60]
    assert any(word in pool.name for pool in found)
    assert len({pool.name for pool in found}) == 2


def test_rows_of_before_do_not_tell_the_plugin_of_their_model_and_rank_as_one_pool() -> None:
    rows = make_rows()
    before = [{name: value for name, value in row.items() if name != "model_plugin_version"} for row in rows]
    assert [pool.name for pool in pools(pd.DataFrame(before[:30] + rows[30:]))] == ["at most 1,000 training rows"]
    told = changed(rows, model_plugin_version="0.1.0+abc")
    for old in (before, rows):
        assert [len(pool.outcomes) for pool in pools(pd.DataFrame(old + told))] == [60, 60]


def test_two_targets_of_one_file_are_two_datasets() -> None:
    rows = make_rows()
    (pool,) = pools(pd.DataFrame(rows + changed(rows, target="another")))
    names = set(pool.outcomes["dataset"])
    assert len(names) == 12
    assert "blood-storage (another)" in names


def test_two_versions_of_a_plugin_are_two_methods() -> None:
    rows = [row for row in make_rows() if row["method"] == "jitter"]
    (pool,) = pools(pd.DataFrame(make_rows() + changed(rows, plugin_version="sha256:abc")))
    assert {"jitter (0.1.0)", "jitter (sha256:abc)", "bootstrap"} <= set(pool.outcomes["method"])


def test_other_recipes_rank_apart_whatever_methods_they_were_measured_with() -> None:
    rows = make_rows()
    longer = {"recipe": rows[0]["recipe"] | {"steps": 300}}
    others = changed([row for row in rows if row["method"] == "jitter"], **longer, method="a:b=1")
    found = pools(pd.DataFrame(rows + others))
    assert [set(pool.outcomes["method"]) for pool in found] == [{row["method"] for row in rows}, {"zero-shot", "a:b=1"}]
    (same,) = pools(pd.DataFrame(rows + changed(others, recipe=rows[0]["recipe"] | {"name": "mine"})))
    assert "a:b=1" in set(same.outcomes["method"])


def test_a_recipe_of_its_own_by_its_name_ranks_with_the_others_and_two_of_one_name_are_two_methods() -> None:
    rows = make_rows()
    jitter = [row for row in rows if row["method"] == "jitter"]
    own = [changed(jitter, method="jitter:recipe=mine", recipe={"name": "mine", "steps": n}) for n in (3, 5)]
    (pool,) = pools(pd.DataFrame(rows + own[0]))
    assert {"jitter", "jitter:recipe=mine"} <= set(pool.outcomes["method"])
    (pool,) = pools(pd.DataFrame(rows + own[0] + own[1]))
    assert len({name for name in pool.outcomes["method"] if name.startswith("jitter:recipe=mine (")}) == 2
    assert len(pool.outcomes) == len(rows) + 2 * len(jitter)


def test_no_name_that_is_made_up_is_one_that_was_given() -> None:
    rows = make_rows(datasets=1)
    name, told = rows[0]["dataset"], f"{rows[0]['dataset']} ({rows[0]['sha256'][:8]})"
    other, third = changed(rows, sha256="1" * 64), changed(rows, dataset=told, sha256="2" * 64)
    (pool,) = pools(pd.DataFrame(rows + other + third))
    assert set(pool.outcomes["dataset"]) == {told, f"{told} 2", f"{name} (11111111)"}
    assert len(pool.outcomes) == 3 * len(rows)


def test_every_arm_is_ranked_by_the_rows_that_measured_it() -> None:
    """Runs of one folder may measure different arms of the same cells: none loses an outcome to another."""
    rows = [row for row in make_rows() if row["status"] == "ok"]
    plain, alone = changed(rows, arms=["fine-tune"]), changed(rows, arms=["context"])
    (pool,) = pools(pd.DataFrame(plain + alone))
    keys = [{row["key"] for row in each} for each in (plain, alone)]
    assert set(in_arm(pool.outcomes, "fine-tune")["key"]) == keys[0]
    assert set(in_arm(pool.outcomes, "context")["key"]) < keys[1]
    assert len(in_arm(pool.outcomes, "fine-tune")) == len(rows)
    with pytest.raises(ExperimentError, match=f"{len(rows)} outcomes repeat a cell"):
        pools(pd.DataFrame(plain + [row | {"key": "f" * 64} for row in plain]))


def test_of_one_cell_measured_twice_one_that_ended_well_counts_and_then_the_fuller() -> None:
    rows = make_rows()
    failed = [row | {"status": "timeout"} for row in changed(rows, arms=["fine-tune", "context", "augmented"])]
    (pool,) = pools(pd.DataFrame(rows + changed(rows, arms=["fine-tune", "context"]) + failed))
    found = in_arm(pool.outcomes, "fine-tune")
    ended = found[found["status"] == "ok"]
    assert len(found) == len(rows)
    assert set(map(tuple, ended["arms"])) == {("fine-tune", "context")}


@pytest.mark.parametrize(
    "change", [{"kinds": {"a": "drop"}}, {"reading": {"missing": ["?"]}}], ids=["kinds", "reading"]
)
def test_two_readings_of_one_file_are_two_datasets(change: dict[str, Any]) -> None:
    rows = make_rows()
    (pool,) = pools(pd.DataFrame(rows + changed(rows, **change)))
    names = set(pool.outcomes["dataset"])
    assert len(names) == 12
    assert all(" (read as " in name for name in names)


def test_fine_tunings_averaged_over_other_numbers_of_seeds_rank_apart() -> None:
    rows = make_rows()
    found = pools(pd.DataFrame(rows + changed(rows, tuning_seeds=3)))
    assert {pool.name.rpartition(", ")[2] for pool in found} == {"1 fine-tuning", "3 fine-tunings"}


def test_draws_count_as_seeds() -> None:
    rows = [row for row in make_rows() if row["generator"]]
    (pool,) = pools(pd.DataFrame(make_rows() + changed(rows, draw=1)))
    assert sorted(set(pool.outcomes["seed"])) == [0, 1]


def with_arms() -> pd.DataFrame:
    """Rows that measured two arms; jitter@augment draws jitter's rows."""
    rows = make_rows()
    rng = np.random.default_rng(1)
    for row in rows:
        row["arms"] = ["fine-tune", "context"]
        for part in ("validation", "test"):
            for metric in ("roc_auc", "log_loss"):
                better = 0.0 if row["generator"] is None else rng.normal(-0.1, 0.01)
                row[f"context_{part}_{metric}"] = row[f"zero_shot_{part}_{metric}"] * (1 + better)
    return pd.DataFrame([with_key(row) for row in rows])


def test_methods_with_the_same_rows_are_one_where_nothing_is_tuned() -> None:
    (pool,) = pools(with_arms())
    assert arms_of(pool.outcomes) == ["fine-tune", "context"]
    assert set(in_arm(pool.outcomes, "fine-tune")["method"]) == {
        "zero-shot", "real", "bootstrap", "jitter", "jitter@augment"
    }  # fmt: skip
    assert set(in_arm(pool.outcomes, "context")["method"]) == {"real", "bootstrap", "jitter"}
    words = "Where the model is not fine-tuned, methods with the same rows are one: jitter@augment under jitter."
    assert same_rows_in_words(pool.outcomes) == words
    assert same_rows_in_words(pool.outcomes[pool.outcomes["method"] != "jitter"]) == ""


def test_a_table_of_gains_says_which_methods_are_one(tmp_path: Path) -> None:
    rows: list[Any] = with_arms().to_dict("records")
    folder = store_rows(rows, tmp_path / "run")
    shown = CliRunner().invoke(app, ["rank", str(folder)], catch_exceptions=False, env={"COLUMNS": "200"}).stdout
    assert "jitter@augment under jitter" in shown
    page = write_report(folder, rank_pools(load_results(folder)))
    assert "jitter@augment under jitter" in page.read_text()


def test_a_method_of_few_cells_takes_none_from_another_with_its_rows() -> None:
    """Of `jitter` two tables and of `real` one are there, of `jitter@augment` and `zero-shot` all."""
    outcomes = with_arms()
    tables = sorted(outcomes["dataset"].unique())
    few = {"jitter": tables[:2], "real": tables[:1]}
    kept = [d in few.get(m, tables) for m, d in zip(outcomes["method"], outcomes["dataset"], strict=True)]
    (whole,), (part,) = pools(outcomes), pools(outcomes[kept])
    wanted, found = (in_arm(pool.outcomes, "context") for pool in (whole, part))
    cell = ["dataset", "fold", "seed", "method", "generator"]
    assert_frame_equal(
        found[cell].sort_values(cell, ignore_index=True), wanted[cell].sort_values(cell, ignore_index=True)
    )
    mixing = found[found["method"] == "jitter"].drop_duplicates(["method", "generator", "mixing"])["mixing"]
    assert list(mixing) == ["replace"]  # as jitter's own, though most of its outcomes are jitter@augment's
    own = found[found["method"].isin(few)]
    took = outcomes.loc[own.index, "method"]
    assert (took[own["dataset"].isin(tables[:1])] == own.loc[own["dataset"].isin(tables[:1]), "method"]).all()


def test_the_real_rows_of_few_tables_leave_controls_and_comparisons_as_they_are() -> None:
    outcomes = with_arms()
    outcomes.loc[outcomes["generator"] == "bootstrap", ["generator", "rows_of"]] = "noise"
    few = (outcomes["method"] != "real") | (outcomes["dataset"] == outcomes["dataset"].min())
    whole, part = (rank_pools(each, arms=["context"])[0].ranking for each in (outcomes, outcomes[few]))
    assert whole is not None
    assert part is not None
    assert whole.controls is not None
    assert (part.pool, part.controls, part.tests.comparisons) == (whole.pool, whole.controls, whole.tests.comparisons)


def test_a_failed_cell_is_told_by_another_method_with_its_rows() -> None:
    outcomes = with_arms()
    failed = outcomes["method"].isin(["jitter", "real"]) & (outcomes["fold"] == 1)
    outcomes.loc[failed, "status"] = "timeout"
    found = in_arm(pools(outcomes)[0].outcomes, "context")
    assert len(found) == 3 * 12
    assert set(found["status"]) == {"ok"}


def test_the_real_rows_under_several_recipes_are_one_method_where_nothing_is_tuned() -> None:
    rows: list[Any] = with_arms().to_dict("records")
    mine = {"recipe": rows[0]["recipe"] | {"name": "mine", "steps": 3}}
    tuned = [row for row in rows if row["method"] in ("real", "jitter")]
    rows += [with_key(row | mine | {"method": f"{row['method']}:recipe=mine"}) for row in tuned]
    outcomes = pd.DataFrame(rows)
    for part in (outcomes, outcomes[outcomes["method"] != "real"]):
        (pool,) = pools(part)
        found = in_arm(pool.outcomes, "context")
        assert set(found["method"]) == {"real", "bootstrap", "jitter"}
        assert len(found) == 3 * 12


def test_zero_shot_stands_for_the_real_rows_where_they_were_not_run() -> None:
    outcomes = with_arms()
    (pool,) = pools(outcomes[outcomes["method"] != "real"])
    assert set(in_arm(pool.outcomes, "context")["method"]) == {"real", "bootstrap", "jitter"}


def test_every_pool_is_ranked_in_every_arm() -> None:
    ranked = rank_pools(with_arms())
    assert [(each.arm, each.ranking is not None) for each in ranked] == [("fine-tune", True), ("context", True)]
    context = ranked[1].ranking
    assert context is not None
    assert context.arm == "context"
    gains = {record.method: record.median_gain for record in context.methods}
    assert gains["real"] == 0
    assert gains["jitter"] is not None
    assert gains["jitter"] < -8
    assert "zero-shot" not in " ".join(context.sentences())
