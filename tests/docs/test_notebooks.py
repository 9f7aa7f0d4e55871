"""The notebooks of the documentation run top to bottom, and show what their words say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install --group dev")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install --group dev")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install --group dev")

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"


def run(name: str, folder: Path) -> list[str]:
    """What each code cell showed, as text; nbclient raises for a cell that fails."""
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return ["".join(map(_text, cell.outputs)) for cell in notebook.cells if cell.cell_type == "code"]


def _text(output: Any) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))


def test_there_is_a_test_for_every_notebook() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.ipynb")) == ["add_a_generator.ipynb", "own_table.ipynb"]


@pytest.mark.parametrize("name", ["add_a_generator.ipynb", "own_table.ipynb"])
def test_a_notebook_is_kept_without_output(name: str) -> None:
    cells = [cell for cell in nbformat.read(FOLDER / name, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_own_table_ends_in_an_answer_and_warns_of_names(tmp_path: Path) -> None:
    _, look, result, answer, _, named, plain = run("own_table.ipynb", tmp_path)
    assert "heart_disease" not in look and "numeric" in look
    assert "<Comparison of 4 methods: 12 cells (12 ok)>" in result
    assert "ROC-AUC" in answer
    assert len(re.findall(r"\n\d.*(context|augmented)", answer)) == 6
    assert "4 of 4 synthetic values (100%) are those of real rows" in named and "P0" in named
    assert "synthetic values" not in plain and "patient" not in plain


def test_a_generator_is_added_edited_and_a_live_class_refused(tmp_path: Path) -> None:
    shown = run("add_a_generator.ipynb", tmp_path)
    passed = re.search(r"(\d+) of (\d+) checks passed", shown[3])
    assert passed and passed[1] == passed[2]
    assert "<Comparison of 3 methods: 6 cells (6 ok)>" in shown[4]
    versions = re.findall(r"sha256:\w+ +2$", shown[6], re.MULTILINE)
    assert len(set(versions)) == 2  # both versions of midpoint, two cells each
    assert shown[7].startswith("the generator class Here lives in this Python process alone")
    assert not (tmp_path / "midpoint.py").exists()  # it is written to a folder of its own
