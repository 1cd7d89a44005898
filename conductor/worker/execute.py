"""Runs one agent process to its end, with everything that it started: output, limits, and the end of the tree."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from conductor.kit.cgroup import end_cgroup, enter_cgroup, make_cgroup
from conductor.kit.pipes import output_pipe
from conductor.kit.process import (
    descendants_of,
    kill_descendants,
    reap_children,
    send_signal,
    set_parent_death_signal,
)
from conductor.kit.signals import SignalPipe, unignore_signals
from conductor.worker.agent_log import AgentLog
from conductor.worker.cut import Cut
from conductor.worker.incall import call_in_child
from conductor.worker.watch import Watch

_READ_BYTES = 262_144
_DRAINED_READS = 16
_FAST_BYTES = 4096
_PAUSE_SECONDS = 0.002
_LOOK_EVERY_SECONDS = 1.0
_GRACE_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; None: no limit."""

    timeout: float | None
    stall: float | None
    grace: float


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """A program, ready to start."""

    argv: tuple[str, ...]
    env: dict[str, str]
    directory: str
    cgroup: str = ""
    """A group to be made for it; empty: none."""
    stdin: str = "/dev/null"
    call: tuple[str, str] | None = None
    """(`module:function`, its argument), in place of a program."""


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How the agent's process tree ended. CPU and memory are those of every process that was in it."""

    exit_code: int | None
    signal: int | None
    cut: Cut | None
    cpu_seconds: float
    peak_memory_bytes: int
    tree_gone: bool


class AgentProcess:
    """One agent under way. This process must be a subreaper with no other child."""

    def __init__(
        self,
        command: AgentCommand,
        log: AgentLog,
        limits: Limits,
        signals: SignalPipe,
        is_cancelled: Callable[[], bool],
        watch: Watch | None = None,
    ) -> None:
        self._log = log
        self._watch = watch
        self._limits = limits
        self._signals = signals
        self._is_cancelled = is_cancelled
        self._cut: Cut | None = None
        self._kill_at = 0.0
        self._looked = 0.0
        self._status: int | None = None
        self._cgroup = command.cgroup if command.cgroup and make_cgroup(command.cgroup) else ""
        self._output, write_end = output_pipe()
        self._told, told_end = output_pipe() if watch is not None and watch.is_structured else (-1, write_end)
        self._began = self._last_output = time.monotonic()
        self._pid = os.fork()
        if self._pid == 0:
            _become_agent(command, (told_end, write_end), self._cgroup)
        for descriptor in {write_end, told_end}:
            os.close(descriptor)
        try:
            self._pidfd = os.pidfd_open(self._pid)
            if watch is not None and watch.gate is not None:
                watch.gate.start()
        except BaseException:
            self._kill_tree()
            raise

    def run(self) -> ProcessEnd:
        """Until the agent has ended and nothing of its tree is left; that holds too when it raises."""
        try:
            return self._run()
        except BaseException:
            self._kill_tree()
            raise

    def _kill_tree(self) -> bool:
        gone = kill_descendants()
        if self._cgroup:
            end_cgroup(self._cgroup)
        return gone

    def _run(self) -> ProcessEnd:
        if self._watch is not None:
            self._watch.begin()
        poll = select.poll()
        gate = self._watch.gate.fileno() if self._watch is not None and self._watch.gate is not None else -1
        for descriptor in (self._output, self._told, gate, self._pidfd, self._signals.fileno()):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        while self._status is None:
            for descriptor, _ in poll.poll(self._patience() * 1000):
                if descriptor in (self._output, self._told) and not self._read(descriptor):
                    poll.unregister(descriptor)
                elif descriptor == gate:
                    self._look_at_calls()
                elif descriptor == self._pidfd:
                    reap_children(self._on_reaped)
            self._look_after()
        tree_gone = self._end_tree()
        self._drain()
        return self._ended(tree_gone)

    def _patience(self) -> float:
        """Seconds until something is to be decided."""
        if self._cut is not None:
            return max(0.0, min(self._kill_at - time.monotonic(), _LOOK_EVERY_SECONDS))
        deadlines = [_LOOK_EVERY_SECONDS]
        now = time.monotonic()
        if self._limits.timeout is not None:
            deadlines.append(self._began + self._limits.timeout - now)
        if self._limits.stall is not None:
            deadlines.append(self._last_output + self._limits.stall - now)
        return max(0.0, min(deadlines))

    def _look_after(self) -> None:
        """Decides whether the agent must end now, and ends it."""
        if self._status is not None:
            return
        arrived = self._signals.take()
        now = time.monotonic()
        if self._cut is None:
            cut = self._why_cut(now, arrived)
            if cut is not None:
                self._cut, self._kill_at = cut, now + (0.0 if signal.SIGQUIT in arrived else self._limits.grace)
                for pid in descendants_of(os.getpid()):
                    send_signal(pid, signal.SIGTERM)
                    send_signal(pid, signal.SIGCONT)
        elif now >= self._kill_at or signal.SIGQUIT in arrived:
            self._kill_at = now
            kill_descendants(self._on_reaped)

    def _why_cut(self, now: float, arrived: frozenset[int]) -> Cut | None:
        if arrived & {signal.SIGTERM, signal.SIGQUIT}:
            return Cut.STOPPED
        if self._limits.timeout is not None and now - self._began >= self._limits.timeout:
            return Cut.TIMEOUT
        if self._limits.stall is not None and now - self._last_output >= self._limits.stall:
            return Cut.STALLED
        if signal.SIGUSR1 in arrived or now - self._looked >= _LOOK_EVERY_SECONDS:
            self._looked = now
            if self._is_cancelled():
                return Cut.CANCELLED
        return self._watch.why_cut(now) if self._watch is not None else None

    def _on_reaped(self, pid: int, status: int) -> None:
        if pid == self._pid:
            self._status = status

    def _read(self, descriptor: int) -> bool:
        """Takes what there is; False at the end of the stream."""
        try:
            chunk = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        if chunk:
            now = time.monotonic()
            if len(chunk) >= _FAST_BYTES and now - self._last_output < _PAUSE_SECONDS:
                time.sleep(_PAUSE_SECONDS)  # a few large reads cost less than many small ones, and the pipe has room
            self._last_output = now
            self._log.write(chunk)
            if descriptor == self._told and self._watch is not None:
                self._watch.hear(chunk)
        return bool(chunk)

    def _read_all(self) -> None:
        for descriptor in (self._told, self._output):
            if descriptor >= 0:
                self._read(descriptor)

    def _look_at_calls(self) -> None:
        assert self._watch is not None  # its gate woke us
        self._last_output = time.monotonic()
        self._watch.look_at_calls()

    def _end_tree(self) -> bool:
        """After the agent itself: what it left gets the rest of its grace where it was told to stop, then SIGKILL."""
        while self._cut is not None and reap_children() and time.monotonic() < self._kill_at:
            time.sleep(_GRACE_POLL_SECONDS)
            if signal.SIGQUIT in self._signals.take():
                self._kill_at = 0.0
            self._read_all()
        return self._kill_tree()

    def _drain(self) -> None:
        """What was still in the pipe when the last writer went; a stranger that still writes is not listened to."""
        for descriptor in (self._told, self._output):
            if descriptor < 0:
                continue
            for _ in range(_DRAINED_READS):
                before = self._log.received_bytes
                if not self._read(descriptor) or self._log.received_bytes == before:
                    break
            os.close(descriptor)
        os.close(self._pidfd)
        if self._watch is not None:
            self._watch.end_of_output()

    def _ended(self, tree_gone: bool) -> ProcessEnd:
        assert self._status is not None  # run() waited for it
        code = os.waitstatus_to_exitcode(self._status)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ProcessEnd(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cut=self._cut,
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_memory_bytes=used.ru_maxrss * 1024,
            tree_gone=tree_gone,
        )


def _become_agent(command: AgentCommand, outputs: tuple[int, int], cgroup: str) -> NoReturn:
    """In the forked child: a session of its own, nothing inherited, then the program (or the function)."""
    code = 126
    try:
        parent = os.getppid()
        os.setsid()
        set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(125)
        if cgroup:
            enter_cgroup(cgroup)
        signal.set_wakeup_fd(-1)
        unignore_signals((signal.SIGINT,))
        given = os.open(command.stdin, os.O_RDONLY)
        for target, source in ((0, given), (1, outputs[0]), (2, outputs[1])):
            os.dup2(source, target)
        os.umask(0o022)
        os.chdir(command.directory)
        if command.call is not None:
            code = call_in_child(command.call, command.env)
        else:
            os.execvpe(command.argv[0], command.argv, command.env)
    except OSError as error:
        what = command.call[0] if command.call is not None else command.argv[0]
        os.write(2, f"conductor: can't start {what}: {error.strerror}\n".encode())
    finally:
        os._exit(code)
