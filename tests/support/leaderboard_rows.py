"""Rows of outcomes for the leaderboard's tests: made up, but whole, with true keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tabgen.datasets import quick_datasets
from tabgen.models.recipes import RECIPES
from tabgen.outcome import CELL_FIELDS, PROTOCOL_VERSION, Cell, Outcome, key_of
from tabgen.store import Store

METRICS = ("roc_auc", "log_loss")
METHODS = ("zero-shot", "real", "bootstrap", "jitter", "jitter@augment")
EVIL = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">\'"&'
PROVENANCE = {
    "tabgen": "0.1.0",
    "python": "3.11.7",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "pandas": "2.3.3",
    "scikit-learn": "1.9.1",
    "commit": None,
    "dirty": None,
    "platform": "Linux x86_64",
    "processor": "a processor",
    "cores": 2,
}


WORTH = {
    "context_test_roc_auc": 0.7,
    "curve_worth_rows": [10, 100, 200],
    "curve_worth_score": [0.6, 0.7, 0.8],
    "worth_context_rows": 100.0,
    "worth_context_censored": 0,
}
"""What a row says of worth, and what that is read off."""


def make_rows(
    methods: tuple[str, ...] = METHODS, datasets: int = 6, folds: int = 2, seed: int = 0, suite: str = "quick"
) -> list[dict[str, Any]]:
    """A whole grid of ``ok`` rows; the first six datasets are the quick suite's own, the others made up."""
    rng = np.random.default_rng(seed)
    known = quick_datasets()
    rows = []
    for number in range(datasets):
        name = known[number].name if number < len(known) else f"table-{number:03d}"
        sha256 = known[number].sha256 if number < len(known) else f"{number:064x}"
        target = known[number].target if number < len(known) else "y"
        kinds = known[number].kinds if number < len(known) else {}
        for fold in range(folds):
            base = {"roc_auc": rng.uniform(0.7, 0.9), "log_loss": rng.uniform(0.3, 0.6)}
            for place, method in enumerate(methods):
                rows.append(make_row(rng, base, place, method, name, sha256, target, kinds, fold, folds, suite))
    return rows


def make_row(
    rng: np.random.Generator,
    base: dict[str, float],
    place: int,
    method: str,
    name: str,
    sha256: str | None,
    target: str,
    kinds: dict[str, Any],
    fold: int,
    folds: int,
    suite: str,
) -> dict[str, Any]:
    baseline = method in ("zero-shot", "real")
    generator = None if baseline else method.partition("@")[0].partition(":")[0]
    mixing = {"zero-shot": "none", "real": "real"}.get(method, "augment" if "@augment" in method else "replace")
    row: dict[str, Any] = {
        "suite": suite,
        "dataset": name,
        "target": target,
        "sha256": sha256,
        "kinds": kinds,
        "fold": fold,
        "n_folds": folds,
        "seed": 0,
        "max_train_rows": 1000,
        "max_test_rows": 1000,
        "method": method,
        "generator": generator,
        "rows_of": generator,
        "rows_sha256": None,
        "tune": None,
        "plugin": None if baseline else "tabgen.references",
        "plugin_version": None if baseline else "0.1.0",
        "mixing": mixing,
        "settings": {"noise": 0.1} if generator == "jitter" else {},
        "ratio": float(method.partition("ratio=")[2] or 1.0),
        "model": "tabgen-nano",
        "checkpoint": "0" * 64,
        "model_plugin_version": None,
        "recipe": RECIPES["nano"].to_dict(),
        "limits": {"seconds": 600.0, "memory_mb": 6000.0},
        "environment": None,
        "draw": 0,
        "tuning_seeds": 1,
        "arms": ["fine-tune"],
        "text": "nearest",
        "reading": {},
        "fidelity": True,
        "protocol": PROTOCOL_VERSION,
        "status": "ok",
        "reason": "",
        "log_tail": "",
        "split_hash": f"{name}-{fold}",
        "n_train": 200,
        "n_validation": 50,
        "n_test": 100,
        "seconds_fit": round(float(rng.uniform(0, 1)), 4),
        "seconds_finetune": round(float(rng.uniform(3, 9)), 4),
        "seconds_total": 12.0 + place,
        "peak_memory_mb": 400.0,
        "fidelity_detection_auc": None if baseline else float(rng.uniform(0.5, 0.9)),
        "provenance": PROVENANCE,
    }
    for metric, score in base.items():
        for part, shift in (("validation", 0.004), ("test", 0.0)):
            gain = 0.0 if method == "zero-shot" else float(np.round(rng.normal(0.004 * (place - 2), 0.01), 4)) + shift
            row[f"zero_shot_{part}_{metric}"] = score
            row[f"tuned_{part}_{metric}"] = score + (gain if metric == "roc_auc" else -gain)
    return with_key(row)


def made_row() -> dict[str, Any]:
    """The least that is a row."""
    row = make_row(np.random.default_rng(0), {}, 0, "real", "d", "0" * 64, "y", {}, 0, 2, "made")
    return {name: row[name] for name in (*CELL_FIELDS, "status", "provenance") if name in row} | {"method": "m"}


def with_key(row: dict[str, Any]) -> dict[str, Any]:
    """The row under the key of its content."""
    row = {"key": "", **row}
    return row | {"key": key_of(Cell.from_dict(row))}


def fail(row: dict[str, Any], status: str = "error", reason: str = "ValueError: no") -> None:
    """Turn an ``ok`` row into one of a cell that failed."""
    row |= {"status": status, "reason": reason, "log_tail": "Traceback ..."}
    for name in [name for name in row if name.startswith("tuned_")]:
        del row[name]


def store_rows(rows: list[dict[str, Any]], folder: Path) -> Path:
    with Store(folder, write=True) as store:
        for row in rows:
            store.add(Outcome.from_dict(row))
    return folder
