"""The command as a user types it, in this process: as in one of its own, but for seconds of imports."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tabgen.cli import main


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    stdout: str
    stderr: str
    returncode: int


def tabgen(*words: str | Path, ok: bool = True) -> Done:
    """Run the command; an end that is not the one expected fails with what it printed."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    arguments = patch.object(sys, "argv", ["tabgen", *map(str, words)])
    with arguments, warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
        warnings.simplefilter("default")
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    assert (code == 0) == ok, out.getvalue() + err.getvalue()
    return Done(out.getvalue(), err.getvalue(), code)
