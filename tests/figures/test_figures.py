"""Every figure renders from real and from degenerate pools, says what it shows, and is the same twice."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tabgen import figures
from tabgen.figures import curves
from tabgen.statistics import StatisticsError, summary

METHODS = ["zero-shot", "real", "causalmix", "ctgan", "tabebm"]
FROM_RANKING = [
    figures.critical_difference_diagram,
    figures.gains_per_dataset,
    figures.duel_heat_map,
    figures.validation_against_test,
    figures.score_against_seconds,
]


def study(datasets=12, folds=3, methods=METHODS, shift=1.0, seed=0):
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
def outcomes():
    return study()


@pytest.fixture(scope="module")
def ranking(outcomes):
    return summary(outcomes)


def texts(figure):
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", figures.to_svg(figure)))


@pytest.mark.parametrize("draw", FROM_RANKING)
def test_names_every_method_and_is_deterministic(draw, ranking):
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
        (figures.validation_against_test, ["validation: roc_auc gain", "test: roc_auc gain"]),
        (figures.score_against_seconds, ["seconds per cell", "Pareto front", "95 % bootstrap interval"]),
    ],
)
def test_says_what_is_shown_and_the_unit(draw, expected, ranking):
    said = texts(draw(ranking))
    for words in expected:
        assert words in said


def test_learning_curves(outcomes):
    figure = figures.learning_curves(outcomes, label="roc_auc")
    said = texts(figure)
    for words in ("causalmix (36 cells)", "fine-tuning step", "roc_auc: change since step 0", "validation", "test"):
        assert words in said
    assert "zero-shot" not in said
    assert figures.to_svg(figure) == figures.to_svg(figures.learning_curves(outcomes, label="roc_auc"))


def test_stopped_runs_keep_their_last_score():
    held = curves._held_curves([[1.0, 2.0], [3.0, 4.0, 5.0]])
    assert held.tolist() == [[1.0, 2.0, 2.0], [3.0, 4.0, 5.0]]


def bars(figure, gid):
    return [line for line in figure.axes[0].lines if line.get_gid() == gid]


def test_overlapping_cliques_get_bars_of_their_own(ranking):
    # a-b and b-c belong together, a-c do not: one bar from a to c would be a lie.
    ranks = pd.DataFrame({"a": [1.0] * 12, "b": [2.0] * 12, "c": [3.0] * 12})
    tests = replace(
        ranking.tests, post_hoc_allowed=True, critical_difference=1.5, nemenyi_groups=[["a", "b"], ["b", "c"]]
    )
    drawn = bars(figures.critical_difference_diagram(replace(ranking, ranks=ranks, tests=tests)), "clique")
    spans = [(line.get_xdata()[0], line.get_xdata()[1]) for line in drawn]
    assert [tuple(np.round(span)) for span in spans] == [(1, 2), (2, 3)]
    heights = [line.get_ydata()[0] for line in drawn]
    assert heights[0] != heights[1], "the bars touch at b and must not look like one"


def test_critical_difference_bar_is_to_scale(ranking):
    (bar,) = bars(figures.critical_difference_diagram(ranking), "critical-difference")
    assert np.ptp(bar.get_xdata()) == pytest.approx(min(ranking.tests.critical_difference, len(METHODS) - 1))


def test_no_group_is_drawn_when_the_omnibus_test_does_not_reject():
    unclear = summary(study(shift=0.0, datasets=6, seed=1))
    assert not unclear.tests.post_hoc_allowed
    figure = figures.critical_difference_diagram(unclear)
    assert not bars(figure, "clique")
    assert "no groups are claimed" in texts(figure)


def test_pareto_front_holds_only_undominated_methods(ranking):
    figure = figures.score_against_seconds(ranking)
    (front,) = bars(figure, "pareto-front")
    points = {(r.seconds_total, r.median_gain) for r in ranking.methods}
    on_front = set(zip(front.get_xdata(), front.get_ydata(), strict=True))
    assert on_front == {p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)}


def test_styles_are_distinct_and_do_not_depend_on_order():
    names = [f"method-{i}" for i in range(40)] + ["real", "zero-shot"]
    styles = figures.method_styles(names)
    assert len(set(styles.values())) == len(names)
    assert styles == figures.method_styles(names[::-1])


@pytest.mark.parametrize("draw", FROM_RANKING)
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
def test_degenerate_and_large_pools_render(draw, outcomes):
    assert figures.to_svg(draw(summary(outcomes))).startswith("<?xml")


def test_learning_curves_without_any_curve():
    assert "no data" in texts(figures.learning_curves(study(methods=["zero-shot"])))


def test_save(ranking, tmp_path):
    figure = figures.duel_heat_map(ranking)
    assert figures.save(figure, tmp_path / "a.svg").read_text(encoding="utf-8") == figures.to_svg(figure)
    assert figures.save(figure, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(StatisticsError, match=r"'\.pdf'"):
        figures.save(figure, tmp_path / "a.pdf")


def test_pyplot_is_not_touched(ranking):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figures.gains_per_dataset(ranking)
    assert plt.get_fignums() == before
