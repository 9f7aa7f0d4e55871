"""The Ray engine on a real cluster of several raylets: the same outcomes, each once, whatever dies."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from paths import importing
from test_engine import CHOICE, cells, limited, plugins, run  # noqa: F401 - fixtures among them

from tabgen.engines import EngineSettings
from tabgen.outcome import Cell

ray = pytest.importorskip("ray", reason="the Ray engine is tested where Ray is: pip install 'tabgen-bench[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs, so that all cells run elsewhere, and two nodes with one each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", importing(Path(__file__).parent)["PYTHONPATH"])
        small = {"object_store_memory": 80_000_000}
        soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 3}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon, **small}
        made = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            made.add_node(num_cpus=1, **small)
        ray.init(address=made.address, log_to_driver=False)
        yield made
        ray.shutdown()
        made.shutdown()


def node_at_work(cluster: Any, patience: float = 120) -> Any:
    """A node on which a cell is under way, or soon will be: its fork server has a child."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        for node in cluster.worker_nodes:
            raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
            for process in raylet.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "tabgen.engines.server" in process.cmdline() and process.children():
                        return node
        time.sleep(0.1)
    raise AssertionError("no cell is under way")


def test_a_node_killed_in_mid_run_costs_nothing_and_scores_are_those_of_the_local_engine(
    cluster: Any,
    cells: dict[str, Cell],  # noqa: F811
    tmp_path: Path,
) -> None:
    from tabgen.engines.ray import RayEngine

    names = ["zero-shot", "real", "bootstrap", "exits", "prints-megabytes", "changes-random-state"]
    slow = limited(cells["hangs"], seconds=15)  # under way on one of the nodes when that node dies
    chosen = [slow, *(cells[name] for name in names)]
    ended: list[tuple[str, dict[str, Any]]] = []
    for cell, result in RayEngine(EngineSettings(CHOICE, tmp_path / "logs")).run(chosen):
        if not ended:
            cluster.remove_node(node_at_work(cluster), allow_graceful=False)
        ended.append((cell.method, result.to_dict()))
    assert sorted(method for method, _ in ended) == sorted(["hangs", *names])
    by_method = dict(ended)
    statuses = {method: result["status"] for method, result in by_method.items()}
    assert statuses == {
        "hangs": "timeout",
        "zero-shot": "ok",
        "real": "ok",
        "bootstrap": "ok",
        "exits": "crashed",
        "prints-megabytes": "error",
        "changes-random-state": "ok",
    }
    assert "exit code 7" in by_method["exits"]["reason"]
    assert by_method["exits"]["attempts"] == 1  # its own doing
    assert max(result["attempts"] for result in by_method.values()) == 2  # what ran on the dead node ran again
    assert "the last words" in (tmp_path / "logs" / f"{cells['prints-megabytes'].key[:16]}.log").read_text()
    local = run([cells[name] for name in names], tmp_path / "local")
    for method, row in local.items():
        scores = {name: value for name, value in row.items() if name.startswith(("zero_shot", "tuned", "curve"))}
        assert scores == {name: by_method[method][name] for name in scores}
        assert len(scores) == (0 if row["status"] != "ok" else 24 if method == "zero-shot" else 27)


def test_a_cell_that_takes_its_worker_along_is_tried_again_and_then_recorded(
    cluster: Any,
    cells: dict[str, Cell],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tabgen.engines.ray import RayEngine

    monkeypatch.setattr("tabgen.engines.ray.ATTEMPTS", 2)
    order = [cells["kills-grandparent"], cells["zero-shot"]]
    results = {c.method: r.to_dict() for c, r in RayEngine(EngineSettings(CHOICE, tmp_path, workers=1)).run(order)}
    assert results["zero-shot"]["status"] == "ok"
    assert results["kills-grandparent"]["status"] == "crashed"
    assert results["kills-grandparent"]["attempts"] == 2
    assert "its Ray worker or node was lost 2 times" in results["kills-grandparent"]["reason"]
