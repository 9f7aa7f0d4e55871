"""Experiments as text: files, presets, flags, and the mistakes one makes in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.errors import ExperimentError, TabgenError, UnknownNameError
from tabgen.experiment import Experiment, plan
from tabgen.plugins import Plugins
from tabgen.spec import ExperimentSpec, make_spec, preset_names, read_preset, read_spec

DOCS = Path(__file__).parent.parent / "docs"
ANYTHING = {"suite": "quick", "methods": ["zero-shot", "real", "jitter"]}


def build(plugins: Plugins, **values: Any) -> Experiment:
    return make_spec(ANYTHING | values).build(plugins)


def test_a_file_says_all_that_the_flags_can(built_in: Plugins, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    path = tmp_path / "experiment.toml"
    path.write_text(
        'data = "mine.csv"\ntarget = "y"\nmethods = ["real", "jitter:noise=0.5"]\nmixing = "augment"\nfolds = 4\n'
        "seeds = 2\nmax_train_rows = [50, 0]\nmax_test_rows = 0\nseconds = 5\nfidelity = false\n"
        'recipe = ["slow", "nano"]\n[recipes.slow]\nbase = "nano"\nsteps = 99\n'
    )
    experiment = make_spec(read_spec(path)).build(built_in)
    assert experiment.suite.datasets[0].path == (tmp_path / "mine.csv").resolve()
    assert [m.label for m in experiment.methods] == [
        "real",
        "jitter@augment:noise=0.5",
        "real:recipe=nano",
        "jitter@augment:noise=0.5,recipe=nano",
    ]
    assert (experiment.recipe["name"], experiment.recipe["steps"]) == ("slow", 99)
    assert experiment.methods[2].recipe is not None
    assert experiment.methods[2].recipe["steps"] == 30
    assert (experiment.folds, experiment.seeds, experiment.max_train_rows) == (4, (0, 1), (50, None))
    assert (experiment.max_test_rows, experiment.limits.seconds, experiment.fidelity) == (None, 5.0, False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fold": 3}, "there is no field 'fold'; did you mean 'folds'?"),
        ({"folds": 1}, "folds = 1: input should be greater than or equal to 2"),
        ({"folds": "three"}, "folds = 'three': input should be a valid integer"),
        ({"mixing": "beside"}, "mixing.0 = 'beside': input should be 'replace' or 'augment'"),
        ({"max_train_rows": [-1]}, "max_train_rows.0 = -1"),
        ({"recipe": []}, "recipe = []"),
        ({"data": "x.csv"}, "name either a suite (core, quick, a folder) or your own data with its target"),
        ({"suite": None, "data": "x.csv"}, "data and target go together"),
        ({"recipes": {"mine": {"steps": 3}}}, "recipes.mine lacks base"),
        ({"recipes": {"mine": {"base": "nano", "stepz": 3}}}, "a recipe has no field stepz"),
        ({"recipes": {"nano": {"base": "nano"}}}, "recipes.nano: tabgen has a recipe of that name"),
        ({"recipe": "nanoo"}, "no recipe is called 'nanoo'; did you mean 'nano'?"),
        ({"methods": ["real:recipe=nanoo"]}, "no recipe is called 'nanoo'; did you mean 'nano'?"),
        ({"methods": ["jittr"]}, "did you mean 'jitter'?"),
        ({"suite": "quik"}, "did you mean 'quick'?"),
    ],
)
def test_a_mistake_names_the_field_and_what_is_allowed(values: dict[str, Any], message: str, built_in: Plugins) -> None:
    with pytest.raises(TabgenError, match=re.escape(message)):
        build(built_in, **values)


def test_a_file_that_is_no_toml_or_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="cannot be read: No such file"):
        read_spec(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("folds = \n")
    with pytest.raises(ExperimentError, match=r"is not TOML: .*line 1"):
        read_spec(tmp_path / "broken.toml")


def test_two_recipes_are_two_methods_with_keys_of_their_own(built_in: Plugins) -> None:
    cells = plan(build(built_in, recipe=["nano", "autogluon"]), built_in)
    of = {c.method: c for c in cells if c.fold == 0 and c.dataset == cells[0].dataset}
    assert set(of) == {"zero-shot", "real", "jitter", "real:recipe=autogluon", "jitter:recipe=autogluon"}
    assert of["real"].recipe["name"] == "nano"
    assert of["real:recipe=autogluon"].recipe["name"] == "autogluon"
    assert len({c.key for c in cells}) == len(cells)


def test_a_recipes_name_is_no_part_of_the_key(built_in: Plugins) -> None:
    named = build(built_in, recipe="mine", recipes={"mine": {"base": "nano"}})
    assert [c.key for c in plan(named, built_in)] == [c.key for c in plan(build(built_in), built_in)]


def test_caps_on_training_rows_are_an_axis(built_in: Plugins) -> None:
    one = plan(build(built_in), built_in)
    two = plan(build(built_in, max_train_rows=[50, 1000]), built_in)
    assert len(two) == 2 * len(one)
    assert {c.key for c in one} == {c.key for c in two if c.max_train_rows == 1000}


def test_every_preset_is_valid_and_says_what_it_is() -> None:
    names = preset_names()
    assert [name for name in names if not name.startswith("study")] == ["core", "paper", "paper-nano", "quick"]
    parts = ("few-rows", "field", "gans", "mixing", "more-rows", "robust")
    assert [name for name in names if name.startswith("study")] == ["study", *(f"study-{part}" for part in parts)]
    for name in preset_names():
        assert make_spec(read_preset(name), name).folds >= 2
    with pytest.raises(UnknownNameError, match=re.escape("did you mean 'paper'?")):
        read_preset("papr")


def test_the_paper_preset_is_the_studys_grid() -> None:
    spec = make_spec(read_preset("paper"))
    fine_tuned = [method for method in spec.methods if method != "zero-shot"]
    assert (spec.suite, spec.model, spec.recipe) == ("tabarena-33", "mitra", ["autogluon"])
    assert 33 * spec.folds * len(fine_tuned) == 2310


def test_a_flag_goes_before_the_preset_and_a_default_does_not(tmp_path: Path) -> None:
    line = ["--no-external-plugins", "run", "--preset", "quick", "--dry-run", "-o", str(tmp_path), "--methods", "real"]
    result = CliRunner().invoke(app, line, catch_exceptions=False)
    assert "12 cells (6 datasets, 2 folds)" in result.output  # folds = 2 is the preset's, not the flag's default
    result = CliRunner().invoke(app, [*line, "--folds", "3"], catch_exceptions=False)
    assert "18 cells (6 datasets, 3 folds)" in result.output


def test_an_experiment_file_runs_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text('suite = "quick"\nfolds = 2\nmethods = ["real"]\nmax_train_rows = [50, 100]\n')
    line = ["--no-external-plugins", "run", str(path), "--dry-run", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(app, line, catch_exceptions=False)
    assert "24 cells (6 datasets, 2 folds)" in result.output


def test_every_field_is_documented() -> None:
    text = (DOCS / "experiments.md").read_text()
    for name, field in ExperimentSpec.model_fields.items():
        assert f"| `{name}` |" in text, name
        assert field.description is not None
        assert field.description in text, name


def test_the_line_that_registers_the_documented_experiment_works(tmp_path: Path) -> None:
    page = (DOCS / "experiments.md").read_text()
    (file,) = re.findall(r"```toml\n(# experiment\.toml.*?)```", page, re.DOTALL)
    (line,) = re.findall(r"tabgen (plan experiment\.toml -o runs/c --freeze .*)", page)
    (tmp_path / "experiment.toml").write_text(file)
    places = {"experiment.toml": str(tmp_path / "experiment.toml"), "runs/c": str(tmp_path / "c")}
    words = [places.get(word, word) for word in line.split()]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "2 contrasts" in " ".join(result.output.split())
