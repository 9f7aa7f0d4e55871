"""Tab2D, the two-dimensional transformer of Mitra, state-dict compatible with AutoGluon's.

Architecture: Zhang et al., *Mitra: Mixed Synthetic Priors for Enhancing Tabular Foundation Models*
(NeurIPS 2025), as released in AutoGluon 1.6. Written anew: no activation checkpointing, no flash-attn,
support rows computed once for all query rows, and in the last layer only what the logits depend on.

Shapes in comments: b tables in a batch, s support rows, q query rows, f features, t = f + 1 tokens of a
row (label first), d embedding, h heads, c classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

N_QUANTILES = 999
MOST_KEPT = 4e9
"""Bytes that layers keep for the backward pass; where it would be more, each keeps its inputs and computes the rest
again, which takes a quarter more time (Chen et al. 2016, arXiv 1604.06174) and changes no result."""
MOST_KEPT_OF_GPU = 0.4
"""The same on a GPU, as a share of its memory."""
KEPT_A_CELL = 32
"""Vectors that a layer keeps of each cell: what its norms, projections, attentions and MLPs need."""
MOST_SEQUENCES = 65_535
"""What CUDA's fused kernels attend to at once: one dimension of a grid."""
FEW_KEYS = 32
"""Up to here plain matrix products beat the fused kernel: 2.4-fold at 12 keys, 1.4-fold at 21 (one core's time)."""


@dataclass(frozen=True)
class Tab2DConfig:
    """Sizes of a Tab2D, as stored in ``config.json`` beside the weights (AutoGluon's keys).

    ``many_levels`` is a key of our own, for what comes before the module: the levels from which on a column is told
    twice (see ``models.levels``); 0, as for weights that were not trained on it, for none. ``views`` is another: how
    often a table is read for a prediction, each time otherwise, of which the mean logits are taken. The first is
    the table as it is, every second has all columns mirrored, every two more have the classes moved on by one more. To
    the table it makes no difference; to weights that learned from a finite number of tasks it does.
    """

    dim: int
    dim_output: int
    n_layers: int
    n_heads: int
    task: str = "CLASSIFICATION"
    many_levels: int = 0
    views: int = 1

    def to_dict(self) -> dict[str, int | str]:
        """AutoGluon's keys, and of our own those that say something."""
        silent = {"many_levels": 0, "views": 1}
        return {name: value for name, value in asdict(self).items() if silent.get(name) != value}


class _Slope(torch.autograd.Function):
    """Forward: the ranks as computed. Backward: the slope of the support's distribution function."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, _: Tensor, ranks: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return ranks.view_as(ranks)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grads[0] * slope, None, None


def _rank_slope(x: Tensor, quantiles: Tensor, window: int = 25) -> Tensor:
    """Ranks per unit of x around each value of x: the finite slope over ``2 * window`` quantiles."""
    index = torch.searchsorted(quantiles, x)  # (b, f, q)
    low = (index - window).clamp(0, N_QUANTILES - 1)
    high = (index + window).clamp(0, N_QUANTILES - 1)
    width = quantiles.gather(2, high) - quantiles.gather(2, low)
    return torch.where(width > 0, (high - low) / width.clamp_min(1e-12), torch.zeros_like(width))


def quantile_normalise(x_support: Tensor, x_query: Tensor) -> tuple[Tensor, Tensor]:
    """Replace each value by its rank among 999 support quantiles, then z-score over the support rows.

    Parameters
    ----------
    x_support : Tensor, shape (b, s, f)
    x_query : Tensor, shape (b, q, f)
        Where it requires a gradient, the step function of the ranks gets the slope of the support's
        empirical distribution function as its derivative; the values themselves are unchanged.

    Returns
    -------
    tuple of Tensor
        Both tables, same shapes, float32; a column that is constant in the support is all zeros.
    """
    s = x_support.shape[1]
    levels = torch.arange(1, N_QUANTILES + 1, dtype=torch.float32, device=x_support.device) / (N_QUANTILES + 1)
    quantiles = torch.quantile(x_support, levels, dim=1).permute(1, 2, 0).contiguous()  # (b, f, 999)
    support_columns = x_support.transpose(1, 2).contiguous()  # (b, f, s)
    query_columns = x_query.transpose(1, 2).contiguous()  # (b, f, q)
    support = torch.searchsorted(quantiles, support_columns).float() / s
    query = torch.searchsorted(quantiles, query_columns).float() / s
    mean = support.mean(dim=2, keepdim=True)
    support = support - mean
    std = support.square().mean(dim=2, keepdim=True).sqrt()
    scale = torch.where(std == 0, torch.zeros_like(std), 1 / std)
    query = (query - mean) * scale
    if x_query.requires_grad:
        slope = _rank_slope(query_columns.detach(), quantiles) / s * scale
        query = _Slope.apply(query_columns, query, slope)  # type: ignore[no-untyped-call]
    return (support * scale).transpose(1, 2), query.transpose(1, 2)


class _CellEmbedding(nn.Module):
    """One vector per cell of the feature table."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.x_embedding = nn.Linear(1, dim)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.x_embedding(x.unsqueeze(-1))
        return embedded


class _LabelEmbedding(nn.Module):
    """One vector per class for support rows, one shared "unknown" vector for query rows."""

    def __init__(self, dim: int, dim_output: int) -> None:
        super().__init__()
        self.y_embedding = nn.Embedding(dim_output, dim)
        self.y_mask = nn.Embedding(1, dim)


class _Attention(nn.Module):
    """Multi-head attention whose keys and values are computed apart, so that they can be reused."""

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.n_heads, -1).transpose(-3, -2)  # (..., length, d) -> (..., h, length, d/h)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._split(self.k(x)), self._split(self.v(x))

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        mixed = _attend(self._split(self.q(x)), *keys_values)
        out: Tensor = self.o(mixed.transpose(-3, -2).flatten(-2))
        return out


def _attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Softmax attention; written out where the keys are few, for which the CPU's fused kernel is slow.

    On a CPU always in float32: the fused kernel's backward pass takes twice as long in bfloat16.
    """
    if keys.device.type != "cpu":
        if len(keys) <= MOST_SEQUENCES:
            return F.scaled_dot_product_attention(queries, keys, values)
        pieces = zip(*(torch.split(part, MOST_SEQUENCES) for part in (queries, keys, values)), strict=True)
        return torch.cat([F.scaled_dot_product_attention(*piece) for piece in pieces])
    with torch.autocast("cpu", enabled=False):
        queries, keys, values = queries.float(), keys.float(), values.float()
        if keys.shape[-2] > FEW_KEYS:
            return F.scaled_dot_product_attention(queries, keys, values)
        weights = torch.softmax((queries * queries.shape[-1] ** -0.5) @ keys.transpose(-2, -1), dim=-1)
        return weights @ values


class _Norm(nn.LayerNorm):
    """A norm whose output has the type that linear layers take under autocast: cast once, not by each of them."""

    def forward(self, x: Tensor) -> Tensor:
        normed = super().forward(x)
        device = x.device.type
        return normed.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else normed


class _Layer(nn.Module):
    """Row attention, MLP, feature attention, MLP; pre-norm. Tables enter as (b, rows, t, d)."""

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.layer_norm1 = _Norm(dim)
        self.attention1 = _Attention(dim, n_heads)
        self.layer_norm2 = _Norm(dim)
        self.linear1 = nn.Linear(dim, dim * 4)
        self.linear2 = nn.Linear(dim * 4, dim)
        self.layer_norm3 = _Norm(dim)
        self.attention2 = _Attention(dim, n_heads)
        self.layer_norm4 = _Norm(dim)
        self.linear3 = nn.Linear(dim, dim * 4)
        self.linear4 = nn.Linear(dim * 4, dim)

    def support_keys_values(self, support: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the row attention: (b * t, h, s, d/h) each."""
        return self.attention1.keys_values(_columns(self.layer_norm1(support)))

    def support(self, table: Tensor, last: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Support rows after the layer, and its keys and values; rows after the last layer, which feed nothing, as
        they were.
        """
        keys_values = self.support_keys_values(table)
        return (table if last else self(table, keys_values)), *keys_values

    def forward(self, table: Tensor, keys_values: tuple[Tensor, Tensor], label_only: bool = False) -> Tensor:
        """One layer for support or query rows alike: rows attend to the support's keys and values.

        With ``label_only`` just the label token's output is computed: (b, rows, 1, d).
        """
        b = table.shape[0]
        attended = self.attention1(_columns(self.layer_norm1(table)), keys_values)
        table = table + attended.view(b, -1, *attended.shape[1:]).transpose(1, 2)
        table = table + self.linear2(F.gelu(self.linear1(self.layer_norm2(table))))
        rows = self.layer_norm3(table).flatten(0, 1)  # (b * rows, t, d)
        features = self.attention2.keys_values(rows)
        if label_only:
            table, rows = table[:, :, :1], rows[:, :1]
        table = table + self.attention2(rows, features).view(b, -1, *rows.shape[1:])
        out: Tensor = table + self.linear4(F.gelu(self.linear3(self.layer_norm4(table))))
        return out


def _columns(table: Tensor) -> Tensor:
    """(b, rows, t, d) -> (b * t, rows, d): one sequence of rows per token."""
    return table.transpose(1, 2).flatten(0, 1)


class Tab2D(nn.Module):
    """In-context classifier over tables: labelled support rows in, logits of query rows out.

    Invariant to the order of rows and of feature columns. Every table of a batch has the same shape:
    there is no padding, hence no mask.
    """

    def __init__(self, config: Tab2DConfig) -> None:
        super().__init__()
        self.config = config
        self.x_embedding = _CellEmbedding(config.dim)
        self.y_embedding = _LabelEmbedding(config.dim, config.dim_output)
        self.layers = nn.ModuleList([_Layer(config.dim, config.n_heads) for _ in range(config.n_layers)])
        self.final_layer_norm = _Norm(config.dim)
        self.final_layer = nn.Linear(config.dim, config.dim_output)
        for weight in (
            self.x_embedding.x_embedding.weight,
            self.x_embedding.x_embedding.bias,
            self.y_embedding.y_embedding.weight,
            self.y_embedding.y_mask.weight,
        ):
            nn.init.normal_(weight)

    def forward(self, x_support: Tensor, y_support: Tensor, x_query: Tensor, query_chunk: int = 0) -> Tensor:
        """Logits of the query rows.

        Parameters
        ----------
        x_support : Tensor, shape (b, s, f), float32, finite
        y_support : Tensor, shape (b, s), int64, classes 0 .. dim_output - 1
        x_query : Tensor, shape (b, q, f), float32, finite
        query_chunk : int
            Rows computed at a time (0: all); the support is computed once whatever the chunks.

        Returns
        -------
        Tensor, shape (b, q, dim_output)
        """
        x_support, x_query = quantile_normalise(x_support, x_query)
        labels = self.y_embedding.y_embedding(y_support).unsqueeze(2)  # (b, s, 1, d)
        support = torch.cat([labels, self.x_embedding(x_support)], dim=2)  # (b, s, t, d)
        cells = support.shape[0] * (support.shape[1] + x_query.shape[1]) * support.shape[2]
        run = self._runner(cells, support.device)
        memory = []
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, _Layer)
            support, *keys_values = run(layer.support, support, number == len(self.layers) - 1)
            memory.append((keys_values[0], keys_values[1]))
        chunks = torch.split(x_query, query_chunk, dim=1) if query_chunk else (x_query,)
        return torch.cat([self._query_logits(chunk, memory, run) for chunk in chunks], dim=1)

    def _runner(self, cells: int, device: torch.device) -> Callable[..., Any]:
        """How a layer is called: plainly, or so that it keeps little for the backward pass."""
        kept = 4 * KEPT_A_CELL * self.config.dim * len(self.layers) * cells
        most = MOST_KEPT
        if device.type == "cuda":
            most = MOST_KEPT_OF_GPU * torch.cuda.get_device_properties(device).total_memory
        if torch.is_grad_enabled() and kept > most:
            return partial(checkpoint, use_reentrant=False, preserve_rng_state=False)  # no layer draws anything
        return lambda layer, *given: layer(*given)

    def _query_logits(self, x_query: Tensor, memory: list[tuple[Tensor, Tensor]], run: Callable[..., Any]) -> Tensor:
        b, q, _ = x_query.shape
        unknown = self.y_embedding.y_mask.weight.expand(b, q, 1, -1)
        query = torch.cat([unknown, self.x_embedding(x_query)], dim=2)  # (b, q, t, d)
        for number, (layer, keys_values) in enumerate(zip(self.layers, memory, strict=True)):
            query = run(layer, query, keys_values, number == len(self.layers) - 1)
        logits: Tensor = self.final_layer(self.final_layer_norm(query[:, :, 0]))  # (b, q, c)
        return logits
