"""The probes of `benchmarks/probes.py`: their truth is the truth, and CatBoost's kept scores are of these tasks."""

from __future__ import annotations

import importlib
import json
from types import ModuleType

import numpy as np
import pytest
from paths import ROOT
from sklearn.linear_model import LogisticRegression

from tabgen.metrics import log_loss, roc_auc

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("probes")


def test_there_are_at_least_thirty_families_of_several_groups(probes: ModuleType) -> None:
    assert len(probes.FAMILIES) >= 30
    assert {family.group for family in probes.FAMILIES.values()} == {"sharp", "categories", "collinear", "smooth"}


def test_labels_are_drawn_from_the_true_probabilities(probes: ModuleType) -> None:
    """The excess of the log-loss over the entropy is nought on average, in every family."""
    for name in probes.FAMILIES:
        excess = []
        for seed in range(3):
            task = probes.make_task(name, seed)
            p = task.best
            assert p.shape == (len(task.test), len(task.test.schema.classes))
            np.testing.assert_allclose(p.sum(1), 1)
            true = p[np.arange(len(p)), task.test.labels]
            assert (true > 0).all(), name  # no label is impossible: classes and probabilities are in one order
            entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(1)
            excess += list(-np.log(true) - entropy)
        assert abs(np.mean(excess)) < 4 * np.std(excess) / len(excess) ** 0.5 + 1e-9, name


def test_a_task_is_a_function_of_its_family_and_seed(probes: ModuleType) -> None:
    first, again, other = (probes.make_task("30 levels", seed) for seed in (0, 0, 1))
    assert first.context.content_hash == again.context.content_hash
    assert first.context.content_hash != other.context.content_hash
    assert all(column.is_discrete for column in first.context.schema.columns)


def test_the_truth_beats_what_can_be_learned_and_what_is_hard_is_hard(probes: ModuleType) -> None:
    def means(name: str) -> np.ndarray:
        """Mean ROC-AUC and log-loss of a logistic regression, then of the truth."""
        found = []
        for task in (probes.make_task(name, seed) for seed in range(probes.SEEDS)):
            model = LogisticRegression(max_iter=1000).fit(task.context.features.to_numpy(), task.context.labels)
            learned, labels = model.predict_proba(task.test.features.to_numpy()), task.test.labels
            found.append([metric(labels, p) for p in (learned, task.best) for metric in (roc_auc, log_loss)])
        return np.asarray(np.mean(found, axis=0))

    learned, loss, best, least = means("linear")
    assert 0.85 < learned < best
    assert least < loss
    learned, _, best, _ = means("xor of 2 in 8")
    assert abs(learned - 0.5) < 0.05
    assert best == 1.0


def test_the_kept_scores_of_catboost_are_of_these_tasks(probes: ModuleType) -> None:
    kept = json.loads(probes.CACHE.read_text())
    assert set(kept) <= set(probes.FAMILIES)
    for name in list(kept)[::6]:
        tasks = [probes.make_task(name, seed) for seed in range(probes.SEEDS)]
        assert kept[name]["tasks"] == probes.digest(tasks), name
        assert set(kept[name]["scores"]) == set(probes.METRICS)
        assert probes.catboost_scores(name, tasks, kept, False) == kept[name]["scores"]
        assert probes.catboost_scores(name, tasks[1:], kept, False) is None
