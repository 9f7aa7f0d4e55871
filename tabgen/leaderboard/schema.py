"""The row of a leaderboard, typed and documented: what is published, and what a stranger's row must be."""

from __future__ import annotations

import json
import math
import re
from copy import deepcopy
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, Literal, NoReturn, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from tabgen.errors import DataError
from tabgen.jsonable import is_text
from tabgen.outcome import CELL_DEFAULTS, Cell, Result
from tabgen.text import clean

SCHEMA_VERSION = 1
"""Raised whenever a column changes its meaning or goes; new columns leave it as it is."""

MOST_DIGITS = 20
"""Of an integer; more are refused before they are read."""

PRIVATE = ("path", "rows_path")
"""Keys of an outcome that are not published: they say something of the machine and nothing of the result."""


@dataclass(frozen=True)
class Family:
    """Columns that measure one kind of thing.

    Attributes
    ----------
    called : str
        What people call them.
    kind : {"number", "numbers"}
    meaning : str
    bounds : (float, float)
        Between which every value lies; a score's bounds are those of its metric (``tabgen.metrics.BUILT_IN``).
    whole : bool
        Whether values are whole numbers.
    """

    called: str
    kind: Literal["number", "numbers"]
    meaning: str
    bounds: tuple[float, float] = (-math.inf, math.inf)
    whole: bool = False


MEASURED: dict[str, Family] = {
    r"(zero_shot|tuned|fixed(_[0-9]+)?|context|augmented)_(validation|test)_[a-z0-9_]+": Family(
        "STAGE_PART_METRIC, as context_test_roc_auc",
        "number",
        "A score: zero-shot, or of an arm (docs/protocol.md), on validation or test rows, by this metric; null: none.",
    ),
    r"seconds_[a-z_]+": Family(
        "seconds_PHASE",
        "number",
        "Seconds of a phase; `seconds_total`: of the whole cell, with what the cache spared; `seconds_wall`: without.",
        (0, math.inf),
    ),
    r"fidelity_(rows|columns)": Family(
        "fidelity_rows, fidelity_columns",
        "number",
        "How many rows and columns the measures of fidelity were taken on.",
        (1, math.inf),
        whole=True,
    ),
    r"adequacy_untrained": Family(
        "adequacy_untrained",
        "number",
        "1: the rows teach nothing of a label that the real rows teach well (docs/fidelity.md); else 0.",
        (0, 1),
        whole=True,
    ),
    r"(fidelity|privacy|adequacy)_[a-z_]+": Family(
        "fidelity_MEASURE, privacy_MEASURE, adequacy_MEASURE",
        "number",
        "Closeness of synthetic and real rows, and what they teach, each from 0 to 1 (docs/fidelity.md).",
        (0, 1),
    ),
    r"[a-z]+_seconds": Family(
        "WHAT_seconds",
        "number",
        "Processor seconds of the cell; seconds that the cache spared; those of a step.",
        (0, math.inf),
    ),
    r"worth_[a-z_]+_censored": Family(
        "worth_ARM_censored",
        "number",
        "-1: the score is below the curve that the worth is read off; 1: above it; else 0.",
        (-1, 1),
        whole=True,
    ),
    r"worth_[a-z_]+": Family(
        "worth_ARM_rows",
        "number",
        "Real rows that the rows are worth as context.",
        (1, math.inf),
    ),
    r"n_(train|validation|test)": Family(
        "n_train, n_validation, n_test", "number", "Real rows of each part.", (1, math.inf), whole=True
    ),
    r"n_[a-z]+": Family(
        "n_WHAT", "number", "Counts: synthetic rows, encoded columns, rows of a context.", (0, math.inf), whole=True
    ),
    r"curve_[a-z_]+": Family(
        "curve_PART", "numbers", "One value for each step at which held-out rows were predicted, 0 first."
    ),
    r"by_seed_[a-z0-9_]+": Family(
        "by_seed_SCORE", "numbers", "One value for each tuning seed; the score of that name is their mean."
    ),
}
"""Families of columns, by pattern, the first that fits: whatever metrics and phases a run has, each column is typed,
and what people compare has bounds that rows of strangers are held to."""


def _flat_fields() -> dict[str, Any]:
    """Fields of the flat row, as the cell and its result declare them: annotation and default by name."""
    found: dict[str, Any] = {}
    for kind in (Cell, Result):
        hints = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            if field.name in (*PRIVATE, "measured"):
                continue
            factory = None if field.default_factory is MISSING else Field(default_factory=field.default_factory)
            default = field.default if field.default is not MISSING else factory or ...
            found[field.name] = (hints[field.name], default)
    where = Annotated[dict[str, Any], Field(description="Day, versions, commit and hardware.")]
    return found | {"provenance": (where, ...)}


@lru_cache(maxsize=5000)
def family_of(name: str) -> Family | None:
    """What a column measures; None if its name is of no family."""
    return next((family for pattern, family in MEASURED.items() if re.fullmatch(pattern, name)), None)


NUMBERS = {int, float, type(None)}
"""Types of measured numbers as JSON has them, null included; a boolean is none."""


class _Checked(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, title="tabgen leaderboard row")

    @model_validator(mode="after")
    def _type_the_measurements(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            family = family_of(name)
            if value is None or family is None:
                continue
            several = family.kind == "numbers"
            numbers = value if several else [value]
            if not isinstance(numbers, list) or not set(map(type, numbers)) <= NUMBERS:
                raise ValueError(f"'{name[:60]}' should be {'a list of numbers' if several else 'a number'}")
        return self


Row = create_model("Row", __base__=_Checked, __doc__="One outcome in its flat form.", **_flat_fields())


def columns() -> list[tuple[str, str, str]]:
    """Every column as (name, or how the names of a family are made, type, meaning), for people."""
    properties = Row.model_json_schema()["properties"]
    named = [(name, _type(what), str(what["description"])) for name, what in properties.items()]
    return named + [(family.called, family.kind, family.meaning) for family in MEASURED.values()]


def _type(what: dict[str, Any]) -> str:
    kinds = [what] if "type" in what else what.get("anyOf", [])
    return " or ".join(str(kind["type"]) for kind in kinds)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a row, with its version and the families of measured columns."""
    schema: dict[str, Any] = Row.model_json_schema()
    number = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    numbers = {"anyOf": [{"type": "array", "items": number}, {"type": "null"}]}
    schema["patternProperties"] = {
        f"^{pattern}$": (numbers if family.kind == "numbers" else number) | {"description": family.meaning}
        for pattern, family in MEASURED.items()
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "version": SCHEMA_VERSION} | schema


def published(outcome: dict[str, Any]) -> dict[str, Any]:
    """An outcome as it is published: without `PRIVATE` keys, and with null where a number is not finite."""
    plain: dict[str, Any] = _finite({key: value for key, value in outcome.items() if key not in PRIVATE})
    return plain


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


BY_DEFAULT = {
    **{name: list(v) if isinstance(v, tuple) else v for name, v in CELL_DEFAULTS.items() if name not in PRIVATE},
    "reason": "",
}
"""What a row lacks, as JSON has it."""


def parse_row(line: str, where: str) -> dict[str, Any]:
    """One line of JSON as a row, checked against the schema; what it need not tell of its cell is there by default.

    Raises
    ------
    DataError
        Naming the line and what is wrong with it.
    """
    row = strict_json(line, where)
    if not isinstance(row, dict):
        raise DataError(f"{where} should be a JSON object, not {type(row).__name__}.")
    try:
        Row.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = clean(".".join(map(str, first["loc"])), 60) or "the row"
        raise DataError(f"{where}: {place}: {clean(first['msg'].removeprefix('Value error, '), 200)}.") from error
    return {name: deepcopy(value) for name, value in BY_DEFAULT.items() if name not in row} | row


def strict_json(text: str, where: str) -> Any:
    """JSON without what different readers read differently: repeated keys, NaN, infinities, halves of characters.

    Raises
    ------
    DataError
        Naming the text by ``where``.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    def finite(digits: str) -> float:
        value = float(digits)
        return value if math.isfinite(value) else refuse(digits[:40])

    def whole(digits: str) -> int:
        return int(digits) if len(digits) <= MOST_DIGITS else refuse(f"{digits[:10]}... of {len(digits):,} digits")

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_int=whole)
        if not _is_finite(data):
            json.loads(text, parse_float=finite)  # which one: to be asked of every number, this is slow
        if ("\\ud" in text or "\\uD" in text) and not is_text(data):
            raise ValueError("a text holds half of a character")
        return data
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} cannot be read as JSON: {error}.") from error


def _is_finite(data: Any) -> bool:
    """Whether no number in JSON data, such as 1e999, has become infinite; a curve is asked as a whole."""
    if isinstance(data, float):
        return math.isfinite(data)
    if not isinstance(data, dict | list):
        return True
    values = data.values() if isinstance(data, dict) else data
    types = set(map(type, values))
    if float in types and (math.inf in values or -math.inf in values):
        return False
    return not types & {dict, list} or all(_is_finite(value) for value in values if isinstance(value, dict | list))
