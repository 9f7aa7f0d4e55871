"""The site as eyes and hands meet it, in headless Chromium: every number of a filter held to Python's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from leaderboard_rows import EVIL, METHODS, fail, make_rows, store_rows

from tabgen.leaderboard.serve import make_server
from tabgen.leaderboard.site import build_site
from tabgen.plugins import Plugins
from tabgen.statistics import summary

webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed (the extra 'dev' has it)")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no Chromium with its driver is installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)

UNDER_500_ROWS = ["blood-storage", "glass-identification", "heart-cleveland", "penguin-sex", "teaching-assistants"]
UNDER_500_ROWS += [f"table-{number:03d}" for number in range(6, 14)]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """14 datasets, one of them a complete failure of one method, so that policies differ."""
    rows = make_rows((*METHODS, "bootstrap@augment"), datasets=14, folds=3)
    for row in rows:
        if row["method"] == "jitter" and row["dataset"] == "table-008":
            fail(row)
    return rows


@pytest.fixture(scope="module")
def site(rows: list[dict[str, Any]], built_in: Plugins, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build_site([store_rows(rows, folder / "run")], folder / "site", built_in)
    return folder / "site"


def choose(driver: Any, **filters: str) -> dict[str, Any]:
    """Set the filters as a user would (all others to their default), and return what the page computed."""
    script = """
        const form = document.getElementById("filters");
        form.reset();
        form.elements.policy.value = "complete";
        for (const [name, value] of Object.entries(arguments[0])) form.elements[name].value = value;
        form.dispatchEvent(new Event("change"));
        return tabgenBoard.show();
    """
    result: dict[str, Any] = driver.execute_script(script, filters)
    return result


@pytest.mark.parametrize(
    ("filters", "keep"),
    [
        ({}, lambda row: True),
        ({"metric": "log_loss"}, lambda row: True),
        ({"policy": "worst"}, lambda row: True),
        ({"policy": "baseline"}, lambda row: True),
        ({"mixing": "augment"}, lambda row: row["mixing"] != "replace"),
        ({"mixing": "replace", "policy": "baseline"}, lambda row: row["mixing"] != "augment"),
        ({"suite": "core"}, lambda row: not row["dataset"].startswith("table-")),
        ({"size": "0"}, lambda row: row["dataset"] in UNDER_500_ROWS),
    ],
    ids=lambda value: "-".join(value.values()) or "all" if isinstance(value, dict) else "",
)
def test_every_number_of_a_filter_is_python_s(
    driver: Any, site: Path, rows: list[dict[str, Any]], filters: dict[str, str], keep: Any
) -> None:
    driver.get((site / "index.html").as_uri())
    page = choose(driver, **filters)
    metric = filters.get("metric", "roc_auc")
    ranking = summary(pd.DataFrame([row for row in rows if keep(row)]), metric, filters.get("policy", "complete"))
    assert page["datasets"] == ranking.pool.datasets
    assert page["methods"] == ranking.pool.methods
    for mine, record in zip(page["records"], ranking.methods, strict=True):
        assert mine["method"] == record.method
        for name in ("mean_rank", "median_gain", "spread_iqr", "spread_sd", "optimism"):
            assert mine[name] == pytest.approx(getattr(record, name), abs=1e-7), (record.method, name)
        assert mine["seconds"] == pytest.approx(record.seconds_total, abs=1e-4)
        assert (mine["cells"], mine["cells_ok"]) == (record.cells, record.cells_ok)
        for name in ("mean_rank_interval", "median_gain_interval"):
            assert mine[name] == pytest.approx(list(getattr(record, name)), abs=1e-7), (record.method, name)
        wanted = None if record.wins is None else [record.wins, record.ties, record.losses]
        assert mine["against_real"] == wanted
    omnibus = ranking.tests.friedman
    assert omnibus is not None
    for name in ("chi2", "f", "f_p", "flip_p", "p"):
        assert page["test"][name] == pytest.approx(getattr(omnibus, name), rel=1e-7), name
    for mine, comparison in zip(page["comparisons"], ranking.tests.comparisons, strict=True):
        assert (mine["method"], mine["reference"]) == (comparison.method, comparison.reference)
        assert mine["p"] == pytest.approx(comparison.p, rel=1e-9)
        assert mine["p_adjusted"] == pytest.approx(comparison.p_adjusted, rel=1e-9)
        assert mine["needed"] == comparison.datasets_needed
    said = [sentence.partition(" They are practically equal")[0] for sentence in ranking.sentences()]
    assert [sentence for sentence, _ in page["sentences"]] == said


def test_the_page_as_built_shows_what_the_page_computes(driver: Any, site: Path) -> None:
    driver.get((site / "index.html").as_uri())
    read = "return [...document.querySelectorAll('#ranking tbody tr, #gains tr, #duels tr')].map(r => r.innerText)"
    before = driver.execute_script(read)
    verdicts = driver.execute_script("return document.getElementById('verdicts').innerText")
    choose(driver)
    assert driver.execute_script(read) == before
    assert driver.execute_script("return document.getElementById('verdicts').innerText") == verdicts


def test_a_filter_never_leaves_a_stale_verdict_or_figure(driver: Any, site: Path) -> None:
    driver.get((site / "index.html").as_uri())
    shown = "return [document.getElementById('verdicts').innerText, document.getElementById('figure-list').hidden]"
    before, hidden = driver.execute_script(shown)
    assert not hidden
    choose(driver, mixing="augment")
    after, hidden = driver.execute_script(shown)
    assert hidden and after != before
    assert "Recomputed in this page" in driver.find_element("id", "state").text
    driver.find_element("css selector", "#filters button[type=reset]").click()
    driver.implicitly_wait(2)
    driver.find_element("css selector", "#figure-list:not([hidden])")
    assert driver.execute_script(shown) == [before, False]


def test_a_column_sorts_by_mouse_and_by_keyboard(driver: Any, site: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    driver.get((site / "index.html").as_uri())
    header = driver.find_elements("css selector", "#ranking thead th")[3]
    column = "return [...document.querySelectorAll('#ranking tbody tr')].map(r => parseFloat(r.cells[3].innerText))"
    header.find_element("css selector", "button").click()
    ascending = driver.execute_script(column)
    assert header.get_attribute("aria-sort") == "ascending"
    assert ascending == sorted(ascending)
    header.find_element("css selector", "button").send_keys(Keys.ENTER)
    assert header.get_attribute("aria-sort") == "descending"
    assert driver.execute_script(column) == sorted(ascending, reverse=True)


def test_every_page_opens_without_a_complaint_and_nothing_leaves_the_site(driver: Any, site: Path) -> None:
    driver.get_log("performance"), driver.get_log("browser")
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 1 + 1 + 14 + 4  # overview, protocol, datasets, generators and baselines
    for page in pages:
        driver.get(page.as_uri())
    asked = [entry["message"] for entry in driver.get_log("performance") if 'requestWillBeSent"' in entry["message"]]
    addresses = [text.partition('"url":"')[2].partition('"')[0] for text in asked]
    assert len(addresses) > len(pages)
    assert [a for a in addresses if not a.startswith(site.as_uri())] == []
    assert driver.get_log("browser") == []


def test_it_works_from_a_server_and_a_generator_is_one_click_away(driver: Any, site: Path) -> None:
    from threading import Thread

    with make_server(site) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        driver.get(f"http://127.0.0.1:{server.server_address[1]}/")
        driver.find_element("link text", "jitter").click()
        assert driver.find_element("css selector", "h1").text == "jitter"
        assert "ValueError: no" in driver.find_element("css selector", "main").text
        assert [entry for entry in driver.get_log("browser") if "favicon" not in entry["message"]] == []
        server.shutdown()


def test_a_phone_scrolls_tables_not_the_page(driver: Any, site: Path) -> None:
    try:
        phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        for page in ("index.html", "generators/jitter.html", "datasets/table-008.html", "protocol.html"):
            driver.get((site / page).as_uri())
            assert driver.execute_script("return document.documentElement.scrollWidth") == 390, page
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_light_and_dark_both_can_be_read(driver: Any, site: Path) -> None:
    contrast = """
        const channel = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((v) => {
            const x = v / 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
        const light = (text) => { const [r, g, b] = channel(text); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const paper = light(getComputedStyle(document.body).backgroundColor);
        return ["body", "a[href]", ".soft", ".lead"].map((name) => {
            const ink = light(getComputedStyle(document.querySelector("main " + name) ?? document.body).color);
            return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); });
    """
    try:
        for scheme in ("light", "dark"):
            wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
            driver.get((site / "index.html").as_uri())
            ratios = driver.execute_script(contrast)
            assert min(ratios) >= 4.5, (scheme, ratios)  # WCAG AA
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_stranger_s_words_stay_words(driver: Any, built_in: Plugins, tmp_path: Path) -> None:
    rows = make_rows()
    for row in rows:
        if row["method"] == "jitter":
            row["method"] = f"jitter:kind={EVIL}"
            row["settings"] = {EVIL: EVIL}
        if row["dataset"] == "blood-storage":
            row |= {"dataset": EVIL, "sha256": "f" * 64}
        row["suite"] = EVIL
        if row["generator"] == "bootstrap":
            row["generator"] = EVIL
            fail(row, reason=EVIL)
            row["log_tail"] = EVIL
    site = tmp_path / "site"
    build_site([store_rows(rows, tmp_path / "run")], site, built_in)
    for page in sorted(site.rglob("*.html")):
        driver.get(page.as_uri())
        if page.name == "index.html":
            choose(driver, policy="worst")
            assert EVIL in driver.find_element("id", "ranking").text
        assert driver.execute_script("return window.hacked ?? null") is None, page
        assert driver.find_elements("css selector", "img:not([alt]), [onerror], iframe") == []
    assert [entry for entry in driver.get_log("browser") if "site/" in entry["message"]] == []
