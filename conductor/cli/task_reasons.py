"""Why a task does not run: what its pool, the queue and those that it waits for have to do with it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from conductor.cli.wording import many, one_line
from conductor.domain.durations import format_duration
from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec
from conductor.domain.view import Ended, Queued, Running, TaskView, Waiting


@dataclass(frozen=True, slots=True)
class Around:
    """What a task has around it. `now`: seconds since 1970."""

    now: float
    settings_file: str
    pools: Mapping[str, int]
    """Workers by pool, as the settings have it."""
    status: Mapping[str, Any] = field(default_factory=dict)
    """What conductord says of itself; empty: none answers."""
    paused: bool = False
    full: str = ""
    """Why nothing is claimed for lack of room; empty: there is room."""
    closed: Callable[[TaskSpec], str] = lambda _spec: ""
    """What holds it at the door: a limit, memory, a budget; empty: nothing."""
    find: Callable[[str], TaskView | None] = lambda _task_id: None
    before: Callable[[TaskSpec], int] = lambda _spec: 0
    """How many of its pool are claimed first."""


def reasons(view: TaskView, around: Around) -> list[str]:
    """A line each; never empty."""
    match view:
        case Running(spec=spec, worker_id=worker, recording=True):
            return [f"it has run, and worker {worker} records how it ended"]
        case Running(spec=spec, worker_id=worker, since=since):
            told = f"it runs for {format_duration(max(0.0, around.now - since))}: worker {worker}"
            return [f"{told}, `conductor logs -f {spec.id}` shows what it says"]
        case Ended(task_id=task_id, status=status):
            return [f"it has ended as {status.value}: `conductor show {task_id}` tells how"]
        case Waiting(spec=spec, awaits=awaits) if awaits:
            return [*_awaited(spec, awaits, around), *_obstacles(spec, around)]
        case Waiting(spec=spec, due_ms=due_ms, tries=tries):
            left = format_duration(max(0.0, due_ms / 1000 - around.now))
            what = "the wait after an attempt that failed" if tries.started else "its time"
            return [f"it waits for {what}: {left} from now", *_obstacles(spec, around)]
        case Queued(spec=spec, in_batch=batch):
            unpacked = [f"it lies in the file {batch} of inbox/, which is not unpacked yet"] if batch else []
            found = [*unpacked, *_obstacles(spec, around), *_in_line(spec, around)]
            return found or ["nothing holds it up: it is about to start"]
    raise AssertionError(view)


def _awaited(spec: TaskSpec, first: str, around: Around) -> Iterator[str]:
    """Each of `after` that has not ended well, the one that it is filed under first."""
    for task_id in dict.fromkeys((first, *spec.after)):
        view = around.find(task_id)
        if isinstance(view, Ended) and view.status is Status.SUCCESS and task_id != first:
            continue
        told = f"it waits for task {task_id} to end well, which {_stands(view, around.now)}"
        yield f"{told}: `conductor why {task_id}` tells more"


def _stands(view: TaskView | None, now: float) -> str:
    match view:
        case Running(since=since):
            return f"runs for {format_duration(max(0.0, now - since))}"
        case Waiting(awaits=awaits):
            return f"waits for {awaits}" if awaits else "waits for its time"
        case Queued():
            return "is queued"
        case Ended(status=status):
            return f"ended as {status.value}"
    return "is not here any more"


def _obstacles(spec: TaskSpec, around: Around) -> Iterator[str]:
    """What would hold it up if it were the first of its pool."""
    mode = around.status.get("mode", "")
    if not around.status:
        yield "no conductord runs on this home: start one with `conductord`"
    elif mode not in ("running", "paused"):
        yield f"conductord is {mode} and claims nothing any more: start it again when it has ended"
    if around.paused:
        yield "the queue is paused: `conductor resume`"
    if around.full:
        yield f"nothing is claimed, {around.full}: `conductor clean` makes room, then it goes on by itself"
    yield from _pool(spec.pool, around)
    closed = around.closed(spec)
    if closed:
        yield closed


def _pool(pool: str, around: Around) -> Iterator[str]:
    live = around.status.get("pools", around.pools)
    if pool not in around.pools:
        yield f"there is no pool {pool!r}: add it to {around.settings_file}, then `conductor reload`"
    elif pool not in live:
        yield f"conductord does not know pool {pool} yet: `conductor reload`"
    elif not live[pool]:
        yield f"pool {pool} has no workers: `conductor scale --pool {pool} 1`"
    else:
        yield from _slots([slot for slot in around.status.get("slots", []) if slot["pool"] == pool])


def _slots(slots: list[Mapping[str, Any]]) -> Iterator[str]:
    """Where none of the pool's workers is free or about to be."""
    states = {slot["state"] for slot in slots}
    if not slots or states & {"idle", "starting", "vacant"}:
        return
    bad = [slot for slot in slots if slot["state"] in ("given up", "backing off")]
    if bad:
        named = f"{bad[0]['state']}: {one_line(bad[0]['why'])}"
        yield f"{many(len(bad), 'worker')} of its pool did not start, {named}; mended, `conductor reload` tries again"
    busy = [slot for slot in slots if slot["state"] == "busy"]
    if busy:
        longest = max(busy, key=lambda slot: float(slot["for_seconds"]))
        how_long = format_duration(longest["for_seconds"])
        whose = "the others are" if bad else "all workers of its pool are"
        yield f"{whose} busy, {longest['task']} the longest, for {how_long}"


def _in_line(spec: TaskSpec, around: Around) -> list[str]:
    before = around.before(spec)
    return [f"{before} of pool {spec.pool} come before it: `conductor list` shows them"] if before else []
