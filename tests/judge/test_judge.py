"""Judging rows: what is copied is counted, pairs and columns are compared by hand's numbers, gaps are said."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from tabgen.constraints import read_constraint
from tabgen.errors import StoreError
from tabgen.judge.closest import closest
from tabgen.judge.columns import column_pairs
from tabgen.judge.copies import IDENTIFIER, NAMES, TEXT, Copied, copied_values, names_of_rows, watched
from tabgen.judge.judgement import Judgement, judge
from tabgen.judge.narrow import without
from tabgen.judge.pairs import cramers_v, pair_trends
from tabgen.judge.report import Origin, render, worth_in_words, write_report
from tabgen.judge.use import Score, Use
from tabgen.models.base import FoundationModel
from tabgen.plugins import find_model, get_plugins
from tabgen.table import Table
from tabgen.worth import LearningCurve, Worth

N = 120
ATTACK = "<script>alert('x')</script>\"&"


def frame(n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {
            "id": [f"C{1000 * seed + i}" for i in range(n)],
            "owner": [f"o{1000 * seed + i // 2}" for i in range(n)],
            "note": [" ".join(rng.choice(list("abcdefgh"), 5)) + f" {seed} {i}" for i in range(n)],
            "age": age,
            "wage": np.where(rng.random(n) < 0.2, np.nan, age * 100 + rng.normal(size=n)),
            "town": rng.choice(["Ulm", "Bonn", "Kiel"], n, p=[0.5, 0.3, 0.2]),
            "seen": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), "D"),
            "y": np.where(age + rng.normal(size=n) * 10 > 50, "old", "young"),
        }
    )


WHOLE = Table.from_frame(pd.concat([frame(), frame(60, 1), frame(N, 2)]), "y")
TRAIN, HELD_OUT = WHOLE.take(range(N)).observed(), WHOLE.take(range(N, N + 60))
OTHER = TRAIN.schema


def mixed() -> Table:
    """Rows that nobody has: every column of the training rows in an order of its own; the names all from them."""
    rng = np.random.default_rng(0)
    return Table(
        pd.DataFrame({n: TRAIN.frame[n].sample(N, random_state=int(rng.integers(99))).array for n in TRAIN.frame}),
        OTHER,
    )


@cache
def model() -> FoundationModel:
    return find_model("tabgen-nano", get_plugins()).load("cpu")


def judged(sample: Table, **options: Any) -> Judgement:
    given: dict[str, Any] = {"held_out": HELD_OUT, "constraints": ()} | options
    return judge(TRAIN, given["held_out"], sample, 0, model, "tabgen-nano", given["constraints"])


def test_columns_that_name_rows_are_watched() -> None:
    assert watched(TRAIN) == {"id": IDENTIFIER, "owner": NAMES, "note": TEXT}
    assert names_of_rows(watched(TRAIN)) == ["id", "owner"]
    assert watched(without(TRAIN, ["id", "owner", "note"])) == {}


def test_copied_values_are_counted_by_column() -> None:
    """Ids all real though no row is: what the share of exact copies does not see."""
    sample = mixed()
    assert {c.column: (c.values, c.copied) for c in copied_values(TRAIN, sample)} == dict.fromkeys(
        ("id", "owner", "note"), (N, N)
    )
    new = sample.frame.copy()
    new["note"] = ["something else"] * 30 + [None] * 10 + new["note"].tolist()[40:]
    told = {c.column: c for c in copied_values(TRAIN, Table(new, OTHER))}["note"]
    assert (told.values, told.copied) == (N - 10, N - 40)
    assert str(told) == "column 'note' (free text): 80 of 110 synthetic values (73%) are those of real rows"
    assert copied_values(TRAIN, without(sample, ["id", "owner", "note"])) == []
    assert Copied("id", IDENTIFIER, 0, 0).share == 0.0


def test_columns_are_compared() -> None:
    sample = mixed().take(range(60))
    pairs = {pair.spec.name: pair for pair in column_pairs(TRAIN, sample)}
    assert next(iter(pairs)) == "y"
    real, drawn = TRAIN.frame["town"].value_counts(normalize=True), sample.frame["town"].value_counts(normalize=True)
    assert pairs["town"].shape == pytest.approx(1 - (real - drawn).abs().sum() / 2)
    assert pairs["age"].missing == (0.0, 0.0)
    assert pairs["wage"].missing[0] == TRAIN.frame["wage"].isna().mean() > 0
    assert pairs["town"].summaries[0] == "3 levels, most often Ulm"
    assert np.isnan(pairs["note"].shape)
    assert all(pair.shape == 1.0 for pair in column_pairs(TRAIN, TRAIN) if pair.spec.kind != "text")
    lacking = {p.spec.name: p for p in column_pairs(TRAIN, without(sample, ["age"]))}["age"]
    assert lacking.summaries[1] == "not drawn"


def test_cramers_v_is_that_of_scipy_but_for_the_correction() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 5000)
    b = np.where(rng.random(5000) < 0.5, a, rng.integers(0, 4, 5000))
    counts = pd.crosstab(a, b).to_numpy()
    assert cramers_v(a, b) == pytest.approx(association(counts, method="cramer"), abs=0.005)
    assert cramers_v(a, a) == pytest.approx(1.0)
    few = [cramers_v(rng.integers(0, 5, 60), rng.integers(0, 5, 60)) for _ in range(200)]
    assert np.mean(few) < 0.08  # without the correction it is about 0.26
    assert np.isnan(cramers_v(a, np.zeros(5000, dtype=int)))


def test_pairs_that_were_torn_apart_are_found() -> None:
    names = ["id", "owner"]
    pairs = pair_trends(without(TRAIN, names), without(mixed(), names), 0)
    assert pairs.names == ["age", "wage", "town", "seen", "y"]
    assert pairs.furthest(1)[0][:2] == ("age", "wage")
    _, _, real, drawn = pairs.furthest(1)[0]
    both = TRAIN.frame[["age", "wage"]].corr("spearman").iloc[0, 1]
    assert real == pytest.approx(both)
    assert abs(drawn) < 0.3
    same = pair_trends(TRAIN, TRAIN, 0)
    assert same.error == 0.0
    assert np.nanmax(np.abs(same.difference)) == 0.0


def test_wide_tables_show_what_goes_with_the_target() -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(300, 20)), columns=[f"c{i}" for i in range(20)])
    table = Table.from_frame(data.assign(y=np.where(data["c17"] > 0, "p", "q")), "y")
    pairs = pair_trends(table, table, 0)
    assert "c17" in pairs.names
    assert (len(pairs.names), pairs.left_out) == (13, 8)


def test_distance_to_the_closest_row() -> None:
    bare, unseen = (without(table, ["id", "owner"]) for table in (TRAIN, HELD_OUT))
    copies = closest(bare, unseen, bare, 0)
    assert copies is not None
    assert (copies.equal, copies.very_near, copies.held_out) == (1.0, 1.0, True)
    new = closest(bare, unseen, unseen, 0)
    assert new is not None
    assert new.very_near <= 0.06
    alone = closest(bare, None, unseen, 0)
    assert alone is not None
    assert not alone.held_out
    assert (alone.others > 0).all()


def test_a_judgement_of_copies_and_of_new_rows() -> None:
    copies, new = judged(TRAIN), judged(WHOLE.take(range(N + 60, 2 * N + 60)))
    for it in (copies, new):
        assert (it.fitted_on, it.held_out, it.rows, it.gaps) == (N, 60, N, {})
        assert it.left_out == ["id", "owner"]
    assert copies.membership is not None
    assert copies.membership.tells
    assert new.membership is not None
    assert not new.membership.tells
    assert [each.copied for each in copies.copied] == [N] * 3
    assert [each.copied for each in new.copied] == [0] * 3
    assert copies.use is not None
    assert new.use is not None
    assert copies.use.scores["context"].auc == pytest.approx(copies.use.real)  # the very same context
    assert copies.use.worth == copies.use.curve.worth(copies.use.real)
    assert new.use.scores["context"].low < 0.05
    assert new.quality["adequacy_tstr"] > 0.7
    if "fidelity_rows" in copies.quality:
        assert copies.quality["privacy_exact_copies"] == 1.0


@pytest.mark.parametrize(
    ("real", "worth", "said"),
    [
        (0.9, Worth(80.0, 0), "100 synthetic rows are worth 80 real ones (of 120)."),
        (0.9, Worth(8.0, -1), "100 synthetic rows are worth fewer than 8 real ones, the fewest that were tried."),
        (0.9, Worth(120.0, 1), "100 synthetic rows score above all 120 real ones."),
        (0.6, Worth(80.0, 0), "hardly tell the target (ROC-AUC 0.60)."),
    ],
)
def test_worth_in_words(real: float, worth: Worth, said: str) -> None:
    score = Score(real, -0.1, 0.1)
    curve = LearningCurve((8, 120), (0.5, real))
    use = Use("m", real, {"context": score, "augmented": score}, worth, curve, 120, 100, 30)
    assert worth_in_words(use).endswith(said)


def test_what_cannot_be_measured_is_said() -> None:
    none = judged(TRAIN, held_out=None)
    assert set(none.gaps) == {"membership", "adequacy", "use"}
    assert none.membership is None
    assert none.use is None
    few = judged(TRAIN, held_out=HELD_OUT.take(range(10)))
    assert few.gaps["membership"].startswith("10 held-out rows")
    one = judged(TRAIN.take(np.flatnonzero(TRAIN.labels == 0)))
    assert "of one class" in one.gaps["use"]
    for it in (none, few, one):
        assert "Not measured: " in render(it, Origin("x", "t.csv", "y", 0))


def test_constrained_rows_are_compared_with_real_rows_that_meet_the_constraints() -> None:
    constraint = read_constraint("age < 50", TRAIN.schema)
    sample = TRAIN.take(np.flatnonzero(constraint.met(TRAIN.frame)))
    it = judged(sample, constraints=[constraint])
    assert it.restricted
    assert it.real_rows == len(sample) < it.fitted_on
    assert it.unseen_rows == (HELD_OUT.frame["age"] < 50).sum()
    assert {pair.spec.name: pair for pair in it.columns}["age"].shape == 1.0
    few = judged(sample, constraints=[read_constraint("age < 19", TRAIN.schema)])
    assert (few.restricted, few.real_rows) == (False, N)
    page = render(few, Origin("x", "t.csv", "y", 0, ["age < 19"], 100, 50))
    assert "compares with all real rows" in page


def test_the_page_is_complete_and_fetches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    it = judged(mixed())
    write_report(path, it, Origin("mixup", "mine.csv", "y", 0, ["age >= 18"], 200, 150, {"imputed_columns": ["wage"]}))
    page = path.read_text()
    for said in (
        "120 rows of mixup, like mine.csv",
        "id” (identifier): 120 of 120",
        "membership inference",
        "TSTR",
        "very near",
        "Furthest apart",
        "age &gt;= 18",
        "(75.0 %) meet them",
        "Fitted on 120 real rows",
    ):
        assert said in page, said
    assert page.count("<svg") == 2 + 3 + 5  # worth, distances, three maps, five columns that have a figure
    assert set(re.findall(r"""(?:src|href)=["']?(.)""", page)) <= {"#", "d"}  # a place in the page, data:
    assert "http" not in re.sub(r'xmlns[:a-z]*="[^"]*"', "", page).replace("http-equiv", "")
    assert "nan" not in re.sub(r"<[^>]*>", " ", page).split()
    with pytest.raises(StoreError, match="cannot be written"):
        write_report(tmp_path / "nowhere" / "x.html", it, Origin("mixup", "mine.csv", "y", 0))


def test_names_of_strangers_stay_text() -> None:
    names = {"age": ATTACK, "town": "price in $ and $"}
    data = frame().drop(columns=["id", "owner"]).rename(columns=names).assign(y=lambda f: f["y"] + ATTACK)
    data["price in $ and $"] = data["price in $ and $"] + ATTACK
    table = Table.from_frame(data, "y")
    it = judge(table, None, table, 0, model, "tabgen-nano")
    page = render(it, Origin(ATTACK, ATTACK, ATTACK, 0, [ATTACK], 10, 5, {"text_columns": {ATTACK: "nearest"}}))
    assert "<script" not in page
    assert "alert(" in page
    assert 'aria-label="distribution of &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&amp;, real' in page
