"""What an agent sees of the daemon's environment: an allow-list, the task's own variables, and who it is."""

from __future__ import annotations

from collections.abc import Mapping

from conductor.domain.task import Claim
from conductor.domain.worker_id import OWNER_VARIABLE

_ALLOWED = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TERM COLORTERM "
    "SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy".split()
)
_ALLOWED_PREFIXES = ("LC_", "XDG_")


def agent_environment(
    daemon: Mapping[str, str], also_pass: tuple[str, ...], claim: Claim, home: str, more: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """The whole environment of an agent; what is said later in the list above wins, who it is always."""
    names = frozenset(name for name in also_pass if not name.endswith("*"))
    prefixes = (*_ALLOWED_PREFIXES, *(name[:-1] for name in also_pass if name.endswith("*")))
    inherited = {
        name: value
        for name, value in daemon.items()
        if (name in _ALLOWED or name in names or name.startswith(prefixes)) and not name.startswith("CONDUCTOR_")
    }
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        **inherited,
        **dict(more),
        **dict(claim.spec.env),
        "CONDUCTOR_TASK_ID": claim.spec.id,
        "CONDUCTOR_ATTEMPT": str(claim.attempt),
        OWNER_VARIABLE: claim.worker_id,
        "CONDUCTOR_HOME": home,
        "CONDUCTOR_TASK_DIR": claim.directory,
    }
