"""A real nursery, spoken to through its socket as the supervisor does."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any, TypeVar

from conductor.app.nursery import nursery_command
from conductor.domain.home import Home
from conductor.domain.wire import Born, Busy, Died, Fork, LineBuffer, Message, NurseryUp, Ready, parse_message
from conductor.queue.layout import open_home
from conductor.worker.config import WorkerConfig
from tests.support import PATIENCE, clean_environment, eventually

AnyMessage = TypeVar("AnyMessage", NurseryUp, Born, Died, Ready, Busy)


class NurseryUnderTest:
    """Forks workers on a home, and hears what they and it say."""

    def __init__(self, home: Home, env: dict[str, str] | None = None, **config: Any) -> None:
        open_home(home)
        self.heard: list[Message] = []
        self._log = Path(f"{home.path}.nursery.log")
        self._buffers = (LineBuffer(), LineBuffer())
        self._control, theirs = socket.socketpair()
        self._report, report_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with theirs, self._log.open("ab") as log:
            self.process = subprocess.Popen(
                nursery_command(theirs.fileno(), report_write),
                env=clean_environment(home, **(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(), report_write),
                start_new_session=True,
            )
        os.close(report_write)
        options = {"kinds": {"command": "conductor.agents.command:CommandAgent"}, "grace_seconds": 5.0, **config}
        self._control.sendall(WorkerConfig(home=home.path, pool="default", **options).to_json().encode() + b"\n")
        self._control.setblocking(False)

    def fork(self, slot: int = 1) -> int:
        """The pid of a new worker that has said READY."""
        eventually(lambda: self.said(NurseryUp), what="the nursery up")
        before = len(self.said(Born))
        self._control.sendall(Fork(slot).line())
        born = eventually(lambda: self.said(Born)[before:], what="a worker born")[0]
        eventually(lambda: self._ready(born.pid), what="the worker ready")
        return born.pid

    def exit_of(self, pid: int) -> int:
        """The exit code of a worker, once its nursery has told it; negative: the signal that ended it."""
        died = eventually(lambda: [one for one in self.said(Died) if one.pid == pid], what=f"the end of {pid}")
        return os.waitstatus_to_exitcode(died[0].wait_status)

    def said(self, kind: type[AnyMessage]) -> list[AnyMessage]:
        """All messages of that kind so far."""
        self._listen()
        return [message for message in self.heard if isinstance(message, kind)]

    def log_text(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def hang_up(self) -> int:
        """Closes our end, as a supervisor that ends does; returns the nursery's exit code."""
        self._control.close()
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self._control.close()
        self.process.kill()
        self.process.wait()
        os.close(self._report)

    def _ready(self, pid: int) -> bool:
        return any(f"-{pid}-" in message.worker_id for message in self.said(Ready))

    def _listen(self) -> None:
        for buffer, receive in zip(self._buffers, (self._receive, self._read_report), strict=True):
            for line in buffer.feed(receive()):
                message = parse_message(line)
                assert message is not None, f"garbled: {line!r}"
                self.heard.append(message)

    def _receive(self) -> bytes:
        try:
            return self._control.recv(65536)
        except (BlockingIOError, OSError):
            return b""

    def _read_report(self) -> bytes:
        try:
            return os.read(self._report, 65536)
        except BlockingIOError:
            return b""
