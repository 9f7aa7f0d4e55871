"""The generators ``scm`` and ``causalmix``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tabgen import FitContext, Generator, GeneratorInfo, Limits

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np

    from tabgen import Table
    from tabgen_causal.discovery import Discovery
    from tabgen_causal.encoding import Nodes

TESTS = {"mixed": "tabgen-indicator", "regression": "tabgen-regression", "fisherz": "fisherz", "chisq": "chisq"}
SLOW_IMPORTS = ("tabgen_causal.discovery", "dowhy.gcm.ml")
ALGORITHMS = {"pc+fci": ("pc", "fci"), "pc": ("pc",), "fci": ("fci",)}


class SCM(Generator):
    """A structural causal model of the table: a discovered graph, a mechanism per column, fresh noise.

    The causal part of Bühler, Purucker, Hutter, *Causal Data Augmentation for Robust Fine-Tuning of Tabular
    Foundation Models* (CausalMixFT, arXiv 2601.04110). PC and FCI are run on the encoded rows and pooled into one
    matrix of edge probabilities. **Ours**, where the paper could not be read: weights of half-oriented edges,
    bootstrap resamples, the mixed-type test, edges above a threshold taken strongest first unless they close a
    cycle, undecided ones directed so that they make no colliders, edges between columns that are dependent in the
    rows alone (``connect_dependent``), and everything under "limits" below. Mechanisms are DoWhy's: roots keep their
    empirical distribution, numeric columns are additive noise models, discrete ones classifiers that are sampled.

    Limits: the searches see at most ``max_rows`` rows and ``max_columns`` columns (those that depend most on the
    target; each of the others gets the kept column that it depends on most as its only parent), levels beyond
    ``max_levels`` are merged for them, and they make ``max_tests`` tests of independence in all. Constant columns
    stay constant; columns that repeat another repeat it. If no search ends, every feature points to the target; what
    happened is in the outcome's notes. A search that runs out of its part of the tests is done again with smaller
    condition sets, as are those after it. Time has no say in the graph.

    Parameters
    ----------
    discovery : {"pc+fci", "pc", "fci"}
    test : {"mixed", "regression", "fisherz", "chisq"}
        Conditional independence. "mixed" and "regression": the two symmetric likelihood-ratio tests of
        :mod:`tabgen_causal.independence`, by indicators (fast) and by regressions (slow). Fisher's z takes all
        columns as numbers, chi-square all columns in quartiles.
    alpha : float
        Level of the tests.
    bootstraps : int
        Resamples of the rows, the first being the rows themselves.
    threshold : float
        Edges with a pooled probability up to this are left out.
    target : {"anywhere", "sink"}
        "sink": edges out of the target are turned around.
    connect_dependent : bool
        Columns that depend on each other in the rows and not in the graph get an edge (**ours**).
    connect_target : bool
        Features that the target does not lead to become its parents (**ours**): its mechanism finds out which of
        them count. Searches on a few hundred rows leave most of what tells the label without an edge to it.
    regressor : {"auto", "linear", "forest"}
        Models of the mechanisms; "auto" chooses for every column by rows that neither was fitted on.
    clip : bool
        Keep drawn numbers within the real range.
    max_conditions : int
        Size of condition sets.
    max_rows, max_columns, max_levels : int
        What the searches see at most.
    max_tests : int
        Tests of independence that all searches together may make.
    """

    info = GeneratorInfo(
        "scm",
        "structural causal model: PC + FCI, then DoWhy mechanisms",
        citation="Bühler, Purucker, Hutter 2026, CausalMixFT (arXiv 2601.04110)",
        licence="Apache-2.0 AND MIT",
        preload=SLOW_IMPORTS,
        limits=Limits(min_rows=4),
    )

    def __init__(
        self,
        discovery: str = "pc+fci",
        test: str = "mixed",
        alpha: float = 0.05,
        bootstraps: int = 5,
        threshold: float = 0.3,
        target: str = "anywhere",
        connect_dependent: bool = True,
        connect_target: bool = True,
        regressor: str = "auto",
        clip: bool = True,
        max_conditions: int = 3,
        max_rows: int = 1000,
        max_columns: int = 30,
        max_levels: int = 8,
        max_tests: int = 500_000,
    ) -> None:
        for name, value, known in (
            ("discovery", discovery, tuple(ALGORITHMS)),
            ("test", test, tuple(TESTS)),
            ("target", target, ("anywhere", "sink")),
            ("regressor", regressor, ("auto", "linear", "forest")),
        ):
            if value not in known:
                raise ValueError(f"{self.info.name}: {name} is {value!r}; one of {', '.join(known)} is due.")
        self.discovery = discovery
        self.test = test
        self.alpha = alpha
        self.bootstraps = bootstraps
        self.threshold = threshold
        self.target = target
        self.connect_dependent = connect_dependent
        self.connect_target = connect_target
        self.regressor = regressor
        self.clip = clip
        self.max_conditions = max_conditions
        self.max_rows = max_rows
        self.max_columns = max_columns
        self.max_levels = max_levels
        self.max_tests = max_tests

    def fit(self, table: Table, context: FitContext) -> None:
        import numpy as np

        from tabgen_causal.encoding import read_nodes
        from tabgen_causal.mechanisms import Mechanisms

        rng = np.random.default_rng(context.seed)
        self._schema = table.schema
        self._nodes = nodes = read_nodes(table)
        edges, notes = self._edges(nodes, rng)
        start = time.monotonic()
        self._edges_found = edges
        self._mechanisms = Mechanisms([(i, j) for i, j, _ in edges], nodes.kept, self.regressor)
        self._mechanisms.fit(nodes.values, nodes.discrete, context.seed)
        chosen = list(self._mechanisms.chosen.values())
        context.notes["graph"] = notes | {
            "edges": [[nodes.names[i], nodes.names[j], round(p, 3)] for i, j, p in edges[:200]],
            "n_edges": len(edges),
            "constant": len(nodes.constant),
            "copies": len(nodes.copies),
            "mechanisms": {kind: chosen.count(kind) for kind in sorted(set(chosen))},
            "mechanism_seconds": round(time.monotonic() - start, 3),
        }

    @property
    def graph(self) -> nx.DiGraph:
        """The graph that was fitted, over column names; edges carry their pooled ``probability``."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(self._nodes.names[i] for i in self._nodes.kept)
        names = self._nodes.names
        graph.add_weighted_edges_from(((names[i], names[j], p) for i, j, p in self._edges_found), weight="probability")
        return graph

    def sample(self, n_rows: int, seed: int) -> Table:
        import numpy as np

        from tabgen_causal.encoding import copy_column

        nodes = self._nodes
        drawn = self._mechanisms.draw(n_rows, seed) if n_rows else {node: np.array([]) for node in nodes.kept}
        columns = []
        for number, column in enumerate(self._schema.columns):
            real = nodes.values[:, number]
            if number in nodes.constant:
                values = np.full(n_rows, real[0])
            else:
                source = nodes.copies.get(number, number)
                values = drawn[source]
                if self.clip and not nodes.discrete[source]:
                    values = np.clip(values, nodes.values[:, source].min(), nodes.values[:, source].max())
                if source != number:
                    values = copy_column(nodes.values[:, source], real, values, column.is_discrete)
            columns.append(values)
        return self._schema.from_matrix(np.column_stack(columns), drawn[nodes.target].astype(int))

    def _edges(self, nodes: Nodes, rng: np.random.Generator) -> tuple[list[tuple[int, int, float]], dict[str, Any]]:
        """The edges of the graph over columns, and how they came about."""
        from tabgen_causal.discovery import acyclic, connect, discover
        from tabgen_causal.independence import pairwise_test

        features, target = nodes.kept[:-1], nodes.target
        everything = [(feature, target, 1.0) for feature in features]
        if not features:
            return [], {"fallback": "no feature varies"}
        data = self._for_search(nodes)
        searched = list(range(len(nodes.kept)))
        parents: dict[int, int] = {}
        if len(nodes.kept) > self.max_columns:
            searched, parents = self._most_dependent(data, nodes.discrete[nodes.kept])
        discrete = nodes.discrete[nodes.kept][searched]
        found = discover(
            data[:, searched],
            discrete,
            test=TESTS[self.test],
            alpha=self.alpha,
            bootstraps=self.bootstraps,
            max_conditions=self.max_conditions,
            algorithms=ALGORITHMS[self.discovery],
            max_rows=self.max_rows,
            max_tests=self.max_tests,
            rng=rng,
        )
        notes = self._notes(found, len(searched))
        if not found.runs:
            return everything, notes | {"fallback": "features -> target"}
        sink = len(searched) - 1 if self.target == "sink" else None  # the target is the last column
        dag = acyclic(found.probabilities, self.threshold, rng, sink)
        if self.connect_dependent:
            test = pairwise_test(data[: self.max_rows, searched], discrete)
            notes["connected"] = connect(dag, test, self.alpha, sink)
        positions = [nodes.kept[i] for i in searched]
        edges = [(positions[i], positions[j], p) for i, j, p in dag.edges]
        edges += [(nodes.kept[parent], nodes.kept[child], 0.0) for child, parent in parents.items()]
        if self.connect_target:
            if not any(target in (i, j) for i, j, _ in edges):
                notes["fallback"] = "isolated target: features -> target"
            more = _further_parents(edges, features, target)
            notes["further_parents"] = len(more)
            edges += more
        return edges, notes

    def _for_search(self, nodes: Nodes) -> np.ndarray[Any, Any]:
        import numpy as np

        from tabgen_causal.encoding import for_discovery

        values, discrete = nodes.values[:, nodes.kept], nodes.discrete[nodes.kept]
        data = for_discovery(values, discrete, self.max_levels)
        if self.test == "chisq":
            for i in np.flatnonzero(~discrete):
                data[:, i] = np.searchsorted(np.quantile(data[:, i], [0.25, 0.5, 0.75]), data[:, i])
        return data

    def _most_dependent(
        self, data: np.ndarray[Any, Any], discrete: np.ndarray[Any, Any]
    ) -> tuple[list[int], dict[int, int]]:
        """The columns that the searches see (the target last), and the parent of each of the others."""
        from tabgen_causal.independence import pairwise_test

        target, test = data.shape[1] - 1, pairwise_test(data[: self.max_rows], discrete)
        nearest = sorted(range(target), key=lambda i: test(i, target))[: self.max_columns - 1]
        searched = [*sorted(nearest), target]
        others = [i for i in range(target) if i not in set(nearest)]
        return searched, {i: min(searched, key=lambda j: test(i, j)) for i in others}

    def _notes(self, found: Discovery, columns: int) -> dict[str, Any]:
        return {
            "discovery": "+".join(name for name in ALGORITHMS[self.discovery] if name in found.runs) or None,
            "runs": found.runs,
            "failures": found.failures[:5],
            "rows": found.rows,
            "columns": columns,
            "max_conditions": found.max_conditions,
            "tests": found.tests,
            "discovery_seconds": round(found.seconds, 3),
            "fallback": None,
        }


def _further_parents(
    edges: list[tuple[int, int, float]], features: list[int], target: int
) -> list[tuple[int, int, float]]:
    """Edges to the target from all features that it does not lead to and that are no parents yet; no cycle closes."""
    import networkx as nx

    graph = nx.DiGraph((i, j) for i, j, _ in edges)
    graph.add_node(target)
    taken = nx.descendants(graph, target) | set(graph.predecessors(target))
    return [(feature, target, 0.0) for feature in features if feature not in taken]


class CausalMix(SCM):
    """The rows of :class:`SCM`, mixed with the real rows: CausalMixFT as a generator.

    Bühler, Purucker, Hutter, *Causal Data Augmentation for Robust Fine-Tuning of Tabular Foundation Models*
    (arXiv 2601.04110); unrelated to the variational autoencoder "CausalMix" (arXiv 2603.03587). It samples as
    ``scm`` does, with the same settings; the mixing (real and synthetic rows 1:1, **ours** for the ratio) is done
    by tabgen, so ``causalmix`` differs from ``scm`` by ``mixing="augment"`` alone.
    """

    info = GeneratorInfo(
        "causalmix",
        "rows of a structural causal model beside the real rows",
        citation="Bühler, Purucker, Hutter 2026, CausalMixFT (arXiv 2601.04110)",
        licence="Apache-2.0 AND MIT",
        mixing="augment",
        preload=SLOW_IMPORTS,
        limits=Limits(min_rows=4),
        same_rows_as="scm",
    )
