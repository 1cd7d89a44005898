"""Whether a path is one that a step said it would touch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache


def is_declared(globs: Sequence[str], path: str) -> bool:
    """`*` and `?` stop at a slash, `**` does not, a folder's name stands for all that is in it."""
    return any(_pattern(glob).fullmatch(path) for glob in globs)


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    plain = glob.removeprefix("./").rstrip("/")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", plain)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts) + "(?:/.*)?", re.DOTALL)
