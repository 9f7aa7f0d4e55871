"""What free text is worth: zero-shot scores of the suite `text` with its texts and without them.

    python benchmarks/text_columns.py [--model tabgen-nano] [--rows 300] [--folds 5]

Prints a table for docs/tables.md; `--model tabgen-nano-sentences` reads the texts by a sentence encoder.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import torch

from tabgen.datasets import Dataset, text_datasets
from tabgen.metrics import roc_auc
from tabgen.models.base import FoundationModel
from tabgen.plugins import PluginChoice, find_model, get_plugins
from tabgen.splits import split


def score(dataset: Dataset, model: FoundationModel, folds: int, rows: int) -> list[float]:
    """Test ROC-AUC of each fold."""
    table = dataset.load()
    scores = []
    for fold in range(folds):
        parts = split(table.labels, fold, folds, 0, rows, rows)
        train, test = table.take(parts.train).observed(), table.take(parts.test)
        encoder = model.encoder(train)
        y, n_classes = torch.from_numpy(train.labels), len(table.schema.classes)
        chances = model.predict(encoder.encode(train), y, encoder.encode(test), n_classes, encoder.levels)
        scores.append(roc_auc(test.labels, chances))
    return scores


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", default="tabgen-nano")
    arguments.add_argument("--rows", type=int, default=300)
    arguments.add_argument("--folds", type=int, default=5)
    given = arguments.parse_args()
    model = find_model(given.model, get_plugins(PluginChoice(external=False))).load("cpu")
    print("| table | without text | with text | difference | folds won |\n|---|--:|--:|--:|--:|")
    for dataset in text_datasets():
        texts = [name for name, kind in dataset.kinds.items() if kind == "text"]
        left_out = replace(dataset, kinds={**dataset.kinds, **dict.fromkeys(texts, "drop")})
        without, with_text = (np.array(score(d, model, given.folds, given.rows)) for d in (left_out, dataset))
        gain = with_text - without
        print(
            f"| `{dataset.name}` | {without.mean():.3f} | {with_text.mean():.3f} | {gain.mean():+.3f} |"
            f" {int((gain > 0).sum())} of {given.folds} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
