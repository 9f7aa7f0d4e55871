"""Tables as Arrow: how they are cached and how they travel between processes. Levels are positions, never objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tabgen.column import Column
from tabgen.errors import InvalidOutput
from tabgen.table import Schema, Table

FACTS = b"tabgen"
"""Where an Arrow table keeps what is known of its rows beside the rows, as JSON."""


def to_arrow(table: Table, facts: dict[str, Any] | None = None) -> pa.Table:
    """The rows, levels and classes as positions (-1: missing), numbers as they are."""
    columns = {}
    for name in [*table.schema.names, table.schema.target]:
        values = table.frame[name]
        discrete = isinstance(values.dtype, pd.CategoricalDtype)
        columns[name] = pa.array(values.array.codes if discrete else values.to_numpy())
    return pa.table(columns).replace_schema_metadata({FACTS: json.dumps(facts or {}).encode()})


def facts_of(arrow: pa.Table) -> dict[str, Any]:
    """What stands beside the rows.

    Raises
    ------
    ValueError
        If that is no JSON object.
    """
    facts = json.loads((arrow.schema.metadata or {}).get(FACTS, b""))
    if not isinstance(facts, dict):
        raise ValueError("it holds no JSON object")
    return facts


def from_arrow(arrow: pa.Table, schema: Schema, source: str = "the table") -> Table:
    """Rows under a schema that the reader knows; nothing that does not fit it becomes a table.

    Raises
    ------
    InvalidOutput
        For other columns, positions without a level, numbers that are not finite or not whole where they should be,
        or rows without a class.
    """
    expected = [*schema.names, schema.target]
    if arrow.column_names != expected:
        raise InvalidOutput(f"{source} has the columns {arrow.column_names[:9]}; {expected[:9]} are due.")
    data: dict[str, Any] = {}
    for column in (*schema.columns, schema.target_column):
        if column.kind in OBJECTS:
            data[column.name] = OBJECTS[column.kind](arrow.column(column.name), column, source)
            continue
        values: np.ndarray[Any, Any] = np.asarray(arrow.column(column.name).to_numpy())
        if values.dtype.kind not in "iuf":
            raise InvalidOutput(f"column '{column.name}' of {source} holds {values.dtype} where numbers travel.")
        read = _levels if column.is_discrete else _numbers
        data[column.name] = read(values, column, source)
    if len(arrow) and (data[schema.target].codes < 0).any():
        raise InvalidOutput(f"{source}: the target '{schema.target}' is missing in some rows.")
    return Table(pd.DataFrame(data, copy=False), schema)


def _texts(values: pa.ChunkedArray, column: Column, source: str) -> np.ndarray[Any, Any]:
    if not (pa.types.is_string(values.type) or pa.types.is_null(values.type)):
        raise InvalidOutput(f"column '{column.name}' of {source} holds {values.type} where texts are due.")
    texts: np.ndarray[Any, Any] = np.empty(len(values), dtype=object)
    texts[:] = values.to_pylist()
    return texts


def _times(values: pa.ChunkedArray, column: Column, source: str) -> np.ndarray[Any, Any]:
    if not pa.types.is_timestamp(values.type):
        raise InvalidOutput(f"column '{column.name}' of {source} holds {values.type} where times are due.")
    return np.asarray(values.to_numpy()).astype("datetime64[us]")


OBJECTS: dict[str, Callable[[pa.ChunkedArray, Column, str], np.ndarray[Any, Any]]] = {
    "text": _texts,
    "datetime": _times,
}
"""Kinds that do not travel as numbers."""


def _levels(positions: np.ndarray[Any, Any], column: Column, source: str) -> pd.Categorical:
    whole = positions.copy() if positions.dtype.kind in "iu" else positions.astype(np.int64)  # Arrow's are read-only
    if (whole != positions).any() or (len(whole) and (whole.min() < -1 or whole.max() >= len(column.levels))):
        raise InvalidOutput(f"column '{column.name}' of {source} holds positions that none of its levels has.")
    return pd.Categorical.from_codes(whole, dtype=column.dtype, validate=False)


def _numbers(values: np.ndarray[Any, Any], column: Column, source: str) -> np.ndarray[Any, Any]:
    if column.kind == "integer" and values.dtype.kind in "iu":
        return values.astype(np.int64)
    numbers = values.astype(np.float64)
    if np.isinf(numbers).any():
        raise InvalidOutput(f"column '{column.name}' of {source} holds infinity.")
    if column.kind == "integer" and (numbers[~np.isnan(numbers)] % 1 != 0).any():
        raise InvalidOutput(f"column '{column.name}' of {source} holds fractions where whole numbers are due.")
    return numbers
