"""The process that keeps one command: its output, its deadline, and the end of all that it started.

It is a process of its own so that nothing escapes. What the command starts and abandons, by whatever means, becomes a
child of this subreaper; and it hears of the orchestrator's death, so a killed orchestrator leaves nothing running.

    python -P -m conductor.projects.keeper    <order (JSON) on stdin    >end (JSON) on stdout
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from contextlib import suppress
from typing import Any, NoReturn

from conductor.domain.masking import Masker
from conductor.kit.durable import write_all
from conductor.kit.pipes import output_pipe
from conductor.kit.process import (
    become_subreaper,
    descendants_of,
    kill_descendants,
    make_unreadable,
    reap_children,
    send_signal,
    set_parent_death_signal,
    set_process_name,
)
from conductor.kit.signals import SignalPipe, unignore_signals
from conductor.projects.bounded_log import BoundedLog

_READ_BYTES = 262_144
_DRAINED_READS = 16
_GRACE_POLL_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 3600.0


class Keeper:
    """One command under way. `order`: argv, env, folder, log, cap, timeout, grace, secrets, parent."""

    def __init__(self, order: dict[str, Any], signals: SignalPipe) -> None:
        self._order = order
        self._signals = signals
        self._log = BoundedLog(order["log"], order["cap"], Masker(order["secrets"]))
        self._status: int | None = None
        self._cut = ""
        self._began = time.monotonic()
        self._kill_at: float = self._began + order["timeout"]
        self._output, write_end = output_pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _become_command(order, write_end)
        os.close(write_end)
        self._pidfd = os.pidfd_open(self._pid)

    def run(self) -> dict[str, Any]:
        """How it ended, once nothing of it is left."""
        poll = select.poll()
        for descriptor in (self._output, self._pidfd, self._signals.fileno()):
            poll.register(descriptor, select.POLLIN)
        while self._status is None and not self._is_due():
            for descriptor, _ in poll.poll(self._patience() * 1000):
                if descriptor == self._output and not self._read():
                    poll.unregister(descriptor)
                elif descriptor == self._pidfd:
                    reap_children(self._on_reaped)
        self._wait_out_grace()
        tree_gone = kill_descendants(self._on_reaped)
        self._drain()
        self._log.close()
        return self._ended(tree_gone)

    def _patience(self) -> float:
        """Seconds until something is to be decided; poll takes no more than some weeks."""
        return max(0.0, min(self._kill_at - time.monotonic(), _LONGEST_WAIT_SECONDS))

    def _is_due(self) -> bool:
        """Whether all of it is to be killed now. Past the deadline it is told to end first, and has its grace."""
        if signal.SIGTERM in self._signals.take():
            self._cut, self._kill_at = "stopped", 0.0
        if time.monotonic() < self._kill_at:
            return False
        if self._cut:
            return True
        self._cut, self._kill_at = "timeout", time.monotonic() + self._order["grace"]
        for pid in descendants_of(os.getpid()):
            send_signal(pid, signal.SIGTERM)
        return False

    def _wait_out_grace(self) -> None:
        """A shell dies at once of SIGTERM; what it started may still clean up."""
        while self._cut and reap_children(self._on_reaped) and not self._is_due():
            time.sleep(_GRACE_POLL_SECONDS)
            self._read()

    def _on_reaped(self, pid: int, status: int) -> None:
        if pid == self._pid:
            self._status = status

    def _read(self) -> bool:
        """False when no writer is left."""
        try:
            chunk = os.read(self._output, _READ_BYTES)
        except BlockingIOError:
            return True
        self._log.write(chunk)
        return bool(chunk)

    def _drain(self) -> None:
        """What was still in the pipe; a stranger that holds it open is not listened to for long."""
        for _ in range(_DRAINED_READS):
            if not self._read():
                return

    def _ended(self, tree_gone: bool) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(self._status) if self._status is not None else None
        return {
            "exit_code": code,
            "cut": self._cut,
            "tail": self._log.tail(),
            "seconds": time.monotonic() - self._began,
            "tree_gone": tree_gone,
        }


def _become_command(order: dict[str, Any], output: int) -> NoReturn:
    """In the forked child: a session of its own, nothing inherited, then the program."""
    try:
        parent = os.getppid()
        os.setsid()
        set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(125)
        signal.set_wakeup_fd(-1)
        unignore_signals((signal.SIGINT,))
        given = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, given), (1, output), (2, output)):
            os.dup2(source, target)
        os.umask(0o022)
        os.chdir(order["folder"])
        os.execvpe(order["argv"][0], order["argv"], order["env"])
    except OSError as error:
        os.write(2, f"conductor: can't start {order['argv'][0]} in {order['folder']}: {error.strerror}\n".encode())
    finally:
        os._exit(126)


def main() -> None:
    with open(0, "rb", closefd=False) as file:
        order = json.loads(file.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    make_unreadable()  # the secrets to be masked, and the pipe that says how it ended
    set_process_name("conductor-check")
    become_subreaper()
    signals = SignalPipe((signal.SIGTERM,))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_parent_death_signal(signal.SIGTERM)
    if os.getppid() != order["parent"]:
        return
    end = Keeper(order, signals).run()
    with suppress(OSError):  # nobody listens any more
        write_all(1, json.dumps(end).encode())


if __name__ == "__main__":
    main()
