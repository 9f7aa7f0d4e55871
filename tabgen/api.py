"""The same jobs in Python: compare, generate."""

from __future__ import annotations

import hashlib
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api import types
from rich.console import Console

from tabgen.blame import blamed
from tabgen.candidates import hold_out as hold_out_of
from tabgen.comparison import Comparison
from tabgen.constraints import Constraint, read_all
from tabgen.datasets import file_suite
from tabgen.errors import DataError, ExperimentError, TableWarning, Unsupported, warn_of
from tabgen.experiment import plan
from tabgen.findings import worth_a_warning
from tabgen.generator import FitContext, Generator
from tabgen.host.elsewhere import make_where_it_runs
from tabgen.judge.copies import copied_values, warnings_of
from tabgen.models import DEFAULT_MODEL
from tabgen.outputs import TABLE, check_file, check_folder
from tabgen.plain import with_times
from tabgen.plugins import PluginChoice, find_model, get_plugins, refuse_live
from tabgen.progress import make_watcher
from tabgen.reader import ReadOptions
from tabgen.rejection import Acceptance, draw_where
from tabgen.results import load_results
from tabgen.runner import QuietWatcher, run_experiment
from tabgen.sampling import fit_generator
from tabgen.sdv_metadata import read_metadata
from tabgen.spec import make_spec, read_preset, read_spec
from tabgen.table import Table
from tabgen.text import one_line, shown

if TYPE_CHECKING:
    from tabgen.judge.judgement import Judgement


def compare(
    suite: str | Path | None = None,
    methods: str | Sequence[str] | None = None,
    output: str | Path = "runs/compare",
    *,
    experiment: str | Path | None = None,
    data: pd.DataFrame | str | Path | None = None,
    workers: int | None = None,
    plugins: PluginChoice | None = None,
    **fields: Any,
) -> Comparison:
    """Run a comparison and return what it found; cells that ``output`` holds are not run again.

    Progress is shown on a terminal and in a notebook.

    Parameters
    ----------
    suite : str or Path, optional
        A suite's name or a folder with a ``manifest.json``; ``quick`` unless anything else names the data.
    methods : str or list of str, optional
        ``generator[@mixing][:setting=value,...]``; all that is installed unless given.
    output : str or Path
        Folder of the run.
    experiment : str or Path, optional
        A preset's name, or an experiment file (``.toml``), for what is not given here.
    data : DataFrame or path of a file, optional
        One table instead of a suite; ``target`` names its column to predict. A frame is written below ``output``.
    workers : int, optional
        Cells at once; one per core unless given.
    **fields
        Any other field of an experiment file, such as ``folds=5``, ``recipe="autogluon"`` or
        ``max_train_rows=[50, 100]``: see docs/experiments.md.

    Returns
    -------
    Comparison
        ``to_frame()`` has one row per cell, ``ranking()`` and, for one table, ``answer`` say what follows from them,
        ``plot`` draws it.

    Raises
    ------
    ExperimentError
        For a field that does not exist, or a value that it does not take.
    PluginError
        For a generator's class in place of its name: it has to be in a file (docs/write-a-generator.md).
    TableError, DataError
        If one table is given that cannot be used: before any cell runs.

    Warns
    -----
    TableWarning
        If ``data`` has a column that names rows or tells the target alone, or a class with fewer rows than folds.
    """
    check_folder(Path(output))
    methods = [methods] if isinstance(methods, str) else methods
    for method in methods or ():
        refuse_live(method)
    choice = plugins or PluginChoice()
    registry = get_plugins(choice)
    values: dict[str, Any] = {}
    if experiment is not None:
        is_file = str(experiment).endswith(".toml")
        values = read_spec(Path(experiment)) if is_file else read_preset(str(experiment))
    values |= fields
    if data is not None:
        values = {name: value for name, value in values.items() if name != "suite"}
        if values.get("target") is not None:  # a frame's label may be a number; a file's are texts
            values["target"] = str(values["target"])
        values["data"] = _as_file(data, values.get("target"), values.get("kinds"), Path(output))
    if suite is not None or not {"suite", "data"} & set(values):
        values["suite"] = str(suite or "quick")
    if methods is not None:
        values["methods"] = list(methods)
    planned = make_spec(values, "compare").build(registry)
    if len(planned.suite.datasets) == 1:
        table = planned.suite.datasets[0].load()  # a bad table is said once, here, not once per cell
        if "data" in values:
            warn_of(worth_a_warning(table, planned.folds))
    console = Console()
    watcher = (
        make_watcher(console, Path(output) / "logs") if console.is_terminal or console.is_jupyter else QuietWatcher()
    )
    run_experiment(planned, Path(output), registry, choice, watcher, workers=workers or 0)
    keys = {cell.key for cell in plan(planned, registry)}  # the folder may hold other runs' cells too
    outcomes = load_results(output)
    return Comparison(outcomes[outcomes["key"].isin(keys)].reset_index(drop=True), Path(output))


def _as_file(data: Any, target: Any, kinds: Any, output: Path) -> Path:
    """A table's file; a frame is checked as a table, and written to one that is named after what it holds."""
    if isinstance(data, str | PathLike):
        return Path(data)
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"data should be a DataFrame or the path of a file, not a {type(data).__name__}.")
    if target is not None:  # the spec says that it lacks
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TableWarning)  # said when the file is read
            Table.from_frame(data, target, kinds, name="the data")
    scratch = output / "tables" / f"{uuid.uuid4().hex}.parquet"
    scratch.parent.mkdir(parents=True, exist_ok=True)
    write_frame(data, scratch)
    digest = hashlib.sha256(scratch.read_bytes()).hexdigest()[:12]
    path = scratch.with_name(digest) / "data.parquet"
    path.parent.mkdir(exist_ok=True)
    scratch.replace(path)
    return path


@dataclass(frozen=True)
class Fitted:
    """A generator fitted on one's own table.

    Attributes
    ----------
    generator : Generator
    table : Table
        The rows that it was fitted on.
    context : FitContext
        ``context.notes`` is what it noted while fitting.
    held_out : Table or None
        Rows of the table that it has not seen.
    constraints : list of Constraint
        What rows drawn of it have to meet.
    reading : ReadOptions
        How its file was read.
    """

    generator: Generator
    table: Table
    context: FitContext
    held_out: Table | None = None
    constraints: list[Constraint] = field(default_factory=list)
    reading: ReadOptions = field(default_factory=ReadOptions)


def fit(
    generator: str,
    data: pd.DataFrame | str | Path,
    target: str,
    *,
    settings: dict[str, Any] | None = None,
    seed: int = 0,
    model: str = DEFAULT_MODEL,
    kinds: dict[str, str] | None = None,
    reading: dict[str, Any] | None = None,
    metadata: str | Path | None = None,
    where: str | Sequence[str] = (),
    fix: Mapping[str, Any] | None = None,
    hold_out: bool = False,
    plugins: PluginChoice | None = None,
) -> Fitted:
    """Fit a generator on a table; the parameters are those of :func:`generate`.

    What cannot be read, be it data, metadata or a constraint, is said before the fit begins.
    """
    refuse_live(generator)
    registry = get_plugins(plugins or PluginChoice())
    told = read_metadata(Path(metadata)) if metadata is not None else None
    given = kinds or {}
    asked = told.kinds_for(target, given) if told else given
    formats = {name: form for name, form in told.formats.items() if name not in {*given, target}} if told else {}
    found = ReadOptions()
    if isinstance(data, pd.DataFrame):
        table = Table.from_frame(with_times(data, formats, "the data"), target, asked, name="the data")
    else:
        table, found = file_suite(Path(data), target, asked, reading).datasets[0].read(formats)
    if told:
        told.check(table, given)
    constraints = read_all(where, fix or {}, table.schema)
    held_out = None
    if hold_out:
        try:
            table, held_out = hold_out_of(table, seed)
        except Unsupported as error:
            raise Unsupported(
                f"no rows can be held out of this table: {error} Or hold none out (--no-hold-out)."
            ) from error
    chosen = make_where_it_runs(registry.generators[generator], settings or {})
    context = FitContext(seed=seed, load_model=lambda: find_model(model, registry).load("cpu"))
    with blamed(chosen):
        fit_generator(chosen, table, context)
    return Fitted(chosen, table, context, held_out, constraints, found)


def judge_rows(fitted: Fitted, sample: Table, seed: int = 0, model: str = DEFAULT_MODEL) -> Judgement:
    """Measure rows that were drawn of a fitted generator; ``model`` names the one that worth is measured with."""
    from tabgen.judge.judgement import judge

    load = fitted.context.load_model
    assert load is not None
    return judge(fitted.table, fitted.held_out, sample, seed, load, model, fitted.constraints)


def generate(
    generator: str,
    data: pd.DataFrame | str | Path,
    target: str,
    rows: int,
    *,
    settings: dict[str, Any] | None = None,
    seed: int = 0,
    model: str = DEFAULT_MODEL,
    kinds: dict[str, str] | None = None,
    reading: dict[str, Any] | None = None,
    metadata: str | Path | None = None,
    where: str | Sequence[str] = (),
    fix: Mapping[str, Any] | None = None,
    most_draws: int | None = None,
    report: str | Path | None = None,
    hold_out: bool = True,
    plugins: PluginChoice | None = None,
) -> pd.DataFrame:
    """Fit a generator on a table and draw new rows from it.

    Parameters
    ----------
    generator : str
    data : DataFrame or path of a file (docs/tables.md)
    target : str
        The column with the classes.
    rows : int
    settings : dict, optional
        The generator's settings that differ from their defaults.
    seed : int
        The same seed gives the same rows on the same machine.
    model : str
        The foundation model, for generators that use one, and for the report's worth of the rows.
    kinds : dict, optional
        Kinds of columns that are not as they seem; "drop" leaves a column out.
    reading : dict, optional
        How a text file is written, where that has to be told: the fields of :class:`tabgen.reader.ReadOptions`.
    metadata : path, optional
        SDV's metadata as JSON: kinds that ``kinds`` does not give, and the columns that name rows or persons, which
        are left out.
    where : str or sequence of str
        Constraints that every row has to meet, ``"age >= 18"`` or ``"18 <= age < 65"``. They are parsed, never run.
    fix : dict, optional
        Columns that have to hold one value.
    most_draws : int, optional
        Rows that are drawn at most to find those that meet the constraints; 100 for each row asked for by default.
    report : path, optional
        A page to write that judges the rows (docs/judge-rows.md).
    hold_out : bool
        With a report, a fifth of the real rows is kept from the generator to judge its rows by.

    Returns
    -------
    pandas.DataFrame, shape (rows, features + 1)
        Checked: same columns, kinds, levels and classes as ``data``.

    Raises
    ------
    ConstraintError
        For a constraint that cannot be read, or that too few drawn rows meet.

    Warns
    -----
    TableWarning
        For each column that names rows, that tells the target alone, or of which the rows hold real texts or names.

    Examples
    --------
    >>> import tabgen
    >>> data = pd.DataFrame({"age": [31, 45, 28, 60], "sex": ["f", "m", "m", "f"], "ill": [0, 1, 0, 1]})
    >>> tabgen.generate("bootstrap", data, target="ill", rows=3, seed=1).shape
    (3, 3)
    >>> tabgen.generate("bootstrap", data, target="ill", rows=3, where=["age > 30"], fix={"sex": "f"})["age"].min()
    31
    """
    if rows < 1:
        raise ExperimentError(f"rows={rows}: ask for at least one row.")
    if report is not None:
        check_file(Path(report), others=[_path(data), _path(metadata)])
    fitted = fit(
        generator,
        data,
        target,
        settings=settings,
        seed=seed,
        model=model,
        kinds=kinds,
        reading=reading,
        metadata=metadata,
        where=where,
        fix=fix,
        hold_out=report is not None and hold_out,
        plugins=plugins,
    )
    warn_of(worth_a_warning(fitted.table))
    with blamed(fitted.generator):
        sample, acceptance = draw_where(fitted.generator, fitted.table, rows, seed, fitted.constraints, most_draws)
    judgement = judge_rows(fitted, sample, seed, model) if report is not None else None
    warn_of(warnings_of(copied_values(fitted.table, sample) if judgement is None else judgement.copied))
    if report is not None and judgement is not None:
        name = "the data" if isinstance(data, pd.DataFrame) else Path(data).name
        method = generator + (":" + ",".join(f"{k}={v}" for k, v in settings.items()) if settings else "")
        write_judgement(Path(report), judgement, fitted, acceptance, method, name)
    return sample.local_frame


def write_judgement(
    path: Path, judgement: Judgement, fitted: Fitted, acceptance: Acceptance, method: str, name: str
) -> None:
    """Write the page about rows that were judged; ``method`` and ``name`` are what it calls generator and table."""
    from tabgen.judge.report import Origin, write_report

    origin = Origin(
        method,
        name,
        fitted.table.schema.target,
        fitted.context.seed,
        [constraint.text for constraint in fitted.constraints],
        acceptance.drawn,
        acceptance.met,
        fitted.context.notes,
    )
    write_report(path, judgement, origin)


def write_frame(frame: pd.DataFrame, path: Path, form: ReadOptions | None = None) -> None:
    """Write a frame as .csv or .parquet; categories are written as the values they hold.

    In a CSV file an empty text stands in quotes, a missing value without: :func:`tabgen.reader.read_frame` tells them.
    It has the delimiter and the decimal sign of ``form``.

    Raises
    ------
    DataError
        For another ending, a folder that is not there, or naming a column that no file can hold.
    """
    check_file(path, TABLE)
    try:
        _write(frame, path, form or ReadOptions())
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"{path} cannot be written: {_unwritable(frame) or one_line(error)}.") from error


def _write(frame: pd.DataFrame, path: Path, form: ReadOptions) -> None:
    plain = pd.DataFrame({name: _plain(frame[name]) for name in frame.columns}, frame.index)
    if path.suffix.lower() == ".csv":
        mark = uuid.uuid4().hex  # pandas has no way to quote an empty text and not a missing value
        marked = {str(n): c.where(c != "", mark) for n, c in plain.items() if c.dtype == object and (c == "").any()}
        plain = plain.assign(**marked, **_early(plain))
        comma = form.decimal == ","
        plain = _with_commas(plain) if comma else plain
        delimiter = form.delimiter or (";" if comma else ",")
        text = plain.to_csv(index=False, sep=delimiter)
        if "\r" in text:  # a value that holds the half of a line end is quoted only where lines end in both halves
            text = plain.to_csv(index=False, sep=delimiter, lineterminator="\r\n")
        path.write_text(text.replace(mark, '""'), encoding="utf-8", newline="")
    else:
        plain.to_parquet(path, index=False)


def _early(frame: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """The columns with times before the year 1000 as texts of ISO 8601: pandas writes such years in fewer digits."""
    times = {str(name): column for name, column in frame.items() if types.is_datetime64_any_dtype(column.dtype)}
    return {
        name: column.map(lambda time: time.isoformat(sep=" "), na_action="ignore")
        for name, column in times.items()
        if (column.dt.year < 1000).any()
    }


def _with_commas(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with decimal commas: pandas writes them in columns of floats alone, not in those of objects."""

    def written(value: Any) -> Any:
        return str(value).replace(".", ",") if isinstance(value, float | np.floating) and not pd.isna(value) else value

    def column(values: pd.Series[Any]) -> pd.Series[Any]:
        may_hold = values.dtype == object or types.is_float_dtype(values.dtype)
        return pd.Series([*map(written, values)], values.index, dtype=object) if may_hold else values

    return pd.DataFrame({name: column(values) for name, values in frame.items()}, frame.index)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of categories or of sparse values as one of the values themselves."""
    if isinstance(column.dtype, pd.SparseDtype):
        return pd.Series(np.asarray(column), column.index, name=column.name)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    values = column.astype(object)
    return values if column.isna().any() else values.infer_objects()


def _unwritable(frame: pd.DataFrame) -> str:
    """The first column that no file holds, and why; empty if it is none of them alone."""
    for name in frame.columns:
        try:
            pa.array(_plain(frame[name]), from_pandas=True)
        except UnicodeEncodeError as error:
            return f"column '{name}' holds {shown(error.object)}, which has half of a character; mend the text"
        except (pa.ArrowException, TypeError, ValueError) as error:
            return f"column '{name}': {one_line(error, 200)}; make its values numbers, text, booleans or dates"
    return ""


def _path(data: pd.DataFrame | str | Path | None) -> Path | None:
    """Where a table or its description is read from, if it is a file."""
    return None if data is None or isinstance(data, pd.DataFrame) else Path(data)
