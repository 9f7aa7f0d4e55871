"""Dates and texts: what a generator is given in their place, and what its rows get back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.api import write_frame
from tabgen.cache import Cache, CacheSettings, Rows
from tabgen.datasets import file_suite
from tabgen.errors import InvalidOutput, Unsupported
from tabgen.fidelity import available, fidelity
from tabgen.generator import FitContext, Generator, GeneratorInfo
from tabgen.references import Bootstrap, Independent, Jitter
from tabgen.sampling import draw_sample, fit_generator, prepare
from tabgen.standins import TextRule, nearest_rows
from tabgen.table import Table

N = 60


def dated(**more: Any) -> Table:
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2024-03-30 22:00").as_unit("us")
    frame = pd.DataFrame(
        {
            "day": (start.normalize() + pd.to_timedelta(rng.integers(0, 400, N), "D")).astype("datetime64[us]"),
            "minute": (start + pd.to_timedelta(rng.integers(0, 10_000, N), "min")).astype("datetime64[us]"),
            "exact": (start + pd.to_timedelta(rng.integers(0, 10**12, N), "us")).astype("datetime64[us]"),
            "zoned": pd.date_range("2024-10-26 22:00", periods=N, freq="37min", tz="Europe/Berlin"),
            "size": rng.standard_normal(N),
            "y": np.resize(["a", "b"], N),
        }
    )
    frame["gaps"] = frame["day"].mask(rng.random(N) < 0.2)
    return Table.from_frame(frame.assign(**more), "y")


class Given(Generator):
    """Answers with the rows it was fitted on, changed as it is told."""

    info = GeneratorInfo("given", "what it was told", accepts_missing=True)

    def __init__(self, change: Any = None, **info: Any) -> None:
        self.change = change
        self.info = GeneratorInfo("given", "what it was told", **({"accepts_missing": True} | info))  # type: ignore[misc]

    def fit(self, table: Table, context: FitContext) -> None:
        self.table = table

    def sample(self, n_rows: int, seed: int) -> Any:
        return self.table.frame if self.change is None else self.change(self.table.frame)


def drawn(generator: Generator, table: Table, n_rows: int | None = None, text: TextRule = "nearest") -> Table:
    fit_generator(generator, table, FitContext(seed=1), text)
    return draw_sample(generator, table, n_rows or len(table), 5, text)


# Dates


def test_a_generator_is_given_numbers_for_dates() -> None:
    given, _ = prepare(Given(), dated())
    assert {c.name: c.kind for c in given.schema.columns} == {
        "day": "integer",
        "minute": "integer",
        "exact": "numeric",
        "zoned": "integer",
        "size": "numeric",
        "gaps": "integer",
    }
    assert given.frame["day"].min() == 0
    assert given.frame["day"].max() < 400  # days, not seconds
    assert (given.frame["minute"] % 60 == 0).all()
    assert (given.frame["zoned"].diff().dropna() == 37 * 60).all()


def test_what_comes_back_is_what_went_in() -> None:
    table = dated()
    sample = drawn(Given(), table)
    assert sample.content_hash == table.content_hash
    assert sample.schema == table.schema
    pd.testing.assert_frame_equal(sample.local_frame, table.local_frame)


def test_new_numbers_are_new_dates() -> None:
    table = dated()
    sample = drawn(Given(lambda frame: frame.assign(day=frame["day"] + 1, exact=frame["exact"] + 0.5)), table)
    assert ((sample.frame["day"] - table.frame["day"]) == pd.Timedelta(1, "D")).all()
    assert ((sample.frame["exact"] - table.frame["exact"]) == pd.Timedelta(0.5, "s")).all()


def test_dates_far_away_and_columns_without_any_pass() -> None:
    far = np.resize(np.array(["0001-01-01", "9999-12-31", "2020-02-29T01:02:03"], "datetime64[us]"), N)
    table = dated(far=far, never=pd.Series(pd.NaT, range(N)).astype("datetime64[us]"))
    assert drawn(Given(), table).content_hash == table.content_hash


def test_missing_dates_are_filled_for_generators_that_take_none_and_drawn_missing_again() -> None:
    table, given = dated(), Given(accepts_missing=False)
    sample = drawn(given, table)
    shares = [each.features.isna().to_numpy().mean() for each in (table, sample)]
    assert shares[0] > 0
    assert abs(shares[0] - shares[1]) < 0.1
    assert not given.table.has_missing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(day=f["day"] + 0.5), "column 'day' of the sample of generator 'given' holds"),
        (lambda f: f.assign(day=np.nan), "column 'day' of the sample of generator 'given' has missing values"),
        (lambda f: f.assign(day=10**12), "column 'day' of the sample of generator 'given' holds a time beyond the"),
        (lambda f: f.assign(exact=1e300), "column 'exact' of the sample of generator 'given' holds a time beyond"),
        (lambda f: f.assign(exact=np.inf), "column 'exact' of the sample of generator 'given' holds infinity"),
        (lambda f: f.assign(day="tomorrow"), "column 'day' of the sample of generator 'given' should hold numbers"),
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(change: Any, message: str) -> None:
    with pytest.raises(InvalidOutput, match=re.escape(message)):
        drawn(Given(change), dated())


@pytest.mark.parametrize("generator", [Bootstrap, Jitter, Independent])
def test_the_references_draw_dates(generator: type[Generator]) -> None:
    table = dated()
    sample = drawn(generator(), table, 40)
    assert sample.schema == table.schema
    if generator is not Jitter:
        assert set(sample.frame["zoned"]) <= set(table.frame["zoned"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_dates_and_texts_written_and_read_again_are_the_same(tmp_path: Path, ending: str) -> None:
    table = written()
    write_frame(table.local_frame, tmp_path / f"t.{ending}")
    back = file_suite(tmp_path / f"t.{ending}", "y").datasets[0].load()
    assert {c.name: c.kind for c in back.schema.columns} == {c.name: c.kind for c in table.schema.columns}
    assert table.like(back.frame).content_hash == table.content_hash


def test_the_cache_keeps_dates_and_texts(tmp_path: Path) -> None:
    cache, table = Cache(CacheSettings(str(tmp_path))), written()
    cache.add_rows("key", Rows(table, 1.0, 1.0, 1.0))
    kept = cache.rows("key")
    assert cache.faults == []
    assert kept is not None
    assert kept.table.content_hash == table.content_hash
    pd.testing.assert_frame_equal(kept.table.local_frame, table.local_frame)


# Texts


def written(n: int = N) -> Table:
    rng = np.random.default_rng(1)
    size = rng.standard_normal(n)
    frame = dated().frame.take(np.resize(range(N), n)).reset_index(drop=True)
    texts = pd.Series([f"row number {i}, with a size of {s:.3f}" for i, s in enumerate(size)]).mask(
        np.arange(n) % 9 == 8
    )
    frame = frame.assign(size=size, colour=np.resize(["red", "green", "blue"], n), review=texts)
    return Table.from_frame(frame, "y", {"review": "text"})


def test_texts_are_kept_from_generators_that_take_none() -> None:
    context = FitContext(seed=1)
    generator = Given()
    fit_generator(generator, written(), context)
    assert "review" not in generator.table.schema.names
    assert context.notes == {"text_columns": {"review": "nearest"}}
    takes = Given(accepts_text=True)
    fit_generator(takes, written(), context := FitContext(seed=1))
    assert "review" in takes.table.schema.names
    assert context.notes == {}


def test_rows_get_the_text_of_the_nearest_row_of_their_class() -> None:
    table = written()
    assert drawn(Given(), table).content_hash == table.content_hash  # of a real row the nearest is itself
    sample = drawn(Given(lambda frame: frame.assign(size=frame["size"] + 1e-6)), table)
    assert sample.frame["review"].equals(table.frame["review"])
    other = {"a": "b", "b": "a"}
    turned = drawn(Given(lambda frame: frame.assign(y=frame["y"].astype(object).map(other))), table)
    of = dict(zip(table.frame["review"], table.frame["y"], strict=True))
    pairs = [(of[t], y) for t, y in zip(turned.frame["review"], turned.frame["y"], strict=True) if t is not None]
    assert all(real == label for real, label in pairs)


def test_the_nearest_row_by_hand() -> None:
    frame = pd.DataFrame(
        {"n": [0.0, 10.0, 4.0, np.nan], "c": ["u", "v", "u", "v"], "t": list("wxyz"), "y": [0, 1, 0, 1]}
    )
    table = Table.from_frame(frame, "y", {"t": "text"})
    sample = table.like(frame.assign(n=[3.0, np.nan, 0.0, 9.0], c=["v", "u", "u", "v"]))
    # of class 0: 3 is nearer to 4 than to 0, level v is like neither; 0 is the first row itself
    # of class 1: a missing number is like the missing one; 9 in v is nearest to 10 in v
    assert nearest_rows(sample, table, 0).tolist() == [2, 3, 0, 1]


def test_rows_equally_near_are_drawn_among() -> None:
    frame = pd.DataFrame({"c": ["u"] * 40, "t": [f"text {i}" for i in range(40)], "y": np.resize([0, 1], 40)})
    table = Table.from_frame(frame, "y", {"t": "text"})
    seen = {nearest_rows(table, table, seed)[0] for seed in range(20)}
    assert len(seen) > 5
    assert seen <= set(range(0, 40, 2))
    assert nearest_rows(table, table, 3).tolist() == nearest_rows(table, table, 3).tolist()


def test_texts_can_be_left_out() -> None:
    table = written()
    sample = drawn(Given(), table, text="leave-out")
    assert "review" not in sample.schema.names
    assert sample.schema.names == [name for name in table.schema.names if name != "review"]


def test_generators_that_take_texts_draw_their_own() -> None:
    table = written()
    sample = drawn(Independent(), table, 50)
    assert set(sample.frame["review"]) <= set(table.frame["review"])
    new = drawn(Given(lambda f: f.assign(review="something new"), accepts_text=True), table)
    assert new.frame["review"].unique().tolist() == ["something new"]


def test_nothing_but_text_is_unsupported_for_a_generator_that_takes_none() -> None:
    table = Table.from_frame(pd.DataFrame({"t": ["a b", "c d"], "y": [0, 1]}), "y", {"t": "text"})
    with pytest.raises(Unsupported, match="given takes no text, and the table has no other feature column"):
        prepare(Given(), table)
    assert drawn(Bootstrap(), Table.from_frame(table.frame, "y", {"t": "text"}), 20).schema.names == ["t"]


@pytest.mark.skipif(not available(), reason="SDMetrics is not installed")
def test_copied_texts_count_for_privacy() -> None:
    table = written(120)
    train, holdout = table.take(range(60)), table.take(range(60, 120))
    copied = fidelity(train, holdout, drawn(Given(), train), 0)
    assert copied["privacy_copied_texts"] == 1
    mixed = drawn(Given(lambda f: f.assign(review=[f"new {i}" if i % 2 else t for i, t in enumerate(f["review"])]),
                        accepts_text=True), train)  # fmt: skip
    known = train.frame["review"][::2].notna().sum()
    assert fidelity(train, holdout, mixed, 0)["privacy_copied_texts"] == pytest.approx(known / (known + 30))
    assert "privacy_copied_texts" not in fidelity(dated(), None, drawn(Given(), dated()), 0)
