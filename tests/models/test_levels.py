"""Columns of many levels: what is told of a level comes from the support, never from a row's own label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tabgen.models.checkpoints import load_directory
from tabgen.models.levels import FOLDS, MANY, PRIOR_ROWS, shares_of_levels, with_shares
from tabgen.models.tab2d import Tab2D, Tab2DConfig
from tabgen.pretrain.state import write_checkpoint
from tabgen.table import Table


def drawn(seed: int, rows: int, levels: int, classes: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, levels, (1, rows, 1), generator=generator).float()
    return codes, torch.randint(0, classes, (1, rows), generator=generator)


def test_two_classes_give_the_smoothed_share_of_the_second() -> None:
    codes, labels = drawn(0, 200, 9)
    _, told = shares_of_levels(codes, labels, torch.arange(9.0)[None, :, None], 2)
    x, y = codes[0, :, 0].numpy(), labels[0].numpy()
    base = y.mean()
    expected = [(y[x == v].sum() + PRIOR_ROWS * base) / ((x == v).sum() + PRIOR_ROWS) - base for v in range(9)]
    np.testing.assert_allclose(told[0, :, 0].numpy(), expected, atol=1e-7)


def test_a_support_row_is_told_by_the_other_folds() -> None:
    codes, labels = drawn(1, 100, 8)
    told, _ = shares_of_levels(codes, labels, codes[:, :1], 2)
    row = 42
    others = np.arange(100) % FOLDS != row % FOLDS
    x, y = codes[0, :, 0].numpy(), labels[0].numpy()
    mine = others & (x == x[row])
    expected = (y[mine].sum() + PRIOR_ROWS * y.mean()) / (mine.sum() + PRIOR_ROWS) - y.mean()
    assert abs(float(told[0, row, 0]) - expected) < 1e-6


def test_labels_without_a_relation_leave_none_in_the_support() -> None:
    """With 40 rows in 400 levels' shares, a statistic of the row's own label would correlate at 0.5 and more."""
    found = []
    for seed in range(40):
        codes, labels = drawn(seed, 400, 40)
        told, _ = shares_of_levels(codes, labels, codes, 2)
        found.append(np.corrcoef(told[0, :, 0].numpy(), labels[0].numpy())[0, 1])
    assert abs(np.mean(found)) < 0.05


def test_query_rows_and_unknown_levels() -> None:
    codes, labels = drawn(2, 60, 10)
    _, told = shares_of_levels(codes, labels, torch.tensor([[[77.0], *([[float(level)] for level in range(10)])]]), 2)
    assert told[0, 0, 0] == 0
    assert told[0, 1:, 0].abs().max() > 0.01


def test_several_classes_become_the_direction_of_most_difference() -> None:
    codes = torch.arange(12.0).repeat(40)[None, :, None]
    labels = (codes[..., 0] >= 6).long() * 2  # class 1 never occurs
    told, answered = shares_of_levels(codes, labels, codes[:, :12], 3)
    low, high = answered[0, :6, 0], answered[0, 6:, 0]
    assert float(low.max()) < 0 < float(high.min()) or float(high.max()) < 0 < float(low.min())
    np.testing.assert_allclose(low.numpy(), low[0].item(), atol=1e-6)
    assert told.shape == (1, 480, 1)


def test_each_task_of_a_batch_by_itself() -> None:
    one, other = drawn(3, 50, 9, 3), drawn(4, 50, 20, 3)
    both = shares_of_levels(torch.cat([one[0], other[0]]), torch.cat([one[1], other[1]]), torch.cat([one[0]] * 2), 3)
    alone = shares_of_levels(*one, one[0], 3)
    torch.testing.assert_close(both[0][:1], alone[0])
    torch.testing.assert_close(both[1][:1], alone[1])


def test_columns_are_appended_only_where_asked() -> None:
    codes, labels = drawn(5, 50, 9)
    x = torch.cat([codes, torch.rand(1, 50, 2)], dim=2)
    support, query = with_shares(x, labels, x[:, :7], 2, (0,))
    assert support.shape == (1, 50, 4) and query.shape == (1, 7, 4)
    torch.testing.assert_close(support[..., :3], x)
    assert with_shares(x, labels, x, 2, ())[0] is x


def test_a_checkpoint_says_whether_columns_are_told_twice(tmp_path: Path) -> None:
    """A column of nine levels is named by the encoder, and changes predictions, only where config.json asks for it."""
    torch.manual_seed(0)
    write_checkpoint(tmp_path / "twice", Tab2D(Tab2DConfig(16, 10, 1, 2, many_levels=MANY)).eval())
    write_checkpoint(tmp_path / "once", Tab2D(Tab2DConfig(16, 10, 1, 2)).eval())
    rng = np.random.default_rng(0)
    level = rng.integers(0, 9, 90)
    frame = pd.DataFrame(
        {
            "constant": 1.0,
            "few": [str(value) for value in rng.integers(0, 5, 90)],
            "number": rng.random(90),
            "many": [f"level {value}" for value in level],
            "y": np.where(level > 4, "a", "b"),
        }
    )
    table = Table.from_frame(frame, "y")
    twice, once = load_directory(tmp_path / "twice"), load_directory(tmp_path / "once")
    assert once.encoder(table).levels == ()
    encoder = twice.encoder(table)
    assert encoder.levels == (2,)
    x, y = encoder.encode(table), torch.from_numpy(table.labels)
    told = twice.predict(x, y, x, 2, encoder.levels)
    assert told.shape == (90, 2)
    assert np.abs(told - twice.predict(x, y, x, 2)).max() > 1e-4
