"""All pairs at once: estimates, intervals, step-down p-values, equality, rank sets and bands of ties."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from tabgen.statistics import (
    Pair,
    StatisticsError,
    compare_pairs,
    equality_p,
    pseudo_median,
    rank_sets,
    signed_rank,
    step_down_p,
    summary,
    tie_bands,
)
from tabgen.statistics.pairs import pairs_sentence, withhold

#: Hollander & Wolfe's Hamilton depression scores of nine patients before and after, as in R's help of wilcox.test.
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])


def test_estimate_and_interval_are_those_of_the_published_example() -> None:
    found = pseudo_median(AFTER - BEFORE, level=0.96)
    assert found.estimate == pytest.approx(-0.46)
    assert found.interval is not None
    assert found.interval == pytest.approx((-0.786, -0.010))


def test_an_interval_leaves_out_zero_exactly_where_the_signed_rank_test_rejects() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(300):
        differences = rng.normal(0.5, 1.0, size=rng.integers(6, 30))
        interval = pseudo_median(differences).interval
        assert interval is not None
        excludes = not interval.low <= 0 <= interval.high
        assert excludes == (signed_rank(differences).p <= 0.05)
        rejected += excludes
    assert 50 < rejected < 290


def test_five_datasets_give_an_estimate_without_an_interval() -> None:
    assert pseudo_median([1.0, 2.0, 3.0, 4.0, 5.0]) == (3.0, None)
    with pytest.raises(StatisticsError, match="no NaN"):
        pseudo_median([1.0, np.nan])


@pytest.mark.parametrize(("datasets", "studies"), [(10, 2000), (150, 1000)])
def test_intervals_cover_the_pseudo_median_of_heavy_tailed_differences(datasets: int, studies: int) -> None:
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(studies):
        interval = pseudo_median(2.0 + rng.standard_t(2, datasets)).interval
        assert interval is not None
        missed += not interval.low <= 2.0 <= interval.high
    assert 0.02 < missed / studies < 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5


def test_the_p_of_a_single_pair_is_that_of_the_exact_signed_rank_test() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        differences = rng.integers(-4, 6, size=(9, 1)).astype(float)  # with ties and zeros
        assert step_down_p(differences)[0] == pytest.approx(signed_rank(differences[:, 0]).p)


def step_down_by_definition(differences: np.ndarray) -> list[float]:
    """Each step's largest statistic of the pairs that are left, over all flips, one loop a step."""
    datasets, pairs = differences.shape
    ranks = np.sign(differences) * np.array([rankdata(np.abs(column)) for column in differences.T]).T
    ranks /= np.sqrt((ranks**2).sum(axis=0))
    left, adjusted, largest = list(range(pairs)), [0.0] * pairs, 0.0
    while left:
        top = max(left, key=lambda pair: abs(ranks[:, pair].sum()))
        statistic = abs(ranks[:, top].sum())
        flips = list(product((-1, 1), repeat=datasets))
        reached = sum(
            max(abs(float(np.dot(flip, ranks[:, pair]))) for pair in left) >= statistic - 1e-9 for flip in flips
        )
        largest = max(largest, reached / len(flips))
        adjusted[top] = largest
        left.remove(top)
    return adjusted


def test_step_down_agrees_with_its_definition() -> None:
    gains = np.random.default_rng(3).normal(size=(7, 4)) + np.array([0.0, 0.5, 1.5, 3.0])
    differences = np.stack([gains[:, a] - gains[:, b] for a in range(4) for b in range(a + 1, 4)], axis=1)
    assert step_down_p(differences) == pytest.approx(step_down_by_definition(differences))


def frame(places: list[float], datasets: int, rng: np.random.Generator, sd: float = 1.0) -> pd.DataFrame:
    gains = rng.normal(0.0, sd, size=(datasets, len(places))) + places
    return pd.DataFrame(gains, columns=[f"m{number}" for number in range(len(places))])


@pytest.mark.parametrize("datasets", [10, 30])
def test_family_wise_errors_and_coverage_of_rank_sets_by_simulation(datasets: int) -> None:
    """Half of the methods alike, half better by 2 sd: no false difference, no missed rank, beyond alpha."""
    rng = np.random.default_rng(datasets)
    places, studies, wrong, missed, told = [0.0, 0.0, 0.0, 2.0, 2.0], 300, 0, 0, 0
    for study in range(studies):
        pairs = compare_pairs(frame(places, datasets, rng), seed=study)
        truth = {f"m{number}": place for number, place in enumerate(places)}
        claims = [p for p in pairs if p.verdict in ("better", "worse")]
        sign = {"better": 1, "worse": -1}
        wrong += any((truth[p.method] - truth[p.other]) * sign[p.verdict] <= 0 for p in claims)
        sets = rank_sets(list(truth), pairs)
        missed += any(
            not (low <= (1 if place else 3) and high >= (2 if place else 5))
            for (low, high), place in zip(sets.values(), places, strict=True)
        )
        told += len(claims)
    most = 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5
    assert wrong / studies <= most
    assert missed == wrong  # a set misses only by a false difference
    assert told / studies > 3


def test_methods_that_differ_by_the_region_are_called_equal_at_most_in_a_share_of_alpha() -> None:
    rng = np.random.default_rng(5)
    studies = 300
    wrong = claimed = 0
    for study in range(studies):
        pairs = compare_pairs(frame([0.0, 0.0, 0.1, 0.1], 12, rng, sd=0.02), region=0.1, seed=study)
        wrong += any(p.equivalent for p in pairs if {p.method, p.other} not in ({"m0", "m1"}, {"m2", "m3"}))
        claimed += sum(p.equivalent for p in pairs)
    assert wrong / studies <= 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5
    assert claimed / studies > 1.5


def test_equality_is_two_one_sided_tests() -> None:
    assert equality_p(np.full(10, 0.05), 0.1) == pytest.approx(2.0**-10)
    assert equality_p(np.full(10, 0.1), 0.1) == 1.0
    assert equality_p(np.full(10, -0.3), 0.1) == pytest.approx(1.0)
    tight = pd.DataFrame({"a": np.zeros(10), "b": np.full(10, 0.01)})
    assert compare_pairs(tight, region=0.1)[0].verdict == "worse"
    assert compare_pairs(tight, region=0.1)[0].equivalent
    assert not compare_pairs(tight, region=0)[0].equivalent


def pair(method: str, other: str, verdict: str) -> Pair:
    return Pair(method, other, 0.0, None, 1.0, 1.0, False, verdict)  # type: ignore[arg-type]


PAIRS = [pair("a", "b", "undecided"), pair("a", "c", "better"), pair("b", "c", "equal")]


def test_rank_sets_and_bands_follow_from_the_claims() -> None:
    assert rank_sets(["a", "b", "c"], PAIRS) == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}
    assert tie_bands(["a", "b", "c"], PAIRS) == [["a", "b"], ["b", "c"]]
    assert rank_sets(["a", "b", "c"], withhold(PAIRS)) == dict.fromkeys("abc", (1, 3))
    assert tie_bands(["a", "b", "c"], withhold(PAIRS)) == [["a", "b", "c"]]


def test_the_sentence_counts_what_is_undecided() -> None:
    assert pairs_sentence(PAIRS, 0.1) == (
        "Of 3 pairs 1 is undecided at this resolution; 1 differ, 1 is equal within 0.1 points."
    )


def outcomes(places: dict[str, float], datasets: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for dataset in range(datasets):
        for method, place in places.items():
            score = 0.8 * (1 + (place + rng.normal(0, 0.1)) / 100)
            scores = {f"{stage}_{part}_roc_auc": 0.8 for stage in ("zero_shot",) for part in ("validation", "test")}
            scores |= {f"tuned_{part}_roc_auc": score for part in ("validation", "test")}
            row = {"dataset": f"d{dataset}", "fold": 0, "seed": 0, "method": method, "generator": method}
            rows.append(row | {"settings": {}, "status": "ok"} | scores)
    return pd.DataFrame(rows)


def test_a_ranking_holds_sets_pairs_and_bands() -> None:
    ranking = summary(outcomes({"real": 0.0, "scm": 5.0, "ctgan": -5.0}, 12))
    assert {r.method: r.rank_set for r in ranking.methods} == {"scm": (1, 1), "real": (2, 2), "ctgan": (3, 3)}
    data = ranking.to_dict()
    assert data["methods"][0]["rank_set"] == [1, 1]
    assert [p["verdict"] for p in data["pairs"]] == ["worse"] * 3  # ctgan of real, ctgan of scm, real of scm
    assert set(data["pairs"][0]["interval"]) == {"low", "high"}
    assert data["bands"] == [["scm"], ["real"], ["ctgan"]]
    assert ranking.sentences(undecided=False)[-1].startswith("Of 3 pairs 0 are undecided")


def test_nothing_is_claimed_where_a_known_bad_method_is_not_below_real_or_datasets_are_few() -> None:
    for places, datasets in (({"real": 0.0, "scm": 5.0, "noise": 2.0}, 12), ({"real": 0.0, "scm": 5.0}, 4)):
        ranking = summary(outcomes(places, datasets))
        assert {r.rank_set for r in ranking.methods} == {(1, len(places))}
        assert {p.verdict for p in ranking.pairs} == {"undecided"}
