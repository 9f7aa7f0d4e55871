"""The contract of a foundation model: predict in context, and be fine-tuned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tabgen.errors import Unsupported

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from tabgen.table import Table


MOST_CONTEXT = 8192
"""Rows of a context with synthetic ones at most; the rest is left out."""


@dataclass(frozen=True)
class ModelInfo:
    """A foundation model by name.

    Attributes
    ----------
    name, summary : str
    licence : str
        SPDX identifier of the code that runs, dependencies with stricter terms included.
    load : callable
        ``load(device)``, called in the process that needs the model.
    fingerprint : callable
        SHA-256 of the weights, without loading them: part of every cell's key, as is the version of the plugin that
        the model comes from, with the hash of its code.
    weights_licence : str
        SPDX identifier of the weights; empty: not known here.
    """

    name: str
    summary: str
    licence: str
    load: Callable[[str], FoundationModel]
    fingerprint: Callable[[], str]
    weights_licence: str = ""


class Encoded(NamedTuple):
    """Rows as a model reads them.

    Attributes
    ----------
    x : Tensor, shape (rows, encoded columns), float32
    y : Tensor, shape (rows,), int64
    levels : tuple of int
        The columns of ``x`` that hold codes of many levels, whose order says nothing.
    """

    x: Tensor
    y: Tensor
    levels: tuple[int, ...] = ()

    def stacked(self, other: Encoded) -> Encoded:
        """These rows and, below them, others of the same encoder."""
        import torch

        return Encoded(torch.cat([self.x, other.x]), torch.cat([self.y, other.y]), self.levels)

    def as_context(self) -> Encoded:
        """The first of these rows, as many as a context with synthetic ones holds."""
        return Encoded(self.x[:MOST_CONTEXT], self.y[:MOST_CONTEXT], self.levels)


class Encoder(ABC):
    """Turns tables into the model's input; fitted once, on the context rows only.

    Attributes
    ----------
    notes : dict
        What was done to the columns that the outcome should say: JSON values, small.
    levels : tuple of int
        As in :class:`Encoded`, of all that it encodes.
    """

    notes: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed, by encoders that have something to say
    levels: tuple[int, ...] = ()

    @abstractmethod
    def encode(self, table: Table) -> Tensor:
        """Feature rows as the model reads them: float32 (rows, encoded columns), finite."""


class FoundationModel(ABC):
    """A pre-trained classifier over tables.

    Attributes
    ----------
    module : torch.nn.Module
        The weights; called as ``module(x_support, y_support, x_query)`` with a leading batch axis, it
        returns logits (1, q, >= classes).
    max_classes, max_columns : int
        What it was made for; more is ``unsupported``.
    checkpoint_hash : str
        SHA-256 of the weights.
    device : str
    layers : str
        Where in the module its layers lie one after another, such as ``layers``; empty: it has no such place.
    head : tuple of str
        What in the module follows the last of them.
    """

    module: nn.Module
    max_classes: int
    max_columns: int
    checkpoint_hash: str
    device: str
    layers: str = ""
    head: tuple[str, ...] = ()

    def check_classes(self, context: Table) -> None:
        """Raise :class:`tabgen.errors.Unsupported` if the table has more classes than the model takes."""
        n_classes = len(context.schema.classes)
        if n_classes > self.max_classes:
            raise Unsupported(f"the model takes at most {self.max_classes} classes; the table has {n_classes}.")

    @abstractmethod
    def encoder(self, context: Table) -> Encoder:
        """An encoder fitted on the context rows.

        Raises
        ------
        Unsupported
            If the table has more classes or columns than the model takes.
        """

    @abstractmethod
    def logits(
        self, x_support: Tensor, y_support: Tensor, x_query: Tensor, n_classes: int, levels: tuple[int, ...] = ()
    ) -> Tensor:
        """Logits of encoded query rows given encoded support rows: (q, n_classes); differentiable.

        Parameters
        ----------
        x_support : Tensor, shape (s, columns)
        y_support : Tensor, shape (s,), int64 in 0 .. n_classes - 1
        x_query : Tensor, shape (q, columns)
        levels : tuple of int
            Columns that hold codes of many levels, as the encoder names them.
        """

    @abstractmethod
    def predict(
        self, x_support: Tensor, y_support: Tensor, x_query: Tensor, n_classes: int, levels: tuple[int, ...] = ()
    ) -> np.ndarray[Any, Any]:
        """Class probabilities of the query rows, without gradients, in bounded memory: (q, n_classes)."""
