"""What a cell is: its flat form, its identity, stores of earlier protocols, and text cleaned where it enters."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest
from leaderboard_rows import made_row, make_rows

from tabgen.leaderboard import bounds
from tabgen.outcome import CELL_FIELDS, STATUSES, Cell, Outcome, Result, hash_of, key_of
from tabgen.results import load_results, rank_pools
from tabgen.store import Store
from tabgen.text import MOST_NOTES

EARLIER = Path(__file__).parent / "fixtures" / "store_protocol_4"
"""A store that was written before cells had a type: two tables, two folds, four methods, protocol 4."""


def test_a_store_of_an_earlier_protocol_is_read_as_it_is() -> None:
    with Store(EARLIER) as store:
        rows = list(store.outcomes())
    assert len(rows) == 16
    for row in rows:
        again = Outcome.from_dict(row).to_dict()
        assert {name: again[name] for name in row} == row
        assert row["protocol"] == 4


def test_a_store_of_an_earlier_protocol_ranks_apart_from_a_newer_one() -> None:
    (ranked,) = rank_pools(load_results(EARLIER))
    assert ranked.arm == "fine-tune"
    assert ranked.ranking is not None
    assert {record.method for record in ranked.ranking.methods} == {"zero-shot", "real", "bootstrap", "scm"}


def test_the_flat_form_of_a_whole_row_loses_nothing() -> None:
    for row in make_rows():
        assert Outcome.from_dict(row).to_dict() == row | {"path": "", "rows_path": "", "rows_sha256": None}


def test_the_plan_wins_over_whatever_was_computed() -> None:
    cell = Cell.from_dict(made_row())
    result = Result.from_dict({"status": "ok", "key": "0" * 64, "dataset": "another", "tuned_test_roc_auc": 0.5})
    row = Outcome(cell, result, {}).to_dict()
    assert (row["key"], row["dataset"], row["tuned_test_roc_auc"]) == (cell.key, cell.dataset, 0.5)


def test_cells_cannot_be_changed_and_share_no_name_with_results() -> None:
    cell = Cell.from_dict(made_row())
    with pytest.raises(FrozenInstanceError):
        cell.key = "other"  # type: ignore[misc]
    assert not set(CELL_FIELDS) & {f.name for f in fields(Result)}
    assert json.loads(json.dumps(cell.to_dict())) == cell.to_dict()


def test_a_key_follows_every_field_that_decides() -> None:
    cell = Cell.from_dict(make_rows()[2])
    assert cell.generator == "bootstrap"
    same: dict[str, Any] = {
        "suite": "x",
        "dataset": "x",
        "method": "x",
        "limits": {},
        "path": "x",
        "fidelity": False,
        "key": "x",
    }
    assert {key_of(replace(cell, **{name: value})) for name, value in same.items()} == {key_of(cell)}
    other: dict[str, Any] = {
        "draw": 1,
        "tuning_seeds": 2,
        "arms": ["context"],
        "environment": "e" * 64,
        "text": "leave-out",
    }
    other |= {"reading": {"decimal": ","}, "plugin_version": "2", "protocol": 9, "model_plugin_version": "2"}
    assert len({key_of(replace(cell, **{name: value})) for name, value in other.items()} | {key_of(cell)}) == 10


def test_cells_without_a_model_of_a_plugin_keep_their_keys() -> None:
    with Store(EARLIER) as store:
        cells = [Cell.from_dict(row) for row in store.outcomes()]
    assert {cell.model_plugin_version for cell in cells} == {None}
    known = "2e8d662c1a81778c1b29f82dd617b998763c562e22151050c33fe87d9cb3553c"
    assert hash_of([key_of(cell) for cell in cells]) == known


def test_the_recipe_decides_only_where_something_is_tuned() -> None:
    cell = replace(Cell.from_dict(make_rows()[2]), arms=["context"])
    assert key_of(replace(cell, recipe={"steps": 7})) == key_of(cell)
    tuned = replace(cell, arms=["fixed-steps"])
    assert key_of(replace(tuned, recipe={"steps": 7})) != key_of(tuned)


def test_an_unknown_status_is_an_error_that_says_it() -> None:
    assert Result.from_dict({"status": "fine"}).status == "error"
    assert "unknown status 'fine'" in Result.from_dict({"status": "fine"}).reason
    assert {Result.from_dict({"status": status}).status for status in STATUSES} == set(STATUSES)


def test_text_is_cleaned_where_it_enters() -> None:
    result = Result(
        "error", "A\x1b[2J\x1b]0;TITLE\x07B\nC\udce9 " + "x" * 1000, log_tail="\x9b31m\tkept\n" + "y" * 5000
    )
    assert result.reason.startswith("A\ufffd[2J\ufffd]0;TITLE\ufffdB C\ufffd xxx")
    assert len(result.reason) == 500
    assert result.log_tail == "y" * 2000
    json.dumps(result.to_dict()).encode()


def test_notes_that_are_too_long_are_not_kept_and_say_so() -> None:
    assert Result("ok", notes={"graph": "a -> b\x00"}).notes == {"graph": "a -> b\ufffd"}
    (told,) = (Result("ok", notes={"trace": "x" * 1_000_000}).notes or {}).values()
    assert told.startswith("not kept: 1,000,0")
    assert f"{MOST_NOTES:,}" in told


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ({"seed": 2**62}, "not kept: a value holds an integer of 19 digits"),
        ({"n": [10**30]}, "not kept: a value holds an integer of 31 digits"),
        ({"a": [[[[[[[[[1]]]]]]]]]}, "not kept: a value is nested more than 8 deep"),
        ({"a": ((((((((((1,),),),),),),),),),)}, "not kept: a value is nested more than 8 deep"),
        ({"a": [[[[[1]]]]], "n": 2**53 - 1}, None),
    ],
)
def test_notes_that_no_bundle_could_hold_are_not_kept_and_say_so(notes: dict[str, Any], told: str | None) -> None:
    kept = Result("ok", notes=notes).notes or {}
    bounds.Tally().take(made_row() | {"notes": kept}, "row 1")
    assert kept == notes if told is None else kept["notes"].startswith(told)
