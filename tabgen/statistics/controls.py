"""Controls: methods known to be bad. Where they are not below plain use of the real rows, no winner is named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabgen.statistics.scores import TIE_DECIMALS
from tabgen.statistics.significance import signed_rank
from tabgen.statistics.verdicts import Verdict

KNOWN_BAD = ("noise", "shuffled-labels", "independent")
REFERENCE = "real"


@dataclass(frozen=True)
class Control:
    """One known bad method against `real`: median difference in points over the datasets, raw signed-rank p."""

    method: str
    median_difference: float
    p: float
    below: bool


@dataclass(frozen=True)
class Controls:
    """The known bad methods of a pool, and whether all of them are below `real`."""

    methods: list[Control]
    passed: bool


def known_bad(outcomes: pd.DataFrame) -> list[str]:
    """The methods of these outcomes that are known to be bad, by what generator they are."""
    generators = outcomes["generator"] if "generator" in outcomes.columns else outcomes["method"]
    return sorted({str(m) for m, g in zip(outcomes["method"], generators, strict=True) if g in KNOWN_BAD})


def judge_controls(outcomes: pd.DataFrame, matrix: pd.DataFrame) -> Controls | None:
    """Every known bad method of a pool against `real`; None where either is absent.

    Parameters
    ----------
    outcomes : DataFrame
        With `method` and, where methods go by other names than their generators, `generator`.
    matrix : DataFrame
        Shape (datasets, methods), mean gains in points.
    """
    if REFERENCE not in matrix.columns or not len(matrix):
        return None
    found = []
    for method in [name for name in known_bad(outcomes) if name in matrix.columns]:
        difference = np.round((matrix[method] - matrix[REFERENCE]).to_numpy(dtype=float), TIE_DECIMALS)
        test = signed_rank(difference)
        median = float(np.median(difference))
        found.append(Control(method, median, float(test.p), median < 0))
    return Controls(found, all(control.below for control in found)) if found else None


def gate(verdicts: list[Verdict], controls: Controls | None, arm: str) -> list[Verdict]:
    """The verdicts, without claims that methods differ where known bad ones are not below the real rows."""
    if controls is None or controls.passed:
        return verdicts
    bad = [control for control in controls.methods if not control.below]
    failed = ", ".join(f"{control.method} ({control.median_difference:+.3f} points)" for control in bad)
    sentence = (
        f"No winner is named in the arm '{arm}': what is known to be bad is not below {REFERENCE} here ({failed}),"
        " so a difference of this size says nothing of a generator."
    )
    kept = [verdict for verdict in verdicts if not (verdict.claims_difference and verdict.kind == "comparison")]
    return [Verdict("refused", sentence), *kept]
