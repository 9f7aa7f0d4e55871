"""Learning curves: the score by step of fine-tuning, and the loss by tasks of pre-training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from tabgen.figures.style import TEST, VALIDATION, canvas, method_styles, nothing_to_draw, short

if TYPE_CHECKING:
    from tabgen.pretrain.scaling import Curve


def learning_curves(outcomes: pd.DataFrame, *, methods: Sequence[str] | None = None, label: str = "score") -> Figure:
    """Median change of the score since step 0, over all `ok` cells, with quartiles; one panel per method.

    Parameters
    ----------
    outcomes : DataFrame
        Columns `method`, `status`, `curve_validation`, `curve_test`.
    methods : sequence of str, optional
        Which, and in which order; by default all that have a curve, by name.
    label : str
        What the curves measure, for the axis.

    Notes
    -----
    A run that stopped early keeps its last score for the remaining steps; leaving it out would let the median
    jump to the runs that go on because they improve.

    """
    usable = outcomes[(outcomes["status"] == "ok").to_numpy()]
    present = [
        _has_curve(left) and _has_curve(right)
        for left, right in zip(usable["curve_validation"], usable["curve_test"], strict=True)
    ]
    usable = usable[np.array(present, dtype=bool)]
    if methods is None:
        methods = sorted(str(name) for name in usable["method"].unique())
    if len(usable) == 0 or not methods:
        return nothing_to_draw("Learning curves", None)
    columns = min(4, len(methods))
    rows = -(-len(methods) // columns)
    figure = canvas(Figure(figsize=(max(6.0, 2.6 * columns + 0.6), 1.9 * rows + 1.0), layout="constrained"))
    panels: Any = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel, name in zip(panels.flat, methods, strict=False):
        cells = usable[(usable["method"] == name).to_numpy()]
        for column, colour, line in (("curve_validation", VALIDATION, "--"), ("curve_test", TEST, "-")):
            if len(cells) == 0:
                continue
            curves = _held_curves(cells[column].tolist())
            low, middle, high = np.nanquantile(curves - curves[:, :1], [0.25, 0.5, 0.75], axis=0)
            steps = np.arange(curves.shape[1])
            panel.fill_between(steps, low, high, color=colour, alpha=0.25, linewidth=0)
            panel.plot(steps, middle, color=colour, linestyle=line, linewidth=1.4)
        panel.axhline(0, color="black", linewidth=0.5)
        panel.set_title(f"{short(name)} ({len(cells):,} cells)", fontsize=8)
        panel.tick_params(labelsize=7)
    for position, panel in enumerate(panels.flat):
        panel.set_visible(position < len(methods))
        if position + columns >= len(methods):
            # The lowest panel of its column, wherever the last row ends.
            panel.tick_params(labelbottom=True)
            panel.set_xlabel("fine-tuning step", fontsize=8)
    handles = [
        Line2D([], [], color=VALIDATION, linestyle="--", label="validation"),
        Line2D([], [], color=TEST, linestyle="-", label="test"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    figure.supylabel(f"{label}: change since step 0", fontsize=9)
    title = "Learning curves: median and quartiles over cells\nruns that stopped early keep their last score"
    figure.suptitle(title, fontsize=10)
    return figure


def pretraining_curves(curves: Sequence[Curve]) -> Figure:
    """Mean log-loss against tasks seen; fitted power laws as lines."""
    picture = Figure(figsize=(8, 4.2), layout="constrained")
    axes = picture.subplots()
    styles = method_styles([curve.name for curve in curves])
    for curve in curves:
        tasks, style = np.array([point.tasks for point in curve.points]), styles[curve.name]
        means = [point.mean for point in curve.points]
        axes.plot(tasks, means, color=style.colour, marker=style.marker, linestyle="none", label=curve.name)
        if curve.law is not None:
            fine = np.geomspace(tasks[0], tasks[-1], 100)
            axes.plot(fine, curve.law(fine), color=style.colour, linewidth=1.2)
    axes.set_xscale("log")
    seen = [point.tasks for curve in curves for point in curve.points]
    axes.set_xticks(1000 * 4.0 ** np.arange(1 + max(0, math.ceil(math.log(max(seen) / 1000, 4)))))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0.8 * min(seen), 1.25 * max(seen))
    axes.set_xlabel("tasks of pre-training")
    axes.set_ylabel("mean log-loss on unseen tasks (nats)")
    axes.grid(alpha=0.25)
    picture.legend(frameon=False, fontsize=9, loc="outside right center")
    return picture


def _has_curve(curve: Any) -> bool:
    return isinstance(curve, (list, tuple, np.ndarray)) and len(curve) > 0


def _held_curves(curves: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Curves as rows of equal length, the last score held; shape (cells, steps)."""
    lengths = np.array([len(curve) for curve in curves])
    flat = np.concatenate([np.asarray(curve, dtype=float) for curve in curves])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    step = np.minimum(np.arange(lengths.max())[None, :], lengths[:, None] - 1)
    held: NDArray[np.float64] = flat[starts[:, None] + step]
    return held
