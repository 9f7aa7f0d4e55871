"""The answer for one table: corrected tests, and a recommendation that noise does not get."""

from __future__ import annotations

import baycomp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tabgen.statistics.one_table import ROPE, answer, correlated_t, splits_needed
from tabgen.statistics.scores import StatisticsError

FOLDS, SEEDS = 3, 3


def outcomes(gains: dict[tuple[str, str], np.ndarray], before: float = 0.8) -> pd.DataFrame:
    """Outcomes of one table; gains by (method, arm), one for every split."""
    stages = {"context": "context", "augmented": "augmented", "fine-tune": "tuned"}
    rows = []
    methods = list(dict.fromkeys(method for method, _ in gains))
    for number, (seed, fold) in enumerate([(s, f) for s in range(SEEDS) for f in range(FOLDS)]):
        shared = {"dataset": "mine", "fold": fold, "seed": seed, "status": "ok", "n_train": 200, "n_test": 100}
        shared |= {"zero_shot_test_roc_auc": before + 0.01 * fold, "seconds_total": 2.0}
        arms = sorted({arm for _, arm in gains})
        rows.append(shared | {"method": "zero-shot", "generator": None, "mixing": "none", "arms": arms})
        for method in methods:
            mine = {arm: values for (name, arm), values in gains.items() if name == method}
            row = shared | {"method": method, "generator": method, "mixing": "replace", "arms": sorted(mine)}
            if method == "real":
                row |= {"generator": None, "mixing": "real"}
            for arm, values in mine.items():
                row[f"{stages[arm]}_test_roc_auc"] = row["zero_shot_test_roc_auc"] + values[number]
            rows.append(row)
    return pd.DataFrame(rows)


def spread(mean: float, sd: float, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=FOLDS * SEEDS)
    spread: np.ndarray = mean + sd * (values - values.mean()) / values.std(ddof=1)
    return spread


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(2, 5), (3, 3), (10, 1)]), st.floats(0.001, 0.05))
def test_probabilities_are_baycomps(seed: int, shape: tuple[int, int], rope: float) -> None:
    folds, runs = shape
    values = np.random.default_rng(seed).normal(0.01, 0.03, folds * runs)
    found = correlated_t(values, 1 / (folds - 1), rope=rope)
    left, equal, right = baycomp.CorrelatedTTest.probs(values, np.zeros_like(values), rope, runs=runs)
    assert found.worse + found.equal + found.better == pytest.approx(1)
    # baycomp's factor is 1/n + rho/(1 - rho) with rho = 1/folds, which is 1/n + 1/(folds - 1)
    np.testing.assert_allclose([found.better, found.equal, found.worse], [left, equal, right], atol=1e-9)


def test_p_and_interval_are_nadeau_and_bengios() -> None:
    values = np.array([0.02, 0.01, 0.03, 0.0, 0.015, 0.022])
    found = correlated_t(values, 0.5)
    t = values.mean() / np.sqrt((1 / 6 + 0.5) * values.var(ddof=1))
    assert found.p == pytest.approx(2 * stats.t.sf(t, 5))
    assert (found.low <= 0) == (found.p >= 0.05)
    assert found.high - found.mean == pytest.approx(found.mean - found.low)


def test_differences_that_are_all_equal_are_certain() -> None:
    assert correlated_t([0.02, 0.02, 0.02], 0.5)[4:] == (0.0, 1.0, 0.0, 0.0)
    assert correlated_t([0.0, 0.0], 0.5)[4:] == (1.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize(("values", "share"), [([0.1], 0.5), ([0.1, np.nan], 0.5), ([0.1, 0.2], 0.0)])
def test_what_cannot_be_tested_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(StatisticsError):
        correlated_t(values, share)


def test_clear_help_is_recommended() -> None:
    found = answer(
        outcomes(
            {
                ("scm", "augmented"): spread(0.03, 0.005),
                ("scm", "context"): spread(-0.05, 0.01),
                ("jitter", "augmented"): spread(0.0, 0.01, 1),
            }
        )
    )
    assert found is not None
    assert (found.recommendation, found.method, found.arm, found.decided) == ("use", "scm", "augmented", True)
    assert "'scm' beside the real rows" in found.reason
    assert found.candidates[0].after - found.candidates[0].before == pytest.approx(0.03)


def test_what_is_decided_is_not_hidden_by_a_larger_mean_that_is_not() -> None:
    found = answer(outcomes({("ctgan", "augmented"): spread(0.021, 0.03), ("smote", "augmented"): spread(0.02, 0.004)}))
    assert found is not None
    assert (found.recommendation, found.method, found.decided) == ("use", "smote", True)
    assert "('ctgan' beside the real rows stands higher, 0.810 -> 0.831, as chance can do.)" in found.reason


def test_clear_harm_keeps_the_real_rows() -> None:
    found = answer(outcomes({("scm", "augmented"): spread(-0.03, 0.005), ("real", "fine-tune"): spread(-0.02, 0.004)}))
    assert found is not None
    assert (found.recommendation, found.method, found.decided) == ("keep-real", None, True)


def test_what_chance_can_do_is_undecided_and_says_what_would_decide() -> None:
    found = answer(outcomes({("scm", "augmented"): spread(0.012, 0.02)}))
    assert found is not None
    assert (found.recommendation, found.method, found.decided) == ("undecided", "scm", False)
    assert "more rows can" in found.reason
    few = answer(outcomes({("scm", "augmented"): spread(0.012, 0.0075)}))
    assert few is not None and few.recommendation == "undecided"
    needed = splits_needed(few.candidates[0], 0.05)
    assert needed is not None and f"about {needed} splits" in few.reason


def test_controls_are_never_recommended() -> None:
    found = answer(outcomes({("noise", "augmented"): spread(0.05, 0.001), ("scm", "augmented"): spread(-0.01, 0.001)}))
    assert found is not None
    assert found.recommendation == "keep-real"
    assert [c.control for c in found.candidates if c.method == "noise"] == [True]


def test_several_tables_have_no_answer_and_too_few_splits_no_decision() -> None:
    rows = outcomes({("scm", "augmented"): spread(0.03, 0.005)})
    assert answer(pd.concat([rows, rows.assign(dataset="other")])) is None
    found = answer(rows[(rows["seed"] == 0) & (rows["fold"] < 2)])
    assert found is not None and not found.decided and found.candidates[0].test is None


def test_chance_is_rarely_recommended() -> None:
    """Differences of folds that share rows, without any true difference, over five uses: at most alpha are used."""
    rng = np.random.default_rng(7)
    used = 0
    runs = 200
    for _ in range(runs):
        # a shared part of variance rho, as the overlap of training sets makes it
        gains = {}
        for name in "abcde":
            shared = rng.normal(0, 0.02 * np.sqrt(1 / FOLDS))
            gains[name, "augmented"] = shared + rng.normal(0, 0.02 * np.sqrt(1 - 1 / FOLDS), FOLDS * SEEDS)
        found = answer(outcomes(gains))
        used += found is not None and found.recommendation == "use"
    assert used / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)
    assert ROPE == 0.005


def test_draws_of_a_generator_on_one_split_are_no_splits() -> None:
    one = outcomes({("jitter", "context"): spread(0.01, 0.02)})
    drawn = pd.concat([one.assign(split_seed=one["seed"], seed=one["seed"] * 1000 + draw) for draw in range(4)])
    alone, found = answer(one), answer(drawn.reset_index(drop=True))
    assert alone is not None
    assert found is not None
    assert found.splits == alone.splits == FOLDS * SEEDS
    assert found.candidates[0].test == alone.candidates[0].test


def test_worth_beyond_the_curve_is_said_to_be() -> None:
    """What lies beyond an end of the learning curve counts as that end: no mean of such values is a worth."""
    frame = outcomes({("scm", "context"): spread(0.0, 0.01)})
    mine = frame["method"] == "scm"
    for rows, side, told in (
        ([10.0] * 6 + [50.0] * 3, [-1] * 6 + [0] * 3, (10.0, "<")),
        ([200.0] * 5 + [50.0] * 4, [1] * 5 + [0] * 4, (200.0, ">")),
        ([10.0] * 4 + [50.0, 60.0] + [200.0] * 3, [-1] * 4 + [0, 0] + [1] * 3, (50.0, "")),
    ):
        frame.loc[mine, "worth_context_rows"] = rows
        frame.loc[mine, "worth_context_censored"] = side
        found = answer(frame)
        assert found is not None
        (candidate,) = found.candidates
        assert (candidate.worth, candidate.worth_beyond) == told
