"""Reading, listing, writing and editing files of a workspace, as a model asks for it. All raise ToolFailed, OSError."""

from __future__ import annotations

import os

from conductor.agents.loop.workspace import ToolFailed, Workspace

_MOST_LINES = 2000
_MOST_CHARACTERS = 48_000
_MOST_ENTRIES = 1000
_LONGEST_LINE = 2000
LEFT_OUT = frozenset({".git", "node_modules", "__pycache__", ".venv"})
"""Folders that are not gone through."""


def read(workspace: Workspace, path: str, offset: int = 1, limit: int = _MOST_LINES) -> str:
    content = workspace.read(path)
    if b"\0" in content[:8192]:
        raise ToolFailed(f"{path}: {len(content)} bytes that are no text")
    try:
        text, note = content.decode(), ""
    except UnicodeDecodeError:
        text, note = content.decode("utf-8", "replace"), "[not UTF-8: bytes that could not be read stand as \ufffd]\n"
    lines = text.split("\n")
    first = max(1, offset)
    wanted, length = [], 0
    for line in lines[first - 1 : first - 1 + max(1, limit)]:
        wanted.append(line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} [line cut]")
        length += len(wanted[-1]) + 1
        if length > _MOST_CHARACTERS:
            break
    last = first - 1 + len(wanted)
    more = f"\n[lines {first} to {last} of {len(lines)}]" if last < len(lines) or first > 1 else ""
    return note + "\n".join(wanted) + more


def write(workspace: Workspace, path: str, content: str) -> str:
    encoded = content.encode("utf-8", "replace")
    workspace.write(path, encoded)
    return f"{len(encoded)} bytes written to {path}"


def edit(workspace: Workspace, path: str, old: str, new: str, all: bool = False) -> str:  # noqa: A002 - the tool's word
    """On bytes: what else is in the file, in whatever encoding, stays as it is."""
    content, sought = workspace.read(path), old.encode("utf-8", "replace")
    if not sought:
        raise ToolFailed("edit: old is empty: use write to make a file")
    found = content.count(sought)
    if found == 0:
        raise ToolFailed(f"{path}: old does not stand there: read it again")
    if found > 1 and not all:
        raise ToolFailed(f"{path}: old stands there {found} times: take in more around it, or say all")
    workspace.write(path, content.replace(sought, new.encode("utf-8", "replace")))
    return f"{found} replaced in {path}"


def list_folder(workspace: Workspace, path: str = ".", recursive: bool = False) -> str:
    entries: list[str] = []
    with workspace.opened_folder(path) as descriptor:
        for at, folders, files, _ in os.fwalk(".", dir_fd=descriptor):
            below = "" if at == "." else at.removeprefix("./") + "/"
            entries += sorted([f"{below}{name}/" for name in folders] + [below + name for name in files])
            folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
            if not recursive or len(entries) > _MOST_ENTRIES:
                break
    kept = [entry.encode("utf-8", "replace").decode() for entry in entries[:_MOST_ENTRIES]]
    return "\n".join(kept) + (f"\n[of {len(entries)} or more]" if len(entries) > len(kept) else "")
