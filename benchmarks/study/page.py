"""Tables of a page that a script writes between marks, so that no number is copied by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def table(head: str, lines: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are numbers, on the right."""
    rule = "|---|" + "--:|" * head.count("|")
    return "\n".join([f"| {head} |", rule, *(f"| {' | '.join(cells)} |" for cells in lines)])


def fill(page: Path, texts: Mapping[str, str]) -> None:
    """Print each text, and put it between ``<!-- NAME -->`` and ``<!-- / -->`` of a page, which must have them."""
    whole = page.read_text()
    for name, text in texts.items():
        print(f"\n## {name}\n\n{text}")
        place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- / -->)", re.DOTALL)
        if not place.search(whole):
            raise SystemExit(f"{page} has no mark '{name}'.")
        whole = place.sub(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", whole)  # type: ignore[misc]
    page.write_text(whole)
