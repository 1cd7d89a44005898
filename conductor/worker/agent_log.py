"""agent.log: everything that an agent says, masked, and capped: its head and its tail are kept, not the middle."""

from __future__ import annotations

import os
from contextlib import suppress

from conductor.domain.masking import LONGEST_SECRET, Masker
from conductor.kit.durable import create_file, write_all

_TAIL_KEPT_IN_MEMORY = 65536
_LONGEST_PARTIAL = 65536
_FLOOD, _STILL_FLOOD = 65536, 4096
"""Bytes in one read with which a flood begins, and goes on."""
_FLOOD_KEPT = 1_048_576
_PIECE = 1_048_576


class AgentLog:
    """Half of `cap_bytes` for the head; beyond that two segments take turns, and `close` joins them to it.

    All is written and read by the descriptors of files that were new when they were opened: an agent may put links or
    pipes in their places meanwhile.

    Lines are masked whole, so a line appears when it ends (a longer one than 64 KiB in pieces).
    """

    def __init__(self, path: str, cap_bytes: int, masker: Masker) -> None:
        self._masker = masker
        self._head_left = cap_bytes // 2
        self._segment_bytes = max(1, cap_bytes // 4)
        self._segment_paths = (f"{path}.tail-a", f"{path}.tail-b")
        self._segments: list[int] = []
        self._segment = -1
        self._segment_left = 0
        self._partial = b""
        self._recent = bytearray()
        self._head = create_file(path)
        self.received_bytes = 0
        self._dropped_bytes = 0
        self._refused_bytes = 0
        self._flood = bytearray()
        self._flood_is_cut = False

    def write(self, chunk: bytes) -> None:
        """In a flood (large reads) beyond the head, masking would hold up the agent for what is overwritten
        anyway: then only its last MiB is kept, and stored when the flood is over."""
        self.received_bytes += len(chunk)
        if not self._head_left and len(chunk) >= (_STILL_FLOOD if self._flood else _FLOOD):
            self._take_flood(chunk)
            return
        self._end_flood()
        self._take(chunk)

    def _take_flood(self, chunk: bytes) -> None:
        self._flood += chunk
        if len(self._flood) > 2 * _FLOOD_KEPT:
            self._dropped_bytes += len(self._partial) + len(self._flood) - _FLOOD_KEPT
            self._partial = b""
            del self._flood[:-_FLOOD_KEPT]
            self._flood_is_cut = True

    def _end_flood(self) -> None:
        """What was kept begins where no secret can have been cut in two."""
        if not self._flood:
            return
        flood, self._flood = bytes(self._flood), bytearray()
        if self._flood_is_cut:
            self._flood_is_cut = False
            start = flood.find(b"\n", 0, LONGEST_SECRET) + 1 or LONGEST_SECRET
            self._dropped_bytes += start
            flood = flood[start:]
        self._take(flood)

    def _take(self, chunk: bytes) -> None:
        whole, newline, rest = (self._partial + chunk).rpartition(b"\n")
        self._partial = rest
        if newline:
            self._store(self._masker.mask_bytes(whole + newline))
        if len(self._partial) > _LONGEST_PARTIAL:
            self._store_long_line()

    def tail(self) -> str:
        """The last 64 KiB of what was stored."""
        return self._recent[-_TAIL_KEPT_IN_MEMORY:].decode("utf-8", "replace")

    def close(self) -> None:
        self._end_flood()
        if self._partial:
            self._store(self._masker.mask_bytes(self._partial))
            self._partial = b""
        if self._segments:
            with suppress(OSError):  # the disk is full: then it stays in pieces
                self._join()
        if self._refused_bytes:
            with suppress(OSError):
                write_all(self._head, f"\n[conductor: the disk refused {self._refused_bytes} bytes]\n".encode())
        for descriptor in (self._head, *self._segments):
            os.close(descriptor)

    def _store_long_line(self) -> None:
        """Stores most of an unended line; what is held back lets a key be seen whole before it is cut in two."""
        cut = self._masker.safe_cut(self._partial, len(self._partial) - LONGEST_SECRET) or len(self._partial)
        self._store(self._masker.mask_bytes(self._partial[:cut]))
        self._partial = self._partial[cut:]

    def _store(self, masked: bytes) -> None:
        self._recent += masked[-_TAIL_KEPT_IN_MEMORY:]
        if len(self._recent) > 2 * _TAIL_KEPT_IN_MEMORY:
            del self._recent[:-_TAIL_KEPT_IN_MEMORY]
        try:
            self._write_out(masked)
        except OSError:  # a full disk must not cost the task its work: what it says meanwhile is left out
            self._refused_bytes += len(masked)

    def _write_out(self, masked: bytes) -> None:
        head, rest = masked[: self._head_left], masked[self._head_left :]
        if head:
            write_all(self._head, head)
            self._head_left -= len(head)
        while rest:
            if self._segment_left == 0:
                self._next_segment()
            piece, rest = rest[: self._segment_left], rest[self._segment_left :]
            write_all(self._segments[self._segment % 2], piece)
            self._segment_left -= len(piece)

    def _next_segment(self) -> None:
        following = self._segment + 1
        if following < 2:
            self._segments.append(create_file(self._segment_paths[following]))
        else:
            overwritten = self._segments[following % 2]
            dropped = os.fstat(overwritten).st_size
            os.ftruncate(overwritten, 0)
            self._dropped_bytes += dropped
        self._segment = following
        self._segment_left = self._segment_bytes

    def _join(self) -> None:
        """Appends the segments to the head, older first, with a line that says what is missing."""
        if self._dropped_bytes:
            write_all(self._head, f"\n[conductor: {self._dropped_bytes} bytes left out here]\n".encode())
        for number in (self._segment + 1, self._segment):
            if number % 2 < len(self._segments):
                self._copy(self._segments[number % 2])
        for path in self._segment_paths:
            with suppress(OSError):
                os.unlink(path)

    def _copy(self, segment: int) -> None:
        """No more than we wrote, whatever the agent has put there since."""
        position = 0
        while piece := os.pread(segment, min(_PIECE, self._segment_bytes - position), position):
            write_all(self._head, piece)
            position += len(piece)
