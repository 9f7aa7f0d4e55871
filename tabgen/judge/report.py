"""One page about one sample: columns, pairs, fidelity, privacy and use, and how each was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from tabgen import adequacy, fidelity
from tabgen.errors import StoreError
from tabgen.figures import rows as figures
from tabgen.judge import closest, membership, use
from tabgen.judge.columns import ColumnPair
from tabgen.judge.judgement import Judgement
from tabgen.leaderboard.pages import make_environment, number

MOST_DRAWN = 60
"""Columns that are drawn; of a wider table the others have their numbers alone."""


@dataclass(frozen=True)
class Origin:
    """Where the rows come from.

    Attributes
    ----------
    method : str
        The generator with its settings.
    data, target : str
        The table's name, and the column with the classes.
    seed : int
    constraints : sequence of str
        As they were written.
    drawn, met : int
        Rows that were drawn, and that met the constraints.
    notes : dict
        What the generator noted while fitting.
    """

    method: str
    data: str
    target: str
    seed: int
    constraints: Sequence[str] = ()
    drawn: int = 0
    met: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One line of the table of measures."""

    name: str
    value: str
    beside: str
    meaning: str


def write_report(path: Path, judgement: Judgement, origin: Origin) -> None:
    """Write the page; replaced whole, never half-written.

    Raises
    ------
    StoreError
        If it cannot be written there.
    """
    scratch = path.with_name(path.name + ".new")
    try:
        scratch.write_text(render(judgement, origin), encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise StoreError(f"the report cannot be written to {path}: {error.strerror}.") from error


def render(judgement: Judgement, origin: Origin) -> str:
    """The page as text: everything inside, nothing fetched, names escaped."""
    pairs = judgement.pairs
    maps = [
        _inline(figures.association_figure(matrix, pairs.names, title), f"associations of columns: {title}")
        for title, matrix in (("real", pairs.real), ("synthetic", pairs.drawn), ("difference", pairs.difference))
    ]
    return (
        make_environment("tabgen.judge")
        .get_template("rows.html")
        .render(
            origin=origin,
            it=judgement,
            fidelity=_fidelity(judgement),
            privacy=_privacy(judgement),
            uses=_uses(judgement),
            worth=worth_in_words(judgement.use) if judgement.use else "",
            use_figure=judgement.use and _inline(figures.use_figure(judgement.use), "learning curve on real rows"),
            closest_figure=judgement.closest
            and _inline(figures.closest_figure(judgement.closest), "distances to the closest training row"),
            cards=[
                _card(pair, drawn=place < MOST_DRAWN and pair.spec.name not in judgement.left_out)
                for place, pair in enumerate(judgement.columns)
            ],
            most_drawn=MOST_DRAWN,
            maps=maps,
            furthest=pairs.furthest(),
            filled=origin.notes.get("imputed_columns", []),
            texts=origin.notes.get("text_columns", {}),
            caps={"fidelity": fidelity.MAX_ROWS, "columns": fidelity.MAX_COLUMNS, "adequacy": adequacy.MAX_ROWS}
            | {"closest": closest.MAX_ROWS, "membership": membership.MAX_ROWS, "use": use.MAX_ROWS},
            version=version("tabgen-bench"),
        )
    )


def worth_in_words(found: use.Use) -> str:
    """What the rows are worth in place of the real ones, as a sentence says it."""
    rows = f"{found.rows} synthetic rows"
    if found.worth.censored < 0:
        text = f"{rows} are worth fewer than {found.worth.rows:.0f} real ones, the fewest that were tried."
    elif found.worth.censored > 0:
        text = f"{rows} score above all {found.real_rows} real ones."
    else:
        text = f"{rows} are worth {found.worth.rows:.0f} real ones (of {found.real_rows})."
    if found.real < adequacy.LEARNABLE:
        text += f" It says little: the real rows themselves hardly tell the target (ROC-AUC {found.real:.2f})."
    return text


def percent(share: float, digits: int = 0) -> str:
    """A share for people; a dash where there is none."""
    return f"{100 * share:.{digits}f} %" if share == share else "–"


def _fidelity(it: Judgement) -> list[Measure]:
    quality = it.quality
    shapes = [p.shape for p in it.columns if not math.isnan(p.shape) and p.spec.name not in it.left_out]
    found = [
        Measure(
            "column shapes",
            number(sum(shapes) / len(shapes) if shapes else None, 2),
            "1",
            "1 less Kolmogorov and Smirnov's distance (numbers) or total variation distance (levels), mean over the"
            " columns below",
        ),
        Measure(
            "pairs, mean error", number(it.pairs.error, 2), "0", "mean difference of the associations of pairs below"
        ),
    ]
    if "fidelity_detection_auc" in quality:
        found += [
            Measure(
                "pair trends", number(quality["fidelity_pair_trends"], 2), "1", "likeness of pairs as SDMetrics has it"
            ),
            Measure(
                "detection",
                number(quality["fidelity_detection_auc"], 2),
                "0.5",
                "ROC-AUC of a random forest that tells synthetic from real rows, cross-validated: 0.5 cannot, 1 always;"
                " below 0.5 rows share values with training rows, as copies do",
            ),
        ]
    return found


def _privacy(it: Judgement) -> list[Measure]:
    quality, found = it.quality, []
    if "privacy_exact_copies" in quality:
        text = "share of synthetic rows equal to a training row in every column that does not name rows"
        found.append(Measure("exact copies", number(quality["privacy_exact_copies"], 2), "0", text))
    for copied in it.copied:
        text = f"{copied.what}: {copied.copied:,} of {copied.values:,} synthetic values stand in a training row"
        found.append(Measure(f"copied values of “{copied.column}”", percent(copied.share), "0 %", text))
    if it.closest:
        others = "held-out rows" if it.closest.held_out else "real rows to one another"
        text = f"share of synthetic rows nearer to a training row than all but the nearest 5 % of {others}"
        found.append(Measure("very near", percent(it.closest.very_near), "5 %", text))
    if "privacy_closer_to_train" in quality:
        text = "share of synthetic rows nearer to a training row than to a held-out one, with as many of each"
        found.append(Measure("closer to train", number(quality["privacy_closer_to_train"], 2), "0.5", text))
    if it.membership:
        m = it.membership
        found += [
            Measure(
                "membership inference",
                f"{m.auc:.2f} ({m.low:.2f} .. {m.high:.2f})",
                "0.5",
                "ROC-AUC with which an attacker tells training rows from held-out ones by the synthetic rows (after"
                " DOMIAS), and a 95 % interval",
            ),
            Measure(
                "members caught",
                percent(m.caught),
                "10 %",
                "training rows that the attacker names where one in ten held-out rows is named wrongly",
            ),
        ]
    return found


def _uses(it: Judgement) -> list[Measure]:
    found = []
    if it.use:
        u = it.use
        for name, words in use.USES.items():
            score = u.scores[name]
            text = f"the difference from the real rows alone: {score.low:+.3f} .. {score.high:+.3f}"
            found.append(Measure(words, number(score.auc), number(u.real), text))
    if "adequacy_tstr" in it.quality:
        q = it.quality
        found += [
            Measure(
                "forest trained on them (TSTR)",
                number(q["adequacy_tstr"]),
                number(q["adequacy_real"]),
                "a random forest trained on the synthetic rows, beside one trained on the real ones",
            ),
            Measure(
                "label within the rows",
                number(q["adequacy_within"]),
                number(q["adequacy_within_real"]),
                "how well the label is predicted within the rows: above the real ones labels are too clean, below too"
                " noisy",
            ),
        ]
    return found


def _card(pair: ColumnPair, drawn: bool) -> dict[str, Any]:
    figure = figures.column_figure(pair) if drawn else None
    missing = pair.missing
    kind = f"{pair.spec.kind} ({pair.spec.zone})" if pair.spec.zone else pair.spec.kind
    return {
        "name": pair.spec.name,
        "kind": "the target" if pair.is_target else kind,
        "shape": pair.shape,
        "real": pair.summaries[0],
        "drawn": pair.summaries[1],
        "missing": [percent(share, 1) for share in missing] if any(missing) else [],
        "figure": figure and _inline(figure, f"distribution of {pair.spec.name}, real and synthetic"),
    }


def _inline(figure: Figure, label: str) -> Markup:
    # matplotlib's own SVG of our figures; names inside it are escaped by its writer, the label here
    return Markup(figures.for_page(figure, str(escape(label))))  # noqa: S704
