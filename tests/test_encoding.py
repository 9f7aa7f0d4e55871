"""From tables to the model's numbers, and missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tabgen.errors import Unsupported
from tabgen.models.encoding import TableEncoder
from tabgen.models.missing import fill_missing, needs_indicator
from tabgen.models.tab2d import quantile_normalise
from tabgen.table import Table


def table(**columns: list[object]) -> Table:
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


def test_too_many_columns_are_unsupported_with_the_count() -> None:
    rows = table(**{f"f{i}": [1.0, 2, 3, float(i)] for i in range(12)})
    with pytest.raises(Unsupported, match="at most 10 encoded columns; the table has 12"):
        TableEncoder(rows, 10)


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


SCALES = {
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
    category = pd.Categorical.from_codes(codes, answers, ordered=True)
    bins = pd.cut(codes.astype(float), [-1, 0, 1, 2, 30])
    frame = pd.DataFrame({"answer": category, "bins": bins, "n": np.arange(40), "y": ["p", "q"] * 20})
    ordered = Table.from_frame(frame, "y")
    assert TableEncoder(ordered, 100).encode(ordered)[:, :2].tolist() == [[c, c] for c in codes]
