"""What keeps a home usable for years: claiming stops before the disk is full, logs are begun anew, old tasks go."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress

from conductor.domain.errors import ConductorError
from conductor.domain.home import Home
from conductor.domain.sizes import format_bytes
from conductor.ports import Log, TaskQueue
from conductor.supervisor.events import EventLog
from conductor.supervisor.plan import UpkeepPlan

_LOOK_EVERY_SECONDS = 0.5
_FIRST_SWEEP_SECONDS = 60.0
_USUAL_BYTES = 500 * (1 << 20)
_USUAL_INODES = 10_000
_SMALL_PART = 20
_MORE_TO_GO_ON = 1.1
_LONGEST_ANSWER = 65536

RotateResults = Callable[[int, int, int], bool]
"""(largest, keep, told): begins results.txt anew where it is larger; tells whether it did."""


def shortage(disk: os.statvfs_result, plan: UpkeepPlan, *, was_short: bool) -> str:
    """What there is too little of, in few words; empty: there is room. Once short, a tenth more must be free."""
    factor = _MORE_TO_GO_ON if was_short else 1.0
    least = min(_USUAL_BYTES, disk.f_blocks * disk.f_frsize // _SMALL_PART) if plan.min_free is None else plan.min_free
    free = disk.f_bavail * disk.f_frsize
    if free < least * factor:
        return f"less than {format_bytes(least)} are free"
    usual = min(_USUAL_INODES, disk.f_files // _SMALL_PART)
    inodes = usual if plan.min_free_inodes is None else plan.min_free_inodes
    if disk.f_files and disk.f_favail < inodes * factor:  # some file systems don't count them
        return f"fewer than {inodes} inodes are free"
    return ""


class Upkeep:
    """`look` is called at every pass of the loop and is cheap; what takes time is done by a child, one at a time."""

    def __init__(
        self,
        home: Home,
        plan: UpkeepPlan,
        queue: TaskQueue,
        rotate_results: RotateResults,
        events: EventLog,
        log: Log,
        spared: set[int],
    ) -> None:
        """`spared`: takes the pids of children that are not strays."""
        self._home = home
        self._plan = plan
        self._queue = queue
        self._rotate_results = rotate_results
        self._events = events
        self._log = log
        self._spared = spared
        self._next_look = 0.0
        self._next_sweep = 0.0
        self._sweeper: subprocess.Popen[bytes] | None = None
        self._troubles: list[str] = []
        self.full = ""
        """Why nothing is claimed at present; empty: there is room."""

    def renew(self, plan: UpkeepPlan) -> None:
        self._plan = plan
        self._next_look = 0.0

    def look(self, now: float) -> None:
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_SECONDS
        troubles = []
        for step in (self._check_space, self._rotate, self._sweep):
            try:
                step(now)
            except (OSError, ConductorError) as error:
                troubles.append(str(error))
        if troubles and troubles != self._troubles:  # asked again at the next look, told once
            self._log.error("upkeep_failed", error="; ".join(troubles))
        self._troubles = troubles

    def reaped(self, pid: int, wait_status: int) -> bool:
        """Whether that child was ours."""
        if self._sweeper is None or self._sweeper.pid != pid:
            return False
        process, self._sweeper = self._sweeper, None
        self._spared.discard(pid)
        process.returncode = os.waitstatus_to_exitcode(wait_status)
        self._hear(process)
        return True

    def close(self) -> None:
        """A sweep that goes on is killed: the next one finishes what it began."""
        if self._sweeper is not None:
            self._sweeper.kill()
            self._sweeper.wait()
            _take_answer(self._sweeper)
            self._sweeper = None

    def _check_space(self, now: float) -> None:
        found = shortage(os.statvfs(self._home.path), self._plan, was_short=bool(self.full))
        if bool(found) == bool(self._queue.full()):
            self.full = found
            return
        self._queue.mark_full(found)
        was, self.full = self.full, found
        if found:
            self._log.error("space_low", why=found, now="nothing is claimed until there is room")
            self._events.emit("space_low", why=found)
            self._next_sweep = now
        else:
            self._log.warning("space_enough", before=was)
            self._events.emit("space_enough")

    def _rotate(self, _now: float) -> None:
        plan = self._plan
        if self._rotate_results(plan.results_bytes, plan.keep, self._events.told):
            self._log.info("results_rotated", told=self._events.told)
        if self._events.rotate(plan.events_bytes, plan.keep):
            self._log.info("events_rotated")

    def _sweep(self, now: float) -> None:
        plan = self._plan
        if self._sweeper is not None or not plan.sweep:
            return
        if not self._next_sweep:
            self._next_sweep = now + min(_FIRST_SWEEP_SECONDS, plan.sweep_every)
        if now < self._next_sweep:
            return
        self._next_sweep = now + plan.sweep_every
        self._sweeper = subprocess.Popen(plan.sweep, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._spared.add(self._sweeper.pid)

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        answer = _take_answer(process)
        try:
            removed = json.loads(answer)
            facts = {name: int(removed[name]) for name in ("tasks", "runs", "bytes")}
        except (ValueError, KeyError, TypeError):
            self._log.warning("sweep_failed", exit_code=process.returncode, said=answer.decode("utf-8", "replace"))
            return
        if facts["tasks"] or facts["runs"]:
            self._log.info("old_removed", **facts)
            self._events.emit("old_removed", **facts)


def _take_answer(process: subprocess.Popen[bytes]) -> bytes:
    """The line that a child which has ended left; its pipe is closed."""
    answer = b""
    if process.stdout is not None:
        with process.stdout as pipe, suppress(OSError):
            answer = os.read(pipe.fileno(), _LONGEST_ANSWER)
    return answer
