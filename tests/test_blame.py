"""Where an error comes from: the plugin's line and the library, whether the plugin is a file or installed."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tabgen import blame
from tabgen.blame import place_of
from tabgen.plugins import _import_file
from tabgen.table import Table

CODE = """
import json

def fit():
    raise KeyError("mine")

def read():
    def again():
        return json.loads("{")
    return again()

def invert(numpy):
    return numpy.linalg.inv(numpy.zeros((2, 2)))
"""


def module_in(folder: Path) -> ModuleType:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "blamed.py").write_text(CODE)
    return _import_file(folder / "blamed.py")


@pytest.mark.parametrize("folder", ["src", "lib/site-packages"])
def test_the_plugins_own_last_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.chdir(tmp_path)
    module = module_in(tmp_path / folder)
    home = tmp_path / folder / "blamed.py"
    with pytest.raises(KeyError) as caught:
        module.fit()
    assert place_of(caught.value, home) == f"{folder}/blamed.py:5, fit()"
    with pytest.raises(json.JSONDecodeError) as wrong:
        module.read()
    assert place_of(wrong.value, home) == f"{folder}/blamed.py:9, again(), raised in Python's standard library"
    with pytest.raises(np.linalg.LinAlgError) as singular:
        module.invert(np)
    assert place_of(singular.value, home) == f"{folder}/blamed.py:13, invert(), raised in numpy {np.__version__}"


def test_what_tabgen_itself_raises_has_no_place() -> None:
    with pytest.raises(Exception, match="NoneType") as caught:
        Table.from_frame(None, "y")  # type: ignore[arg-type]
    assert place_of(caught.value).endswith("test_what_tabgen_itself_raises_has_no_place()")  # the line that called it
    assert caught.value.__traceback__ is not None
    caught.value.__traceback__ = caught.value.__traceback__.tb_next
    assert place_of(caught.value) == ""


def test_what_is_installed_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def packages() -> dict[str, list[str]]:
        looked.append(1)
        return {"numpy": ["numpy"]}

    monkeypatch.setattr("tabgen.blame.metadata.packages_distributions", packages)
    blame._distributions.cache_clear()
    for _ in range(3):
        assert blame._library_of(Path(np.__file__)) == f"numpy {np.__version__}"
    blame._distributions.cache_clear()
    assert len(looked) == 1
