"""Rows made elsewhere: what is exported, what is taken in, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from paths import FIXTURE
from typer.testing import CliRunner

from tabgen.cell import run_cell
from tabgen.cli import app
from tabgen.comparable import pools
from tabgen.datasets import Dataset, Suite
from tabgen.errors import DataError, ExperimentError, InvalidOutput, TabgenError, Unsupported
from tabgen.experiment import Experiment, default_methods, parse_methods, plan
from tabgen.folds import export_folds, read_folds, training_rows
from tabgen.leaderboard.schema import published
from tabgen.leaderboard.verify import verify
from tabgen.made_elsewhere import refuse_unseen, tables_by_hash
from tabgen.outcome import Cell, Outcome
from tabgen.plugins import PluginChoice, Plugins
from tabgen.results import load_results
from tabgen.runner import run_experiment
from tabgen.splits import split
from tabgen.table import Table


class Quiet:
    """A watcher that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self, planned: int, done: int, left: Callable[[], float | None]) -> None: ...
    def started(self, cell: Cell) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...
    def end(self) -> None: ...
    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def exported(heart: Dataset, tmp_path: Path) -> Path:
    export_folds([heart], tmp_path / "folds", 2, max_train_rows=100)
    return tmp_path / "folds"


def make(folds: Path, name: str, change: Callable[[pd.DataFrame], pd.DataFrame] = lambda f: f, seed: int = 0) -> Path:
    """What a stranger does: reads each file of training rows and writes one of the same place, without metadata."""
    for file in (folds / "train").rglob("*.parquet"):
        frame = pd.read_parquet(file)
        path = folds / name / file.relative_to(folds / "train")
        path.parent.mkdir(parents=True, exist_ok=True)
        change(frame.sample(len(frame), replace=True, random_state=seed, ignore_index=True)).to_parquet(path)
    return folds / name


def cells_of(plugins: Plugins, dataset: Dataset, path: Path, **more: Any) -> list[Cell]:
    suite = Suite("test", "one table", "1", lambda: [dataset])
    methods = parse_methods([f"file:path={path}"], plugins)
    arms = {"max_train_rows": (100,), "arms": ("context",)} | more
    return plan(Experiment(suite, methods, folds=2, model=str(FIXTURE), fidelity=False, **arms), plugins)


def run_first(plugins: Plugins, dataset: Dataset, path: Path, **more: Any) -> dict[str, Any]:
    return run_cell(cells_of(plugins, dataset, path, **more)[0], plugins).to_dict()


def test_the_training_rows_are_exported_and_no_other(heart: Dataset, exported: Path) -> None:
    table, folds = heart.load(), read_folds(exported)
    assert [(each.fold, each.rows) for each in folds] == [(0, 100), (1, 100)]
    for each in folds:
        rows = training_rows(table, each.fold, 2, 0, 100)
        frame = pd.read_parquet(exported / each.file)
        assert rows.like(frame).content_hash == each.train == rows.content_hash
        beside = json.loads((exported / each.file).with_suffix(".json").read_text())
        assert beside["train"] == each.train
        assert beside["target"] == heart.target
        assert json.loads(pq.read_schema(exported / each.file).metadata[b"tabgen"])["train"] == each.train
        parts = split(table.labels, each.fold, 2, 0, 100)
        with pytest.raises(InvalidOutput):
            refuse_unseen(table.take(parts.test), rows, table.take(parts.test), "the test rows")


def test_a_table_with_copies_is_exported_as_it_is_run(built_in: Plugins, teaching: Dataset, tmp_path: Path) -> None:
    """A run deals copies of a row as one; rows exported by any other split would be of no fold of it."""
    copies = teaching.load().copies
    assert len(np.unique(copies)) < len(copies)
    export_folds([teaching], tmp_path / "folds", 2, max_train_rows=100)
    path = make(tmp_path / "folds", "mine")
    for cell in cells_of(built_in, teaching, path):
        assert run_cell(cell, built_in).status == "ok"


def test_every_kind_of_column_comes_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=60),
            "count": pd.array([None if i % 7 == 0 else i for i in range(60)], dtype="Int64"),
            "colour": pd.Categorical([None if i % 9 == 0 else "abc"[i % 3] for i in range(60)]),
            "grade": pd.Categorical([1 + i % 3 for i in range(60)]),
            "flag": [None if i % 8 == 0 else i % 2 == 0 for i in range(60)],
            "day": pd.date_range("2026-01-01", periods=60),
            "words": [None if i % 11 == 0 else f"a long sentence with the number {rng.random()}" for i in range(60)],
            "y": [i % 2 for i in range(60)],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    dataset = Dataset("t", tmp_path / "t.parquet", "y", kinds={"words": "text"})
    (each, _) = export_folds([dataset], tmp_path / "folds", 2)
    rows = training_rows(dataset.load(), 0, 2, 0, 1000)
    assert rows.like(pd.read_parquet(tmp_path / "folds" / each.file)).content_hash == each.train


def test_more_is_added_to_an_export_and_other_folds_are_refused(
    heart: Dataset, teaching: Dataset, exported: Path, tmp_path: Path
) -> None:
    assert len(export_folds([teaching], exported, 2, max_train_rows=100)) == 4
    with pytest.raises(DataError, match="holds other training rows of 'heart-cleveland'"):
        export_folds([heart], exported, 3, max_train_rows=100)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds no export"):
        export_folds([heart], tmp_path / "mine", 2)
    with pytest.raises(DataError, match="cannot be a folder's name"):
        export_folds([Dataset("../x", heart.path, heart.target)], tmp_path / "new", 2)


def test_a_strangers_table_is_scored(built_in: Plugins, heart: Dataset, exported: Path) -> None:
    result = run_first(built_in, heart, make(exported, "mine"))
    assert result["status"] == "ok"
    assert 0 <= result["context_test_roc_auc"] <= 1
    assert result["n_synthetic"] == 100
    assert result["notes"]["made_elsewhere"] == "its place among the exported folds"


def test_it_is_bound_by_its_metadata_then_by_the_json_beside_it(
    built_in: Plugins, heart: Dataset, exported: Path
) -> None:
    mine = make(exported, "mine")
    first, second = (mine / "heart-cleveland" / str(fold) / "0.parquet" for fold in (0, 1))
    shutil.copy(exported / "train" / "heart-cleveland" / "0" / "0.json", first.with_suffix(".json"))
    assert run_first(built_in, heart, mine)["notes"]["made_elsewhere"] == "0.json beside it"
    shutil.copy(exported / "train" / "heart-cleveland" / "1" / "0.json", first.with_suffix(".json"))
    with pytest.raises(InvalidOutput, match=r"made for other training rows .*by 0\.json beside it"):
        run_first(built_in, heart, mine)
    with_metadata = pq.read_table(exported / "train" / "heart-cleveland" / "0" / "0.parquet")
    pq.write_table(with_metadata.take(np.random.default_rng(0).permutation(100)), first)
    assert run_first(built_in, heart, mine)["notes"]["made_elsewhere"] == "the file's metadata"
    first.replace(second)
    with pytest.raises(InvalidOutput, match="made for other training rows"):
        run_cell(cells_of(built_in, heart, mine)[1], built_in)
    first.with_suffix(".json").write_text("[1, 2")
    make(exported, "mine")
    with pytest.raises(DataError, match="does not say for which fold it is"):
        run_first(built_in, heart, mine)


def test_a_table_for_other_folds_is_refused(built_in: Plugins, heart: Dataset, exported: Path, tmp_path: Path) -> None:
    mine = make(exported, "mine")
    with pytest.raises(InvalidOutput, match="same folds, seed and cap"):
        run_first(built_in, heart, mine, max_train_rows=(80,))
    (exported / "manifest.json").unlink()
    with pytest.raises(DataError, match="write one: tabgen export-folds"):
        run_first(built_in, heart, mine)
    shutil.copy(mine / "heart-cleveland" / "0" / "0.parquet", mine / "heart-cleveland" / "1" / "0.parquet")
    with pytest.raises(ExperimentError, match="are the same table"):
        cells_of(built_in, heart, mine)


def test_a_row_that_was_held_out_is_refused(built_in: Plugins, heart: Dataset, exported: Path) -> None:
    table = heart.load()
    parts = split(table.labels, 0, 2, 0, 100)
    for held_out in (parts.test, parts.validation):
        leak = table.take(held_out[:1]).frame.astype(object)

        def with_leak(frame: pd.DataFrame, leak: pd.DataFrame = leak) -> pd.DataFrame:
            text = frame.astype(object)
            text.loc[7] = leak.iloc[0]
            return text.astype(frame.dtypes.to_dict())

        with pytest.raises(InvalidOutput, match=r"1 of 100 rows that are rows of the dataset outside.*row 7"):
            run_first(built_in, heart, make(exported, "leak", with_leak))


def test_repeats_by_chance_are_no_leak_and_copies_are() -> None:
    """Of a table of few different rows, fresh rows repeat held-out ones as real rows do; copies do more often."""
    rng = np.random.default_rng(0)

    def drawn(n: int) -> pd.DataFrame:
        values = {f"x{i}": rng.binomial(6, 0.5, n) for i in range(4)}
        return pd.DataFrame(values | {"y": rng.integers(0, 2, n)})

    whole = Table.from_frame(drawn(400), "y")
    train, unseen = whole.take(range(200)), whole.take(range(200, 400))
    fresh = sum(1 for _ in range(20) if _refused(whole.like(drawn(200)), train, unseen))
    assert fresh == 0
    assert _refused(unseen, train, unseen)


def _refused(sample: Table, train: Table, unseen: Table) -> bool:
    try:
        refuse_unseen(sample, train, unseen, "the table")
    except InvalidOutput:
        return True
    return False


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.head(60), "has 60 rows; 100 are due"),
        (lambda f: f.drop(columns="age"), "wrong columns: missing \\['age'\\]"),
        (lambda f: f.assign(age=np.inf), "age"),
        (lambda f: f.assign(age=np.nan), "column 'age' of the table .* has missing values; the real one has none"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: Any, reason: str, built_in: Plugins, heart: Dataset, exported: Path
) -> None:
    with pytest.raises(InvalidOutput, match=reason):
        run_first(built_in, heart, make(exported, "mine", change))


def test_a_fold_without_a_table_is_unsupported_and_no_table_at_all_an_error(
    built_in: Plugins, heart: Dataset, exported: Path
) -> None:
    mine = make(exported, "mine")
    (mine / "heart-cleveland" / "0" / "0.parquet").unlink()
    with pytest.raises(Unsupported, match="nobody made rows for this fold"):
        run_first(built_in, heart, mine)
    (mine / "heart-cleveland" / "1" / "0.parquet").unlink()
    with pytest.raises(ExperimentError, match="has no table for any fold"):
        cells_of(built_in, heart, mine)
    with pytest.raises(ExperimentError, match="there is no such folder"):
        cells_of(built_in, heart, exported / "absent")
    suite = Suite("test", "one table", "1", lambda: [heart])
    with pytest.raises(ExperimentError, match="file:path=folds/NAME"):
        plan(Experiment(suite, parse_methods(["file"], built_in), model=str(FIXTURE)), built_in)
    assert "file" not in default_methods(built_in)


def test_the_files_content_is_part_of_the_key_and_its_place_is_not_published(
    built_in: Plugins, heart: Dataset, exported: Path
) -> None:
    before = cells_of(built_in, heart, make(exported, "mine"))[0]
    assert cells_of(built_in, heart, exported / "mine")[0].key == before.key
    after = cells_of(built_in, heart, make(exported, "mine", seed=1))[0]
    assert after.key != before.key
    assert "rows_path" not in published(after.to_dict())
    with pytest.raises(TabgenError, match="was changed since it was planned"):
        run_cell(before, built_in)


def test_rankings_say_so_and_verification_needs_the_file(built_in: Plugins, heart: Dataset, exported: Path) -> None:
    """Through the engine: a table that is replaced gives way, rows are marked, and run again with the file alone."""
    mine, run = make(exported, "mine", lambda frame: frame.head(60)), exported.parent / "run"
    suite = Suite("test", "one table", "1", lambda: [heart])

    def run_all() -> list[str]:
        methods = parse_methods(["zero-shot", f"file:path={mine}"], built_in)
        experiment = Experiment(
            suite, methods, folds=2, max_train_rows=(100,), arms=("context",), model="tabgen-nano", fidelity=False
        )
        watcher = Quiet()
        run_experiment(experiment, run, built_in, PluginChoice(external=False), watcher)
        return watcher.said

    assert run_all() == []
    assert load_results(run)["status"].value_counts().to_dict() == {"ok": 2, "invalid_output": 2}
    make(exported, "mine")
    assert any("2 outcomes are removed: a table made elsewhere gave way" in text for text in run_all())
    outcomes = load_results(run)
    assert outcomes["status"].tolist() == ["ok"] * 4
    assert set(pools(outcomes)[0].outcomes["method"]) == {"zero-shot", f"file:path={mine} (made elsewhere)"}
    rows = [published(row) for row in json.loads(outcomes.to_json(orient="records"))]
    mine_alone = [
        {k: v for k, v in row.items() if not (k == "rows_sha256" and v is None)} for row in rows if row["generator"]
    ]
    choice = PluginChoice(external=False)
    unreachable = verify(mine_alone, built_in, choice, sample=2, seed=0, suites=[suite])
    assert not unreachable.passed
    assert "made elsewhere, and their file is not here" in next(iter(unreachable.out_of_reach))
    tables = tables_by_hash([exported])
    assert verify(mine_alone, built_in, choice, sample=2, seed=0, suites=[suite], tables=tables).passed
    kept = outcomes["key"].tolist()
    table = mine / heart.name / "0" / "0.parquet"
    away = table.rename(table.with_suffix(".away"))
    assert run_all() == ["1 table made elsewhere is not there any more; what was stored of it stays."]
    assert load_results(run)["key"].tolist() == kept
    away.rename(table)
    assert run_all() == []
    assert load_results(run)["key"].tolist() == kept


def test_the_command_exports(tmp_path: Path) -> None:
    words = ["export-folds", "--suite", "quick", "--folds", "2", "-o", str(tmp_path / "folds")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "12 folds of training rows" in result.output
    assert len(read_folds(tmp_path / "folds")) == 12
    with pytest.raises(ExperimentError, match="either a --suite, or your own --data"):
        CliRunner().invoke(app, ["export-folds", "-o", str(tmp_path / "x")], catch_exceptions=False)
