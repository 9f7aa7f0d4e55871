"""The line that an answer ends in can be typed: flags, settings and the plugin's file are as they were for the run."""

from types import SimpleNamespace
from typing import Any

import pandas as pd

from tabgen.results import next_line

ROW: dict[str, Any] = {
    "path": "/my tables/t.csv",
    "dataset": "t",
    "target": "y",
    "kinds": {"id": "drop", "a=b": "categorical"},
    "reading": {"missing": ["?", "-"], "delimiter": "~", "day_first": True},
    "settings": {"noise": 0.05, "k": 2},
    "generator": "jitter",
    "ratio": 1.0,
    "method": "jitter:k=2,noise=0.05 (sha256:bc4136ba7022)",
    "plugin_version": "sha256:bc4136ba7022",
    "mixing": "replace",
    "model": "tabgen-nano",
    "recipe": {"name": "nano"},
    "n_folds": 3,
    "max_train_rows": 1000.0,
    "max_test_rows": 1000.0,
}
FLAGS = (
    "--data '/my tables/t.csv' --target y --drop id --kind a=b=categorical --missing '?' --missing - --delimiter '~'"
    " --day-first"
)


def line_for(recommendation: str, **other: Any) -> str:
    outcomes = pd.DataFrame([ROW | {"seed": seed} | other for seed in range(3)])
    method = outcomes["method"].iloc[0]
    candidate = SimpleNamespace(arm="context", method=method, control=False)
    answer: Any = SimpleNamespace(recommendation=recommendation, method=method, n_train=30, candidates=[candidate])
    return next_line(answer, outcomes)


def test_rows_are_generated_from_the_table_as_it_was_read() -> None:
    assert line_for("use") == (
        f"tabgen --plugin FILE generate jitter:noise=0.05,k=2 {FLAGS} --rows 30 -o synthetic.csv"
    )
    assert "jitter:clip=true,name=a --data" in line_for("use", settings={"clip": True, "name": "a"})
    assert line_for("use", plugin_version="0.1.0+abc", kinds={}, reading={}).startswith("tabgen generate jitter:")


def test_the_measurement_that_is_missing_names_methods_that_run_takes() -> None:
    assert line_for("undecided").startswith(
        f"tabgen --plugin FILE run {FLAGS} --arms fine-tune --methods 'real,jitter:k=2;noise=0.05' -o DIR"
    )


def test_what_was_measured_goes_on_in_its_own_regime() -> None:
    other = {"model": "tabgen-small", "recipe": {"name": "lora"}, "n_folds": 2, "seed": 0}
    caps = {"max_train_rows": 40.0, "max_test_rows": None}
    assert (
        f"run {FLAGS} --model tabgen-small --folds 2 --seeds 1 --max-train-rows 40 --max-test-rows 0 --recipe lora"
        " --arms fine-tune"
    ) in line_for("undecided", **other, **caps)
    assert " --recipe 'x; echo' --arms" in line_for("undecided", recipe={"name": "x; echo"})
    assert "--model tabgen-small --rows" in line_for("use", model="tabgen-small")
    assert "--data FILE --target y" in line_for("use", path=None)
