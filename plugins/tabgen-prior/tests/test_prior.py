from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from tabgen_prior import Prior

from tabgen import FitContext, Table
from tabgen.errors import TabgenError
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import Check, conformance_checks, easy_table


@pytest.mark.parametrize("check", conformance_checks(Prior), ids=str)
def test_conformance(check: Check) -> None:
    check()


def fitted(table: Table, **settings: Any) -> Prior:
    generator = Prior(**settings)
    fit_generator(generator, table, FitContext(seed=0))
    return generator


def numbers(rows: int = 400) -> Table:
    """Two numbers that are all but the same and tell the label; a skewed third; levels of unequal shares."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(rows)
    frame = pd.DataFrame({
        "a": x,
        "b": x + 0.01 * rng.standard_normal(rows),
        "c": np.exp(rng.standard_normal(rows)),
        "level": rng.choice(["u", "v", "w"], rows, p=[0.7, 0.2, 0.1]),
        "y": x > 0,
    })  # fmt: skip
    return Table.from_frame(frame, "y")


def test_marginals_are_the_tables() -> None:
    table = numbers()
    samples = [draw_sample(fitted(table), table, 400, seed).frame for seed in range(30)]
    for name in "abc":
        values = set(table.frame[name])
        assert all(set(frame[name]) <= values for frame in samples)
        medians = [frame[name].median() for frame in samples if frame[name].nunique() > 300]
        assert len(medians) > 5
        assert np.abs(np.array(medians) - table.frame[name].median()).max() < 0.1 * table.frame[name].std()
    finest = [f["level"].value_counts(normalize=True) for f in samples if f["level"].nunique() == 3]
    assert np.mean([shares["u"] for shares in finest]) == pytest.approx(0.7, abs=0.12)


def test_dependence_is_the_priors_and_not_the_tables() -> None:
    table = numbers()
    generator = fitted(table)
    drawn = (draw_sample(generator, table, 300, seed).frame[["a", "b"]] for seed in range(40))
    correlations = [abs(spearmanr(frame["a"], frame["b"])[0]) for frame in drawn if frame.nunique().min() > 1]
    assert len(correlations) > 30
    assert np.median(correlations) < 0.6  # the table's is 1
    assert max(correlations) > 0.3  # nor is there none


def test_labels_can_be_learned_from_the_features() -> None:
    table, found = numbers(), []
    generator = fitted(table)
    for seed in range(12):
        sample = draw_sample(generator, table, 600, seed)
        x = sample.features.assign(level=sample.frame["level"].cat.codes).to_numpy()
        y = sample.labels
        if min(np.bincount(y[300:], minlength=2)) < 5 or len(np.unique(y[:300])) < 2:
            continue
        forest = RandomForestClassifier(50, random_state=0).fit(x[:300], y[:300])
        found.append(roc_auc_score(y[300:], forest.predict_proba(x[300:])[:, 1]))
    assert np.mean(found) > 0.65


def test_each_sample_is_another_task() -> None:
    table = easy_table(90)
    generator = fitted(table)
    a, b = (draw_sample(generator, table, 200, seed) for seed in (1, 2))
    assert not a.frame.equals(b.frame)
    assert a.frame.equals(draw_sample(generator, table, 200, 1).frame)


def test_an_unknown_prior_is_refused() -> None:
    with pytest.raises(TabgenError, match="prior"):
        fitted(easy_table(60), priors="oracle=1")
