"""A worker's life: START → POLL → CLAIM → EXECUTE → REPORT → EXIT.

It listens to four signals. SIGUSR1: look again (a task may have come, or the running one may be cancelled). SIGTERM:
stop (idle: leave; running: stop the agent and give the task back). SIGQUIT: the same without the agent's grace.
SIGHUP: leave if idle, else finish first; the kernel sends it too when the nursery dies. SIGINT is ignored.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from conductor.domain.errors import Fenced
from conductor.domain.exits import WorkerExit
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.task import Claim
from conductor.domain.usage import Price
from conductor.domain.wire import Busy, Note, Ready
from conductor.domain.worker_id import worker_id
from conductor.kit.process import become_subreaper, own_identity, set_parent_death_signal, set_process_name
from conductor.kit.signals import SignalPipe
from conductor.ports import AgentRegistry, Doorkeeper, GateFactory, Ledger, Log, TaskQueue
from conductor.worker.attempt import limits_for, run_attempt
from conductor.worker.bench import Workbench, no_price, nothing_left
from conductor.worker.config import WorkerConfig
from conductor.worker.patience import patiently

_SUPERVISION_MARGIN_SECONDS = 60.0


@dataclass(frozen=True)
class WorkerTools:
    """What the wiring hands to every worker of a nursery."""

    config: WorkerConfig
    queue: TaskQueue
    agents: AgentRegistry
    environment: dict[str, str]
    log: Log
    open_gate: GateFactory | None = None
    doorkeeper: Doorkeeper | None = None
    ledger: Ledger | None = None
    price_of_model: Callable[[str], Price | None] = no_price
    settle_left: Callable[[str], None] = nothing_left


class Worker:
    """One process, one attempt."""

    def __init__(self, slot: int, tools: WorkerTools, report: Callable[[bytes], None]) -> None:
        self._tools = tools
        self._config = tools.config
        self._queue = tools.queue
        self._report = report
        self._signals = SignalPipe((signal.SIGUSR1, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP))
        self._id = worker_id(f"w{slot}", own_identity())

    def live(self, nursery_pid: int) -> WorkerExit:
        """From START to the code to exit with."""
        set_parent_death_signal(signal.SIGHUP)
        become_subreaper()
        if os.getppid() != nursery_pid:
            return WorkerExit.RETIRED
        set_process_name("conductor-work")
        self._report(Ready(self._id).line())
        return self.work_once()

    def work_once(self) -> WorkerExit:
        """POLL to REPORT."""
        claim = self._wait_for_claim()
        if isinstance(claim, WorkerExit):
            return claim
        return self._work(claim)

    def close(self) -> None:
        """Only a rehearsal outlives its worker."""
        self._signals.close()

    def _wait_for_claim(self) -> Claim | WorkerExit:
        deadline = time.monotonic() + self._config.max_idle_seconds
        while True:
            claim = self._queue.claim(self._config.pool, self._id)
            if claim is not None:
                return claim
            arrived = self._sleep_until(deadline)
            if arrived & {signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP}:
                return WorkerExit.RETIRED
            if not arrived and time.monotonic() >= deadline:
                return WorkerExit.IDLE

    def _sleep_until(self, deadline: float) -> frozenset[int]:
        """The signals that ended the sleep; none when the deadline did."""
        poll = select.poll()
        poll.register(self._signals.fileno(), select.POLLIN)
        poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        return self._signals.take()

    def _work(self, claim: Claim) -> WorkerExit:
        limits = limits_for(claim, self._config)
        runs = 2 if claim.spec.verify else 1
        most = runs * (limits.timeout + limits.grace) + _SUPERVISION_MARGIN_SECONDS if limits.timeout else 0.0
        self._report(Busy(self._id, claim.spec.id, claim.attempt, most).line())
        try:
            result = self._execute(claim)
        finally:
            self._release()
        if result is None:
            return self._give_back(claim)
        return self._record(claim, result)

    def _release(self) -> None:
        if self._tools.doorkeeper is not None:
            self._tools.doorkeeper.release(self._id)

    def _execute(self, claim: Claim) -> TaskResult | None:
        if self._queue.cancel_requested(claim):
            now = time.time()
            return TaskResult(Outcome.CANCELLED, "cancelled before it ran", "cancelled", now, now)
        tools = self._tools
        bench = Workbench(
            self._config,
            tools.agents,
            self._signals,
            tools.environment,
            open_gate=tools.open_gate,
            doorkeeper=tools.doorkeeper,
            ledger=tools.ledger,
            price_of_model=tools.price_of_model,
            settle_left=tools.settle_left,
            notice=lambda action, facts: self._report(Note(claim.spec.id, claim.attempt, action, dict(facts)).line()),
        )
        return run_attempt(claim, bench, lambda: self._queue.cancel_requested(claim))

    def _give_back(self, claim: Claim) -> WorkerExit:
        try:
            self._queue.give_back(claim)
        except Fenced as error:
            return self._fenced(claim, error)
        return WorkerExit.GAVE_BACK

    def _record(self, claim: Claim, result: TaskResult) -> WorkerExit:
        """Records, and on a disk that refuses tries again for a while: the work is done and worth keeping."""
        try:
            patiently(lambda: self._queue.finish(claim, result))
        except Fenced as error:
            return self._fenced(claim, error)
        except OSError as error:
            facts = {"task": claim.spec.id, "attempt": claim.attempt, "worker": self._id, "error": str(error)}
            self._tools.log.error("record_failed", **facts)
            return WorkerExit.CANNOT_RECORD
        return WorkerExit.DONE

    def _fenced(self, claim: Claim, error: Fenced) -> WorkerExit:
        facts = {"task": claim.spec.id, "attempt": claim.attempt, "worker": self._id, "error": str(error)}
        self._tools.log.warning("attempt_fenced", **facts)
        return WorkerExit.FENCED
