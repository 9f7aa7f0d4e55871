"""report.html: everything in it, nothing fetched, nothing a name could inject."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from leaderboard_rows import PROVENANCE, made_row

from tabgen.leaderboard.report import render, setting_of
from tabgen.results import closeness_of, rank_pools
from tabgen.statistics import summary

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


def outcomes(methods: tuple[str, ...] = ("zero-shot", "real", "ctgan", "scm"), datasets: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for number in range(datasets):
        base = rng.uniform(0.7, 0.9)
        for fold in range(2):
            for shift, method in enumerate(methods):
                gain = 0.0 if method == "zero-shot" else rng.normal(0.004 * (shift - 1), 0.01)
                drawn = method not in ("zero-shot", "real")
                mixing = "replace" if drawn else "none" if method == "zero-shot" else "real"
                rows.append(
                    made_row()
                    | {
                        "key": f"{len(rows):064d}",
                        "generator": method if drawn else None,
                        "rows_of": method if drawn else None,
                        "mixing": mixing,
                        "dataset": f"table-{number}",
                        "fold": fold,
                        "seed": 0,
                        "method": method,
                        "status": "ok",
                        "reason": "",
                        "zero_shot_test_roc_auc": base,
                        "zero_shot_validation_roc_auc": base,
                        "tuned_test_roc_auc": base + gain,
                        "tuned_validation_roc_auc": base + gain + 0.003,
                        "seconds_fit": 1.0,
                        "seconds_total": 5.0 + shift,
                        "peak_memory_mb": 400.0,
                        "suite": "quick",
                        "model": "tabgen-nano",
                        "checkpoint": "0" * 64,
                        "recipe": {"name": "nano"},
                        "n_folds": 2,
                        "max_train_rows": 1000,
                        "provenance": PROVENANCE,
                    }
                )
    return pd.DataFrame(rows)


def page(rows: pd.DataFrame, title: str = "demo") -> str:
    return render(rows, rank_pools(rows), title)


class Structure(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_it_holds_the_verdicts_every_method_every_dataset_and_six_figures() -> None:
    rows = outcomes()
    text = page(rows)
    for name in [*rows["method"].unique(), *rows["dataset"].unique()]:
        assert f"<td>{name}</td>" in text or f"<th>{name}</th>" in text
    assert len([1 for tag, _ in Structure(text).tags if tag == "figure"]) == 6
    assert len(re.findall(r"<svg ", text)) == 6
    assert "What is missing" not in text
    first = summary(rows).sentences()[0]
    assert first.split("(")[0].strip() in text.replace("&#39;", "'")


def test_it_fetches_nothing() -> None:
    fetched = [
        value
        for tag, attributes in Structure(page(outcomes())).tags
        for name, value in attributes.items()
        if (name in ("src", "srcset", "data", "action") or (name == "href" and tag == "link")) and value
    ]
    assert fetched == []
    assert "@import" not in page(outcomes())
    assert "default-src 'none'" in page(outcomes())


def test_failures_are_listed_with_their_reason_and_what_they_cost() -> None:
    rows = outcomes()
    broken = (rows["method"] == "ctgan") & (rows["dataset"] == "table-3")
    rows.loc[broken, ["status", "reason"]] = ["timeout", "stopped after 600 s (in phase 'fit')"]
    rows.loc[broken, ["tuned_test_roc_auc", "tuned_validation_roc_auc"]] = np.nan
    text = page(rows)
    assert "What is missing" in text
    assert text.count("stopped after 600 s") == 2
    assert "because not every method has every fold: table-3" in text


def test_methods_whose_rows_teach_nothing_are_marked() -> None:
    rows = outcomes(("zero-shot", "real", "ctgan", "independent"))
    drawn = rows["generator"].notna()
    rows["adequacy_real"] = np.where(drawn, 0.8, np.nan)
    rows["adequacy_untrained"] = np.where(drawn, 0.0, np.nan)
    assert "untrained" not in page(rows)
    flagged = rows["dataset"].isin(["table-1", "table-2"]) & drawn
    rows.loc[flagged, "adequacy_untrained"] = 1.0
    rows.loc[rows["dataset"] == "table-7", "adequacy_real"] = 0.6  # real rows that teach little: nothing is said
    text = page(rows).replace("&#39;", "'")
    assert "'ctgan' is untrained in 4 of 14 cells (table-1, table-2): a forest learns next to nothing" in text
    assert "'independent' is untrained in 4 of 14 cells, as a control should be" in text
    assert text.count("(untrained)</span>") == 2
    rows.loc[drawn & ((rows["dataset"] != "table-1") | (rows["fold"] > 0)), "adequacy_untrained"] = 0.0
    text = page(rows).replace("&#39;", "'")
    assert "'ctgan' is untrained in 1 of 14 cells (table-1)" in text
    assert "teach it well. So few can be chance." in text
    assert "(untrained)</span>" not in text


def test_old_and_new_code_under_one_name_are_as_close_as_each_is() -> None:
    old = outcomes().assign(fidelity_column_shapes=0.5)
    new = old[old["method"] == "scm"].assign(fidelity_column_shapes=0.9, plugin_version="sha256:abc")
    both = pd.concat([old, new.assign(key=[f"{n:064x}" for n in range(10**6, 10**6 + len(new))])], ignore_index=True)
    found = closeness_of(rank_pools(both))["column shapes"]
    told = sorted(found[name] for name in found.index if name.startswith("scm ("))
    assert told == [0.5, 0.9]
    page = render(both, rank_pools(both), "run")
    close = page.split("How close the synthetic rows are")[1].split("</table>")[0]
    assert "<td>scm (sha256:abc)</td>" in close


def test_it_says_which_code_of_a_model_s_plugin_was_run() -> None:
    rows = outcomes().assign(model="brought", model_plugin_version="0.1.0+abc")
    assert setting_of(rows)["model"] == "brought (0.1.0+abc)"
    assert setting_of(outcomes())["model"] == "tabgen-nano"


@pytest.mark.parametrize("column", ["method", "dataset", "reason"])
def test_names_and_reasons_cannot_inject(column: str) -> None:
    rows = outcomes()
    target = (rows["method"] == "ctgan") if column != "dataset" else (rows["dataset"] == "table-1")
    rows.loc[target, column] = EVIL
    if column == "reason":
        rows.loc[target, "status"] = "error"
        rows.loc[target, ["tuned_test_roc_auc", "tuned_validation_roc_auc"]] = np.nan
    text = page(rows, title=EVIL)
    tags = Structure(text).tags
    assert not [1 for tag, _ in tags if tag in ("script", "img", "iframe", "object")]
    assert not [1 for _, attributes in tags for name in attributes if name.startswith("on")]
    assert "&lt;script&gt;" in text


def test_it_is_the_same_text_for_the_same_outcomes() -> None:
    assert page(outcomes()) == page(outcomes())


def test_a_browser_opens_it_without_a_complaint(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    (tmp_path / "report.html").write_text(page(outcomes()), encoding="utf-8")
    quiet = [
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            *quiet,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--dump-dom",
            (tmp_path / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "<h2>Ranking</h2>" in done.stdout
    assert "CONSOLE" not in done.stderr
