"""A service's conductord and real other users: what the kernel lets through, and what conductord does."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared.people import ANN, BOB, OPERATOR, SERVICE, STRANGER, Place, a_place
from tests.support import eventually, wait_for_end


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as one:
        yield one


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_members_submit_and_read_their_own_and_operators_all(place: Place) -> None:
    # given
    place.start()

    # when Ann submits and waits, and Bob submits
    hers = place.call(ANN, "submit", "echo from ann by $(id -u)", "--id", "work", "--wait")
    his = place.call(BOB, "submit", "-", stdin="echo one of bob\necho two of bob\n")

    # then each has the own task, run by the service's user
    assert (hers.returncode, hers.stdout) == (0, f"u{ANN}.work\n"), hers
    bobs = his.stdout.splitlines()
    assert (his.returncode, len(bobs)) == (0, 2), his
    assert place.call(BOB, "wait", *bobs).returncode == 0
    assert f"from ann by {SERVICE}" in place.call(ANN, "logs", "work").stdout
    assert "SUCCESS" in place.call(ANN, "show", "work").stdout
    assert place.call(ANN, "results").stdout.startswith(f"u{ANN}.work|")

    # and sees nothing of the other, who is told like one that never was
    assert [row["task"] for row in json.loads(place.call(ANN, "list", "--json").stdout)] == [f"u{ANN}.work"]
    assert "bob" not in place.call(ANN, "results").stdout
    for verb in ("show", "logs", "cancel", "retry", "wait"):
        refused = place.call(ANN, verb, bobs[0])
        assert (refused.returncode, refused.stdout) == (3, ""), refused
        assert "bob" not in refused.stderr

    # and the operator all of it
    seen = {row["task"] for row in json.loads(place.call(OPERATOR, "list", "--json").stdout)}
    assert seen == {f"u{ANN}.work", *bobs}
    assert "from ann" in place.call(OPERATOR, "logs", f"u{ANN}.work").stdout
    assert json.loads(place.call(OPERATOR, "status", "--json").stdout)["mode"] == "running"


def test_a_member_stops_an_own_running_task_and_steers_nothing(place: Place) -> None:
    # given
    place.start()
    place.call(ANN, "submit", "sleep 1000", "--id", "long")
    eventually(lambda: place.conductord.slots("busy"))

    # when
    for verb in (("status",), ("pause",), ("scale", "9"), ("stop",), ("drain",), ("reload",)):
        refused = place.call(ANN, *verb)
        assert (refused.returncode, "operators" in refused.stderr) == (2, True), refused
    cancelled = place.call(ANN, "cancel", "long")

    # then
    assert (cancelled.returncode, cancelled.stderr) == (0, "long cancelled\n")
    assert wait_for_end(place.home, f"u{ANN}.long").status.value == "CANCELLED"
    assert place.call(OPERATOR, "scale", "2").returncode == 0
    eventually(lambda: len(place.conductord.slots("idle")) == 2)


def test_no_file_of_the_home_is_open_to_members_and_nobody_else_comes_near_it(place: Place) -> None:
    # given a home with a task in it, and a settings file that was left readable
    place.start()
    assert place.call(ANN, "submit", "echo secret", "--wait").returncode == 0
    gid = place.members.gr_gid

    # then members pass through the home to one socket
    assert (mode_of(place.home.path), os.stat(place.home.path).st_gid) == (0o710, gid)
    for name in os.listdir(place.home.path):
        path = f"{place.home.path}/{name}"
        assert mode_of(path) & 0o077 == (0o060 if path == place.home.shared_socket else 0), name

    # and neither list, read, nor write anything; nor is control.sock theirs
    home = place.home
    attempts = (
        f"ls {home.path}", f"cat {home.results}", f"cat {home.settings_file}", f"ls {home.tasks}",
        f"touch {home.queue}/inbox/x", f"touch {home.path}/x", f"ln -s /etc/passwd {home.path}/x",
        f"mv {home.queue} {home.path}/q", f"rm {home.shared_socket}",
    )  # fmt: skip
    for attempt in attempts:
        assert place.run(ANN, (gid,), "sh", "-c", attempt).returncode != 0, attempt
    reach = f"import socket; socket.socket(socket.AF_UNIX).connect({home.control_socket!r})"
    assert "PermissionError" in place.run(ANN, (gid,), "python3", "-c", reach).stderr

    # and a stranger does not get to the door
    refused = place.call(STRANGER, "submit", "true")
    assert (refused.returncode, "group" in refused.stderr) == (4, True), refused


def test_without_the_group_there_is_nothing(place: Place) -> None:
    # given a home that was shared
    place.start()
    assert mode_of(place.home.path) == 0o710
    place.conductord.stop()

    # when its settings name no group any more
    place.start(shared=False)

    # then it is closed as every home
    assert mode_of(place.home.path) == 0o700
    assert not os.path.exists(place.home.shared_socket)
    refused = place.call(ANN, "submit", "true")
    assert (refused.returncode, "belongs to user" in refused.stderr) == (78, True), refused


def test_a_home_that_its_group_may_write_is_tightened_when_only_the_service_wrote_there(place: Place) -> None:
    # given a home as an administrator may make it
    os.chown(place.home.path, SERVICE, place.members.gr_gid)
    os.chmod(place.home.path, 0o770)

    # when
    place.start()

    # then
    assert mode_of(place.home.path) == 0o710
    assert place.call(ANN, "submit", "true", "--wait").returncode == 0


def test_members_reach_a_home_whose_path_is_longer_than_an_address_of_a_socket() -> None:
    with a_place("a-long-name-" * 10) as place:
        place.start()
        assert place.call(ANN, "submit", "true", "--wait").returncode == 0


def test_a_home_that_a_member_has_written_to_is_refused(place: Place) -> None:
    # given
    os.chown(place.home.path, SERVICE, place.members.gr_gid)
    os.chmod(place.home.path, 0o770)
    planted = Path(place.home.path, "templates")
    planted.mkdir()
    os.chown(planted, ANN, place.members.gr_gid)

    # when
    place.start(launch_only=True)

    # then
    assert place.conductord.wait() == 78
    assert "writable by its group" in place.conductord.log_text()


def test_a_service_that_is_not_in_the_group_says_so_and_does_not_start(place: Place) -> None:
    place.service_groups = ()

    place.start(launch_only=True)

    assert place.conductord.wait() == 78
    assert f"Group={place.members.gr_name} in the unit" in place.conductord.log_text()
    assert mode_of(place.home.path) == 0o700


def test_a_guest_of_a_home_whose_daemon_is_gone_is_told_so(place: Place) -> None:
    place.start()
    place.conductord.kill()

    refused = place.call(ANN, "submit", "true")

    assert (refused.returncode, "no conductord serves" in refused.stderr) == (4, True), refused
    place.start()
    assert place.call(ANN, "submit", "true", "--wait").returncode == 0
