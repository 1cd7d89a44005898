"""Text from outside, as data inside a prompt: fenced so that nothing in it can end the fence, and cut to a size."""

from __future__ import annotations

import re

_SHORTEST_FENCE = 3


def fenced(text: str, label: str) -> str:
    """`text` between two fence lines, the first of which says `label`; empty for text that is blank.

    The fence is longer than any run of its character in `text`, so no line of `text` can end it.
    """
    if not text.strip():
        return ""
    clean = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    character = min("`~", key=lambda one: longest_run(clean, one))
    fence = character * max(_SHORTEST_FENCE, longest_run(clean, character) + 1)
    end = "" if clean.endswith("\n") else "\n"
    return f"{fence}{label}\n{clean}{end}{fence}"


def longest_run(text: str, character: str) -> int:
    return max(map(len, re.findall(re.escape(character) + "+", text)), default=0)


def head_of(text: str, most: int) -> str:
    """The first `most` characters, and how many are left out."""
    return text if len(text) <= most else f"{text[:most]}\n[… {len(text) - most} characters left out]"


def tail_of(text: str, most: int) -> str:
    """The last `most` characters, and how many are left out."""
    return text if len(text) <= most else f"[{len(text) - most} characters left out …]\n{text[-most:]}"
