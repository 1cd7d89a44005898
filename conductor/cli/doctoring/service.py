"""The environment in which the service runs: what a login shell has and a service has not, and who keeps it alive."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Mapping

from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.sign import Sign, ok, warning

_SYSTEM_UNIT = "/etc/systemd/system/conductord.service"
_LINGER = "/var/lib/systemd/linger"
_ASSIGNMENT = re.compile(r"""(?:"([^"]*)"|'([^']*)'|(\S+))""")
_LARGEST = 65_536


def look_at_service(case: Case) -> Iterator[Sign]:
    whose, theirs = environment_of_service(case)
    if whose:
        yield judge_path(whose, theirs.get("PATH", ""), case.environment.get("PATH", ""))
    user_unit = _user_unit(case.environment)
    user = pwd.getpwuid(os.geteuid()).pw_name
    if os.path.exists(user_unit) and os.path.isdir("/run/systemd/system"):
        yield judge_linger(user, lingers=os.path.exists(f"{_LINGER}/{user}"))


def environment_of_service(case: Case) -> tuple[str, Mapping[str, str]]:
    """Whose it is, and the environment: of the daemon that runs, else of the unit; of nobody: this shell's own."""
    if case.daemon_pid:
        found = _environ(case.daemon_pid) or dict(case.service_environment)
        if found:
            return f"conductord (pid {case.daemon_pid})", found
    for path in (_SYSTEM_UNIT, _user_unit(case.environment)):
        text = _text(path)
        if text:
            return path, unit_environment(text, case.environment.get("HOME", ""))
    return "", case.environment


def unit_environment(text: str, home: str) -> dict[str, str]:
    """What the Environment= and EnvironmentFile= lines of a unit set, files over lines."""
    found = {"HOME": home, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    lines = [line.strip().replace("%h", home) for line in text.splitlines()]
    for line in lines:
        if line.startswith("Environment="):
            for match in _ASSIGNMENT.finditer(line.removeprefix("Environment=")):
                found.update(_assigned(match[1] or match[2] or match[3] or ""))
    for line in lines:
        if line.startswith("EnvironmentFile="):
            for given in _text(line.removeprefix("EnvironmentFile=").removeprefix("-")).splitlines():
                if not given.lstrip().startswith(("#", ";")):
                    found.update(_assigned(given.strip()))
    return found


def judge_path(whose: str, theirs: str, ours: str) -> Sign:
    """A service that lacks folders of this shell is as it should be, until a program is only there: see agents."""
    missing = [folder for folder in dict.fromkeys(ours.split(":")) if folder and folder not in theirs.split(":")]
    if not theirs:
        return warning("service", f"{whose} has no PATH", "say Environment=PATH=... in the unit")
    lacks = f"; this shell also has {', '.join(missing)}" if missing else ""
    return ok("service", f"{whose} looks for programs in {theirs}{lacks}")


def judge_linger(user: str, *, lingers: bool) -> Sign:
    if lingers:
        return ok("service", f"user units of {user} run without a login")
    what = f"conductord is a user unit and ends when {user} logs out"
    return warning("service", what, f"loginctl enable-linger {user}")


def _environ(pid: int) -> dict[str, str]:
    """conductord makes itself unreadable, so only root sees it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            parts = file.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return {}
    return {name: value for part in parts for name, _, value in [part.partition("=")] if name}


def _user_unit(environment: Mapping[str, str]) -> str:
    home = environment.get("HOME", "")
    folder = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return f"{folder}/systemd/user/conductord.service"


def _assigned(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    return {name.strip(): value.strip().strip("\"'")} if equals and name.strip() else {}


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST)
    except OSError:
        return ""
