"""The scikit-learn estimator: a foundation model, with a generator's rows where they help on rows held out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tabgen.arrow import from_arrow, to_arrow
from tabgen.candidates import ARMS, ZERO_SHOT, Bench, Candidate, Predictor, hold_out
from tabgen.environment import own_version
from tabgen.errors import DataError, EstimatorError, TabgenError, TableWarning, UnknownNameError, Unsupported, warn_of
from tabgen.experiment import parse_method
from tabgen.findings import worth_a_warning
from tabgen.metrics import log_loss
from tabgen.models import DEFAULT_MODEL
from tabgen.models.checkpoints import Tab2DModel, load_directory, save_directory
from tabgen.models.parts import SentenceParts, TextParts
from tabgen.models.recipes import RECIPES
from tabgen.plugins import PluginChoice, Plugins, find_model, get_plugins
from tabgen.randomness import seeded
from tabgen.table import Schema, Table
from tabgen.tuning import refuse_tuning

AUTO = ("mixup", "cutmix", "jitter", "smote-nc")
"""The generators that "auto" tries, where they are installed: cheap ones, for any table."""
RECIPE = "nano"
"""How candidates are fine-tuned, unless a generator's name says otherwise (``mixup:recipe=mitra-v2``)."""
FORMAT = 1
FACTS, REAL, SYNTHETIC, MODEL = "estimator.json", "real.parquet", "synthetic.parquet", "model"


class GeneratorAugmentedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A tabular foundation model that uses synthetic rows where they help on rows held out, and only there.

    ``fit`` holds out a fifth of the rows, stratified, and scores the model's log-loss on them: with the other real
    rows alone as its context (zero-shot), and with every candidate, a generator fitted on those rows and one use of
    what it draws. The best is kept and made anew with all rows; where no candidate is better than the real rows alone,
    they are kept alone. So nothing is returned that is worse on validation than the zero-shot model. The best of
    several looks better on the rows that chose it than it is: ``validation_scores_`` are for choosing, not reporting.

    Parameters
    ----------
    generator : str
        ``name[@mixing][:setting=value,...]``, as on the command line, or "auto": mixup, cutmix, jitter, and smote-nc
        where it is installed.
    arm : {"auto", "augmented", "context", "fine-tune"}
        The use of the rows: beside the real ones as context, in place of them, or fine-tuning on them (by the recipe
        "nano" unless the generator's settings name another; a run may keep step 0). "auto" tries all three.
    model : str
        A foundation model's name, or the folder of a checkpoint.
    ratio : float
        Synthetic rows per real row, above 0, at most 100.
    random_state : int, RandomState or None
        Decides the rows held out, and everything that is drawn.

    Attributes
    ----------
    classes_ : ndarray, shape (classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray, shape (features,)
        Where ``X`` was a DataFrame whose column names are texts.
    generator_ : str or None
        The generator that was kept; None for the real rows alone.
    arm_ : str
        The use that was kept; "zero-shot" for the real rows alone.
    validation_scores_ : dict
        Log-loss in nats of the rows held out: "zero-shot", and "generator/arm" of every candidate. Empty where no rows
        could be held out, of which a :class:`tabgen.errors.TableWarning` tells.
    failures_ : dict
        Why a generator of "auto" has no scores, by its name.
    reading_ : dict
        How the file of the rows was read, as :class:`tabgen.reader.ReadOptions` has it; `tabgen fit` sets it, and
        `tabgen predict` reads new rows in the same way.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> classifier = GeneratorAugmentedClassifier("mixup", arm="augmented", random_state=0).fit(X[::2], y[::2])
    >>> sorted(classifier.validation_scores_)
    ['mixup/augmented', 'zero-shot']
    >>> classifier.predict_proba(X[1::2]).shape
    (75, 3)
    """

    def __init__(
        self,
        generator: str = "auto",
        arm: str = "auto",
        model: str = DEFAULT_MODEL,
        ratio: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.generator = generator
        self.arm = arm
        self.model = model
        self.ratio = ratio
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        kinds: Mapping[str, str] | None = None,
        plugins: PluginChoice | None = None,
    ) -> GeneratorAugmentedClassifier:
        """Choose generator and use on rows held out, and make the best of all rows.

        Parameters
        ----------
        X : array of numbers, or DataFrame, shape (rows, features)
            A DataFrame may hold numbers, texts, categories, booleans and times; missing values are welcome.
        y : array, shape (rows,)
            Classes.
        kinds : dict, optional
            Kinds of a DataFrame's columns that are not as they seem; "drop" leaves a column out.
        plugins : PluginChoice, optional
            Files with generators or models beside those installed.

        Raises
        ------
        ValueError
            For what scikit-learn's estimators refuse too: other lengths, infinities, sparse data, one class.
        TabgenError
            For parameters that do not exist, a table that cannot be read, more classes than the model takes.

        Warns
        -----
        TableWarning
            If a DataFrame has a column that names rows or tells the classes alone, or no rows could be held out.
        """
        labels = self._checked(X, y)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            (only,) = self.classes_.tolist()
            raise EstimatorError(f"y holds only the class {only!r}; a classifier needs at least two.")
        registry = get_plugins(plugins)
        candidates = self._candidates(registry)
        table = self._table(X, y, codes, kinds)
        if isinstance(X, pd.DataFrame):
            warn_of(worth_a_warning(table))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        info = find_model(self.model, registry)
        with seeded(seed):
            bench = Bench(lambda: info.load("cpu"), registry, RECIPES[RECIPE], float(self.ratio), seed)
            chosen, steps = self._choose(bench, candidates, table, seed)
            self._predictor = bench.zero_shot(table) if chosen is None else bench.finish(chosen, table, steps)
        self.reading_: dict[str, Any] = {}
        self.generator_ = None if chosen is None else chosen.method.label
        self.arm_ = ZERO_SHOT if chosen is None else chosen.arm
        return self

    def predict_proba(self, X: Any) -> np.ndarray[Any, Any]:
        """Class probabilities, in the order of ``classes_``: (rows, classes).

        A level that the rows of ``fit`` did not have is read as a missing one.

        Warns
        -----
        TableWarning
            For each of the first five columns that hold such levels.
        """
        found, unseen = self._probabilities(X)
        warn_of(unseen)
        return found

    def predict(self, X: Any) -> np.ndarray[Any, Any]:
        """The most likely class of each row: (rows,); it warns as :meth:`predict_proba` does."""
        probabilities, unseen = self._probabilities(X)
        warn_of(unseen)
        found: np.ndarray[Any, Any] = self.classes_[probabilities.argmax(axis=1)]
        return found

    def _probabilities(self, X: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
        """Class probabilities, and what of these rows ``fit`` never saw."""
        check_is_fitted(self)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=False)
            if not len(X):  # as check_array says it of an array
                name = type(self).__name__
                raise EstimatorError(
                    f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required by {name}."
                )
            frame = X
        else:
            frame = pd.DataFrame(validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False))
        frame = frame.set_axis(self._columns, axis=1)
        real = self._predictor.real
        rows = real.questions(frame, "the rows to predict")
        return self._predictor.probabilities(rows), real.never_seen(frame)

    def save(self, path: str | Path) -> None:
        """Write what was fitted to a folder: JSON, Parquet (the rows it predicts from) and safetensors (the weights).

        The folder holds the real rows, whatever the use: they say how the model reads a table. A ``random_state`` that
        is no number is not kept.

        Raises
        ------
        EstimatorError
            For classes that JSON cannot hold, or a model that is no Tab2D, whose weights only its plugin can load.
        DataError
            If the folder holds something else.
        """
        check_is_fitted(self)
        folder, predictor = Path(path), self._predictor
        model = predictor.model
        if not isinstance(model, Tab2DModel):
            raise EstimatorError(
                f"the model '{self.model}' is a {type(model).__name__}; a Tab2D, such as {DEFAULT_MODEL}, can be saved."
            )
        if self.classes_.dtype.kind not in CLASS_KINDS:
            raise EstimatorError(f"classes of type {self.classes_.dtype} are not saved; make them texts or numbers.")
        check_folder(folder)
        synthetic = predictor.synthetic
        saved = _Saved(
            format=FORMAT,  # type: ignore[arg-type]
            tabgen=own_version(),
            generator=self.generator,
            arm=self.arm,
            model=self.model,
            ratio=float(self.ratio),
            random_state=int(self.random_state) if isinstance(self.random_state, int | np.integer) else None,
            classes=self.classes_.tolist(),
            classes_type=self.classes_.dtype.str,
            columns=self._columns,
            named=hasattr(self, "feature_names_in_"),
            generator_kept=self.generator_,
            arm_kept=self.arm_,  # type: ignore[arg-type]
            validation_scores=self.validation_scores_,
            failures=self.failures_,
            real=predictor.real.schema.to_dict(),
            synthetic=None if synthetic is None else synthetic.schema.to_dict(),
            checkpoint=model.checkpoint_hash,
            texts="sentences" if model.texts is SentenceParts else "n-grams",
            reading=self.reading_,
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SYNTHETIC).unlink(missing_ok=True)
        parquet.write_table(to_arrow(predictor.real), folder / REAL)
        if synthetic is not None:
            parquet.write_table(to_arrow(synthetic), folder / SYNTHETIC)
        save_directory(model, folder / MODEL)
        (folder / FACTS).write_text(saved.model_dump_json(indent=2), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> GeneratorAugmentedClassifier:
        """What :meth:`save` wrote, ready to predict; nothing in the folder is executed.

        Raises
        ------
        DataError
            If a file is missing, or is not what was written.
        ModelError
            If the weights are.
        """
        folder = Path(path)
        if not (folder / FACTS).is_file():
            raise DataError(f"{folder} is no saved estimator: it has no {FACTS}; `tabgen fit -o {folder}` writes one.")
        try:
            saved = _Saved.model_validate_json((folder / FACTS).read_text(encoding="utf-8"))
            classes = np.array(saved.classes, dtype=_type_of_classes(saved.classes_type))
        except (ValidationError, ValueError, OverflowError) as error:
            raise DataError(f"{folder / FACTS} is not what was saved: {error}") from error
        made = cls(saved.generator, saved.arm, saved.model, saved.ratio, saved.random_state)
        model = load_directory(folder / MODEL, texts=SentenceParts if saved.texts == "sentences" else TextParts)
        model.checkpoint_hash = saved.checkpoint
        real = _read_rows(folder / REAL, saved.real)
        synthetic = None if saved.synthetic is None else _read_rows(folder / SYNTHETIC, saved.synthetic)
        if len(classes) != len(real.schema.classes):
            raise DataError(f"{folder / FACTS} names {len(classes)} classes; {REAL} has {len(real.schema.classes)}.")
        made._predictor = Predictor(model, real, synthetic, saved.arm_kept)
        made._columns, made.classes_, made.n_features_in_ = saved.columns, classes, len(saved.columns)
        if saved.named:
            made.feature_names_in_ = np.array(saved.columns, dtype=object)
        made.generator_, made.arm_ = saved.generator_kept, saved.arm_kept
        made.validation_scores_, made.failures_ = saved.validation_scores, saved.failures
        made.reading_ = saved.reading
        return made

    @property
    def schema_(self) -> Schema:
        """How the features were read; the target's classes in it are positions in ``classes_``."""
        check_is_fitted(self)
        schema: Schema = self._predictor.real.schema
        return schema

    def _checked(self, X: Any, y: Any) -> np.ndarray[Any, Any]:
        """The labels, once scikit-learn's own checks of both are passed; sets the attributes about features."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, y, skip_check_array=True)
            y = column_or_1d(y, warn=True)
            assert_all_finite(y, input_name="y")
            check_consistent_length(X, y)
        else:
            _, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
        labels = np.asarray(y)
        if pd.isna(labels).any():
            raise EstimatorError(f"y is missing in {int(pd.isna(labels).sum())} of {len(labels)} rows; leave them out.")
        check_classification_targets(labels)
        return labels

    def _candidates(self, registry: Plugins) -> list[Candidate]:
        """What is to be tried, every name and setting checked."""
        if self.arm != "auto" and self.arm not in ARMS:
            raise UnknownNameError("arm", str(self.arm), ["auto", *ARMS])
        if isinstance(self.ratio, bool) or not isinstance(self.ratio, int | float) or not 0 < self.ratio <= 100:
            raise EstimatorError(f"ratio={self.ratio!r} should be a number above 0, at most 100.")
        names = [n for n in AUTO if n in registry.generators] if self.generator == "auto" else [self.generator]
        methods = [parse_method(name, registry) for name in names]
        for method in methods:
            if method.generator is None:
                raise EstimatorError(
                    f"'{method.label}' is a baseline, not a generator: real rows alone are tried anyway."
                )
            refuse_tuning(method.tune, method.label)
            if method.ratio != 1.0:
                raise EstimatorError(
                    f"'{method.label}': the ratio is the estimator's; say ratio={method.ratio:g} there."
                )
        return [Candidate(method, arm) for method in methods for arm in (ARMS if self.arm == "auto" else (self.arm,))]

    def _table(self, X: Any, y: Any, codes: np.ndarray[Any, Any], kinds: Mapping[str, str] | None) -> Table:
        """The rows with labels 0, 1, ... as the target."""
        if isinstance(X, pd.DataFrame):
            frame = X.reset_index(drop=True)
            self._columns = [str(name) for name in frame.columns]
        else:
            frame = pd.DataFrame(np.array(X, dtype=np.float64))
            self._columns = [f"x{number}" for number in range(frame.shape[1])]
            kinds = dict.fromkeys(self._columns, "numeric")  # an array says no more
        frame = frame.set_axis(self._columns, axis=1)
        target = str(y.name) if isinstance(y, pd.Series) and y.name is not None else "target"
        while target in self._columns:
            target += "_"
        labels = pd.Series(pd.Categorical(codes, ordered=True), name=target)
        return Table.from_frame(pd.concat([frame, labels], axis=1), target, kinds, name="X").observed()

    def _choose(
        self, bench: Bench, candidates: list[Candidate], table: Table, seed: int
    ) -> tuple[Candidate | None, int]:
        """The candidate with the least validation loss, if less than that of the real rows alone, and its step."""
        self.validation_scores_: dict[str, float] = {}
        self.failures_: dict[str, str] = {}
        try:
            train, validation = hold_out(table, seed)
            alone = bench.zero_shot(train)
        except Unsupported as error:
            warnings.warn(
                f"no generator was tried, because no rows could be held out to choose by: {error}",
                TableWarning,
                stacklevel=3,
            )
            return None, 0
        best = self.validation_scores_[ZERO_SHOT] = log_loss(validation.labels, alone.probabilities(validation))
        chosen: tuple[Candidate | None, int] = None, 0
        drawn: dict[str, Table] = {}
        for candidate in candidates:
            name = candidate.method.label
            if name in self.failures_:
                continue
            try:
                if name not in drawn:
                    drawn[name] = bench.draw(candidate.method, train)
                loss, steps = bench.score(candidate, train, drawn[name], validation)
            except TabgenError as error:
                if self.generator != "auto":
                    raise
                self.failures_[name] = str(error)
                warnings.warn(f"{name} could not be tried: {error}", TableWarning, stacklevel=3)
                continue
            self.validation_scores_[candidate.label] = loss
            if loss < best:
                best, chosen = loss, (candidate, steps)
        return chosen


CLASS_KINDS = "biufUO"
"""Types of classes that are saved, as numpy's kinds."""


def check_folder(folder: Path) -> None:
    """Raise :class:`DataError` where :meth:`GeneratorAugmentedClassifier.save` would write over something else."""
    if folder.exists() and not (folder / FACTS).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise DataError(f"{folder} holds something else; name a new folder, or one of a saved estimator.")


class _Saved(BaseModel):
    """What stands in the JSON of a saved estimator: its parameters, and what was fitted, but for rows and weights."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    tabgen: str
    generator: str
    arm: str
    model: str
    ratio: float
    random_state: int | None
    classes: list[bool | int | float | str]
    classes_type: str
    columns: list[str]
    named: bool
    generator_kept: str | None
    arm_kept: Literal["zero-shot", "augmented", "context", "fine-tune"]
    validation_scores: dict[str, float]
    failures: dict[str, str]
    real: dict[str, Any]
    synthetic: dict[str, Any] | None
    checkpoint: str
    texts: Literal["n-grams", "sentences"]
    reading: dict[str, Any] = {}


def _type_of_classes(text: str) -> np.dtype[Any]:
    if not re.fullmatch(rf"[<>|=]?[{CLASS_KINDS}]\d{{0,4}}", text):
        raise ValueError(f"classes are of no type called {text!r}")
    return np.dtype(text)


def _read_rows(path: Path, schema: dict[str, Any]) -> Table:
    """Rows under their schema.

    Raises
    ------
    DataError
        If the file is not there or holds something else.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing from the saved estimator; fit and save it anew.")
    try:
        return from_arrow(parquet.ParquetFile(path).read(), Schema.from_dict(schema), path.name)
    except (pa.ArrowException, TabgenError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not hold the rows that were saved: {error}") from error
