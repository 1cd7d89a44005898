"""A task in a cgroup of its own: even one that clears its environment ends when all of conductor was killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.kit import cgroup
from conductor.kit.process import identity_of, send_signal
from tests.conftest import DaemonFactory
from tests.support import eventually, submit, wait_for_end


@pytest.fixture
def groups() -> Iterator[Path]:
    """A folder in which cgroups can be made, removed afterwards."""
    mount = cgroup._mount_point()
    folder = Path(mount, f"conductor-test-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup v2 that this user may make groups in: {error}")
    yield folder
    for name in cgroup.groups_in(str(folder)):
        cgroup.end_cgroup(str(folder / name))
    folder.rmdir()


def test_a_group_is_made_for_the_attempt_and_gone_after_it(daemon: DaemonFactory, home: Home, groups: Path) -> None:
    # given
    daemon(workers=1, cgroup=str(groups))

    # when
    line = wait_for_end(home, submit(home, "grep ^0:: /proc/self/cgroup; setsid sleep 100 & exit 0"))

    # then
    assert f"{groups.name}/{line.worker_id}" in line.preview
    assert cgroup.groups_in(str(groups)) == []


def test_what_cleared_its_environment_ends_after_worker_nursery_and_daemon_were_killed(
    daemon: DaemonFactory, home: Home, groups: Path, tmp_path: Path
) -> None:
    # given
    first = daemon(workers=1, cgroup=str(groups))
    hidden = tmp_path / "hidden.pid"
    submit(home, f"env -i /bin/sh -c 'setsid sleep 1000 & echo $! >{hidden}'; sleep 1000")
    pid = int(eventually(lambda: hidden.exists() and hidden.read_text().strip(), what="the hidden process"))
    worker = eventually(lambda: first.slots("busy"))[0]["pid"]

    # when
    nurseries = first.nurseries()
    first.kill()
    for doomed in (*nurseries, worker):
        send_signal(doomed, signal.SIGKILL)
    eventually(lambda: identity_of(worker) is None)

    # then
    assert identity_of(pid), "killing conductor alone does not reach it: that is what the group is for"
    daemon(workers=1, cgroup=str(groups))
    eventually(lambda: identity_of(pid) is None, what="the end of the hidden process")
