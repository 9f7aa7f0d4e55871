"""Bundles from strangers: written, read, judged, merged, and every attack on the reader refused."""

from __future__ import annotations

import hashlib
import json
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from leaderboard_rows import EVIL, WORTH, fail, make_rows, store_rows, with_key
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.errors import DataError, TabgenError
from tabgen.leaderboard import bounds
from tabgen.leaderboard import bundle as bundles
from tabgen.leaderboard.bundle import ENVIRONMENT, MANIFEST, MEMBERS, ROWS, load_rows, read_bundle, write_bundle
from tabgen.leaderboard.check import check_rows
from tabgen.leaderboard.downloads import write_downloads
from tabgen.leaderboard.merge import merge
from tabgen.leaderboard.schema import json_schema, parse_row
from tabgen.plugins import Plugins
from tabgen.results import load_results, rank_pools
from tabgen.store import Store
from tabgen.text import unseen

Row = dict[str, Any]


@pytest.fixture(scope="module")
def whole(built_in: Plugins, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without fault."""
    folder = tmp_path_factory.mktemp("whole")
    write_bundle(store_rows(make_rows(), folder / "run"), folder / "whole.zip", built_in)
    return folder / "whole.zip"


def pack(path: Path, rows: str, manifest: dict[str, Any] | None = None) -> Path:
    """A bundle of any text as rows, with true hashes."""
    files = {ROWS: rows.encode(), ENVIRONMENT: b"[]"}
    told = {
        "format": "tabgen-bundle",
        "schema": 1,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, json.dumps(told | (manifest or {})))
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_run_goes_through_a_bundle_unchanged_but_for_its_path(whole: Path) -> None:
    assert read_bundle(whole) == sorted(
        make_rows(), key=lambda row: (row["dataset"], row["fold"], row["seed"], row["method"], row["key"])
    )
    with zipfile.ZipFile(whole) as archive:
        assert sorted(archive.namelist()) == sorted(MEMBERS)
        manifest = json.loads(archive.read(MANIFEST))
    jitter = next(entry for entry in manifest["generators"] if entry["generator"] == "jitter")
    source = Path(bundles.__file__).parents[1] / "references.py"
    assert (jitter["plugin"], jitter["version"]) == ("tabgen.references", "0.1.0")
    assert jitter["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()


def test_a_bundle_and_a_board_s_download_rank_as_the_run_does(whole: Path, tmp_path: Path) -> None:
    run, rows = store_rows(make_rows(), tmp_path / "run"), read_bundle(whole)
    write_downloads(rows, tmp_path, "title")
    rankings = [
        [each.ranking.to_dict(times=False) for each in rank_pools(load_results(source)) if each.ranking]
        for source in (run, whole, tmp_path / "results.jsonl")
    ]
    assert rankings[0]
    assert rankings == [rankings[0]] * 3
    assert len(load_results(whole, tmp_path / "results.jsonl")) == len(rows)
    told = CliRunner().invoke(app, ["--no-external-plugins", "rank", str(tmp_path / "results.jsonl"), "--json"])
    assert told.exit_code == 0, told.output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["run", "results.jsonl", "results.csv", "results.parquet", "schema.json", "CITATION.cff"]
    )


@pytest.mark.parametrize("lacking", ["arms", "reading", "reason", "n_train", "n_test", "worth_context_censored"])
def test_rows_that_lack_what_they_need_not_tell_are_judged_and_ranked(
    lacking: str, built_in: Plugins, tmp_path: Path
) -> None:
    rows = [{name: value for name, value in (row | WORTH).items() if name != lacking} for row in make_rows()]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert check_rows(load_rows(path), built_in) is not None
    for words in (["rank", path], ["leaderboard", "check", path]):
        told = CliRunner().invoke(app, ["--no-external-plugins", *map(str, words)])
        assert told.exception is None or isinstance(told.exception, SystemExit | TabgenError), told.exception


def test_a_reason_reaches_the_terminal_as_text(tmp_path: Path) -> None:
    rows = make_rows()
    for row in rows:
        fail(row, reason="bad \x1b[31m\x1b]0;owned\x07 end")
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = CliRunner().invoke(app, ["--no-external-plugins", "rank", str(path)])
    assert "Why:" in told.output
    assert "\x1b" not in told.output


@pytest.mark.parametrize(("name", "said"), [("a.parquet", "results.jsonl is read"), ("none.zip", "there is no file")])
def test_what_is_neither_run_nor_bundle_is_refused_with_what_is_read(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=said):
        load_results(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "row 1"),
        ("{}\n", "row 1"),
        ("[" * 100_000 + "\n", "row 1"),
        ("\xff", "row 1"),
        ("x" * (bounds.LONGEST_LINE + 1), "a row is longer"),
    ],
)
def test_json_lines_are_judged_as_strictly(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=said):
        load_results(path)


def test_a_bundle_says_nothing_of_the_machine_s_folders(built_in: Plugins, tmp_path: Path) -> None:
    rows = [row | {"path": "/home/somebody/data.parquet"} for row in make_rows()]
    write_bundle(store_rows(rows, tmp_path / "run"), tmp_path / "b.zip", built_in)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert b"somebody" not in b"".join(archive.read(name) for name in archive.namelist())


def test_the_same_outcomes_give_the_same_bytes(whole: Path, built_in: Plugins, tmp_path: Path) -> None:
    write_bundle(store_rows(make_rows()[::-1], tmp_path / "run"), tmp_path / "b.zip", built_in)
    assert (tmp_path / "b.zip").read_bytes() == whole.read_bytes()


def test_a_failure_on_a_private_table_tells_nothing_of_its_columns(built_in: Plugins, tmp_path: Path) -> None:
    rows = make_rows(datasets=8)
    told = "column 'salary_of_jane' of the table holds inf; ValueError: could not convert 'Jane Doe'"
    for row in rows:
        if row["method"] in ("bootstrap", "jitter"):
            fail(row, reason=told if row["method"] == "jitter" else f"ValueError: {told}")
            row |= {"log_tail": told, "notes": {"filled": ["salary_of_jane"]}}
    write_bundle(store_rows(rows, tmp_path / "run"), tmp_path / "b.zip", built_in)
    public = {dataset.name for dataset in built_in.suites["quick"].datasets}
    found = read_bundle(tmp_path / "b.zip")
    own = [row for row in found if row["dataset"] not in public]
    assert len(own) == 20 and "jane" not in json.dumps(own).lower()
    assert {row["reason"].partition(" ")[0] for row in own if row["status"] != "ok"} == {"error", "ValueError"}
    assert all(row["reason"].endswith(told) for row in found if row["dataset"] in public and row["status"] != "ok")


def test_what_nobody_could_read_is_not_bundled(built_in: Plugins, tmp_path: Path) -> None:
    rows = [row | {"n_train": 10**30} for row in make_rows()]
    with pytest.raises(DataError, match=r"b\.zip: row 1: n_train holds an integer of 31 digits|31 digits is not JSON"):
        write_bundle(store_rows(rows, tmp_path / "run"), tmp_path / "b.zip", built_in)
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize("kind", ["file", "zip", "folder", "link"])
def test_a_bundle_replaces_bundles_alone(kind: str, whole: Path, built_in: Plugins, tmp_path: Path) -> None:
    run = store_rows(make_rows(), tmp_path / "run")
    path = tmp_path / "mine.zip"
    if kind == "file":
        path.write_text("my thesis")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("thesis.txt", "mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(whole)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(DataError, match=r"name a new file"):
        write_bundle(run, path, built_in)
    assert before == (path.read_bytes() if path.is_file() else None)
    write_bundle(run, tmp_path / "new.zip", built_in)
    write_bundle(run, tmp_path / "new.zip", built_in)


# Attacks on the reader


def link_entry(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo(ROWS)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")
    archive.writestr(MANIFEST, "{}")
    archive.writestr(ENVIRONMENT, "[]")


def members(*names: str) -> Callable[[zipfile.ZipFile], None]:
    def write(archive: zipfile.ZipFile) -> None:
        for name in names:
            archive.writestr(name, "{}")

    return write


def bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr(MANIFEST, "{}")
    archive.writestr(ENVIRONMENT, "[]")
    archive.writestr(ROWS, b"0" * 20_000_000)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (members(*MEMBERS, "../evil.py"), "nothing else"),
        (members(*MEMBERS, "/etc/cron.d/evil"), "nothing else"),
        (members(*MEMBERS, "plugin.py"), "nothing else"),
        (members(*MEMBERS, "rows.pkl"), "nothing else"),
        (members(MANIFEST, ENVIRONMENT, "../rows.jsonl"), "nothing else"),
        (members(MANIFEST, ENVIRONMENT), "nothing else"),
        (members(*(f"{number}.json" for number in range(5000))), "nothing else"),
        (link_entry, "is a link"),
        (bomb, "200-fold"),
    ],
    ids=["parent", "absolute", "code", "pickle", "renamed", "lacking", "many", "link", "bomb"],
)
def test_an_archive_that_is_no_bundle_is_refused(
    write: Callable[[zipfile.ZipFile], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        write(archive)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=message):
        read_bundle(path)
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked anywhere


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        members(*MEMBERS, ROWS)(archive)
    with pytest.raises(DataError, match="nothing else"):
        read_bundle(tmp_path / "b.zip")


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    """A bomb whose headers claim 10 bytes: no more than those are ever unpacked."""
    path = pack(tmp_path / "b.zip", "0" * 20_000_000)
    data, true = path.read_bytes(), struct.pack("<L", 20_000_000)
    assert data.count(true) == 2
    path.write_bytes(data.replace(true, struct.pack("<L", 10)))
    with pytest.raises(DataError, match=r"cannot be read|as long as it claims"):
        read_bundle(path)


@pytest.mark.parametrize(
    "limit",
    [
        *("MOST_PACKED", "MOST_UNPACKED", "MOST_SIDE", "MOST_ROWS", "LONGEST_LINE", "MOST_VALUES", "MOST_COLUMNS"),
        *(
            "MOST_DATASETS",
            "MOST_METHODS",
            "MOST_SUITES",
            "MOST_SETTINGS",
            "MOST_METRICS",
            "MOST_RANKINGS",
            "MOST_PAIRS",
        ),
    ],
)
def test_every_bound_holds(limit: str, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, limit, 1 if limit in ("MOST_METRICS", "MOST_RANKINGS") else 0)
    with pytest.raises(DataError, match=r"(larger|more|longer) than [01]\b"):
        read_bundle(whole)


def test_methods_that_differ_in_what_no_name_says_count_too(tmp_path: Path) -> None:
    """One label over 300 environments would be 300 methods to rank."""
    row = next(row for row in make_rows() if row["method"] == "bootstrap")
    rows = [with_key(row | {"environment": f"{number:064x}"}) for number in range(300)]
    with pytest.raises(DataError, match="more than 200 methods"):
        read_bundle(pack(tmp_path / "b.zip", "".join(json.dumps(row) + "\n" for row in rows)))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all", b"PK\x05\x06" + bytes(18)])
def test_broken_files_are_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"b\.zip"):
        read_bundle(tmp_path / "b.zip")


@pytest.mark.parametrize("at", range(0, 1000, 37))
def test_a_flipped_byte_is_an_error_with_a_message_or_harmless(at: int, whole: Path, tmp_path: Path) -> None:
    data = bytearray(whole.read_bytes())
    data[at * len(data) // 1000] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(bytes(data))
    try:
        rows = read_bundle(tmp_path / "b.zip")
    except TabgenError:
        return
    assert rows == read_bundle(whole)


LINE = json.dumps(make_rows()[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "JSON"),
        (LINE[:-1] + ', "fold": 1}', "twice"),
        (LINE.replace('"fold": 0', '"fold": NaN'), "NaN is not JSON"),
        (LINE[:-1] + ', "seconds_more": -Infinity}', "Infinity is not JSON"),
        (LINE[:-1] + ', "seconds_more": 1e999}', "1e999 is not JSON"),
        (LINE[:-1] + ', "n_more": ' + "9" * 5000 + "}", "JSON"),
        (LINE[:-1] + ', "n_more": 9007199254740992}', "16 digits"),
        (
            LINE.replace('"noise": 0.1', '"noise": 9007199254740993')
            if "noise" in LINE
            else LINE.replace('"settings": {}', '"settings": {"n": [9007199254740993]}'),
            "16 digits",
        ),
        (LINE.replace('"seed": 0', '"seed": 1099511627776'), "seed"),
        (LINE.replace('"draw": 0', '"draw": 1000'), "draw"),
        (LINE[:-1] + ', "seconds_more": 1e300}', "beyond 1e"),
        (LINE[:-1] + ', "=cmd()": 1}', "column"),
        (LINE[:-1] + ', "A' + "a" * 200 + '": 1}', "column"),
        (LINE.replace('"recipe": {', '"recipe": {"a": ' + "[" * 20 + "]" * 20 + ", "), "nested"),
        (LINE[:-1] + ', "curve_test": [' + "1," * 20_000 + "1]}", "entries"),
        (LINE.replace('["fine-tune"]', '["fine-tune", "fine-tune"]'), "arms"),
        (LINE.replace('["fine-tune"]', '["unheard-of"]'), "arms"),
        (LINE.replace('["fine-tune"]', "[]"), "arms"),
        (LINE.replace('"suite": "quick"', '"suite": "\\u202equick"'), "screen"),
        *(
            (
                LINE.replace(f'"{name}": "', f'"{name}": "\\u{odd}'),
                f"{name} holds U.{odd.upper()}, a character that no screen",
            )
            for name in ("dataset", "suite", "model")
            for odd in ("200b", "00ad", "feff", "2060", "3164", "034f", "fe0f", "2800")
        ),
        (LINE.replace('"dataset": "', '"dataset": "\\udb40\\udc41'), "no screen"),
        (LINE[:-1] + ', "tuned_test_more": "0.9"}', "should be a number"),
        (LINE[:-1] + ', "curve_test": [0.1, "x"]}', "list of numbers"),
        (LINE[:-1] + ', "notes": "text"}', "notes"),
        (LINE.replace('"fold": 0', '"fold": "0"'), "fold"),
        (LINE.replace('"status": "ok"', '"status": "splendid"'), "status"),
        (LINE.replace('"model_plugin_version": null', '"model_plugin_version": 1'), "model_plugin_version"),
        (LINE.replace('"model_plugin_version": null', '"model_plugin_version": "1\\u200b"'), "no screen"),
        (LINE.replace('"dataset": "', '"dataset": "\\u0000'), "dataset"),
        (LINE.replace('"dataset": "', '"dataset": "\\ud800'), "JSON"),
        (LINE.replace('"key": "', '"key": "../../'), "key"),
        ("[1]", "JSON object"),
        ("", "JSON"),
    ],
)
def test_a_row_that_is_not_plain_typed_json_is_refused(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_bundle(pack(tmp_path / "b.zip", LINE + "\n" + line + "\n"))
    assert "row 2" in str(caught.value)


DENSE = {
    "integers": f'"notes": {{"a": [{", ".join(["1000"] * 60_000)}]}}',
    "objects": f'"notes": {{"a": [{", ".join(["{}"] * 100_000)}]}}',
    "floats": f'"curve_test": [{", ".join(f"0.{n}" for n in range(10_000, 30_000))}]',
}


@pytest.mark.parametrize("kind", DENSE)
def test_reading_and_checking_a_dense_bundle_takes_bounded_memory(kind: str, tmp_path: Path) -> None:
    """40 MB of text that pack to next to nothing: at most 4,000,000 values of them are read."""
    line = LINE[:-1] + ", " + DENSE[kind] + "}\n"
    count = 40_000_000 // len(line)
    text = "".join(line.replace('"fold": 0', f'"fold": {n % 2}').replace("1000]", f"{n}]") for n in range(count))
    path = pack(tmp_path / "b.zip", text)
    del text
    words = f"""
from pathlib import Path
from tabgen.errors import DataError
from tabgen.leaderboard.bundle import read_bundle
import tabgen.leaderboard.check
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
before = peak()
try:
    rows = read_bundle(Path({str(path)!r}))
except DataError as error:
    print(error)
print(peak() - before)
"""
    told = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout.split("\n")
    assert "200-fold" in told[0] or "values" in told[0], told
    assert int(told[-2]) < 400, told


def test_hashes_and_format_must_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="hashes"):
        read_bundle(pack(tmp_path / "a.zip", LINE + "\n", {"sha256": {ROWS: "0" * 64, ENVIRONMENT: "0" * 64}}))
    with pytest.raises(DataError, match="schema 2"):
        read_bundle(pack(tmp_path / "b.zip", LINE + "\n", {"schema": 2}))
    with pytest.raises(DataError, match="format"):
        read_bundle(pack(tmp_path / "c.zip", LINE + "\n", {"format": "another"}))


# The check


def kinds(rows: list[Row], plugins: Plugins) -> set[str]:
    return {finding.kind for finding in check_rows(rows, plugins) if finding.problem}


def test_rows_without_fault_have_no_finding(built_in: Plugins) -> None:
    assert check_rows(make_rows(), built_in) == []


def drop(rows: list[Row]) -> None:
    del rows[7]


def repeat(rows: list[Row]) -> None:
    rows.append(dict(rows[3]))


def better(rows: list[Row]) -> None:
    rows[2]["tuned_test_roc_auc"] = 1.2


def negative_loss(rows: list[Row]) -> None:
    rows[2]["tuned_test_log_loss"] = -0.1


def other_settings(rows: list[Row]) -> None:
    rows[3]["settings"] = {"noise": 0.9}


def worse_baseline(rows: list[Row]) -> None:
    rows[2]["zero_shot_test_roc_auc"] -= 0.1


def tuned_zero_shot(rows: list[Row]) -> None:
    rows[0]["tuned_test_roc_auc"] += 0.01


def no_time(rows: list[Row]) -> None:
    rows[1]["seconds_total"] = 0.0


def long_phase(rows: list[Row]) -> None:
    rows[1]["seconds_fit"] = 9999.0


def other_split(rows: list[Row]) -> None:
    rows[2]["split_hash"] = "another"


def copied(rows: list[Row]) -> None:
    measured = {name: value for name, value in rows[2].items() if name.startswith(("tuned", "zero", "seconds"))}
    rows[3] |= measured


def failed_with_score(rows: list[Row]) -> None:
    rows[2]["status"], rows[2]["reason"] = "error", "it broke"


def failed_without_reason(rows: list[Row]) -> None:
    fail(rows[2], reason="")


def impostor(rows: list[Row]) -> None:
    """Calls its own generator 'real'."""
    rows[2]["method"] = "real"
    rows[2]["key"] = with_key(rows[2])["key"]


def other_table(rows: list[Row]) -> None:
    for row in rows[:10]:
        row["sha256"] = "e" * 64
        row["key"] = with_key(row)["key"]


def old_protocol(rows: list[Row]) -> None:
    for row in rows:
        row["protocol"] = 0


def no_such_fold(rows: list[Row]) -> None:
    rows[2]["fold"] = 5
    rows[2]["key"] = with_key(rows[2])["key"]


def hidden_settings(rows: list[Row]) -> None:
    """A label that says `bootstrap` over other settings, under its true key."""
    rows[2]["settings"] = {"share": 0.3}
    rows[2]["key"] = with_key(rows[2])["key"]


def hidden_recipe(rows: list[Row]) -> None:
    """Fine-tuned ten times as long under the name of a recipe that the others have as well."""
    rows[2]["recipe"] = rows[2]["recipe"] | {"steps": 300}
    rows[2]["key"] = with_key(rows[2])["key"]


def hidden_ratio(rows: list[Row]) -> None:
    rows[2]["ratio"] = 8.0
    rows[2]["key"] = with_key(rows[2])["key"]


def other_value_than_named(rows: list[Row]) -> None:
    rows[3]["method"] = "jitter:noise=0.5"


def not_the_default(rows: list[Row]) -> None:
    rows[3]["settings"] = {"noise": 0.5}
    rows[3]["key"] = with_key(rows[3])["key"]


def borrowed_rows(rows: list[Row]) -> None:
    """Says that its rows are jitter's, so that in an arm without fine-tuning it would stand in jitter's place."""
    rows[2]["rows_of"] = "jitter"


def named_recipe(rows: list[Row]) -> None:
    rows[1]["method"] = "real:recipe=autogluon"


def uneven_curves(rows: list[Row]) -> None:
    rows[2] |= {"curve_validation": [0.1, 0.2, 0.3], "curve_test": [0.1, 0.2]}


def other_reading(rows: list[Row]) -> None:
    """Rows of a table without one of its columns, under the name that a suite has for all of it."""
    for row in rows[:10]:
        row["kinds"] = row["kinds"] | {"months_since_last": "drop"}
        row["key"] = with_key(row)["key"]


def other_target(rows: list[Row]) -> None:
    for row in rows[:10]:
        row["target"] = "another"
        row["key"] = with_key(row)["key"]


def more_arms(rows: list[Row]) -> None:
    """A better score for a cell that is there, in a row that measured one arm more."""
    better = {name: 0.99 for name in rows[2] if name.startswith("tuned_") and name.endswith("roc_auc")}
    rows.append(with_key(rows[2] | {"arms": ["fine-tune", "context"]} | better))


def no_board(rows: list[Row]) -> None:
    """Under two keys the same cell: nothing that is ranked tells them apart."""
    rows.append(with_key(rows[2] | {"rows_sha256": "a" * 64}))


def worse_real_rows(rows: list[Row]) -> None:
    """Of the real rows, which are the context already, an arm without fine-tuning can say nothing new."""
    real = next(row for row in rows if row["method"] == "real")
    real |= {"context_test_roc_auc": real["zero_shot_test_roc_auc"] - 0.3}


def to_come(rows: list[Row]) -> None:
    rows[0]["provenance"] = rows[0]["provenance"] | {"date": "2099-02-12"}


def set_to(**values: Any) -> Callable[[list[Row]], None]:
    """Spoils a row that has a worth and an adequacy that follow from what is measured."""

    def spoil(rows: list[Row]) -> None:
        rows[2] |= MEASURED | values

    spoil.__name__ = ", ".join(f"{name}={value}" for name, value in values.items())
    return spoil


MEASURED = WORTH | {
    "adequacy_real": 0.9,
    "adequacy_tstr": 0.5,
    "adequacy_within": None,
    "adequacy_within_real": 0.9,
    "adequacy_untrained": 1.0,
}


def test_worth_and_adequacy_that_follow_from_what_is_measured_pass(built_in: Plugins) -> None:
    rows = make_rows()
    set_to()(rows)
    assert check_rows(rows, built_in) == []


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (set_to(n_train=0), "impossible"),
        (set_to(n_train=1), "split"),
        (set_to(n_test=99), "split"),
        (set_to(n_synthetic=99.5), "impossible"),
        (set_to(seconds_fit=-1.0), "impossible"),
        (set_to(fidelity_column_shapes=7.0), "impossible"),
        (set_to(fidelity_rows=0), "impossible"),
        (set_to(adequacy_real=99), "impossible"),
        (set_to(adequacy_untrained=0.5), "impossible"),
        (set_to(adequacy_untrained=0), "unfounded"),
        (set_to(privacy_exact_copies=-1), "impossible"),
        (set_to(worth_context_rows=-5.0), "impossible"),
        (set_to(worth_context_rows=1e6), "unfounded"),
        (set_to(worth_context_rows=50.0), "unfounded"),
        (set_to(worth_context_censored=1), "unfounded"),
        (set_to(worth_augmented_rows=100.0), "unfounded"),
        (set_to(curve_worth_rows=[]), "unfounded"),
        (set_to(curve_worth_score=[0.7, 0.6, 0.8]), "unfounded"),
        (set_to(curve_worth_score=[None, 0.7, 0.8]), "unfounded"),
        (set_to(curve_worth_rows=[10, 100, 2000]), "unfounded"),
        (set_to(by_seed_tuned_test_roc_auc=[0.1, 0.2]), "unfounded"),
        (set_to(by_seed_tuned_test_roc_auc=[0.8, None]), "unfounded"),
        (set_to(status="error", reason="ValueError: no", zero_shot_test_roc_auc=-50.0), "impossible"),
        (worse_real_rows, "zero-shot"),
        (to_come, "date"),
        (hidden_settings, "label"),
        (hidden_recipe, "recipe"),
        (hidden_ratio, "label"),
        (other_value_than_named, "label"),
        (not_the_default, "label"),
        (named_recipe, "label"),
        (borrowed_rows, "rows"),
        (uneven_curves, "curves"),
        (no_board, "board"),
        (other_reading, "dataset"),
        (other_target, "dataset"),
        (more_arms, "disagreement"),
        (drop, "grid"),
        (repeat, "repeated"),
        (better, "impossible"),
        (negative_loss, "impossible"),
        (other_settings, "key"),
        (worse_baseline, "baseline"),
        (tuned_zero_shot, "zero-shot"),
        (no_time, "times"),
        (other_split, "split"),
        (copied, "copied"),
        (failed_with_score, "scores"),
        (failed_without_reason, "reason"),
        (impostor, "method"),
        (other_table, "dataset"),
        (old_protocol, "protocol"),
        (no_such_fold, "fold"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_is_found(spoil: Callable[[list[Row]], None], kind: str, built_in: Plugins) -> None:
    rows = make_rows()
    spoil(rows)
    assert kind in kinds(rows, built_in)


def test_a_phase_longer_than_the_whole_gets_a_notice_since_a_run_that_was_stopped_wrote_it(built_in: Plugins) -> None:
    rows = make_rows()
    long_phase(rows)
    assert [(finding.kind, finding.problem) for finding in check_rows(rows, built_in)] == [("times", False)]


def test_scores_that_are_the_mean_of_their_seeds_pass(built_in: Plugins) -> None:
    rows = make_rows()
    rows[2]["by_seed_tuned_test_roc_auc"] = [rows[2]["tuned_test_roc_auc"] + step for step in (-0.01, 0.01)]
    rows[2] |= {"by_seed_tuned_test_log_loss": None, "by_seed_best_step": [0, 3]}
    assert check_rows(rows, built_in) == []


def test_a_bundle_without_baselines_or_of_an_unknown_suite_gets_a_notice_not_a_problem(built_in: Plugins) -> None:
    rows = [row for row in make_rows(suite="mine") if row["generator"]]
    findings = check_rows(rows, built_in)
    assert {finding.kind for finding in findings} == {"baselines", "suite"}
    assert not any(finding.problem for finding in findings)


@pytest.mark.parametrize(
    ("arms", "missed"), [(["context", "augmented"], set()), (["context", "fine-tune"], {"zero-shot"})]
)
def test_zero_shot_is_missed_only_where_something_is_fine_tuned(
    arms: list[str], missed: set[str], built_in: Plugins
) -> None:
    rows = [row | {"arms": arms} for row in make_rows() if row["method"] != "zero-shot"]
    told = [finding.message for finding in check_rows(rows, built_in) if finding.kind == "baselines"]
    assert {name for name in ("zero-shot", "real") if any(f"'{name}'" in message for message in told)} == missed


def test_a_grid_too_large_to_count_is_told_in_a_line(built_in: Plugins) -> None:
    rows = make_rows()
    for row in rows:
        row["n_folds"] = 1000
    assert any("cells of its grid" in f.message for f in check_rows(rows, built_in) if f.kind == "grid")


def test_the_command_checks_and_its_exit_code_says_the_result(whole: Path, tmp_path: Path) -> None:
    words = ["--no-external-plugins", "leaderboard", "check"]
    assert CliRunner().invoke(app, [*words, str(whole)]).exit_code == 0
    rows = make_rows()
    better(rows)
    spoiled = pack(tmp_path / "b.zip", "".join(json.dumps(row) + "\n" for row in rows))
    result = CliRunner().invoke(app, [*words, str(spoiled)])
    assert result.exit_code == 1
    assert "tuned_test_roc_auc = 1.2" in result.output


# Merging


def test_runs_and_bundles_merge_and_equal_keys_count_once(whole: Path, built_in: Plugins, tmp_path: Path) -> None:
    first = merge([whole], tmp_path / "all", built_in)
    assert (first.added, first.known, first.conflicts) == (60, 0, [])
    again = merge([whole], tmp_path / "all", built_in)
    assert (again.added, again.known, again.conflicts) == (0, 60, [])
    rows = make_rows()
    rows[4]["tuned_test_roc_auc"] += 0.01
    third = merge([store_rows(rows[4:5], tmp_path / "other")], tmp_path / "all", built_in)
    assert third.added == 0
    assert len(third.conflicts) == 1 and "tuned_test_roc_auc" in third.conflicts[0]
    assert len(load_results(tmp_path / "all")) == 60
    nothing = store_rows([], tmp_path / "nothing")  # a shard without a cell
    assert merge([nothing, whole], tmp_path / "all", built_in).known == 60
    with pytest.raises(DataError, match=r"no cell has ended yet in .*nothing"):
        merge([nothing], tmp_path / "all", built_in)


def test_a_row_that_measured_one_arm_more_does_not_outdo_the_one_that_is_there(
    whole: Path, built_in: Plugins, tmp_path: Path
) -> None:
    merge([whole], tmp_path / "all", built_in)
    rows = make_rows()
    more_arms(rows)
    honest = with_key(rows[2] | {"arms": ["fine-tune", "context"]})
    second = merge([store_rows(rows[-1:], tmp_path / "better")], tmp_path / "all", built_in)
    assert second.added == 0
    assert len(second.conflicts) == 1 and "tuned_test_roc_auc is" in second.conflicts[0]
    assert merge([store_rows([honest], tmp_path / "honest")], tmp_path / "all", built_in).added == 1


def test_a_cell_that_failed_gives_way_to_one_that_ended_well_and_not_the_reverse(
    built_in: Plugins, tmp_path: Path
) -> None:
    good, bad = make_rows()[:1], make_rows()[:1]
    fail(bad[0], "timeout", "stopped after 600 s")
    for number, order in enumerate(([bad, good], [good, bad])):
        folder = tmp_path / f"all-{number}"
        for place, rows in enumerate(order):
            assert merge([store_rows(rows, tmp_path / f"{number}-{place}")], folder, built_in).conflicts == []
        assert load_results(folder)["status"].tolist() == ["ok"]


def made_elsewhere(sha256: str, status: str = "ok") -> Row:
    """A cell of a table that somebody else wrote into a folder of this name."""
    row = next(row for row in make_rows() if row["method"] == "bootstrap")
    row |= {"method": "file:path=folds/mine", "generator": "file", "rows_of": "file", "rows_sha256": sha256}
    row["settings"] = {"path": "folds/mine"}
    if status != "ok":
        fail(row, status)
    return with_key(row)


@pytest.mark.parametrize("status", ["ok", "error"])
def test_two_tables_made_elsewhere_of_one_name_are_a_conflict(status: str, built_in: Plugins, tmp_path: Path) -> None:
    """Keys tell them apart, names do not: together they would make no board."""
    folder = tmp_path / "all"
    baselines = make_rows(("zero-shot", "real"))
    sources = [store_rows([*baselines, made_elsewhere("1" * 64)], tmp_path / "one")]
    sources.append(store_rows([*baselines, made_elsewhere("2" * 64, status)], tmp_path / "other"))
    (conflict,) = merge(sources, folder, built_in).conflicts
    assert "another table of this name" in conflict
    assert len(rank_pools(load_results(folder))) == 1


def test_what_check_refuses_merge_refuses_and_writes_nothing(built_in: Plugins, tmp_path: Path) -> None:
    for spoil in (better, other_settings, hidden_settings, uneven_curves):
        rows = make_rows()
        spoil(rows)
        bad = pack(tmp_path / "b.zip", "".join(json.dumps(row) + "\n" for row in rows))
        assert kinds(read_bundle(bad), built_in)
        with pytest.raises(DataError, match=r"does not pass .* nothing was merged"):
            merge([bad], tmp_path / "all", built_in)
        assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("metric", "by", "found"),
    [("roc_auc", 6e-6, False), ("roc_auc", 2e-4, True), ("log_loss", 9e-7, False), ("log_loss", 6e-6, True)],
)
def test_zero_shot_scores_of_a_fold_differ_by_what_processors_do(
    metric: str, by: float, found: bool, built_in: Plugins
) -> None:
    """By one pair of rows that change places in ROC-AUC: 5.9e-6 in the study's rows."""
    rows = make_rows(("zero-shot", "real"))
    for row in rows:
        if row["method"] == "zero-shot":
            row[f"zero_shot_validation_{metric}"] += by
    assert ("baseline" in kinds(rows, built_in)) is found


def test_rows_of_two_sources_that_contradict_each_other_are_conflicts_as_in_check(
    built_in: Plugins, tmp_path: Path
) -> None:
    """Each is whole by itself; together one fold has two zero-shot scores on one machine."""
    first = make_rows(("zero-shot", "real"))
    second = make_rows(("zero-shot", "bootstrap"), seed=1)
    sources = []
    for number, rows in enumerate((first, second)):
        assert kinds(rows, built_in) == set()
        sources.append(tmp_path / f"{number}.zip")
        write_bundle(
            store_rows([r for r in rows if r["method"] != "zero-shot" or not number], tmp_path / str(number)),
            sources[-1],
            built_in,
        )
    merged = merge(sources, tmp_path / "all", built_in)
    assert any("have other zero-shot scores" in conflict for conflict in merged.conflicts)
    with Store(tmp_path / "all") as store:
        assert "baseline" in kinds(list(store.outcomes()), built_in)


def with_model_plugin(rows: list[Row], version: str) -> list[Row]:
    return [with_key(row | {"model_plugin_version": version}) for row in rows]


def test_the_version_of_a_model_s_plugin_goes_through_a_bundle_and_rows_of_before_lack_it(
    built_in: Plugins, tmp_path: Path
) -> None:
    told = with_model_plugin(make_rows(), "0.1.0+abc")
    write_bundle(store_rows(told, tmp_path / "run"), tmp_path / "told.zip", built_in)
    assert {row["model_plugin_version"] for row in read_bundle(tmp_path / "told.zip")} == {"0.1.0+abc"}
    assert kinds(told, built_in) == set()
    before = [{name: value for name, value in row.items() if name != "model_plugin_version"} for row in make_rows()]
    read = read_bundle(pack(tmp_path / "before.zip", "".join(json.dumps(row) + "\n" for row in before)))
    assert read == [row | {"model_plugin_version": None} for row in before]
    assert kinds(read, built_in) == set()


def test_zero_shot_scores_of_two_versions_of_a_model_s_plugin_need_not_agree(built_in: Plugins) -> None:
    old, new = (with_model_plugin(make_rows(seed=seed), f"0.1.0+{seed}") for seed in (0, 1))
    assert kinds(old + new, built_in) == set()
    assert "grid" in kinds(old + new[:-1], built_in)
    assert "baseline" in kinds(old[::2] + with_model_plugin(new, "0.1.0+0")[1::2], built_in)


# The schema


def test_the_json_schema_accepts_what_the_parser_accepts() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json_schema()
    row = parse_row(LINE, "a row")
    jsonschema.validate(row, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row | {"tuned_test_roc_auc": "high"}, schema)
    assert all(what.get("description") for what in schema["properties"].values())


def test_every_key_of_a_planned_cell_is_described(built_in: Plugins) -> None:
    from tabgen.datasets import Suite, quick_datasets
    from tabgen.experiment import Experiment, parse_methods, plan

    suite = Suite("quick", "", "1", lambda: quick_datasets()[:1])
    cell = plan(Experiment(suite, parse_methods(["jitter"], built_in), folds=2, recipe={"name": "nano"}), built_in)[0]
    undescribed = set(cell.to_dict()) - set(json_schema()["properties"])
    assert undescribed == {"path", "rows_path"}


def test_names_in_any_script_pass() -> None:
    for name in ("Pinguïne", "企鹅", "مجموعة", "हिन्दी", "ペンギン", "a\u00a0b", "\U0001f427"):
        assert unseen(name) == ""


def test_evil_names_pass_as_text() -> None:
    assert parse_row(json.dumps(make_rows()[0] | {"suite": EVIL}), "a row")["suite"] == EVIL
