"""The way to the provider: where it is, by which proxy, and connections that are kept for the next request."""

from __future__ import annotations

import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conductor.domain.agent_setup import ProviderSetup
from conductor.domain.errors import SettingsInvalid
from conductor.gate.wire import Wire

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS = 20.0
_MOST_IDLE = 8
_LONGEST_IDLE_SECONDS = 60.0
"""Longer than between two calls of a busy agent, shorter than what routers remember."""
_SILENCE_SECONDS = 30
_URL = re.compile(
    r"(https?)://(?:([^/@\s]+)@)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?(/[!-\"$->@-~]*)?", re.ASCII
)
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1")
_LONGEST_PROXY_ANSWER = 16 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """`prefix`: the path in front of every request's, without a slash at its end. `login`: user:password."""

    secure: bool
    host: str
    port: int
    prefix: str = ""
    login: str = ""

    @property
    def is_loopback(self) -> bool:
        return bool(_LOOPBACK.fullmatch(self.host))

    @property
    def netloc(self) -> str:
        """As the host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def address_of(url: str) -> Address | None:
    """None: it is no http(s) address."""
    match = _URL.fullmatch(url)
    if not match or int(match[4] or 1) > 65535:
        return None
    secure = match[1] == "https"
    port = int(match[4] or (443 if secure else 80))
    return Address(secure, match[3].strip("[]").lower(), port, (match[5] or "").rstrip("/"), match[2] or "")


def provider_address(provider: ProviderSetup) -> Address:
    """Where `provider` is. Raises SettingsInvalid when it can't be reached, or only in the clear."""
    address = address_of(provider.base_url)
    if address is None:
        raise SettingsInvalid(
            f"provider {provider.name}: base_url {provider.base_url!r} is no address: write https://…"
        )
    if not address.secure and not address.is_loopback:
        raise SettingsInvalid(
            f"provider {provider.name}: base_url {provider.base_url!r} would carry its key in the clear: "
            "write https://…, or set `gate: false` for the agent"
        )
    return address


def proxy_for(address: Address, environment: Mapping[str, str]) -> Address | None:
    """The proxy that HTTPS_PROXY and NO_PROXY ask for; loopback is always reached directly."""
    told = environment.get("https_proxy") or environment.get("HTTPS_PROXY") or ""
    if not told or not address.secure or address.is_loopback:
        return None
    spared = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").lower()
    for name in filter(None, (part.strip().removeprefix("*").lstrip(".") for part in spared.split(","))):
        if address.host == name or address.host.endswith(f".{name}"):
            return None
    if "*" in (part.strip() for part in spared.split(",")):
        return None
    return address_of(told if "://" in told else f"http://{told}")


class Upstream:
    """Connections to one provider. Any thread may borrow one and give it back."""

    def __init__(self, address: Address, environment: Mapping[str, str], context: ssl.SSLContext | None = None) -> None:
        """`context` None: made from `environment` when it is wanted."""
        self.address = address
        self._environment = environment
        self._proxy = proxy_for(address, environment)
        self._lock = threading.Lock()
        self._idle: list[tuple[Wire, float]] = []
        self._closed = False
        self._context = context

    def prepare(self) -> None:
        """Makes one connection ahead of the first request where that takes long. Never raises: the request will say
        what is wrong."""
        if not self.address.secure:
            return
        try:
            self.give_back(self._connect())
        except (OSError, ValueError):
            pass

    def borrow(self, *, fresh: bool = False) -> tuple[Wire, bool]:
        """A connection, and whether it was used or made before: then it may turn out to be dead. Raises OSError."""
        while not fresh:
            with self._lock:
                wire, since = self._idle.pop() if self._idle else (None, 0.0)
            if wire is None:
                break
            if time.monotonic() - since < _LONGEST_IDLE_SECONDS and _is_alive(wire):
                return wire, True
            wire.close()
        return self._connect(), False

    def give_back(self, wire: Wire) -> None:
        """One on which nothing is under way."""
        with self._lock:
            keep = not self._closed and len(self._idle) < _MOST_IDLE
            if keep:
                self._idle.append((wire, time.monotonic()))
        if not keep:
            wire.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for wire, _ in idle:
            wire.close()

    def _connect(self) -> Wire:
        nearest = self._proxy or self.address
        sock = socket.create_connection((nearest.host, nearest.port), timeout=CONNECT_SECONDS)
        try:
            if self._proxy is not None:
                _tunnel(sock, self._proxy, self.address)
            _notice_silence(sock)
            return self._secured(sock) if self.address.secure else Wire(sock)
        except BaseException:
            sock.close()
            raise

    def _secured(self, sock: socket.socket) -> Wire:
        from conductor.gate.tls import secured, trusting_context

        with self._lock:
            if self._context is None:
                self._context = trusting_context(self._environment)
        return secured(sock, self.address.host, self._context)


def _notice_silence(sock: socket.socket) -> None:
    """A provider whose machine or network is gone says nothing, not even goodbye."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _SILENCE_SECONDS // 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * _SILENCE_SECONDS * 1000)


def _is_alive(wire: Wire) -> bool:
    """Nothing may come on an idle connection: bytes or its end mean that it is of no use."""
    try:
        return wire.read() is None
    except OSError:
        return False


def _tunnel(sock: socket.socket, proxy: Address, to: Address) -> None:
    """Has the proxy connect `sock` through. Raises OSError when it will not."""
    goal = f"[{to.host}]:{to.port}" if ":" in to.host else f"{to.host}:{to.port}"
    login = _login_header(proxy.login) if proxy.login else ""
    sock.sendall(f"CONNECT {goal} HTTP/1.1\r\nHost: {goal}\r\n{login}\r\n".encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_PROXY_ANSWER:
        piece = sock.recv(1)  # one at a time: what follows is TLS and not ours to read
        if not piece:
            break
        answer += piece
    first = answer.partition(b"\r\n")[0].decode("latin-1")
    if not re.match(r"HTTP/1\.[01] 2[0-9]{2}\b", first):
        raise OSError(f"the proxy {proxy.host}:{proxy.port} did not connect to {goal}: {first[:100] or 'no answer'}")


def _login_header(login: str) -> str:
    from urllib.parse import unquote

    return f"Proxy-Authorization: Basic {b64encode(unquote(login).encode()).decode()}\r\n"
