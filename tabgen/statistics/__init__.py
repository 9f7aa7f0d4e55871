"""Statistics of a comparison: normalised scores, ranks, tests, intervals and the sentences they allow.

Pure functions on a DataFrame with one row per cell; nothing here reads a file or knows a model. `summary`
does all of it; the parts are public so that they can be checked one by one. `docs/statistics.md` explains
every number.
"""

from tabgen.metrics import higher_is_better
from tabgen.statistics.bayes import Posterior, bayesian_signed_rank, posterior_weights
from tabgen.statistics.components import (
    Components,
    Halving,
    detectable_effect,
    nested_components,
    variance_components,
)
from tabgen.statistics.one_table import Answer, Candidate, CorrelatedT, answer, correlated_t
from tabgen.statistics.pairs import (
    Pair,
    PseudoMedian,
    compare_pairs,
    contrasts,
    equality_p,
    pseudo_median,
    rank_sets,
    step_down_p,
    tie_bands,
    withhold,
)
from tabgen.statistics.ranks import (
    Duels,
    Interval,
    bootstrap_intervals,
    dataset_ranks,
    duels,
    mean_ranks,
    spreads,
)
from tabgen.statistics.records import MethodRecord, PairRecord, Pool, Ranking, Tests
from tabgen.statistics.scores import (
    POLICIES,
    DatasetMeans,
    Incomplete,
    Policy,
    StatisticsError,
    check_outcomes,
    curve_disagreement,
    dataset_means,
    normalised_scores,
    observed_means,
)
from tabgen.statistics.significance import (
    FriedmanTest,
    SignedRank,
    cliques,
    critical_difference,
    friedman,
    holm,
    nemenyi,
    nemenyi_groups,
    signed_rank,
    smallest_attainable_p,
)
from tabgen.statistics.summary import summary
from tabgen.statistics.verdicts import (
    Comparison,
    Verdict,
    judge,
    planned_comparisons,
    planned_pairs,
    verdicts,
)

__all__ = [
    "POLICIES",
    "Answer",
    "Candidate",
    "Comparison",
    "Components",
    "CorrelatedT",
    "DatasetMeans",
    "Duels",
    "FriedmanTest",
    "Halving",
    "Incomplete",
    "Interval",
    "MethodRecord",
    "Pair",
    "PairRecord",
    "Policy",
    "Pool",
    "Posterior",
    "PseudoMedian",
    "Ranking",
    "SignedRank",
    "StatisticsError",
    "Tests",
    "Verdict",
    "answer",
    "bayesian_signed_rank",
    "bootstrap_intervals",
    "check_outcomes",
    "cliques",
    "compare_pairs",
    "contrasts",
    "correlated_t",
    "critical_difference",
    "curve_disagreement",
    "dataset_means",
    "dataset_ranks",
    "detectable_effect",
    "duels",
    "equality_p",
    "friedman",
    "higher_is_better",
    "holm",
    "judge",
    "mean_ranks",
    "nemenyi",
    "nemenyi_groups",
    "nested_components",
    "normalised_scores",
    "observed_means",
    "planned_comparisons",
    "planned_pairs",
    "posterior_weights",
    "pseudo_median",
    "rank_sets",
    "signed_rank",
    "smallest_attainable_p",
    "spreads",
    "step_down_p",
    "summary",
    "tie_bands",
    "variance_components",
    "verdicts",
    "withhold",
]
