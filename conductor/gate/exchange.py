"""One request of the agent on its way to the provider, and the answer on its way back, as the bytes come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from conductor.domain.masking import Masker
from conductor.gate.dress import Dress, dress_for, dressed_body, dressed_head
from conductor.gate.forms import Exchanger, call_kind, own_answer
from conductor.gate.framing import BadFraming, Framing
from conductor.gate.heads import (
    LONGEST_HEAD,
    AnswerHead,
    BadHead,
    RequestHead,
    parse_answer,
)
from conductor.gate.notes import CallNotes, Mailbox
from conductor.gate.upstream import Upstream
from conductor.gate.wire import LEFT, READABLE, Wire, push, wait

_MOST_KEPT = 524_288
"""Bytes of a request that can be sent again when a kept connection turns out to be dead."""

_REST_SECONDS = 1.0


class ClientLeft(Exception):
    """The agent closed its connection, or speaks no HTTP on it."""


class UpstreamBroke(Exception):
    """The provider's connection ended before its answer did."""


@dataclass(slots=True)
class Passage:
    """What all exchanges of a gate share. `refused`: why no more model calls are let through; empty: they are."""

    exchanger: Exchanger
    upstream: Upstream
    mailbox: Mailbox
    masker: Masker
    now: Callable[[], float]
    refused: str = ""


class Exchange:
    """Runs in one thread; `cut` may come from any."""

    def __init__(self, passage: Passage, client: Wire, head: RequestHead) -> None:
        """Raises BadHead."""
        self.kind = call_kind(head)
        self._passage, self._client, self._head = passage, client, head
        self._body = head.framing
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._upstream: Wire | None = None
        self._begun = self._was_cut = self._told = False
        self._notes = CallNotes(self.kind, head.path, passage.masker, passage.now) if self.kind else None

    def run(self) -> bool:
        """Whether the agent's connection can take another request. Raises ClientLeft."""
        try:
            try:
                return self._run()
            except ClientLeft:
                self._tell_cut()
                raise
            except UpstreamBroke as error:
                return self._give_up(str(error))
        finally:
            self._tell(complete=False, error="the gate failed")  # whatever happened: one that began is told
            upstream, self._upstream = self._upstream, None
            if upstream is not None:
                upstream.close()

    def cut(self) -> None:
        """Ends it from outside; where nothing of an answer went back yet, the agent still hears why."""
        self._was_cut = True
        upstream = self._upstream
        if upstream is not None:
            upstream.hang_up()
        if self._begun:
            self._client.stop_listening()  # and resets it, which no agent takes for an end

    def _run(self) -> bool:
        wire, used_before = self._connect(fresh=False)
        try:
            self._send_request(wire)
            answer = self._await_answer(wire)
        except UpstreamBroke:
            if not used_before or self._begun or self._was_cut or not self._can_send_again:
                raise
            wire.close()  # it had died of idleness
            wire, _ = self._connect(fresh=True)
            self._send_request(wire)
            answer = self._await_answer(wire)
        return self._relay(wire, answer)

    def _connect(self, *, fresh: bool) -> tuple[Wire, bool]:
        address = self._passage.upstream.address
        try:
            wire, used_before = self._passage.upstream.borrow(fresh=fresh)
        except (OSError, ValueError) as error:
            raise UpstreamBroke(f"can't reach {address.netloc}: {getattr(error, 'strerror', None) or error}") from error
        self._upstream = wire
        if self._was_cut:
            raise UpstreamBroke("cut before it was sent")
        return wire, used_before

    @property
    def _can_send_again(self) -> bool:
        return self._body.ended and self._kept_bytes <= _MOST_KEPT

    # the request

    def _send_request(self, wire: Wire) -> None:
        """The head, what was kept, then the body as it comes. Ends early when an answer comes before its end, or the
        connection breaks: reading the answer tells which. Raises ClientLeft."""
        pending = self._passage.exchanger.forwarded(self._head) + b"".join(self._kept)
        try:
            while self._push_upstream(wire, pending) and not self._body.ended:
                piece = self._next_of_body(wire)
                if piece is None:
                    return
                pending = piece
        except OSError:
            return

    def _push_upstream(self, wire: Wire, raw: bytes) -> bool:
        """Whether all of `raw` went before an answer came or the agent left."""
        rest = memoryview(raw)
        while rest:
            rest = push(wire, rest, {wire: READABLE, self._client: LEFT})
            if rest and (_has_answer(wire) or self._client_left()):
                return False
        return True

    def _next_of_body(self, wire: Wire) -> bytes | None:
        """None: an answer came first."""
        while True:
            raw = _read_client(self._client)
            if raw is None:
                happened = wait({self._client: READABLE, wire: READABLE})
                if wire in happened and _has_answer(wire):
                    return None
                continue
            if not raw:
                raise ClientLeft
            return self._of_body(raw)

    def _of_body(self, raw: bytes) -> bytes:
        try:
            used, _ = self._body.feed(raw)
        except BadFraming as error:
            raise ClientLeft from error
        piece, self._client.ahead = raw[:used], raw[used:]
        if self._kept_bytes <= _MOST_KEPT:
            self._kept.append(piece)
        self._kept_bytes += len(piece)
        return piece

    def _take_rest_of_body(self) -> None:
        """Of a request that will not be sent, for a while and where it is short: it names its model, and an agent that
        is heard to the end keeps its connection."""
        deadline = time.monotonic() + _REST_SECONDS
        try:
            while not self._body.ended and self._kept_bytes <= _MOST_KEPT and (left := deadline - time.monotonic()) > 0:
                raw = _read_client(self._client)
                if raw is None:
                    wait({self._client: READABLE}, left)
                elif raw:
                    self._of_body(raw)
                else:
                    return
        except ClientLeft:
            pass  # whoever answers will notice

    def _client_left(self) -> bool:
        return bool(wait({self._client: LEFT}, 0))

    # the answer

    def _await_answer(self, wire: Wire) -> AnswerHead:
        """The head of the answer; what came with it is ahead. Raises UpstreamBroke, ClientLeft."""
        raw = b""
        while True:
            end = raw.find(b"\r\n\r\n")
            if end >= 0:
                head, raw = _answer_head(raw[:end]), raw[end + 4 :]
                if head.status >= 200:
                    wire.ahead = raw
                    return head
            elif len(raw) > LONGEST_HEAD:
                raise UpstreamBroke("an answer whose head does not end")
            else:
                raw += self._more(wire) or _broke("the provider closed the connection without an answer")
                if self._notes is not None:
                    self._notes.first_byte()

    def _more(self, wire: Wire) -> bytes:
        """The next bytes from upstream; empty: it closed its side. Raises UpstreamBroke, ClientLeft."""
        while True:
            try:
                raw = wire.read()
            except OSError as error:
                raise UpstreamBroke(f"the provider's connection broke off: {error.strerror or error}") from error
            if raw is not None:
                return raw
            if self._client in wait({wire: READABLE, self._client: LEFT}):
                raise ClientLeft

    def _relay(self, wire: Wire, answer: AnswerHead) -> bool:
        try:
            framing = answer.framing(self._head.method)
        except BadHead as error:
            raise UpstreamBroke(f"an answer that is no HTTP: {error}") from error
        dress = dress_for(self._head, answer, framing)
        keeps = self._head.keeps_open and self._body.ended and dress.tells_its_end
        if answer.status < 400:
            self._kept = self._kept[:1]  # the answer will name its model, and is not asked for again
        if self._notes is not None:
            self._notes.answered(answer)
        self._pass_on(wire, framing, dress, dressed_head(answer, dress, keeps=keeps))
        if answer.keeps_open and self._body.ended and not framing.ends_at_close and not wire.ahead:
            self._upstream = None
            self._passage.upstream.give_back(wire)
        return keeps

    def _pass_on(self, wire: Wire, framing: Framing, dress: Dress, head: bytes) -> None:
        """The head and the body. The call is told before its last bytes go: an agent that has them may end at once."""
        if framing.ended:
            self._tell_end()
        pending = head
        if not framing.ended and not wire.ahead:
            self._push_client(pending)  # a client may wait for the head alone
            pending = b""
        while not framing.ended:
            raw = self._more(wire)
            if not raw:
                self._end_at_close(framing, dress)
                return
            used, pieces = _fed(framing, raw)
            wire.ahead = raw[used:]
            if framing.ended:
                self._note(pieces)
                self._tell_end()
            self._push_client(pending + dressed_body(raw[:used], pieces, dress))
            pending = b""
            if not framing.ended:
                self._note(pieces)
        if pending:
            self._push_client(pending)

    def _end_at_close(self, framing: Framing, dress: Dress) -> None:
        if self._was_cut or not framing.ends_at_close:
            raise UpstreamBroke("the provider's answer broke off")
        if self._notes is not None and not self._notes.ends_well():
            raise UpstreamBroke("the provider's answer ended without its last event")
        self._tell(complete=True)
        if dress is Dress.CHUNKED:
            self._push_client(b"0\r\n\r\n")

    def _push_client(self, raw: bytes) -> None:
        self._begun = True
        try:
            if push(self._client, memoryview(raw), {self._client: LEFT}):
                raise ClientLeft
        except OSError as error:
            raise ClientLeft from error

    # what is told

    def _note(self, pieces: list[bytes]) -> None:
        if self._notes is not None:
            self._notes.content(pieces)

    def _tell_end(self) -> None:
        if self._notes is not None:
            self._tell(complete=self._notes.ends_well())

    def _tell_cut(self) -> None:
        """Not the provider ended it: a refusal, or the agent, which is gone too when its gate closes."""
        refused = self._passage.refused if self._was_cut else ""
        self._tell(complete=False, error=refused or "the agent left before the end of the answer", left=not refused)

    def _tell(self, *, complete: bool, error: str = "", left: bool = False) -> None:
        if self._notes is not None and not self._told:
            self._told = True
            self._notes.asked(self._kept)
            self._passage.mailbox.put(self._notes.call(complete=complete, error=error, left=left))

    def _give_up(self, why: str) -> bool:
        """Upstream is gone: an agent that has part of an answer sees it break off, another one hears why."""
        refused = self._passage.refused if self._was_cut else ""
        if not self._begun:
            self._take_rest_of_body()
        if self._was_cut:
            self._tell_cut()
        self._tell(complete=False, error=why)
        if self._begun:
            raise ClientLeft
        keeps = self._head.keeps_open and self._body.ended
        form = self._passage.exchanger.form
        self._push_client(own_answer(form, 403 if refused else 502, refused or why, close=not keeps))
        return keeps


def _broke(why: str) -> bytes:
    raise UpstreamBroke(why)


def _has_answer(wire: Wire) -> bool:
    """Whether bytes of an answer are there, or its end; TLS has messages of its own, which are none."""
    try:
        raw = wire.read()
    except OSError:
        return True
    wire.ahead = raw or b""
    return raw is not None


def _read_client(client: Wire) -> bytes | None:
    try:
        return client.read()
    except OSError as error:
        raise ClientLeft from error


def _answer_head(raw: bytes) -> AnswerHead:
    try:
        return parse_answer(raw)
    except BadHead as error:
        raise UpstreamBroke(f"an answer that is no HTTP: {error}") from error


def _fed(framing: Framing, raw: bytes) -> tuple[int, list[bytes]]:
    try:
        return framing.feed(raw)
    except BadFraming as error:
        raise UpstreamBroke(f"an answer that is no HTTP: {error}") from error
