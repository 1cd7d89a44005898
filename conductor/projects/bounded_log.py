"""What a command says, on file: masked, its head and its tail, with a line that tells how much is left out between."""

from __future__ import annotations

import os
from contextlib import suppress

from conductor.domain.masking import LONGEST_SECRET, Masker
from conductor.kit.durable import create_file, write_all

TAIL_BYTES = 65536
"""Of what is kept at hand for `tail`."""


class BoundedLog:
    """At most `cap_bytes`: half for the head, written line by line, half for the tail, written by `close`.

    The tail waits unmasked in memory, so a flood costs no masking of what is left out anyway. A disk that refuses
    costs the file, not the command: `tail` tells all the same.
    """

    def __init__(self, path: str, cap_bytes: int, masker: Masker) -> None:
        self._masker = masker
        self._head_left = self._tail_most = cap_bytes // 2
        self._line = bytearray()
        """Of the head, begun and not ended: masked only when it is whole."""
        self._tail = bytearray()
        self._left_out = 0
        self._recent = bytearray()
        self._file = -1
        with suppress(OSError):
            self._file = create_file(path)

    def write(self, chunk: bytes) -> None:
        if self._head_left:
            chunk = self._into_head(chunk)
        self._tail += chunk
        if len(self._tail) > 2 * self._tail_most:
            self._drop(len(self._tail) - self._tail_most)

    def tail(self) -> str:
        """The last 64 KiB of what was stored, whole once it is closed."""
        return bytes(self._recent[-TAIL_BYTES:]).decode("utf-8", "replace")

    def close(self) -> None:
        if len(self._tail) > self._tail_most:
            self._drop(len(self._tail) - self._tail_most)
        if self._left_out:
            self._drop(self._clean_start())
            self._store(f"\n[conductor: {self._left_out} bytes left out here]\n".encode())
        self._store(self._masker.mask_bytes(bytes(self._line) + bytes(self._tail)))
        if self._file >= 0:
            os.close(self._file)

    def _into_head(self, chunk: bytes) -> bytes:
        """What of `chunk` belongs into the tail, with the line that stands on the border."""
        self._line += chunk
        if len(self._line) <= self._head_left:
            if b"\n" in chunk:
                self._store_lines(len(self._line))
            return b""
        self._store_lines(self._head_left)
        rest, self._line, self._head_left = bytes(self._line), bytearray(), 0
        return rest

    def _store_lines(self, within: int) -> None:
        end = self._line.rfind(b"\n", 0, within) + 1
        self._store(self._masker.mask_bytes(bytes(self._line[:end])))
        self._head_left -= end
        del self._line[:end]

    def _clean_start(self) -> int:
        """Where in the tail no secret is cut in two."""
        line = self._tail.find(b"\n", 0, LONGEST_SECRET) + 1
        return line or self._masker.safe_cut(bytes(self._tail[: 2 * LONGEST_SECRET]), LONGEST_SECRET) or LONGEST_SECRET

    def _drop(self, count: int) -> None:
        self._left_out += count
        del self._tail[:count]

    def _store(self, masked: bytes) -> None:
        self._recent += masked[-TAIL_BYTES:]
        if len(self._recent) > 2 * TAIL_BYTES:
            del self._recent[:-TAIL_BYTES]
        if self._file < 0:
            return
        try:
            write_all(self._file, masked)
        except OSError:
            os.close(self._file)
            self._file = -1
