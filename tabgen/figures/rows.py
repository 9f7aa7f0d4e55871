"""Figures of one sample beside the real rows, small enough for a telephone, on any background.

They have no background of their own, and all ink is the page's: :func:`for_page` makes them so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tabgen.figures.style import PLAIN_NUMBERS, new_figure, to_svg
from tabgen.judge.columns import ColumnPair, numbers_of, shares_of
from tabgen.judge.columns import short as short_level
from tabgen.text import cut

if TYPE_CHECKING:
    from tabgen.judge.closest import Closest
    from tabgen.judge.use import Use
    from tabgen.worth import LearningCurve

REAL, SYNTHETIC = "#4A90C2", "#D55E00"
INK = "#010203"
"""Stands for the page's own ink; no colour of ours."""
WIDTH = 3.5
MOST_LEVELS, MOST_BINS, FEW_VALUES = 7, 24, 12


def for_page(figure: Figure, label: str) -> str:
    """The figure as an ``<svg>`` element without a background, in the ink of the page around it.

    ``label`` is what a screen reader says of it; it stands in an attribute, and is to be escaped by the caller.
    """
    for axes in figure.axes:
        for item in [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]:
            item.set_color(INK)
        axes.tick_params(colors=INK)
        axes.set_facecolor("none")
        for spine in axes.spines.values():
            spine.set_edgecolor(INK)
    for legend in figure.legends:
        for text in legend.get_texts():
            text.set_color(INK)
    figure.set_facecolor("none")
    svg = to_svg(figure)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL).replace(
        INK, "currentColor"
    )
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def column_figure(pair: ColumnPair) -> Figure | None:
    """One column's distribution, real (filled) and synthetic (line); None where there is nothing to draw."""
    if pair.drawn is None or pair.spec.kind == "text" or pair.real.notna().sum() == 0 or pair.drawn.notna().sum() == 0:
        return None
    if pair.spec.is_discrete:
        return _levels(pair)
    figure, axes = new_figure(WIDTH, 2.0)
    real, drawn = numbers_of(pair.real), numbers_of(pair.drawn)
    edges = _edges(real, drawn, pair.spec.kind == "integer")
    heights = [np.histogram(np.clip(each, edges[0], edges[-1]), edges)[0] / len(each) for each in (real, drawn)]
    axes.stairs(heights[0], edges, fill=True, color=REAL, alpha=0.6, label="real")
    axes.stairs(heights[1], edges, color=SYNTHETIC, linewidth=1.6, label="synthetic")
    if pair.spec.kind == "datetime":
        locator = AutoDateLocator(maxticks=5)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        axes.locator_params(axis="x", nbins=5)
        if max(abs(edges[0]), abs(edges[-1])) >= 1e4:
            axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
    _bare(axes)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    axes.locator_params(axis="y", nbins=4)
    return figure


def _edges(real: NDArray[np.float64], drawn: NDArray[np.float64], whole: bool) -> NDArray[np.float64]:
    """Bins over all but the outermost real values, and the synthetic range where it goes no further than twice that.

    What lies beyond counts in the outermost bins.
    """
    low, high = np.quantile(real, [0.005, 0.995])
    span = (high - low) or 1.0
    low, high = max(min(low, drawn.min()), low - span / 2), min(max(high, drawn.max()), high + span / 2)
    if whole and high - low <= MOST_BINS:
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    n_bins = int(np.clip(np.sqrt(len(real)), FEW_VALUES, MOST_BINS))
    return np.linspace(low, high, n_bins + 1)


def _levels(pair: ColumnPair) -> Figure:
    """Bars of the most frequent real levels; the rest is one bar."""
    assert pair.drawn is not None
    real, drawn = shares_of(pair.real), shares_of(pair.drawn)
    names = [*real.index, *(level for level in drawn.index if level not in real.index)]
    shown = names if len(names) <= MOST_LEVELS else names[: MOST_LEVELS - 1]
    labels = [short_level(name) for name in shown]
    heights = [[float(each.get(name, 0.0)) for name in shown] for each in (real, drawn)]
    if len(shown) < len(names):
        labels.append(f"{len(names) - len(shown):,} others")
        heights = [[*each, 1 - sum(each)] for each in heights]
    figure, axes = new_figure(WIDTH, 0.55 + 0.27 * len(labels))
    places = np.arange(len(labels), dtype=float)
    axes.barh(places, heights[0], 0.78, color=REAL, alpha=0.6, label="real")
    axes.vlines(heights[1], places - 0.42, places + 0.42, color=SYNTHETIC, linewidth=2.2, label="synthetic")
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    _bare(axes)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    axes.locator_params(axis="x", nbins=5)
    return figure


def association_figure(matrix: NDArray[np.float64], names: list[str], title: str) -> Figure:
    """Associations of columns with each other: red below 0, blue above, hatched where none is defined."""
    labels = [cut(name, 16) for name in names]
    figure, axes = new_figure(WIDTH, WIDTH + 0.35)
    shown = np.ma.masked_invalid(matrix)
    image = axes.imshow(shown, cmap="RdBu", vmin=-1, vmax=1)
    for row, column in np.argwhere(~np.isfinite(matrix)):
        axes.text(column, row, "·", ha="center", va="center", fontsize=7, color=INK)
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontsize=9)
    bar = figure.colorbar(
        image, ax=axes, orientation="horizontal", fraction=0.04, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1]
    )
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return figure


def closest_figure(found: Closest) -> Figure:
    """The share of rows within a distance of the nearest training row: synthetic, and real rows to compare with."""
    figure, axes = new_figure(WIDTH, 2.4)
    words = "held-out rows" if found.held_out else "real rows, to another"
    for values, colour, name in ((found.others, REAL, words), (found.drawn, SYNTHETIC, "synthetic rows")):
        axes.ecdf(values, color=colour, linewidth=1.8, label=name)
    _bare(axes)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("distance to the closest training row", fontsize=8)
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return figure


def use_figure(use: Use) -> Figure:
    """The model's learning curve on real rows, and where the synthetic rows meet it."""
    figure, axes = new_figure(WIDTH, 2.4)
    curve: LearningCurve = use.curve
    axes.plot(curve.sizes, curve.scores, color=REAL, linewidth=1.8, marker="o", markersize=3.5, label="real rows")
    score = use.scores["context"].auc
    axes.axhline(score, color=SYNTHETIC, linewidth=1.6, label=f"{use.rows} synthetic rows")
    if not use.worth.censored:
        axes.plot([use.worth.rows], [score], color=SYNTHETIC, marker="D", markersize=7, linestyle="none")
    _bare(axes)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PLAIN_NUMBERS)
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    ticks = sorted({curve.sizes[0], curve.sizes[len(curve.sizes) // 2], curve.sizes[-1]})
    axes.set_xticks(ticks)
    axes.set_xlabel("rows in the context", fontsize=8)
    axes.set_ylabel("ROC-AUC", fontsize=8)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return figure


def _bare(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
