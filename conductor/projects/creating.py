"""Makes projects: a folder with a repository and a first commit, or takes a repository that is there as it is.

A new one is built beside its place and renamed into it: whenever this is killed, there is all of it or nothing, and
doing it again goes on from what there is.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from conductor.domain.errors import UsageError
from conductor.domain.run import Project
from conductor.domain.task import ID_PATTERN
from conductor.domain.worker_id import worker_id
from conductor.kit.durable import sync_directory, write_plain
from conductor.kit.filesystem import remove_tree
from conductor.kit.process import own_identity, owner_lives
from conductor.projects.github import check_name_for_github, put_on_github
from conductor.projects.messages import one_line
from conductor.projects.openclaw_registration import agent_id, register_agent
from conductor.projects.standing import Standing, look
from conductor.projects.tool import Tools

FIRST_BRANCH = "main"
_LONGEST_DESCRIPTION = 350
"""GitHub takes no longer one."""
_BUILT = ".new"
_NOBODY = ("-c", "user.name=conductor", "-c", "user.email=conductor@localhost")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for."""

    name: str
    path: str = ""
    """Where; empty: a folder of that name in the projects' own one."""
    description: str = ""
    init: bool = False
    """Where there are files and no commit: commit all of them, but what .gitignore names."""
    github: bool = False
    openclaw: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """What there is now."""

    project: Project
    told: tuple[str, ...]
    """What was done, a line each."""


class ProjectMaker:
    """Makes folders below `projects_dir`, or anywhere if no further `roots` are given."""

    def __init__(self, projects_dir: str, roots: Collection[str], tools: Tools) -> None:
        self._projects_dir = _absolute(projects_dir, tools)
        self._roots = [self._projects_dir, *(_absolute(root, tools) for root in roots)] if roots else []
        self._tools = tools

    def place(self, wanted: Wanted) -> str:
        """Where the project is to be: absolute, without links. Raises UsageError for a name that can't be one."""
        check_name(wanted.name)
        if wanted.path:
            return os.path.realpath(_absolute(wanted.path, self._tools))
        return os.path.realpath(f"{self._projects_dir}/{wanted.name}")

    def create(self, wanted: Wanted, now: float) -> Created:
        """Raises UsageError where it can't be, RepositoryBroken where a program that is needed refuses."""
        place = self.place(wanted)
        if wanted.github:
            check_name_for_github(wanted.name)
        if wanted.openclaw:
            agent_id(wanted.name)
        standing = look(place, self._roots, self._tools)
        project, told = self._in_place(standing, wanted, now)
        if wanted.github:
            project = replace(
                project,
                repository=put_on_github(project, one_line(wanted.description)[:_LONGEST_DESCRIPTION], self._tools),
            )
            told.append(f"on GitHub as {project.repository or project.name}")
        if wanted.openclaw:
            told.append(register_agent(wanted.name, project.workspace, self._tools))
        return Created(project, tuple(told))

    def _in_place(self, standing: Standing, wanted: Wanted, now: float) -> tuple[Project, list[str]]:
        workspace, branch = standing.workspace, standing.branch
        if standing.is_new:
            self._build(workspace, wanted)
            branch, told = FIRST_BRANCH, f"made {workspace} with a first commit"
        elif standing.has_no_commit:
            branch = self._commit_all(standing, wanted)
            told = f"committed what was in {workspace}"
        else:
            told = f"uses the repository {workspace} as it is; runs land on {branch}"
        return Project(wanted.name, workspace, branch, now, created_here=standing.is_new), [told]

    def _build(self, workspace: str, wanted: Wanted) -> None:
        parent, name = os.path.split(workspace)
        os.makedirs(parent, exist_ok=True)
        _sweep(parent, name)
        built = f"{parent}/.{name}.{worker_id('cli', own_identity())}{_BUILT}"
        os.mkdir(built)
        try:
            self._tools.git(built, "init", "--quiet", f"--initial-branch={FIRST_BRANCH}")
            write_plain(f"{built}/README.md", readme(wanted).encode("utf-8", "replace"), 0o644)
            self._commit(built, ("README.md",))
            self._rename(built, workspace)
        except BaseException:
            with suppress(OSError):
                remove_tree(built)
            raise
        sync_directory(parent)

    def _rename(self, built: str, workspace: str) -> None:
        try:
            os.rename(built, workspace)  # over an empty folder too
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise UsageError(f"somebody else has put something into {workspace} just now: do this again") from None

    def _commit_all(self, standing: Standing, wanted: Wanted) -> str:
        """The branch that has it."""
        workspace = standing.workspace
        if not wanted.init:
            raise UsageError(
                f"{workspace} holds files, none of which is committed: commit what belongs to the project with git, or "
                "say --init to have all of them committed (but what .gitignore names)"
            )
        if wanted.github:
            raise UsageError(
                f"--init would commit all that is in {workspace} and --github push it: do it without --github, look "
                "at that commit, then do it again with --github"
            )
        self._tools.git(workspace, "init", "--quiet", f"--initial-branch={standing.branch or FIRST_BRANCH}")
        self._commit(workspace, (".",))
        return standing.branch or FIRST_BRANCH

    def _commit(self, folder: str, paths: Sequence[str]) -> None:
        self._tools.git(folder, "add", "--", *paths)
        # Only who has no name of their own commits under ours.
        known = self._tools.git(folder, "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT", ok=(0, 1, 128))
        whose = _NOBODY if known.code else ()
        self._tools.git(
            folder, *whose, "-c", "commit.gpgSign=false", "commit", "--quiet", "--allow-empty", "-m", "chore: begin"
        )


def check_name(name: str) -> None:
    """Raises UsageError."""
    if not ID_PATTERN.fullmatch(name):
        raise UsageError(f"project name {name[:80]!r} does not match {ID_PATTERN.pattern}")
    if name.startswith("r-"):
        raise UsageError(f"project name {name!r}: what begins with r- is a run's")


def readme(wanted: Wanted) -> str:
    described = wanted.description.strip()
    return f"# {wanted.name}\n" + (f"\n{described}\n" if described else "")


def _absolute(path: str, tools: Tools) -> str:
    home = tools.environment.get("HOME", "")
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    return os.path.abspath(os.path.expanduser(path))


def _sweep(parent: str, name: str) -> None:
    """What killed ones of ours were building here goes."""
    beginning = f".{name}."
    for entry in os.listdir(parent):
        if entry.startswith(beginning) and entry.endswith(_BUILT):
            owner = entry.removeprefix(beginning).removesuffix(_BUILT)
            if owner.startswith("cli-") and not owner_lives(owner):
                remove_tree(f"{parent}/{entry}")
