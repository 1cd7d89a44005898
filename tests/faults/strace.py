"""Puts one syscall of a story's last step under a fault: counts them in a plain traced run, then injects by number."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults.stories import Story, Told
from tests.support import PATIENCE, REPOSITORY

_RENAMES = ("rename", "renameat", "renameat2")
_NAMES = ("mkdir", "mkdirat", "symlink", "symlinkat", "link", "linkat")
_REMOVALS = ("unlink", "unlinkat", "rmdir", "ftruncate", "truncate")
_WRITES = ("write", "pwrite64", "fsync", "fdatasync")
CHANGING = (*_WRITES, *_RENAMES, *_NAMES, *_REMOVALS, "openat")
REFUSABLE = (*_WRITES, *_RENAMES)
ANSWER = "writev"
"""What the actor tells its caller with: killed there, it has done everything and told nobody."""

_CALL = re.compile(r"(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)")


@dataclass(frozen=True)
class Call:
    """The `nth` call of `name` since the cue, and what strace printed of it."""

    name: str
    nth: int
    text: str

    def __str__(self) -> str:
        return f"{self.name} {self.nth} [{self.text[:150]}]"

    @property
    def changes_disk(self) -> bool:
        if self.name == "openat":
            return "O_CREAT" in self.text or "O_TRUNC" in self.text
        return self.name in CHANGING and " = -1 " not in self.text


@dataclass(frozen=True)
class Played:
    """One run of a story: how its actor ended, what reached the caller, what the next process found."""

    exit: int
    errors: list[str] | None
    faults: list[str]
    calls: list[Call]
    injected: bool
    told: Told


class Stage:
    """A driver process, and a folder in which each run gets a home of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._driver.kill()
        self._driver.communicate()

    def calls(self, story: Story, names: Iterable[str]) -> list[Call]:
        """Every call of these names that the last step makes, in order, its answer to the caller at the end."""
        played = self.play(story, [f"trace={','.join(f'?{name}' for name in (*names, ANSWER))}"])
        assert (played.errors, played.faults) == ([], []), f"{story.name} does not even work without a fault: {played}"
        return played.calls

    def play(self, story: Story, expressions: list[str], *, again: bool = False) -> Played:
        """Runs the story with its last step under strace with these expressions, and has the home examined."""
        self._runs += 1
        folder = self._folder / str(self._runs)
        folder.mkdir()
        home = str(folder / "home")
        actor = self._ask({"do": "prepare", "home": home, "story": story.name, "again": again})
        assert actor["ready"], f"the steps before the last one of {story.name!r} failed"
        trace = folder / "trace"
        tracer = _attach(actor["pid"], trace, expressions)
        ended = self._ask({"do": "go", "pid": actor["pid"]})
        tracer.wait(30)
        found = self._ask({"do": "examine", "home": home, "told": ended["told"]})
        text = trace.read_text(encoding="utf-8", errors="replace")
        shutil.rmtree(folder)
        told = Told.from_json(ended["told"])
        injected = "INJECTED" in text or ended["exit"] != 0
        return Played(ended["exit"], ended["errors"], found["faults"], _parse(text), injected, told)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps(request) + "\n")
        self._driver.stdin.flush()
        ready, _, _ = select.select([self._driver.stdout], [], [], PATIENCE)
        line = self._driver.stdout.readline() if ready else ""
        assert line, f"the driver died or hangs at {request}"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _attach(pid: int, trace: Path, expressions: list[str]) -> subprocess.Popen[bytes]:
    """strace on a process that waits; returns once it is traced."""
    options = [option for expression in expressions for option in ("-e", expression)]
    tracer = subprocess.Popen(
        ["strace", "-p", str(pid), "-s", "80", "-o", str(trace), *options], stderr=subprocess.PIPE, bufsize=0
    )
    assert tracer.stderr is not None
    with tracer.stderr as said:
        line = said.readline()
        if b"attached" not in line:
            raise PermissionError(line.decode("utf-8", "replace").strip())
    return tracer


def _parse(trace: str) -> list[Call]:
    counted: Counter[str] = Counter()
    calls = []
    for line in trace.splitlines():
        match = _CALL.match(line)
        if match and not line.startswith(("+++", "---")):
            if "resumed" not in line:
                counted[match[1]] += 1
            calls.append(Call(match[1], counted[match[1]], line))
    return calls
