"""Checks of the stored suite: it is what a fresh build gives, and no column of a table leaks its target."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .build import read_manifest, write_suite


def check(folder: Path) -> list[str]:
    """Differences in content between `folder` and a fresh build; hashes may differ with another pyarrow."""
    with tempfile.TemporaryDirectory() as temporary:
        fresh = {entry["name"]: entry for entry in write_suite(Path(temporary))}
        stored = {entry["name"]: entry for entry in read_manifest(folder)}
        differences = [f"{name}: in only one of the two suites" for name in sorted(set(fresh) ^ set(stored))]
        for name in sorted(set(fresh) & set(stored)):
            fields = [key for key in fresh[name] if key != "sha256" and fresh[name][key] != stored[name].get(key)]
            differences.extend(f"{name}: the manifest differs in '{key}'" for key in fields)
            table, other = (pq.read_table(root / fresh[name]["file"]) for root in (Path(temporary), folder))
            if not table.equals(other):
                differences.append(f"{name}: the tables differ")
            if fresh[name]["sha256"] != stored[name]["sha256"]:
                print(f"{name}: same content may have another hash under pyarrow {pa.__version__}", file=sys.stderr)
    return differences


def encode(frame: pd.DataFrame, kinds: Mapping[str, str]) -> np.ndarray:
    """Features as floats, NaN where missing; categories become codes in alphabetical order."""
    columns = []
    for column, kind in kinds.items():
        values = frame[column]
        if kind == "categorical":
            codes, _ = pd.factorize(values, sort=True)
            columns.append(np.where(codes < 0, np.nan, codes.astype(float)))
        else:
            columns.append(pd.to_numeric(values.astype(object), errors="coerce").to_numpy(dtype=float))
    return np.column_stack(columns)


def cross_validated_auc(model: Any, features: np.ndarray, labels: np.ndarray) -> float:
    """One-vs-rest ROC-AUC of out-of-fold probabilities, 3 stratified folds."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    if scores.shape[1] == 2:
        return float(roc_auc_score(labels, scores[:, 1]))
    return float(roc_auc_score(labels, scores, multi_class="ovr"))


def inspect(folder: Path) -> None:
    """Print, per table, the AUC of a random forest and of the best single column, to find leaks."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    print(f"{'table':24} {'rows':>6} {'feat':>4} {'cls':>3} {'RF AUC':>7} {'best':>6} {'repeated':>8}  best column")
    for entry in read_manifest(folder):
        frame = pq.read_table(folder / entry["file"]).to_pandas()
        features = encode(frame, entry["kinds"])
        labels = pd.factorize(frame[entry["target"]], sort=True)[0]
        forest = cross_validated_auc(RandomForestClassifier(random_state=0), features, labels)
        tree = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)
        single = [cross_validated_auc(tree, features[:, [index]], labels) for index in range(features.shape[1])]
        best = int(np.argmax(single))
        print(
            f"{entry['name']:24} {entry['rows']:6} {entry['features']:4} {entry['n_classes']:3} {forest:7.3f} "
            f"{single[best]:6.3f} {frame.duplicated().mean():8.1%}  {list(entry['kinds'])[best]}"
            f"{'  <- LEAK?' if single[best] > 0.97 else ''}{'  (quick)' if entry['quick'] else ''}",
            flush=True,
        )
