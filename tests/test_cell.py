"""One cell, in this process: the protocol's data flow and what the outcome holds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paths import FIXTURE

from tabgen import FitContext, Generator, GeneratorInfo, Table
from tabgen.cell import run_cell as compute
from tabgen.cell import seeds_of
from tabgen.clock import Clock
from tabgen.datasets import Dataset, Suite
from tabgen.errors import InvalidOutput, ModelError, Unsupported, status_of
from tabgen.experiment import Experiment, Limits, parse_methods, plan
from tabgen.host.answers import Answers
from tabgen.models.base import Encoded, ModelInfo
from tabgen.models.checkpoints import load_directory
from tabgen.models.files import checkpoint_hash
from tabgen.models.finetune import fine_tune
from tabgen.outcome import Cell
from tabgen.plugins import Plugin, PluginChoice, Plugins, load_plugins
from tabgen.splits import split


def run_cell(cell: Cell, plugins: Plugins, **more: Any) -> dict[str, Any]:
    """The flat result of a cell that computes in this process."""
    return compute(cell, plugins, **more).to_dict()


def cells_of(plugins: Plugins, dataset: Dataset, methods: list[str], recipe: dict[str, Any], **more: Any) -> list[Cell]:
    suite = Suite("test", "one table", "1", lambda: [dataset])
    return plan(
        Experiment(suite, parse_methods(methods, plugins), folds=2, model=str(FIXTURE), recipe=recipe, **more), plugins
    )


@pytest.fixture
def spied() -> tuple[Plugins, list[Any]]:
    """The built-ins, and a generator that keeps what it was given."""
    seen: list[Any] = []

    class Spy(Generator):
        info = GeneratorInfo("spy", "keeps what it is given", accepts_missing=True)

        def fit(self, table: Table, context: FitContext) -> None:
            seen.append((table, context))
            self.table = table

        def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
            seen.append((n_rows, seed))
            return self.table.frame.sample(n_rows, replace=True, random_state=seed)

    plugins = load_plugins(PluginChoice(external=False))
    plugins.generators.add("spy", Spy, Plugin("spy", "1", "test"))
    return plugins, seen


def test_zero_shot_is_its_own_baseline(built_in: Plugins, heart: Dataset, two_steps: dict[str, Any]) -> None:
    outcome = run_cell(cells_of(built_in, heart, ["zero-shot"], two_steps)[0], built_in)
    assert outcome["status"] == "ok"
    for metric in built_in.metrics:
        for part in ("validation", "test"):
            assert outcome[f"tuned_{part}_{metric}"] == outcome[f"zero_shot_{part}_{metric}"]
    assert outcome["n_train"] + outcome["n_validation"] + outcome["n_test"] == 297


def test_zero_shot_scores_are_those_of_every_method_of_the_fold(
    built_in: Plugins, heart: Dataset, two_steps: dict[str, Any]
) -> None:
    outcomes = [
        run_cell(c, built_in) for c in cells_of(built_in, heart, ["zero-shot", "real", "jitter"], two_steps)[:3]
    ]
    scores = [{k: v for k, v in o.items() if k.startswith("zero_shot")} for o in outcomes]
    assert scores[0] == scores[1] == scores[2]
    assert len({o["split_hash"] for o in outcomes}) == 1


def test_the_generator_sees_train_rows_only(
    spied: tuple[Plugins, list[Any]], heart: Dataset, two_steps: dict[str, Any]
) -> None:
    plugins, seen = spied
    cell = cells_of(plugins, heart, ["spy"], two_steps)[0]
    run_cell(cell, plugins)
    table = heart.load()
    parts = split(table.labels, 0, 2, 0, 1000, 1000)
    given = seen[0][0]
    pd.testing.assert_frame_equal(
        given.frame.astype(object), table.take(parts.train).observed().frame.astype(object), check_dtype=False
    )
    assert set(parts.train) & (set(parts.validation) | set(parts.test)) == set()


def test_the_generator_is_told_when_it_will_be_stopped(
    spied: tuple[Plugins, list[Any]], heart: Dataset, two_steps: dict[str, Any]
) -> None:
    plugins, seen = spied
    for phases, most in (({}, 60.0), ({"fit": 7.0}, 7.0)):
        limits = Limits(60, 4000, phases)
        cell = cells_of(plugins, heart, ["spy"], two_steps, fidelity=False, limits=limits)[0]
        began = time.monotonic()
        run_cell(cell, plugins)
        (_, context), ended = seen[0], time.monotonic()
        assert began + most - 0.1 < context.deadline < (ended if phases else began + 0.1) + most
        seen.clear()


def test_level_names_that_train_rows_lack_are_not_shown(
    spied: tuple[Plugins, list[Any]], two_steps: dict[str, Any], tmp_path: Any
) -> None:
    plugins, seen = spied
    frame = pd.DataFrame(
        {
            "x": np.arange(60.0),
            "level": ["common"] * 30 + ["other"] * 29 + ["only once"],
            "y": ["a", "b"] * 30,
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    dataset = Dataset("t", tmp_path / "t.parquet", "y")
    shown = []
    for cell in cells_of(plugins, dataset, ["spy"], two_steps):
        seen.clear()
        run_cell(cell, plugins)
        shown.append(seen[0][0].schema["level"].levels)
        rows = split(dataset.load().labels, cell.fold, 2, 0, 1000, 1000).train
        assert ("only once" in shown[-1]) == (59 in rows)


def test_ratio_sets_the_rows_drawn(spied: tuple[Plugins, list[Any]], heart: Dataset, two_steps: dict[str, Any]) -> None:
    plugins, seen = spied
    outcome = run_cell(cells_of(plugins, heart, ["spy:ratio=2.5"], two_steps)[0], plugins)
    assert outcome["n_synthetic"] == round(2.5 * outcome["n_train"])
    blocks = [entry for entry in seen if isinstance(entry[0], int)]
    assert [rows for rows, _ in blocks] == [outcome["n_train"]] * 3
    assert len({seed for _, seed in blocks}) == 3


def test_a_block_of_one_class_is_no_sample_of_one_class(heart: Dataset, two_steps: dict[str, Any]) -> None:
    """At a larger ratio a rare class may be in some of the blocks only."""

    class Turns(Generator):
        info = GeneratorInfo("turns", "rows of one class, and of the other at the next draw", one_class="Draw more.")

        def fit(self, table: Table, context: FitContext) -> None:
            self.table, self.draws = table, 0

        def sample(self, n_rows: int, seed: int) -> pd.DataFrame:
            rows = self.table.take(np.flatnonzero(self.table.labels == self.draws % 2)).frame
            self.draws += 1
            return rows.sample(n_rows, replace=True, random_state=seed)

    plugins = load_plugins(PluginChoice(external=False))
    plugins.generators.add("turns", Turns, Plugin("turns", "1", "test"))
    whole, part = cells_of(plugins, heart, ["turns:ratio=2", "turns"], two_steps)[:2]
    assert run_cell(whole, plugins)["status"] == "ok"
    with pytest.raises(InvalidOutput, match=r"'turns' holds one class only \('.*'\)\. Draw more\."):
        run_cell(part, plugins)


def test_the_same_cell_twice_gives_the_same_bits(built_in: Plugins, heart: Dataset, two_steps: dict[str, Any]) -> None:
    cell = cells_of(built_in, heart, ["jitter@augment"], two_steps)[1]
    first, second = (run_cell(cell, built_in) for _ in range(2))
    timeless = [{k: v for k, v in o.items() if "second" not in k and "memory" not in k} for o in (first, second)]
    assert timeless[0] == timeless[1]


def test_folds_and_seeds_differ(built_in: Plugins, heart: Dataset, two_steps: dict[str, Any]) -> None:
    cells = cells_of(built_in, heart, ["bootstrap"], two_steps, seeds=(0, 1))
    assert len({run_cell(c, built_in)["synthetic_hash"] for c in cells}) == 4


def test_purposes_have_seeds_of_their_own(built_in: Plugins, heart: Dataset, two_steps: dict[str, Any]) -> None:
    first = cells_of(built_in, heart, ["bootstrap"], two_steps)[0]
    seeds = seeds_of(first)
    assert len(set(seeds.values())) == len(seeds)
    assert seeds != seeds_of(replace(first, fold=1)) != seeds_of(replace(first, seed=1))
    for other in (replace(first, draw=1), replace(first, sha256="f" * 64)):
        drawn_again = seeds_of(other)
        assert {purpose for purpose in seeds if seeds[purpose] != drawn_again[purpose]} == {"fit", "sample"}


def test_a_generator_that_redraws_is_drawn_at_every_step(
    spied: tuple[Plugins, list[Any]], heart: Dataset, two_steps: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins, seen = spied
    spy = plugins.generators["spy"]
    monkeypatch.setattr(spy, "info", GeneratorInfo("spy", "", accepts_missing=True, redraws=True))
    run_cell(cells_of(plugins, heart, ["spy"], two_steps, fidelity=False)[0], plugins)
    draws = [entry for entry in seen if isinstance(entry[0], int)]
    assert len(draws) == 2
    assert draws[0][1] != draws[1][1]


@pytest.fixture
def brought() -> Plugins:
    """The built-ins, and a model that a plugin brings."""
    plugins = load_plugins(PluginChoice(external=False))
    info = ModelInfo("brought", "", "MIT", lambda device: load_directory(FIXTURE), lambda: checkpoint_hash(FIXTURE))
    plugins.models.add("brought", info, Plugin("models", "1.0+abc", "test"))
    return plugins


def test_a_model_whose_plugin_is_not_the_planned_one_is_an_error(
    brought: Plugins, heart: Dataset, two_steps: dict[str, Any]
) -> None:
    suite = Suite("test", "one table", "1", lambda: [heart])
    chosen = Experiment(suite, parse_methods(["zero-shot"], brought), folds=2, model="brought", recipe=two_steps)
    cell = plan(chosen, brought)[0]
    assert run_cell(cell, brought)["status"] == "ok"
    for version, told in (("1.0+old", "1.0+old"), (None, "none")):
        wanted = f"the model 'brought' is not the one that was planned: planned {told} of its plugin, loaded 1.0+abc."
        with pytest.raises(ModelError, match=re.escape(wanted)):
            run_cell(replace(cell, model_plugin_version=version), brought)
    with pytest.raises(ModelError, match="its checkpoint was changed since"):
        run_cell(replace(cell, checkpoint="0" * 64), brought)
    own = cells_of(brought, heart, ["zero-shot"], two_steps)[0]
    with pytest.raises(ModelError, match=re.escape("planned 1.0+abc of its plugin, loaded none")):
        run_cell(replace(own, model_plugin_version="1.0+abc"), brought)


def test_a_generator_s_process_refuses_a_model_that_was_not_planned(brought: Plugins) -> None:
    planned = {"name": "brought", "version": "1.0+abc", "checkpoint": checkpoint_hash(FIXTURE), "source": None}
    answers = Answers(brought)
    assert answers._load_model(planned, "cpu").checkpoint_hash == planned["checkpoint"]
    for other in ({"version": "1.0+old"}, {"version": None}, {"checkpoint": "0" * 64}):
        with pytest.raises(ModelError, match="'brought' is not the one that was planned"):
            answers._load_model(planned | other, "cpu")


def without_age(sample: Callable[..., Any]) -> Callable[..., pd.DataFrame]:
    """A generator's ``sample`` that leaves a column out."""

    def narrower(self: Generator, n_rows: int, seed: int) -> pd.DataFrame:
        rows = sample(self, n_rows, seed)
        assert isinstance(rows, pd.DataFrame)
        return rows.drop(columns="age")

    return narrower


def test_a_generator_may_return_fewer_columns_if_it_says_so(
    spied: tuple[Plugins, list[Any]], heart: Dataset, two_steps: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins, _ = spied
    spy = plugins.generators["spy"]
    monkeypatch.setattr(spy, "sample", without_age(spy.sample))
    cell = cells_of(plugins, heart, ["spy"], two_steps)[0]
    with pytest.raises(InvalidOutput, match=r"missing \['age'\]"):
        run_cell(cell, plugins)
    monkeypatch.setattr(spy, "info", GeneratorInfo("spy", "", accepts_missing=True, changes_columns=True, redraws=True))
    assert run_cell(cell, plugins)["status"] == "ok"


@pytest.mark.parametrize("arms", [("fine-tune",), ("augmented", "fine-tune")])
def test_rows_without_a_column_stand_beside_real_rows_that_are_read_without_it(
    spied: tuple[Plugins, list[Any]],
    heart: Dataset,
    two_steps: dict[str, Any],
    arms: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugins, _ = spied
    spy = plugins.generators["spy"]
    monkeypatch.setattr(spy, "sample", without_age(spy.sample))
    monkeypatch.setattr(spy, "info", GeneratorInfo("spy", "", accepts_missing=True, changes_columns=True))
    pools: list[Encoded] = []

    def watched(model: Any, pool: Any, *args: Any, **more: Any) -> Any:
        pools.append(pool(0))
        return fine_tune(model, pool, *args, **more)

    monkeypatch.setattr("tabgen.cell.fine_tune", watched)
    cell = cells_of(plugins, heart, ["spy@augment"], two_steps, fidelity=False, arms=arms)[0]
    assert run_cell(cell, plugins)["status"] == "ok"
    table = heart.load()
    train = table.take(split(table.labels, 0, 2, 0, 1000, 1000).train).observed()
    rows = Table.from_frame(train.frame.drop(columns="age"), train.schema.target)
    (pool,) = pools
    assert len(pool.x) == 2 * len(train)
    assert pool.x.shape[1] == load_directory(FIXTURE).encoder(rows).encode(rows).shape[1]
    np.testing.assert_array_equal(pool.y[: len(train)].numpy(), train.labels)


def test_eleven_classes_are_unsupported(built_in: Plugins, two_steps: dict[str, Any], tmp_path: Any) -> None:
    rows = pd.DataFrame({"x": np.arange(132.0), "y": [f"c{i % 11}" for i in range(132)]})
    rows.to_csv(tmp_path / "t.csv", index=False)
    cell = cells_of(built_in, Dataset("t", tmp_path / "t.csv", "y"), ["real"], two_steps)[0]
    with pytest.raises(Unsupported, match="at most 10 classes"):
        run_cell(cell, built_in)


def test_exceptions_have_a_status() -> None:
    assert status_of(Unsupported("")) == "unsupported"
    assert status_of(InvalidOutput("")) == "invalid_output"
    assert status_of(MemoryError()) == "out_of_memory"
    assert status_of(ZeroDivisionError()) == status_of(SystemExit()) == "error"


def test_time_in_an_inner_phase_is_not_counted_twice() -> None:
    import time

    entered: list[str] = []
    clock = Clock(lambda phase, spent: entered.append(phase))
    with clock.phase("finetune"):
        time.sleep(0.05)
        with clock.phase("sample"):
            time.sleep(0.1)
    assert entered == ["finetune", "sample", "finetune"]
    assert 0.1 <= clock.seconds["sample"] < 0.2
    assert 0.05 <= clock.seconds["finetune"] < 0.1
