"""Small words of the command line about runs: money, agents, counts, and text of strangers made fit for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from conductor.domain.durations import format_duration

_MOST = 500


def one_line(text: str, most: int = _MOST) -> str:
    """`text` in one line; an escape sequence in it must not reach the terminal."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(char if char.isprintable() else "·" for char in " ".join(cut.split()))


def every_character(text: str) -> list[str]:
    """The lines of `text`, whole, with each character that a terminal would not show written as an escape: what is
    approved must be what was seen."""
    return ["".join(_visible(char) for char in line) for line in text.split("\n")]


def _visible(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def money(usd: float, *, more_unknown: bool = False) -> str:
    """`$0.42`, `$0.0031`; `+?`: some of it is not known."""
    known = f"${usd:.4f}" if 0 < usd < 0.01 else f"${usd:.2f}"
    return f"{known}+?" if more_unknown and usd else "?" if more_unknown else known


def roughly(seconds: float) -> str:
    """`12s`, `4m05s`: in whole seconds, so that what is drawn anew does not change more often."""
    whole = int(max(0.0, seconds))
    return f"{whole}s" if whole < 60 else format_duration(whole)


def doer(agent: str, model: str, thinking: str = "") -> str:
    """`claude:sonnet`, as AGENT[:MODEL] is written everywhere."""
    named = f"{agent}:{model}" if model else agent
    return one_line(f"{named} ({thinking})" if thinking else named, 80)


def many(count: int, noun: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def names(step_ids: Iterable[str], most: int = 4) -> str:
    """`a, b, c`, `a, b and 7 more`."""
    found = list(step_ids)
    if len(found) <= most:
        return ", ".join(found)
    return f"{', '.join(found[: most - 1])} and {len(found) - most + 1} more"
