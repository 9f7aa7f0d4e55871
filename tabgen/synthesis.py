"""The synthetic rows of a cell: drawn block by block, each taken from the cache where it is there.

A block has as many rows as the training table, and a seed of its own. So the rows of a larger ratio begin with those
of a smaller one, and one fit serves them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tabgen.cache import Cache, Rows
from tabgen.clock import Clock, Phase
from tabgen.environment import package_versions
from tabgen.host.client import FitOrder, Host
from tabgen.made_elsewhere import FILE
from tabgen.outcome import Cell, hash_of, model_code, model_identity, rows_identity, split_identity
from tabgen.randomness import spawned
from tabgen.sampling import check_classes
from tabgen.table import Table
from tabgen.tuning import choose_settings

NO_MODEL: dict[str, Any] = {"checkpoint": None}
"""Of a generator that did not use the foundation model."""


class Synthesis:
    """Rows of one generator for the training table of one cell; fitted only if a row is lacking.

    Attributes
    ----------
    facts : dict
        For the outcome: whether all rows came from the cache, and what else the caller adds.
    notes : dict
        What the generator noted, now or when the cached rows were made.
    """

    def __init__(
        self,
        cell: Cell,
        host: Host,
        train: Table,
        seeds: dict[str, int],
        device: str,
        model: dict[str, Any],
        clock: Clock,
        cache: Cache | None = None,
        score: Callable[[Table], float] | None = None,
    ) -> None:
        self.host, self.train, self.seeds = host, train, seeds
        self.facts: dict[str, Any] = {"cached_synthetic": False}
        self.notes: dict[str, Any] = {}
        self.clock, self._cache, self._model = clock, cache, model_identity(cell)
        self._decides = {
            **rows_identity(cell),
            "train": train.content_hash,
            "protocol": cell.protocol,
            "seeds": [seeds["fit"], seeds["sample"]],
            "device": device,
        }
        self._order = FitOrder(
            generator=cell.generator or "",
            plugin_version=cell.plugin_version,
            environment=cell.environment,
            settings=cell.settings,
            seed=seeds["fit"],
            seconds=cell.limits["seconds"],
            device=device,
            threads=1,
            model=model,
        )
        self._tune, self._score, self._found = cell.tune, score, dict[str, Any]()
        if cell.tune is not None:  # by the model's scores on the validation rows of this split
            self._decides |= {"tuned_for": cell.checkpoint, "split": split_identity(cell)} | model_code(cell)
        self._limits, self._fitted = cell.limits, False
        self._cached: list[Rows] = []

    def fit(self) -> None:
        """Fit the generator, unless that was done; a tuned one first looks for its settings."""
        if not self._fitted:
            with self.clock.phase("load"):
                self.host.wait()
            if self._tune is not None:
                order = self._order_within("tune")
                with self.clock.phase("tune"):
                    settings, self._found = choose_settings(
                        self.host, order, self.train, self.seeds["sample"], self._tune, self._scored
                    )
                self._order = replace(self._order, settings=settings)
            order = self._order_within("fit")
            with self.clock.phase("fit"):
                self.host.fit(order, self.train)
            self._fitted = True
            self._told()

    def _order_within(self, phase: Phase) -> FitOrder:
        """The order with the seconds until this phase, or the cell, is stopped."""
        of_phase = self._limits.get("phases", {}).get(phase, math.inf) - self.clock.seconds.get(phase, 0.0)
        return replace(self._order, seconds=min(self._limits["seconds"] - self.clock.wall, of_phase))

    def _scored(self, sample: Table) -> float:
        """The score of a trial's rows."""
        assert self._score is not None
        check_classes(sample, self.host.info)
        return self._score(sample)

    def redraw(self, n_rows: int, step: int) -> Table:
        """New rows for a step of fine-tuning, of a generator that redraws; never cached."""
        self.fit()
        with self.clock.phase("sample"):
            sample = self.host.sample(n_rows, spawned(self.seeds["sample"], step), fresh=False)
        self._told()
        check_classes(sample, self.host.info)
        return sample

    def draw(self, n_rows: int) -> Table:
        """The first ``n_rows`` rows of the blocks; of less than one block, a random part of it.

        Rows of a generator that changes columns are one block, whatever their number: blocks could not be stacked. So
        are those of a file, which is one table.
        """
        whole = self.host.info.changes_columns or self.host.info.name == FILE
        size = n_rows if whole else len(self.train)
        blocks = [self._block(number, size) for number in range(math.ceil(n_rows / size))]
        if self._cached:
            self._tell_what_was_spared(len(blocks))
        table = blocks[0] if len(blocks) == 1 else Table(pd.concat([b.frame for b in blocks]), blocks[0].schema)
        if n_rows < len(table):
            order = np.arange(len(table))
            if len(blocks) == 1:
                order = np.random.default_rng([self.seeds["sample"], size]).permutation(size)
            table = table.take(order[:n_rows])
        check_classes(table, self.host.info)  # of the whole: a block may lack what another has
        return Table(table.frame.reset_index(drop=True), table.schema)

    def _block(self, number: int, size: int) -> Table:
        decides = self._decides | {"block": number, "rows": size}
        if self._cache:
            with self.clock.phase("cache"):
                # a generator that used the foundation model wrote its rows under the model, any other did not
                found = self._cache.rows(_key(decides, NO_MODEL)) or self._cache.rows(_key(decides, self._model))
            if found:
                self._cached.append(found)
                self.notes |= found.notes
                return found.table
        self.fit()
        began = self.clock.seconds.get("sample", 0.0)
        seed = spawned(self.seeds["sample"], number) if number else self.seeds["sample"]
        with self.clock.phase("sample"):
            sample = self.host.sample(size, seed, fresh=True)
        self._told()
        if self._cache:
            with self.clock.phase("cache"):
                seconds = self.clock.seconds["fit"], self.clock.seconds["sample"] - began
                tuned = self.clock.seconds.get("tune", 0.0)
                rows = Rows(sample, *seconds, self.host.spent.peak_mb, dict(self.notes), tuned)
                key = _key(decides, self._model if self.host.spent.used_model else NO_MODEL)
                self._cache.add_rows(key, rows)
        return sample

    def _told(self) -> None:
        """Take in what the host has said of itself."""
        self.notes |= self.host.spent.notes | ({"tuned": self._found} if self._found else {})
        self.clock.elsewhere = self.host.spent.processor
        self.clock.peak_mb = max(self.clock.peak_mb, self.host.spent.peak_mb)

    def _tell_what_was_spared(self, n_blocks: int) -> None:
        for rows in self._cached:
            self.clock.spare("sample", rows.seconds_sample, rows.peak_memory_mb)
        if not self._fitted:
            self.clock.spare("fit", self._cached[0].seconds_fit)
            if self._tune is not None:
                self.clock.spare("tune", self._cached[0].seconds_tune)
        self.facts["cached_synthetic"] = len(self._cached) == n_blocks


def _key(decides: dict[str, Any], model: dict[str, Any]) -> str:
    return hash_of(decides | model | {"packages": package_versions()})
