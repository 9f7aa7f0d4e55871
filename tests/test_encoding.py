"""From tables to the model's numbers, and missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tabgen.errors import Unsupported
from tabgen.models.encoding import TableEncoder
from tabgen.models.missing import fill_missing, needs_indicator
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
