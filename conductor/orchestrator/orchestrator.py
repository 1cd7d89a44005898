"""The process that drives the runs of one project: wait, hear, act, in named steps. Time is handed to each step."""

from __future__ import annotations

import os
import selectors
import signal
import time
from contextlib import suppress

from conductor.domain.errors import NoSuchRun
from conductor.domain.overlap import FilesInUse
from conductor.domain.run import Changes, Run, RunStatus, reopened
from conductor.domain.view import Ended
from conductor.kit.durable import replace_file
from conductor.kit.signals import SignalPipe
from conductor.orchestrator.approvals import is_called_for
from conductor.orchestrator.board import Board
from conductor.orchestrator.driver import Driver
from conductor.orchestrator.heart import Heart
from conductor.orchestrator.held_up import HeldUp
from conductor.orchestrator.journal import Journal
from conductor.orchestrator.merge_queue import MergeQueue
from conductor.orchestrator.rules import Rules, Tools

WATCHED_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_SCAN_SECONDS = 2.0
_MOVING_SECONDS = 0.003
_DEAF_SECONDS = 0.2
"""Where the kernel tells nothing of files that change."""
_MIRROR_SECONDS = 1.0
_MIRROR_SECONDS_PER_STEP = 0.002
"""It is written whole: the more seldom the longer it is."""
_LONGEST_GAP = 60.0
"""Of a run's clock in one step: a machine that slept did not work on it."""


class Orchestrator:
    """One project's. `run` returns the exit code: 0 when nothing is left to do or it was told to go."""

    def __init__(self, tools: Tools, rules: Rules, owner: str, signals: SignalPipe | None) -> None:
        """`signals`: None where no loop will run."""
        self._tools = tools
        self._rules = rules
        self._signals = signals
        self._files: FilesInUse = FilesInUse()
        self._journal = Journal(tools.project, tools.store, tools.teller, tools.mirror.note, tools.clock)
        self._queue = MergeQueue(tools, lambda: self._rules)
        self._drivers: dict[str, Driver] = {}
        self._heart = Heart(tools, rules.beat_seconds, owner)
        self._limits = HeldUp(tools)
        self._selector = selectors.DefaultSelector()
        self._watched: set[int] = set()
        self._announced: dict[str, float] = {}
        """Tasks whose line came, and until when they are looked for at each pass."""
        self._seen_version = -1
        self._next_scan = 0.0
        self._next_mirror = 0.0
        self._last_tick = time.monotonic()
        self._is_leaving = False
        self._has_more = False

    # -- the loop

    def run(self) -> int:
        assert self._signals is not None  # who runs the loop hands them in
        self._selector.register(self._signals.fileno(), selectors.EVENT_READ)
        self._hears = self._tools.feed.fileno() >= 0
        if self._hears:
            self._selector.register(self._tools.feed.fileno(), selectors.EVENT_READ)
        while not self._is_leaving:
            self.tick(time.monotonic())
            if self.is_done():
                break
            self._wait()
        self._queue.stop()
        self._tools.publisher.stop()
        self._journal.tell()
        self._heart.beat(self._state())
        return 0

    def tick(self, now: float) -> None:
        self._obey_signals()
        self._hear_results(now)
        self._scan(now)
        self._hear_people()
        self._queue.hear(now)
        self._drive()
        self._start_steps()
        self._go_on()
        self._wind_clocks(now)
        self._tell_the_world(now)

    def _wait(self) -> None:
        wanted = {fd for fd in (self._queue.fileno(), self._tools.publisher.fileno()) if fd >= 0}
        for descriptor in self._watched - wanted:
            with suppress(KeyError, ValueError, OSError):
                self._selector.unregister(descriptor)
        for descriptor in wanted - self._watched:
            self._selector.register(descriptor, selectors.EVENT_READ)
        self._watched = wanted
        patience = _MOVING_SECONDS if self._announced else max(0.0, self._next_scan - time.monotonic())
        if self._has_more:
            patience = 0.0
        self._selector.select(patience if self._hears else min(patience, _DEAF_SECONDS))

    def spawn(self, run_id: str, step_id: str) -> str:
        """Starts one step by hand, without the loop; the id of its task. Raises UsageError where it may not start."""
        run = self._tools.store.run(run_id)
        if run is None:
            raise NoSuchRun(run_id)
        self._take_up(run)
        return self._drivers[run_id].spawn(step_id)

    # -- hearing

    def _obey_signals(self) -> None:
        arrived = self._signals.take() if self._signals is not None else frozenset[int]()
        if signal.SIGTERM in arrived or signal.SIGINT in arrived:
            self._is_leaving = True

    def _hear_results(self, now: float) -> None:
        """A line comes a moment before its task has moved: it is looked for again until it has. One that does not (its
        worker was killed in between, a person tries it anew) is left to the scan."""
        for task_id in self._tools.feed.take():
            self._announced[task_id] = now + _SCAN_SECONDS
        for task_id, until in list(self._announced.items()):
            driver = next((one for one in self._drivers.values() if task_id in one.board.open), None)
            if driver is None or self._look_at(driver, task_id) or now >= until:
                del self._announced[task_id]

    def _look_at(self, driver: Driver, task_id: str, *, scanning: bool = False) -> bool:
        """Whether it has ended."""
        view = self._tools.queue.find(task_id)
        if isinstance(view, Ended):
            driver.task_ended(view)
        elif view is None and scanning:
            driver.task_missing(task_id)
        return isinstance(view, Ended)

    def _scan(self, now: float) -> None:
        """What is true is what a scan finds: results nobody told of."""
        if now < self._next_scan:
            return
        self._next_scan = now + _SCAN_SECONDS
        self._seen_version = -1
        for driver in self._drivers.values():
            for task_id in list(driver.board.open):
                self._look_at(driver, task_id, scanning=True)

    def _hear_people(self) -> None:
        version = self._tools.store.version()
        if version == self._seen_version:
            return
        self._seen_version = version
        self._load()
        for driver in list(self._drivers.values()):
            driver.obey(self._tools.store.wish(driver.run.id))

    def _load(self) -> None:
        """Runs that are new here, oldest first."""
        for run in reversed(self._tools.store.runs(self._tools.project, active=True)):
            if run.id not in self._drivers:
                self._take_up(run)

    def _take_up(self, run: Run) -> None:
        board = Board(run, self._tools.store, self._journal, self._files)
        driver = Driver(self._tools, self._rules, board, self._queue, self._let_go)
        self._drivers[run.id] = driver
        driver.resume()

    def _let_go(self, key: str) -> None:
        self._files.release(key)
        for driver in self._drivers.values():
            driver.board.schedule.let_go(key)

    # -- acting

    def _drive(self) -> None:
        for driver in list(self._drivers.values()):
            driver.tick()
            if driver.run.is_over:
                del self._drivers[driver.run.id]
                board = driver.board
                self._tools.mirror.finish(
                    board.run, list(board.states.values()), list(board.latest.values()), board.paths
                )
                if driver.is_wanted_again():
                    self._reopen(driver.run)

    def _reopen(self, run: Run) -> None:
        """Whoever wished saw it before its end, and left it to us."""
        self._tools.store.save(Changes(reopened(run, self._tools.store.wish(run.id).approved)))
        self._seen_version = -1

    def _start_steps(self) -> None:
        """One step of each run in turn, while there is room."""
        room = self._rules.wip - sum(driver.in_progress() for driver in self._drivers.values())
        hungry = list(self._drivers.values())
        while hungry and room > 0:
            for driver in list(hungry):
                if room <= 0:
                    break
                if driver.start_next():
                    room -= 1
                else:
                    hungry.remove(driver)

    def _wind_clocks(self, now: float) -> None:
        passed, self._last_tick = min(now - self._last_tick, _LONGEST_GAP), now
        for driver in self._drivers.values():
            if driver.run.status is not RunStatus.WAITING and not self._limits.hold_up(driver.board, self._queue, now):
                driver.spend(passed)

    def _go_on(self) -> None:
        """What can wait, a piece at each pass, so that nothing waits for it."""
        self._has_more = self._queue.go_on()
        if not self._has_more:
            tidied = [driver.tidy() for driver in self._drivers.values()]
            self._has_more = any(tidied)

    # -- telling

    def _tell_the_world(self, now: float) -> None:
        self._journal.tell(now)
        if self._heart.is_due(now):
            for driver in self._drivers.values():
                driver.board.set_run()
            self._heart.beat(self._state(), now)
        if now >= self._next_mirror:
            steps = sum(len(driver.board.states) for driver in self._drivers.values())
            self._next_mirror = now + max(_MIRROR_SECONDS, steps * _MIRROR_SECONDS_PER_STEP)
            for driver in list(self._drivers.values())[-1:]:  # it shows one run: the newest
                self._mirror(driver)

    def _mirror(self, driver: Driver) -> None:
        board = driver.board
        self._tools.mirror.show(board.run, list(board.states.values()), list(board.latest.values()), board.paths)

    def _state(self) -> dict[str, object]:
        return {
            "runs": {run_id: driver.run.status.value for run_id, driver in self._drivers.items()},
            "in_progress": sum(driver.in_progress() for driver in self._drivers.values()),
            "merging": len(self._queue),
            "in_check": self._queue.in_check(),
            "cpu_seconds": round(time.process_time(), 3),
        }

    def is_done(self) -> bool:
        """Nothing is left to do, but what people have to say: the file that keeps us running goes, unless a run or a
        word of theirs came in the same moment. Who says yes later has us started again."""
        if self._has_more or len(self._queue) or not all(driver.rests() for driver in self._drivers.values()):
            return False
        wanted = f"{self._tools.folder}/wanted"
        with suppress(FileNotFoundError):
            os.unlink(wanted)
        active = self._tools.store.runs(self._tools.project, active=True)
        if not any(is_called_for(run, self._tools.store.wish(run.id)) for run in active):
            return True
        replace_file(wanted, b"")
        self._load()
        return False
