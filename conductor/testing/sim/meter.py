"""Tokens that add up: a quarter of the characters, and a memory of what a client had cached."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from conductor.domain.usage import Usage
from conductor.testing.sim.asked import Answer

CHARACTERS_PER_TOKEN = 4
_REMEMBERED_PREFIXES = 20_000


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a request in the order of its prefix; `marked`: cached up to here."""

    text: str
    marked: bool


def tokens_of(text: str) -> int:
    """What a whole request counts as, given as its JSON."""
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


class Meter:
    """Counts requests and answers; remembers the prefixes that were marked for the cache. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._prefixes: dict[bytes, None] = {}

    def usage(self, tokens: int, blocks: Iterable[Block], answer: Answer) -> Usage:
        """The tokens of a request of `tokens` with the given cacheable blocks, and of its answer."""
        cached, written = self._cached(blocks)
        reasoning = len(answer.thinking) // CHARACTERS_PER_TOKEN
        return Usage(
            input=max(1, tokens - cached - written),
            cached=cached,
            cache_written=written,
            output=max(1, answer.size // CHARACTERS_PER_TOKEN) + reasoning,
            reasoning=reasoning,
        )

    def _cached(self, blocks: Iterable[Block]) -> tuple[int, int]:
        """Tokens read from the cache, and newly written to it."""
        known_until = marked_until = position = 0
        digest = hashlib.blake2b(digest_size=16)
        with self._lock:
            for block in blocks:
                digest.update(block.text.encode("utf-8", "replace"))
                position += len(block.text)
                if digest.digest() in self._prefixes:
                    known_until = position
                if block.marked:
                    marked_until = position
                    self._prefixes[digest.digest()] = None
            while len(self._prefixes) > _REMEMBERED_PREFIXES:
                del self._prefixes[next(iter(self._prefixes))]
        written = max(0, marked_until - known_until)
        return known_until // CHARACTERS_PER_TOKEN, written // CHARACTERS_PER_TOKEN
