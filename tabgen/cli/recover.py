"""`tabgen recover`: the outcomes that a damaged store still holds, in a new one."""

from __future__ import annotations

from pathlib import Path

import typer

from tabgen.errors import StoreError


def recover(
    folder: Path = typer.Argument(..., help="The run's folder, whose outcomes.sqlite is damaged."),
    output: Path = typer.Option(..., "-o", "--output", help="A new folder for what can be saved."),
) -> None:
    """Save the outcomes that a truncated or damaged store still holds; the store itself is left as it is.

    `tabgen run ... -o NEW` then computes what was lost, and nothing else.
    """
    from tabgen.outcome import Outcome
    from tabgen.outputs import check_folder
    from tabgen.store import FILE, Store
    from tabgen.store import recover as read

    check_folder(output)
    if (output / FILE).exists():
        raise StoreError(f"{output} holds a run already; name a new folder.")
    outcomes, unreadable = read(folder)
    if not outcomes:
        raise StoreError(f"no outcome can be read in {folder / FILE}.")
    with Store(output, write=True) as store:
        for outcome in outcomes:
            store.add(Outcome.from_dict(outcome))
    lost = " Parts of the file cannot be read." if unreadable else ""
    typer.echo(f"{len(outcomes)} outcomes saved in {output}.{lost} `tabgen run ... -o {output}` computes the rest.")
