"""What each method's rows are worth, in real rows."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tabgen.figures.style import dots, method_styles, new_figure, nothing_to_draw, short
from tabgen.statistics import Ranking
from tabgen.text import counted


def worth_of_rows(ranking: Ranking) -> Figure:
    """Worth of each method's rows as a share of the real training rows, most first, with bootstrap intervals.

    A marker with a dashed line lies at an end of the learning curve on more than half of the cells: the worth is
    beyond it.
    """
    records = [(r.method, r.worth) for r in ranking.methods if r.worth is not None]
    if not records:
        return nothing_to_draw("Worth of rows", None)
    records.sort(key=lambda each: (each[1].share, each[0]))
    styles = method_styles(record.method for record in ranking.methods)
    figure, axes = new_figure(7.5, 1.2 + 0.34 * len(records))
    for place, (name, worth) in enumerate(records):
        low, high = worth.interval or (worth.share, worth.share)
        if worth.interval:
            line = "--" if worth.beyond else "-"
            axes.hlines(place, low, high, color=styles[name].colour, linewidth=1.6, linestyle=line, zorder=1)
        axes.plot([worth.share], [place], **dots(styles[name]), markersize=8, zorder=2)
        axes.annotate(
            f"{worth.rows:.0f} rows", (max(worth.share, high), place), (6, 0), textcoords="offset points", fontsize=8,
            va="center",
        )  # fmt: skip
    axes.axvline(1, color="black", linewidth=0.6, linestyle=":", zorder=0)
    axes.set_yticks(range(len(records)), [short(name) for name, _ in records], fontsize=9)
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(
        f"worth as share of the real training rows, median over {counted(len(ranking.pool.datasets), 'dataset')}"
    )
    axes.set_title(f"Worth of synthetic rows in the arm '{ranking.arm}'", fontsize=10)
    return figure
