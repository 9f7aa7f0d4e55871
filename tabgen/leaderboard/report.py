"""report.html: one run's ranking, verdicts and figures in a file that opens from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from tabgen.environment import PACKAGES
from tabgen.leaderboard import figures
from tabgen.leaderboard.pages import make_environment
from tabgen.results import closeness, gains_by_regime, has_scores, load_results, reasons, regime_name, regimes
from tabgen.statistics import Ranking

FIGURES = (
    (
        "Ranks",
        figures.critical_difference_diagram,
        "Mean rank of each method over the datasets. Best on the left; a bar joins methods that cannot be told apart.",
    ),
    (
        "Gains per dataset",
        figures.gains_per_dataset,
        "Gain over zero-shot on each dataset, mean over folds; the line spans the folds.",
    ),
    ("Duels", figures.duel_heat_map, "Datasets on which the row's method beat, tied with or lost to the column's."),
    (
        "Validation against test",
        figures.validation_against_test,
        "Below the diagonal, validation gained more than test: the kept step flatters the method.",
    ),
    ("Score against time", figures.score_against_seconds, "Median gain against median seconds of a cell."),
)


CURVES = (
    "Log-loss of validation rows and of up to 300 test rows after every step, less that of zero-shot: below zero is"
    " better. Only the validation rows decide which step is kept."
)


def write_report(folder: Path, rankings: dict[int | None, Ranking]) -> Path:
    """Write ``report.html`` into a run folder and return its path; replaced whole, never half-written.

    ``rankings`` has one for every regime of the run's outcomes (``tabgen.results.regimes``) that has a score.
    """
    outcomes = load_results(folder)
    path = folder / "report.html"
    scratch = folder / "report.html.new"
    scratch.write_text(render(outcomes, rankings, folder.resolve().name), encoding="utf-8")
    scratch.replace(path)
    return path


def render(outcomes: pd.DataFrame, rankings: dict[int | None, Ranking], title: str) -> str:
    """The page as text: everything inside, nothing fetched."""
    parts = regimes(outcomes)
    return (
        make_environment()
        .get_template("report.html")
        .render(
            title=title,
            regimes=[_regime(cap, parts[cap], ranking) for cap, ranking in rankings.items()],
            unscored=[
                {"name": regime_name(cap), "reasons": reasons(part).to_dict("records")}
                for cap, part in parts.items()
                if not has_scores(part)
            ],
            gains_by_regime=gains_by_regime(rankings),
            closeness=closeness(outcomes),
            counts=outcomes["status"].value_counts().to_dict(),
            setting=setting_of(outcomes),
        )
    )


def _regime(cap: int | None, outcomes: pd.DataFrame, ranking: Ranking) -> dict[str, Any]:
    """What the page shows of one cap on training rows."""
    failed = outcomes[outcomes["status"] != "ok"]
    drawn = [(title, draw(ranking), caption) for title, draw, caption in FIGURES]
    if {"curve_validation", "curve_test"} <= set(outcomes.columns):
        drawn.append(("Learning curves", figures.learning_curves(outcomes, label="log-loss"), CURVES))
    return {
        "name": regime_name(cap),
        "ranking": ranking,
        "figures": [
            # matplotlib's own SVG of our figures; names inside it are escaped by its writer
            {"title": name, "caption": caption, "svg": Markup(_inline(figures.to_svg(figure)))}  # noqa: S704
            for name, figure, caption in drawn
        ],
        "datasets": _datasets(outcomes, ranking),
        "failures": failed[["dataset", "fold", "method", "status", "reason"]].to_dict("records"),
    }


def _inline(svg: str) -> str:
    """The <svg> element without the XML prologue, which HTML has no place for."""
    return svg[svg.index("<svg") :]


def _datasets(outcomes: pd.DataFrame, ranking: Ranking) -> list[dict[str, Any]]:
    """Per dataset: the zero-shot score and every method's gain, best marked."""
    zero_shot = outcomes.groupby("dataset")[f"zero_shot_test_{ranking.metric}"].mean()
    rows = []
    for name, gains in ranking.gains.iterrows():
        best = gains.max()
        rows.append(
            {
                "name": name,
                "zero_shot": zero_shot[str(name)],
                "gains": [{"value": gains[m], "best": gains[m] == best} for m in ranking.pool.methods],
            }
        )
    return rows


def setting_of(outcomes: pd.DataFrame) -> dict[str, Any]:
    """What was run, and where: the distinct values of the outcomes' settings and provenance."""

    def distinct(values: pd.Series[Any]) -> str:
        return ", ".join(sorted({str(v) for v in values.dropna()})) or "none"

    where = outcomes["provenance"]
    return {
        "suite": distinct(outcomes["suite"]),
        "model": distinct(outcomes["model"]),
        "checkpoint (SHA-256)": distinct(outcomes["checkpoint"].str[:16]),
        "recipe": distinct(outcomes["recipe"].map(lambda recipe: recipe.get("name"))),
        "folds": distinct(outcomes["n_folds"]),
        "training rows at most": distinct(outcomes["max_train_rows"].astype("Int64")),
        "versions": distinct(
            where.map(lambda p: ", ".join(f"{name} {p.get(name)}" for name in ("tabgen", "python", *PACKAGES)))
        ),
        "commit": distinct(
            where.map(
                lambda p: (
                    f"{str(p['commit'])[:12]}{' with local changes' if p.get('dirty') else ''}"
                    if p.get("commit")
                    else None
                )
            )
        ),
        "processor": distinct(where.map(lambda p: f"{p.get('processor')}, {p.get('cores')} cores")),
    }
