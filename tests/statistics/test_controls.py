"""Controls and the ruler: what an arm must tell apart before it may name a winner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.statistics.controls import gate, judge_controls
from tabgen.statistics.ruler import read_ruler
from tabgen.statistics.verdicts import Verdict


def pool_of(gains: dict[str, float], spread: float = 0.1, datasets: int = 20) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Outcomes and gains of methods whose generators have their names, or `corrupted` by share."""
    rng = np.random.default_rng(0)
    matrix = pd.DataFrame({name: rng.normal(gain, spread, datasets) for name, gain in gains.items()})
    rows = [
        {
            "method": name,
            "generator": name.partition(":")[0],
            "settings": {"share": float(name.rpartition("share=")[2] if "=" in name else 0), "what": "labels"},
        }
        for name in gains
    ]
    return pd.DataFrame(rows), matrix


CLAIM = Verdict("comparison", "scm beats real.", claims_difference=True)


def test_known_bad_below_real_lets_the_verdicts_stand() -> None:
    controls = judge_controls(*pool_of({"real": 0.0, "noise": -5.0, "independent": -3.0, "scm": 1.0}))
    assert controls is not None
    assert controls.passed
    assert [(c.method, c.below) for c in controls.methods] == [("independent", True), ("noise", True)]
    assert gate([CLAIM], controls, "context") == [CLAIM]


def test_known_bad_not_below_real_silences_every_claim_and_says_why() -> None:
    controls = judge_controls(*pool_of({"real": 0.0, "noise": 0.5, "independent": -3.0}))
    assert controls is not None
    assert not controls.passed
    told = gate([CLAIM, Verdict("warning", "few datasets")], controls, "fine-tune")
    assert [verdict.kind for verdict in told] == ["refused", "warning"]
    assert "No winner is named in the arm 'fine-tune'" in str(told[0])
    assert "noise (+0." in str(told[0])
    assert "independent" not in str(told[0])


def test_without_controls_or_real_rows_there_is_nothing_to_judge() -> None:
    assert judge_controls(*pool_of({"real": 0.0, "scm": 1.0})) is None
    assert judge_controls(*pool_of({"noise": 0.0, "scm": 1.0})) is None


DOSES = {f"corrupted:share={share}": -20 * share for share in (0.0, 0.05, 0.1, 0.35, 1.0)}


def test_the_ruler_gives_order_detection_and_places() -> None:
    ruler = read_ruler(*pool_of({"real": 0.5, "scm": -7.0, **DOSES}), alpha=0.05)
    assert ruler is not None
    assert (ruler.what, ruler.datasets, ruler.doses) == ("labels", 20, [0.0, 0.05, 0.1, 0.35, 1.0])
    assert ruler.detected == 0.05
    assert ruler.right_order == 1.0
    assert ruler.places["scm"] == pytest.approx(0.35, abs=0.02)
    assert ruler.places["real"] == 0.0


def test_the_real_rows_stand_for_the_dose_that_breaks_nothing() -> None:
    doses = {name: gain for name, gain in DOSES.items() if name != "corrupted:share=0.0"}
    ruler = read_ruler(*pool_of({"real": 0.0, **doses}), alpha=0.05)
    assert ruler is not None
    assert ruler.doses == [0.0, 0.05, 0.1, 0.35, 1.0]
    assert ruler.detected == 0.05
    assert "real" not in ruler.places


def test_a_blunt_arm_detects_large_doses_only() -> None:
    ruler = read_ruler(*pool_of(DOSES, spread=5.0, datasets=10), alpha=0.05)
    assert ruler is not None
    assert ruler.detected is None or ruler.detected >= 0.35
    assert ruler.right_order < 1.0


def test_two_doses_are_no_ruler() -> None:
    assert read_ruler(*pool_of({"corrupted:share=0.0": 0.0, "corrupted:share=1.0": -9.0}), alpha=0.05) is None


@pytest.mark.parametrize(
    "other", [{"mixing": "augment"}, {"ratio": 8.0}, {"plugin_version": "0.2"}], ids=["mixing", "ratio", "version"]
)
def test_doses_that_differ_in_more_than_the_share_make_no_ruler_together(other: dict[str, Any]) -> None:
    """As many doses of others lie behind: of two rulers one is read, the others are methods beside it."""
    beside = {name.replace("share=", "x=1,share="): gain / 4 + 1 for name, gain in DOSES.items()}
    rows, matrix = pool_of({"real": 0.5, **DOSES, **beside})
    rows = rows.assign(mixing="replace", ratio=1.0, plugin_version="0.1")
    for name, value in other.items():
        rows.loc[rows["method"].isin(beside), name] = value
    ruler = read_ruler(rows, matrix, alpha=0.05)
    assert ruler is not None
    assert ruler.gains == pytest.approx(list(DOSES.values()), abs=0.2)
    assert set(ruler.places) == {"real", *beside}
    few = rows[~rows["method"].isin([*list(DOSES)[2:], *list(beside)[:3]])]
    assert read_ruler(few, matrix[few["method"]], alpha=0.05) is None  # two doses of each, four in all
