"""The files of a repository as git lists them, or of a plain folder: bounded in number and in time."""

from __future__ import annotations

import os
import subprocess
import tempfile

MOST_FILES = 50_000
_MOST_BYTES = 8 * 1_048_576
_MOST_SECONDS = 20.0
_NOT_WALKED = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__", ".conductor", "target", "dist"})
_GIT = (
    *("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"),
    *("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
)
"""Nothing that the repository's own settings name is run."""


def listed_files(folder: str) -> tuple[str, ...]:
    """Paths relative to `folder`, sorted, at most MOST_FILES; as git lists them where it does."""
    if os.path.lexists(f"{folder}/.git") and (listed := _by_git(folder)) is not None:
        return listed
    return _by_walking(folder)


def _by_git(folder: str) -> tuple[str, ...] | None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    with tempfile.TemporaryFile() as listed:
        try:
            subprocess.run(
                _GIT,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=listed,
                stderr=subprocess.DEVNULL,
                timeout=_MOST_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        listed.seek(0)
        raw = listed.read(_MOST_BYTES)
    names = raw.decode("utf-8", "replace").split("\0")[:-1]  # the last is empty, or cut in two
    return tuple(sorted(dict.fromkeys(names)))[:MOST_FILES]


def _by_walking(folder: str) -> tuple[str, ...]:
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NOT_WALKED)
        inside = os.path.relpath(place, folder)
        for name in sorted(files):
            path = name if inside == "." else f"{inside}/{name}"
            found.append(path.encode("utf-8", "replace").decode())
        if len(found) >= MOST_FILES:
            break
    return tuple(sorted(found[:MOST_FILES]))
