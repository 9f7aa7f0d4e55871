"""Gains over zero-shot: per dataset, and against validation, cost, fidelity and the number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from tabgen.figures.style import (
    NARROW,
    PLAIN_NUMBERS,
    WIDE,
    by_rank,
    dots,
    gain_label,
    heading,
    legend_beside,
    method_styles,
    new_figure,
    nothing_to_draw,
    short,
    widen,
    wrapped,
)
from tabgen.statistics import Ranking
from tabgen.statistics.saturation import Saturation


def gains_per_dataset(ranking: Ranking, width: float = WIDE) -> Figure:
    """Each method's mean gain on each dataset (dot), with the range of its folds (line); ``width`` in inches."""
    gains = ranking.gains
    if gains.empty:
        return nothing_to_draw("Gain per dataset", ranking)
    gains = gains.loc[gains.median(axis=1).sort_values(kind="stable").index]
    names = by_rank(ranking)
    band = max(0.26, 0.034 * len(names) + 0.1)
    columns = min(5, len(names)) if width >= NARROW else 2
    figure, axes = new_figure(width, band * len(gains) + 1.6 + 0.2 * -(-len(names) // columns))
    styles = method_styles(names)
    rows = np.arange(len(gains), dtype=float)
    for stripe in rows[::2]:
        axes.axhspan(stripe - 0.5, stripe + 0.5, color="#F0F0F0", linewidth=0, zorder=0)
    for position, name in enumerate(names):
        # The best mean rank is topmost within its band.
        offset = 0.0 if len(names) == 1 else 0.40 - 0.80 * position / (len(names) - 1)
        low, high = (
            table.loc[gains.index, name].to_numpy(dtype=float) for table in (ranking.gains_low, ranking.gains_high)
        )
        colour = styles[name].colour
        axes.hlines(rows + offset, low, high, color=colour, linewidth=1.0, zorder=2)
        axes.plot(
            gains[name],
            rows + offset,
            **dots(styles[name]),
            markersize=4.5 if len(names) <= 10 else 3.8,
            zorder=3,
            label=short(name),
        )
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    axes.set_yticks(rows, [short(str(name)) for name in gains.index], fontsize=8)
    axes.set_ylim(-0.6, len(gains) - 0.4)
    scale = widen(
        axes,
        "x",
        np.concatenate([ranking.gains_low.to_numpy().ravel(), ranking.gains_high.to_numpy().ravel()]),
    )
    axes.set_xlabel(wrapped(f"{gain_label(ranking)}{scale}", width))
    heading(axes, "Gain over zero-shot per dataset: mean (marker), lowest to highest fold (line)", width)
    axes.tick_params(axis="x", top=True, labeltop=True)
    # Above, since a figure of 33 datasets is longer than a screen.
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=8, frameon=False)
    return figure


def validation_against_test(ranking: Ranking) -> Figure:
    """Validation gain against test gain per method and dataset; below the diagonal, validation flattered."""
    if ranking.gains.empty:
        return nothing_to_draw("Validation gain against test gain", ranking)
    names = by_rank(ranking)
    figure, axes = new_figure(8.5, max(5.6, 0.25 * len(names) + 1))
    styles = method_styles(names)
    for name in names:
        axes.plot(
            ranking.validation_gains[name],
            ranking.gains[name],
            **dots(styles[name]),
            markersize=5,
            alpha=0.85,
            label=short(name),
        )
    both = np.concatenate([ranking.validation_gains.to_numpy().ravel(), ranking.gains.to_numpy().ravel()])
    scale = widen(axes, "x", both)
    widen(axes, "y", both)
    ends = (min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1]))
    # Many points: the diagonal is straight on a symmetric-log axis only point by point.
    diagonal = np.linspace(*ends, 400)
    axes.plot(diagonal, diagonal, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    axes.set_xlabel(f"validation: {gain_label(ranking)}{scale}", fontsize=9)
    axes.set_ylabel(f"test: {gain_label(ranking)}{scale}", fontsize=9)
    axes.set_title("Validation against test, one marker per dataset (dashed: equal)", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    return figure


def score_against_seconds(ranking: Ranking) -> Figure:
    """Median gain against median seconds per cell; on the Pareto front nothing faster is better."""
    records = [r for r in ranking.methods if r.median_gain is not None and r.seconds_total is not None]
    if not records:
        return nothing_to_draw("Gain against seconds", ranking)
    records.sort(key=lambda record: (record.seconds_total or 0.0, -(record.median_gain or 0.0), record.method))
    seconds = np.array([record.seconds_total for record in records], dtype=float)
    gains = np.array([record.median_gain for record in records], dtype=float)
    figure, axes = new_figure(8.5, max(5.0, 0.25 * len(records) + 1))
    styles = method_styles(record.method for record in ranking.methods)
    front = gains > np.concatenate([[-np.inf], np.maximum.accumulate(gains)[:-1]])
    axes.step(seconds[front], gains[front], where="post", color="#404040", linewidth=1, zorder=1, gid="pareto-front")
    for record, x, y in zip(records, seconds, gains, strict=True):
        interval = record.median_gain_interval
        if interval is not None:
            axes.vlines(x, interval.low, interval.high, color=styles[record.method].colour, linewidth=1, zorder=2)
        axes.plot([x], [y], **dots(styles[record.method]), markersize=8, zorder=3, label=short(record.method))
    if seconds.min() > 0 and seconds.max() > 5 * seconds.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(PLAIN_NUMBERS)
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axhline(0, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.set_xlabel("seconds per cell, all phases (median)")
    axes.set_ylabel(f"median over datasets: {gain_label(ranking)}", fontsize=9)
    level = round(100 * (1 - ranking.alpha))
    title = f"Gain against cost; line: Pareto front; bars: {level} % bootstrap interval of the median"
    axes.set_title(title, fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    return figure


def gain_against_fidelity(ranking: Ranking, closeness: pd.DataFrame, width: float = WIDE) -> Figure:
    """Each method's median gain against how well a forest tells its rows from real ones.

    Parameters
    ----------
    closeness : DataFrame
        As :func:`tabgen.results.closeness` makes it, with the column `detection AUC`.

    """
    auc = closeness["detection AUC"].dropna()
    records = [r for r in ranking.methods if r.median_gain is not None and r.method in auc.index]
    if not records:
        return nothing_to_draw("Fidelity against utility", ranking)
    figure, axes = new_figure(width, max(4.6, 0.25 * len(records) + 1) if width >= NARROW else 4.0)
    styles = method_styles(record.method for record in ranking.methods)
    for record in records:
        x, y, interval = float(auc[record.method]), record.median_gain, record.median_gain_interval
        assert y is not None  # for the type checker: chosen above
        if interval is not None:
            axes.vlines(x, interval.low, interval.high, color=styles[record.method].colour, linewidth=1, zorder=2)
        axes.plot([x], [y], **dots(styles[record.method]), markersize=8, label=short(record.method))
    axes.axhline(0, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.axvline(0.5, color="black", linewidth=0.6, linestyle=":", zorder=0)
    label = "detection AUC, median over cells (0.5: cannot be told from real rows; below: copies)"
    axes.set_xlabel(wrapped(label, width), fontsize=9)
    axes.set_ylabel(f"median over datasets: {gain_label(ranking)}", fontsize=9)
    level = round(100 * (1 - ranking.alpha))
    heading(axes, f"Fidelity against utility; bars: {level} % bootstrap interval of the median", width)
    legend_beside(figure, axes, width)
    return figure


ASIDE = 0.1
"""Doublings by which one method's points stand beside another's of the same ratio."""


def gain_against_ratio(
    ranking: Ranking,
    curves: Mapping[str, Mapping[float, str]],
    fits: Sequence[Saturation] = (),
    width: float = WIDE,
) -> Figure:
    """Median gain against synthetic rows per real row, one line for each generator run at several ratios.

    Parameters
    ----------
    curves : mapping of line to mapping of ratio to method
    fits : sequence of Saturation
        Of lines of these names: drawn in place of straight lines from point to point.
    width : float
        In inches.

    """
    fitted = {fit.name: fit for fit in fits if fit.ceiling is not None}
    records = {r.method: r for r in ranking.methods if r.median_gain is not None}
    figure, axes = new_figure(width, 4.6)
    styles = method_styles(curves)
    for place, (name, methods) in enumerate(curves.items()):
        points = [(ratio, records[method]) for ratio, method in methods.items() if method in records]
        aside = 2 ** (ASIDE * (place - (len(curves) - 1) / 2))
        ratios = [ratio for ratio, _ in points]
        gains = np.array([r.median_gain for _, r in points], dtype=float)
        if name in fitted:
            fine = np.geomspace(ratios[0], ratios[-1], 100)
            axes.plot(fine, fitted[name](fine), color=styles[name].colour, linewidth=1)
        else:
            axes.plot(ratios, gains, color=styles[name].colour, linewidth=1)
        axes.plot(np.array(ratios) * aside, gains, **dots(styles[name]), markersize=7, label=short(name))
        for ratio, record in points:
            if record.median_gain_interval is not None:
                axes.vlines(ratio * aside, *record.median_gain_interval, color=styles[name].colour, linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(PLAIN_NUMBERS)
    axes.axhline(0, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.set_xlabel("synthetic rows per real training row")
    axes.set_ylabel(f"median over datasets: {gain_label(ranking)}", fontsize=9)
    heading(axes, "Does more synthetic data help? Bars: bootstrap interval of the median", width)
    legend_beside(figure, axes, width)
    return figure
