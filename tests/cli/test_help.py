"""Help, completion and mistyped names, as someone new meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner

from tabgen.cli import app
from tabgen.cli.rank import PolicyName
from tabgen.errors import PluginError
from tabgen.plugins import PluginChoice, load_plugins
from tabgen.statistics.scores import POLICIES


def commands() -> list[tuple[str, ...]]:
    """Every command, by the words that name it."""
    found: list[tuple[str, ...]] = [()]

    def walk(command: object, words: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            found.append((*words, name))
            walk(inner, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_says_its_help_with_either_flag_and_in_words(words: tuple[str, ...]) -> None:
    wide = {"COLUMNS": "200", "TERMINAL_WIDTH": "200"}
    short = CliRunner().invoke(app, [*words, "-h"], env=wide)
    long = CliRunner().invoke(app, [*words, "--help"], env=wide)
    assert short.exit_code == long.exit_code == 0, short.output
    assert short.output == long.output
    raw = re.findall(r"<[a-z ]+>|\b(?:TEXT|INTEGER|FLOAT|BOOLEAN|RANGE|DIRECTORY)\b", short.output)
    raw = [each for each in raw if not (each == "TEXT" and "--missing" in short.output)]
    assert not raw, (words, raw)


def test_what_a_flag_takes_is_said_where_its_command_does_not() -> None:
    text = CliRunner().invoke(app, ["run", "-h"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
    for words in ("--methods METHOD,...", "--seconds SECONDS", "--target COLUMN", "--shard i/n", "--workers NUMBER"):
        flag, takes = words.split()
        assert re.search(rf"{flag}\s+{re.escape(takes)}", text), words


@pytest.mark.parametrize(
    ("typed", "offered"), [("ru", "run"), ("leaderboard bu", "bundle"), ("run --preset qui", "quick")]
)
def test_a_shell_completes_commands_flags_and_presets(typed: str, offered: str) -> None:
    count = len(typed.split())
    job = os.environ | {"_TABGEN_COMPLETE": "complete_bash", "COMP_WORDS": f"tabgen {typed}", "COMP_CWORD": str(count)}
    done = subprocess.run([sys.executable, "-m", "tabgen"], env=job, capture_output=True, text=True, check=False)
    assert offered in done.stdout.split(), done.stdout + done.stderr


def test_a_hook_that_is_nearly_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nearly.py"
    path.write_text("from tabgen import hookimpl\n\n@hookimpl\ndef tabgen_register_generator(register):\n    pass\n")
    with pytest.raises(
        PluginError, match="no hook 'tabgen_register_generator'; did you mean 'tabgen_register_generators'"
    ):
        load_plugins(PluginChoice((str(path),), external=False))


def test_the_command_line_takes_the_policies_that_there_are() -> None:
    assert get_args(PolicyName) == POLICIES
