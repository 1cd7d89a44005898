"""What every part of the store contract stands on: values to keep, and how the suite gets at a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.plan import Step, StepType
from conductor.domain.run import (
    Activity,
    Asks,
    Delegation,
    DelegationState,
    Project,
    Run,
    RunAutonomy,
    RunStatus,
    StepState,
    StepStatus,
)
from conductor.ports.orchestration import Store

NASTY = "é 漢字 \U0001f600 \u2028 \r\n\t\x00\x1b[0m '; DROP TABLE runs; -- \udce9 \\u0041 %s {x}"
"""No Unicode form of it may be changed: half a surrogate is how a file name that is not UTF-8 reads."""

RUN = "r-abcdefgh"

Opener = Callable[[], Store]


def project(name: str = "calculator", **facts: Any) -> Project:
    return Project(name, f"/projects/{name}", "main", 1_800_000_000.0, **facts)


def run(run_id: str = RUN, **facts: Any) -> Run:
    known = {"project": "calculator", "title": "t", "status": RunStatus.RUNNING, "created": 1.0, **facts}
    return Run(run_id, **known)


def step_state(step_id: str, position: int = 0, run_id: str = RUN, **facts: Any) -> StepState:
    return StepState(run_id, Step(step_id, f"title of {step_id}", "what to do"), position, **facts)


def delegation(step_id: str, round_number: int = 1, run_id: str = RUN, **facts: Any) -> Delegation:
    known = {"state": DelegationState.WORKING, "created": 1.0, **facts}
    return Delegation(f"{run_id}.{step_id}.{round_number}", run_id, step_id, round_number, **known)


def happened(action: str = "step_started", **facts: Any) -> Activity:
    return Activity(1.5, action, **facts)


FULL_RUN = Run(
    id="r-12345678",
    project="calculator",
    title=NASTY,
    status=RunStatus.WAITING,
    created=1_800_000_000.123456,
    request=NASTY,
    workspace="/projects/calc\udce9",
    isolated=False,
    autonomy=RunAutonomy.MANUAL,
    sequential=True,
    wip=3,
    timeout_seconds=0.1,
    spent_seconds=1e-9,
    from_model=True,
    check="make 'test'",
    branch="conductor/r-12345678",
    target="main",
    base="0" * 40,
    asks=Asks.COMMANDS,
    asked=2,
    asked_for=("rm -rf /", NASTY),
    wave=4,
    planner="claude:opus",
    plan_only=True,
    reason=NASTY,
    report="/r",
    pull_request="https://example.invalid/1",
    started=2.5,
    ended=3.25,
)

FULL_STEP = StepState(
    run_id=FULL_RUN.id,
    step=Step(
        id="a.b_c-1",
        title=NASTY,
        description=NASTY,
        type=StepType.BUG,
        category="code-review",
        complexity=5,
        depends_on=("x", "y"),
        files=("src/**/*.py", NASTY),
        criteria=("one", NASTY),
        agent="claude",
        model="m|1",
        thinking="high",
        estimate_seconds=0.1,
        timeout_seconds=7.5,
        retries=2,
        verify="true",
        priority=-4,
        allow_empty=True,
        confidence=0.25,
    ),
    position=7,
    status=StepStatus.NEEDS_REVIEW,
    reason=NASTY,
    round=3,
    bounces=2,
    wave=5,
    commit="f" * 40,
    agent="codex",
    model="m:2",
    usd=0.1,
    tokens=123_456_789_012,
    started=1.25,
    ended=2.25,
)

FULL_DELEGATION = Delegation(
    task_id="r-12345678.a.b_c-1.3",
    run_id=FULL_RUN.id,
    step_id="a.b_c-1",
    round=3,
    state=DelegationState.HELD,
    created=1.5,
    agent="codex",
    model="m:2",
    worktree="/home/w\udce9",
    branch="b",
    base="1" * 40,
    work="2" * 40,
    context="/context",
    reason=NASTY,
    usd=0.2,
    tokens=5,
    ended=2.5,
)

FULL_PROJECT = Project(
    name="calculator",
    workspace="/projects/\udce9",
    target="main",
    created=1.5,
    created_here=True,
    repository="somebody/calculator",
    state={"text": NASTY, "deep": [1, {"x": None, "y": [True, 0.1]}], "": ""},
)


class StoreContractBase:
    """How the suite gets at a store."""

    # -- what a subclass says

    def open_store(self, folder: Path) -> Store:
        """The store whose place is `folder`, as one more process would open it: all that were opened on the same
        folder share what is in it."""
        raise NotImplementedError

    @pytest.fixture
    def opener(self, tmp_path: Path) -> Iterator[Opener]:
        opened: list[Store] = []

        def open_one_more() -> Store:
            opened.append(self.open_store(tmp_path))
            return opened[-1]

        yield open_one_more
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, opener: Opener) -> Store:
        return opener()

    @pytest.fixture
    def running(self, store: Store) -> Store:
        """A store with one run of the steps a, b and c."""
        store.add_run(run(), [step_state(step_id, position) for position, step_id in enumerate("abc")])
        return store
