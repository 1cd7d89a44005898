"""HTTP on loopback: reads requests, plays reactions out, breaks them where a fault says so."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event
from typing import Any
from urllib.parse import unquote, urlsplit

from conductor.domain.errors import UsageError
from conductor.testing.sim.asked import Json
from conductor.testing.sim.desk import Desk, Reaction, Request
from conductor.testing.sim.faults import read_fault
from conductor.testing.sim.telling import Event as StreamEvent

_LOOK_SECONDS = 0.05
_LONGEST_HANG_SECONDS = 3600.0
_CLOSING_SECONDS = 5.0
_BROKEN_JSON = '{"type": "broken", "half": "of a'
_HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>\n"


class Gone(Exception):
    """The client went away, or the server closes, or the connection is cut on purpose."""


class SimServer(ThreadingHTTPServer):
    """One thread for each connection. Raises OSError when the port is taken."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, desk: Desk) -> None:
        self.desk = desk
        self.closing = Event()
        self.departures = 0
        """Clients that went away before their answer was whole."""
        self._open = Condition()
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._open:
            self._connections.discard(request)
            self._open.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def departed(self) -> None:
        with self._open:
            self.departures += 1

    def close_all(self) -> None:
        """Ends every connection and waits for its thread."""
        self.closing.set()
        self.shutdown()
        with self._open:
            for connection in self._connections:
                _shut(connection)
            self._open.wait_for(lambda: not self._connections, timeout=_CLOSING_SECONDS)
        self.server_close()


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # gone already


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "conductor-sim"
    disable_nagle_algorithm = True
    server: SimServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: requests are recorded, not logged."""

    def do_HEAD(self) -> None:
        self._send(200, b"", "application/json", {})

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        try:
            path = urlsplit(self.path)
            raw = self._read_body()
            if self.command == "POST" and path.path.startswith("/sim/fault/"):
                return self._set_fault(unquote(path.path.removeprefix("/sim/fault/")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = _parsed(raw, headers.get("content-encoding", ""))
            if body is None:
                return self._send_json(400, {"error": {"type": "invalid_request_error", "message": "not JSON"}}, {})
            request = Request(self.command, unquote(path.path), path.query, headers, body)
            self._play(self.server.desk.react(request))
        except Gone:
            self.close_connection = True
        except ConnectionError:
            self.server.departed()
            self.close_connection = True
        return None

    def _set_fault(self, name: str) -> None:
        """`POST /sim/fault/NAME`: from now on, for every path that names no fault."""
        try:
            read_fault(name)
        except UsageError as error:
            return self._send_json(404, {"error": str(error)}, {})
        self.server.desk.standing_fault = name
        return self._send_json(200, {"fault": name}, {})

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    # -- answers

    def _play(self, reaction: Reaction) -> None:
        kind = reaction.fault.kind
        if kind == "hang":
            self._hang()
        if kind == "wrongtype":
            return self._send(200, _HTML, "text/html; charset=utf-8", {})
        if reaction.events is None:
            return self._play_whole(reaction)
        self._begin(200, "text/event-stream; charset=utf-8", {**reaction.headers, "transfer-encoding": "chunked"})
        events = list(reaction.events)
        waits = reaction.fault.spread_seconds / max(1, sum(event.is_answer for event in events))
        self._stream(events, waits, reaction)
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _stream(self, events: list[StreamEvent], seconds_between: float, reaction: Reaction) -> None:
        kind, thinking = reaction.fault.kind, reaction.think_seconds
        for event in events:
            if event.is_answer:
                self._wait(thinking + seconds_between)
                thinking = 0.0
            if event.is_answer and kind == "badjson":
                return self._chunk(StreamEvent(_BROKEN_JSON, event.name).encoded())
            self._chunk(event.encoded())
            if event.is_answer and kind in ("stall", "cut"):
                self._hang() if kind == "stall" else self._cut()
        return None

    def _play_whole(self, reaction: Reaction) -> None:
        self._wait(reaction.think_seconds + reaction.fault.spread_seconds)
        raw = json.dumps(reaction.body).encode()
        match reaction.fault.kind:
            case "badjson":
                raw = raw[: len(raw) // 2]
            case "stall" | "cut" as kind:
                self._begin(reaction.status, "application/json", {"content-length": str(len(raw))})
                self.wfile.write(raw[: len(raw) // 2])
                self._hang() if kind == "stall" else self._cut()
        self._send(reaction.status, raw, "application/json", reaction.headers)

    def _send_json(self, status: int, body: Json, headers: dict[str, str]) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", headers)

    def _send(self, status: int, raw: bytes, kind: str, headers: dict[str, str]) -> None:
        self._begin(status, kind, {**headers, "content-length": str(len(raw))})
        self.wfile.write(raw)

    def _begin(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "cache-control": "no-cache", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, raw: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))

    # -- faults

    def _cut(self) -> None:
        _shut(self.connection)
        raise Gone

    def _hang(self) -> None:
        self._wait(_LONGEST_HANG_SECONDS)
        raise Gone

    def _wait(self, seconds: float) -> None:
        """Raises ConnectionError when the client goes away meanwhile, Gone when the server closes."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.server.closing.wait(min(left, _LOOK_SECONDS)):
                raise Gone
            if _has_left(self.connection):
                raise ConnectionResetError


def _has_left(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


def _parsed(raw: bytes, encoding: str) -> Json | None:
    """The body as JSON; None when it is none. Nothing at all is an empty object."""
    try:
        text = gzip.decompress(raw) if encoding == "gzip" else raw
        found = json.loads(text or b"{}")
    except (OSError, EOFError, ValueError):
        return None
    return found if isinstance(found, dict) else None
