"""How much memory is left: of the machine, and of the control groups (v2) that we are in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

MEMINFO = "/proc/meminfo"


class AvailableMemory:
    """Call it for the bytes that can be taken now without anybody being killed; None where the system does not tell."""

    def __init__(self, meminfo: str = MEMINFO, groups: tuple[str, ...] | None = None) -> None:
        """`groups`: folders of the control groups whose limits hold for us; None: our own and those above it."""
        self._meminfo = meminfo
        self._groups = groups

    def __call__(self) -> int | None:
        if self._groups is None:
            self._groups = tuple(_limited_groups())
        left = [self._of_machine(), *(_left_in(group) for group in self._groups)]
        return min((one for one in left if one is not None), default=None)

    def _of_machine(self) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            with open(self._meminfo, encoding="ascii") as file:
                for line in file:
                    if line.startswith("MemAvailable:"):
                        return int(line.split()[1]) * 1024
        return None


def _left_in(group: str) -> int | None:
    """The group's limit less what it holds, where files read once (`inactive_file`) do not count: they give way."""
    try:
        most = _read(f"{group}/memory.max").strip()
        if most == "max":
            return None
        held = int(_read(f"{group}/memory.current")) - _inactive_file(group)
        return max(0, int(most) - held)
    except (OSError, ValueError):
        return None


def _inactive_file(group: str) -> int:
    with suppress(OSError, ValueError):
        for line in _read(f"{group}/memory.stat").splitlines():
            name, _, count = line.partition(" ")
            if name == "inactive_file":
                return int(count)
    return 0


def _limited_groups() -> Iterator[str]:
    """Our own group and those above it that have a limit now."""
    with suppress(OSError, ValueError, IndexError):
        own = next((line[3:].strip() for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")), "")
        points = (line.split(" ") for line in _read("/proc/self/mountinfo").splitlines())
        mount = next((fields[4] for fields in points if fields[fields.index("-") + 1] == "cgroup2"), "")
        folder = mount + own.rstrip("/") if mount and own else ""
        while folder.startswith(mount) and mount and folder:
            if os.path.exists(f"{folder}/memory.max") and _left_in(folder) is not None:
                yield folder
            folder = os.path.dirname(folder) if folder != mount else ""


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()
