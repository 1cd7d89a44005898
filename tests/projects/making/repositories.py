"""Real repositories, a bare one to push to, and programs on the PATH that record what they were asked."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from tests.support import eventually

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "LC_ALL": "C",
}
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@home.example",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@home.example",
}


def git(folder: Path, *arguments: str) -> str:
    """As a person there would call it."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENVIRONMENT | IDENTITY | {"HOME": str(folder)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().rstrip("\n")


def new_repository(folder: Path, branch: str = "main") -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", branch)
    return folder


def commit(folder: Path, name: str, text: str = "text\n") -> str:
    """A commit that adds or changes one file; its name."""
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"chore: {name}")
    return git(folder, "rev-parse", "HEAD")


class StandIn:
    """A program on the PATH: records its arguments and environment, then does what `body` (Python) says."""

    def __init__(self, folder: Path, name: str, body: str = "") -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(exist_ok=True)
        self._record = folder / f"{name}.asked"
        program = self.bin / name
        program.write_text(
            f"#!{sys.executable} -I\n"
            "import json, os, sys\n"
            f"with open({str(self._record)!r}, 'a') as file:\n"
            "    file.write(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]) + '\\n')\n" + body
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def path(self) -> str:
        """A PATH on which it comes first."""
        return f"{self.bin}{os.pathsep}{ENVIRONMENT['PATH']}"

    @property
    def asked(self) -> list[list[str]]:
        return [call[0] for call in self._calls()]

    @property
    def environments(self) -> list[dict[str, str]]:
        return [call[1] for call in self._calls()]

    @property
    def folders(self) -> list[str]:
        return [call[2] for call in self._calls()]

    def _calls(self) -> list[tuple[list[str], dict[str, str], str]]:
        return [json.loads(line) for line in self._record.read_text().splitlines()] if self._record.exists() else []


__all__ = ["ENVIRONMENT", "IDENTITY", "StandIn", "commit", "eventually", "git", "new_repository"]
