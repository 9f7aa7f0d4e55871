"""The suite that is fetched: what is taken, what a broken line leaves, and what is said without a network."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.datasets.tabarena import tabarena_folder
from tabgen.errors import DataError
from tabgen.experiment import find_suite
from tabgen.plugins import PluginChoice, load_plugins


class TaskType(Enum):
    SUPERVISED_CLASSIFICATION = 1
    SUPERVISED_REGRESSION = 2


class Server:
    """Answers as openml 0.15 does: tasks 1 and 4 are to be taken, 2 is a regression, 3 is too wide."""

    def __init__(self) -> None:
        self.fetched: list[int] = []
        self.breaks_at = 0

    def module(self) -> Any:
        suite = SimpleNamespace(tasks=[1, 2, 3, 4])
        return SimpleNamespace(
            study=SimpleNamespace(get_suite=lambda name: suite if name == "tabarena-v0.1" else None),
            tasks=SimpleNamespace(TaskType=TaskType, get_task=self.task),
        )

    def task(self, number: int) -> Any:
        if number == self.breaks_at:
            raise ConnectionError("the line is dead")
        self.fetched.append(number)
        kind = TaskType.SUPERVISED_REGRESSION if number == 2 else TaskType.SUPERVISED_CLASSIFICATION
        return SimpleNamespace(task_type_id=kind, target_name="y", get_dataset=lambda: self.dataset(number))

    def dataset(self, number: int) -> Any:
        rng = np.random.default_rng(number)
        columns = 101 if number == 3 else 3
        frame = pd.DataFrame(rng.normal(size=(40, columns)), columns=[f"x{i}" for i in range(columns)])
        frame["colour"] = pd.Categorical(rng.choice(["red", "blue"], 40))
        frame["y"] = pd.Categorical(["a", "b", None, "a"] * 10)
        categorical = [name in ("colour", "y") for name in frame.columns]
        data = (frame, None, categorical, list(frame.columns))
        return SimpleNamespace(name=f"table-{number}", licence="CC BY 4.0", get_data=lambda: data)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setenv("TABGEN_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "openml", server.module())
    return server


def load() -> Any:
    return find_suite("tabarena-33", load_plugins(PluginChoice(external=False)))


def test_classification_tasks_of_few_columns_are_taken_once(server: Server) -> None:
    datasets = load().datasets
    assert [d.name for d in datasets] == ["table-1", "table-4"]
    table = datasets[0].load()
    assert len(table) == 30  # rows without a class teach nothing
    assert table.schema["colour"].kind == "categorical"
    assert datasets[0].facts["source"] == "https://www.openml.org/t/1"
    before = list(server.fetched)
    assert [d.sha256 for d in load().datasets] == [d.sha256 for d in datasets]
    assert server.fetched == before


def test_a_line_that_breaks_leaves_no_half_suite_and_goes_on_where_it_was(server: Server) -> None:
    server.breaks_at = 4
    with pytest.raises(DataError, match=r"could not be fetched .* \(ConnectionError: the line is dead\)"):
        _ = load().datasets
    assert not (tabarena_folder() / "manifest.json").exists()
    server.breaks_at = 0
    server.fetched.clear()
    assert len(load().datasets) == 2
    assert server.fetched == [4]


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABGEN_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "openml", None)
    with pytest.raises(DataError, match=r"pip install 'tabgen-bench\[openml\]'"):
        _ = load().datasets


def test_a_listing_fetches_nothing(server: Server) -> None:
    result = CliRunner().invoke(app, ["--no-external-plugins", "datasets"], catch_exceptions=False)
    assert "tabarena-33" in result.output
    assert "not on this machine yet" in " ".join(result.output.split())
    assert server.fetched == []
