"""scripts/install-systemd: run again it changes nothing, and what people wrote stays theirs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.systemd.units import SYSTEM_UNIT, analyze, service_of

UNIT = "etc/systemd/system/conductord.service"
DROP_IN = "etc/systemd/system/conductord.service.d/50-install-systemd.conf"
ENV_FILE = "etc/conductor/conductor.env"


class Machine:
    """A root folder that the script installs into, called by somebody with a home in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(REPOSITORY / "scripts" / "install-systemd"), "--root", str(self.root), *arguments],
            env={"PATH": "/usr/bin:/bin", "HOME": "/home/me"},
            capture_output=True,
            text=True,
            timeout=30,
        )

    def install(self, *arguments: str) -> str:
        done = self.call(*arguments)
        assert done.returncode == 0, done
        return done.stdout

    def files(self) -> dict[str, tuple[bytes, int, int]]:
        """Every file: content, mode, and inode, which a rewritten one has new."""
        found = {}
        for path in self.root.rglob("*"):
            if path.is_file():
                facts = path.stat()
                found[str(path.relative_to(self.root))] = (path.read_bytes(), facts.st_mode & 0o777, facts.st_ino)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


def test_the_system_service_is_installed_with_its_program_and_a_private_place_for_keys(machine: Machine) -> None:
    # when
    told = machine.install("--prefix", "/opt/conductor")

    # then
    installed = service_of(machine.root / UNIT)
    assert installed["ExecStart"] == ["/opt/conductor/bin/conductord"]
    assert {**installed, "ExecStart": []} == {**service_of(SYSTEM_UNIT), "ExecStart": []}
    assert {name: mode for name, (_, mode, _) in machine.files().items()} == {UNIT: 0o644, ENV_FILE: 0o600}
    assert os.stat(machine.root / "etc/conductor/credentials").st_mode & 0o777 == 0o700
    assert "systemctl enable --now conductord" in told


@pytest.mark.parametrize("options", [(), ("--user",), ("--writable", "/srv/a", "--group", "crew")])
def test_installing_again_changes_nothing(machine: Machine, options: tuple[str, ...]) -> None:
    machine.install(*options)
    before = machine.files()

    told = machine.install(*options)

    assert machine.files() == before
    assert "written" not in told


def test_what_was_edited_stays_and_an_old_unit_is_replaced(machine: Machine) -> None:
    # given an installation of another version, a variable and a drop-in of the operator
    machine.install("--writable", "/srv/projects")
    own = machine.root / "etc/systemd/system/conductord.service.d/override.conf"
    own.write_text("[Service]\nMemoryHigh=8G\n")
    (machine.root / ENV_FILE).write_text("LANG=C.UTF-8\n")
    (machine.root / UNIT).write_text("[Service]\nExecStart=/old/conductord\n")
    drop_in = (machine.root / DROP_IN).read_bytes()

    # when it is installed anew, without the options of the first time
    machine.install()

    # then
    assert "[Install]" in (machine.root / UNIT).read_text()
    assert (machine.root / ENV_FILE).read_text() == "LANG=C.UTF-8\n"
    assert own.read_text() == "[Service]\nMemoryHigh=8G\n"
    assert (machine.root / DROP_IN).read_bytes() == drop_in


def test_folders_and_the_group_of_a_shared_home_go_into_a_drop_in_that_systemd_takes(
    machine: Machine, tmp_path: Path
) -> None:
    # when
    machine.install("--writable", "/srv/a", "--writable", "/srv/b", "--group", "crew")

    # then
    assert service_of(machine.root / DROP_IN) == {"ReadWritePaths": ["-/srv/a", "-/srv/b"], "Group": ["crew"]}
    whole = tmp_path / "conductord.service"
    whole.write_text(SYSTEM_UNIT.read_text().replace("/usr/local/bin/conductord", "/bin/true"))
    (tmp_path / "conductord.service.d").mkdir()
    (tmp_path / "conductord.service.d/50.conf").write_bytes((machine.root / DROP_IN).read_bytes())
    checked = analyze(tmp_path, "verify", "--system", str(whole))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_uninstalling_takes_away_what_was_installed_and_keeps_settings_and_keys(machine: Machine) -> None:
    # given
    machine.install("--writable", "/srv/a")
    key = machine.root / "etc/conductor/credentials/anthropic"
    key.write_text("secret")

    # when
    told = machine.install("--uninstall")

    # then
    assert set(machine.files()) == {ENV_FILE, "etc/conductor/credentials/anthropic"}
    assert not (machine.root / DROP_IN).parent.exists()
    assert "/var/lib/conductor" in told

    # and again: there is nothing to do, and it is no error
    assert "nothing to remove" in machine.install("--uninstall")


def test_uninstalling_keeps_drop_ins_of_the_operator(machine: Machine) -> None:
    machine.install("--writable", "/srv/a")
    own = machine.root / "etc/systemd/system/conductord.service.d/override.conf"
    own.write_text("[Service]\n")

    told = machine.install("--uninstall")

    assert own.exists()
    assert not (machine.root / DROP_IN).exists()
    assert "holds what you wrote" in told


def test_a_user_s_service_is_installed_in_the_user_s_own_folders(machine: Machine) -> None:
    told = machine.install("--user")

    units = "home/me/.config/systemd/user/conductord.service"
    assert set(machine.files()) == {units, "home/me/.config/conductor/conductor.env"}
    assert service_of(machine.root / units)["ExecStart"] == ["/home/me/.local/bin/conductord"]
    assert "systemctl --user enable --now conductord" in told

    machine.install("--user", "--uninstall")
    assert units not in machine.files()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--writable", "relative"), "whole path"),
        (("--writable", "/srv/a b"), "letters"),
        (("--writable", "/srv/%h"), "letters"),
        (("--writable", "/srv/a\nExecStartPre=/bin/sh"), "letters"),
        (("--prefix", '/opt/"x"'), "letters"),
        (("--group", "a|b"), "letters"),
        (("--group",), "needs a value"),
        (("--user", "--group", "crew"), "system service"),
        (("--what",), "unknown option"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    machine: Machine, arguments: tuple[str, ...], said: str
) -> None:
    done = machine.call(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert machine.files() == {}
