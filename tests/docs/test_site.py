"""The documentation site builds without a warning, its examples run, and every page can be reached."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

pytest.importorskip("sphinx")
pytest.importorskip("myst_nb", reason="myst-nb is not installed: pip install --group docs")


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    words += ["-D", "nb_execution_mode=off"]  # test_notebooks runs them
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*words, "-d", tmp_path / "doctrees", ROOT / "docs", tmp_path / "html"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    index = (tmp_path / "html" / "index.html").read_text()
    for page in (
        "own-table",
        "write-a-generator",
        "reading-verdicts",
        "reference-cli",
        "generators/ctgan",
        "notebooks/own_table",
    ):
        assert f'href="{page}.html"' in index, page
    reference = (tmp_path / "html" / "reference-cli.html").read_text()
    assert 'id="tabgen-leaderboard-verify"' in reference
    assert "--max-train-rows" in reference
    checked = (tmp_path / "html" / "examples_gallery" / "plot_2_write_a_generator.html").read_text()
    passed = re.search(r"(\d+) of (\d+) passed", checked)
    assert passed and passed[1] == passed[2]
    gallery = (tmp_path / "html" / "examples_gallery" / "plot_3_worth.html").read_text()
    assert "sphx_glr_plot_3_worth_001" in gallery, "an example ran and drew a figure"
