"""Variance components, the minimum detectable effect and how to halve it, on outcomes of known components."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabgen.statistics import normalised_scores, signed_rank, summary
from tabgen.statistics.components import (
    Components,
    components_sentence,
    detectable_effect,
    kept_start,
    nested_components,
    variance_components,
)

ZERO_SHOT = 0.8


def simulated(
    sd: dict[str, float], datasets: int, splits: int = 1, draws: int = 1, tunings: int = 1, seed: int = 0
) -> pd.DataFrame:
    """Cells of `real` (gain 0) and of one generator whose gain is the sum of effects of these standard deviations."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for dataset in range(datasets):
        of_dataset = rng.normal(0, sd["dataset"])
        for split in range(splits):
            of_split = rng.normal(0, sd["split"])
            for draw in range(draws):
                gains = of_dataset + of_split + rng.normal(0, sd["draw"]) + rng.normal(0, sd["tuning"], tunings)
                for method, own in (("real", np.zeros(tunings)), ("scm", gains)):
                    if method == "real" and draw:
                        continue
                    scores = ZERO_SHOT * (1 + own / 100)
                    rows.append(
                        {
                            "dataset": f"d{dataset:03d}",
                            "fold": split,
                            "split_seed": 0,
                            "seed": draw,
                            "draw": draw,
                            "method": method,
                            "generator": None if method == "real" else method,
                            "status": "ok",
                            "by_seed_tuned_test_roc_auc": list(scores),
                            "seconds_total": 10.0,
                            "seconds_finetune": 4.0,
                        }
                        | {f"zero_shot_{part}_roc_auc": ZERO_SHOT for part in ("validation", "test")}
                        | {f"tuned_{part}_roc_auc": scores.mean() for part in ("validation", "test")}
                    )
    return pd.DataFrame(rows)


def components(outcomes: pd.DataFrame) -> Components:
    scores = normalised_scores(outcomes)
    found = variance_components(outcomes, scores, "roc_auc", "fine-tune")
    assert found is not None
    return found


KNOWN = {"dataset": 1.0, "split": 0.5, "draw": 0.7, "tuning": 1.5}


def test_all_four_components_are_found() -> None:
    found = components(simulated(KNOWN, datasets=400, splits=3, draws=3, tunings=3))
    assert list(found.variances) == ["dataset", "split", "draw", "tuning"]
    for source, sd in KNOWN.items():
        assert found.variances[source] == pytest.approx(sd**2, abs=0.15), source
    assert found.counts == {"dataset": 400, "split": 3, "draw": 3, "tuning": 3}


def test_what_is_not_repeated_stands_with_the_source_outside_it() -> None:
    found = components(simulated(KNOWN, datasets=400, splits=3, tunings=2))
    assert list(found.variances) == ["dataset", "split+draw", "tuning"]
    assert found.variances["split+draw"] == pytest.approx(0.5**2 + 0.7**2, abs=0.2)
    assert list(components(simulated(KNOWN, datasets=30)).variances) == ["dataset+split+draw+tuning"]


def test_unbalanced_groups_are_no_bias() -> None:
    rng = np.random.default_rng(0)
    estimates = []
    for _ in range(200):
        sizes = rng.integers(1, 8, size=25)
        group = np.repeat(np.arange(25), sizes)
        values = rng.normal(0, 1.0, 25)[group] + rng.normal(0, 2.0, len(group))
        estimates.append(nested_components(values, [group, np.arange(len(group))]))
    between, within = np.mean(estimates, axis=0)
    assert between == pytest.approx(1.0, abs=0.25)  # a little above: negative estimates are 0
    assert within == pytest.approx(4.0, abs=0.15)


def test_the_variance_of_a_datasets_mean_is_what_it_would_be_without_components() -> None:
    outcomes = simulated(KNOWN, datasets=50, splits=3, draws=2, tunings=2)
    means = normalised_scores(outcomes).query("method == 'scm'").groupby("dataset")["gain_test"].mean()
    assert components(outcomes).detectable == pytest.approx(detectable_effect(float(means.std()), 50), rel=1e-6)


@pytest.mark.parametrize("datasets", [10, 30])
def test_the_detectable_effect_is_found_in_four_of_five_studies(datasets: int) -> None:
    rng = np.random.default_rng(datasets)
    effect = detectable_effect(1.0, datasets)
    found = np.mean([signed_rank(rng.normal(effect, 1.0, datasets)).p <= 0.05 for _ in range(2000)])
    assert 0.76 < found < 0.86


def test_halving_says_what_would_halve_it_and_the_cheapest_comes_first() -> None:
    noisy = components(simulated(KNOWN | {"dataset": 0.1, "split": 0.1, "draw": 0.1}, 200, 3, 2, 2))
    ways = {way.source: way for way in noisy.halvings}
    assert ways["dataset"].then == 800
    assert noisy.halvings[0].source == "tuning"
    assert noisy.halvings == sorted(noisy.halvings, key=lambda way: way.seconds or 0.0)
    # 4 seconds of each of the cells at hand, for every further set of tuning seeds
    cells = 200 * 3 * 3
    assert ways["tuning"].seconds == pytest.approx(4.0 * cells * (ways["tuning"].then / 2 - 1))
    goal = (noisy.detectable / 2) ** 2
    variances, counts = noisy.variances, noisy.counts | {"tuning": ways["tuning"].then}
    splits, draws, tunings = (counts[source] for source in ("split", "draw", "tuning"))
    variance = variances["dataset"] + variances["split"] / splits + variances["draw"] / (splits * draws)
    variance += variances["tuning"] / (splits * draws * tunings)
    assert detectable_effect(variance**0.5, 200) ** 2 <= goal * 1.001


def test_more_folds_are_no_way_where_datasets_differ() -> None:
    found = components(simulated({"dataset": 3.0, "split": 0.3, "draw": 0.1, "tuning": 0.3}, 100, 3, 1, 2))
    assert [way.source for way in found.halvings] == ["dataset"]


def test_without_a_reference_or_two_datasets_there_are_none() -> None:
    outcomes = simulated(KNOWN, datasets=5)
    for part in (outcomes[outcomes["method"] == "scm"], outcomes[outcomes["dataset"] == "d000"]):
        assert variance_components(part, normalised_scores(part), "roc_auc", "fine-tune") is None


def test_where_nothing_varies_no_effect_is_said_to_be_found() -> None:
    outcomes = simulated(dict.fromkeys(KNOWN, 0.0), datasets=5)
    assert variance_components(outcomes, normalised_scores(outcomes), "roc_auc", "fine-tune") is None


def test_without_real_in_the_pool_there_is_nothing_to_detect() -> None:
    """Of five datasets `real` ended on three: it stands beside the ranking, and so does what compares with it."""
    outcomes = simulated(KNOWN, datasets=5, splits=2)
    other = outcomes[outcomes["method"] == "scm"].assign(method="b", generator="b")
    outcomes = pd.concat([outcomes, other], ignore_index=True)
    outcomes.loc[(outcomes["method"] == "real") & outcomes["dataset"].isin(["d000", "d001"]), "status"] = "error"
    outcomes["best_step"] = 5
    ranking = summary(outcomes)
    assert "real" not in ranking.pool.methods
    assert ranking.components is None


def test_a_method_beside_the_ranking_counts_for_nothing() -> None:
    outcomes = simulated(KNOWN, datasets=6, splits=2)
    wild = simulated({name: 50 * value for name, value in KNOWN.items()}, datasets=6, splits=2, seed=1)
    wild = wild[wild["method"] == "scm"].assign(method="wild", generator="wild")
    wild.loc[wild["dataset"].isin(["d000", "d001"]), "status"] = "error"
    alone, beside = (summary(part.assign(best_step=5)) for part in (outcomes, pd.concat([outcomes, wild])))
    assert "wild" in beside.pool.excluded_methods
    assert beside.components == alone.components is not None


def test_the_sentence_names_effect_sources_and_the_cheapest_way() -> None:
    said = components_sentence(components(simulated(KNOWN | {"dataset": 0.1}, 40, 3, 1, 2)))
    assert "Minimum detectable effect of one comparison with real: " in said
    assert "80% power, two-sided alpha 0.05, 40 datasets" in said
    assert "split with generator draw " in said
    assert "Cheapest way to halve it: " in said


def test_the_share_that_kept_step_0_counts_every_fine_tuning_run() -> None:
    runs = pd.DataFrame(
        {"method": ["zero-shot", "real", "scm"], "best_step": [0, 0, 10], "by_seed_best_step": [None, [0, 5], [10, 0]]}
    )
    assert kept_start(runs) == 0.5
    assert kept_start(runs.drop(columns="by_seed_best_step")) == 0.5
    assert kept_start(runs[["method"]]) is None
