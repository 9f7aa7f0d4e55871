"""One cell, from its plan to the scores of its outcome. Runs in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tabgen import fidelity
from tabgen.cache import Cache
from tabgen.clock import Clock, Phase
from tabgen.datasets import Dataset
from tabgen.environment import package_versions, peak_memory_mb
from tabgen.errors import InvalidOutput, ModelError
from tabgen.generator import make_generator
from tabgen.host.client import Host, HostHere
from tabgen.metrics import Labels, Metric
from tabgen.models.base import Encoder, FoundationModel
from tabgen.models.finetune import DrawTable, fine_tune
from tabgen.models.recipes import Recipe
from tabgen.outcome import Cell, Result, hash_of, split_identity
from tabgen.plugins import Plugins
from tabgen.randomness import same_start
from tabgen.splits import Split, split
from tabgen.synthesis import Synthesis
from tabgen.table import Table

PURPOSES = ("split", "fit", "sample", "finetune", "torch", "curve")
CURVE_ROWS = 300
"""Test rows scored after every step, at most: the test curve costs a part of a step, not several."""
Tensor = torch.Tensor


OF_DRAW = ("fit", "sample")
"""Purposes whose seeds are others in every draw of a generator on one split."""


def seeds_of(cell: Cell) -> dict[str, int]:
    """Independent seeds for the parts of a cell, spawned from its seed and fold: one 32-bit integer each."""

    def spawn(*words: int) -> dict[str, int]:
        children = np.random.SeedSequence(words).spawn(len(PURPOSES))
        return {purpose: int(child.generate_state(1)[0]) for purpose, child in zip(PURPOSES, children, strict=True)}

    seeds = spawn(cell.seed, cell.fold)
    if cell.draw:
        seeds |= {purpose: spawn(cell.seed, cell.fold, cell.draw)[purpose] for purpose in OF_DRAW}
    return seeds


def run_cell(
    cell: Cell,
    plugins: Plugins,
    host: Host | None = None,
    enter: Callable[[Phase, float], None] = lambda phase, spent: None,
    cache: Cache | None = None,
    device: str = "cpu",
) -> Result:
    """Compute one cell.

    Parameters
    ----------
    cell : Cell
    plugins : Plugins
        With the cell's model and every metric; the generator need not be among them where there is a ``host``.
    host : Host, optional
        Where the generator runs; in this process if none is given.
    enter : callable
        Called with the name of every phase as it begins or goes on, and the seconds it has had.
    cache : Cache, optional
        Where synthetic rows and zero-shot scores are taken from and kept. It changes no score.
    device : str
        "cpu" or "cuda".

    Raises
    ------
    Unsupported, InvalidOutput, Exception
        Whatever went wrong; the caller turns it into the outcome's status and reason.
    """
    clock = Clock(enter)
    seeds = seeds_of(cell)
    same_start(seeds["torch"])
    with clock.phase("load"):
        table = Dataset(cell.dataset, Path(cell.path), cell.target, cell.sha256, cell.kinds, cell.reading).load()
        parts = split(table.labels, cell.fold, cell.n_folds, cell.seed, cell.max_train_rows, cell.max_test_rows)
        model = _load_model(cell, plugins, device)
        train = table.take(parts.train).observed()
        encoder = model.encoder(train)
    scorer = Scorer(model, encoder, table, train, parts, [plugins.metrics[name] for name in plugins.metrics])
    measured: dict[str, Any] = {
        **{f"n_{name}": len(rows) for name, rows in vars(parts).items()},
        "n_columns": scorer.x_train.shape[1],
    }
    facts: dict[str, Any] = {"device": device, "split_hash": parts.hash, "data_hash": table.content_hash}
    scores, facts["cached_zero_shot"] = _zero_shot(cell, scorer, plugins, clock, cache)
    measured |= scores
    if cell.mixing == "none":
        return _result(facts | {"best_step": 0}, measured | scorer.as_tuned(), dict(encoder.notes), clock, cache)

    real = (scorer.x_train, scorer.y_train)
    notes: dict[str, Any] = dict(encoder.notes)
    if cell.mixing == "real":
        pool: DrawTable = lambda step: real  # noqa: E731
    else:
        host = host or _host_here(cell, plugins, model)
        origin = plugins.models.plugin_of(cell.model).origin if cell.model in plugins.models else None
        source = asdict(origin) if origin and origin.kind != "built in" else None
        own_model = {"name": cell.model, "checkpoint": cell.checkpoint, "source": source}
        synthesis = Synthesis(cell, host, train, seeds, device, own_model, clock, cache)
        notes = synthesis.notes
        notes |= encoder.notes
        pool = _synthetic_pool(cell, synthesis, model, encoder, table.take(parts.test), real)
        measured |= {name: value for name, value in synthesis.facts.items() if name not in RESULT_FIELDS}
        facts |= {name: value for name, value in synthesis.facts.items() if name in RESULT_FIELDS}
    with clock.phase("finetune"):
        same_start(seeds["torch"])
        recipe = Recipe(**cell.recipe).for_table(scorer.n_classes, len(train))
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
        measured |= scorer.scores("tuned")
    facts |= {
        "best_step": tuned.best_step,
        "steps": len(tuned.validation_losses) - 1,
        "step_seconds": tuned.step_seconds,
    }
    measured |= {
        "curve_validation": [round(loss, 6) for loss in tuned.validation_losses],
        "curve_test": [round(loss, 6) for loss in tuned.watched_losses],
    }
    return _result(facts, measured, notes, clock, cache)


RESULT_FIELDS = ("cached_synthetic", "synthetic_hash")
"""What of the facts about synthetic rows is a field of the result of its own."""


def _load_model(cell: Cell, plugins: Plugins, device: str) -> FoundationModel:
    """The model, with the weights that were planned: they decide under which key the scores are kept."""
    model = plugins.model(cell.model).load(device)
    if model.checkpoint_hash != cell.checkpoint:
        raise ModelError(
            f"the model '{cell.model}' is not the one that was planned: its checkpoint was changed since"
            f" ({cell.checkpoint[:12]} then, {model.checkpoint_hash[:12]} now); run the same line again."
        )
    return model


def _host_here(cell: Cell, plugins: Plugins, model: FoundationModel) -> Host:
    assert cell.generator is not None
    generator = make_generator(plugins.generators[cell.generator], cell.settings)
    return HostHere(generator, lambda: model, cell.text)


def _result(
    facts: dict[str, Any], measured: dict[str, Any], notes: dict[str, Any], clock: Clock, cache: Cache | None
) -> Result:
    seconds = {f"seconds_{phase}": round(value, 4) for phase, value in clock.seconds.items()}
    if cache and cache.faults:
        notes["cache"] = cache.faults
    return Result(
        "ok",
        **facts,
        notes=notes,
        peak_memory_mb=max(peak_memory_mb(), clock.peak_mb),
        measured=measured
        | seconds
        | {"spared_seconds": round(clock.spared, 4), "processor_seconds": round(clock.processor, 4)},
    )


def _zero_shot(
    cell: Cell, scorer: Scorer, plugins: Plugins, clock: Clock, cache: Cache | None
) -> tuple[dict[str, float], bool]:
    """The zero-shot scores of the fold, and whether they were cached: computed for its first method only."""
    key = hash_of(
        {
            **split_identity(cell),
            "checkpoint": cell.checkpoint,
            "metrics": {name: plugins.metrics.plugin_of(name).version for name in sorted(plugins.metrics)},
            "device": scorer.model.device,
            "packages": package_versions(),
        }
    )
    if cache:
        with clock.phase("cache"):
            scores, seconds = cache.scores(key) or ({}, 0.0)
        if scores:
            clock.spare("zero_shot", seconds)
            return scorer.remember(scores), True
    with clock.phase("zero_shot"):
        scores = scorer.scores("zero_shot")
    if cache:
        with clock.phase("cache"):
            cache.add_scores(key, scores, clock.seconds["zero_shot"])
    return scores, False


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
    cell: Cell,
    synthesis: Synthesis,
    model: FoundationModel,
    encoder: Encoder,
    holdout: Table,
    real: tuple[Tensor, Tensor],
) -> DrawTable:
    """What each step learns from; the facts for the outcome are left in ``synthesis``."""
    info, train = synthesis.host.info, synthesis.train
    n_rows = max(2, round(cell.ratio * len(train)))
    augment = cell.mixing == "augment"
    synthesis.facts["n_synthetic"] = n_rows

    def measure(sample: Table) -> None:
        if cell.fidelity:
            with synthesis.clock.phase("fidelity"):
                seed = synthesis.seeds["sample"]
                synthesis.facts |= _fidelity(train, holdout, sample, seed, synthesis.notes)

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
    if cell.fidelity:
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
