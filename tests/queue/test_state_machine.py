"""The DirectoryQueue against a model: any order of deeds, any of them killed at any change of the disk.

The model is the shipped fake. After a kill it is led to where the disk says the deed had got, which must be somewhere
that the promises allow; from then on both must agree again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from conductor.domain.errors import ConductorError
from conductor.domain.lines import parse_result
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.retry import RetryPolicy
from conductor.domain.task import Claim, TaskSpec
from conductor.domain.view import Ended, Queued, Running, Waiting, view_id
from conductor.queue.records import read_record
from conductor.testing.clock import ManualClock
from tests.queue.homes import corrupt_files, open_queue, task_of
from tests.queue.kills import killed_before_change, without_fsync
from tests.queue.model import Model, essence, owned_claim, unclaimed

POLICY = RetryPolicy(retries=0, max_lost=3, first_wait=4.0, longest_wait=8.0)
POOLS = ("default", "gpu")
ENDINGS = (*[Outcome.FAILED] * 3, Outcome.SUCCESS, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.BUDGET)
STATES = ("ready", "waiting", "claimed", "finishing", "dead")

kills = st.one_of(st.none(), st.none(), st.integers(1, 14))
"""Before which change of the disk the deed's process is killed; None: it is not."""
late_kills = st.one_of(st.none(), st.none(), st.integers(1, 14), st.integers(15, 60))
chances = {"priority": st.integers(-1, 1), "retries": st.sampled_from([None, 0, 1]), "pool": st.sampled_from(POOLS)}
delays = st.sampled_from([0, 0, 0, 5])


class QueueMachine(RuleBasedStateMachine):
    """Worker ids are never used twice, so (task, worker) names an attempt in results.txt."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="conductor-machine-"))
        self.clock = ManualClock()
        self.model = Model(POLICY)
        self.numbers = iter(range(1, 1_000_000))
        self.was_killed = False
        self.dead_workers: set[str] = set()
        self.early: dict[str, tuple[str, float]] = {}
        """Of claims whose record is durable already: its outcome and when it was written."""
        self.dropped: set[str] = set()
        bits = (number.to_bytes(4, "big") for number in range(0, 1 << 32, 4))  # chance too must repeat when replayed
        self.patches = ExitStack()
        self.patches.enter_context(without_fsync())
        self.patches.enter_context(patch.object(os, "urandom", lambda size: next(bits)))
        self.reopen()

    def teardown(self) -> None:
        try:
            self.everything_ends()
        finally:
            self.patches.close()
            shutil.rmtree(self.folder)

    def reopen(self) -> None:
        """A new process."""
        self.queue, self.layout = open_queue(self.folder, self.clock, POLICY)

    def do(self, deed: Callable[[], Any], kill: int | None) -> tuple[Any, bool]:
        """(what the deed returned or the kind of error it raised, whether it was killed)."""
        if kill is None:
            return answer_of(deed), False
        answer = None
        with killed_before_change(kill) as killing:
            answer = answer_of(deed)
        if killing.happened:
            self.was_killed = True
            self.reopen()
        return answer, killing.happened

    # -- accepting

    @initialize(retries=st.lists(st.sampled_from([None, 0, 1]), max_size=8))
    def some_tasks_are_there(self, retries: list[int | None]) -> None:
        for each in retries:
            self.submit({"retries": each}, 0, None)

    def spec(self, delay: int, options: dict[str, Any]) -> TaskSpec:
        due_ms = self.clock.now_ms + delay * 1000 if delay else 0
        return TaskSpec(f"task-{next(self.numbers)}", "x", agent="command", not_before_ms=due_ms, **options)

    @rule(options=st.fixed_dictionaries(chances), delay=delays, kill=kills)
    def submit(self, options: dict[str, Any], delay: int, kill: int | None) -> None:
        spec = self.spec(delay, options)
        _, killed = self.do(lambda: self.queue.submit(spec), kill)
        if not killed or self.queue.find(spec.id):
            self.model.submit(spec)

    @rule(many=st.lists(st.tuples(st.fixed_dictionaries(chances), delays), min_size=1, max_size=12), kill=kills)
    def submit_many(self, many: list[tuple[dict[str, Any], int]], kill: int | None) -> None:
        specs = [self.spec(delay, options) for options, delay in many]
        _, killed = self.do(lambda: self.queue.submit_many(specs), kill)
        if not killed or self.queue.find(specs[0].id):
            self.model.submit_many(specs)
        self.time_passes(0.002, anew=False)  # batches of one millisecond have no order among them

    @precondition(lambda self: self.model.ids())
    @rule(data=st.data())
    def submit_a_taken_id(self, data: st.DataObject) -> None:
        spec, free = TaskSpec(self.any_id(data), "x", agent="command"), self.spec(0, {})
        assert answer_of(lambda: self.queue.submit(spec)) == "DuplicateTask"
        assert answer_of(lambda: self.queue.submit_many([free, spec])) == "DuplicateTask"

    @rule(
        kinds=st.lists(st.sampled_from(["bare", "named", "named", "taken", "torn", "# not a task"]), max_size=5),
        data=st.data(),
    )
    def drop_a_foreign_file(self, kinds: list[str], data: st.DataObject) -> None:
        lines = []
        for kind in kinds:
            number = next(self.numbers)
            words = f"foreign {number}"
            if kind in ("bare", "named"):
                lines.append(("" if kind == "bare" else f"named-{number}") + f"|{words}|m|t|agent=command")
                self.dropped.add(words)
            elif kind == "taken" and self.model.ids():
                lines.append(f"{self.any_id(data)}|{words}|m|t")
            else:
                lines.append(words if kind == "torn" else f"# {words}")
        path = self.folder / f"foreign-{next(self.numbers)}"
        path.write_text("\n".join(lines))
        path.rename(f"{self.layout.inbox}/{path.name}")

    @rule(kill=late_kills)
    def tend(self, kill: int | None) -> None:
        def until_quiet() -> None:
            while self.queue.tend("command").more:
                pass

        _, killed = self.do(until_quiet, kill)
        self.adopt_strangers()
        if killed:
            self.move_like_the_killed_daemon()
            return
        while self.model.tend("").more:
            pass
        assert not self.dropped, "what was dropped must be accepted by now"

    def adopt_strangers(self) -> None:
        """Tasks that came through inbox/ get known."""
        for view in self.queue.tasks():
            if view_id(view) not in self.model.ids():
                assert isinstance(view, Queued), view
                self.dropped.remove(view.spec.description)
                self.model.submit_many([view.spec])
                if not view.in_batch:
                    self.model.move_like(view)

    def move_like_the_killed_daemon(self) -> None:
        for task_id in self.model.ids():
            believed, found = self.model.find(task_id), self.queue.find(task_id)
            if isinstance(believed, Queued | Waiting) and essence(believed) != essence(found):
                assert isinstance(found, Queued | Waiting), (believed, found)
                assert isinstance(believed, Waiting) or believed.in_batch, (believed, found)
                self.model.move_like(found)

    # -- running

    @precondition(lambda self: any(self.model.has_ready(pool) for pool in POOLS))
    @rule(target=claims, kill=kills)
    def claim(self, kill: int | None) -> Any:
        pool = next(pool for pool in POOLS if self.model.has_ready(pool))
        worker, best = f"w-{next(self.numbers)}", self.model.best_priority(pool)
        claim, killed = self.do(lambda: self.queue.claim(pool, worker), kill)
        if killed:
            self.dead_workers.add(worker)
            for task_id in [task_id for task_id, _, owner in self.queue.owned() if owner == worker]:
                self.model.hand_out(task_id, worker)
            return multiple()
        if self.model.paused():
            assert claim is None
            return multiple()
        assert (claim.spec.pool, claim.spec.priority) == (pool, best)
        assert self.model.find(claim.spec.id) == Queued(claim.spec, unclaimed(claim.tries))
        self.model.hand_out(claim.spec.id, worker)
        assert self.queue.cancel_requested(claim) == self.model.cancel_requested(claim)
        return claim

    @rule(claim=consumes(claims), outcome=st.sampled_from(ENDINGS), kill=kills)
    def finish(self, claim: Claim, outcome: Outcome, kill: int | None) -> None:
        result = TaskResult(outcome, "", "", 0.0, 0.0)
        answer, killed = self.do(lambda: self.queue.finish(claim, result), kill)
        if not killed:
            assert answer == answer_of(lambda: self.model.finish(claim, result))
        elif self.owns(claim):
            self.dead_workers.add(claim.worker_id)
            self.follow(claim.spec.id)

    @rule(claim=consumes(claims), kill=kills)
    def give_back(self, claim: Claim, kill: int | None) -> None:
        answer, killed = self.do(lambda: self.queue.give_back(claim), kill)
        if not killed:
            assert answer == answer_of(lambda: self.model.give_back(claim))
        elif self.owns(claim):
            self.dead_workers.add(claim.worker_id)
            if not isinstance(self.queue.find(claim.spec.id), Running):
                self.model.give_back(claim)

    @rule(claim=consumes(claims), outcome=st.sampled_from(ENDINGS), kill=st.integers(1, 8))
    def die_in_finish(self, claim: Claim, outcome: Outcome, kill: int) -> None:
        self.finish(claim, outcome, kill)

    def owns(self, claim: Claim) -> bool:
        return (claim.spec.id, claim.attempt, claim.worker_id) in self.model.owned()

    def follow(self, task_id: str) -> None:
        """Leads the model to where a killed `finish` of an owned task has got."""
        believed, found = self.model.find(task_id), self.queue.find(task_id)
        assert isinstance(believed, Running)
        claim = owned_claim(believed)
        record = read_record(self.layout.home.attempt(task_id, claim.attempt))
        if record is not None and record["worker"] != claim.worker_id:
            record = None
        still_claimed = isinstance(found, Running) and found.tries == believed.tries and not found.recording
        if record is None:
            assert still_claimed, f"{task_id} moved on without a record: {found}"
            self.early.pop(task_id, None)
            return
        outcome, at = self.early.get(task_id, ("", 0.0))
        if outcome != record["outcome"]:
            outcome, at = record["outcome"], self.clock.now
        if still_claimed:
            self.early[task_id] = outcome, at
            return
        self.early.pop(task_id, None)
        self.model.record_as(claim, record, at)
        if not isinstance(found, Running) or found.tries != believed.tries:
            self.model.finish(claim, TaskResult(Outcome.LOST, "", "", 0.0, 0.0))  # what was recorded stands

    @precondition(lambda self: self.model.owned())
    @rule(frozen=st.booleans(), kill=kills)
    def recover(self, frozen: bool, kill: int | None) -> None:
        """A frozen worker is taken for dead and comes back later, to find itself fenced."""
        gone = set(self.dead_workers)
        if frozen:
            gone.update(owner for _, _, owner in self.model.owned()[:1])
        doomed = [owned for owned in self.model.owned() if owned[2] in gone]
        known = {task_id for task_id, _, _ in doomed if self.is_recorded(task_id)}
        recovered, killed = self.do(lambda: self.queue.recover(lambda worker: worker not in gone), kill)
        for task_id, _, _ in doomed:
            self.follow(task_id)
        if killed:
            return
        assert sorted((one.task_id, one.attempt, one.worker_id) for one in recovered) == sorted(doomed)
        assert {one.task_id for one in recovered if one.was_recorded} == known
        assert not [owned for owned in self.model.owned() if owned[2] in gone]

    def is_recorded(self, task_id: str) -> bool:
        """Whether the outcome of an owned task is known and will stand."""
        view = self.model.find(task_id)
        assert isinstance(view, Running)
        return view.recording or (task_id in self.early and not self.model.is_marked(task_id))

    # -- changing one's mind

    def any_id(self, data: st.DataObject, *, dead: bool = False) -> str:
        """Any task, but with `dead` one of those where there are any."""
        ended = [task_id for task_id in self.model.ids() if isinstance(self.model.find(task_id), Ended)]
        return data.draw(st.sampled_from(sorted((dead and ended) or self.model.ids())))

    @precondition(lambda self: self.model.ids())
    @rule(data=st.data(), kill=kills)
    def cancel(self, data: st.DataObject, kill: int | None) -> None:
        task_id, caller = self.any_id(data), f"cli-{next(self.numbers)}"
        before = self.queue.find(task_id)
        answer, killed = self.do(lambda: self.queue.cancel(task_id, caller), kill)
        if isinstance(before, Queued) and before.in_batch:
            assert killed or answer == "cancelled"
            self.model.mark(task_id, cancelled=self.marked_on_disk(task_id))
        elif not killed:
            assert answer == self.model.cancel(task_id, caller)
        else:
            self.dead_workers.add(caller)
            self.model.mark(task_id, cancelled=self.marked_on_disk(task_id))
            found = self.queue.find(task_id)
            if isinstance(before, Queued | Waiting) and isinstance(found, Running | Ended):
                self.model.hand_out(task_id, caller)
                self.follow(task_id)

    @precondition(lambda self: self.model.ids())
    @rule(data=st.data(), kill=kills)
    def retry(self, data: st.DataObject, kill: int | None) -> None:
        task_id = self.any_id(data, dead=True)
        answer, killed = self.do(lambda: self.queue.retry(task_id), kill)
        if not killed:
            assert answer == answer_of(lambda: self.model.retry(task_id))
        elif not isinstance(self.queue.find(task_id), Ended) and isinstance(self.model.find(task_id), Ended):
            self.model.retry(task_id)
        else:
            self.model.mark(task_id, cancelled=self.marked_on_disk(task_id))

    def marked_on_disk(self, task_id: str) -> bool:
        return os.path.exists(self.layout.cancel_mark(task_id))

    @rule(stop=st.sampled_from([False, False, True]))
    def pause_or_resume(self, stop: bool) -> None:
        for queue in (self.queue, self.model):
            (queue.pause if stop else queue.resume)()

    @rule(seconds=st.sampled_from([1.0, 4.0, 9.0]), anew=st.booleans())
    def time_passes(self, seconds: float, anew: bool) -> None:
        self.clock.advance(seconds)
        self.model.clock.advance(seconds)
        if anew:
            self.reopen()

    # -- what always holds

    @invariant()
    def queue_and_model_agree(self) -> None:
        listed = list(self.queue.tasks())
        views = {view_id(view): view for view in listed}
        assert sorted(views) == sorted(view_id(view) for view in self.model.tasks())
        assert len(views) == len(listed)
        for task_id in self.model.ids():
            found = views.get(task_id) or self.queue.find(task_id)
            assert essence(found) == essence(self.model.find(task_id))
            assert self.marked_on_disk(task_id) == self.model.is_marked(task_id)
        assert sorted(self.queue.owned()) == sorted(self.model.owned())
        assert len({task_id for task_id, _, _ in self.queue.owned()}) == len(self.queue.owned())
        assert self.queue.paused() == self.model.paused()

    @invariant()
    def every_task_is_in_one_place(self) -> None:
        files = Counter(task_of(path) for state in STATES for path in Path(self.layout.home.queue, state).rglob("*~*"))
        batched = {view_id(view) for view in self.queue.tasks() if isinstance(view, Queued) and view.in_batch}
        for task_id in self.model.ids():
            view = self.model.find(task_id)
            ended_well = isinstance(view, Ended) and not view.can_retry
            assert files[task_id] + (task_id in batched) + ended_well == 1, (task_id, view, files[task_id])
        assert set(files) <= self.model.ids()

    @invariant()
    def every_attempt_has_one_line_at_most(self) -> None:
        whole, _, torn = Path(self.layout.home.results).read_text().rpartition("\n")
        lines = [parse_result(line) for line in whole.split("\n") if whole]
        assert not torn or self.was_killed
        written = Counter((line.task_id, line.worker_id, line.status) for line in lines)
        expected = Counter((line.task_id, line.worker_id, line.status) for line in self.model.results)
        assert written <= expected
        assert max(Counter((line.task_id, line.worker_id) for line in lines).values(), default=1) == 1
        owned = {(task_id, worker) for task_id, _, worker in self.model.owned()}
        assert {(task_id, worker) for task_id, worker, _ in expected - written} <= owned

    def everything_ends(self) -> None:
        """Whatever came before, a daemon that starts now brings everything in order."""
        self.dead_workers.update(owner for _, _, owner in self.model.owned())
        self.recover(False, None)
        self.tend(None)
        self.queue_and_model_agree()
        self.every_attempt_has_one_line_at_most()
        assert self.queue.owned() == []
        assert Path(self.layout.home.results).read_text()[-1:] in ("", "\n")
        assert os.listdir(self.layout.inbox) == []
        for reason in corrupt_files(self.layout).values():
            assert "at least four fields" in reason or "is taken" in reason


def answer_of(deed: Callable[[], Any]) -> Any:
    try:
        return deed()
    except ConductorError as error:
        return type(error).__name__


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=35,
    stateful_step_count=60,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
