"""`conductor wait`, and the follower of results.txt that others use too."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from conductor.app import open_layout, patient_queue, ring_doorbell
from conductor.cli.types import DURATION
from conductor.domain.errors import BadTask, DaemonNotRunning, NoSuchTask
from conductor.domain.exits import CliExit
from conductor.domain.lines import ResultLine, parse_result
from conductor.domain.outcome import Status
from conductor.domain.view import Ended, Queued, Running, Waiting
from conductor.kit.segments import Follower
from conductor.queue.layout import Layout

if TYPE_CHECKING:
    from conductor.cli.progress import Progress

_POLL_SECONDS = 0.05
_DAEMON_CHECK_SECONDS = 5.0
_STATES: dict[type, str] = {Running: "running", Queued: "queued", Waiting: "waiting", Ended: "ending"}


class ResultsFollower:
    """Whole lines of results.txt as they are appended, from the position `position` on (None: what comes from now
    on), also while it is rotated."""

    def __init__(self, path: str, position: int | None = None) -> None:
        self._follower = Follower(path, position)

    def fresh(self) -> list[ResultLine]:
        """Lines that came since the last call; a line that can't be read is passed over."""
        found = []
        while lines := self._follower.read():
            for line in lines.decode("utf-8", "replace").split("\n")[:-1]:
                with suppress(BadTask):
                    found.append(parse_result(line))
        return found


def wait_for(layout: Layout, task_ids: list[str], timeout_seconds: float | None = None) -> int:
    """Blocks until every task has ended, and tells how far it is where somebody looks on. Raises NoSuchTask, and
    DaemonNotRunning when nothing would ever end them."""
    from conductor.cli.progress import Progress

    follower = ResultsFollower(layout.home.results)
    statuses = _already_ended(layout, task_ids)
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    with Progress() as progress:
        is_over = _follow(layout, follower, statuses, set(task_ids), deadline, progress)
    if not is_over:
        click.echo(f"conductor: {len(set(task_ids) - statuses.keys())} tasks have not ended yet", err=True)
        return CliExit.TASK_FAILED
    for task_id in task_ids:
        if statuses[task_id] is not Status.SUCCESS:
            click.echo(f"conductor: {task_id} {statuses[task_id].value}", err=True)
    return CliExit.WELL if all(status is Status.SUCCESS for status in statuses.values()) else CliExit.TASK_FAILED


def _follow(
    layout: Layout,
    follower: ResultsFollower,
    statuses: dict[str, Status],
    wanted: set[str],
    deadline: float | None,
    progress: Progress,
) -> bool:
    """Fills `statuses` as tasks end; False: the time was up before all of `wanted` had."""
    next_check, states = 0.0, ""
    while True:
        for line in follower.fresh():
            if line.task_id in wanted and line.status is not Status.RETRY:
                statuses[line.task_id] = line.status
        open_ids = wanted - statuses.keys()
        if not open_ids:
            return True
        if time.monotonic() >= next_check:
            if not ring_doorbell(layout.home):
                raise DaemonNotRunning(
                    f"{len(open_ids)} tasks have not ended and no conductord runs on {layout.home.path}: "
                    "start one with `conductord`"
                )
            next_check = time.monotonic() + _DAEMON_CHECK_SECONDS
            states = _states(layout, open_ids)
        if deadline is not None and time.monotonic() >= deadline:
            return False
        progress.tell(f"{len(wanted) - len(open_ids)} of {len(wanted)} tasks have ended ({states})")
        time.sleep(_POLL_SECONDS)


def _states(layout: Layout, open_ids: set[str]) -> str:
    """`2 running, 1 queued`. Raises NoSuchTask: a task whose file was damaged goes to corrupt/ without a result line,
    and nothing would ever end the wait."""
    queue = patient_queue(layout)
    counts: dict[str, int] = {}
    for task_id in open_ids:
        view = queue.find(task_id)
        if view is None:
            raise NoSuchTask(task_id)
        state = _STATES[type(view)]
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _already_ended(layout: Layout, task_ids: list[str]) -> dict[str, Status]:
    queue = patient_queue(layout)
    found = {}
    for task_id in task_ids:
        view = queue.find(task_id)
        if view is None:
            raise NoSuchTask(task_id)
        if isinstance(view, Ended):
            found[task_id] = view.status
    return found


@click.command()
@click.argument("task_ids", nargs=-1, required=True)
@click.option("--timeout", type=DURATION, help="Give up waiting after this; exit 1.")
@click.pass_obj
def wait(home_flag: str | None, task_ids: tuple[str, ...], timeout: float | None) -> int:
    """Returns when every task has ended: 0 when all ended well, 1 when one failed.

    \b
    conductor wait t-20261121-101530-abcdefgh --timeout 1h
    id=$(conductor submit "make") && conductor wait "$id"

    Exit codes: 0 all ended well, 1 one did not, or the time is up, 3 no such task,
    4 they have not ended and no conductord runs.
    """
    return wait_for(open_layout(home_flag, os.environ), list(dict.fromkeys(task_ids)), timeout)
