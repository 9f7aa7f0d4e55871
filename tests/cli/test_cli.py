"""The command line as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from command import tabgen
from leaderboard_rows import made_row
from markupsafe import Markup
from paths import FIXTURE, TABARENA
from typer.testing import CliRunner

from tabgen import GeneratorAugmentedClassifier
from tabgen.cli import app
from tabgen.cli.answer import so_far
from tabgen.cli.rank import SPARED
from tabgen.datasets import CORE
from tabgen.errors import TabgenError
from tabgen.outcome import Outcome
from tabgen.plugins import Plugins
from tabgen.results import load_results
from tabgen.statistics import higher_is_better

Words = list[str | Path]
PLUGIN = """
from tabgen import Generator, GeneratorInfo, hookimpl

class Shuffled(Generator):
    info = GeneratorInfo("shuffled", "real rows in random order, with replacement", accepts_missing=True)
    def fit(self, table, context):
        self.table = table
    def sample(self, n_rows, seed):
        return self.table.frame.sample(n_rows, replace=True, random_state=seed)

@hookimpl
def tabgen_register_generators(register):
    register(Shuffled)
"""


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "shuffled.py"
    path.write_text(PLUGIN)
    return path


def test_a_plugin_of_fifteen_lines_joins_the_comparison(plugin: Path, tmp_path: Path) -> None:
    assert len([line for line in PLUGIN.splitlines() if line.strip()]) <= 15
    words: Words = [
        "--no-external-plugins",
        "--plugin",
        plugin,
        "run",
        "--data",
        CORE / "teaching-assistants.parquet",
        "--target",
        _target("teaching-assistants"),
        "--methods",
        "zero-shot,real,shuffled",
        "--folds",
        "2",
        "--seeds",
        "1",
        "--tuning-seeds",
        "1",
        "--max-train-rows",
        "60",
        "--arms",
        "fine-tune,context",
        "--model",
        FIXTURE,
        "-o",
        tmp_path / "run",
    ]
    first = tabgen(*words)
    assert "6 cells: 0 were done before, 6 ran in" in first.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    ranking = json.loads(tabgen("rank", tmp_path / "run", "--arm", "fine-tune", "--json").stdout)
    assert {record["method"] for record in ranking["methods"]} == {"zero-shot", "real", "shuffled"}
    assert "seconds" not in ranking["methods"][0]
    again = tabgen(*words)
    assert "6 cells: 6 were done before, 0 ran" in again.stdout
    assert tabgen("rank", tmp_path / "run", "--json").stdout == tabgen("rank", tmp_path / "run", "--json").stdout


def _target(name: str) -> str:
    return str(next(e["target"] for e in json.loads((CORE / "manifest.json").read_text()) if e["name"] == name))


@pytest.mark.parametrize("command", ["plugins", "generators", "models", "datasets"])
def test_listings_are_tables_and_json(command: str) -> None:
    assert json.loads(invoke("--no-external-plugins", command, "--json"))[command]
    assert invoke("--no-external-plugins", command)


def test_listings_say_the_licence_of_code_and_of_weights() -> None:
    models = {row["name"]: row for row in json.loads(invoke("models", "--json"))["models"]}
    assert models["tabgen-nano"]["licence"] == models["tabgen-nano"]["weights_licence"] == "Apache-2.0"
    assert all(row["licence"] and row["weights_licence"] for row in models.values())
    generators = {row["name"]: row for row in json.loads(invoke("generators", "--json"))["generators"]}
    assert all(row["licence"] for row in generators.values())
    assert generators["tabebm"]["weights_licence"] == "the model's"
    assert generators["bootstrap"]["weights_licence"] == ""


@pytest.mark.parametrize(
    "command", [["--help"], ["plugins"], ["generators"], ["models"], ["datasets"], ["run", "--help"]]
)
def test_listings_and_help_import_nothing_heavy(command: list[str]) -> None:
    heavy = ("torch", "pandas", "sklearn", "scipy", "matplotlib", "sdv")
    program = (  # with the plugins of this repository, which import what is heavy where they use it
        "import sys; from tabgen.cli import app\n"
        f"try: app({command!r})\nexcept SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_a_broken_plugin_is_named_and_the_others_work(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    done = tabgen("--plugin", tmp_path / "broken.py", "generators", ok=False)
    assert "broken.py could not be loaded" in done.stderr
    assert "nothing_of_this_name" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--suite", "qick"], "no suite is called 'qick'; did you mean 'quick'?"),
        (["--suite", "quick", "--methods", "jiter"], "no method is called 'jiter'; did you mean 'jitter'?"),
        (
            ["--suite", "quick", "--methods", "jitter:noize=1"],
            "jitter has no setting 'noize'; its settings are: noise=0.1",
        ),
        (["--suite", "quick", "--methods", "jitter:noise=loud"], "the setting noise='loud' should be float"),
        (["--suite", "quick", "--methods", "real,real"], "a method is named twice"),
        (["--suite", "quick", "--recipe", "nan"], "no recipe is called 'nan'; did you mean 'nano'?"),
        (["--suite", "quick", "--model", "mitr"], "no model is called 'mitr'; did you mean 'mitra'?"),
        (["--suite", "no/such/folder"], "it has no manifest.json"),
        ([], "name either a suite"),
        (["--data", "x.csv"], "data and target go together"),
        (["--data", "no-such.csv", "--target", "y"], "there is no file"),
        (["--suite", "quick", "--retry", "ok"], "--retry takes"),
    ],
)
def test_mistakes_are_one_line_that_says_the_mend(words: list[str], message: str, tmp_path: Path) -> None:
    done = tabgen("--no-external-plugins", "run", *words, "-o", tmp_path / "run", ok=False)
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_bad_table_is_said_before_any_cell_runs(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,y\n1,x\n2,x\n")
    done = tabgen("run", "--data", tmp_path / "bad.csv", "--target", "y", "-o", tmp_path / "run", ok=False)
    assert "has only the class 'x'" in done.stderr


def test_ranking_a_folder_without_a_run_is_explained(tmp_path: Path) -> None:
    done = tabgen("rank", tmp_path, ok=False)
    assert "there is no run in" in done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two outcomes per method and dataset, without running it."""
    from test_report import outcomes

    from tabgen.store import Store

    folder = tmp_path_factory.mktemp("finished")
    with Store(folder, write=True) as store:
        rows = cast("list[dict[str, Any]]", outcomes(("zero-shot", "real", "a_b&c")).to_dict("records"))
        for number, row in enumerate(rows):
            store.add(Outcome.from_dict(made_row() | row | {"key": f"{number:064d}"}))
    return folder


def test_rank_prints_csv_and_latex(finished: Path) -> None:
    rows = invoke("rank", str(finished), "--csv").splitlines()
    assert rows[0].startswith("method,mean_rank,rank_low,rank_high,median_gain,gain_low,gain_high")
    assert len(rows) == 4
    latex = invoke("rank", str(finished), "--latex")
    assert r"a\_b\&c & " in latex
    assert latex.count(r"\\") == 4


def test_a_narrow_window_goes_without_columns_and_says_which(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def heads(columns: str) -> tuple[list[str], str]:
        monkeypatch.setenv("COLUMNS", columns)
        output = CliRunner().invoke(app, ["rank", str(finished)], catch_exceptions=False).output
        return next(line.split() for line in output.splitlines() if line.split()[:1] == ["method"]), output

    wide, all_of_it = heads("160")
    assert {"ties", "ok", "s/cell"} <= set(wide)
    assert "in a wider window" not in all_of_it
    narrow, output = heads("80")
    left_out = [name for name in wide if name not in narrow]
    assert left_out
    assert set(left_out) <= set(SPARED)
    assert all(name in output.partition("Also ")[2].partition(":")[0] for name in left_out)


def test_rank_says_whose_rows_teach_nothing(finished: Path, tmp_path: Path) -> None:
    from tabgen.store import Store

    with Store(finished) as old, Store(tmp_path, write=True) as store:
        for row in old.outcomes():
            scores = {"adequacy_real": 0.9, "adequacy_untrained": float(row["dataset"] != "table-0")}
            store.add(Outcome.from_dict(row | (scores if row["generator"] else {})))
    found = json.loads(invoke("rank", str(tmp_path), "--json"))["untrained"]
    assert found == [
        {"method": "a_b&c", "cells": 14, "of": 16, "datasets": [f"table-{i}" for i in range(1, 8)], "control": False}
    ]
    said = " ".join(invoke("rank", str(tmp_path)).split())
    assert "'a_b&c' is untrained in 14 of 16 cells (table-1, table-2, table-3 and 4 more): a forest learns" in said
    assert json.loads(invoke("rank", str(finished), "--json"))["untrained"] == []  # not measured there
    assert "untrained" not in invoke("rank", str(finished))


def test_filters_recompute_on_what_is_left(finished: Path) -> None:
    pool = json.loads(invoke("rank", str(finished), "--methods", "zero-shot,real", "--json"))
    assert pool["pool"]["methods"] == ["real", "zero-shot"]
    assert max(record["mean_rank"] for record in pool["methods"]) <= 2
    for words, message in (
        (["--methods", "reel"], "did you mean 'real'?"),
        (["--suite", "core"], "no outcome is left: none has the suite core; there are: "),
        (["--max-train-rows", "7"], "no outcome is left: none has the cap on training rows 7; there are: 1000."),
    ):
        assert message in tabgen("rank", finished, *words, ok=False).stderr


def test_a_dry_run_counts_and_runs_nothing(finished: Path) -> None:
    words = ["--suite", "quick", "--folds", "2", "--methods", "real,jitter:noise=0.2", "--mixing", "replace,augment"]
    printed = invoke("--no-external-plugins", "run", *words, "--dry-run", "-o", str(finished))
    assert "jitter@augment:noise=0.2: 12 of 12 cells to run" in printed
    assert "real: 12 of 12 cells to run, about 6.0 s each" in printed
    assert "36 cells (6 datasets, 2 folds), 36 to run" in printed
    assert not (finished / "report.html").exists()


def test_a_folder_suite_is_listed() -> None:
    if not TABARENA.is_dir():
        pytest.skip(f"the shared TabArena tables are not at {TABARENA}")
    listed = json.loads(invoke("datasets", "--suite", str(TABARENA), "--json"))["datasets"]
    assert len(listed) == 14
    assert {"name", "rows", "target"} <= set(listed[0])


def test_numerical_libraries_get_one_thread_unless_told() -> None:
    import os

    program = (
        "import os; from tabgen.cli import app\n"
        "try: app(['models'])\nexcept SystemExit: pass\n"
        "import sys; print(os.environ['OMP_NUM_THREADS'], file=sys.stderr)"
    )
    silent = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    for environment, expected in ((silent, "1"), (silent | {"OMP_NUM_THREADS": "3"}, "3")):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stderr.strip() == expected


def test_caps_on_training_rows_are_ranked_one_by_one(tmp_path: Path) -> None:
    common: Words = ["--data", CORE / "teaching-assistants.parquet", "--target", _target("teaching-assistants")]
    words: Words = [*common, "--methods", "real,bootstrap", "--folds", "2", "--model", FIXTURE, "-o", tmp_path / "run"]
    done = tabgen("--no-external-plugins", "run", *words, "--max-train-rows", "30,60", "--no-fidelity", "--seeds", "1")
    assert "at most 30 training rows" in done.stdout
    assert done.stdout.count("what to do with this table") == 2
    regimes = json.loads(tabgen("rank", tmp_path / "run", "--json").stdout)["regimes"]
    assert [regime["max_train_rows"] for regime in regimes] == [30, 60]
    one = json.loads(tabgen("rank", tmp_path / "run", "--json", "--max-train-rows", "60").stdout)
    looked = {"rankings_looked_at": 2}  # the first of both, this one of one
    assert one == regimes[1] | looked
    table = tabgen("rank", tmp_path / "run", "--csv").stdout.splitlines()
    assert table[0].startswith("pool,method,")
    assert len(table) == 5
    assert (tmp_path / "run" / "report.html").read_text().count('<h1 class="regime">') == 4  # two caps in two arms


def test_one_table_ends_in_an_answer(tmp_path: Path) -> None:
    """Repeated folds and the quick arms without a word; the same answer in the terminal, as JSON and in the report."""
    data = CORE / "teaching-assistants.parquet"
    words: Words = ["--data", data, "--target", _target("teaching-assistants"), "--model", FIXTURE]
    words += ["--methods", "real,jitter,noise", "--no-fidelity", "-o", tmp_path / "run"]
    done = tabgen("--no-external-plugins", "run", *words)
    assert "27 cells: 0 were done before" in done.stdout
    told = " ".join(done.stdout.split())
    assert "what to do with this table, by 9 splits of it" in told
    answer = json.loads(tabgen("rank", tmp_path / "run", "--json").stdout)["answer"]
    assert answer["recommendation"] in ("use", "keep-real", "undecided")
    assert {"method", "arm", "decided", "reason"} <= set(answer)
    assert {c["arm"] for c in answer["candidates"]} == {"context", "augmented"}
    assert answer["reason"] in told
    assert Markup.escape(answer["reason"]) in (tmp_path / "run" / "report.html").read_text()
    assert "seconds" not in answer["candidates"][0]


def test_what_one_table_has_shown_so_far_is_said_while_it_runs() -> None:
    """From the first use that has a score; a fold that ended as an error adds nothing."""
    shared = {"suite": "mine", "dataset": "mine", "target": "y", "n_folds": 3, "model": "m", "checkpoint": "c"}
    shared |= {"protocol": 5, "max_train_rows": 100, "max_test_rows": 100, "sha256": "0", "fold": 0, "seed": 0}
    shared |= {"arms": ["context"], "n_train": 80, "n_test": 40, "zero_shot_test_roc_auc": 0.8, "recipe": {}}
    shared |= {"settings": {}, "ratio": 1.0, "plugin": None, "plugin_version": None, "limits": {}}
    real = shared | {"key": "a", "method": "real", "generator": None, "mixing": "real", "status": "ok"}
    jitter = shared | {"key": "b", "method": "jitter", "generator": "jitter", "mixing": "replace", "status": "error"}
    assert so_far([real, jitter]) == ""
    line = so_far([real, jitter | {"status": "ok", "context_test_roc_auc": 0.82}])
    assert "'jitter' in place of the real rows: 0.800 -> 0.820 ROC-AUC (too few splits to judge: 1)" in line


def test_a_metric_of_which_less_is_better_is_ranked_so(built_in: Plugins) -> None:
    for name in built_in.metrics:
        assert higher_is_better(name) == built_in.metrics[name].higher_is_better, name


def test_a_run_without_any_score_says_why_and_ends_as_any_other(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 7},k{i % 24}\n" for i in range(160))
    (tmp_path / "many.csv").write_text("a,b,y\n" + rows)
    words: Words = [
        "--no-external-plugins",
        "run",
        "--data",
        tmp_path / "many.csv",
        "--target",
        "y",
        "--folds",
        "2",
        "--seeds",
        "1",
        "--arms",
        "fine-tune",
    ]
    done = tabgen(*words, "--methods", "zero-shot,bootstrap", "-o", tmp_path / "run")
    told = " ".join(done.stdout.split())
    assert "No cell with at most 1,000 training rows has a score. Why:" in told
    assert "bootstrap, zero-shot" in told
    assert "4 cells: 0 were done before, 4 ran in" in told
    page = (tmp_path / "run" / "report.html").read_text()
    assert "has a score" in page
    assert "the model takes at most 10 classes; the table has 24." in page
    assert "No cell with at most 1,000 training rows has a score." in tabgen("rank", tmp_path / "run").stdout
    assert "no cell has a score to rank: the model takes" in tabgen("rank", tmp_path / "run", "--json", ok=False).stderr


def test_reading_a_table_can_be_told(tmp_path: Path) -> None:
    rows = "".join(f"{'?' if i % 10 == 3 else i / 7},{i},{'p' if i % 3 else 'q'}\n" for i in range(120))
    (tmp_path / "mine.csv").write_text("a,id,y\n" + rows)
    words: Words = ["--no-external-plugins", "run", "--data", tmp_path / "mine.csv", "--target", "y", "--folds", "2"]
    words += ["--methods", "zero-shot", "--model", FIXTURE, "--seeds", "1"]
    refused = tabgen(*words, "-o", tmp_path / "a", ok=False)
    assert "say --missing '?'" in refused.stderr
    tabgen(*words, "--missing", "?", "--drop", "id", "-o", tmp_path / "b")
    (_, outcome) = load_results(tmp_path / "b").to_dict("records")  # the fold that has a missing value to learn from
    assert outcome["kinds"] == {"id": "drop"}
    assert outcome["reading"] == {"missing": ["?"]}
    assert (outcome["status"], outcome["n_columns"]) == ("ok", 2)
    drawn = tmp_path / "new.csv"
    tabgen("--no-external-plugins", "generate", "jitter", *words[2:6], "--missing", "?", "--drop", "id", "--rows", "30",
           "-o", drawn)  # fmt: skip
    assert drawn.read_text().startswith("a,y\n")
    assert "?" not in drawn.read_text()
    told = tabgen(*words, "--missing", "?", "--kind", "a=text=x", "-o", tmp_path / "c", ok=False)
    assert "has no column 'a=text', which a kind" in told.stderr


def test_rank_folds_what_is_undecided_and_all_unfolds_it(finished: Path) -> None:
    folded, unfolded = invoke("rank", str(finished)), invoke("rank", str(finished), "--all")
    assert "Of 3 pairs" in folded and "undecided at this resolution" in folded
    assert "No difference can be claimed between" not in folded
    assert "No difference can be claimed between" in unfolded
    assert "p of all pairs" in unfolded
    assert "Minimum detectable effect of one comparison with real" in folded
    pool = json.loads(invoke("rank", str(finished), "--json"))
    assert {record["method"]: record["rank_set"] for record in pool["methods"]}.keys() == {"real", "zero-shot", "a_b&c"}
    assert {pair["verdict"] for pair in pool["pairs"]} <= {"better", "worse", "equal", "undecided"}
    assert pool["cheapest_halving"]["seconds"] > 0
    assert all("seconds" not in way for way in pool["components"]["halvings"])


def test_predict_knows_levels_of_text_in_a_file_whose_rows_are_numbers_truths_or_dates(tmp_path: Path) -> None:
    columns = {
        "f": ["TRUE", "FALSE", "maybe"],
        "g": ["1.0", "2.0", "x"],
        "d": ["2020-01-01", "2021-01-01", "soon"],
        "n": ["1", "2", "10"],
    }
    frame = pd.DataFrame({name: values * 20 for name, values in columns.items()})
    frame.assign(y=["p", "q", "q"] * 20).to_csv(tmp_path / "t.csv", index=False)
    words: Words = ["--no-external-plugins", "fit", "--data", tmp_path / "t.csv", "--target", "y", "--model", FIXTURE]
    tabgen(*words, "--kind", "n=categorical", "--generator", "jitter", "--arm", "augmented", "-o", tmp_path / "it")
    answers = []
    for name, rows in {"some": frame.iloc[::3], "all": frame}.items():
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        tabgen("predict", tmp_path / "it", "--data", tmp_path / f"{name}.csv", "-o", tmp_path / "out.csv")
        answers.append(pd.read_csv(tmp_path / "out.csv").filter(like="probability of ").iloc[0].to_numpy())
    assert answers[0] == pytest.approx(answers[1], abs=1e-5)


def test_new_rows_are_read_as_the_rows_of_fit_were(tmp_path: Path) -> None:
    """Decimal commas and the order of day and month are found out of many rows; a few new ones do not tell them."""
    rows = [f"{i}.5{i % 10}0;-1,{i};{1 + i % 27}/04/2021;{1.5 if i > 20 else -2}" for i in range(1, 41)]
    (tmp_path / "de.csv").write_text("\n".join(["a;b;d;y", *rows]))
    words: Words = ["--no-external-plugins", "fit", "--data", tmp_path / "de.csv", "--target", "y", "--model", FIXTURE]
    tabgen(*words, "--generator", "jitter", "--arm", "context", "-o", tmp_path / "it")
    (tmp_path / "new.csv").write_text("a;b;d\n30.500;1;03/04/2021\nNA;NA;NA\n")
    (tmp_path / "one.csv").write_text("a;b;d\nNA;NA;NA\n")
    (tmp_path / "read.csv").write_text("a,b,d\n30500,1,2021-04-03\nNA,NA,NA\n")
    answers = {}
    for name in ("new", "one", "read"):
        tabgen("predict", tmp_path / "it", "--data", tmp_path / f"{name}.csv", "-o", tmp_path / f"{name}-out.csv")
        answers[name] = pd.read_csv(tmp_path / f"{name}-out.csv", sep=";", decimal=",")
    assert answers["new"].equals(answers["read"])
    assert answers["one"].to_numpy() == pytest.approx(answers["new"].iloc[1:].to_numpy(), abs=1e-5)
    assert set(answers["new"]["y"]) <= {1.5, -2}


def test_fit_says_each_finding_once_and_not_in_words_for_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"id": [f"c{n}" for n in range(60)], "x": range(0, 600, 10), "y": ["a", "b", "b"] * 20})
    frame.assign(x=frame["x"] % 70).to_csv(tmp_path / "t.csv", index=False)
    words = ["--no-external-plugins", "fit", "--data", "t.csv", "--target", "y", "--model", str(FIXTURE)]
    words += ["--generator", "jitter", "--arm", "augmented", "-o", "it"]
    monkeypatch.chdir(tmp_path)
    done = tabgen(*words)
    assert done.stderr.count("column 'id' has another value in every row") == 1
    assert "In Python" not in done.stderr


def test_a_classifier_is_fitted_saved_and_predicts_from_files(tmp_path: Path) -> None:
    data, target = CORE / "teaching-assistants.parquet", _target("teaching-assistants")
    words: Words = ["--no-external-plugins", "fit", "--data", data, "--target", target, "--model", FIXTURE]
    fitted = tabgen(*words, "--generator", "jitter", "--arm", "augmented", "--seed", "1", "-o", tmp_path / "it")
    assert "jitter/augmented" in fitted.stdout
    assert "zero-shot" in fitted.stdout
    assert "it holds your rows" in fitted.stdout

    frame = pd.read_parquet(data)
    rows = frame.drop(columns=target).head(20).assign(remark="not a feature")
    rows.to_csv(tmp_path / "new.csv", index=False)
    tabgen("predict", tmp_path / "it", "--data", tmp_path / "new.csv", "-o", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")
    probabilities = found.filter(like="probability of ")
    assert list(found) == [target, *(f"probability of {c}" for c in sorted(frame[target].unique()))]
    assert len(found) == 20
    assert probabilities.sum(axis=1).to_numpy() == pytest.approx(1)
    likeliest = probabilities.idxmax(axis=1).astype(str).str.removeprefix("probability of ")
    assert list(likeliest) == list(found[target].astype(str))
    expected = GeneratorAugmentedClassifier.load(tmp_path / "it").predict_proba(rows.drop(columns="remark"))
    assert probabilities.to_numpy() == pytest.approx(expected, abs=1e-6)

    rows.head(0).to_parquet(tmp_path / "none.parquet")
    (tmp_path / "folder.csv").mkdir()
    for source, output, said in (
        ("none.parquet", "out.csv", r"0 sample\(s\)"),
        ("new.csv", "new.csv", "new.csv, which is read or written too"),
        ("new.csv", "it/real.parquet", "real.parquet, which is read or written too"),
        ("new.csv", "no/out.csv", "there is no folder"),
        ("new.csv", "folder.csv", "it is a folder"),
    ):
        with pytest.raises(TabgenError, match=said):
            invoke("predict", *map(str, (tmp_path / "it", "--data", tmp_path / source, "-o", tmp_path / output)))

    short = rows.drop(columns=rows.columns[0])
    short.to_csv(tmp_path / "short.csv", index=False)
    lacking = tabgen("predict", tmp_path / "it", "--data", tmp_path / "short.csv", "-o", tmp_path / "out.csv", ok=False)
    assert f"short.csv lacks the columns '{rows.columns[0]}'" in lacking.stderr
    array = GeneratorAugmentedClassifier(generator="jitter", arm="augmented", model=str(FIXTURE))
    array.fit([[float(i)] for i in range(40)], [i % 2 for i in range(40)]).save(tmp_path / "array")
    with pytest.raises(TabgenError, match="array was fitted on an array, whose columns have no names"):
        invoke("predict", *map(str, (tmp_path / "array", "--data", tmp_path / "new.csv", "-o", tmp_path / "out.csv")))
    nothing = tabgen("predict", tmp_path / "no", "--data", tmp_path / "new.csv", "-o", tmp_path / "out.csv", ok=False)
    assert "no saved estimator: it has no estimator.json" in nothing.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert "holds something else" in tabgen(*words, "-o", tmp_path / "full", ok=False).stderr
