"""A generator class that was typed in, in a notebook or at the prompt: refused in one sentence; a file is the way."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tabgen
from tabgen.datasets import CORE
from tabgen.errors import PluginError
from tabgen.generator import Environment, Generator
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.plugins import Plugin, PluginChoice, get_plugins, load_plugins
from tabgen.runner import QuietWatcher, run_experiment
from tabgen.spec import make_spec

CELL = """
import tabgen

class Live(tabgen.Generator):
    info = tabgen.GeneratorInfo("live", "real rows, drawn again", accepts_missing=True)

    def fit(self, table, context):
        self.table = table

    def sample(self, n_rows, seed):
        return self.table.frame.sample(n_rows, replace=True, random_state=seed)
"""
HOOK = "\n@tabgen.hookimpl\ndef tabgen_register_generators(register):\n    register(Live)\n"
BUILT_IN = PluginChoice(external=False)
REFUSED = r"class Live lives in this Python process alone.*%%writefile live\.py.*\(\('live\.py',\)\).*'live'"


@pytest.fixture
def live() -> type[Generator]:
    """The class, made as a notebook makes it: in ``__main__``, its source known to linecache and in no file."""
    name = "<ipython-input-1-live>"
    linecache.cache[name] = (len(CELL), None, CELL.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(CELL, name, "exec"), names)
    made: type[Generator] = names["Live"]
    return made


def test_a_class_in_place_of_a_name_or_a_file_is_refused(live: type[Generator], tmp_path: Path) -> None:
    data = pd.read_parquet(CORE / "teaching-assistants.parquet")
    target = str(data.columns[-1])
    made: Any = live
    ways: list[Callable[[], object]] = [
        lambda: tabgen.compare(data=data, target=target, methods=["real", made], output=tmp_path / "run"),
        lambda: tabgen.generate(made, data, target, 5),
        lambda: PluginChoice((made,)),
        lambda: PluginChoice(made),
    ]
    for way in ways:
        with pytest.raises(PluginError, match=REFUSED):
            way()
    assert not (tmp_path / "run").exists()


def test_one_that_was_registered_by_hand_costs_no_cell(live: type[Generator], tmp_path: Path) -> None:
    registry = load_plugins(BUILT_IN)
    registry.generators.add("live", live, Plugin("mine", "1", "a notebook"))
    experiment = make_spec({"suite": "quick", "methods": ["real", "live"]}, "here").build(registry)
    with pytest.raises(PluginError, match=REFUSED):
        run_experiment(experiment, tmp_path / "run", registry, BUILT_IN, QuietWatcher())
    assert not (tmp_path / "run").exists()


def test_one_with_an_environment_of_its_own_has_no_file_to_load_there(
    live: type[Generator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)  # as in a notebook
    info = tabgen.GeneratorInfo("live", "far away", environment=Environment(("numpy",)))
    far = type("Live", (live,), {"info": info, "__module__": "__main__"})
    with pytest.raises(PluginError, match=REFUSED):
        make_where_it_runs(far, {})


def test_an_edit_of_the_file_is_another_version_in_a_process_that_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "live.py"
    choice = PluginChoice((str(file),), external=False)
    file.write_text(CELL + HOOK)
    first = get_plugins(choice).generators
    file.write_text(CELL.replace("drawn again", "edited") + HOOK)
    edited = get_plugins(choice).generators
    assert first.plugin_of("live").version != edited.plugin_of("live").version
    assert edited["live"].info.summary == "real rows, edited"
    file.write_text(CELL + HOOK)
    assert get_plugins(choice).generators.plugin_of("live").version == first.plugin_of("live").version


def test_one_text_is_no_list_of_files() -> None:
    files: Any = "live.py"
    with pytest.raises(PluginError, match=r"files=\('live.py',\); not as one text"):
        PluginChoice(files)
