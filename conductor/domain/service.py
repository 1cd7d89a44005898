"""A service: a process that conductord keeps beside its workers, one for each project that has work for it.

What both sides know of each other lies in the project's folder, one writer a file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from conductor.domain.worker_id import ProcessIdentity, worker_id

_TOKEN = re.compile(r"s\d+-")


@dataclass(frozen=True, slots=True)
class ServiceFolder:
    """Names in `<home>/projects/<project>`."""

    path: str

    @property
    def wanted(self) -> str:
        """There while the project has work: written by who brings it, removed by the orchestrator at its end."""
        return f"{self.path}/wanted"

    @property
    def heartbeat(self) -> str:
        """Replaced by the orchestrator from its loop: conductord looks whether it has changed, not what it says."""
        return f"{self.path}/heartbeat"

    @property
    def service(self) -> str:
        """The token of what conductord started here, while anything of it may be alive."""
        return f"{self.path}/service"

    @property
    def log(self) -> str:
        """What the orchestrator and all that it starts say."""
        return f"{self.path}/orchestrator.log"

    @property
    def lock(self) -> str:
        """Held by the orchestrator while it lives."""
        return f"{self.path}/orchestrator.lock"

    @property
    def doorbell(self) -> str:
        """A folder: whatever is renamed into it makes the orchestrator look at its store."""
        return f"{self.path}/doorbell"


def service_token(number: int, daemon: ProcessIdentity) -> str:
    """What conductord gives its `number`th service in OWNER_VARIABLE. It has the form of a worker id and names the
    daemon: a token whose process is gone is that of a dead service."""
    return worker_id(f"s{number}", daemon)


def is_service_token(text: str) -> bool:
    return _TOKEN.match(text) is not None


def format_heartbeat(owner: str, at: float) -> bytes:
    """What lies in `ServiceFolder.heartbeat`. `owner`: the token, `at`: seconds since the epoch."""
    return json.dumps({"owner": owner, "at": at}).encode() + b"\n"
