"""The conformance kit: a generator that breaks a rule is caught by the check of that rule, an honest one is not."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from paths import SUPPORT, importing
from rule_breakers import (
    BREAKERS,
    DeclaredLimit,
    Endless,
    Exits,
    ExitsAtOnce,
    ExitsQuietly,
    ExitsWithoutTime,
    Honest,
    Raising,
)

from tabgen.errors import PluginError
from tabgen.generator import Generator
from tabgen.plugins import _import_file
from tabgen.testing import ConformanceError, check_generator, conformance_checks
from tabgen.variables import CONFORMANCE_MARK

CONTRACT = [check.name for check in conformance_checks(Honest) if not check.name.startswith("hard-table:")]


def run(check: str, generator: type[Generator]) -> str:
    (chosen,) = (c for c in conformance_checks(generator) if c.name == check)
    return chosen()


def test_every_check_has_a_generator_that_breaks_it() -> None:
    assert {check for check, _, _ in BREAKERS if not check.startswith("hard-table:")} == set(CONTRACT)


@pytest.mark.parametrize(("check", "generator", "words"), BREAKERS, ids=[f"{c}-{g.__name__}" for c, g, _ in BREAKERS])
def test_a_broken_rule_is_caught(check: str, generator: type[Generator], words: str) -> None:
    with pytest.raises(Exception, match=words):  # a check raises ConformanceError, or what the core or generator raise
        run(check, generator)


def test_an_honest_generator_passes_every_check() -> None:
    failed = [f"{r.name}: {r.reason}" for r in check_generator(Honest) if not r.passed]
    assert not failed


SCRIPT = """
from rule_breakers import Honest
from tabgen.testing import conformance_checks

class Mine(Honest):
    pass

if __name__ == "__main__":
    (check,) = (c for c in conformance_checks(Mine) if c.name == "fresh-process")
    check()
    print("passed")
"""


def test_a_class_of_a_script_is_found_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, tmp_path / "mine.py"], capture_output=True, text=True, check=False, env=importing()
    )
    assert done.stdout == "passed\n", done.stderr


def test_a_class_of_a_file_that_another_program_executes_is_found_by_its_methods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So Sphinx-Gallery runs an example: its main module has a specification, and no file."""
    main = ModuleType("__main__")
    main.__spec__ = ModuleSpec("__main__", None)
    monkeypatch.setitem(sys.modules, "__main__", main)
    of_example = type("Honest", (Honest,), {"__module__": "__main__", "__qualname__": "Honest", "fit": Honest.fit})
    run("fresh-process", of_example)


def test_a_class_that_was_typed_in_is_told_to_go_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    live = type("Live", (Honest,), {"__module__": "__main__"})
    with pytest.raises(ConformanceError, match=r"lives in this Python process alone, .* write it to one"):
        run("fresh-process", live)
    run("time-limit", live)


def test_a_file_that_checks_its_generator_at_every_import_is_told_where_to_put_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the process of a check it would start another one, and that the next."""
    monkeypatch.setenv(CONFORMANCE_MARK, "of a check")
    with pytest.raises(PluginError, match=r"put the call under `if __name__ == \"__main__\":`"):
        check_generator(Honest)


def test_a_declared_limit_is_a_reason_to_refuse() -> None:
    assert run("limits", DeclaredLimit) == ""


def test_a_generator_that_never_ends_is_stopped_and_the_kit_ends() -> None:
    results = check_generator(Endless, seconds=3.0)
    late = next(r for r in results if r.name == "time-limit")
    assert not late.passed
    assert "not done in 3 s" in late.reason
    assert late.seconds < 60
    after = results[results.index(late) + 1 :]
    assert all(not r.passed and r.reason.startswith("not tried") for r in after)
    assert {r.name for r in results} == {c.name for c in conformance_checks(Endless)}


@pytest.mark.parametrize(("generator", "code"), [(Exits, 3), (ExitsAtOnce, 7), (ExitsQuietly, 0)])
def test_a_generator_that_ends_the_interpreter_fails_and_the_kit_goes_on(generator: type[Generator], code: int) -> None:
    results = check_generator(generator)
    ended = next(r for r in results if r.name == "time-limit")
    assert ended.reason == f"the generator ended the interpreter (exit code {code})."
    after = results[results.index(ended) + 1 :]
    assert {r.reason for r in after} == {"not tried: the generator ends the interpreter."}
    assert {r.name for r in results} == set(CONTRACT) | {r.name for r in after}


def test_a_generator_that_ends_it_on_one_table_only_fails_that_check() -> None:
    failed = {r.name: r.reason for r in check_generator(ExitsWithoutTime) if not r.passed}
    assert failed == {"no-time-left": "the generator ended the interpreter (SystemExit: 4)."}


def test_the_first_failure_ends_it_if_asked_and_an_error_has_a_place() -> None:
    whole = {result.name: result for result in check_generator(Raising)}
    first = next(name for name, result in whole.items() if not result.passed)
    results = check_generator(Raising, stop=True)
    assert [result.name for result in results] == list(whole)[: list(whole).index(first) + 1]
    for name in ("valid-sample", "hard-table:20-rows"):
        assert "division by zero" in whole[name].reason
        assert re.fullmatch(r"(.*/)?tests/support/rule_breakers\.py:\d+, fit\(\)", whole[name].place)
    assert whole["information"].place == ""


def test_what_outlives_a_check_is_killed() -> None:
    before = {p.pid for p in psutil.process_iter() if "3600" in _words(p)}
    with pytest.raises(ConformanceError):
        run("time-limit", next(g for c, g, _ in BREAKERS if c == "time-limit"))
    assert {p.pid for p in psutil.process_iter() if "3600" in _words(p)} <= before


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_module_that_imports_a_heavy_library_is_caught(tmp_path: Path) -> None:
    source = (SUPPORT / "rule_breakers.py").read_text()
    (tmp_path / "heavy.py").write_text(source.replace("import inspect\n", "import inspect\n\nimport sklearn.svm\n"))
    module = _import_file(tmp_path / "heavy.py")
    with pytest.raises(ConformanceError, match="imports sklearn"):
        run("fresh-process", module.Honest)
