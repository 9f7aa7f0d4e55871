"""Several numbers for one cell: times by what of them goes on and what comes round, texts by their n-grams."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
import pandas as pd

from tabgen.column import Column

Matrix = np.ndarray[Any, np.dtype[np.float64]]

TEXT_NUMBERS = 10
"""Numbers that stand for one text: the model takes 100 columns in all."""


class Parts(Protocol):
    """Makes numbers of one column's values, as it was fitted on the context's."""

    def __call__(self, values: pd.Series[Any]) -> Matrix:
        """float64 (rows, parts), the first of them NaN where the value is missing."""


class TimeParts:
    """Seconds since 1970, and month, day, weekday and hour as points on a circle (skrub's DatetimeEncoder).

    Of a column with a time zone the clock on the wall counts. What does not vary in the context is left out by the
    caller, as any constant column is.
    """

    def __init__(self, column: Column, context: pd.Series[Any]) -> None:
        from skrub import DatetimeEncoder

        self._column = column
        self._cyclic = DatetimeEncoder(
            resolution="hour", add_weekday=True, add_total_seconds=False, periodic_encoding="circular"
        )
        self._cyclic.fit(self._local(context))

    def _local(self, values: pd.Series[Any]) -> pd.Series[Any]:
        if self._column.zone:
            values = values.dt.tz_localize("UTC").dt.tz_convert(self._column.zone).dt.tz_localize(None)
        return values.rename(self._column.name)

    def __call__(self, values: pd.Series[Any]) -> Matrix:
        local = self._local(values)
        microseconds = local.to_numpy().astype("datetime64[us]").astype(np.int64)
        elapsed = np.where(local.isna(), np.nan, microseconds / 1e6)
        points = self._cyclic.transform(local)
        cyclic = points.drop(columns=[name for name in points if str(name).endswith("_year")])
        return np.column_stack([elapsed, cyclic.to_numpy(dtype=np.float64)])


class TextParts:
    """Ten numbers a text: the leading directions of its character n-grams in the context (skrub's StringEncoder)."""

    def __init__(self, column: Column, context: pd.Series[Any]) -> None:
        from skrub import StringEncoder

        self._column = column
        self._encoder = StringEncoder(n_components=TEXT_NUMBERS, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a context of few texts has fewer directions: they are what there is
            self._encoder.fit_transform(self._complete(context))

    def _complete(self, values: pd.Series[Any]) -> pd.Series[Any]:
        return values.fillna("").rename(self._column.name).reset_index(drop=True)

    def __call__(self, values: pd.Series[Any]) -> Matrix:
        numbers: Matrix = self._encoder.transform(self._complete(values)).to_numpy(dtype=np.float64)
        numbers[values.isna().to_numpy(), 0] = np.nan
        return numbers


class SentenceParts(TextParts):
    """Ten numbers a text: the leading directions of a sentence encoder's vectors in the context (skrub's LLMEncoder).

    Source: all-MiniLM-L6-v2, sentence-transformers (Reimers and Gurevych 2019).
    """

    def __init__(self, column: Column, context: pd.Series[Any]) -> None:
        from skrub import LLMEncoder

        from tabgen.models.files import sentence_encoder

        self._column = column
        self._encoder = LLMEncoder(str(sentence_encoder()), n_components=TEXT_NUMBERS, device="cpu", random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._encoder.fit_transform(self._complete(context))


def fit_parts(column: Column, context: pd.Series[Any], texts: type[TextParts] = TextParts) -> Parts | None:
    """What makes numbers of this column's values; None if each is one number already, or none is there at all."""
    if column.kind not in ("datetime", "text") or context.isna().all():
        return None
    return TimeParts(column, context) if column.kind == "datetime" else texts(column, context)
