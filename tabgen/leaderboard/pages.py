"""What every page shares: autoescaping templates, numbers, file names and links that a stranger may have chosen."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from tabgen.statistics.records import WorthRecord

LONGEST_SLUG = 60


def make_environment(package: str = "tabgen.leaderboard") -> jinja2.Environment:
    """Templates of a package; everything is escaped, and an unknown variable is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "link": link,
        "slug": slug,
        "p_value": p_value,
        "worth": worth,
        "prose": prose,
    }
    return environment


def number(value: float | None, digits: int = 3, signed: bool = False) -> str:
    """A number for people; a dash where there is none."""
    if value is None or pd.isna(value):
        return "–"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def worth(record: WorthRecord | None) -> str:
    """Worth in percent of the real rows, marked where most cells lie beyond an end of the learning curve."""
    if record is None or pd.isna(record.share):
        return "–"
    side = {"": "", "<": "≤ ", ">": "≥ "}[record.beyond]
    return f"{side}{100 * record.share:.0f}"


def prose(text: str) -> Markup:
    """Text of a docstring for a page: what stands in backticks as code, everything else escaped."""
    parts = re.split(r"``(.+?)``|`(.+?)`", text)
    pairs = zip(parts[0::3], [*zip(parts[1::3], parts[2::3], strict=True), ("", "")], strict=True)
    code = Markup("<code>{}</code>")
    return Markup().join(
        escape(plain) + (code.format(double or single) if double or single else "") for plain, (double, single) in pairs
    )


def link(text: Any) -> str | None:
    """The text if it is a web address that a page may link to; no other scheme, no white space."""
    return text if isinstance(text, str) and re.fullmatch(r"https?://[^\s\"'<>\\]{1,500}", text) else None


def slug(name: str) -> str:
    """A file name for any name: lower-case letters, digits and hyphens; two names never share one by cleaning."""
    clean = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_SLUG]
    if clean and clean == name:
        return clean
    return f"{clean or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
