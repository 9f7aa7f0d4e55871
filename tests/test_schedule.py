"""Shards and order: every cell once, dealt evenly, the longest first, and no score changed by either."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from paths import FIXTURE
from tiny_run import rows_of

from tabgen.datasets import CORE, Dataset, Suite, core_datasets
from tabgen.errors import ExperimentError
from tabgen.experiment import Experiment, parse_methods, plan
from tabgen.models.recipes import get_recipe
from tabgen.outcome import Cell, rows_key
from tabgen.plugins import PluginChoice, Plugins
from tabgen.runner import QuietWatcher, run_experiment
from tabgen.schedule import Expected, Shard, cells_of_shard, longest_first, parse_shard, shape_of

METHODS = ["zero-shot", "real", "jitter", "jitter@augment", "mixup", "bootstrap", "cutmix"]
SUITE = Suite("core", "thirty tables", "1", core_datasets)


def experiment(plugins: Plugins, methods: list[str], suite: Suite = SUITE, folds: int = 3) -> Experiment:
    recipe = get_recipe("nano", steps=1).to_dict()
    return Experiment(
        suite, parse_methods(methods, plugins), folds=folds, model=str(FIXTURE), recipe=recipe, fidelity=False
    )


@pytest.fixture(scope="module")
def cells(built_in: Plugins) -> list[Cell]:
    return plan(experiment(built_in, METHODS), built_in)


@pytest.mark.parametrize("of", [1, 2, 3, 4, 6, 7, 10, 30, 37])
def test_shards_are_disjoint_together_everything_and_even(cells: list[Cell], of: int) -> None:
    expected = Expected(SUITE)
    shards = [cells_of_shard(cells, Shard(number, of), expected) for number in range(1, of + 1)]
    keys = [cell.key for shard in shards for cell in shard]
    assert len(keys) == len(set(keys))
    assert set(keys) == {cell.key for cell in cells}
    assert max(map(len, shards)) - min(map(len, shards)) <= 2, "the most cells that draw from one fit"
    place = {cell.key: number for number, cell in enumerate(cells)}
    for shard in shards:
        places = [place[cell.key] for cell in shard]
        assert places == sorted(places), "the order is the plan's"
    for method in METHODS:
        counts = [sum(cell.method == method for cell in shard) for shard in shards]
        assert max(counts) - min(counts) <= 2, method
    fits = [{rows_key(cell) for cell in shard} - {None} for shard in shards]
    assert sum(map(len, fits)) == len(set().union(*fits)), "a fit is made in one shard alone"


def test_every_shard_gets_large_and_small_tables(cells: list[Cell]) -> None:
    expected = Expected(SUITE)
    for of in (3, 5, 10):
        sizes = [
            sum(
                expected.size(cell.dataset, cell.max_train_rows)
                for cell in cells_of_shard(cells, Shard(n, of), expected)
            )
            for n in range(1, of + 1)
        ]
        assert max(sizes) / min(sizes) < 1.1, of


def test_methods_added_at_the_end_leave_the_others_in_their_shards(built_in: Plugins, cells: list[Cell]) -> None:
    more = plan(experiment(built_in, [*METHODS, "independent"]), built_in)
    expected = Expected(SUITE)
    for number in (1, 2, 3, 4):
        before = {cell.key for cell in cells_of_shard(cells, Shard(number, 4), expected)}
        assert before <= {cell.key for cell in cells_of_shard(more, Shard(number, 4), expected)}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "/3", "-1/3", "a/b", "1/3/5", "1.0/3", "²/3", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ExperimentError, match="shard"):
        parse_shard(text)


def test_the_longest_cells_of_a_pass_go_first_and_passes_stay_in_order(built_in: Plugins) -> None:
    work = replace(experiment(built_in, METHODS), seeds=(0, 1))
    planned = plan(work, built_in)
    expected = Expected(SUITE)
    ordered = longest_first(planned, expected)
    assert Counter(cell.key for cell in ordered) == Counter(cell.key for cell in planned)
    passes = [(cell.fold, cell.seed) for cell in ordered]
    assert passes == sorted(passes)
    first = ordered[: len(SUITE.datasets) * len(METHODS)]
    sizes = [expected.size(cell.dataset, cell.max_train_rows) for cell in first if cell.mixing != "none"]
    assert sizes == sorted(sizes, reverse=True)
    assert {cell.method for cell in first[-len(SUITE.datasets) :]} == {"zero-shot"}


def row(cell: Cell, seconds: float) -> dict[str, object]:
    return {
        "method": cell.method,
        "dataset": cell.dataset,
        "max_train_rows": cell.max_train_rows,
        "seconds_wall": seconds,
    }


def test_seconds_that_are_known_decide_the_order(cells: list[Cell]) -> None:
    small = min(SUITE.datasets, key=lambda dataset: shape_of(dataset)[0] * shape_of(dataset)[1]).name
    slow = next(cell for cell in cells if cell.method == "bootstrap" and cell.dataset == small)
    quick = [cell for cell in cells if cell.method != "bootstrap"]
    expected = Expected(SUITE, [row(slow, 5000.0), *(row(cell, 2.0) for cell in quick)])
    assert longest_first(cells, expected)[0].method == "bootstrap"
    assert expected.seconds(slow) == 5000.0
    assert expected.seconds(quick[0]) == 2.0
    other = next(cell for cell in cells if cell.method == "bootstrap" and cell.dataset != small)
    assert (expected.seconds(other) or 0) > 5000.0, "a larger table of a method that is slow on the smallest"


def test_nothing_is_expected_where_nothing_is_known(cells: list[Cell]) -> None:
    assert Expected(SUITE).seconds(cells[0]) is None


def test_the_shape_of_a_table_is_read_where_no_manifest_says_it(tmp_path: Path) -> None:
    heart = next(dataset for dataset in core_datasets() if dataset.name == "heart-cleveland")
    bare = Dataset("heart", CORE / "heart-cleveland.parquet", heart.target)
    rows, columns = shape_of(heart)
    assert shape_of(bare) == (rows, columns + 1)
    broken = tmp_path / "broken.parquet"
    broken.write_text("no table")
    assert shape_of(Dataset("broken", broken, "y")) == (1, 1)
    assert shape_of(Dataset("gone", tmp_path / "gone.csv", "y")) == (1, 1)
    text = tmp_path / "large.csv"
    text.write_text("a,b\n" + "1,2\n" * 10_000)
    assert shape_of(Dataset("large", text, "b"))[0] > 100


@pytest.mark.slow
def test_neither_order_nor_shards_change_a_row(built_in: Plugins, teaching: Dataset, tmp_path: Path) -> None:
    choice = PluginChoice(external=False)
    suite = Suite("one", "one table", "1", lambda: [teaching])
    work = experiment(built_in, ["zero-shot", "real", "jitter", "mixup@augment"], suite, folds=2)
    run_experiment(work, tmp_path / "whole", built_in, choice, QuietWatcher())
    other_way = replace(work, methods=work.methods[::-1])
    run_experiment(other_way, tmp_path / "reversed", built_in, choice, QuietWatcher(), workers=2)
    whole = rows_of(tmp_path / "whole")
    assert rows_of(tmp_path / "reversed") == whole
    parts: dict[str, str] = {}
    for number in (1, 2, 3):
        folder = tmp_path / f"shard-{number}"
        summary = run_experiment(work, folder, built_in, choice, QuietWatcher(), shard=Shard(number, 3))
        assert summary.planned == sum(summary.ran.values())
        parts |= rows_of(folder)
        again = run_experiment(work, folder, built_in, choice, QuietWatcher(), shard=Shard(number, 3))
        assert (again.done_before, dict(again.ran)) == (again.planned, {})
    assert parts == whole
