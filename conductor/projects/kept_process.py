"""The orchestrator's end of a keeper: starts a command without waiting for it, and hears how it ended."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from conductor.domain.durations import format_duration
from conductor.domain.worker_id import OWNER_VARIABLE
from conductor.kit.durable import write_all
from conductor.kit.process import kill_with_variable, send_signal

LOG_CAP_BYTES = 10 * (1 << 20)
_KEEPER_LATE_SECONDS = 60.0
"""After deadline and grace a keeper that says nothing is taken for stuck."""
_STOP_SECONDS = 15.0
_READ_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Command:
    """A program to be run. Its output goes to `log_path`, masked, head and tail of it."""

    argv: tuple[str, ...]
    folder: str
    env: Mapping[str, str]
    log_path: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How it ended. Nothing of it runs any more."""

    exit_code: int | None
    """Negative: the signal that ended it; None: not known."""
    cut: str
    """Why it was ended: `timeout`, `stopped`, `lost` where its keeper was killed; empty: it ended by itself."""
    tail: str
    seconds: float

    @property
    def well(self) -> bool:
        return self.exit_code == 0 and not self.cut

    def reason(self, timeout_seconds: float) -> str:
        """For a person; empty where it ended well."""
        match self.cut:
            case "timeout":
                return f"longer than {format_duration(timeout_seconds)}"
            case "stopped":
                return "stopped"
            case "lost":
                return "the process that kept it was killed"
        if self.exit_code is not None and self.exit_code < 0:
            return f"ended by {_signal_name(-self.exit_code)}"
        return "" if self.well else f"exit code {self.exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class KeptProcess:
    """One command at a time. `token` is in the environment of all that it starts, so that the leftovers of a killed
    keeper are found; it must be this object's own."""

    def __init__(
        self,
        token: str,
        secrets: tuple[str, ...] = (),
        grace_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._secrets = secrets
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._keeper: subprocess.Popen[bytes] | None = None
        self._told = bytearray()
        self._late_at = 0.0
        self._began = 0.0

    def start(self, command: Command) -> None:
        """Returns at once; what can't be started ends with exit code 126 and says why in its output."""
        assert self._keeper is None, "one command at a time"
        with suppress(OSError):
            os.makedirs(os.path.dirname(command.log_path), mode=0o700, exist_ok=True)
        order = os.memfd_create("order")
        try:
            write_all(order, json.dumps(self._order(command)).encode())
            os.lseek(order, 0, os.SEEK_SET)
            self._keeper = subprocess.Popen(
                [sys.executable, "-P", "-m", "conductor.projects.keeper"],
                stdin=order,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: value for name, value in os.environ.items() if name.startswith("PYTHON")},
                start_new_session=True,
            )
        finally:
            os.close(order)
        os.set_blocking(self.fileno(), False)
        self._told.clear()
        self._began = self._clock()
        self._late_at = self._began + command.timeout_seconds + self._grace_seconds + _KEEPER_LATE_SECONDS

    def fileno(self) -> int:
        """Readable when it may have ended; -1: none runs."""
        if self._keeper is None or self._keeper.stdout is None:
            return -1
        return self._keeper.stdout.fileno()

    def take(self) -> CommandEnd | None:
        """How it ended, once; None: it runs still, or none does."""
        if self._keeper is None:
            return None
        if self._hear():
            return self._finish()
        return self._end_keeper() if self._clock() > self._late_at else None

    def stop(self) -> None:
        """Ends it and all that it started, without grace: nothing is left on return."""
        if self._keeper is not None:
            self._end_keeper()

    def _order(self, command: Command) -> dict[str, object]:
        return {
            "argv": command.argv,
            "folder": command.folder,
            "env": {**command.env, OWNER_VARIABLE: self._token},
            "log": command.log_path,
            "cap": LOG_CAP_BYTES,
            "timeout": command.timeout_seconds,
            "grace": self._grace_seconds,
            "secrets": self._secrets,
            "parent": os.getpid(),
        }

    def _hear(self) -> bool:
        """Whether the keeper has said all it has to say."""
        while True:
            try:
                piece = os.read(self.fileno(), _READ_BYTES)
            except BlockingIOError:
                return False
            if not piece:
                return True
            self._told += piece

    def _end_keeper(self) -> CommandEnd:
        assert self._keeper is not None  # the callers have looked
        deadline = self._clock() + _STOP_SECONDS
        for number in (signal.SIGTERM, signal.SIGCONT):
            send_signal(self._keeper.pid, number)
        while not self._hear() and (left := deadline - self._clock()) > 0:
            select.select([self.fileno()], [], [], left)
        return self._finish()

    def _finish(self) -> CommandEnd:
        assert self._keeper is not None  # the callers have looked
        assert self._keeper.stdout is not None
        self._keeper.kill()
        self._keeper.wait()
        self._keeper.stdout.close()
        self._keeper = None
        try:
            end = json.loads(self._told)
        except ValueError:
            end = {"exit_code": None, "cut": "lost", "tail": "", "seconds": self._clock() - self._began}
        if not end.get("tree_gone"):
            kill_with_variable(OWNER_VARIABLE, [self._token], spare=frozenset({os.getpid()}))
        return CommandEnd(end["exit_code"], end["cut"], end["tail"], end["seconds"])
