"""Rows under constraints, by rejection: drawn as ever, kept where they meet them all, up to a bound of draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tabgen.constraints import Constraint, all_met
from tabgen.errors import ConstraintError, InvalidOutput
from tabgen.generator import Generator
from tabgen.randomness import spawned
from tabgen.sampling import check_classes, draw_rows, draw_sample
from tabgen.table import Table

DRAWS_PER_ROW, LEAST_DRAWS = 100, 1000
"""The bound unless another is given: so many draws for each row asked for, and at least so many in all."""
BATCH, LARGEST_BATCH = 200, 20_000
"""Rows that are drawn at once: at least, and at most unless more are asked for."""


@dataclass(frozen=True)
class Acceptance:
    """How many rows were drawn, and how many of them met the constraints."""

    drawn: int
    met: int

    @property
    def rate(self) -> float:
        return self.met / self.drawn


def draw_where(
    generator: Generator,
    table: Table,
    n_rows: int,
    seed: int,
    constraints: Sequence[Constraint] = (),
    most_draws: int | None = None,
) -> tuple[Table, Acceptance]:
    """``n_rows`` rows that meet every constraint, from a fitted generator, checked as by ``draw_sample``.

    Without constraints they are the rows of :func:`tabgen.sampling.draw_sample`. With them, they are the generator's
    rows given that the constraints hold: nothing is altered, so that no row is made to fit.

    Parameters
    ----------
    generator : Generator
        Fitted on ``table``.
    table : Table
    n_rows, seed : int
    constraints : sequence of Constraint
    most_draws : int, optional
        The bound; :data:`DRAWS_PER_ROW` for each row asked for, at least :data:`LEAST_DRAWS`, unless given.

    Raises
    ------
    ConstraintError
        If the bound is reached; it names the share of draws that meet the constraints, and each of them alone.
    InvalidOutput
        As for :func:`tabgen.sampling.draw_sample`; and if one draw has other columns than the next.
    """
    if not constraints:
        return draw_sample(generator, table, n_rows, seed), Acceptance(n_rows, n_rows)
    most = most_draws or max(DRAWS_PER_ROW * n_rows, LEAST_DRAWS)
    kept: list[Table] = []
    alone = [0] * len(constraints)
    drawn = met = 0
    classes: set[int] = set()
    size = min(max(n_rows, BATCH), most)
    while met < n_rows:
        if drawn == most:
            raise ConstraintError(_at_the_bound(constraints, alone, met, drawn, n_rows, table, generator.info.name))
        batch = draw_rows(generator, table, size, spawned(seed, len(kept)) if kept else seed)
        _check_columns(batch, kept, constraints)
        alone = [count + int(each.met(batch.frame).sum()) for count, each in zip(alone, constraints, strict=True)]
        good = all_met(constraints, batch.frame)
        kept.append(Table(batch.frame[good], batch.schema))
        classes |= set(batch.labels.tolist())
        drawn, met = drawn + size, met + int(good.sum())
        lacking = 1.2 * (n_rows - met) * drawn / met if met else 2.0 * drawn
        size = min(max(math.ceil(lacking), BATCH), max(LARGEST_BATCH, n_rows), most - drawn)
    if len(classes) == 1:  # of all that was drawn: one class of what is kept may be what is asked for
        check_classes(batch, generator.info)
    frame = pd.concat([each.frame for each in kept]).head(n_rows).reset_index(drop=True)
    return Table(frame, kept[0].schema), Acceptance(drawn, met)


def _check_columns(batch: Table, kept: Sequence[Table], constraints: Sequence[Constraint]) -> None:
    """Raise for a draw without a column that a constraint names, or with other columns than the draw before."""
    lacking = [each.column for each in constraints if each.column not in batch.frame.columns]
    if lacking:
        raise InvalidOutput(
            f"the drawn rows lack the column '{lacking[0]}', which a constraint names: this generator leaves columns"
            " out; take another, or leave the constraint out."
        )
    if kept and batch.schema.names != kept[0].schema.names:
        raise InvalidOutput(
            "one draw has other columns than the next, so that rows of several draws cannot be put together: this"
            " generator leaves columns out; take another, or leave the constraints out."
        )


def _at_the_bound(
    constraints: Sequence[Constraint],
    alone: Sequence[int],
    met: int,
    drawn: int,
    n_rows: int,
    table: Table,
    name: str,
) -> str:
    real = int(all_met(constraints, table.frame).sum())
    each = ", ".join(f"{c.text} by {count / drawn:.2%}" for c, count in zip(constraints, alone, strict=True))
    mend = "Loosen one (a range in place of one value), ask for fewer rows, or raise the bound (--most-draws)."
    if not real:
        mend = (
            "No real row is such a one, and a generator seldom leaves what it has seen: ask for what the table holds."
        )
    return (
        f"{met} of the {n_rows} rows asked for were found: of {drawn:,} rows drawn from {name}, which is the bound,"
        f" {met / drawn:.2%} meet the constraints ({each}); of the {len(table)} real rows {real} do. {mend}"
    )
