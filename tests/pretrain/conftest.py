"""What tests of pre-training share."""

from __future__ import annotations

import pytest

from tabgen.pretrain.held_out import HeldOut


@pytest.fixture(autouse=True)
def few_held_out_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run follows itself by four small tasks, whose forests take no time."""
    monkeypatch.setattr(HeldOut, "SHAPES", {"tiny": (60, 3, 2, 4)})
