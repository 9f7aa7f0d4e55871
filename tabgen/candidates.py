"""Candidates: uses of a generator's rows, tried on rows held out of train, for one table and one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from tabgen.blame import blamed
from tabgen.errors import EstimatorError, Unsupported
from tabgen.experiment import Method
from tabgen.generator import FitContext
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.metrics import Probabilities, log_loss
from tabgen.models.base import Encoded, FoundationModel
from tabgen.models.finetune import fine_tune, weights_of
from tabgen.models.recipes import Recipe
from tabgen.plugins import Plugins
from tabgen.randomness import spawned
from tabgen.sampling import draw_sample, fit_generator
from tabgen.splits import split
from tabgen.table import Table

ARMS = ("augmented", "context", "fine-tune")
"""The uses that are tried, of those in ``tabgen.arms``: weights that nothing chose are no answer for one table."""
ZERO_SHOT = "zero-shot"
HOLD_OUT_FOLDS = 5
"""One of so many parts of the rows is held out."""
FIT, SAMPLE, TUNE = 1, 2, 3


@dataclass(frozen=True)
class Candidate:
    """A generator with its settings, and one use of its rows."""

    method: Method
    arm: str

    @property
    def label(self) -> str:
        return f"{self.method.label}/{self.arm}"


class Predictor:
    """A model that predicts from the rows of a table, and of another that was drawn, as one use has them.

    Parameters
    ----------
    model : FoundationModel
        With the weights to predict with.
    real : Table
    synthetic : Table, optional
        Due for the uses "augmented" and "context".
    arm : str
        One of :data:`ARMS`, or "zero-shot".
    """

    def __init__(
        self, model: FoundationModel, real: Table, synthetic: Table | None = None, arm: str = ZERO_SHOT
    ) -> None:
        self.model, self.real = model, real
        self.synthetic = synthetic if arm in ("augmented", "context") else None
        self.n_classes = len(real.schema.classes)
        self._encoder = model.encoder(real)
        self.context = self.encoded(real)
        if self.synthetic is not None:
            drawn = self.encoded(self.synthetic)
            self.context = (self.context.stacked(drawn) if arm == "augmented" else drawn).as_context()

    def encoded(self, table: Table) -> Encoded:
        """Rows as the model reads them, by the real ones."""
        return Encoded(self._encoder.encode(table), torch.from_numpy(table.labels), self._encoder.levels)

    def probabilities(self, table: Table) -> Probabilities:
        """Class probabilities of rows: (rows, classes)."""
        x, y, levels = self.context
        return self.model.predict(x, y, self._encoder.encode(table), self.n_classes, levels)


def hold_out(table: Table, seed: int) -> tuple[Table, Table]:
    """Train and validation rows, stratified, copies of a row together.

    Raises
    ------
    Unsupported
        If validation would not hold two classes.
    """
    try:
        parts = split(table.labels, 0, HOLD_OUT_FOLDS, seed, copies=table.copies)  # whatever splits the table came with
    except Unsupported as error:
        raise Unsupported(
            f"one row in {HOLD_OUT_FOLDS}, held out, would not hold two classes, which scoring needs;"
            " take a table with more rows of each class."
        ) from error
    train = np.sort(np.concatenate([parts.train, parts.validation]))
    return table.take(train).observed(), table.take(parts.test)


class Bench:
    """Tries candidates on a table, always from the pre-trained weights; equal seeds give equal results.

    Parameters
    ----------
    load_model : callable
        The model with its pre-trained weights, a new one at every call.
    plugins : Plugins
    recipe : Recipe
        How to fine-tune, unless a method says otherwise.
    ratio : float
        Synthetic rows per real row.
    seed : int
    """

    def __init__(
        self, load_model: Callable[[], FoundationModel], plugins: Plugins, recipe: Recipe, ratio: float, seed: int
    ) -> None:
        self._load_model, self._plugins, self._recipe = load_model, plugins, recipe
        self._ratio, self._seed = ratio, seed
        self.model = load_model()
        self._start = weights_of(self.model.module)

    def draw(self, method: Method, table: Table) -> Table:
        """Rows of a generator that is fitted on ``table``.

        Raises
        ------
        EstimatorError
            For a generator whose every draw is a table of its own: there is no one table to keep.
        GeneratorFailed
            For whatever else it raises, with the place.
        """
        assert method.generator is not None
        chosen = self._plugins.generators[method.generator]
        if chosen.info.redraws or chosen.info.changes_columns:
            raise EstimatorError(
                f"the generator '{method.generator}' draws another table, or other columns, for every step of"
                " fine-tuning; an estimator keeps one. Compare it with tabgen.compare, and choose another here."
            )
        generator = make_where_it_runs(chosen, method.settings)
        context = FitContext(seed=spawned(self._seed, FIT), load_model=self._load_model)
        with blamed(generator):
            fit_generator(generator, table, context)
            return draw_sample(generator, table, max(2, round(self._ratio * len(table))), spawned(self._seed, SAMPLE))

    def zero_shot(self, real: Table) -> Predictor:
        self.model.module.load_state_dict(self._start)
        return Predictor(self.model, real)

    def score(self, candidate: Candidate, train: Table, synthetic: Table, validation: Table) -> tuple[float, int]:
        """Log-loss of the validation rows, and the step of fine-tuning that was kept (0 for other uses)."""
        predictor = self.zero_shot(train)
        if candidate.arm != "fine-tune":
            predictor = Predictor(self.model, train, synthetic, candidate.arm)
            return log_loss(validation.labels, predictor.probabilities(validation)), 0
        pool, recipe = self._offered(candidate.method, predictor, synthetic)
        known = predictor.encoded(validation)
        tuned = fine_tune(
            self.model,
            lambda step: pool,
            predictor.context,
            (known.x, known.y),
            predictor.n_classes,
            recipe,
            spawned(self._seed, TUNE),
        )
        return log_loss(validation.labels, tuned.probabilities), tuned.best_step

    def finish(self, candidate: Candidate, real: Table, steps: int) -> Predictor:
        """The candidate on all rows; fine-tuned for as many steps as validation kept."""
        synthetic = self.draw(candidate.method, real)
        predictor = self.zero_shot(real)
        if candidate.arm != "fine-tune":
            return Predictor(self.model, real, synthetic, candidate.arm)
        pool, recipe = self._offered(candidate.method, predictor, synthetic)
        kept: dict[str, torch.Tensor] = {}

        def keep(step: int) -> None:
            if step == steps:  # no rows are held out now: it is not for the loop to say which step is best
                kept.update(weights_of(self.model.module))

        fine_tune(
            self.model,
            lambda step: pool,
            predictor.context,
            (predictor.context.x[:1], predictor.context.y[:1]),
            predictor.n_classes,
            replace(recipe, steps=steps, evaluate_every=steps),
            spawned(self._seed, TUNE),
            after_step=keep,
            at_least=steps,
        )
        self.model.module.load_state_dict(kept)
        return predictor

    def _offered(self, method: Method, predictor: Predictor, synthetic: Table) -> tuple[Encoded, Recipe]:
        """What steps of fine-tuning learn from, and how."""
        drawn = predictor.encoded(synthetic)
        pool = predictor.context.stacked(drawn) if method.mixing == "augment" else drawn
        recipe = self._recipe if method.recipe is None else Recipe(**method.recipe)
        return pool, recipe.for_table(predictor.n_classes, len(predictor.real)).for_rows(len(pool.y))
