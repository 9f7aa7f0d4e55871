"""Tasks that are never trained on, by which the progress of a run is followed."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier

from tabgen.metrics import roc_auc
from tabgen.models.tab2d import Tab2D
from tabgen.pretrain.tasks import PRIORS, Batch, batch_of


class HeldOut:
    """Fixed tasks of every prior that are never trained on, with a random forest's ROC-AUC as the yardstick.

    Named ``prior/shape``; a prior's tasks do not depend on which others there are.
    """

    SHAPES: ClassVar[dict[str, tuple[int, int, int, int]]] = {
        "small": (150, 6, 2, 24),
        "classes": (300, 8, 5, 16),
        "large": (600, 15, 2, 12),
    }
    """Name -> rows, features, classes, tasks."""

    def __init__(self, priors: dict[str, float]) -> None:
        self.batches: dict[str, Batch] = {}
        for prior in priors:
            for number, (shape, (rows, features, classes, tasks)) in enumerate(self.SHAPES.items()):
                rng = np.random.default_rng([987_654_321, number])
                generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
                self.batches[f"{prior}/{shape}"] = batch_of(
                    PRIORS[prior], tasks, rows, features, classes, rng, generator
                )

    def forest(self) -> dict[str, float]:
        return {
            name: mean_auc(
                batch,
                [fitted_scores(RandomForestClassifier(random_state=0), batch, t) for t in range(len(batch.x_support))],
            )
            for name, batch in self.batches.items()
        }

    def model(self, model: Tab2D) -> dict[str, float]:
        out = {}
        device = next(model.parameters()).device
        with torch.no_grad():
            for name, kept in self.batches.items():
                batch = kept.to(device)
                logits = model(batch.x_support, batch.y_support, batch.x_query)[..., : batch.n_classes]
                out[name] = mean_auc(kept, list(logits.softmax(2).cpu().numpy()))
        return out


def fitted_scores(classifier: Any, batch: Batch, task: int = 0) -> np.ndarray[Any, Any]:
    """Class probabilities (q, c) of a task's query rows by a scikit-learn classifier, fitted on its support."""
    classifier.fit(batch.x_support[task].numpy(), batch.y_support[task].numpy())
    full = np.zeros((batch.x_query.shape[1], batch.n_classes))
    full[:, classifier.classes_] = classifier.predict_proba(batch.x_query[task].numpy())
    return full


def mean_auc(batch: Batch, scores: list[np.ndarray[Any, Any]]) -> float:
    """Mean over tasks of the one-vs-rest ROC-AUC over the classes that can be scored."""
    return float(np.nanmean([roc_auc(y, score) for y, score in zip(batch.y_query.numpy(), scores, strict=True)]))
