"""A local look at a built site: this machine only, these files only."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tabgen.errors import DataError

LOOPBACK = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing of requests."""


def make_server(site: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the folder ``site`` on the loopback interface; port 0 takes a free one.

    Raises
    ------
    DataError
        If no site was built there, or the port is taken.
    """
    if not (site / "index.html").is_file():
        raise DataError(f"{site} holds no index.html; build it with `tabgen leaderboard build RUN -o {site}`.")
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Quiet, directory=str(site)))
    except OSError as error:
        raise DataError(f"port {port} cannot be used: {error}; choose another with --port.") from error
