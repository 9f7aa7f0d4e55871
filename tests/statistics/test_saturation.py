"""The gain by number of synthetic rows: curves that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.cli.scale import in_words
from tabgen.power_law import nearest
from tabgen.statistics import StatisticsError, summary
from tabgen.statistics.saturation import lines_of, saturations

RATIOS = (0.25, 1.0, 4.0, 16.0)


def outcomes(law: dict[str, tuple[float, float, float]], datasets: int = 12, noise: float = 0.0) -> pd.DataFrame:
    """A run whose gains follow ``ceiling - distance * (ratio / 0.25) ** -exponent``, plus a level of the table."""
    rng = np.random.default_rng(0)
    rows: list[tuple[Any, ...]] = []
    for table in range(datasets):
        own, slope = rng.normal(0, 0.2), rng.uniform(0.5, 1.5)
        rows.append(("real", None, "real", {}, 1.0, table, 0.0))
        for name, (ceiling, distance, exponent) in law.items():
            for ratio in RATIOS:
                gain = ceiling - slope * distance * (ratio / 0.25) ** -exponent + own + rng.normal(0, noise)
                rows.append((f"{name}:ratio={ratio:g}", name, "replace", {"a": 1}, ratio, table, gain))
    frame = pd.DataFrame(rows, columns=["method", "generator", "mixing", "settings", "ratio", "table", "gain"])
    frame["dataset"] = "d" + frame.pop("table").astype(str)
    tuned = 0.8 * (1 + frame.pop("gain") / 100)
    for part in ("validation", "test"):
        frame[f"zero_shot_{part}_roc_auc"], frame[f"tuned_{part}_roc_auc"] = 0.8, tuned
    return frame.assign(fold=0, seed=0, draw=0, status="ok", reason=None, suite="s", max_train_rows=100)


def test_a_power_law_is_found_again() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    assert nearest(x, 0.3 + 2.0 * x**-0.7) == pytest.approx((0.3, 2.0, 0.7), abs=1e-4)
    floor, scale, _ = nearest(x, 1.0 - 0.1 * x, lowest=0.0)  # it falls faster than any power law: the floor holds
    assert floor == 0.0
    assert scale > 0


def test_one_dataset_has_no_ceiling() -> None:
    run = outcomes({"rising": (1.0, 3.0, 0.8)}, datasets=1)
    ranking = summary(run)
    assert [curve.ceiling for curve in saturations(ranking, run)] == [None]


def test_ceiling_and_exponent_of_a_known_curve_and_who_gains_by_more_rows() -> None:
    run = outcomes({"rising": (1.0, 3.0, 0.8), "level": (0.5, 0.0, 1.0)}, datasets=31, noise=0.02)
    ranking = summary(run)
    rising, level = saturations(ranking, run)
    assert rising.name == "rising"
    assert rising.ratios == list(RATIOS)
    assert rising.ceiling is not None
    assert rising.exponent == pytest.approx(0.8, abs=0.1)
    assert rising.ceiling == pytest.approx(1.0, abs=0.25)
    assert rising.ceiling_interval is not None
    assert rising.ceiling_interval.low < rising.ceiling < rising.ceiling_interval.high
    assert rising(np.array(RATIOS)) == pytest.approx(rising.gains, abs=0.05)
    # 3 x (4 ** -0.8 - 64 ** -0.8), the slope of a table being 1 at the middle
    assert rising.more == pytest.approx(3 * (4**-0.8 - 64**-0.8), abs=0.15)
    assert rising.p < 1e-4
    assert level.p > 0.05
    assert (level.ceiling, level.ceiling_interval, level.exponent) == (None, None, None)


def test_what_still_rises_or_falls_has_no_end_in_sight() -> None:
    run = outcomes({"rising": (50.0, 51.0, 0.01), "falling": (0.0, -1.0, 0.5)}, datasets=31, noise=0.02)
    rising, falling = saturations(summary(run), run)
    for curve in (rising, falling):
        assert (curve.ceiling, curve.ceiling_interval, curve.distance, curve.exponent) == (None, None, None, None)
    assert rising.more > 0 > falling.more
    assert "cannot be told; 16x against 1x" in in_words(rising)


def test_two_ratios_are_compared_but_get_no_curve() -> None:
    run = outcomes({"g": (1.0, 3.0, 0.8)})
    few = run[run["method"].isin(["real", "g:ratio=1", "g:ratio=16"])]
    (curve,) = saturations(summary(few), few)
    assert (curve.ceiling, curve.exponent, curve.ceiling_interval) == (None, None, None)
    assert curve.more > 0
    with pytest.raises(StatisticsError, match="have no curve"):
        curve(np.array([1.0]))


def test_settings_and_mixing_make_lines_and_one_ratio_makes_none() -> None:
    rows: list[tuple[Any, ...]] = [
        ("g", "g", "replace", {"a": 1}, 1.0, None),
        ("g:ratio=2", "g", "replace", {"a": 1}, 2.0, None),
        ("g:a=2", "g", "replace", {"a": 2}, 1.0, None),
        ("g:a=2,ratio=2", "g", "replace", {"a": 2}, 2.0, None),
        ("g:ratio=2,tune=5", "g", "replace", {"a": 1}, 2.0, {"trials": 5}),
        ("g@augment", "g", "augment", {"a": 1}, 1.0, None),
        ("real", None, "real", {}, 1.0, None),
    ]
    frame = pd.DataFrame(rows, columns=["method", "generator", "mixing", "settings", "ratio", "tune"])
    assert lines_of(frame) == {
        "g [('a', 1)]": {1.0: "g", 2.0: "g:ratio=2"},
        "g [('a', 2)]": {1.0: "g:a=2", 2.0: "g:a=2,ratio=2"},
    }
    assert set(lines_of(frame, 1)) == {
        "g@replace [('a', 1)]",
        "g@replace [('a', 2)]",
        "g@replace [('a', 1)] tuned by [('trials', 5)]",
        "g@augment",
    }


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"method": "g:ratio={:g},recipe=mine", "recipe": {"name": "mine", "steps": 3}}, ("", " recipe=mine")),
        ({"method": "g:ratio={:g} (0.2)", "plugin_version": "0.2"}, (" (0.1)", " (0.2)")),
        ({"method": "g:ratio={:g} (left out)", "text": "leave-out"}, None),
        ({"method": "g:ratio={:g} (locked)", "environment": "1" * 64}, None),
    ],
)
def test_what_differs_in_more_than_the_ratio_is_a_line_of_its_own(
    other: dict[str, Any], told: tuple[str, str] | None
) -> None:
    own: dict[str, Any] = {
        "method": "g:ratio={:g}",
        "generator": "g",
        "mixing": "replace",
        "settings": {},
        "plugin_version": "0.1",
    }
    own |= {"recipe": {"name": "nano", "steps": 10}, "text": "nearest", "environment": None}
    rows = [each | {"method": each["method"].format(r), "ratio": r} for r in (1.0, 4.0) for each in (own, own | other)]
    found = lines_of(pd.DataFrame(rows))
    names = {each: {r: each.format(r) for r in (1.0, 4.0)} for each in (own["method"], other["method"])}
    assert list(found.values()) == list(names.values())
    if told is not None:
        assert tuple(found) == tuple(f"g{word}" for word in told)


def test_two_methods_at_one_ratio_are_never_one() -> None:
    rows: list[dict[str, Any]] = [
        {"method": m, "generator": "g", "mixing": "replace", "settings": {}, "ratio": 2.0} for m in ("a", "b")
    ]
    assert sorted(method for line in lines_of(pd.DataFrame(rows), 1).values() for method in line.values()) == ["a", "b"]
