"""The site as eyes and hands meet it, in headless Chromium: every number of a filter held to Python's."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from leaderboard_rows import EVIL, METHODS, fail, make_rows, store_rows

from tabgen.leaderboard.serve import make_server
from tabgen.leaderboard.site import build_site
from tabgen.plugins import Plugins
from tabgen.statistics import Policy, summary

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
    policy = cast("Policy", filters.get("policy", "complete"))
    ranking = summary(pd.DataFrame([row for row in rows if keep(row)]), metric, policy)
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
    said = [str(verdict).partition(" They are practically equal")[0] for verdict in ranking.verdicts]
    assert [sentence for sentence, _ in page["sentences"]] == said


def test_the_page_as_built_shows_what_the_page_computes(driver: Any, site: Path) -> None:
    driver.get((site / "index.html").as_uri())
    parts = "#ranking tbody tr, #gains tr, #duels tr, #verdicts, #headline, #facts"
    texts = f"return [...document.querySelectorAll('{parts}')].map(r => r.textContent.replace(/\\s+/g, ''))"
    drawn = """
        const shapes = "#ranking tbody :is(rect, path)";
        return [...document.querySelectorAll(shapes)].map((shape) => [
            shape.getAttribute("class"), shape.getAttribute("d"),
            ...["x", "y", "width", "height"].map((name) => Number(shape.getAttribute(name)).toFixed(6))]);
    """
    before, shapes = driver.execute_script(texts), driver.execute_script(drawn)
    assert len(shapes) > 30
    choose(driver)
    assert driver.execute_script(texts) == before
    assert driver.execute_script(drawn) == shapes


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


def test_possible_ranks_are_those_of_the_whole_board_and_never_shown_of_another_pool(driver: Any, site: Path) -> None:
    driver.get((site / "index.html").as_uri())
    rows = "[...document.querySelectorAll('#ranking tbody tr')]"
    read = f"return {rows}.map(r => [r.cells[1].innerText.trim(), r.cells[2].innerText])"
    note = driver.find_element("id", "sets-note")
    built = driver.execute_script(read)
    assert all(" … " in ranks and letters.isalpha() for ranks, letters in built)
    choose(driver)
    assert driver.execute_script(read) == built and not note.is_displayed()
    choose(driver, size="0")
    assert {tuple(row) for row in driver.execute_script(read)} == {("–", "–")}
    assert note.is_displayed()


def test_a_column_sorts_by_mouse_and_by_keyboard(driver: Any, site: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    driver.get((site / "index.html").as_uri())
    for at, best in ((5, "descending"), (8, "ascending")):  # the median gain, and the seconds of a cell
        header = driver.find_elements("css selector", "#ranking thead th")[at]
        column = (
            "return [...document.querySelectorAll('#ranking tbody tr')].map(r => parseFloat(r.cells[%d].innerText))"
        )
        header.find_element("css selector", "button").click()
        first = driver.execute_script(column % at)
        assert header.get_attribute("aria-sort") == best
        assert first == sorted(first, reverse=best == "descending")
        header.find_element("css selector", "button").send_keys(Keys.ENTER)
        assert header.get_attribute("aria-sort") != best
        assert driver.execute_script(column % at) == sorted(first, reverse=best == "ascending")


def test_filters_are_in_the_address_and_an_address_opens_what_it_says(driver: Any, site: Path) -> None:
    page = (site / "index.html").as_uri()
    driver.get(page)
    choose(driver, metric="log_loss", mixing="augment")
    address = driver.current_url
    assert address == f"{page}?metric=log_loss&mixing=augment"
    told = driver.find_element("id", "ranking").text
    driver.get(f"{page}#datasets")
    driver.get(address)
    assert driver.find_element("id", "ranking").text == told
    assert driver.find_element("name", "mixing").is_displayed()  # what narrows the board is not folded away
    driver.get(
        f"{page}?board=nobody&metric=<b>&size=9&policy=&search=jit&other=1"
    )  # nothing of it but the search is known
    shown = [row.text for row in driver.find_elements("css selector", "#ranking tbody tr") if row.is_displayed()]
    assert len(shown) == 2 and all("jitter" in text for text in shown)
    assert driver.find_element("name", "metric").get_attribute("value") == "roc_auc"
    assert driver.current_url == f"{page}?search=jit"


def test_a_search_hides_lines_and_changes_no_number(driver: Any, site: Path) -> None:
    driver.get((site / "index.html").as_uri())
    rows = "return [...document.querySelectorAll('#ranking tbody tr')].map(r => [r.hidden, r.textContent])"
    before = driver.execute_script(rows)
    driver.find_element("name", "search").send_keys("Reference")  # a type, in whatever case
    after = driver.execute_script(rows)
    assert [text for _, text in after] == [text for _, text in before]
    assert {hidden for hidden, text in after if "reference" in text} == {False}
    assert {hidden for hidden, text in after if "baseline" in text} == {True}


def test_charts_are_as_wide_as_the_page_draw_every_point_apart_and_lead_to_its_page(driver: Any, site: Path) -> None:
    driver.get((site / "index.html").as_uri())
    choose(driver)
    places = """
        return [...document.querySelectorAll(arguments[0] + " svg a g")].map((g) =>
            g.getAttribute("transform").match(/[\\d.]+/g).map(Number)); """
    for chart, points in (("#cost", 6), ("#explorer", 13)):
        found = driver.execute_script(places, chart)
        assert len(found) == points
        gaps = [((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 for i, a in enumerate(found) for b in found[:i]]
        assert min(gaps) >= 8.99, chart  # a pixel-exact copy would hide behind another
    choose(driver, size="0")
    assert len(driver.execute_script(places, "#explorer")) < 13
    links = driver.find_elements("css selector", "#explorer svg a")
    assert {(site / str(link.get_dom_attribute("href"))).is_file() for link in links} == {True}
    assert not driver.find_element("id", "history").is_displayed()  # rows of one day have none


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
        assert driver.find_element("css selector", "h1").text.split()[0] == "jitter"
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_anybody_out(driver: Any, site: Path, scheme: str) -> None:
    folder = importlib.util.find_spec("axe_playwright_python")
    if folder is None or not folder.submodule_search_locations:
        pytest.skip("axe-playwright-python, which carries axe-core, is not installed (the extra 'dev' has it)")
    axe = (Path(folder.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
    told = "found.violations.map((v) => [v.id, v.nodes[0].html])"
    check = f"const done = arguments[0]; axe.run().then((found) => done({told}))"
    try:
        wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
        for page in ("index.html", "generators/jitter.html", "datasets/table-008.html", "protocol.html"):
            driver.get((site / page).as_uri())
            if page == "index.html":
                choose(driver)  # the charts are drawn
            for details in driver.find_elements("css selector", "details:not([hidden])"):
                driver.execute_script("arguments[0].open = true", details)
            driver.execute_script(axe)
            assert driver.execute_async_script(check) == [], page
        driver.get_log("browser")  # axe looks at style sheets, which the site's policy does not let it fetch
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
        row["provenance"] = row["provenance"] | {"tabgen": EVIL, "date": EVIL if row["fold"] else "2026-01-02"}
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
            assert EVIL in driver.find_element("id", "explored").get_attribute("innerText")
            assert EVIL in driver.find_element("id", "ranking").text
        assert driver.execute_script("return window.hacked ?? null") is None, page
        assert driver.find_elements("css selector", "img:not([alt]), [onerror], iframe") == []
    assert [entry for entry in driver.get_log("browser") if "site/" in entry["message"]] == []
