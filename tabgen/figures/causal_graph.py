"""A causal graph as a figure: causes on the left, effects on the right."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
from matplotlib.figure import Figure

from tabgen.text import cut

TARGET, NODE = "#E69F00", "#DCE6F0"
LABEL_LENGTH = 22
MOST_DRAWN = 20
"""Columns that a figure can hold and be read."""


def neighbourhood(
    edges: Sequence[tuple[str, str, float]], columns: Sequence[str], target: str, most: int = MOST_DRAWN
) -> list[str]:
    """The columns to draw: all, or of more than ``most`` the target and those fewest edges away from it, in order.

    Edges count in either direction. Among columns equally far away those of the more probable edges come first; columns
    without a way to the target are not among them.
    """
    if len(columns) <= most:
        return list(columns)
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(columns)
    graph.add_weighted_edges_from(edges)
    away = nx.single_source_shortest_path_length(graph, target)
    strength = {name: max((data["weight"] for *_, data in graph.edges(name, data=True)), default=0.0) for name in away}
    near = sorted(away, key=lambda name: (away[name], -strength[name], name))[:most]
    return [name for name in columns if name in near]


def draw_graph(edges: Sequence[tuple[str, str, float]], columns: Sequence[str], target: str, title: str) -> Figure:
    """Draw a directed acyclic graph over ``columns``; an edge is the wider, the more probable it is.

    Parameters
    ----------
    edges : list of (cause, effect, probability)
    columns : list of str
        All columns; those without an edge stand in the first layer.
    target : str
        Drawn in another colour.

    Returns
    -------
    matplotlib.figure.Figure
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(columns)
    graph.add_weighted_edges_from(edges)
    layers = list(nx.topological_generations(graph))
    tallest = max(len(layer) for layer in layers)
    figure = Figure(figsize=(2.6 * len(layers) + 1, 0.6 * tallest + 0.25 * len(layers) + 1), layout="constrained")
    axes = figure.subplots()
    places = {}
    for number, layer in enumerate(layers):
        for position, name in enumerate(sorted(layer)):
            places[name] = (float(number), (position + 0.5) * tallest / len(layer) + 0.13 * (number % 2))
    boxes = {}
    for name, (x, y) in places.items():
        label = cut(name, LABEL_LENGTH)
        box = {"boxstyle": "round,pad=0.35", "facecolor": TARGET if name == target else NODE, "edgecolor": "#444444"}
        text = axes.text(x, y, label.replace("$", r"\$"), ha="center", va="center", fontsize=9, color="black", bbox=box)
        boxes[name] = text.get_bbox_patch()
    for cause, effect, probability in edges:
        bend = 0.0 if places[effect][0] - places[cause][0] == 1 else 0.15
        look = {"arrowstyle": "-|>", "mutation_scale": 11, "linewidth": 0.6 + 1.8 * probability, "color": "#666666"}
        ends = {"patchA": boxes[cause], "patchB": boxes[effect], "shrinkA": 1, "shrinkB": 1}
        arrow = look | ends | {"connectionstyle": f"arc3,rad={bend}"}
        axes.annotate("", xy=places[effect], xytext=places[cause], arrowprops=arrow, zorder=0)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_ylim(-0.16 * len(layers), tallest + 0.3)  # room for the bends below
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    return figure
