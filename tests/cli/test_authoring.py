"""A stranger's afternoon: the tutorial, `new`, `check`, `generate`, and the Python functions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from paths import FIXTURE, ROOT
from typer.testing import CliRunner

import tabgen
from tabgen.cli import app
from tabgen.datasets import Dataset
from tabgen.errors import ExperimentError, TabgenError, TableError, UnknownNameError
from tabgen.plugins import PluginChoice

BUILT_IN = PluginChoice(external=False)
Words = list[str | Path]


def invoke(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_tutorials_generator_passes_the_conformance_kit(tmp_path: Path) -> None:
    module, _, its_test = blocks("docs/write-a-generator.md")  # test_environments.py runs the second
    (tmp_path / "blend.py").write_text(module)
    (tmp_path / "test_blend.py").write_text(its_test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_blend.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout[-3000:]
    count = re.search(r"conformance kit: (\d+) checks", (ROOT / "docs/write-a-generator.md").read_text())
    assert count is not None
    assert f"{count[1]} passed" in done.stdout


def test_the_readmes_generator_works(tmp_path: Path, teaching: Dataset) -> None:
    (module,) = blocks("README.md")
    (tmp_path / "shuffled.py").write_text(module)
    frame = tabgen.generate(
        "shuffled", teaching.path, teaching.target, 10, plugins=PluginChoice((str(tmp_path / "shuffled.py"),), False)
    )
    assert len(frame) == 10


def test_check_passes_a_good_file_and_fails_a_bad_one(tmp_path: Path) -> None:
    (module,) = blocks("README.md")
    (tmp_path / "good.py").write_text(module)
    code, output = invoke("--no-external-plugins", "check", tmp_path / "good.py")
    assert code == 0, output
    assert "checks passed" in output
    (tmp_path / "bad.py").write_text(module.replace("random_state=seed", "random_state=None"))
    code, output = invoke("--no-external-plugins", "check", tmp_path / "bad.py")
    assert code == 1
    assert re.search(r"same-seed\s+FAIL", output)


def test_check_says_what_the_rows_teach() -> None:
    for generator, trained in (("bootstrap", True), ("independent", False)):
        code, output = invoke("--no-external-plugins", "check", generator, "--json")
        assert code == 0, output
        *checks, last = json.loads(output)[generator]
        assert last["name"] == "adequacy"
        assert last["adequacy_real"] > 0.9
        assert last["adequacy_untrained"] == float(not trained)
        assert last["reason"].startswith("a forest learns" if trained else "untrained: a forest learns")
        assert "adequacy" not in {check["name"] for check in checks}


def test_check_says_once_what_fails_everywhere_and_in_which_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (module,) = blocks("README.md")
    broken = module.replace("self.table = table", "self.table = [][1]")
    Path("raises.py").write_text(broken)
    line = next(number for number, text in enumerate(broken.splitlines(), 1) if "[][1]" in text)
    code, output = invoke("--no-external-plugins", "check", "raises.py")
    assert code == 1
    assert output.count("refused with errors.Unsupported") == 1  # of 18 hard tables, each of which it fails
    assert output.count("the same") > 20
    assert f"at raises.py:{line}, fit()" in output
    code, first = invoke("--no-external-plugins", "check", "raises.py", "-x")
    assert code == 1
    assert first.count("FAIL") == 1


def test_a_new_plugin_installs_into_a_fresh_environment_and_joins_a_run(tmp_path: Path, teaching: Dataset) -> None:
    code, _ = invoke("new", "my-method", "-o", tmp_path / "plugin")
    assert code == 0
    assert {p.name for p in (tmp_path / "plugin").iterdir()} == {
        "pyproject.toml",
        "tabgen_my_method.py",
        "tests",
        "README.md",
    }
    environment = tmp_path / "environment"
    # a fresh environment that sees this one's libraries: PyTorch need not be downloaded again
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    site = next((environment / "lib").iterdir()) / "site-packages"
    ours = subprocess.run(
        [sys.executable, "-c", "import site; print('\\n'.join(site.getsitepackages()))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    # addsitedir, so that editable installs among them are seen as well
    (site / "base.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in ours))
    python = environment / "bin" / "python"
    install: Words = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", tmp_path / "plugin"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        [python, "-m", "tabgen", "plugins", "--json"], capture_output=True, text=True, check=True
    ).stdout
    assert '"my-method"' in listed
    run = subprocess.run(
        [
            python,
            "-m",
            "tabgen",
            "run",
            "--data",
            teaching.path,
            "--target",
            teaching.target,
            "--folds",
            "2",
            "--methods",
            "zero-shot,my-method",
            "--seeds",
            "1",
            "--model",
            FIXTURE,
            "-o",
            tmp_path / "run",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "4 ran" in run.stdout
    assert "(4 ok)" in run.stdout


def test_new_refuses_bad_names_and_folders_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="cannot be a generator's name"):
        invoke("new", "My_Method", "-o", tmp_path / "x")
    with pytest.raises(ExperimentError, match="that of a baseline"):
        invoke("new", "real", "-o", tmp_path / "x")
    with pytest.raises(ExperimentError, match=r"'jitter' cannot be a new generator's name: the plugin"):
        invoke("new", "jitter", "-o", tmp_path / "x")
    with pytest.raises(ExperimentError, match="is there already"):
        invoke("new", "mine", "-o", tmp_path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_generate_writes_rows_like_the_tables(ending: str, heart: Dataset, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    words: Words = ["--no-external-plugins", "generate", "jitter:noise=0.2", "--data", heart.path, "--target",
                    heart.target, "--rows", "50", "--seed", "3", "-o", path]  # fmt: skip
    code, output = invoke(*words)
    assert code == 0
    assert "50 rows, 14 columns" in output
    if find_spec("sdmetrics"):
        assert re.search(r"^exact copies: 0\.\d\d ", output, re.MULTILINE)
        assert re.search(r"^column shapes: 0\.[89]\d ", output, re.MULTILINE)
    real = heart.load()
    written = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert len(real.like(written)) == 50
    first = path.read_bytes()
    invoke(*words)
    assert path.read_bytes() == first


def test_generate_explains_mistakes(heart: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'jitter'"):
        tabgen.generate("jiter", heart.path, heart.target, 5, plugins=BUILT_IN)
    with pytest.raises(TableError, match="has no column 'nothing'"):
        tabgen.generate("jitter", heart.path, "nothing", 5, plugins=BUILT_IN)
    with pytest.raises(ExperimentError, match="at least one row"):
        tabgen.generate("jitter", heart.path, heart.target, 0, plugins=BUILT_IN)
    table: Words = ["--data", heart.path, "--target", heart.target]
    for wrong, why in {
        "real": "is a baseline, not a generator",
        "jitter:ratio=2": "'jitter:ratio=2': ratio says how a run uses rows",
        "jitter:recipe=nano": "recipe says how",
        "jitter@augment:recipe=nano": "@augment says how a run uses rows",
        "jitter:tune=3": "is tuned in a run",
    }.items():
        for words in (["generate", wrong, *table, "--rows", "5", "-o", tmp_path / "x.csv"], ["check", wrong]):
            with pytest.raises(ExperimentError, match=why):
                invoke(*words)


def test_graph_draws_what_a_generator_found(tmp_path: Path, teaching: Dataset) -> None:
    plugin = tmp_path / "finder.py"
    plugin.write_text(
        blocks("README.md")[0].replace(
            "        self.table = table\n",
            "        self.table = table\n        context.notes['graph'] = {'discovery': 'by hand', 'edges': [\n"
            f"            [table.schema.names[0], '{teaching.target}', 0.75],\n"
            f"            ['{teaching.target}', table.schema.names[1], 0.5]]}}\n\n"
            "    graph = property(lambda self: self.table.schema.names)\n",
        )
    )
    words: Words = ["--plugin", plugin, "--no-external-plugins", "graph", "--data", teaching.path]
    words += ["--target", teaching.target]
    code, output = invoke(*words, "--generator", "shuffled", "-o", tmp_path / "g.svg")
    assert code == 0
    names = teaching.load().schema.names
    assert f"{names[0]} -> {teaching.target}  (0.75)" in output
    drawn = (tmp_path / "g.svg").read_text()
    assert all(name in drawn for name in [*names, teaching.target, "by hand", "A hypothesis"])
    assert "A hypothesis: read off these rows" in output


def test_graph_refuses_before_any_fit_where_a_generator_finds_none(tmp_path: Path, teaching: Dataset) -> None:
    plugin, fitted = tmp_path / "plugin.py", tmp_path / "fitted"
    plain = blocks("README.md")[0].replace(
        "        self.table = table\n", f"        self.table = table\n        open({str(fitted)!r}, 'w').close()\n"
    )
    words: Words = ["graph", "--data", teaching.path, "--target", teaching.target, "-o", tmp_path / "g.svg"]
    graph: Words = ["--plugin", plugin, "--no-external-plugins", *words, "--generator", "shuffled"]
    plugin.write_text(plain)
    with pytest.raises(ExperimentError, match=r"'shuffled' finds no graph; none .* tabgen-causal"):
        invoke(*graph)
    with pytest.raises(ExperimentError, match=r"'jitter' finds no graph; use one that does: scm, causalmix"):
        invoke(*words, "--generator", "jitter")
    assert not fitted.exists()
    plugin.write_text(f"{plain}\n\nShuffled.graph = None\n")
    with pytest.raises(ExperimentError, match="noted none"):
        invoke(*graph)
    assert fitted.exists()


def test_compare_returns_the_outcomes(teaching: Dataset, tmp_path: Path) -> None:
    import json

    (tmp_path / "suite").mkdir()
    entry = {"name": "mine", "file": "t.parquet", "target": teaching.target}
    (tmp_path / "suite" / "manifest.json").write_text(json.dumps([entry]))
    (tmp_path / "suite" / "t.parquet").write_bytes(teaching.path.read_bytes())
    found = tabgen.compare(
        tmp_path / "suite",
        ["zero-shot", "real"],
        tmp_path / "run",
        folds=2,
        model=str(FIXTURE),
        recipe="short",
        recipes={"short": {"base": "nano", "steps": 1}},
        plugins=BUILT_IN,
    )
    outcomes = found.to_frame()
    assert sorted(outcomes["method"]) == ["real", "real", "zero-shot", "zero-shot"]
    assert set(outcomes["status"]) == {"ok"}
    assert outcomes.equals(tabgen.load_results(tmp_path / "run"))
    assert repr(found) == "<Comparison of 2 methods: 4 cells (4 ok)>"
    assert found.ranking("fine-tune").pool.methods == ["real", "zero-shot"]


def test_compare_takes_a_frame_and_answers(teaching: Dataset, tmp_path: Path) -> None:
    """A frame is one table: the answer, figures, a page for notebooks; the same frame resumes, another is another."""
    frame = pd.read_parquet(teaching.path)
    settings: dict[str, Any] = {"folds": 2, "seeds": 2, "model": str(FIXTURE), "fidelity": False, "plugins": BUILT_IN}
    words: dict[str, Any] = {"methods": ["real", "jitter"], "output": tmp_path / "run", **settings}
    found = tabgen.compare(data=frame, target=teaching.target, **words)
    assert len(found) == 8
    assert found.answer is not None
    assert {candidate.method for candidate in found.answer.candidates} == {"jitter"}
    page = found._repr_html_()
    assert "jitter" in page and "beside the real rows" in page
    assert found.plot.worth().axes[0].get_title() == "Worth of synthetic rows in the arm 'context'"
    assert found.plot.ranks("context").axes and found.plot.gains().axes
    again = tabgen.compare(data=frame, target=teaching.target, **words)
    assert again.to_frame().equals(found.to_frame())
    other = tabgen.compare(data=frame.iloc[:-20], target=teaching.target, **words)
    assert len(other) == 8  # its own cells, of those that the folder holds
    assert other.answer is not None and other.answer.n_train < found.answer.n_train
    caps = tabgen.compare(
        data=frame, target=teaching.target, max_train_rows=[30, 60], **words | {"methods": ["zero-shot"]}
    )
    with pytest.raises(ExperimentError, match="one pool with scores can be ranked; there are 2"):
        caps.ranking()


def test_a_frame_that_cannot_be_used_is_said_before_any_cell_runs(tmp_path: Path) -> None:
    with pytest.raises(TabgenError, match="'z'"):
        tabgen.compare(data=pd.DataFrame({"a": [1, 2], "y": [0, 1]}), target="z", output=tmp_path / "run")
    assert not (tmp_path / "run" / "outcomes.sqlite").exists()


def test_a_run_goes_on_where_the_shell_closed_standard_error(heart: Dataset, tmp_path: Path) -> None:
    words = f"run --data {heart.path} --target {heart.target} --methods real --arms context --folds 2 --seeds 1"
    words += f" --model {FIXTURE}"
    line = f"{sys.executable} -m tabgen --no-external-plugins {words} --workers 1 -o {tmp_path / 'run'} 2>&-"
    done = subprocess.run(line, shell=True, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "(2 ok)" in done.stdout
