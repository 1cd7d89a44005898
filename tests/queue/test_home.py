"""Which homes are refused, and that a home killed in the making is made whole by the next who opens it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conductor.domain.errors import HomeRefused
from conductor.domain.home import Home
from conductor.kit.filesystem import NETWORK_TYPES, filesystem_type
from conductor.queue.layout import FORMAT_VERSION, open_home
from conductor.testing.clock import ManualClock
from conductor.testing.contract_base import claim_order, task
from tests.queue.homes import open_queue
from tests.queue.kills import killed_before_change

STRANGER = 54_321
MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:40 / /mnt/share rw,relatime - nfs4 server:/export rw,vers=4.2
31 30 0:41 / /mnt/share/local\\040disk rw shared:7 master:2 - xfs /dev/vdb rw
32 22 0:42 / /srv rw - ext4 /dev/vdc rw
33 22 0:43 / /srv rw - fuse.sshfs host: rw
34 22 0:44 / /mnt/sharepoint rw - btrfs /dev/vdd rw
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "home"))


# -- what is accepted


def test_an_absent_home_is_made_with_all_that_a_queue_needs_and_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(str(tmp_path / "not" / "yet" / "there"))
    before = os.umask(0)
    try:
        layout = open_home(home)
    finally:
        os.umask(before)

    for path in (home.path, home.tasks, *Path(home.queue).iterdir(), home.results):
        assert os.stat(path).st_mode & 0o077 == 0, path
    assert Path(layout.version).read_text() == f"{FORMAT_VERSION}\n"
    queue, _ = open_queue(Path(home.path), ManualClock())
    queue.submit(task("one"))
    assert claim_order(queue) == ["one"]


def test_a_home_that_is_whole_is_not_changed_by_opening_it(home: Home) -> None:
    open_home(home)
    with killed_before_change(1) as kill:
        open_home(home)

    assert not kill.happened


def test_an_empty_directory_that_others_may_read_becomes_a_home(home: Home) -> None:
    os.mkdir(home.path, 0o755)

    assert open_home(home).home == home


def test_a_home_of_root_is_trusted_by_everybody(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's home made by root at installation; whether it can be written is the disk's to say."""
    open_home(home)
    if os.geteuid() != 0:
        pytest.skip("only root can make a home of root")
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)

    assert open_home(home).home == home


# -- killed in the making


def test_a_home_killed_anywhere_in_the_making_is_made_whole_by_the_next_open(tmp_path: Path) -> None:
    nth = 0
    while True:
        nth += 1
        home = Home(str(tmp_path / f"home-{nth}"))
        with killed_before_change(nth) as kill:
            open_home(home)
        if not kill.happened:
            break

        layout = open_home(home)

        whole = {"VERSION", "lock", *"tmp inbox ready waiting after claimed finishing dead corrupt".split()}
        assert set(os.listdir(home.queue)) == whole
        assert Path(layout.version).read_text() == f"{FORMAT_VERSION}\n"
        queue, _ = open_queue(Path(home.path), ManualClock())
        queue.submit(task("one"))
        queue.submit_many([task("two")])
        while queue.tend("").more:
            pass
        assert claim_order(queue) == ["one", "two"]
    assert nth > 12  # each folder and file was a chance to die


# -- what is refused


@pytest.mark.parametrize(("mode", "whom"), [(0o770, "its group"), (0o707, "everybody"), (0o777, "everybody")])
def test_a_home_that_others_may_write_is_refused(home: Home, mode: int, whom: str) -> None:
    open_home(home)
    os.chmod(home.path, mode)

    with pytest.raises(HomeRefused, match=f"writable by {whom}.*chmod go-w"):
        open_home(home)

    os.chmod(home.path, 0o755)
    assert open_home(home).home == home


def test_a_directory_that_others_may_write_does_not_become_a_home(home: Home) -> None:
    os.mkdir(home.path)
    os.chmod(home.path, 0o777)

    with pytest.raises(HomeRefused, match="writable by everybody"):
        open_home(home)

    assert os.listdir(home.path) == []


def test_another_user_s_home_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    open_home(home)
    if os.geteuid() == 0:
        os.chown(home.path, STRANGER, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)

    with pytest.raises(HomeRefused, match="belongs to user"):
        open_home(home)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs"])
def test_a_home_on_a_network_disk_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("conductor.queue.layout.filesystem_type", lambda path: kind if path == home.path else "ext4")

    with pytest.raises(HomeRefused, match=f"is on {kind}.*choose a local disk"):
        open_home(home)

    assert not os.path.exists(home.queue)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", "ext4"),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/deep/er", "nfs4"),
        ("/mnt/share/local disk/home", "xfs"),
        ("/mnt/share/local", "nfs4"),
        ("/mnt/sharepoint/home", "btrfs"),
        ("/srv/home", "fuse.sshfs"),
    ],
)
def test_the_kind_of_disk_is_that_of_the_nearest_and_latest_mount(tmp_path: Path, path: str, kind: str) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS)

    assert filesystem_type(path, str(mountinfo)) == kind
    assert (kind in NETWORK_TYPES) == (kind in ("nfs4", "fuse.sshfs"))


def test_the_kind_of_disk_is_that_behind_a_link(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS)
    (tmp_path / "link").symlink_to("/mnt/share")

    assert filesystem_type(str(tmp_path / "link" / "home"), str(mountinfo)) == "nfs4"


def test_a_home_of_a_newer_version_is_refused(home: Home) -> None:
    layout = open_home(home)
    Path(layout.version).write_text(f"{FORMAT_VERSION + 1}\n")

    with pytest.raises(HomeRefused, match=f"has format {FORMAT_VERSION + 1}.*reads up to {FORMAT_VERSION}: upgrade"):
        open_home(home)


@pytest.mark.parametrize("content", ["", "one\n", "\xff"])
def test_a_version_that_can_t_be_read_is_refused(home: Home, content: str) -> None:
    layout = open_home(home)
    Path(layout.version).write_text(content)

    with pytest.raises(HomeRefused, match=r"can't read .*VERSION"):
        open_home(home)


def test_a_file_in_place_of_a_home_is_refused(home: Home) -> None:
    Path(home.path).write_text("not a directory")

    with pytest.raises(HomeRefused, match="choose another with CONDUCTOR_HOME"):
        open_home(home)
