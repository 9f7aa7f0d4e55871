"""Arms: the uses of synthetic rows that a cell measures, each with scores of its own under a stage of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One use of synthetic rows.

    Attributes
    ----------
    name : str
    stage : str
        How its scores' columns begin: ``{stage}_{validation|test}_{metric}``.
    summary : str
    tunes : bool
        Whether it needs the model to be fine-tuned.
    """

    name: str
    stage: str
    summary: str
    tunes: bool = False


ARMS = {
    arm.name: arm
    for arm in (
        Arm("fine-tune", "tuned", "fine-tuned on the rows, the step kept that validates best, step 0 included", True),
        Arm("fixed-steps", "fixed", "the weights of the same run after fixed steps, chosen by nothing", True),
        Arm("context", "context", "pre-trained weights, the synthetic rows as context in place of the real ones"),
        Arm("augmented", "augmented", "pre-trained weights, real and synthetic rows as context together"),
    )
}
FIRST_ARM = "fine-tune"
"""The paper's."""


def first_shown(measured: Sequence[str]) -> str:
    """The arm that is shown first: rows as context, which tells generators apart best, or else the first measured."""
    return "context" if "context" in measured else measured[0]


def tunes(names: Iterable[str]) -> bool:
    """Whether any of these arms needs the model to be fine-tuned; names that are no arm do not count."""
    return any(name in ARMS and ARMS[name].tunes for name in names)


OPTIMISER = "torch._dynamo"
"""What the first optimiser of a process imports, which takes some 2 s: once, then, before the first cell that tunes."""

FIXED_STEPS, PRIMARY_STEP = (5, 10, 20), 10
"""Steps whose weights are scored as they are (``fixed_5_test_roc_auc``); those of the primary one are ``fixed``."""


def fixed_steps(steps: int) -> tuple[tuple[int, ...], int]:
    """The fixed steps of a recipe of so many, and the primary one: the last, where it has fewer."""
    found = tuple(step for step in FIXED_STEPS if step <= steps) or (steps,)
    return found, PRIMARY_STEP if PRIMARY_STEP in found else found[-1]
