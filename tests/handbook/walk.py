"""docs/handbook.md as a script: its commands, in one shell, with what it says that they answer."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"# exit (\d+)\s*$")
_SENTINEL = "== end of command"


@dataclass(frozen=True)
class Command:
    text: str
    """One command of shell, perhaps of several lines."""
    exit_code: int
    told: tuple[str, ...]
    """Lines that its output has; `…` is anything."""


@dataclass(frozen=True)
class Block:
    kind: str
    """`console`, `yaml`, ..."""
    elsewhere: str
    """Why it can't be run in a test; empty: it is."""
    text: str

    def commands(self) -> Iterator[Command]:
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            first, *rest = part.rstrip("\n").split("\n")
            more = [line[2:] for line in rest if line.startswith("> ")]
            told = tuple(line for line in rest if not line.startswith("> "))
            expected = _EXIT.search(first)
            yield Command("\n".join([first, *more]), int(expected[1]) if expected else 0, told)


def blocks(text: str) -> list[Block]:
    return [Block(kind, info.strip().removeprefix("elsewhere="), body) for kind, info, body in _BLOCK.findall(text)]


def lacking(command: Command, output: str) -> list[str]:
    """What the handbook says of the output and is not in it."""
    patterns = [(line, ".*".join(map(re.escape, line.split("…")))) for line in command.told]
    return [line for line, pattern in patterns if not re.search(f"^{pattern}$", output, re.MULTILINE)]


class Shell:
    """One /bin/sh that is told one command after the other."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
            env=environment, start_new_session=True,
        )  # fmt: skip

    def run(self, command: str, within_seconds: float = 60.0) -> tuple[int, str]:
        """Exit code and both outputs. Raises TimeoutError with what was said so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n_ended=$?; echo; echo '{_SENTINEL}' $_ended\n".encode())
        self._process.stdin.flush()
        output = self._read_until_end(time.monotonic() + within_seconds)
        said, _, code = output.rpartition(_SENTINEL)
        return int(code), said.rstrip("\n") + "\n"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read_until_end(self, deadline: float) -> str:
        assert self._process.stdout is not None
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not re.search(rf"{_SENTINEL} \d+\n$".encode(), said):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(said.decode("utf-8", "replace"))
                chunk = os.read(self._process.stdout.fileno(), 65536)
                if not chunk:
                    raise TimeoutError("the shell is gone: " + said.decode("utf-8", "replace"))
                said += chunk
        return said.decode("utf-8", "replace")
