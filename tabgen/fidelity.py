"""How close synthetic rows are to the real ones, and whether too close: beside utility, for every sample."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from tabgen.table import Schema, Table

MAX_ROWS = 300
"""Rows of each table that are compared; more are drawn down to this many."""
MAX_COLUMNS = 12
"""Feature columns of the pair trends, which cost their square, and of the distances: the first ones."""
PRELOAD = ("sdmetrics.reports", "sdmetrics.single_table")


def available() -> bool:
    """Whether SDMetrics is installed (the extra ``fidelity``)."""
    return find_spec("sdmetrics") is not None


def fidelity(train: Table, holdout: Table | None, sample: Table, seed: int) -> dict[str, float]:
    """Compare a sample with the rows its generator was fitted on and with real rows it never saw.

    Parameters
    ----------
    train, holdout, sample : Table
        ``sample`` may lack feature columns; the comparison is then on those it has. Without a hold-out (None)
        there is no ``closer_to_train``.
    seed : int
        Of the draws that cap the tables' rows.

    Returns
    -------
    dict of float
        Their names begin with ``fidelity_`` and ``privacy_``:

        - ``column_shapes``, ``pair_trends``: SDMetrics' quality properties, 0 to 1, higher is closer.
        - ``detection_auc``: ROC-AUC of a random forest that tells real from synthetic, 3-fold cross-validated;
          0.5 cannot be told apart; below it, exact copies of training rows sit in the other folds.
        - ``exact_copies``: share of sampled rows equal to a training row in every feature and the target, numbers as
          float32.
        - ``copied_texts``: of columns of free text, the share of sampled texts that stand in a training row as well.
        - ``closer_to_train``: share of sampled rows whose closest real row is a training row rather than a hold-out
          row, with as many of each (SDMetrics' distance to closest record); well above 0.5 tells of memory.
        - ``rows``, ``columns``: how many were compared, after the caps; copies and detection see every column.
    """
    rng = np.random.default_rng(seed)
    schema = sample.schema
    known = {"train": train, "holdout": holdout, "sample": sample}
    capped = {name: _cap(table, rng) for name, table in known.items() if table is not None}
    tables = {name: _plain(table, schema) for name, table in capped.items()}
    compared = [*schema.names, schema.target]
    same = np.isin(capped["sample"].row_hashes(compared), train.row_hashes(compared))
    shapes, trends = _quality(tables["train"], tables["sample"], schema)
    closer = {} if holdout is None else {"privacy_closer_to_train": _closer_to_train(tables, schema, rng)}
    return {
        "fidelity_column_shapes": shapes,
        "fidelity_pair_trends": trends,
        "fidelity_detection_auc": _detection_auc(tables["train"], tables["sample"], schema, seed),
        "privacy_exact_copies": float(np.mean(same)),
        **_copied_texts(train, sample),
        **closer,
        "fidelity_rows": float(min(len(tables["train"]), len(tables["sample"]))),
        "fidelity_columns": float(min(len(schema.columns), MAX_COLUMNS)),
    }


def _cap(table: Table, rng: np.random.Generator) -> Table:
    return table if len(table) <= MAX_ROWS else table.take(np.sort(rng.permutation(len(table))[:MAX_ROWS]))


def _plain(table: Table, schema: Schema) -> pd.DataFrame:
    """The columns of ``schema`` with levels as text and times as seconds, as SDMetrics wants them."""
    frame = table.frame[[*schema.names, schema.target]]
    discrete = [c.name for c in schema.columns if c.is_discrete] + [schema.target]
    times = {c.name: _seconds(frame[c.name]) for c in schema.columns if c.kind == "datetime"}
    frame = frame.assign(**times)
    return frame.assign(**{n: frame[n].astype(object).map(str, na_action="ignore") for n in discrete})


def _seconds(times: pd.Series[Any]) -> pd.Series[Any]:
    seconds: pd.Series[Any] = (times - pd.Timestamp(0).as_unit("us")).dt.total_seconds()
    return seconds


def _metadata(schema: Schema, names: list[str]) -> dict[str, Any]:
    kinds = {c.name: "categorical" if c.is_discrete else "numerical" for c in schema.columns}
    kinds[schema.target] = "categorical"
    return {"tables": {"table": {"columns": {name: {"sdtype": kinds[name]} for name in names}}}}


def _compared(schema: Schema) -> list[str]:
    """All but free text: the first columns, and the target."""
    names = _without_text(schema)
    return [*names[:-1][:MAX_COLUMNS], schema.target]


def _without_text(schema: Schema) -> list[str]:
    return [*(c.name for c in schema.columns if c.kind != "text"), schema.target]


def _copied_texts(train: Table, sample: Table) -> dict[str, float]:
    """Share of the sample's texts that stand in a training row as well; nothing where there is no text."""
    names = [c.name for c in sample.schema.columns if c.kind == "text"]
    shares = [sample.frame[name].dropna().isin(set(train.frame[name].dropna())).mean() for name in names]
    known = [float(share) for share in shares if share == share]
    return {"privacy_copied_texts": float(np.mean(known))} if known else {}


def _quality(train: pd.DataFrame, sample: pd.DataFrame, schema: Schema) -> tuple[float, float]:
    from sdmetrics.reports import QualityReport

    names = _compared(schema)
    report = QualityReport()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant columns have no correlation: SDMetrics warns for each pair
        report.generate({"table": train[names]}, {"table": sample[names]}, _metadata(schema, names), verbose=False)
    scores = report.get_properties().set_index("Property")["Score"]
    return float(scores["Column Shapes"]), float(scores["Column Pair Trends"])


def _closer_to_train(tables: dict[str, pd.DataFrame], schema: Schema, rng: np.random.Generator) -> float:
    from sdmetrics.single_table import DCROverfittingProtection

    names = _compared(schema)
    size = min(len(tables["train"]), len(tables["holdout"]))
    train, holdout = (
        tables[name][names].iloc[np.sort(rng.permutation(len(tables[name]))[:size])].reset_index(drop=True)
        for name in ("train", "holdout")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = DCROverfittingProtection.compute_breakdown(
            train, tables["sample"][names], holdout, _metadata(schema, names), "table"
        )
    return float(shares["synthetic_data_percentages"]["closer_to_training"])


def _detection_auc(train: pd.DataFrame, sample: pd.DataFrame, schema: Schema, seed: int) -> float:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    both = pd.concat([train, sample], ignore_index=True)[_without_text(schema)]
    codes = both.apply(lambda c: pd.Series(pd.factorize(c, sort=True)[0]) if c.dtype == object else c.fillna(-1e9))
    real = np.repeat([0, 1], [len(train), len(sample)])
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    forest = RandomForestClassifier(50, random_state=seed)
    chance = cross_val_predict(forest, codes.to_numpy(dtype=np.float64), real, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(real, chance))
