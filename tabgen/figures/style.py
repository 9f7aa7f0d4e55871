"""How figures look, and how they become files: one colour and marker per method, the same bytes for the same data.

Colours are Okabe & Ito's, and every method has a marker of its own, so that the figures can be read in
greyscale and by colour-blind people. Nothing touches pyplot's global state, and the same data give the same
SVG, byte for byte.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
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


def canvas(figure: Figure) -> Figure:
    FigureCanvasAgg(figure)
    return figure


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = canvas(Figure(figsize=(width, height), layout="constrained"))
    return figure, figure.add_subplot()


def nothing_to_draw(title: str, ranking: Ranking | None) -> Figure:
    """An empty figure that says why, rather than a crash in the middle of a site."""
    figure, axes = new_figure(7.0, 1.6)
    axes.axis("off")
    axes.set_title(title, fontsize=10)
    reason = "no data"
    if ranking is not None:
        datasets, methods = len(ranking.pool.datasets), len(ranking.pool.methods)
        reason = f"nothing to compare: the pool has {datasets} datasets and {methods} methods"
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes)
    return figure


def by_rank(ranking: Ranking) -> list[str]:
    return [record.method for record in ranking.methods if record.mean_rank is not None]


def dots(style: Style) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": style.marker,
        "color": style.colour,
        "markeredgecolor": "black",
        "markeredgewidth": 0.4,
    }


def gain_label(ranking: Ranking) -> str:
    return f"{ranking.metric} gain over zero-shot (%)"


def widen(axes: Axes, axis: str, values: NDArray[np.float64]) -> str:
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
