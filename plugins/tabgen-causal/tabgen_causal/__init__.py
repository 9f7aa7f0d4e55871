"""Structural causal models as generators of tabgen: discovered graphs, fitted mechanisms, new draws of the noise."""

from __future__ import annotations

from collections.abc import Callable

from tabgen import Generator, hookimpl
from tabgen_causal.generators import SCM, CausalMix

__all__ = ["SCM", "CausalMix"]


@hookimpl
def tabgen_register_generators(register: Callable[[type[Generator]], None]) -> None:
    for generator in (SCM, CausalMix):
        register(generator)
