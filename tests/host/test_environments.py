"""Environments of plugins' own: built, locked, found again; and generators that run in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paths import FIXTURE, ROOT
from typer.testing import CliRunner

from tabgen import api
from tabgen.cli import app
from tabgen.datasets import Dataset, Suite
from tabgen.engines import EngineSettings
from tabgen.engines.local import LocalEngine
from tabgen.engines.ray import _engine_of_this_worker, _run_here
from tabgen.errors import ExperimentError, PluginError, UnknownNameError, Unsupported
from tabgen.experiment import Experiment, Limits, default_methods, parse_methods, plan, without_environment
from tabgen.generator import Environment
from tabgen.host import environments
from tabgen.identity import code_hash
from tabgen.outcome import Cell, Result
from tabgen.plugins import PluginChoice, Plugins, load_plugins
from tabgen.processes import children
from tabgen.testing import check_generator, conformance_checks

PLUGIN = """
import sys
from tabgen import Generator, GeneratorInfo, hookimpl
from tabgen.errors import Unsupported
from tabgen.generator import Environment

class Far(Generator):
    info = GeneratorInfo(
        "far", "real rows, drawn elsewhere", accepts_missing=True, environment=Environment(({wheel!r},))
    )

    def __init__(self, refuse: bool = False, fail: bool = False) -> None:
        self.refuse, self.fail = refuse, fail

    def fit(self, table, context):
        import tiny
        if self.refuse:
            raise Unsupported("not today")
        if self.fail:
            tiny.fail()
        self.table = table
        context.notes |= {{"tiny": tiny.VERSION, "prefix": sys.prefix, "torch": "torch" in sys.modules}}

    def sample(self, n_rows, seed):
        return self.table.frame.sample(n_rows, replace=True, random_state=seed)

@hookimpl
def tabgen_register_generators(register):
    register(Far)
"""


def make_wheel(folder: Path, version: str) -> Path:
    """A package of one module that is on no index; with it, the packages of this interpreter come into reach."""
    wheel = folder / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", f"VERSION = {version!r}\ndef fail():\n    raise ValueError('tiny has failed')\n")
        archive.writestr("ours.pth", "\n".join(site.getsitepackages()) + "\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PluginChoice]:
    """One plugin with an environment of its own, under a cache folder of its own."""
    folder = tmp_path_factory.mktemp("environments")
    path = folder / "far.py"
    path.write_text(PLUGIN.format(wheel=str(make_wheel(folder, "1.0"))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABGEN_CACHE", str(folder / "cache"))
        patch.setattr(environments, "ALWAYS", ())
        yield PluginChoice((str(path),), external=False)


@pytest.fixture(scope="module")
def plugins(choice: PluginChoice) -> Plugins:
    return load_plugins(choice)


@pytest.fixture(scope="module")
def environment(plugins: Plugins) -> Environment:
    found = plugins.generators["far"].info.environment
    assert found is not None
    return found


@pytest.fixture(scope="module")
def built(plugins: Plugins, environment: Environment) -> Path:
    """The environment's folder; what was said while it was built is in ``said.json`` beside it."""
    said: list[str] = []
    origin = plugins.generators.plugin_of("far").origin
    assert origin is not None
    folder = environments.install(origin, environment, said.append)
    (folder / "said.json").write_text(json.dumps(said))
    return folder


@pytest.fixture
def without(built: Path) -> Iterator[None]:
    """As on a machine that has not got it."""
    away = built.with_name("away")
    built.rename(away)
    yield
    shutil.rmtree(built, ignore_errors=True)
    away.rename(built)


@pytest.fixture(scope="module")
def cell(built: Path, plugins: Plugins, teaching: Dataset, two_steps: dict[str, Any]) -> Cell:
    suite = Suite("test", "one table", "1", lambda: [teaching])
    methods = parse_methods(["far"], plugins)
    limits = Limits(100, 4000)
    experiment = Experiment(
        suite, methods, folds=2, model=str(FIXTURE), recipe=two_steps, limits=limits, fidelity=False
    )
    return plan(experiment, plugins)[0]


def run(cell: Cell, choice: PluginChoice, folder: Path) -> Result:
    ((_, result),) = LocalEngine(EngineSettings(choice, folder, workers=1)).run([cell])
    return result


def test_an_environment_is_locked_and_found_again(built: Path, plugins: Plugins, environment: Environment) -> None:
    python = ".".join(map(str, sys.version_info[:2]))
    assert (built / "lock.txt").read_text() == f"python=={python}\ntiny==1.0\n"
    state = environments.state_of("far", environment)
    assert state is not None
    assert (state.plugin, state.folder, state.packages) == ("far", built, (f"python=={python}", "tiny==1.0"))
    assert state.requirements == environment.requirements
    assert environments.listing() == [state]
    plugin, info = plugins.generators.plugin_of("far"), plugins.generators["far"].info
    assert environments.lock_of(plugin, info) == state.sha256
    assert environments.lock_of(plugin, plugins.generators["bootstrap"].info) is None
    steps = json.loads((built / "said.json").read_text())
    assert steps[0].startswith(f"making an environment with Python {python}")
    assert any(step.startswith("installing ") for step in steps)


def test_a_cell_runs_in_the_environment_and_its_key_holds_the_lock(
    cell: Cell, built: Path, choice: PluginChoice, environment: Environment, tmp_path: Path
) -> None:
    result = run(cell, choice, tmp_path)
    assert (result.status, result.reason) == ("ok", "")
    assert result.notes == {"tiny": "1.0", "prefix": str(built), "torch": False}
    state = environments.state_of("far", environment)
    assert state is not None
    assert cell.environment == state.sha256
    from tabgen.outcome import key_of

    assert key_of(replace(cell, environment="0" * 64)) != cell.key == key_of(cell)


def test_versions_that_changed_since_the_plan_end_the_cell(
    cell: Cell, built: Path, choice: PluginChoice, tmp_path: Path
) -> None:
    (info,) = built.glob("lib/python*/site-packages/tiny-1.0.dist-info")
    metadata = info / "METADATA"
    before = metadata.read_text()
    metadata.write_text(before.replace("Version: 1.0", "Version: 1.1"))
    try:
        result = run(cell, choice, tmp_path)
    finally:
        metadata.write_text(before)
    assert result.status == "error"
    assert "the environment of 'far' is not the one that was planned" in result.reason
    assert "tabgen plugins install far --rebuild" in result.reason


@pytest.mark.usefixtures("without")
def test_without_the_environment_it_is_left_out_or_named(
    plugins: Plugins, teaching: Dataset, two_steps: dict[str, Any], choice: PluginChoice
) -> None:
    command = f"tabgen --plugin {choice.files[0]} plugins install far"
    assert "far" not in default_methods(plugins)
    assert without_environment(plugins) == {"far": command}
    suite = Suite("test", "one table", "1", lambda: [teaching])
    chosen = Experiment(suite, parse_methods(["far"], plugins), model=str(FIXTURE), recipe=two_steps)
    with pytest.raises(ExperimentError, match=r"'far' runs in an environment of its own, .* plugins install far"):
        plan(chosen, plugins)
    with pytest.raises(ExperimentError, match="not on this machine yet"):
        api.generate("far", small_frame(), "y", 5, plugins=choice)


@pytest.mark.usefixtures("without")
def test_run_says_once_what_it_leaves_out(choice: PluginChoice, tmp_path: Path) -> None:
    small_frame().to_csv(tmp_path / "t.csv", index=False)
    words = ["--no-external-plugins", "--plugin", choice.files[0], "run", "--data", str(tmp_path / "t.csv")]
    words += ["--target", "y", "--folds", "2", "--seeds", "1", "--dry-run", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.output.count("left out: far, whose environment is not built yet: tabgen --plugin") == 1
    assert "bootstrap: 2 of 2 cells to run" in result.output
    assert "far: 2" not in result.output


@pytest.mark.usefixtures("without")
def test_a_machine_without_it_ends_the_cell_with_the_mend(cell: Cell, choice: PluginChoice, tmp_path: Path) -> None:
    result = run(cell, choice, tmp_path)
    assert result.status == "error"
    assert "plugins install far" in result.reason
    settings = EngineSettings(choice, tmp_path, workers=1)
    with_ray, _ = _run_here(cell, settings)  # what a Ray worker does
    _engine_of_this_worker(settings).close()
    _engine_of_this_worker.cache_clear()
    assert (with_ray.status, with_ray.reason) == (result.status, result.reason)


def test_it_is_in_the_default_methods_once_it_is_built(built: Path, plugins: Plugins) -> None:
    assert "far" in default_methods(plugins)
    assert without_environment(plugins) == {}


def small_frame() -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(40.0), "c": list("abcd") * 10, "y": [0, 1] * 20})


@pytest.mark.filterwarnings("ignore:column 'c' alone tells the target")
def test_generate_fits_there_and_brings_back_what_was_raised(built: Path, choice: PluginChoice) -> None:
    fitted = api.fit("far", small_frame(), "y", plugins=choice)
    assert fitted.context.notes["prefix"] == str(built)
    first = api.generate("far", small_frame(), "y", 7, seed=3, plugins=choice)
    assert first.shape == (7, 3)
    assert first.equals(api.generate("far", small_frame(), "y", 7, seed=3, plugins=choice))
    with pytest.raises(Unsupported, match=r"^not today$"):
        api.generate("far", small_frame(), "y", 7, settings={"refuse": True}, plugins=choice)


def test_the_documented_example_runs_there(built: Path, environment: Environment, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "write-a-generator.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(# far.py\n.*?)```", page, re.DOTALL)
    pins = 'requirements=("dpmm==0.1.9", "pyarrow<22"), python="3.11"'
    assert pins in example
    (tmp_path / "far.py").write_text(example.replace(pins, f"requirements={environment.requirements!r}"))
    fitted = api.fit("far", small_frame(), "y", plugins=PluginChoice((str(tmp_path / "far.py"),), external=False))
    assert fitted.context.notes["pandas"] == [pd.__version__, str(built)]
    assert len(fitted.generator.sample(9, 1)) == 9


def test_the_kit_checks_it_where_it_runs_and_says_where_it_failed(
    built: Path, choice: PluginChoice, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    far = load_plugins(choice).generators["far"]
    checks = {check.name: check for check in conformance_checks(far)}
    for name in ("information", "valid-sample", "same-seed", "fresh-process", "time-limit", "hard-table:odd-names"):
        assert checks[name]() == ""
    some = ("fresh-process", "valid-sample", "hard-table:20-rows")
    chosen = [check for check in conformance_checks(far, {"fail": True}) if check.name in some]
    monkeypatch.setattr("tabgen.testing.kit.conformance_checks", lambda *_: chosen)
    results = check_generator(far, {"fail": True})
    assert all("tiny has failed" in result.reason for result in results)
    assert results[0].place == ""
    for result in results[1:]:
        assert result.place.endswith("fit(), raised in tiny 1.0")
        assert "far.py:" in result.place
    assert len(check_generator(far, {"fail": True}, stop=True)) == 1
    assert "Traceback" not in capfd.readouterr().err


def test_what_cannot_be_installed_leaves_nothing(choice: PluginChoice, plugins: Plugins, tmp_path: Path) -> None:
    origin = plugins.generators.plugin_of("far").origin
    assert origin is not None
    wanted = Environment((str(tmp_path / "absent-1.0-py3-none-any.whl"),))
    with pytest.raises(PluginError, match=r"failed: .*absent"):
        environments.install(origin, wanted)
    place = environments.folder_of("far", wanted)
    assert not place.exists()
    place.mkdir()
    (place / environments.LOCK).write_text("python==3\n")
    with pytest.raises(PluginError, match=r"failed: .*absent"):  # built anew: what was there comes back
        environments.install(origin, wanted)
    assert [path.name for path in place.iterdir()] == [environments.LOCK]
    assert not place.with_name(f"{place.name}{environments.BEFORE}").exists()
    shutil.rmtree(place)
    with pytest.raises(PluginError, match=r"needs Python 3\.99"):
        environments._make(tmp_path / "place", Environment(("x",), "3.99"), None, lambda _: None)


def test_a_plugin_that_does_not_load_there_is_told_at_once(choice: PluginChoice, tmp_path: Path) -> None:
    path = tmp_path / "near.py"
    path.write_text("import sys\nassert sys.prefix == " + repr(sys.prefix) + "\n" + Path(choice.files[0]).read_text())
    near = load_plugins(PluginChoice((str(path),), external=False))
    plugin = near.generators.plugin_of("far")
    wanted = near.generators["far"].info.environment
    assert plugin.origin is not None
    assert wanted is not None
    with pytest.raises(PluginError, match="AssertionError"):
        environments.install(plugin.origin, wanted)


def test_a_lock_of_another_machine_is_kept_to(
    built: Path, plugins: Plugins, environment: Environment, tmp_path: Path
) -> None:
    origin = plugins.generators.plugin_of("far").origin
    assert origin is not None
    (tmp_path / "odd.txt").write_text("tiny>=1\n")
    with pytest.raises(PluginError, match="no lock file"):
        environments.install(origin, environment, lock=tmp_path / "odd.txt")
    assert (built / "lock.txt").is_file()
    wanted = Environment((*environment.requirements, "tiny"))
    lock = tmp_path / "lock.txt"
    lock.write_text((built / "lock.txt").read_text().replace("python==3", "python==4"))
    with pytest.raises(PluginError, match=r"not the versions of .*python==4"):
        environments.install(origin, wanted, lock=lock)
    assert not environments.folder_of("far", wanted).exists()


def test_plugins_are_found_by_any_of_their_names(plugins: Plugins) -> None:
    assert environments.find_plugin("far", plugins).name == "far"
    assert environments.find_plugin("tabgen-far", plugins).name == "far"
    with pytest.raises(UnknownNameError, match="no plugin is called 'fra'; did you mean 'far'"):
        environments.find_plugin("fra", plugins)
    with pytest.raises(PluginError, match="needs no environment"):
        environments.find_plugin("bootstrap", plugins)


def test_the_commands(built: Path, choice: PluginChoice) -> None:
    def tabgen(*words: str) -> str:
        base = ["--no-external-plugins", "--plugin", choice.files[0]]
        result = CliRunner().invoke(app, [*base, *words], catch_exceptions=False, env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        return result.output

    shown = {plugin["name"]: plugin for plugin in json.loads(tabgen("plugins", "--json"))["plugins"]}
    (found,) = shown["far"]["environments"]
    assert found["generators"] == ["far"]
    assert (found["folder"], found["packages"][1]) == (str(built), "tiny==1.0")
    assert shown["tabgen.references"]["environments"] == []
    assert "built" in tabgen("plugins")
    assert f"far: is there, {built}" in tabgen("plugins", "install", "far")
    (row,) = json.loads(tabgen("plugins", "list", "--json"))["environments"]
    assert (row["plugin"], row["generators"], row["packages"]) == ("far", "far", 1)
    away = built.parent.parent / "kept"
    shutil.copytree(built, away, symlinks=True)
    try:
        assert f"removed {built}" in tabgen("plugins", "remove", "far")
        assert not built.exists()
        shown = {plugin["name"]: plugin for plugin in json.loads(tabgen("plugins", "--json"))["plugins"]}
        assert shown["far"]["environments"][0]["folder"] is None
        with pytest.raises(UnknownNameError, match="called 'far'"):
            tabgen("plugins", "remove", "far")
    finally:
        away.rename(built)


@pytest.mark.parametrize(
    ("requirements", "python", "words"),
    [("dpmm", "", "are texts such as"), ((" ",), "", "are texts such as"), (("x",), "3.10", "3.11 or a later")],
)
def test_what_an_environment_cannot_be(requirements: Any, python: str, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        Environment(requirements, python)


def test_a_list_of_requirements_will_do() -> None:
    assert Environment(["a", "b"]) == Environment(("a", "b"))  # type: ignore[arg-type]
    assert hash(Environment(["a"])) == hash(Environment(("a",)))  # type: ignore[arg-type]


def test_a_process_there_sees_tabgen_and_the_plugin_alone(
    choice: PluginChoice, plugins: Plugins, environment: Environment, monkeypatch: pytest.MonkeyPatch, built: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    origin = plugins.generators.plugin_of("far").origin
    assert origin is not None
    variables = environments.variables(origin, environment)
    assert os.listdir(variables["PYTHONPATH"]) == ["tabgen"]  # noqa: PTH208 - a plugin of one file is loaded by its path
    assert "PYTHONHASHSEED" not in variables


def test_a_plugin_that_is_installed_as_libraries_are_is_the_same_through_a_link(tmp_path: Path) -> None:
    installed = tmp_path / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "mine.py").write_text("import numpy\n")
    alone = code_hash(installed / "mine.py")
    (installed / "numpy").mkdir()
    (installed / "numpy" / "__init__.py").write_text("")
    assert code_hash(installed / "mine.py") == alone


def test_a_process_that_is_gone_has_no_children() -> None:
    gone = os.fork()
    if not gone:
        os._exit(0)
    os.waitpid(gone, 0)
    assert children(gone) == []
