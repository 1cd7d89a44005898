"""Names that sort by time and never meet: the millisecond they were made, then thirty random bits."""

from __future__ import annotations

import os
import time

_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"  # in the order in which names are sorted


def stamped_id(prefix: str, now: float) -> str:
    """For instance `t-20261121-064700-k3f9q2ab`."""
    milliseconds = int(now * 1000) % 1000
    bits = milliseconds << 30 | int.from_bytes(os.urandom(4), "big") >> 2
    letters = "".join(_ALPHABET[bits >> shift & 31] for shift in range(35, -1, -5))
    return f"{prefix}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{letters}"
