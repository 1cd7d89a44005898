"""Unix sockets at any path: an address holds 107 bytes, so a longer one is reached through its open directory.

And who is at the other end of one, as the kernel knows it.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LONGEST_ADDRESS = 107
_SO_PEERGROUPS = 59  # Linux 4.13; not in the socket module
_MOST_GROUPS = 256  # Python takes options of 1024 bytes at most


@dataclass(frozen=True, slots=True)
class Peer:
    """Whoever connected, as he was when he did; for one who connected to a listener, who listens."""

    pid: int
    uid: int
    groups: frozenset[int]
    """The main group and all others."""


def peer_of(connection: socket.socket) -> Peer:
    """Raises OSError when the other end can't be told."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("iII", told)
    return Peer(pid, uid, frozenset({gid, *_further_groups(connection, uid, gid)}))


def _further_groups(connection: socket.socket, uid: int, gid: int) -> list[int]:
    """Those of the process itself; of its user, where there are more than fit or the kernel is too old to tell."""
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MOST_GROUPS)
        return [group for (group,) in struct.iter_unpack("I", told)]
    except OSError:
        try:
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        except KeyError:
            return []


@contextmanager
def short_address(path: str) -> Iterator[str]:
    """An address of at most 107 bytes for the socket at `path`, good inside the `with`."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield path
        return
    # O_PATH: members of a shared home may pass through its folder, not read it.
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)


def listen(path: str, backlog: int = 128, group: int | None = None) -> socket.socket:
    """A non-blocking listening socket at `path`, replacing whatever was left there. Its mode is 0600; with `group` it
    is given to that group with 0660. Raises OSError when we are not in it."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    if os.path.lexists(path):
        os.unlink(path)
    previous = os.umask(0o177)
    try:
        with short_address(path) as address:
            server.bind(address)
        if group is not None:
            os.chown(path, -1, group, follow_symlinks=False)
            os.chmod(path, 0o660)
        server.listen(backlog)
    except BaseException:
        server.close()
        raise
    finally:
        os.umask(previous)
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
