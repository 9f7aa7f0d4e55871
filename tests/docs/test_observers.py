"""The observers of docs/examples, offline, where their packages are installed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from leaderboard_rows import make_rows
from paths import ROOT

from tabgen.outcome import Outcome
from tabgen.plugins import PluginChoice, load_plugins

pytestmark = pytest.mark.filterwarnings("ignore")


def observed(name: str) -> list[dict[str, Any]]:
    """Tell the example of two outcomes, one of them with a score that is not finite; the rows it was told of."""
    plugins = load_plugins(PluginChoice((str(ROOT / "docs" / "examples" / name),), external=False))
    rows = make_rows(("jitter",), 2, 1)
    rows[1] |= {"status": "error", "reason": "ValueError: x", "tuned_test_log_loss": math.inf}
    for row in rows:
        plugins.manager.hook.tabgen_cell_finished(outcome=Outcome.from_dict(row))
    return rows


def test_mlflow_gets_a_run_for_every_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    rows = observed("mlflow_observer.py")
    experiment = mlflow.get_experiment_by_name("tabgen/quick")
    runs = {
        run.data.params["dataset"]: run.data for run in mlflow.MlflowClient().search_runs([experiment.experiment_id])
    }
    assert set(runs) == {row["dataset"] for row in rows}
    first, second = (runs[row["dataset"]] for row in rows)
    assert first.metrics["tuned_test_roc_auc"] == pytest.approx(rows[0]["tuned_test_roc_auc"])
    assert (first.tags["status"], second.tags["status"], second.tags["reason"]) == ("ok", "error", "ValueError: x")
    assert "tuned_test_log_loss" not in second.metrics


def test_wandb_gets_a_step_for_every_cell_and_stays_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="pip install wandb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    rows = observed("wandb_observer.py")
    assert wandb.run.offline
    assert wandb.run.step == len(rows)
    assert wandb.run.summary["jitter/tuned_test_roc_auc"] == pytest.approx(rows[1]["tuned_test_roc_auc"])
    wandb.finish()
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
