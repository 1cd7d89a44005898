"""Runs command lines for a model. No sandbox: a command can do whatever this user can; only its folder, its
environment, its time and its output are set."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping

from conductor.kit.process import descendants_of, identity_of, kill_all, reap_children

_LONGEST_OUTPUT = 30_000
"""Bytes; the head and the tail are kept, half of it each."""
_TIMEOUT_SECONDS = 120
_LONGEST_TIMEOUT_SECONDS = 1800
_READ_BYTES = 262_144
_KILLING_SECONDS = 10.0


class Shell:
    """Of a process that is a subreaper: what a command leaves in the background stays below it. `on_output` hears of
    every piece of output: a command that says something is alive, one that is silent may hang."""

    def __init__(
        self, folder: str, environment: Mapping[str, str], on_output: Callable[[], None] = lambda: None
    ) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._on_output = on_output

    def run(self, command: str, timeout_seconds: int = _TIMEOUT_SECONDS) -> str:
        """Output and exit code. What it left in the background goes on, as at a terminal; at its timeout, everything
        that it started is killed. Raises OSError, ValueError."""
        before = set(descendants_of(os.getpid()))
        seconds = min(max(1, timeout_seconds), _LONGEST_TIMEOUT_SECONDS)
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writing, True)
        output = _Output(self._on_output)
        try:
            process = self._start(command, writing)
            try:
                ended = _wait(process, reading, output, time.monotonic() + seconds)
            finally:
                if process.returncode is None:
                    _kill_what_came(before)
                    process.wait()
            output.take_rest(reading)
        finally:
            os.close(reading)
        reap_children()
        how = f"exit code {process.returncode}" if ended else f"killed after {seconds} s, with all that it started"
        return f"{output.text()}[{how}]"

    def _start(self, command: str, output: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ("/bin/sh", "-c", command),
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)


class _Output:
    """Keeps the head and the tail of a stream, in bounded memory."""

    def __init__(self, on_output: Callable[[], None]) -> None:
        self._on_output = on_output
        self._head = b""
        self._tail = b""
        self._length = 0

    def take(self, piece: bytes) -> None:
        self._on_output()
        self._length += len(piece)
        room = _LONGEST_OUTPUT // 2 - len(self._head)
        self._head += piece[:room]
        self._tail = (self._tail + piece[room:])[-(_LONGEST_OUTPUT // 2) :]

    def take_rest(self, descriptor: int) -> None:
        """What is in the pipe now: somebody in the background may hold it open."""
        for _ in range(16):
            try:
                piece = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            if not piece:
                return
            self.take(piece)

    def text(self) -> str:
        left_out = self._length - len(self._head) - len(self._tail)
        between = f"\n[... {left_out} bytes left out ...]\n".encode() if left_out else b""
        text = (self._head + between + self._tail).decode("utf-8", "replace")
        return text if not text or text.endswith("\n") else text + "\n"


def _wait(process: subprocess.Popen[bytes], reading: int, output: _Output, deadline: float) -> bool:
    """Until it has ended; False at the deadline."""
    pidfd = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    try:
        while process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for descriptor, _ in poll.poll(left * 1000):
                if descriptor == reading and not _take(reading, output):
                    poll.unregister(reading)
    finally:
        os.close(pidfd)
    return True


def _take(reading: int, output: _Output) -> bool:
    """False at the end of the stream."""
    try:
        piece = os.read(reading, _READ_BYTES)
    except BlockingIOError:
        return True
    output.take(piece)
    return bool(piece)


def _kill_what_came(before: set[int]) -> None:
    """Everything below this process that was not there before, until nothing new is found."""
    deadline = time.monotonic() + _KILLING_SECONDS
    while time.monotonic() < deadline:
        came = [pid for pid in descendants_of(os.getpid()) if pid not in before]
        if all(identity_of(pid) is None for pid in came):
            return
        kill_all(came)
        time.sleep(0.002)
