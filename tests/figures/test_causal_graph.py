"""The causal graph of a wide table: what is near the target is drawn, and nothing else."""

from __future__ import annotations

from tabgen.figures import to_svg
from tabgen.figures.causal_graph import MOST_DRAWN, draw_graph, neighbourhood

COLUMNS = [f"c{n}" for n in range(60)] + ["y"]
CHAIN = [(f"c{n}", f"c{n + 1}", 0.5) for n in range(40)]  # c41 to c59 have no edge
EDGES = [*CHAIN, ("c10", "y", 0.9), ("y", "c30", 0.4)]


def test_small_tables_are_drawn_whole() -> None:
    assert neighbourhood(CHAIN, COLUMNS[:15], "c0") == COLUMNS[:15]


def test_of_wide_tables_the_columns_nearest_to_the_target_are_kept() -> None:
    shown = neighbourhood(EDGES, COLUMNS, "y")
    assert len(shown) == MOST_DRAWN
    around = {f"c{n}" for start in (10, 30) for n in range(start - 4, start + 5)}
    assert around | {"y"} <= set(shown)
    assert len(set(shown) - around) == 2  # the target, and one of the four that are one edge further
    assert shown == [name for name in COLUMNS if name in shown]
    assert neighbourhood([], COLUMNS, "y") == ["y"]


def test_the_more_probable_of_equally_near_columns_comes_first() -> None:
    edges = [(f"c{n}", "y", n / 100) for n in range(60)]
    assert neighbourhood(edges, COLUMNS, "y", 3) == ["c58", "c59", "y"]


def test_what_is_kept_can_be_drawn() -> None:
    shown = neighbourhood(EDGES, COLUMNS, "y")
    edges = [edge for edge in EDGES if {edge[0], edge[1]} <= set(shown)]
    drawn = to_svg(draw_graph(edges, shown, "y", "a title"))
    assert all(f">{name}<" in drawn for name in shown)
    assert ">c50<" not in drawn
