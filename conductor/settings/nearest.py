"""What an unknown name was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(name: str, known: Iterable[str]) -> str:
    """Says so, with the nearest of those that are known."""
    near = difflib.get_close_matches(name[:100], list(known), n=1)
    return "unknown" + (f", did you mean {near[0]}?" if near else "")
