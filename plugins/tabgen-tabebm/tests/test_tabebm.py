from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from tabgen_tabebm import TabEBM, surrogate_negatives

from tabgen import FitContext, Table
from tabgen.datasets import core_datasets
from tabgen.errors import Unsupported
from tabgen.models.base import FoundationModel
from tabgen.plugins import get_plugins
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import Check, conformance_checks, easy_table

QUICK = {"steps": 4}
PAPER = {"steps": 200, "step_size": 0.1, "noise": 0.01, "max_step": 0.0}


@pytest.fixture(scope="module")
def model() -> FoundationModel:
    return get_plugins().models["tabgen-nano"].load("cpu")


def fitted(table: Table, model: FoundationModel, **settings: Any) -> TabEBM:
    generator = TabEBM(**settings)
    fit_generator(generator, table, FitContext(seed=0, load_model=lambda: model))
    return generator


@pytest.mark.parametrize("check", conformance_checks(TabEBM, QUICK), ids=str)
def test_conformance(check: Check) -> None:
    check()


@pytest.fixture(scope="module")
def penguins() -> Table:
    table = next(d for d in core_datasets() if d.name == "penguin-sex").load()
    return table.take(np.random.default_rng(0).permutation(len(table))[:80])


def test_energy_falls_along_the_path(model: FoundationModel, penguins: Table) -> None:
    generator = fitted(penguins, model, steps=25)
    for label in range(2):
        rng = np.random.default_rng(1)
        start = generator.start(label, 20, rng)
        end = generator.walk(start, label, rng)
        before, after = (generator.energy(torch.from_numpy(x), label).detach() for x in (start, end))
        assert after.mean() < before.mean()
        assert (after < before).float().mean() > 0.7


def test_samples_of_a_class_are_taken_for_it(model: FoundationModel) -> None:
    """A neighbour model of the real rows must recover the class far more often than chance (a third)."""
    table, names = easy_table(90), ["length", "legs"]
    sample = draw_sample(fitted(table, model, steps=25), table, 60, 1)
    judge = KNeighborsClassifier(5).fit(table.frame[names], table.labels)
    assert (judge.predict(sample.frame[names]) == sample.labels).mean() > 0.6


def test_energy_is_minus_the_logsumexp_of_a_two_class_context(model: FoundationModel) -> None:
    generator = fitted(easy_table(30), model)
    x = torch.from_numpy(generator.start(1, 4, np.random.default_rng(0)))
    known = generator._classes[1]
    real, support, y = torch.from_numpy(known.z), known.support, known.y
    assert torch.allclose(real.mean(dim=0), torch.zeros(5), atol=1e-5)
    assert torch.equal(support[: len(real)], real)
    assert y.tolist() == [0] * len(real) + [1] * 4
    f = model.logits(support, y, x, 2)
    assert torch.allclose(generator.energy(x, 1), -f.exp().sum(dim=1).log(), atol=1e-5)


def test_a_rows_step_does_not_depend_on_the_rows_beside_it(model: FoundationModel) -> None:
    generator = fitted(easy_table(30), model, steps=8, noise=0.0)
    start = generator.start(0, 12, np.random.default_rng(0))
    together = generator.walk(start, 0, np.random.default_rng(0))
    alone = generator.walk(start[:1], 0, np.random.default_rng(0))
    assert np.allclose(together[:1], alone, atol=1e-4)
    mean = fitted(easy_table(30), model, steps=8, noise=0.0, batch_mean=True).walk(start, 0, np.random.default_rng(0))
    assert np.abs(mean - start).mean() < 0.2 * np.abs(together - start).mean()


def glass() -> Table:
    table = next(d for d in core_datasets() if d.name == "glass-identification").load()
    return table.take(np.random.default_rng(0).permutation(len(table))[:120])


@pytest.mark.parametrize("name", ["penguins", "glass"])
def test_the_long_steps_end_where_the_papers_do(name: str, model: FoundationModel, penguins: Table) -> None:
    """What is done otherwise is less than 15 % of the movement that 200 short steps make, and no row is far off."""
    table = penguins if name == "penguins" else glass()
    quick, paper = fitted(table, model, noise=0.0), fitted(table, model, **(PAPER | {"noise": 0.0}))
    start = quick.start(0, 20, np.random.default_rng(0))
    end, exact = (generator.walk(start, 0, np.random.default_rng(0)) for generator in (quick, paper))
    assert np.abs(end - exact).mean() < 0.15 * np.abs(exact - start).mean()
    apart = np.sqrt(np.square(end - exact).mean(axis=1))  # of each row, in standard deviations
    assert np.quantile(apart, 0.95) < 0.5
    before, after, at_best = (quick.energy(torch.from_numpy(x), 0).detach().mean() for x in (start, end, exact))
    assert before - after > 0.8 * (before - at_best) > 0


def test_a_rows_step_is_bounded(model: FoundationModel, penguins: Table) -> None:
    generator = fitted(penguins, model, steps=1, step_size=1000.0, noise=0.0)
    start = generator.start(0, 20, np.random.default_rng(0))
    step = np.sqrt(np.square(generator.walk(start, 0, np.random.default_rng(0)) - start).mean(axis=1))
    assert step == pytest.approx(0.15, rel=1e-4)
    free = fitted(penguins, model, steps=1, step_size=1000.0, noise=0.0, max_step=0.0)
    assert np.abs(free.walk(start, 0, np.random.default_rng(0)) - start).max() > 1.0


def test_the_model_is_left_as_it_was(model: FoundationModel) -> None:
    before = {name: weight.clone() for name, weight in model.module.state_dict().items()}
    fitted(easy_table(30), model, **QUICK).sample(10, 0)
    assert all(torch.equal(before[name], weight) for name, weight in model.module.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.module.parameters())


@pytest.mark.parametrize("n_columns", [1, 2, 3, 30])
def test_negatives_are_opposite_corners(n_columns: int) -> None:
    corners = surrogate_negatives(n_columns, 5.0, np.random.default_rng(0))
    assert corners.shape == (4 if n_columns > 1 else 2, n_columns)
    assert (np.abs(corners) == 5).all()
    assert np.allclose(corners.sum(axis=0), 0)
    assert len(np.unique(corners, axis=0)) == len(corners)


def test_what_the_model_cannot_take_is_refused(model: FoundationModel) -> None:
    wide = pd.DataFrame(np.random.default_rng(0).standard_normal((20, 101))).assign(label=["a", "b"] * 10)
    with pytest.raises(Unsupported, match="101"):
        fitted(Table.from_frame(wide, "label"), model)
    constant = pd.DataFrame({"x": [1.0] * 6, "label": ["a", "b"] * 3})
    with pytest.raises(Unsupported, match="constant"):
        fitted(Table.from_frame(constant, "label"), model)
    with pytest.raises(Unsupported, match="foundation model"):
        fit_generator(TabEBM(), easy_table(20), FitContext(seed=0))
