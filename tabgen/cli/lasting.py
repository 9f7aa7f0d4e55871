"""Standard output of a command that takes hours: when its terminal has gone, it goes on without."""

from __future__ import annotations

import errno
import os
from typing import IO, Any


class Lasting:
    """A text stream that falls silent where writing to it fails because its terminal was closed.

    A run whose terminal closes gets SIGHUP and ends; one that is told to outlive it (``nohup``, ``disown``, ``setsid``)
    must not end by its next line. A broken pipe is no such case: who reads no more wants no more.

    Parameters
    ----------
    stream : file of text
        Such as ``sys.stdout``; anything but writing is passed on to it.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fall_silent(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._fall_silent(error)

    def _fall_silent(self, error: OSError) -> None:
        if error.errno not in (errno.EIO, errno.ENOSPC):
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is in the stream's buffer goes there too, at the latest at exit
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
