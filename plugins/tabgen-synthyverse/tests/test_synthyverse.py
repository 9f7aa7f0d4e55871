"""Diffusion models and adversarial forests in their own environment, which is built if it is not there."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from own_environments import built
from tabgen_synthyverse import ARF, CDTD, TabDDPM, TabDiff, TabSyn, _Column, _kept_apart

from tabgen import FitContext, Generator, Table
from tabgen.errors import InvalidOutput
from tabgen.host import environments
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import HARD_TABLES, Check, conformance_checks, easy_table

QUICK: tuple[tuple[type[Generator], dict[str, Any]], ...] = (
    (TabDDPM, {"steps": 5, "timesteps": 25, "width": 16}),
    (CDTD, {"steps": 150, "timesteps": 30, "width": 64}),
    (TabDiff, {"steps": 20, "timesteps": 10, "width": 32}),
    (TabSyn, {"vae_steps": 30, "steps": 30, "timesteps": 10, "width": 32}),
    (ARF, {"trees": 3, "rounds": 2}),
)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> environments.Installed:
    return built("arf", tmp_path_factory.mktemp("probe"))


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{generator.info.name}:{check}")
        for generator, settings in QUICK
        for check in conformance_checks(generator, settings)
        if generator is ARF or check.name not in ("time-limit", "fresh-process")
    ],  # seconds of imports: once is enough
)
@pytest.mark.usefixtures("environment")
def test_conformance(check: Check) -> None:
    check()


def sample_of(
    table: Table, generator: type[Generator], n_rows: int, fit_seed: int = 0, seed: int = 0, **settings: Any
) -> Table:
    made, context = make_where_it_runs(generator, settings), FitContext(seed=fit_seed)
    fit_generator(made, table, context)
    return draw_sample(made, table, n_rows, seed)


@pytest.mark.parametrize(
    ("generator", "few", "many"),
    [
        (TabDDPM, {"steps": 1}, {"width": 256, "timesteps": 100, "batch_size": 120}),
        (CDTD, {"steps": 5}, {"steps": 400}),
        (TabDiff, {"steps": 1}, {"steps": 150}),
        (TabSyn, {"vae_steps": 1, "steps": 1}, {"vae_steps": 200, "steps": 200}),
    ],
    ids=["tabddpm", "cdtd", "tabdiff", "tabsyn"],
)
@pytest.mark.usefixtures("environment")
def test_training_brings_the_classes_apart(generator: type[Generator], few: Any, many: Any) -> None:
    """By how far the mean length of a class is from the real one; 1 for a class, or a sample, that is not there."""
    table = easy_table(120)
    small = {"width": 64, "timesteps": 25, "batch_size": 60}

    def distance(settings: dict[str, Any]) -> float:
        try:
            drawn = sample_of(table, generator, 400, **small | settings).frame
        except InvalidOutput:  # of one class
            return 1.0
        means = [f["length"].groupby(f["species"].astype(str)).mean() for f in (drawn, table.frame)]
        return float((means[0] - means[1]).abs().reindex(means[1].index).fillna(1).mean())

    assert distance(many) < 0.5 * distance(few)


@pytest.mark.usefixtures("environment")
def test_a_forest_keeps_what_hangs_together() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    frame = pd.DataFrame({"x": x, "z": x + 0.1 * rng.normal(size=300), "y": np.where(x > 0, "a", "b")})
    drawn = sample_of(Table.from_frame(frame, "y"), ARF, 300).frame
    x, z, y = drawn["x"].to_numpy(float), drawn["z"].to_numpy(float), drawn["y"].to_numpy(str)
    assert np.corrcoef(x, z)[0, 1] > 0.8
    assert ((x > 0) == (y == "a")).mean() > 0.9


@pytest.mark.parametrize("generator", [TabDDPM, TabSyn, ARF])
@pytest.mark.usefixtures("environment")
def test_missing_values_are_learnt_and_not_filled(generator: type[Generator]) -> None:
    quick = next(settings for kind, settings in QUICK if kind is generator)
    table = HARD_TABLES["missing-values"]()
    sample = sample_of(table, generator, 300, **quick)
    assert sample.frame["x0"].isna().any()
    assert not sample.frame["x0"].isna().all()


@pytest.mark.parametrize("name", ["missing-values", "odd-names", "boolean-labels", "integer-levels", "wild-numbers"])
def test_columns_come_back_as_they_were(name: str) -> None:
    table = HARD_TABLES[name]().observed()
    data = {}
    for each in table.schema.columns:
        column = _Column(each, table.frame[each.name])
        values, absent = column.encode(table.frame[each.name])
        data[each.name] = column.decode(values, None if absent is None else pd.Series(absent))
    data[table.schema.target] = table.frame[table.schema.target]
    assert table.like(pd.DataFrame(data)).content_hash == table.content_hash


def test_fewer_steps_than_the_schedule_has_room_for_are_refused() -> None:
    with pytest.raises(ValueError, match="25 are due"):
        TabDDPM(timesteps=20)


def test_no_level_stands_in_the_rows_kept_apart_alone() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "a": np.r_[np.arange(20), np.arange(20), [0] * 20]})
    label = pd.Series(np.r_[[2], np.resize([0, 1], 59)])
    first, second = _kept_apart(frame.assign(y=label), test_size=0.1, random_state=0, stratify=label)
    assert 4 <= len(second) <= 6
    assert sorted([*first.index, *second.index]) == list(range(60))
    for name in ("a", "y"):
        assert set(second[name]) <= set(first[name])
