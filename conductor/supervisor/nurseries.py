"""The supervisor's end of a nursery: starting one, asking it to fork, hearing what it says, letting it go."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress

from conductor.domain.wire import Fork, LineBuffer, Message, parse_message

NurseryCommand = Callable[[int, int], Sequence[str]]
"""(control fd, report fd) to the command line of a nursery."""

_GONE_WITHIN_SECONDS = 10.0


class NurseryLink:
    """One nursery process for one pool. `config` travels as the first line on its socket."""

    def __init__(self, pool: str, command: NurseryCommand, config_json: str, report_fd: int) -> None:
        self.pool = pool
        self.is_up = False
        self.on_trial = False
        self._buffer = LineBuffer()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                command(theirs.fileno(), report_fd),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), report_fd),
                start_new_session=True,
            )
        self._socket = ours
        with suppress(OSError):  # one that dies at once is noticed by its end of file
            ours.sendall(config_json.encode() + b"\n")
        ours.setblocking(False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        return self._socket.fileno()

    def fork(self, slot: int) -> None:
        """Asks for a worker; that the nursery is not there to hear it is noticed by its end of file."""
        with suppress(OSError):
            self._socket.sendall(Fork(slot).line())

    def receive(self) -> list[Message] | None:
        """What it said since the last call; None when it is gone."""
        try:
            received = self._socket.recv(65536)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not received:
            return None
        return [message for line in self._buffer.feed(received) if (message := parse_message(line))]

    def close(self) -> None:
        """Lets it go: it ends at the end of file, its idle workers with it; busy ones finish first."""
        self._socket.close()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kills it and waits for it, where nobody else does."""
        self.kill()
        self._process.wait(_GONE_WITHIN_SECONDS)

    def reaped(self, wait_status: int) -> None:
        """Tells Popen what another waitpid has collected, so that it does not wait for a stranger's pid."""
        self._process.returncode = os.waitstatus_to_exitcode(wait_status)
