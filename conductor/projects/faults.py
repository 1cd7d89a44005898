"""What forbids merging a step's work, told to its agent. Looks at trees, never at files that may change meanwhile."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from conductor.domain.overlap import matches
from conductor.projects.git import Git
from conductor.projects.place import Place

LARGEST_BYTES = 50_000_000
_MOST_TOLD = 20
_LINK, _REPOSITORY = "120000", "160000"
_GIT_FOLDER = re.compile(r"\.git|git~[0-9]", re.IGNORECASE | re.ASCII)
_MARKER = re.compile(r"^(.+):([0-9]+): leftover conflict marker$")


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two trees."""

    path: str
    mode: str
    """Octal; `000000`: it is gone."""
    mode_before: str
    blob: str


def changes_between(git: Git, before: str, after: str) -> tuple[Change, ...]:
    """By path. Renames are told as one path that went and one that came."""
    fields = git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", before, after).fields
    found = []
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        old, new, _, blob, _ = meta.removeprefix(":").split(" ")
        found.append(Change(path, new, old, blob))
    return tuple(sorted(found, key=lambda change: change.path))


def find_faults(
    place: Place, base: str, tree: str, changes: Sequence[Change], declared: Sequence[str]
) -> tuple[str, ...]:
    """In words, at most twenty. `declared`: globs that every path has to match; none: any will do."""
    if not changes:
        return ()
    there = [change for change in changes if change.mode != "000000"]
    faults = [told for change in changes if (told := _unsafe_name(change.path))]
    faults += [
        f"{change.path!r} is a repository of its own: remove its .git folder or the whole of it"
        if change.mode_before != _REPOSITORY
        else f"{change.path!r} is a sub-module and was moved to another commit, which would be lost: put it back"
        for change in there
        if change.mode == _REPOSITORY
    ]
    sizes = _sizes(place.git, [change for change in there if change.mode != _REPOSITORY])
    faults += _links_out(place.git, [change for change in there if change.mode == _LINK])
    faults += [
        f"{change.path!r} is larger than {LARGEST_BYTES // 1_000_000} MB: leave it out, or name it in .gitignore"
        for change in there
        if sizes.get(change.blob, 0) > LARGEST_BYTES
    ]
    faults += _conflict_markers(place.git, base, tree, there)
    if declared:
        faults += [
            f"{change.path!r} is outside of what this step may touch ({', '.join(declared)}): undo that change"
            for change in changes
            if not matches(change.path, declared)
        ]
    more = len(faults) - _MOST_TOLD
    return tuple(faults[:_MOST_TOLD]) + ((f"and {more} more",) if more > 0 else ())


def _unsafe_name(path: str) -> str:
    """Why; empty: a name as any other."""
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
        return f"{path!r} has control characters in its name, or is not UTF-8: give it another name"
    for part in path.split("/"):
        plain = "".join(letter for letter in part if unicodedata.category(letter) != "Cf").rstrip(". ")
        if _GIT_FOLDER.fullmatch(plain.split(":")[0]):
            return f"{path!r} is a git folder on some systems: give it another name"
    return ""


def _links_out(git: Git, links: Sequence[Change]) -> list[str]:
    if not links:
        return []
    told = []
    for link, target in zip(links, _contents(git, [link.blob for link in links]), strict=True):
        if _leads_out(link.path, target):
            where = target.decode("utf-8", "replace")
            told.append(f"{link.path!r} is a link out of the project, to {where!r}: make it a file, or remove it")
    return told


def _leads_out(path: str, target: bytes) -> bool:
    """A `..` after a name counts too: that name may be another link."""
    depth, named = path.count("/"), False
    if target.startswith(b"/"):
        return True
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
            if named or depth < 0:
                return True
        elif part not in (b"", b"."):
            named = True
            if part.lower() == b".git":
                return True
    return False


def _contents(git: Git, blobs: Sequence[str]) -> list[bytes]:
    out = git("cat-file", "--batch", stdin="\n".join(blobs).encode() + b"\n").out
    found, at = [], 0
    for _ in blobs:
        end = out.index(b"\n", at)
        size = int(out[at:end].split(b" ")[2])
        found.append(out[end + 1 : end + 1 + size])
        at = end + size + 2
    return found


def _sizes(git: Git, changes: Sequence[Change]) -> dict[str, int]:
    if not changes:
        return {}
    asked = "\n".join(change.blob for change in changes).encode() + b"\n"
    lines = git("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked).lines
    return {blob: int(size) for blob, _, size in (line.partition(" ") for line in lines) if size.isdigit()}


def _conflict_markers(git: Git, base: str, tree: str, there: Sequence[Change]) -> list[str]:
    """A row of equal signs is a heading in many files: only the other markers count."""
    strict = git.having("core.whitespace=-trailing-space,-space-before-tab,-blank-at-eof")
    matches = (_MARKER.match(line) for line in strict("diff-tree", "-r", "--check", base, tree, ok=(0, 2)).lines)
    suspected: dict[str, list[int]] = {}
    for match in matches:
        if match:
            suspected.setdefault(match[1], []).append(int(match[2]))
    blobs = {change.path: change.blob for change in there if change.path in suspected}
    contents = _contents(git, list(blobs.values())) if blobs else []
    told = []
    for path, content in zip(blobs, contents, strict=True):
        lines = content.split(b"\n")
        found = [number for number in suspected[path] if lines[number - 1][:1] in (b"<", b">")]
        if found:
            told.append(f"{path}:{found[0]} holds conflict markers: solve the conflict there")
    return told
