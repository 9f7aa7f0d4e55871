"""The stable names: docs/api.md lists what there is, and all that is public."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from paths import ROOT

import tabgen
import tabgen.testing
from tabgen import hookspecs

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
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = tabgen.no_such_name
