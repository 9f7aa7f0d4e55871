"""What several test modules share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from paths import FIXTURE, TESTS
from warm import Template

from tabgen.datasets import Dataset, quick_datasets
from tabgen.engines import servers
from tabgen.models.checkpoints import Tab2DModel, load_directory
from tabgen.models.recipes import get_recipe
from tabgen.plugins import PluginChoice, Plugins, load_plugins
from tabgen.pretrain.held_out import HeldOut

torch.set_num_threads(1)

SLOW = (
    "benchmarks/test_probes.py",
    "benchmarks/test_study_rows.py",
    "cli/",
    "datasets/test_core_suite.py",
    "datasets/test_oracle.py",
    "docs/",
    "engines/",
    "figures/test_figures.py::test_degenerate_and_large_pools_render",
    "host/",
    "judge/",
    "leaderboard/",
    "models/test_checkpoints.py",
    "models/test_finetune.py",
    "pretrain/",
    "statistics/test_coverage.py",
    "statistics/test_one_table.py::test_chance_is_rarely_recommended",
    "statistics/test_pairs.py::test_family_wise_errors_and_coverage_of_rank_sets_by_simulation",
    "statistics/test_pairs.py::test_methods_that_differ_by_the_region_are_called_equal_at_most_in_a_share_of_alpha",
    "statistics/test_saturation.py",
    "statistics/test_statistics.py::test_family_wise_error_without_any_difference",
    "statistics/test_statistics.py::test_hundred_thousand_outcomes_in_seconds",
    "test_adequacy.py",
    "test_api.py",
    "test_cache.py",
    "test_cell.py",
    "test_comparable.py::test_a_table_of_gains_says_which_methods_are_one",
    "test_estimator.py",
    "test_faults.py",
    "test_fidelity.py",
    "test_freeze.py",
    "test_made_elsewhere.py",
    "test_multiverse.py",
    "test_packaging.py",
    "test_runner.py",
    "test_schedule.py::test_neither_order_nor_shards_change_a_row",
    "test_standins.py::test_copied_texts_count_for_privacy",
    "test_store.py",
    "test_testing.py",
    "test_tuning.py",
    "test_unpack.py::test_a_manifest_of_many_datasets_is_read_in_time_that_grows_with_them",
    "test_worth.py::test_a_subset_of_real_rows_is_worth_about_its_size",
)
"""What starts servers, clusters, browsers or other interpreters, trains, simulates, or goes through many files; `make
fast` leaves it out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS):
            place = f"{item.path.relative_to(TESTS).as_posix()}::{item.name}"
            if place.startswith(SLOW):
                item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def warm_servers() -> Iterator[None]:
    """Engines of these tests get servers that need not import (tests/support/warm.py)."""
    template = Template()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "subprocess", template.module)
        yield
    template.close()


@pytest.fixture
def cold_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that are children of this process, as outside tests."""
    monkeypatch.setattr(servers, "subprocess", subprocess)


@pytest.fixture(scope="session")
def built_in() -> Plugins:
    """The built-in plugins alone."""
    return load_plugins(PluginChoice(external=False))


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Path:
    """A Tab2D of 3 layers x 32 with AutoGluon's own (random) weights: fast, and as good as untrained."""
    return FIXTURE


@pytest.fixture
def tiny_model() -> Tab2DModel:
    return load_directory(FIXTURE)


@pytest.fixture(scope="session")
def heart() -> Dataset:
    """297 real rows, 13 features of mixed kinds, two classes."""
    return next(dataset for dataset in quick_datasets() if dataset.name == "heart-cleveland")


@pytest.fixture(scope="session")
def teaching() -> Dataset:
    """151 real rows, 5 features, three classes: the smallest of the quick tables."""
    return next(dataset for dataset in quick_datasets() if dataset.name == "teaching-assistants")


@pytest.fixture(scope="session")
def two_steps() -> dict[str, object]:
    """A recipe that is over at once."""
    return get_recipe("nano", steps=2, patience=2).to_dict()


@pytest.fixture
def few_held_out_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of pre-training follows itself by four small tasks, whose forests take no time."""
    monkeypatch.setattr(HeldOut, "SHAPES", {"tiny": (60, 3, 2, 4)})
