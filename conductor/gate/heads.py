"""Heads of HTTP/1.x messages: bytes in, values out. What could be read in two ways is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conductor.gate.framing import Chunked, Framing, Sized, UntilClose

LONGEST_HEAD = 256 * 1024
"""Bytes."""

Headers = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(r"HTTP/1\.([01])")
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te upgrade http2-settings".split()
)


class BadHead(ValueError):
    """A head that is no HTTP/1.x, or that two readers could understand in two ways."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """`minor`: of HTTP/1.minor."""

    method: str
    target: str
    minor: int
    headers: Headers

    @property
    def path(self) -> str:
        """Without the query, in which some clients put their key."""
        return self.target.partition("?")[0]

    @property
    def keeps_open(self) -> bool:
        return _keeps_open(self.minor, self.headers)

    @property
    def framing(self) -> Framing:
        """How its body ends. Raises BadHead."""
        return _declared(self.headers) or Sized(0)


@dataclass(frozen=True, slots=True)
class AnswerHead:
    status: int
    reason: str
    minor: int
    headers: Headers

    @property
    def keeps_open(self) -> bool:
        return _keeps_open(self.minor, self.headers)

    def framing(self, method: str) -> Framing:
        """How the body of this answer to a `method` ends. Raises BadHead."""
        if method == "HEAD" or self.status < 200 or self.status in (204, 304):
            return Sized(0)
        return _declared(self.headers) or UntilClose()


def parse_request(raw: bytes) -> RequestHead:
    """The request whose head is `raw`, without the empty line. Raises BadHead."""
    first, headers = _parse(raw)
    parts = first.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]):
        raise BadHead("no request line")
    if not parts[1].startswith("/"):
        raise BadHead("a request here names a path")
    return RequestHead(parts[0], parts[1], _minor(parts[2]), headers)


def parse_answer(raw: bytes) -> AnswerHead:
    """The answer whose head is `raw`, without the empty line. Raises BadHead."""
    first, headers = _parse(raw)
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if not re.fullmatch(r"[1-9][0-9]{2}", status, re.ASCII):
        raise BadHead("no status line")
    return AnswerHead(int(status), reason, _minor(version), headers)


def render(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A head as bytes, with its empty line."""
    lines = [first, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def values(headers: Headers, name: str) -> list[str]:
    """Every value of the header called `name`, which is in lower case."""
    return [value for key, value in headers if key.lower() == name]


def value(headers: Headers, name: str) -> str:
    """The first value of the header called `name`; empty when there is none."""
    return next(iter(values(headers, name)), "")


def words_of(headers: Headers, name: str) -> list[str]:
    """The words of a header that lists words, in lower case."""
    return [word.strip().lower() for one in values(headers, name) for word in one.split(",") if word.strip()]


def end_to_end(headers: Headers, *, without: Sequence[str] = ()) -> Headers:
    """The headers that concern both ends, and not only this connection. How a body is framed stays."""
    of_hop = {*_HOP_BY_HOP, *words_of(headers, "connection")} - {"transfer-encoding", "content-length"}
    left_out = {*of_hop, *without}
    return tuple((name, text) for name, text in headers if name.lower() not in left_out)


def _parse(raw: bytes) -> tuple[str, Headers]:
    first, *lines = raw.decode("latin-1").split("\r\n")
    if "\n" in first or "\r" in first or "\0" in first:
        raise BadHead("a control character in the first line")
    return first, tuple(map(_header, lines))


def _header(line: str) -> tuple[str, str]:
    name, colon, text = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name):
        raise BadHead("a line that is no header")
    if "\n" in text or "\r" in text or "\0" in text:
        raise BadHead("a control character in a header")
    return name, text.strip(" \t")


def _minor(version: str) -> int:
    match = _VERSION.fullmatch(version)
    if not match:
        raise BadHead("no HTTP/1.x")
    return int(match[1])


def _keeps_open(minor: int, headers: Headers) -> bool:
    words = words_of(headers, "connection")
    return "close" not in words if minor else "keep-alive" in words


def _declared(headers: Headers) -> Framing | None:
    """The framing that the headers declare; None: they declare none. Raises BadHead."""
    codings, lengths = words_of(headers, "transfer-encoding"), values(headers, "content-length")
    if codings:
        if lengths or codings != ["chunked"]:
            raise BadHead("a body framed in a way that is not understood")
        return Chunked()
    if not lengths:
        return None
    if len(set(lengths)) > 1 or not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
        raise BadHead("a length that is none")
    return Sized(int(lengths[0]))
