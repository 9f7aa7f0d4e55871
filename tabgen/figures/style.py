"""How figures look, and how they become files: one colour and marker per method, the same bytes for the same data.

Colours are Okabe & Ito's, and every method has a marker of its own, so that the figures can be read in
greyscale and by colour-blind people. A method looks the same in every figure, report and board. Nothing
touches pyplot's global state, and the same data give the same SVG, byte for byte.
"""

from __future__ import annotations

import hashlib
import io
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from tabgen.statistics import Ranking, StatisticsError
from tabgen.text import cut

#: Okabe & Ito (2008), Color Universal Design, without black, which the reference methods use.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#F0E442")
#: Their number shares no factor with that of the colours: 77 methods before a pair repeats.
MARKERS = ("^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d")
REFERENCE_STYLES = {"real": ("#000000", "o"), "zero-shot": ("#7F7F7F", "s")}
#: Generators with a look of their own, by their place here; others get one of the rest from their name.
#: Append only: who stands later keeps the look that readers know.
KNOWN = (
    "jitter", "bootstrap", "mixup", "scm", "ctgan", "smote-nc", "causalmix", "gaussian-copula", "mixed-model", "tvae",
    "tabebm", "seq-trees", "cutmix", "in-context", "independent", "tableaugment", "prior", "mst", "privbayes", "noise",
    "shuffled-labels", "corrupted", "oracle", "file",
)  # fmt: skip
LOOKS, RESERVED = len(COLOURS) * len(MARKERS), 40
"""Pairs of colour and marker; how many of them are kept for `KNOWN`."""
VALIDATION, TEST = COLOURS[0], COLOURS[3]
PLAIN_NUMBERS = FuncFormatter(lambda value, _: f"{value:g}")
#: Text stays text (searchable, small), ids do not depend on the moment of drawing.
SVG_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "tabgen", "font.family": "sans-serif"}


LONGEST_LABEL = 40
#: Inches. A figure below the second width is for a phone: its legend stands below, its title takes more lines.
WIDE, NARROW = 8.5, 6.0


@dataclass(frozen=True)
class Style:
    """Colour and marker of one method."""

    colour: str
    marker: str


def method_styles(methods: Iterable[str]) -> dict[str, Style]:
    """A colour and marker per method, by its name: the same beside whatever other methods it is drawn.

    A generator of this repository has a pair of its own, another one that of its name's hash; a method that has
    settings, or another mixing, has its generator's colour and another marker. Only where two would look the same in
    one figure, the later one moves on to the next look that is free.
    """
    styles: dict[str, Style] = {}
    taken: set[int] = set()
    for name in sorted(set(methods), key=lambda name: (name not in KNOWN, name)):
        if name in REFERENCE_STYLES:
            styles[name] = Style(*REFERENCE_STYLES[name])
            continue
        look = _look(name)
        # Along the markers of one colour first; where all methods have taken all looks, they repeat.
        ways = [(look + len(COLOURS) * step) % LOOKS for step in range(len(MARKERS))]
        ways += [(look + step) % LOOKS for step in range(LOOKS)]
        look = next((way for way in ways if way not in taken), look)
        taken.add(look)
        styles[name] = Style(COLOURS[look % len(COLOURS)], MARKERS[look % len(MARKERS)])
    return styles


def _look(name: str) -> int:
    """Which of the pairs of colour and marker a method has, if nobody else has it."""
    digest = hashlib.sha256(name.encode()).digest()
    generator = re.split(r"[@: ]", name)[0]
    number = int.from_bytes(hashlib.sha256(generator.encode()).digest()[:4])
    stranger = RESERVED + number % (LOOKS - RESERVED)
    home = KNOWN.index(generator) if generator in KNOWN else stranger
    variant = 0 if name == generator else 1 + digest[1] % (len(MARKERS) - 1)
    return (home + len(COLOURS) * variant) % LOOKS


def outline(style: Style) -> str:
    """The marker as the data of an SVG path, about 10 units wide and high around the origin, for what HTML draws."""
    marker = MarkerStyle(style.marker)
    path = marker.get_path().transformed(marker.get_transform())
    size = 10 / max(float(np.ptp(path.vertices, axis=0).max()), 1e-9)
    letters = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}
    parts = []
    for ends, code in path.iter_segments(simplify=False):
        places = np.round(ends.reshape(-1, 2) * [size, -size], 2) + 0.0
        text = " ".join(f"{x:g},{y:g}" for x, y in places)
        parts.append("Z" if code == Outline.CLOSEPOLY else letters[code] + text)
    return "".join(parts)


def short(name: str) -> str:
    """A name as figures show it: cut where it would leave no room for the data."""
    return cut(name, LONGEST_LABEL)


def to_svg(figure: Figure) -> str:
    """The figure as SVG text, the same for the same figure; no date, no random ids."""
    _freeze_layout(figure)
    buffer, dpi = io.StringIO(), figure.dpi
    with mpl.rc_context(SVG_SETTINGS):  # savefig would draw twice
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": "tabgen"})
    canvas(figure).dpi = dpi
    return buffer.getvalue()


#: What is drawn in black, white and greys, in dark surroundings: colours of the methods stay.
DARK = """
@media (prefers-color-scheme: dark) {
svg { fill: #e8eaed }
[style*="fill: #000000"] { fill: #e8eaed !important } [style*="stroke: #000000"] { stroke: #e8eaed !important }
[style*="fill: #ffffff"] { fill: #16181b !important } [style*="fill: #f0f0f0"] { fill: #22262b !important }
[style*="stroke: #404040"] { stroke: #b0b6bd !important } [style*="stroke: #cccccc"] { stroke: #3a3f46 !important }
}
"""


def following_the_scheme(svg: str) -> str:
    """The SVG file of a figure, which turns dark where the page that shows it is."""
    return svg.replace("</defs>", f'<style type="text/css">{DARK}</style></defs>', 1)


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
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")


def canvas(figure: Figure) -> Figure:
    FigureCanvasAgg(figure)
    return figure


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = canvas(Figure(figsize=(width, height), layout="constrained"))
    return figure, figure.add_subplot()


def heading(axes: Axes, text: str, width: float) -> None:
    """The title, in as many lines as a figure of this width needs."""
    axes.set_title(wrapped(text, width), fontsize=10)


def wrapped(text: str, width: float) -> str:
    """Text in lines that fit over or under the axes of a figure of so many inches."""
    characters = round((13 if width >= NARROW else 8.5) * width)
    return "\n".join(part for line in text.split("\n") for part in textwrap.wrap(line, characters))


def every(count: int, width: float) -> int:
    """Of so many ticks on a line, each how many-th has its number: a phone has room for eight or so."""
    return 1 if width >= NARROW else -(-count // 8)


def legend_beside(figure: Figure, axes: Axes, width: float) -> None:
    """The legend at the right, or below where there is no room."""
    if width >= NARROW:
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
        return
    handles, labels = axes.get_legend_handles_labels()
    figure.set_size_inches(width, figure.get_figheight() + 0.18 * -(-len(labels) // 2))
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)


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
