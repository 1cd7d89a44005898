"""Lines of a screen as styled pieces of text, measured in cells: wide characters take two, marks none. Pure."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[str, str]
"""Text and its style: some of bold, dim, reverse, red, green, yellow, cyan."""
Line = tuple[Span, ...]


def width_of(text: str) -> int:
    """In cells."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut_to(text: str, width: int) -> str:
    """At most `width` cells of `text`; … stands where something is missing."""
    if width_of(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    if text.isascii():
        return text[: width - 1] + "…"
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + "…"


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
    """Each line in pieces of at most `width` cells."""
    found: list[str] = []
    for line in lines:
        if line.isascii():
            found.extend(line[start : start + width] for start in range(0, len(line) or 1, width))
        else:
            from rich.cells import chop_cells

            found.extend(chop_cells(line, width) or [""])
    return found
