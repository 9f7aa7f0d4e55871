"""`tabgen leaderboard`: build the site; bundle, check, verify and merge what goes into it; look at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tabgen.cli.rank import POLICY, PolicyName

if TYPE_CHECKING:
    from tabgen.leaderboard.check import Finding

app = typer.Typer(help="Publish runs as a site, and exchange them as bundles.", no_args_is_help=True)
BUNDLE = typer.Argument(..., help="A bundle (.zip), a board's results.jsonl, or a run folder.")
SOURCES = typer.Argument(..., help="Run folders, bundles, and boards' results.jsonl.")


@app.command()
def build(
    context: typer.Context,
    sources: list[Path] = SOURCES,
    output: Path = typer.Option(
        ..., "-o", "--output", help="Folder of the site: a new one, or that of an earlier site."
    ),
    title: str = typer.Option("Leaderboard", "--title", help="Heading of the site."),
    policy: PolicyName = POLICY,
    suite: str = typer.Option(
        None, "--suite", help="The suite, or folder, that the board is of: rows of other tables are left out."
    ),
    licence: str = typer.Option(None, "--licence", help="Licence of the rows, such as CC-BY-4.0: told on the site."),
    submit: str = typer.Option(None, "--submit", help="Web address to which others send their bundles."),
) -> None:
    """Build a static site: ranking, verdicts, a page per generator and dataset, and every row to download."""
    from tabgen.cli.listings import load
    from tabgen.experiment import find_suite
    from tabgen.leaderboard.site import build_site

    plugins = load(context)
    declared = None if suite is None else find_suite(suite, plugins)
    built = build_site(
        sources,
        output,
        plugins,
        title=title,
        policy=policy,
        suite=declared,
        licence=licence,
        submit=submit,
    )
    typer.echo(f"{built.rows:,} outcomes, {built.pages} pages: {output / 'index.html'}")


@app.command()
def bundle(
    context: typer.Context,
    run: Path = typer.Argument(..., help="A run folder."),
    output: Path = typer.Option(..., "-o", "--output", help="The bundle to write, a .zip file."),
) -> None:
    """Pack a run's rows for others: no code, no data, no pickles."""
    from tabgen.cli.listings import load
    from tabgen.leaderboard.bundle import write_bundle

    typer.echo(f"{write_bundle(run, output, load(context)):,} outcomes: {output}")


@app.command()
def check(context: typer.Context, bundle: Path = BUNDLE) -> None:
    """Judge a bundle without running anything: schema, keys, the grid, what cannot be true. Exit code 1: problems."""
    from tabgen.cli.listings import load
    from tabgen.leaderboard.bundle import load_rows
    from tabgen.leaderboard.check import check_rows

    rows = load_rows(bundle)
    findings = check_rows(rows, load(context))
    for finding in findings:
        typer.echo(_line(finding))
    problems = sum(finding.problem for finding in findings)
    typer.echo(f"{len(rows):,} rows: {'no problem' if not problems else f'{problems} kinds of problems'}.")
    if problems:
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    return f"{'problem' if finding.problem else 'notice'} ({finding.kind}): {finding.message}"


@app.command()
def verify(
    context: typer.Context,
    bundle: Path = BUNDLE,
    sample: int = typer.Option(5, "--sample", min=1, help="How many cells to run again."),
    seed: int = typer.Option(None, "--seed", min=0, help="Which cells; by default nobody can know beforehand."),
    suite: list[str] = typer.Option([], "--suite", help="A suite, or a folder, with the data; may be repeated."),
    tables: list[Path] = typer.Option(
        [], "--tables", help="A folder with synthetic tables that were made elsewhere; may be repeated."
    ),
    seconds: float = typer.Option(600.0, "--seconds", min=1, help="Wall time of a cell at most."),
    memory: float = typer.Option(6000.0, "--memory", min=300, help="Memory of a cell at most, in MB."),
) -> None:
    """Run random cells of a bundle again and compare their scores. Exit code 1: it is not verified."""
    import secrets

    from tabgen.cli.listings import load
    from tabgen.experiment import Limits, find_suite
    from tabgen.leaderboard.bundle import load_rows
    from tabgen.leaderboard.verify import Rerun, verify
    from tabgen.made_elsewhere import tables_by_hash

    def told(rerun: Rerun) -> None:
        typer.echo(f"{'reproduced' if rerun.reproduced else 'DIFFERS'}: {rerun.name}: {rerun.detail}")

    drawn_by = secrets.randbelow(2**32) if seed is None else seed
    limits = Limits(seconds, memory)
    rows, plugins = load_rows(bundle), load(context)
    suites = [find_suite(name, plugins) for name in suite]
    result = verify(
        rows,
        plugins,
        context.obj,
        sample=sample,
        seed=drawn_by,
        suites=suites,
        tables=tables_by_hash(tables),
        limits=limits,
        told=told,
    )
    for reason, count in sorted(result.out_of_reach.items()):
        typer.echo(f"not verified: {count:,} of {len(rows):,} rows cannot be run here: {reason}")
    for objection in result.objections():
        typer.echo(f"DIFFERS: {objection}")
    typer.echo(result.sentence())
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def merge(
    context: typer.Context,
    sources: list[Path] = SOURCES,
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the store that takes them in."),
) -> None:
    """Merge runs, and bundles that pass `check`, into one store. Exit code 1: rows that contradict each other."""
    from tabgen.cli.listings import load
    from tabgen.leaderboard.merge import merge
    from tabgen.outputs import check_folder

    check_folder(output)
    merged = merge(sources, output, load(context))
    for conflict in merged.conflicts:
        typer.echo(f"conflict: {conflict}")
    typer.echo(f"{merged.added:,} added, {merged.known:,} known, {len(merged.conflicts):,} conflicts: {output}")
    if merged.conflicts:
        raise typer.Exit(1)


@app.command()
def serve(
    site: Path = typer.Argument(..., help="A built site."),
    port: int = typer.Option(8000, "--port", min=0, max=65535, help="0: any free port."),
) -> None:
    """Serve a site to this machine alone, until Ctrl-C."""
    import contextlib

    from tabgen.leaderboard.serve import LOOPBACK, make_server

    with make_server(site, port) as server, contextlib.suppress(KeyboardInterrupt):
        typer.echo(f"http://{LOOPBACK}:{server.server_port}/ (Ctrl-C ends it)")
        server.serve_forever()
