"""The static site: an overview that filters in the page, a page per generator and dataset, and every row."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from tabgen import figures
from tabgen.arms import ARMS
from tabgen.datasets import Dataset, Suite
from tabgen.errors import DataError
from tabgen.generator import BASELINES
from tabgen.leaderboard.boards import Board, constants, direction, embed, make_boards, payload, verdicts_of
from tabgen.leaderboard.bundle import load_rows
from tabgen.leaderboard.check import beyond_bounds
from tabgen.leaderboard.downloads import write_downloads
from tabgen.leaderboard.manifest import check_folder, put_in_place
from tabgen.leaderboard.overview import COLUMNS, KINDS, against_real, facts, headline, kind_of, reach_of
from tabgen.leaderboard.pages import make_environment, slug
from tabgen.leaderboard.report import setting_of
from tabgen.leaderboard.schema import SCHEMA_VERSION, columns
from tabgen.plugins import Plugins
from tabgen.results import closeness, joined
from tabgen.statistics import MethodRecord, Policy, normalised_scores
from tabgen.statistics.saturation import lines_of

Row = dict[str, Any]
ASSETS = Path(__file__).parent / "assets"
#: Inches, at 72 to 96 pixels: a figure's text is never smaller than on paper, on a phone neither.
WIDTHS = {"wide": 8.5, "narrow": 4.2}
SIZES = ((0, "under 500 rows"), (500, "500 to 1,999 rows"), (2000, "2,000 rows and more"))
BASELINE_SUMMARIES = {
    "zero-shot": "The foundation model as it comes, without fine-tuning: every gain is relative to it.",
    "real": "Plain fine-tuning on the real training rows: what a generator has to beat.",
}


@dataclass
class Built:
    """What was written."""

    rows: int
    pages: int = 0


@dataclass
class Known:
    """A generator or dataset: what is known of it here, and the name of its page."""

    name: str
    page: str
    facts: dict[str, Any] = field(default_factory=dict)


def build_site(
    sources: Sequence[Path],
    folder: Path,
    plugins: Plugins,
    *,
    title: str = "Leaderboard",
    policy: Policy = "complete",
    suite: Suite | None = None,
    licence: str | None = None,
    submit: str | None = None,
) -> Built:
    """Build the site of these run folders and bundles in ``folder``.

    Of a site that stands there its own files are replaced, and nothing else is touched. With a ``suite`` the board is
    of its tables, known by their hash: rows of others are left out. ``licence`` is that of the rows, ``submit`` the
    address to which bundles are sent; both are told on the site.

    Raises
    ------
    StoreError, DataError, ExperimentError
        If a source cannot be read, nothing can be ranked, or ``folder`` holds something else than a site.
    """
    check_folder(folder)
    rows = list(joined(*(load_rows(source) for source in sources)).values())
    rows.sort(key=lambda row: (row["dataset"], row["fold"], row["seed"], row["method"], row["key"]))
    if suite is not None:
        declared = {(dataset.sha256, dataset.target) for dataset in suite.datasets}
        rows = [row for row in rows if (row["sha256"], row["target"]) in declared]
        if not rows:
            raise DataError(f"no row here is of a table of the suite '{suite.name}'.")
    if beyond := next((told for row in rows for told in beyond_bounds(row, plugins.metrics)), None):
        raise DataError(f"{beyond.message}; `tabgen leaderboard check` finds all that cannot be.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
            built = _Site(rows, Path(made), plugins, title, policy, licence, submit).write()
            put_in_place(Path(made), folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}.") from error
    return built


class _Site:
    """One build: the boards, and the pages written from them."""

    def __init__(
        self,
        rows: list[Row],
        folder: Path,
        plugins: Plugins,
        title: str,
        policy: Policy,
        licence: str | None,
        submit: str | None,
    ) -> None:
        self.rows, self.folder, self.plugins, self.policy = rows, folder, plugins, policy
        self.boards = make_boards(rows, plugins, policy)
        self.environment = make_environment()
        self.environment.globals |= {"site_title": title, "policy": policy, "schema_version": SCHEMA_VERSION}
        self.title, self.licence, self.submit = title, licence, submit
        self.datasets = self._known_datasets()
        self.generators = self._known_generators()
        self.about = {board.name: self._methods_of(board) for board in self.boards}
        self.cells = {board.name: self._cells_of(board) for board in self.boards}
        self.by_dataset = {name: dict(tuple(cells.groupby("dataset"))) for name, cells in self.cells.items()}
        self.built = Built(len(rows))

    def write(self) -> Built:
        shutil.copytree(ASSETS, self.folder / "assets")
        for name in ("generators", "datasets", "figures"):
            (self.folder / name).mkdir()
        write_downloads(self.rows, self.folder, self.title, self.licence)
        self._write_overview()
        for generator in self.generators.values():
            self._write_generator(generator)
        for dataset in self.datasets.values():
            self._write_dataset(dataset)
        self._page("protocol.html", "protocol.html", boards=self._settings(), columns=columns())
        return self.built

    def _page(self, template: str, path: str, **values: Any) -> None:
        text = self.environment.get_template(template).render(root="../" * path.count("/"), **values)
        (self.folder / path).write_text(text, encoding="utf-8")
        self.built.pages += 1

    # What is known of names

    def _known_datasets(self) -> dict[str, Known]:
        """By the name on the boards: what the suites here say of the table, where they have the very same file."""
        here: dict[str, Dataset] = {}
        suites: dict[str, set[str]] = {}
        used = {row["sha256"] for row in self.rows}
        for suite in self.plugins.suites:
            if not self.plugins.suites[suite].at_hand():
                continue  # nothing is fetched to describe it
            for dataset in self.plugins.suites[suite].datasets:
                if dataset.sha256 is not None and dataset.sha256 in used:
                    here[dataset.sha256] = dataset
                    suites.setdefault(dataset.sha256, set()).add(suite)
        known: dict[str, Known] = {}
        for board in self.boards:
            for row in board.rows:
                name, sha256 = row["dataset"], row["sha256"]
                if name not in known:
                    facts: dict[str, Any] = dict(here[sha256].facts) if sha256 in here else {"rows": 0}
                    facts |= {"suites": set(suites.get(sha256, ())), "sha256": sha256, "target": row["target"]}
                    known[name] = Known(name, f"datasets/{slug(name)}.html", facts)
                facts = known[name].facts
                facts["suites"].add(row["suite"])
                if sha256 not in here:  # the parts together are all there is to go by
                    parts = sum(row.get(part) or 0 for part in ("n_train", "n_validation", "n_test"))
                    facts["rows"] = max(facts["rows"], parts)
        return dict(sorted(known.items()))

    def _known_generators(self) -> dict[str, Known]:
        known: dict[str, Known] = {}
        for board in self.boards:
            for row in board.rows:
                name = generator_of(row)
                if name in known:
                    continue
                facts: dict[str, Any] = {"plugin": row["plugin"], "version": row["plugin_version"], "here": False}
                if name in BASELINES:
                    facts |= {"summary": BASELINE_SUMMARIES[name], "licence": None, "citation": "", "here": True}
                elif name in self.plugins.generators:
                    info = self.plugins.generators[name].info
                    facts |= {
                        "summary": info.summary,
                        "licence": info.licence,
                        "weights": info.weights_licence,
                        "citation": info.citation,
                    }
                    facts["here"] = True
                facts["kind"] = kind_of(row | {"method": name})
                known[name] = Known(name, f"generators/{slug(name)}.html", facts)
        for name, look in looks(known).items():
            known[name].facts["look"] = look
        return dict(sorted(known.items()))

    # The overview

    def _write_overview(self) -> None:
        first = self.boards[0]
        ranking = first.rankings[first.metrics[0]]
        drawn = {board.name: self._draw(board) for board in self.boards}
        data = {
            "constants": constants(),
            "kinds": KINDS,
            "metrics": list(dict.fromkeys(metric for board in self.boards for metric in board.metrics)),
            "sizes": [name for _, name in SIZES],
            "datasets": {
                name: {"page": known.page, "suites": sorted(known.facts["suites"]), "size": size_of(known)}
                | properties(known)
                for name, known in self.datasets.items()
            },
            "boards": [
                payload(board, self.policy, self.plugins)
                | {
                    "about": self.about[board.name],
                    "figures": drawn[board.name],
                    "facts": {metric: facts(board, ranked, self.licence) for metric, ranked in board.rankings.items()},
                }
                for board in self.boards
            ],
        }
        kinds = {name: about["kind"] for name, about in self.about[first.name].items()}
        self._page(
            "overview.html",
            "index.html",
            data=Markup(embed(data)),  # noqa: S704 - embed escapes what could end the element
            boards=self.boards,
            board=first,
            ranking=ranking,
            sentences=verdicts_of(ranking),
            letters=ranking.letters(),
            datasets=self.datasets,
            generators=self.generators,
            metrics=data["metrics"],
            suites=sorted({suite for known in self.datasets.values() for suite in known.facts["suites"]}),
            sizes=[name for _, name in SIZES],
            licences=sorted({str(known.facts["licence"]) for known in self.generators.values() if licensed(known)}),
            figures=drawn[first.name],
            about=self.about[first.name],
            columns=COLUMNS,
            kinds=KINDS,
            headline=headline(ranking, kinds),
            facts=facts(first, ranking, self.licence),
            claims=against_real(ranking),
            reach=reach_of(ranking, kinds),
            licence=self.licence,
            submit=self.submit,
            how=how_to_run(first, self.plugins),
            rows=len(self.rows),
            marked=marked,
        )

    def _methods_of(self, board: Board) -> dict[str, dict[str, Any]]:
        about = {}
        drawn = looks({row["method"] for row in board.rows})
        for row in board.rows:
            known = self.generators[generator_of(row)]
            about[row["method"]] = {
                "page": known.page,
                "mixing": row["mixing"],
                "licence": known.facts.get("licence"),
                "baseline": known.name in BASELINES,
                "kind": kind_of(row),
                "look": drawn[row["method"]],
            }
        return about

    def _draw(self, board: Board) -> list[dict[str, str]]:
        """Figures of one board by its first metric, each a file of its own that the page shows as an image."""
        ranking = board.rankings[board.metrics[0]]
        close = closeness(board.outcomes)
        wanted: dict[str, tuple[Callable[[float], Figure], str]] = {
            "ranks": (lambda width: figures.critical_difference_diagram(ranking, width), "Critical-difference diagram"),
            "sets": (lambda width: figures.rank_sets(ranking, width), "Possible ranks"),
            "gains": (lambda width: figures.gains_per_dataset(ranking, width), "Gains per dataset"),
        }
        if "detection AUC" in close.columns:
            wanted["fidelity"] = (
                lambda width: figures.gain_against_fidelity(ranking, close, width),
                "Fidelity against utility",
            )
        if curves := lines_of(board.outcomes, 3):
            wanted["scaling"] = (
                lambda width: figures.gain_against_ratio(ranking, curves, width=width),
                "Scaling: synthetic rows per real row",
            )
        drawn = []
        for name, (draw, title) in wanted.items():
            files = {}
            for size, width in WIDTHS.items():
                files[size] = f"figures/{board.name}-{name}-{size}.svg"
                svg = figures.following_the_scheme(figures.to_svg(draw(width)))
                (self.folder / files[size]).write_text(svg, encoding="utf-8")
            drawn.append(
                {"file": files["wide"], "narrow": files["narrow"], "title": title, "text": alternative(name, board)}
            )
        return drawn

    # Other pages

    def _write_generator(self, known: Known) -> None:
        parts = []
        for board in self.boards:
            mine = [row for row in board.rows if generator_of(row) == known.name]
            if not mine:
                continue
            methods = sorted({row["method"] for row in mine})
            metric = board.metrics[0]
            ranking = board.rankings[metric]
            gains = self._gain_table(board, methods)
            parts.append(
                {
                    "board": board,
                    "metric": metric,
                    "records": [record for record in ranking.methods if record.method in methods],
                    "settings": {row["method"]: row for row in mine},
                    "gains": gains,
                    "widest": float(np.nan_to_num(gains.abs().to_numpy(dtype=float)).max(initial=0.0)),
                    "methods": methods,
                    "failures": _failures(mine),
                    "closeness": closeness(board.outcomes[board.outcomes["method"].isin(methods)]),
                }
            )
        self._page("generator.html", known.page, known=known, parts=parts, datasets=self.datasets, marked=marked)

    def _gain_table(self, board: Board, methods: list[str]) -> pd.DataFrame:
        """Datasets x methods: means of the cells that are ok, whether or not the dataset is in the ranking's pool."""
        cells = self.cells[board.name]
        by_fold = cells[cells["method"].isin(methods)].groupby(["dataset", "method", "fold"])["gain"].mean()
        table = by_fold.groupby(level=["dataset", "method"]).mean().unstack("method")  # noqa: PD010
        return table.reindex(columns=methods)

    def _cells_of(self, board: Board) -> pd.DataFrame:
        """What the pages show of every cell, by the board's first metric."""
        metric = board.metrics[0]
        scores = normalised_scores(board.outcomes, metric, higher_better=direction(metric, self.plugins), arm=board.arm)
        names = ["dataset", "method", "fold", "seed", "status", "reason", "key", "best_step", "seconds_total"]
        cells = board.outcomes.reindex(columns=names)
        cells["zero_shot"] = board.outcomes[f"zero_shot_test_{metric}"]
        cells["tuned"] = board.outcomes[f"{ARMS[board.arm].stage}_test_{metric}"]
        return cells.assign(gain=scores["gain_test"])

    def _write_dataset(self, known: Known) -> None:
        parts = []
        for board in self.boards:
            if known.name not in self.by_dataset[board.name]:
                continue
            mine = self.by_dataset[board.name][known.name]
            metric = board.metrics[0]
            parts.append(
                {
                    "board": board,
                    "metric": metric,
                    "methods": _by_method(mine),
                    "cells": mine.to_dict("records"),
                    "pages": {name: about["page"] for name, about in self.about[board.name].items()},
                    "in_pool": known.name in board.rankings[metric].pool.datasets,
                }
            )
        self._page("dataset.html", known.page, known=known, parts=parts)

    def _settings(self) -> list[dict[str, Any]]:
        return [{"title": board.title, "setting": setting_of(board.outcomes)} for board in self.boards]


def generator_of(row: Row) -> str:
    """The generator of a row, or the baseline that it is."""
    return row["generator"] or ("real" if row["mixing"] == "real" else "zero-shot")


def looks(methods: Iterable[str]) -> dict[str, dict[str, str]]:
    """How pages draw each method: its marker as a path, and its colour; none where it is that of the text."""
    ink = figures.REFERENCE_STYLES["real"][0]
    return {
        name: {"shape": figures.outline(style), "colour": "" if style.colour == ink else style.colour}
        for name, style in figures.method_styles(methods).items()
    }


def properties(known: Known) -> dict[str, float | None]:
    """What the explorer draws gains against, as far as it is known of a table."""
    told = known.facts
    nominal: float | None = None
    if told.get("features") and {"n_categorical", "n_boolean"} <= set(told):
        nominal = (told["n_categorical"] + told["n_boolean"]) / told["features"]
    return {
        "rows": told.get("rows") or None,
        "features": told.get("features"),
        "classes": told.get("n_classes"),
        "categories": nominal,
        "minority": told.get("minority"),
    }


def how_to_run(board: Board, plugins: Plugins) -> str:
    """The flags of a run whose rows are ranked on this board; a suite is named only where it is known here."""
    row = board.rows[0]
    suites = {each["suite"] for each in board.rows}
    suite = next(iter(suites)) if len(suites) == 1 and suites <= set(plugins.suites) else "SUITE"
    words = [f"--suite {suite}", f"--folds {row['n_folds']}"]
    return " ".join([*words, f"--max-train-rows {row['max_train_rows'] or 0}", f"--arms {board.arm}"])


def licensed(known: Known) -> bool:
    return known.facts.get("licence") is not None


def size_of(known: Known) -> int | None:
    """Index of the size regime of a dataset."""
    rows = known.facts.get("rows")
    if not isinstance(rows, int) or rows < 1:
        return None
    return max(number for number, (least, _) in enumerate(SIZES) if rows >= least)


def marked(record: MethodRecord, ranking: Any) -> str:
    """The method's name with what is missing of it, and whether the policy made values up."""
    if record.cells_ok == record.cells:
        return record.method
    made_up = [pair for pair in ranking.pool.incomplete if pair.method == record.method]
    imputed = {pair.action for pair in made_up} & {"ranked last", "scored as zero-shot"}
    return f"{record.method} [{record.cells_ok}/{record.cells} cells{', ' + imputed.pop() if imputed else ''}]"


def alternative(name: str, board: Board) -> str:
    """What a figure shows, for those who do not see it; the numbers are in the tables of the page."""
    ranking = board.rankings[board.metrics[0]]
    best = [record.method for record in ranking.methods if record.mean_rank is not None][:3]
    pool = f"{len(ranking.pool.methods)} methods on {len(ranking.pool.datasets)} datasets"
    leading = f" Lowest mean ranks: {', '.join(best)}." if best else ""
    texts = {
        "ranks": f"Mean ranks of {pool} on a line, best on the left.{leading}",
        "sets": f"From the best to the worst rank left possible, for each of {pool}.",
        "gains": f"Gain over zero-shot of {pool}: one band a dataset, one marker a method.",
        "fidelity": f"Median gain against how well a forest tells synthetic rows from real ones, for {pool}.",
        "scaling": "Median gain against synthetic rows per real row, one line a generator.",
    }
    return texts[name]


def _failures(rows: list[Row]) -> list[dict[str, Any]]:
    """Cells that did not end ok, those of one method and reason together."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["status"] != "ok":
            groups.setdefault((row["method"], row["status"], row["reason"]), []).append(row)
    return [
        {
            "method": method,
            "status": status,
            "reason": reason,
            "cells": len(members),
            "datasets": sorted({row["dataset"] for row in members}),
            "log": members[0].get("log_tail") or "",
        }
        for (method, status, reason), members in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def _by_method(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """One line per method of a dataset, the highest gain first; means over the cells that ended ok."""
    ok = cells[cells["status"] == "ok"]
    table = cells.groupby("method").size().to_frame("cells")
    by_fold = ok.groupby(["method", "fold"])["gain"].mean().groupby(level="method")
    table = table.join(by_fold.agg(["mean", "min", "max"]).set_axis(["gain", "low", "high"], axis=1))
    table = table.join(ok.groupby("method")[["zero_shot", "tuned"]].mean())
    table["ok"] = ok.groupby("method").size().reindex(table.index, fill_value=0)
    table = table.sort_values("gain", ascending=False, kind="stable")
    return [{str(name): value for name, value in row.items()} for row in table.reset_index().to_dict("records")]
