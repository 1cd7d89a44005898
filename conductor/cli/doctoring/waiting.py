"""The queue and the projects: locks that are stuck, what is corrupt or dead, what is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.database import database_of
from conductor.cli.doctoring.sign import Sign, ok, warning, wrong
from conductor.cli.wording import many, one_line
from conductor.domain.durations import format_duration
from conductor.kit.lock import lock_holder
from conductor.kit.process import owner_lives, stat_fields
from conductor.queue.layout import Layout
from conductor.queue.names import parse_owned
from conductor.store.health import workspaces_in

_LOOKS = 4
_PAUSE_SECONDS = 0.02
_STOPPED = "Tt"
_MANY_KEPT = 50
_OLD_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that one process had at every look."""

    path: str
    pid: int
    state: str
    """As in /proc/<pid>/stat; empty: it can't be seen."""


def look_at_queue(case: Case) -> Iterator[Sign]:
    layout = Layout(case.home)
    if not os.path.exists(layout.version):
        return
    held = _held(layout.lock)
    yield judge_lock(held) if held else ok("locks", "nobody sits on the queue's lock")
    corrupt = [name for name in _names(layout.corrupt) if not name.endswith(".reason")]
    if corrupt:
        reason = _first_line(f"{layout.corrupt}/{sorted(corrupt)[0]}.reason")
        remedy = f"read the .reason files in {layout.corrupt}, submit anew what is wanted, then remove them"
        yield warning("corrupt", f"{many(len(corrupt), 'file')} could not be read: {one_line(reason, 200)}", remedy)
    dead = len(_names(layout.dead))
    if dead:
        remedy = "`conductor list --state dead` shows them, `conductor retry ID` tries one again"
        yield warning("dead", f"{many(dead, 'task')} used up all attempts", remedy)
    if not corrupt and not dead:
        yield ok("queue", "no corrupt and no dead tasks")
    if not case.status:
        yield from judge_orphans(_ownerless(layout))


def judge_lock(held: Held) -> Sign:
    what = f"process {held.pid} holds {held.path} for longer than anybody should"
    if held.state and held.state in _STOPPED:
        return wrong("locks", f"{what}: it is stopped", f"`kill -CONT {held.pid}`, or end it")
    return wrong("locks", what, f"see what it does (`ps -fp {held.pid}`), and end it")


def judge_orphans(tasks: list[str]) -> Iterator[Sign]:
    """Tasks whose worker died while no conductord ran."""
    if tasks:
        what = f"{many(len(tasks), 'task')} lost the worker, {tasks[0]} the first"
        yield warning("queue", what, "start conductord: it records what became of them and runs them again")


def look_at_projects(case: Case) -> Iterator[Sign]:
    database = database_of(case)
    workspaces = workspaces_in(database) if database and os.path.exists(database) else {}
    for name in sorted(_names(case.home.projects)):
        folder = case.home.project(name)
        yield from judge_kept(name, len(_names(f"{folder}/worktrees")))
        if not case.status and os.path.exists(f"{folder}/wanted"):
            what = f"project {name} has a run that is not over, and no conductord to go on with it"
            yield warning("runs", what, "start one with `conductord`")
        holder = _holder(f"{folder}/orchestrator.lock")
        if holder and not case.status:
            what = f"process {holder} is the orchestrator of project {name} without a conductord"
            yield warning("locks", what, f"it leaves by itself soon; else `kill {holder}`")
        yield from judge_git_lock(workspaces.get(name, ""))


def judge_kept(project: str, worktrees: int) -> Iterator[Sign]:
    if worktrees > _MANY_KEPT:
        what = f"project {project} has {many(worktrees, 'worktree')}"
        yield warning(
            "kept", what, "`conductor worktrees` shows them, `conductor worktrees clean` removes what is merged"
        )
    elif worktrees:
        yield ok("kept", f"project {project} has {many(worktrees, 'worktree')}: `conductor worktrees` shows them")


def judge_git_lock(workspace: str) -> Iterator[Sign]:
    path = f"{workspace}/.git/index.lock"
    age = _age(path) if workspace else 0.0
    if age > _OLD_SECONDS:
        what = f"{path} is {format_duration(age)} old: a git was killed there"
        yield warning("locks", what, "remove it when no git runs there (`pgrep -a git`)")


def _held(path: str) -> Held | None:
    """The process that holds it at each of some looks: in the daily work nobody does for milliseconds."""
    holder = None
    for look in range(_LOOKS):
        found = _holder(path)
        if not found or (look and found != holder):
            return None
        holder = found
        time.sleep(_PAUSE_SECONDS if look < _LOOKS - 1 else 0)
    if holder is None:
        return None
    fields = stat_fields(holder)
    return Held(path, holder, fields[0] if fields else "")


def _holder(path: str) -> int | None:
    try:
        return lock_holder(path)
    except OSError:
        return None


def _ownerless(layout: Layout) -> list[str]:
    found = [parse_owned(name) for folder in (layout.claimed, layout.finishing) for name in _names(folder)]
    return sorted(one.task_id for one in found if one is not None and not owner_lives(one.owner))


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline(1000).strip()
    except OSError:
        return "no reason is beside it"


def _age(path: str) -> float:
    try:
        return time.time() - os.stat(path).st_mtime
    except OSError:
        return 0.0
