"""The row of a leaderboard, typed and documented: what is published, and what a stranger's row must be."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tabgen.errors import DataError

SCHEMA_VERSION = 1
"""Raised whenever a column changes its meaning or goes; new columns leave it as it is."""

PRIVATE = ("path",)
"""Keys of an outcome that are not published: they say something of the machine and nothing of the result."""

MEASURED: dict[str, tuple[str, str]] = {
    r"(zero_shot|tuned)_(validation|test)_[a-z0-9_]+": (
        "number",
        "A score: before or after fine-tuning, on the validation or test rows, by this metric; null where undefined.",
    ),
    r"seconds_[a-z_]+": (
        "number",
        "Seconds of a phase; `seconds_total`: of the whole cell, with what the cache spared; `seconds_wall`: without.",
    ),
    r"(fidelity|privacy)_[a-z_]+": ("number", "How close the synthetic table is to the real one (docs/fidelity.md)."),
    r"[a-z]+_seconds": ("number", "Processor seconds of the cell; seconds that the cache spared; those of a step."),
    r"n_[a-z]+": ("number", "Counts: train, validation, test, synthetic rows; encoded columns."),
    r"curve_[a-z_]+": ("numbers", "One value per fine-tuning step, step 0 first."),
}
"""Families of columns, by pattern: whatever metrics and phases a run has, each column is typed."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(max_length=20_000)]


class Row(BaseModel):
    """One outcome: everything that decides a cell, how it ended, what was measured, and where."""

    model_config = ConfigDict(extra="allow", strict=True, title="tabgen leaderboard row")

    key: Sha256 = Field(description="SHA-256 of all that can change the scores; recomputed by `check`.")
    suite: Name = Field(description="The suite whose run this cell was part of.")
    dataset: Name = Field(description="The dataset's name in the suite.")
    target: Name = Field(description="The column predicted.")
    sha256: Sha256 | None = Field(description="Of the dataset's file.")
    kinds: dict[str, Any] = Field(description="Column kinds that the suite fixes.")
    fold: int = Field(ge=0, description="Which fold was the test part.")
    n_folds: int = Field(ge=2, le=1000, description="How many folds there are.")
    seed: int = Field(ge=0, lt=2**63, description="Seed of the split, the generator and the fine-tuning.")
    max_train_rows: int | None = Field(ge=1, description="Cap on training rows; null: none.")
    max_test_rows: int | None = Field(ge=1, description="Cap on test rows; null: none.")
    method: Name = Field(description="`generator[@mixing][:setting=value,...]`, or a baseline.")
    generator: Name | None = Field(description="Null for `zero-shot` and `real`.")
    plugin: Name | None = Field(description="The plugin that the generator comes from.")
    plugin_version: Name | None = Field(description="Its version, or `sha256:` of a one-file plugin.")
    mixing: Literal["none", "real", "replace", "augment"] = Field(
        description="What was fine-tuned on: nothing, real rows, synthetic rows, or both."
    )
    rows_of: Name | None = Field(None, description="The generator whose rows these are: itself, or one it shares with.")
    settings: dict[str, Any] = Field(description="All settings of the generator, defaults included.")
    ratio: float = Field(gt=0, le=1000, description="Synthetic rows per real training row.")
    model: Name = Field(description="The foundation model.")
    checkpoint: Name = Field(description="SHA-256 of the model's weights and configuration.")
    recipe: dict[str, Any] = Field(description="How it was fine-tuned.")
    limits: dict[str, Any] = Field(description="Seconds and megabytes that the cell could use.")
    protocol: int = Field(description="Version of the protocol (docs/protocol.md).")
    status: Literal["ok", "unsupported", "invalid_output", "error", "timeout", "out_of_memory", "crashed"] = Field(
        description="How the cell ended."
    )
    reason: Text = Field(description="Why, where it is not `ok`.")
    provenance: dict[str, Any] = Field(description="Versions, commit and hardware.")
    fidelity: bool | None = Field(None, description="Whether fidelity and privacy were to be measured.")
    log_tail: Text | None = Field(None, description="The end of what a failed cell printed.")
    split_hash: Text | None = Field(None, description="Hash of the rows of each part; equal for equal splits.")
    data_hash: Text | None = Field(None, description="Hash of the dataset's content.")
    synthetic_hash: Text | None = Field(None, description="Hash of the synthetic table, where there is one.")
    best_step: int | None = Field(None, ge=0, description="The step that was kept; 0: the model as it came.")
    steps: int | None = Field(None, ge=0, description="Fine-tuning steps that ran.")
    step_seconds: float | None = Field(None, ge=0, description="Seconds of one step.")
    peak_memory_mb: float | None = Field(None, ge=0, description="Peak memory of the cell's process.")
    notes: dict[str, Any] | None = Field(None, description="What the generator said of its fit.")

    @model_validator(mode="after")
    def _type_the_measurements(self) -> Row:
        for name, value in (self.model_extra or {}).items():
            family = next((kind for pattern, (kind, _) in MEASURED.items() if re.fullmatch(pattern, name)), None)
            if value is None or family is None:
                continue
            numbers = value if family == "numbers" else [value]
            if not isinstance(numbers, list) or not all(_is_number(number) for number in numbers):
                raise ValueError(f"'{name}' should be {'a list of numbers' if family == 'numbers' else 'a number'}")
        return self


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def columns() -> list[tuple[str, str, str]]:
    """Every column as (name or pattern, type, meaning), for people."""
    properties = Row.model_json_schema()["properties"]
    named = [(name, _type(what), str(what["description"])) for name, what in properties.items()]
    return named + [(f"/{pattern}/", kind, meaning) for pattern, (kind, meaning) in MEASURED.items()]


def _type(what: dict[str, Any]) -> str:
    kinds = [what] if "type" in what else what.get("anyOf", [])
    return " or ".join(str(kind["type"]) for kind in kinds)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a row, with its version and the families of measured columns."""
    schema: dict[str, Any] = Row.model_json_schema()
    number = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    numbers = {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}
    schema["patternProperties"] = {
        f"^{pattern}$": (numbers if kind == "numbers" else number) | {"description": meaning}
        for pattern, (kind, meaning) in MEASURED.items()
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


def parse_row(line: str, where: str) -> dict[str, Any]:
    """One line of JSON as a row, checked against the schema.

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
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the row"
        raise DataError(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}.") from error
    return row


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
        return value if math.isfinite(value) else refuse(digits)

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_float=finite)
        if "\\ud" in text.lower():
            json.dumps(data, ensure_ascii=False).encode()  # a surrogate without its other half is no text
        return data
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} cannot be read as JSON: {error}.") from error
