"""Push and pull request at a run's end: what is to be called is decided here, and run beside the orchestrator's loop.

Nothing is forced, nothing is pushed but one commit and what it stands on, to one branch. All of it can be done again:
a push of what is there changes nothing, a pull request that is open is found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping

from conductor.kit.durable import write_plain
from conductor.ports.orchestration import Publication, Published
from conductor.projects.github import ADDRESS
from conductor.projects.kept_process import Command, CommandEnd, KeptProcess
from conductor.projects.tool import GIT, tool_environment

DEADLINE_SECONDS = 300.0
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NO_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^-|^$")
_PULL_REQUEST = re.compile(r"https?://[^\s\"]+/pull/\d+")
_REFUSED = re.compile(r"^!\t\S+\t(.*)$", re.MULTILINE)
_NOT_THERE = 126
_PUSH = ("push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no", "--no-signed")


Steps = Generator[tuple[str, ...], CommandEnd, Published]
"""Gives the next command to be run in the workspace, takes how it ended, returns what became of all."""


def publishing(what: Publication, body_path: str) -> Steps:
    """The commands, one after the other. `body_path`: a file that holds the body of the pull request."""
    if fault := _fault(what):
        return Published(False, reason=fault)
    if reason := (yield from _push(what)):
        return Published(False, reason=reason)
    if not what.base:
        return Published(True)
    address, reason = yield from _pull_request(what, body_path)
    return Published(True, address, reason)


def _fault(what: Publication) -> str:
    """Of names that would mean something else to git."""
    if not _COMMIT.fullmatch(what.commit):
        return f"{what.commit[:80]!r} is no commit: nothing was pushed"
    if not _REMOTE.fullmatch(what.remote):
        return f"{what.remote[:80]!r} can't be the name of a remote: nothing was pushed"
    for branch in filter(None, (what.branch or "-", what.base)):
        if _NO_BRANCH.search(branch):
            return f"{branch[:80]!r} can't be the name of a branch: nothing was pushed"
    return ""


def _push(what: Publication) -> Generator[tuple[str, ...], CommandEnd, str]:
    """Why not; empty: it is there."""
    end = yield (*GIT, *_PUSH, what.remote, f"{what.commit}:refs/heads/{what.branch}")
    if end.well:
        return ""
    refused = _REFUSED.search(end.tail)
    if refused is None:
        return f"can't push {what.branch} to {what.remote}: {_why(end)}; `git push` there by hand tells more"
    there = yield (*GIT, "merge-base", "--is-ancestor", what.commit, f"refs/remotes/{what.remote}/{what.branch}")
    if there.well:
        return ""
    return (
        f"{what.remote} refused {what.branch}: {refused[1]}; what it has and we have not comes with "
        f"`git pull --rebase {what.remote} {what.branch}`, then push by hand"
    )


def _pull_request(what: Publication, body_path: str) -> Generator[tuple[str, ...], CommandEnd, tuple[str, str]]:
    """(address, why there is none)."""
    end = yield (*GIT, "remote", "get-url", what.remote)
    on_github = ADDRESS.fullmatch(end.tail.strip())
    # Among several remotes gh would ask which one is meant.
    where = ("--repo", "/".join(on_github.groups())) if on_github else ()
    branches = ("--head", what.branch, "--base", what.base)
    end = yield ("gh", "pr", "list", *where, *branches, "--state", "open", "--json", "url", "--limit", "1")
    if end.well and (found := _PULL_REQUEST.search(end.tail)):
        return found[0], ""
    end = yield ("gh", "pr", "create", *where, *branches, "--title", what.title, "--body-file", body_path)
    found = _PULL_REQUEST.search(end.tail)  # also where it says that there is one already
    if found:
        return found[0], ""
    by_hand = f"{what.branch} is pushed to {what.remote}: open the pull request by hand"
    if end.exit_code == _NOT_THERE:
        return "", f"gh can't be started here: install it (cli.github.com); {by_hand}"
    return "", f"gh opened no pull request: {_why(end)}; {by_hand}"


def _why(end: CommandEnd) -> str:
    """What a command that failed said last, in a line."""
    told = [line for line in end.tail.splitlines() if line.strip() and not line.startswith(("hint:", "To ", "Done"))]
    return " ".join([end.reason(DEADLINE_SECONDS), "-", *(line.strip() for line in told[-5:])])[:600].rstrip(" -")


class Publisher:
    """Runs one publication at a time. `environment`: conductor's own; what git and gh need of it is passed on."""

    def __init__(self, kept: KeptProcess, environment: Mapping[str, str], also_pass: tuple[str, ...] = ()) -> None:
        self._kept = kept
        self._environment = tool_environment(environment, also_pass)
        self._steps: Steps | None = None
        self._over: Published | None = None
        self._workspace = ""
        self._folder = ""
        self._count = 0

    def is_busy(self) -> bool:
        """One goes on, or nobody has taken yet what became of it: another has to wait."""
        return self._steps is not None or self._over is not None

    def start(self, what: Publication, folder: str) -> None:
        """`folder`: where logs and the pull request's text are written."""
        os.makedirs(folder, mode=0o700, exist_ok=True)
        body_path = f"{folder}/pull-request.md"
        write_plain(body_path, what.body.encode("utf-8", "replace"))
        self._workspace, self._folder, self._count = what.workspace, folder, 0
        self._steps = publishing(what, body_path)
        self._go_on(None)

    def fileno(self) -> int:
        """Readable when `take` should be called; -1: nothing runs, though `take` may have an answer."""
        return self._kept.fileno()

    def take(self) -> Published | None:
        """What became of it, once; None: it goes on, or there is nothing."""
        end = self._kept.take()
        if end is not None:
            self._go_on(end)
        over, self._over = self._over, None
        return over

    def stop(self) -> None:
        """Ends what goes on, and forgets what became of it."""
        self._kept.stop()
        self._steps = self._over = None

    def _go_on(self, end: CommandEnd | None) -> None:
        assert self._steps is not None  # started
        try:
            argv = next(self._steps) if end is None else self._steps.send(end)
        except StopIteration as over:
            self._steps, self._over = None, over.value
            return
        self._count += 1
        log = f"{self._folder}/publish-{self._count}.log"
        self._kept.start(Command(argv, self._workspace, self._environment, log, DEADLINE_SECONDS))
