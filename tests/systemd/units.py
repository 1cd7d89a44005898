"""The units that ship, read as systemd reads them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import REPOSITORY

SYSTEM_UNIT = REPOSITORY / "systemd" / "conductord.service"
USER_UNIT = REPOSITORY / "systemd" / "user" / "conductord.service"
_OLDEST_WITH_OFFLINE_SECURITY = 250


def service_of(unit: Path) -> dict[str, list[str]]:
    """The settings in [Service], each with its values in order."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def analyze(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze ...` with nothing of this machine's own units; skips where it is not installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here")
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def needs_offline_security(home: Path) -> None:
    """Skips where systemd-analyze can't judge a unit file that is not installed."""
    version = re.search(r"systemd (\d+)", analyze(home, "--version").stdout)
    if version is None or int(version[1]) < _OLDEST_WITH_OFFLINE_SECURITY:
        pytest.skip(f"systemd-analyze security --offline needs systemd {_OLDEST_WITH_OFFLINE_SECURITY}")


def runnable(unit: Path, folder: Path) -> Path:
    """A copy of the unit whose program exists on this machine."""
    lines = unit.read_text().splitlines(keepends=True)
    copy = folder / "conductord.service"
    copy.write_text("".join("ExecStart=/bin/true\n" if line.startswith("ExecStart=") else line for line in lines))
    return copy
