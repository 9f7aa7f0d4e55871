"""Figures of a comparison, each a function from a `Ranking` (or the outcomes) to a matplotlib `Figure`.

Colours are Okabe & Ito's, and every method has a marker of its own, so that the figures can be read in
greyscale and by colour-blind people. Nothing touches pyplot's global state, and the same data give the same
SVG, byte for byte.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from tabgen.statistics import Ranking, StatisticsError

#: Okabe & Ito (2008), Color Universal Design, without black, which the reference methods use.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#F0E442")
#: Their number shares no factor with that of the colours: 77 methods before a pair repeats.
MARKERS = ("^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d")
REFERENCE_STYLES = {"real": ("#000000", "o"), "zero-shot": ("#7F7F7F", "s")}
VALIDATION, TEST = COLOURS[0], COLOURS[3]
PLAIN_NUMBERS = FuncFormatter(lambda value, _: f"{value:g}")
#: Text stays text (searchable, small), ids do not depend on the moment of drawing.
SVG_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "tabgen", "font.family": "sans-serif"}


LONGEST_LABEL = 40


@dataclass(frozen=True)
class Style:
    """Colour and marker of one method."""

    colour: str
    marker: str


def method_styles(methods: Iterable[str]) -> dict[str, Style]:
    """A colour and marker per method, by name, so that all figures of a pool agree whatever the order."""
    styles = {}
    others = 0
    for name in sorted(methods):
        if name in REFERENCE_STYLES:
            styles[name] = Style(*REFERENCE_STYLES[name])
        else:
            styles[name] = Style(COLOURS[others % len(COLOURS)], MARKERS[others % len(MARKERS)])
            others += 1
    return styles


def short(name: str) -> str:
    """A name as figures show it: cut where it would leave no room for the data."""
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def to_svg(figure: Figure) -> str:
    """The figure as SVG text, the same for the same figure; no date, no random ids."""
    _freeze_layout(figure)
    buffer = io.StringIO()
    with mpl.rc_context(SVG_SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "tabgen"})
    return buffer.getvalue()


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure as .svg or .png, as the suffix says, and return the path.

    Raises
    ------
    StatisticsError
        For another suffix.

    """
    path = Path(path)
    if path.suffix == ".svg":
        path.write_text(to_svg(figure), encoding="utf-8")
    elif path.suffix == ".png":
        _freeze_layout(figure)
        figure.savefig(path, format="png", dpi=150, metadata={"Software": "tabgen"})
    else:
        raise StatisticsError(f"figures are written as .svg or .png, not '{path.suffix}' (in '{path.name}')")
    return path


def critical_difference_diagram(ranking: Ranking) -> Figure:
    """Mean ranks on a line, best on the left; bars join maximal groups that Nemenyi's test cannot tell apart.

    Overlapping groups get bars of their own, one below the other. Where the omnibus test does not reject (or
    there are fewer than 3 methods) no group is drawn and the title says why. Demšar (2006), JMLR 7, section
    3.2.4.
    """
    ranks = ranking.ranks.mean(axis=0).sort_values(kind="stable")
    if len(ranking.ranks) == 0 or len(ranks) < 2:
        return _nothing_to_draw("Mean ranks", ranking)
    tests = ranking.tests
    groups = tests.nemenyi_groups if tests.post_hoc_allowed else []
    levels = _bar_levels([(float(ranks[group[0]]), float(ranks[group[-1]])) for group in groups])
    names, methods = [str(name) for name in ranks.index], len(ranks)
    left = (methods + 1) // 2
    row, first_row = 0.42, 0.55 + 0.22 * (max(levels, default=-1) + 1)
    depth = first_row + row * (left - 1) + 0.3
    figure, axes = _figure(8.5, 1.55 + 0.62 * depth)
    margin = 0.06 * (methods - 1)
    axes.set_xlim(1 - margin, methods + margin)
    axes.set_ylim(-depth, 1.05)
    axes.axis("off")
    axes.plot([1, methods], [0, 0], color="black", linewidth=1)
    for tick in range(1, methods + 1):
        axes.plot([tick, tick], [0, 0.1], color="black", linewidth=1)
        axes.text(tick, 0.15, str(tick), ha="center", va="bottom", fontsize=8)
    for position, name in enumerate(names):
        rank, on_left = float(ranks[name]), position < left
        height = -(first_row + row * (position if on_left else methods - 1 - position))
        edge = 1 - margin if on_left else methods + margin
        axes.plot([rank, rank, edge], [0, height, height], color="#404040", linewidth=0.8)
        label = f"{short(name)}  {rank:.2f} " if on_left else f" {rank:.2f}  {short(name)}"
        axes.text(edge, height, label, ha="right" if on_left else "left", va="center", fontsize=9)
    reach = 0.008 * (methods - 1)
    for group, level in zip(groups, levels, strict=True):
        height = -(0.25 + 0.22 * level)
        ends = [float(ranks[group[0]]) - reach, float(ranks[group[-1]]) + reach]
        axes.plot(ends, [height, height], color="black", linewidth=3.5, solid_capstyle="butt", gid="clique")
    if tests.critical_difference is not None:
        length = tests.critical_difference
        shown = min(length, methods - 1)
        axes.plot(
            [1, 1 + shown],
            [0.72, 0.72],
            color=COLOURS[4],
            linewidth=1.5,
            marker="|",
            gid="critical-difference",
        )
        label = f"critical difference {length:.2f}" + (" (wider than the axis)" if length > shown else "")
        axes.text(1, 0.8, label, ha="left", va="bottom", fontsize=8, color=COLOURS[4])
    axes.set_title(_difference_title(ranking), fontsize=10, loc="center")
    return figure


def gains_per_dataset(ranking: Ranking) -> Figure:
    """Each method's mean gain on each dataset (dot), with the range of its folds (line)."""
    gains = ranking.gains
    if gains.empty:
        return _nothing_to_draw("Gain per dataset", ranking)
    gains = gains.loc[gains.median(axis=1).sort_values(kind="stable").index]
    names = _by_rank(ranking)
    band = max(0.26, 0.034 * len(names) + 0.1)
    figure, axes = _figure(8.5, band * len(gains) + 1.6 + 0.2 * -(-len(names) // 5))
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
            **_dots(styles[name]),
            markersize=4.5 if len(names) <= 10 else 3.8,
            zorder=3,
            label=short(name),
        )
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    axes.set_yticks(rows, [short(str(name)) for name in gains.index], fontsize=8)
    axes.set_ylim(-0.6, len(gains) - 0.4)
    scale = _widen(
        axes,
        "x",
        np.concatenate([ranking.gains_low.to_numpy().ravel(), ranking.gains_high.to_numpy().ravel()]),
    )
    axes.set_xlabel(f"{_gain_label(ranking)}{scale}")
    axes.set_title("Gain over zero-shot per dataset: mean (marker), lowest to highest fold (line)", fontsize=10)
    axes.tick_params(axis="x", top=True, labeltop=True)
    # Above, since a figure of 33 datasets is longer than a screen.
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(5, len(names)), fontsize=8, frameon=False)
    return figure


def duel_heat_map(ranking: Ranking) -> Figure:
    """Wins / ties / losses of each row's method against each column's, over datasets."""
    names = _by_rank(ranking)
    datasets = len(ranking.gains)
    if datasets == 0 or not names:
        return _nothing_to_draw("Wins, ties and losses", ranking)
    wins, ties, losses = (table.loc[names, names].to_numpy() for table in ranking.duels)
    balance = (wins - losses) / datasets
    np.fill_diagonal(balance, np.nan)
    size = 1.8 + 0.52 * len(names)
    figure, axes = _figure(size + 1.4, size + 0.3)
    axes.set_facecolor("#DDDDDD")
    image = axes.imshow(balance, cmap="PuOr_r", vmin=-1, vmax=1)
    for a in range(len(names)):
        for b in range(len(names)):
            if a != b:
                # White on the dark ends of the colour map, black in its middle.
                ink = "white" if abs(balance[a, b]) > 0.55 else "black"
                text = f"{wins[a, b]}/{ties[a, b]}/{losses[a, b]}"
                axes.text(b, a, text, ha="center", va="center", fontsize=7, color=ink)
    labels = [short(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.set_xlabel("against")
    axes.set_title(f"Wins/ties/losses over {datasets} datasets, row against column", fontsize=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("(wins - losses) / datasets", fontsize=8)
    return figure


def validation_against_test(ranking: Ranking) -> Figure:
    """Validation gain against test gain per method and dataset; below the diagonal, validation flattered."""
    if ranking.gains.empty:
        return _nothing_to_draw("Validation gain against test gain", ranking)
    names = _by_rank(ranking)
    figure, axes = _figure(8.5, max(5.6, 0.25 * len(names) + 1))
    styles = method_styles(names)
    for name in names:
        axes.plot(
            ranking.validation_gains[name],
            ranking.gains[name],
            **_dots(styles[name]),
            markersize=5,
            alpha=0.85,
            label=short(name),
        )
    both = np.concatenate([ranking.validation_gains.to_numpy().ravel(), ranking.gains.to_numpy().ravel()])
    scale = _widen(axes, "x", both)
    _widen(axes, "y", both)
    ends = (min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1]))
    # Many points: the diagonal is straight on a symmetric-log axis only point by point.
    diagonal = np.linspace(*ends, 400)
    axes.plot(diagonal, diagonal, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    axes.set_xlabel(f"validation: {_gain_label(ranking)}{scale}", fontsize=9)
    axes.set_ylabel(f"test: {_gain_label(ranking)}{scale}", fontsize=9)
    axes.set_title("Validation against test, one marker per dataset (dashed: equal)", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    return figure


def score_against_seconds(ranking: Ranking) -> Figure:
    """Median gain against median seconds per cell; on the Pareto front nothing faster is better."""
    records = [r for r in ranking.methods if r.median_gain is not None and r.seconds_total is not None]
    if not records:
        return _nothing_to_draw("Gain against seconds", ranking)
    records.sort(key=lambda record: (record.seconds_total or 0.0, -(record.median_gain or 0.0), record.method))
    seconds = np.array([record.seconds_total for record in records], dtype=float)
    gains = np.array([record.median_gain for record in records], dtype=float)
    figure, axes = _figure(8.5, max(5.0, 0.25 * len(records) + 1))
    styles = method_styles(record.method for record in ranking.methods)
    front = gains > np.concatenate([[-np.inf], np.maximum.accumulate(gains)[:-1]])
    axes.step(seconds[front], gains[front], where="post", color="#404040", linewidth=1, zorder=1, gid="pareto-front")
    for record, x, y in zip(records, seconds, gains, strict=True):
        interval = record.median_gain_interval
        if interval is not None and np.isfinite(interval.low):
            axes.vlines(x, interval.low, interval.high, color=styles[record.method].colour, linewidth=1, zorder=2)
        axes.plot([x], [y], **_dots(styles[record.method]), markersize=8, zorder=3, label=short(record.method))
    if seconds.min() > 0 and seconds.max() > 5 * seconds.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(PLAIN_NUMBERS)
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axhline(0, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.set_xlabel("seconds per cell, all phases (median)")
    axes.set_ylabel(f"median over datasets: {_gain_label(ranking)}", fontsize=9)
    level = round(100 * (1 - ranking.alpha))
    title = f"Gain against cost; line: Pareto front; bars: {level} % bootstrap interval of the median"
    axes.set_title(title, fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    return figure


def gain_against_fidelity(ranking: Ranking, closeness: pd.DataFrame) -> Figure:
    """Each method's median gain against how well a forest tells its rows from real ones.

    Parameters
    ----------
    closeness : DataFrame
        As :func:`tabgen.results.closeness` makes it, with the column `detection AUC`.

    """
    auc = closeness["detection AUC"].dropna()
    records = [r for r in ranking.methods if r.median_gain is not None and r.method in auc.index]
    if not records:
        return _nothing_to_draw("Fidelity against utility", ranking)
    figure, axes = _figure(8.5, max(4.6, 0.25 * len(records) + 1))
    styles = method_styles(record.method for record in ranking.methods)
    for record in records:
        x, y, interval = float(auc[record.method]), record.median_gain, record.median_gain_interval
        assert y is not None  # for the type checker: chosen above
        if interval is not None and np.isfinite(interval.low):
            axes.vlines(x, interval.low, interval.high, color=styles[record.method].colour, linewidth=1, zorder=2)
        axes.plot([x], [y], **_dots(styles[record.method]), markersize=8, label=short(record.method))
    axes.axhline(0, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.axvline(0.5, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.set_xlabel("detection AUC, median over cells (0.5: cannot be told from real rows; below: copies)", fontsize=9)
    axes.set_ylabel(f"median over datasets: {_gain_label(ranking)}", fontsize=9)
    level = round(100 * (1 - ranking.alpha))
    axes.set_title(f"Fidelity against utility; bars: {level} % bootstrap interval of the median", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    return figure


def gain_against_ratio(ranking: Ranking, curves: Mapping[str, Mapping[float, str]]) -> Figure:
    """Median gain against synthetic rows per real row, one line for each generator run at several ratios.

    Parameters
    ----------
    curves : mapping of line to mapping of ratio to method

    """
    records = {r.method: r for r in ranking.methods if r.median_gain is not None}
    figure, axes = _figure(8.5, 4.6)
    styles = method_styles(curves)
    for name, methods in curves.items():
        points = [(ratio, records[method]) for ratio, method in methods.items() if method in records]
        ratios = [ratio for ratio, _ in points]
        gains = np.array([r.median_gain for _, r in points], dtype=float)
        axes.plot(ratios, gains, color=styles[name].colour, linewidth=1)
        axes.plot(ratios, gains, **_dots(styles[name]), markersize=7, label=short(name))
        for ratio, record in points:
            if record.median_gain_interval is not None and np.isfinite(record.median_gain_interval.low):
                axes.vlines(ratio, *record.median_gain_interval, color=styles[name].colour, linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(PLAIN_NUMBERS)
    axes.axhline(0, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.set_xlabel("synthetic rows per real training row")
    axes.set_ylabel(f"median over datasets: {_gain_label(ranking)}", fontsize=9)
    axes.set_title("Does more synthetic data help? Bars: bootstrap interval of the median", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    return figure


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
        return _nothing_to_draw("Learning curves", None)
    columns = min(4, len(methods))
    rows = -(-len(methods) // columns)
    figure = _canvas(Figure(figsize=(max(6.0, 2.6 * columns + 0.6), 1.9 * rows + 1.0), layout="constrained"))
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


def _freeze_layout(figure: Figure) -> None:
    """Lay the figure out once: constrained layout moves things a little again at every drawing.

    A dollar sign in a name is a dollar sign, never the beginning of a formula.
    """
    with mpl.rc_context({"text.parse_math": False}):
        for text in figure.findobj(Text):
            text.set_parse_math(False)
        if figure.get_layout_engine() is not None:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")


def _canvas(figure: Figure) -> Figure:
    FigureCanvasAgg(figure)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _canvas(Figure(figsize=(width, height), layout="constrained"))
    return figure, figure.add_subplot()


def _nothing_to_draw(title: str, ranking: Ranking | None) -> Figure:
    """An empty figure that says why, rather than a crash in the middle of a site."""
    figure, axes = _figure(7.0, 1.6)
    axes.axis("off")
    axes.set_title(title, fontsize=10)
    reason = "no data"
    if ranking is not None:
        datasets, methods = len(ranking.pool.datasets), len(ranking.pool.methods)
        reason = f"nothing to compare: the pool has {datasets} datasets and {methods} methods"
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes)
    return figure


def _by_rank(ranking: Ranking) -> list[str]:
    return [record.method for record in ranking.methods if record.mean_rank is not None]


def _dots(style: Style) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": style.marker,
        "color": style.colour,
        "markeredgecolor": "black",
        "markeredgewidth": 0.4,
    }


def _gain_label(ranking: Ranking) -> str:
    return f"{ranking.metric} gain over zero-shot (%)"


def _widen(axes: Axes, axis: str, values: NDArray[np.float64]) -> str:
    """Use a symmetric-log axis where a few values dwarf the rest; returns the words for the label."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if sizes.size == 0:
        return ""
    typical = float(np.median(sizes))
    if sizes.max() <= 12 * typical:
        return ""
    decade = 10.0 ** np.floor(np.log10(typical))
    linear = next(step * decade for step in (1, 2, 5, 10) if step * decade >= typical)
    (axes.set_xscale if axis == "x" else axes.set_yscale)("symlog", linthresh=linear)
    (axes.xaxis if axis == "x" else axes.yaxis).set_major_formatter(PLAIN_NUMBERS)
    return f", logarithmic beyond ±{linear:g}"


def _difference_title(ranking: Ranking) -> str:
    count = f"Mean ranks over {len(ranking.ranks)} datasets (1 = best)"
    if ranking.tests.friedman is None:
        return f"{count}\nno omnibus test with fewer than 3 methods or 2 datasets: no groups"
    if not ranking.tests.post_hoc_allowed:
        return f"{count}\nthe omnibus test does not reject or datasets are too few: no groups are claimed"
    return f"{count}\nmethods under one bar cannot be told apart (Nemenyi, alpha = {ranking.alpha:g})"


def _bar_levels(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The lowest level on which each bar, in order of its left end, does not touch an earlier one."""
    ends: list[float] = []
    levels = []
    for start, stop in spans:
        level = next((i for i, end in enumerate(ends) if end < start - 0.05), len(ends))
        if level == len(ends):
            ends.append(stop)
        ends[level] = stop
        levels.append(level)
    return levels


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
