"""The cache: it changes no score, spares work, says what it spared, and trusts no damaged file."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from paths import FIXTURE
from test_cell import cells_of, run_cell

from tabgen import FitContext, Generator, GeneratorInfo
from tabgen.cache import Cache, CacheSettings, Rows, sizes, trim
from tabgen.datasets import Dataset
from tabgen.models.checkpoints import load_directory
from tabgen.outcome import rows_key
from tabgen.plugins import Plugin, PluginChoice, Plugins, load_plugins
from tabgen.table import Table
from tabgen.worth import LearningCurve, learning_curve

KEY = "a" * 64


def cache_in(folder: Path, limit_mb: float | None = None) -> Cache:
    return Cache(CacheSettings(str(folder), limit_mb))


def awkward() -> Table:
    """Every kind, missing values, mixed text, whole floats, levels that no row has."""
    frame = pd.DataFrame(
        {
            "number": [1.5, np.nan, -0.0, 1e300],
            "whole": [1, 2, 3, 2**53],
            "whole or missing": [1.0, np.nan, 3.0, 4.0],
            "text": ["ü", None, "a,b", "ü"],
            "codes": pd.Categorical([10, 2, 2, 10], categories=[2, 10, 11]),
            "flag": [True, None, False, True],
            "label": ["yes", "no", "yes", "no"],
        }
    )
    return Table.from_frame(frame, "label")


def rows_of(table: Table) -> Rows:
    return Rows(table, 1.25, 0.5, 300.0, {"graph": {"edges": [["a", "b", 0.1]]}})


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    table = awkward()
    cache_in(tmp_path).add_rows(KEY, rows_of(table))
    read = cache_in(tmp_path).rows(KEY)
    assert read is not None
    pd.testing.assert_frame_equal(read.table.frame, table.frame)
    assert read.table.schema == table.schema
    assert (read.seconds_fit, read.seconds_sample, read.peak_memory_mb) == (1.25, 0.5, 300.0)
    assert read.notes == {"graph": {"edges": [["a", "b", 0.1]]}}


def test_scores_come_back_to_the_last_bit(tmp_path: Path) -> None:
    scores = {"zero_shot_test_roc_auc": 0.1 + 0.2, "zero_shot_test_odd": float("nan")}
    cache_in(tmp_path).add_scores(KEY, scores, 0.7)
    read = cache_in(tmp_path).scores(KEY)
    assert read is not None
    assert repr(read) == repr((scores, 0.7))


def test_what_is_not_there_is_none_and_no_fault(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    assert cache.rows(KEY) is None
    assert cache.scores(KEY) is None
    assert cache.faults == []


@pytest.mark.parametrize("damage", ["truncated", "emptied", "overwritten", "one value changed"])
def test_a_damaged_file_counts_as_absent_and_is_named(tmp_path: Path, damage: str) -> None:
    cache = cache_in(tmp_path)
    cache.add_rows(KEY, rows_of(awkward()))
    cache.add_scores(KEY, {"zero_shot_test_roc_auc": 0.875}, 1.0)
    for path in (tmp_path / "synthetic" / f"{KEY}.parquet", tmp_path / "zero-shot" / f"{KEY}.json"):
        content = path.read_bytes()
        if damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "emptied":
            path.write_bytes(b"")
        elif damage == "overwritten":
            path.write_bytes(os.urandom(len(content)))
        elif path.suffix == ".json":
            path.write_bytes(content.replace(b"0.875", b"0.876"))
        else:  # a valid file that holds other rows
            other = Table(awkward().frame.assign(number=[1.5, np.nan, 0.0, 2e300]), awkward().schema)
            other.__dict__["content_hash"] = awkward().content_hash
            cache.add_rows(KEY, rows_of(other))
    assert cache.rows(KEY) is None
    assert cache.scores(KEY) is None
    assert [f"{KEY}.parquet" in cache.faults[0], f"{KEY}.json" in cache.faults[1]] == [True, True]
    assert cache.rows(KEY) is None
    assert cache.scores(KEY) is None
    assert len(cache.faults) == 2  # the damaged files are gone


def test_a_write_that_fails_costs_the_cache_only(tmp_path: Path) -> None:
    (tmp_path / "synthetic").write_text("in the way")
    cache = cache_in(tmp_path)
    cache.add_rows(KEY, rows_of(awkward()))
    assert "was not kept" in cache.faults[0]


def test_the_least_recently_used_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = cache_in(tmp_path)
    for number in range(4):
        cache.add_rows(f"{number}", rows_of(awkward()))
        os.utime(tmp_path / "synthetic" / f"{number}.parquet", (number, number))
    assert cache.rows("0") is not None  # used just now
    each = sizes(tmp_path)["synthetic"][1] / 4
    (tmp_path / "synthetic" / "mine.txt").write_text("x" * 10_000)
    trim(tmp_path, each * 2.5)
    assert sorted(path.name for path in (tmp_path / "synthetic").iterdir()) == ["0.parquet", "3.parquet", "mine.txt"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", Mock(side_effect=PermissionError))  # of another user
        trim(tmp_path, 0)
    trim(tmp_path, 0)
    assert sizes(tmp_path) == {"synthetic": (0, 0.0), "zero-shot": (0, 0.0)}
    assert (tmp_path / "synthetic" / "mine.txt").exists()


def test_a_limit_holds_while_files_are_added(tmp_path: Path) -> None:
    cache_in(tmp_path).add_rows("first", rows_of(awkward()))
    limit = sizes(tmp_path)["synthetic"][1] * 2.5
    cache = cache_in(tmp_path, limit)
    for number in range(5):
        cache.add_rows(f"{number}", rows_of(awkward()))
        assert sizes(tmp_path)["synthetic"][1] <= limit
    assert cache.rows("4") is not None


# In cells


@pytest.fixture
def counted() -> tuple[Plugins, list[str]]:
    """The built-ins and generators that say when they work: two that share rows, one that asks for the model."""
    calls: list[str] = []

    class Noisy(Generator):
        info = GeneratorInfo("noisy", "real rows and the global random state", accepts_missing=True)

        def fit(self, table: Table, context: FitContext) -> None:
            calls.append("fit")
            time.sleep(0.05)
            context.notes["seen"] = len(table)
            self.table = table

        def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
            calls.append("sample")
            np.random.random(seed % 100)  # what comes after must not notice
            return self.table.frame.sample(n_rows, replace=True, random_state=seed)

    class Twin(Noisy):
        info = GeneratorInfo("twin", "", mixing="augment", accepts_missing=True, same_rows_as="noisy")

    class Asking(Noisy):
        info = GeneratorInfo("asking", "", accepts_missing=True)

        def fit(self, table: Table, context: FitContext) -> None:
            self.model = context.foundation_model
            super().fit(table, context)

    plugins = load_plugins(PluginChoice(external=False))
    for generator in (Noisy, Twin, Asking):
        plugins.generators.add(generator.info.name, generator, Plugin("counted", "1", "test"))
    return plugins, calls


def timeless(outcome: dict[str, Any]) -> dict[str, Any]:
    machine = ("second", "memory", "cached")
    return {k: v for k, v in outcome.items() if not any(word in k for word in machine)}


@pytest.mark.parametrize("method", ["zero-shot", "real", "noisy", "noisy:ratio=2.5", "noisy:ratio=0.5", "asking"])
def test_outcomes_are_the_same_bits_without_with_and_from_the_cache(
    counted: tuple[Plugins, list[str]], heart: Dataset, two_steps: dict[str, Any], tmp_path: Path, method: str
) -> None:
    plugins, _ = counted
    cell = cells_of(plugins, heart, [method], two_steps)[0]
    without, first, second = (
        run_cell(cell, plugins, cache=cache) for cache in (None, cache_in(tmp_path), cache_in(tmp_path))
    )
    assert timeless(without) == timeless(first) == timeless(second)
    assert (first["cached_zero_shot"], second["cached_zero_shot"]) == (False, True)
    if method not in ("zero-shot", "real"):
        assert (first["cached_synthetic"], second["cached_synthetic"]) == (False, True)


def test_one_fit_serves_a_twin_other_mixings_and_smaller_ratios(
    counted: tuple[Plugins, list[str]], heart: Dataset, two_steps: dict[str, Any], tmp_path: Path
) -> None:
    plugins, calls = counted
    methods = ["noisy:ratio=3", "noisy", "noisy@augment", "twin", "twin:ratio=2", "noisy:ratio=0.5", "twin:ratio=0.25"]
    cells = [cell for cell in cells_of(plugins, heart, methods, two_steps, fidelity=False) if cell.fold == 0]
    outcomes = {cell.method: run_cell(cell, plugins, cache=cache_in(tmp_path)) for cell in cells}
    assert calls == ["fit", "sample", "sample", "sample"]
    assert len({rows_key(cell) for cell in cells}) == 1
    assert outcomes["noisy"]["synthetic_hash"] == outcomes["twin"]["synthetic_hash"]
    assert [outcome["cached_synthetic"] for outcome in outcomes.values()] == [False] + [True] * 6


def test_a_larger_ratio_fits_again_and_draws_what_is_lacking_only(
    counted: tuple[Plugins, list[str]], heart: Dataset, two_steps: dict[str, Any], tmp_path: Path
) -> None:
    plugins, calls = counted
    cells = cells_of(plugins, heart, ["noisy", "noisy:ratio=3"], two_steps, fidelity=False)
    run_cell(cells[0], plugins, cache=cache_in(tmp_path))
    larger = run_cell(cells[1], plugins, cache=cache_in(tmp_path))
    assert calls == ["fit", "sample", "fit", "sample", "sample"]
    assert not larger["cached_synthetic"]
    assert timeless(larger) == timeless(run_cell(cells[1], plugins))


def test_a_hit_says_what_the_work_cost_when_it_was_done(
    counted: tuple[Plugins, list[str]], heart: Dataset, two_steps: dict[str, Any], tmp_path: Path
) -> None:
    plugins, _ = counted
    cell = cells_of(plugins, heart, ["noisy"], two_steps, fidelity=False)[0]
    first, second = (run_cell(cell, plugins, cache=cache_in(tmp_path)) for _ in range(2))
    assert second["seconds_fit"] == first["seconds_fit"] >= 0.05
    assert first["spared_seconds"] == 0
    spent = [second[f"seconds_{phase}"] for phase in ("fit", "zero_shot")]
    assert sum(spent) <= second["spared_seconds"] <= sum(spent) + second["seconds_sample"]
    assert second["notes"] == {"seen": first["n_train"]}
    cell = cells_of(plugins, heart, ["noisy"], two_steps, fidelity=False, arms=("context",))[0]
    first, second = (run_cell(cell, plugins, cache=cache_in(tmp_path / "curve")) for _ in range(2))
    assert second["seconds_worth"] == first["seconds_worth"] > 0


def test_rows_made_with_the_foundation_model_belong_to_its_checkpoint(
    counted: tuple[Plugins, list[str]],
    heart: Dataset,
    two_steps: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugins, calls = counted
    for method, fits in (("noisy", 1), ("asking", 2)):
        cell = cells_of(plugins, heart, [method], two_steps, fidelity=False)[0]
        calls.clear()
        run_cell(cell, plugins, cache=cache_in(tmp_path))
        monkeypatch.setattr("tabgen.cell._load_model", lambda cell, plugins, device: load_directory(FIXTURE))
        run_cell(replace(cell, checkpoint="another"), plugins, cache=cache_in(tmp_path))
        run_cell(cell, plugins, cache=cache_in(tmp_path))
        assert calls.count("fit") == fits, method


def test_another_version_of_the_model_s_plugin_takes_nothing_that_the_model_decided(
    counted: tuple[Plugins, list[str]],
    heart: Dataset,
    two_steps: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugins, calls = counted
    curves: list[int] = []

    def counting(*args: Any) -> LearningCurve:
        curves.append(1)
        return learning_curve(*args)

    monkeypatch.setattr("tabgen.cell.learning_curve", counting)
    monkeypatch.setattr("tabgen.cell._load_model", lambda cell, plugins, device: load_directory(FIXTURE))
    for method, fits in (("noisy", 1), ("asking", 2)):
        cell = cells_of(plugins, heart, [method], two_steps, fidelity=False, arms=("context",))[0]
        calls.clear()
        curves.clear()
        outcomes = [
            run_cell(replace(cell, model_plugin_version=version), plugins, cache=cache_in(tmp_path / method))
            for version in (None, "2", None, "2")
        ]
        assert [outcome["cached_zero_shot"] for outcome in outcomes] == [False, False, True, True]
        assert (calls.count("fit"), len(curves)) == (fits, 2), method


@pytest.mark.parametrize(
    "change", [{"plugin_version": "2"}, {"settings": {"x": 1}}, {"seed": 5}, {"fold": 1}, {"protocol": -1}]
)
def test_what_decides_the_rows_is_in_their_key(
    counted: tuple[Plugins, list[str]],
    heart: Dataset,
    two_steps: dict[str, Any],
    tmp_path: Path,
    change: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugins, calls = counted
    monkeypatch.setattr("tabgen.cell.make_generator", lambda generator, settings: generator())
    cell = cells_of(plugins, heart, ["noisy"], two_steps, fidelity=False)[0]
    run_cell(cell, plugins, cache=cache_in(tmp_path))
    changed = run_cell(replace(cell, **change), plugins, cache=cache_in(tmp_path))
    assert calls.count("fit") == 2
    assert not changed["cached_synthetic"]


def test_a_damaged_file_is_noted_in_the_outcome_and_computed_again(
    counted: tuple[Plugins, list[str]], heart: Dataset, two_steps: dict[str, Any], tmp_path: Path
) -> None:
    plugins, calls = counted
    cell = cells_of(plugins, heart, ["noisy"], two_steps, fidelity=False)[0]
    first = run_cell(cell, plugins, cache=cache_in(tmp_path))
    for path in tmp_path.glob("*/*"):
        path.write_bytes(path.read_bytes()[:-40])
    again = run_cell(cell, plugins, cache=cache_in(tmp_path))
    assert len(again["notes"].pop("cache")) == 2
    assert timeless(again) == timeless(first)
    assert calls.count("fit") == 2


def test_a_generator_that_redraws_is_not_cached(
    counted: tuple[Plugins, list[str]], heart: Dataset, two_steps: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    plugins, _ = counted
    redrawing = GeneratorInfo("noisy", "", accepts_missing=True, redraws=True)
    monkeypatch.setattr(plugins.generators["noisy"], "info", redrawing)
    outcome = run_cell(
        cells_of(plugins, heart, ["noisy"], two_steps, fidelity=False)[0], plugins, cache=cache_in(tmp_path)
    )
    assert not outcome["cached_synthetic"]
    assert sizes(tmp_path)["synthetic"] == (0, 0.0)
