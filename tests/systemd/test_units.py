"""Whether systemd understands the units, whether they fit the daemon, and how much they leave open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conductor.app import LOCK_DEADLINE_SECONDS
from conductor.domain.exits import DAEMON_CONFIG_EXIT
from conductor.settings.model import Settings
from tests.systemd.units import SYSTEM_UNIT, USER_UNIT, analyze, needs_offline_security, runnable, service_of

MOST_EXPOSURE = 4.0
ADDED = {
    "ExecStart", "Environment", "EnvironmentFile", "User", "StateDirectory", "StateDirectoryMode",
    "NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "RestrictSUIDSGID", "ProtectSystem",
    "PrivateTmp", "ProtectHome", "PrivateDevices", "PrivateMounts", "ProtectClock", "ProtectKernelModules",
    "LockPersonality", "RestrictRealtime", "RemoveIPC", "SystemCallArchitectures", "SystemCallFilter",
    "SystemCallErrorNumber", "RestrictAddressFamilies", "RestrictNamespaces",
}  # fmt: skip
"""What the system unit says and a user's does not, or says otherwise."""


@pytest.mark.parametrize(("unit", "scope"), [(SYSTEM_UNIT, "--system"), (USER_UNIT, "--user")], ids=["system", "user"])
def test_systemd_finds_no_fault_in_the_unit(unit: Path, scope: str, tmp_path: Path) -> None:
    # given the unit as it ships, but for a program that exists on this machine
    copy = runnable(unit, tmp_path)

    # when
    checked = analyze(tmp_path, "verify", scope, str(copy))

    # then it says nothing: an unknown key is only a warning to it
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_system_unit_is_exposed_at_four_at_most(tmp_path: Path) -> None:
    # given
    needs_offline_security(tmp_path)

    # when
    judged = analyze(tmp_path, "security", "--offline=true", "--no-pager", str(SYSTEM_UNIT))

    # then
    overall = re.search(r"Overall exposure level for conductord\.service: ([0-9.]+)", judged.stdout)
    assert overall, judged
    assert float(overall[1]) <= MOST_EXPOSURE


@pytest.mark.parametrize(
    "left_open",
    """ProtectControlGroups MemoryDenyWriteExecute ProtectKernelTunables ProtectKernelLogs ProtectHostname ProtectProc
    ProcSubset PrivateNetwork IPAddressDeny PrivateUsers RootDirectory""".split(),
)
def test_what_agents_need_is_left_open_and_explained(left_open: str) -> None:
    """A hardening line more looks harmless and breaks agents: whoever adds one is to read why it is not there."""
    text = SYSTEM_UNIT.read_text()

    assert left_open not in service_of(SYSTEM_UNIT)
    assert re.search(rf"^# .*\b{left_open}\b", text.partition("Left open, and why")[2], re.MULTILINE)


def test_everything_that_an_audit_finds_open_is_explained_in_the_unit(tmp_path: Path) -> None:
    # given
    needs_offline_security(tmp_path)
    judged = analyze(tmp_path, "security", "--offline=true", "--no-pager", str(SYSTEM_UNIT))

    # when
    found_open = {match[1] for match in re.finditer(r"^✗ (\w+)=", judged.stdout, re.MULTILINE)}

    # then each is in the unit, as a setting or in a comment
    unit = SYSTEM_UNIT.read_text()
    explained_together = {"DeviceAllow": "PrivateDevices"}
    missing = {name for name in found_open if explained_together.get(name, name) not in unit}
    assert found_open
    assert missing == set()


def test_the_units_fit_the_daemon() -> None:
    # given
    service, defaults = service_of(SYSTEM_UNIT), Settings()

    # then a stop by systemd leaves the time that a stop takes, the watchdog more than the longest wait for the lock
    assert float(service["TimeoutStopSec"][0]) > defaults.stop_timeout + defaults.grace + 15
    assert float(service["WatchdogSec"][0]) > LOCK_DEADLINE_SECONDS
    assert service["RestartPreventExitStatus"] == [str(DAEMON_CONFIG_EXIT)]
    assert service["ExecStart"][0].startswith("/")
    for name, value in {"Type": "notify", "OOMPolicy": "continue", "KillMode": "mixed", "Delegate": "yes"}.items():
        assert service[name] == [value]


def test_the_user_unit_differs_only_where_it_must() -> None:
    # given
    system, user = service_of(SYSTEM_UNIT), service_of(USER_UNIT)

    # then
    different = {name for name in system.keys() | user.keys() if system.get(name) != user.get(name)}
    assert different == ADDED
    assert "User" not in user
    assert "WantedBy=default.target" in USER_UNIT.read_text()
