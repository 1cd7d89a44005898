"""What is noted of one model call, and handed on when it is over; and the mailbox for those that are over."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conductor.domain.agent_events import Call, Limit
from conductor.domain.masking import Masker
from conductor.gate.heads import AnswerHead, value
from conductor.gate.limits import is_limit, limit_from
from conductor.gate.sniff import AnswerReader, asked_model

_LONGEST_ERROR = 500


class Mailbox:
    """Calls that are over. `fileno()` is readable while there are any. Any thread may put."""

    def __init__(self) -> None:
        self._number = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._closed = False

    def fileno(self) -> int:
        return self._number

    def put(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)
            if not self._closed:
                os.eventfd_write(self._number, 1)

    def take(self) -> Sequence[Call]:
        with self._lock:
            calls, self._calls = self._calls, []
            if calls and not self._closed:
                os.eventfd_read(self._number)
        return calls

    def close(self) -> None:
        """What was put can still be taken."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._number)


class CallNotes:
    """Notes on one call of `kind`, from the moment that it was asked for. `now`: seconds since 1970."""

    def __init__(self, kind: str, path: str, masker: Masker, now: Callable[[], float]) -> None:
        self._kind, self._path = kind, path
        self._masker, self._now = masker, now
        self._began = time.monotonic()
        self._first_byte_seconds: float | None = None
        self._head: AnswerHead | None = None
        self._reader: AnswerReader | None = None
        self._asked: Sequence[bytes] = ()

    def asked(self, body: Sequence[bytes]) -> None:
        """The first part of the request's body, all of it where it is short."""
        self._asked = body

    def first_byte(self) -> None:
        if self._first_byte_seconds is None:
            self._first_byte_seconds = time.monotonic() - self._began

    def answered(self, head: AnswerHead) -> None:
        self._head = head
        if value(head.headers, "content-encoding").lower() in ("", "identity"):
            streamed = value(head.headers, "content-type").lower().startswith("text/event-stream")
            self._reader = AnswerReader(self._kind, streamed=streamed)

    def content(self, pieces: Sequence[bytes]) -> None:
        if self._reader is not None:
            for piece in pieces:
                self._reader.feed(piece)

    def ends_well(self) -> bool:
        """At the last byte: whether the answer, as far as it could be read, told its end and no error."""
        if self._reader is None:
            return True
        self._reader.close()
        if self._failed():
            return True
        return self._reader.unread or (self._reader.came_to_its_end and not self._reader.error)

    def call(self, *, complete: bool, error: str = "", left: bool = False) -> Call:
        """All that is known, when nothing more will come. `error`: in place of the answer's own; `left`: the agent
        wanted no more of it."""
        reader, head = self._reader, self._head
        refusal = reader.error if reader is not None else {}
        said = error or (reader.message if reader is not None and refusal else "")
        if not said and head is not None and self._failed():
            said = head.reason
        if not said and not complete:
            said = "the provider's answer was not whole"
        return Call(
            path=self._path,
            status=head.status if head is not None else None,
            model=(reader.model if reader is not None else "") or asked_model(self._path, b"".join(self._asked)),
            seconds=round(time.monotonic() - self._began, 6),
            first_byte_seconds=None if self._first_byte_seconds is None else round(self._first_byte_seconds, 6),
            usage=reader.usage if reader is not None else None,
            limit=self._limit(refusal),
            error=" ".join(self._masker.mask(said[: 4 * _LONGEST_ERROR]).split())[:_LONGEST_ERROR],
            complete=complete,
            left=left,
        )

    def _limit(self, refusal: Mapping[str, Any]) -> Limit | None:
        if self._head is None or not is_limit(self._head.status, refusal):
            return None
        limit = limit_from(self._head.headers, refusal, self._now())
        return Limit(limit.resets_at, limit.kind, self._masker.mask(limit.said))

    def _failed(self) -> bool:
        return self._head is not None and self._head.status >= 400
