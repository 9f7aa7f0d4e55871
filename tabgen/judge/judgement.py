"""All that is measured of one sample: each measure with the rows it was measured on, or why it was not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tabgen import fidelity
from tabgen.adequacy import adequacy
from tabgen.constraints import Constraint, all_met
from tabgen.errors import Unsupported
from tabgen.judge.closest import Closest, closest
from tabgen.judge.columns import ColumnPair, column_pairs
from tabgen.judge.copies import Copied, copied_values, names_of_rows, watched
from tabgen.judge.membership import LEAST_HELD_OUT, Membership, membership
from tabgen.judge.narrow import without
from tabgen.judge.pairs import Pairs, pair_trends
from tabgen.judge.use import Use, use_of
from tabgen.models.base import FoundationModel
from tabgen.table import Table

LEAST_ROWS = 30
"""Real rows that meet the constraints, from which the sample is compared with them alone."""


@dataclass(frozen=True)
class Judgement:
    """What is known of a sample.

    Attributes
    ----------
    fitted_on, held_out : int
        Real rows that the generator saw, and that it did not.
    real_rows, unseen_rows : int
        How many of each the sample is compared with: those that meet the constraints, if they are enough.
    restricted : bool
        Whether only these are compared with.
    columns : sequence of ColumnPair
    pairs : Pairs
    copied : list of Copied
    left_out : list of str
        Columns that name rows: fidelity, distances, pairs and membership inference are without them.
    closest : Closest or None
    quality : dict
        What :func:`tabgen.fidelity.fidelity` and :func:`tabgen.adequacy.adequacy` say.
    membership : Membership or None
    use : Use or None
    gaps : dict
        Why a measure is not there, by its name.
    """

    fitted_on: int
    held_out: int
    real_rows: int
    unseen_rows: int
    restricted: bool
    rows: int
    columns: Sequence[ColumnPair]
    pairs: Pairs
    copied: list[Copied]
    left_out: list[str]
    closest: Closest | None
    quality: dict[str, float]
    membership: Membership | None
    use: Use | None
    gaps: dict[str, str] = field(default_factory=dict)


def judge(
    train: Table,
    held_out: Table | None,
    sample: Table,
    seed: int,
    load_model: Callable[[], FoundationModel],
    model: str,
    constraints: Sequence[Constraint] = (),
) -> Judgement:
    """Measure a sample against the rows its generator was fitted on, and rows that it never saw.

    Under constraints the real rows that meet them are what the sample is compared with, if there are
    :data:`LEAST_ROWS` of them with a row of each class that the sample has.

    Parameters
    ----------
    train, held_out, sample : Table
        Without held-out rows there is no membership inference, adequacy or worth.
    seed : int
    load_model : callable
        The model that worth is measured with.
    model : str
        Its name.
    constraints : sequence of Constraint
    """
    fitted_on, n_held_out = len(train), 0 if held_out is None else len(held_out)
    names = watched(train)
    copied = copied_values(train, sample, names)
    inside = real_rows_inside(train, constraints, sample)
    restricted = inside is not None
    if inside is not None:
        train = inside
        if held_out is not None:
            held_out = held_out.take(np.flatnonzero(all_met(constraints, held_out.frame)))
    gaps: dict[str, str] = {}
    left_out = names_of_rows(names)
    nameless = [without(table, left_out) if table is not None else None for table in (train, held_out, sample)]
    bare, bare_unseen, bare_sample = nameless
    assert bare is not None
    assert bare_sample is not None
    quality = fidelity_or_gap(bare, bare_unseen, bare_sample, seed, gaps)
    found = _membership(bare, bare_unseen, bare_sample, seed, gaps)
    use = _use(train, held_out, sample, seed, load_model, model, quality, gaps)
    return Judgement(
        fitted_on,
        n_held_out,
        len(train),
        0 if held_out is None else len(held_out),
        restricted,
        len(sample),
        column_pairs(train, sample),
        pair_trends(bare, bare_sample, seed),
        copied,
        left_out,
        closest(bare, bare_unseen, bare_sample, seed),
        quality,
        found,
        use,
        gaps,
    )


def real_rows_inside(train: Table, constraints: Sequence[Constraint], sample: Table) -> Table | None:
    """The real rows that meet the constraints; None where there are none, or too few rows or classes do."""
    if not constraints:
        return None
    inside = train.take(np.flatnonzero(all_met(constraints, train.frame)))
    enough = len(inside) >= LEAST_ROWS and set(sample.labels) <= set(inside.labels)
    return inside if enough else None


def fidelity_or_gap(
    train: Table, held_out: Table | None, sample: Table, seed: int, gaps: dict[str, str]
) -> dict[str, float]:
    """Fidelity, or nothing and in ``gaps`` why."""
    if not fidelity.available():
        gaps["fidelity"] = "SDMetrics is not installed (pip install 'tabgen-bench[fidelity]')"
        return {}
    if min(len(train), len(sample)) < 3:
        gaps["fidelity"] = "fewer than three rows to compare"
        return {}
    try:
        return fidelity.fidelity(train, held_out if held_out is not None and len(held_out) else None, sample, seed)
    except Exception as error:  # noqa: BLE001 - a library's fault beside rows that are there, and the report says so
        gaps["fidelity"] = f"{type(error).__name__}: {error}"[:300]
        return {}


def _membership(
    train: Table, held_out: Table | None, sample: Table, seed: int, gaps: dict[str, str]
) -> Membership | None:
    if held_out is None:
        gaps["membership"] = "no rows were held out"
        return None
    found = membership(train, held_out, sample, seed)
    if found is None:
        few = len(held_out) < LEAST_HELD_OUT
        rows = f"{len(held_out)} held-out rows to compare with, and {LEAST_HELD_OUT} are due"
        gaps["membership"] = rows if few else "there is nothing but free text"
    return found


def _use(
    train: Table,
    held_out: Table | None,
    sample: Table,
    seed: int,
    load_model: Callable[[], FoundationModel],
    model: str,
    quality: dict[str, float],
    gaps: dict[str, str],
) -> Use | None:
    """What the rows teach, a forest (which goes to ``quality``) and the foundation model."""
    tables = (train, held_out, sample)
    why = ""
    if held_out is None:
        why = "no rows were held out"
    elif min(len(np.unique(table.labels)) for table in tables if table is not None) < 2:
        why = "the rows that are compared are of one class"
    if held_out is None or why:
        gaps |= dict.fromkeys(("adequacy", "use"), why)
        return None
    quality |= adequacy(train, held_out, sample, seed)
    try:
        return use_of(load_model, model, train.observed(), held_out, sample, seed)
    except Unsupported as error:
        gaps["use"] = str(error)
        return None
