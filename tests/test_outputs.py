"""Files and folders to write: what is refused, by whatever name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import tabgen
from tabgen.cli import app
from tabgen.errors import DataError
from tabgen.outputs import TABLE, check_file, check_folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/t.csv", r"no/t\.csv cannot be written: there is no folder .*no\."),
        ("file/t.csv", "there is no folder .*file"),
        ("dir.csv", "it is a folder; name a file"),
        ("t.txt", r"should end in \.csv or \.parquet"),
        ("in.csv", "which is read or written too"),
        ("dir.csv/../in.csv", "which is read or written too"),
        ("soft.csv", "which is read or written too"),
        ("hard.csv", "which is read or written too"),
        ("new.csv", "which is read or written too"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "dir.csv").mkdir()
    (tmp_path / "file").touch()
    given = tmp_path / "in.csv"
    given.touch()
    (tmp_path / "soft.csv").symlink_to(given)
    (tmp_path / "hard.csv").hardlink_to(given)
    with pytest.raises(DataError, match=said):
        check_file(tmp_path / name, TABLE, [None, given, tmp_path / "dir.csv" / ".." / "new.csv"])
    check_file(tmp_path / "OUT.CSV", TABLE, [None, given])
    check_file(given)


def test_a_folder_is_made_where_no_file_is_in_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    for free in (tmp_path, tmp_path / "a" / "b", Path("a/b"), Path()):
        check_folder(free)
    for taken in (tmp_path / "file", Path("file/a/b")):
        with pytest.raises(DataError, match="file is no folder; name another"):
            check_folder(taken)


@pytest.mark.parametrize(
    "command",
    [
        "run --suite quick --methods real",
        "plan --suite quick --methods real",
        "slurm --preset quick --shards 2",
        "pretrain --steps 1",
        "recover run",
        "leaderboard merge run",
        "leaderboard build run",
    ],
)
def test_every_command_that_writes_a_folder_refuses_a_file(tmp_path: Path, command: str) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DataError, match=r"file is (no folder|a file); name a"):
        CliRunner().invoke(app, [*command.split(), "-o", str(path)], catch_exceptions=False)


def test_compare_refuses_a_file_before_any_cell_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is no folder; name another"):
        tabgen.compare(methods=["real"], output=tmp_path / "file")
