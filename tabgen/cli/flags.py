"""Flags that are fields of an experiment, as they are typed: shared by `run` and `plan`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from tabgen.errors import ExperimentError

OF_A_TABLE = ("suite", "data", "target", "kinds", "drop", "reading")


def split_methods(text: str) -> list[str]:
    """Method names at the commas; the settings of one method are parted by semicolons."""
    return [part.replace(";", ",") for part in split_words(text)]


def split_words(text: str) -> list[str]:
    """The words of a comma-separated flag."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _limits(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in split_words(text))


READ: dict[str, Callable[[str], Any]] = {
    "methods": split_methods,
    "mixing": split_words,
    "arms": split_words,
    "recipe": split_methods,
    "max_train_rows": split_words,
    "phase_seconds": _limits,
}
"""How the text of a flag becomes the value of the experiment's field; other flags are the value."""


def presets_like(incomplete: str) -> list[str]:
    """Presets that a shell may complete this to."""
    from tabgen.spec import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


def on_command_line(context: typer.Context, name: str) -> bool:
    """Whether a flag was typed: one that was not must not override a file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def given_fields(context: typer.Context, **flags: Any) -> dict[str, Any]:
    """The fields of an experiment that stand on the command line, of these flags."""
    return {
        name: READ[name](value) if name in READ else value
        for name, value in flags.items()
        if on_command_line(context, name)
    }


def read_values(experiment_file: Path | None, preset: str, given: dict[str, Any]) -> dict[str, Any]:
    """The values of the file or the preset, if one is named, under the flags that are given."""
    from tabgen.spec import read_preset, read_spec

    if experiment_file and preset:
        raise ExperimentError("name an experiment file or a --preset, not both.")
    values = read_spec(experiment_file) if experiment_file else read_preset(preset) if preset else {}
    if {"suite", "data"} & set(given):  # another source of tables takes the file's place
        values = {key: value for key, value in values.items() if key not in OF_A_TABLE}
    return values | given
