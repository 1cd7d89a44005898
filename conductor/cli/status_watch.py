"""`conductor status --watch`: the same page again and again, drawn over itself where that can be, else appended."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from conductor.cli.last_lines import plain_lines

LEAST_SECONDS = 1.0
Looked = tuple[dict[str, Any], str]
"""The facts of `--json`, and the page."""


def watch_status(look: Callable[[], Looked], every_seconds: float, *, as_json: bool) -> None:
    """Until it is interrupted or nobody reads any more; once a second at most."""
    redraws = not as_json and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    while True:
        facts, page = look()
        if as_json:
            sys.stdout.write(json.dumps(facts) + "\n")
        elif redraws:
            sys.stdout.write(redrawn(page, _height()))
        else:
            sys.stdout.write(page.rstrip("\n") + "\n\n")
        sys.stdout.flush()
        time.sleep(max(LEAST_SECONDS, every_seconds))


def redrawn(page: str, height: int) -> str:
    """From the screen's first line on, as much as it holds: a longer page would scroll the beginning away."""
    lines = plain_lines(page.rstrip("\n"))
    if len(lines) >= height:
        left = len(lines) - (height - 2)
        lines = [*lines[: max(0, height - 2)], f"and {left} more lines: `conductor status` shows all"]
    return "\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J"


def _height() -> int:
    try:
        return os.get_terminal_size(1).lines
    except OSError:
        return 24
