from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import normalized_mutual_info_score
from tabgen_causal import SCM, CausalMix

from tabgen import FitContext, Table
from tabgen.datasets import core_datasets
from tabgen.references import Independent
from tabgen.sampling import draw_sample, fit_generator
from tabgen.testing import Check, conformance_checks, easy_table

sys.path.insert(0, str(Path(__file__).parent))
from simulate import hamming, random_dag, simulate

if TYPE_CHECKING:
    from tabgen_causal.independence import Budget

QUICK: dict[str, Any] = {"bootstraps": 2}


@pytest.mark.parametrize("check", conformance_checks(SCM, QUICK), ids=str)
def test_conformance(check: Check) -> None:
    check()


def fitted(table: Table, generator: SCM | None = None, **settings: Any) -> tuple[SCM, FitContext]:
    generator, context = generator or SCM(**settings), FitContext(seed=0)
    fit_generator(generator, table, context)
    return generator, context


def test_causalmix_is_scm_beside_the_real_rows() -> None:
    assert (SCM.info.mixing, CausalMix.info.mixing) == ("replace", "augment")
    table = easy_table(60)
    first, second = (fitted(table, kind(**QUICK))[0].sample(40, 1) for kind in (SCM, CausalMix))
    pd.testing.assert_frame_equal(first.frame, second.frame)


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "non-linear"])
def test_a_known_graph_is_recovered_in_part(linear: bool) -> None:
    """Over six simulated models, the pooled graph is far nearer to the truth than the empty graph (10 edges)."""
    from tabgen_causal.discovery import acyclic, discover
    from tabgen_causal.independence import INDICATOR

    distances = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth = random_dag(8, 10, rng)
        found = discover(
            simulate(truth, 500, linear, rng),
            np.zeros(8, dtype=bool),
            test=INDICATOR,
            alpha=0.05,
            bootstraps=2,
            max_conditions=3,
            algorithms=("pc", "fci"),
            max_rows=1000,
            max_tests=500_000,
            rng=rng,
        )
        assert found.runs == {"pc": 2, "fci": 2}
        graph = acyclic(found.probabilities, 0.3, rng).parents
        skeleton, real = graph | graph.T, truth | truth.T
        assert (skeleton & real).sum() >= 0.5 * real.sum()
        distances.append(hamming(graph, truth))
    assert np.mean(distances) < (6 if linear else 9)


def test_sampled_rows_keep_pairwise_dependence() -> None:
    """Error of the pairwise mutual informations: clearly smaller than that of independent columns."""
    table = next(d for d in core_datasets() if d.name == "penguin-sex").load()

    def dependence(frame: pd.DataFrame) -> np.ndarray:
        codes = [
            frame[c.name].cat.codes
            if c.is_discrete
            else np.searchsorted(np.quantile(table.frame[c.name].dropna(), [0.2, 0.4, 0.6, 0.8]), frame[c.name])
            for c in table.schema.columns
        ]
        codes.append(frame[table.schema.target].cat.codes)
        return np.array([[normalized_mutual_info_score(a, b) for b in codes] for a in codes])

    real = dependence(table.frame)
    error = {}
    for generator in (SCM(), Independent()):
        fit_generator(generator, table, FitContext(seed=0))
        sample = draw_sample(generator, table, len(table), 1)
        error[generator.info.name] = np.abs(dependence(sample.frame) - real).mean()
    assert error["scm"] < 0.6 * error["independent"]


def test_the_notes_say_what_was_done() -> None:
    generator, context = fitted(easy_table(60), **QUICK)
    notes = context.notes["graph"]
    assert notes["runs"] == {"pc": 2, "fci": 2}
    assert notes["discovery"] == "pc+fci"
    assert notes["fallback"] is None
    assert {tuple(edge[:2]) for edge in notes["edges"]} == set(generator.graph.edges)
    assert notes["discovery_seconds"] > 0


def test_the_clock_has_no_say_in_the_graph() -> None:
    """A fit that takes too long is ended from outside; it does not end its searches early, which gives other rows."""
    late, early = SCM(**QUICK), SCM(**QUICK)
    fit_generator(late, easy_table(60), FitContext(seed=0, deadline=0.0))
    fit_generator(early, easy_table(60), FitContext(seed=0))
    assert list(late.graph.edges(data=True)) == list(early.graph.edges(data=True))


def test_the_graph_is_the_same_whatever_the_hashes_of_texts() -> None:
    """FCI goes through sets of neighbours, which causal-learn keeps by their names."""
    script = """
import numpy as np
from simulate import random_dag, simulate
from tabgen_causal.discovery import discover
from tabgen_causal.independence import INDICATOR
for seed in range(2):
    rng = np.random.default_rng(seed)
    data = simulate(random_dag(12, 20, rng), 300, True, rng)
    found = discover(data, np.zeros(12, dtype=bool), test=INDICATOR, alpha=0.05, bootstraps=1, max_conditions=3,
                     algorithms=("fci",), max_rows=1000, max_tests=500_000, rng=rng)
    print(found.tests, found.probabilities.tolist())
"""
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(answers) == 1


def test_the_budget_is_counted_in_tests_and_gives_the_same_graph_at_any_speed() -> None:
    table = easy_table(60)
    (_, short), (_, again) = (fitted(table, max_tests=60) for _ in range(2))
    assert short.notes["graph"]["edges"] == again.notes["graph"]["edges"]
    assert short.notes["graph"]["tests"] <= 60
    assert any("out of tests" in reason for reason in short.notes["graph"]["failures"])
    assert sum(short.notes["graph"]["runs"].values()) < 10
    _, none = fitted(table, max_tests=0)
    assert none.notes["graph"]["fallback"] == "features -> target"


def test_the_graph_does_not_depend_on_the_order_of_the_columns() -> None:
    """PC's colliders are decided by p-value; first come, first kept is what causal-learn does by default."""
    from tabgen_causal.discovery import STRONGER_COLLIDERS, edge_weights
    from tabgen_causal.independence import INDICATOR, Budget

    assert STRONGER_COLLIDERS == 4
    for seed in range(4):
        rng = np.random.default_rng(seed)
        data, order = simulate(random_dag(8, 10, rng), 500, True, rng), rng.permutation(8)
        graphs = []
        for columns in (np.arange(8), order):
            graph = search_pc(data[:, columns], INDICATOR, Budget())
            back = np.argsort(columns)
            graphs.append(edge_weights(graph)[np.ix_(back, back)])
        assert np.array_equal(graphs[0], graphs[1])


def search_pc(data: np.ndarray, test: str, budget: Budget) -> np.ndarray:
    from tabgen_causal.discovery import _search

    return _search("pc", data, np.zeros(data.shape[1], dtype=bool), test, 0.05, 3, budget, {})


def test_the_target_can_be_made_a_sink() -> None:
    generator, _ = fitted(easy_table(90), target="sink", **QUICK)
    assert generator.graph.out_degree("species") == 0
    assert generator.graph.in_degree("species") > 0


@pytest.mark.parametrize("evidence", [(0.15, 0.1), (0.2, 0.0), (0.0, 0.35), (0.5, 0.5)])
def test_a_sink_has_no_effects_however_little_evidence_there_is(evidence: tuple[float, float]) -> None:
    """Below a difference of 0.2 a direction is undecided, and such an edge may go either way: not out of a sink."""
    from tabgen_causal.discovery import acyclic

    weights = np.zeros((3, 3))
    weights[2, 0], weights[0, 2] = evidence
    weights[2, 1] = 0.15
    for seed in range(10):
        dag = acyclic(weights, 0.1, np.random.default_rng(seed), sink=2)
        assert {(i, j) for i, j, _ in dag.edges} == {(0, 2), (1, 2)}


def test_features_that_the_target_does_not_lead_to_are_its_parents() -> None:
    for target in ("anywhere", "sink"):
        generator, context = fitted(easy_table(120), target=target, **QUICK)
        graph = generator.graph
        effects = nx.descendants(graph, "species")
        assert set(graph.predecessors("species")) == set(graph) - {"species"} - effects
        assert nx.is_directed_acyclic_graph(graph)
        assert (target == "anywhere") or not effects
        assert context.notes["graph"]["further_parents"] >= 0
    _, context = fitted(easy_table(120), connect_target=False, **QUICK)
    assert "further_parents" not in context.notes["graph"]


def test_effects_and_parents_of_the_target_get_no_second_edge() -> None:
    """2 -> target -> 0 -> 1, and 3 alone: only 3 is new, since 0 and 1 would close a cycle."""
    from tabgen_causal.generators import _further_parents

    edges = [(2, 4, 0.9), (4, 0, 1.0), (0, 1, 1.0)]
    assert _further_parents(edges, [0, 1, 2, 3], 4) == [(3, 4, 0.0)]
    assert _further_parents([], [0, 1], 4) == [(0, 4, 0.0), (1, 4, 0.0)]


def test_the_label_keeps_what_many_weak_features_say() -> None:
    """Twelve features that each tell a little: searches join few of them to the label; its mechanism takes all."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 12))
    label = np.where(x.sum(axis=1) + 2 * rng.standard_normal(600) > 0, "yes", "no")
    whole = Table.from_frame(pd.DataFrame(x).assign(label=label), "label")
    table, names = whole.take(np.arange(200)), whole.schema.names

    def score(train: Table) -> float:
        model = LogisticRegression(max_iter=500).fit(train.frame[names], train.labels)
        return float(roc_auc_score(whole.labels[200:], model.predict_proba(whole.frame[names].iloc[200:])[:, 1]))

    scores = [
        fmean(
            score(draw_sample(fitted(table, connect_target=connect, **QUICK)[0], table, 200, seed)) for seed in (1, 2)
        )
        for connect in (True, False)
    ]
    assert scores[0] > max(scores[1] + 0.03, score(table) - 0.1)


@pytest.mark.parametrize("kind", ["linear", "forest"])
def test_the_noise_of_a_number_is_that_of_rows_not_fitted_on(kind: str) -> None:
    """y is x plus noise of sd 1: what is drawn must have it, although the model has seen the rows."""
    from tabgen_causal.mechanisms import NumericMechanism, quietly_seeded

    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 12))  # twelve causes, one of which counts
    y = x[:, 0] + rng.standard_normal(150)
    mechanism = NumericMechanism(kind)
    with quietly_seeded(0):
        mechanism.fit(x, y)
        noise = mechanism.draw_noise_samples(5000).ravel()
    assert mechanism.kind == kind
    new = rng.standard_normal((2000, 12))
    held_out = (new[:, 0] + rng.standard_normal(2000)) - mechanism.prediction_model.predict(new).ravel()
    assert noise.std() == pytest.approx(held_out.std(), rel=0.15)
    fitted_noise = (y - mechanism.prediction_model.predict(x).ravel()).std()
    assert noise.std() > 1.05 * fitted_noise  # what DoWhy would draw from


@pytest.mark.parametrize("kind", ["linear", "forest"])
def test_the_entropy_of_a_drawn_level_is_the_log_loss_on_new_rows(kind: str) -> None:
    """The bar is 15 %: a classifier as certain of new rows as of those that it was fitted on draws too clean labels."""
    from tabgen_causal.mechanisms import DiscreteMechanism, quietly_seeded

    rng = np.random.default_rng(0)

    def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.standard_normal((n, 15))
        return x, np.where(x[:, 0] + x[:, 1] + rng.logistic(size=n) > 0, "l1", "l0")

    mechanism = DiscreteMechanism(kind)
    with quietly_seeded(0):
        mechanism.fit(*rows(200))
    x, y = rows(3000)
    chances = mechanism.estimate_probabilities(x)
    entropy = -(chances * np.log(chances)).sum(axis=1).mean()
    log_loss = -np.log(chances[np.arange(3000), (y == "l1").astype(int)]).mean()
    assert entropy == pytest.approx(log_loss, rel=0.15)


def test_auto_takes_what_predicts_rows_better_that_it_was_not_fitted_on() -> None:
    from tabgen_causal.mechanisms import DiscreteMechanism, NumericMechanism, quietly_seeded

    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (200, 2))
    straight, bent = x.sum(axis=1), np.abs(x[:, 0])
    for signal, kind in ((straight, "linear"), (bent, "forest")):
        number, level = NumericMechanism("auto"), DiscreteMechanism("auto")
        with quietly_seeded(0):
            number.fit(x, signal + 0.1 * rng.standard_normal(200))
            level.fit(x, np.where(signal > np.median(signal), "l1", "l0"))
        assert (number.kind, level.kind) == (kind, kind)


def test_temperature_one_leaves_probabilities_and_a_high_one_evens_them() -> None:
    from tabgen_causal.mechanisms import SMALLEST_CHANCE, tempered

    chances = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    assert np.allclose(tempered(chances, 1.0)[0], chances[0])
    assert tempered(chances, 1.0)[1, 1] == pytest.approx(SMALLEST_CHANCE, rel=0.01)
    assert np.ptp(tempered(chances, 8.0), axis=1).max() < np.ptp(chances, axis=1).min()
    assert np.allclose(tempered(chances, 8.0).sum(axis=1), 1)


def test_constant_and_repeated_columns_are_put_back() -> None:
    table = easy_table(60)
    frame = table.frame.assign(
        one=7.0, twice=3 - 2 * table.frame["length"], hue=table.frame["colour"].astype(str).str.upper().to_numpy()
    )
    table = Table.from_frame(frame, "species")
    sample = draw_sample(fitted(table, **QUICK)[0], table, 80, 1)
    assert (sample.frame["one"] == 7.0).all()
    assert np.allclose(sample.frame["twice"], 3 - 2 * sample.frame["length"])
    assert (sample.frame["hue"].astype(str) == sample.frame["colour"].astype(str).str.upper()).all()


@pytest.mark.parametrize("test", ["regression", "fisherz", "chisq"])
def test_the_other_independence_tests_run(test: str) -> None:
    _, context = fitted(easy_table(60), test=test, bootstraps=1)
    assert context.notes["graph"]["runs"] == {"pc": 1, "fci": 1}


@pytest.mark.parametrize("name", ["IndicatorTest", "RegressionTest"])
def test_p_values_are_uniform_under_independence_and_small_under_dependence(name: str) -> None:
    from tabgen_causal import independence

    rng = np.random.default_rng(0)
    p_values: dict[str, list[float]] = {"independent": [], "given": [], "dependent": []}
    for _ in range(150):
        z = rng.standard_normal(200)
        number = z + rng.standard_normal(200)
        level = np.searchsorted([-0.5, 0.5], z + rng.logistic(size=200)).astype(float)
        other = rng.integers(0, 2, 200).astype(float)
        data = np.column_stack([z, number, level, other])
        test = getattr(independence, name)(
            data,
            discrete=np.array([False, False, True, True]),
            budget=independence.Budget(),
            max_conditions=3,
            memory={},
        )
        p_values["independent"].append(test(1, 3))
        p_values["given"].append(test(1, 2, [0]))
        p_values["dependent"].append(test(1, 2))
    for case in ("independent", "given"):
        assert 0.0 <= np.mean(np.array(p_values[case]) < 0.05) < 0.11
    assert np.mean(np.array(p_values["dependent"]) < 0.05) > 0.9
    if name == "IndicatorTest":
        assert stats.kstest(p_values["independent"], "uniform").pvalue > 0.01


def test_log_likelihood_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from tabgen_causal.independence import multinomial_log_likelihood

    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    y = np.argmax(x @ rng.standard_normal((3, 4)) + rng.gumbel(size=(300, 4)), axis=1)
    expected = -log_loss(y, LogisticRegression(C=1e4, max_iter=2000).fit(x, y).predict_proba(x), normalize=False)
    assert multinomial_log_likelihood(x, y) == pytest.approx(expected, abs=0.05)


def test_edge_marks_become_weights() -> None:
    from tabgen_causal.discovery import acyclic, edge_weights

    graph = np.zeros((4, 4))
    graph[0, 1], graph[1, 0] = -1, 1  # 0 -> 1
    graph[1, 2], graph[2, 1] = 2, 1  # 1 o-> 2
    graph[2, 3], graph[3, 2] = -1, -1  # 2 - 3
    weights = edge_weights(graph)
    assert weights[0, 1] == 1.0
    assert weights[1, 2] == 0.5
    assert weights[2, 3] == weights[3, 2] == 0.5
    assert weights.sum() == 2.5
    weights[2, 0] = 0.4  # would close 0 -> 1 -> 2 -> 0
    edges = {(i, j) for i, j, _ in acyclic(weights, 0.3, np.random.default_rng(0)).edges}
    assert (2, 0) not in edges
    assert {(0, 1), (1, 2)} <= edges
    assert len(edges & {(2, 3), (3, 2)}) == 1


def test_undecided_edges_make_no_new_colliders() -> None:
    """0 - 1 - 2 - 3, a little more evidence for 0 -> 1 <- 2 -> 3: too little to make 0 and 2 independent."""
    from tabgen_causal.discovery import acyclic

    weights = np.zeros((4, 4))
    for i, j in ((0, 1), (2, 1), (2, 3)):
        weights[i, j], weights[j, i] = 0.5, 0.4
    found = set()
    for seed in range(20):
        edges = frozenset((i, j) for i, j, _ in acyclic(weights, 0.3, np.random.default_rng(seed)).edges)
        effects = [j for _, j in edges]
        assert len(edges) == len(set(effects)) == 3
        found.add(edges)
    assert len(found) > 1
    weights[0, 2] = weights[2, 0] = 0.5  # 0, 1 and 2 all joined: two causes of one may now be
    assert len(acyclic(weights, 0.3, np.random.default_rng(0)).edges) == 4


def test_columns_that_depend_on_each_other_are_connected() -> None:
    """x and its two noisy copies, and a column of noise: the copies get a path, the noise none, the sink no effect."""
    from tabgen_causal.discovery import Dag, connect
    from tabgen_causal.independence import pairwise_test

    x, *noise = np.random.default_rng(0).standard_normal((4, 200))
    data = np.column_stack([x, x + 0.1 * noise[0], x + 0.2 * noise[1], noise[2]])
    test = pairwise_test(data, np.zeros(4, dtype=bool))
    for sink in (None, 0, 1, 2):
        dag = Dag(np.zeros((4, 4), dtype=bool))
        assert connect(dag, test, 0.05, sink) == len(dag.edges) >= 2
        assert all(dag.dependent(i, j) for i in range(3) for j in range(3))
        assert not any(dag.dependent(i, 3) for i in range(3))
        assert sink not in [cause for cause, _, _ in dag.edges]
        assert connect(dag, test, 0.05, sink) == 0


def test_connecting_can_be_turned_off() -> None:
    """With this threshold hardly an edge is left, so that all dependence is up to the connecting."""
    for connected in (True, False):
        generator, context = fitted(
            easy_table(120), threshold=1.0, bootstraps=1, connect_dependent=connected, connect_target=False
        )
        assert (context.notes["graph"].get("connected", 0) > 0) == connected
        assert (generator.graph.number_of_edges() > 0) == connected


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="anywhere, sink"):
        SCM(target="root")
