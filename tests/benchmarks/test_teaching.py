"""`benchmarks/teaching.py`: who is at chance is counted where it may be, and who slips through is counted too."""

from __future__ import annotations

import importlib
from types import ModuleType

import pandas as pd
import pytest
from paths import ROOT


@pytest.fixture
def teaching(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("teaching")


def cell(method: str, dataset: str, tstr: float, untrained: float, real: float = 0.9) -> dict[str, object]:
    shared = {"within": 0.8, "within_real": 0.8, "class_distance": 0.0}
    return {"method": method, "dataset": dataset, "tstr": tstr, "real": real, "untrained": untrained} | shared


def test_tables_count_alike_and_cells_near_chance_are_found(teaching: ModuleType) -> None:
    rows = pd.DataFrame(
        [
            cell("good", "a", 0.9, 0.0),
            cell("good", "a", 0.8, 0.0),
            cell("good", "b", 0.65, 0.0, real=0.66),  # nothing is to be said where the real rows teach little
            cell("weak", "a", 0.52, 1.0),
            cell("weak", "a", 0.54, 0.0),
            cell("weak", "b", 0.51, 0.0, real=0.66),
        ]
    )
    _, _, good, weak = [line.strip("| ").split(" | ") for line in teaching.means(rows).splitlines()]
    assert good[:3] == ["`good`", "0.750", "0.780"]  # the mean over tables, of the means over folds
    assert good[-2:] == ["0 of 2", "0"]
    assert weak[-2:] == ["1 of 2", "1"]
    assert teaching.tables_untrained(rows).splitlines()[2:] == ["| `weak` | a (1) |"]
    assert teaching.each_table(rows).splitlines()[2] == "| a | 0.90 | 0.85 | 0.53 |"
