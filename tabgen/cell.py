"""One cell, from its plan to the scores of its outcome. Runs in a process of its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tabgen import fidelity
from tabgen.datasets import Dataset
from tabgen.errors import InvalidOutput, Unsupported
from tabgen.experiment import find_model
from tabgen.generator import FitContext, Generator, make_generator
from tabgen.metrics import Labels, Metric
from tabgen.models.base import Encoder, FoundationModel
from tabgen.models.finetune import DrawTable, fine_tune
from tabgen.models.recipes import Recipe
from tabgen.plugins import Plugins
from tabgen.sampling import draw_sample, fit_generator
from tabgen.splits import Split, split
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

    def __init__(self, enter: Callable[[str], None] = lambda _: None) -> None:
        self.seconds: dict[str, float] = {}
        self._enter = enter
        self._open: list[str] = []
        self._since = 0.0

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._charge()
        self._open.append(name)
        self._enter(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()


def run_cell(cell: dict[str, Any], plugins: Plugins, enter: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Compute one cell.

    Parameters
    ----------
    cell : dict
        As :func:`tabgen.experiment.plan` makes them.
    plugins : Plugins
    enter : callable
        Called with the name of every phase as it begins.

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
    torch.manual_seed(seeds["torch"])
    with clock.phase("load"):
        table = Dataset(cell["dataset"], Path(cell["path"]), cell["target"], cell["sha256"], cell["kinds"]).load()
        parts = split(
            table.labels, cell["fold"], cell["n_folds"], cell["seed"], cell["max_train_rows"], cell["max_test_rows"]
        )
        model = find_model(cell["model"], plugins).load("cpu")
        train = table.take(parts.train).observed()
        encoder = model.encoder(train)
    scorer = Scorer(model, encoder, table, train, parts, [plugins.metrics[name] for name in plugins.metrics])
    with clock.phase("zero_shot"):
        outcome: dict[str, Any] = {
            "status": "ok",
            "reason": "",
            "split_hash": parts.hash,
            "data_hash": table.content_hash,
        }
        outcome |= scorer.scores("zero_shot")
        outcome |= {f"n_{name}": len(rows) for name, rows in vars(parts).items()} | {
            "n_columns": scorer.x_train.shape[1]
        }
    if cell["mixing"] == "none":
        return outcome | scorer.as_tuned() | {"best_step": 0, **_measures(clock)}

    notes: dict[str, Any] = {}
    real = (scorer.x_train, scorer.y_train)
    if cell["mixing"] == "real":
        pool: DrawTable = lambda step: real  # noqa: E731
    else:
        generator = make_generator(plugins.generators[cell["generator"]], cell["settings"])
        holdout = table.take(parts.test)
        pool, facts = _synthetic_pool(cell, generator, model, encoder, train, holdout, real, seeds, clock)
        notes = facts.pop("notes")
        outcome |= facts
    with clock.phase("finetune"):
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
    return outcome | {
        "best_step": tuned.best_step,
        "steps": len(tuned.validation_losses) - 1,
        "step_seconds": tuned.step_seconds,
        "curve_validation": [round(loss, 6) for loss in tuned.validation_losses],
        "curve_test": [round(loss, 6) for loss in tuned.watched_losses],
        "notes": notes,
        **_measures(clock),
    }


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
        if stage == "zero_shot":
            self._zero_shot = out
        return out

    def some_of_test(self, most: int, seed: int) -> tuple[Tensor, Tensor]:
        """Encoded test rows and their labels, at most this many, drawn at random."""
        rows = np.random.default_rng(seed).permutation(len(self.y["test"]))[:most]
        return self.x["test"][rows], self.y["test"][rows]

    def as_tuned(self) -> dict[str, float]:
        """The zero-shot scores as those of a run that kept step 0."""
        return {name.replace("zero_shot_", "tuned_", 1): value for name, value in self._zero_shot.items()}


def _synthetic_pool(
    cell: dict[str, Any],
    generator: Generator,
    model: FoundationModel,
    encoder: Encoder,
    train: Table,
    holdout: Table,
    real: tuple[Tensor, Tensor],
    seeds: dict[str, int],
    clock: Clock,
) -> tuple[DrawTable, dict[str, Any]]:
    """Fit the generator and say what each step learns from, with the facts for the outcome."""
    info, n_rows = generator.info, max(2, round(cell["ratio"] * len(train)))
    context = FitContext(
        seed=seeds["fit"], deadline=time.monotonic() + cell["limits"]["seconds"], load_model=lambda: model
    )
    with clock.phase("fit"):
        fit_generator(generator, train, context)

    def encoded(seed: int) -> tuple[Tensor, Tensor, Table]:
        with clock.phase("sample"):
            sample = draw_sample(generator, train, n_rows, seed)
            changed = len(sample.schema.columns) < len(train.schema.columns)
            own = model.encoder(sample) if changed else encoder
            return own.encode(sample), torch.from_numpy(sample.labels), sample

    facts: dict[str, Any] = {"n_synthetic": n_rows, "notes": context.notes}

    def measure(sample: Table) -> None:
        with clock.phase("fidelity"):
            facts.update(_fidelity(train, holdout, sample, seeds["sample"], context.notes))

    augment = cell["mixing"] == "augment"

    def mixed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return (torch.cat([real[0], x]), torch.cat([real[1], y])) if augment else (x, y)

    if not info.redraws:
        x, y, sample = encoded(seeds["sample"])
        table = mixed(x, y)
        if cell["fidelity"]:
            measure(sample)
        return lambda step: table, facts | {"synthetic_hash": sample.content_hash}

    def redraw(step: int) -> tuple[Tensor, Tensor]:
        # columns may differ from draw to draw, so real and synthetic tables take turns instead of being stacked
        if augment and step % 2 == 0:
            return real
        x, y, _ = encoded(int(np.random.SeedSequence([seeds["sample"], step]).generate_state(1)[0]))
        return x, y

    if cell["fidelity"]:
        measure(encoded(seeds["sample"])[2])
    return redraw, facts


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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    seconds = {f"seconds_{phase}": round(value, 4) for phase, value in clock.seconds.items()}
    return seconds | {"peak_memory_mb": round(peak, 1)}


def status_of(error: BaseException) -> str:
    """The status an exception stands for."""
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, InvalidOutput):
        return "invalid_output"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    return "error"
