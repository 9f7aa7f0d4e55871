"""The plugin seam: every hook, both doors, and what happens to plugins that are broken."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pluggy
import pytest
from paths import ROOT

from tabgen import hookspecs, marker
from tabgen.errors import PluginError, UnknownNameError
from tabgen.plugins import PluginChoice, Plugins, Source, get_plugins, load_plugins, load_sources

SPECS = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("tabgen_")}
BUILT_IN_NAMES = [
    f"tabgen.{name}" for name in ("references", "made_elsewhere", "models", "datasets", "metrics", "engines")
]

GENERATOR = """
import tabgen

class {cls}(tabgen.Generator):
    info = tabgen.GeneratorInfo("{name}", "real rows again")

    def fit(self, table, context):
        self.table = table

    def sample(self, n_rows, seed):
        return self.table.frame.sample(n_rows, replace=True, random_state=seed)

@tabgen.hookimpl
def tabgen_register_generators(register):
    register({cls})
"""


def generator_code(name: str) -> str:
    return GENERATOR.format(name=name, cls=name.title().replace("-", "").replace("_", ""))


@pytest.fixture(autouse=True)
def _forget_imports() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("tabgen_plugin_", "fake_")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes a one-file plugin and gives its path."""

    def write(code: str, name: str = "mine.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return str(path)

    return write


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts distributions on sys.path, each a module and a dist-info with its entry point; hides the real ones."""
    site = tmp_path / "site"
    site.mkdir()
    real: Callable[..., metadata.EntryPoints] = metadata.entry_points
    names: list[str] = []

    def only_ours(**selection: Any) -> list[metadata.EntryPoint]:
        return [entry for entry in real(**selection) if entry.name in names]

    monkeypatch.setattr("tabgen.plugins.metadata.entry_points", only_ours)
    monkeypatch.syspath_prepend(str(site))

    def install(name: str, code: str, licence: str = "MIT", value: str | None = None) -> None:
        names.append(name)
        module = f"fake_{name.replace('-', '_')}"
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        info = site / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {module}\nVersion: 1.2\nLicense-Expression: {licence}\n"
        )
        (info / "entry_points.txt").write_text(f"[tabgen]\n{name} = {value or module}\n")

    return install


def load(*files: str, external: bool = False) -> Plugins:
    return load_plugins(PluginChoice(files, external))


def refusal(message: str) -> Any:
    return pytest.raises(PluginError, match=re.escape(message))


# The hooks

REGISTERING: dict[str, tuple[str, Callable[[Plugins], str]]] = {
    "tabgen_register_generators": (generator_code("extra"), lambda plugins: plugins.generators["extra"].info.name),
    "tabgen_register_models": (
        """
        import tabgen
        from tabgen.models.base import ModelInfo
        @tabgen.hookimpl
        def tabgen_register_models(register):
            register(ModelInfo("extra", "a model", "MIT", lambda device: None, lambda: "hash"))
        """,
        lambda plugins: plugins.models["extra"].name,
    ),
    "tabgen_register_datasets": (
        """
        import tabgen
        from tabgen.datasets import Suite
        @tabgen.hookimpl
        def tabgen_register_datasets(register):
            register(Suite("extra", "a suite", "1", lambda: 1 / 0))
        """,
        lambda plugins: plugins.suites["extra"].name,
    ),
    "tabgen_register_metrics": (
        """
        import tabgen
        from tabgen.metrics import Metric
        @tabgen.hookimpl
        def tabgen_register_metrics(register):
            register(Metric("extra", lambda labels, probabilities: 0.5, True, "half"))
        """,
        lambda plugins: plugins.metrics["extra"].name,
    ),
    "tabgen_register_engines": (
        """
        import tabgen
        @tabgen.hookimpl
        def tabgen_register_engines(register):
            register("extra", lambda **settings: "extra")
        """,
        lambda plugins: plugins.engines["extra"](),
    ),
}
OBSERVING = {"tabgen_cell_started": "cell", "tabgen_cell_finished": "outcome"}


def test_every_hook_has_a_test() -> None:
    assert set(SPECS) == set(REGISTERING) | set(OBSERVING)


@pytest.mark.parametrize("hook", SPECS)
def test_every_hook_is_documented(hook: str) -> None:
    text = inspect.getdoc(SPECS[hook]) or ""
    assert text.startswith("Called ")
    for parameter in inspect.signature(SPECS[hook]).parameters:
        assert re.search(rf"Parameters\n-+\n(.|\n)*^{parameter} : ", text, re.MULTILINE), parameter
    assert hasattr(SPECS[hook], "tabgen_spec")
    signature = f"`{hook}({', '.join(inspect.signature(SPECS[hook]).parameters)})`"
    assert signature in (ROOT / "docs/write-a-generator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", REGISTERING)
def test_what_a_hook_registers_is_there(hook: str, write: Callable[..., str]) -> None:
    code, find = REGISTERING[hook]
    assert find(load(write(code))) == "extra"


@pytest.mark.parametrize("hook", OBSERVING)
def test_observers_are_called_with_their_argument(hook: str, write: Callable[..., str]) -> None:
    argument = OBSERVING[hook]
    code = f"import tabgen\nseen = []\n@tabgen.hookimpl\ndef {hook}({argument}):\n    seen.append({argument})\n"
    plugins = load(write(code))
    getattr(plugins.manager.hook, hook)(**{argument: {"key": "k"}})
    (module,) = (sys.modules[name] for name in sys.modules if name.startswith("tabgen_plugin_mine_"))
    assert module.seen == [{"key": "k"}]


def test_the_marker_is_the_public_one() -> None:
    import tabgen

    assert tabgen.hookimpl is marker.hookimpl
    assert isinstance(tabgen.hookimpl, pluggy.HookimplMarker)


# Built-ins and files


def test_built_ins_come_through_the_same_door(built_in: Plugins) -> None:
    assert [plugin.name for plugin in built_in.plugins] == BUILT_IN_NAMES
    assert built_in.broken == []
    assert {p.version for p in built_in.plugins} == {metadata.version("tabgen-bench")}
    assert "jitter" in built_in.generators
    assert built_in.generators.plugin_of("jitter").name == "tabgen.references"
    assert list(built_in.engines) == ["local", "ray"]


def test_a_file_is_a_plugin_whose_version_is_its_hash(write: Callable[..., str]) -> None:
    path = write(generator_code("again"))
    first = load(path).generators.plugin_of("again")
    assert (first.name, first.source) == ("mine", str(Path(path).resolve()))
    assert re.fullmatch(r"sha256:[0-9a-f]{12}", first.version)
    write(generator_code("again") + "# another line\n")
    assert load(path).generators.plugin_of("again").version != first.version


def test_several_files_are_loaded_in_order(write: Callable[..., str]) -> None:
    files = [write(generator_code(name), f"{name}.py") for name in ("b-two", "a-one")]
    plugins = load(*files)
    assert list(plugins.generators)[-2:] == ["b-two", "a-one"]
    assert [p.name for p in plugins.plugins] == [*BUILT_IN_NAMES, "b-two", "a-one"]


def test_a_plugin_of_a_file_generates(write: Callable[..., str]) -> None:
    from tabgen.datasets import quick_datasets
    from tabgen.generator import FitContext, make_generator
    from tabgen.sampling import draw_sample, fit_generator

    table = quick_datasets()[0].load()
    generator = make_generator(load(write(generator_code("again"))).generators["again"], {})
    fit_generator(generator, table, FitContext(seed=0))
    assert len(draw_sample(generator, table, 30, seed=1)) == 30


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import not_a_module_of_anyone", "mine.py could not be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "mine.py could not be loaded: SystemExit: 3"),
        ("def broken(:\n", "mine.py could not be loaded: SyntaxError"),
        ("1 / 0", "mine.py could not be loaded: ZeroDivisionError: division by zero"),
        (generator_code("x").replace("@tabgen.hookimpl", ""), "PluginError: it has no hook; mark a function such as"),
    ],
)
def test_a_named_file_that_cannot_be_loaded_is_an_error(code: str, message: str, write: Callable[..., str]) -> None:
    path = write(code)
    with refusal(message) as caught:
        load(path)
    assert str(Path(path).resolve()) in str(caught.value)
    assert not any(name.startswith("tabgen_plugin_mine_") for name in sys.modules) or "hook" in message


def test_a_file_that_is_not_there_or_no_python_is_an_error(tmp_path: Path, write: Callable[..., str]) -> None:
    with refusal("there is no file"):
        load(str(tmp_path / "gone.py"))
    with refusal("notes.txt is not a Python file."):
        load(write("hello", "notes.txt"))
    with refusal("holds characters that cannot be shown; rename it."):
        load(write("", "caf\udce9.py"))  # in another encoding than the file system's


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_is_not_taken_for_a_broken_plugin(
    error: type[BaseException], install: Callable[..., None]
) -> None:
    install("stops", f"raise {error.__name__}")
    with pytest.raises(error):
        load(external=True)


# What may be registered


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"again"', '"Two Words"', "a generator cannot be called 'Two Words': lower-case letters and digits only"),
        ('"again"', '"a@b"', "a generator cannot be called 'a@b'"),
        ('"again"', "7", "a generator cannot be called 7"),
        ('"again"', '"jitter"', "the generator 'jitter' is already registered by the plugin 'tabgen.references'."),
        ('"again"', '"real"', "no generator can be called 'real': that is the name of a baseline."),
        (
            '"real rows again"',
            '"real rows", limits=3',
            "the generator 'again' has limits=3; a Limits is due.",
        ),
        (
            '"real rows again"',
            '"real rows", preload="numpy"',
            "the generator 'again' has preload='numpy'; a tuple is due.",
        ),
        ("info = ", "other = ", "has no 'info = GeneratorInfo(...)'."),
        (
            '"real rows again"',
            '"real rows", mixing="beside"',
            "the generator 'again' has mixing='beside'; use 'replace' or 'augment'.",
        ),
        ("register(Again)", "register('again')", "the generator 'again' has no 'info"),
        ("(tabgen.Generator)", "", "register() of generators takes a subclass of tabgen.Generator, not <class"),
        ("def sample", "def draw", "the generator Again lacks sample()."),
        (
            "def fit",
            "def __init__(self, k): ...\n    def fit",
            "the setting 'k' of the generator 'again' has no default value.",
        ),
        (
            "def fit",
            "def __init__(self, **k): ...\n    def fit",
            "the setting 'k' of the generator 'again' stands for any number of arguments; give each setting a name",
        ),
        (
            "def fit",
            "def __init__(self, ratio=1): ...\n    def fit",
            "the setting 'ratio' of the generator 'again' must be called otherwise",
        ),
        (
            "def fit",
            "def __init__(self, k={1}): ...\n    def fit",
            "the setting 'k' of the generator 'again' has a default, {1}, that is what JSON cannot hold; use a text",
        ),
        *(
            (
                "def fit",
                f"def __init__(self, k={default}): ...\n    def fit",
                f"has a default, {shown}, that {fault}; use",
            )
            for default, shown, fault in (
                ("(1, 2)", "(1, 2)", "is a tuple, which JSON gives back as a list"),
                ("[(1,)]", "[(1,)]", "is a list, which JSON gives back as [[1]]"),
                ("{1: 'a'}", "{1: 'a'}", "is a dict, which JSON gives back as {'1': 'a'}"),
                ("2**70", "1180591620717411303424", "holds an integer of 22 digits; 15 are read"),
                ("float('nan')", "nan", "is no finite number"),
                ("float('inf')", "inf", "is no finite number"),
                ("[float('inf')]", "[inf]", "is what JSON cannot hold"),
                (
                    "__import__('numpy').float64(0.5)",
                    "np.float64(0.5)",
                    "is a float64, which JSON gives back as a float",
                ),
                ("__import__('signal').SIGINT", "<Signals.SIGINT: 2>", "is a Signals, which JSON gives back as a int"),
                ("'\\ud800'", "'\\ud800'", "is what JSON cannot hold"),
            )
        ),
    ],
)
def test_generators_that_cannot_be_used_are_refused(
    old: str, new: str, message: str, write: Callable[..., str]
) -> None:
    code = generator_code("again")
    assert old in code
    with refusal(message):
        load(write(code.replace(old, new)))


@pytest.mark.parametrize(("hook", "kind"), [("models", "model"), ("datasets", "suite"), ("metrics", "metric")])
def test_things_without_a_name_are_refused(hook: str, kind: str, write: Callable[..., str]) -> None:
    with refusal(f"register() of {kind}s takes an object with a name, not 3."):
        load(write(f"import tabgen\n@tabgen.hookimpl\ndef tabgen_register_{hook}(register):\n    register(3)\n"))


@pytest.mark.parametrize(
    ("hook", "name", "owner"),
    [
        ("models", "mitra", "tabgen.models"),
        ("datasets", "core", "tabgen.datasets"),
        ("metrics", "brier", "tabgen.metrics"),
    ],
)
def test_names_clash_in_every_registry(hook: str, name: str, owner: str, write: Callable[..., str]) -> None:
    code = f"""
    import tabgen, types
    @tabgen.hookimpl
    def tabgen_register_{hook}(register):
        register(types.SimpleNamespace(name={name!r}))
    """
    with refusal(f"'{name}' is already registered by the plugin '{owner}'."):
        load(write(code))


def test_an_unknown_hook_is_an_error(write: Callable[..., str]) -> None:
    code = generator_code("again") + "\n@tabgen.hookimpl\ndef tabgen_register_generator(register): ...\n"
    with refusal("there is no hook 'tabgen_register_generator'; did you mean 'tabgen_register_generators'?"):
        load(write(code))


def test_an_argument_that_a_hook_does_not_have_is_an_error(write: Callable[..., str]) -> None:
    with refusal("Argument(s) {'add'} are declared in the hookimpl but can not be found in the hookspec"):
        load(write("import tabgen\n@tabgen.hookimpl\ndef tabgen_register_generators(add): ...\n"))


def test_a_hook_may_leave_out_what_it_does_not_need(write: Callable[..., str]) -> None:
    plugins = load(write("import tabgen\n@tabgen.hookimpl\ndef tabgen_register_generators(): ...\n"))
    assert plugins.plugins[-1].name == "mine"


def test_two_files_of_one_name_are_refused(write: Callable[..., str]) -> None:
    files = [write(generator_code(f"in-{folder}"), f"{folder}/mine.py") for folder in "ab"]
    with refusal("another plugin is already called 'mine'; rename the file or the entry point."):
        load(*files)


# Names that are not there


def test_unknown_names_come_with_the_nearest(built_in: Plugins) -> None:
    with pytest.raises(UnknownNameError, match=re.escape("no generator is called 'jiter'; did you mean 'jitter'?")):
        built_in.generators["jiter"]
    known = "no suite is called 'zzz'; there are: beyondarena-iid, core, quick, synthetic-oracle, tabarena-33, text."
    with pytest.raises(UnknownNameError, match=re.escape(known)):
        built_in.suites["zzz"]
    with pytest.raises(UnknownNameError):
        built_in.models.plugin_of("nobody")
    with pytest.raises(UnknownNameError, match=re.escape("no thing is called 'x'; there are: none.")):
        raise UnknownNameError("thing", "x", [])


# Installed plugins


def test_an_installed_plugin_is_found_with_its_version_and_licence(install: Callable[..., None]) -> None:
    install("good", generator_code("again"), licence="MIT AND BUSL-1.1")
    plugin = load(external=True).generators.plugin_of("again")
    assert (plugin.name, plugin.licence) == ("good", "MIT AND BUSL-1.1")
    assert re.fullmatch("1\\.2\\+[0-9a-f]{12}", plugin.version)  # the distribution's, and the hash of its code
    assert plugin.source == "installed: fake_good"


def test_an_entry_point_may_name_an_object(install: Callable[..., None]) -> None:
    install(
        "object",
        """
        import tabgen
        class Hooks:
            @tabgen.hookimpl
            def tabgen_register_engines(self, register):
                register("other", dict)
        hooks = Hooks()
        """,
        value="fake_object:hooks",
    )
    plugins = load(external=True)
    assert plugins.broken == []
    assert plugins.engines.plugin_of("other").name == "object"


def test_plugins_can_be_switched_off(install: Callable[..., None], write: Callable[..., str]) -> None:
    install("good", generator_code("again"))
    plugins = load(write(generator_code("mine")), external=False)
    assert "again" not in plugins.generators
    assert "mine" in plugins.generators
    assert "fake_good" not in sys.modules


BROKEN = {
    "missing-module": (
        "import not_a_module_of_anyone",
        "ModuleNotFoundError: No module named 'not_a_module_of_anyone'",
    ),
    "exits": ("raise SystemExit('no licence')", "SystemExit: no licence"),
    "clashes": (generator_code("jitter"), "PluginError: the generator 'jitter' is already registered by the plugin"),
    "unknown-hook": (
        generator_code("x") + "tabgen_typo = tabgen.hookimpl(lambda: None)\n",
        "there is no hook 'tabgen_typo'",
    ),
    "raises": ("import tabgen\n@tabgen.hookimpl\ndef tabgen_register_metrics(register): 1 / 0\n", "ZeroDivisionError"),
    "hookless": ("x = 1", "PluginError: it has no hook"),
}


def test_broken_plugins_are_named_with_their_error_and_the_others_load(install: Callable[..., None]) -> None:
    for name, (code, _) in BROKEN.items():
        install(name, code)
    install("a-good", generator_code("first"))
    install("z-good", generator_code("last"))
    plugins = load(external=True)
    assert {"first", "last", "jitter"} <= set(plugins.generators)
    assert plugins.generators.plugin_of("jitter").name == "tabgen.references"
    assert {plugin.name for plugin in plugins.broken} == set(BROKEN)
    for plugin in plugins.broken:
        assert BROKEN[plugin.name][1] in str(plugin.error)
        assert plugin.version.startswith("1.2")
    assert sorted(p.name for p in plugins.plugins) == sorted([*BUILT_IN_NAMES, *BROKEN, "a-good", "z-good"])


def test_a_plugin_that_fails_half_way_leaves_nothing_behind(install: Callable[..., None]) -> None:
    install(
        "half",
        generator_code("kept")
        + """
from tabgen.references import Jitter
from tabgen.metrics import Metric
seen = []

@tabgen.hookimpl(specname="tabgen_register_metrics")
def more(register):
    register(Metric("kept", len, True, ""))

@tabgen.hookimpl
def tabgen_cell_started(cell):
    seen.append(cell)

@tabgen.hookimpl(specname="tabgen_register_engines")
def late(register):
    register("kept", dict)
    register("local", dict)
""",
    )
    install("two", generator_code("one").replace("register(One)", "register(One)\n    register(One)"))
    install("z-good", generator_code("kept"))
    plugins = load(external=True)
    assert [plugin.name for plugin in plugins.broken] == ["half", "two"]
    assert "the engine 'local' is already registered by the plugin 'tabgen.engines'" in str(plugins.broken[0].error)
    assert "the generator 'one' is already registered by the plugin 'two'" in str(plugins.broken[1].error)
    assert "one" not in plugins.generators
    assert "kept" not in plugins.metrics
    assert "kept" not in plugins.engines
    assert plugins.generators.plugin_of("kept").name == "z-good"
    assert plugins.generators.plugin_of("kept").error is None
    plugins.manager.hook.tabgen_cell_started(cell={})
    assert sys.modules["fake_half"].seen == []


# The choice


def test_another_process_loads_the_same_from_plain_sources(write: Callable[..., str]) -> None:
    first = load(write(generator_code("mine")), external=False)
    sources = [plugin.origin for plugin in first.plugins if plugin.origin and plugin.origin.kind != "built in"]
    again = load_sources([Source(**json.loads(json.dumps(asdict(source)))) for source in sources])
    assert again.generators.plugin_of("mine").version == first.generators.plugin_of("mine").version


def test_plugins_of_a_choice_are_loaded_once_and_anew_when_their_code_changes(write: Callable[..., str]) -> None:
    file = write(generator_code("again"))
    choice = PluginChoice((file,), external=False)
    first = get_plugins(choice)
    assert first is get_plugins(PluginChoice(choice.files, external=False))
    Path(file).write_text(generator_code("renamed"))
    assert "renamed" in get_plugins(choice).generators
    assert first.generators.plugin_of("again").version != get_plugins(choice).generators.plugin_of("renamed").version


def test_a_helper_beside_a_file_is_part_of_its_version(write: Callable[..., str], tmp_path: Path) -> None:
    file = write(generator_code("helped") + "\n\ndef later():\n    import helper_of_helped\n")
    helper = Path(file).parent / "helper_of_helped.py"
    versions = []
    for content in (None, "value = 1\n", "value = 2\n"):
        if content:
            helper.write_text(content)
        versions.append(load(file, external=False).generators.plugin_of("helped").version)
    assert len(set(versions)) == 3


def test_loading_the_built_ins_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from tabgen.plugins import *; load_plugins(PluginChoice(external=False));"
        "print({'torch', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_files_of_like_names_are_modules_of_their_own(write: Callable[..., str]) -> None:
    files = write(generator_code("one"), "a-b.py"), write(generator_code("two"), "a_b.py")
    plugins = load(*files)
    assert [inspect.getsourcefile(plugins.generators[name]) for name in ("one", "two")] == list(files)


def test_what_an_import_does_to_the_process_is_undone(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbing = """
        import os, signal, sys, warnings
        import numpy as np
        os.chdir("/"); os.umask(0o777); sys.setrecursionlimit(400); np.seterr(all="raise")
        warnings.simplefilter("error"); signal.signal(signal.SIGINT, signal.SIG_IGN)
    """

    def state() -> list[Any]:
        mask = os.umask(0o022)
        os.umask(mask)
        handler = signal.getsignal(signal.SIGINT)
        return [Path.cwd(), mask, sys.getrecursionlimit(), np.geterr(), list(warnings.filters), handler]

    monkeypatch.chdir(tmp_path)
    before = state()
    broken = write(textwrap.dedent(disturbing) + "raise ValueError", "broken.py")
    with refusal("could not be loaded"):
        load(broken)
    assert state() == before
    choice = PluginChoice((Path(write(textwrap.dedent(disturbing) + generator_code("again"))).name,), external=False)
    assert "again" in load_plugins(choice).generators
    assert state() == before
    monkeypatch.chdir("/")  # a choice means the files it meant when it was made
    assert "again" in load_plugins(choice).generators


def test_a_file_that_is_its_own_plugin_says_where_to_put_what_it_runs(tmp_path: Path) -> None:
    """Whatever loads it, a server of a run too, would run it anew."""
    file = tmp_path / "mine.py"
    generator = generator_code("mine") + "from tabgen.plugins import PluginChoice, load_plugins\n"
    loads = "load_plugins(PluginChoice((__file__,), external=False))\n"
    file.write_text(generator + loads)
    with pytest.raises(PluginError, match=r'put what it runs under `if __name__ == "__main__":`'):
        load_plugins(PluginChoice((str(file),), external=False))
    file.write_text(f'{generator}if __name__ == "__main__":\n    {loads}')
    assert "mine" in load_plugins(PluginChoice((str(file),), external=False)).generators
