"""Randomness: one integer in, independent seeds out; and global random states that depend on nothing before."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np


def spawned(*words: int) -> int:
    """A 32-bit seed made of these integers, independent of every other combination of them."""
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def same_start(seed: int) -> None:
    """Set every global random state: what comes next cannot depend on what ran before it, or was spared.

    PyTorch's is set where PyTorch is imported; elsewhere it starts from a seed of its own, always the same.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries that generators build on draw from it
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[np.random.Generator]:
    """Run a block under this seed, and put the global random states back after it.

    For libraries that draw from Python's, numpy's and PyTorch's global states. The generator that it yields is for
    everything that can be given one.

    Examples
    --------
    >>> import random
    >>> with seeded(1) as rng:
    ...     first = random.random(), rng.random()
    >>> with seeded(1) as rng:
    ...     assert first == (random.random(), rng.random())
    """
    torch: Any = sys.modules.get("torch")
    before = random.getstate(), np.random.get_state(), torch.get_rng_state() if torch else None  # noqa: NPY002
    same_start(seed)
    try:
        yield np.random.default_rng(seed)
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        if torch:
            torch.set_rng_state(before[2])
