"""The scaling law of pre-training: what is fitted to runs, and the command that does it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_pretrain import CONFIG, SMALL
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.errors import TabgenError
from tabgen.models.tab2d import Tab2D
from tabgen.pretrain import scaling, train
from tabgen.pretrain.held_out import HeldOut
from tabgen.pretrain.scaling import Curve, Point, checkpoints_of, curve_of, fit, in_words, law_of, task_losses
from tabgen.pretrain.tasks import make_batch
from tabgen.pretrain.train import loss_of, pretrain

pytestmark = pytest.mark.usefixtures("few_held_out_tasks")


def points(floor: float, scale: float, exponent: float, noise: float = 0.0) -> list[Point]:
    rng = np.random.default_rng(0)
    of_task = rng.normal(0, 0.2, (2, 30))  # tasks differ far more than checkpoints do
    of_task -= of_task.mean(1, keepdims=True)
    return [
        Point(
            tasks,
            {
                name: list(floor + scale * tasks**-exponent + of_task[f] + noise * rng.normal(size=30))
                for f, name in enumerate("ab")
            },
        )
        for tasks in (1000 * 2**doublings for doublings in range(8))
    ]


@pytest.mark.parametrize(("floor", "scale", "exponent"), [(0.4, 5.0, 0.3), (0.55, 60.0, 0.7), (0.0, 2.0, 0.15)])
def test_a_power_law_is_found_again(floor: float, scale: float, exponent: float) -> None:
    made = points(floor, scale, exponent)
    law = fit(made)
    assert law.exponent == pytest.approx(exponent, rel=0.05)
    assert law.floor == pytest.approx(floor, abs=0.02)
    tasks = np.array([point.tasks for point in made])
    np.testing.assert_allclose(law(tasks), [point.mean for point in made], atol=1e-3)


def test_the_interval_of_the_exponent_holds_it_and_widens_with_noise() -> None:
    quiet, loud = (fit(points(0.4, 5.0, 0.3, noise)).exponent_interval for noise in (0.001, 0.03))
    assert loud[0] < 0.3 < loud[1]
    assert loud[1] - loud[0] > 3 * (quiet[1] - quiet[0])


def test_every_family_counts_alike() -> None:
    assert Point(1, {"many": [1.0] * 90, "few": [0.0] * 10}).mean == pytest.approx(0.5)


def test_losses_of_tasks_are_those_of_training() -> None:
    torch.manual_seed(0)
    model = Tab2D(CONFIG.model)
    batch = make_batch(SMALL, {"mechanisms": 1.0}, 4, 0)
    singles = [
        replace(batch, **{n: v[i : i + 1] for n, v in vars(batch).items() if n != "n_classes"})
        for i in range(len(batch.x_support))
    ]
    expected = [loss_of(model, single).item() for single in singles]
    assert task_losses(model, batch) == pytest.approx(expected, rel=1e-4)


def test_checkpoints_come_in_the_order_of_their_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TabgenError, match=r"no run of `tabgen pretrain`"):
        checkpoints_of(tmp_path)
    monkeypatch.setattr(train, "kept_at", lambda _, after: after)
    pretrain(CONFIG, tmp_path)
    found = checkpoints_of(tmp_path)
    assert [tasks for tasks, _ in found] == sorted(tasks for tasks, _ in found)
    assert found[-1][1] == tmp_path
    assert len(found) == CONFIG.steps + 1  # the last step is kept twice
    (tmp_path / "model.safetensors").unlink()
    for _, folder in found[:-1]:
        (folder / "model.safetensors").unlink()
        (folder / "config.json").unlink()
        folder.rmdir()
    with pytest.raises(TabgenError, match="no checkpoint yet"):
        checkpoints_of(tmp_path)


def test_few_checkpoints_get_no_law(tmp_path: Path) -> None:
    pretrain(CONFIG, tmp_path / "short")
    curve = curve_of(tmp_path / "short", HeldOut({"mechanisms": 1.0}))
    assert curve.law is None
    assert curve.points[0].tasks == curve.points[-1].tasks > 0
    assert "too few checkpoints" in in_words(curve)


def test_the_command_compares_runs_on_the_same_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "kept_at", lambda _, after: after)
    pretrain(CONFIG, tmp_path / "all")
    pretrain(replace(CONFIG, distinct_tasks=20), tmp_path / "few")
    out, figure = tmp_path / "scaling.json", tmp_path / "scaling.svg"
    line = ["scale", "pretrain", str(tmp_path / "all"), str(tmp_path / "few"), "--priors", "mechanisms=1,rules=1"]
    result = CliRunner().invoke(app, [*line, "-o", str(out), "--figure", str(figure)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "20 distinct tasks" in result.output
    assert result.output.count("x tasks^-") == 2
    curves = json.loads(out.read_text())
    assert [curve["name"] for curve in curves] == ["all", "few"]
    assert {len(losses) for c in curves for p in c["points"] for losses in p["losses"].values()} == {4}
    assert set(curves[0]["points"][0]["losses"]) == {"mechanisms/tiny", "rules/tiny"}
    assert "tasks of pre-training" in figure.read_text()
    assert "mathdefault" not in figure.read_text()


def test_a_curve_that_is_no_power_law_is_told_from_one_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "RESAMPLES", 2)

    def told(means: list[float]) -> float:
        points = [Point(1000 * 2**place, {"all": [mean] * 4}) for place, mean in enumerate(means)]
        words = in_words(Curve("run", ("all",), 0, tuple(points), fit(points)))
        return float(words.partition("off by ")[2].split()[0])

    assert told([1.0 * 2**-place for place in range(6)]) < 0.005
    assert told([1.0, 1.0, 1.0, 1.0, 0.5, 0.4]) > 0.05


def test_a_run_whose_loss_rises_again_has_no_law() -> None:
    falling = [Point(1000 * 2**n, {"rules": [1.0 - 0.1 * n, 1.1 - 0.1 * n]}) for n in range(5)]
    again = [*falling, Point(32_000, {"rules": [0.8, 0.9]})]
    assert law_of(falling) is not None
    assert law_of(again) is None
    assert in_words(Curve("few", ("rules",), 500, tuple(again), None)).endswith("it rises again, no power law")
