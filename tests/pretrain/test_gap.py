"""Regions of the prior's space: where a model is behind, and batches that lean there."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.errors import TabgenError
from tabgen.models.checkpoints import Tab2DModel
from tabgen.models.tab2d import Tab2D, Tab2DConfig
from tabgen.pretrain import gap
from tabgen.pretrain.config import PretrainConfig
from tabgen.pretrain.gap import Gap, gaps, read_gaps, weights, write_gaps
from tabgen.pretrain.tasks import LEAST_WEIGHT, Curriculum, _layout, batch_in, batches_of, make_batch, regions_of
from tabgen.pretrain.train import batches

pytestmark = pytest.mark.usefixtures("few_held_out_tasks")

PRIORS = {"rules": 0.5, "levels": 0.5}
SHAPES = Curriculum(grow_steps=1, cells=4000)
FAR = "levels, many rows, few columns, two classes"


class Constant:
    """Says the same of every row."""

    def predict(self, x_support: Tensor, y_support: Tensor, x_query: Tensor, n_classes: int) -> np.ndarray:
        return np.full((len(x_query), n_classes), 1 / n_classes)


@pytest.fixture
def quick_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that are fitted in milliseconds, in place of those of a map."""
    made = {
        "a tree": lambda: DecisionTreeClassifier(min_samples_leaf=5, random_state=0),
        "few trees": lambda: RandomForestClassifier(10, random_state=0),
    }
    monkeypatch.setattr(gap, "BASELINES", made)


def test_every_layout_has_a_region_of_the_list_and_leaning_changes_the_shares_as_weighted() -> None:
    plain = Counter(_layout(SHAPES, PRIORS, 3, index).region for index in range(3000))
    assert set(plain) <= set(regions_of(PRIORS))
    assert len(regions_of(PRIORS)) == len(set(regions_of(PRIORS))) == 16
    chances = dict.fromkeys(regions_of(PRIORS), 0.25) | {FAR: 1.0}
    leant = Counter(_layout(SHAPES, PRIORS, 3, index, chances).region for index in range(3000))
    share = plain[FAR] / 3000
    expected = share / (share + 0.25 * (1 - share))
    assert leant[FAR] / 3000 == pytest.approx(expected, abs=4 * math.sqrt(expected / 3000))
    assert expected > 2 * share


def test_no_emphasis_draws_what_was_always_drawn_and_a_region_without_chance_is_not_given_up() -> None:
    one = make_batch(SHAPES, PRIORS, 3, 7)
    assert torch.equal(one.x_support, make_batch(SHAPES, PRIORS, 3, 7, {}).x_support)
    only = {FAR: 1.0}  # the others are at the least weight
    drawn = Counter(_layout(SHAPES, PRIORS, 3, index, only).region for index in range(2000))
    assert drawn[FAR] > 1500
    assert len(drawn) > 1


def test_a_run_that_leans_makes_the_same_batches_ahead_and_here() -> None:
    config = PretrainConfig(
        model=Tab2DConfig(16, 10, 2, 2), curriculum=SHAPES, priors=PRIORS, seed=4, emphasis={FAR: 1.0}
    )
    (here,), (ahead,) = list(batches(config, 2, 3, 0)), list(batches(config, 2, 3, 1))
    assert torch.equal(here.x_support, ahead.x_support)
    assert torch.equal(here.x_support, make_batch(SHAPES, PRIORS, 4, 2, {FAR: 1.0}).x_support)
    number = batches_of(SHAPES, PRIORS, 4, 50, {FAR: 1.0})
    seen = [len(make_batch(SHAPES, PRIORS, 4, index, {FAR: 1.0}).x_support) for index in range(number)]
    assert sum(seen[:-1]) < 50 <= sum(seen)


def test_a_batch_of_a_region_is_of_that_region() -> None:
    batch = batch_in(FAR, SHAPES, {"levels": 1.0}, 0, 0, 3)
    assert batch is not None
    assert len(batch.x_support) == 3
    assert batch.n_classes == 2
    assert batch.x_support.shape[1] + batch.x_query.shape[1] > 250
    assert batch_in(FAR, SHAPES, {"rules": 1.0}, 0, 0, 3) is None


@pytest.mark.usefixtures("quick_baselines")
def test_a_model_that_knows_nothing_is_behind_everywhere_and_gaps_come_widest_first() -> None:
    told: list[Gap] = []
    found = gaps(Constant(), ["levels"], 4, report=told.append)  # type: ignore[arg-type]
    assert {one.region for one in found} <= set(regions_of(["levels"]))
    assert sorted(told, key=lambda one: -one.gap) == found
    assert np.mean([one.gap for one in found]) > 0.05
    assert all(one.tasks >= 2 and one.error >= 0 for one in found)


def test_processes_share_the_regions_and_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap, "regions_of", lambda priors: [FAR, FAR.replace("many rows", "few rows")])
    model = Tab2DModel(Tab2D(Tab2DConfig(16, 10, 2, 2)).eval(), "of chance")
    here = gaps(model, ["levels"], 2)
    assert len(here) == 2
    assert gaps(model, ["levels"], 2, workers=2) == here


def test_the_baseline_is_chosen_on_other_tasks_than_it_is_scored_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two baselines of pure noise: the better of both on the scored draw would look ahead of chance."""

    class Noise:
        def __init__(self, seed: int) -> None:
            self.rng = np.random.default_rng(seed)

        def fit(self, x: np.ndarray, y: np.ndarray) -> None:
            self.classes_ = np.unique(y)

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return self.rng.random((len(x), len(self.classes_)))

    made = {name: Noise(number) for number, name in enumerate(("a", "b"))}
    monkeypatch.setattr(gap, "BASELINES", {name: (lambda one=one: one) for name, one in made.items()})
    found = gaps(Constant(), ["levels", "rules"], 12)  # type: ignore[arg-type]
    pooled = float(np.mean([one.gap for one in found]))
    error = float(np.sqrt(np.mean([one.error**2 for one in found]) / len(found)))
    assert abs(pooled) < 3 * error
    assert {one.baseline for one in found} == {"a", "b"}


def test_weights_are_a_softmax_with_a_floor() -> None:
    found = [Gap("x", "boosting", 0.2, 0.01, 9), Gap("y", "boosting", 0.15, 0.01, 9), Gap("z", "boosting", -1, 0.1, 9)]
    assert weights(found, 0.05) == {"x": 1.0, "y": pytest.approx(math.exp(-1)), "z": LEAST_WEIGHT}
    assert min(weights(found, 1e9).values()) == pytest.approx(1.0)
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(TabgenError, match="temperature"):
            weights(found, bad)


def test_gaps_are_kept_in_a_file_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gaps.json"
    found = [Gap("x", "boosting", 0.2, 0.01, 9)]
    write_gaps(path, found)
    assert read_gaps(path) == found
    for text in (
        "",
        "[]",
        "{}",
        '[{"region": "x"}]',
        '[{"region": 1, "baseline": "", "gap": "0", "error": 0, "tasks": 1}]',
    ):
        path.write_text(text)
        with pytest.raises(TabgenError, match="tabgen gap"):
            read_gaps(path)
    with pytest.raises(TabgenError, match="tabgen gap"):
        read_gaps(tmp_path / "none.json")


@pytest.mark.usefixtures("quick_baselines")
def test_the_command_maps_and_pretrain_leans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap, "regions_of", lambda priors: [FAR])
    path = tmp_path / "gaps.json"
    run = CliRunner()
    result = run.invoke(app, ["gap", "--priors", "levels=1", "--tasks", "4", "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert f"widest: {FAR}" in result.output
    assert [one.region for one in read_gaps(path)] == [FAR]
    line = ["pretrain", "-o", str(tmp_path / "run"), "--steps", "2", "--dim", "16", "--layers", "2", "--heads", "2"]
    line += ["--cells", "1500", "--grow-steps", "1", "--max-rows", "300", "--max-columns", "5", "--priors", "levels=1"]
    result = run.invoke(app, [*line, "--gaps", str(path), "--target-gap", "0.05"])
    assert result.exit_code == 0, result.output
    entry = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert entry["config"]["emphasis"] == {FAR: 1.0}
    result = run.invoke(app, [*line, "--target-gap", "0.05"])
    assert isinstance(result.exception, TabgenError)
    assert "--gaps" in str(result.exception)
