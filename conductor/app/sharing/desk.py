"""What a member of a shared home gets done here: the verbs of shared.sock.

Everything is checked again, whatever the asking program checked: it is the other side's. A task of somebody else is
told like one that never was.
"""

from __future__ import annotations

import os
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from conductor.app import accepting_queue, ask_daemon, patient_queue, ring_doorbell
from conductor.app.describing import describe, whole_story
from conductor.app.sharing.results import OwnResults
from conductor.app.submitting import Defaults, new_task_id, with_agent
from conductor.domain.errors import BadTask, DuplicateTask, NoSuchTask, UsageError
from conductor.domain.lines import parse_task
from conductor.domain.sharing import OF_OPERATORS, Person, Standing
from conductor.domain.task import TaskSpec, check_spec
from conductor.domain.view import Ended, TaskView, view_id
from conductor.domain.worker_id import worker_id
from conductor.kit.process import own_identity
from conductor.ports import Log
from conductor.queue.layout import Layout
from conductor.settings.source import raw_settings

MOST_TASKS_AT_ONCE = 10_000
MOST_LISTED = 1000
_LOG_PIECE = 256 * 1024

Request = Mapping[str, Any]
Answer = dict[str, Any]


class _Missing(NoSuchTask):
    """`asked`: its id as the person wrote it."""

    def __init__(self, asked: str) -> None:
        super().__init__(asked)
        self.asked = asked


class Desk:
    """Serves one request after the other; `layout` is of a home of ours."""

    def __init__(self, layout: Layout, log: Callable[[], Log], environment: Mapping[str, str]) -> None:
        self._layout = layout
        self._home = layout.home
        self._log = log
        self._environment = environment
        self._queue = patient_queue(layout)
        self._results = OwnResults(self._home, self._queue.ended)
        self._verbs: dict[str, Callable[[Person, Request], Answer]] = {
            "submit": self._submit,
            "list": self._list,
            "show": self._show,
            "logs": self._logs,
            "results": self._tell_results,
            "ended": self._ended,
            "cancel": self._cancel,
            "retry": self._retry,
            "pause": self._pause,
            "resume": self._resume,
        }

    def serve(self, person: Person, request: Request) -> Answer:
        """Raises ConductorError, and ValueError, TypeError or KeyError for a request that makes no sense."""
        verb = str(request.get("verb"))
        person.check_may(verb)
        try:
            return self._verbs[verb](person, request) if verb in self._verbs else self._steer(person, request)
        except _Missing as error:
            return {"missing": error.asked}
        except NoSuchTask:  # it went between being seen and being changed
            return {"missing": str(request.get("task"))[:80]}

    # -- submitting

    def _submit(self, person: Person, request: Request) -> Answer:
        lines = request["tasks"]
        if not isinstance(lines, list) or not 0 < len(lines) <= MOST_TASKS_AT_ONCE:
            raise UsageError(f"1 to {MOST_TASKS_AT_ONCE} tasks can be submitted at once")
        defaults = Defaults.of(self._home, raw_settings(self._home, self._environment))
        specs = [self._spec_of(person, str(line), defaults) for line in lines]
        self._accept(specs, if_absent=request.get("if_absent") is True)
        facts = {"submitted": specs[0].id} if len(specs) == 1 else {}
        ring_doorbell(self._home, tasks=len(specs), **facts)
        self._note(person, "submit", specs[0].id, tasks=len(specs))
        return {"ids": [spec.id for spec in specs]}

    def _spec_of(self, person: Person, line: str, defaults: Defaults) -> TaskSpec:
        spec = parse_task(line, missing_id=new_task_id())
        if person.standing is not Standing.OPERATOR:
            _check_member_may(spec)
        spec = replace(
            spec,
            id=person.own_id(spec.id),
            after=tuple(person.meant_id(awaited) for awaited in spec.after),
            submitted_ms=int(time.time() * 1000),
        )
        return check_spec(with_agent(spec, defaults))

    def _accept(self, specs: list[TaskSpec], *, if_absent: bool) -> None:
        """Never as fresh: an id with a person in front is looked up, or the same could be taken twice."""
        queue = accepting_queue(self._layout)
        while specs:
            try:
                if len(specs) == 1:
                    queue.submit(specs[0])
                else:
                    queue.submit_many(specs)
                return
            except DuplicateTask as error:
                if not if_absent:
                    raise
                taken = error.task_id
                specs = [spec for spec in specs if spec.id != taken and self._queue.find(spec.id) is None]

    # -- looking

    def _list(self, person: Person, request: Request) -> Answer:
        most = min(int(request.get("limit", 50)), MOST_LISTED)
        beginning = "" if person.standing is Standing.OPERATOR else person.prefix
        queued = (view for view in self._queue.tasks((), beginning) if person.may_see(view_id(view)))
        rows = [describe(view) for view in islice(queued, MOST_LISTED)]
        seen = {str(row["task"]) for row in rows}
        rows.extend(describe(view) for view in self._results.lately_ended(person, most, seen))
        return {"rows": rows}

    def _show(self, person: Person, request: Request) -> Answer:
        story = whole_story(self._home, self._view(person, request["task"]))
        return {"story": story, "summary": self._text_of(f"{self._home.task(story['task'])}/latest/SUMMARY.txt")}

    def _view(self, person: Person, asked: object) -> TaskView:
        """Raises NoSuchTask, for a task of somebody else too."""
        if not isinstance(asked, str):
            raise TypeError("a task is named by its id")
        task_id = person.meant_id(asked)
        view = self._queue.find(task_id) if person.may_see(task_id) else None
        if view is None:
            raise _Missing(asked[:80])
        return view

    def _logs(self, person: Person, request: Request) -> Answer:
        """A piece of one attempt's log from `position` on; `more`: there is more already."""
        view = self._view(person, request["task"])
        number = int(request.get("attempt") or 0) or self._latest(view_id(view))
        if number < 0:
            raise UsageError("attempts are counted from 1")
        folder = self._home.attempt(view_id(view), number)
        has_events = request.get("raw") is not True and os.path.exists(f"{folder}/agent.jsonl")
        piece = self._piece(f"{folder}/agent.{'jsonl' if has_events else 'log'}", int(request.get("position") or 0))
        if has_events and len(piece) < _LOG_PIECE:
            piece = piece[: piece.rfind(b"\n") + 1]
        return {
            "attempt": number,
            "events": has_events,
            "piece": b64encode(piece).decode(),
            "more": len(piece) == _LOG_PIECE,
            "ended": isinstance(view, Ended),
        }

    def _latest(self, task_id: str) -> int:
        try:
            return int(os.readlink(f"{self._home.task(task_id)}/latest"))
        except (OSError, ValueError):
            return 0

    def _piece(self, path: str, position: int) -> bytes:
        """Nothing where there is no such file. A link is not followed: the agent may have put it there."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, _LOG_PIECE, position)
        except OSError:
            return b""
        finally:
            os.close(descriptor)

    def _text_of(self, path: str) -> str:
        return self._piece(path, 0).decode("utf-8", "replace")

    def _tell_results(self, person: Person, request: Request) -> Answer:
        position = request.get("position")
        if position is None:
            lines, behind = self._results.last(person, min(int(request.get("lines", 20)), MOST_LISTED))
        else:
            lines, behind = self._results.after(person, int(position))
        return {"lines": lines, "position": behind}

    def _ended(self, person: Person, request: Request) -> Answer:
        """The status of each task that has ended; of one that has not, nothing."""
        asked = request["tasks"]
        if not isinstance(asked, list) or len(asked) > MOST_LISTED:
            raise UsageError(f"at most {MOST_LISTED} tasks can be asked for at once")
        views = {task_id: self._view(person, task_id) for task_id in asked}
        return {"ended": {name: view.status.value for name, view in views.items() if isinstance(view, Ended)}}

    # -- changing

    def _cancel(self, person: Person, request: Request) -> Answer:
        task_id = view_id(self._view(person, request["task"]))
        answer = self._queue.cancel(task_id, worker_id("cli", own_identity()))
        if answer == "stopping":
            ring_doorbell(self._home, cancelled=task_id)
        self._note(person, "cancel", task_id)
        return {"task": task_id, "answer": answer}

    def _retry(self, person: Person, request: Request) -> Answer:
        task_id = view_id(self._view(person, request["task"]))
        self._queue.retry(task_id)
        ring_doorbell(self._home, tasks=1)
        self._note(person, "retry", task_id)
        return {"task": task_id}

    # -- steering, for operators

    def _pause(self, person: Person, request: Request) -> Answer:
        self._queue.pause()
        ring_doorbell(self._home)
        self._note(person, "pause")
        return {"ok": True}

    def _resume(self, person: Person, request: Request) -> Answer:
        self._queue.resume()
        ring_doorbell(self._home, tasks=1000)
        self._note(person, "resume")
        return {"ok": True}

    def _steer(self, person: Person, request: Request) -> Answer:
        """Handed on to control.sock, with nothing in it but what these verbs take."""
        verb = str(request["verb"])
        if verb not in OF_OPERATORS:
            raise UsageError(f"unknown verb {verb[:40]!r}")
        facts = {name: request[name] for name in ("pool", "workers", "now") if name in request}
        if verb != "status":
            self._note(person, verb)
        return ask_daemon(self._home, {"verb": verb, **facts})

    def _note(self, person: Person, verb: str, task_id: str = "", **facts: object) -> None:
        """Who had it done: the log is the only place where that stands for deeds beside submitting."""
        self._log().info("shared_deed", verb=verb, uid=person.uid, task=task_id, **facts)


def _check_member_may(spec: TaskSpec) -> None:
    if spec.project:
        raise BadTask("a project's budget and secrets are used by operators alone: leave --project out")
    if spec.spec_file:
        raise BadTask("conductord would read --spec in your place: put the text into the description")
