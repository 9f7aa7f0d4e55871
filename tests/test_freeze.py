"""A frozen analysis: written once, never changed without a word, and told apart from every other ranking."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from leaderboard_rows import PROVENANCE, make_rows, store_rows
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.errors import ExperimentError, StoreError, UnknownNameError
from tabgen.freeze import FILE, LOOKS, Freeze, as_frozen, make_freeze, read_freeze
from tabgen.leaderboard.report import render
from tabgen.outcome import Cell, key_of
from tabgen.results import load_results, rank_pools
from tabgen.statistics import holm

METHODS = ("zero-shot", "real", "bootstrap", "jitter")


def frozen(keys: list[str], **values: Any) -> Freeze:
    return make_freeze(keys, METHODS, **{"arm": "fine-tune"} | values)


def rank(folder: Path, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["rank", str(folder), *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, list[str]]:
    rows = dated(make_rows(METHODS, datasets=6))
    return store_rows(rows, tmp_path / "run"), [row["key"] for row in rows]


def dated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    where = PROVENANCE | {"date": datetime.now(UTC).date().isoformat()}
    return [row | {"provenance": where} for row in rows]


def test_what_is_written_is_read_and_a_second_freeze_refused(tmp_path: Path) -> None:
    freeze = frozen(["b", "a"], contrasts=[("jitter", "bootstrap")], region=0.2)
    freeze.write(tmp_path / "new")
    assert read_freeze(tmp_path / "new") == freeze
    assert read_freeze(tmp_path) is None
    with pytest.raises(ExperimentError, match="frozen already"):
        freeze.write(tmp_path / "new")


def test_a_change_after_freezing_is_an_error(tmp_path: Path) -> None:
    path = frozen(["a"]).write(tmp_path)
    path.write_text(path.read_text().replace("0.1", "0.5"))
    with pytest.raises(StoreError, match="changed after it was frozen"):
        read_freeze(tmp_path)
    path.write_text("{}")
    with pytest.raises(StoreError, match="no frozen analysis"):
        read_freeze(tmp_path)


def test_contrasts_are_every_method_against_real_or_those_named() -> None:
    assert frozen(["a"]).contrasts == (("bootstrap", "real"), ("jitter", "real"))
    with pytest.raises(UnknownNameError, match="jiter"):
        frozen(["a"], contrasts=[("jiter", "real")])
    with pytest.raises(ExperimentError, match="each pair once"):
        frozen(["a"], contrasts=[("jitter", "real"), ("real", "jitter")])
    with pytest.raises(UnknownNameError, match="arm"):
        frozen(["a"], arm="contxt")


def test_the_frozen_ranking_is_confirmatory_and_every_other_exploratory(run: tuple[Path, list[str]]) -> None:
    folder, keys = run
    assert rank(folder)["registration"]["why"] == ["no analysis was frozen before (tabgen plan --freeze)"]
    frozen(keys, metric="log_loss", contrasts=[("jitter", "real")]).write(folder)
    found = rank(folder)  # the frozen metric, since none was asked for
    assert found["metric"] == "log_loss"
    assert found["registration"]["status"] == "confirmatory"
    assert [(c["method"], c["other"]) for c in found["registration"]["contrasts"]] == [("jitter", "real")]
    for words, why in (
        (["--metric", "roc_auc"], "metric roc_auc, frozen was log_loss"),
        (["--policy", "worst"], "policy worst, frozen was complete"),
        (["--alpha", "0.1"], "alpha 0.1, frozen was 0.05"),
        (["--methods", "real,jitter"], "filtered by methods"),
    ):
        label = rank(folder, *words)["registration"]
        assert (label["status"], label["why"]) == ("exploratory", [why])
        assert label["contrasts"] == []


def test_the_report_shows_what_was_frozen(run: tuple[Path, list[str]]) -> None:
    folder, keys = run
    frozen(keys, metric="log_loss", policy="worst", alpha=0.1, contrasts=[("jitter", "real")]).write(folder)
    freeze, outcomes = read_freeze(folder), load_results(folder)
    page = render(outcomes, rank_pools(outcomes, **as_frozen(freeze)), "run", freeze)
    assert page.count("Confirmatory: ") == 1
    assert "jitter against real: " in page
    assert "against one beyond 0.1 points" in page


def test_a_single_contrast_is_tested_as_the_signed_rank_test_does(run: tuple[Path, list[str]]) -> None:
    folder, keys = run
    frozen(keys, contrasts=[("jitter", "real")]).write(folder)
    found = rank(folder)
    (contrast,) = found["registration"]["contrasts"]
    (pair,) = [p for p in found["pairwise"] if {p["method"], p["other"]} == {"jitter", "real"}]
    assert contrast["p"] == pytest.approx(pair["p"])


def test_outcomes_that_were_there_before_or_are_not_all_planned_confirm_nothing(run: tuple[Path, list[str]]) -> None:
    folder, keys = run
    frozen([*keys, "one more"], outcomes_before=3).write(folder)
    assert rank(folder)["registration"]["why"] == [
        f"the {len(keys)} cells that ended are not the {len(keys) + 1} that were planned",
        "3 outcomes were there before it was frozen",
    ]


@pytest.mark.parametrize("date", ["2020-02-29", ""])
def test_outcomes_of_an_earlier_day_or_of_none_confirm_nothing(tmp_path: Path, date: str) -> None:
    rows = dated(make_rows(METHODS, datasets=6))
    rows[0]["provenance"] = PROVENANCE | {"date": date}
    freeze = frozen([row["key"] for row in rows])
    freeze.write(tmp_path)
    why = rank(store_rows(rows, tmp_path))["registration"]["why"]
    assert why == [f"1 of {len(rows)} outcomes are of a day before {freeze.time[:10]}, or of none"]


def test_the_contrasts_of_all_pools_of_a_freeze_are_one_family(tmp_path: Path) -> None:
    rows = dated(make_rows(METHODS, datasets=6))
    few = [row | {"max_train_rows": 100} for row in rows]
    rows += [row | {"key": key_of(Cell.from_dict(row))} for row in few]
    frozen([row["key"] for row in rows]).write(tmp_path)
    pools = rank(store_rows(rows, tmp_path))["regimes"]
    found = [pair for pool in pools for pair in pool["registration"]["contrasts"]]
    assert [pool["registration"]["status"] for pool in pools] == ["confirmatory"] * 2
    alone = {frozenset((p["method"], p["other"])): p["p"] for p in pools[0]["pairwise"]}
    due = holm([alone[frozenset((pair["method"], pair["other"]))] for pair in found])
    assert [pair["p"] for pair in found] == pytest.approx(due)


def test_different_rankings_that_were_looked_at_are_counted_once_each(run: tuple[Path, list[str]]) -> None:
    folder, _ = run
    assert [rank(folder, *words)["rankings_looked_at"] for words in ([], [], ["--metric", "log_loss"], [])] == [
        1,
        1,
        2,
        2,
    ]
    assert len((folder / LOOKS).read_text().splitlines()) == 2


def test_a_folder_in_which_nothing_can_be_written_is_no_error(run: tuple[Path, list[str]]) -> None:
    folder, _ = run
    (folder / LOOKS).mkdir()  # as unwritable to root as to anybody
    assert rank(folder)["rankings_looked_at"] == 1


def test_plan_freezes_before_the_run(tmp_path: Path) -> None:
    words = ["--no-external-plugins", "plan", "--suite", "quick", "--folds", "2", "--methods", "real,jitter,bootstrap"]
    words += ["--arms", "context", "-o", str(tmp_path / "run")]
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "36 cells (6 datasets, 2 folds), 36 to run" in shown.stdout
    assert not (tmp_path / "run" / FILE).exists()
    lost = CliRunner().invoke(app, [*words, "--contrasts", "jitter/bootstrap", "--region", "0.5"])
    assert "--contrasts, --region: part of an analysis that only --freeze writes down" in str(lost.exception)
    done = CliRunner().invoke(app, [*words, "--freeze", "--contrasts", "jitter/bootstrap", "--region", "0.5"])
    assert "Frozen at" in done.stdout
    freeze = read_freeze(tmp_path / "run")
    assert freeze is not None
    assert (freeze.arm, freeze.contrasts, freeze.region, freeze.cells) == (
        "context",
        (("jitter", "bootstrap"),),
        0.5,
        36,
    )
    for wrong in (["--arm", "fine-tune"], ["--contrasts", "jitter"], ["--metric", "roc_acu"]):
        failed = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "other"), "--freeze", *wrong])
        assert isinstance(failed.exception, ExperimentError | UnknownNameError)
        assert not (tmp_path / "other" / FILE).exists()
