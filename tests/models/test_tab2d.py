"""Tab2D agrees with AutoGluon's, and keeps the invariances it claims."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from paths import FIXTURE

from tabgen.models import tab2d
from tabgen.models.checkpoints import Tab2DModel
from tabgen.models.tab2d import quantile_normalise

CASES = ("plain", "constant_column_and_ties", "one_feature", "wide_small", "large_support")


def case(name: str) -> dict[str, torch.Tensor]:
    with np.load(FIXTURE / "cases.npz") as arrays:
        return {k.split(".")[1]: torch.from_numpy(arrays[k]) for k in arrays if k.startswith(f"{name}.")}


def test_the_fixture_has_these_cases_and_no_other() -> None:
    with np.load(FIXTURE / "cases.npz") as arrays:
        assert {key.split(".")[0] for key in arrays} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_logits_are_autogluons(name: str, tiny_model: Tab2DModel) -> None:
    data = case(name)
    with torch.no_grad():
        logits = tiny_model.module(data["x_support"], data["y_support"], data["x_query"])
    assert logits.shape == data["logits"].shape
    assert (logits - data["logits"]).abs().max() < 1e-4


@pytest.mark.parametrize("chunk", [1, 5, 16, 1000])
def test_query_chunks_change_nothing(chunk: int, tiny_model: Tab2DModel) -> None:
    data = case("plain")
    with torch.no_grad():
        logits = tiny_model.module(data["x_support"], data["y_support"], data["x_query"], query_chunk=chunk)
    assert torch.allclose(logits, data["logits"], atol=1e-5)


def test_order_of_rows_and_columns_does_not_matter(tiny_model: Tab2DModel) -> None:
    data = case("plain")
    rows, columns = torch.randperm(40), torch.randperm(5)
    with torch.no_grad():
        logits = tiny_model.module(
            data["x_support"][:, rows][:, :, columns], data["y_support"][:, rows], data["x_query"][:, :, columns]
        )
    assert torch.allclose(logits, data["logits"], atol=1e-5)


def test_only_the_order_of_values_matters() -> None:
    x = torch.randn(1, 200, 3)
    support, query = quantile_normalise(x, x[:, :50])
    warped_support, warped_query = quantile_normalise(x.exp(), x[:, :50].exp())
    assert torch.allclose(support, warped_support, atol=0.02)
    assert torch.allclose(query, warped_query, atol=0.02)


def test_normalised_support_is_z_scored_and_constant_columns_vanish() -> None:
    x = torch.randn(2, 300, 3)
    x[:, :, 1] = 7.0
    support, query = quantile_normalise(x, torch.randn(2, 10, 3))
    assert torch.allclose(support.mean(1), torch.zeros(2, 3), atol=1e-5)
    assert torch.allclose(support[:, :, [0, 2]].std(1), torch.ones(2, 2), atol=0.01)
    assert (support[:, :, 1] == 0).all()
    assert (query[:, :, 1] == 0).all()


def test_the_gradient_for_query_values_is_the_slope_of_the_ranks() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 2000, 1)  # uniform on [0, 1]: rank = value, so the slope is 1 / sd of the ranks = sqrt(12)
    plain = quantile_normalise(x, x[:, :20])[1]
    query = x[:, :20].clone().requires_grad_()
    normalised = quantile_normalise(x, query)[1]
    assert torch.equal(normalised.detach(), plain)
    normalised.sum().backward()  # type: ignore[no-untyped-call]
    assert query.grad is not None
    inner = (query.detach() > 0.1) & (query.detach() < 0.9)
    assert torch.allclose(query.grad[inner], torch.full_like(query.grad[inner], 12**0.5), rtol=0.35)


def test_gradients_reach_every_weight_but_the_unused_classes(tiny_model: Tab2DModel) -> None:
    data = case("plain")
    logits = tiny_model.module(data["x_support"], data["y_support"], data["x_query"])
    logits.square().sum().backward()
    untouched = [n for n, p in tiny_model.module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # a key's bias shifts all scores of a softmax alike: its gradient is zero but for rounding
    assert [n for n in untouched if not n.endswith("k.bias")] == []


def test_where_memory_is_short_layers_are_computed_again_with_the_same_results(
    tiny_model: Tab2DModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(5)
    x, y = torch.randn(60, 5, generator=generator), torch.randint(0, 3, (60,), generator=generator)
    calls: list[int] = []
    for layer in tiny_model.module.layers:
        layer.get_submodule("linear1").register_forward_hook(lambda *_: calls.append(1))
    found = []
    for most in (4e9, 0.0):
        monkeypatch.setattr(tab2d, "MOST_KEPT", most)
        calls.clear()
        tiny_model.module.zero_grad()
        logits = tiny_model.logits(x[:40], y[:40], x[40:], 3)
        forward = len(calls)
        torch.nn.functional.cross_entropy(logits, y[40:]).backward()  # type: ignore[no-untyped-call]
        found.append((logits, [w.grad for w in tiny_model.module.parameters()], forward, len(calls)))
    (plain, gradients, once, in_all), (frugal, again, first, twice) = found
    assert once == in_all == first == 5  # three layers of query rows, two of support rows
    assert twice == 10
    assert torch.equal(plain, frugal)
    for one, other in zip(gradients, again, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)
    with torch.inference_mode():
        calls.clear()
        assert torch.equal(tiny_model.logits(x[:40], y[:40], x[40:], 3), plain)
        assert len(calls) == 5


def test_under_autocast_a_norm_casts_once_to_the_same_logits(tiny_model: Tab2DModel) -> None:
    x = torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(3))
    y = torch.arange(30).remainder(3).expand(2, -1)
    norms = [part for part in tiny_model.module.modules() if isinstance(part, torch.nn.LayerNorm)]
    types = []
    for norm in norms:
        norm.register_forward_hook(lambda _, __, out: types.append(out.dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        once = tiny_model.module(x[:, :30], y, x[:, 30:])
        assert set(types) == {torch.bfloat16}
        for norm in norms:
            norm.forward = partial(torch.nn.LayerNorm.forward, norm)  # type: ignore[method-assign]
        by_each = tiny_model.module(x[:, :30], y, x[:, 30:])
    assert torch.float32 in types
    torch.testing.assert_close(once, by_each, atol=0.01, rtol=0)  # the kernels of other strides sum in another order
