"""Every error that tabgen raises on purpose; the message names the thing, what came, and the mend."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable


class TableWarning(UserWarning):
    """Something in the data was set aside, or is likely another thing than it seems; the message says what."""


IN_PYTHON = " In Python, --drop NAME is kinds={'NAME': 'drop'}."


def warn_of(messages: Iterable[str]) -> None:
    """Say in Python what the command line says of one's own table, at the line that called whoever calls this."""
    for message in messages:
        mend = IN_PYTHON if "--drop" in message else ""
        warnings.warn(f"{message}{mend}", TableWarning, stacklevel=3)


class TabgenError(Exception):
    """Base of all errors with a message meant for the user."""


class TableError(TabgenError):
    """A table that cannot be used as it is."""


class PluginError(TabgenError):
    """A plugin that cannot be loaded, or registers something unusable."""


MOST_NAMES = 10
"""Names that are listed where none of them is like the one that is not there."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that is most like this one, whatever its case and the spaces around it, or the first of them."""
    names = sorted(known)
    plain = {each.strip().casefold(): each for each in names}
    close = difflib.get_close_matches(name.strip().casefold(), plain, n=1)
    if close:
        return f"did you mean '{plain[close[0]]}'?"
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return f"there are: {', '.join(names[:MOST_NAMES]) or 'none'}{more}."


class UnknownNameError(TabgenError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} is called '{name}'; {did_you_mean(name, known)}")


class DataError(TabgenError):
    """A dataset, suite or file that cannot be read, or is not what it claims to be."""


class Unsupported(TabgenError):  # noqa: N818 - an answer, not a fault
    """The work is outside what the generator, model or protocol accepts; the cell ends as ``unsupported``."""


class InvalidOutput(TabgenError):  # noqa: N818
    """A generator returned something that is not a table of the kind it was fitted on."""


class ModelError(TabgenError):
    """A foundation model that cannot be found or loaded."""


class ExperimentError(TabgenError):
    """An experiment that cannot be planned as written."""


class ConstraintError(TabgenError):
    """A constraint on drawn rows that cannot be read, or that too few of them meet."""


class EstimatorError(TabgenError, ValueError):
    """What the scikit-learn estimator cannot be fitted with; a ValueError too, as scikit-learn's users expect."""


class StoreError(TabgenError):
    """A store that cannot be opened, read or written."""


class GeneratorFailed(TabgenError):  # noqa: N818 - how a cell ended
    """What went wrong in a generator's process, told by the status that its cell ends with, and in which line."""

    def __init__(self, status: str, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.status, self.place = status, place


def status_of(error: BaseException) -> str:
    """The status of a cell that an exception ends."""
    if isinstance(error, GeneratorFailed):
        return error.status
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, InvalidOutput):
        return "invalid_output"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    return "error"


def reason_of(error: BaseException) -> str:
    """What a cell that it ends gives as its reason: the message, with the type of an error that is not tabgen's."""
    if isinstance(error, TabgenError):
        return str(error)
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - of a plugin, whose messages can fail too
        return f"{type(error).__name__} (its message cannot be told)"
