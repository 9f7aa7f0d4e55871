"""The local engine: limits hold and faults stay in their cell, whatever a plugin does."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections import Counter, deque
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import psutil
import pytest
from paths import FIXTURE, SUPPORT

from tabgen.cache import CacheSettings
from tabgen.datasets import Dataset, Suite
from tabgen.engines import EngineSettings
from tabgen.engines.local import LOG_LIMIT, LocalEngine, Running, _enforce_limits, _finish, next_cell
from tabgen.engines.servers import Servers
from tabgen.errors import TabgenError
from tabgen.experiment import Experiment, Limits, parse_methods, plan
from tabgen.outcome import Cell
from tabgen.plugins import PluginChoice, Plugins, load_plugins

FAULTY = SUPPORT / "faulty_plugin.py"
CHOICE = PluginChoice((str(FAULTY),), external=False)


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins(CHOICE)


@pytest.fixture(scope="module")
def cells(plugins: Plugins, teaching: Dataset, two_steps: dict[str, Any]) -> dict[str, Cell]:
    """One cell for every fault, by method."""
    suite = Suite("test", "one table", "1", lambda: [teaching])
    methods = parse_methods(
        [
            "zero-shot",
            "real",
            "bootstrap",
            *(n for n in plugins.generators if n not in ("jitter", "independent", "bootstrap", "file")),
        ],
        plugins,
    )
    limits = Limits(60, 4000)
    experiment = Experiment(
        suite, methods, folds=2, model=str(FIXTURE), recipe=two_steps, limits=limits, fidelity=False
    )
    return {cell.method: cell for cell in plan(experiment, plugins) if cell.fold == 0}


def run(cells: list[Cell], folder: Path, workers: int = 2) -> dict[str, dict[str, Any]]:
    engine = LocalEngine(EngineSettings(CHOICE, folder, workers=workers))
    return {cell.method: result.to_dict() for cell, result in engine.run(cells)}


def limited(cell: Cell, seconds: float = 60.0, memory_mb: float = 4000.0) -> Cell:
    return replace(cell, limits={"seconds": seconds, "memory_mb": memory_mb})


@pytest.fixture(scope="module")
def results(cells: dict[str, Cell], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of every cell, all of them run side by side by one engine."""
    folder = tmp_path_factory.mktemp("engine")
    os.environ["FAULT_FOLDER"] = str(folder)
    special = {
        "hangs": limited(cells["hangs"], seconds=4),
        "sleeps-in-c": limited(cells["sleeps-in-c"], seconds=4),
        "eats-memory": limited(cells["eats-memory"], memory_mb=1500),
        "prints-without-end": limited(cells["prints-without-end"], seconds=6),
        "hides-memory-in-a-daemon": limited(cells["hides-memory-in-a-daemon"], memory_mb=1500),
        "stops-its-parent": limited(cells["stops-its-parent"], seconds=6),
    }
    chosen = {method: cell for method, cell in (cells | special).items() if method != "kills-grandparent"}
    return run(list(chosen.values()), folder) | {"folder": {"path": folder}}


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("zero-shot", "ok", ""),
        ("real", "ok", ""),
        ("bootstrap", "ok", ""),
        ("forks-children", "ok", ""),
        ("changes-random-state", "ok", ""),
        ("raises", "error", "RuntimeError: I always fail over two lines"),
        ("leaves", "error", "SystemExit: 3"),
        ("exits", "crashed", "exit code 7 before it had a result (in phase 'sample')"),
        ("segfaults", "crashed", "signal 11 (in phase 'sample')"),
        ("hangs", "timeout", "stopped after 4 s (in phase 'sample')"),
        ("sleeps-in-c", "timeout", "stopped after 4 s (in phase 'sample')"),
        ("prints-without-end", "timeout", "stopped after 6 s (in phase 'sample')"),
        ("eats-memory", "out_of_memory", "the limit is 1500 MB (in phase 'sample')"),
        ("not-a-number", "invalid_output", "has missing values; the real one has none"),
        ("infinite", "invalid_output", "holds infinity"),
        ("wrong-columns", "invalid_output", "wrong columns"),
        ("too-few-rows", "invalid_output", "rows;"),
        ("one-class", "invalid_output", "one class only"),
        ("unknown-class", "invalid_output", "'no such class'"),
        ("not-a-table", "invalid_output", "is a list"),
        ("prints-megabytes", "error", "after a lot of output"),
        ("peeks", "ok", ""),
        ("unsettles-torch", "ok", ""),
        ("spoils-weights", "ok", ""),
        ("patches-metrics", "ok", ""),
        ("leaves-a-daemon", "error", "a daemon is left behind"),
        ("hides-memory-in-a-daemon", "out_of_memory", "the limit is 1500 MB (in phase 'sample')"),
        ("forks-idle-children", "ok", ""),
        ("stops-its-parent", "timeout", "stopped after 6 s (in phase 'sample')"),
        ("closes-every-file", "crashed", "before it had a result (in phase 'sample')"),
        ("answers-twice", "ok", ""),
        ("notes-what-json-cannot-hold", "invalid_output", "the generator's notes hold what JSON cannot"),
        ("notes-a-megabyte", "ok", ""),
        ("raises-control-characters", "error", "A\ufffd[2J\ufffd]0;TITLE\ufffd [red]B[/foo] caf\ufffd"),
    ],
)
def test_every_fault_costs_its_own_cell_and_has_a_reason(
    results: dict[str, dict[str, Any]], method: str, status: str, reason: str
) -> None:
    assert results[method]["status"] == status, results[method]
    assert reason in results[method]["reason"]


def test_every_cell_ends_exactly_once(results: dict[str, dict[str, Any]], cells: dict[str, Cell]) -> None:
    assert set(results) == set(cells) - {"kills-grandparent"} | {"folder"}


def test_the_tail_of_the_log_is_kept(results: dict[str, dict[str, Any]]) -> None:
    tail = results["prints-megabytes"]["log_tail"]
    assert "the last words" in tail
    assert "RuntimeError: after a lot of output" in tail
    assert len(tail) <= 2000
    assert results["bootstrap"]["log_tail"] == ""


def test_a_log_keeps_its_last_megabyte(results: dict[str, dict[str, Any]], cells: dict[str, Cell]) -> None:
    folder = results["folder"]["path"]
    assert (folder / f"{cells['prints-megabytes'].key[:16]}.log").stat().st_size == LOG_LIMIT
    endless = folder / f"{cells['prints-without-end'].key[:16]}.log"
    assert not endless.exists() or endless.stat().st_size <= LOG_LIMIT  # gone, if it was emptied just before its end
    assert not (folder / f"{cells['bootstrap'].key[:16]}.log").exists()  # it said nothing


def test_a_cell_that_went_on_while_the_engine_was_stopped_took_no_less_than_its_phases(
    cells: dict[str, Cell], tmp_path: Path
) -> None:
    measured = {"seconds_fit": 50.0, "seconds_zero_shot": 9.0, "spared_seconds": 9.0}
    report = BytesIO(json.dumps({"result": {"status": "ok"} | measured}).encode())
    began_after_the_pause = time.monotonic() - 1
    state = Running(cells["bootstrap"], tmp_path / "log", None, began_after_the_pause, report, exit=0)
    found = _finish(state).measured
    assert (found["seconds_wall"], found["seconds_total"]) == (50.0, 59.0)


def test_a_log_that_grows_is_emptied_before_it_fills_the_disk(cells: dict[str, Cell], tmp_path: Path) -> None:
    log = tmp_path / "cell.log"
    log.write_bytes(b"x" * (11 * LOG_LIMIT))
    cell = limited(cells["bootstrap"], memory_mb=1e6)
    _enforce_limits(Running(cell, log, None, time.monotonic(), BytesIO(), evaluator=os.getpid()))
    assert log.stat().st_size == 0


def test_a_phase_has_a_limit_of_its_own(cells: dict[str, Cell], tmp_path: Path) -> None:
    limits = {"seconds": 60.0, "memory_mb": 4000.0, "phases": {"sample": 1.5, "finetune": 50.0}}
    chosen = [replace(cells[name], limits=limits) for name in ("sleeps-in-c", "bootstrap")]
    results = run(chosen, tmp_path)
    assert results["sleeps-in-c"]["status"] == "timeout"
    assert results["sleeps-in-c"]["reason"] == "stopped after 1.5 s, the limit of this phase (in phase 'sample')"
    assert results["sleeps-in-c"]["seconds_wall"] < 30
    assert results["bootstrap"]["status"] == "ok"


def test_every_cell_gets_a_gpu_of_its_own_before_cuda_is_touched(
    cells: dict[str, Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-abc")
    version = load_plugins(CHOICE).model_version("blind")
    chosen = [replace(cells[name], model="blind", model_plugin_version=version) for name in ("zero-shot", "real")]
    engine = LocalEngine(EngineSettings(CHOICE, tmp_path, gpus=2))
    assert engine.workers == 2
    reasons = sorted(result.reason for _, result in engine.run(chosen))
    assert reasons == [f"RuntimeError: asked for cuda, sees {gpu}, initialised: False" for gpu in ("5", "GPU-abc")]
    with pytest.raises(TabgenError, match="3 GPUs were asked for; CUDA_VISIBLE_DEVICES=5,GPU-abc names 2"):
        list(LocalEngine(EngineSettings(CHOICE, tmp_path, gpus=3)).run(chosen))


BROUGHT = """
from pathlib import Path
from tabgen import hookimpl
from tabgen.models import directory_model

EDIT = {edit}

@hookimpl
def tabgen_register_models(register):
    register(directory_model("brought", Path({folder!r}), "from a plugin"))
"""
ASKING = """
from tabgen import Generator, GeneratorInfo, hookimpl

class Asking(Generator):
    info = GeneratorInfo("asking", "asks for the model in its own process", accepts_missing=True)

    def fit(self, table, context):
        context.notes["columns"] = context.foundation_model.encoder(table).encode(table).shape[1]
        self.table = table

    def sample(self, n_rows, seed):
        return self.table.frame.sample(n_rows, replace=True, random_state=seed)

@hookimpl
def tabgen_register_generators(register):
    register(Asking)
"""


def test_a_model_of_a_plugin_is_the_planned_one_in_both_processes_or_an_error(
    teaching: Dataset, two_steps: dict[str, Any], tmp_path: Path
) -> None:
    model, generator = tmp_path / "brought.py", tmp_path / "asks.py"
    model.write_text(BROUGHT.format(edit=1, folder=str(FIXTURE)))
    generator.write_text(ASKING)
    choice = PluginChoice((str(model), str(generator)), external=False)
    plugins = load_plugins(choice)
    suite = Suite("test", "one table", "1", lambda: [teaching])
    methods = parse_methods(["asking"], plugins)
    cell = plan(Experiment(suite, methods, folds=2, model="brought", recipe=two_steps, fidelity=False), plugins)[0]

    def result() -> tuple[str, str]:
        ((_, found),) = LocalEngine(EngineSettings(choice, tmp_path / "run", workers=1)).run([cell])
        return found.status, found.reason

    (tmp_path / "run").mkdir()
    assert result() == ("ok", "")
    model.write_text(BROUGHT.format(edit=2, folder=str(FIXTURE)))
    status, reason = result()
    assert status == "error"
    assert f"'brought' is not the one that was planned: planned {cell.model_plugin_version} of its plugin" in reason


def test_scores_do_not_depend_on_the_cache(cells: dict[str, Cell], tmp_path: Path) -> None:
    chosen = [cells[name] for name in ("zero-shot", "real", "bootstrap", "changes-random-state")]
    cached = EngineSettings(CHOICE, tmp_path, workers=2, cache=CacheSettings(str(tmp_path / "cache")))
    runs = [run(chosen, tmp_path)]
    runs += [{cell.method: result.to_dict() for cell, result in LocalEngine(cached).run(chosen)} for _ in range(2)]
    assert [runs[2][name]["cached_synthetic"] for name in ("bootstrap", "changes-random-state")] == [True, True]
    assert all(result["cached_zero_shot"] for result in runs[2].values())
    for method in runs[0]:
        scores = [{k: v for k, v in r[method].items() if k.startswith(("tuned", "zero_shot", "curve"))} for r in runs]
        assert scores[0] == scores[1] == scores[2]


def test_cells_that_draw_from_one_fit_wait_for_each_other_while_others_can_run(cells: dict[str, Cell]) -> None:
    def cell(name: str, rows_of: str | None) -> Cell:
        return replace(cells["bootstrap"], method=name, generator=rows_of, rows_of=rows_of)

    waiting = deque([cell("causalmix", "scm"), cell("real", None), cell("smote", "smote")])
    running = [cell("scm", "scm")]
    settings = EngineSettings(CHOICE, Path(), cache=CacheSettings("cache"))
    order = [next_cell(waiting, running, settings, Counter()).method for _ in range(3)]
    assert order == ["real", "smote", "causalmix"]


def test_cells_of_one_fold_wait_for_the_first_of_them_to_make_the_learning_curve(cells: dict[str, Cell]) -> None:
    def cell(name: str, fold: int, arms: list[str]) -> Cell:
        return replace(cells["bootstrap"], method=name, generator=name, rows_of=name, fold=fold, arms=arms)

    both = ["context", "augmented"]
    waiting = deque(cell(name, fold, both) for fold in (0, 1) for name in ("a", "b", "c"))
    settings, handed = EngineSettings(CHOICE, Path(), cache=CacheSettings("cache")), Counter[Any]()

    def take(running: list[Cell]) -> Cell:
        return next_cell(waiting, running, settings, handed)

    first = take([])
    second = take([first])
    assert [(each.method, each.fold) for each in (first, second)] == [("a", 0), ("a", 1)]
    third = take([second])  # the first has ended, and left its curve
    fourth = take([second, third])
    assert [(each.method, each.fold) for each in (third, fourth)] == [("b", 0), ("c", 0)]
    fifth = take([second])  # nothing else is left: both make it
    assert (fifth.method, fifth.fold) == ("b", 1)
    waiting = deque(cell(name, 0, ["fine-tune"]) for name in ("a", "b"))
    tuned = take([])
    assert (tuned.method, take([tuned]).method) == ("a", "b"), "no curve is wanted"


@pytest.mark.parametrize("method", ["unsettles-torch", "spoils-weights", "patches-metrics", "peeks", "answers-twice"])
def test_what_a_generator_does_to_its_process_changes_no_score(results: dict[str, dict[str, Any]], method: str) -> None:
    """All of them draw the rows that a well-behaved one draws, and get its scores."""
    scores = {k: v for k, v in results["notes-a-megabyte"].items() if k.startswith(("zero_shot", "tuned", "curve"))}
    assert len(scores) > 24
    assert {name: results[method][name] for name in scores} == scores


def test_processes_that_a_cell_leaves_behind_are_killed(results: dict[str, dict[str, Any]]) -> None:
    children = [int(path.name) for path in results["folder"]["path"].iterdir() if path.name.isdigit()]
    assert len(children) == 4  # three in its group, and a daemon
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_changed_random_state_does_not_reach_other_cells(
    results: dict[str, dict[str, Any]], cells: dict[str, Cell], tmp_path: Path
) -> None:
    alone = run([cells["bootstrap"]], tmp_path)["bootstrap"]
    scores = [name for name in alone if name.startswith(("tuned", "zero_shot"))]
    assert len(scores) == 24
    assert all(alone[name] == results["bootstrap"][name] for name in scores)


def test_scores_do_not_depend_on_workers_or_order(cells: dict[str, Cell], tmp_path: Path) -> None:
    chosen = [cells[name] for name in ("zero-shot", "real", "bootstrap")]
    one, two = run(chosen, tmp_path, workers=1), run(chosen[::-1], tmp_path, workers=3)
    for method in one:
        assert {k: v for k, v in one[method].items() if k.startswith("tuned")} == {
            k: v for k, v in two[method].items() if k.startswith("tuned")
        }


def test_time_for_which_the_engine_was_stopped_counts_for_no_limit(
    cells: dict[str, Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-Z and, an hour later, fg: no cell is over its time or took so long, and no server is taken for silent."""
    hours = 0
    real = time.monotonic
    clock = SimpleNamespace(monotonic=lambda: real() + 3600 * hours)
    monkeypatch.setattr("tabgen.engines.local.time", clock)
    monkeypatch.setattr("tabgen.engines.servers.time", clock)
    engine = LocalEngine(EngineSettings(CHOICE, tmp_path, workers=1), stay=True)
    engine._servers = engine._start()
    selector = engine._servers._selector

    class Stopped:
        """A selector that takes an hour for its third wait."""

        waits = 0

        def select(self, seconds: float) -> Any:
            nonlocal hours
            self.waits += 1
            hours += self.waits == 3
            return selector.select(seconds)

        def __getattr__(self, name: str) -> Any:
            return getattr(selector, name)

    engine._servers._selector = Stopped()  # type: ignore[assignment]
    server = engine._servers.evaluators
    results = {cell.method: result.to_dict() for cell, result in engine.run([cells["real"], cells["bootstrap"]])}
    assert hours == 1
    assert {result["status"] for result in results.values()} == {"ok"}
    assert max(result["seconds_total"] for result in results.values()) < 1000
    assert engine._servers.evaluators is server
    engine.close()


@pytest.mark.usefixtures("cold_servers")
def test_when_the_fork_server_dies_its_cells_run_again(cells: dict[str, Cell], tmp_path: Path) -> None:
    engine = LocalEngine(EngineSettings(CHOICE, tmp_path, workers=1))
    order = [limited(cells["hangs"], seconds=8), cells["zero-shot"]]
    family: list[psutil.Process] = []

    def kill_the_server(cell: Cell) -> None:
        if cell.method == "hangs":
            server = next(p for p in psutil.Process().children() if "tabgen.engines.server" in " ".join(p.cmdline()))
            while not server.children():
                time.sleep(0.01)
            family.extend([server, *server.children()])
            server.kill()

    outcomes = {cell.method: result.status for cell, result in engine.run(order, kill_the_server)}
    assert outcomes == {"hangs": "timeout", "zero-shot": "ok"}  # what hung was started a second time
    assert len(family) >= 2
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_no_process_outlives_the_engine(cells: dict[str, Cell], tmp_path: Path) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    engine = LocalEngine(EngineSettings(CHOICE, tmp_path, workers=2))
    for _cell, _result in engine.run([cells["zero-shot"], limited(cells["hangs"], seconds=40), cells["real"]]):
        break
    engine_is_done = time.monotonic() + 10
    while {p.pid for p in psutil.Process().children(recursive=True)} - before:
        assert time.monotonic() < engine_is_done
        time.sleep(0.05)


def test_stopping_lets_running_cells_finish(cells: dict[str, Cell], tmp_path: Path) -> None:
    engine = LocalEngine(EngineSettings(CHOICE, tmp_path, workers=1))
    ran = []
    for cell, result in engine.run([cells["zero-shot"], cells["real"], cells["bootstrap"]]):
        ran.append((cell.method, result.status))
        engine.stop()
    assert ran == [("zero-shot", "ok"), ("real", "ok")]  # the second was under way already


def test_cells_die_with_their_parent(cells: dict[str, Cell], tmp_path: Path) -> None:
    """kill -9 of the main process takes the fork server and every cell with it."""
    import json
    import subprocess
    import sys

    (tmp_path / "cell.json").write_text(json.dumps(limited(cells["hangs"], seconds=500).to_dict()))
    program = (
        "import json, sys; from pathlib import Path; from tabgen.engines.local import LocalEngine;"
        "from tabgen.plugins import PluginChoice;"
        "from tabgen.engines import EngineSettings;"
        f"choice = PluginChoice(({str(FAULTY)!r},), external=False);"
        f"engine = LocalEngine(EngineSettings(choice, Path({str(tmp_path)!r}), workers=1));"
        "from tabgen.outcome import Cell;"
        f"cell = Cell.from_dict(json.loads(Path({str(tmp_path / 'cell.json')!r}).read_text()));"
        "[None for _ in engine.run([cell], lambda c: print('started', flush=True))]"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    deadline = time.monotonic() + 20
    # the server of evaluators, an evaluator, the server of the plugin's hosts, a guard and its host
    while len(family := psutil.Process(parent.pid).children(recursive=True)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    gone, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert len(gone) == 5


def test_a_server_of_hosts_that_died_is_put_away_when_another_takes_its_place() -> None:
    """Left in the selector its closed socket would be ready at every look, and wake the engine without end."""
    servers: Any = object.__new__(Servers)
    peers: list[int] = []  # as another process would hold them
    evaluators = Mock(ask=lambda message, files: peers.append(os.dup(files[0])))
    servers.evaluators, servers.hosts, servers._selector = evaluators, {}, selectors.DefaultSelector()
    first = servers.hosts_of("plugin", None, {})
    assert servers.hosts_of("plugin", None, {}) is first
    first.alive = False
    second = servers.hosts_of("plugin", None, {})
    assert second is not first
    assert [key.data for key in servers._selector.get_map().values()] == [second]
    assert first.control.fileno() == -1
    second.close()
    servers._selector.close()
    for peer in peers:
        os.close(peer)
