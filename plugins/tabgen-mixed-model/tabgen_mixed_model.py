"""Mixed-Model: a Gaussian mixture draws the features, a randomly chosen teacher draws the labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits, Unsupported, hookimpl

if TYPE_CHECKING:
    import numpy as np

    from tabgen import Table

TEACHERS = ("random-forest", "decision-tree", "mlp", "svc", "gradient-boosting")


class MixedModel(Generator):
    """Features from a Bayesian Gaussian mixture, labels from a teacher classifier fitted on the real rows.

    One of the yardsticks of Bühler, Purucker, Hutter (CausalMixFT, arXiv 2601.04110), which names it without
    describing it; this is the best reading of two related code bases, and **ours** to that extent. Both models
    are drawn anew, hyper-parameters included, for every sample: ``fit`` only encodes the table. Numbers are
    z-scored, levels are their positions; drawn values of integer, categorical and boolean columns are rounded,
    and levels clipped to the valid ones. Labels are drawn from the teacher's probabilities (**ours**; the related
    code takes the most likely class, ``draw_labels=False``, which makes labels cleaner than the real ones and shifts
    the classes' shares). A teacher may find one class the most likely of all rows: nothing is put in its place.

    Parameters
    ----------
    teacher : str
        "random" (drawn for every sample), "random-forest", "decision-tree", "mlp", "svc" or "gradient-boosting".
    max_components : int
        The mixture has between 1 and this many components (never more than half the rows).
    draw_labels : bool
        Draw each label from the teacher's probabilities in place of its most likely class (not for "svc").
    """

    info = GeneratorInfo(
        "mixed-model",
        "features from a Gaussian mixture, labels from a random teacher classifier",
        citation="Bühler, Purucker, Hutter 2026, CausalMixFT (arXiv 2601.04110); procedure as read by tabgen",
        preload=("sklearn.ensemble", "sklearn.mixture", "sklearn.neural_network", "sklearn.svm"),
        limits=Limits(min_rows=4),
        one_class="A teacher may find one class the most likely of every row; any but svc has probabilities, by which"
        " draw_labels=true draws the others as often as they should be.",
    )

    def __init__(self, teacher: str = "random", max_components: int = 10, draw_labels: bool = True) -> None:
        if teacher not in ("random", *TEACHERS):
            raise ValueError(f"teacher is {teacher!r}; 'random' or one of {', '.join(TEACHERS)} is due.")
        self.teacher = teacher
        self.max_components = max_components
        self.draw_labels = draw_labels

    def fit(self, table: Table, context: FitContext) -> None:  # noqa: ARG002 - nothing is drawn before sample()
        import numpy as np

        self._schema = table.schema
        self._labels = table.labels
        raw = table.to_matrix()
        self._mean, self._scale = raw.mean(axis=0), raw.std(axis=0)
        self._scale[self._scale < 1e-12 * np.abs(self._mean)] = 0.0  # constant but for rounding
        self._x = (raw - self._mean) / np.where(self._scale > 0, self._scale, 1.0)

    def sample(self, n_rows: int, seed: int) -> Table:
        import numpy as np

        rng = np.random.default_rng(seed)
        mixture = self._mixture(rng)
        teacher = self._teacher(rng)
        drawn = mixture.sample(n_rows)[0] * self._scale + self._mean  # component by component
        drawn = drawn[rng.permutation(n_rows)]
        unlabelled = np.zeros(n_rows, dtype=int)
        drawn = self._schema.from_matrix(drawn, unlabelled).to_matrix()  # the teacher labels what the rows will hold
        return self._schema.from_matrix(drawn, self._label(teacher, drawn, rng))

    def _mixture(self, rng: np.random.Generator) -> Any:
        """A mixture with hyper-parameters at random, fitted on the real features."""
        from sklearn.mixture import BayesianGaussianMixture

        most = max(1, min(self.max_components, len(self._x) // 2))
        settings = {
            "n_components": int(rng.integers(1, most + 1)),
            "covariance_type": str(rng.choice(["full", "tied", "diag", "spherical"])),
            "weight_concentration_prior_type": str(rng.choice(["dirichlet_process", "dirichlet_distribution"])),
            "weight_concentration_prior": float(10 ** rng.uniform(-3, 2)),
            "random_state": int(rng.integers(2**31)),
        }
        exponent = rng.uniform(-6, -2)
        while exponent < 1:
            mixture = BayesianGaussianMixture(reg_covar=10**exponent, max_iter=100, **settings)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that 100 rounds did not converge is one more random setting
                    return mixture.fit(self._x)
            except ValueError as error:  # a covariance that is not positive: regularise ten times as much
                reason = error
                exponent += 1
        raise Unsupported(f"mixed-model: no Gaussian mixture could be fitted to the table ({reason}).")

    def _teacher(self, rng: np.random.Generator) -> Any:
        name = self.teacher if self.teacher != "random" else str(rng.choice(TEACHERS))
        teacher = make_teacher(name, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return teacher.fit(self._x, self._labels)

    def _label(self, teacher: Any, drawn: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        import numpy as np

        codes: np.ndarray[Any, Any]
        x = (drawn - self._mean) / np.where(self._scale > 0, self._scale, 1.0)
        if not self.draw_labels or not hasattr(teacher, "predict_proba"):
            codes = teacher.predict(x)
            return codes
        above = teacher.predict_proba(x).cumsum(axis=1) > rng.random((len(x), 1))
        codes = teacher.classes_[np.where(above.any(axis=1), above.argmax(axis=1), len(teacher.classes_) - 1)]
        return codes


def make_teacher(name: str, rng: np.random.Generator) -> Any:
    """An unfitted classifier of the kind ``name`` with hyper-parameters at random."""
    state = int(rng.integers(2**31))
    if name == "random-forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(
            n_estimators=int(rng.integers(20, 151)),
            max_depth=int(rng.integers(3, 16)),
            min_samples_leaf=int(rng.integers(1, 6)),
            max_features=float(rng.uniform(0.2, 1.0)),
            random_state=state,
        )
    if name == "decision-tree":
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(
            max_depth=int(rng.integers(3, 16)), min_samples_leaf=int(rng.integers(1, 6)), random_state=state
        )
    if name == "mlp":
        from sklearn.neural_network import MLPClassifier

        hidden = (int(rng.choice([16, 32, 64, 128])),) * int(rng.integers(1, 3))
        return MLPClassifier(
            hidden,
            activation=str(rng.choice(["relu", "tanh"])),
            alpha=float(10 ** rng.uniform(-5, -1)),
            learning_rate_init=float(10 ** rng.uniform(-3, -2)),
            max_iter=200,
            random_state=state,
        )
    if name == "svc":
        from sklearn.svm import SVC

        kernel = str(rng.choice(["rbf", "linear", "poly"]))
        return SVC(C=float(10 ** rng.uniform(-1, 2)), kernel=kernel, max_iter=20_000)
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=int(rng.integers(20, 101)),
        learning_rate=float(10 ** rng.uniform(-2, -0.5)),
        max_leaf_nodes=int(rng.integers(5, 32)),
        min_samples_leaf=int(rng.integers(1, 21)),
        early_stopping=False,
        random_state=state,
    )


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    register(MixedModel)
