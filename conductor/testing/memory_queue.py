"""MemoryQueue: the TaskQueue port in one process's memory, for tests of what stands on a queue.

It keeps the contract of conductor/testing/queue_contract.py, decides by the same pure functions as the real one, and
forgets everything with its process. Every task is one frozen view, and its state is the view's type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from threading import RLock
from typing import Any, TypeVar

from conductor.domain.errors import BadTask, DuplicateTask, Fenced, NoSuchTask, UsageError
from conductor.domain.lines import PREVIEW_CHARACTERS, ResultLine, format_result, format_timestamp
from conductor.domain.outcome import Outcome, Status, TaskResult, agent_record, cancelled
from conductor.domain.retry import NextState, RetryPolicy, Verdict, after_attempt, retries_for
from conductor.domain.task import Claim, TaskSpec, Tries, check_spec
from conductor.domain.view import Counts, Ended, Queued, Recovered, Running, TaskView, Tended, Waiting

_View = TypeVar("_View", Queued, Waiting, Running, Ended)


class MemoryQueue:
    """Safe for threads. `clock` gives seconds since 1970, `chance` a number in [0, 1); nothing touches the disk.

    `tasks_root` is what the paths in claims begin with: who lets an agent write there makes the folders.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        chance: Callable[[], float],
        policy: RetryPolicy,
        tasks_root: str = "/nonexistent/tasks",
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._policy = policy
        self._tasks_root = tasks_root
        self._lock = RLock()
        self._views: dict[str, TaskView] = {}
        self._kept: dict[str, tuple[TaskSpec, Tries]] = {}
        self._places: dict[str, int] = {}
        self._head, self._tail = 0, 0
        self._recorded: dict[str, tuple[Verdict, dict[str, Any]]] = {}
        self._marks: set[str] = set()
        self._batches: list[str] = []
        self._batches_made = 0
        self._paused = False
        self._full = ""
        self._results: list[ResultLine] = []

    @property
    def results(self) -> tuple[ResultLine, ...]:
        """What the real queue would have in results.txt."""
        with self._lock:
            return tuple(self._results)

    # -- accepting

    def submit(self, spec: TaskSpec, *, fresh: bool = False) -> None:
        check_spec(spec)
        with self._lock:
            self._check_awaited([spec])
            self._reserve([spec])
            self._place(spec, Tries(), due_ms=spec.not_before_ms)

    def submit_many(self, specs: Sequence[TaskSpec], *, fresh: Collection[str] = ()) -> None:
        if not specs:
            return
        for spec in specs:
            check_spec(spec)
        with self._lock:
            self._check_awaited(specs)
            self._reserve(specs)
            self._batches_made += 1
            batch = f"b-{self._batches_made:08d}"
            self._batches.append(batch)
            for spec in specs:
                self._keep(spec, Tries(), Queued(spec, Tries(), in_batch=batch))

    def tend(self, default_agent: str) -> Tended:
        """Unpacks the oldest batch and promotes what is due. There is no inbox, so `default_agent` is not needed."""
        with self._lock:
            accepted = self._unpack(self._batches.pop(0)) if self._batches else 0
            promoted = self._promote()
            let_go, failed = self._move_dependents_on()
            due = min((view.due_ms for view in self._of(Waiting) if not view.awaits), default=0)
            return Tended(accepted, promoted + let_go, more=bool(self._batches), next_due_ms=due, failed=failed)

    def _check_awaited(self, specs: Sequence[TaskSpec]) -> None:
        known = set(self._views)
        for spec in specs:
            for awaited in spec.after:
                if awaited not in known:
                    raise BadTask(f"task {spec.id} waits for {awaited!r}: there is no such task here before it")
            known.add(spec.id)

    def _reserve(self, specs: Sequence[TaskSpec]) -> None:
        taken = set(self._views)
        for spec in specs:
            if spec.id in taken:
                raise DuplicateTask(spec.id)
            taken.add(spec.id)

    def _unpack(self, batch: str) -> int:
        specs = [view.spec for view in self._of(Queued) if view.in_batch == batch]
        for spec in specs:
            self._place(spec, Tries(), due_ms=spec.not_before_ms)
        return len(specs)

    def _promote(self) -> int:
        now_ms = self._now_ms()
        timed = (view for view in self._of(Waiting) if not view.awaits and view.due_ms <= now_ms)
        due = sorted(timed, key=lambda view: view.due_ms)
        for view in due:
            self._place(view.spec, view.tries)
        return len(due)

    def _move_dependents_on(self) -> tuple[int, int]:
        """Lets go those whose awaited tasks all ended well, fails those of which one did not; how many of each."""
        let_go, failed = 0, 0
        while due := self._due():
            for view in due:
                awaited = self._views[view.awaits]
                if isinstance(awaited, Ended) and awaited.status is not Status.SUCCESS:
                    self._fail(view, f"task {view.awaits}, which it waits for, ended as {awaited.status.value}")
                    failed += 1
                    continue
                later = view.spec.not_before_ms if view.spec.not_before_ms > self._now_ms() else 0
                self._place(view.spec, view.tries, due_ms=later)
                let_go += not self._is_held(view.spec.id)
        return let_go, failed

    def _due(self) -> list[Waiting]:
        return [view for view in self._of(Waiting) if isinstance(self._views.get(view.awaits), Ended)]

    def _is_held(self, task_id: str) -> bool:
        view = self._views[task_id]
        return isinstance(view, Waiting) and bool(view.awaits)

    def _fail(self, view: Waiting, reason: str) -> None:
        now = self._clock()
        claim = self._hand_out(view, "cli-0-0-00000000")
        final = replace(claim, spec=replace(view.spec, retries=0))
        self.finish(final, TaskResult(Outcome.FAILED, reason, reason, now, now))

    def has_due(self) -> bool:
        with self._lock:
            return bool(self._due())

    def _awaited_by(self, spec: TaskSpec) -> str:
        """The first that has not ended well; empty: all have."""
        for awaited in spec.after:
            view = self._views.get(awaited)
            if not isinstance(view, Ended) or view.status is not Status.SUCCESS:
                return awaited
        return ""

    # -- running

    def claim(self, pool: str, worker_id: str) -> Claim | None:
        with self._lock:
            ready = [] if self._paused or self._full else self._ready(pool)
            return self._hand_out(ready[0], worker_id) if ready else None

    def finish(self, claim: Claim, result: TaskResult) -> Verdict:
        with self._lock:
            verdict = self.record_only(claim, result)
            self._settle(claim.spec.id)
            return verdict

    def record_only(self, claim: Claim, result: TaskResult) -> Verdict:
        """The first half of `finish`: what a worker leaves that was killed before its task moved on."""
        with self._lock:
            view = self._check_owned(claim)
            if not view.recording:
                self._append(claim, cancelled(result) if claim.spec.id in self._marks else result)
                self._views[claim.spec.id] = replace(view, recording=True)
            return self._recorded[claim.spec.id][0]

    def give_back(self, claim: Claim) -> None:
        with self._lock:
            if self._check_owned(claim).recording:
                raise _fenced(claim)
            self._place(claim.spec, claim.tries.refund(), at_head=True)

    def recover(self, owner_lives: Callable[[str], bool]) -> list[Recovered]:
        with self._lock:
            return [self._recover_one(view) for view in self._of(Running) if not owner_lives(view.worker_id)]

    def owned(self) -> list[tuple[str, int, str]]:
        with self._lock:
            return [(view.spec.id, view.tries.started, view.worker_id) for view in self._of(Running)]

    def _hand_out(self, view: Queued | Waiting, worker_id: str) -> Claim:
        spec, tries = view.spec, view.tries.next_attempt()
        self._keep(spec, tries, Running(spec, tries, worker_id, self._clock()))
        return self._claim_of(spec, tries, worker_id)

    def _claim_of(self, spec: TaskSpec, tries: Tries, worker_id: str) -> Claim:
        return Claim(spec, tries, worker_id, f"{self._tasks_root}/{spec.id}/{tries.started}")

    def _check_owned(self, claim: Claim) -> Running:
        view = self._views.get(claim.spec.id)
        if not isinstance(view, Running) or (view.tries, view.worker_id) != (claim.tries, claim.worker_id):
            raise _fenced(claim)
        return view

    def _append(self, claim: Claim, result: TaskResult) -> None:
        """Judges the attempt and makes that known: from here on it is recorded."""
        spec, policy = claim.spec, self._policy
        asked = policy.retries if spec.retries is None else spec.retries
        retries = retries_for(result.failure, asked, len(spec.fallback), policy)
        verdict = after_attempt(result.outcome, claim.tries, retries, policy, self._now_ms(), self._chance())
        if result.outcome is Outcome.LIMITED and result.not_before:
            verdict = replace(verdict, due_ms=max(verdict.due_ms, round(result.not_before * 1000)))
        preview, ended = result.preview[:PREVIEW_CHARACTERS], format_timestamp(result.ended)
        line = ResultLine(spec.id, claim.worker_id, verdict.status, ended, preview)
        self._results.append(line)
        self._recorded[spec.id] = verdict, _record(claim, result, line)

    def _settle(self, task_id: str) -> None:
        """Moves a recorded task on as its verdict says."""
        verdict, record = self._recorded.pop(task_id)
        spec, _ = self._kept[task_id]
        if verdict.state is NextState.WAITING:
            self._place(spec, verdict.tries, due_ms=verdict.due_ms, at_head=not verdict.due_ms)
            return
        ended = Ended(task_id, verdict.status, record, can_retry=verdict.state is NextState.DEAD)
        self._keep(spec, verdict.tries, ended)

    def _recover_one(self, view: Running) -> Recovered:
        spec, attempt = view.spec, view.tries.started
        if not view.recording:
            reason = f"attempt {attempt} was lost: its worker or the machine went away"
            lost = TaskResult(Outcome.LOST, reason, reason, min(view.since, self._clock()), self._clock())
            self.record_only(self._claim_of(spec, view.tries, view.worker_id), lost)
        status = self._recorded[spec.id][0].status
        self._settle(spec.id)
        return Recovered(spec.id, attempt, view.worker_id, status, was_recorded=view.recording)

    # -- changing one's mind

    def cancel(self, task_id: str, worker_id: str) -> str:
        with self._lock:
            match self._views.get(task_id):
                case None:
                    raise NoSuchTask(task_id)
                case Ended() | Running(recording=True):
                    return "ended"
                case Running():
                    self._marks.add(task_id)
                    return "stopping"
                case Queued(in_batch=batch) if batch:
                    self._marks.add(task_id)  # its mark meets it when it runs
                case (Queued() | Waiting()) as view:
                    self._marks.add(task_id)
                    now = self._clock()
                    result = TaskResult(Outcome.CANCELLED, "cancelled before it ran", "cancelled", now, now)
                    self.finish(self._hand_out(view, worker_id), result)
            return "cancelled"

    def cancel_requested(self, claim: Claim) -> bool:
        with self._lock:
            return claim.spec.id in self._marks

    def retry(self, task_id: str) -> None:
        with self._lock:
            match self._views.get(task_id):
                case None:
                    raise NoSuchTask(task_id)
                case Ended(status=Status.SUCCESS):
                    raise UsageError(f"task {task_id} ended well: submit it again to run it again")
                case Ended():
                    self._marks.discard(task_id)
                    spec, tries = self._kept[task_id]
                    self._place(spec, tries.forgiven())
                case _:
                    raise UsageError(f"task {task_id} has not ended: `conductor show {task_id}` tells its state")

    # -- looking

    def find(self, task_id: str) -> TaskView | None:
        with self._lock:
            return self._views.get(task_id)

    def tasks(self, kinds: Collection[type] = ()) -> Iterator[TaskView]:
        """A snapshot of the moment of the call."""
        with self._lock:
            waiting = sorted(self._of(Waiting), key=lambda view: (view.awaits, view.due_ms))
            pools = sorted({view.spec.pool for view in self._of(Queued)})
            groups: list[Iterable[TaskView]] = [
                self._of(Running),
                [view for pool in pools for view in self._ready(pool)],
                waiting,
                [view for view in self._of(Queued) if view.in_batch],
                [view for view in self._of(Ended) if view.can_retry],
            ]
        return iter([view for group in groups for view in group if not kinds or type(view) in kinds])

    def counts(self) -> Counts:
        with self._lock:
            batched = sum(bool(view.in_batch) for view in self._of(Queued))
            return Counts(
                batched=batched,
                ready=len(self._of(Queued)) - batched,
                waiting=len(self._of(Waiting)),
                running=len(self._of(Running)),
                dead=sum(view.can_retry for view in self._of(Ended)),
            )

    def has_ready(self, pool: str) -> bool:
        with self._lock:
            return bool(self._ready(pool))

    # -- holding

    def pause(self) -> None:
        with self._lock:
            self._paused = True

    def resume(self) -> None:
        with self._lock:
            self._paused = False

    def paused(self) -> bool:
        with self._lock:
            return self._paused

    def mark_full(self, reason: str) -> None:
        with self._lock:
            self._full = reason

    def full(self) -> str:
        with self._lock:
            return self._full

    # -- the one place where a state changes

    def _keep(self, spec: TaskSpec, tries: Tries, view: TaskView) -> None:
        self._kept[spec.id], self._views[spec.id] = (spec, tries), view

    def _place(self, spec: TaskSpec, tries: Tries, *, due_ms: int = 0, at_head: bool = False) -> None:
        """Waiting with `due_ms` or for another task, else ready, behind all others or before them."""
        if awaited := self._awaited_by(spec):
            self._keep(spec, tries, Waiting(spec, tries, 0, awaited))
            return
        if due_ms:
            self._keep(spec, tries, Waiting(spec, tries, due_ms))
            return
        self._head, self._tail = (self._head - 1, self._tail) if at_head else (self._head, self._tail + 1)
        self._places[spec.id] = self._head if at_head else self._tail
        self._keep(spec, tries, Queued(spec, tries))

    def _of(self, kind: type[_View]) -> list[_View]:
        return [view for view in self._views.values() if isinstance(view, kind)]

    def _ready(self, pool: str) -> list[Queued]:
        """What may run now, in the order in which it would be claimed."""
        found = [view for view in self._of(Queued) if view.spec.pool == pool and not view.in_batch]
        return sorted(found, key=lambda view: (-view.spec.priority, self._places[view.spec.id]))

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _fenced(claim: Claim) -> Fenced:
    return Fenced(f"attempt {claim.attempt} of {claim.spec.id} is not {claim.worker_id}'s any more")


def _record(claim: Claim, result: TaskResult, line: ResultLine) -> dict[str, Any]:
    """What `show` reads of an attempt: the facts of the real queue's result.json."""
    spec = claim.spec
    return {
        "version": 1,
        "task": spec.id,
        "attempt": claim.attempt,
        "worker": claim.worker_id,
        "status": line.status.value,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "started": format_timestamp(result.started),
        "ended": line.timestamp,
        "seconds": round(result.ended - result.started, 3),
        "exit_code": result.exit_code,
        "signal": result.signal,
        "cpu_seconds": round(result.cpu_seconds, 3),
        "peak_memory_bytes": result.peak_memory_bytes,
        "output_bytes": result.output_bytes,
        "agent": spec.agent,
        "model": spec.model,
        "thinking": spec.thinking,
        "pool": spec.pool,
        **agent_record(result),
        "line": format_result(line),
    }
