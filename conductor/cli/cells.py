"""Lines of a screen as styled pieces of text, measured in cells: wide characters take two, marks none. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

Span = tuple[str, str]
"""Text and its style: some of bold, dim, reverse, red, green, yellow, cyan."""
Line = tuple[Span, ...]


def width_of(text: str) -> int:
    """In cells, each character by itself: no terminal takes more, whatever it makes of joined ones."""
    return len(text) if text.isascii() else sum(map(_cells(), text))


def cut_to(text: str, width: int) -> str:
    """At most `width` cells of `text`; … stands where something is missing."""
    if width_of(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    return text[: _fitting(text, width - 1)].rstrip() + "…"


def _fitting(text: str, width: int) -> int:
    """How many characters of `text` take at most `width` cells."""
    if text.isascii():
        return width
    taken = 0
    for number, cells in enumerate(map(_cells(), text)):
        taken += cells
        if taken > width:
            return number
    return len(text)


def _cells() -> Callable[[str], int]:
    from rich.cells import get_character_cell_size

    return get_character_cell_size


def middle_cut(text: str, width: int) -> str:
    """At most `width` characters of an id, whose end tells it from others: `t-…064700-k3f9q2ab`."""
    if len(text) <= width or width < 5:
        return text[:width]
    return f"{text[:2]}…{text[3 - width :]}"


def fitted(spans: Iterable[Span], width: int) -> Line:
    """The pieces as one line of at most `width` cells."""
    line, left = [], width
    for text, style in spans:
        if left <= 0:
            break
        if not text:
            continue
        shown = cut_to(text, left)
        line.append((shown, style))
        left -= width_of(shown) if shown == text else left
    return tuple(line)


def padded(span: Span, width: int) -> list[Span]:
    """A column's cell, exactly so wide."""
    text = cut_to(span[0], width)
    return [(text + " " * max(0, width - width_of(text)), span[1])]


def line_of(text: str, style: str = "") -> Line:
    return ((text, style),)


def text_of(line: Line) -> str:
    """Without its styles."""
    return "".join(text for text, _ in line)


def wrapped(lines: Iterable[str], width: int) -> list[str]:
    """Each line in pieces of at most `width` cells, `width` being two or more."""
    return [piece for line in lines for piece in _pieces(line, width)]


def _pieces(line: str, width: int) -> Iterator[str]:
    begin = taken = 0
    for number, cells in enumerate(map(_cells(), line) if not line.isascii() else repeat(1, len(line))):
        if taken + cells > width:
            yield line[begin:number]
            begin, taken = number, 0
        taken += cells
    yield line[begin:]
