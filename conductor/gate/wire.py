"""A connection whose bytes move as they come: neither reading nor writing ever waits, `wait` does."""

from __future__ import annotations

import select
import socket
import struct
import threading

_MOST_AT_ONCE = 65_536
READABLE, WRITABLE = select.POLLIN, select.POLLOUT
LEFT = select.POLLRDHUP
"""The other end has closed its side, although bytes may still be unread."""
_LINGER_NOT = struct.pack("ii", 1, 0)


class Wire:
    """A connected socket, its own from now on."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._ending = threading.Lock()  # a number that is closed may be another connection's a moment later
        self.ahead = b""
        """Bytes that were read too far: the next `read` gives them."""
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bytes | None:
        """What is there; None: nothing now; empty: it ended. Raises OSError when it broke off."""
        if self.ahead:
            ahead, self.ahead = self.ahead, b""
            return ahead
        try:
            return self._socket.recv(_MOST_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return None

    def write(self, raw: memoryview) -> int:
        """How many bytes went; 0: none now. Raises OSError when it broke off."""
        try:
            return self._socket.send(raw)
        except (BlockingIOError, InterruptedError):
            return 0

    def hang_up(self) -> None:
        """Ends it under the thread that uses it, which sees it end. The socket's own call: a TLS one forgets its
        state, and its user would read on in the clear."""
        self._shut(socket.SHUT_RDWR)

    def stop_listening(self) -> None:
        """Its user sees the other end leave, which itself sees nothing yet."""
        self._shut(socket.SHUT_RD)

    def say_no_more(self) -> None:
        """Ends this direction; what comes can still be read."""
        self._shut(socket.SHUT_WR)

    def close(self, *, broken: bool = False) -> None:
        """`broken`: so that the other end can't take it for a clean end."""
        with self._ending:
            if broken:
                try:
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                except OSError:
                    pass  # it is gone already
            self._socket.close()

    def _shut(self, how: int) -> None:
        with self._ending:
            try:
                socket.socket.shutdown(self._socket, how)
            except OSError:
                pass  # the other end was quicker


def wait(watched: dict[Wire, int], seconds: float | None = None) -> dict[Wire, int]:
    """Until one of the watched has one of its events, which are told; none after `seconds`. What broke off has all."""
    poll = select.poll()
    by_number = {wire.fileno(): wire for wire in watched}
    for number, wire in by_number.items():
        poll.register(number, watched[wire])
    happened = poll.poll(None if seconds is None else seconds * 1000)
    broken = select.POLLERR | select.POLLHUP | select.POLLNVAL
    return {by_number[number]: (watched[by_number[number]] if seen & broken else seen) for number, seen in happened}


def push(wire: Wire, rest: memoryview, interrupted_by: dict[Wire, int]) -> memoryview:
    """Writes, waiting where it must, until all is written or, while it waits, one of `interrupted_by` has its event;
    what is not written yet. Raises OSError when it broke off."""
    while rest:
        sent = wire.write(rest)
        rest = rest[sent:]
        if not sent:
            events = dict(interrupted_by)
            events[wire] = WRITABLE | events.get(wire, 0)
            happened = wait(events)
            if any(happened.get(one, 0) & event for one, event in interrupted_by.items()):
                break
    return rest
