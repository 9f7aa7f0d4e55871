"""Rows in the schema of Every Eval Ever (EvalEval Coalition), version 0.3.0: one file for each model and method."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd

from tabgen.arms import ARMS
from tabgen.comparable import pools
from tabgen.errors import DataError
from tabgen.plugins import Plugins

SCHEMA_VERSION = "0.3.0"
NO_CODE = "none"
"""What stands for the version of a model's plugin where there is none."""
STAGES = {"zero_shot": "zero-shot", **{arm.stage: arm.name for arm in ARMS.values()}}


def write_evaluations(
    rows: Sequence[dict[str, Any]], folder: Path, plugins: Plugins, organization: str, now: float
) -> list[Path]:
    """Write ``<developer>/<model>/<hash>.json`` for every foundation model with every method; returns the files.

    A result is the mean test score of one metric in one use of the rows on one dataset, over its cells that ended
    ``ok``, with their spread. What may not be ranked together (:mod:`tabgen.comparable`) has files of its own. Metrics
    whose direction and bounds nobody registered are left out.

    Parameters
    ----------
    organization : str
        Who ran the evaluation.
    now : float
        Unix time that stands in the files.

    Raises
    ------
    DataError
        If no row has a score, or a file would be overwritten.
    """
    records = [_record(group, plugins, organization, now) for group in _groups(rows)]
    records = [record for record in records if record["evaluation_results"]]
    if not records:
        raise DataError("no row has a score to export.")
    files = list[Path]()
    for record in records:
        told = [record["model_info"]["additional_details"], record["evaluation_results"]]
        name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
        record["evaluation_id"] += f"/{name[:8]}"
        content = json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n"
        path = folder / record["model_info"]["id"] / f"{name}.json"
        if path in files:  # what needs no recipe is in the pool of each
            continue
        if path.exists():
            raise DataError(f"{path} is there already; name a new folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        files.append(path)
    return files


def _groups(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows that ended ``ok`` of one method in one pool each, under the names that tell them apart there."""
    ended = [row for row in rows if row["status"] == "ok"]
    found = []
    for pool in pools(pd.DataFrame(ended)) if ended else ():
        for _, mine in pool.outcomes.groupby("method", sort=True):
            names = zip(mine.index, mine["method"], mine["dataset"], strict=True)
            found.append([ended[i] | {"method": method, "dataset": dataset} for i, method, dataset in names])
    return found


def _record(rows: list[dict[str, Any]], plugins: Plugins, organization: str, now: float) -> dict[str, Any]:
    first = rows[0]
    versions = sorted({str((row.get("provenance") or {}).get("tabgen", "unknown")) for row in rows})
    identity = f"tabgen/{_slug(first['model'])}-{_slug(first['method'])}"
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"tabgen/{identity.replace('/', '_')}/{now:.0f}",
        "retrieved_timestamp": f"{now:.0f}",
        "source_metadata": {
            "source_name": "tabgen",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "third_party",
        },
        "eval_library": {
            "name": "tabgen",
            "version": versions[0] if len(versions) == 1 else "unknown",
            "additional_details": {"protocol": str(first["protocol"]), "versions": ", ".join(versions)},
        },
        "model_info": {
            "name": f"{first['model']} with rows of {first['method']}",
            "id": identity,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                "foundation_model": first["model"],
                "checkpoint": first["checkpoint"],
                "model_plugin_version": first.get("model_plugin_version") or NO_CODE,
                "method": first["method"],
                "generator": first["generator"] or "none",
                "plugin_version": first["plugin_version"] or "none",
                "recipe": json.dumps(first["recipe"], sort_keys=True),
            },
        },
        "evaluation_results": _results(rows, plugins),
    }


def _results(rows: list[dict[str, Any]], plugins: Plugins) -> list[dict[str, Any]]:
    """One for every dataset, use and metric, in a fixed order."""
    scores: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    of_dataset: dict[str, dict[str, Any]] = {}
    for row in rows:
        of_dataset[row["dataset"]] = row
        for stage, use in STAGES.items():
            for name in plugins.metrics:
                value = row.get(f"{stage}_test_{name}")
                if isinstance(value, int | float):
                    scores[row["dataset"], use, name].append(float(value))
    found = []
    for (dataset, use, name), values in sorted(scores.items()):
        known = plugins.metrics[name]
        low, high = known.bounds
        if not (abs(low) < float("inf") and abs(high) < float("inf")):
            continue
        row = of_dataset[dataset]
        sha256, cap = str(row["sha256"]), "none" if row["max_train_rows"] is None else str(row["max_train_rows"])
        spread = {"standard_deviation": stdev(values), "num_samples": len(values)} if len(values) > 1 else {}
        found.append(
            {
                "evaluation_name": f"{dataset}/{use}/{name}",
                "source_data": {
                    "dataset_name": dataset,
                    "source_type": "other",
                    "additional_details": {"suite": row["suite"], "sha256": sha256, "target": row["target"]},
                },
                "metric_config": {
                    "evaluation_description": f"{known.summary}; use of the synthetic rows: {use}",
                    "lower_is_better": not known.higher_is_better,
                    "score_type": "continuous",
                    "min_score": low,
                    "max_score": high,
                },
                "score_details": {
                    "score": mean(values),
                    "details": {"cells": str(len(values)), "folds": str(row["n_folds"]), "max_train_rows": cap},
                }
                | ({"uncertainty": spread} if spread else {}),
            }
        )
    return found


def _slug(text: str) -> str:
    """A name as a folder: letters, digits, dots and dashes; a hash keeps apart what that makes equal."""
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:80]
    return slug if slug == text else f"{slug or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
