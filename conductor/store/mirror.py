"""The run of a project, written into its `.conductor/` for people and tools. Nothing reads it back."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from conductor.domain.run import Activity, Delegation, Project, Run, StepState
from conductor.kit.durable import write_all
from conductor.store.git_exclude import hide_from_git
from conductor.store.project_state import Files, heading, latest_rounds, log_entry, project_id_of, task_of

FOLDER = ".conductor"
STATE, QUEUE, LOG = "project-state.json", "task-queue.json", "execution-log.json"
LOG_LENGTH = 1_000
"""Entries of execution-log.json: the latest ones. The store has them all."""
LONGEST_ENTRY = 4_096
"""Characters; the facts of a longer one are left to the store."""
HIDDEN = (*(f"**/{FOLDER}/{name}" for name in (STATE, QUEUE, LOG)), f"**/{FOLDER}/.*.tmp")
"""By name: what else is in such a folder (prompts of the project's own) is the user's, and an agent's work."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A task's text, and what it was made of."""

    state: StepState
    latest: Delegation | None
    changed: Sequence[str] | None
    task: str
    dependencies: str

    def is_of(self, state: StepState, latest: Delegation | None, changed: Sequence[str] | None) -> bool:
        same_state = self.state is state or self.state == state
        return same_state and (self.latest is latest or self.latest == latest) and self.changed == changed


class Mirror:
    """Make it before the first worktree is cut: it tells git, in `.git/info/exclude`, to pass over its three files.

    Writing never raises on account of the folder: it may be gone, read-only, or an agent may have put something else
    there. A task's text is made anew only where its state changed, so a write costs little however many there are;
    `begin` writes in a thread, since to replace files of megabytes takes a disk a tenth of a second.
    """

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._shown: dict[str, _Shown] = {}
        self._log: deque[str] = deque(maxlen=LOG_LENGTH)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mirror")
        self._begun: Future[str] | None = None
        self.trouble = ""
        with suppress(OSError):
            hide_from_git(workspace, HIDDEN)

    def note(self, activity: Iterable[Activity]) -> None:
        """For execution-log.json, oldest first; of all that were ever noted the last `LOG_LENGTH` are shown."""
        self._log.extend(map(_entry, activity))

    def begin(
        self,
        project: Project | None,
        run: Run,
        steps: Sequence[StepState],
        delegations: Iterable[Delegation] = (),
        files: Files | None = None,
    ) -> bool:
        """Writes while the caller goes on. False: the one before is not done yet, and nothing is begun."""
        if self._begun and not self._begun.done():
            return False
        self._begun = self._thread.submit(self.write, project, run, tuple(steps), tuple(delegations), dict(files or {}))
        return True

    def wait(self) -> None:
        """For what was begun: a last `write` must come after it."""
        if self._begun:
            self._begun.result()

    def close(self) -> str:
        """Waits for what was begun, and says what the last `write` said."""
        self._thread.shutdown()
        return self._begun.result() if self._begun else self.trouble

    def write(
        self,
        project: Project | None,
        run: Run,
        steps: Sequence[StepState],
        delegations: Iterable[Delegation] = (),
        files: Files | None = None,
    ) -> str:
        """Replaces the three files, each at once. Returns why it could not, for a log line, and keeps it as `trouble`;
        empty: it could."""
        shown = self._show(steps, delegations, files or {})
        waiting = [one.task for one in shown if not one.state.is_over]
        whose = f'"project_id": {_json(project_id_of(project, run))},\n"run_id": {_json(run.id)}'
        head, tasks = _json(heading(project, run, steps))[:-1], _lines([one.task for one in shown])
        dependencies = _lines([one.dependencies for one in shown])
        texts = {
            STATE: f'{head},\n"tasks": [{tasks}],\n"dependencies": {{{dependencies}}}}}\n',
            QUEUE: f'{{{whose},\n"tasks": [{_lines(waiting)}]}}\n',
            LOG: f'{{{whose},\n"entries": [{_lines(list(self._log))}]}}\n',
        }
        self.trouble = _replace_all(self._workspace, texts)
        return self.trouble

    def _show(self, steps: Sequence[StepState], delegations: Iterable[Delegation], files: Files) -> list[_Shown]:
        latest, before, shown = latest_rounds(delegations), self._shown, []
        for state in steps:
            step_id = state.step.id
            one, round_, changed = before.get(step_id), latest.get(step_id), files.get(step_id)
            if one is None or not one.is_of(state, round_, changed):
                one = _show_one(state, round_, changed)
            shown.append(one)
        self._shown = {one.state.step.id: one for one in shown}
        return shown


def _show_one(state: StepState, latest: Delegation | None, changed: Sequence[str] | None) -> _Shown:
    dependencies = f"{_json(state.step.id)}: {_json(state.step.depends_on)}"
    return _Shown(state, latest, changed, _json(task_of(state, latest, changed)), dependencies)


def _entry(activity: Activity) -> str:
    whole = log_entry(activity)
    text = _json(whole)
    return text if len(text) <= LONGEST_ENTRY else _json({**whole, "facts": None})


def _json(value: object) -> str:
    """Readable, not ASCII; half a surrogate is written as JSON's escape when it is encoded."""
    return json.dumps(value, ensure_ascii=False)


def _lines(texts: Iterable[str]) -> str:
    return "\n" + ",\n".join(texts) + "\n"


def _replace_all(workspace: str, texts: Mapping[str, str]) -> str:
    try:
        with _folder(workspace) as folder:
            for name, text in texts.items():
                _replace(folder, name, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        return f"{workspace}/{FOLDER} can't be written: {error.strerror or error}"
    return ""


@contextmanager
def _folder(workspace: str) -> Iterator[int]:
    """A descriptor of `.conductor`, made where it is not there; raises OSError where it is a link or a file."""
    above = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileExistsError):
            os.mkdir(FOLDER, dir_fd=above)
        folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    finally:
        os.close(above)
    try:
        yield folder
    finally:
        os.close(folder)


def _replace(folder: int, name: str, content: bytes) -> None:
    """By rename, not synced: after a power cut the next write brings it back."""
    temporary = f".{name}.{os.urandom(6).hex()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
