"""What belongs to the whole process, put back after code of others was imported into it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Run a block, and leave as they were: working directory, file mode mask, recursion limit, signal handlers,
    filters of warnings, and what NumPy does about floating-point errors.

    Environment variables, ``sys.path``, random states and settings of other libraries stay as the block leaves them.

    Examples
    --------
    >>> before = sys.getrecursionlimit()
    >>> with undisturbed():
    ...     sys.setrecursionlimit(2000)
    >>> sys.getrecursionlimit() == before
    True
    """
    import numpy as np

    folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))  # not by its name, which may be another's by then
    mask, depth = _umask(), sys.getrecursionlimit()
    handlers = _handlers()
    try:
        with warnings.catch_warnings(), np.errstate():
            yield
    finally:
        sys.setrecursionlimit(depth)
        os.umask(mask)
        os.fchdir(folder)
        os.close(folder)
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _handlers() -> dict[signal.Signals, signal._HANDLER]:
    """Handlers of signals; none outside the main thread, where nobody can set one."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    known = {
        number: signal.getsignal(number) for number in map(signal.Signals, signal.valid_signals() & set(signal.Signals))
    }
    return {number: handler for number, handler in known.items() if handler is not None}
