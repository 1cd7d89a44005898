"""Ends what a killed worker left running: found by cgroup, descent and environment, never by name."""

from __future__ import annotations

import os
from collections.abc import Iterable

from conductor.domain.worker_id import parse_worker_id
from conductor.kit.cgroup import end_cgroup, groups_in
from conductor.kit.process import children_of, descendants_of, kill_all, kill_with_variable, owner_lives


class Leftovers:
    """What dead workers' tasks left running: found by the group that each attempt had where `cgroup` is a folder in
    which groups can be made, and by `variable` in the environment, which holds the worker's id."""

    def __init__(self, variable: str, cgroup: str) -> None:
        self._variable = variable
        self._cgroups: list[str] = []
        self.look_in(cgroup)
        self.spared: set[int] = set()
        """Children of ours that are neither workers nor nurseries: services, and who removes what is old."""
        # As process 1, or with children from before an exec, other people's orphans come to us too.
        self._all_children_are_ours = os.getpid() != 1 and not children_of(os.getpid())

    def look_in(self, cgroup: str) -> None:
        """From now on in this folder too: workers that began before the settings changed still have theirs."""
        if cgroup and cgroup not in self._cgroups:
            self._cgroups.append(cgroup)

    def end(self, worker_ids: Iterable[str]) -> int:
        """Kills every process of these dead workers' tasks; returns how many."""
        dead = list(worker_ids)
        killed = sum(end_cgroup(f"{cgroup}/{worker}") for cgroup in self._cgroups for worker in dead)
        return killed + kill_with_variable(self._variable, dead, spare=frozenset({os.getpid()}))

    def end_ownerless_groups(self) -> int:
        """Kills what is in groups whose worker is gone, whether or not anything else tells of it."""
        groups = [(cgroup, name) for cgroup in self._cgroups for name in groups_in(cgroup)]
        dead = [f"{cgroup}/{name}" for cgroup, name in groups if parse_worker_id(name) and not owner_lives(name)]
        return sum(map(end_cgroup, dead))

    def end_strays(self, known: frozenset[int], nursery_commands: frozenset[bytes]) -> list[int]:
        """Kills children of this subreaper that nobody owns, with all below them.

        A living worker is a subreaper itself, so what comes to us is what a killed one left, even if it changed its
        environment. Workers of a nursery that died are ours too: they look like their nursery and are spared.
        """
        if not self._all_children_are_ours:
            return []
        children = [pid for pid in children_of(os.getpid()) if pid not in self.spared]
        strays = [pid for pid in children if pid not in known and _command_of(pid) not in nursery_commands]
        kill_all(pid for stray in strays for pid in (stray, *descendants_of(stray)))
        return strays


def _command_of(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""
