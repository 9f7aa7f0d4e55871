"""How good a checkpoint is without fine-tuning: its ROC-AUC beside that of scikit-learn's classifiers.

Every model sees the same rows: train and validation rows of a fold together, at most --max-train-rows of
them, and predicts at most 1,000 test rows. Defaults throughout:

- logistic regression: numbers filled with the median (with a column that says where) and standardised,
  categories one-hot (a missing value is a level of its own); 1,000 iterations at most
- random forest: numbers as they are (it takes missing values), categories as ordinal codes
- histogram gradient boosting: the same, columns of up to 255 levels declared categorical
- CatBoost (--catboost, `pip install '.[catboost]'`): numbers as they are, categories declared
- dummy: the class shares

    OMP_NUM_THREADS=1 python benchmarks/zero_shot_quality.py --checkpoints tabgen-nano tabgen-small --catboost
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tabgen.environment import provenance
from tabgen.errors import Unsupported
from tabgen.experiment import find_suite
from tabgen.metrics import log_loss, roc_auc
from tabgen.models import DEFAULT_MODEL
from tabgen.models.base import FoundationModel
from tabgen.plugins import PluginChoice, find_model, load_plugins
from tabgen.splits import split
from tabgen.table import Table

MAX_TEST_ROWS = 1000
MAX_CATEGORIES = 255
"""What scikit-learn's histogram gradient boosting takes as a category."""

Matrix = np.ndarray[Any, Any]
Predict = Callable[[Table, Table], Matrix]
"""(context, test rows) -> class probabilities (test rows, classes)."""


def codes(table: Table) -> tuple[Matrix, list[bool]]:
    """Features as float64 with NaN for missing values, categories as codes; and which columns are categories."""
    discrete = [column.is_discrete for column in table.schema.columns]
    columns = [
        table.frame[c.name].cat.codes.astype(float).replace(-1.0, np.nan) if c.is_discrete else table.frame[c.name]
        for c in table.schema.columns
    ]
    return np.column_stack([column.to_numpy(dtype=np.float64) for column in columns]), discrete


def fitted(make: Callable[[list[bool], Matrix], Any]) -> Predict:
    """Fit what ``make(which columns are categories, context)`` returns and predict; absent classes get 0."""

    def predict(context: Table, test: Table) -> Matrix:
        x, discrete = codes(context)
        model = make(discrete, x).fit(x, context.labels)
        full = np.zeros((len(test), len(context.schema.classes)))
        full[:, model.classes_] = model.predict_proba(codes(test)[0])
        return full

    return predict


def logistic_regression(discrete: list[bool], x: Matrix) -> Any:
    # a column without any context value has no median and nothing to say
    numbers = [i for i, d in enumerate(discrete) if not d and not np.isnan(x[:, i]).all()]
    categories = [i for i, d in enumerate(discrete) if d]
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
            (
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value=-1.0), OneHotEncoder(handle_unknown="ignore")
                ),
                categories,
            ),
        ),
        LogisticRegression(max_iter=1000, random_state=0),
    )


def gradient_boosting(discrete: list[bool], x: Matrix) -> Any:
    categorical = [d and not np.nanmax(x[:, i], initial=0) >= MAX_CATEGORIES for i, d in enumerate(discrete)]
    return HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)


def catboost(discrete: list[bool], _: Matrix) -> Any:
    from catboost import CatBoostClassifier

    categories = [i for i, d in enumerate(discrete) if d]

    class Categorical(CatBoostClassifier):  # type: ignore[misc]
        """Takes the codes of categories as text, which is what CatBoost wants of a category."""

        def _text(self, x: Matrix) -> pd.DataFrame:
            return pd.DataFrame(x).astype(dict.fromkeys(categories, str))

        def fit(self, x: Matrix, y: Matrix) -> Any:
            return super().fit(self._text(x), y)

        def predict_proba(self, x: Matrix) -> Any:
            return super().predict_proba(self._text(x))

    return Categorical(cat_features=categories, verbose=0, thread_count=1, random_seed=0, allow_writing_files=False)


BASELINES: dict[str, Callable[[list[bool], Matrix], Any]] = {
    "logistic-regression": logistic_regression,
    "random-forest": lambda discrete, x: RandomForestClassifier(random_state=0),
    "hist-gradient-boosting": gradient_boosting,
    "dummy": lambda discrete, x: DummyClassifier(),
}


def in_context(model: FoundationModel) -> Predict:
    def predict(context: Table, test: Table) -> Matrix:
        encoder = model.encoder(context)
        y = torch.from_numpy(context.labels)
        x, n_classes = encoder.encode(test), len(context.schema.classes)
        return model.predict(encoder.encode(context), y, x, n_classes, encoder.levels)

    return predict


def measure(table: Table, models: dict[str, Predict], folds: int, max_train_rows: int, seed: int) -> dict[str, Any]:
    """Mean ROC-AUC, log-loss and seconds over the folds of one table, by model; None where a model does not take it."""
    auc: dict[str, list[float]] = {name: [] for name in models}
    loss: dict[str, list[float]] = {name: [] for name in models}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    refused: dict[str, str] = {}
    rows = []
    for fold in range(folds):
        # split() adds a quarter of train as validation rows: 4/5 + 1/5 of the limit
        parts = split(table.labels, fold, folds, seed, max_train_rows * 4 // 5, MAX_TEST_ROWS)
        context = table.take(np.sort(np.concatenate([parts.train, parts.validation]))).observed()
        test = table.take(parts.test)
        test = Table(recoded(test, context), context.schema)
        rows.append(len(context))
        for name, predict in models.items():
            began = time.perf_counter()
            try:
                probabilities = predict(context, test)
            except Unsupported as error:
                refused[name] = str(error)
                continue
            seconds[name].append(time.perf_counter() - began)
            auc[name].append(roc_auc(test.labels, probabilities))
            loss[name].append(log_loss(test.labels, probabilities))
    columns = table.schema.columns
    return {
        "rows": len(table),
        "context_rows": int(np.mean(rows)),
        "columns": len(columns),
        "classes": len(table.schema.classes),
        "categorical_share": sum(c.is_discrete for c in columns) / len(columns),
        "auc": _means(auc),
        "log_loss": _means(loss),
        "seconds": _means(seconds),
        "refused": refused,
    }


def _means(folds: dict[str, list[float]]) -> dict[str, float | None]:
    return {name: float(np.mean(values)) if values else None for name, values in folds.items()}


def recoded(test: Table, context: Table) -> pd.DataFrame:
    """The test rows with the context's levels; a level the context lacks becomes missing."""
    frame = test.frame.copy()
    for column in context.schema.columns:
        if column.is_discrete:
            frame[column.name] = frame[column.name].cat.set_categories(context.frame[column.name].cat.categories)
    return frame


GROUPS: dict[str, tuple[str, list[tuple[str, float]]]] = {
    "context rows": ("context_rows", [("below 300", 300), ("300 - 799", 800), ("800 and more", np.inf)]),
    "columns": ("columns", [("up to 10", 11), ("11 - 29", 30), ("30 and more", np.inf)]),
    "classes": ("classes", [("2", 3), ("3 - 4", 5), ("5 and more", np.inf)]),
    "categorical": ("categorical_share", [("none", 1e-9), ("up to half", 0.5 + 1e-9), ("more than half", np.inf)]),
}
"""Title -> the fact that groups tables, and the groups: label and upper end, not included."""


def means(tables: list[dict[str, Any]], models: list[str], score: str = "auc") -> dict[str, float]:
    """Mean of a score over the tables that every model takes."""
    scored = [t[score] for t in tables if all(t["auc"][name] is not None for name in models)]
    return {name: float(np.mean([each[name] for each in scored])) if scored else float("nan") for name in models}


def show(result: dict[str, Any]) -> None:
    models, tables = list(result["mean"]), result["tables"]
    print("| table | rows | columns | classes | categorical | " + " | ".join(models) + " |")
    print("|---|---|---|---|---|" + "---|" * len(models))
    for name, t in tables.items():
        scores = " | ".join("–" if t["auc"][m] is None else f"{t['auc'][m]:.3f}" for m in models)
        print(f"| {name} | {t['rows']} | {t['columns']} | {t['classes']} | {t['categorical_share']:.0%} | {scores} |")
    print("| **mean** | | | | | " + " | ".join(f"**{result['mean'][m]:.4f}**" for m in models) + " |")
    print("| **mean log-loss** | | | | | " + " | ".join(f"**{result['mean_log_loss'][m]:.4f}**" for m in models) + " |")
    print("| seconds a fold | | | | | " + " | ".join(f"{result['mean_seconds'][m]:.2f}" for m in models) + " |")
    print("\n| tables | count | " + " | ".join(models) + " |\n|---|---|" + "---|" * len(models))
    for title, (fact, groups) in GROUPS.items():
        low = -np.inf
        for label, high in groups:
            members = [t for t in tables.values() if low <= t[fact] < high]
            low = high
            if members:
                scores = " | ".join(f"{v:.3f}" for v in means(members, models).values())
                print(f"| {title}: {label} | {len(members)} | {scores} |")
    for name in models:
        if name != "dummy":
            print(f"\n{name}: below the dummy on {', '.join(result['below_dummy'][name]) or 'no table'}", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="core", help="a suite's name, or a folder with a manifest.json")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument(
        "--checkpoints", nargs="+", default=[DEFAULT_MODEL], help="models' names, or checkpoints' folders"
    )
    parser.add_argument("--max-train-rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--catboost", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(1)
    plugins = load_plugins(PluginChoice(external=False))
    infos = {name: find_model(name, plugins) for name in options.checkpoints}
    models = {name: in_context(info.load("cpu")) for name, info in infos.items()}
    models |= {name: fitted(make) for name, make in BASELINES.items()}
    if options.catboost:
        models["catboost"] = fitted(catboost)
    tables: dict[str, dict[str, Any]] = {}
    for dataset in find_suite(options.suite, plugins).datasets:
        tables[dataset.name] = measure(dataset.load(), models, options.folds, options.max_train_rows, options.seed)
        print(f"{dataset.name}: {tables[dataset.name]['auc']}", file=sys.stderr, flush=True)
    all_tables, names = list(tables.values()), list(models)
    result = {
        "settings": vars(options),
        "checkpoint_sha256": {name: info.fingerprint() for name, info in infos.items()},
        "provenance": provenance(),
        "mean": means(all_tables, names),
        "mean_log_loss": means(all_tables, names, "log_loss"),
        "mean_seconds": {
            n: float(np.mean([t["seconds"][n] for t in all_tables if t["seconds"][n] is not None])) for n in names
        },
        "below_dummy": {
            n: [name for name, t in tables.items() if t["auc"][n] is not None and t["auc"][n] < t["auc"]["dummy"]]
            for n in names
        },
        "tables": tables,
    }
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)


if __name__ == "__main__":
    main()
