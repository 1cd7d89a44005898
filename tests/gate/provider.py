"""A provider in a thread, whose every step a test decides, and an agent's side of one connection."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from conductor.domain.agent_events import Call
from conductor.domain.agent_setup import ProviderSetup
from conductor.gate.server import GateServer
from conductor.gate.wire import READABLE

PATIENCE_SECONDS = 10.0
REAL_KEY = "sk-ant-api03-the-real-one-0123456789abcdef"


@dataclass
class Message:
    first: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.first.split()[1])


class Line:
    """One end of a connection, blocking."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_SECONDS)
        self.sock = sock
        self._ahead = b""

    def send(self, raw: bytes) -> None:
        self.sock.sendall(raw)

    def read_some(self) -> bytes:
        """Empty: it ended."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        return self.sock.recv(65536)

    def read_to(self, mark: bytes) -> bytes:
        """Up to and with `mark`. Raises EOFError."""
        raw = b""
        while mark not in raw:
            more = self.read_some()
            if not more:
                raise EOFError(raw)
            raw += more
        at = raw.index(mark) + len(mark)
        self._ahead = raw[at:] + self._ahead
        return raw[:at]

    def read_exactly(self, count: int) -> bytes:
        raw = b""
        while len(raw) < count:
            more = self.read_some()
            if not more:
                raise EOFError(raw)
            raw += more
        self._ahead = raw[count:] + self._ahead
        return raw[:count]

    def read_head(self) -> Message:
        first, *lines = self.read_to(b"\r\n\r\n").decode("latin-1").strip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Message(first, {name.lower(): text.strip() for name, _, text in pairs})

    def read_message(self) -> Message:
        message = self.read_head()
        if message.headers.get("transfer-encoding") == "chunked":
            while size := int(self.read_to(b"\r\n").strip(), 16):
                message.body += self.read_exactly(size)
                self.read_exactly(2)
            self.read_exactly(2)
        else:
            message.body = self.read_exactly(int(message.headers.get("content-length", 0)))
        return message

    def ended(self) -> bool:
        """Waits for the other end to close; whether nothing else came."""
        try:
            return self.read_some() == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.sock.close()


Serve = Callable[[Line], None]


@dataclass
class Provider:
    """`serve` gets each connection, in a thread of its own; it closes when it returns."""

    serve: Serve
    tls: ssl.SSLContext | None = None
    connections: int = 0
    problems: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._lines: list[Line] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_SECONDS)
        try:
            line = Line(self.tls.wrap_socket(sock, server_side=True) if self.tls else sock)
        except OSError:  # the gate did not trust it
            sock.close()
            return
        self._lines.append(line)
        try:
            self.serve(line)
        except (EOFError, ConnectionError):
            pass
        except BaseException as error:
            self.problems.append(error)
        finally:
            line.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            try:
                socket.socket.shutdown(line.sock, socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)


@contextmanager
def gated(
    serve: Serve, form: str = "anthropic", key: str = REAL_KEY, path: str = ""
) -> Iterator[tuple[GateServer, Provider]]:
    """A gate that serves, and the provider behind it."""
    provider = Provider(serve)
    gate = GateServer(ProviderSetup("p", form, provider.url + path), key, environment={}, now=lambda: 1_000_000.0)
    gate.start()
    try:
        yield gate, provider
    finally:
        gate.close()
        provider.close()
    assert provider.problems == []


@contextmanager
def agent_line(gate: GateServer) -> Iterator[Line]:
    """A connection of the agent to its gate."""
    line = Line(socket.create_connection(("127.0.0.1", int(gate.endpoint.url.rpartition(":")[2])), timeout=10))
    try:
        yield line
    finally:
        line.close()


def request(
    gate: GateServer, path: str = "/v1/messages", body: bytes = b'{"model": "m-1"}', *headers: str, method: str = "POST"
) -> bytes:
    """A request of the agent with its token."""
    lines = [f"{method} {path} HTTP/1.1", "host: gate", f"x-api-key: {gate.endpoint.key}", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def answer(body: bytes, *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", *headers, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(raw: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(raw), raw)


def always(raw: bytes) -> Serve:
    """Answers every request of a connection alike."""

    def serve(line: Line) -> None:
        while True:
            line.read_message()
            line.send(raw)

    return serve


def calls_of(gate: GateServer, count: int = 1) -> list[Call]:
    """Waits for `count` calls."""
    import select

    calls: list[Call] = []
    while len(calls) < count:
        poll = select.poll()
        poll.register(gate.fileno(), READABLE)
        assert poll.poll(PATIENCE_SECONDS * 1000), f"{len(calls)} calls instead of {count}"
        calls.extend(gate.take())
    return calls
