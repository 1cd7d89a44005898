"""The terminal under `conductor top`: taken over, written to where something changed, and always given back."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Mapping, Sequence
from contextlib import suppress

from conductor.cli.cells import Line, text_of, width_of

_BEGIN = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
"""Another page, no cursor, no wrapping."""
_END = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_CODES = {
    "bold": "1", "dim": "2", "reverse": "7", "red": "31", "green": "32", "yellow": "33", "cyan": "36",
}  # fmt: skip
_COLOURS = frozenset({"red", "green", "yellow", "cyan"})
_PLAIN = str.maketrans("▁▂▃▄▅▆▇█·…↑↓▏", "_.:-=+*#.~^v|")
"""For a terminal that has no UTF-8."""
_KEYS = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left", b"\x1bOA": "up", b"\x1bOB": "down",
    b"\x1bOC": "right", b"\x1bOD": "left", b"\x1b[H": "home", b"\x1b[F": "end", b"\x1bOH": "home", b"\x1bOF": "end",
    b"\x1b[1~": "home", b"\x1b[4~": "end", b"\x1b[7~": "home", b"\x1b[8~": "end", b"\x1b[5~": "pageup",
    b"\x1b[6~": "pagedown",
}  # fmt: skip
_SINGLE = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x0c": "ctrl-l"}
_LONGEST_SEQUENCE = 16


class TerminalGone(Exception):
    """Nobody looks any more."""


class Screen:
    """Used as a context: whatever ends it, the terminal is as it was before."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._colours = not environment.get("NO_COLOR")
        self._is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        self._before: list[object] | None = None
        self._shown: list[str] = []
        self._size = (0, 0)
        self._pending = b""

    def __enter__(self) -> Screen:
        self.take_over()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(TerminalGone, termios.error):
            self.give_back()

    def take_over(self) -> None:
        """Stops a process that is in the background, as any program that wants the terminal."""
        self._before = termios.tcgetattr(0)
        tty.setcbreak(0)
        self._write(_BEGIN)
        self.forget()

    def give_back(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            try:
                self._write(_END)
            finally:
                termios.tcsetattr(0, termios.TCSADRAIN, before)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Ctrl-Z: the shell gets the terminal, and we take it over again when we go on."""
        self.give_back()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        self.take_over()

    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            found = os.get_terminal_size(1)
        except OSError:
            found = shutil.get_terminal_size()
        return max(1, found.columns), max(1, found.lines)

    def forget(self) -> None:
        """The next picture is drawn whole."""
        self._shown = []

    def draw(self, lines: Sequence[Line]) -> None:
        """Only what changed is written. Raises TerminalGone."""
        size = self.size()
        styled = [self._styled(line, size[0]) for line in lines[: size[1]]]
        whole = size != self._size or not self._shown
        said = ["\x1b[H\x1b[2J"] if whole else []
        for number, text in enumerate(styled):
            before = self._shown[number] if number < len(self._shown) and not whole else ""
            if text != before:
                said.append(f"\x1b[{number + 1};1H{text}")
        if not whole and len(styled) < len(self._shown):
            said.append(f"\x1b[{len(styled) + 1};1H\x1b[J")
        self._shown, self._size = styled, size
        if said:
            self._write("".join(said))

    def keys(self) -> list[str]:
        """What was pressed since the last call; only to be called where something was. Raises TerminalGone."""
        try:
            raw = os.read(0, 4096)
        except OSError:
            raw = b""
        if not raw:
            raise TerminalGone
        keys, self._pending = decoded(self._pending + raw)
        return keys

    @property
    def has_begun_key(self) -> bool:
        """A key of several bytes has begun, or it was Esc: a moment tells."""
        return bool(self._pending)

    def ended_key(self) -> list[str]:
        """Nothing followed: it was Esc."""
        pending, self._pending = self._pending, b""
        return ["escape"] if pending.startswith(b"\x1b") else []

    # -- inside

    def _styled(self, line: Line, width: int) -> str:
        """With what clears the rest of the line; behind a full one that would clear its last character."""
        text = "".join(self._span(text, style) for text, style in line)
        clear = "\x1b[K" if width_of(text_of(line)) < width else ""
        return (text if self._is_utf8 else text.translate(_PLAIN)) + clear

    def _span(self, text: str, style: str) -> str:
        names = [name for name in style.split() if self._colours or name not in _COLOURS]
        codes = ";".join(_CODES[name] for name in names)
        return f"\x1b[{codes}m{text}\x1b[0m" if codes else text

    def _write(self, text: str) -> None:
        raw = text.encode("utf-8" if self._is_utf8 else "ascii", "replace")
        try:
            while raw:
                raw = raw[os.write(1, raw) :]
        except OSError:
            raise TerminalGone from None


def decoded(raw: bytes) -> tuple[list[str], bytes]:
    """The keys in `raw`, by name or as the character, and the rest that is no whole key yet. Pure."""
    keys: list[str] = []
    while raw:
        if raw[0] == 0x1B:
            length = _sequence_length(raw)
            if not length:
                return keys, raw
            name = _KEYS.get(raw[:length], "escape" if length == 1 else "")
            keys.extend([name] if name else [])
        else:
            length = _character_length(raw)
            if not length:
                return keys, raw
            character = raw[:length].decode("utf-8", "replace")
            keys.append(_SINGLE.get(character, character))
        raw = raw[length:]
    return keys, b""


def _sequence_length(raw: bytes) -> int:
    """Of an escape sequence; 0: more may follow."""
    if len(raw) == 1:
        return 0
    if raw[1:2] == b"O":
        return 3 if len(raw) >= 3 else 0
    if raw[1:2] != b"[":
        return 1
    for number, byte in enumerate(raw[2:_LONGEST_SEQUENCE], start=3):
        if 0x40 <= byte <= 0x7E:
            return number
    return 0 if len(raw) < _LONGEST_SEQUENCE else _LONGEST_SEQUENCE


def _character_length(raw: bytes) -> int:
    """Of a UTF-8 character; 0: more must follow."""
    first = raw[0]
    length = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    return length if len(raw) >= length else 0
