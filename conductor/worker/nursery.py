"""The nursery: an exec'd, single-threaded, lean process that forks workers on demand and reports how they end.

It opens no file, starts no thread, runs no task. When its supervisor is gone it goes too.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import traceback
from contextlib import suppress

from conductor.domain.exits import WorkerExit
from conductor.domain.wire import Born, Died, Fork, LineBuffer, NurseryUp, parse_message
from conductor.kit.process import reap_children, set_process_name
from conductor.kit.signals import SignalPipe, fresh_signals
from conductor.worker.life import Worker, WorkerTools


class Nursery:
    """Forks one worker for each `fork <slot>` on `control`; `report_fd` is the workers' pipe to the supervisor."""

    def __init__(self, control: socket.socket, report_fd: int, tools: WorkerTools) -> None:
        self._control = control
        self._report_fd = report_fd
        self._tools = tools
        self._buffer = LineBuffer()
        fresh_signals()
        self._signals = SignalPipe((signal.SIGCHLD,))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        set_process_name("conductor-nurse")

    def run(self) -> int:
        gc.collect()
        gc.disable()
        gc.freeze()
        self._tell(NurseryUp().line())
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._signals.fileno(), select.POLLIN)
        while True:
            poll.poll()
            if self._signals.take():
                reap_children(lambda pid, status: self._tell(Died(pid, status).line()))
            if not self._obey():
                return 0

    def _obey(self) -> bool:
        """Does what the supervisor asked; False when it is gone."""
        try:
            received = self._control.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for line in self._buffer.feed(received):
            message = parse_message(line)
            if isinstance(message, Fork):
                self._fork(message.slot)
        return bool(received)

    def _fork(self, slot: int) -> None:
        nursery_pid = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # the supervisor misses the birth, and in a while replaces us
            self._tools.log.error("fork_failed", slot=slot, error=str(error))
            return
        if pid == 0:
            self._be_worker(slot, nursery_pid)
        self._tell(Born(slot, pid).line())

    def _be_worker(self, slot: int, nursery_pid: int) -> None:
        """In the fork: never returns, whatever happens."""
        code: int = WorkerExit.BROKEN
        try:
            self._control.close()
            self._signals.close()
            code = Worker(slot, self._tools, self._report).live(nursery_pid)
        except BaseException as error:  # the process's outer edge: what went wrong must be told before it ends
            self._tools.log.error("worker_broke", slot=slot, error=repr(error), traceback=traceback.format_exc())
        finally:
            os._exit(code)

    def _report(self, line: bytes) -> None:
        """A hint to the supervisor; when it is gone or does not read, the files still tell."""
        with suppress(OSError):
            os.write(self._report_fd, line)

    def _tell(self, line: bytes) -> None:
        with suppress(OSError):
            self._control.sendall(line)


def adopt_descriptors(control_fd: int, report_fd: int) -> socket.socket:
    """Takes the inherited descriptors; workers' agents must not get them."""
    for descriptor in (control_fd, report_fd):
        os.set_inheritable(descriptor, False)
    os.set_blocking(report_fd, False)
    return socket.socket(fileno=control_fd)
