"""`tabgen plugins`: what plugins there are, and the environments that some of them need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tabgen.cli.listings import AS_JSON, load, show

if TYPE_CHECKING:
    from tabgen.plugins import Plugin, Plugins

app = typer.Typer(help="List the plugins; build and remove the environments that some of them need.")


@app.callback(invoke_without_command=True)
def list_plugins(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the plugins: where they come from, their licence and environment, and the error of any that is broken.

    Some generators run with packages of their own, in an environment that `install` builds.
    """
    if context.invoked_subcommand:
        return
    plugins = load(context)
    rows = []
    for plugin in plugins.plugins:
        offers = {
            kind: sorted(name for name in registry if registry.plugin_of(name) is plugin)
            for kind, registry in _registries(plugins).items()
        }
        environments = _environments(plugin, plugins)
        rows.append(
            {
                "name": plugin.name,
                "version": plugin.version,
                "licence": plugin.licence,
                "source": plugin.source,
                "offers": ", ".join(name for names in offers.values() for name in names),
                **offers,
                "environments": environments,
                "environment": ", ".join("built" if each["folder"] else "not built" for each in environments),
                "status": "broken" if plugin.error else "ok",
                "error": plugin.error,
            }
        )
    show(rows, ["name", "version", "status", "offers", "licence", "environment"], as_json, "plugins")


def _registries(plugins: Plugins) -> dict[str, Any]:
    return {
        "generators": plugins.generators,
        "models": plugins.models,
        "suites": plugins.suites,
        "metrics": plugins.metrics,
        "engines": plugins.engines,
    }


def _environments(plugin: Plugin, plugins: Plugins) -> list[dict[str, Any]]:
    """The environments that a plugin asks for, with where they lie and what was resolved if they are built."""
    from tabgen.host.environments import environments_of, state_of

    rows = []
    for environment, generators in environments_of(plugin.name, plugins).items():
        built = state_of(plugin.name, environment)
        rows.append(
            {
                "generators": generators,
                "requirements": list(environment.requirements),
                "python": environment.python or None,
                "folder": str(built.folder) if built else None,
                "lock": built.sha256 if built else None,
                "packages": list(built.packages) if built else None,
                "megabytes": built.megabytes if built else None,
            }
        )
    return rows


@app.command()
def install(
    context: typer.Context,
    name: str = typer.Argument(..., help="A plugin, or one of its generators."),
    lock: Path = typer.Option(None, "--lock", help="Install exactly the versions of this lock.txt of another machine."),
    rebuild: bool = typer.Option(False, "--rebuild", help="Build anew what is there; no run may be using it."),
) -> None:
    """Build the environments that a plugin's generators run in: with uv where it is installed, else venv and pip."""
    import time

    from rich.console import Console
    from rich.markup import escape

    from tabgen.errors import PluginError
    from tabgen.host import environments

    plugins = load(context)
    plugin = environments.find_plugin(name, plugins)
    assert plugin.origin is not None
    wanted = environments.environments_of(plugin.name, plugins)
    if lock and len(wanted) > 1:
        raise PluginError(f"'{plugin.name}' has {len(wanted)} environments, and a lock is of one.")
    console = Console(markup=False)
    for environment, generators in wanted.items():
        there = environments.state_of(plugin.name, environment)
        if there and not rebuild:
            console.print(f"{', '.join(generators)}: is there, {there.folder}", soft_wrap=True, highlight=False)
            continue
        began = time.monotonic()
        with console.status(f"building the environment of {plugin.name}") as status:

            def told(line: str, status: Any = status, began: float = began) -> None:
                status.update(f"{time.monotonic() - began:.0f} s: {escape(line[:100])}")

            folder = environments.install(plugin.origin, environment, told, lock)
        built = environments.state_of(plugin.name, environment)
        assert built is not None
        console.print(
            f"{', '.join(generators)}: built in {time.monotonic() - began:.0f} s, {len(built.packages) - 1} packages,"
            f" {built.megabytes:.0f} MB: {folder}",
            soft_wrap=True,
            highlight=False,
        )


@app.command("list")
def list_environments(context: typer.Context, as_json: bool = AS_JSON) -> None:
    """List the environments that were built, and whether a plugin that is installed runs in them."""
    from tabgen.host import environments

    plugins = load(context)
    used = {
        environments.folder_of(plugin.name, environment): generators
        for plugin in plugins.plugins
        for environment, generators in environments.environments_of(plugin.name, plugins).items()
    }
    rows = [
        {
            "plugin": built.plugin,
            "generators": ", ".join(used.get(built.folder, [])) or "none",
            "python": built.packages[0].partition("==")[2],
            "packages": len(built.packages) - 1,
            "MB": built.megabytes,
            "lock": built.sha256[:12],
            "folder": str(built.folder),
        }
        for built in environments.listing()
    ]
    show(rows, ["plugin", "generators", "python", "packages", "MB", "lock", "folder"], as_json, "environments")


@app.command()
def remove(name: str = typer.Argument(..., help="A plugin; it may be uninstalled already.")) -> None:
    """Remove the environments of a plugin, those of its earlier requirements too."""
    from tabgen.errors import UnknownNameError
    from tabgen.host import environments

    names = {built.plugin for built in environments.listing()}
    found = name if name in names else name.removeprefix("tabgen-")
    if found not in names:
        raise UnknownNameError("environment's plugin", name, names)
    for folder in environments.remove(found):
        typer.echo(f"removed {folder}")
