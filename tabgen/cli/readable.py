"""Help that says what a flag takes in words, for every command: METHOD,... in place of a type."""

from __future__ import annotations

from functools import partial
from typing import Any

from typer.core import TyperGroup

PLACEHOLDERS = {
    "alpha": "SHARE",
    "arm": "ARM",
    "arms": "ARM,...",
    "cache_limit": "MB",
    "contrasts": "A/B,...",
    "data": "FILE",
    "decimal": "CHARACTER",
    "delimiter": "CHARACTER",
    "encoding": "NAME",
    "engine": "NAME",
    "max_test_rows": "ROWS",
    "max_train_rows": "ROWS",
    "draws": "NUMBER",
    "folds": "NUMBER",
    "gpus": "NUMBER",
    "memory": "MB",
    "methods": "METHOD,...",
    "metric": "METRIC",
    "mixing": "MIXING,...",
    "model": "NAME",
    "output": "PATH",
    "phase_seconds": "PHASE=SECONDS,...",
    "policy": "POLICY",
    "preset": "NAME",
    "recipe": "RECIPE,...",
    "region": "POINTS",
    "retry": "STATUS,...",
    "rows": "ROWS",
    "seconds": "SECONDS",
    "seed": "NUMBER",
    "seeds": "NUMBER",
    "setting": "NAME=VALUE",
    "shard": "i/n",
    "suite": "NAME",
    "target": "COLUMN",
    "threads": "NUMBER",
    "tuning_seeds": "NUMBER",
    "workers": "NUMBER",
    "time": "HH:MM:SS",
}
"""What a parameter of this name takes, where its command does not say it; any other takes what it is called."""


def _nothing(ctx: Any) -> str | None:  # noqa: ARG001 - Typer's
    return None


def _named(get_params: Any, ctx: Any) -> list[Any]:
    """The parameters of a command, each with words for what it takes; a flag takes nothing."""
    parameters: list[Any] = get_params(ctx)
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = _nothing  # its name stands before it already
        elif parameter.metavar is None:
            flag = getattr(parameter, "is_flag", False)
            parameter.metavar = "" if flag else PLACEHOLDERS.get(parameter.name, parameter.name.upper())
    return parameters


def make_readable(command: Any) -> Any:
    """Have a command, and the commands in it, name their parameters so."""
    if not isinstance(command.get_params, partial):
        command.get_params = partial(_named, command.get_params)
    for inner in getattr(command, "commands", {}).values():
        make_readable(inner)
    return command


class ReadableGroup(TyperGroup):
    """A group that names its parameters, and those of its commands, in words."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _named(super().get_params, ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        return command if command is None else make_readable(command)
