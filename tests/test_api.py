"""The stable names: docs/api.md lists what there is, and all that is public."""

from __future__ import annotations

import re
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from paths import FIXTURE, ROOT

import tabgen
import tabgen.testing
from tabgen import hookspecs
from tabgen.api import write_frame
from tabgen.errors import DataError, TabgenError

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `([a-z.]+)`\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL))
LISTED = [
    (module, name, since)
    for module, section in SECTIONS.items()
    for name, since in re.findall(r"^\| `(\w+)` \| ([0-9.]+) \|", section, re.MULTILINE)
]


@pytest.mark.parametrize(("module", "name", "since"), LISTED)
def test_every_name_listed_can_be_imported(module: str, name: str, since: str) -> None:
    assert hasattr(import_module(module), name)
    assert re.fullmatch(r"\d+\.\d+", since)


@pytest.mark.parametrize("module", [tabgen, tabgen.testing])
def test_every_public_name_is_listed(module: object) -> None:
    name = module.__name__  # type: ignore[attr-defined]
    assert {listed for home, listed, _ in LISTED if home == name} == set(module.__all__)  # type: ignore[attr-defined]
    assert len(LISTED) > 30


def test_every_hook_is_listed() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith("tabgen_")]
    assert re.findall(r"^\| `(tabgen_\w+)` \| [0-9.]+ \|$", PAGE, re.MULTILINE) == hooks


def test_the_lazy_names_have_homes() -> None:
    assert set(tabgen._HOMES) == set(tabgen.__all__)
    assert tabgen.__version__ == metadata.version("tabgen-bench")
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = tabgen.no_such_name


FRAME = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) % 3, "y": ["no", "yes"] * 10})


@pytest.mark.parametrize(
    ("data", "fields", "message"),
    [
        (pd.concat([FRAME, FRAME[["a"]]], axis=1), {}, "the data has more than one column named 'a'; rename them."),
        (
            FRAME.assign(a=pd.Series([object()] * 20, dtype=object)),
            {},
            "the data: column 'a' holds object values such as <object",
        ),
        (FRAME.assign(a=1j), {}, "the data: column 'a' holds complex numbers; split it into two columns."),
        (FRAME.assign(a=1j), {"kinds": {"a": "drop"}}, "column 'a': "),
        (FRAME.assign(a=["x\ud800", "b"] * 10), {}, r"column 'a' holds 'x\ud800', which has half of a character; mend"),
        (FRAME["y"], {}, "data should be a DataFrame or the path of a file, not a Series."),
        ([1, 2], {}, "data should be a DataFrame or the path of a file, not a list."),
    ],
    ids=["twice", "objects", "complex", "dropped", "half", "series", "list"],
)
def test_data_that_no_run_can_read_is_said_before_it(
    data: Any, fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TabgenError, match=re.escape(message)):
        tabgen.compare(data=data, target="y", methods=["real"], output=tmp_path / "run", **fields)


def test_a_frame_whose_columns_are_numbers_is_compared_by_the_number_of_its_target(tmp_path: Path) -> None:
    words: dict[str, Any] = {"methods": "real", "arms": ["context"], "folds": 2, "fidelity": False, "workers": 1}
    frame = FRAME.set_axis([0, 1, 4], axis=1)
    found = tabgen.compare(data=frame, target=4, model=str(FIXTURE), output=tmp_path / "run", **words)
    assert set(found.to_frame()["target"]) == {"4"}


def test_sparse_columns_are_written_as_the_values_they_hold(tmp_path: Path) -> None:
    sparse = FRAME.assign(a=pd.arrays.SparseArray(np.arange(20) % 2.0))
    for ending in ("csv", "parquet"):
        write_frame(sparse, tmp_path / f"t.{ending}")
    assert pd.read_parquet(tmp_path / "t.parquet")["a"].tolist() == [0.0, 1.0] * 10


def test_columns_named_by_numbers_stay_as_many(tmp_path: Path) -> None:
    write_frame(FRAME.set_axis([0, 1, 2], axis=1), tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv").shape == (20, 3)


def test_a_frame_of_half_characters_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'y' holds"):
        write_frame(FRAME.assign(y="\ud800"), tmp_path / "t.csv")
