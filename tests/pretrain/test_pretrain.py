"""Pre-training: tasks, priors, the loop; what a stop, a kill and a resume leave."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from paths import FIXTURE, importing
from safetensors.torch import load_file
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.errors import TabgenError, UnknownNameError
from tabgen.models.checkpoints import load_directory
from tabgen.models.encoding import TableEncoder
from tabgen.models.files import checkpoint_hash, weights_hash
from tabgen.models.tab2d import Tab2D, Tab2DConfig
from tabgen.pretrain import tasks, train
from tabgen.pretrain.config import PretrainConfig
from tabgen.pretrain.draws import Drawn
from tabgen.pretrain.growing import grown
from tabgen.pretrain.held_out import HeldOut, mean_auc
from tabgen.pretrain.mechanisms import sample_mechanisms
from tabgen.pretrain.state import save_state
from tabgen.pretrain.tasks import PRIORS, Batch, Curriculum, batch_of, batches_of, make_batch, parse_priors
from tabgen.pretrain.train import _update, batches, kept_at, loss_of, optimisers, pretrain
from tabgen.table import Table

SMALL = Curriculum(rows=(60, 90), features=(3, 6), classes=(3, 4), grow_steps=4, min_rows=40, cells=1500)
FEW = replace(SMALL, cells=600)
CONFIG = PretrainConfig(
    model=Tab2DConfig(16, 10, 2, 2), curriculum=SMALL, steps=6, decay_steps=3, warmup_steps=2, accumulate=2, seed=4
)

pytestmark = pytest.mark.usefixtures("few_held_out_tasks")


def equal(a: Batch, b: Batch) -> bool:
    return all(torch.equal(torch.as_tensor(x), torch.as_tensor(vars(b)[name])) for name, x in vars(a).items())


def digest(batch: Batch) -> str:
    whole = b"".join(torch.as_tensor(part).numpy().tobytes() for part in vars(batch).values())
    return hashlib.sha256(whole).hexdigest()


def run_elsewhere(code: str, hash_seed: int = 7) -> str:
    """The output of a fresh interpreter whose hashes of texts are others than here."""
    environment = importing(Path(__file__).parent) | {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


# batches


def test_a_batch_is_a_function_of_seed_and_index_in_any_process() -> None:
    here = [make_batch(SMALL, {"mechanisms": 1.0}, 4, index) for index in (5, 3, 4)]
    ahead = list(batches(CONFIG, 3, 6, producers=1))  # another process, another order
    assert [equal(a, b) for a, b in zip(ahead, (here[1], here[2], here[0]), strict=True)] == [True] * 3
    others = [make_batch(SMALL, {"mechanisms": 1.0}, 5, 3), here[0]]
    assert digest(here[1]) not in [digest(other) for other in others]


def test_a_run_of_few_distinct_tasks_sees_its_first_batches_again() -> None:
    priors = CONFIG.priors
    sizes = [len(make_batch(SMALL, priors, 4, index).x_support) for index in range(4)]
    assert batches_of(SMALL, priors, 4, sum(sizes[:3])) == 3
    assert batches_of(SMALL, priors, 4, sum(sizes[:3]) + 1) == 4
    assert batches_of(SMALL, priors, 4, 0) == 0
    few = replace(CONFIG, distinct_tasks=sum(sizes[:3]))
    seen = list(batches(few, 1, 8, producers=0))
    assert [digest(b) for b in seen] == [digest(make_batch(SMALL, priors, 4, i)) for i in (1, 2, 0, 1, 2, 0, 1)]
    assert equal(next(iter(batches(few, 3, 4, producers=1))), make_batch(SMALL, priors, 4, 0))


def test_producers_die_with_the_trainer() -> None:
    code = (
        "import test_pretrain as t; made = t.batches(t.CONFIG, 0, 9, producers=1);"
        "next(made); print('made', flush=True); t.time.sleep(100)"
    )
    environment = importing(Path(__file__).parent)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as trainer:
        assert trainer.stdout is not None
        assert trainer.stdout.readline() == b"made\n"
        family = psutil.Process(trainer.pid).children(recursive=True)
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
        gone, alive = psutil.wait_procs(family, timeout=15)
        assert alive == []
        assert len(gone) >= 1


@pytest.mark.parametrize("index", [0, 1, 2, 3, 50, 51, 52, 10**6, 10**6 + 1])
def test_batches_keep_to_the_curriculum(index: int) -> None:
    curriculum = Curriculum(rows=(100, 700), features=(4, 30), classes=(3, 10), grow_steps=50, cells=8000)
    batch = make_batch(curriculum, {"mechanisms": 1.0}, 1, index)
    b, s, f = batch.x_support.shape
    rows = s + batch.x_query.shape[1]
    assert batch.x_query.shape == (b, rows - s, f)
    assert (batch.y_support.shape, batch.y_query.shape) == ((b, s), (b, rows - s))
    assert curriculum.min_rows <= rows <= curriculum.limit(curriculum.rows, index)
    assert 0.39 * rows <= s <= 0.86 * rows
    assert 2 <= b <= 32
    assert f <= 1.5 * curriculum.limit(curriculum.features, index)  # half the features may bring an indicator
    assert b * rows * (f / 1.5 + 1) <= curriculum.cells
    assert 2 <= batch.n_classes <= curriculum.limit(curriculum.classes, index)
    for y in (batch.y_support, batch.y_query):
        assert y.dtype == torch.int64
        assert 0 <= int(y.min()) <= int(y.max()) < batch.n_classes
    assert torch.isfinite(batch.x_support).all()
    assert torch.isfinite(batch.x_query).all()


def test_the_curriculum_grows_from_its_first_to_its_last_shapes() -> None:
    assert [Curriculum(grow_steps=100).limit((140, 1000), index) for index in (0, 100, 10_000)] == [140, 1000, 1000]
    assert 140 < Curriculum(grow_steps=100).limit((140, 1000), 50) < 1000


def test_missing_values_are_encoded_as_the_evaluator_does(monkeypatch: pytest.MonkeyPatch) -> None:
    raw: list[torch.Tensor] = []
    remove = tasks._remove_values

    def spy(x: torch.Tensor, generator: torch.Generator) -> None:
        remove(x, generator)
        raw.append(x)

    def prior(b: int, n: int, f: int, k: int, generator: torch.Generator) -> Drawn:
        x = torch.randn((b, n, f), generator=generator)
        whole.append(x)
        y = torch.arange(n).remainder(k).expand(b, n)
        return Drawn(x, y, torch.zeros((b, f), dtype=torch.bool), torch.nn.functional.one_hot(y, k).float())

    monkeypatch.setattr(tasks, "_remove_values", spy)
    for seed in range(40):  # a fifth of the batches loses values
        whole: list[torch.Tensor] = []
        batch = batch_of(prior, 2, 80, 6, 2, np.random.default_rng(seed), torch.Generator().manual_seed(seed))
        if raw:
            break
    lossy = whole[0][1].clone()
    lossy[:, : raw[0].shape[2]] = raw[0][1]
    assert torch.isnan(lossy).any()
    frame = pd.DataFrame(lossy.numpy(), columns=[f"x{i}" for i in range(6)])
    frame["y"] = np.arange(80) % 2
    table, n_support = Table.from_frame(frame, "y"), batch.x_support.shape[1]
    encoder = TableEncoder(table.take(range(n_support)), 100)
    torch.testing.assert_close(encoder.encode(table.take(range(n_support))), batch.x_support[1])
    torch.testing.assert_close(encoder.encode(table.take(range(n_support, 80))), batch.x_query[1])


# priors


def test_mechanisms_are_finite_and_their_codes_are_levels() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        x, y, discrete, _ = sample_mechanisms(4, 90, 7, 4, generator)
        assert x.shape == (4, 90, 7)
        assert torch.isfinite(x).all()
        assert y.shape == (4, 90)
        assert 0 <= int(y.min()) <= int(y.max()) < 4
        levels = x.transpose(1, 2)[discrete]
        assert torch.equal(levels, levels.round())


def forest_auc(x: torch.Tensor, y: torch.Tensor) -> float:
    half = len(y) // 2
    if len(torch.unique(y[:half])) < 2 or len(torch.unique(y[half:])) < 2:
        return float("nan")
    forest = RandomForestClassifier(30, random_state=0).fit(x[:half].numpy(), y[:half].numpy())
    return float(roc_auc_score(y[half:].numpy(), forest.predict_proba(x[half:].numpy())[:, 1]))


def test_mechanisms_can_be_learned_and_differ_in_how_well() -> None:
    generator = torch.Generator().manual_seed(1)
    drawn = [sample_mechanisms(4, 160, 6, 2, generator) for _ in range(8)]
    scores = np.array([forest_auc(x[t], y[t]) for x, y, *_ in drawn for t in range(4)])
    assert np.nanmean(scores) > 0.68
    assert np.nanstd(scores) > 0.08


def test_classes_have_many_proportions_and_no_favourite() -> None:
    generator = torch.Generator().manual_seed(2)
    labels = torch.cat([sample_mechanisms(4, 100, 4, 3, generator)[1] for _ in range(60)])
    shares = torch.nn.functional.one_hot(labels, 3).float().mean(1)  # (tasks, classes)
    assert torch.allclose(shares.mean(0), torch.full((3,), 1 / 3), atol=0.08)
    largest = shares.amax(1)
    assert largest.min() < 0.45
    assert largest.max() > 0.8


def test_shares_of_priors_are_read_scaled_and_checked() -> None:
    assert parse_priors("mechanisms=3, tabicl-mlp=1") == {"mechanisms": 0.75, "tabicl-mlp": 0.25}
    with pytest.raises(UnknownNameError, match="did you mean 'mechanisms'"):
        parse_priors("mechanism=1")
    for broken in ("mechanisms", "mechanisms=0", "mechanisms=-1", "mechanisms=nan", "mechanisms=1,mechanisms=1"):
        with pytest.raises(TabgenError, match="positive share"):
            parse_priors(broken)


def test_without_the_extra_the_tabicl_priors_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tabicl.prior", None)
    with pytest.raises(TabgenError, match=r"tabgen-bench\[pretrain\]"):
        PRIORS["tabicl-mlp"](1, 60, 3, 2, torch.Generator().manual_seed(0))


def global_draws() -> bytes:
    return bytes(np.random.get_state(legacy=False)["state"]["key"])


@pytest.mark.parametrize("family", ["tabicl-mlp", "tabicl-tree", "tabicl-graph"])
def test_tabicl_tasks_have_the_shape_asked_for_and_leave_global_states_alone(family: str) -> None:
    pytest.importorskip("tabicl", reason="the pretrain extra is not installed")
    pytest.importorskip("xgboost", reason="the pretrain extra is not installed")
    before = random.getstate(), global_draws(), torch.get_rng_state()
    x, y, discrete, probabilities = PRIORS[family](3, 70, 5, 3, torch.Generator().manual_seed(6))
    after = random.getstate(), global_draws(), torch.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    assert (x.shape, y.shape, discrete.shape) == ((3, 70, 5), (3, 70), (3, 5))
    assert (x.dtype, y.dtype, discrete.dtype) == (torch.float32, torch.int64, torch.bool)
    assert torch.isfinite(x).all()
    assert 0 <= int(y.min()) <= int(y.max()) < 3
    levels = x.transpose(1, 2)[discrete]
    assert torch.equal(levels, levels.round())
    assert torch.equal(probabilities.argmax(2), y)
    assert not torch.equal(x[0], x[1])  # the tasks of a call are different parts of one table
    again = PRIORS[family](3, 70, 5, 3, torch.Generator().manual_seed(6))
    assert torch.equal(x, again[0])


def test_tabicl_batches_do_not_depend_on_the_process() -> None:
    pytest.importorskip("tabicl", reason="the pretrain extra is not installed")
    pytest.importorskip("xgboost", reason="the pretrain extra is not installed")
    priors = {"tabicl-graph": 1.0}
    code = f"import test_pretrain as t\nprint(t.digest(t.make_batch(t.FEW, {priors!r}, 0, 1)))"
    assert run_elsewhere(code) == digest(make_batch(FEW, priors, 0, 1))


def test_tabicl_tables_can_be_learned() -> None:
    pytest.importorskip("tabicl", reason="the pretrain extra is not installed")
    pytest.importorskip("xgboost", reason="the pretrain extra is not installed")
    generator = torch.Generator().manual_seed(3)
    drawn = [PRIORS["tabicl-mlp"](2, 160, 8, 2, generator) for _ in range(8)]
    assert (
        np.nanmean([forest_auc(x[t], y[t]) for x, y, *_ in drawn for t in range(2)]) > 0.58
    )  # tabicl's defaults: 0.54


# loss, optimisers, rates, yardsticks


def test_the_loss_is_the_cross_entropy_with_the_classes_probabilities() -> None:
    logits = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [9.0, 0.0, 0.0]]])
    every, two = torch.tensor([[0, 1, 2]]), torch.tensor([[0, 1, 1]])  # class 2 is absent from the second support
    x = torch.zeros(1, 3, 1)

    def loss(y_support: torch.Tensor, probabilities: list[list[float]]) -> float:
        model: Any = lambda *_: logits  # noqa: E731
        p = torch.tensor([probabilities])
        return float(loss_of(model, Batch(x, y_support, x, p.argmax(2), p, 3)))

    logs = torch.log_softmax(logits[0], 1)
    certain = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert loss(every, certain) == pytest.approx(-float(logs.diagonal().mean()), rel=1e-5)
    assert loss(two, certain) == pytest.approx(-float(logs.diagonal()[:2].mean()), rel=1e-5)
    soft = [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]]
    by_hand = -float((torch.tensor(soft) * logs)[:, :2].sum()) / (0.75 + 1.0 + 0.4)
    assert loss(two, soft) == pytest.approx(by_hand, rel=1e-5)


def test_each_weight_has_one_optimiser_and_muon_only_matrices_of_layers() -> None:
    model = Tab2D(CONFIG.model)
    muon, adamw = optimisers(model, CONFIG)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    of_muon, of_adamw = (
        [names[id(p)] for group in optim.param_groups for p in group["params"]] for optim in (muon, adamw)
    )
    assert sorted(of_muon + of_adamw) == sorted(names.values())
    assert all(name.startswith("layers.") and name.endswith(".weight") and "norm" not in name for name in of_muon)
    assert {"final_layer.weight", "x_embedding.x_embedding.weight", "y_embedding.y_embedding.weight"} <= set(of_adamw)


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    config = PretrainConfig(steps=100, warmup_steps=10, decay_steps=20)
    rates = [config.rate(step) for step in range(101)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10:81] == [1.0] * 71
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == 0.0
    assert rates[85] - rates[95] > 10 * (rates[80] - rates[82])  # a cosine: slow, fast, slow
    assert all(a > b for a, b in pairwise(rates[80:]))


def test_held_out_scores_know_an_oracle_from_chance() -> None:
    held_out = HeldOut({"mechanisms": 1.0})
    assert list(held_out.batches) == ["mechanisms/tiny"]
    batch = batch_of(sample_mechanisms, 12, 200, 4, 3, np.random.default_rng(0), torch.Generator().manual_seed(0))
    oracle = [np.eye(3)[y] for y in batch.y_query.numpy()]
    assert mean_auc(batch, oracle) == 1.0
    assert mean_auc(batch, [1 - score for score in oracle]) == 0.0
    noise = [np.random.default_rng(t).random(score.shape) for t, score in enumerate(oracle)]
    assert mean_auc(batch, noise) == pytest.approx(0.5, abs=0.08)
    assert 0.4 < held_out.forest()["mechanisms/tiny"] <= 1
    assert 0 <= held_out.model(Tab2D(CONFIG.model))["mechanisms/tiny"] <= 1


# stop, resume, kill


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = pretrain(CONFIG, tmp_path / "whole")

    def stop_at_four(entry: dict[str, Any]) -> None:
        if entry.get("step") == 4:  # reported before its state is saved: step 4 is computed twice
            raise KeyboardInterrupt

    folder = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        pretrain(CONFIG, folder, report=stop_at_four, report_every=1, save_seconds=0.0)
    assert not (folder / "model.safetensors").exists()
    resumed = pretrain(CONFIG, folder)
    for (name, a), (_, b) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    saved = [load_file(path / "state.safetensors") for path in (tmp_path / "whole", folder)]
    assert saved[0].keys() == saved[1].keys()
    assert all(torch.equal(saved[0][name], saved[1][name]) for name in saved[0])
    assert load_directory(folder).module.config == CONFIG.model


def test_a_step_takes_the_mean_gradient_of_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, warmup_steps=1, muon_lr=0.0, adamw_lr=0.0)
    model = Tab2D(config.model)
    given = [make_batch(SMALL, config.priors, 4, index) for index in range(3)]
    weight = model.get_parameter("layers.0.linear1.weight")
    taken: list[torch.Tensor] = []
    optims = optimisers(model, config)

    def step() -> None:
        assert weight.grad is not None
        taken.append(weight.grad.clone())

    monkeypatch.setattr(optims[0], "step", step)
    source = iter(given)
    loss, tasks = _update(model, deepcopy(model), optims, config, source, 0)
    assert tasks == sum(len(batch.x_support) for batch in given[:2])
    assert next(source) is given[2]
    mean = (loss_of(model, given[0]) + loss_of(model, given[1])) / 2
    assert loss == pytest.approx(mean.item(), rel=1e-5)
    model.zero_grad()
    mean.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert norm > 0
    torch.testing.assert_close(taken[0], weight.grad)


def test_the_result_is_the_average_of_the_weights(tmp_path: Path) -> None:
    slow, none = tmp_path / "slow", tmp_path / "none"
    pretrain(replace(CONFIG, ema=0.5), slow)
    pretrain(replace(CONFIG, ema=0.0), none)
    a, b = (load_file(folder / "state.safetensors") for folder in (slow, none))
    name = "final_layer.weight"
    assert torch.equal(a[f"model.{name}"], b[f"model.{name}"])  # it changes no step
    assert torch.equal(b[f"average.{name}"], b[f"model.{name}"])
    assert not torch.equal(a[f"average.{name}"], a[f"model.{name}"])
    for folder, state in ((slow, a), (none, b)):
        assert torch.equal(load_file(folder / "model.safetensors")[name], state[f"average.{name}"])


def test_checkpoints_are_kept_as_tasks_double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [kept_at(*span) for span in ((0, 999), (999, 1000), (1000, 1999), (1990, 2010), (3999, 8001))] == [
        0, 1000, 0, 2000, 8000,
    ]  # fmt: skip
    monkeypatch.setattr(train, "kept_at", lambda before, after: after if after < 60 else 0)
    pretrain(CONFIG, tmp_path)
    kept = sorted((tmp_path / "checkpoints").iterdir())
    assert kept
    for folder in kept:
        assert load_directory(folder).module.config == CONFIG.model
        assert weights_hash(folder) != weights_hash(tmp_path)


@pytest.mark.parametrize("layers", [2, 3, 4, 5])
def test_new_layers_change_nothing_until_they_learn(layers: int) -> None:
    torch.manual_seed(0)
    small = Tab2D(CONFIG.model)
    large = grown(small, layers)
    assert large.config.n_layers == len(large.layers) == layers
    batch = make_batch(SMALL, {"mechanisms": 1.0}, 4, 0)
    inputs = batch.x_support, batch.y_support, batch.x_query
    torch.testing.assert_close(large(*inputs), small(*inputs))
    loss_of(large, batch).backward()  # type: ignore[no-untyped-call]
    assert all(layer.linear2.weight.grad.abs().max() > 0 for layer in large.layers)  # type: ignore[union-attr,operator]


def test_a_run_may_start_from_a_shallower_checkpoint_but_no_deeper_one(tmp_path: Path) -> None:
    pretrain(replace(CONFIG, steps=1, decay_steps=0), tmp_path / "two")
    three = replace(CONFIG, model=Tab2DConfig(16, 10, 3, 2), steps=1, decay_steps=0)
    assert len(pretrain(three, tmp_path / "three", start_from=tmp_path / "two").layers) == 3
    (tmp_path / "three" / "state.safetensors").unlink()  # a model as one is given
    with pytest.raises(TabgenError, match="three holds a model that would be overwritten"):
        pretrain(three, tmp_path / "three", start_from=tmp_path / "three")
    with pytest.raises(TabgenError, match=r"holds Tab2DConfig.*n_layers=3.* trains Tab2DConfig.*n_layers=2"):
        pretrain(CONFIG, tmp_path / "again", start_from=tmp_path / "three")


def test_bfloat16_is_refused_where_it_would_be_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "old one", "avx2": True})
    with pytest.raises(TabgenError, match=r"old one.*has none of avx512_bf16.*slower.*without --bfloat16"):
        pretrain(replace(CONFIG, bfloat16=True), tmp_path)
    assert not tmp_path.joinpath("log.jsonl").exists()


def test_bfloat16_changes_what_a_step_computes_but_not_the_weights_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})  # emulated where it is not so
    plain = pretrain(CONFIG, tmp_path / "float32")
    short = pretrain(replace(CONFIG, bfloat16=True), tmp_path / "bfloat16")
    assert {p.dtype for p in short.parameters()} == {torch.float32}
    assert not all(torch.equal(a, b) for a, b in zip(plain.parameters(), short.parameters(), strict=True))
    losses = [log_of(tmp_path / name)[-1]["loss"] for name in ("float32", "bfloat16")]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert log_of(tmp_path / "bfloat16")[0]["config"]["bfloat16"] is True


def test_a_longer_run_goes_on_from_a_saved_one_and_logs_its_configuration(tmp_path: Path) -> None:
    pretrain(CONFIG, tmp_path)
    assert (tmp_path / "stable.safetensors").exists()
    pretrain(replace(CONFIG, steps=8, muon_lr=1e-3), tmp_path)
    headers = [entry for entry in log_of(tmp_path) if "config" in entry]
    assert [(entry["from_step"], entry["config"]["steps"]) for entry in headers] == [(0, 6), (6, 8)]
    assert log_of(tmp_path)[-1]["step"] == 8


def test_another_model_or_seed_is_refused_with_what_differs(tmp_path: Path) -> None:
    short = replace(CONFIG, steps=1, decay_steps=0)
    pretrain(short, tmp_path)
    with pytest.raises(TabgenError, match=r"model was .*'dim': 16.* and is .*'dim': 32"):
        pretrain(replace(short, model=Tab2DConfig(32, 10, 2, 2)), tmp_path)
    with pytest.raises(TabgenError, match="seed was 4 and is 5 now"):
        pretrain(replace(short, seed=5), tmp_path)


def test_a_new_run_may_start_from_a_checkpoint_of_the_same_sizes(tmp_path: Path) -> None:
    first = pretrain(CONFIG, tmp_path / "first")
    frozen = replace(CONFIG, muon_lr=0.0, adamw_lr=0.0)
    second = pretrain(frozen, tmp_path / "second", start_from=tmp_path / "first")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert log_of(tmp_path / "second")[0]["start_from"] == checkpoint_hash(tmp_path / "first")
    with pytest.raises(TabgenError, match=r"holds Tab2DConfig.* this run trains Tab2DConfig"):
        pretrain(CONFIG, tmp_path / "third", start_from=FIXTURE)


def test_a_broken_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"not tensors")
    with pytest.raises(TabgenError, match=r"state\.safetensors cannot be read"):
        pretrain(CONFIG, tmp_path)


def save_forever(folder: Path) -> None:
    """What the process to be killed does."""
    model = Tab2D(Tab2DConfig(64, 10, 4, 4))
    optims = optimisers(model, CONFIG)
    average = deepcopy(model)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        save_state(folder, model, average, optims, CONFIG, {"step": 1, "batches": 2, "tasks": 1, "seconds": 1.0})


def test_a_kill_while_saving_leaves_a_state_that_loads(tmp_path: Path) -> None:
    code = f"import pathlib, test_pretrain as t; t.save_forever(pathlib.Path({str(tmp_path)!r}))"
    environment = importing(Path(__file__).parent)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        while not (tmp_path / "state.safetensors").exists():
            time.sleep(0.01)
        time.sleep(0.07)
        os.kill(process.pid, signal.SIGKILL)
    assert load_file(tmp_path / "state.safetensors").keys() >= {"model.final_layer.weight"}


def test_the_command_records_the_priors(tmp_path: Path) -> None:
    size = ["--dim", "16", "--layers", "1", "--heads", "2", "--cells", "1500", "--max-rows", "150"]
    line = ["pretrain", "-o", str(tmp_path), "--steps", "2", "--decay-steps", "1", "--priors", "mechanisms=2", *size]
    result = CliRunner().invoke(app, line, catch_exceptions=False)
    assert result.exit_code == 0
    assert "a random forest's ROC-AUC" in result.output
    assert log_of(tmp_path)[0]["config"]["priors"] == {"mechanisms": 1.0}
    with pytest.raises(UnknownNameError, match="no prior is called 'mlp'"):
        CliRunner().invoke(app, [*line, "--priors", "mlp=1"], catch_exceptions=False)


# a limit in time, a device


def test_a_limit_in_time_takes_its_share_of_the_decay() -> None:
    config = replace(CONFIG, steps=100, decay_steps=50, warmup_steps=1, minutes=2.0)
    assert [config.left(0, seconds) for seconds in (0.0, 60.0, 120.0, 500.0)] == [100.0, 50.0, 0.0, 0.0]
    assert config.left(70, 60.0) == 30.0  # steps are used up sooner
    assert [config.rate(0, seconds) for seconds in (0.0, 59.0, 60.0)] == [1.0, 1.0, 1.0]
    assert config.rate(0, 90.0) == pytest.approx(0.5)
    assert config.rate(0, 120.0) == 0.0
    assert [config.decays(0, seconds) for seconds in (59.0, 60.0)] == [False, True]
    assert replace(config, minutes=0.0).left(40, 1e9) == 60.0


@pytest.mark.parametrize("producers", [0, 1])
def test_a_run_whose_time_is_over_ends_with_a_checkpoint_and_no_process(tmp_path: Path, producers: int) -> None:
    pretrain(replace(CONFIG, steps=100_000, decay_steps=50_000, minutes=0.05), tmp_path, producers=producers)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert 0 < entries[-1]["step"] < 100_000
    assert 3.0 <= entries[-1]["seconds"] < 60.0
    assert load_directory(tmp_path).module.config == CONFIG.model
    assert (tmp_path / "stable.safetensors").exists()
    family = [child for child in psutil.Process().children() if "spawn_main" in str(child.cmdline())]
    assert psutil.wait_procs(family, timeout=15)[1] == []


def test_a_batch_holds_at_most_the_tasks_asked_for() -> None:
    few = replace(SMALL, tasks=3)
    sizes = [len(make_batch(few, {"mechanisms": 1.0}, 4, index).x_support) for index in range(9)]
    assert max(sizes) == 3


def test_a_batch_holds_fewer_tasks_of_a_slow_prior() -> None:
    many = replace(SMALL, cells=60_000, tasks=64)
    sizes = {name: [tasks._layout(many, {name: 1.0}, 4, index).tasks for index in range(9)] for name in PRIORS}
    assert max(sizes["tabicl-mlp"]) == tasks.MOST_TASKS < max(sizes["mechanisms"])


@pytest.mark.parametrize("device", ["gpu", "cuda"])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(TabgenError, match="cpu"):
        pretrain(CONFIG, tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()
