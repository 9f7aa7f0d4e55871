"""Missing values in synthetic rows: drawn for generators that cannot take them, not at all, or left out for all alike.

On tables outside the suites that miss values (benchmarks/outside.py says what to install): the synthetic rows stand in
place of the training rows as the model's context, and real test rows are predicted. ROC-AUC, mean over draws, for

- marked: rows miss values as rows of the same class do (`tabgen.missingness`, what tabgen does)
- complete: rows never miss anything, the test rows do
- left out: nothing misses anything, for the test rows and for the real context too: values are imputed for all

Recorded results: docs/write-a-generator.md.

    OMP_NUM_THREADS=1 python benchmarks/missing_marks.py
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tabgen import Table


def main() -> None:
    import torch
    from outside import outside

    from tabgen import FitContext
    from tabgen.metrics import roc_auc
    from tabgen.plugins import find_model, get_plugins
    from tabgen.sampling import draw_sample, fit_generator, impute
    from tabgen.splits import split

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="pbc,titanic,chile,biopsy", help="names of benchmarks/outside.py")
    parser.add_argument("--generators", nargs="+", default=["smote-nc", "mixed-model", "scm"])
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--model", default="tabgen-nano")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plugins = get_plugins()
    model = find_model(arguments.model, plugins).load("cpu")
    gathered: dict[str, list[list[float]]] = {}
    print("| table | context | marked | complete | left out |\n|---|---|---|---|---|")
    for name in arguments.tables.split(","):
        table = outside()[name]()
        parts = split(table.labels, 0, 3, 0, arguments.rows, 500)
        train, test = table.take(parts.train), table.take(parts.test)
        filled, _ = impute(table)
        known, held = filled.take(parts.train), filled.take(parts.test)
        n_classes = len(table.schema.classes)

        def score(context: Table, encoded_by: Table, predicted: Table) -> float:
            encoder = model.encoder(encoded_by)
            x = encoder.encode(predicted)
            y = torch.from_numpy(context.labels)
            chances = model.predict(encoder.encode(context), y, x, n_classes, encoder.levels)  # noqa: B023
            return roc_auc(predicted.labels, chances)

        real = score(train, train, test)
        print(f"| {name} | the training rows | {real:.3f} | {real:.3f} | {score(known, known, held):.3f} |", flush=True)
        for method in arguments.generators:
            generator = plugins.generators[method]()
            scores = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit_generator(generator, train, FitContext(seed=0))
                for seed in range(arguments.draws):
                    marked, plain = (
                        draw_sample(generator, train, len(train), seed, marks=marks) for marks in (True, False)
                    )
                    complete, _ = impute(plain)
                    scores.append([score(marked, train, test), score(plain, train, test), score(complete, known, held)])
            mean = np.mean(scores, axis=0)
            gathered.setdefault(method, []).append(list(mean))
            print(f"| {name} | {method} | {' | '.join(f'{m:.3f}' for m in mean)} |", flush=True)
    for method, rows in gathered.items():
        print(f"| mean | {method} | {' | '.join(f'{m:.3f}' for m in np.mean(rows, axis=0))} |")


if __name__ == "__main__":
    main()
