"""Environment variables: one list, which the code and the docs keep to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from paths import ROOT

from tabgen import variables
from tabgen.variables import CACHE_HOME, CACHE_HOME_OF_ALL, MEANINGS, cache_home

CODE = [path for path in sorted((ROOT / "tabgen").rglob("*.py")) if path != Path(variables.__file__)]


def test_no_module_but_the_list_names_a_variable_of_ours_or_reads_one_by_its_text() -> None:
    """Names are constants of one module: a second spelling, or a second meaning, has no place to hide."""
    ours = "|".join(name for name in MEANINGS if name.startswith("TABGEN_"))
    reads = re.compile(r"""environ(?:\.(?:get|pop|setdefault)\(|\[)\s*["']|getenv\(""")
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        assert not reads.search(text), path
        assert not re.search(rf"""["'](?:{ours})["']""", text), path


def test_what_is_set_for_other_processes_is_on_the_list() -> None:
    setting = re.compile(r"""["'](PYTHON[A-Z]+|[A-Z]+_NUM_THREADS|[A-Z]*VIRTUAL_ENV)["']""")
    found = {name for path in CODE for name in setting.findall(path.read_text(encoding="utf-8"))} - {"PYTHON"}
    assert found <= set(MEANINGS)
    assert "PYTHONHASHSEED" in found


def test_the_docs_say_what_the_list_says() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("## Environment variables")[2]
    assert re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", page, re.MULTILINE) == list(MEANINGS.items())


def test_the_cache_is_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_HOME_OF_ALL, str(tmp_path / "all"))
    monkeypatch.delenv(CACHE_HOME, raising=False)
    assert cache_home() == tmp_path / "all" / "tabgen"
    monkeypatch.setenv(CACHE_HOME, str(tmp_path / "mine"))
    assert cache_home() == tmp_path / "mine"
    monkeypatch.delenv(CACHE_HOME)
    monkeypatch.delenv(CACHE_HOME_OF_ALL)
    assert cache_home() == Path.home() / ".cache" / "tabgen"
