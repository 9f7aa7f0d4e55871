"""Draw a pre-training run from its log: held-out ROC-AUC against steps, beside a random forest.

Of several logs, each of a run that started from the one before, the steps are counted on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tabgen.figures import method_styles, save


def read_log(path: Path) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The forest's scores and the reports by step; of a step that was repeated after a stop, the last one."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    forest = next(entry["random_forest"] for entry in entries if "random_forest" in entry)
    reports = {entry["step"]: entry for entry in entries if "auc" in entry}
    return forest, [reports[step] for step in sorted(reports)]


def joined(paths: list[Path]) -> tuple[dict[str, float], list[dict[str, Any]], list[int]]:
    """All logs as one, with what all of their reports score, and the steps at which another begins."""
    logs = [read_log(path) for path in paths]
    reports: list[dict[str, Any]] = []
    begins = []
    for _, of_log in logs:
        begins.append(reports[-1]["step"] if reports else 0)
        reports += [{**report, "step": begins[-1] + report["step"]} for report in of_log]
    everywhere = set.intersection(*(set(report["auc"]) for report in reports))
    return {name: score for name, score in logs[-1][0].items() if name in everywhere}, reports, begins[1:]


def draw(forest: dict[str, float], reports: list[dict[str, Any]], begins: list[int]) -> Figure:
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, style in method_styles(forest).items():
        axes.plot(
            [r["step"] for r in reports], [r["auc"][name] for r in reports],
            color=style.colour, marker=style.marker, markersize=4, label=name,
        )  # fmt: skip
        axes.axhline(forest[name], color=style.colour, linestyle=":", linewidth=1.2)
    for step in begins:
        axes.axvline(step, color="0.6", linewidth=0.8)
    axes.set_xlabel("steps")
    axes.set_ylabel("mean ROC-AUC on held-out tasks")
    axes.set_title("Pre-training; dotted: a random forest on the same tasks", fontsize=10)
    figure.legend(frameon=False, fontsize=9, loc="outside right center")
    axes.grid(alpha=0.25)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path, nargs="+", help="log.jsonl of `tabgen pretrain` folders, in order")
    parser.add_argument("-o", "--output", type=Path, required=True, help="figure to write: .svg or .png")
    options = parser.parse_args()
    save(draw(*joined(options.logs)), options.output)
    print(options.output)


if __name__ == "__main__":
    main()
