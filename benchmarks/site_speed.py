"""How long a large site takes to build, and a filter in its page to answer.

    python benchmarks/site_speed.py --seeds 7

Made-up outcomes of 33 datasets x 10 folds x 20 methods x seeds, all six metrics. The filters are set in headless
Chromium (found as `chromium` with `chromedriver`), each page loaded afresh; a time is from the change of a select,
two seconds after the page has loaded, to the end of the repaint that follows it. Processor time is that of all
processes of the browser in between: on a busy machine it says more than the wall time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tabgen.leaderboard.site import build_site
from tabgen.outcome import Outcome
from tabgen.plugins import PluginChoice, get_plugins
from tabgen.store import Store

METRICS = ("roc_auc", "log_loss", "accuracy", "balanced_accuracy", "brier", "calibration_error")
FLAGS = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
FILTERS = ("mixing=augment", "policy=worst", "metric=log_loss", "size=0", "suite=large")
TIMED = """
    const done = arguments[1], [name, value] = arguments[0].split("=");
    const select = document.getElementById("filters").elements[name];
    select.value = value;
    const began = performance.now();
    select.dispatchEvent(new Event("change", { bubbles: true }));
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
"""


def outcomes(datasets: int, folds: int, methods: int, seeds: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    names = ["zero-shot", "real"] + [f"made-up-{n // 2}@{('replace', 'augment')[n % 2]}" for n in range(methods - 2)]
    for dataset in range(datasets):
        for fold in range(folds):
            for seed in range(seeds):
                base = {metric: float(rng.uniform(0.5, 0.9)) for metric in METRICS}
                for number, name in enumerate(names):
                    generator, _, mixing = name.partition("@")
                    row: dict[str, Any] = {
                        "key": f"{dataset:04x}{fold:04x}{seed:04x}{number:04x}".ljust(64, "0"),
                        "suite": "large" if dataset % 2 else "small",
                        "dataset": f"table-{dataset:02d}",
                        "target": "y",
                        "sha256": f"{dataset:064x}",
                        "kinds": {},
                        "fold": fold,
                        "n_folds": folds,
                        "seed": seed,
                        "max_train_rows": 1000,
                        "max_test_rows": 1000,
                        "method": name,
                        "generator": generator if mixing else None,
                        "plugin": "made-up" if mixing else None,
                        "plugin_version": "1" if mixing else None,
                        "mixing": mixing or {"zero-shot": "none", "real": "real"}[generator],
                        "settings": {"epochs": 300} if mixing else {},
                        "ratio": 1.0,
                        "model": "tabgen-nano",
                        "checkpoint": "0" * 64,
                        "recipe": {"name": "nano"},
                        "limits": {"seconds": 600.0, "memory_mb": 6000.0},
                        "protocol": 1,
                        "status": "ok",
                        "reason": "",
                        "log_tail": "",
                        "n_train": 50 * (1 + dataset),
                        "seconds_fit": float(rng.uniform(1, 9)),
                        "seconds_total": 12.0,
                        "peak_memory_mb": 400.0,
                        "fidelity_detection_auc": float(rng.uniform(0.5, 1)) if mixing else None,
                        "curve_validation": np.round(rng.uniform(0.3, 0.6, 30), 6).tolist(),
                        "provenance": {"tabgen": "0.1.0", "commit": None, "dirty": None, "processor": "?", "cores": 2}
                        | dict.fromkeys(("python", "torch", "numpy", "pandas", "scikit-learn"), "1"),
                    }
                    for metric in METRICS:
                        for part in ("validation", "test"):
                            gain = 0.0 if name == "zero-shot" else float(rng.normal(0, 0.01))
                            row[f"zero_shot_{part}_{metric}"] = base[metric]
                            row[f"tuned_{part}_{metric}"] = base[metric] + gain
                    if rng.uniform() < 0.0005 and mixing:
                        row["status"], row["reason"] = "error", "ValueError: made up"
                    yield row


def processor_ms(process: psutil.Process) -> float:
    family = [process, *process.children(recursive=True)]
    return 1000 * sum(sum(member.cpu_times()[:2]) for member in family)


def filter_times(site: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS.split(), f"--user-data-dir={tempfile.mkdtemp()}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser = psutil.Process(driver.service.process.pid)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in FILTERS}
    try:
        for _ in range(rounds):
            for name in FILTERS:
                driver.get((site / "index.html").as_uri())
                time.sleep(2)
                before = processor_ms(browser)
                wall = driver.execute_async_script(TIMED, name)
                times[name].append((wall, processor_ms(browser) - before))
    finally:
        driver.quit()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=33)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Store(folder / "run", write=True) as store:
            store._db.execute("PRAGMA synchronous=OFF")
            for row in outcomes(options.datasets, options.folds, options.methods, options.seeds):
                store.add(Outcome.from_dict(row))
        began, used = time.perf_counter(), time.process_time()
        built = build_site([folder / "run"], folder / "site", get_plugins(PluginChoice(external=False)))
        wall, used = time.perf_counter() - began, time.process_time() - used
        size = (folder / "site" / "index.html").stat().st_size / 1e6
        print(f"{built.rows:,} outcomes, {built.pages} pages: {wall:.1f} s ({used:.1f} s of processor time),", end=" ")
        print(f"overview {size:.1f} MB; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for filter_name, times in filter_times(folder / "site", options.rounds).items():
            wall, used = np.median(times, axis=0)
            slowest = np.max(times, axis=0)
            print(f"filter {filter_name}: median {wall:.0f} ms (processor {used:.0f} ms),", end=" ")
            print(f"slowest {slowest[0]:.0f} ms ({slowest[1]:.0f} ms)", flush=True)


if __name__ == "__main__":
    main()
