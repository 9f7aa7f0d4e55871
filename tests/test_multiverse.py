"""The multiverse: every universe a store offers, and the share in which each contrast holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from leaderboard_rows import make_rows, store_rows, with_key
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.errors import ExperimentError, TableWarning, UnknownNameError
from tabgen.freeze import make_freeze
from tabgen.multiverse import Universe, multiverse, shares

METHODS = ("zero-shot", "real", "bootstrap", "jitter", "jitter@augment")


def rows(better_by: dict[str, float], datasets: int = 8) -> list[dict[str, Any]]:
    """Outcomes in which `jitter` gains so much in ROC-AUC or loses so much log-loss, and all else is noise-free."""
    made = []
    rng = np.random.default_rng(0)
    for row in make_rows(METHODS, datasets=datasets, folds=2):
        for metric in ("roc_auc", "log_loss"):
            for part in ("validation", "test"):
                score = row[f"zero_shot_{part}_{metric}"]
                shift = better_by[metric] * rng.uniform(0.9, 1.1) if row["method"] == "jitter" else 0.0
                row[f"tuned_{part}_{metric}"] = score * (1 + (shift if metric == "roc_auc" else -shift))
        made.append(with_key({name: value for name, value in row.items() if name != "key"}))
    return made


def test_a_contrast_that_turns_with_the_metric_is_found_to_do_so() -> None:
    universes = multiverse(pd.DataFrame(rows({"roc_auc": 0.05, "log_loss": -0.05})))
    assert len([u for u in universes if u.method == "jitter" and u.choices["mixing"] == "replace"]) == 2 * 3
    mine = [u for u in universes if (u.method, u.choices["mixing"]) == ("jitter", "replace")]
    by_metric = {u.choices["metric"]: u.verdict for u in mine}
    assert by_metric == {"roc_auc": "better", "log_loss": "worse"}
    share = {s.method: s for s in shares(universes)}["jitter"]
    # half of the universes keep the real rows, where nothing differs: equal; of the others half are better, half worse
    assert (share.universes, share.better, share.worse, share.equal) == (12, 0.25, 0.25, 0.5)
    assert share.turns["metric"] == {"log_loss": 0.0, "roc_auc": 0.5}
    assert share.turns["mixing"] == {"augment": 0.0, "replace": 0.5}
    assert "arm" not in share.turns  # the store offers one only


def test_named_pairs_are_judged_between_variants_of_one_mixing() -> None:
    universes = multiverse(pd.DataFrame(rows({"roc_auc": 0.05, "log_loss": 0.05})), [("jitter", "bootstrap")])
    found = [u for u in universes if u.other == "bootstrap"]
    assert {u.verdict for u in found} == {"better"}
    assert {u.choices["mixing"] for u in found} == {"replace"}


def test_a_named_pair_is_judged_as_named_and_one_that_no_universe_holds_is_said() -> None:
    made = rows({"roc_auc": 0.05, "log_loss": 0.05})
    pair = ("jitter@augment", "bootstrap")  # of two mixings, by their names
    universes = multiverse(pd.DataFrame(made), [pair])
    assert {u.verdict for u in universes if u.choices["mixing"] == "augment" and u.other == "bootstrap"} == {"equal"}
    tables = sorted({row["dataset"] for row in made})
    few = [row for row in made if row["method"] != "bootstrap" or row["dataset"] in tables[:1]]
    with pytest.warns(TableWarning, match="'jitter@augment' and 'bootstrap' are nowhere both scored on 5 datasets"):
        multiverse(pd.DataFrame(few), [pair])


def test_versions_of_a_plugin_keep_their_names_and_unknown_pairs_are_refused() -> None:
    made = rows({"roc_auc": 0.05, "log_loss": 0.05})
    others = [with_key(row | {"plugin_version": "sha256:abc"}) for row in made if row["method"] == "jitter"]
    universes = multiverse(pd.DataFrame(made + others))
    assert {u.method for u in universes} >= {"jitter (0.1.0)", "jitter (sha256:abc)", "bootstrap"}
    with pytest.raises(UnknownNameError, match="no method is called 'jiter'; did you mean"):
        multiverse(pd.DataFrame(made), [("jiter", "real")])


def test_nothing_is_claimed_where_what_is_known_to_be_bad_is_not_below_the_real_rows() -> None:
    made = rows({"roc_auc": 0.05, "log_loss": 0.05})
    for row in made:
        if row["method"] == "bootstrap":  # as good as the real rows by log-loss, below them by ROC-AUC
            row |= {"generator": "noise"}
            for part in ("validation", "test"):
                row[f"tuned_{part}_roc_auc"] -= 0.01
    universes = multiverse(pd.DataFrame([with_key(row) for row in made]))
    mine = [u for u in universes if (u.method, u.choices["mixing"]) == ("jitter", "replace")]
    assert {(u.choices["metric"], u.verdict) for u in mine} == {("roc_auc", "better"), ("log_loss", "undecided")}
    assert all(u.estimate > 1 for u in mine)


def test_a_method_with_a_recipe_of_its_own_is_held_against_the_real_rows_under_that_recipe() -> None:
    """Under the other recipe everything is better by 20 points, so that `jitter` gains nothing on `real` there."""
    made = rows({"roc_auc": 0.05, "log_loss": 0.05})
    others = []
    for row in [row for row in made if row["method"] in ("real", "jitter")]:
        recipe = row["recipe"] | {"name": "mine", "steps": 3}
        scores = {f"tuned_{part}_roc_auc": row[f"zero_shot_{part}_roc_auc"] * 1.2 for part in ("validation", "test")}
        others.append(with_key(row | scores | {"method": f"{row['method']}:recipe=mine", "recipe": recipe}))
    for named in [], [("jitter", "real"), ("jitter:recipe=mine", "real")]:
        universes = multiverse(pd.DataFrame(made + others), named)
        assert {u.other for u in universes} == {"real"}
        mine = [u for u in universes if (u.method, u.choices["mixing"]) == ("jitter", "replace")]
        by_recipe = {u.choices["recipe"]: u.verdict for u in mine if u.choices["metric"] == "roc_auc"}
        assert by_recipe == {"nano": "better", "mine": "equal"}
        assert len(mine) == 2 * 2 * 3
    alone = multiverse(pd.DataFrame(made + [row for row in others if row["generator"]]))
    assert {u.choices["recipe"] for u in alone} == {"nano"}  # nothing to hold it against


def test_failed_cells_make_the_policy_a_choice() -> None:
    made = rows({"roc_auc": 0.05, "log_loss": 0.05}, datasets=7)
    for row in made:
        if row["method"] == "jitter" and row["dataset"] == made[0]["dataset"]:
            row |= {"status": "error", "reason": "no"}
    counted = {u.choices["policy"]: u.datasets for u in multiverse(pd.DataFrame(made)) if u.method == "jitter"}
    assert counted == {"complete": 6, "worst": 7, "baseline": 7}


def test_too_few_datasets_are_no_universe() -> None:
    with pytest.raises(ExperimentError, match="at least 5 datasets"):
        multiverse(pd.DataFrame(rows({"roc_auc": 0.05, "log_loss": 0.05}, datasets=4)))


def test_the_most_often_better_comes_first() -> None:
    def one(method: str, verdict: str) -> Universe:
        return Universe(method, "real", {"arm": "context"}, 9, 0.0, verdict)

    order = [s.method for s in shares([one("a", "worse"), one("b", "undecided"), one("c", "better")])]
    assert order == ["c", "b", "a"]


def test_the_command_prints_shares_and_takes_over_the_frozen_pairs(tmp_path: Path) -> None:
    made = rows({"roc_auc": 0.05, "log_loss": -0.05})
    folder = store_rows(made, tmp_path / "run")
    pairs = [("jitter", "bootstrap")]
    make_freeze([row["key"] for row in made], METHODS, arm="fine-tune", contrasts=pairs, region=0.3).write(folder)
    shown = CliRunner().invoke(app, ["multiverse", str(folder)], catch_exceptions=False, env={"COLUMNS": "200"})
    assert "metric: log_loss, roc_auc" in shown.stdout
    assert "equal within 0.3 points" in shown.stdout
    data = json.loads(CliRunner().invoke(app, ["multiverse", str(folder), "--json"]).stdout)
    assert ("jitter", "bootstrap") in {(c["method"], c["other"]) for c in data["contrasts"]}
    assert len(data["universes"]) == sum(c["universes"] for c in data["contrasts"])
