"""Statistics of a comparison: normalised scores, ranks, tests, intervals and the sentences they allow.

Pure functions on a DataFrame with one row per cell; nothing here reads a file or knows a model. `summary`
does all of it; the parts are public so that they can be checked one by one. `docs/statistics.md` explains
every number.
"""

from tabgen.metrics import higher_is_better
from tabgen.statistics.bayes import Posterior, bayesian_signed_rank, posterior_weights
from tabgen.statistics.one_table import Answer, Candidate, CorrelatedT, answer, correlated_t
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
    datasets_needed,
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
    "CorrelatedT",
    "DatasetMeans",
    "Duels",
    "FriedmanTest",
    "Incomplete",
    "Interval",
    "MethodRecord",
    "PairRecord",
    "Policy",
    "Pool",
    "Posterior",
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
    "correlated_t",
    "critical_difference",
    "curve_disagreement",
    "dataset_means",
    "dataset_ranks",
    "datasets_needed",
    "duels",
    "friedman",
    "higher_is_better",
    "holm",
    "judge",
    "mean_ranks",
    "nemenyi",
    "nemenyi_groups",
    "normalised_scores",
    "observed_means",
    "planned_comparisons",
    "planned_pairs",
    "posterior_weights",
    "signed_rank",
    "smallest_attainable_p",
    "spreads",
    "summary",
    "verdicts",
]
