"""`--watch` and `--wait`: a run is looked at until it is over or only a person can make it go on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

import click

from conductor.cli.run_story import ending, kept, notes, told
from conductor.cli.snapshot import Snapshot
from conductor.domain.errors import DaemonNotRunning
from conductor.domain.exits import CliExit
from conductor.domain.run import Activity, Delegation, RunStatus, StepStatus

if TYPE_CHECKING:
    from rich.console import Console

    from conductor.cli.run_follower import RunFollower
    from conductor.ports.orchestration import Store
    from conductor.queue.layout import Layout
    from conductor.settings.model import Settings

_PAUSE_SECONDS = 0.2
_PAUSES_A_LOOK = 5
"""To look at a huge run and to draw it takes its time, which the workers need: the pause is so many times as long."""
_REDRAW_SECONDS = 1.0
"""Where nothing happened, only clocks go on."""
_NO_DAEMON_PATIENCE_SECONDS = 60.0
"""A conductord that is being restarted is back by then; who reads lines would wait for ever without one."""


@dataclass(frozen=True)
class Desk:
    """What commands about runs have in front of them."""

    layout: Layout
    settings: Settings
    store: Store


class Show(Protocol):
    """Draws what it is shown; used as a context while it does."""

    def __enter__(self) -> Show: ...

    def __exit__(self, *error: object) -> None: ...

    def draw(self, snapshot: Snapshot, fresh: list[Activity]) -> None: ...


def watch_run(desk: Desk, run_id: str, *, quiet: bool = False, timeout_seconds: float | None = None) -> int:
    """Shows the run until it is over, then what became of it. An interrupt leaves the run alone.

    What it asks for is asked on the way where a person sits there. `quiet`: nothing is asked, and only how far it is
    is drawn. Exit codes: 0 completed, 1 not, or the time is up, 5 it waits for approval. Raises DaemonNotRunning where
    nobody looks on who could start one.
    """
    from conductor.cli.run_follower import RunFollower

    follower = RunFollower(desk.store, desk.layout, desk.settings, run_id)
    try:
        while True:
            snapshot = follow(follower, _show(quiet=quiet), timeout_seconds=timeout_seconds)
            if quiet or not snapshot.stands_still or not _approved_here(desk, snapshot):
                return tell_end(desk, snapshot)
            follower.forget()
    except (KeyboardInterrupt, click.Abort):
        _say(f"{run_id} goes on without you: `conductor runs show {run_id}` shows it, `runs stop {run_id}` ends it")
        return 130


def _approved_here(desk: Desk, snapshot: Snapshot) -> bool:
    """Asks the person at the terminal, where there is one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    from conductor.app.orchestration import ring_orchestrator
    from conductor.cli.approving import ask_for

    if not ask_for(desk, snapshot.run):
        return False
    ring_orchestrator(desk.layout.home, snapshot.run.project)
    return True


def follow(
    follower: RunFollower,
    show: Show,
    *,
    enough: Callable[[Snapshot], bool] | None = None,
    timeout_seconds: float | None = None,
) -> Snapshot:
    """Looks and draws until the run is over, stands still, or the time is up; returns the last that was seen."""
    is_enough = enough or (lambda snapshot: snapshot.run.is_over or snapshot.stands_still)
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    alone_since = None
    with show:
        while True:
            began = time.monotonic()
            snapshot = follower.look()
            show.draw(snapshot, follower.fresh())
            now = time.monotonic()
            if is_enough(snapshot) or (deadline is not None and now >= deadline):
                return snapshot
            alone_since = None if snapshot.daemon else alone_since or now
            if alone_since is not None and now - alone_since >= _patience(show):
                raise DaemonNotRunning(
                    f"{snapshot.run.id} is not over and no conductord runs: start one with `conductord`"
                )
            time.sleep(max(_PAUSE_SECONDS, _PAUSES_A_LOOK * (now - began)))


def _patience(show: Show) -> float:
    return float("inf") if isinstance(show, LiveShow) else _NO_DAEMON_PATIENCE_SECONDS


def tell_end(desk: Desk, snapshot: Snapshot) -> int:
    """What became of the run, what is kept where, and the exit code."""
    run = snapshot.run
    if snapshot.asks_now:
        _say(f"{run.id} waits for your approval: `conductor approve {run.id}` shows what is asked")
        return CliExit.WAITS_FOR_APPROVAL
    if not run.is_over:
        _say(f"{run.id} is not over yet: `conductor runs show {run.id}`")
        return CliExit.TASK_FAILED
    from conductor.cli.run_tables import summary

    for line in summary(snapshot):
        click.echo(line)
    click.echo(ending(snapshot))
    for line in kept(snapshot, last_rounds(desk.store, snapshot)):
        click.echo(line)
    return CliExit.WELL if run.status is RunStatus.COMPLETED else CliExit.TASK_FAILED


def last_rounds(store: Store, snapshot: Snapshot) -> dict[str, Delegation]:
    """The latest round of each step that did not come."""
    return {one.step_id: one for one in store.delegations(snapshot.run.id)}


def _show(*, quiet: bool) -> Show:
    if quiet:
        return ProgressShow()
    return LiveShow() if can_draw(sys.stdout) else LineShow()


def show_on_stderr() -> Show:
    """For commands whose standard output is an answer."""
    if not can_draw(sys.stderr):
        return LineShow(on_stderr=True)
    from rich.console import Console

    return LiveShow(Console(stderr=True))


def can_draw(stream: TextIO) -> bool:
    """Whether it is a terminal on which lines can be drawn anew."""
    encoding = (stream.encoding or "").lower().replace("-", "")
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb") and encoding == "utf8"


def _say(text: str) -> None:
    click.echo(f"conductor: {text}", err=True)


class NoShow:
    """Draws nothing."""

    def __enter__(self) -> NoShow:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def draw(self, snapshot: Snapshot, fresh: list[Activity]) -> None:
        pass


class ProgressShow(NoShow):
    """How far it is, in one line, where somebody looks on who wants to see nothing else."""

    def __init__(self) -> None:
        from conductor.cli.progress import Progress

        self._progress = Progress()

    def __exit__(self, *error: object) -> None:
        self._progress.clear()

    def draw(self, snapshot: Snapshot, fresh: list[Activity]) -> None:
        counts = snapshot.counts()
        done, moving = counts.get(StepStatus.COMPLETED, 0), counts.get(StepStatus.IN_PROGRESS, 0)
        steps = f": {done} of {len(snapshot.steps)} steps are done, {moving} in progress" if snapshot.steps else ""
        self._progress.tell(f"{snapshot.run.id} is {snapshot.run.status.value.replace('_', ' ')}{steps}")


class LineShow(NoShow):
    """A line for each event and for each change of what a person should know: for logs and pipes."""

    def __init__(self, *, on_stderr: bool = False) -> None:
        self._on_stderr = on_stderr
        self._noted: list[str] = []
        self._begun = False

    def draw(self, snapshot: Snapshot, fresh: list[Activity]) -> None:
        lines = [] if self._begun else [f"{snapshot.run.id} {snapshot.run.status.value}: {snapshot.run.title[:200]!r}"]
        self._begun = True
        lines.extend(told(event) for event in fresh)
        current = notes(snapshot)
        lines.extend(note for note in current if note not in self._noted)
        self._noted = current
        if lines:
            click.echo("\n".join(lines), err=self._on_stderr)
            sys.stdout.flush()


class LiveShow:
    """The graph, drawn over itself."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn: Snapshot | None = None

    def __enter__(self) -> LiveShow:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def draw(self, snapshot: Snapshot, fresh: list[Activity]) -> None:
        if self._is_drawn(snapshot):
            return
        from rich.text import Text

        from conductor.cli.graph_view import graph_lines

        self._drawn = snapshot
        # The last line stays free: a terminal that scrolls would leave a part of each picture behind.
        lines = graph_lines(snapshot, self._console.width, self._console.height - 1)
        self._live.update(Text("\n").join(lines), refresh=True)

    def _is_drawn(self, snapshot: Snapshot) -> bool:
        drawn = self._drawn
        return drawn is not None and snapshot.steps is drawn.steps and snapshot.at - drawn.at < _REDRAW_SECONDS
