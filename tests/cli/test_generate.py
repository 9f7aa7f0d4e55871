"""`tabgen generate` from a user's chair: the report, what is warned of, constraints, SDV's metadata."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paths import FIXTURE
from typer.testing import CliRunner

import tabgen
from tabgen.cli import app
from tabgen.errors import ConstraintError, DataError, GeneratorFailed, TableWarning, UnknownNameError, Unsupported
from tabgen.plugins import PluginChoice

FAULTY = """from tabgen import Generator, GeneratorInfo, hookimpl

class Faulty(Generator):
    info = GeneratorInfo("faulty", "a fault", accepts_missing=True)

    def fit(self, table, context):
        if "WHERE" == "fit":
            raise ValueError("two\\nlines")

    def sample(self, n_rows, seed):
        if "WHERE" == "sample":
            raise ValueError("two\\nlines")

@hookimpl
def tabgen_register_generators(register):
    register(Faulty)
"""
BUILT_IN = PluginChoice(external=False)
N = 150


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table as people have it: ids, numbers, a category, a class that hangs on them."""
    rng = np.random.default_rng(0)
    age = rng.integers(10, 80, N)
    frame = pd.DataFrame(
        {
            "customer": [f"C{n:05}" for n in rng.permutation(N)],
            "age": age,
            "wage": np.where(rng.random(N) < 0.1, np.nan, rng.normal(30, 5, N).round(1)),
            "sex": rng.choice(["f", "m"], N),
            "churned": np.where(age + rng.normal(size=N) * 15 > 45, "yes", "no"),
        }
    )
    path = tmp_path_factory.mktemp("customers") / "mine.csv"
    frame.to_csv(path, index=False)
    return path


def run(*words: str | Path, target: str = "churned") -> tuple[str, str]:
    given = ["--no-external-plugins", "generate", *map(str, words), "--target", target]
    done = CliRunner().invoke(app, given, catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.stdout.split()), " ".join(done.stderr.split())


def test_a_measure_that_is_undefined_is_said_to_be(tmp_path: Path) -> None:
    """No pair of these columns hangs together, so that there is nothing to keep."""
    frame = pd.DataFrame({"x": range(60), "z": [i * 7 % 13 for i in range(60)], "y": ["a", "b"] * 30})
    frame.to_csv(tmp_path / "t.csv", index=False)
    told, _ = run("jitter", "--data", tmp_path / "t.csv", "--rows", "40", "-o", tmp_path / "o.csv", target="y")
    assert "pair trends: undefined" in told
    assert "nan" not in told


def test_a_report_judges_the_rows_that_were_written(customers: Path, tmp_path: Path) -> None:
    rows, page = tmp_path / "out.parquet", tmp_path / "out.html"
    told, warned = run("jitter", "--data", customers, "--rows", "100", "-o", rows, "--report", page)
    assert "fitted on 120 real rows; 30 held out to judge by" in told
    assert "membership inference: 0." in told
    assert "untrained" not in told
    assert "in place of the real rows: 100 synthetic rows" in told
    assert f"report: {page}" in told
    assert "column 'customer' (identifier): 100 of 100 synthetic values (100%) are those of real rows" in warned
    written, html = pd.read_parquet(rows), page.read_text()
    assert len(written) == 100
    assert "100 rows of jitter, like mine.csv" in html
    assert "100 of 100 synthetic values are those of real rows" in html
    real = pd.read_csv(customers)
    unseen = set(real["customer"]) - set(written["customer"])
    assert len(unseen) >= 30  # of the held-out rows no name can have come


def test_rows_that_teach_nothing_are_called_untrained(customers: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["--rows", "120", "--report", tmp_path / "x.html", "--drop", "customer"]
    told, _ = run("independent", "--data", customers, "-o", tmp_path / "x.csv", *words)
    assert "untrained: a forest learns from them to 0." in told


def test_without_a_report_no_row_is_held_out_and_copies_are_said(customers: Path, tmp_path: Path) -> None:
    told, warned = run("bootstrap", "--data", customers, "--rows", "40", "-o", tmp_path / "x.csv")
    assert "held out" not in told
    assert "40 of 40 synthetic values (100%)" in warned
    told, warned = run("bootstrap", "--data", customers, "--rows", "40", "-o", tmp_path / "x.csv", "--drop", "customer")
    assert "real rows" not in warned


def test_a_row_or_two_are_written_though_too_few_to_compare(customers: Path, tmp_path: Path) -> None:
    path, page = tmp_path / "x.csv", tmp_path / "x.html"
    told, _ = run("bootstrap", "--data", customers, "--rows", "1", "-o", path)
    assert "quality: not measured; " in told
    told, _ = run("bootstrap", "--data", customers, "--rows", "1", "-o", path, "--report", page)
    assert "worth: not measured; the rows that are compared are of one class" in told
    assert len(pd.read_csv(path)) == 1
    assert "fewer than three rows" in page.read_text() or "SDMetrics is not installed" in page.read_text()


def test_no_hold_out_says_what_is_lacking(customers: Path, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    words: list[str | Path] = ["--rows", "60", "-o", tmp_path / "x.csv", "--report", page, "--no-hold-out"]
    told, _ = run("jitter", "--data", customers, *words)
    assert "membership inference: not measured; no rows were held out" in told
    assert "Fitted on 150 real rows, all there are" in page.read_text()


def test_constraints_are_met(customers: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    told, _ = run("jitter", "--data", customers, "--rows", "80", "-o", path, "--drop", "customer",
                  "--where", "18 <= age < 60", "--where", "wage > 25", "--fix", "sex=f")  # fmt: skip
    frame = pd.read_csv(path)
    assert len(frame) == 80
    assert frame["age"].between(18, 59).all()
    assert (frame["wage"] > 25).all()
    assert set(frame["sex"]) == {"f"}
    assert "constraints: met by " in told
    again = tabgen.generate("jitter", customers, "churned", 80, kinds={"customer": "drop"}, plugins=BUILT_IN,
                            where=["18 <= age < 60", "wage > 25"], fix={"sex": "f"})  # fmt: skip
    assert again["age"].tolist() == frame["age"].tolist()


def test_what_cannot_be_met_or_read_is_said_before_the_fit_or_at_the_bound(customers: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["bootstrap", "--data", customers, "--rows", "5", "-o", tmp_path / "x.csv"]
    with pytest.raises(ConstraintError, match=r"of 300 rows drawn from bootstrap, which is the bound, 0\.00%"):
        run(*words, "--where", "age > 200", "--most-draws", "300")
    with pytest.raises(ConstraintError, match=r"real rows 0 do\. No real row is such a one"):
        run(*words, "--where", "age > 200", "--most-draws", "300")
    with pytest.raises(UnknownNameError, match="did you mean 'age'"):
        run(*words, "--where", "ag > 20")
    for fix in ("sex", "=f", "sex==f"):
        with pytest.raises(ConstraintError, match="--fix takes COLUMN=VALUE"):
            run(*words, "--fix", fix)
    with pytest.raises(ConstraintError, match="'sex' twice"):
        run(*words, "--fix", "sex=f", "--fix", "sex=m")
    with pytest.raises(DataError, match="there is no folder"):
        run(*words, "--report", tmp_path / "nowhere" / "x.html")
    assert not (tmp_path / "x.csv").exists()


def test_nothing_is_written_over_what_is_read_or_where_nothing_can_be(customers: Path, tmp_path: Path) -> None:
    mine, link, page, rows = (tmp_path / name for name in ("mine.csv", "link.csv", "x.html", "x.csv"))
    mine.write_bytes(customers.read_bytes())
    link.symlink_to(mine)
    (tmp_path / "folder.csv").mkdir()
    words: list[str | Path] = ["bootstrap", "--data", mine, "--rows", "5"]
    for output, report in [(mine, page), (link, page), (tmp_path / "folder.csv" / ".." / "mine.csv", page),
                           (rows, mine), (rows, rows), (tmp_path / "folder.csv", page)]:  # fmt: skip
        with pytest.raises(DataError, match="cannot be written: it is "):
            run(*words, "-o", output, "--report", report)
    with pytest.raises(DataError, match="which is read"):
        tabgen.generate("bootstrap", link, "churned", 5, report=mine, plugins=BUILT_IN)
    for output in (mine, tmp_path / "no" / "x.html"):
        given = ["--no-external-plugins", "look", str(link), "--target", "churned", "-o", str(output)]
        with pytest.raises(DataError, match="cannot be written: "):
            CliRunner().invoke(app, given, catch_exceptions=False)
    with pytest.raises(DataError, match=r"mine\.csv is no folder"):
        CliRunner().invoke(app, ["export-folds", "--suite", "quick", "-o", str(mine)], catch_exceptions=False)
    assert mine.read_bytes() == customers.read_bytes()
    assert not rows.exists()


def test_sdv_metadata_leaves_keys_out(customers: Path, tmp_path: Path) -> None:
    sdtypes = {
        "customer": "id",
        "age": "numerical",
        "wage": "numerical",
        "sex": "categorical",
        "churned": "categorical",
    }
    content = {"columns": {name: {"sdtype": sdtype} for name, sdtype in sdtypes.items()}, "primary_key": "customer"}
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(content))
    out = tmp_path / "x.csv"
    with pytest.warns(TableWarning, match=r"'customer' \(the primary key\)"):
        run("bootstrap", "--data", customers, "--rows", "20", "-o", out, "--metadata", path)
    assert list(pd.read_csv(out)) == ["age", "wage", "sex", "churned"]
    with pytest.warns(TableWarning, match="'customer'"):
        frame = tabgen.generate("bootstrap", customers, "churned", 20, metadata=path, plugins=BUILT_IN)
    assert list(frame) == ["age", "wage", "sex", "churned"]


def test_python_writes_the_report_too(customers: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "x.html", pd.read_csv(customers).drop(columns="customer")
    frame = tabgen.generate("jitter", data, "churned", 50, settings={"noise": 0.2}, report=page, plugins=BUILT_IN)
    assert len(frame) == 50
    assert "50 rows of jitter:noise=0.2, like the data" in page.read_text()


def test_python_warns_of_what_the_command_line_warns_of(customers: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["bootstrap", "--data", customers, "--rows", "40", "-o", tmp_path / "x.csv"]
    _, warned = run(*words)
    said = [line.strip() for line in warned.split("tabgen: warning: ") if line]
    assert len(said) == 2  # the column names rows; 40 of 40 names are copied
    mend = " In Python, --drop NAME is kinds={'NAME': 'drop'}."
    for report in (None, tmp_path / "x.html"):
        with pytest.warns(TableWarning) as caught:
            tabgen.generate("bootstrap", customers, "churned", 40, report=report, plugins=BUILT_IN)
        assert [str(each.message) for each in caught] == [line + mend for line in said]
        assert {each.filename for each in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tabgen.generate("bootstrap", customers, "churned", 40, kinds={"customer": "drop"}, plugins=BUILT_IN)


def test_a_comparison_in_python_warns_before_any_cell_runs(customers: Path, tmp_path: Path) -> None:
    words: dict[str, Any] = {"target": "churned", "output": tmp_path / "run", "plugins": BUILT_IN}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TableWarning, match="'customer' has another value in every row"):
            tabgen.compare(data=pd.read_csv(customers), methods=["real"], **words)
    assert not (tmp_path / "run" / "outcomes.sqlite").exists()


def test_a_table_too_small_to_hold_rows_out(tmp_path: Path) -> None:
    data = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "y": ["p", "q", "q", "q"]})
    with pytest.raises(Unsupported, match="no rows can be held out"):
        tabgen.generate("bootstrap", data, "y", 5, report=tmp_path / "x.html", plugins=BUILT_IN)


@pytest.mark.parametrize(("where", "line"), [("fit", 8), ("sample", 12)])
def test_a_faulty_plugin_is_one_line_with_its_place(
    customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, line: int
) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY.replace("WHERE", where))
    monkeypatch.chdir(tmp_path)
    words = ["--no-external-plugins", "--plugin", "faulty.py", "generate", "faulty", "--data", str(customers)]
    done = CliRunner().invoke(app, [*words, "--target", "churned", "--rows", "9", "-o", "out.csv"])
    assert isinstance(done.exception, GeneratorFailed)
    assert str(done.exception) == f"generator 'faulty' failed: ValueError: two lines at faulty.py:{line}, {where}()"


def test_a_faulty_plugin_is_one_line_in_fit_too(
    customers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY.replace("WHERE", "sample"))
    monkeypatch.chdir(tmp_path)
    words = ["--no-external-plugins", "--plugin", "faulty.py", "fit", "--generator", "faulty", "--arm", "context"]
    words += ["--data", str(customers), "--target", "churned", "--drop", "customer", "--model", str(FIXTURE)]
    done = CliRunner().invoke(app, [*words, "-o", "it"])
    assert isinstance(done.exception, GeneratorFailed)
    assert str(done.exception) == "generator 'faulty' failed: ValueError: two lines at faulty.py:12, sample()"


def test_one_constraint_may_be_a_text(customers: Path) -> None:
    frame = tabgen.generate(
        "bootstrap", customers, "churned", 20, where="age > 40", kinds={"customer": "drop"}, plugins=BUILT_IN
    )
    assert frame["age"].min() > 40


def test_rows_are_written_in_the_form_of_the_table(tmp_path: Path) -> None:
    rows = [f"{n % 7},5;{n % 3};{'p' if n % 2 else 'q'}" for n in range(40)]
    (tmp_path / "de.csv").write_text("\n".join(["a;b;y", *rows]))
    words: list[str | Path] = ["--data", tmp_path / "de.csv", "--rows", "9", "-o", tmp_path / "out.csv"]
    with pytest.warns(TableWarning, match="';' between columns|decimal comma"):
        run("bootstrap", *words, target="y")
    written = (tmp_path / "out.csv").read_text().splitlines()
    assert written[0] == "a;b;y"
    assert set(written[1:]) <= set(rows)
