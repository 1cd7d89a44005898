"""Names that sort by time and never meet: the second they were made, then forty random bits."""

from __future__ import annotations

import os
import time

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def stamped_id(prefix: str, now: float) -> str:
    """For instance `t-20261121-064700-k3f9q2ab`."""
    bits = int.from_bytes(os.urandom(5), "big")
    letters = "".join(_ALPHABET[bits >> shift & 31] for shift in range(0, 40, 5))
    return f"{prefix}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{letters}"
