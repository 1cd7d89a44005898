"""Where the body of an HTTP/1.x message ends, and what of its bytes is content: nothing is kept, nothing waits."""

from __future__ import annotations

import re

_LONGEST_LINE = 16 * 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)


class BadFraming(ValueError):
    """Chunks that are none."""


class Framing:
    """Takes the bytes of one body as they come. `ended`: all of it was seen."""

    ended = False
    ends_at_close = False
    """Whether the connection's end is the only end that it has."""

    def feed(self, raw: bytes) -> tuple[int, list[bytes]]:
        """How many bytes of `raw` belong to this body, and the content in them. Raises BadFraming."""
        raise NotImplementedError


class Sized(Framing):
    """`length` bytes."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0

    def feed(self, raw: bytes) -> tuple[int, list[bytes]]:
        piece = raw if len(raw) <= self._left else raw[: self._left]
        self._left -= len(piece)
        self.ended = self._left == 0
        return len(piece), [piece] if piece else []


class UntilClose(Framing):
    """All that comes until the connection ends; only its owner knows when."""

    ends_at_close = True

    def feed(self, raw: bytes) -> tuple[int, list[bytes]]:
        return len(raw), [raw]


class Chunked(Framing):
    """Chunks, each behind its size, an empty one at the end, then perhaps trailers."""

    def __init__(self) -> None:
        self._left = 0
        self._line = b""
        self._expects = "size"

    def feed(self, raw: bytes) -> tuple[int, list[bytes]]:
        at, pieces = 0, []
        while at < len(raw) and not self.ended:
            if self._left:
                piece = raw[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                at += len(piece)
            else:
                at = self._take_line(raw, at)
        return at, pieces

    def _take_line(self, raw: bytes, at: int) -> int:
        """Up to and with the next line feed; where it stands now."""
        end = raw.find(b"\n", at)
        self._line += raw[at:] if end < 0 else raw[at:end]
        if len(self._line) > _LONGEST_LINE:
            raise BadFraming("a line between chunks that does not end")
        if end < 0:
            return len(raw)
        line, self._line = self._line.removesuffix(b"\r"), b""
        self._on_line(line)
        return end + 1

    def _on_line(self, line: bytes) -> None:
        if self._expects == "trailer":
            self.ended = not line
        elif self._expects == "gap":
            if line:
                raise BadFraming("a chunk longer than its size")
            self._expects = "size"
        else:
            match = _SIZE.fullmatch(line)
            if not match:
                raise BadFraming("a chunk without a size")
            self._left = int(match[1], 16)
            self._expects = "gap" if self._left else "trailer"
