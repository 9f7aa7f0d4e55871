"""The synthetic rows of a cell: drawn block by block, each taken from the cache where it is there.

A block has as many rows as the training table, and a seed of its own. So the rows of a larger ratio begin with those
of a smaller one, and one fit serves them all.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from tabgen.cache import Cache, Rows
from tabgen.environment import package_versions, peak_memory_mb
from tabgen.experiment import canonical_json, rows_identity
from tabgen.generator import FitContext, Generator
from tabgen.models.base import FoundationModel
from tabgen.sampling import check_classes, draw_sample, fit_generator
from tabgen.table import Table

if TYPE_CHECKING:
    from tabgen.cell import Clock


class Synthesis:
    """Rows of one generator for the training table of one cell; fitted only if a row is lacking.

    Attributes
    ----------
    context : FitContext
        What the generator is told; it writes its notes into ``notes``.
    facts : dict
        For the outcome: whether all rows came from the cache, and what else the caller adds.
    """

    def __init__(
        self,
        cell: dict[str, Any],
        generator: Generator,
        train: Table,
        model: FoundationModel,
        seeds: dict[str, int],
        notes: dict[str, Any],
        clock: Clock,
        cache: Cache | None = None,
    ) -> None:
        self.generator, self.train, self.seeds = generator, train, seeds
        self.facts: dict[str, Any] = {"cached_synthetic": False}
        self.clock, self._cache, self.model, self._checkpoint = clock, cache, model, cell["checkpoint"]
        self._decides = {
            **rows_identity(cell),
            "train": train.content_hash,
            "protocol": cell["protocol"],
            "seeds": [seeds["fit"], seeds["sample"]],
            "device": model.device,
        }
        self._fitted = self._used_model = False
        self._text = cell.get("text", "nearest")
        self._cached: list[Rows] = []
        self.context = FitContext(
            seed=seeds["fit"],
            deadline=time.monotonic() + cell["limits"]["seconds"],
            device=model.device,
            load_model=self._load_model,
            notes=notes,
        )

    def fit(self) -> None:
        """Fit the generator, unless that was done."""
        if not self._fitted:
            with self.clock.phase("fit"):
                same_start(self.seeds["fit"])
                fit_generator(self.generator, self.train, self.context, self._text)
            self._fitted = True

    def redraw(self, n_rows: int, step: int) -> Table:
        """New rows for a step of fine-tuning, of a generator that redraws; never cached."""
        self.fit()
        with self.clock.phase("sample"):
            return draw_sample(self.generator, self.train, n_rows, _spawned(self.seeds["sample"], step), self._text)

    def draw(self, n_rows: int) -> Table:
        """The first ``n_rows`` rows of the blocks; of less than one block, a random part of it.

        Rows of a generator that changes columns are one block, whatever their number: blocks could not be stacked.
        """
        size = n_rows if self.generator.info.changes_columns else len(self.train)
        blocks = [self._block(number, size) for number in range(math.ceil(n_rows / size))]
        if self._cached:
            self._tell_what_was_spared(len(blocks))
        table = blocks[0] if len(blocks) == 1 else Table(pd.concat([b.frame for b in blocks]), blocks[0].schema)
        if n_rows < len(table):
            order = np.arange(len(table))
            if len(blocks) == 1:
                order = np.random.default_rng([self.seeds["sample"], size]).permutation(size)
            table = table.take(order[:n_rows])
            check_classes(table, self.generator)
        return Table(table.frame.reset_index(drop=True), table.schema)

    def _block(self, number: int, size: int) -> Table:
        decides = self._decides | {"block": number, "rows": size}
        if self._cache:
            with self.clock.phase("cache"):
                # a generator that used the foundation model wrote its rows under the checkpoint, any other did not
                found = self._cache.rows(_key(decides, None)) or self._cache.rows(_key(decides, self._checkpoint))
            if found:
                self._cached.append(found)
                self.context.notes |= found.notes
                return found.table
        self.fit()
        began = self.clock.seconds.get("sample", 0.0)
        seed = _spawned(self.seeds["sample"], number) if number else self.seeds["sample"]
        with self.clock.phase("sample"):
            same_start(seed)
            sample = draw_sample(self.generator, self.train, size, seed, self._text)
        if self._cache:
            with self.clock.phase("cache"):
                seconds = self.clock.seconds["fit"], self.clock.seconds["sample"] - began
                rows = Rows(sample, *seconds, peak_memory_mb(), dict(self.context.notes))
                self._cache.add_rows(_key(decides, self._checkpoint if self._used_model else None), rows)
        return sample

    def _tell_what_was_spared(self, n_blocks: int) -> None:
        for rows in self._cached:
            self.clock.spare("sample", rows.seconds_sample, rows.peak_memory_mb)
        if not self._fitted:
            self.clock.spare("fit", self._cached[0].seconds_fit)
        self.facts["cached_synthetic"] = len(self._cached) == n_blocks

    def _load_model(self) -> FoundationModel:
        self._used_model = True
        return self.model


def same_start(seed: int) -> None:
    """Set every global random state: what comes next cannot depend on what ran before it, or was spared."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that generators build on draw from it
    torch.manual_seed(seed)


def _key(decides: dict[str, Any], checkpoint: str | None) -> str:
    everything = decides | {"checkpoint": checkpoint, "packages": package_versions()}
    return hashlib.sha256(canonical_json(everything).encode()).hexdigest()


def _spawned(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
