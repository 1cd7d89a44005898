"""The git side of one project: what the orchestrator's `Repository` port asks, answered with git."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from conductor.domain.errors import NoRoom, RepositoryBroken
from conductor.domain.plan import Step
from conductor.domain.run import Delegation, Run
from conductor.ports.orchestration import Conflict, Difference, Landed, Merged, Taken, Worktree
from conductor.projects import guarding
from conductor.projects.branches import advance_branch, drop_branch, open_branch, tip_and_tree, tip_of
from conductor.projects.checking import check_out, remove_check
from conductor.projects.checkout import move_target
from conductor.projects.closing import close_rounds
from conductor.projects.differences import difference
from conductor.projects.git import Git, Hook, check_version
from conductor.projects.keeping import IsOpen, KeptRound, clean_rounds, kept_rounds
from conductor.projects.landing import landing_commit
from conductor.projects.merging import merge_work, merged_steps, seal_commit
from conductor.projects.names import STEP, TASK, RoundName, checked_commit, round_of_folder, run_ref
from conductor.projects.place import Place, find_place, inodes_of
from conductor.projects.releasing import release_worktree
from conductor.projects.spares import prepare_spares, sweep_spares
from conductor.projects.taking import Asked, take_work
from conductor.projects.worktrees import cut_worktree

_NOBODY = ("user.name=conductor", "user.email=conductor@localhost")
_IDENTITY = {"user.name": _NOBODY[0], "user.email": _NOBODY[1]}


class GitRepository:
    """A `Repository` on a git repository with a main checkout.

    `folder` is conductor's own for this project, `<home>/projects/<name>`: nothing outside of it and of the
    repository's git directory is ever written, but for the main checkout when a run lands on the branch it is on.
    """

    def __init__(
        self,
        name: str,
        workspace: str,
        folder: str,
        *,
        guard_checkout: bool = True,
        undeclared_files: bool = False,
        environment: Mapping[str, str],
        hook: Hook | None = None,
    ) -> None:
        self._name, self._guard, self._undeclared = name, guard_checkout, undeclared_files
        self._workspace, self._folder = os.path.realpath(workspace), os.path.realpath(folder)
        self._bare_git = Git(dict(environment), hook=hook)
        self._found: Place | None = None
        self._identity: tuple[str, ...] = ()

    # -- runs

    def open_run(self, run: Run) -> Run:
        with self._deed("open a run") as place:
            place.make_folders()
            guarding.remember_settings(place, run.id)
            sweep_spares(place)
            return open_branch(place, run)

    def tip(self, run: Run) -> str:
        with self._deed("read the run's branch") as place:
            return tip_of(place, run)

    def merged_steps(self, run: Run) -> dict[str, str]:
        with self._deed("read the run's history") as place:
            tip = place.value(run_ref(run.id)) or place.value(f"refs/heads/{run.target}")
            return merged_steps(place.git, run.id, run.base, tip) if tip else {}

    def close_run(self, run: Run, *, keep_branch: bool) -> None:
        with self._deed("close the run") as place:
            tip, target = place.value(run_ref(run.id)), place.value(f"refs/heads/{run.target}")
            close_rounds(place, run, tip or target, self._asked)
            sweep_spares(place, run.id)
            if guarding.forget_settings(place, run.id):
                remove_check(place)  # another run's check may be under way in it
            place.sweep_now()
            landed = tip and target and place.git.attempt("merge-base", "--is-ancestor", tip, target).code == 0
            if tip and not keep_branch and (landed or tip == run.base):
                drop_branch(place, run)

    def standing(self, run: Run) -> frozenset[str]:
        with self._deed("look for the run's worktrees") as place:
            root = f"{place.folder}/worktrees"
            names = os.listdir(root) if os.path.isdir(root) else []
            rounds = (name for name in names if (found := round_of_folder(name)) and found.run_id == run.id)
            return frozenset(f"{root}/{name}" for name in rounds if not os.path.islink(f"{root}/{name}"))

    # -- steps

    def cut(self, run: Run, step: Step, round_number: int, onto: str = "") -> Worktree:
        name = RoundName(run.id, step.id, round_number)
        with self._deed("cut a worktree") as place:
            return cut_worktree(place, name, tip_of(place, run), onto and checked_commit(onto))

    def prepare(self, run: Run, wanted: int) -> None:
        with self._deed("make worktrees ahead") as place:
            if wanted > 0:
                prepare_spares(place, run.id, lambda: tip_of(place, run), wanted)
            else:
                sweep_spares(place, run.id)

    def take(self, run: Run, step: Step, delegation: Delegation) -> Taken:
        name = RoundName(run.id, step.id, delegation.round)
        declared = () if self._undeclared else step.files
        with self._deed("take the work") as place:
            return take_work(place, name, replace(self._asked(delegation.task_id), declared=declared))

    def merge(self, run: Run, delegation: Delegation, work: Taken, message: str) -> Merged | Conflict:
        name = RoundName(run.id, delegation.step_id, delegation.round)
        trailers = {STEP: name.step, TASK: delegation.task_id}
        with self._deed("merge") as place:
            return merge_work(self._committing(place), tip_and_tree(place, run), work.work, message, trailers)

    def checkout_for_check(self, run: Run, commit: str) -> str:
        with self._deed("check out for the check") as place:
            return check_out(guarding.trusted(place, run.id), checked_commit(commit))

    def advance(self, run: Run, merged: Merged) -> bool:
        with self._deed("advance the run's branch") as place:
            return advance_branch(place, run, merged)

    def release(self, run: Run, delegation: Delegation) -> None:
        name = RoundName(run.id, delegation.step_id, delegation.round)
        with self._deed("release a worktree") as place:
            tip = place.value(run_ref(run.id)) or place.value(f"refs/heads/{run.target}")
            release_worktree(place, name, self._asked(delegation.task_id), tip, run.base)

    # -- landing

    def difference(self, run: Run, most_bytes: int) -> Difference:
        with self._deed("tell what the run changed") as place:
            return difference(place, run, most_bytes)

    def seal(self, run: Run, message: str) -> str:
        with self._deed("seal the run") as place:
            tip = tip_of(place, run)
            sealed = seal_commit(self._committing(place), run.id, run.base, tip, message)
            if not advance_branch(place, run, Merged(sealed, tip)):
                raise RepositoryBroken(f"the branch of run {run.id} moved meanwhile: is another orchestrator at it?")
            return sealed

    def land(self, run: Run) -> Merged | Conflict:
        with self._deed("land") as place:
            return landing_commit(replace(place, git=self._committing(place)), run)

    def finish_landing(self, run: Run, merged: Merged) -> Landed:
        with self._deed("land") as place:
            landed = move_target(place, run, merged)
            if landed.commit:
                drop_branch(place, run)
            return landed

    # -- what is kept

    def look(self) -> None:
        """Raises RepositoryBroken where there is no repository that can be used."""
        with self._deed("look at the repository"):
            pass

    def kept(self, target: str, is_open: IsOpen, now: float) -> list[KeptRound]:
        """Every round that left something behind, with the proof that it may go or why it stays."""
        with self._deed("look for what is kept") as place:
            return kept_rounds(place, target, is_open, now)

    def clean(self, target: str, is_open: IsOpen, now: float) -> tuple[list[KeptRound], list[KeptRound]]:
        """What is proven merged goes; what went, and what stays."""
        with self._deed("clean") as place:
            return clean_rounds(place, target, is_open, self._asked(""), now)

    # -- what every call stands on

    @contextmanager
    def _deed(self, what: str) -> Iterator[Place]:
        """The place, seen to be what it was; and what the system refuses told as the repository's fault."""
        try:
            yield self._place()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoRoom(f"project {self._name}", str(error)) from error
            where = f" at {error.filename}" if error.filename else ""
            raise RepositoryBroken(
                f"project {self._name}: can't {what}{where}: {error.strerror or error}; nothing half done counts"
            ) from error

    def _place(self) -> Place:
        found = self._found
        if found is None:
            check_version(self._bare_git)
            found = self._found = find_place(self._name, self._workspace, self._folder, self._bare_git)
            self._identity = _missing_identity(found.git)
        elif inodes_of(found.workspace, found.common) != found.inodes:
            raise RepositoryBroken(
                f"{self._workspace} is not the folder any more that project {self._name} began with: put that back"
            )
        return found

    def _committing(self, place: Place) -> Git:
        return place.git.having(*self._identity)

    def _asked(self, task_id: str) -> Asked:
        return Asked(task_id, (), self._guard, self._identity)


def _missing_identity(git: Git) -> tuple[str, ...]:
    """Settings for what nobody configured of who commits."""
    keys = {line.partition(" ")[0] for line in git("config", "--get-regexp", r"^user\.(name|email)$", ok=(0, 1)).lines}
    return tuple(setting for key, setting in _IDENTITY.items() if key not in keys)
