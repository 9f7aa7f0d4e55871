"""Findings: what of a table is said to its owner, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.datasets import core_datasets
from tabgen.errors import TableError
from tabgen.findings import findings, near_numeric, tells_target, worth_a_warning
from tabgen.table import Table

N = 120
RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.resize(["no", "yes"], N))


def plain(**columns: Any) -> pd.DataFrame:
    """A table with nothing to say of, and these columns."""
    base = {
        "size": RNG.standard_normal(N),
        "count": RNG.integers(0, 40, N),
        "colour": RNG.choice(["red", "green", "blue"], N),
        "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.permutation(N) * 3, "D"),
        "salary": RNG.permutation(N) * 1000 + RNG.integers(0, 1000, N),
    }
    return pd.DataFrame(base | columns).assign(y=columns.get("y", LABELS))


def found(folds: int = 3, kinds: dict[str, str] | None = None, **columns: Any) -> list[tuple[str, tuple[str, ...]]]:
    table = Table.from_frame(plain(**columns), "y", kinds)
    return [(finding.kind, finding.columns) for finding in findings(table, folds)]


def test_an_ordinary_table_has_no_findings() -> None:
    assert found() == []


@pytest.mark.parametrize(
    "values",
    [
        [f"id {i}" for i in range(N)],
        np.arange(N),
        RNG.permutation(N) + 100_000,
        1_700_000_000 + np.cumsum(RNG.integers(1, 10_000, N)),
        [f"8e25{i:012x}" for i in range(N)],
    ],
    ids=["words", "counting", "shuffled numbers", "ascending numbers", "hashes"],
)
def test_columns_that_name_rows(values: Any) -> None:
    assert found(id=values) == [("identifier", ("id",))]


def test_a_name_that_is_cut_says_so() -> None:
    (finding,) = findings(Table.from_frame(plain(id=[f"{'x' * 50}{i}" for i in range(N)]), "y"))
    assert f"such as '{'x' * 39}…': it names rows" in finding.message


def test_constant_duplicate_and_one_to_one_columns() -> None:
    colour = RNG.choice(["red", "green", "blue"], N)
    number = RNG.standard_normal(N)
    names = pd.Series(colour).map({"red": "rot", "green": "grün", "blue": "blau"})
    seen = found(
        one="x", empty=np.nan, hue=colour, again=colour, farbe=names, number=number, copy=number, twice=2 * number
    )
    assert seen == [
        ("constant", ("one",)),
        ("constant", ("empty",)),
        ("duplicate", ("hue", "again")),
        ("one-to-one", ("hue", "farbe")),
        ("duplicate", ("number", "copy")),
    ]


def test_columns_that_give_the_target_away() -> None:
    score = np.where(LABELS == "yes", 1.0, -1.0) * RNG.uniform(0.5, 1, N)
    code = np.where(LABELS == "yes", RNG.choice(["a", "c"], N), RNG.choice(["b", "d"], N))
    nearly = score.copy()
    nearly[3] *= -1
    kinds = [kind for kind, columns in found(score=score, code=code, nearly=nearly) if kind == "tells-target"]
    told = [columns for kind, columns in found(score=score, code=code, nearly=nearly) if kind == "tells-target"]
    assert len(kinds) == 2
    assert told == [("score",), ("code",)]
    order = np.sort(LABELS)
    assert ("tells-target", ("row",)) in found(row=np.arange(N), y=order)  # rows sorted by class


@pytest.mark.parametrize(
    ("codes", "labels", "tells"),
    [
        ([0, 1, 2, 3], [0, 0, 1, 1], True),
        ([0, 1, 2, 3], [0, 1, 0, 1], False),
        ([0, 0, 1, 1], [0, 0, 1, 1], True),
        ([0, 0, 1, 1], [0, 1, 1, 1], False),
        ([0, 1, 2] * 5, [0, 1, 0] * 5, True),
        ([0, 1, 2, 3, 4, 5], [0, 0, 2, 2, 1, 1], True),
        (list(range(10)), [0, 1] * 5, False),
    ],
)
def test_telling_by_order_or_by_value(codes: list[int], labels: list[int], tells: bool) -> None:
    assert tells_target(np.array(codes), np.array(labels)) is tells


def test_classes_with_fewer_rows_than_folds() -> None:
    labels = LABELS.astype(object)
    labels[:2] = "rare"
    assert found(y=labels) == [("rare-class", ("y",))]
    assert found(folds=2, y=labels) == [("small-class", ("y",))]
    (small,) = findings(Table.from_frame(plain(y=labels), "y"), 2)
    assert small.message.startswith("class 'rare' of 'y' has 2 rows: little can be learned of it")
    assert worth_a_warning(Table.from_frame(plain(y=labels), "y"), 2) == []
    names = [f"n{i}" for i in range(N)]
    (all_rare,) = [f for f in findings(Table.from_frame(plain(y=names), "y")) if f.columns == ("y",)]
    assert (
        f"'y' has {N} classes, {N} of them with fewer rows than the 3 folds, such as 'n0' (1 row)" in all_rare.message
    )
    (finding,) = findings(Table.from_frame(plain(y=labels), "y"))
    assert finding.message.startswith("class 'rare' of 'y' has 2 rows, fewer than the 3 folds")


def test_of_a_few_rows_that_alone_is_said() -> None:
    few = pd.DataFrame({"age": range(8), "y": [0] * 3 + [1] * 5})
    assert [f.kind for f in findings(Table.from_frame(few, "y"))] == ["few-rows", "small-class", "small-class"]


def test_a_column_with_nearly_another_value_in_every_row_is_told() -> None:
    names = [f"n{i}" for i in range(N)]
    assert ("identifier", ("who",)) in found(who=names)
    assert ("names", ("who",)) in found(who=[*names[:-1], names[0]])
    assert not [each for each in found(who=[name[:2] for name in names]) if each[0] in ("names", "identifier")]


def test_levels_that_may_mean_missing_or_are_spelled_in_two_ways() -> None:
    assert found(country=RNG.choice(["NA", "BW", "ZA"], N)) == [("missing-word", ("country",))]
    assert found(answer=RNG.choice(["?", "low", "high"], N)) == [("missing-word", ("answer",))]
    assert found(answer=RNG.choice(["low", "Low ", "high"], N)) == [("spelling", ("answer",))]
    assert found(answer=RNG.choice(["none", "low", "high"], N)) == []


def test_levels_of_the_target_are_looked_at_too() -> None:
    labels = np.resize(["yes", "Yes ", "NA", "no"], N)
    assert found(y=labels) == [("missing-word", ("y",)), ("spelling", ("y",))]


@pytest.mark.parametrize(
    "odd",
    [["\u0661\u0662", "\u0663\u0664"], ["\uff11\uff12"], ["?", "-", "unknown", "n.a."]],
    ids=["Arabic", "wide", "words"],
)
def test_numbers_but_for_what_is_none_are_no_categories(odd: list[str]) -> None:
    values = [*map(str, range(100, 160)), *odd]
    with pytest.raises(TableError, match="holds numbers but for"):
        Table.from_frame(plain(size=np.resize(np.array(values, dtype=object), N)), "y")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [*(f"{i}.5" for i in range(45)), *(f"({i}.20)" for i in range(15))],
            "more around them, such as '(0.20)'",
        ),
        ([*(f"{i}.5" for i in range(45)), *(f"{i}.03-" for i in range(15))], "more around them, such as '0.03-'"),
        ([*(f"{i}" for i in range(9)), *"abcdef", *(f"{i}k" for i in range(9))], None),
        ([1, "2"] * 30, "holds numbers and numbers written as text, such as '2', taken as 2 categories"),
        (["1", "2"] * 30, None),
        ([1, 2] * 30, None),
        (["<1", *map(str, range(1, 21)), ">20"] * 3, None),
    ],
    ids=["brackets", "minus behind", "codes", "numbers and texts", "texts", "numbers", "open groups"],
)
def test_numbers_that_are_written_in_two_ways(values: list[Any], words: str | None) -> None:
    near = near_numeric(pd.Series(values, dtype=object), "x")
    assert near is None if words is None else near is not None and words in near.message


def test_values_are_shown_as_people_write_them() -> None:
    table = Table.from_frame(plain(id=np.arange(N)), "y")
    assert any("such as 0: it names rows" in finding.message for finding in findings(table))


def test_numbers_that_are_categories_by_order_are_said_when_asked() -> None:
    values = [str(round(v, 3)) for v in RNG.standard_normal(N - 1)] + ["?"]
    assert ("near-numeric", ("x",)) in found(kinds={"x": "categorical"}, x=values)


@pytest.mark.parametrize("dataset", core_datasets(), ids=lambda dataset: dataset.name)
def test_no_table_of_core_tells_its_target_or_names_its_rows(dataset: Any) -> None:
    assert {"tells-target", "identifier", "rare-class"}.isdisjoint(f.kind for f in findings(dataset.load(), 3))


def test_look_prints_the_table_and_writes_a_page(tmp_path: Path) -> None:
    plain(id=[f"id {i}" for i in range(N)], country=RNG.choice(["NA", "ZA"], N)).to_csv(tmp_path / "t.csv", index=False)
    words = ["look", str(tmp_path / "t.csv"), "--target", "y"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "page.html")], catch_exceptions=False)
    told = " ".join(done.output.split())
    assert done.exit_code == 0
    assert "t.csv: 120 rows, 7 feature columns, 2 classes" in told
    assert "seen datetime 0.0% 120 2020-01-01" in told
    assert "seen datetime 0.0% 120 2020-01-01 .. 2020-12-23" in told
    assert "- identifier: column 'id' has another value in every row, such as 'id 0'" in told
    assert "say --missing NA." in told
    assert "Findings: 2" in told
    assert "salary" in (tmp_path / "page.html").read_text()
    dropped = CliRunner().invoke(app, [*words, "--drop", "id", "--missing", "NA"], catch_exceptions=False)
    assert "6 feature columns" in dropped.output
    assert "Nothing to warn of." in dropped.output


def test_escape_sequences_of_a_table_stay_out_of_the_terminal(tmp_path: Path) -> None:
    frame = plain().rename(columns={"salary": "w\x1b]0;owned\x07"})
    frame["y"] = frame["y"].map(lambda name: f"\x1b[2J{name}")
    frame["none"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    done = CliRunner().invoke(app, ["look", str(tmp_path / "t.csv"), "--target", "y"], catch_exceptions=False)
    assert "owned" in done.output
    assert "column 'none' has no value in any row" in " ".join(done.output.split())
    assert "\x1b" not in done.output + done.stderr


def test_generate_says_what_it_would_copy(tmp_path: Path) -> None:
    plain(id=[f"id {i}" for i in range(N)]).to_csv(tmp_path / "t.csv", index=False)
    words = ["--no-external-plugins", "generate", "bootstrap", "--data", str(tmp_path / "t.csv"), "--target", "y"]
    done = CliRunner().invoke(app, [*words, "--rows", "5", "-o", str(tmp_path / "x.csv")], catch_exceptions=False)
    assert "column 'id' has another value in every row" in done.stderr
