"""Figures of a comparison, each a function from a `Ranking` (or the outcomes) to a matplotlib `Figure`.

The causal graph (:mod:`tabgen.figures.causal_graph`) and the curves of pre-training are modules of their own.
"""

from tabgen.figures.curves import learning_curves
from tabgen.figures.gains import (
    gain_against_fidelity,
    gain_against_ratio,
    gains_per_dataset,
    score_against_seconds,
    validation_against_test,
)
from tabgen.figures.ranks import critical_difference_diagram, duel_heat_map, rank_sets
from tabgen.figures.style import (
    REFERENCE_STYLES,
    Style,
    following_the_scheme,
    method_styles,
    outline,
    save,
    short,
    to_svg,
)

__all__ = [
    "REFERENCE_STYLES",
    "Style",
    "critical_difference_diagram",
    "duel_heat_map",
    "following_the_scheme",
    "gain_against_fidelity",
    "gain_against_ratio",
    "gains_per_dataset",
    "learning_curves",
    "method_styles",
    "outline",
    "rank_sets",
    "save",
    "score_against_seconds",
    "short",
    "to_svg",
    "validation_against_test",
]
