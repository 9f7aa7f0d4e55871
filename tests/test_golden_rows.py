"""The rows of the built-in generators, pinned: other rows under one protocol would be new numbers under old keys."""

from __future__ import annotations

import hashlib

import pytest

from tabgen.datasets import Dataset
from tabgen.generator import FitContext, make_generator
from tabgen.outcome import PROTOCOL_VERSION
from tabgen.plugins import Plugins
from tabgen.randomness import same_start
from tabgen.sampling import draw_sample, fit_generator

PROTOCOL = 5
ROWS = {
    "bootstrap": "b956a494fc004efd",
    "jitter": "85b4011cff9a9a9d",
    "mixup": "7c4ef1950baad706",
    "cutmix": "736493a5d1f4c0bb",
    "independent": "f41e29c4733e7016",
    "noise": "6c780fbc3d026d07",
    "shuffled-labels": "c3ff33f617c11fc5",
    "corrupted": "1c6a8e3a98adfaa2",
}
"""Generator -> hash of 50 rows, numbers to six decimals. Where one has to change, raise the protocol and say why."""


def rows_hash(name: str, plugins: Plugins, dataset: Dataset) -> str:
    table = dataset.load().observed()
    settings = {"share": 0.3} if name == "corrupted" else {}
    generator = make_generator(plugins.generators[name], settings)
    same_start(1)
    fit_generator(generator, table, FitContext(seed=1))
    sample = draw_sample(generator, table, 50, seed=2)
    return hashlib.sha256(sample.frame.round(6).to_csv(index=False).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", ROWS)
def test_the_rows_of_a_version_stay_as_they_are(name: str, built_in: Plugins, heart: Dataset) -> None:
    assert (rows_hash(name, built_in, heart), PROTOCOL_VERSION) == (ROWS[name], PROTOCOL)


def test_every_built_in_generator_is_pinned(built_in: Plugins) -> None:
    mine = {n for n in built_in.generators if built_in.generators.plugin_of(n).name == "tabgen.references"}
    assert mine - {"oracle"} == set(ROWS)  # the oracle's rows are held by the hash of its suite
