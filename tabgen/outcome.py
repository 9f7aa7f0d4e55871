"""What a cell is: as planned (``Cell``), as computed (``Result``), as stored (``Outcome``), and what identifies it.

On disk, in bundles and in data frames an outcome is one flat JSON object: the fields of the cell, those of the result
with its measurements beside them, and ``provenance``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from tabgen.arms import ARMS, tunes
from tabgen.text import MOST_LOG, clean, kept_notes, one_line

PROTOCOL_VERSION = 7
"""Raised whenever the same cell would get another score for a reason that is not in its key."""

Status = Literal["ok", "unsupported", "invalid_output", "error", "timeout", "out_of_memory", "crashed"]
STATUSES: tuple[Status, ...] = get_args(Status)
RETRYABLE: tuple[Status, ...] = ("error", "timeout", "out_of_memory", "crashed")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(max_length=4000)]
Mixing = Literal["none", "real", "replace", "augment"]


@dataclass(frozen=True)
class Cell:
    """One (dataset, fold, method, seed) of an experiment, complete in itself: any process can run it."""

    key: Annotated[Sha256, Field(description="SHA-256 of all that can change the scores; recomputed by `check`.")]
    suite: Annotated[Name, Field(description="The suite whose run this cell was part of.")]
    dataset: Annotated[Name, Field(description="The dataset's name in the suite.")]
    target: Annotated[Name, Field(description="The column predicted.")]
    sha256: Annotated[Sha256 | None, Field(description="Of the dataset's file.")]
    kinds: Annotated[dict[str, Any], Field(description="Column kinds that the suite fixes.")]
    fold: Annotated[int, Field(ge=0, lt=1000, description="Which fold was the test part.")]
    n_folds: Annotated[int, Field(ge=2, le=1000, description="How many folds there are.")]
    seed: Annotated[int, Field(ge=0, lt=2**40, description="Seed of the split, the generator and the fine-tuning.")]
    max_train_rows: Annotated[int | None, Field(ge=1, lt=2**53, description="Cap on training rows; null: none.")]
    max_test_rows: Annotated[int | None, Field(ge=1, lt=2**53, description="Cap on test rows; null: none.")]
    method: Annotated[Name, Field(description="`generator[@mixing][:setting=value,...]`, or a baseline.")]
    generator: Annotated[Name | None, Field(description="Null for `zero-shot` and `real`.")]
    plugin: Annotated[Name | None, Field(description="The plugin that the generator comes from.")]
    plugin_version: Annotated[
        Name | None, Field(description="Its version and the hash of its code, or `sha256:` of a one-file plugin.")
    ]
    mixing: Annotated[Mixing, Field(description="What was fine-tuned on: nothing, real rows, synthetic rows, or both.")]
    settings: Annotated[dict[str, Any], Field(description="All settings of the generator, defaults included.")]
    ratio: Annotated[float, Field(gt=0, le=1000, description="Synthetic rows per real training row.")]
    model: Annotated[Name, Field(description="The foundation model.")]
    checkpoint: Annotated[Name, Field(description="SHA-256 of the model's weights and configuration.")]
    recipe: Annotated[dict[str, Any], Field(description="How it was fine-tuned.")]
    limits: Annotated[dict[str, Any], Field(description="Seconds and megabytes that the cell could use.")]
    protocol: Annotated[int, Field(ge=0, lt=2**31, description="Version of the protocol (docs/protocol.md).")]
    rows_of: Annotated[
        Name | None, Field(description="The generator whose rows these are: itself, or one it shares with.")
    ] = None
    draw: Annotated[
        int, Field(ge=0, lt=2**31, description="Which fit and draw of the generator on this split; 0: the first.")
    ] = 0
    tuning_seeds: Annotated[
        int, Field(ge=1, le=100, description="How often the model was fine-tuned, each time with another seed.")
    ] = 1
    arms: Annotated[list[Name], Field(description="The uses of the synthetic rows that were measured.")] = field(
        default_factory=lambda: ["fine-tune"]
    )
    environment: Annotated[
        Sha256 | None, Field(description="Of the locked versions of the generator's own environment, if it has one.")
    ] = None
    text: Annotated[
        Literal["nearest", "leave-out"],
        Field(description="Where texts of synthetic rows come from if the generator takes none."),
    ] = "nearest"
    reading: Annotated[dict[str, Any], Field(description="How the file was read, where that had to be told.")] = field(
        default_factory=dict
    )
    fidelity: Annotated[bool | None, Field(description="Whether fidelity and privacy were to be measured.")] = True
    rows_sha256: Annotated[
        Sha256 | None, Field(description="Of the file with the synthetic rows, where they were made elsewhere.")
    ] = None
    tune: Annotated[
        dict[str, Any] | None,
        Field(description="How the generator's settings were searched: trials, seconds (0: no limit), space."),
    ] = None
    model_plugin_version: Annotated[
        Name | None,
        Field(description="As `plugin_version`, of the plugin that the model comes from; null: none, or not told."),
    ] = None
    path: Annotated[str, Field(description="Where the dataset's file lies; never published.")] = ""
    rows_path: Annotated[str, Field(description="Where the file with the synthetic rows lies; never published.")] = ""

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in CELL_FIELDS}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Cell:
        """The cell of a flat row; what is not its own is passed over, what is optional may lack."""
        return cls(**{name: row[name] for name in CELL_FIELDS if name in row})


@dataclass(frozen=True)
class Result:
    """What an engine has to say of a cell. Text is cleaned here, where it enters.

    Attributes
    ----------
    measured : dict
        Scores (``{stage}_{split}_{metric}``), ``seconds_<phase>``, fidelity and privacy, counts (``n_``) and curves
        by name: numbers, None where one is undefined, or lists of numbers.
    """

    status: Annotated[Status, Field(description="How the cell ended.")]
    reason: Annotated[Text, Field(description="Why, where it is not `ok`.")] = ""
    log_tail: Annotated[Text | None, Field(description="The end of what a failed cell printed.")] = None
    device: Annotated[Name | None, Field(description="What it computed on: cpu or cuda.")] = None
    split_hash: Annotated[Text | None, Field(description="Hash of the rows of each part; equal for equal splits.")] = (
        None
    )
    data_hash: Annotated[Text | None, Field(description="Hash of the dataset's content.")] = None
    synthetic_hash: Annotated[Text | None, Field(description="Hash of the synthetic table, where there is one.")] = None
    best_step: Annotated[
        int | None, Field(ge=0, lt=2**31, description="The step that was kept; 0: the model as it came.")
    ] = None
    steps: Annotated[int | None, Field(ge=0, lt=2**31, description="Fine-tuning steps that ran.")] = None
    step_seconds: Annotated[float | None, Field(ge=0, description="Seconds of one step.")] = None
    peak_memory_mb: Annotated[
        float | None, Field(ge=0, description="Peak memory of the larger of the cell's processes.")
    ] = None
    cached_synthetic: Annotated[bool | None, Field(description="Whether all rows came from the run's cache.")] = None
    cached_zero_shot: Annotated[bool | None, Field(description="Whether the zero-shot scores did.")] = None
    attempts: Annotated[int | None, Field(ge=1, lt=1000, description="How often the cell was started.")] = None
    notes: Annotated[dict[str, Any] | None, Field(description="What the generator said of its fit.")] = None
    provenance: Annotated[
        dict[str, Any] | None, Field(description="Where it was computed, if not where the store is written.")
    ] = None
    measured: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(self.reason))
        if self.log_tail is not None:
            object.__setattr__(self, "log_tail", clean(self.log_tail[-MOST_LOG:]))
        if self.notes is not None:
            object.__setattr__(self, "notes", kept_notes(self.notes))

    def to_dict(self) -> dict[str, Any]:
        """The flat form: measurements beside the fields, fields without a value left out."""
        own = {name: getattr(self, name) for name in RESULT_FIELDS}
        return self.measured | {name: value for name, value in own.items() if value is not None}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Result:
        """The result of a flat row, or of what an engine answered; an unknown status becomes ``error``."""
        foreign = {*CELL_FIELDS, *RESULT_FIELDS}
        own = {name: row[name] for name in RESULT_FIELDS if name in row}
        status = own.get("status")
        if status not in STATUSES:
            said = f": {own['reason']}" if own.get("reason") else ""
            own |= {"status": "error", "reason": f"the engine answered with the unknown status {status!r:.60}{said}"}
        return cls(**own, measured={name: value for name, value in row.items() if name not in foreign})


@dataclass(frozen=True)
class Outcome:
    """The one row that a cell ends as: what was planned, what came out, and where."""

    cell: Cell
    result: Result
    provenance: dict[str, Any]

    @property
    def key(self) -> str:
        return self.cell.key

    @property
    def status(self) -> Status:
        return self.result.status

    def to_dict(self) -> dict[str, Any]:
        """The flat form; the plan's fields win over anything that was computed."""
        return self.result.to_dict() | {"provenance": self.provenance} | self.cell.to_dict()

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Outcome:
        return cls(Cell.from_dict(row), Result.from_dict(row), dict(row.get("provenance") or {}))


CELL_FIELDS = tuple(f.name for f in fields(Cell))
CELL_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Cell) if f.default is not MISSING} | {
    f.name: f.default_factory() for f in fields(Cell) if f.default_factory is not MISSING
}
"""The fields that a row may lack, as rows of earlier stores do, and what they then are."""
RESULT_FIELDS = tuple(f.name for f in fields(Result) if f.name != "measured")
"""What stands in the flat form under its own name."""

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)

NAMING = ("name", "source")
"""Fields of a recipe that change no score."""


def canonical_json(data: Any) -> str:
    return _CANONICAL.encode(data)


def hash_of(data: Any) -> str:
    """SHA-256 of the canonical JSON of ``data``."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def split_identity(cell: Cell) -> dict[str, Any]:
    """What decides which rows a cell trains and is scored on."""
    return {
        "data": {"sha256": cell.sha256, "target": cell.target, "kinds": cell.kinds, "reading": cell.reading},
        "fold": cell.fold,
        "n_folds": cell.n_folds,
        "seed": cell.seed,
        "max_train_rows": cell.max_train_rows,
        "max_test_rows": cell.max_test_rows,
        "protocol": cell.protocol,
    }


def model_identity(cell: Cell) -> dict[str, Any]:
    """What decides how the model predicts as it comes: its weights, and the code of the plugin it comes from."""
    return {"checkpoint": cell.checkpoint} | model_code(cell)


def model_code(cell: Cell) -> dict[str, Any]:
    """Which code a model of a plugin consists of; for models of tabgen the protocol stands for that."""
    if cell.model_plugin_version is None:
        return {}
    return {"model": cell.model, "model_plugin_version": cell.model_plugin_version}


def rows_identity(cell: Cell) -> dict[str, Any]:
    """What decides, for one training table and seed, which synthetic rows a cell draws: all but how many."""
    return (
        {
            "rows_of": cell.rows_of,
            "plugin": cell.plugin,
            "plugin_version": cell.plugin_version,
            "settings": cell.settings,
            "draw": cell.draw,
            "text": cell.text,
        }
        | _environment(cell)
        | _made_elsewhere(cell)
        | _tuned(cell)
    )


def rows_key(cell: Cell) -> str | None:
    """The same for cells that draw from one fit, so that one need not wait for what the other makes; or None."""
    return None if cell.generator is None else hash_of(split_identity(cell) | rows_identity(cell))


def curve_key(cell: Cell) -> str | None:
    """The same for cells whose rows are held against one learning curve, of a fold and a model; or None."""
    if cell.generator is None or all(ARMS[name].tunes for name in cell.arms):
        return None
    return hash_of(split_identity(cell) | model_identity(cell))


def method_identity(cell: Cell) -> dict[str, Any]:
    """What decides which synthetic rows a cell draws and how it mixes them with real ones."""
    if cell.generator is None:
        return {"mixing": cell.mixing}
    return {
        "generator": cell.generator,
        "plugin": cell.plugin,
        "mixing": cell.mixing,
        "settings": cell.settings,
        "ratio": cell.ratio,
        "version": cell.plugin_version,
        "text": cell.text,
        **_environment(cell),
        **_tuned(cell),
    }


def _environment(cell: Cell) -> dict[str, Any]:
    return {} if cell.environment is None else {"environment": cell.environment}


def _made_elsewhere(cell: Cell) -> dict[str, Any]:
    return {} if cell.rows_sha256 is None else {"rows_sha256": cell.rows_sha256}


def _tuned(cell: Cell) -> dict[str, Any]:
    return {} if cell.tune is None else {"tune": cell.tune}


def recipe_content(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What of a recipe can change a score."""
    return {name: value for name, value in recipe.items() if name not in NAMING}


def key_of(cell: Cell) -> str:
    """The key of a planned cell: SHA-256 of all that can change its scores."""
    return hash_of(
        split_identity(cell)
        | {
            "method": method_identity(cell),
            "draw": cell.draw,
            "arms": sorted(cell.arms),
            "recipe": recipe_content(cell.recipe) if cell.mixing != "none" and tunes(cell.arms) else None,
            "tuning_seeds": cell.tuning_seeds,
        }
        | model_identity(cell)
        | _made_elsewhere(cell)
    )
