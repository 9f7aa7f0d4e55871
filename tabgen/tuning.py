"""Tuned generators: settings chosen by trials, each scored on the validation rows alone, the defaults among them.

A trial fits the generator on the training rows, draws as many rows as these are, and scores them as the context of the
pre-trained model: the arm `context`, on validation rows. Test rows play no part. The trials are proposed by Optuna's
tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011; Akiba et al., KDD 2019), and the defaults come first.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tabgen.errors import ExperimentError, GeneratorFailed, InvalidOutput, PluginError, Unsupported
from tabgen.generator import Generator, settings_of

if TYPE_CHECKING:
    from tabgen.host.client import FitOrder, Host
    from tabgen.table import Table

MOST_TRIALS = 1000
SETTINGS = ("tune", "tune_seconds")
"""Settings of a method: trials at most, and seconds after which no further one begins."""


def plan_tuning(generator: type[Generator], settings: dict[str, Any], where: str) -> dict[str, Any] | None:
    """Take ``tune`` and ``tune_seconds`` out of a method's settings: what its cells are told, or None.

    What the method sets itself is not searched.

    Raises
    ------
    ExperimentError, PluginError
        If there is nothing to search, or a number is out of bounds, or the plugin declares what it has not.
    """
    trials, seconds = (settings.pop(name, 0) for name in SETTINGS)
    if trials == 0 == seconds:
        return None
    if isinstance(trials, bool) or not isinstance(trials, int) or not 1 <= trials <= MOST_TRIALS:
        raise ExperimentError(f"'{where}': tune={trials!r} should be a number of trials, from 1 to {MOST_TRIALS:,}.")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise ExperimentError(f"'{where}': tune_seconds={seconds!r} should be a number of seconds.")
    space, info = search_space(generator, settings), generator.info
    if not space:
        left = "all that it is tuned over is set" if info.search else "it says of no setting where to search"
        raise ExperimentError(f"'{where}': {info.name} cannot be tuned: {left}.")
    if importlib.util.find_spec("optuna") is None:
        raise ExperimentError(f"'{where}' is tuned with Optuna: pip install 'tabgen-bench[tune]'.")
    return {"trials": trials, "seconds": float(seconds), "space": space}


def search_space(generator: type[Generator], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where a generator's settings are searched, as JSON data, but for those that a method sets itself.

    Raises
    ------
    PluginError
        If it declares what it has not.
    """
    info, known = generator.info, settings_of(generator)
    for name, search in info.search.items():
        if name not in known or not search.holds(known[name]):
            raise PluginError(f"{info.name} is tuned over '{name}', which is no setting whose default is searched.")
    return {
        name: asdict(search) | {"choices": list(search.choices), "whole": isinstance(known[name], int)}
        for name, search in info.search.items()
        if name not in settings
    }


def refuse_tuning(tuned: Mapping[str, Any] | None, where: str) -> None:
    """Raise where no validation rows are at hand to tune on."""
    if tuned is not None:
        raise ExperimentError(f"'{where}': a generator is tuned in a run; leave tune out, or name settings.")


def choose_settings(
    host: Host, order: FitOrder, train: Table, seed: int, tune: Mapping[str, Any], score: Callable[[Table], float]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The best of the settings that were tried, and a note of how they were found.

    Parameters
    ----------
    host : Host
        Fitted anew in every trial.
    order : FitOrder
        With the method's settings, which are the first trial.
    seed : int
        Of the rows that are drawn.
    tune : mapping
        As from :func:`plan_tuning`.
    score : callable
        Of a table of synthetic rows; more is better.

    Raises
    ------
    GeneratorFailed, Unsupported, InvalidOutput
        If the generator's process ended, or every trial failed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: _distribution(each) for name, each in tune["space"].items()}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=order.seed % 2**32))
    study.enqueue_trial({name: order.settings[name] for name in space})
    began = time.monotonic()
    scores: list[float | None] = []
    error: Exception | None = None
    while len(scores) < tune["trials"]:
        spent = time.monotonic() - began
        if scores and 0 < tune["seconds"] < spent:
            break
        trial = study.ask(space)
        try:
            host.fit(replace(order, settings=order.settings | trial.params, seconds=order.seconds - spent), train)
            found = score(host.sample(len(train), seed, fresh=True))
        except (GeneratorFailed, Unsupported, InvalidOutput) as failure:
            if isinstance(failure, GeneratorFailed) and failure.status == "crashed":
                raise
            error, found = failure, math.nan
        failed = not math.isfinite(found)
        scores.append(None if failed else round(found, 6))
        study.tell(trial, None if failed else found, optuna.trial.TrialState.FAIL if failed else None)
    if all(each is None for each in scores):
        raise error or InvalidOutput("no trial of the generator's settings could be scored on the validation rows.")
    best = {name: study.best_params[name] for name in space}
    note = {"settings": best, "trials": len(scores), "seconds": round(time.monotonic() - began, 1), "scores": scores}
    return order.settings | best, note


def _distribution(each: Mapping[str, Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if each["choices"]:
        return CategoricalDistribution(each["choices"])
    if each["whole"]:
        return IntDistribution(int(each["low"]), int(each["high"]), log=each["log"])
    return FloatDistribution(each["low"], each["high"], log=each["log"])
