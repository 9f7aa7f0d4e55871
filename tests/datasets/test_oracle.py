"""The suite `synthetic-oracle`: what its mechanisms are known to do, and who may draw from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tabgen.datasets import Dataset, oracle_datasets, read_manifest
from tabgen.datasets.oracle import N_TABLES, Mechanism, Oracle, mechanism_of, write_suite
from tabgen.errors import Unsupported
from tabgen.generator import FitContext
from tabgen.metrics import roc_auc
from tabgen.plugins import Plugins
from tabgen.sampling import draw_sample, fit_generator
from tabgen.table import Table

HASHES = {
    "oracle-0": "6e63eac0c6b9",
    "oracle-1": "72c974c00690",
    "oracle-2": "946f0bc814bc",
    "oracle-3": "145a47d8c018",
    "oracle-4": "d59e36a4f784",
    "oracle-5": "faaaacfef568",
    "oracle-6": "48eefde45851",
    "oracle-7": "101ca9fcdaff",
    "oracle-8": "b87a12e84b82",
    "oracle-9": "2632234d6db8",
    "oracle-10": "fb1a60843b6b",
    "oracle-11": "c312ae0b1d52",
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    folder = tmp_path_factory.mktemp("cache") / "suite"
    write_suite(folder)
    return read_manifest(folder)


def test_it_is_registered_and_written_once(
    built_in: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: list[Dataset]
) -> None:
    monkeypatch.setenv("TABGEN_CACHE", str(tmp_path))
    assert built_in.generators["oracle"] is Oracle
    first, again = oracle_datasets(), oracle_datasets()
    assert [d.sha256 for d in first] == [d.sha256 for d in again] == [d.sha256 for d in suite]
    assert len(first) == N_TABLES
    write_suite(first[0].path.parent)  # as another process would that came second
    assert first[0].load().content_hash == suite[0].load().content_hash
    assert sorted(p.name for p in tmp_path.iterdir()) == ["synthetic-oracle-1"]


def test_the_tables_are_those_of_this_version(suite: list[Dataset]) -> None:
    """Another content under the same version would be another suite with the same name."""
    assert {d.name: d.load().content_hash[:12] for d in suite} == HASHES


def test_kinds_and_classes_are_mixed(suite: list[Dataset]) -> None:
    tables = [d.load() for d in suite]
    assert {len(t.schema.classes) for t in tables} == {2, 3, 4, 5}
    assert {c.kind for t in tables for c in t.schema.columns} == {"numeric", "integer", "categorical", "boolean"}
    for dataset, table in zip(suite, tables, strict=True):
        assert (len(table), len(table.schema.columns)) == (dataset.facts["rows"], dataset.facts["features"])
        assert {c.name: c.kind for c in table.schema.columns} == dataset.kinds
        assert np.bincount(table.labels).min() > 0.03 * len(table)


@pytest.mark.parametrize("number", range(N_TABLES))
def test_the_probabilities_are_those_of_the_labels(number: int) -> None:
    """Calibrated by class, of the shares that were asked for, and clear enough to learn from."""
    mechanism = Mechanism(number)
    rng = np.random.default_rng(5)
    values, _ = mechanism._columns(4000, rng)
    chances = mechanism.probabilities(values)
    labels = (chances.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    assert chances.mean(axis=0) == pytest.approx(mechanism._law["shares"], abs=0.03)
    for label in range(chances.shape[1]):
        high = chances[:, label] > 0.5
        if high.sum() > 100:
            assert (labels[high] == label).mean() == pytest.approx(chances[high, label].mean(), abs=0.06)
    assert 0.8 < roc_auc(labels, chances) < 0.99


def test_oracle_rows_are_new_rows_of_the_same_law(suite: list[Dataset]) -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_predict

    for dataset in suite[:3]:
        table = dataset.load()
        oracle, context = Oracle(), FitContext(0)
        fit_generator(oracle, table, context)
        sample = draw_sample(oracle, table, len(table), 1)
        assert context.notes == {"mechanism": int(dataset.name.split("-")[1])}
        rows = [set(map(tuple, t.frame.astype(str).to_numpy())) for t in (table, sample)]
        assert not rows[0] & rows[1]
        both = np.concatenate(
            [
                np.column_stack(
                    [(c.cat.codes if c.dtype == "category" else c).to_numpy(dtype=float) for _, c in t.frame.items()]
                )
                for t in (table, sample)
            ]
        )
        real = np.repeat([0, 1], len(table))
        told = cross_val_predict(RandomForestClassifier(50, random_state=0), both, real, cv=3, method="predict_proba")
        assert 0.4 < roc_auc(real, told) < 0.6


def test_the_seed_decides_and_no_rows_are_none(suite: list[Dataset]) -> None:
    table, oracle = suite[1].load(), Oracle()
    fit_generator(oracle, table, FitContext(0))
    hashes = [draw_sample(oracle, table, 50, seed).content_hash for seed in (3, 3, 4)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(oracle.sample(0, 0)) == 0


def test_levels_that_training_rows_never_show_are_not_drawn(suite: list[Dataset]) -> None:
    table = suite[8].load()
    column = next(c for c in table.schema.columns if c.kind == "categorical")
    few = table.take(np.flatnonzero((table.frame[column.name] != column.levels[0]).to_numpy())).observed()
    oracle = Oracle()
    fit_generator(oracle, few, FitContext(0))
    assert column.levels[0] not in set(draw_sample(oracle, few, 300, 0).frame[column.name])


def test_any_other_table_is_unsupported(suite: list[Dataset], teaching: Dataset) -> None:
    table = suite[0].load()
    renamed = table.frame.rename(columns={"x0": "length"})
    beyond = table.frame.rename(columns={table.schema.target: f"mechanism_v1_{N_TABLES}"})
    others = [
        teaching.load(),
        Table.from_frame(renamed, table.schema.target),
        Table.from_frame(beyond, f"mechanism_v1_{N_TABLES}"),
        Table.from_frame(table.frame.drop(columns="x0"), table.schema.target),
    ]
    for other in others:
        assert mechanism_of(other) is None
        with pytest.raises(Unsupported, match="synthetic-oracle alone"):
            fit_generator(Oracle(), other, FitContext(0))
