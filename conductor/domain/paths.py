"""Paths in words that leave the machine."""

from __future__ import annotations

import re

_IN_PATHS = frozenset("./~+@%-_")
_LONGEST_PATH = 4096


def shorten_home(text: str, home: str, sign: str = "~") -> str:
    """`text` with every path in or of `home` (absolute) told from `sign` on: `/home/ada/x` as `~/x`.

    A longer path that only holds the same words, or a name that only begins so, stays as it is.
    """
    home = home.rstrip("/")
    if not home.startswith("/"):
        return text

    def shortened(match: re.Match[str]) -> str:
        return match[0] if "/" in _path_before(text, match.start()).removesuffix("//") else sign

    return re.sub(re.escape(home) + r"(?=/|\Z|[^\w.-]|[.-](?!\w))", shortened, text)


def _path_before(text: str, end: int) -> str:
    """What of a path stands directly before `end`."""
    begin = end
    while begin > max(0, end - _LONGEST_PATH) and (text[begin - 1].isalnum() or text[begin - 1] in _IN_PATHS):
        begin -= 1
    return text[begin:end]
