"""Idle workers that were stopped by a signal: the others go on, and the end does not wait for them."""

from __future__ import annotations

import os
import signal

from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.support import submit, wait_for_end


def test_a_frozen_idle_worker_does_not_keep_the_others_asleep(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=3)
    frozen = conductord.slots("idle")[0]["pid"]
    os.kill(frozen, signal.SIGSTOP)

    # when
    tasks = [submit(home, "true") for _ in range(4)]

    # then
    assert [wait_for_end(home, task).status.value for task in tasks] == ["SUCCESS"] * 4
    os.kill(frozen, signal.SIGCONT)


def test_stop_now_ends_a_daemon_whose_idle_worker_is_frozen(daemon: DaemonFactory) -> None:
    # given
    conductord = daemon(workers=1, grace="100ms")
    os.kill(conductord.slots("idle")[0]["pid"], signal.SIGSTOP)

    # when
    conductord.ask("stop", now=True)

    # then
    assert conductord.wait() == 0
