"""control.sock: one JSON object a line in, one out. The verb `ring` is the doorbell and gets no answer.

A client that stalls, talks nonsense or leaves costs nothing but its own connection. Who it is, the kernel says
(SO_PEERCRED); whoever may not come in is not even heard.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from conductor.domain.errors import ConductorError
from conductor.kit.unixsocket import Peer, listen, peer_of

_PIECE = 65536
_PATIENCE_SECONDS = 10.0

Answer = Callable[[dict[str, Any], Peer], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """Who may come in, and how much of the house."""

    admits: Callable[[Peer], bool]
    group: int | None = None
    """Whose members may connect beside the owner, as far as the file says; None: nobody."""
    most_clients: int = 64
    most_of_one_user: int = 64
    longest_request: int = 65536


def is_ours(peer: Peer) -> bool:
    """Our own user, whose files we work on, and root."""
    return peer.uid in (os.geteuid(), 0)


class _Client:
    def __init__(self, connection: socket.socket, peer: Peer) -> None:
        self.connection = connection
        self.peer = peer
        self.since = time.monotonic()
        self.received = b""


class ControlServer:
    """Non-blocking; the loop waits for `fileno()` and `watched()` and then calls `accept()` and `serve()`."""

    def __init__(self, path: str, answer: Answer, entry: Entry | None = None) -> None:
        """`entry`: how others come in; by default only our own user and root do."""
        self._path = path
        self._answer = answer
        self._entry = entry or Entry(is_ours)
        self._server = listen(path, group=self._entry.group)
        self._clients: dict[int, _Client] = {}

    def fileno(self) -> int:
        return self._server.fileno()

    def watched(self) -> dict[int, object]:
        """Descriptors of connected clients, each with whose it is."""
        return dict(self._clients)

    def accept(self) -> None:
        """Takes new connections."""
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            peer = self._admitted(connection)
            if peer is None:
                connection.close()
                continue
            connection.setblocking(False)
            self._clients[connection.fileno()] = _Client(connection, peer)

    def _admitted(self, connection: socket.socket) -> Peer | None:
        """Who it is, if he may come in and there is room for him."""
        try:
            peer = peer_of(connection)
        except OSError:
            return None
        of_his = sum(client.peer.uid == peer.uid for client in self._clients.values())
        is_full = len(self._clients) >= self._entry.most_clients or of_his >= self._entry.most_of_one_user
        return peer if not is_full and self._entry.admits(peer) else None

    def serve(self) -> None:
        """Reads and answers whoever has said something."""
        for descriptor, client in list(self._clients.items()):
            self._serve_one(descriptor, client)

    def _serve_one(self, descriptor: int, client: _Client) -> None:
        try:
            chunk = client.connection.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        client.received += chunk
        *lines, client.received = client.received.split(b"\n")
        heard = all(self._reply(client, line) for line in lines)
        if not chunk or not heard or len(client.received) > self._entry.longest_request:
            self._drop(descriptor)

    def drop_the_slow(self) -> None:
        """Closes clients that never finished their sentence."""
        late = time.monotonic() - _PATIENCE_SECONDS
        slow = [descriptor for descriptor, client in self._clients.items() if client.since < late]
        for descriptor in slow:
            self._drop(descriptor)

    def close(self) -> None:
        for descriptor in list(self._clients):
            self._drop(descriptor)
        self._server.close()
        with suppress(OSError):
            os.unlink(self._path)

    def _reply(self, client: _Client, line: bytes) -> bool:
        """Answers one line; False when the client does not take its answer."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("a request is a JSON object")
            answer = self._answer(request, client.peer)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError, ConductorError) as error:
            answer = {"error": str(error)}
        if answer is None:
            return True
        try:
            client.connection.settimeout(1.0)
            client.connection.sendall(json.dumps(answer, default=str).encode() + b"\n")
            client.connection.setblocking(False)
        except OSError:
            return False
        return True

    def _drop(self, descriptor: int) -> None:
        client = self._clients.pop(descriptor, None)
        if client is not None:
            client.connection.close()
