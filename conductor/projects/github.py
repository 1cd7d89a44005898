"""The repository of a project on GitHub, through the GitHub command line `gh`."""

from __future__ import annotations

import re

from conductor.domain.errors import RepositoryBroken, UsageError
from conductor.domain.run import Project
from conductor.projects.tool import Tools

REMOTE = "origin"
ADDRESS = re.compile(
    r"(?:https?://(?:[^@/\s]*@)?|ssh://[^@/\s]+@|[^@/\s:]+@)([A-Za-z0-9.-]+)(?::\d+/|[:/])"
    r"([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+?)(?:\.git)?/?"
)
"""Host, owner and name in what a remote's address is."""


def put_on_github(project: Project, description: str, tools: Tools) -> str:
    """Makes a private repository of the project's name, the remote `origin`, and pushes the target to it; `owner/name`.

    Can be done again: what is there already stays, and only a repository without any branch is pushed to.
    """
    workspace = project.workspace
    if not _address(workspace, tools):
        told = ("--description", description) if description else ()
        made = tools.run(
            "gh", "repo", "create", project.name, "--private", "--source", workspace, "--remote", REMOTE, *told,
            folder=workspace,
        )  # fmt: skip
        if made.code:
            raise RepositoryBroken(
                f"gh made no repository {project.name} on GitHub: {made.fault}; `gh auth status` tells whether you are "
                f"logged in; where it exists, `git remote add {REMOTE} ADDRESS` in {workspace}, then do this again"
            )
    address = _address(workspace, tools)
    if not address:
        raise RepositoryBroken(f"gh set no remote {REMOTE} in {workspace}: set it with `git remote add`, then again")
    if not tools.git(workspace, "ls-remote", "--heads", REMOTE).out.strip():
        branch = f"refs/heads/{project.target}"
        tools.git(workspace, "push", "--no-follow-tags", "--set-upstream", REMOTE, f"{branch}:{branch}")
    found = ADDRESS.fullmatch(address)
    return f"{found[2]}/{found[3]}" if found else ""


def check_name_for_github(name: str) -> None:
    """Raises UsageError."""
    if name.endswith((".git", ".wiki")):
        raise UsageError(f"GitHub takes no repository called {name!r}: choose another name")


def _address(workspace: str, tools: Tools) -> str:
    return tools.git(workspace, "remote", "get-url", REMOTE, ok=(0, 2)).out.strip()
