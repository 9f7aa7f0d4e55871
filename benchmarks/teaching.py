"""What each generator's rows teach, on `core`: read off the outcomes of the study, not measured again.

    python benchmarks/study/run.py -o runs/study --only field,gans && python benchmarks/study/read.py --keep runs/study
    python benchmarks/teaching.py            # read the outcomes that were kept: prints, and fills a page

The page is docs/generators/README.md. Every stored outcome has the figures of `tabgen.adequacy`. Folds are averaged
first, then tables. Whoever is at chance where the real rows teach the label is to be called untrained: cells that are
near chance and are not called so are counted too. `causalmix` has the rows of `scm`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from study.page import fill, table
from study.rows import read_rows

from tabgen.adequacy import LEARNABLE

HERE = Path(__file__).parent
ROWS, PAGE = HERE / "results" / "study", HERE.parent / "docs" / "generators" / "README.md"
CONTROLS = ("corrupted", "noise", "shuffled-labels", "real")
NEAR_CHANCE = 0.55


def outcomes() -> pd.DataFrame:
    """The cells that have the figures, of all methods but doses and controls known bad."""
    parts = [read_rows(ROWS / "field.parquet")]
    if (ROWS / "gans.parquet").exists():
        gans = read_rows(ROWS / "gans.parquet")
        parts.append(gans[gans["method"].isin(["ctgan", "tvae"])])
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["adequacy_tstr"].notna() & ~rows["method"].str.startswith(CONTROLS)]
    return rows.rename(columns=lambda name: name.removeprefix("adequacy_"))


def means(rows: pd.DataFrame) -> str:
    """One row a method, the best teacher first."""
    measures = ["tstr", "real", "within", "within_real", "class_distance"]
    by_table = rows.groupby(["method", "dataset"])[measures].mean()
    mean = by_table.groupby("method").mean().sort_values("tstr", ascending=False)
    learnable = rows[rows["real"] >= LEARNABLE]
    flagged = learnable.groupby("method")["untrained"].agg(["sum", "size"])
    unnamed = learnable[(learnable["tstr"] < NEAR_CHANCE) & (learnable["untrained"] == 0)].groupby("method").size()
    lines = [
        [
            f"`{method}`",
            *(f"{value:.3f}" for value in mean.loc[method, measures]),
            f"{flagged.loc[method, 'sum']:.0f} of {flagged.loc[method, 'size']}",
            str(unnamed.get(method, 0)),
        ]
        for method in mean.index
    ]
    head = "generator | TSTR | real | within | real | distance of class shares | untrained"
    return table(f"{head} | TSTR below {NEAR_CHANCE} and not called so", lines)


def tables_untrained(rows: pd.DataFrame) -> str:
    """On which tables a generator's rows were at chance; those of `independent` and `prior` are meant to be."""
    flagged = rows[(rows["untrained"] == 1) & ~rows["method"].isin(["independent", "prior"])]
    lines = [
        [f"`{method}`", ", ".join(f"{name} ({n})" for name, n in part.value_counts(sort=False).sort_index().items())]
        for method, part in flagged.groupby("method")["dataset"]
    ]
    return "\n".join(["| generator | tables (folds) |", "|---|---|", *(f"| {' | '.join(line)} |" for line in lines)])


def each_table(rows: pd.DataFrame) -> str:
    """TSTR of every method on every table."""
    wide = rows.pivot_table(index="dataset", columns="method", values="tstr")
    wide.insert(0, "real", rows.groupby("dataset")["real"].mean())
    lines = [[str(name), *(f"{value:.2f}" for value in values)] for name, *values in wide.itertuples()]
    return table(f"TSTR | {' | '.join(wide.columns)}", lines)


def main() -> None:
    """Print, and fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", action="store_true", help="print TSTR by table too")
    rows = outcomes()
    if parser.parse_args().each:
        print(each_table(rows))
    fill(PAGE, {"teaching": means(rows), "untrained": tables_untrained(rows)})


if __name__ == "__main__":
    main()
