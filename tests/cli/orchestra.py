"""What an orchestrator would write about its runs, written by hand into the store of a home."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from conductor.domain.home import Home
from conductor.domain.plan import Step
from conductor.domain.run import (
    Activity,
    Asks,
    Changes,
    Delegation,
    Run,
    RunStatus,
    StepState,
    StepStatus,
)
from conductor.ports.orchestration import Store
from conductor.store.sqlite import open_store


class Orchestra:
    """Opens the store for each call, as another process would; never across a fork."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @contextmanager
    def store(self) -> Iterator[Store]:
        store = open_store(self._home.path)
        try:
            yield store
        finally:
            store.close()

    def add(self, run: Run, *states: StepState) -> Run:
        with self.store() as store:
            store.add_run(run, [replace(state, run_id=run.id) for state in states])
        return run

    def run(self, run_id: str) -> Run:
        with self.store() as store:
            found = store.run(run_id)
        assert found is not None
        return found

    def only_run(self) -> Run:
        with self.store() as store:
            (found,) = store.runs()
        return found

    def steps(self, run_id: str) -> dict[str, StepState]:
        with self.store() as store:
            return {state.step.id: state for state in store.steps(run_id)}

    def change(self, run_id: str, **facts: Any) -> None:
        with self.store() as store:
            found = store.run(run_id)
            assert found is not None
            store.save(Changes(run=replace(found, **facts)))

    def ask(self, run_id: str, asks: Asks, *asked_for: str) -> None:
        asked = self.run(run_id).asked + 1
        self.change(run_id, status=RunStatus.WAITING, asks=asks, asked=asked, asked_for=asked_for)

    def end(self, run_id: str, status: RunStatus = RunStatus.COMPLETED, **facts: Any) -> None:
        self.change(run_id, status=status, ended=time.time(), **facts)

    def step(self, run_id: str, step_id: str, status: StepStatus, **facts: Any) -> None:
        """With an event, as each change of a step has one."""
        state = replace(self.steps(run_id)[step_id], status=status, **facts)
        event = Activity(time.time(), f"step_{status.value}", run_id=run_id, step_id=step_id)
        with self.store() as store:
            store.save(Changes(steps=(state,), activity=(event,)))

    def hand_out(self, delegation: Delegation) -> None:
        with self.store() as store:
            store.save(Changes(delegations=(delegation,)))

    def planned(self, run_id: str, *steps: Step) -> None:
        """A model's plan has come, and waits for a person."""
        states = [StepState(run_id, step, position) for position, step in enumerate(steps)]
        run = replace(self.run(run_id), status=RunStatus.WAITING, asks=Asks.PLAN, asked=1, from_model=True)
        with self.store() as store:
            store.replace_steps(run, states)

    def wish(self, run_id: str) -> Any:
        with self.store() as store:
            return store.wish(run_id)
