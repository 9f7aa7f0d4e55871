"""Messages between processes over sockets: JSON with open files to servers, JSON with Arrow rows to hosts."""

from __future__ import annotations

import array
import contextlib
import json
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from tabgen.errors import TabgenError

LENGTH = struct.Struct(">I")
LENGTHS = struct.Struct(">IQ")
MOST_FILES = 8
MOST_HEADER, MOST_ROWS = 1 << 26, 1 << 34
"""Bytes of a message's JSON and of its rows; what claims more is refused before it is read."""


class ChannelClosed(TabgenError):  # noqa: N818 - an event
    """The other side is gone, or says what cannot be read."""


def send_message(channel: socket.socket, message: dict[str, Any], files: Sequence[int] = ()) -> None:
    """One JSON object, with open files beside it: how an engine talks to servers."""
    data = json.dumps(message).encode()
    with _broken_means_closed():
        socket.send_fds(channel, [LENGTH.pack(len(data)) + data], list(files))


def receive_message(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next JSON object and the files that came with it; None when the other side has closed."""
    size = LENGTH.size
    try:
        head, ancillary, _, _ = channel.recvmsg(size, socket.CMSG_SPACE(MOST_FILES * array.array("i").itemsize))
    except ConnectionError:
        return None
    files = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    if not head:
        return None
    head += _read(channel, size - len(head))
    return json.loads(_read(channel, LENGTH.unpack(head)[0])), list(files)


def send_rows(channel: socket.socket, header: dict[str, Any], rows: pa.Table | None = None) -> None:
    """One JSON object, with rows behind it: how evaluator and host talk."""
    head, body = json.dumps(header).encode(), b""
    if rows is not None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        body = sink.getvalue()
    lengths = LENGTHS.pack(len(head), len(body))
    with _broken_means_closed():
        channel.sendall(lengths + head)
        channel.sendall(body)


def receive_rows(channel: socket.socket) -> tuple[dict[str, Any], pa.Table | None]:
    """The next JSON object, and the rows behind it if there are any.

    Raises
    ------
    ChannelClosed
        If the other side is gone, or what it sent cannot be read.
    """
    head, body = LENGTHS.unpack(_read(channel, LENGTHS.size))
    if head > MOST_HEADER or body > MOST_ROWS:
        raise ChannelClosed(f"a message of {head + body:,} bytes was announced")
    try:
        header = json.loads(_read(channel, head))
        rows = pa.ipc.open_stream(pa.py_buffer(_read(channel, body))).read_all() if body else None
    except (ValueError, RecursionError, pa.ArrowException) as error:
        raise ChannelClosed(f"a message could not be read: {type(error).__name__}") from error
    if not isinstance(header, dict):
        raise ChannelClosed("a message was no JSON object")
    return header, rows


def _read(channel: socket.socket, size: int) -> bytes:
    """Exactly this many bytes."""
    parts = bytearray()
    while len(parts) < size:
        with _broken_means_closed():
            part = channel.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise ChannelClosed("the other side closed the connection")
        parts += part
    return bytes(parts)


@contextlib.contextmanager
def _broken_means_closed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ChannelClosed(f"the connection broke: {type(error).__name__}") from error
