"""What is unsafe about a home and its agents: judged from facts that somebody else gathered."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.masking import Masker

_SHAPES = Masker()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is unsafe. `kind`: key, permissions, unconfined, exposed or settings."""

    kind: str
    where: str
    """A path, with a line where there is one; or what in the settings."""
    what: str
    remedy: str
    grave: bool = True
    """False: worth knowing, and somebody's choice."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A path as lstat told it, links followed."""

    path: str
    mode: int
    owner: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


def holds_key(text: str) -> list[int]:
    """The numbers of the lines that hold something of the shape of a key."""
    return [number for number, line in enumerate(text.splitlines(), 1) if _SHAPES.mask(line) != line]


def judge_settings_text(path: str, text: str) -> list[Finding]:
    remedy = "take it out, put it into a file with mode 0600 and say `key: file:/PATH`; then have a new one made"
    return [Finding("key", f"{path}:{number}", "a key stands in the settings", remedy) for number in holds_key(text)]


def judge_private_file(file: FileFacts, what: str, us: int) -> list[Finding]:
    """A file that holds keys or logins, or may: only we should be able to read it."""
    if file.owner not in (us, 0):
        remedy = f"chown it, or remove it: user {file.owner} can change it at any time"
        return [Finding("key", file.path, f"{what} belongs to user {file.owner}", remedy)]
    if not file.mode & 0o077:
        return []
    return [Finding("key", file.path, f"{what} can be {_by_others(file.mode)}", f"chmod 600 {file.path}")]


def judge_home(home: FileFacts, us: int) -> list[Finding]:
    if home.owner not in (us, 0):
        return [Finding("permissions", home.path, f"the home belongs to user {home.owner}", "choose another home")]
    if not home.mode & 0o077:
        return []
    what = f"the home can be {_by_others(home.mode)}: it holds prompts, answers and logs"
    return [Finding("permissions", home.path, what, f"chmod 700 {home.path}")]


def judge_parent(folder: FileFacts, us: int) -> list[Finding]:
    """A folder above the home: who may rename what is in it may put another home in its place."""
    if folder.owner not in (us, 0):
        what = f"a folder above the home belongs to user {folder.owner}, who can replace the home"
        return [Finding("permissions", folder.path, what, "move the home below a folder of your own")]
    if folder.mode & 0o022 and not folder.mode & stat.S_ISVTX:
        whom = "everybody" if folder.mode & 0o002 else "its group"
        what = f"a folder above the home is writable by {whom}, who can replace the home"
        return [Finding("permissions", folder.path, what, f"chmod go-w {folder.path}")]
    return []


def judge_socket(socket: FileFacts) -> list[Finding]:
    if not socket.mode & 0o077:
        return []
    what = "the control socket is open to others: they can stop and steer conductord"
    return [Finding("exposed", socket.path, what, f"chmod 600 {socket.path}, then find out who changed it")]


def judge_agents(setups: Iterable[AgentSetup], default_agent: str) -> list[Finding]:
    """Agents that nothing keeps to their workspace."""
    found = []
    for setup in setups:
        remedy = f"set `autonomy: workspace` for {setup.name}, or run conductord in a container or as a user of its own"
        if setup.kind == "command":
            if setup.name == default_agent:
                what = "tasks that name no agent run as shell commands, whatever they say"
                found.append(Finding("unconfined", setup.name, what, "name another default agent", grave=False))
        elif setup.kind == "generic" and not setup.options.get("modes"):
            what = "nothing that conductor knows of confines it: it declares no `modes`"
            found.append(
                Finding(
                    "unconfined", setup.name, what, "say in conductor.yaml which of its options keep it in", grave=False
                )
            )
        elif setup.autonomy is Autonomy.FULL:
            found.append(Finding("unconfined", setup.name, "it runs unconfined (autonomy: full)", remedy))
        if setup.provider is not None and not setup.gate and setup.provider.key:
            what = "it runs without the gate, so the real key is in its environment"
            remedy = f"take `gate: false` from {setup.name}"
            found.append(Finding("key", setup.name, what, remedy, grave=False))
    return found


def judge_addresses(addresses: Mapping[str, str]) -> list[Finding]:
    """`addresses`: where in the settings, and the URL there."""
    return [
        Finding("exposed", where, f"{url} is not encrypted: key and prompts can be read on their way", "use https://")
        for where, url in addresses.items()
        if is_exposed(url)
    ]


def is_exposed(url: str) -> bool:
    """Whether what is sent there can be read on its way: anything but https, beyond this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return True
    return parts.scheme != "https" and not (parts.scheme == "http" and host in ("127.0.0.1", "localhost", "::1"))


def is_private(url: str) -> bool:
    """Whether it is plain http to a literal address of one's own network: a name may lead anywhere tomorrow."""
    from ipaddress import ip_address

    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and ip_address(parts.hostname or "").is_private
    except ValueError:
        return False


def addresses_in(settings: Mapping[str, Any]) -> dict[str, str]:
    """Every address of a model API in settings as they were read, unchecked."""
    providers = settings.get("providers")
    found = {
        f"providers.{name}.base_url": str(one["base_url"])
        for name, one in (providers.items() if isinstance(providers, dict) else ())
        if isinstance(one, dict) and one.get("base_url")
    }
    return {**found, "simulate": str(settings["simulate"])} if settings.get("simulate") else found


def secrets_files_in(settings: Mapping[str, Any]) -> dict[str, str]:
    """Each project's secrets file, and whose it is, in settings as they were read."""
    projects = settings.get("projects")
    return {
        str(one["secrets"]): f"the secrets file of project {name}"
        for name, one in (projects.items() if isinstance(projects, dict) else ())
        if isinstance(one, dict) and one.get("secrets")
    }


def _by_others(mode: int) -> str:
    deeds = [deed for deed, bits in (("read", 0o044), ("changed", 0o022), ("entered", 0o011)) if mode & bits]
    return f"{' and '.join(deeds)} by others (mode {stat.S_IMODE(mode):o})"
