"""A model of a disk that keeps for certain only what was synced.

What the model grants: a rename, like every other change of a name, happens wholly or not at all. fsync of a file makes
its bytes and its size durable, not its name; fsync of a directory makes every change of a name in it so far durable.
Everything else may be lost in a power cut, each piece by itself: a change of a name that builds on a lost one is lost
with it, and of bytes that were not synced nothing, half or all may be there.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tree = dict[str, bytes | str | None]
"""Relative path to content, a link's target, or None for a folder."""
Entry = tuple[int, str]
"""(inode of the folder, name)."""


@dataclass
class Inode:
    """A file, link or folder by itself. `made_at` is the operation that made it, None: it was there before."""

    kind: str
    content: bytes = b""
    target: str = ""
    made_at: int | None = None


@dataclass(frozen=True)
class NameChange:
    """Entries that go and that come, at once. `needs` are earlier changes of the same entries."""

    deed: str
    removed: tuple[Entry, ...]
    added: tuple[tuple[int, str, int], ...]
    needs: frozenset[int]
    folders: frozenset[int]


@dataclass(frozen=True)
class DataChange:
    """Bytes written into a file at an offset; None: it was cut to `offset` bytes."""

    inode: int
    offset: int
    written: bytes | None


@dataclass(frozen=True)
class Sync:
    inode: int


Operation = NameChange | DataChange | Sync


@dataclass
class Disk:
    """What is on the disk now, what was at the beginning, and every operation in between."""

    root: str
    operations: list[Operation] = field(default_factory=list)
    inodes: dict[int, Inode] = field(default_factory=dict)
    entries: dict[Entry, int] = field(default_factory=dict)
    _last: dict[Entry, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inodes[0] = Inode("folder")
        self._adopt(Path(self.root), 0)
        self.first_inodes = {number: Inode(**vars(inode)) for number, inode in self.inodes.items()}
        self.first_entries = dict(self.entries)

    def _adopt(self, folder: Path, number: int) -> None:
        for path in sorted(folder.iterdir()):
            kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
            inode = Inode(kind, path.read_bytes() if kind == "file" else b"")
            inode.target = os.readlink(path) if kind == "link" else ""
            new = len(self.inodes)
            self.inodes[new] = inode
            self.entries[number, path.name] = new
            if kind == "folder":
                self._adopt(path, new)

    # -- what happens

    def covers(self, path: Any) -> bool:
        return isinstance(path, str) and (path == self.root or path.startswith(self.root + "/"))

    def entry(self, path: str) -> Entry:
        folder, _, name = path.rpartition("/")
        return self.inode(folder), name

    def inode(self, path: str) -> int:
        number = 0
        for name in path[len(self.root) :].strip("/").split("/"):
            number = self.entries[number, name] if name else number
        return number

    def exists(self, path: str) -> bool:
        try:
            self.inode(path)
        except KeyError:
            return False
        return True

    def make(self, deed: str, path: str, kind: str, target: str = "") -> None:
        number = len(self.inodes)
        self.inodes[number] = Inode(kind, target=target, made_at=len(self.operations))
        self._change(deed, (), ((*self.entry(path), number),))

    def remove(self, deed: str, path: str) -> None:
        """A folder goes only after all that was in it."""
        inside = frozenset(index for entry, index in self._last.items() if entry[0] == self.inode(path))
        self._change(deed, (self.entry(path),), (), inside)

    def rename(self, source: str, target: str) -> None:
        self._change("rename", (self.entry(source),), ((*self.entry(target), self.inode(source)),))

    def _change(
        self,
        deed: str,
        removed: tuple[Entry, ...],
        added: tuple[tuple[int, str, int], ...],
        needs: frozenset[int] = frozenset(),
    ) -> None:
        touched = (*removed, *(new[:2] for new in added))
        before = {self._last[entry] for entry in touched if entry in self._last}
        before |= {made for folder, _ in removed for made in self._made_with(folder)}
        for entry in removed:
            del self.entries[entry]
        for folder, name, number in added:
            self.entries[folder, name] = number
        self._last.update(dict.fromkeys(touched, len(self.operations)))
        folders = frozenset(entry[0] for entry in touched)
        self.operations.append(NameChange(deed, removed, added, needs | before, folders))

    def _made_with(self, folder: int) -> Iterator[int]:
        """What made a folder and those above it: they were there for certain when something came out of it for good."""
        made_at = self.inodes[folder].made_at
        if made_at is not None:
            yield made_at
            made = self.operations[made_at]
            assert isinstance(made, NameChange)
            yield from self._made_with(made.added[0][0])

    def write(self, number: int, offset: int, written: bytes | None) -> None:
        inode = self.inodes[number]
        inode.content = _changed(inode.content, offset, written)
        self.operations.append(DataChange(number, offset, written))

    def sync(self, number: int) -> None:
        self.operations.append(Sync(number))

    def tree(self, at: int) -> Tree:
        """What was there after the first `at` operations."""
        return self._tree(at, set(), {number: 2 * length for number, length in self._unsynced_writes(at).items()})

    # -- what a power cut leaves

    def states_after_cut(self, at: int, most: int, chance: random.Random) -> Iterator[Tree]:
        """Different legal trees when the power goes after the first `at` operations: all, or `most` of many."""
        names = self._losable(at)
        files = {number: length for number, length in self._unsynced_writes(at).items() if length}
        choices = [range(2 * length + 1) for length in files.values()]
        size = 2 ** len(names) * _product(len(choice) for choice in choices)
        every = itertools.product(itertools.product((False, True), repeat=len(names)), itertools.product(*choices))
        picked = every if size <= most else _sample(len(names), choices, most, chance)
        seen = set()
        for kept, halves in picked:
            lost = self._with_what_follows({name for name, keep in zip(names, kept, strict=True) if not keep}, at)
            tree = self._tree(at, lost, dict(zip(files, halves, strict=True)))
            fingerprint = frozenset(tree.items())
            if fingerprint not in seen:
                seen.add(fingerprint)
                yield tree

    def _losable(self, at: int) -> list[int]:
        """Changes of names that no sync made durable, by itself or through a later one that builds on them."""
        durable: set[int] = set()
        synced: set[int] = set()
        for index in range(at - 1, -1, -1):
            match self.operations[index]:
                case Sync(number):
                    synced.add(number)
                case NameChange(needs=needs, folders=folders) if index in durable or folders & synced:
                    durable |= {index, *needs}
        return [i for i in range(at) if isinstance(self.operations[i], NameChange) and i not in durable]

    def _with_what_follows(self, lost: set[int], at: int) -> set[int]:
        """`lost`, and what builds on it: changes of the same entries, and all in a folder that is not there."""
        for index in range(at):
            change = self.operations[index]
            if isinstance(change, NameChange):
                homes = {self.inodes[folder].made_at for folder in change.folders}
                if lost & change.needs or lost & homes:
                    lost.add(index)
        return lost

    def _unsynced_writes(self, at: int) -> dict[int, int]:
        """How many changes of bytes since its last sync each file has."""
        count: dict[int, int] = {}
        for operation in self.operations[:at]:
            match operation:
                case DataChange(number):
                    count[number] = count.get(number, 0) + 1
                case Sync(number):
                    count[number] = 0
        return count

    def _tree(self, at: int, lost: set[int], halves: dict[int, int]) -> Tree:
        entries = dict(self.first_entries)
        contents = {number: inode.content for number, inode in self.first_inodes.items()}
        left = self._unsynced_writes(at)
        for index, operation in enumerate(self.operations[:at]):
            match operation:
                case NameChange(removed=removed, added=added) if index not in lost:
                    for entry in removed:
                        del entries[entry]
                    entries.update({(folder, name): number for folder, name, number in added})
        for number in {operation.inode for operation in self.operations[:at] if isinstance(operation, DataChange)}:
            writes = [op for op in self.operations[:at] if isinstance(op, DataChange) and op.inode == number]
            sure = len(writes) - left[number]
            contents[number] = _half_written(contents.get(number, b""), writes, sure, halves.get(number, 0))
        return {path: self._leaf(number, contents) for path, number in _paths(entries, 0, "")}

    def _leaf(self, number: int, contents: dict[int, bytes]) -> bytes | str | None:
        inode = self.inodes[number]
        return {"file": contents.get(number, b""), "link": inode.target, "folder": None}[inode.kind]


def _half_written(content: bytes, writes: list[DataChange], sure: int, halves: int) -> bytes:
    """The first `sure` writes, half of the others' number twice counted, and half of the last of them if it is odd."""
    for write in writes[: sure + halves // 2]:
        content = _changed(content, write.offset, write.written)
    if halves % 2:
        torn = writes[sure + halves // 2]
        if torn.written is not None:
            content = _changed(content, torn.offset, torn.written[: len(torn.written) // 2])
    return content


def _changed(content: bytes, offset: int, written: bytes | None) -> bytes:
    if written is None:
        return content[:offset].ljust(offset, b"\0")
    return content[:offset].ljust(offset, b"\0") + written + content[offset + len(written) :]


def _paths(entries: dict[Entry, int], folder: int, prefix: str) -> Iterator[tuple[str, int]]:
    """Folders before what is in them."""
    for (parent, name), number in entries.items():
        if parent == folder:
            yield prefix + name, number
            yield from _paths(entries, number, f"{prefix}{name}/")


def _product(numbers: Iterator[int]) -> int:
    total = 1
    for number in numbers:
        total *= number
    return total


def _sample(
    names: int, choices: list[range], most: int, chance: random.Random
) -> Iterator[tuple[tuple[bool, ...], tuple[int, ...]]]:
    """The telling cases first: all or nothing, each one lost or kept alone, each prefix. Then by chance."""
    extremes = [tuple(choice[0] for choice in choices), tuple(choice[-1] for choice in choices)]
    extremes.append(tuple(choice[len(choice) // 2] for choice in choices))
    patterns = [(False,) * names, (True,) * names]
    patterns += [tuple(i < end for i in range(names)) for end in range(1, names)]
    patterns += [tuple((i == alone) is kept for i in range(names)) for alone in range(names) for kept in (True, False)]
    telling = list(itertools.product(patterns, extremes))
    if len(telling) > most:
        telling = telling[:6] + chance.sample(telling[6:], most - 6)
    yield from telling
    for _ in range(most - len(telling)):
        yield tuple(chance.random() < 0.5 for _ in range(names)), tuple(chance.choice(choice) for choice in choices)


def put(tree: Tree, folder: Path) -> None:
    """Makes `tree` below `folder`."""
    for path, leaf in tree.items():
        where = folder / path
        if leaf is None:
            where.mkdir(0o700, parents=True, exist_ok=True)
        elif isinstance(leaf, str):
            os.symlink(leaf, where)
        else:
            where.write_bytes(leaf)


def take(folder: Path) -> Tree:
    """What is below `folder`."""
    tree: Tree = {}
    for path in sorted(folder.rglob("*")):
        leaf = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        tree[str(path.relative_to(folder))] = leaf
    return tree
