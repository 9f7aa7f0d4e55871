"""Adequacy: samples whose worth is known get the values they must, and only those without signal are flagged."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from tabgen.adequacy import adequacy, learnt_in_words, untrained
from tabgen.datasets import Dataset
from tabgen.generator import FitContext, Generator
from tabgen.references import Bootstrap, Corrupted, Independent, Jitter, Noise, ShuffledLabels
from tabgen.sampling import draw_sample, fit_generator
from tabgen.splits import split
from tabgen.table import Table
from tabgen.testing import HARD_TABLES


@pytest.fixture(scope="module")
def parts(heart: Dataset) -> tuple[Table, Table]:
    table = heart.load()
    rows = split(table.labels, 0, 3, 0)
    return table.take(rows.train).observed(), table.take(rows.test)


def of(generator: Generator, parts: tuple[Table, Table], seed: int = 0) -> dict[str, float]:
    train, holdout = parts
    fit_generator(generator, train, FitContext(0))
    return adequacy(train, holdout, draw_sample(generator, train, len(train), seed), seed)


def test_the_training_rows_themselves_are_as_good_as_real(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    scores = adequacy(train, holdout, train, 0)
    assert scores["adequacy_tstr"] == scores["adequacy_real"] > 0.8
    assert scores["adequacy_within"] == scores["adequacy_within_real"] > 0.8
    assert scores["adequacy_class_distance"] == 0.0
    assert scores["adequacy_untrained"] == 0.0


def test_copies_do_not_vouch_for_each_other(parts: tuple[Table, Table]) -> None:
    """Every row five times over, labels without signal: judged by its copies, the label would be certain."""
    train, holdout = parts
    target = train.schema.target
    labels = train.frame[target].take(np.random.default_rng(0).permutation(len(train)))
    noise = train.like(train.frame.assign(**{target: labels.to_numpy()}))
    scores = adequacy(train, holdout, noise.take(np.tile(np.arange(len(noise)), 5)), 0)
    assert scores["adequacy_within"] < 0.6


@pytest.mark.parametrize("generator", [Independent, Noise, ShuffledLabels])
def test_samples_without_signal_are_untrained(generator: type[Generator], parts: tuple[Table, Table]) -> None:
    for seed in range(3):
        scores = of(generator(), parts, seed)
        assert scores["adequacy_untrained"] == 1.0
        assert scores["adequacy_real"] > 0.8


@pytest.mark.parametrize("generator", [Bootstrap(), Jitter(), Corrupted(share=0.3)])
def test_samples_with_signal_are_not(generator: Generator, parts: tuple[Table, Table]) -> None:
    assert all(of(generator, parts, seed)["adequacy_untrained"] == 0.0 for seed in range(3))


def test_more_spoilt_labels_teach_less_and_are_less_predictable(parts: tuple[Table, Table]) -> None:
    scores = [of(Corrupted(share=share), parts) for share in (0.0, 0.4, 0.9)]
    for name in ("adequacy_tstr", "adequacy_within"):
        assert scores[0][name] > scores[1][name] > scores[2][name]


def test_too_clean_labels_show_within_the_sample(parts: tuple[Table, Table]) -> None:
    """Labels by one threshold of one column: easier to predict than the real ones, and worth less."""
    train, holdout = parts
    name = next(c.name for c in train.schema.columns if not c.is_discrete)
    above = (train.frame[name] > train.frame[name].median()).to_numpy().astype(int)
    frame = train.frame.assign(**{train.schema.target: np.array(train.schema.classes, dtype=object)[above]})
    scores = adequacy(train, holdout, train.like(frame), 0)
    assert scores["adequacy_within"] > 0.98 > scores["adequacy_within_real"]
    assert scores["adequacy_tstr"] < scores["adequacy_real"] - 0.1


def test_class_distance_is_total_variation(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    rows = np.concatenate([np.flatnonzero(train.labels == 0)[:30], np.flatnonzero(train.labels == 1)[:10]])
    shares = np.bincount(train.labels) / len(train)
    assert adequacy(train, holdout, train.take(rows), 0)["adequacy_class_distance"] == pytest.approx(0.75 - shares[0])


def test_the_seed_decides(parts: tuple[Table, Table]) -> None:
    assert of(Jitter(), parts, 4) == of(Jitter(), parts, 4)


def test_fewer_columns_are_compared_on_those_that_are_there(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    some = train.schema.names[:2]
    schema = type(train.schema)(train.schema.columns[:2], train.schema.target, train.schema.classes)
    scores = adequacy(train, holdout, Table(train.frame[[*some, train.schema.target]], schema), 0)
    assert scores["adequacy_tstr"] == scores["adequacy_real"]
    assert scores["adequacy_real"] < adequacy(train, holdout, train, 0)["adequacy_real"]


@pytest.mark.parametrize("name", sorted(HARD_TABLES))
def test_hard_tables_have_values(name: str) -> None:
    table = HARD_TABLES[name]()
    scores = adequacy(table.observed(), table, table.observed(), 0)
    assert 0 <= scores["adequacy_real"] <= 1
    assert scores["adequacy_untrained"] in (0.0, 1.0)
    assert scores["adequacy_class_distance"] == 0.0


def test_one_class_alone_is_untrained(parts: tuple[Table, Table]) -> None:
    train, holdout = parts
    scores = adequacy(train, holdout, train.take(np.flatnonzero(train.labels == 0)), 0)
    assert np.isnan(scores["adequacy_within"])
    assert scores["adequacy_untrained"] == 1.0


@pytest.mark.parametrize(
    ("real", "tstr", "within_real", "within", "verdict"),
    [
        (0.69, 0.5, 0.9, 0.5, False),  # nothing to learn from the real rows either
        (0.9, 0.61, 0.9, 0.9, False),
        (0.9, 0.59, 0.9, 0.9, True),
        (0.9, 0.9, 0.9, 0.59, True),
        (0.9, 0.9, 0.6, 0.53, False),  # as hard to predict within the real rows
        (0.9, 0.2, 0.9, 0.9, True),
        (float("nan"), 0.5, 0.9, 0.5, False),
        (0.9, 0.9, 0.9, float("nan"), True),
    ],
)
def test_the_rule(real: float, tstr: float, within_real: float, within: float, verdict: bool) -> None:
    scores = {"adequacy_real": real, "adequacy_tstr": tstr}
    scores |= {"adequacy_within_real": within_real, "adequacy_within": within}
    assert untrained(scores) == verdict


def test_the_words_quote_the_comparison_that_failed() -> None:
    scores = {"real": 0.9, "tstr": 0.85, "within_real": 0.88, "within": 0.51}
    told = {f"adequacy_{name}": value for name, value in scores.items()}
    assert "within them with 0.51 ROC-AUC, within the real rows with 0.88" in learnt_in_words(told)
    assert "from its rows to 0.55 ROC-AUC, from the real rows to 0.90" in learnt_in_words(
        told | {"adequacy_tstr": 0.55}, "its rows"
    )
    assert "from them to 0.85 ROC-AUC" in learnt_in_words(told | {"adequacy_within": 0.8})


def test_it_takes_a_fraction_of_a_second() -> None:
    """300 x 15, in processor time: a bar that a busy machine does not move; the second call, without imports."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((600, 15)), columns=[f"x{i}" for i in range(15)])
    table = Table.from_frame(frame.assign(y=(frame["x0"] + frame["x1"] > 0).map({True: "a", False: "b"})), "y")
    train, holdout = table.take(np.arange(300)), table.take(np.arange(300, 600))
    adequacy(train, holdout, train, 0)
    begin = time.process_time()
    adequacy(train, holdout, train, 0)
    assert time.process_time() - begin < 1.2  # four times what an idle machine takes, which a busy one has come near
