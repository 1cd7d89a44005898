"""Signals: TERM drains, INT and a second TERM stop at once, HUP reads the settings again, USR1 writes status.txt."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.domain.task import Tries
from conductor.domain.view import Queued
from tests.conftest import DaemonFactory
from tests.support import (
    Gate,
    eventually,
    run_cli,
    statuses,
    stays,
    submit,
    unfinished,
    wait_for_end,
    write_settings,
)

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


def is_ready_again(home: Home, task: str) -> bool:
    """Whether the task lies in ready/, its first attempt refunded."""
    view = unfinished(home).get(task)
    return isinstance(view, Queued) and view.tries == Tries(started=1, refunded=1)


def test_term_lets_running_tasks_finish_and_starts_no_other(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given two tasks that run and one that waits for a worker
    gates = [Gate(tmp_path, f"gate{number}") for number in range(2)]
    conductord = daemon(workers=2)
    running = [submit(home, gate.command) for gate in gates]
    for gate in gates:
        gate.wait_for()
    waiting = submit(home, "true")

    # when one of them ends after TERM
    conductord.send(TERM)
    eventually(lambda: conductord.log_lines("daemon_ending"))
    gates[0].open()
    wait_for_end(home, running[0])

    # then its slot stays empty, and the daemon ends after the other
    assert stays(lambda: conductord.is_running and statuses(home, waiting) == [])
    gates[1].open()
    assert conductord.wait() == 0
    assert [statuses(home, task) for task in (*running, waiting)] == [["SUCCESS"], ["SUCCESS"], []]
    assert list(unfinished(home)) == [waiting]


def test_after_stop_timeout_a_task_is_stopped_given_back_and_runs_again(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=1, stop_timeout="100ms")
    task = submit(home, gate.command)
    gate.wait_for()

    # when
    assert conductord.stop(TERM) == 0

    # then nothing is recorded, the attempt is refunded
    assert statuses(home, task) == []
    assert is_ready_again(home, task)

    # and after the next start it runs as the next attempt
    conductord.start()
    gate.wait_for(attempt=2)
    gate.open()
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert gate.attempts() == [1, 2]


@pytest.mark.parametrize("signals", [[TERM, TERM], [TERM, INT], [INT]], ids=["TERM TERM", "TERM INT", "INT"])
def test_a_second_term_or_int_stops_at_once_and_gives_back(
    daemon: DaemonFactory, home: Home, tmp_path: Path, signals: list[signal.Signals]
) -> None:
    # given a task that ignores TERM, and settings that would wait for it for minutes
    gate = Gate(tmp_path)
    conductord = daemon(workers=1, stop_timeout="5m", grace="5m")
    task = submit(home, f"trap '' TERM; {gate.command}")
    gate.wait_for()

    # when
    for number in signals:
        conductord.send(number)
        if number is TERM:
            eventually(lambda: conductord.log_lines("daemon_ending"))

    # then
    assert conductord.wait() == 0
    assert statuses(home, task) == []
    assert is_ready_again(home, task)


def test_a_task_that_is_claimed_while_the_daemon_stops_is_given_back_too(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a daemon that does not hear for a moment
    gate = Gate(tmp_path)
    conductord = daemon(workers=1, stop_timeout="5m", grace="5m")
    worker = conductord.slots("idle")[0]["pid"]
    conductord.send(signal.SIGSTOP)

    # when its worker claims a task before the daemon hears INT, and says so afterwards
    task = submit(home, f"trap '' TERM; {gate.command}", ring=False)
    os.kill(worker, signal.SIGUSR1)
    gate.wait_for()
    conductord.send(INT)
    conductord.send(signal.SIGCONT)

    # then
    assert conductord.wait() == 0
    assert is_ready_again(home, task)


def test_idle_workers_leave_with_the_daemon(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=3)

    # when
    code = conductord.stop(TERM)

    # then nothing was lost, nothing had to be killed; the fixture looks for processes
    assert code == 0
    assert conductord.log_lines("worker_killed") == []
    assert not os.path.exists(home.control_socket)


def test_hup_puts_new_settings_in_force(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=1)

    # when
    write_settings(home, workers=4, max_idle_time="1h")
    conductord.send(HUP)

    # then the workers of the old nursery are replaced and there are four
    eventually(lambda: len(conductord.slots("idle")) == 4, what="four idle workers")
    eventually(lambda: len(conductord.nurseries()) == 1, what="the old nursery gone")
    assert len(conductord.log_lines("settings_reloaded")) == 1

    # and back
    write_settings(home, workers=2)
    conductord.send(HUP)
    eventually(lambda: len(conductord.slots()) == 2 and len(conductord.slots("idle")) == 2, what="two idle workers")


def test_hup_disturbs_no_running_task(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    # given
    gate = Gate(tmp_path)
    conductord = daemon(workers=2)
    task = submit(home, gate.command)
    gate.wait_for()

    # when the settings of nursery and workers change under it
    write_settings(home, workers=2, grace="3s")
    conductord.send(HUP)
    eventually(lambda: conductord.log_lines("settings_reloaded"))
    eventually(lambda: len(conductord.nurseries()) == 1 and len(conductord.slots("idle")) == 1)
    gate.open()

    # then
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert gate.attempts() == [1]
    eventually(lambda: len(conductord.slots("idle")) == 2)


@pytest.mark.parametrize("content", ['{"workers": "many"}', "workers: [", ""], ids=["wrong", "no YAML", "unreadable"])
def test_hup_with_an_invalid_file_keeps_the_old_settings_and_says_so(
    daemon: DaemonFactory, home: Home, content: str
) -> None:
    # given
    conductord = daemon(workers=2)
    os.unlink(home.settings_file)
    if content:
        Path(home.settings_file).write_text(content)
    else:
        os.mkdir(home.settings_file)

    # when
    conductord.send(HUP)

    # then
    (refused,) = eventually(lambda: conductord.log_lines("reload_refused"))
    assert home.settings_file in refused["error"]
    assert refused["level"] == "error"
    assert len(conductord.slots("idle")) == 2
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_usr1_writes_the_status_page_now(daemon: DaemonFactory, home: Home) -> None:
    # given a daemon that would not write it for a long time
    conductord = daemon(workers=2, poll_interval="10m")
    eventually(lambda: Path(home.status_page).read_text().count("idle") == 2, what="the last change on the page")
    os.unlink(home.status_page)

    # when
    conductord.send(signal.SIGUSR1)

    # then
    eventually(lambda: os.path.exists(home.status_page))
    page = Path(home.status_page).read_text()
    assert f"pid {conductord.pid}" in page
    assert page.count("idle") == 2


def test_the_reload_command_is_as_good_as_hup(daemon: DaemonFactory, home: Home) -> None:
    # given
    conductord = daemon(workers=1)
    write_settings(home, workers=2)

    # when
    done = run_cli(home, "reload")

    # then
    assert done.returncode == 0
    eventually(lambda: len(conductord.slots("idle")) == 2)
