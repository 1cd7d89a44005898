"""Unix sockets at any path: an address holds 107 bytes, so a longer one is reached through its open directory."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST_ADDRESS = 107


@contextmanager
def short_address(path: str) -> Iterator[str]:
    """An address of at most 107 bytes for the socket at `path`, good inside the `with`."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield path
        return
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)


def listen(path: str, backlog: int = 128) -> socket.socket:
    """A non-blocking listening socket at `path`, mode 0600, replacing whatever was left there."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    if os.path.lexists(path):
        os.unlink(path)
    previous = os.umask(0o177)
    try:
        with short_address(path) as address:
            server.bind(address)
    finally:
        os.umask(previous)
    server.listen(backlog)
    return server


def connect(path: str, timeout_seconds: float) -> socket.socket:
    """A connected socket. Raises ConnectionRefusedError or FileNotFoundError when nobody listens."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    client.settimeout(timeout_seconds)
    try:
        with short_address(path) as address:
            client.connect(address)
    except BaseException:
        client.close()
        raise
    return client
