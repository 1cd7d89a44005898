"""A whole world for one project's orchestrator in memory: queue, store and repository that outlive it, workers that
end tasks as a script says, and a fuse that kills it at any call it makes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.plan import Plan, Step
from conductor.domain.retry import RetryPolicy
from conductor.domain.run import Run, RunStatus, StepState
from conductor.domain.task import Claim
from conductor.domain.view import Ended
from conductor.orchestrator.orchestrator import Orchestrator
from conductor.orchestrator.planning_phase import planned_run
from conductor.orchestrator.rules import Rules, Texts, Tools
from conductor.ports.orchestration import Publisher
from conductor.testing.memory_queue import MemoryQueue
from conductor.testing.memory_store import MemoryStore
from tests.orchestrator.plain_tools import NoMirror, NoPublisher, PlainChecks, PlainRepository, PlainRouter


class Killed(BaseException):
    """SIGKILL, as far as a test in one process can have it."""


class Fuse:
    """Kills at the n-th call, before or after it is made; 0: never."""

    def __init__(self) -> None:
        self.left = 0
        self.calls = 0

    def burn(self) -> None:
        self.calls += 1
        if self.left:
            self.left -= 1
            if not self.left:
                raise Killed


class Fused:
    """Any object, with a fuse before and after each of its calls."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._fuse.burn()
            answer = found(*arguments, **named)
            self._fuse.burn()
            return answer

        return call


class NoSignals:
    def take(self) -> frozenset[int]:
        return frozenset()


class World:
    """`outcome` says how the task of an id ends; `workers` how many work at once."""

    def __init__(self, folder: str, rules: Rules | None = None, *, isolated: bool = True, workers: int = 3) -> None:
        self.now = 1_000_000.0
        self.folder = folder
        self.rules = rules or Rules(wip=6)
        self.isolated = isolated
        self.workers = workers
        self.store = MemoryStore()
        self.queue = MemoryQueue(lambda: self.now, lambda: 0.5, RetryPolicy())
        self.repository = PlainRepository()
        self.outcome: Callable[[str], Outcome] = lambda task_id: Outcome.SUCCESS
        self.answers: Callable[[str], str] = lambda task_id: ""
        self.passes: Callable[[str], bool] = lambda commit: True
        self.check = "make test"
        self.router = PlainRouter()
        self.fuse = Fuse()
        self.publisher: Publisher = NoPublisher()
        self.checks = PlainChecks(self.repository, lambda commit: self.passes(commit))  # noqa: PLW0108
        self.emitted: list[str] = []
        self.told: list[Any] = []
        self.is_deaf = False
        """Whether nobody hears what is told."""
        self.tellings = 0
        self.limited: Callable[[Any], str] = lambda spec: ""
        self.running: list[Claim] = []
        self.orchestrator: Orchestrator | None = None
        self.lines: list[str] = []
        """Tasks that lines come of beside those that the queue writes."""
        self._heard = 0

    # -- what a test does

    def run(self, *steps: Step, run_id: str = "r-aaaaaaaa", **fields: Any) -> Run:
        """A run of these steps, accepted."""
        blank = Run(run_id, "demo", "demo", RunStatus.PLANNING, self.now, isolated=self.isolated, workspace="/w")
        run, states = planned_run(blank, Plan("demo", steps, check=self.check if self.isolated else ""))
        run = replace(run, **fields)
        self.store.add_run(run, states)
        return run

    def request(self, words: str, run_id: str = "r-aaaaaaaa", **fields: Any) -> Run:
        run = Run(run_id, "demo", "demo", RunStatus.PLANNING, self.now, request=words, isolated=self.isolated)
        run = replace(run, from_model=True, **fields)
        self.store.add_run(run)
        return run

    def go(self, until: Callable[[], bool] | None = None, *, most: int = 3000) -> None:
        """Ticks, and lets workers work, until every run is over or `until` says so; a kill starts it anew."""
        for _ in range(most):
            if until is not None and until():
                return
            try:
                if self.tick():
                    return
            except Killed:
                self.orchestrator = None
                self.fuse.left = 0
            self.work()
        raise AssertionError(f"not over after {most} rounds: {self.statuses()}")

    def tick(self) -> bool:
        """One pass; whether all is over."""
        if self.orchestrator is None:
            self._heard = 0
            self.orchestrator = self.fresh_orchestrator()
        self.now += 1.0
        self.orchestrator.tick(self.now)
        return self.orchestrator.is_done()

    def work(self) -> None:
        """Workers end what they run and claim what is ready."""
        for claim in self.running:
            outcome = self.outcome(claim.spec.id)
            reason = "" if outcome is Outcome.SUCCESS else "exit code 1"
            self.queue.finish(claim, TaskResult(outcome, reason, "", self.now - 1, self.now))
        self.running = []
        while len(self.running) < self.workers:
            claim = self.queue.claim("default", f"w{len(self.running)}")
            if claim is None:
                return
            self.emitted.append(claim.spec.id)
            self.running.append(claim)

    def statuses(self, run_id: str = "r-aaaaaaaa") -> dict[str, str]:
        return {state.step.id: state.status.value for state in self.store.steps(run_id)}

    def state(self, step_id: str, run_id: str = "r-aaaaaaaa") -> StepState:
        return next(state for state in self.store.steps(run_id) if state.step.id == step_id)

    def merged(self, run_id: str = "r-aaaaaaaa") -> list[str]:
        return [step for step, _ in self.repository.branches.get(run_id, [])]

    # -- the ports

    def fresh_orchestrator(self) -> Orchestrator:
        return Orchestrator(self._tools(), self.rules, "o-1", NoSignals())  # type: ignore[arg-type]

    def _tools(self) -> Tools:
        os.makedirs(self.folder, exist_ok=True)
        self.checks.stop()  # those of an orchestrator that was killed end with it
        return Tools(
            project="demo",
            folder=self.folder,
            store=Fused(self.store, self.fuse),
            queue=Fused(self.queue, self.fuse),
            router=self.router,
            checks=self.checks,
            publisher=self.publisher,
            feed=_Feed(self),
            teller=self._hear,
            log=_Silence(),
            clock=lambda: self.now,
            repository=Fused(self.repository, self.fuse) if self.isolated else None,
            texts=Texts(
                brief=lambda told: "\n".join(f"{one.kind}: {one.told}" for one in told.earlier),
                planning=lambda run, answer, faults, times: f"plan {run.request} {answer} {faults}",
                review=lambda run, states, changed: f"review {changed.patch}",
                commit=lambda run, state: f"feat: {state.step.title}",
                ending=lambda run, states: f"feat: {run.project} - {len(states)} tasks completed",
                pull_request=lambda run, states: ("title", "body"),
            ),
            ring=lambda task_id: None,
            nudge=lambda task_id: None,
            pool_of=lambda agent: "default",
            planned_agents=("first", "second"),
            is_prompted=lambda agent: agent != "command",
            held_up=lambda spec: self.limited(spec),  # noqa: PLW0108
            answer=lambda task_id: self.answers(task_id),  # noqa: PLW0108
            find_check=lambda folder: "",
            caller="cli-1-1-00000000",
            write_back=lambda run, states: None,
            mirror=NoMirror(),
        )

    def _hear(self, activity: Any) -> bool:
        self.tellings += 1
        if self.is_deaf:
            return False
        self.told.extend(activity)
        return True


class _Feed:
    def __init__(self, world: World) -> None:
        self._world = world
        self._heard = len(world.queue.results)

    def fileno(self) -> int:
        return -1

    def take(self) -> Iterator[str]:
        lines = self._world.queue.results[self._heard :]
        self._heard += len(lines)
        others, self._world.lines = self._world.lines, []
        return iter([*others, *(line.task_id for line in lines if line.status.value != "RETRY")])


class _Silence:
    def info(self, action: str, **facts: object) -> None: ...

    def warning(self, action: str, **facts: object) -> None: ...

    def error(self, action: str, **facts: object) -> None: ...


def step(step_id: str, *depends_on: str, **fields: Any) -> Step:
    return Step(step_id, f"Step {step_id}", f"do {step_id}", depends_on=depends_on, **fields)


def ended(view: object) -> bool:
    return isinstance(view, Ended)
