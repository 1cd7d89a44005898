"""Whether anything but its worktree changed while a step worked: main checkout, protected refs, git's own settings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from conductor.projects.git import Git
from conductor.projects.names import is_ours
from conductor.projects.place import Place, read_document, write_document

_WATCHED_SECTIONS = frozenset(
    "core diff extensions filter hook http include includeif merge protocol receive remote submodule trailer "
    "uploadpack url".split()
)
"""Those that can start a program or lead somewhere else; what `git switch` and `git config user.name` write is not
in them."""
_MOST_TOLD = 20
_MOST_LANDINGS = 200


def remember_settings(place: Place, run_id: str) -> None:
    """Git's settings as they are when a run begins, before any agent of it did."""
    os.makedirs(f"{place.folder}/runs", mode=0o700, exist_ok=True)
    if read_document(_remembered(place, run_id)) is None:
        write_document(_remembered(place, run_id), _settings(place))


def forget_settings(place: Place, run_id: str) -> bool:
    """The run is over; whether it was the last one of this project that was open."""
    with suppress(FileNotFoundError):
        os.unlink(_remembered(place, run_id))
    runs = f"{place.folder}/runs"
    return not (os.path.isdir(runs) and os.listdir(runs))


def fingerprint(place: Place, run_id: str) -> dict[str, Any]:
    """What should be the same when the step has ended, unless a person worked beside it. Settings count from the
    run's beginning: what one step smuggled in is not trusted for the next one."""
    settings = read_document(_remembered(place, run_id)) or _settings(place)
    return {
        "head": _head(place),
        "refs": _protected_refs(place.git),
        "dirty": _dirty(harmless(place, settings)),
        "settings": settings,
    }


def harmless(place: Place, settings: Mapping[str, str]) -> Place:
    """The same place, where git starts no program that came into its settings since."""
    if _config(place) == settings["config"]:
        return place
    listed = place.git(
        "config", "--file", _config_file(place), "--includes", "--list", "--name-only", "-z", ok=(0, 1, 128)
    )
    keys = [key for key in listed.fields if key.lower().startswith("filter.")]
    variables = {"GIT_CONFIG_COUNT": str(len(keys))}
    for number, key in enumerate(keys):
        variables |= {f"GIT_CONFIG_KEY_{number}": key}
        variables |= {f"GIT_CONFIG_VALUE_{number}": "false" if key.lower().endswith(".required") else ""}
    return replace(place, git=place.git.saying(**variables), main=place.main.saying(**variables))


def trusted(place: Place, run_id: str) -> Place:
    """The place with the settings that the run began with, as far as they start programs."""
    settings = read_document(_remembered(place, run_id))
    return place if settings is None else harmless(place, settings)


def changes(place: Place, before: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed since then that conductor itself did not do, in words."""
    now: dict[str, Any] = {
        "head": _head(place),
        "refs": _protected_refs(place.git),
        "dirty": _dirty(harmless(place, before["settings"])),
        "settings": _settings(place),
    }
    told = []
    if now["head"] != before["head"]:
        told.append(f"the main checkout went from {before['head']} to {now['head']}")
    told += _changed_refs(place, before["refs"], now["refs"])
    told += _differences(before["dirty"], now["dirty"], "{} changed in the main checkout")
    told += _differences(before["settings"], now["settings"], "{} changed in the repository's git folder")
    more = len(told) - _MOST_TOLD
    return tuple(told[:_MOST_TOLD]) + ((f"and {more} more",) if more > 0 else ())


def note_landing(place: Place, ref: str, old: str, new: str) -> None:
    """Conductor is about to move that ref: no step is to blame for it."""
    path = f"{place.folder}/landed.json"
    moves = [move for move in _landings(path) if move != [ref, old, new]]
    write_document(path, {"moves": [*moves, [ref, old, new]][-_MOST_LANDINGS:]})


def _landings(path: str) -> list[list[str]]:
    moves = (read_document(path) or {}).get("moves", [])
    return moves if isinstance(moves, list) else []


def _head(place: Place) -> str:
    with open(f"{place.main.git_dir}/HEAD", encoding="utf-8", errors="replace") as file:
        text = file.read().strip()
    return text.removeprefix("ref: ") if text.startswith("ref: ") else "a detached HEAD"


def _protected_refs(git: Git) -> dict[str, str]:
    lines = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags").lines
    pairs = (line.partition(" ") for line in lines)
    return {ref: value for ref, _, value in pairs if not is_ours(ref)}


def _changed_refs(place: Place, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    moves = {(ref, old): new for ref, old, new in _landings(f"{place.folder}/landed.json")}
    told = []
    for ref, old in before.items():
        expected, seen = old, set[str]()
        while expected != now.get(ref) and (ref, expected) in moves and expected not in seen:
            seen.add(expected)
            expected = moves[ref, expected]
        if ref not in now:
            told.append(f"{ref} was deleted")
        elif now[ref] != expected:
            told.append(f"{ref} went from {old[:12]} to {now[ref][:12]}")
    return told


def _dirty(place: Place) -> dict[str, str]:
    """Every path that differs from the commit, with what tells its content from another one's."""
    status = place.main(
        "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=all"
    )
    found = {}
    for entry in status.fields:
        path = entry[3:]
        if path.split("/")[0] != ".conductor":
            found[path] = f"{entry[:2]} {_stamp(f'{place.workspace}/{path}')}"
    return found


def _stamp(path: str) -> str:
    try:
        found = os.lstat(path)
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}" if not os.path.isdir(path) else "folder"


def _settings(place: Place) -> dict[str, str]:
    found = {"config": _config(place)}
    for name in ("info/exclude", "info/attributes", "info/grafts", "objects/info/alternates"):
        found[name] = _stamp(f"{place.common}/{name}")
    hooks = f"{place.common}/hooks"
    for name in sorted(os.listdir(hooks)) if os.path.isdir(hooks) else []:
        found[f"hooks/{name}"] = _stamp(f"{hooks}/{name}")
    return found


def _remembered(place: Place, run_id: str) -> str:
    return f"{place.folder}/runs/{run_id}.json"


def _config_file(place: Place) -> str:
    return f"{place.common}/config"


def _config(place: Place) -> str:
    stamp = _full_stamp(_config_file(place))
    known, digest = place.memory.get("config", (None, ""))
    if known is None or known != stamp:
        entries = place.git("config", "--file", _config_file(place), "--list", "-z", ok=(0, 1, 128)).fields
        watched = sorted(entry for entry in entries if entry.split(".", 1)[0].lower() in _WATCHED_SECTIONS)
        digest = hashlib.sha256("\0".join(watched).encode("utf-8", "surrogateescape")).hexdigest()
        place.memory["config"] = stamp, digest
    return digest


def _full_stamp(path: str) -> tuple[int, ...]:
    """Another one after each change: nobody sets a file's change time."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _differences(before: Mapping[str, str], now: Mapping[str, str], told: str) -> list[str]:
    return [told.format(name) for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
