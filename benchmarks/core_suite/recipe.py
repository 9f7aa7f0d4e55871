"""What a recipe says of a table, and the steps that several recipes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from .sources import Source, read_delimited, read_rdataset

Raw: TypeAlias = pd.DataFrame
Codes: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """How one table of the suite is made.

    `rename` maps raw names (others become snake_case); all other fields use the new names. Columns not named in
    `categories`, `plain_categories` or `booleans` are numbers: `integer` when every value is whole, else `numeric`
    (`numeric` forces the latter). `booleans` maps a column to its raw (false, true) values.
    """

    name: str
    title: str
    domain: str
    source: Source
    path: str
    read: Callable[[str], Raw]
    target: str
    classes: Codes
    origin: str
    citation: str
    rename: Codes = field(default_factory=dict)
    prepare: Callable[[Raw], Raw] | None = None
    categories: Mapping[str, Codes] = field(default_factory=dict)
    plain_categories: str = ""
    booleans: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    numeric: str = ""
    dropped: Codes = field(default_factory=dict)
    note: str = ""
    quick: bool = False


def uci(number: int, slug: str) -> str:
    return f"https://archive.ics.uci.edu/dataset/{number}/{slug}"


def same(*labels: str) -> dict[str, str]:
    """A code table whose codes are already readable."""
    return {label: label for label in labels}


def all_boolean(columns: str, values: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(columns.split(), values)


def keep_classes(target: str, *codes: str) -> Callable[[Raw], Raw]:
    """Keep the rows whose raw class is one of `codes`."""
    return lambda raw: raw[raw[target].isin(codes)]


def ring_groups(raw: Raw) -> Raw:
    rings = raw["rings"].astype(int)
    return raw.assign(age_group=np.select([rings <= 8, rings <= 10], ["1-8", "9-10"], "11+"))


def heart_disease_presence(raw: Raw) -> Raw:
    return raw.assign(heart_disease=np.where(raw["num"].astype(float) > 0, "present", "absent"))


def any_c_class_flare(raw: Raw) -> Raw:
    return raw.assign(c_class_flare=np.where(raw["c_class_count"].astype(int) > 0, "at_least_one", "none"))


def known_sex(raw: Raw) -> Raw:
    return raw[raw["sex"].notna()]


def arrival_lateness(flights: Raw) -> Raw:
    """Join the weather at the scheduled hour of departure, label late arrivals, draw a stratified sample."""
    keys = ["origin", "month", "day", "hour"]
    weather = read_rdataset("nycflights13/weather").drop(columns=["year", "time_hour"])
    weather = weather.drop_duplicates(keys)  # one hour occurs twice, when daylight saving time ends
    flights = flights[flights["arr_delay"].notna()].merge(weather, on=keys, how="left", validate="many_to_one")
    late = flights["arr_delay"].astype(float) >= 15
    flights = flights.assign(
        arrival=np.where(late, "late", "on_time"),
        weekday=pd.to_datetime(flights[["year", "month", "day"]].astype(int)).dt.day_name(),
    )
    return stratified_sample(flights, "arrival", rows=5000, seed=20240101)


def stratified_sample(raw: Raw, target: str, rows: int, seed: int) -> Raw:
    """`rows` rows with the class shares of the whole, in their original order."""
    random = np.random.default_rng(seed)
    share = rows / len(raw)
    chosen: list[int] = []
    for _, members in sorted(raw.groupby(target).indices.items()):
        chosen.extend(random.choice(members, size=round(share * len(members)), replace=False))
    return raw.iloc[sorted(chosen)]


def read_vehicle(folder: str) -> Raw:
    """The nine parts of the silhouettes table."""
    names = (
        "compactness circularity distance_circularity radius_ratio pr_axis_aspect_ratio max_length_aspect_ratio "
        "scatter_ratio elongatedness pr_axis_rectangularity max_length_rectangularity scaled_variance_major "
        "scaled_variance_minor scaled_radius_of_gyration skewness_major skewness_minor kurtosis_minor kurtosis_major "
        "hollows_ratio vehicle"
    )
    parts = [read_delimited(f"{folder}/xa{letter}.dat.txt", names, None) for letter in "abcdefghi"]
    return pd.concat(parts, ignore_index=True)
