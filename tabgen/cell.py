"""One cell, from its plan to the scores of its outcome. Runs in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tabgen import fidelity
from tabgen.adequacy import adequacy
from tabgen.arms import ARMS, fixed_steps
from tabgen.cache import Cache
from tabgen.clock import Clock, Phase
from tabgen.datasets import Dataset
from tabgen.environment import package_versions, peak_memory_mb
from tabgen.errors import InvalidOutput
from tabgen.generator import make_generator
from tabgen.host.client import Host, HostHere
from tabgen.made_elsewhere import FILE, FileHost
from tabgen.metrics import Labels, Metric, Probabilities, roc_auc
from tabgen.models.base import Encoded, Encoder, FoundationModel
from tabgen.models.finetune import DrawTable, FineTuned, fine_tune, weights_of
from tabgen.models.recipes import Recipe
from tabgen.outcome import Cell, Result, hash_of, model_identity, split_identity
from tabgen.plugins import Plugins
from tabgen.randomness import same_start, spawned
from tabgen.splits import Split, split_table
from tabgen.synthesis import Synthesis
from tabgen.table import Table
from tabgen.worth import ORDERS, SIZES, LearningCurve, learning_curve

PURPOSES = ("split", "fit", "sample", "finetune", "torch", "curve")
Tensor = torch.Tensor


OF_DRAW = ("fit", "sample")
"""Purposes whose seeds are others on every table, and in every draw of a generator on one split."""


def seeds_of(cell: Cell) -> dict[str, int]:
    """Independent seeds for the parts of a cell, spawned from its seed and fold: one 32-bit integer each.

    What a generator draws by itself, as `mixed-model` its teacher, is drawn anew on every table. From seed and fold
    alone it would be the same on all tables of a fold, and no number of tables would average it out.
    """

    def spawn(*words: int) -> dict[str, int]:
        children = np.random.SeedSequence(words).spawn(len(PURPOSES))
        return {purpose: int(child.generate_state(1)[0]) for purpose, child in zip(PURPOSES, children, strict=True)}

    drawn = spawn(cell.seed, cell.fold, cell.draw, int((cell.sha256 or "0")[:8], 16))
    return spawn(cell.seed, cell.fold) | {purpose: drawn[purpose] for purpose in OF_DRAW}


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
        parts = split_table(table, cell.fold, cell.n_folds, cell.seed, cell.max_train_rows, cell.max_test_rows)
        model = _load_model(cell, plugins, device)
        train = table.take(parts.train).observed()
        encoder = model.encoder(train)
    scorer = Scorer(model, encoder, table, train, parts, [plugins.metrics[name] for name in plugins.metrics])
    measured: dict[str, Any] = {
        **{f"n_{name}": len(rows) for name, rows in vars(parts).items()},
        "n_columns": scorer.train.x.shape[1],
    }
    facts: dict[str, Any] = {"device": device, "split_hash": parts.hash, "data_hash": table.content_hash}
    scores, facts["cached_zero_shot"] = _zero_shot(cell, scorer, plugins, clock, cache)
    measured |= scores
    asked = [ARMS[name] for name in cell.arms]
    tuning = [arm for arm in asked if arm.tunes]
    if cell.mixing in ("none", "real"):  # real rows are the context already
        unchanged = asked if cell.mixing == "none" else [arm for arm in asked if not arm.tunes]
        for arm in unchanged:
            measured |= scorer.unchanged(arm.stage)
    notes: dict[str, Any] = dict(encoder.notes)
    if cell.mixing == "none":
        return _result(facts | {"best_step": 0}, measured, notes, clock, cache)

    real = scorer.train
    pool: DrawTable = lambda step: real  # noqa: E731
    if cell.mixing != "real":
        if cell.generator == FILE:
            host = FileHost(cell, table.take(np.setdiff1d(np.arange(len(table)), parts.train)))
        host = host or _host_here(cell, plugins, model)
        origin = plugins.models.plugin_of(cell.model).origin if cell.model in plugins.models else None
        source = asdict(origin) if origin and origin.kind != "built in" else None
        own_model = {"name": cell.model, "version": cell.model_plugin_version, "checkpoint": cell.checkpoint}
        synthesis = Synthesis(
            cell,
            host,
            train,
            seeds,
            device,
            own_model | {"source": source},
            clock,
            cache if cell.generator != FILE else None,
            scorer.validation_score,
        )
        synthetic = SyntheticRows(cell, synthesis, model, encoder, scorer, table.take(parts.test), real)
        for arm in [arm for arm in asked if not arm.tunes]:
            with clock.phase("arms"):
                measured |= synthetic.as_context(arm.stage, with_real=arm.name == "augmented")
        if any(not arm.tunes for arm in asked):
            measured |= _worth(cell, scorer, measured, seeds["curve"], clock, cache)
        pool = synthetic.pool
        notes = synthesis.notes
        notes |= encoder.notes
        measured |= {name: value for name, value in synthesis.facts.items() if name not in RESULT_FIELDS}
        facts |= {name: value for name, value in synthesis.facts.items() if name in RESULT_FIELDS}
    if tuning:
        with clock.phase("finetune"):
            tuned, scores = _tune(cell, model, scorer, pool, real, seeds, len(train))
        facts |= {"best_step": tuned.best_step, "steps": tuned.steps, "step_seconds": tuned.step_seconds}
        measured |= scores
    return _result(facts, measured, notes, clock, cache)


def _synthetic_rows(cell: Cell, n_train: int) -> int:
    return max(2, round(cell.ratio * n_train))


def _offered(cell: Cell, n_train: int) -> int:
    """Rows of the table that steps are cut from."""
    real = n_train if cell.mixing in ("real", "augment") else 0
    return real if cell.mixing == "real" else real + _synthetic_rows(cell, n_train)


def _tune(
    cell: Cell,
    model: FoundationModel,
    scorer: Scorer,
    pool: DrawTable,
    real: Encoded,
    seeds: dict[str, int],
    n_train: int,
) -> tuple[FineTuned, dict[str, Any]]:
    """Fine-tune once for every tuning seed, each time from the pre-trained weights; the scores are their means.

    What one run alone can say (curves, the kept step) is that of the first.
    """
    recipe = Recipe(**cell.recipe).for_table(scorer.n_classes, n_train).for_rows(_offered(cell, n_train))
    steps, primary = fixed_steps(recipe.steps)
    fixed = "fixed-steps" in cell.arms
    evaluate = replace(recipe, evaluate_every=math.gcd(recipe.evaluate_every, *steps)) if fixed else recipe
    start = weights_of(model.module) if cell.tuning_seeds > 1 else None
    runs: list[dict[str, float]] = []
    first: FineTuned | None = None
    kept = []
    for number in range(cell.tuning_seeds):
        scores: dict[str, float] = {}

        def at(step: int, probabilities: Probabilities, scores: dict[str, float] = scores) -> None:
            if fixed and step in steps:
                scores |= scorer.of(probabilities, f"fixed_{step}")
                if step == primary:
                    scores |= scorer.of(probabilities, "fixed")

        if start is not None:
            model.module.load_state_dict(start)
        same_start(seeds["torch"])
        tuned = fine_tune(
            model,
            pool,
            real,
            (scorer.x["validation"], scorer.y["validation"]),
            scorer.n_classes,
            evaluate,
            spawned(seeds["finetune"], number) if number else seeds["finetune"],
            watched=(scorer.x["test"], scorer.y["test"]),
            evaluated=at,
            at_least=max(steps) if fixed else 0,
        )
        if "fine-tune" in cell.arms:
            kept_scores = scorer.of(tuned.probabilities, "tuned") if tuned.best_step else scorer.unchanged("tuned")
            scores |= kept_scores
        tuned.weights.clear()  # of a large model they are hundreds of megabytes; its predictions have been made
        runs.append(scores)
        kept.append(tuned.best_step)
        first = first or tuned
    assert first is not None
    measured: dict[str, Any] = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    measured |= {f"by_seed_{name}": [run[name] for run in runs] for name in runs[0] if name.startswith(BY_SEED)}
    measured |= {
        "by_seed_best_step": kept,
        "curve_steps": first.evaluated,
        "curve_validation": [round(loss, 6) for loss in first.validation_losses],
        "curve_test": [round(loss, 6) for loss in first.watched_losses],
        "n_step": first.rows,
        "n_distinct": first.distinct_rows,
        "n_used": first.used_rows,
    }
    return first, measured


BY_SEED = ("tuned_test_", "fixed_test_")
"""Scores that are also kept one by one, for every tuning seed."""
RESULT_FIELDS = ("cached_synthetic", "synthetic_hash")
"""What of the facts about synthetic rows is a field of the result of its own."""


def _load_model(cell: Cell, plugins: Plugins, device: str) -> FoundationModel:
    """The model that was planned, or an error that says what of it is another."""
    return plugins.planned_model(cell.model, cell.model_plugin_version, cell.checkpoint, device)


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
            **model_identity(cell),
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


def _worth(
    cell: Cell, scorer: Scorer, measured: dict[str, Any], seed: int, clock: Clock, cache: Cache | None
) -> dict[str, Any]:
    """What the rows are worth in real ones, by the learning curve of the fold, which is computed once."""
    key = hash_of(
        {
            **split_identity(cell),
            **model_identity(cell),
            "device": scorer.model.device,
            "packages": package_versions(),
            "learning curve": [SIZES, ORDERS, seed],
        }
    )
    with clock.phase("cache"):
        found, seconds = (cache and cache.scores(key)) or ({}, 0.0)
    if found:
        clock.spare("worth", seconds)
        curve = LearningCurve(tuple(map(int, found)), tuple(found.values()))
    else:
        with clock.phase("worth"):
            curve = learning_curve(scorer.train.y.numpy(), scorer.n_classes, seed, scorer.test_score)
        if cache:
            with clock.phase("cache"):
                entry = {str(size): score for size, score in zip(curve.sizes, curve.scores, strict=True)}
                cache.add_scores(key, entry, clock.seconds["worth"])
    worths: dict[str, Any] = {"curve_worth_rows": list(curve.sizes), "curve_worth_score": list(curve.scores)}
    for stage in ("context", "augmented"):
        score = measured.get(f"{stage}_test_roc_auc")
        if score is not None and np.isfinite(score):
            worth = curve.worth(score)
            worths |= {f"worth_{stage}_rows": worth.rows, f"worth_{stage}_censored": worth.censored}
    return worths


class Scorer:
    """Encoded parts of the fold, and the model's scores on validation and test with real train rows as context."""

    def __init__(
        self, model: FoundationModel, encoder: Encoder, table: Table, train: Table, parts: Split, metrics: list[Metric]
    ) -> None:
        self.model, self.encoder, self.metrics = model, encoder, metrics
        self.n_classes, self._n_columns = len(table.schema.classes), len(train.schema.columns)
        self.train = Encoded(encoder.encode(train), torch.from_numpy(train.labels), encoder.levels)
        held_out = {"validation": table.take(parts.validation), "test": table.take(parts.test)}
        self.x = {name: encoder.encode(rows) for name, rows in held_out.items()}
        self.y = {name: torch.from_numpy(rows.labels) for name, rows in held_out.items()}
        self.held_out = held_out
        self._zero_shot: dict[str, float] = {}

    def scores(
        self, stage: str, context: Encoded | None = None, held_out: dict[str, Tensor] | None = None
    ) -> dict[str, float]:
        """Scores of the model's predictions from a context (the real train rows) for validation and test rows."""
        out: dict[str, float] = {}
        known = context or self.train
        for part, x in (held_out or self.x).items():
            out |= self._score(self.model.predict(known.x, known.y, x, self.n_classes, known.levels), part, stage)
        return self.remember(out) if stage == "zero_shot" else out

    def _score(self, probabilities: Probabilities, part: str, stage: str) -> dict[str, float]:
        labels: Labels = self.y[part].numpy()
        if not np.isfinite(probabilities).all():
            raise InvalidOutput(f"the model's {stage} probabilities on {part} are not finite.")
        return {f"{stage}_{part}_{metric.name}": metric.score(labels, probabilities) for metric in self.metrics}

    def remember(self, zero_shot: dict[str, float]) -> dict[str, float]:
        """Keep the zero-shot scores for :meth:`unchanged`."""
        self._zero_shot = zero_shot
        return zero_shot

    def test_score(self, rows: np.ndarray[Any, Any]) -> float:
        """ROC-AUC on the test rows with these train rows as context."""
        x, y, levels = self.train
        return roc_auc(
            self.y["test"].numpy(), self.model.predict(x[rows], y[rows], self.x["test"], self.n_classes, levels)
        )

    def validation_score(self, sample: Table) -> float:
        """ROC-AUC on the validation rows, and no others, with synthetic rows as context."""
        drawn, encoder = self.encoded(sample)
        x, y = self.x["validation"], self.y["validation"]
        if encoder is not self.encoder:
            x = encoder.encode(self.held_out["validation"])
        known = drawn.as_context()
        return roc_auc(y.numpy(), self.model.predict(known.x, known.y, x, self.n_classes, known.levels))

    def encoded(self, sample: Table) -> tuple[Encoded, Encoder]:
        """Synthetic rows as the model reads them: by the real train rows, or by themselves where they lack columns."""
        encoder = self.model.encoder(sample) if len(sample.schema.columns) < self._n_columns else self.encoder
        return Encoded(encoder.encode(sample), torch.from_numpy(sample.labels), encoder.levels), encoder

    def of(self, probabilities: Probabilities, stage: str) -> dict[str, float]:
        """Scores of what was predicted for validation and test rows together."""
        n_validation = len(self.y["validation"])
        parts = {"validation": probabilities[:n_validation], "test": probabilities[n_validation:]}
        return {name: value for part, each in parts.items() for name, value in self._score(each, part, stage).items()}

    def unchanged(self, stage: str) -> dict[str, float]:
        """The zero-shot scores as those of another stage: of a run that kept step 0, of real rows as context."""
        return {name.replace("zero_shot_", f"{stage}_", 1): value for name, value in self._zero_shot.items()}


class SyntheticRows:
    """A cell's synthetic rows, encoded once, for every use of them; facts for the outcome go to the synthesis."""

    def __init__(
        self,
        cell: Cell,
        synthesis: Synthesis,
        model: FoundationModel,
        encoder: Encoder,
        scorer: Scorer,
        holdout: Table,
        real: Encoded,
    ) -> None:
        self.synthesis, self.model, self.encoder, self.scorer, self.real = synthesis, model, encoder, scorer, real
        self.n_rows = _synthetic_rows(cell, len(synthesis.train))
        self.augment, self.redraws = cell.mixing == "augment", synthesis.host.info.redraws
        synthesis.facts["n_synthetic"] = self.n_rows
        if self.redraws:
            synthesis.fit()
        if not self.redraws or cell.fidelity or any(not ARMS[name].tunes for name in cell.arms):
            self.sample = synthesis.redraw(self.n_rows, 0) if self.redraws else synthesis.draw(self.n_rows)
        if not self.redraws:
            synthesis.facts["synthetic_hash"] = self.sample.content_hash
        if cell.fidelity:
            with synthesis.clock.phase("fidelity"):
                seed = synthesis.seeds["sample"]
                synthesis.facts |= _fidelity(synthesis.train, holdout, self.sample, seed, synthesis.notes)
        self._table: Encoded | None = None

    def pool(self, step: int) -> Encoded:
        """What a step of fine-tuning learns from."""
        if self.redraws:
            # columns may differ from draw to draw, so real and synthetic tables take turns instead of being stacked
            return self.real if self.augment and step % 2 == 0 else self._draw(step)
        if self._table is None:
            drawn, encoder = self._encoded(self.sample)
            self._table = self._real_by(encoder).stacked(drawn) if self.augment else drawn
        return self._table

    def as_context(self, stage: str, with_real: bool) -> dict[str, Any]:
        """Scores with the rows as the pre-trained model's context, alone or beside the real ones."""
        drawn, encoder = self._encoded(self.sample)
        held_out = self.scorer.x
        if encoder is not self.encoder:  # the draw has other columns: everything is seen through them
            held_out = {part: encoder.encode(rows) for part, rows in self.scorer.held_out.items()}
        context = (self._real_by(encoder).stacked(drawn) if with_real else drawn).as_context()
        return self.scorer.scores(stage, context, held_out) | {f"n_{stage}": len(context.y)}

    def _real_by(self, encoder: Encoder) -> Encoded:
        """The real rows as this encoder reads them: that of a draw which lacks columns is another than their own."""
        if encoder is self.encoder:
            return self.real
        return Encoded(encoder.encode(self.synthesis.train), self.real.y, encoder.levels)

    def _draw(self, step: int) -> Encoded:
        return self._encoded(self.synthesis.redraw(self.n_rows, step))[0]

    def _encoded(self, sample: Table) -> tuple[Encoded, Encoder]:
        with self.synthesis.clock.phase("sample"):
            return self.scorer.encoded(sample)


def _fidelity(train: Table, holdout: Table, sample: Table, seed: int, notes: dict[str, Any]) -> dict[str, float]:
    """Adequacy, fidelity and privacy; where they cannot be had the notes say why, and the cell goes on."""
    measured: dict[str, float] = {}
    for name, measure in (("adequacy", adequacy), ("fidelity", fidelity.fidelity)):
        if name == "fidelity" and not fidelity.available():
            notes[name] = "not measured: SDMetrics is not installed (pip install 'tabgen-bench[fidelity]')"
            continue
        try:
            measured |= measure(train, holdout, sample, seed)
        except Exception as error:  # noqa: BLE001 - a library's fault beside the measurement that matters
            notes[name] = f"not measured: {type(error).__name__}: {error}"[:300]
    return measured
