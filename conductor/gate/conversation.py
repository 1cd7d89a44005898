"""One connection of the agent: its requests, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable

from conductor.gate.exchange import ClientLeft, Exchange, Passage
from conductor.gate.forms import call_kind, may_pass, own_answer
from conductor.gate.heads import LONGEST_HEAD, BadHead, RequestHead, parse_request, words_of
from conductor.gate.wire import READABLE, Wire, wait

_FAREWELL_SECONDS = 2.0


class Conversation:
    """Runs in one thread; `cut` and `hang_up` may come from any. `on_stranger` hears the path of a request that did
    not show the token."""

    def __init__(self, passage: Passage, client: Wire, on_stranger: Callable[[str], None]) -> None:
        self._passage, self._client, self._on_stranger = passage, client, on_stranger
        self._exchange: Exchange | None = None

    def run(self) -> None:
        broken = False
        try:
            while self._serve_one():
                pass
            self._say_goodbye()
        except (ClientLeft, OSError):
            broken = True
        finally:
            self._client.close(broken=broken)

    def cut(self, *, only_model_calls: bool = True) -> None:
        """Ends what is under way."""
        exchange = self._exchange
        if exchange is not None and (exchange.kind or not only_model_calls):
            exchange.cut()

    def hang_up(self) -> None:
        self.cut(only_model_calls=False)
        self._client.stop_listening()

    def _serve_one(self) -> bool:
        """Whether another request may follow. Raises ClientLeft, OSError."""
        raw = self._next_head()
        if raw is None:
            return False
        try:
            if len(raw) > LONGEST_HEAD:
                return self._refuse(431, "the head of this request is too long")
            head = parse_request(raw)
            return self._let_through(head)
        except BadHead as error:
            return self._refuse(400, f"not understood: {error}")

    def _let_through(self, head: RequestHead) -> bool:
        if not self._passage.exchanger.admits(head):
            self._on_stranger(head.path)
            return self._refuse(403, "this address serves one agent alone: the key of its gate is missing or wrong")
        if "websocket" in words_of(head.headers, "upgrade"):
            return self._refuse(426, "no WebSocket here: use HTTP")
        if not may_pass(head):
            return self._refuse(403, f"only model calls pass this gate, not {head.method} {head.path[:200]}")
        exchange = self._exchange = Exchange(self._passage, self._client, head)
        try:
            if self._passage.refused and call_kind(head):
                return self._refuse(403, self._passage.refused)
            if "100-continue" in words_of(head.headers, "expect"):
                self._answer(b"HTTP/1.1 100 Continue\r\n\r\n")
            return exchange.run()
        finally:
            self._exchange = None

    def _next_head(self) -> bytes | None:
        """The next request's head, with what follows it ahead; None: there is none. One that is too long is cut."""
        raw = b""
        while True:
            end = raw.find(b"\r\n\r\n")
            if end >= 0:
                self._client.ahead = raw[end + 4 :]
                return raw[:end]
            if len(raw) > LONGEST_HEAD:
                return raw
            more = self._client.read()
            if more is None:
                wait({self._client: READABLE})
            elif more:
                raw = (raw + more).lstrip(b"\r\n") if not raw else raw + more
            else:
                return None

    def _refuse(self, status: int, message: str) -> bool:
        self._answer(own_answer(self._passage.exchanger.form, status, message, close=True))
        return False

    def _answer(self, raw: bytes) -> None:
        rest = memoryview(raw)
        while rest:
            sent = self._client.write(rest)
            rest = rest[sent:]
            if not sent:
                raise ClientLeft  # a few hundred bytes always fit, unless nobody reads

    def _say_goodbye(self) -> None:
        """Lets the agent read the last answer: closing on bytes that it still sends would take it away."""
        self._client.say_no_more()
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            raw = self._client.read()
            if raw is None:
                wait({self._client: READABLE}, left)
            elif not raw:
                return
