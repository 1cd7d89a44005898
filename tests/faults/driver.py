"""A process with everything loaded that forks actors: one does the last step of a story under strace, a fresh one
looks at the home afterwards. One JSON object a line in, one out; run as `python -m tests.faults.driver`.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from conductor.domain.errors import ConductorError
from conductor.domain.home import Home
from conductor.queue import unpacking
from tests.faults.promises import broken_promises
from tests.faults.stories import BY_NAME, STORIES, Scene, Told

_PR_SET_PTRACER = 0x59616D61
_ANYBODY = ctypes.c_ulong(-1)
unpacking._LINES_AT_ONCE = unpacking._LINES_A_CHECKPOINT = 2  # so that a small batch is unpacked in several rounds


class Actor:
    """A forked process that has done all steps but the last and waits for its cue, so that a tracer can attach."""

    def __init__(self, home: Home, story: str, *, again: bool) -> None:
        self._report, theirs = os.pipe()
        cue, self._cue = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._cue)
            _act(home, story, again, cue, theirs)
        os.close(cue)
        os.close(theirs)
        self.before = _read_line(self._report)

    def go(self) -> dict[str, Any]:
        """Gives the cue and waits for the end: how it ended, and what it could still say."""
        with suppress(BrokenPipeError):  # killed while it waited for this
            os.write(self._cue, b"!")
        said = _read_line(self._report)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._cue)
        os.close(self._report)
        return {"exit": os.waitstatus_to_exitcode(status), "errors": None, "told": self.before["told"], **said}


def _act(home: Home, story: str, again: bool, cue: int, report: int) -> NoReturn:
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
        scene, last = Scene(home), BY_NAME[story].steps[-1]
        with Unsynced():
            for step in BY_NAME[story].steps[:-1]:
                step(scene)
        _say(report, {"told": scene.told.to_json()})
        if os.read(cue, 1):
            error = _try(lambda: last(scene))
            errors = [error]
            if error and again:
                errors.append(_try(lambda: last(scene)))
            _say(report, {"told": scene.told.to_json(), "errors": [error for error in errors if error]})
    finally:
        os._exit(0)


def _try(deed: Callable[[], None]) -> str:
    """Empty, or the error that reached the caller."""
    try:
        deed()
    except (OSError, ConductorError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _say(report: int, values: dict[str, Any]) -> None:
    os.writev(report, [json.dumps(values).encode() + b"\n"])  # not write(): that one is under faults


def _read_line(descriptor: int) -> dict[str, Any]:
    """Empty when the writer died before it could speak."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return {}
        line += chunk
    found: dict[str, Any] = json.loads(line)
    return found


class Unsynced:
    """Where nothing is put under faults nothing needs to reach the disk."""

    def __enter__(self) -> None:
        self._fsync, os.fsync = os.fsync, lambda descriptor: None  # type: ignore[assignment, misc]

    def __exit__(self, *_: object) -> None:
        os.fsync = self._fsync


def _examine(home: Home, told: Told) -> list[str]:
    """What a fresh process finds wrong."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with Unsynced(), suppress(BaseException):
            _say(write, {"faults": broken_promises(home, told)})
        os._exit(0)
    os.close(write)
    said = _read_line(read)
    os.close(read)
    os.waitpid(pid, 0)
    faults: list[str] = said.get("faults", ["the examiner died"])
    return faults


def main() -> None:
    """Warms up, so that no actor imports anything, and then serves."""
    with Unsynced(), tempfile.TemporaryDirectory() as scratch:
        for number, story in enumerate(STORIES):
            scene = Scene(Home(f"{scratch}/{number}"))
            for step in story.steps:
                step(scene)
            assert broken_promises(scene.home, scene.told) == []
    actors: dict[int, Actor] = {}
    for line in sys.stdin:
        request = json.loads(line)
        match request["do"]:
            case "prepare":
                actor = Actor(Home(request["home"]), request["story"], again=request["again"])
                actors[actor.pid] = actor
                answer: dict[str, Any] = {"pid": actor.pid, "ready": bool(actor.before)}
            case "go":
                answer = actors.pop(request["pid"]).go()
            case "examine":
                answer = {"faults": _examine(Home(request["home"]), Told.from_json(request["told"]))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
