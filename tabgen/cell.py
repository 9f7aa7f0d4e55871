"""One cell, from its plan to the scores of its outcome. Runs in a process of its own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tabgen import fidelity
from tabgen.cache import Cache
from tabgen.datasets import Dataset
from tabgen.environment import package_versions, peak_memory_mb
from tabgen.errors import InvalidOutput, Unsupported
from tabgen.experiment import canonical_json, find_model, split_identity
from tabgen.generator import make_generator
from tabgen.metrics import Labels, Metric
from tabgen.models.base import Encoder, FoundationModel
from tabgen.models.finetune import DrawTable, fine_tune
from tabgen.models.recipes import Recipe
from tabgen.plugins import Plugins
from tabgen.splits import Split, split
from tabgen.synthesis import Synthesis, same_start
from tabgen.table import Table

PURPOSES = ("split", "fit", "sample", "finetune", "torch", "curve")
CURVE_ROWS = 300
"""Test rows scored after every step, at most: the test curve costs a part of a step, not several."""
Tensor = torch.Tensor


def seeds_of(cell: dict[str, Any]) -> dict[str, int]:
    """Independent seeds for the parts of a cell, spawned from its seed and fold: one 32-bit integer each."""
    children = np.random.SeedSequence([cell["seed"], cell["fold"]]).spawn(len(PURPOSES))
    return {purpose: int(child.generate_state(1)[0]) for purpose, child in zip(PURPOSES, children, strict=True)}


class Clock:
    """Wall seconds spent in each phase; time in an inner phase does not count for the outer one."""

    def __init__(self, enter: Callable[[str, float], None] = lambda phase, spent: None) -> None:
        self.seconds: dict[str, float] = {}
        self.spared = self.peak_mb = 0.0
        self._processor_at_start = time.process_time()
        self._enter = enter
        self._open: list[str] = []
        self._since = 0.0

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now

    def spare(self, name: str, seconds: float, peak_mb: float = 0.0) -> None:
        """Charge a phase with what an earlier cell spent on it for this one: nothing is had in no time."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.spared += seconds
        self.peak_mb = max(self.peak_mb, peak_mb)

    @property
    def processor(self) -> float:
        """Seconds of processor time since this clock was made: what a busy machine does not change."""
        return time.process_time() - self._processor_at_start

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._charge()
        self._open.append(name)
        self._enter(name, self.seconds.get(name, 0.0))
        try:
            yield
        finally:
            self._charge()
            self._open.pop()
            if self._open:
                self._enter(self._open[-1], self.seconds[self._open[-1]])


def run_cell(
    cell: dict[str, Any],
    plugins: Plugins,
    enter: Callable[[str, float], None] = lambda phase, spent: None,
    cache: Cache | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Compute one cell.

    Parameters
    ----------
    cell : dict
        As :func:`tabgen.experiment.plan` makes them.
    plugins : Plugins
    enter : callable
        Called with the name of every phase as it begins or goes on, and the seconds it has had.
    cache : Cache, optional
        Where synthetic rows and zero-shot scores are taken from and kept. It changes no score.
    device : str
        "cpu" or "cuda".

    Returns
    -------
    dict
        What the outcome adds to the plan: ``status`` ("ok"), scores named ``{stage}_{split}_{metric}``,
        curves, hashes, seconds by phase, notes.

    Raises
    ------
    Unsupported, InvalidOutput, Exception
        Whatever went wrong; the caller turns it into the outcome's status and reason.
    """
    clock = Clock(enter)
    seeds = seeds_of(cell)
    same_start(seeds["torch"])
    with clock.phase("load"):
        how = cell["sha256"], cell["kinds"], cell.get("reading", {})
        table = Dataset(cell["dataset"], Path(cell["path"]), cell["target"], *how).load()
        parts = split(
            table.labels, cell["fold"], cell["n_folds"], cell["seed"], cell["max_train_rows"], cell["max_test_rows"]
        )
        model = find_model(cell["model"], plugins).load(device)
        train = table.take(parts.train).observed()
        encoder = model.encoder(train)
    scorer = Scorer(model, encoder, table, train, parts, [plugins.metrics[name] for name in plugins.metrics])
    notes: dict[str, Any] = dict(encoder.notes)
    outcome: dict[str, Any] = {
        "status": "ok",
        "reason": "",
        "device": device,
        "split_hash": parts.hash,
        "data_hash": table.content_hash,
        **{f"n_{name}": len(rows) for name, rows in vars(parts).items()},
        "n_columns": scorer.x_train.shape[1],
        "notes": notes,
        **_zero_shot(cell, scorer, plugins, clock, cache),
    }
    if cell["mixing"] == "none":
        return outcome | scorer.as_tuned() | {"best_step": 0, **_measures(clock)}

    real = (scorer.x_train, scorer.y_train)
    if cell["mixing"] == "real":
        pool: DrawTable = lambda step: real  # noqa: E731
    else:
        generator = make_generator(plugins.generators[cell["generator"]], cell["settings"])
        holdout = table.take(parts.test)
        synthesis = Synthesis(cell, generator, train, model, seeds, notes, clock, cache)
        pool = _synthetic_pool(cell, synthesis, encoder, holdout, real)
        outcome |= synthesis.facts
    with clock.phase("finetune"):
        same_start(seeds["torch"])
        recipe = Recipe(**cell["recipe"]).for_table(scorer.n_classes, len(train))
        tuned = fine_tune(
            model,
            pool,
            real,
            (scorer.x["validation"], scorer.y["validation"]),
            scorer.n_classes,
            recipe,
            seeds["finetune"],
            watched=scorer.some_of_test(CURVE_ROWS, seeds["curve"]),
        )
    with clock.phase("score"):
        outcome |= scorer.scores("tuned")
    if cache and cache.faults:
        notes["cache"] = cache.faults
    return outcome | {
        "best_step": tuned.best_step,
        "steps": len(tuned.validation_losses) - 1,
        "step_seconds": tuned.step_seconds,
        "curve_validation": [round(loss, 6) for loss in tuned.validation_losses],
        "curve_test": [round(loss, 6) for loss in tuned.watched_losses],
        **_measures(clock),
    }


def _zero_shot(
    cell: dict[str, Any], scorer: Scorer, plugins: Plugins, clock: Clock, cache: Cache | None
) -> dict[str, Any]:
    """The zero-shot scores of the fold: the same for every method, so computed for the first of them only."""
    decides = {
        **split_identity(cell),
        "checkpoint": cell["checkpoint"],
        "metrics": {name: plugins.metrics.plugin_of(name).version for name in sorted(plugins.metrics)},
        "device": scorer.model.device,
        "packages": package_versions(),
    }
    key = hashlib.sha256(canonical_json(decides).encode()).hexdigest()
    if cache:
        with clock.phase("cache"):
            scores, seconds = cache.scores(key) or ({}, 0.0)
        if scores:
            clock.spare("zero_shot", seconds)
            return scorer.remember(scores) | {"cached_zero_shot": True}
    with clock.phase("zero_shot"):
        scores = scorer.scores("zero_shot")
    if cache:
        with clock.phase("cache"):
            cache.add_scores(key, scores, clock.seconds["zero_shot"])
    return scores | {"cached_zero_shot": False}


class Scorer:
    """Encoded parts of the fold, and the model's scores on validation and test with real train rows as context."""

    def __init__(
        self, model: FoundationModel, encoder: Encoder, table: Table, train: Table, parts: Split, metrics: list[Metric]
    ) -> None:
        self.model, self.metrics, self.n_classes = model, metrics, len(table.schema.classes)
        self.x_train, self.y_train = encoder.encode(train), torch.from_numpy(train.labels)
        held_out = {"validation": table.take(parts.validation), "test": table.take(parts.test)}
        self.x = {name: encoder.encode(rows) for name, rows in held_out.items()}
        self.y = {name: torch.from_numpy(rows.labels) for name, rows in held_out.items()}
        self._zero_shot: dict[str, float] = {}

    def scores(self, stage: str) -> dict[str, float]:
        out: dict[str, float] = {}
        for name, x in self.x.items():
            labels: Labels = self.y[name].numpy()
            probabilities = self.model.predict(self.x_train, self.y_train, x, self.n_classes)
            if not np.isfinite(probabilities).all():
                raise InvalidOutput(f"the model's {stage} probabilities on {name} are not finite.")
            out |= {f"{stage}_{name}_{metric.name}": metric.score(labels, probabilities) for metric in self.metrics}
        return self.remember(out) if stage == "zero_shot" else out

    def remember(self, zero_shot: dict[str, float]) -> dict[str, float]:
        """Keep the zero-shot scores for :meth:`as_tuned`."""
        self._zero_shot = zero_shot
        return zero_shot

    def some_of_test(self, most: int, seed: int) -> tuple[Tensor, Tensor]:
        """Encoded test rows and their labels, at most this many, drawn at random."""
        rows = np.random.default_rng(seed).permutation(len(self.y["test"]))[:most]
        return self.x["test"][rows], self.y["test"][rows]

    def as_tuned(self) -> dict[str, float]:
        """The zero-shot scores as those of a run that kept step 0."""
        return {name.replace("zero_shot_", "tuned_", 1): value for name, value in self._zero_shot.items()}


def _synthetic_pool(
    cell: dict[str, Any], synthesis: Synthesis, encoder: Encoder, holdout: Table, real: tuple[Tensor, Tensor]
) -> DrawTable:
    """What each step learns from; the facts for the outcome are left in ``synthesis``."""
    info, train, model = synthesis.generator.info, synthesis.train, synthesis.model
    n_rows = max(2, round(cell["ratio"] * len(train)))
    augment = cell["mixing"] == "augment"
    synthesis.facts["n_synthetic"] = n_rows

    def measure(sample: Table) -> None:
        if cell["fidelity"]:
            with synthesis.clock.phase("fidelity"):
                seed = synthesis.seeds["sample"]
                synthesis.facts |= _fidelity(train, holdout, sample, seed, synthesis.context.notes)

    def encoded(sample: Table) -> tuple[Tensor, Tensor]:
        with synthesis.clock.phase("sample"):
            changed = len(sample.schema.columns) < len(train.schema.columns)
            own = model.encoder(sample) if changed else encoder
            return own.encode(sample), torch.from_numpy(sample.labels)

    if not info.redraws:
        sample = synthesis.draw(n_rows)
        synthesis.facts["synthetic_hash"] = sample.content_hash
        measure(sample)
        x, y = encoded(sample)
        table = (torch.cat([real[0], x]), torch.cat([real[1], y])) if augment else (x, y)
        return lambda step: table

    def redraw(step: int) -> tuple[Tensor, Tensor]:
        # columns may differ from draw to draw, so real and synthetic tables take turns instead of being stacked
        return real if augment and step % 2 == 0 else encoded(synthesis.redraw(n_rows, step))

    synthesis.fit()
    if cell["fidelity"]:
        measure(synthesis.redraw(n_rows, 0))
    return redraw


def _fidelity(train: Table, holdout: Table, sample: Table, seed: int, notes: dict[str, Any]) -> dict[str, float]:
    """Fidelity and privacy; where they cannot be had the notes say why, and the cell goes on."""
    if not fidelity.available():
        notes["fidelity"] = "not measured: SDMetrics is not installed (pip install 'tabgen-bench[fidelity]')"
        return {}
    try:
        return fidelity.fidelity(train, holdout, sample, seed)
    except Exception as error:  # noqa: BLE001 - a library's fault beside the measurement that matters
        notes["fidelity"] = f"not measured: {type(error).__name__}: {error}"[:300]
        return {}


def _measures(clock: Clock) -> dict[str, float]:
    seconds = {f"seconds_{phase}": round(value, 4) for phase, value in clock.seconds.items()}
    return seconds | {
        "spared_seconds": round(clock.spared, 4),
        "processor_seconds": round(clock.processor, 4),
        "peak_memory_mb": max(peak_memory_mb(), clock.peak_mb),
    }


def status_of(error: BaseException) -> str:
    """The status an exception stands for."""
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, InvalidOutput):
        return "invalid_output"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    return "error"
