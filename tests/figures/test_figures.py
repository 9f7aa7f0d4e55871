"""Every figure renders from real and from degenerate pools, says what it shows, and is the same twice."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tabgen import figures
from tabgen.figures import curves, style
from tabgen.statistics import Ranking, StatisticsError, summary

METHODS = ["zero-shot", "real", "causalmix", "ctgan", "tabebm"]
FROM_RANKING = [
    figures.critical_difference_diagram,
    figures.gains_per_dataset,
    figures.duel_heat_map,
    figures.rank_sets,
    figures.validation_against_test,
    figures.score_against_seconds,
]


def study(
    datasets: int = 12, folds: int = 3, methods: list[str] = METHODS, shift: float = 1.0, seed: int = 0
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for dataset in range(datasets):
        for fold in range(folds):
            for number, method in enumerate(methods):
                gain = 0.0 if method == "zero-shot" else rng.normal(shift * number, 0.5)
                steps = int(rng.integers(4, 9))
                curve = (0.8 + np.cumsum(rng.normal(0, 0.01, steps))).tolist()
                rows.append(
                    {
                        "dataset": f"data-{dataset:02d}",
                        "fold": fold,
                        "method": method,
                        "seed": 0,
                        "status": "ok",
                        "zero_shot_validation_roc_auc": 0.8,
                        "zero_shot_test_roc_auc": 0.8,
                        "tuned_validation_roc_auc": 0.8 * (1 + (gain + 0.2) / 100),
                        "tuned_test_roc_auc": 0.8 * (1 + gain / 100),
                        "curve_validation": None if method == "zero-shot" else curve,
                        "curve_test": None if method == "zero-shot" else curve[::-1],
                        "seconds_fit": float(number),
                        "seconds_finetune": 3.0,
                        "seconds_total": float(number) + 3.0,
                        "peak_memory_mb": 100.0,
                    }
                )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def outcomes() -> pd.DataFrame:
    return study()


@pytest.fixture(scope="module")
def ranking(outcomes: pd.DataFrame) -> Ranking:
    return summary(outcomes)


def texts(figure: Figure) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", figures.to_svg(figure)))


@pytest.mark.parametrize("draw", FROM_RANKING)
def test_names_every_method_and_is_deterministic(draw: Callable[..., Figure], ranking: Ranking) -> None:
    svg = figures.to_svg(draw(ranking))
    assert svg == figures.to_svg(draw(ranking))
    assert "<dc:date>" not in svg
    for method in METHODS:
        assert re.search(rf"<text[^>]*>[^<]*{method}", svg)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (figures.critical_difference_diagram, ["Mean ranks over 12 datasets", "critical difference"]),
        (figures.gains_per_dataset, ["roc_auc gain over zero-shot (%)", "data-07", "lowest to highest fold"]),
        (figures.duel_heat_map, ["Wins/ties/losses over 12 datasets", "against", "12/0/0"]),
        (figures.rank_sets, ["Ranks left possible, all at once at 95%, over 12 datasets", "tabebm  [a]"]),
        (figures.validation_against_test, ["validation: roc_auc gain", "test: roc_auc gain"]),
        (figures.score_against_seconds, ["seconds per cell", "Pareto front", "95 % bootstrap interval"]),
    ],
)
def test_says_what_is_shown_and_the_unit(draw: Callable[..., Figure], expected: list[str], ranking: Ranking) -> None:
    said = texts(draw(ranking))
    for words in expected:
        assert words in said


def test_learning_curves(outcomes: pd.DataFrame) -> None:
    figure = figures.learning_curves(outcomes, label="roc_auc")
    said = texts(figure)
    for words in ("causalmix (36 cells)", "fine-tuning step", "roc_auc: change since step 0", "validation", "test"):
        assert words in said
    assert "zero-shot" not in said
    assert figures.to_svg(figure) == figures.to_svg(figures.learning_curves(outcomes, label="roc_auc"))


def test_stopped_runs_keep_their_last_score() -> None:
    held = curves._held_curves([[1.0, 2.0], [3.0, 4.0, 5.0]])
    assert held.tolist() == [[1.0, 2.0, 2.0], [3.0, 4.0, 5.0]]


def bars(figure: Figure, gid: str) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_gid() == gid]


def test_overlapping_cliques_get_bars_of_their_own(ranking: Ranking) -> None:
    # a-b and b-c belong together, a-c do not: one bar from a to c would be a lie.
    ranks = pd.DataFrame({"a": [1.0] * 12, "b": [2.0] * 12, "c": [3.0] * 12})
    tests = replace(
        ranking.tests, post_hoc_allowed=True, critical_difference=1.5, nemenyi_groups=[["a", "b"], ["b", "c"]]
    )
    drawn = bars(figures.critical_difference_diagram(replace(ranking, ranks=ranks, tests=tests)), "clique")
    spans = [np.asarray(line.get_xdata())[:2] for line in drawn]
    assert [tuple(np.round(span)) for span in spans] == [(1, 2), (2, 3)]
    heights = [np.asarray(line.get_ydata())[0] for line in drawn]
    assert heights[0] != heights[1], "the bars touch at b and must not look like one"


def test_rank_sets_span_the_ranks_left_possible(ranking: Ranking) -> None:
    drawn = [tuple(np.asarray(line.get_xdata())) for line in bars(figures.rank_sets(ranking), "set")]
    assert drawn == [record.rank_set for record in ranking.methods]
    assert drawn[0] == (1, 1)


def test_critical_difference_bar_is_to_scale(ranking: Ranking) -> None:
    (bar,) = bars(figures.critical_difference_diagram(ranking), "critical-difference")
    assert ranking.tests.critical_difference is not None
    assert np.ptp(bar.get_xdata()) == pytest.approx(min(ranking.tests.critical_difference, len(METHODS) - 1))


def test_no_group_is_drawn_when_the_omnibus_test_does_not_reject() -> None:
    unclear = summary(study(shift=0.0, datasets=6, seed=1))
    assert not unclear.tests.post_hoc_allowed
    figure = figures.critical_difference_diagram(unclear)
    assert not bars(figure, "clique")
    assert "no groups are claimed" in texts(figure)


def test_pareto_front_holds_only_undominated_methods(ranking: Ranking) -> None:
    figure = figures.score_against_seconds(ranking)
    (front,) = bars(figure, "pareto-front")
    points = set()
    for record in ranking.methods:
        assert record.seconds_total is not None and record.median_gain is not None
        points.add((record.seconds_total, record.median_gain))
    on_front = set(zip(np.asarray(front.get_xdata()), np.asarray(front.get_ydata()), strict=True))
    assert on_front == {p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)}


def test_styles_are_distinct_and_do_not_depend_on_order() -> None:
    names = [f"method-{i}" for i in range(40)] + ["real", "zero-shot"]
    styles = figures.method_styles(names)
    assert len(set(styles.values())) == len(names)
    assert styles == figures.method_styles(names[::-1])


def test_a_method_looks_the_same_whatever_it_is_drawn_beside() -> None:
    known = list(style.KNOWN)
    together = figures.method_styles([*known, "real", "zero-shot", "somebody-s"])
    assert len(set(together.values())) == len(together)
    for name in [*known, "real"]:
        assert figures.method_styles([name])[name] == together[name]
    stranger = figures.method_styles(["somebody-s", "zz"])["somebody-s"]
    assert stranger == figures.method_styles(["somebody-s", "aa"])["somebody-s"]


def test_a_variant_has_its_generator_s_colour_and_another_marker() -> None:
    styles = figures.method_styles(["ctgan", "ctgan@augment", "ctgan:steps=500"])
    assert len({each.colour for each in styles.values()}) == 1
    assert len({each.marker for each in styles.values()}) == 3


def test_more_methods_than_looks_are_still_drawn() -> None:
    names = [f"method-{i}" for i in range(style.LOOKS + 5)]
    assert len(set(figures.method_styles(names).values())) == style.LOOKS


def test_markers_for_pages_are_closed_outlines_around_the_origin() -> None:
    for marker in style.MARKERS:
        outline = figures.outline(figures.Style("#000000", marker))
        numbers = [float(text) for text in re.findall(r"-?[\d.]+", outline)]
        assert outline.startswith("M") and outline.endswith("Z")
        assert 4 < max(numbers) <= 10 and -10 <= min(numbers) < -3.5, (marker, outline)


def test_a_figure_for_a_phone_is_narrow_and_every_figure_can_turn_dark(ranking: Ranking) -> None:
    for draw in (figures.rank_sets, figures.gains_per_dataset, figures.critical_difference_diagram):
        assert draw(ranking, 4.2).get_figwidth() == pytest.approx(4.2)
        svg = figures.following_the_scheme(figures.to_svg(draw(ranking, 4.2)))
        assert svg.count("prefers-color-scheme: dark") == 1
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg.partition("</style>")[2]))
        greys = {colour for colour in used if colour[1:3] == colour[3:5] == colour[5:7]}
        methods = {each.colour.lower() for each in figures.method_styles(ranking.pool.methods).values()}
        assert {colour for colour in greys - methods if colour not in style.DARK} == set()


@pytest.mark.parametrize(
    "outcomes",
    [
        study(datasets=1, folds=1),
        study(datasets=6, methods=["zero-shot", "real"]),
        study(datasets=3, methods=["real"]),
        study().assign(status="error"),
        study(datasets=33, folds=1, methods=[*METHODS, *(f"third-party-{i}" for i in range(15))]),
    ],
    ids=["one dataset", "two methods", "one method", "all failed", "twenty methods"],
)
def test_degenerate_and_large_pools_render(outcomes: pd.DataFrame) -> None:
    ranking = summary(outcomes)
    for draw in FROM_RANKING:
        assert figures.to_svg(draw(ranking)).startswith("<?xml"), draw


def test_learning_curves_without_any_curve() -> None:
    assert "no data" in texts(figures.learning_curves(study(methods=["zero-shot"])))


def test_save(ranking: Ranking, tmp_path: Path) -> None:
    figure = figures.duel_heat_map(ranking)
    assert figures.save(figure, tmp_path / "a.svg").read_text(encoding="utf-8") == figures.to_svg(figure)
    assert figures.save(figure, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(StatisticsError, match=r"'\.pdf'"):
        figures.save(figure, tmp_path / "a.pdf")


def test_pyplot_is_not_touched(ranking: Ranking) -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figures.gains_per_dataset(ranking)
    assert plt.get_fignums() == before
