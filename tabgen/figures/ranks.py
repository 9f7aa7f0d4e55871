"""Who beats whom: critical differences of mean ranks, and wins, ties and losses of each pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tabgen.figures.style import (
    COLOURS,
    NARROW,
    WIDE,
    by_rank,
    dots,
    every,
    heading,
    method_styles,
    new_figure,
    nothing_to_draw,
    short,
)
from tabgen.statistics import Ranking


def critical_difference_diagram(ranking: Ranking, width: float = WIDE) -> Figure:
    """Mean ranks on a line, best on the left; bars join maximal groups that Nemenyi's test cannot tell apart.

    Overlapping groups get bars of their own, one below the other. Where the omnibus test does not reject (or
    there are fewer than 3 methods) no group is drawn and the title says why. Demšar (2006), JMLR 7, section
    3.2.4.
    """
    ranks = ranking.ranks.mean(axis=0).sort_values(kind="stable")
    if len(ranking.ranks) == 0 or len(ranks) < 2:
        return nothing_to_draw("Mean ranks", ranking)
    tests = ranking.tests
    groups = tests.nemenyi_groups if tests.post_hoc_allowed else []
    levels = _bar_levels([(float(ranks[group[0]]), float(ranks[group[-1]])) for group in groups])
    names, methods = [str(name) for name in ranks.index], len(ranks)
    left = (methods + 1) // 2
    row, first_row = 0.42, 0.55 + 0.22 * (max(levels, default=-1) + 1)
    depth = first_row + row * (left - 1) + 0.3
    figure, axes = new_figure(width, 1.55 + 0.62 * depth)
    size = 9.0 if width >= NARROW else 6.5
    margin = 0.06 * (methods - 1)
    axes.set_xlim(1 - margin, methods + margin)
    axes.set_ylim(-depth, 1.05)
    axes.axis("off")
    axes.plot([1, methods], [0, 0], color="black", linewidth=1)
    for tick in range(1, methods + 1):
        axes.plot([tick, tick], [0, 0.1], color="black", linewidth=1)
        if (tick - 1) % every(methods, width) == 0:
            axes.text(tick, 0.15, str(tick), ha="center", va="bottom", fontsize=8)
    for position, name in enumerate(names):
        rank, on_left = float(ranks[name]), position < left
        height = -(first_row + row * (position if on_left else methods - 1 - position))
        edge = 1 - margin if on_left else methods + margin
        axes.plot([rank, rank, edge], [0, height, height], color="#404040", linewidth=0.8)
        label = f"{short(name)}  {rank:.2f} " if on_left else f" {rank:.2f}  {short(name)}"
        axes.text(edge, height, label, ha="right" if on_left else "left", va="center", fontsize=size)
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
    heading(axes, _difference_title(ranking), width)
    return figure


def rank_sets(ranking: Ranking, width: float = 7.5) -> Figure:
    """The ranks that the verdicts on all pairs leave possible: a line a method, with the letters of its bands."""
    records = [record for record in ranking.methods if record.rank_set is not None]
    if not records:
        return nothing_to_draw("Possible ranks", ranking)
    letters, styles = ranking.letters(), method_styles(record.method for record in records)
    figure, axes = new_figure(width, 1.3 + 0.27 * len(records))
    for height, record in enumerate(records):
        assert record.rank_set is not None
        assert record.mean_rank is not None
        style = styles[record.method]
        axes.plot(record.rank_set, [height, height], color=style.colour, linewidth=5, solid_capstyle="round", gid="set")
        axes.plot([record.mean_rank], [height], **dots(style))
    labels = [f"{short(record.method)}  [{letters[record.method]}]" for record in records]
    axes.set_yticks(range(len(records)), labels, fontsize=8)
    axes.set_xticks(range(1, len(records) + 1, every(len(records), width)))
    axes.set_xlim(0.5, len(records) + 0.5)
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.4, color="#CCCCCC")
    axes.set_axisbelow(True)
    axes.set_xlabel("rank (1 = best)")
    title = f"Ranks left possible, all at once at {1 - ranking.alpha:.0%}, over {len(ranking.ranks)} datasets"
    heading(axes, f"{title}\nmethods that share a letter are not told apart; marks: mean ranks", width)
    return figure


def duel_heat_map(ranking: Ranking) -> Figure:
    """Wins / ties / losses of each row's method against each column's, over datasets."""
    names = by_rank(ranking)
    datasets = len(ranking.gains)
    if datasets == 0 or not names:
        return nothing_to_draw("Wins, ties and losses", ranking)
    wins, ties, losses = (table.loc[names, names].to_numpy() for table in ranking.duels)
    balance = (wins - losses) / datasets
    np.fill_diagonal(balance, np.nan)
    size = 1.8 + 0.52 * len(names)
    figure, axes = new_figure(size + 1.4, size + 0.3)
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
