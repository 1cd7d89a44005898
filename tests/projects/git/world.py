"""A real repository to work on, and the repository of conductor on it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from conductor.projects.repository import GitRepository

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def git(where: Path | str, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    if check and done.returncode:
        raise AssertionError(f"git {arguments}: {done.stderr}")
    return done.stdout.rstrip("\n")


def make_workspace(folder: Path, files: dict[str, bytes]) -> Path:
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    git(workspace, "init", "-q", "-b", "main")
    commit_files(workspace, files, "first")
    return workspace


def commit_files(workspace: Path, files: dict[str, bytes], message: str = "more") -> str:
    for path, content in files.items():
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_bytes(content)
    git(workspace, "add", "-A")
    git(workspace, "commit", "-q", "--allow-empty", "-m", message)
    return git(workspace, "rev-parse", "HEAD")


def make_repository(folder: Path, workspace: Path, **options: Any) -> GitRepository:
    environment = {name: value for name, value in ENVIRONMENT.items() if "_NAME" not in name and "_EMAIL" not in name}
    return GitRepository(
        "project", str(workspace), str(folder / "home/projects/project"), environment=environment, **options
    )


def ours(workspace: Path) -> list[str]:
    """Every ref and worktree of conductor's that is there."""
    refs = git(workspace, "for-each-ref", "--format=%(refname)").split("\n")
    trees = git(workspace, "worktree", "list", "--porcelain").split("\n")
    return [ref for ref in refs if "conductor" in ref] + [line for line in trees if line.startswith("worktree ")][1:]
